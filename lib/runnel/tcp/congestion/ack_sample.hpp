// What one ACK tells a congestion control.
#pragma once

#include <cstdint>

#include "runnel/base/seq_num.hpp"
#include "runnel/base/time.hpp"

namespace runnel::tcp {

/// Everything a congestion control may want to know of an ACK, gathered once by `Acknowledgement`. Sizes in
/// octets.
struct AckSample {
    Instant now{};
    std::uint32_t delivered = 0;      ///< newly acknowledged, cumulatively or by SACK
    std::uint32_t acknowledged = 0;   ///< by which SND.UNA moved; data only
    std::uint32_t lost = 0;           ///< newly found lost with this ACK
    std::uint32_t flight_before = 0;  ///< outstanding before the ACK: neither SACKed nor lost
    std::uint32_t flight = 0;         ///< outstanding after it
    std::uint32_t rtt_us = 0;         ///< round trip that this ACK measured, in microseconds; 0: none
    SeqNum snd_una{};                 ///< after the ACK
    SeqNum snd_nxt{};

    // The delivery rate (draft-cheng-iccrg-delivery-rate-estimation). Totals count modulo 2^32.
    std::uint32_t total_delivered = 0;  ///< of the connection's data, up to and with this ACK
    std::uint32_t prior_delivered = 0;  ///< the total when the newest segment acknowledged was sent
    std::uint32_t rate_delivered = 0;   ///< octets delivered in `rate_interval_us`; 0: no sample
    std::uint32_t rate_interval_us = 0;
    bool rate_app_limited = false;  ///< the application, not the window, held the sender back meanwhile
    bool in_recovery = false;       ///< a recovery, fast or by time-out, goes on after this ACK
};

}  // namespace runnel::tcp
