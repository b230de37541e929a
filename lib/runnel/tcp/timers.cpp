#include "runnel/tcp/timers.hpp"

#include "runnel/tcp/loss_timer.hpp"

namespace runnel::tcp {

namespace {

bool due(Tick deadline, Tick now) noexcept {
    return static_cast<std::int32_t>(deadline - now) <= 0;
}

Duration doubled(Duration first, std::uint8_t times, Duration most) noexcept {
    for (; times > 0 && first < most; --times) first *= 2;
    return std::min(first, most);
}

}  // namespace

void Timers::advance() noexcept {
    core_.timers.advance(core_.now, [this](std::uint32_t slot) noexcept { fire(slot); });
    core_.half_open_timers.advance(core_.now,
                                   [this](std::uint32_t slot) noexcept { half_open_expired(slot); });
    core_.expire_time_wait();
}

// The wheel may wake a connection before its time: deadlines move back without telling it.
void Timers::fire(std::uint32_t slot) noexcept {
    Tcb& tcb = core_.tcbs[slot];
    if (tcb.aborting) return;
    if (tcb.ack_delayed && due(tcb.ack_deadline, core_.tick)) {
        core_.counters.add(Counter::tcp_delayed_acks);
        tcb.ack_now = true;
        tcb.ack_delayed = false;
        core_.want_output(slot, tcb);
    }
    if (tcb.paced && core_.colds[tcb.cold].pace_at <= core_.now + core_.timers.tick_length) {
        tcb.paced = false;
        core_.want_output(slot, tcb);
    }
    if (tcb.timer_kind != TimerKind::none && due(tcb.deadline, core_.tick)) {
        switch (tcb.timer_kind) {
            case TimerKind::retransmission:
                if (!retransmission_expired(slot, tcb)) return;
                break;
            case TimerKind::persist:
                if (!persist_expired(slot, tcb)) return;
                break;
            case TimerKind::keep_alive:
                if (!keep_alive_expired(slot, tcb)) return;
                break;
            case TimerKind::reordering:
            case TimerKind::loss_probe:
                if (!loss_timer_expired(slot, tcb)) return;
                break;
            case TimerKind::fin_wait_2:
                // The application has gone and the peer does not close: later data will be answered with RST.
                core_.end(slot, CloseReason::orderly);
                return;
            case TimerKind::none:
                break;
        }
    }
    core_.schedule(slot, tcb);
}

// The timers that stand before the retransmission time-out, or in its place.
bool Timers::loss_timer_expired(std::uint32_t slot, Tcb& tcb) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    if (cold == nullptr || cold->board.empty()) {  // a FIN by itself
        core_.counters.add(Counter::tcp_loss_probes);
        transmission_.retransmit_first(tcb);
        restart_retransmission_timer(slot, tcb);
        return true;
    }
    if (tcb.timer_kind == TimerKind::reordering) {
        if (due(cold->rto_at, core_.tick)) return retransmission_expired(slot, tcb);
        recovery_.reordering_expired(slot, tcb, *cold);
    } else {
        recovery_.probe_expired(slot, tcb, *cold);
    }
    return true;
}

// R2: how long the peer may leave data unacknowledged (RFC 9293 section 3.8.3).
Duration Timers::r2(const Tcb& tcb) noexcept {
    const Duration wanted = core_.settings[tcb.settings].user_timeout;
    return wanted != Duration{} ? wanted : core_.config.r2;
}

// A window may stay closed for ever as long as the peer answers (RFC 9293 MUST-37); unanswered, R2 ends it.
bool Timers::unanswered_too_long(const Tcb& tcb, Cold& cold) noexcept {
    if (cold.probe_unanswered) return core_.now - cold.probing_since >= r2(tcb);
    cold.probe_unanswered = true;
    cold.probing_since = core_.now;
    return false;
}

bool Timers::handshake_expired(std::uint32_t slot, Tcb& tcb) noexcept {
    const bool answer = tcb.state == State::syn_received;
    const std::uint8_t retries = answer ? core_.config.synack_retries : core_.config.syn_retries;
    if (tcb.backoff >= retries) {
        core_.end(slot, tcb.unreachable ? CloseReason::unreachable : CloseReason::timed_out);
        return false;
    }
    ++tcb.backoff;
    if (Cold* const cold = core_.cold_of(tcb); cold != nullptr && cold->fast_open != FastOpenUse::none) {
        // Perhaps it is Fast Open that is not let through: without it, now and for some time (RFC 7413
        // sections 4.1.3.1 and 4.2.1).
        cold->fast_open = FastOpenUse::none;
        core_.fast_open_servers.refuse(tcb.flow.remote_address, core_.now);
        core_.counters.add(Counter::tcp_fast_opens_failed);
    }
    if (!answer) tcb.ecn = false;  // perhaps it is ECN that is not let through (RFC 3168 section 6.1.1.1)
    tcb.handshake_retransmitted = true;
    core_.counters.add(answer ? Counter::tcp_synack_retransmits : Counter::tcp_syn_retransmits);
    transmission_.send_syn(tcb);
    core_.start_timer(slot, tcb, TimerKind::retransmission,
                      doubled(answer ? core_.config.synack_timeout : core_.config.syn_timeout, tcb.backoff,
                              core_.config.max_rto));
    return true;
}

