#include "runnel/tcp/recovery.hpp"

#include <algorithm>

#include "runnel/tcp/loss_timer.hpp"
#include "runnel/tcp/timestamp_age.hpp"

namespace runnel::tcp {

using SentState = SentRange::State;

namespace {

// The least round trip in microseconds; before one was measured with data, the smoothed one.
std::uint32_t least_rtt(const Tcb& tcb, const Cold& cold) noexcept {
    return cold.min_rtt_us != 0 ? cold.min_rtt_us : tcb.round_trip.srtt_8 / 8;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// What an ACK brings

void Recovery::deliver(Tcb& tcb, Cold& cold, const SentRange& range, const Segment& segment,
                       News& news) noexcept {
    if (cold.rack.reordered(range)) news.overtaken = true;
    news.sample.delivered += range.length();
    if (range.length() >= tcb.mss) tcb.full_size_delivered = true;
    cold.rate.delivered(range.stamp, range.length(), core_.us);
    // With timestamps it is known which transmission the ACK speaks for (RFC 8985 section 6.2 step 2).
    if (range.retransmitted && tcb.timestamps && segment.ts_echo != 0) {
        const std::uint32_t echo_age_ms = core_.ts_clock + tcb.ts_offset - segment.ts_echo;
        const std::uint32_t sent_age_us = core_.us - range.stamp.sent_us;
        if (echo_age_ms < 1U << 20 && echo_age_ms * 1000 > sent_age_us + 1000) return;
    }
    cold.rack.delivered(range, core_.us, least_rtt(tcb, cold));
}

// Whether the first block reports a duplicate (RFC 2883 section 4): it lies below the ACK, or within the
// second.
bool Recovery::take_duplicate(Tcb& tcb, Cold& cold, SeqNum ack, const wire::TcpOptions& options,
                              News& news) noexcept {
    const wire::SackBlock first = options.sack[0];
    if (first.left >= first.right) return false;
    const bool below = first.right <= ack;  // its own: it may have been overtaken
    const bool within =
        options.sack_count > 1 && options.sack[1].left <= first.left && first.right <= options.sack[1].right;
    if (!below && !within) return false;
    // Not older than the peer can still know of.
    if (first.left < tcb.snd_una - tcb.largest_snd_wnd() || first.right > tcb.snd_nxt) return true;
    core_.counters.add(Counter::tcp_dsacks_in);
    news.duplicate = true;
    news.duplicate_end = first.right;
    cold.rack.duplicate_reported(tcb.snd_una, tcb.snd_nxt);
    if (first.right > cold.retransmitted_to) cold.network_copies = true;
    cold.undo.retransmitted -= std::min(cold.undo.retransmitted, first.right - first.left);
    return true;
}

void Recovery::take_blocks(Tcb& tcb, Cold& cold, const Segment& segment, News& news) noexcept {
    const wire::TcpOptions options = segment.options();
    const std::size_t start = take_duplicate(tcb, cold, segment.ack, options, news) ? 1 : 0;
    SeqNum highest = tcb.snd_una;  // blocks of one ACK have not overtaken one another
    for (std::size_t i = start; i < options.sack_count; ++i) {
        const wire::SackBlock block = options.sack[i];
        if (block.left >= block.right || block.right > tcb.snd_nxt || block.right <= tcb.snd_una ||
            block.left < tcb.snd_una) {
            if (block.right > tcb.snd_una || block.left >= block.right)
                core_.counters.add(Counter::tcp_bad_sack_blocks);
            continue;
        }
        cold.board.sack(core_.ranges, block.left, block.right, [&](const SentRange& range) noexcept {
            news.fresh_sacks = true;
            deliver(tcb, cold, range, segment, news);
        });
        highest = max(highest, block.right);
    }
    cold.rack.forward(highest);
}

// The round trip by the newest octet that was sent once (Karn: RFC 6298 section 3), else by the timestamp
// that the peer echoes (RFC 7323 section 4.1). A sample ends the backing off (RFC 6298 section 5.7).
void Recovery::measure(Tcb& tcb, Cold& cold, const Segment& segment, const News& news) noexcept {
    std::uint32_t rtt = news.retransmission_acked ? 0 : news.sample.rtt_us;
    if (rtt == 0) {
        if (tcb.backoff == 0 || news.acked == 0 || !tcb.timestamps || segment.ts_echo == 0) return;
        if (!cold.measures(segment.ts_echo)) return;
        const std::uint32_t milliseconds = core_.ts_clock + tcb.ts_offset - segment.ts_echo;
        if (milliseconds > 1U << 20) return;  // an echo of nothing we sent
        rtt = std::max(milliseconds, 1U) * 1000;
    } else {
        cold.min_rtt_us = cold.min_rtt_us == 0 ? rtt : std::min(cold.min_rtt_us, rtt);
    }
    tcb.round_trip.sample(rtt);
    tcb.backoff = 0;
}

void Recovery::acknowledged(std::uint32_t slot, Tcb& tcb, Cold& cold, const Segment& segment,
                            std::uint32_t data) noexcept {
    News news;
    news.una_before = tcb.snd_una;
    news.acked = segment.ack > tcb.snd_una ? segment.ack - tcb.snd_una : 0;
    AckSample& sample = news.sample;
    sample.now = core_.now;
    sample.acknowledged = data;
    sample.flight_before = cold.pipe(tcb);

    if (news.acked > 0) {
        cold.board.acknowledge(core_.ranges, segment.ack, [&](const SentRange& range) noexcept {
            if (range.retransmitted) news.retransmission_acked = true;
            if (range.state != SentState::sacked) {
                deliver(tcb, cold, range, segment, news);
                if (!range.retransmitted) sample.rtt_us = std::max(core_.us - range.stamp.sent_us, 1U);
            }
        });
        tcb.snd_una = segment.ack;
        cold.rack.forward(segment.ack);
        cold.probe_unanswered = false;
        if (!cold.recovering()) cold.duplicate_acks = 0;
    }
    if (segment.sack_blocks) take_blocks(tcb, cold, segment, news);
    if (news.fresh_sacks && cold.duplicate_acks < 255) ++cold.duplicate_acks;
    if (news.overtaken) tcb.reordering_seen = true;
    measure(tcb, cold, segment, news);

    if (was_spurious(tcb, cold, segment, news)) undo(tcb, cold);
    if (cold.recovering() && tcb.snd_una >= cold.recover) {
        news.ended_recovery = cold.fast_recovery;
        if (cold.fast_recovery && !core_.control_owns_window(tcb)) tcb.cwnd = tcb.ssthresh;
        cold.fast_recovery = false;
        cold.timeout_recovery = false;
        cold.duplicate_acks = 0;
        cold.rack.recovery_ended();
    }
    answer_probe(tcb, cold, segment, news);

    const Rack::Losses losses = detect(tcb, cold);
    sample.lost = losses.octets;
    if (losses.octets > 0 && !cold.recovering()) enter(tcb, cold);
    set_window(tcb, cold, news);

    // What comes after the flight that was recovered says nothing of that recovery.
    if (!cold.recovering() && tcb.snd_una > cold.recover) cold.undo.possible = false;
    if (news.acked > 0) restart_rto(core_, tcb, cold);
    set_timer(slot, tcb, cold, losses);
    core_.want_output(slot, tcb);
}

// ---------------------------------------------------------------------------------------------------------------------
// Windows

void Recovery::set_window(Tcb& tcb, Cold& cold, const News& news) noexcept {
    AckSample sample = news.sample;
    sample.flight = cold.pipe(tcb);
    sample.snd_una = tcb.snd_una;
    sample.snd_nxt = tcb.snd_nxt;
    sample.in_recovery = cold.recovering();
    cold.rate.finish(sample, core_.us, least_rtt(tcb, cold));
    const bool owns = core_.control_owns_window(tcb);
    if (cold.fast_recovery && !owns) {
        tcb.cwnd = cold.prr.window({.delivered = sample.delivered,
                                    .pipe = sample.flight,
                                    .safe = news.acked > 0 && sample.lost == 0},
                                   tcb.ssthresh, tcb.mss);
        return;
    }
    // The ACK that ends a fast recovery has been counted by PRR.
    if (sample.delivered == 0 || (news.ended_recovery && !owns)) return;
    // What SACK had reported before has released new segments then (RFC 6675 section 5), and counts no more.
    // On a path that is known to reorder it has counted when it was reported: else what comes late would keep
    // the window from growing.
    sample.acknowledged =
        tcb.reordering_seen ? sample.delivered : std::min(sample.acknowledged, sample.delivered);
    core_.with_control(tcb, cold, [&](auto control, auto& state) noexcept {
        control.acknowledged(state, core_.window_of(tcb), sample);
    });
}

// What a reduction takes away, so that it can be given back.
void Recovery::remember(const Tcb& tcb, Cold& cold) noexcept {
    cold.undo = {.cwnd = tcb.cwnd, .ssthresh = tcb.ssthresh, .possible = true};
}

void Recovery::enter(Tcb& tcb, Cold& cold) noexcept {
    core_.counters.add(Counter::tcp_fast_recoveries);
    remember(tcb, cold);
    const std::uint32_t flight = std::min(tcb.in_flight(), tcb.cwnd);
    tcb.ssthresh = core_.ssthresh_after_loss(tcb, cold, flight, Reduction::loss);
    cold.recover = tcb.snd_nxt;
    cold.fast_recovery = true;
    cold.probe.active = false;
    cold.prr.begin(tcb.in_flight());
}

// Either the ACK of what was sent again first echoes a timestamp from before that (Eifel, RFC 3522), or the
// peer has reported all that was sent again as duplicates, and the network is not known to make copies (RFC
// 3708).
bool Recovery::was_spurious(const Tcb& tcb, const Cold& cold, const Segment& segment,
                            const News& news) const noexcept {
    if (!cold.undo.possible || !cold.undo.stamped) return false;
    if (news.duplicate && !cold.network_copies && cold.undo.retransmitted == 0) return true;
    const bool answers_first = news.una_before <= cold.undo.first && cold.undo.first < tcb.snd_una;
    return cold.recovering() && answers_first && tcb.timestamps && segment.ts_echo != 0 &&
           older_timestamp(segment.ts_echo, cold.undo.timestamp);
}

void Recovery::undo(Tcb& tcb, Cold& cold) noexcept {
    core_.counters.add(Counter::tcp_spurious_recoveries);
    if (cold.fast_recovery) tcb.reordering_seen = true;  // what was taken for lost had been overtaken
    tcb.cwnd = std::max(tcb.cwnd, cold.undo.cwnd);
    tcb.ssthresh = std::max(tcb.ssthresh, cold.undo.ssthresh);
    core_.with_control(
        tcb, cold, [&](auto control, auto& state) noexcept { control.undo(state, core_.window_of(tcb)); });
    cold.undo = {};
    cold.fast_recovery = false;
    cold.timeout_recovery = false;
    cold.duplicate_acks = 0;
    tcb.backoff = 0;
    cold.board.mark_none_lost(core_.ranges, core_.us);
}

// ---------------------------------------------------------------------------------------------------------------------
// RACK

Rack::Conditions Recovery::conditions(const Tcb& tcb, const Cold& cold) const noexcept {
    const std::uint32_t srtt = tcb.round_trip.srtt_8 / 8;
    return {.min_rtt_us = least_rtt(tcb, cold),
            .srtt_us = srtt,
            .reordering_seen = tcb.reordering_seen,
            .recovering = cold.recovering(),
            .three_duplicates = cold.duplicate_acks >= 3 || cold.board.sacked() > 2U * tcb.mss};
}

Rack::Losses Recovery::detect(Tcb& tcb, Cold& cold) noexcept {
    if (cold.board.sacked() == 0 && !cold.recovering()) return {};
    return cold.rack.detect(cold.board, core_.ranges, core_.us,
                            cold.rack.reordering_window(conditions(tcb, cold)));
}

void Recovery::set_timer(std::uint32_t slot, Tcb& tcb, Cold& cold, const Rack::Losses& losses) noexcept {
    if (losses.wait_us > 0 && tcb.timer_kind != TimerKind::persist && tcb.in_flight() > 0) {
        const Tick at = core_.after(std::chrono::microseconds{losses.wait_us});
        if (static_cast<std::int32_t>(at - cold.rto_at) < 0) {
            tcb.timer_kind = TimerKind::reordering;
            tcb.deadline = at;
            core_.schedule(slot, tcb);
            return;
        }
    }
    arm_loss_timer(core_, slot, tcb, cold);
}

void Recovery::reordering_expired(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept {
    const Rack::Losses losses = detect(tcb, cold);
    if (losses.octets > 0 && !cold.recovering()) {
        enter(tcb, cold);
        News nothing;
        nothing.sample.lost = losses.octets;
        set_window(tcb, cold, nothing);
    }
    set_timer(slot, tcb, cold, losses);
    core_.want_output(slot, tcb);
}

// ---------------------------------------------------------------------------------------------------------------------
// TLP

void Recovery::probe_expired(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept {
    if (!transmission_.send_loss_probe(tcb, cold))
        cold.probe = {.end = tcb.snd_nxt, .active = true};  // then the time-out comes next
    restart_rto(core_, tcb, cold);
    arm_loss_timer(core_, slot, tcb, cold);
}

// RFC 8985 section 7.4.2: what the ACK of a probe says of the tail.
void Recovery::answer_probe(Tcb& tcb, Cold& cold, const Segment& segment, const News& news) noexcept {
    if (!cold.probe.active || segment.ack < cold.probe.end) return;
    if (!cold.probe.retransmission || (news.duplicate && news.duplicate_end == cold.probe.end)) {
        cold.probe.active = false;
    } else if (segment.ack > cold.probe.end) {
        // The probe has repaired a loss: the window answers for it.
        cold.probe.active = false;
        if (cold.recovering()) return;
        tcb.ssthresh = core_.ssthresh_after_loss(tcb, cold, std::min(tcb.in_flight() + news.acked, tcb.cwnd),
                                                 Reduction::loss);
        if (!core_.control_owns_window(tcb)) tcb.cwnd = std::min(tcb.cwnd, tcb.ssthresh);
    } else if (news.acked == 0 && !segment.sack_blocks) {
        cold.probe.active = false;
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Time-outs

void Recovery::time_out(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept {
    // The threshold falls once for one loss, not with each time-out of the same segment (RFC 5681
    // section 3.1), nor again where a recovery from the same flight goes on.
    if (tcb.backoff == 0 && !cold.fast_recovery) {
        remember(tcb, cold);
        tcb.ssthresh =
            core_.ssthresh_after_loss(tcb, cold, std::min(tcb.in_flight(), tcb.cwnd), Reduction::time_out);
    }
    // The peer has what it does not acknowledge: it has dropped it again (RFC 2018 section 8).
    if (core_.ranges[cold.board.head()].state == SentState::sacked) {
        core_.counters.add(Counter::tcp_sack_reneged);
        cold.board.forget_sacks(core_.ranges);
    }
    cold.rack.time_out(cold.board, core_.ranges, core_.us,
                       cold.rack.reordering_window(conditions(tcb, cold)));
    cold.recover = tcb.snd_nxt;
    cold.fast_recovery = false;
    cold.timeout_recovery = true;
    cold.probe.active = false;
    cold.duplicate_acks = 0;
    tcb.cwnd = cold.pipe(tcb) + tcb.mss;
    if (tcb.backoff < most_backoff) ++tcb.backoff;
    (void)transmission_.retransmit_lost(slot, tcb, cold, true);
}

void Recovery::window_opened(Core& core, Cold& cold) noexcept {
    cold.board.walk_in_order_of_sending(core.ranges, [&](std::uint32_t slot) noexcept {
        cold.board.mark_lost(core.ranges, slot);
        return true;
    });
}

}  // namespace runnel::tcp
