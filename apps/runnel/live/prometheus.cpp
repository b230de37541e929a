// See prometheus.hpp.
#include "live/prometheus.hpp"

#include <limits>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

namespace runnel::app::live {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric valued(MetricType type, double value, std::vector<ClientMetric::Label> labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (type == MetricType::Counter)
        metric.counter.value = value;
    else
        metric.gauge.value = value;
    return metric;
}

class Families {
  public:
    MetricFamily& family(std::string name, std::string_view help, MetricType type) {
        return all_.emplace_back(MetricFamily{std::move(name), std::string{help}, type, {}});
    }
    void one(std::string name, std::string_view help, MetricType type, double value) {
        family(std::move(name), help, type).metric.push_back(valued(type, value));
    }
    void counter(std::string name, std::string_view help, std::uint64_t value) {
        one(std::move(name), help, MetricType::Counter, static_cast<double>(value));
    }
    void gauge(std::string name, std::string_view help, double value) {
        one(std::move(name), help, MetricType::Gauge, value);
    }
    [[nodiscard]] std::vector<MetricFamily> take() { return std::move(all_); }

  private:
    std::vector<MetricFamily> all_;
};

constexpr double in_seconds = 1e-9;
// From 1 us to 17 s: below and above there is one step each.
constexpr int least_bound = 10, greatest_bound = 34;

double sum_of(const Histogram& histogram) {
    return histogram.mean() * static_cast<double>(histogram.count()) * in_seconds;
}

ClientMetric histogram_metric(const Histogram& histogram) {
    ClientMetric metric;
    metric.histogram.sample_count = histogram.count();
    metric.histogram.sample_sum = sum_of(histogram);
    for (int bound = least_bound; bound <= greatest_bound; ++bound) {
        const std::uint64_t nanoseconds = std::uint64_t{1} << bound;
        metric.histogram.bucket.push_back({.cumulative_count = histogram.count_below(nanoseconds),
                                           .upper_bound = static_cast<double>(nanoseconds) * in_seconds});
    }
    metric.histogram.bucket.push_back(
        {.cumulative_count = histogram.count(), .upper_bound = std::numeric_limits<double>::infinity()});
    return metric;
}

ClientMetric summary_metric(const Histogram& histogram) {
    ClientMetric metric;
    metric.summary.sample_count = histogram.count();
    metric.summary.sample_sum = sum_of(histogram);
    for (const double quantile : {0.5, 0.9, 0.99, 0.999, 1.0})
        metric.summary.quantile.push_back(
            {.quantile = quantile,
             .value = static_cast<double>(histogram.percentile(100 * quantile)) * in_seconds});
    return metric;
}

}  // namespace

