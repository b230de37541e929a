// The window that a congestion control moves.
#pragma once

#include <cstdint>

namespace runnel::tcp {

/// The congestion window of a connection, as its control sees it: the first two live in the TCB. Octets.
struct CongestionWindow {
    std::uint32_t& cwnd;
    std::uint32_t& ssthresh;
    std::uint32_t mss = 0;      ///< octets of data a full segment carries
    std::uint32_t initial = 0;  ///< the initial window (RFC 6928)
    std::uint32_t srtt_us = 0;  ///< smoothed round-trip time in microseconds; 0: none measured yet
};

}  // namespace runnel::tcp
