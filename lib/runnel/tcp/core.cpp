#include "runnel/tcp/core.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace runnel::tcp {

namespace {

bool earlier(Tick a, Tick b) noexcept {
    return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

Core::Core(Endpoint& owner, const Config& given, const Secrets& secrets, ip::InternetLayer& internet,
           Counters& counts, MbufStash& mbufs, TransmitQueue& queue)
    : endpoint(owner),
      config(given),
      keys(secrets),
      flow_hasher(secrets.flow),
      digest(secrets.ipv6),
      flow_labels({siphash_2_4(secrets.ipv6, UINT64_MAX, 0), siphash_2_4(secrets.ipv6, UINT64_MAX, 1)}),
      isn_secret(secrets.isn),
      ip(internet),
      counters(counts),
      stash(mbufs),
      transmit_queue(queue),
      flows("flow table (tcp connections + half_open + time_wait)",
            given.connections + given.half_open + given.time_wait),
      tcbs("connections", given.connections),
      colds("cold blocks", given.cold_blocks == 0 ? given.connections : given.cold_blocks),
      ranges("sent ranges", given.cold_blocks == 0 ? given.connections : given.cold_blocks,
             spare_ranges(given)),
      half_open("half-open connections", given.half_open),
      time_wait(given.time_wait),
      ports(secrets.ports, given.ephemeral_first, given.ephemeral_last, config.home_ports.get()),
      fast_open_cookies(secrets.fast_open, given.fast_open_key),
      pending_fast_opens(given.fast_open_pending),
      // No address is as large as this: the table's key says nothing of the cookies.
      fast_open_servers(given.fast_open_servers, {siphash_2_4(secrets.fast_open, UINT64_MAX, 0),
                                                  siphash_2_4(secrets.fast_open, UINT64_MAX, 1)}),
      memory_waiters(given.connections),
      connection_pairs("IPv6 addresses of connections", internet.speaks_ipv6() ? given.connections : 0),
      half_open_pairs("IPv6 addresses of half-open connections",
                      internet.speaks_ipv6() ? given.half_open : 0),
      time_wait_pairs("IPv6 addresses in TIME-WAIT", internet.speaks_ipv6() ? given.time_wait : 0),
      timers(tcbs.data(), Instant{}),
      half_open_timers(half_open.data(), Instant{}),
      pending_("connections that want to send", given.connections + pending_slack) {
    set_time(Instant{});
}

Core::~Core() {
    for (std::uint32_t slot = 0; slot < tcbs.capacity() && tcbs.size() > 0; ++slot)
        if (tcbs.live(slot)) release(slot);
}

void Core::set_time(Instant instant) noexcept {
    // The wheels must not stand further behind than they can see when the first timer is armed.
    if (timers.size() == 0) timers.advance(instant, [](std::uint32_t) noexcept {});
    if (half_open_timers.size() == 0) half_open_timers.advance(instant, [](std::uint32_t) noexcept {});
    now = instant;
    const auto ns = static_cast<std::uint64_t>(instant.time_since_epoch().count());
    tick = static_cast<Tick>(ns >> 17);
    us = static_cast<std::uint32_t>(ns / 1000);
    ts_clock = static_cast<std::uint32_t>(ns / 1000000);
}

void Core::prefetch(std::uint32_t value) const noexcept {
    const Owner owner = Owner::decode(value);
    switch (owner.table) {
        case Table::connection:
            tcbs.prefetch(owner.slot);
            break;
        case Table::half_open:
            half_open.prefetch(owner.slot);
            break;
        case Table::time_wait:
            time_wait.prefetch(owner.slot);
            break;
    }
}

Cold* Core::attach_cold(Tcb& tcb) noexcept {
    if (tcb.cold != no_slot) return &colds[tcb.cold];
    tcb.cold = colds.allocate();
    if (tcb.cold == no_slot) [[unlikely]] {
        counters.drop(DropReason::tcp_cold_blocks_full);
        make_room();
        return nullptr;
    }
    Cold& cold = *::new (&colds[tcb.cold]) Cold;
    cold.rto_at = tcb.deadline;  // of a FIN that is on its way
    cold.retransmitted_to = tcb.snd_una;
    cold.recover = tcb.recovered ? tcb.snd_una : tcb.snd_una - 1;
    cold.small_end = tcb.snd_una;
    return &cold;
}

void Core::tell_memory_waiters() noexcept {
    constexpr unsigned most = 256;
    if (now < memory_looked_at_ + memory_pause) return;
    memory_looked_at_ = now;
    for (unsigned i = 0; i < most && stash.has_data(); ++i) {
        const std::uint32_t slot = memory_waiters.take();
        if (slot == no_slot) return;
        Tcb& tcb = tcbs[slot];
        if (!tcb.send_blocked || tcb.aborting) continue;  // told meanwhile, by an ACK
        const bool no_block = tcb.cold == no_slot && colds.size() == colds.capacity();
        if (no_block || (!tcb.handshake_done() && !tcb.fast_opening())) {
            memory_waiters.add(slot);
            continue;
        }
        tcb.send_blocked = false;
        handler_of(tcb).writable(handle(slot));
    }
}

void Core::detach_idle_cold(Tcb& tcb) noexcept {
    if (tcb.cold == no_slot) return;
    const Cold& cold = colds[tcb.cold];
    const bool needed = cold.queue.size() > 0 || !cold.board.empty() || !cold.out_of_order.empty() ||
                        cold.fin_held || cold.urgent_in || cold.recovering() ||
                        cold.reported.duplicate_due() || cold.fast_open != FastOpenUse::none ||
                        cold.full_mss != 0 || cold.corked || keeps_state(algorithm_of(tcb));
    if (needed) return;
    tcb.paced = false;
    colds.free(tcb.cold);
    tcb.cold = no_slot;
}

void Core::schedule(std::uint32_t slot, Tcb& tcb) noexcept {
    const bool long_timer = tcb.timer_kind != TimerKind::none;
    if (!long_timer && !tcb.ack_delayed && !tcb.paced) return;
    Tick first = tick + TimerWheel<Tcb, &Tcb::timer>::furthest;
    if (long_timer) first = tcb.deadline;
    if (tcb.ack_delayed && earlier(tcb.ack_deadline, first)) first = tcb.ack_deadline;
    if (tcb.paced) {
        const Tick pace = timers.to_tick(colds[tcb.cold].pace_at);
        if (earlier(pace, first)) first = pace;
    }
    if (!timers.armed(slot) || earlier(first, tcb.timer.expires)) timers.arm(slot, first);
}

void Core::start_timer(std::uint32_t slot, Tcb& tcb, TimerKind kind, Duration delay) noexcept {
    tcb.timer_kind = kind;
    tcb.deadline = after(delay);
    schedule(slot, tcb);
}

void Core::watch_idle(std::uint32_t slot, Tcb& tcb) noexcept {
    const std::optional<KeepAlive>& wanted = settings[tcb.settings].keep_alive;
    if (!wanted || tcb.timer_kind != TimerKind::none || tcb.in_flight() != 0 || !tcb.handshake_done()) return;
    tcb.backoff = 0;
    start_timer(slot, tcb, TimerKind::keep_alive, wanted->idle);
}

Duration Core::idle_for(const Tcb& tcb) const noexcept {
    Tick since = tcb.deadline;
    if (tcb.timer_kind == TimerKind::keep_alive)
        since -= static_cast<Tick>(settings[tcb.settings].keep_alive->idle / timers.tick_length);
    return timers.tick_length * std::max<std::int64_t>(static_cast<std::int32_t>(tick - since), 0);
}

void Core::want_output(std::uint32_t slot, Tcb& tcb) noexcept {
    if (tcb.output_pending) return;
    tcb.output_pending = true;
    if (pending_end_ == pending_.size()) [[unlikely]]
        compact_pending();
    pending_[pending_end_++] = slot;
}

std::uint32_t Core::take_pending() noexcept {
    while (pending_head_ < pending_end_) {
        const std::uint32_t slot = pending_[pending_head_++];
        if (pending_head_ == pending_end_) pending_head_ = pending_end_ = 0;
        Tcb& tcb = tcbs[slot];
        if (!tcb.output_pending) continue;
        tcb.output_pending = false;
        return slot;
    }
    return no_slot;
}

void Core::untake_pending(std::uint32_t slot, Tcb& tcb) noexcept {
    if (pending_head_ == 0) {
        want_output(slot, tcb);
        return;
    }
    if (tcb.output_pending) return;
    tcb.output_pending = true;
    pending_[--pending_head_] = slot;
}

// At most one entry a live connection says `output_pending` truly; all others go. There are never more of
// these than connections, so this always makes room.
void Core::compact_pending() noexcept {
    std::size_t kept = 0;
    for (std::size_t i = pending_head_; i < pending_end_; ++i) {
        Tcb& tcb = tcbs[pending_[i]];
        if (!tcb.output_pending) continue;
        tcb.output_pending = false;  // a second entry of this slot is not kept
        pending_[kept++] = pending_[i];
    }
    pending_head_ = 0;
    pending_end_ = kept;
    for (std::size_t i = 0; i < kept; ++i) tcbs[pending_[i]].output_pending = true;
}

std::uint32_t Core::new_tcb(const Ends& ends, std::uint32_t hash) noexcept {
    const std::uint32_t slot = tcbs.allocate();
    if (slot == no_slot) [[unlikely]] {
        make_room();
        return no_slot;
    }
    Tcb& tcb = tcbs[slot];
    const std::uint32_t generation = tcb.generation;
    tcb = Tcb{};
    tcb.generation = generation;
    tcb.flow = ends.flow;
    if (ends.ipv6 != nullptr) connection_pairs[slot] = *ends.ipv6;
    tcb.flow_hash = hash;
    tcb.cold = no_slot;
    tcb.ssthresh = 0x7fffffff;
    return slot;
}

void Core::release(std::uint32_t slot) noexcept {
    Tcb& tcb = tcbs[slot];
    if (Cold* cold = cold_of(tcb)) {
        cold->queue.clear(stash);
        cold->out_of_order.clear(stash);
        cold->board.clear(ranges);
        colds.free(tcb.cold);
        tcb.cold = no_slot;
    }
    timers.cancel(slot);
    memory_waiters.remove(slot);
    handlers.release(tcb.handler);
    settings.release(tcb.settings);
    tcb.settings = SettingsTable::plain;
    tcb.output_pending = false;
    tcb.state = State::closed;
    tcbs.free(slot);
}

void Core::make_room() noexcept {
    constexpr std::uint32_t looked_at = 64;
    constexpr std::uint8_t probes = 6;  // some 12 s at the least
    for (std::uint32_t i = 0; i < looked_at; ++i) {
        room_cursor_ = room_cursor_ + 1 < tcbs.capacity() ? room_cursor_ + 1 : 0;
        if (!tcbs.live(room_cursor_)) continue;
        Tcb& tcb = tcbs[room_cursor_];
        if (tcb.snd_wnd != 0 || tcb.backoff < probes || !tcb.handshake_done() || tcb.aborting ||
            (tcb.timer_kind != TimerKind::persist && tcb.timer_kind != TimerKind::retransmission))
            continue;
        counters.add(Counter::tcp_closed_windows_given_up);
        tcb.aborting = true;
        want_output(room_cursor_, tcb);
        return;
    }
}

void Core::end(std::uint32_t slot, CloseReason reason) noexcept {
    Tcb& tcb = tcbs[slot];
    flows.erase(tcb.flow_hash, Owner{Table::connection, slot}.encode());
    counters.add(tcb.handshake_done() || tcb.passive ? Counter::tcp_closed : Counter::tcp_connect_failed);
    if (reason == CloseReason::timed_out) counters.add(Counter::tcp_timed_out);
    if (tcb.fast_opening()) {
        if (reason == CloseReason::reset)
            pending_fast_opens.reset(now);
        else
            pending_fast_opens.end();
    }
    tcb.aborting = false;  // the handle is good while `closed` runs
    tcb.state = State::closed;
    handler_of(tcb).closed(handle(slot), reason);
    release(slot);
}

void Core::enter_time_wait(std::uint32_t slot) noexcept {
    Tcb& tcb = tcbs[slot];
    if (config.time_wait == 0) {
        end(slot, CloseReason::orderly);
        return;
    }
    std::uint32_t waiting = time_wait.add();
    if (waiting == no_slot) {
        counters.add(Counter::tcp_time_wait_recycled);
        forget_time_wait(time_wait.oldest());
        waiting = time_wait.add();
    }
    TimeWait& entry = time_wait[waiting];
    entry.flow = tcb.flow;
    if (tcb.flow.is_ipv6()) time_wait_pairs[waiting] = connection_pairs[slot];
    entry.flow_hash = tcb.flow_hash;
    entry.snd_nxt = tcb.snd_nxt;
    entry.rcv_nxt = tcb.rcv_nxt;
    entry.ts_recent = tcb.ts_recent;
    entry.ts_offset = tcb.ts_offset;
    entry.timestamps = tcb.timestamps;
    entry.settings = tcb.settings;
    settings.add_user(entry.settings);
    entry.challenges = tcb.challenges;
    entry.expires = after(config.time_wait_duration);
    flows.replace(tcb.flow_hash, Owner{Table::connection, slot}.encode(),
                  Owner{Table::time_wait, waiting}.encode());
    counters.add(Counter::tcp_time_wait_entered);
    counters.add(Counter::tcp_closed);
    tcb.aborting = false;
    tcb.state = State::time_wait;
    handler_of(tcb).closed(handle(slot), CloseReason::orderly);
    release(slot);
}

void Core::forget_half_open(std::uint32_t slot) noexcept {
    flows.erase(half_open[slot].flow_hash, Owner{Table::half_open, slot}.encode());
    half_open_timers.cancel(slot);
    half_open.free(slot);
}

void Core::forget_time_wait(std::uint32_t slot) noexcept {
    flows.erase(time_wait[slot].flow_hash, Owner{Table::time_wait, slot}.encode());
    settings.release(time_wait[slot].settings);
    time_wait.remove(slot);
}

void Core::expire_time_wait() noexcept {
    while (time_wait.oldest() != no_slot && !earlier(tick, time_wait[time_wait.oldest()].expires))
        forget_time_wait(time_wait.oldest());
}

Instant Core::time_wait_deadline() const noexcept {
    return time_wait.oldest() == no_slot ? never : timers.to_instant(time_wait[time_wait.oldest()].expires);
}

}  // namespace runnel::tcp
