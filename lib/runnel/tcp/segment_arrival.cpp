// RFC 9293 sections 3.10.7.1 to 3.10.7.3, and of 3.10.7.4 the states that have no TCB: a passive SYN-RECEIVED
// and TIME-WAIT. All others are in segment_arrival_synchronized.cpp.
#include "runnel/tcp/segment_arrival.hpp"

#include "runnel/tcp/handshake_options.hpp"
#include "runnel/tcp/isn.hpp"
#include "runnel/tcp/timestamp_age.hpp"

namespace runnel::tcp {

namespace flag = wire::tcp_flags;

void SegmentArrival::process(Segment& segment) noexcept {
    const std::uint32_t value = core_.find(segment.ends(), segment.hash);
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
    const std::uint16_t listener =
        core_.listeners.find(segment.ends().local_address(), segment.flow.local_port);
    if (listener == no_listener)
        closed_state(segment);
    else
        listen_state(segment, listener, SeqNum{});
}

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.1 CLOSED

void SegmentArrival::closed_state(const Segment& segment) noexcept {
    core_.counters.drop(DropReason::tcp_no_connection);
    defence_.unexpected(segment, false);
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
        if (accept_cookie(segment, listener)) return;
        core_.counters.drop(DropReason::tcp_no_connection);
        defence_.unexpected(segment, true);
        transmission_.send_reset_for(segment);
        return;
    }
    // Neither SYN nor RST nor ACK, or a SYN with a FIN, which no host sends: dropped without an answer.
    if (!segment.has(flag::syn) || segment.has(flag::fin)) {
        core_.counters.drop(DropReason::tcp_listen_unexpected);
        defence_.unexpected(segment, true);
        return;
    }
    core_.counters.add(Counter::tcp_syns_in);
    defence_.syn_arrived(segment);
    if (!core_.syn_credit.take()) [[unlikely]] {
        core_.counters.drop(DropReason::tcp_syn_while_behind);
        return;
    }
    // What reopens TIME-WAIT needs an ISN above the old one, which no cookie is.
    if (core_.config.syn_cookies == SynCookieUse::always && above == SeqNum{}) {
        answer_with_cookie(segment, listener);
        return;
    }
    if (core_.listeners[listener].fast_open && open_fast(segment, listener, above)) return;
    const std::uint32_t slot = core_.half_open.allocate();
    if (slot == no_slot || !core_.flows.insert(segment.hash, Owner{Table::half_open, slot}.encode()))
        [[unlikely]] {
        if (slot != no_slot) core_.half_open.free(slot);
        if (core_.config.syn_cookies == SynCookieUse::never)
            core_.counters.drop(DropReason::tcp_half_open_full);
        else
            answer_with_cookie(segment, listener);
        return;
    }
    HalfOpen& half_open = core_.half_open[slot];
    fill(half_open, segment, listener);
    if (above != SeqNum{} && half_open.iss <= above) half_open.iss = above + 1;
    core_.half_open_timers.arm(slot, core_.after(core_.config.synack_timeout));
    if (segment.ipv6 != nullptr) core_.half_open_pairs[slot] = *segment.ipv6;
    transmission_.send_syn_ack(half_open, segment.ends());
}

// What a SYN settles, whether a table keeps it or a cookie.
void SegmentArrival::fill(HalfOpen& half_open, const Segment& segment,
                          std::uint16_t listener) const noexcept {
    const wire::TcpOptions options = segment.options();
    const PeerOffer offer = peer_offer(core_.config, options, segment.ipv6 != nullptr);
    const InitialNumbers numbers = initial_numbers(core_.isn_secret, segment.flow, core_.now);
    constexpr std::uint8_t ecn_setup = flag::ece | flag::cwr;
    half_open = HalfOpen{};
    half_open.flow = segment.flow;
    half_open.flow_hash = segment.hash;
    half_open.iss = numbers.iss;
    half_open.irs = segment.seq;
    half_open.listener = listener;
    half_open.ts_recent = options.ts_value;
    half_open.ts_offset = numbers.timestamp_offset;
    half_open.sent_at = core_.us;
    half_open.peer_mss = offer.mss;
    half_open.snd_wnd = segment.window;
    half_open.rcv_wnd = syn_window(core_.config);
    half_open.snd_wscale = offer.snd_wscale & 0xf;
    half_open.rcv_wscale = (offer.window_scaling ? receive_window_shift(core_.config) : 0) & 0xf;
    half_open.window_scaling = offer.window_scaling;
    half_open.timestamps = offer.timestamps;
    half_open.sack_permitted = offer.sack_permitted;
    half_open.ecn = core_.config.ecn != Ecn::off && (segment.flags & ecn_setup) == ecn_setup;
    // Whoever brings no good cookie, or asks for one, gets one (RFC 7413 section 4.2.2).
    half_open.fast_open = options.fast_open && core_.listeners[listener].fast_open;
}

