// Proportional rate reduction (RFC 6937, with the slow-start reduction bound and the safe-ACK rule of RFC
// 9937): how much may leave in a fast recovery for each ACK that arrives.
#pragma once

#include <algorithm>
#include <cstdint>

namespace runnel::tcp {

/// The variables of one recovery, in octets. Belongs to a cold block.
class ProportionalRate {
  public:
    /// A recovery begins with `flight` octets from SND.UNA to SND.NXT.
    void begin(std::uint32_t flight) noexcept {
        flight_ = std::max(flight, 1U);
        delivered_ = 0;
        out_ = 0;
    }
    /// `octets` have been sent, for the first time or again.
    void sent(std::uint32_t octets) noexcept { out_ += octets; }

    struct Ack {
        std::uint32_t delivered = 0;  ///< octets newly acknowledged or SACKed
        std::uint32_t pipe = 0;       ///< octets outstanding after the ACK
        bool safe = false;            ///< SND.UNA moved and nothing more was found lost
    };
    /// The congestion window after an ACK.
    [[nodiscard]] std::uint32_t window(const Ack& ack, std::uint32_t ssthresh, std::uint32_t mss) noexcept {
        delivered_ += ack.delivered;
        std::uint32_t may_send = 0;
        if (ack.pipe > ssthresh) {
            const std::uint64_t due = (std::uint64_t{delivered_} * ssthresh + flight_ - 1) / flight_;
            may_send = due > out_ ? static_cast<std::uint32_t>(due - out_) : 0;
        } else {
            may_send = std::max(delivered_ > out_ ? delivered_ - out_ : 0, ack.delivered);
            if (ack.safe) may_send += mss;
            may_send = std::min(may_send, ssthresh - ack.pipe);
        }
        if (out_ == 0) may_send = std::max(may_send, mss);  // the fast retransmit goes in any case
        return ack.pipe + may_send;
    }

  private:
    std::uint32_t flight_ = 1;
    std::uint32_t delivered_ = 0;
    std::uint32_t out_ = 0;
};

}  // namespace runnel::tcp
