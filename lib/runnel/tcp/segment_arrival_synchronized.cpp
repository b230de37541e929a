// RFC 9293 section 3.10.7.4, the states that have a TCB and have seen the peer's SYN, step by step.
#include <algorithm>

#include "runnel/base/mbuf_cut.hpp"
#include "runnel/tcp/segment_arrival.hpp"
#include "runnel/tcp/timestamp_age.hpp"

namespace runnel::tcp {

namespace flag = wire::tcp_flags;

void SegmentArrival::synchronized_state(std::uint32_t slot, Segment& segment) noexcept {
    Tcb& tcb = core_.tcbs[slot];
    constexpr std::uint8_t kind = flag::syn | flag::ack | flag::rst;
    if (tcb.fast_opening() && (segment.flags & kind) == flag::syn && segment.seq < tcb.rcv_nxt) [[unlikely]] {
        // The peer's SYN again: our SYN-ACK was lost.
        if (tcb.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) {
            core_.counters.add(Counter::tcp_synack_retransmits);
            transmission_.send_syn(tcb);
        }
        return;
    }
    if (tcb.state == State::syn_received && !tcb.passive && segment.has(flag::syn) &&
        segment.seq + 1 == tcb.rcv_nxt) [[unlikely]] {
        // The peer's SYN of a simultaneous open again. With an ACK of ours it completes the open; without,
        // our SYN-ACK was lost.
        if (!segment.has(flag::ack)) {
            transmission_.send_syn(tcb);
            return;
        }
        segment.seq += 1;
        segment.flags &= static_cast<std::uint8_t>(~flag::syn);
        segment.window =
            static_cast<std::uint16_t>(segment.window >> tcb.snd_wscale);  // a SYN's is not scaled
        tcb.ack_now = true;
        core_.want_output(slot, tcb);
    }
    // Any segment of the peer's shows that it is there.
    if (tcb.timer_kind == TimerKind::keep_alive) [[unlikely]]
        heard(slot, tcb);
    if (!check_timestamp(tcb, segment)) return;
    if (!check_sequence(slot, tcb, segment)) return;
    if (!check_rst(slot, tcb, segment)) return;
    if (!check_syn(tcb, segment)) return;
    if (!check_ack(slot, tcb, segment)) return;
    remember_timestamp(tcb, segment);  // not before the ACK is believed: a forged one must not move it
    check_urg(slot, tcb, segment);
    if (tcb.ecn && segment.text > 0) note_mark(tcb, segment);
    process_text(slot, tcb, segment);
}

// A mark on a packet that brought data is echoed until the peer says that it has reduced its window (RFC 3168
// section 6.1.3).
void SegmentArrival::note_mark(Tcb& tcb, const Segment& segment) noexcept {
    if (segment.has(flag::cwr)) tcb.ece_out = false;
    if (!segment.congestion_marked) return;
    core_.counters.add(Counter::tcp_congestion_marks_in);
    tcb.ece_out = true;
}

// PAWS comes before all else (RFC 7323 section 5.3, R1).
bool SegmentArrival::check_timestamp(Tcb& tcb, const Segment& segment) noexcept {
    if (!tcb.timestamps || segment.has(flag::rst)) return true;
    if (!segment.timestamps) {
        core_.counters.drop(DropReason::tcp_missing_timestamp);  // RFC 7323 section 3.2
        return false;
    }
    if (!older_timestamp(segment.ts_value, tcb.ts_recent)) [[likely]]
        return true;
    const auto age = static_cast<std::uint16_t>(timestamp_age_clock(core_.now) - tcb.ts_recent_age);
    if (age >= outdated_timestamp) {
        tcb.ts_recent = segment.ts_value;
        tcb.ts_recent_age = timestamp_age_clock(core_.now);
        return true;
    }
    core_.counters.drop(DropReason::tcp_paws);
    if (segment.length() == 0)
        transmission_.send_challenge_ack(tcb);
    else
        transmission_.send_ack(tcb);
    return false;
}

// First: is any of it in the window? (The RFC's four cases; a segment that covers the whole window counts
// too.)
bool SegmentArrival::check_sequence(std::uint32_t slot, Tcb& tcb, Segment& segment) noexcept {
    const std::uint32_t length = segment.length();
    const std::uint32_t window = tcb.rcv_wnd();
    const SeqNum edge = tcb.rcv_nxt + window;
    const bool at_next = segment.seq == tcb.rcv_nxt;
    const bool acceptable = length == 0 ? at_next || segment.seq.in_window(tcb.rcv_nxt, window)
                                        : segment.seq < edge && segment.seq + length > tcb.rcv_nxt;
    if (acceptable) [[likely]]
        return true;
    if (segment.has(flag::rst)) {
        core_.counters.drop(DropReason::tcp_reset_out_of_window);  // RFC 5961 section 3.2
        return false;
    }
    if (segment.has(flag::syn)) {
        core_.counters.drop(DropReason::tcp_syn_challenged);  // RFC 5961 section 4.2
        transmission_.send_challenge_ack(tcb);
        return false;
    }
    if (window == 0 && at_next) {
        // A closed window takes no text but the ACK, RST and URG of a segment in its place (RFC 9293
        // MUST-66).
        core_.counters.drop(DropReason::tcp_receive_buffer_full);
        segment.text = 0;
        segment.flags &= static_cast<std::uint8_t>(~flag::fin);
        tcb.ack_now = true;
        core_.want_output(slot, tcb);
        return true;
    }
    const bool old_text = segment.text > 0 && segment.seq + segment.text <= tcb.rcv_nxt;
    core_.counters.drop(segment.seq + length <= tcb.rcv_nxt && length > 0 ? DropReason::tcp_duplicate_data
                                                                          : DropReason::tcp_out_of_window);
    if (old_text) report_repeated(tcb, segment.seq, segment.seq + segment.text);
    // Two sides that each find the other's empty ACKs unacceptable would answer for ever: those count as
    // challenges.
    if (length == 0)
        transmission_.send_challenge_ack(tcb);
    else
        transmission_.send_ack(tcb);
    // A peer that has filled the window sends its ACKs from the right edge: what they acknowledge is good.
    return length == 0 && segment.seq == edge;
}

// Second: the RST bit (RFC 5961 section 3.2).
bool SegmentArrival::check_rst(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept {
    if (!segment.has(flag::rst)) [[likely]]
        return true;
    if (segment.seq != tcb.rcv_nxt) {
        core_.counters.drop(DropReason::tcp_reset_challenged);
        transmission_.send_challenge_ack(tcb);
        return false;
    }
    core_.counters.add(Counter::tcp_resets_in);
    core_.end(slot,
              tcb.state == State::syn_received && !tcb.passive ? CloseReason::refused : CloseReason::reset);
    return false;
}

// Fourth: the SYN bit, whatever its sequence number (RFC 5961 section 4.2).
bool SegmentArrival::check_syn(Tcb& tcb, Segment& segment) noexcept {
    if (!segment.has(flag::syn)) [[likely]]
        return true;
    core_.counters.drop(DropReason::tcp_syn_challenged);
    transmission_.send_challenge_ack(tcb);
    return false;
}

// Fifth: the ACK field.
bool SegmentArrival::check_ack(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept {
    if (!segment.has(flag::ack)) [[unlikely]] {
        core_.counters.drop(DropReason::tcp_no_ack_flag);
        return false;
    }
    if (tcb.state == State::syn_received) [[unlikely]] {
        const bool fast = tcb.fast_opening();
        if (!fast) tcb.snd_una += 1;  // our SYN
        if (segment.ack < tcb.snd_una || segment.ack > tcb.snd_nxt) {
            if (!fast) tcb.snd_una -= 1;
            core_.counters.drop(DropReason::tcp_bad_ack);
            transmission_.send_reset_for(segment);
            return false;
        }
        tcb.snd_wnd = std::uint32_t{segment.window} << tcb.snd_wscale;
        tcb.snd_wl1 = segment.seq;
        tcb.snd_wl2 = segment.ack;
        tcb.max_snd_wnd = std::max(tcb.max_snd_wnd, segment.window);
        established(slot, tcb);
        if (!fast && !tcb.aborting) process_held(slot, tcb);
        if (tcb.aborting) return false;
        if (!fast || segment.ack == tcb.snd_una) return true;
        // Data that went out before is acknowledged too.
    }
    // RFC 5961 section 5.2: an ACK of what was not sent, or of what nobody can still be acknowledging.
    if (segment.ack > tcb.snd_nxt || segment.ack < tcb.snd_una - tcb.largest_snd_wnd()) {
        core_.counters.drop(DropReason::tcp_bad_ack);
        transmission_.send_challenge_ack(tcb);
        return false;
    }
    if (segment.has(flag::ece) && tcb.ecn) [[unlikely]]
        acknowledgement_.congestion_echoed(slot, tcb, segment);
    const std::uint32_t window = std::uint32_t{segment.window} << tcb.snd_wscale;
    // What acknowledges more than all before is newer than all before, whatever its sequence number.
    const bool newest = segment.ack > tcb.snd_una;
    if (newest) {
        acknowledgement_.advance(slot, tcb, segment);
    } else if (segment.ack < tcb.snd_una) {
        if (segment.sack_blocks && tcb.sack) acknowledgement_.repeated(slot, tcb, segment, false);
    } else {
        if (tcb.in_flight() > 0)
            acknowledgement_.repeated(slot, tcb, segment, segment.length() == 0 && window == tcb.snd_wnd);
        else if (Cold* const cold = core_.cold_of(tcb))
            cold->probe_unanswered = false;
    }
    if (newest || (segment.ack == tcb.snd_una &&
                   (tcb.snd_wl1 < segment.seq || (tcb.snd_wl1 == segment.seq && tcb.snd_wl2 <= segment.ack))))
        acknowledgement_.update_window(slot, tcb, segment, window);
    if (tcb.aborting) [[unlikely]]
        return false;
    if (tcb.fin_sent && tcb.snd_una == tcb.snd_nxt) return our_fin_acknowledged(slot, tcb);
    return true;
}

void SegmentArrival::heard(std::uint32_t slot, Tcb& tcb) noexcept {
    tcb.timer_kind = TimerKind::none;
    core_.watch_idle(slot, tcb);
}

// Octets have come that had come before: the next ACK says which (RFC 2883).
void SegmentArrival::report_repeated(Tcb& tcb, SeqNum left, SeqNum right) noexcept {
    if (!tcb.sack) return;
    if (Cold* const cold = core_.attach_cold(tcb)) cold->reported.repeated(left, right);
}

bool SegmentArrival::our_fin_acknowledged(std::uint32_t slot, Tcb& tcb) noexcept {
    switch (tcb.state) {
        case State::fin_wait_1:
            tcb.state = State::fin_wait_2;
            if (tcb.closed_by_application)
                core_.start_timer(slot, tcb, TimerKind::fin_wait_2, core_.fin_wait_2_timeout(tcb));
            return true;
        case State::closing:
            core_.enter_time_wait(slot);
            return false;
        case State::last_ack:
            core_.end(slot, CloseReason::orderly);
            return false;
        default:
            return true;
    }
}

// Sixth: the URG bit (RFC 6093: the pointer names the octet after the urgent data).
void SegmentArrival::check_urg(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept {
    if (!segment.has(flag::urg) || !tcb.can_receive()) [[likely]]
        return;
    const SeqNum up = segment.seq + segment.urgent_pointer;
    if (up <= tcb.rcv_nxt) return;
    Cold* const cold = core_.attach_cold(tcb);
    if (cold == nullptr || (cold->urgent_in && up <= cold->rcv_up)) return;
    cold->urgent_in = true;
    cold->rcv_up = up;
    core_.handler_of(tcb).urgent(core_.handle(slot), up - tcb.rcv_nxt);
}

// Cuts off what lies outside of the window. False where nothing is left to process.
bool SegmentArrival::trim(Tcb& tcb, Segment& segment) noexcept {
    std::uint32_t front = 0;
    if (segment.seq < tcb.rcv_nxt) {
        front = tcb.rcv_nxt - segment.seq;
        if (segment.text > 0) report_repeated(tcb, segment.seq, segment.seq + std::min(front, segment.text));
        if (front > segment.text) return false;  // text and FIN are old: the ACK is on its way
        segment.seq += front;
        segment.text -= front;
    }
    const SeqNum edge = tcb.rcv_nxt + tcb.rcv_wnd();
    if (segment.seq + segment.text > edge) {
        segment.text = edge > segment.seq ? edge - segment.seq : 0;
        segment.flags &= static_cast<std::uint8_t>(~flag::fin);
        core_.counters.drop(DropReason::tcp_receive_buffer_full);
    } else if (segment.seq + segment.text == edge) {
        segment.flags &= static_cast<std::uint8_t>(~flag::fin);  // no room for the FIN's own number
    }
    if (segment.text > 0) {
        cut_front(segment.mbuf, segment.header_size + front);
        if (segment.mbuf->pkt_len != segment.text) keep_front(segment.mbuf, segment.text);
    }
    return segment.text > 0 || segment.has(flag::fin);
}

void SegmentArrival::deliver(std::uint32_t slot, Tcb& tcb, rte_mbuf* payload) noexcept {
    tcb.unconsumed += payload->pkt_len;
    if (core_.handler_of(tcb).data(core_.handle(slot), *payload) == Ownership::returned)
        core_.stash.put(payload);
}

// Seventh: the segment text; and the FIN, once all before it is there (eighth).
void SegmentArrival::process_text(std::uint32_t slot, Tcb& tcb, Segment& segment) noexcept {
    if (segment.text == 0 && !segment.has(flag::fin)) return;
    if (!tcb.can_receive()) {
        core_.counters.drop(
            DropReason::tcp_data_after_close);  // the peer has sent its FIN: there can be no more
        return;
    }
    if (tcb.closed_by_application && segment.text > 0) {
        // Nobody will read it: the peer must know (RFC 9293 section 3.6.1, RFC 2525 section 2.17).
        core_.counters.drop(DropReason::tcp_data_after_close);
        transmission_.send_reset_for(segment);
        core_.end(slot, CloseReason::aborted);
        return;
    }
    if (!trim(tcb, segment)) {
        acknowledge_text(slot, tcb, true);
        return;
    }
    const bool reports_repeated =
        tcb.sack && tcb.cold != no_slot && core_.colds[tcb.cold].reported.duplicate_due();
    const SeqNum fin_at = segment.seq + segment.text;
    const bool fin = segment.has(flag::fin);
    if (segment.seq != tcb.rcv_nxt) {
        hold_out_of_order(tcb, segment, fin);
        return;
    }
    bool fills_gap = false;
    if (segment.text > 0) {
        rte_mbuf* const payload = segment.mbuf;
        segment.mbuf = nullptr;
        tcb.rcv_nxt += segment.text;
        deliver(slot, tcb, payload);
        if (tcb.cold != no_slot) {
            Cold* cold = core_.cold_of(tcb);
            fills_gap = !cold->out_of_order.empty();
            if (fills_gap) cold->reported.overlapped(segment.seq, tcb.rcv_nxt);
            while (!tcb.aborting) {
                rte_mbuf* const next = cold->out_of_order.pop(tcb.rcv_nxt, core_.stash);
                if (next == nullptr) break;
                tcb.rcv_nxt += next->pkt_len;
                deliver(slot, tcb, next);
                cold = core_.cold_of(tcb);
                if (cold == nullptr) break;
            }
            if (cold != nullptr) cold->reported.in_order(tcb.rcv_nxt);
        }
        if (tcb.aborting) return;
        // Two full segments are acknowledged at once (RFC 5681 section 4.2), also where they come as one:
        // joined here, or by the port or the link, that is longer than any that the peer may send.
        const bool several =
            segment.merged ||
            (segment.text > tcb.mss &&
             segment.text > core_.own_mss(tcb.settings, core_.ip.mtu_for(core_.ends_of(tcb).remote_address()),
                                          tcb.flow.is_ipv6()));
        acknowledge_text(slot, tcb, fills_gap || reports_repeated || several);
    }
    Cold* const cold = core_.cold_of(tcb);
    const bool held_fin_is_due = cold != nullptr && cold->fin_held && cold->fin_at == tcb.rcv_nxt;
    if (cold != nullptr) {
        if (cold->urgent_in && cold->rcv_up <= tcb.rcv_nxt) cold->urgent_in = false;
        if (held_fin_is_due) cold->fin_held = false;
        core_.detach_idle_cold(tcb);
    }
    if ((fin && fin_at == tcb.rcv_nxt) || held_fin_is_due) check_fin(slot, tcb);
}

// The text and FIN of a SYN that met ours wait for the ESTABLISHED state (RFC 9293 section 3.10.7.3, fourth
// step). They are not acknowledged: where no cold block is free, they come again.
void SegmentArrival::hold_until_established(Tcb& tcb, Segment& segment) noexcept {
    segment.seq += 1;
    segment.flags &= static_cast<std::uint8_t>(~flag::syn);
    if ((segment.text == 0 && !segment.has(flag::fin)) || !trim(tcb, segment)) return;
    Cold* const cold = core_.attach_cold(tcb);
    if (cold == nullptr) return;
    cold->fin_held = segment.has(flag::fin);
    cold->fin_at = segment.seq + segment.text;
    if (segment.text > 0 &&
        cold->out_of_order.insert(segment.mbuf, segment.seq, core_.config.out_of_order_limit, core_.stash) ==
            OutOfOrderQueue::Outcome::held)
        segment.mbuf = nullptr;
}

void SegmentArrival::process_held(std::uint32_t slot, Tcb& tcb) noexcept {
    Cold* cold = core_.cold_of(tcb);
    if (cold == nullptr) return;
    bool any = false;
    while (!tcb.aborting && cold != nullptr) {
        rte_mbuf* const next = cold->out_of_order.pop(tcb.rcv_nxt, core_.stash);
        if (next == nullptr) break;
        any = true;
        tcb.rcv_nxt += next->pkt_len;
        deliver(slot, tcb, next);
        cold = core_.cold_of(tcb);
    }
    if (tcb.aborting) return;
    if (any) acknowledge_text(slot, tcb, false);
    const bool fin = cold != nullptr && cold->fin_held && cold->fin_at == tcb.rcv_nxt;
    if (fin) cold->fin_held = false;
    core_.detach_idle_cold(tcb);
    if (fin) check_fin(slot, tcb);
}

// A segment before its turn is held, and answered at once: the peer counts these answers (RFC 5681
// section 4.2).
void SegmentArrival::hold_out_of_order(Tcb& tcb, Segment& segment, bool fin) noexcept {
    core_.counters.add(Counter::tcp_out_of_order_in);
    if (Cold* const cold = core_.attach_cold(tcb)) {
        bool held = true;
        if (segment.text > 0) {
            const SeqNum start = segment.seq;
            const SeqNum end = start + segment.text;
            switch (cold->out_of_order.insert(segment.mbuf, start, core_.config.out_of_order_limit,
                                              core_.stash)) {
                case OutOfOrderQueue::Outcome::held:
                    segment.mbuf = nullptr;
                    if (tcb.sack) cold->reported.held(start, end);
                    break;
                case OutOfOrderQueue::Outcome::duplicate:
                    core_.counters.drop(DropReason::tcp_duplicate_data);
                    if (tcb.sack) {
                        cold->reported.held(start, end);
                        cold->reported.repeated(start, end);
                    }
                    break;
                case OutOfOrderQueue::Outcome::full:
                    core_.counters.drop(DropReason::tcp_out_of_order_full);
                    held = false;
                    break;
            }
        }
        if (fin && held) {
            cold->fin_held = true;
            cold->fin_at = segment.seq + segment.text;
        }
    }
    transmission_.send_ack(tcb);
    core_.detach_idle_cold(tcb);
}

// ACKs wait a little for company: at most 500 ms (RFC 9293 MUST-40) and at most for a second segment
// (SHLD-19). What a burst brings is acknowledged once, when all of it has been processed (MUST-59).
void SegmentArrival::acknowledge_text(std::uint32_t slot, Tcb& tcb, bool at_once) noexcept {
    if (at_once || tcb.ack_delayed || tcb.quick_acks > 0) {
        if (tcb.quick_acks > 0) --tcb.quick_acks;
        tcb.ack_now = true;
    } else {
        tcb.ack_delayed = true;
        tcb.ack_deadline = core_.after(core_.config.delayed_ack);
    }
    core_.want_output(slot, tcb);
}

// Eighth: the FIN bit; all before it has been delivered.
void SegmentArrival::check_fin(std::uint32_t slot, Tcb& tcb) noexcept {
    core_.counters.add(Counter::tcp_fins_in);
    tcb.rcv_nxt += 1;
    tcb.ack_now = true;
    if (Cold* const cold = core_.cold_of(tcb); cold != nullptr && !cold->out_of_order.empty()) [[unlikely]] {
        // Nothing can follow a FIN: what the peer sent from beyond it is no part of the stream.
        core_.counters.drop(DropReason::tcp_data_after_close);
        cold->out_of_order.clear(core_.stash);
        cold->reported.nothing_held();
        core_.detach_idle_cold(tcb);
    }
    const bool ours_acknowledged = tcb.state == State::fin_wait_2;
    if (tcb.state == State::established)
        tcb.state = State::close_wait;
    else if (tcb.state == State::fin_wait_1)
        tcb.state = State::closing;
    core_.want_output(slot, tcb);
    core_.handler_of(tcb).peer_closed(core_.handle(slot));
    if (tcb.aborting || !ours_acknowledged) return;
    transmission_.send_ack(tcb);
    core_.enter_time_wait(slot);
}

void SegmentArrival::remember_timestamp(Tcb& tcb, const Segment& segment) noexcept {
    // RFC 7323 section 4.3: the timestamp that an ACK echoes is that of the segment which the last ACK left
    // unacknowledged.
    if (!tcb.timestamps || !segment.timestamps) return;
    if (older_timestamp(segment.ts_value, tcb.ts_recent) || segment.seq > tcb.last_ack_sent) return;
    tcb.ts_recent = segment.ts_value;
    tcb.ts_recent_age = timestamp_age_clock(core_.now);
}

}  // namespace runnel::tcp