// A SYN with a good cookie: the peer can receive at its address, and is served at once (RFC 7413 section
// 4.2.2). False: it is a SYN like any other, and its data is not looked at.
bool SegmentArrival::open_fast(Segment& segment, std::uint16_t listener, SeqNum above) noexcept {
    const std::optional<wire::FastOpenCookie> cookie = segment.options().fast_open;
    if (!cookie || cookie->size == 0) return false;
    using Verdict = FastOpenCookies::Verdict;
    const Verdict verdict = core_.fast_open_cookies.check(*cookie, segment.ends().remote_address(),
                                                          segment.ends().local_address(), core_.now);
    if (verdict == Verdict::wrong) {
        core_.counters.add(Counter::tcp_fast_open_bad_cookies);
        return false;
    }
    if (!core_.pending_fast_opens.begin(core_.now)) {
        core_.counters.add(Counter::tcp_fast_open_overflows);
        return false;
    }
    const std::uint32_t slot = core_.new_tcb(segment.ends(), segment.hash);
    if (slot == no_slot || !core_.flows.insert(segment.hash, Owner{Table::connection, slot}.encode())) {
        if (slot != no_slot) core_.tcbs.free(slot);
        core_.pending_fast_opens.end();
        return false;
    }
    HalfOpen half_open;
    fill(half_open, segment, listener);
    if (above != SeqNum{} && half_open.iss <= above) half_open.iss = above + 1;
    Tcb& tcb = core_.tcbs[slot];
    fill(tcb, half_open, segment);
    tcb.state = State::syn_received;
    tcb.snd_wnd = segment.window;  // of a SYN: not scaled (RFC 7323 section 2.2)
    tcb.max_snd_wnd = static_cast<std::uint16_t>(segment.window >> tcb.snd_wscale);
    tcb.snd_wl2 = tcb.snd_una;
    tcb.cwnd = core_.initial_window(tcb);
    core_.counters.add(Counter::tcp_passive_opens);
    core_.counters.add(Counter::tcp_fast_opens_in);
    const std::uint32_t generation = tcb.generation;
    core_.handler_of(tcb).established(core_.handle(slot));
    segment.seq += 1;
    segment.flags &= static_cast<std::uint8_t>(~flag::syn);
    if (!tcb.aborting) process_text(slot, tcb, segment);
    if (core_.tcbs.get(slot, generation) == nullptr || tcb.aborting) return true;
    // The SYN-ACK acknowledges the data as well.
    transmission_.send_syn(tcb, verdict == Verdict::old);
    tcb.ack_now = false;
    tcb.ack_delayed = false;
    core_.start_timer(slot, tcb, TimerKind::retransmission, core_.config.synack_timeout);
    return true;
}

// The SYN-ACK carries all that is known of the peer, and nothing is kept (syn_cookies.hpp).
void SegmentArrival::answer_with_cookie(const Segment& segment, std::uint16_t listener) noexcept {
    HalfOpen half_open;
    fill(half_open, segment, listener);
    half_open.iss = defence_.cookies.make(half_open.flow, half_open.irs, half_open.peer_mss, core_.now);
    if (half_open.timestamps) {
        const std::uint32_t stamp = timestamp_with({.snd_wscale = half_open.snd_wscale,
                                                    .window_scaling = half_open.window_scaling,
                                                    .sack_permitted = half_open.sack_permitted,
                                                    .ecn = half_open.ecn},
                                                   core_.ts_clock + half_open.ts_offset);
        half_open.ts_offset = stamp - core_.ts_clock;
    } else {
        half_open.window_scaling = false;
        half_open.sack_permitted = false;
        half_open.ecn = false;
    }
    core_.counters.add(Counter::tcp_syn_cookies_sent);
    transmission_.send_syn_ack(half_open, segment.ends());
}

