#include "runnel/tcp/transmission.hpp"

#include <algorithm>
#include <array>

#include <netinet/in.h>

#include "runnel/tcp/handshake_options.hpp"
#include "runnel/tcp/loss_timer.hpp"
#include "runnel/wire/tcp.hpp"
#include "runnel/wire/tcp_options.hpp"

namespace runnel::tcp {

namespace flag = wire::tcp_flags;

namespace {

// The header of a segment in an empty mbuf; the options follow at 20.
std::byte* put_header(rte_mbuf* mbuf, const wire::TcpHeader& header, std::uint32_t text) noexcept {
    const auto size = static_cast<std::uint16_t>(header.header_size + text);
    mbuf->data_len = size;
    mbuf->pkt_len = size;
    auto* at = rte_pktmbuf_mtod(mbuf, std::byte*);
    wire::write(header, at);
    return at;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Windows

SeqNum Transmission::new_right_edge(const Tcb& tcb) const noexcept {
    const std::uint32_t buffer = core_.config.receive_buffer;
    const std::uint32_t free = buffer > tcb.unconsumed ? buffer - tcb.unconsumed : 0;
    const std::uint32_t nameable = 65535U << tcb.rcv_wscale;
    return max(tcb.rcv_nxt + std::min(free, nameable), tcb.rcv_adv);
}

// The window field. The right edge moves on only by a step worth telling (RFC 9293 MUST-39) and never left,
// not even by the rounding of the window scale (SHLD-14): the field is rounded up.
std::uint16_t Transmission::advertise_window(Tcb& tcb) const noexcept {
    const SeqNum edge = new_right_edge(tcb);
    const std::uint32_t step = std::min<std::uint32_t>(tcb.mss, core_.config.receive_buffer / 2);
    const SeqNum right = edge - tcb.rcv_adv >= step ? edge : tcb.rcv_adv;
    const std::uint32_t window = right > tcb.rcv_nxt ? right - tcb.rcv_nxt : 0;
    const std::uint32_t unit = 1U << tcb.rcv_wscale;
    const std::uint32_t field = std::min((window + unit - 1) >> tcb.rcv_wscale, 65535U);
    tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt + (field << tcb.rcv_wscale));
    return static_cast<std::uint16_t>(field);
}

bool Transmission::window_update_due(const Tcb& tcb) const noexcept {
    const std::uint32_t buffer = core_.config.receive_buffer;
    const std::uint32_t opened = new_right_edge(tcb) - tcb.rcv_adv;
    const std::uint32_t left = tcb.rcv_wnd();
    if (left < tcb.mss) return opened >= std::min<std::uint32_t>(tcb.mss, buffer / 2);
    // With much of the window left the next ACK will do.
    return left < std::min(buffer / 2, 16U * tcb.mss) && opened >= std::min(2U * tcb.mss, buffer / 2);
}

// After an idle time longer than the RTO the window says nothing any more (RFC 5681 section 4.1).
void Transmission::restart_after_idle(Tcb& tcb) const noexcept {
    if ((tcb.timer_kind != TimerKind::none && tcb.timer_kind != TimerKind::keep_alive) ||
        tcb.in_flight() != 0)
        return;
    const std::uint32_t initial = core_.initial_window(tcb);
    if (tcb.cwnd <= initial || core_.control_owns_window(tcb)) return;
    if (core_.idle_for(tcb) > core_.rto(tcb)) tcb.cwnd = initial;
}

// ---------------------------------------------------------------------------------------------------------------------
// Data

// A segment below full size goes where it holds all that waits and nothing is outstanding or Nagle is off
// (RFC 9293 section 3.7.4), where it fills half of the largest window that the peer ever offered, or where
// the override timer has fired (section 3.8.6.2.1).
bool Transmission::may_send_short(const Tcb& tcb, std::uint32_t octets, bool all_that_waits) const noexcept {
    if (all_that_waits && (!tcb.nagle || tcb.in_flight() == 0)) return true;
    if (2 * octets >= tcb.largest_snd_wnd()) return true;
    return tcb.timer_cancels_silly;
}

// How many SACK blocks the next segment carries. On one with text they leave at least three quarters of it to
// the text.
std::size_t Transmission::sack_blocks_for(const Tcb& tcb, const Cold* cold, bool with_text) const noexcept {
    if (!tcb.sack || cold == nullptr || !cold->reported.any()) [[likely]]
        return 0;
    std::array<wire::SackBlock, wire::tcp_max_sack_blocks> blocks;
    const std::size_t most = tcb.timestamps ? 3 : 4;
    const std::size_t wanted = std::min(cold->reported.list(blocks), most);
    if (!with_text) return wanted;
    return std::min<std::size_t>(wanted, tcb.mss / 4 < 12 ? 0 : (tcb.mss / 4 - 4) / 8);
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
    if (flight == 0)
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
bool Transmission::may_follow(const Tcb& tcb, std::uint32_t waiting, std::uint32_t usable,
                              std::uint32_t full) const noexcept {
    const std::uint32_t octets = std::min({waiting, usable, full});
    return octets == full || (octets > 0 && may_send_short(tcb, octets, octets == waiting));
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
        const std::uint32_t octets = std::min({waiting, full, usable});

        // A FIN goes whatever the window says: it needs no buffer, and a peer that does not want it yet drops
        // it.
        const bool with_fin = wants_fin && octets == waiting;
        if (octets < full && !with_fin && !again &&
            (octets == 0 || !may_send_short(tcb, octets, octets == waiting))) {
            held_back = true;
            break;
        }
        if (octets == 0 && !with_fin) break;
        if (paced && wait_for_pace(slot, tcb, *cold)) break;
        if (!core_.transmit_queue.room()) [[unlikely]]
            return false;
        // PSH where the queue is empty, and at the end of a burst: the receiver need not wait for more.
        const bool last =
            octets == waiting || (sent && !may_follow(tcb, waiting - octets, usable - octets, full));
        if (!emit(tcb, {next, position, octets, flags_of(octets, last, with_fin), !again})) [[unlikely]]
            return false;

        const std::uint32_t length = octets + (with_fin ? 1 : 0);
        if (with_fin) {
            if (again) core_.counters.add(Counter::tcp_fin_retransmits);
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
        if (paced) pace(tcb, *cold, octets);
        tcb.timer_cancels_silly = false;
        sent = true;
        if (!tracked && tcb.timer_kind != TimerKind::retransmission)
            core_.start_timer(slot, tcb, TimerKind::retransmission, core_.rto(tcb));
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
    cold.probe = {.end = tcb.snd_nxt, .active = true, .retransmission = fresh == 0};
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

// ---------------------------------------------------------------------------------------------------------------------
// Segments

bool Transmission::hand_over(rte_mbuf* mbuf, const Flow& flow, std::uint8_t settings,
                             bool ecn_capable) noexcept {
    constexpr std::uint8_t ect_0 = 2;  // RFC 3168 section 5
    core_.counters.add(Counter::tcp_out);
    std::uint8_t tos = ecn_capable ? ect_0 : 0;
    std::uint8_t ttl = 0;
    if (settings != SettingsTable::plain) [[unlikely]] {
        tos = static_cast<std::uint8_t>(tos | core_.settings[settings].dscp << 2);
        ttl = core_.settings[settings].ttl;
    }
    return core_.ip.output(mbuf,
                           {.source = flow.local_address,
                            .destination = flow.remote_address,
                            .protocol = IPPROTO_TCP,
                            .tos = tos,
                            .ttl = ttl},
                           core_.now);
}

bool Transmission::emit(Tcb& tcb, const Piece& piece) noexcept {
    rte_mbuf* const mbuf = piece.octets > 0 ? core_.stash.take_data() : core_.stash.take_control();
    if (mbuf == nullptr) [[unlikely]] {
        core_.counters.drop(DropReason::no_mbuf);
        return false;
    }
    Cold* const cold = core_.cold_of(tcb);
    std::uint8_t flags = piece.flags;
    if (tcb.ece_out) flags |= flag::ece;
    const bool ecn_capable = tcb.ecn && piece.fresh && piece.octets > 0;
    if (tcb.cwr_out && ecn_capable) [[unlikely]] {
        flags |= flag::cwr;
        tcb.cwr_out = false;
    }
    std::uint16_t urgent_pointer = 0;
    if (cold != nullptr && cold->urgent_out && cold->snd_up > piece.seq) [[unlikely]] {
        flags |= flag::urg;
        urgent_pointer = static_cast<std::uint16_t>(std::min(cold->snd_up - piece.seq, 65535U));
    }
    auto header_size =
        static_cast<std::uint8_t>(wire::tcp_header_size + (tcb.timestamps ? wire::tcp_timestamps_size : 0U));
    const std::size_t sacks = (flags & flag::rst) != 0 ? 0 : sack_blocks_for(tcb, cold, piece.octets > 0);
    if (sacks > 0) [[unlikely]]
        header_size = static_cast<std::uint8_t>(header_size + 4 + 8 * sacks);
    std::byte* const header = put_header(mbuf,
                                         {.source_port = tcb.flow.local_port,
                                          .destination_port = tcb.flow.remote_port,
                                          .sequence = piece.seq,
                                          .acknowledgement = tcb.rcv_nxt,
                                          .flags = flags,
                                          .window = advertise_window(tcb),
                                          .urgent_pointer = urgent_pointer,
                                          .header_size = header_size},
                                         piece.octets);
    if (tcb.timestamps)
        wire::write_timestamps(header + wire::tcp_header_size, core_.ts_clock + tcb.ts_offset, tcb.ts_recent);
    if (sacks > 0) [[unlikely]] {
        std::array<wire::SackBlock, wire::tcp_max_sack_blocks> blocks;
        (void)cold->reported.list(blocks);
        const std::size_t size = 4 + 8 * sacks;
        wire::write_sack({header + header_size - size, size}, std::span{blocks}.first(sacks));
        cold->reported.duplicate_reported();
    }
    if (piece.octets > 0) cold->queue.read(piece.position, piece.octets, header + header_size);
    tcb.last_ack_sent = tcb.rcv_nxt;
    tcb.ack_now = false;
    tcb.ack_delayed = false;
    hand_over(mbuf, tcb.flow, tcb.settings, ecn_capable);
    return true;
}

bool Transmission::send_ack(Tcb& tcb) noexcept {
    return emit(tcb, {tcb.snd_nxt, 0, 0, flag::ack});
}

bool Transmission::send_keep_alive(Tcb& tcb) noexcept {
    core_.counters.add(Counter::tcp_keep_alives);
    return emit(tcb, {tcb.snd_nxt - 1, 0, 0, flag::ack});
}

void Transmission::send_challenge_ack(Tcb& tcb) noexcept {
    if (!tcb.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) return;
    core_.counters.add(Counter::tcp_challenge_acks);
    send_ack(tcb);
}

void Transmission::send_reset(Tcb& tcb) noexcept {
    core_.counters.add(Counter::tcp_resets_out);
    const bool synchronized = tcb.state != State::syn_sent;
    emit(tcb, {tcb.snd_nxt, 0, 0, synchronized ? std::uint8_t{flag::rst | flag::ack} : flag::rst});
}

bool Transmission::emit_syn(const Flow& flow, SeqNum seq, SeqNum ack, std::uint8_t flags,
                            std::uint16_t window, const wire::SynOptions& options, std::uint8_t settings,
                            SendQueue* text, std::uint32_t octets) noexcept {
    rte_mbuf* const mbuf = octets > 0 ? core_.stash.take_data() : core_.stash.take_control();
    if (mbuf == nullptr) [[unlikely]] {
        core_.counters.drop(DropReason::no_mbuf);
        return false;
    }
    const auto header_size =
        static_cast<std::uint8_t>(wire::tcp_header_size + wire::syn_options_size(options));
    std::byte* const header = put_header(mbuf,
                                         {.source_port = flow.local_port,
                                          .destination_port = flow.remote_port,
                                          .sequence = seq,
                                          .acknowledgement = ack,
                                          .flags = flags,
                                          .window = window,
                                          .header_size = header_size},
                                         octets);
    wire::write_syn_options({header + wire::tcp_header_size, header_size - wire::tcp_header_size}, options);
    if (octets > 0) text->read(0, octets, header + header_size);
    return hand_over(mbuf, flow, settings);
}

// What the SYN of a connection that wants Fast Open says; how much of the data goes with it (RFC 7413
// section 4.2.1).
std::uint32_t Transmission::prepare_fast_open(const Tcb& tcb, Cold& cold, std::uint16_t mtu,
                                              wire::SynOptions& options) noexcept {
    const FastOpenCache::Known known = core_.fast_open_servers.find(tcb.flow.remote_address, core_.now);
    if (known.refused) {
        cold.fast_open = FastOpenUse::none;
        return 0;
    }
    options.fast_open = known.cookie;
    if (known.cookie.size == 0) {
        cold.fast_open = FastOpenUse::asked;
        return 0;
    }
    cold.fast_open = FastOpenUse::given;
    const std::uint32_t peer_mss = known.mss == 0 ? default_mss_ipv4 : known.mss;
    const std::uint32_t room = std::min<std::uint32_t>(peer_mss, mtu - headers_ipv4);
    const auto size = static_cast<std::uint32_t>(wire::syn_options_size(options));
    return std::min(cold.queue.size(), room - std::min(room, size));
}

bool Transmission::send_syn(Tcb& tcb, bool fast_open) noexcept {
    const bool answer = tcb.state == State::syn_received;
    const std::uint16_t mtu = core_.ip.mtu_for(tcb.flow.remote_address);
    wire::SynOptions options{
        .mss = static_cast<std::uint16_t>(mtu - headers_ipv4),
        .sack_permitted = answer ? tcb.sack : core_.config.sack,
        .timestamps = answer ? tcb.timestamps : core_.config.timestamps,
        .ts_value = core_.ts_clock + tcb.ts_offset,
        .ts_echo = answer ? tcb.ts_recent : 0,
        .window_scale = core_.config.window_scaling && (!answer || tcb.snd_wscale != 0 || tcb.rcv_wscale != 0)
                            ? std::optional{receive_window_shift(core_.config)}
                            : std::nullopt};
    Cold* const cold = core_.cold_of(tcb);
    std::uint32_t octets = 0;
    if (answer && fast_open)
        options.fast_open = core_.fast_open_cookies.make(tcb.flow.remote_address, core_.now);
    if (!answer && cold != nullptr && cold->fast_open != FastOpenUse::none)
        octets =
            prepare_fast_open(tcb, *cold, core_.ip.path_mtu_for(tcb.flow.remote_address, core_.now), options);
    std::uint16_t window = syn_window(core_.config);
    if (answer) {
        // Data that came with the SYN takes its part of the buffer.
        const std::uint32_t buffer = core_.config.receive_buffer;
        window = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(window, buffer - std::min(tcb.unconsumed, buffer)));
        tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt + window);
        tcb.last_ack_sent = tcb.rcv_nxt;
    }
    std::uint8_t flags = flag::syn;
    if (answer) flags |= flag::ack;
    // RFC 3168 section 6.1.1: ECE and CWR ask, ECE alone agrees.
    if (tcb.ecn) flags |= answer ? flag::ece : std::uint8_t{flag::ece | flag::cwr};
    const SeqNum seq = tcb.fast_opening() ? tcb.snd_una - 1 : tcb.snd_una;
    if (!emit_syn(tcb.flow, seq, answer ? tcb.rcv_nxt : SeqNum{0}, flags, window, options, tcb.settings,
                  octets > 0 ? &cold->queue : nullptr, octets))
        return false;
    // What an earlier SYN carried may still be acknowledged.
    tcb.snd_nxt = max(tcb.snd_nxt, seq + 1 + octets);
    return true;
}

bool Transmission::send_syn_ack(HalfOpen& half_open) noexcept {
    const std::uint16_t mtu = core_.ip.mtu_for(half_open.flow.remote_address);
    return emit_syn(
        half_open.flow, half_open.iss, half_open.rcv_nxt(),
        half_open.ecn ? std::uint8_t{flag::syn | flag::ack | flag::ece} : std::uint8_t{flag::syn | flag::ack},
        half_open.rcv_wnd,
        {.mss = static_cast<std::uint16_t>(mtu - headers_ipv4),
         .sack_permitted = half_open.sack_permitted,
         .timestamps = half_open.timestamps,
         .ts_value = core_.ts_clock + half_open.ts_offset,
         .ts_echo = half_open.ts_recent,
         .window_scale =
             half_open.window_scaling ? std::optional{receive_window_shift(core_.config)} : std::nullopt,
         .fast_open = half_open.fast_open ? std::optional{core_.fast_open_cookies.make(
                                                half_open.flow.remote_address, core_.now)}
                                          : std::nullopt},
        core_.listeners[half_open.listener].settings);
}

bool Transmission::send_bare_ack(const Flow& flow, const Bare& bare) noexcept {
    rte_mbuf* const mbuf = core_.stash.take_control();
    if (mbuf == nullptr) [[unlikely]] {
        core_.counters.drop(DropReason::no_mbuf);
        return false;
    }
    const std::uint8_t header_size =
        wire::tcp_header_size + (bare.timestamps ? std::uint8_t{wire::tcp_timestamps_size} : std::uint8_t{0});
    std::byte* const header = put_header(mbuf,
                                         {.source_port = flow.local_port,
                                          .destination_port = flow.remote_port,
                                          .sequence = bare.seq,
                                          .acknowledgement = bare.ack,
                                          .flags = flag::ack,
                                          .window = bare.window,
                                          .header_size = header_size},
                                         0);
    if (bare.timestamps)
        wire::write_timestamps(header + wire::tcp_header_size, core_.ts_clock + bare.ts_offset,
                               bare.ts_recent);
    return hand_over(mbuf, flow, bare.settings);
}

void Transmission::send_reset_for(const Segment& segment) noexcept {
    if (segment.has(flag::rst)) return;
    rte_mbuf* const mbuf = core_.stash.take_control();
    if (mbuf == nullptr) [[unlikely]] {
        core_.counters.drop(DropReason::no_mbuf);
        return;
    }
    core_.counters.add(Counter::tcp_resets_out);
    const bool has_ack = segment.has(flag::ack);
    put_header(mbuf,
               {.source_port = segment.flow.local_port,
                .destination_port = segment.flow.remote_port,
                .sequence = has_ack ? segment.ack : SeqNum{0},
                .acknowledgement = has_ack ? SeqNum{0} : segment.seq + segment.length(),
                .flags = has_ack ? flag::rst : std::uint8_t{flag::rst | flag::ack},
                .header_size = wire::tcp_header_size},
               0);
    hand_over(mbuf, segment.flow, SettingsTable::plain);
}

}  // namespace runnel::tcp