bool Timers::retransmission_expired(std::uint32_t slot, Tcb& tcb) noexcept {
    if (!tcb.handshake_done()) return handshake_expired(slot, tcb);
    core_.counters.add(Counter::tcp_rto_expirations);
    if (Cold* const cold = core_.cold_of(tcb); cold != nullptr && tcb.snd_wnd == 0) {
        // The peer has closed its window over what is in flight: this is a probe as well (SHLD-17, MUST-37).
        if (unanswered_too_long(tcb, *cold)) {
            core_.end(slot, CloseReason::timed_out);
            return false;
        }
        acknowledgement_.time_out(slot, tcb);
        restart_retransmission_timer(slot, tcb);
        return true;
    }
    // How long the segment has waited by now: the time-outs so far, summed, and the probe before them.
    Duration waited{};
    if (const Cold* const cold = core_.cold_of(tcb);
        cold != nullptr && cold->probe.before && cold->probe.una == tcb.snd_una)
        waited = std::min(probe_timeout(core_, tcb), retransmission_timeout(core_.config, tcb.round_trip, 0,
                                                                            tcb.handshake_retransmitted));
    for (std::uint8_t i = 0; i <= tcb.backoff; ++i)
        waited += retransmission_timeout(core_.config, tcb.round_trip, i, tcb.handshake_retransmitted);
    if (waited >= r2(tcb)) {
        core_.end(slot, CloseReason::timed_out);
        return false;
    }
    if (tcb.backoff + 1 == core_.config.r1) {
        core_.ip.doubt(core_.ends_of(tcb).remote_address(), core_.now);
        core_.handler_of(tcb).unanswered(core_.handle(slot), core_.config.r1);
        if (tcb.aborting) return true;
    }
    path_mtu_.timed_out(tcb);
    acknowledgement_.time_out(slot, tcb);
    restart_retransmission_timer(slot, tcb);
    return true;
}

void Timers::restart_retransmission_timer(std::uint32_t slot, Tcb& tcb) noexcept {
    core_.start_timer(slot, tcb, TimerKind::retransmission, core_.rto(tcb));
    if (Cold* const cold = core_.cold_of(tcb)) cold->rto_at = tcb.deadline;
}

bool Timers::persist_expired(std::uint32_t slot, Tcb& tcb) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    if (cold == nullptr || cold->queue.size() == 0) {
        core_.stop_timer(slot, tcb);
        return true;
    }
    if (tcb.snd_wnd > 0 && tcb.in_flight() == 0) {
        // The override timer of silly-window avoidance: what fits goes.
        core_.stop_timer(slot, tcb);
        tcb.timer_cancels_silly = true;
        core_.want_output(slot, tcb);
        return true;
    }
    if (unanswered_too_long(tcb, *cold)) {
        core_.end(slot, CloseReason::timed_out);
        return false;
    }
    transmission_.send_window_probe(slot, tcb);
    if (tcb.backoff < most_backoff) ++tcb.backoff;
    core_.start_timer(slot, tcb, TimerKind::persist, core_.rto(tcb));
    return true;
}

// The peer has been silent for so long that it is asked. `backoff` counts what it has not answered (RFC 9293
// section 3.8.4).
bool Timers::keep_alive_expired(std::uint32_t slot, Tcb& tcb) noexcept {
    const std::optional<KeepAlive>& wanted = core_.settings[tcb.settings].keep_alive;
    if (!wanted) {
        core_.stop_timer(slot, tcb);
        return true;
    }
    if (tcb.backoff >= wanted->probes) {
        transmission_.send_reset(tcb);
        core_.end(slot, CloseReason::timed_out);
        return false;
    }
    ++tcb.backoff;
    transmission_.send_keep_alive(tcb);
    core_.start_timer(slot, tcb, TimerKind::keep_alive, wanted->interval);
    return true;
}

void Timers::half_open_expired(std::uint32_t slot) noexcept {
    HalfOpen& half_open = core_.half_open[slot];
    if (half_open.retransmissions >= core_.config.synack_retries) {
        core_.counters.add(Counter::tcp_half_open_expired);
        core_.forget_half_open(slot);
        return;
    }
    ++half_open.retransmissions;
    core_.counters.add(Counter::tcp_synack_retransmits);
    transmission_.send_syn_ack(half_open, core_.ends_of(slot, half_open));
    core_.half_open_timers.arm(slot, core_.after(doubled(core_.config.synack_timeout,
                                                         half_open.retransmissions, core_.config.max_rto)));
}

}  // namespace runnel::tcp
