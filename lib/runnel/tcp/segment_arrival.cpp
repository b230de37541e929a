// RFC 9293 sections 3.10.7.1 to 3.10.7.3, and of 3.10.7.4 the states that have no TCB: a passive SYN-RECEIVED
// and TIME-WAIT. All others are in segment_arrival_synchronized.cpp.
#include "runnel/tcp/segment_arrival.hpp"

#include "runnel/tcp/handshake_options.hpp"
#include "runnel/tcp/isn.hpp"
#include "runnel/tcp/timestamp_age.hpp"

namespace runnel::tcp {

namespace flag = wire::tcp_flags;

void SegmentArrival::process(Segment& segment) noexcept {
    const std::uint32_t value = core_.find(segment.flow, segment.hash);
    if (value != FlowTable::none) [[likely]] {
        const Owner owner = Owner::decode(value);
        switch (owner.table) {
            case Table::connection:
                if (core_.tcbs[owner.slot].aborting) {
                    core_.counters.drop(DropReason::tcp_data_after_close);
                } else if (core_.tcbs[owner.slot].state == State::syn_sent) {
                    syn_sent_state(owner.slot, segment);
                } else {
                    synchronized_state(owner.slot, segment);
                }
                return;
            case Table::half_open:
                half_open_state(owner.slot, segment);
                return;
            case Table::time_wait:
                time_wait_state(owner.slot, segment);
                return;
        }
    }
    const std::uint16_t listener = core_.listeners.find(segment.flow.local_address, segment.flow.local_port);
    if (listener == no_listener)
        closed_state(segment);
    else
        listen_state(segment, listener, SeqNum{});
}

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.1 CLOSED

void SegmentArrival::closed_state(const Segment& segment) noexcept {
    core_.counters.drop(DropReason::tcp_no_connection);
    transmission_.send_reset_for(segment);
}

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.2 LISTEN

// `above`: where the four-tuple was in TIME-WAIT, the ISN must lie beyond this (RFC 6191 section 2); else
// zero.
void SegmentArrival::listen_state(Segment& segment, std::uint16_t listener, SeqNum above) noexcept {
    if (segment.has(flag::rst)) {
        core_.counters.drop(DropReason::tcp_listen_unexpected);
        return;
    }
    if (segment.has(flag::ack)) {
        core_.counters.drop(DropReason::tcp_no_connection);
        transmission_.send_reset_for(segment);
        return;
    }
    // Neither SYN nor RST nor ACK, or a SYN with a FIN, which no host sends: dropped without an answer.
    if (!segment.has(flag::syn) || segment.has(flag::fin)) {
        core_.counters.drop(DropReason::tcp_listen_unexpected);
        return;
    }
    const std::uint32_t slot = core_.half_open.allocate();
    if (slot == no_slot) {
        core_.counters.drop(DropReason::tcp_half_open_full);
        return;
    }
    if (!core_.flows.insert(segment.hash, Owner{Table::half_open, slot}.encode())) [[unlikely]] {
        core_.half_open.free(slot);
        core_.counters.drop(DropReason::tcp_half_open_full);
        return;
    }
    const wire::TcpOptions options = segment.options();
    const PeerOffer offer = peer_offer(core_.config, options);
    const InitialNumbers numbers = initial_numbers(core_.keys.isn, segment.flow, core_.now);
    HalfOpen& half_open = core_.half_open[slot];
    half_open = HalfOpen{};
    half_open.flow = segment.flow;
    half_open.flow_hash = segment.hash;
    half_open.iss = above == SeqNum{} || numbers.iss > above ? numbers.iss : above + 1;
    half_open.irs = segment.seq;
    half_open.ts_recent = options.ts_value;
    half_open.ts_offset = numbers.timestamp_offset;
    half_open.sent_at = core_.us;
    half_open.peer_mss = offer.mss;
    half_open.snd_wnd = segment.window;
    half_open.rcv_wnd = syn_window(core_.config);
    half_open.listener = listener;
    half_open.snd_wscale = offer.snd_wscale & 0xf;
    half_open.rcv_wscale = (offer.window_scaling ? receive_window_shift(core_.config) : 0) & 0xf;
    half_open.window_scaling = offer.window_scaling;
    half_open.timestamps = offer.timestamps;
    half_open.sack_permitted = offer.sack_permitted;
    core_.half_open_timers.arm(slot, core_.after(core_.config.synack_timeout));
    transmission_.send_syn_ack(half_open);
}

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.3 SYN-SENT

void SegmentArrival::syn_sent_state(std::uint32_t slot, Segment& segment) noexcept {
    Tcb& tcb = core_.tcbs[slot];
    // First: the ACK bit. SND.UNA is still ISS.
    const bool has_ack = segment.has(flag::ack);
    if (has_ack && (segment.ack <= tcb.snd_una || segment.ack > tcb.snd_nxt)) {
        core_.counters.drop(DropReason::tcp_syn_sent_bad_ack);
        transmission_.send_reset_for(segment);
        return;
    }
    // Second: the RST bit, believed only with an ACK of our SYN (RFC 5961 section 3.2).
    if (segment.has(flag::rst)) {
        if (!has_ack) {
            core_.counters.drop(DropReason::tcp_syn_sent_unexpected);
            return;
        }
        core_.counters.add(Counter::tcp_resets_in);
        core_.end(slot, CloseReason::refused);
        return;
    }
    // Fourth: the SYN bit.
    if (!segment.has(flag::syn)) {
        core_.counters.drop(DropReason::tcp_syn_sent_unexpected);
        return;
    }
    syn_sent_synchronize(slot, tcb, segment, has_ack);
}

void SegmentArrival::syn_sent_synchronize(std::uint32_t slot, Tcb& tcb, Segment& segment,
                                          bool acknowledged) noexcept {
    const wire::TcpOptions options = segment.options();
    const PeerOffer offer = peer_offer(core_.config, options);
    tcb.rcv_nxt = segment.seq + 1;
    tcb.rcv_adv = tcb.rcv_nxt + syn_window(core_.config);
    tcb.last_ack_sent = tcb.rcv_nxt;
    tcb.timestamps = offer.timestamps;
    tcb.sack = offer.sack_permitted;
    tcb.ts_recent = options.ts_value;
    tcb.ts_recent_age = timestamp_age_clock(core_.now);
    tcb.snd_wscale = offer.snd_wscale & 0xf;
    tcb.rcv_wscale = (offer.window_scaling ? receive_window_shift(core_.config) : 0) & 0xf;
    tcb.mss = segment_data_size(offer.mss, core_.ip.mtu_for(tcb.flow.remote_address), offer.timestamps);
    // The window of a SYN is not scaled (RFC 7323 section 2.2).
    tcb.snd_wnd = segment.window;
    tcb.snd_wl1 = segment.seq;
    tcb.snd_wl2 = segment.ack;
    tcb.max_snd_wnd = static_cast<std::uint16_t>(segment.window >> tcb.snd_wscale);

    if (!acknowledged) {
        // Simultaneous open: both have sent a SYN, each answers the other's (RFC 9293 section 3.5).
        tcb.state = State::syn_received;
        tcb.backoff = 0;
        transmission_.send_syn(tcb);
        core_.start_timer(slot, tcb, TimerKind::retransmission, core_.config.synack_timeout);
        return;
    }
    tcb.snd_una = segment.ack;
    tcb.ack_now = true;
    core_.want_output(slot, tcb);
    established(slot, tcb);
    if (tcb.aborting) return;
    // What else came with it: sixth to eighth step.
    segment.seq += 1;
    segment.flags &= static_cast<std::uint8_t>(~flag::syn);
    check_urg(slot, tcb, segment);
    process_text(slot, tcb, segment);
}

// Both sides of the handshake end here: the round trip is known, the window opens, the application hears of
// it.
void SegmentArrival::established(std::uint32_t slot, Tcb& tcb) noexcept {
    const std::uint32_t sent_at = tcb.round_trip.rttvar_4;
    tcb.round_trip = {};
    if (!tcb.handshake_retransmitted) tcb.round_trip.sample(core_.us - sent_at);
    tcb.backoff = 0;
    core_.stop_timer(tcb);
    tcb.state = tcb.fin_queued ? State::fin_wait_1 : State::established;
    tcb.cwnd = initial_window(core_.config, tcb);
    core_.counters.add(Counter::tcp_established);
    if (tcb.cold != no_slot || tcb.fin_queued) {
        if (tcb.cold != no_slot) core_.colds[tcb.cold].recover = tcb.snd_una - 1;
        core_.want_output(slot, tcb);
    }
    core_.handler_of(tcb).established(core_.handle(slot));
}

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.4, a passive connection in SYN-RECEIVED

void SegmentArrival::acknowledge_half_open(const HalfOpen& half_open) noexcept {
    transmission_.send_bare_ack(half_open.flow, {.seq = half_open.iss + 1,
                                                 .ack = half_open.rcv_nxt(),
                                                 .window = half_open.rcv_wnd,
                                                 .timestamps = half_open.timestamps,
                                                 .ts_offset = half_open.ts_offset,
                                                 .ts_recent = half_open.ts_recent});
}

void SegmentArrival::half_open_state(std::uint32_t slot, Segment& segment) noexcept {
    HalfOpen& half_open = core_.half_open[slot];
    // The peer's SYN again: our SYN-ACK was lost. (By the letter it would get an empty ACK, which a peer in
    // SYN-SENT cannot use.)
    if ((segment.flags & (flag::syn | flag::ack | flag::rst)) == flag::syn && segment.seq == half_open.irs) {
        if (half_open.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) {
            core_.counters.add(Counter::tcp_synack_retransmits);
            transmission_.send_syn_ack(half_open);
        }
        return;
    }
    // First: sequence and timestamp.
    const bool paws = half_open.timestamps && segment.timestamps && !segment.has(flag::rst) &&
                      older_timestamp(segment.ts_value, half_open.ts_recent);
    const SeqNum edge = half_open.rcv_nxt() + half_open.rcv_wnd;
    const bool acceptable = segment.length() == 0
                                ? segment.seq.in_window(half_open.rcv_nxt(), half_open.rcv_wnd)
                                : segment.seq < edge && segment.seq + segment.length() > half_open.rcv_nxt();
    if (paws || !acceptable) {
        core_.counters.drop(segment.has(flag::rst) ? DropReason::tcp_reset_out_of_window
                            : paws                 ? DropReason::tcp_paws
                                                   : DropReason::tcp_out_of_window);
        if (!segment.has(flag::rst) &&
            half_open.challenges.allow(core_.now, core_.config.challenge_acks_per_second))
            acknowledge_half_open(half_open);
        return;
    }
    // Second: the RST bit. The listener stays and the application hears nothing (RFC 9293 MUST-11).
    if (segment.has(flag::rst)) {
        if (segment.seq == half_open.rcv_nxt()) {
            core_.counters.add(Counter::tcp_resets_in);
            core_.forget_half_open(slot);
            return;
        }
        core_.counters.drop(DropReason::tcp_reset_challenged);
        if (half_open.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) {
            core_.counters.add(Counter::tcp_challenge_acks);
            acknowledge_half_open(half_open);
        }
        return;
    }
    // Fourth: the SYN bit; a passive open returns to LISTEN.
    if (segment.has(flag::syn)) {
        core_.counters.drop(DropReason::tcp_listen_unexpected);
        core_.forget_half_open(slot);
        return;
    }
    // Fifth: the ACK field.
    if (!segment.has(flag::ack)) {
        core_.counters.drop(DropReason::tcp_no_ack_flag);
        return;
    }
    if (segment.ack != half_open.iss + 1) {
        core_.counters.drop(DropReason::tcp_bad_ack);
        transmission_.send_reset_for(segment);
        return;
    }
    if (half_open.timestamps && !segment.timestamps) {
        core_.counters.drop(DropReason::tcp_missing_timestamp);
        return;
    }
    complete_handshake(slot, segment);
}

void SegmentArrival::complete_handshake(std::uint32_t slot, Segment& segment) noexcept {
    const HalfOpen half_open = core_.half_open[slot];
    const std::uint32_t connection = core_.new_tcb(half_open.flow, half_open.flow_hash);
    if (connection == no_slot) {
        // The half-open entry stays: its SYN-ACK comes again, and with it the peer's next chance (RFC 4987).
        core_.counters.drop(DropReason::tcp_connections_full);
        return;
    }
    core_.flows.replace(half_open.flow_hash, Owner{Table::half_open, slot}.encode(),
                        Owner{Table::connection, connection}.encode());
    core_.half_open_timers.cancel(slot);
    core_.half_open.free(slot);

    const Listeners::Listener& listener = core_.listeners[half_open.listener];
    Tcb& tcb = core_.tcbs[connection];
    core_.handlers.add_user(listener.handler);
    tcb.handler = listener.handler;
    tcb.passive = true;
    tcb.nagle = listener.nagle;
    tcb.snd_una = half_open.iss + 1;
    tcb.snd_nxt = tcb.snd_una;
    tcb.snd_wscale = half_open.snd_wscale;
    tcb.rcv_wscale = half_open.rcv_wscale;
    tcb.timestamps = half_open.timestamps;
    tcb.sack = half_open.sack_permitted;
    tcb.ts_recent = half_open.ts_recent;
    tcb.ts_recent_age = timestamp_age_clock(core_.now);
    tcb.ts_offset = half_open.ts_offset;
    tcb.rcv_nxt = half_open.rcv_nxt();
    tcb.rcv_adv = tcb.rcv_nxt + half_open.rcv_wnd;
    tcb.last_ack_sent = tcb.rcv_nxt;
    tcb.mss = segment_data_size(half_open.peer_mss, core_.ip.mtu_for(half_open.flow.remote_address),
                                half_open.timestamps);
    tcb.handshake_retransmitted = half_open.retransmissions > 0;
    tcb.round_trip.rttvar_4 = half_open.sent_at;
    tcb.snd_wnd = std::uint32_t{segment.window} << half_open.snd_wscale;
    tcb.snd_wl1 = segment.seq;
    tcb.snd_wl2 = segment.ack;
    tcb.max_snd_wnd =
        std::max(segment.window, static_cast<std::uint16_t>(half_open.snd_wnd >> half_open.snd_wscale));
    core_.counters.add(Counter::tcp_passive_opens);
    remember_timestamp(tcb, segment);
    established(connection, tcb);
    if (tcb.aborting) return;
    check_urg(connection, tcb, segment);
    process_text(connection, tcb, segment);
}

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.4, TIME-WAIT

void SegmentArrival::time_wait_state(std::uint32_t slot, Segment& segment) noexcept {
    TimeWait& entry = core_.time_wait[slot];
    if (segment.has(flag::rst)) {
        core_.counters.drop(DropReason::tcp_time_wait_ignored);  // RFC 1337: no assassination
        return;
    }
    const bool both_stamped = entry.timestamps && segment.timestamps;
    if ((segment.flags & (flag::syn | flag::ack)) == flag::syn) {
        // A new incarnation, if it is certainly newer than all of the old one (RFC 6191 section 2).
        const bool newer = both_stamped
                               ? older_timestamp(entry.ts_recent, segment.ts_value) ||
                                     (entry.ts_recent == segment.ts_value && segment.seq >= entry.rcv_nxt)
                               : segment.seq >= entry.rcv_nxt;
        const std::uint16_t listener =
            core_.listeners.find(segment.flow.local_address, segment.flow.local_port);
        if (newer && listener != no_listener) {
            const SeqNum above = entry.snd_nxt;
            core_.counters.add(Counter::tcp_time_wait_reopened);
            core_.forget_time_wait(slot);
            listen_state(segment, listener, above == SeqNum{} ? SeqNum{1} : above);
            return;
        }
    }
    core_.counters.drop(DropReason::tcp_time_wait_ignored);
    // An ACK in its place says nothing that needs an answer; all else is answered with ours.
    const bool paws = both_stamped && older_timestamp(segment.ts_value, entry.ts_recent);
    if (!paws && segment.length() == 0 && segment.seq == entry.rcv_nxt) return;
    if (!paws && segment.has(flag::fin) && segment.seq + segment.length() == entry.rcv_nxt)
        core_.time_wait.restart(slot, core_.after(core_.config.time_wait_duration));  // our ACK was lost
    if (!entry.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) return;
    transmission_.send_bare_ack(entry.flow, {entry.snd_nxt, entry.rcv_nxt, syn_window(core_.config),
                                             entry.timestamps, entry.ts_offset, entry.ts_recent});
}

}  // namespace runnel::tcp
