// What theory allows a TCP flow: response functions to loss, the use of a bottleneck, fairness. Windows in
// segments, times in seconds, probabilities out of 1.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace runnel::test::theory {

/// Average window of Reno where one segment in 1/p is lost at random and acknowledgements count octets
/// (Mathis, Semke, Mahdavi, Ott 1997, section 2): sqrt(3/2) / sqrt(p).
[[nodiscard]] inline double reno_window(double p) {
    return std::sqrt(1.5 / p);
}

/// Average window of CUBIC (RFC 9438 section 5.1): equation 6 with C = 0.4 and beta = 0.7, and no less than
/// Reno's, as its Reno-friendly region promises (section 4.3).
[[nodiscard]] inline double cubic_window(double p, double rtt) {
    return std::max(1.054 * std::pow(rtt / p, 0.75), reno_window(p));
}

/// Segments a second of Reno where time-outs count (Padhye, Firoiu, Towsley, Kurose 1998, equation 30), each
/// segment acknowledged by itself. Below what SACK and tail-loss probes reach: they save it time-outs.
[[nodiscard]] inline double reno_rate_with_timeouts(double p, double rtt, double rto) {
    const double fast = rtt * std::sqrt(2 * p / 3);
    const double slow = rto * std::min(1.0, 3 * std::sqrt(3 * p / 8)) * p * (1 + 32 * p * p);
    return 1 / (fast + slow);
}

/// Share of a bottleneck that one flow uses whose window falls to `beta` times when it has filled path and
/// buffer, and then grows by a segment a round trip. `buffer` in bandwidth-delay products. With w as the
/// window over the bandwidth-delay product, the rate is min(w, 1) and a round trip lasts max(w, 1).
[[nodiscard]] inline double sawtooth_use(double buffer, double beta) {
    const double top = 1 + buffer, bottom = beta * top;
    if (bottom >= 1) return 1;
    const double sent = (top * top - bottom * bottom) / 2;
    const double time = (1 - bottom) + (top * top - 1) / 2;
    return sent / time;
}

/// Jain's index of fairness: 1 where all have the same, 1/n where one has all.
[[nodiscard]] inline double jain(std::span<const double> shares) {
    double sum = 0, squares = 0;
    for (const double share : shares) sum += share, squares += share * share;
    return squares == 0 ? 0 : sum * sum / (static_cast<double>(shares.size()) * squares);
}

}  // namespace runnel::test::theory
