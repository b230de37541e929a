// SEGMENT ARRIVES (RFC 9293 section 3.10.7): what the RFC says to do with a segment, in its order, each step
// a function of its own.
#pragma once

#include <cstdint>

#include "runnel/tcp/acknowledgement.hpp"
#include "runnel/tcp/core.hpp"
#include "runnel/tcp/defence.hpp"
#include "runnel/tcp/segment.hpp"
#include "runnel/tcp/transmission.hpp"

namespace runnel::tcp {

class SegmentArrival {
  public:
    SegmentArrival(Core& core, Transmission& transmission, Acknowledgement& acknowledgement,
                   Defence& defence) noexcept
        : core_(core), transmission_(transmission), acknowledgement_(acknowledgement), defence_(defence) {}

    /// Processes one segment of whatever owner. Takes `segment.mbuf`: it is null afterwards where somebody
    /// keeps the mbuf, else the caller's to put back.
    void process(Segment& segment) noexcept;

  private:
    // 3.10.7.1 and 3.10.7.2
    void closed_state(const Segment& segment) noexcept;
    void listen_state(Segment& segment, std::uint16_t listener, SeqNum above) noexcept;
    void fill(HalfOpen& half_open, const Segment& segment, std::uint16_t listener) const noexcept;
    bool open_fast(Segment& segment, std::uint16_t listener, SeqNum above) noexcept;
    void answer_with_cookie(const Segment& segment, std::uint16_t listener) noexcept;
    bool accept_cookie(Segment& segment, std::uint16_t listener) noexcept;
    // 3.10.7.3
    void syn_sent_state(std::uint32_t slot, Segment& segment) noexcept;
    void fast_open_answered(Tcb& tcb, const Segment& segment, const wire::TcpOptions& options) noexcept;
    void syn_sent_synchronize(std::uint32_t slot, Tcb& tcb, Segment& segment, bool acknowledged) noexcept;
    // 3.10.7.4, for a passive connection in SYN-RECEIVED
    void half_open_state(std::uint32_t slot, Segment& segment) noexcept;
    void acknowledge_half_open(const HalfOpen& half_open, const Segment& segment) noexcept;
    void complete_handshake(std::uint32_t slot, Segment& segment) noexcept;
    void fill(Tcb& tcb, const HalfOpen& half_open, const Segment& segment) noexcept;
    void open_passive(std::uint32_t connection, Segment& segment, bool timed) noexcept;
    // 3.10.7.4, for TIME-WAIT
    void time_wait_state(std::uint32_t slot, Segment& segment) noexcept;
    // 3.10.7.4, for all others, step by step; false: the segment goes no further
    void synchronized_state(std::uint32_t slot, Segment& segment) noexcept;
    bool check_timestamp(Tcb& tcb, const Segment& segment) noexcept;                // RFC 7323 section 5.3
    bool check_sequence(std::uint32_t slot, Tcb& tcb, Segment& segment) noexcept;   // first
    bool check_rst(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept;  // second
    bool check_syn(Tcb& tcb, Segment& segment) noexcept;                            // fourth
    bool check_ack(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept;  // fifth
    void check_urg(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept;  // sixth
    void process_text(std::uint32_t slot, Tcb& tcb, Segment& segment) noexcept;     // seventh
    void check_fin(std::uint32_t slot, Tcb& tcb) noexcept;                          // eighth

    void remember_timestamp(Tcb& tcb, const Segment& segment) noexcept;
    bool our_fin_acknowledged(std::uint32_t slot, Tcb& tcb) noexcept;
    bool trim(Tcb& tcb, Segment& segment) noexcept;
    void note_mark(Tcb& tcb, const Segment& segment) noexcept;
    void heard(std::uint32_t slot, Tcb& tcb) noexcept;
    void report_repeated(Tcb& tcb, SeqNum left, SeqNum right) noexcept;
    void deliver(std::uint32_t slot, Tcb& tcb, rte_mbuf* payload) noexcept;
    void hold_until_established(Tcb& tcb, Segment& segment) noexcept;
    void process_held(std::uint32_t slot, Tcb& tcb) noexcept;
    void hold_out_of_order(Tcb& tcb, Segment& segment, bool fin) noexcept;
    void acknowledge_text(std::uint32_t slot, Tcb& tcb, bool at_once) noexcept;
    void established(std::uint32_t slot, Tcb& tcb, bool timed = true) noexcept;

    Core& core_;
    Transmission& transmission_;
    Acknowledgement& acknowledgement_;
    Defence& defence_;
};

}  // namespace runnel::tcp