// An ACK that carries a cookie of ours completes the handshake that the cookie stands for; false: it carries
// none.
bool SegmentArrival::accept_cookie(Segment& segment, std::uint16_t listener) noexcept {
    if (segment.has(flag::syn) || !defence_.cookies.outstanding(core_.now)) return false;
    const SeqNum iss = segment.ack - 1;
    const SeqNum irs = segment.seq - 1;
    const std::optional<std::uint16_t> mss = defence_.cookies.check(segment.flow, irs, iss, core_.now);
    if (!mss) {
        core_.counters.add(Counter::tcp_syn_cookies_refused);
        return false;
    }
    const std::uint32_t connection = core_.new_tcb(segment.ends(), segment.hash);
    if (connection == no_slot ||
        !core_.flows.insert(segment.hash, Owner{Table::connection, connection}.encode())) {
        // The peer sends again what this segment carried, or the next: its next chance (RFC 4987).
        if (connection != no_slot) core_.tcbs.free(connection);
        core_.counters.drop(DropReason::tcp_connections_full);
        return true;
    }
    const std::uint32_t ts_offset =
        initial_numbers(core_.isn_secret, segment.flow, core_.now).timestamp_offset;
    // Timestamps are agreed on where the peer echoes one that can be the SYN-ACK's.
    const bool timestamps =
        core_.config.timestamps && segment.timestamps &&
        core_.ts_clock + ts_offset - segment.ts_echo <= 2 * (SynCookies::slot_length / 1ms);
    const CookieOptions options = timestamps ? options_in_timestamp(segment.ts_echo) : CookieOptions{};
    HalfOpen half_open{};
    half_open.flow = segment.flow;
    half_open.flow_hash = segment.hash;
    half_open.iss = iss;
    half_open.irs = irs;
    half_open.ts_recent = segment.ts_value;
    half_open.ts_offset = ts_offset;
    half_open.peer_mss = *mss;
    half_open.rcv_wnd = syn_window(core_.config);
    half_open.listener = listener;
    half_open.timestamps = timestamps;
    half_open.window_scaling = core_.config.window_scaling && options.window_scaling;
    half_open.snd_wscale = (half_open.window_scaling ? options.snd_wscale : 0) & 0xf;
    half_open.rcv_wscale = (half_open.window_scaling ? receive_window_shift(core_.config) : 0) & 0xf;
    half_open.sack_permitted = core_.config.sack && options.sack_permitted;
    half_open.ecn = core_.config.ecn != Ecn::off && options.ecn;
    core_.counters.add(Counter::tcp_syn_cookies_accepted);
    fill(core_.tcbs[connection], half_open, segment);
    open_passive(connection, segment, false);
    return true;
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
        if (tcb.ecn && tcb.backoff == 0) {
            // Perhaps it is ECN that was refused: once more without (RFC 3168 section 6.1.1.1).
            tcb.ecn = false;
            tcb.snd_nxt = tcb.snd_una;
            if (Cold* const cold = core_.cold_of(tcb)) cold->fast_open = FastOpenUse::none;
            core_.want_output(slot, tcb);
            return;
        }
        core_.end(slot, CloseReason::refused);
        return;
    }
    // Fourth: the SYN bit.
    if (!segment.has(flag::syn)) {
        core_.counters.drop(DropReason::tcp_syn_sent_unexpected);
        return;
    }
    if (has_ack) core_.counters.add(Counter::tcp_syn_acks_in);
    syn_sent_synchronize(slot, tcb, segment, has_ack);
}

