// What may go out now: new data, what is lost, probes.
#include "runnel/tcp/transmission.hpp"

#include <algorithm>

#include "runnel/tcp/loss_timer.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::tcp {

namespace flag = wire::tcp_flags;

// After an idle time longer than the RTO the window says nothing any more (RFC 5681 section 4.1).
void Transmission::restart_after_idle(Tcb& tcb) const noexcept {
    if ((tcb.timer_kind != TimerKind::none && tcb.timer_kind != TimerKind::keep_alive) ||
        tcb.in_flight() != 0)
        return;
    const std::uint32_t initial = core_.initial_window(tcb);
    if (tcb.cwnd <= initial || !core_.config.restart_after_idle || core_.control_owns_window(tcb)) return;
    if (core_.idle_for(tcb) > core_.rto(tcb)) tcb.cwnd = initial;
}

// A segment below full size goes where it holds all that waits and Nagle is off or no other such segment is
// outstanding (RFC 9293 section 3.7.4, as hosts have it: appendix A.3), where it fills half of the largest
// window that the peer ever offered, or where the override timer has fired (section 3.8.6.2.1).
bool Transmission::may_send_short(const Tcb& tcb, const Cold& cold, std::uint32_t octets,
                                  bool all_that_waits) const noexcept {
    if (tcb.timer_cancels_silly) return true;
    if (cold.waits_for_more()) [[unlikely]]
        return false;
    if (all_that_waits && (!tcb.nagle || cold.small_end <= tcb.snd_una || cold.small_end > tcb.snd_nxt))
        return true;
    return 2 * octets >= tcb.largest_snd_wnd();
}

// How many segments of a long burst end with PSH, so that a receiver which joins segments passes on what it
// has: as many as leave in a millisecond at the pace of the window, as hosts give them to the device in one
// piece. More where the peer is near; never more than half the window.
std::uint32_t Transmission::burst_of(const Tcb& tcb, const Cold& cold) const noexcept {
    constexpr std::uint64_t most = 65536;
    const std::uint32_t srtt_us = std::max(tcb.round_trip.srtt_8 / 8, 1U);
    const std::uint64_t pace = std::uint64_t{tcb.cwnd} * (tcb.cwnd < tcb.ssthresh / 2 ? 2000 : 1200);
    const std::uint32_t far = (cold.min_rtt_us != 0 ? cold.min_rtt_us : srtt_us) >> 9;
    const std::uint64_t octets = std::min(pace / srtt_us + (far < 16 ? most >> far : 0), most - tcb.mss);
    const auto segments = static_cast<std::uint32_t>(octets / tcb.mss);
    return std::min(std::max<std::uint32_t>(segments, core_.config.min_burst),
                    std::max(tcb.cwnd / tcb.mss / 2, 1U));
}

// How many segments may leave as one large one, where the port cuts it: as many as leave in a millisecond at
// the pace of the control, or else of the window, and two at least, as Linux has it. Nothing waits so that
// there are more. What must not come twice, urgent data and reports of duplicates, goes in segments by
// itself.
std::uint32_t Transmission::most_at_once(Tcb& tcb, Cold& cold) const noexcept {
    constexpr std::uint32_t most_octets = UINT16_MAX - wire::ipv6_header_size - wire::tcp_max_header_size;
    if (!core_.config.segmentation || cold.urgent_out || sack_blocks_for(tcb, &cold, true) != 0 ||
        !core_.ip.offloads_for(core_.ends_of(tcb).remote_address()).tx_tcp_segmentation)
        return 1;
    std::uint32_t segments = burst_of(tcb, cold);
    const std::uint64_t rate = core_.with_control(tcb, cold, [&](auto control, auto& state) noexcept {
        return control.pacing_rate(state, core_.window_of(tcb));
    });
    if (rate != 0) segments = std::min(segments, static_cast<std::uint32_t>(rate / 1000 / tcb.mss));
    return std::min(std::max(segments, 2U), most_octets / tcb.mss);
}

