// Why a congestion window is reduced.
#pragma once

#include <cstdint>

namespace runnel::tcp {

/// What ended a round badly.
enum class Reduction : std::uint8_t {
    loss,              ///< found by duplicate ACKs, SACK or RACK: a fast recovery begins
    time_out,          ///< the retransmission timer has expired
    congestion_marks,  ///< the peer echoed an ECN mark (RFC 3168 section 6.1.2): nothing is lost
};

}  // namespace runnel::tcp
