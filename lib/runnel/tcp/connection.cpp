// The calls of an application on its connection (RFC 9293 section 3.10.1 to 3.10.6). None of them sends or
// ends anything by itself: they leave word in the TCB, and the next transmission acts on it, so a handler may
// call them at any time.
#include "runnel/tcp/connection.hpp"

#include <algorithm>

#include "runnel/tcp/parts.hpp"

namespace runnel::tcp {

namespace {

bool over(const Tcb& tcb) noexcept {
    return tcb.aborting || tcb.state == State::closed || tcb.state == State::time_wait;
}

bool open_for_sending(const Tcb& tcb) noexcept {
    return !tcb.fin_queued && (tcb.state == State::syn_sent || tcb.state == State::syn_received ||
                               tcb.state == State::established || tcb.state == State::close_wait);
}

void queue_abort(Core& core, std::uint32_t slot, Tcb& tcb) noexcept {
    tcb.aborting = true;
    core.want_output(slot, tcb);
}

void queue_fin(Core& core, std::uint32_t slot, Tcb& tcb) noexcept {
    tcb.fin_queued = true;
    if (tcb.state == State::established) tcb.state = State::fin_wait_1;
    if (tcb.state == State::close_wait) tcb.state = State::last_ack;
    core.want_output(slot, tcb);
}

// Asks `take(queue, room)` to append to the send queue; it returns how many octets it took of the `wanted`.
template <class Take>
SendResult enqueue(Core& core, std::uint32_t slot, Tcb& tcb, std::size_t wanted, Take&& take,
                   bool more = false) noexcept {
    if (!open_for_sending(tcb)) return {0, Error::wrong_state};
    if (wanted == 0) return {};
    Cold* const cold = core.attach_cold(tcb);
    if (cold == nullptr) {
        core.wait_for_memory(slot, tcb);
        return {0, Error::no_memory};
    }
    const std::size_t room = core.config.send_buffer - std::min(cold->queue.size(), core.config.send_buffer);
    const std::size_t taken = take(*cold, room);
    if (taken > 0) {
        cold->more = cold->more_held = more;
        cold->released = false;
        core.want_output(slot, tcb);
    }
    core.detach_idle_cold(tcb);
    if (taken == wanted) return {taken, Error::none};
    if (room < wanted) {
        tcb.send_blocked = true;
        return {taken, Error::buffer_full};
    }
    core.wait_for_memory(slot, tcb);
    return {taken, Error::no_memory};
}

}  // namespace

Tcb* Connection::find() const noexcept {
    return endpoint_ == nullptr ? nullptr : endpoint_->core().tcbs.get(slot_, generation_);
}

bool Connection::alive() const noexcept {
    const Tcb* const tcb = find();
    return tcb != nullptr && !tcb->aborting;
}

void Connection::prefetch() const noexcept {
    if (endpoint_ != nullptr) endpoint_->prefetch(slot_);
}

SendResult Connection::send(std::span<const std::byte> octets) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return {0, Error::no_connection};
    Core& core = endpoint_->core();
    return enqueue(core, slot_, *tcb, octets.size(), [&](Cold& cold, std::size_t room) noexcept {
        return cold.queue.append_copy(octets.first(std::min(room, octets.size())), core.stash);
    });
}

SendResult Connection::send_more(std::span<const std::byte> octets) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return {0, Error::no_connection};
    Core& core = endpoint_->core();
    return enqueue(
        core, slot_, *tcb, octets.size(),
        [&](Cold& cold, std::size_t room) noexcept {
            return cold.queue.append_copy(octets.first(std::min(room, octets.size())), core.stash);
        },
        true);
}

SendResult Connection::send_static(std::span<const std::byte> octets) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return {0, Error::no_connection};
    Core& core = endpoint_->core();
    return enqueue(core, slot_, *tcb, octets.size(),
                   [&](Cold& cold, std::size_t room) noexcept -> std::size_t {
                       const auto part = octets.first(std::min(room, octets.size()));
                       return !part.empty() && cold.queue.append_static(part, core.stash) ? part.size() : 0;
                   });
}

SendResult Connection::send(rte_mbuf* mbuf) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return {0, Error::no_connection};
    Core& core = endpoint_->core();
    return enqueue(core, slot_, *tcb, mbuf->pkt_len,
                   [&](Cold& cold, std::size_t room) noexcept -> std::size_t {
                       if (mbuf->pkt_len > room) return 0;
                       const std::size_t octets = mbuf->pkt_len;
                       cold.queue.append_mbuf(mbuf, core.stash);
                       return octets;
                   });
}

SendResult Connection::send_urgent(std::span<const std::byte> octets) noexcept {
    const SendResult result = send(octets);
    if (result.accepted == 0) return result;
    Core& core = endpoint_->core();
    Tcb& tcb = core.tcbs[slot_];
    Cold& cold = *core.cold_of(tcb);
    cold.urgent_out = true;
    // SND.UNA is ISS until the SYN is acknowledged, and data starts after it.
    const std::uint32_t syn = tcb.handshake_done() ? 0 : 1;
    cold.snd_up = tcb.snd_una + syn + cold.queue.size();
    return result;
}

Error Connection::consume(std::size_t octets) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return Error::no_connection;
    Core& core = endpoint_->core();
    tcb->unconsumed -= static_cast<std::uint32_t>(std::min<std::size_t>(octets, tcb->unconsumed));
    if (endpoint_->parts_->transmission.window_update_due(*tcb)) core.want_output(slot_, *tcb);
    return Error::none;
}

