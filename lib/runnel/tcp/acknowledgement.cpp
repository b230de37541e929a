#include "runnel/tcp/acknowledgement.hpp"

#include <algorithm>

#include "runnel/tcp/loss_timer.hpp"
#include "runnel/tcp/path_mtu_discovery.hpp"

namespace runnel::tcp {

void Acknowledgement::advance(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    std::uint32_t data = 0;
    if (cold != nullptr) {
        data = std::min(segment.ack - tcb.snd_una, cold->queue.size());
        cold->queue.release(data, core_.stash);
        cold->more_held = false;
        if (cold->urgent_out && cold->snd_up <= segment.ack) cold->urgent_out = false;
        if (cold->full_mss != 0) [[unlikely]]
            PathMtuDiscovery::progress(core_, tcb, *cold);
    }
    tcb.recovered = false;
    if (cold != nullptr && tcb.sack) {
        if (!settle(slot, tcb, *cold, segment)) recovery_.acknowledged(slot, tcb, *cold, segment, data);
    } else {
        advance_without_sack(slot, tcb, cold, segment, data);
    }

    if (tcb.send_blocked && cold != nullptr && cold->queue.size() < core_.config.send_buffer) {
        tcb.send_blocked = false;
        core_.handler_of(tcb).writable(core_.handle(slot));
    }
    if (tcb.fin_queued || core_.cold_of(tcb) != nullptr) {
        core_.detach_idle_cold(tcb);
        if (tcb.cold != no_slot || (tcb.fin_queued && !tcb.fin_sent)) core_.want_output(slot, tcb);
    }
}

// The usual end of a short exchange: one range, sent once, all of it acknowledged, and the window hardly
// used. Nothing was lost and nothing grows; what `Recovery` would do comes to this.
bool Acknowledgement::settle(std::uint32_t slot, Tcb& tcb, Cold& cold, const Segment& segment) noexcept {
    if (segment.ack != tcb.snd_nxt || segment.sack_blocks || cold.board.ranges() != 1 || cold.recovering() ||
        cold.probe.active || cold.full_mss != 0 || tcb.timer_kind == TimerKind::persist ||
        2 * tcb.in_flight() >= tcb.cwnd || keeps_state(core_.algorithm_of(tcb)))
        return false;
    const SentRange& range = core_.ranges[cold.board.head()];
    if (range.state != SentRange::State::in_flight || range.retransmitted) return false;
    const std::uint32_t rtt = std::max(core_.us - range.stamp.sent_us, 1U);
    cold.min_rtt_us = cold.min_rtt_us == 0 ? rtt : std::min(cold.min_rtt_us, rtt);
    tcb.round_trip.sample(rtt);
    tcb.backoff = 0;
    if (range.length() >= tcb.mss) tcb.full_size_delivered = true;
    cold.board.clear(core_.ranges);
    cold.duplicate_acks = 0;
    cold.probe_unanswered = false;
    cold.undo.possible = false;
    tcb.snd_una = segment.ack;
    core_.stop_timer(slot, tcb);
    return true;
}

void Acknowledgement::advance_without_sack(std::uint32_t slot, Tcb& tcb, Cold* cold, const Segment& segment,
                                           std::uint32_t data) noexcept {
    const std::uint32_t flight = tcb.in_flight();
    if (data >= tcb.mss) tcb.full_size_delivered = true;
    tcb.snd_una = segment.ack;
    measure(tcb, cold, segment);
    bool keep_timer = false;
    if (cold != nullptr) {
        // What duplicate ACKs have reported released new segments then (RFC 3042), and counts no more.
        const std::uint32_t reported =
            cold->recovering() ? 0U : cold->duplicate_acks * std::uint32_t{tcb.mss};
        cold->duplicate_acks = 0;
        cold->limited_transmitted = 0;
        cold->probe_unanswered = false;
        const bool recovering = cold->fast_recovery;
        if (recovering) {
            keep_timer = cold->partial_ack_seen && segment.ack < cold->recover;
            recover(slot, tcb, *cold, data);
        }
        if (!recovering || core_.control_owns_window(tcb)) {
            if (cold->timeout_recovery) {
                cold->rtx_nxt = max(cold->rtx_nxt, tcb.snd_una);
                if (tcb.snd_una >= cold->recover) {
                    cold->timeout_recovery = false;
                    tcb.recovered = true;
                }
            }
            AckSample sample;
            sample.now = core_.now;
            sample.delivered = data;
            sample.acknowledged = data > reported ? data - reported : std::min<std::uint32_t>(data, tcb.mss);
            sample.flight_before = flight;
            sample.flight = tcb.in_flight();
            sample.snd_una = tcb.snd_una;
            sample.snd_nxt = tcb.snd_nxt;
            sample.in_recovery = cold->recovering();
            core_.with_control(tcb, *cold, [&](auto control, auto& state) noexcept {
                control.acknowledged(state, core_.window_of(tcb), sample);
            });
        }
    }
    // RFC 6298 sections 5.2 and 5.3. A window probe's octet runs under the persist timer.
    if (tcb.in_flight() == 0)
        core_.stop_timer(slot, tcb);
    else if (tcb.timer_kind != TimerKind::persist && !keep_timer)
        core_.start_timer(slot, tcb, TimerKind::retransmission, core_.rto(tcb));
}

// The round trip: by the octet that was timed, else, where timestamps are on, by what the peer echoes, which
// serves for retransmitted data too (RFC 7323 section 4.1). A sample ends the backing off (RFC 6298
// section 5.7 and Karn).
void Acknowledgement::measure(Tcb& tcb, Cold* cold, const Segment& segment) noexcept {
    if (cold != nullptr && cold->timing) {
        if (segment.ack <= cold->timed) return;
        cold->timing = false;
        tcb.round_trip.sample(core_.us - cold->timed_since);
        tcb.backoff = 0;
    } else if (tcb.backoff > 0 && tcb.timestamps && segment.timestamps && segment.ts_echo != 0) {
        if (cold != nullptr && !cold->measures(segment.ts_echo)) return;
        const std::uint32_t milliseconds = core_.ts_clock + tcb.ts_offset - segment.ts_echo;
        if (milliseconds > 1U << 20) return;  // an echo of nothing we sent
        tcb.round_trip.sample(std::max(milliseconds, 1U) * 1000);
        tcb.backoff = 0;
    }
}

// NewReno's answer to an ACK in fast recovery (RFC 6582 section 3.2).
void Acknowledgement::recover(std::uint32_t slot, Tcb& tcb, Cold& cold, std::uint32_t acked) noexcept {
    if (tcb.snd_una >= cold.recover) {
        cold.fast_recovery = false;
        tcb.recovered = true;
        if (!core_.control_owns_window(tcb))
            tcb.cwnd = std::min(tcb.ssthresh, std::max<std::uint32_t>(tcb.in_flight(), tcb.mss) + tcb.mss);
        return;
    }
    // A partial ACK: the segment that follows was lost too.
    if (!core_.control_owns_window(tcb)) {
        tcb.cwnd -= std::min(acked, tcb.cwnd);
        if (acked >= tcb.mss) tcb.cwnd += tcb.mss;
        tcb.cwnd = std::max<std::uint32_t>(tcb.cwnd, tcb.mss);
    }
    cold.partial_ack_seen = true;
    if (transmission_.retransmit_first(tcb)) core_.counters.add(Counter::tcp_fast_retransmits);
    core_.want_output(slot, tcb);
}

void Acknowledgement::repeated(std::uint32_t slot, Tcb& tcb, const Segment& segment, bool plain) noexcept {
    if (plain) core_.counters.add(Counter::tcp_duplicate_acks_in);
    Cold* const cold = core_.cold_of(tcb);
    if (cold == nullptr) return;
    cold->probe_unanswered = false;
    if (!tcb.sack) {
        if (plain) duplicate(slot, tcb, *cold);
    } else if (segment.sack_blocks || cold->recovering() || (plain && cold->probe.active)) {
        recovery_.acknowledged(slot, tcb, *cold, segment, 0);
        core_.detach_idle_cold(tcb);
    }
}

void Acknowledgement::duplicate(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept {
    if (cold.timeout_recovery || tcb.timer_kind != TimerKind::retransmission) return;
    if (cold.fast_recovery) {
        if (!core_.control_owns_window(tcb)) tcb.cwnd += tcb.mss;  // a segment has left the network
        core_.want_output(slot, tcb);
        return;
    }
    if (cold.duplicate_acks < 255) ++cold.duplicate_acks;
    if (cold.duplicate_acks < 3) {
        core_.want_output(slot, tcb);
        return;
    }
    // The third. `recover` guards against a second reduction for the losses of one window (RFC 6582
    // section 3.2 step 1).
    if (cold.duplicate_acks > 3 || (tcb.snd_una <= cold.recover && cold.recover <= tcb.snd_nxt)) return;
    // RFC 5681 equation 4: what limited transmit sent does not count.
    const std::uint32_t flight =
        tcb.in_flight() - std::min<std::uint32_t>(tcb.in_flight(), cold.limited_transmitted);
    tcb.ssthresh = core_.ssthresh_after_loss(tcb, cold, flight, Reduction::loss);
    cold.recover = tcb.snd_nxt;
    cold.fast_recovery = true;
    cold.partial_ack_seen = false;
    if (!core_.control_owns_window(tcb)) tcb.cwnd = tcb.ssthresh + 3U * tcb.mss;
    if (transmission_.retransmit_first(tcb)) core_.counters.add(Counter::tcp_fast_retransmits);
    core_.start_timer(slot, tcb, TimerKind::retransmission, core_.rto(tcb));
    core_.want_output(slot, tcb);
}

void Acknowledgement::update_window(std::uint32_t slot, Tcb& tcb, const Segment& segment,
                                    std::uint32_t window) noexcept {
    tcb.snd_wnd = window;
    tcb.snd_wl1 = segment.seq;
    tcb.snd_wl2 = segment.ack;
    tcb.max_snd_wnd = std::max(tcb.max_snd_wnd, static_cast<std::uint16_t>(window >> tcb.snd_wscale));
    if (tcb.cold == no_slot) return;
    if (tcb.timer_kind == TimerKind::persist && window > 0) {
        // The window is open again. What a probe sent in vain goes out anew, with what follows.
        core_.stop_timer(slot, tcb);
        tcb.backoff = 0;
        Cold& cold = *core_.cold_of(tcb);
        cold.probe_unanswered = false;
        if (!cold.board.empty()) {
            Recovery::window_opened(core_, cold);
            restart_rto(core_, tcb, cold);
            arm_loss_timer(core_, slot, tcb, cold);
        } else if (tcb.in_flight() > 0) {
            cold.timeout_recovery = true;
            cold.timing = false;
            cold.rtx_nxt = tcb.snd_una;
            cold.recover = tcb.snd_nxt;
        }
    }
    core_.want_output(slot, tcb);
}

void Acknowledgement::congestion_echoed(std::uint32_t slot, Tcb& tcb, const Segment& segment) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    if (cold == nullptr || cold->recovering()) return;  // nothing is in flight, or a loss has been answered
    // Not behind what is in flight: long after, the numbers have come round.
    if (cold->mark_answered && segment.ack <= cold->marked_until && cold->marked_until <= tcb.snd_nxt) return;
    core_.counters.add(Counter::tcp_congestion_echoes_in);
    cold->mark_answered = true;
    cold->marked_until = tcb.snd_nxt;
    tcb.cwr_out = true;
    const std::uint32_t flight = std::min(tcb.in_flight(), tcb.cwnd);
    tcb.ssthresh = core_.ssthresh_after_loss(tcb, *cold, flight, Reduction::congestion_marks);
    if (!core_.control_owns_window(tcb)) tcb.cwnd = std::min(tcb.cwnd, tcb.ssthresh);
    core_.want_output(slot, tcb);
}

void Acknowledgement::time_out(std::uint32_t slot, Tcb& tcb) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    if (cold != nullptr) {
        cold->timed_out = true;
        cold->timed_out_at = core_.ts_clock + tcb.ts_offset;
    }
    if (cold != nullptr && !cold->board.empty()) {
        recovery_.time_out(slot, tcb, *cold);
        return;
    }
    if (cold != nullptr) {
        // The threshold falls once for one loss, not with each time-out of the same segment (RFC 5681
        // section 3.1).
        // What fast recovery sends inflates the flight: its own threshold holds.
        if (tcb.backoff == 0 && !cold->fast_recovery)
            tcb.ssthresh = core_.ssthresh_after_loss(tcb, *cold, tcb.in_flight(), Reduction::time_out);
        cold->recover = tcb.snd_nxt;
        cold->fast_recovery = false;
        cold->timeout_recovery = true;
        cold->duplicate_acks = 0;
        cold->rtx_nxt = tcb.snd_una;
    }
    tcb.cwnd = tcb.mss;
    if (tcb.backoff < most_backoff) ++tcb.backoff;
    transmission_.retransmit_first(tcb);
}

}  // namespace runnel::tcp