// What the SYN-ACK says of Fast Open, and of the data that went with the SYN (RFC 7413 section 4.2.1).
void SegmentArrival::fast_open_answered(Tcb& tcb, const Segment& segment,
                                        const wire::TcpOptions& options) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    if (cold == nullptr) return;
    const std::uint32_t text = segment.ack - tcb.snd_una - 1;
    if (text > 0) {
        cold->queue.release(text, core_.stash);
        core_.counters.add(Counter::tcp_fast_opens_out);
    }
    if (cold->fast_open == FastOpenUse::none) return;
    if (options.fast_open && options.fast_open->size > 0)
        core_.fast_open_servers.store(tcb.flow.remote_address, *options.fast_open,
                                      options.mss.value_or(default_mss(tcb.flow.is_ipv6())), core_.now);
    else if (cold->fast_open == FastOpenUse::asked)
        core_.fast_open_servers.refuse(tcb.flow.remote_address, core_.now);  // it has none to give
    cold->fast_open = FastOpenUse::none;
}

void SegmentArrival::syn_sent_synchronize(std::uint32_t slot, Tcb& tcb, Segment& segment,
                                          bool acknowledged) noexcept {
    const wire::TcpOptions options = segment.options();
    const PeerOffer offer = peer_offer(core_.config, options, segment.ipv6 != nullptr);
    tcb.rcv_nxt = segment.seq + 1;
    tcb.rcv_adv = tcb.rcv_nxt + syn_window(core_.config);
    tcb.last_ack_sent = tcb.rcv_nxt;
    tcb.timestamps = offer.timestamps;
    tcb.sack = offer.sack_permitted;
    // A SYN-ACK agrees with ECE alone; both bits are an echo of ours by a host that knows neither (RFC 3168
    // section 6.1.1). A SYN of a simultaneous open asks with both.
    const std::uint8_t ecn_bits = segment.flags & (flag::ece | flag::cwr);
    tcb.ecn = acknowledged ? core_.config.ecn == Ecn::request && ecn_bits == flag::ece
                           : core_.config.ecn != Ecn::off && ecn_bits == (flag::ece | flag::cwr);
    tcb.ts_recent = options.ts_value;
    tcb.ts_recent_age = timestamp_age_clock(core_.now);
    tcb.snd_wscale = offer.snd_wscale & 0xf;
    tcb.rcv_wscale = (offer.window_scaling ? receive_window_shift(core_.config) : 0) & 0xf;
    const std::uint16_t mtu = core_.ip.path_mtu_for(core_.ends_of(tcb).remote_address(), core_.now);
    const bool ipv6 = tcb.flow.is_ipv6();
    tcb.mss = segment_data_size(std::min(offer.mss, core_.own_mss(tcb.settings, mtu, ipv6)), mtu, ipv6,
                                offer.timestamps);
    // The window of a SYN is not scaled (RFC 7323 section 2.2).
    tcb.snd_wnd = segment.window;
    tcb.snd_wl1 = segment.seq;
    tcb.snd_wl2 = segment.ack;
    tcb.max_snd_wnd = static_cast<std::uint16_t>(segment.window >> tcb.snd_wscale);

    if (!acknowledged) {
        // Simultaneous open: both have sent a SYN, each answers the other's (RFC 9293 section 3.5).
        tcb.state = State::syn_received;
        tcb.backoff = 0;
        tcb.snd_nxt = tcb.snd_una + 1;  // what data went with the SYN goes again
        if (Cold* const cold = core_.cold_of(tcb)) cold->fast_open = FastOpenUse::none;
        transmission_.send_syn(tcb);
        core_.start_timer(slot, tcb, TimerKind::retransmission, core_.config.synack_timeout);
        hold_until_established(tcb, segment);
        return;
    }
    fast_open_answered(tcb, segment, options);
    tcb.snd_una = segment.ack;
    tcb.snd_nxt = segment.ack;  // data of the SYN that it does not acknowledge goes again, at once
    tcb.ack_now = true;
    core_.want_output(slot, tcb);
    established(slot, tcb);
    if (tcb.aborting) return;
    if (tcb.send_blocked && tcb.cold != no_slot &&
        core_.colds[tcb.cold].queue.size() < core_.config.send_buffer) {
        tcb.send_blocked = false;
        core_.handler_of(tcb).writable(core_.handle(slot));
        if (tcb.aborting) return;
    }
    // What else came with it: sixth to eighth step.
    segment.seq += 1;
    segment.flags &= static_cast<std::uint8_t>(~flag::syn);
    check_urg(slot, tcb, segment);
    process_text(slot, tcb, segment);
}