// How many of so many full segments from a position on can leave as one, as far as the mbufs go that the port
// takes.
std::uint32_t Transmission::segments_at_once(const Tcb& tcb, Cold& cold, std::uint32_t position,
                                             std::uint32_t segments, std::uint32_t full) const noexcept {
    const std::uint8_t mbufs = core_.ip.offloads_for(core_.ends_of(tcb).remote_address()).tx_large_chain;
    return std::max(cold.queue.fits(position, segments * full, mbufs - 1U,
                                    rte_pktmbuf_data_room_size(core_.stash.pool())) /
                        full,
                    1U);
}

// Most octets of text that the next segment carries (RFC 9293 MUST-16: all options count).
std::uint32_t Transmission::full_size(const Tcb& tcb, const Cold* cold) const noexcept {
    const std::size_t blocks = sack_blocks_for(tcb, cold, true);
    return blocks == 0 ? tcb.mss : static_cast<std::uint32_t>(tcb.mss - 4 - 8 * blocks);
}

std::uint8_t Transmission::flags_of(std::uint32_t octets, bool last, bool fin) noexcept {
    std::uint8_t flags = flag::ack;
    if (octets > 0 && last) flags |= flag::psh;
    if (fin) flags |= flag::fin;
    return flags;
}

// What has left for the first time goes on the scoreboard; RTT and delivery rate are measured by it.
void Transmission::note_sent(Tcb& tcb, Cold& cold, SeqNum first, std::uint32_t length,
                             std::uint32_t flight) noexcept {
    // Sent within a sixty-fourth of the round trip counts as sent at one time: it bounds how many ranges a
    // fast path needs.
    const std::uint32_t same_time = cold.board.ranges() < 64 ? 0 : cold.min_rtt_us / 64;
    // Only a control that paces remembers anything that idle time makes untrue.
    if (flight == 0 && paces(core_.algorithm_of(tcb))) [[unlikely]]
        core_.with_control(tcb, cold, [&](auto control, auto& state) noexcept {
            control.restarted(state, core_.window_of(tcb), core_.now);
        });
    if (cold.board.empty()) cold.rack.restarted();
    cold.board.sent(core_.ranges, first, first + length, cold.rate.stamp(core_.us, flight), same_time);
    if (cold.fast_recovery) cold.prr.sent(length);
    tcb.snd_nxt = max(tcb.snd_nxt, first + length);
}

void Transmission::note_sent_again(Tcb& tcb, Cold& cold, std::uint32_t range, SeqNum end,
                                   std::uint32_t flight) noexcept {
    const SeqNum first = core_.ranges[range].first;
    cold.board.sent_again(core_.ranges, range, end, cold.rate.stamp(core_.us, flight));
    if (cold.fast_recovery) cold.prr.sent(end - first);
    cold.undo.retransmitted += end - first;
    cold.retransmitted_to = max(cold.retransmitted_to, end);
    if (!cold.undo.stamped) {
        cold.undo.stamped = true;
        cold.undo.first = first;
        cold.undo.timestamp = core_.ts_clock + tcb.ts_offset;
    }
    if (first == tcb.snd_una) restart_rto(core_, tcb, cold);
}

