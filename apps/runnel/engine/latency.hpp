// The latencies of a connection, each from the time its SYN was intended and from the time it was sent.
#pragma once

#include <cstdint>

#include "runnel/base/histogram.hpp"
#include "runnel/base/time.hpp"

namespace runnel::load {

/// In nanoseconds; all but that of a transaction from the SYN on (RFC 9411, RFC 2647).
struct LatencyHistograms {
    Histogram handshake;    ///< to the SYN-ACK
    Histogram ttfb;         ///< to the first octet of the response
    Histogram ttlb;         ///< to the last octet of the response
    Histogram close;        ///< to the end of the connection
    Histogram transaction;  ///< of `rr`, from the request to the last octet of its response

    void merge(const LatencyHistograms& other) noexcept {
        handshake.merge(other.handshake);
        ttfb.merge(other.ttfb);
        ttlb.merge(other.ttlb);
        close.merge(other.close);
        transaction.merge(other.transaction);
    }
};

struct Latency {
    LatencyHistograms
        intended;  ///< what a user who came at the planned time has waited: a stalled generator shows here
    LatencyHistograms actual;  ///< what the peer and the wire took

    void merge(const Latency& other) noexcept {
        intended.merge(other.intended);
        actual.merge(other.actual);
    }
};

/// What is kept of the latencies of a second, in nanoseconds; all 0 where there is none.
struct Quantiles {
    std::uint64_t count = 0;
    std::uint64_t p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0;

    [[nodiscard]] static Quantiles of(const Histogram& h) noexcept {
        return {.count = h.count(),
                .p50 = h.percentile(50),
                .p90 = h.percentile(90),
                .p99 = h.percentile(99),
                .p999 = h.percentile(99.9),
                .max = h.max()};
    }
};

/// A span as a histogram takes it; a negative one (clocks of two cores a little apart) counts as 0.
[[nodiscard]] constexpr std::uint64_t nanoseconds_between(Instant from, Instant to) noexcept {
    return to > from ? static_cast<std::uint64_t>((to - from).count()) : 0;
}

}  // namespace runnel::load
