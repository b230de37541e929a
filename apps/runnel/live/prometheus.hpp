// The run as Prometheus scrapes it: http://127.0.0.1:PORT/metrics, on the kernel's loopback.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <prometheus/metric_family.h>

#include "engine/observation.hpp"

namespace prometheus {
class Exposer;
}

namespace runnel::app::live {

/// Every counter and drop reason of the table, totals, gauges, what each core does, and latencies in seconds,
/// both as histograms (with bounds at powers of two of nanoseconds, where the steps of ours end) and as
/// summaries.
[[nodiscard]] std::vector<prometheus::MetricFamily> metrics(const load::Observation& seen);

/// Listens while it lives, on threads of its own.
class PrometheusEndpoint {
  public:
    /// `board` is not owned. Throws `std::runtime_error` where the port cannot be had.
    PrometheusEndpoint(std::uint16_t port, const load::Board& board);
    ~PrometheusEndpoint();
    PrometheusEndpoint(const PrometheusEndpoint&) = delete;
    PrometheusEndpoint& operator=(const PrometheusEndpoint&) = delete;

  private:
    class Source;
    std::shared_ptr<Source> source_;
    std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace runnel::app::live