// Both sides of the handshake end here: the round trip is known, the window opens, the application hears of
// it. `timed`: it is known when the SYN or SYN-ACK left.
void SegmentArrival::established(std::uint32_t slot, Tcb& tcb, bool timed) noexcept {
    const bool served = tcb.fast_opening();
    const std::uint32_t sent_at = tcb.round_trip.rttvar_4;
    tcb.round_trip = {};
    if (timed && !tcb.handshake_retransmitted) tcb.round_trip.sample(core_.us - sent_at);
    tcb.backoff = 0;
    tcb.timer_kind = TimerKind::none;
    tcb.deadline = core_.tick;
    tcb.state = tcb.fin_queued ? State::fin_wait_1 : State::established;
    tcb.cwnd = core_.initial_window(tcb);
    tcb.quick_acks = core_.config.quick_acks & 0xf;
    core_.counters.add(Counter::tcp_established);
    if (tcb.cold != no_slot || tcb.fin_queued) {
        if (tcb.cold != no_slot) core_.colds[tcb.cold].recover = tcb.snd_una - 1;
        core_.want_output(slot, tcb);
    }
    if (tcb.settings != SettingsTable::plain) core_.watch_idle(slot, tcb);
    if (!served) {
        core_.handler_of(tcb).established(core_.handle(slot));
        return;
    }
    core_.pending_fast_opens.end();
    if (tcb.in_flight() > 0) {
        core_.start_timer(slot, tcb, TimerKind::retransmission, core_.rto(tcb));
        if (Cold* const cold = core_.cold_of(tcb)) cold->rto_at = tcb.deadline;
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.4, a passive connection in SYN-RECEIVED

void SegmentArrival::acknowledge_half_open(const HalfOpen& half_open, const Segment& segment) noexcept {
    transmission_.send_bare_ack(segment.ends(), {.seq = half_open.iss + 1,
                                                 .ack = half_open.rcv_nxt(),
                                                 .window = half_open.rcv_wnd,
                                                 .timestamps = half_open.timestamps,
                                                 .ts_offset = half_open.ts_offset,
                                                 .ts_recent = half_open.ts_recent,
                                                 .settings = core_.listeners[half_open.listener].settings});
}

void SegmentArrival::half_open_state(std::uint32_t slot, Segment& segment) noexcept {
    HalfOpen& half_open = core_.half_open[slot];
    // The peer's SYN again: our SYN-ACK was lost. (By the letter it would get an empty ACK, which a peer in
    // SYN-SENT cannot use.)
    if ((segment.flags & (flag::syn | flag::ack | flag::rst)) == flag::syn && segment.seq == half_open.irs) {
        core_.counters.add(Counter::tcp_syns_in);
        if (half_open.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) {
            core_.counters.add(Counter::tcp_synack_retransmits);
            transmission_.send_syn_ack(half_open, segment.ends());
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
            acknowledge_half_open(half_open, segment);
        return;
    }
    // Second: the RST bit. The listener stays and the application hears nothing (RFC 9293 MUST-11).
    if (segment.has(flag::rst)) {
        if (segment.seq == half_open.rcv_nxt()) {
            core_.counters.add(Counter::tcp_resets_in);
            core_.forget_half_open(slot);
            defence_.handshake_reset(segment);
            return;
        }
        core_.counters.drop(DropReason::tcp_reset_challenged);
        if (half_open.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) {
            core_.counters.add(Counter::tcp_challenge_acks);
            acknowledge_half_open(half_open, segment);
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
        // The peer may answer a cookie of before: its SYN came twice, and the table had room for the second.
        const std::uint16_t listener = half_open.listener;
        const auto answers_cookie = [&]() noexcept {
            return defence_.cookies.outstanding(core_.now) &&
                   defence_.cookies.check(segment.flow, segment.seq - 1, segment.ack - 1, core_.now);
        };
        if (answers_cookie()) {
            core_.forget_half_open(slot);
            accept_cookie(segment, listener);
            return;
        }
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
    const HalfOpen& half_open = core_.half_open[slot];
    const std::uint32_t connection = core_.new_tcb(segment.ends(), half_open.flow_hash);
    if (connection == no_slot) {
        // The half-open entry stays: its SYN-ACK comes again, and with it the peer's next chance (RFC 4987).
        core_.counters.drop(DropReason::tcp_connections_full);
        return;
    }
    core_.flows.replace(half_open.flow_hash, Owner{Table::half_open, slot}.encode(),
                        Owner{Table::connection, connection}.encode());
    fill(core_.tcbs[connection], half_open, segment);
    core_.half_open_timers.cancel(slot);
    core_.half_open.free(slot);
    open_passive(connection, segment, true);
}

// What the connection is to begin with, from what was settled and the third segment.
void SegmentArrival::fill(Tcb& tcb, const HalfOpen& half_open, const Segment& segment) noexcept {
    const Listeners::Listener& listener = core_.listeners[half_open.listener];
    core_.handlers.add_user(listener.handler);
    tcb.handler = listener.handler;
    tcb.passive = true;
    tcb.nagle = listener.nagle;
    tcb.settings = listener.settings;
    core_.settings.add_user(tcb.settings);
    tcb.ecn = half_open.ecn;
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
    const std::uint16_t mtu = core_.ip.path_mtu_for(segment.ends().remote_address(), core_.now);
    const bool ipv6 = segment.ipv6 != nullptr;
    tcb.mss = segment_data_size(std::min(half_open.peer_mss, core_.own_mss(tcb.settings, mtu, ipv6)), mtu,
                                ipv6, half_open.timestamps);
    tcb.handshake_retransmitted = half_open.retransmissions > 0;
    tcb.round_trip.rttvar_4 = half_open.sent_at;
    tcb.snd_wnd = std::uint32_t{segment.window} << half_open.snd_wscale;
    tcb.snd_wl1 = segment.seq;
    tcb.snd_wl2 = segment.ack;
    tcb.max_snd_wnd =
        std::max(segment.window, static_cast<std::uint16_t>(half_open.snd_wnd >> half_open.snd_wscale));
}

// `timed`: it is known when the SYN-ACK left.
void SegmentArrival::open_passive(std::uint32_t connection, Segment& segment, bool timed) noexcept {
    Tcb& tcb = core_.tcbs[connection];
    core_.counters.add(Counter::tcp_passive_opens);
    remember_timestamp(tcb, segment);
    established(connection, tcb, timed);
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
    if ((segment.flags & (flag::syn | flag::ack | flag::fin)) == flag::syn) {
        // A new incarnation, if it is certainly newer than all of the old one (RFC 6191 section 2).
        const bool newer = both_stamped
                               ? older_timestamp(entry.ts_recent, segment.ts_value) ||
                                     (entry.ts_recent == segment.ts_value && segment.seq >= entry.rcv_nxt)
                               : segment.seq >= entry.rcv_nxt;
        const std::uint16_t listener =
            core_.listeners.find(segment.ends().local_address(), segment.flow.local_port);
        if (newer && listener != no_listener) {
            const SeqNum above = entry.snd_nxt;
            core_.counters.add(Counter::tcp_time_wait_reopened);
            core_.forget_time_wait(slot);
            listen_state(segment, listener, above == SeqNum{} ? SeqNum{1} : above);
            return;
        }
    }
    core_.counters.drop(DropReason::tcp_time_wait_ignored);
    if (!segment.has(flag::ack) && !segment.has(flag::syn)) return;  // step five: no ACK, no answer
    // An ACK in its place says nothing that needs an answer; all else is answered with ours.
    const bool paws = both_stamped && older_timestamp(segment.ts_value, entry.ts_recent);
    if (!paws && segment.length() == 0 && segment.seq == entry.rcv_nxt) return;
    if (!paws && segment.has(flag::fin) && segment.seq + segment.length() == entry.rcv_nxt)
        core_.time_wait.restart(slot, core_.after(core_.config.time_wait_duration));  // our ACK was lost
    if (!entry.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) return;
    transmission_.send_bare_ack(core_.ends_of(slot, entry),
                                {entry.snd_nxt, entry.rcv_nxt, syn_window(core_.config), entry.timestamps,
                                 entry.ts_offset, entry.ts_recent, entry.settings});
}

}  // namespace runnel::tcp
