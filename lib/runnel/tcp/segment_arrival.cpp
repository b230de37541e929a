#include "runnel/tcp/segment_arrival.hpp"

#include "runnel/base/mbuf_cut.hpp"
#include "runnel/tcp/handshake_options.hpp"
#include "runnel/tcp/isn.hpp"

namespace runnel::tcp {

namespace flag = wire::tcp_flags;

namespace {

// Units of Tcb::ts_recent_age: 2^36 ns.
std::uint16_t age_clock(Instant now) noexcept {
    return static_cast<std::uint16_t>(now.time_since_epoch().count() >> 36);
}
// TS.Recent is no longer to be believed after 24 days (RFC 7323 section 5.5).
constexpr std::uint16_t outdated = std::chrono::nanoseconds{24h * 24}.count() >> 36;

bool older_timestamp(std::uint32_t a, std::uint32_t b) noexcept {
    return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

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
    tcb.ts_recent = options.ts_value;
    tcb.ts_recent_age = age_clock(core_.now);
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
    tcb.cwnd = transmission_.initial_window(tcb);
    core_.counters.add(Counter::tcp_established);
    if (tcb.cold != no_slot || tcb.fin_queued) {
        if (tcb.cold != no_slot) core_.colds[tcb.cold].recover = tcb.snd_una - 1;
        core_.want_output(slot, tcb);
    }
    core_.handler_of(tcb).established(core_.handle(slot));
}

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.4, a passive connection in SYN-RECEIVED

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
            transmission_.send_bare_ack(half_open.flow,
                                        {half_open.iss + 1, half_open.rcv_nxt(), half_open.rcv_wnd,
                                         half_open.timestamps, half_open.ts_offset, half_open.ts_recent});
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
            transmission_.send_bare_ack(half_open.flow,
                                        {half_open.iss + 1, half_open.rcv_nxt(), half_open.rcv_wnd,
                                         half_open.timestamps, half_open.ts_offset, half_open.ts_recent});
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
    tcb.ts_recent = half_open.ts_recent;
    tcb.ts_recent_age = age_clock(core_.now);
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

// ---------------------------------------------------------------------------------------------------------------------
// 3.10.7.4, all other states

void SegmentArrival::synchronized_state(std::uint32_t slot, Segment& segment) noexcept {
    Tcb& tcb = core_.tcbs[slot];
    if (tcb.state == State::syn_received && segment.has(flag::syn) && segment.seq + 1 == tcb.rcv_nxt)
        [[unlikely]] {
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
    if (!check_timestamp(tcb, segment)) return;
    if (!check_sequence(slot, tcb, segment)) return;
    if (!check_rst(slot, tcb, segment)) return;
    if (!check_syn(tcb, segment)) return;
    remember_timestamp(tcb, segment);
    if (!check_ack(slot, tcb, segment)) return;
    check_urg(slot, tcb, segment);
    process_text(slot, tcb, segment);
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
    const auto age = static_cast<std::uint16_t>(age_clock(core_.now) - tcb.ts_recent_age);
    if (age >= outdated) {
        tcb.ts_recent = segment.ts_value;
        tcb.ts_recent_age = age_clock(core_.now);
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
    core_.counters.drop(segment.seq + length <= tcb.rcv_nxt && length > 0 ? DropReason::tcp_duplicate_data
                                                                          : DropReason::tcp_out_of_window);
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
    core_.end(slot, tcb.state == State::syn_received ? CloseReason::refused : CloseReason::reset);
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
        if (segment.ack <= tcb.snd_una || segment.ack > tcb.snd_nxt) {
            core_.counters.drop(DropReason::tcp_bad_ack);
            transmission_.send_reset_for(segment);
            return false;
        }
        tcb.snd_una += 1;  // our SYN
        tcb.snd_wnd = std::uint32_t{segment.window} << tcb.snd_wscale;
        tcb.snd_wl1 = segment.seq;
        tcb.snd_wl2 = segment.ack;
        tcb.max_snd_wnd = std::max(tcb.max_snd_wnd, segment.window);
        established(slot, tcb);
        return !tcb.aborting;
    }
    // RFC 5961 section 5.2: an ACK of what was not sent, or of what nobody can still be acknowledging.
    if (segment.ack > tcb.snd_nxt || segment.ack < tcb.snd_una - tcb.largest_snd_wnd()) {
        core_.counters.drop(DropReason::tcp_bad_ack);
        transmission_.send_challenge_ack(tcb);
        return false;
    }
    const std::uint32_t window = std::uint32_t{segment.window} << tcb.snd_wscale;
    // What acknowledges more than all before is newer than all before, whatever its sequence number.
    const bool newest = segment.ack > tcb.snd_una;
    if (newest) {
        acknowledgement_.advance(slot, tcb, segment);
    } else if (segment.ack == tcb.snd_una) {
        if (tcb.in_flight() > 0 && segment.length() == 0 && window == tcb.snd_wnd && !segment.has(flag::fin))
            acknowledgement_.duplicate(slot, tcb);
        if (Cold* const cold = core_.cold_of(tcb)) cold->probe_unanswered = false;
    }
    if (newest || (segment.ack == tcb.snd_una &&
                   (tcb.snd_wl1 < segment.seq || (tcb.snd_wl1 == segment.seq && tcb.snd_wl2 <= segment.ack))))
        acknowledgement_.update_window(slot, tcb, segment, window);
    if (tcb.aborting) [[unlikely]]
        return false;
    if (tcb.fin_sent && tcb.snd_una == tcb.snd_nxt) return our_fin_acknowledged(slot, tcb);
    return true;
}

bool SegmentArrival::our_fin_acknowledged(std::uint32_t slot, Tcb& tcb) noexcept {
    switch (tcb.state) {
        case State::fin_wait_1:
            tcb.state = State::fin_wait_2;
            if (tcb.closed_by_application)
                core_.start_timer(slot, tcb, TimerKind::fin_wait_2, core_.config.fin_wait_2_timeout);
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
        transmission_.send_reset(tcb);
        core_.end(slot, CloseReason::aborted);
        return;
    }
    if (!trim(tcb, segment)) {
        acknowledge_text(slot, tcb, true);
        return;
    }
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
            while (!tcb.aborting) {
                rte_mbuf* const next = cold->out_of_order.pop(tcb.rcv_nxt, core_.stash);
                if (next == nullptr) break;
                tcb.rcv_nxt += next->pkt_len;
                deliver(slot, tcb, next);
                cold = core_.cold_of(tcb);
                if (cold == nullptr) break;
            }
        }
        if (tcb.aborting) return;
        acknowledge_text(slot, tcb, fills_gap);
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

// A segment before its turn is held, and answered at once: the peer counts these answers (RFC 5681
// section 4.2).
void SegmentArrival::hold_out_of_order(Tcb& tcb, Segment& segment, bool fin) noexcept {
    core_.counters.add(Counter::tcp_out_of_order_in);
    if (Cold* const cold = core_.attach_cold(tcb)) {
        bool held = true;
        if (segment.text > 0) {
            const SeqNum start = segment.seq;
            switch (cold->out_of_order.insert(segment.mbuf, start, core_.config.out_of_order_limit,
                                              core_.stash)) {
                case OutOfOrderQueue::Outcome::held:
                    segment.mbuf = nullptr;
                    break;
                case OutOfOrderQueue::Outcome::duplicate:
                    core_.counters.drop(DropReason::tcp_duplicate_data);
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
        core_.detach_idle_cold(tcb);
    }
    transmission_.send_ack(tcb);
}

// ACKs wait a little for company: at most 500 ms (RFC 9293 MUST-40) and at most for a second segment
// (SHLD-19). What a burst brings is acknowledged once, when all of it has been processed (MUST-59).
void SegmentArrival::acknowledge_text(std::uint32_t slot, Tcb& tcb, bool at_once) noexcept {
    if (at_once || tcb.ack_delayed) {
        tcb.ack_now = true;
    } else {
        tcb.ack_delayed = true;
        tcb.ack_deadline = core_.after(core_.config.delayed_ack);
    }
    core_.want_output(slot, tcb);
}

// Eighth: the FIN bit; all before it has been delivered.
void SegmentArrival::check_fin(std::uint32_t slot, Tcb& tcb) noexcept {
    tcb.rcv_nxt += 1;
    tcb.ack_now = true;
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
    tcb.ts_recent_age = age_clock(core_.now);
}

}  // namespace runnel::tcp