// Whether the congestion control wants the next segment to leave later; the connection is woken then. What is
// due within a tick of the wheel leaves now.
bool Transmission::wait_for_pace(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept {
    if (cold.pace_at <= core_.now + TimerWheel<Tcb, &Tcb::timer>::tick_length) return false;
    tcb.paced = true;
    core_.schedule(slot, tcb);
    return true;
}

void Transmission::pace(Tcb& tcb, Cold& cold, std::uint32_t octets) noexcept {
    const std::uint64_t rate = core_.with_control(tcb, cold, [&](auto control, auto& state) noexcept {
        return control.pacing_rate(state, core_.window_of(tcb));
    });
    if (rate == 0) return;
    const Duration gap{static_cast<std::int64_t>(std::uint64_t{octets} * 1'000'000'000 / rate)};
    cold.pace_at = std::max(cold.pace_at, core_.now) + std::min<Duration>(gap, 1s);
}

// Whether another segment may follow at once, with so much waiting and room for so much.
bool Transmission::may_follow(const Tcb& tcb, const Cold& cold, std::uint32_t waiting, std::uint32_t usable,
                              std::uint32_t full) const noexcept {
    const std::uint32_t octets = std::min({waiting, usable, full});
    return octets == full || (octets > 0 && may_send_short(tcb, cold, octets, octets == waiting));
}

bool Transmission::output(std::uint32_t slot, Tcb& tcb) noexcept {
    if (!tcb.handshake_done()) {
        // What Fast Open serves answers at once; what it sends is found lost once the peer has answered.
        if (tcb.fast_opening()) return send_new(slot, tcb, core_.cold_of(tcb));
        if (tcb.state != State::syn_sent || tcb.snd_nxt != tcb.snd_una) return true;
        if (!send_syn(tcb)) return false;
        tcb.round_trip.rttvar_4 = core_.us;
        core_.start_timer(slot, tcb, TimerKind::retransmission, core_.config.syn_timeout);
        return true;
    }

    Cold* const cold = core_.cold_of(tcb);
    if (cold != nullptr || (tcb.fin_queued && !tcb.fin_sent)) {
        if (cold != nullptr && tcb.sack && cold->board.lost() > 0 &&
            !retransmit_lost(slot, tcb, *cold, false))
            return false;
        if (!send_new(slot, tcb, cold)) return false;
    }
    if (!tcb.ack_now && window_update_due(tcb)) tcb.ack_now = true;
    if (tcb.ack_now) return core_.transmit_queue.room() > 0 && send_ack(tcb);
    if (tcb.ack_delayed) core_.schedule(slot, tcb);
    return true;
}

// Data and FIN that have not been sent; without SACK, after a time-out, also what has.
bool Transmission::send_new(std::uint32_t slot, Tcb& tcb, Cold* cold) noexcept {
    const bool tracked = cold != nullptr && tcb.sack;
    if (tracked && cold->board.lost() > 0) return true;  // first what is lost
    const std::uint32_t queued = cold == nullptr ? 0 : cold->queue.size();
    const bool paced = cold != nullptr && paces(core_.algorithm_of(tcb));
    bool held_back = false;
    bool sent = false;
    std::uint32_t burst = 0;  // segments since the last PSH
    std::uint32_t most_of_burst = 0;
    std::uint32_t most_together = 0;  // segments that may leave as one; 0: not asked yet
    for (;;) {
        const bool again =
            cold != nullptr && !tracked && cold->timeout_recovery && cold->rtx_nxt < tcb.snd_nxt;
        const SeqNum next = again ? cold->rtx_nxt : tcb.snd_nxt;
        const std::uint32_t position = next - tcb.snd_una;
        const std::uint32_t waiting = position < queued ? queued - position : 0;
        const bool wants_fin = tcb.fin_queued && (!tcb.fin_sent || (again && position <= queued));
        if (waiting == 0 && !wants_fin) break;

        if (waiting > 0) restart_after_idle(tcb);
        std::uint32_t allowed = tcb.cwnd;
        // Limited transmit: the first two duplicate ACKs release a new segment each (RFC 3042). With SACK,
        // what they report has left the network.
        if (cold != nullptr && !tracked && !cold->recovering())
            allowed += std::min<std::uint32_t>(cold->duplicate_acks, 2) * tcb.mss;
        const std::uint32_t flight = tracked ? cold->pipe(tcb) : position;
        const std::uint32_t usable = std::min(allowed > flight ? allowed - flight : 0,
                                              tcb.snd_wnd > position ? tcb.snd_wnd - position : 0);
        const std::uint32_t full = full_size(tcb, cold);
        std::uint32_t octets = std::min({waiting, full, usable});
        std::uint32_t segments = 1;
        if (std::min(waiting, usable) >= 2 * full && !again && !tcb.cwr_out) {
            if (most_together == 0) most_together = most_at_once(tcb, *cold);
            segments = std::min(std::min(waiting, usable) / full, most_together);
            if (segments > 1) segments = segments_at_once(tcb, *cold, position, segments, full);
            octets *= segments;
        }

        // A FIN goes whatever the window says: it needs no buffer, and a peer that does not want it yet drops
        // it.
        const bool with_fin = wants_fin && octets == waiting;
        if (octets < full && !with_fin && !again &&
            (octets == 0 || !may_send_short(tcb, *cold, octets, octets == waiting))) {
            held_back = true;
            break;
        }
        if (octets == 0 && !with_fin) break;
        if (paced && wait_for_pace(slot, tcb, *cold)) break;
        if (!core_.transmit_queue.room()) [[unlikely]]
            return false;
        // PSH where the queue is empty (RFC 9293 MUST-61), and at the end of a burst: the receiver need not
        // wait for more.
        bool last = octets == waiting;
        if (last) {
            if (cold != nullptr && cold->more && !tcb.timer_cancels_silly) [[unlikely]]
                last = with_fin;
        } else if ((burst += segments) > 1 && core_.config.min_burst != 0) {
            if (most_of_burst == 0) most_of_burst = burst_of(tcb, *cold);
            last = most_of_burst > 1 && (burst >= most_of_burst ||
                                         !may_follow(tcb, *cold, waiting - octets, usable - octets, full));
            if (last) burst = 0;
        }
        const auto segment_size = static_cast<std::uint16_t>(segments > 1 ? full : 0);
        if (!emit(tcb, {next, position, octets, flags_of(octets, last, with_fin), !again, segment_size}))
            [[unlikely]] {
            // A large segment takes many mbufs; there may be one for a small one.
            if (segments == 1) return false;
            most_together = 1;
            burst = 0;
            continue;
        }

        const std::uint32_t length = octets + (with_fin ? 1 : 0);
        if (with_fin) {
            core_.counters.add(again ? Counter::tcp_fin_retransmits : Counter::tcp_fins_out);
            tcb.fin_sent = true;
        }
        if (again) {
            if (octets > 0) core_.counters.add(Counter::tcp_data_retransmits);
            cold->rtx_nxt += length;
            tcb.snd_nxt = max(tcb.snd_nxt, cold->rtx_nxt);
        } else if (tracked) {
            note_sent(tcb, *cold, next, length, flight);
        } else {
            if (cold != nullptr && !cold->timing && octets > 0) {
                cold->timing = true;
                cold->timed = next;
                cold->timed_since = core_.us;
            }
            tcb.snd_nxt += length;
            if (octets > 0 && position + octets > tcb.cwnd) cold->limited_transmitted += octets;
        }
        if (octets > 0 && octets < full && !again) cold->small_end = next + octets;
        if (paced) pace(tcb, *cold, octets);
        tcb.timer_cancels_silly = false;
        sent = true;
        if (!tracked && tcb.timer_kind != TimerKind::retransmission) {
            // A FIN by itself is probed for like any tail (RFC 8985 section 7.2).
            const bool probe = cold == nullptr && tcb.sack && tcb.round_trip.has_sample();
            core_.start_timer(slot, tcb, probe ? TimerKind::loss_probe : TimerKind::retransmission,
                              probe ? std::min(probe_timeout(core_, tcb), core_.rto(tcb)) : core_.rto(tcb));
        }
        if (with_fin) break;
    }
    // The SYN-ACK's timer goes on while it is not answered.
    if (tracked && sent && tcb.handshake_done()) {
        if (tcb.timer_kind == TimerKind::none || tcb.timer_kind == TimerKind::persist ||
            tcb.timer_kind == TimerKind::keep_alive) {
            tcb.timer_kind = TimerKind::none;
            restart_rto(core_, tcb, *cold);
        }
        if (tcb.timer_kind != TimerKind::reordering) arm_loss_timer(core_, slot, tcb, *cold);
    }
    if (held_back && tcb.in_flight() == 0 && tcb.handshake_done()) wait_for_window(slot, tcb);
    // Nothing waits and the window is not full: what is measured now is the application's pace, not the
    // path's.
    if (paced && tracked && !held_back && !tcb.paced && cold->pipe(tcb) < tcb.cwnd)
        cold->rate.limited_by_application(cold->pipe(tcb));
    return true;
}

bool Transmission::retransmit_lost(std::uint32_t slot, Tcb& tcb, Cold& cold, bool forced) noexcept {
    const std::uint32_t queued = cold.queue.size();
    for (std::uint32_t at = cold.board.first_lost(core_.ranges); at != no_slot;
         at = cold.board.first_lost(core_.ranges)) {
        const SentRange& range = core_.ranges[at];
        const SeqNum first = range.first;
        const std::uint32_t position = first - tcb.snd_una;
        const bool last = range.end == tcb.snd_nxt;
        const std::uint32_t text = range.length() - (last && tcb.fin_sent ? 1 : 0);
        const std::uint32_t full = full_size(tcb, &cold);
        const std::uint32_t flight = cold.pipe(tcb);
        std::uint32_t octets = std::min(text, full);
        if (!forced) {
            if (flight > 0 && flight + octets > tcb.cwnd) return true;
            if (octets > 0 && position > 0 && position >= tcb.snd_wnd) return true;  // RFC 9293 SHLD-16
            if (position < tcb.snd_wnd) octets = std::min(octets, tcb.snd_wnd - position);
            if (wait_for_pace(slot, tcb, cold)) return true;
        }
        if (!core_.transmit_queue.room()) [[unlikely]]
            return false;
        const bool with_fin = last && tcb.fin_sent && octets == text;
        // A short end takes along what waits behind it.
        std::uint32_t more = 0;
        if (last && !tcb.fin_sent && octets == text && octets < full && position + full <= tcb.snd_wnd &&
            (forced || flight + full <= tcb.cwnd))
            more = std::min(full - octets, queued - std::min(queued, position + octets));
        const std::uint32_t size = octets + more;
        if (!emit(tcb, {first, position, size, flags_of(size, position + size == queued, with_fin)}))
            [[unlikely]]
            return false;
        core_.counters.add(octets > 0 ? Counter::tcp_data_retransmits : Counter::tcp_fin_retransmits);
        if (cold.fast_recovery) core_.counters.add(Counter::tcp_fast_retransmits);
        note_sent_again(tcb, cold, at, first + octets + (with_fin ? 1 : 0), flight);
        if (more > 0) note_sent(tcb, cold, first + octets, more, flight + octets);
        pace(tcb, cold, size);
        if (tcb.timer_kind == TimerKind::retransmission) {
            tcb.deadline = cold.rto_at;
            core_.schedule(slot, tcb);
        }
        if (forced) return true;
    }
    return true;
}

bool Transmission::send_loss_probe(Tcb& tcb, Cold& cold) noexcept {
    if (!core_.transmit_queue.room()) return false;
    const std::uint32_t full = full_size(tcb, &cold);
    const std::uint32_t flight = cold.pipe(tcb);
    const std::uint32_t position = tcb.in_flight();
    const std::uint32_t queued = cold.queue.size();
    const std::uint32_t window = tcb.snd_wnd > position ? tcb.snd_wnd - position : 0;
    const std::uint32_t fresh =
        tcb.fin_sent ? 0 : std::min({queued - std::min(queued, position), full, window});
    if (fresh > 0) {
        if (!emit(tcb, {tcb.snd_nxt, position, fresh, flags_of(fresh, position + fresh == queued, false)}))
            return false;
        note_sent(tcb, cold, tcb.snd_nxt, fresh, flight);
    } else {
        std::uint32_t tail = cold.board.tail();
        const std::uint32_t fin = tcb.fin_sent ? 1 : 0;
        if (core_.ranges[tail].length() > full + fin &&
            cold.board.split(core_.ranges, tail, core_.ranges[tail].end - (full + fin)))
            tail = cold.board.tail();
        const SentRange& range = core_.ranges[tail];
        const std::uint32_t octets = std::min(range.length() - fin, full);
        const SeqNum first = range.end - fin - octets;
        if (!emit(tcb, {first, first - tcb.snd_una, octets, flags_of(octets, true, fin != 0)})) return false;
        core_.counters.add(octets > 0 ? Counter::tcp_data_retransmits : Counter::tcp_fin_retransmits);
        note_sent_again(tcb, cold, tail, range.end, flight);
    }
    core_.counters.add(Counter::tcp_loss_probes);
    cold.probe = {.end = tcb.snd_nxt,
                  .active = true,
                  .retransmission = fresh == 0,
                  .before = tcb.backoff == 0,
                  .una = tcb.snd_una};
    return true;
}

// Data waits, nothing is in flight and the window is too small: the persist timer sees to it that this does
// not last.
void Transmission::wait_for_window(std::uint32_t slot, Tcb& tcb) noexcept {
    if (tcb.timer_kind == TimerKind::persist) return;
    core_.start_timer(slot, tcb, TimerKind::persist, core_.rto(tcb));
}

bool Transmission::send_window_probe(std::uint32_t slot, Tcb& tcb) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    if (cold == nullptr || cold->queue.size() == 0 || !core_.transmit_queue.room()) return false;
    if (!emit(tcb, {tcb.snd_una, 0, 1, flag::ack | flag::psh})) return false;
    core_.counters.add(Counter::tcp_zero_window_probes);
    if (tcb.snd_nxt == tcb.snd_una && tcb.sack)
        note_sent(tcb, *cold, tcb.snd_una, 1, 0);
    else if (!cold->board.empty())
        note_sent_again(tcb, *cold, cold->board.head(), tcb.snd_una + 1, cold->pipe(tcb));
    else
        tcb.snd_nxt = max(tcb.snd_nxt, tcb.snd_una + 1);
    core_.schedule(slot, tcb);
    return true;
}

bool Transmission::retransmit_first(Tcb& tcb) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    const std::uint32_t queued = cold == nullptr ? 0 : cold->queue.size();
    // Not more than has been sent: new data is output's to judge.
    const std::uint32_t sent = tcb.in_flight() - (tcb.fin_sent ? 1 : 0);
    const std::uint32_t octets = std::min({queued, sent, std::uint32_t{tcb.mss}});
    const bool with_fin = tcb.fin_sent && octets == queued;
    if (octets == 0 && !with_fin) return true;
    if (cold != nullptr) cold->timing = false;  // Karn (RFC 6298 section 3)
    if (!core_.transmit_queue.room()) return false;
    std::uint8_t flags = flag::ack;
    if (octets > 0 && octets == queued) flags |= flag::psh;
    if (with_fin) flags |= flag::fin;
    if (!emit(tcb, {tcb.snd_una, 0, octets, flags})) return false;
    core_.counters.add(octets > 0 ? Counter::tcp_data_retransmits : Counter::tcp_fin_retransmits);
    if (cold != nullptr && cold->timeout_recovery)
        cold->rtx_nxt = max(cold->rtx_nxt, tcb.snd_una + octets + (with_fin ? 1 : 0));
    return true;
}

}  // namespace runnel::tcp