Error Connection::shutdown() noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return Error::no_connection;
    Core& core = endpoint_->core();
    if (!open_for_sending(*tcb)) return Error::wrong_state;
    queue_fin(core, slot_, *tcb);
    return Error::none;
}

Error Connection::close() noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return Error::no_connection;
    Core& core = endpoint_->core();
    if (tcb->closed_by_application) return Error::wrong_state;
    tcb->closed_by_application = true;
    const Cold* const cold = core.cold_of(*tcb);
    const bool data_lost = tcb->unconsumed > 0 || (cold != nullptr && !cold->out_of_order.empty());
    if (data_lost || tcb->state == State::syn_sent) {
        queue_abort(core, slot_, *tcb);
    } else if (!tcb->fin_queued) {
        queue_fin(core, slot_, *tcb);
    } else if (tcb->state == State::fin_wait_2) {
        core.start_timer(slot_, *tcb, TimerKind::fin_wait_2, core.fin_wait_2_timeout(*tcb));
    }
    return Error::none;
}

Error Connection::abort() noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return Error::no_connection;
    Core& core = endpoint_->core();
    queue_abort(core, slot_, *tcb);
    return Error::none;
}

Error Connection::set_nagle(bool on) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return Error::no_connection;
    Core& core = endpoint_->core();
    tcb->nagle = on;
    if (Cold* const cold = core.cold_of(*tcb); cold != nullptr && !on) cold->released = true;
    core.want_output(slot_, *tcb);
    return Error::none;
}

Error Connection::set_cork(bool on) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return Error::no_connection;
    Core& core = endpoint_->core();
    Cold* const cold = on ? core.attach_cold(*tcb) : core.cold_of(*tcb);
    if (cold == nullptr) return on ? Error::no_memory : Error::none;
    cold->corked = on;
    cold->more_held = cold->released = false;
    core.detach_idle_cold(*tcb);
    core.want_output(slot_, *tcb);
    return Error::none;
}

Error Connection::set_user_timeout(Duration timeout) noexcept {
    Settings changed = settings();
    changed.user_timeout = std::max(timeout, Duration{});
    return set(changed);
}

Error Connection::set(const Settings& settings) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr || over(*tcb)) return Error::no_connection;
    if (!valid(settings)) return Error::invalid_setting;
    Core& core = endpoint_->core();
    const std::uint16_t index = core.settings.acquire(settings);
    if (index == SettingsTable::none) return Error::no_memory;
    const CongestionAlgorithm before = core.algorithm_of(*tcb);
    core.settings.release(tcb->settings);
    tcb->settings = static_cast<std::uint8_t>(index);
    Cold* const cold = core.cold_of(*tcb);
    if (cold != nullptr && core.algorithm_of(*tcb) != before) cold->congestion_begun = false;
    if (tcb->timer_kind == TimerKind::none || tcb->timer_kind == TimerKind::keep_alive) {
        if (tcb->timer_kind == TimerKind::keep_alive) tcb->timer_kind = TimerKind::none;
        core.watch_idle(slot_, *tcb);
    }
    core.detach_idle_cold(*tcb);
    return Error::none;
}

Settings Connection::settings() const noexcept {
    const Tcb* const tcb = find();
    return tcb == nullptr ? Settings{} : endpoint_->core().settings[tcb->settings];
}

Error Connection::set_context(std::uint64_t context) noexcept {
    Tcb* const tcb = find();
    if (tcb == nullptr) return Error::no_connection;
    tcb->context = context;
    return Error::none;
}

std::uint64_t Connection::context() const noexcept {
    const Tcb* const tcb = find();
    return tcb == nullptr ? 0 : tcb->context;
}

ConnectionInfo Connection::info() const noexcept {
    ConnectionInfo info;
    const Tcb* const tcb = find();
    if (tcb == nullptr) return info;
    Core& core = endpoint_->core();
    const Cold* const cold = core.cold_of(*tcb);
    const std::size_t queued = cold == nullptr ? 0 : cold->queue.size();
    info.state = tcb->state;
    const Ends ends = core.ends_of(*tcb);
    info.local_address = ends.local_address();
    info.remote_address = ends.remote_address();
    info.local_port = tcb->flow.local_port;
    info.remote_port = tcb->flow.remote_port;
    info.snd_una = tcb->snd_una.value();
    info.snd_nxt = tcb->snd_nxt.value();
    info.snd_wnd = tcb->snd_wnd;
    info.rcv_nxt = tcb->rcv_nxt.value();
    info.rcv_wnd = tcb->rcv_wnd();
    info.cwnd = tcb->cwnd;
    info.ssthresh = tcb->ssthresh;
    info.mss = tcb->mss;
    info.rto = core.rto(*tcb);
    if (tcb->handshake_done()) {
        info.srtt = std::chrono::microseconds{tcb->round_trip.srtt_8 / 8};
        info.rttvar = std::chrono::microseconds{tcb->round_trip.rttvar_4 / 4};
    }
    info.snd_wscale = tcb->snd_wscale;
    info.rcv_wscale = tcb->rcv_wscale;
    info.timestamps = tcb->timestamps;
    info.sack = tcb->sack;
    info.ecn = tcb->ecn && tcb->handshake_done();
    info.unacknowledged = std::min<std::size_t>(queued, tcb->in_flight());
    info.unsent = queued - info.unacknowledged;
    info.unconsumed = tcb->unconsumed;
    return info;
}

}  // namespace runnel::tcp
