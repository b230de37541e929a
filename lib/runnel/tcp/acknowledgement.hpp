// What an acceptable ACK does to the sending side: data released, round trip measured, congestion window
// moved, losses detected and repaired (RFC 6298, RFC 5681, RFC 6582, RFC 3042).
#pragma once

#include <cstdint>

#include "runnel/tcp/core.hpp"
#include "runnel/tcp/segment.hpp"
#include "runnel/tcp/transmission.hpp"

namespace runnel::tcp {

class Acknowledgement {
  public:
    Acknowledgement(Core& core, Transmission& transmission) noexcept
        : core_(core), transmission_(transmission) {}

    /// SND.UNA < SEG.ACK <= SND.NXT: new data (or our FIN) is acknowledged.
    void advance(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept;
    /// SEG.ACK = SND.UNA in a segment that brings nothing else: a duplicate ACK (RFC 5681 section 2).
    void duplicate(std::uint32_t slot, Tcb& tcb) noexcept;
    /// Takes the segment's window (RFC 9293 section 3.10.7.4), once its ordering by SND.WL1 and SND.WL2 has
    /// been checked.
    void update_window(std::uint32_t slot, Tcb& tcb, const Segment& segment, std::uint32_t window) noexcept;
    /// The retransmission timer has expired (RFC 6298 section 5, RFC 5681 section 3.1).
    void time_out(Tcb& tcb) noexcept;

  private:
    void recover(std::uint32_t slot, Tcb& tcb, Cold& cold, std::uint32_t acked) noexcept;
    void measure(Tcb& tcb, Cold* cold, const Segment& segment) noexcept;
    [[nodiscard]] CongestionWindow window_of(Tcb& tcb) const noexcept;
    std::uint32_t ssthresh_after_loss(Tcb& tcb, Cold& cold, std::uint32_t flight) noexcept;

    Core& core_;
    Transmission& transmission_;
};

}  // namespace runnel::tcp
