// The window that a congestion control moves.
#pragma once

#include <algorithm>
#include <cstdint>

namespace runnel::tcp {

/// The congestion window of a connection, as its control sees it: the first two live in the TCB. Octets.
struct CongestionWindow {
    /// No window is larger: the peer's cannot be (RFC 7323 section 2.3).
    static constexpr std::uint32_t most = 1U << 30;

    std::uint32_t& cwnd;
    std::uint32_t& ssthresh;
    std::uint32_t mss = 0;      ///< octets of data a full segment carries
    std::uint32_t initial = 0;  ///< the initial window (RFC 6928)
    std::uint32_t srtt_us = 0;  ///< smoothed round-trip time in microseconds; 0: none measured yet

    [[nodiscard]] bool slow_start() const noexcept { return cwnd < ssthresh; }
    /// No reduction has set ssthresh yet: it begins beyond any window (RFC 5681 section 3.1).
    [[nodiscard]] bool initial_slow_start() const noexcept { return slow_start() && ssthresh > most; }
    /// A window that was not used to at least the half says nothing of the path and does not grow (RFC 7661
    /// section 4.3).
    [[nodiscard]] bool used(std::uint32_t flight_before) const noexcept { return flight_before >= cwnd / 2; }

    /// Opens the window by `octets`, to `limit` at most; never closes it.
    void grow(std::uint32_t octets, std::uint32_t limit = most) const noexcept {
        limit = std::min(limit, most);
        if (cwnd < limit) cwnd += std::min(octets, limit - cwnd);
    }
};

}  // namespace runnel::tcp