std::vector<MetricFamily> metrics(const load::Observation& seen) {
    Families families;
    const load::Sample& sample = seen.sample;
    auto& info = families.family("runnel_info", "What runs.", MetricType::Gauge);
    info.metric.push_back(valued(MetricType::Gauge, 1,
                                 {{"command", seen.facts.command},
                                  {"what", seen.facts.what},
                                  {"wire", seen.facts.wire},
                                  {"phase", seen.phase}}));
    families.gauge("runnel_run_seconds", "Time since the cores began.", seen.t_s);
    families.gauge("runnel_paused", "1 while the run is paused.", seen.state.paused ? 1 : 0);
    if (seen.state.abilities.rate && seen.state.rate)
        families.gauge("runnel_rate_asked", "Arrivals a second that are asked for.", *seen.state.rate);
    if (seen.facts.client) {
        families.counter("runnel_connections_started_total", "Connections begun.", sample.totals.started);
        families.counter("runnel_connections_completed_total",
                         "Connections that went through the whole recipe.", sample.totals.completed);
        auto& failed = families.family("runnel_connections_failed_total",
                                       "Connections of the window that failed, by how.", MetricType::Counter);
        for (const auto& [how, count] :
             {std::pair{"refused", sample.refused}, std::pair{"reset", sample.reset},
              std::pair{"timed_out", sample.timed_out}})
            failed.metric.push_back(valued(MetricType::Counter, static_cast<double>(count), {{"how", how}}));
    }
    families.counter("runnel_connections_established_total", "Connections established.",
                     sample.totals.established);
    families.counter("runnel_transactions_total", "Transactions answered.", sample.totals.transactions);
    families.counter("runnel_payload_received_bytes_total", "Payload received.",
                     sample.totals.octets_received);
    families.counter("runnel_payload_sent_bytes_total", "Payload handed to TCP, and data of datagrams.",
                     sample.totals.octets_sent);
    families.counter("runnel_datagrams_sent_total", "Datagrams of udp-rr and udp-oneway sent.",
                     sample.totals.datagrams_sent);
    families.counter("runnel_datagrams_received_total", "Datagrams of udp-rr and udp-oneway received.",
                     sample.totals.datagrams_received);
    families.gauge("runnel_connections_open", "Connections open.", static_cast<double>(sample.open));
    families.gauge("runnel_connections_time_wait", "Connections in TIME-WAIT.",
                   static_cast<double>(sample.time_wait));

    const runtime::Snapshot counters = seen.counters();
    for (std::size_t i = 0; i < counter_count; ++i)
        families.counter(fmt::format("runnel_{}_total", counter_descriptions()[i].name),
                         counter_descriptions()[i].sentence, counters.counters[i]);
    auto& drops = families.family("runnel_drops_total",
                                  "What was dropped, by reason; runnel_drop_info has the sentences.",
                                  MetricType::Counter);
    for (std::size_t i = 0; i < drop_count; ++i)
        drops.metric.push_back(valued(MetricType::Counter, static_cast<double>(counters.drops[i]),
                                      {{"reason", std::string{drop_descriptions()[i].name}}}));
    auto& reasons = families.family("runnel_drop_info", "What a reason for a drop means.", MetricType::Gauge);
    for (const CounterDescription& description : drop_descriptions())
        reasons.metric.push_back(valued(
            MetricType::Gauge, 1,
            {{"reason", std::string{description.name}}, {"sentence", std::string{description.sentence}}}));

    const auto each_core = [&](std::string name, std::string_view help, MetricType type, auto&& value) {
        auto& family = families.family(std::move(name), help, type);
        for (std::size_t i = 0; i < sample.cores.size(); ++i)
            family.metric.push_back(
                valued(type, value(sample.cores[i], i), {{"core", fmt::format("{}", i)}}));
    };
    using Core = load::Sample::Core;
    each_core("runnel_core_busy_ratio",
              "Share of a core's time that had something to do, in the last second.", MetricType::Gauge,
              [&](const Core&, std::size_t i) {
                  return i < seen.cores.size() ? seen.cores[i].busy_percent / 100 : 0;
              });
    each_core("runnel_core_frames_received_total", "Frames received.", MetricType::Counter,
              [](const Core& core, std::size_t) { return static_cast<double>(core.loop.frames_in); });
    each_core("runnel_core_frames_sent_total", "Frames that the wire took.", MetricType::Counter,
              [](const Core& core, std::size_t) { return static_cast<double>(core.loop.frames_out); });
    each_core("runnel_core_transmit_full_total", "Times that the wire refused frames, which then waited.",
              MetricType::Counter,
              [](const Core& core, std::size_t) { return static_cast<double>(core.loop.transmit_full); });

    if (!seen.facts.client) return families.take();
    for (const auto& [name, what, which] :
         {std::tuple{"handshake", "From SYN to SYN-ACK", &load::LatencyHistograms::handshake},
          std::tuple{"ttfb", "From SYN to the first octet of the response", &load::LatencyHistograms::ttfb},
          std::tuple{"ttlb", "From SYN to the last octet of the response", &load::LatencyHistograms::ttlb},
          std::tuple{"close", "From SYN to the end of the connection", &load::LatencyHistograms::close},
          std::tuple{"transaction", "From a request to its response",
                     &load::LatencyHistograms::transaction}}) {
        const Histogram& histogram = sample.latency.*which;
        families
            .family(fmt::format("runnel_{}_seconds", name), fmt::format("{}.", what), MetricType::Histogram)
            .metric.push_back(histogram_metric(histogram));
        families
            .family(fmt::format("runnel_{}_quantiles_seconds", name), fmt::format("{}: quantiles.", what),
                    MetricType::Summary)
            .metric.push_back(summary_metric(histogram));
    }
    return families.take();
}

class PrometheusEndpoint::Source final : public prometheus::Collectable {
  public:
    explicit Source(const load::Board& board) noexcept : board_(board) {}
    [[nodiscard]] std::vector<MetricFamily> Collect() const override {
        const std::shared_ptr<const load::Observation> seen = board_.latest();
        return seen == nullptr ? std::vector<MetricFamily>{} : metrics(*seen);
    }

  private:
    const load::Board& board_;
};

PrometheusEndpoint::PrometheusEndpoint(std::uint16_t port, const load::Board& board)
    : source_(std::make_shared<Source>(board)) {
    try {
        exposer_ = std::make_unique<prometheus::Exposer>(fmt::format("127.0.0.1:{}", port), 1);
    } catch (const std::exception& wrong) {
        throw std::runtime_error(fmt::format(
            "--prometheus: port {} of 127.0.0.1 cannot be had ({}); choose another", port, wrong.what()));
    }
    exposer_->RegisterCollectable(source_);
}

PrometheusEndpoint::~PrometheusEndpoint() = default;

}  // namespace runnel::app::live
