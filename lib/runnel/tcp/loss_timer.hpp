// Which timer runs while data is in flight on a connection with SACK: the tail loss probe (RFC 8985 section
// 7.2) or, behind it, the retransmission time-out (RFC 6298).
#pragma once

#include "runnel/tcp/core.hpp"

namespace runnel::tcp {

/// Starts the retransmission time-out anew (RFC 6298 section 5.3).
inline void restart_rto(Core& core, Tcb& tcb, Cold& cold) noexcept {
    cold.rto_at = core.after(core.rto(tcb));
}

/// When a probe for the loss of the tail would leave, from now on; to be asked where the round trip is known.
/// (Before that the time-out is 1 s, as the probe's would be, and after a lost SYN 3 s, which a probe must
/// not undercut: RFC 6298 section 5.7.)
[[nodiscard]] inline Duration probe_timeout(const Core& core, const Tcb& tcb) noexcept {
    const Duration two_rtts = std::max<Duration>(std::chrono::microseconds{tcb.round_trip.srtt_8 / 4},
                                                 core.config.min_probe_timeout);
    // A lone segment may be waiting for the peer's delayed ACK.
    return tcb.in_flight() <= tcb.mss ? two_rtts + core.config.peer_ack_delay : two_rtts;
}

/// Runs the timer that comes first; a probe takes the place of a time-out that would (RFC 8985 section 7.2).
/// Stops it where nothing is in flight; leaves the persist timer alone.
inline void arm_loss_timer(Core& core, std::uint32_t slot, Tcb& tcb, const Cold& cold) noexcept {
    if (tcb.timer_kind == TimerKind::persist) return;
    if (tcb.in_flight() == 0) {
        core.stop_timer(slot, tcb);
        return;
    }
    tcb.timer_kind = TimerKind::retransmission;
    tcb.deadline = cold.rto_at;
    const bool calm = !cold.recovering() && cold.board.sacked() == 0 && cold.board.lost() == 0;
    if (calm && !cold.probe.active && !cold.board.empty() && tcb.round_trip.has_sample()) {
        tcb.timer_kind = TimerKind::loss_probe;
        // For a lone segment a probe that would come after the time-out is the rule, and quickly seen.
        const std::uint32_t srtt_us = tcb.round_trip.srtt_8 / 8;
        const auto ack_delay_us = static_cast<std::uint32_t>(core.config.peer_ack_delay / 1us);
        const bool late = tcb.in_flight() <= tcb.mss && tcb.backoff == 0 &&
                          core.config.peer_ack_delay >= core.config.min_rto &&
                          srtt_us + ack_delay_us >= tcb.round_trip.rttvar_4;
        const Tick probe = late ? cold.rto_at : core.after(probe_timeout(core, tcb));
        if (static_cast<std::int32_t>(probe - cold.rto_at) < 0) tcb.deadline = probe;
    }
    core.schedule(slot, tcb);
}

}  // namespace runnel::tcp
