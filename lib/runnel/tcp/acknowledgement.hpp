// What an acceptable ACK does to the sending side: data released, round trip measured, congestion window
// moved, and, where the peer does not speak SACK, losses detected and repaired by duplicate ACKs (RFC 6298,
// RFC 5681, RFC 6582, RFC 3042).
#pragma once

#include <cstdint>

#include "runnel/tcp/core.hpp"
#include "runnel/tcp/recovery.hpp"
#include "runnel/tcp/segment.hpp"
#include "runnel/tcp/transmission.hpp"

namespace runnel::tcp {

class Acknowledgement {
  public:
    Acknowledgement(Core& core, Transmission& transmission, Recovery& recovery) noexcept
        : core_(core), transmission_(transmission), recovery_(recovery) {}

    /// SND.UNA < SEG.ACK <= SND.NXT: new data (or our FIN) is acknowledged.
    void advance(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept;
    /// SEG.ACK = SND.UNA while something is in flight. `plain`: the segment brings nothing else, so it is a
    /// duplicate ACK (RFC 5681 section 2).
    void repeated(std::uint32_t slot, Tcb& tcb, const Segment& segment, bool plain) noexcept;
    /// Takes the segment's window (RFC 9293 section 3.10.7.4), once its ordering by SND.WL1 and SND.WL2 has
    /// been checked.
    void update_window(std::uint32_t slot, Tcb& tcb, const Segment& segment, std::uint32_t window) noexcept;
    /// The peer has echoed a congestion mark: the window answers once a round trip (RFC 3168 section 6.1.2).
    void congestion_echoed(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept;
    /// The retransmission timer has expired (RFC 6298 section 5, RFC 5681 section 3.1).
    void time_out(std::uint32_t slot, Tcb& tcb) noexcept;

  private:
    bool settle(std::uint32_t slot, Tcb& tcb, Cold& cold, const Segment& segment) noexcept;
    void advance_without_sack(std::uint32_t slot, Tcb& tcb, Cold* cold, const Segment& segment,
                              std::uint32_t data) noexcept;
    void duplicate(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept;
    void recover(std::uint32_t slot, Tcb& tcb, Cold& cold, std::uint32_t acked) noexcept;
    void measure(Tcb& tcb, Cold* cold, const Segment& segment) noexcept;

    Core& core_;
    Transmission& transmission_;
    Recovery& recovery_;
};

}  // namespace runnel::tcp
