// What the parts of one core's TCP share: its tables, its memory, its timers and the present time. Each part
// (segment arrival, transmission, timers, the handles) works on this and on nothing else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "runnel/base/counters.hpp"
#include "runnel/base/eal_memory.hpp"
#include "runnel/base/flow_table.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/slot_pool.hpp"
#include "runnel/base/time.hpp"
#include "runnel/base/timer_wheel.hpp"
#include "runnel/base/transmit_queue.hpp"
#include "runnel/ip/ephemeral_ports.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/connection.hpp"
#include "runnel/tcp/fast_open.hpp"
#include "runnel/tcp/flow.hpp"
#include "runnel/tcp/half_open_table.hpp"
#include "runnel/tcp/handler_table.hpp"
#include "runnel/tcp/handshake_options.hpp"
#include "runnel/tcp/listener.hpp"
#include "runnel/tcp/memory_waiters.hpp"
#include "runnel/tcp/settings_table.hpp"
#include "runnel/tcp/syn_credit.hpp"
#include "runnel/tcp/tcb.hpp"
#include "runnel/tcp/time_wait_table.hpp"

namespace runnel::tcp {

/// The keys of a start, each for one purpose.
struct Secrets {
    HashKey flow, isn, ports, cookies, detectors, fast_open, ipv6;
};

/// How many ranges of sent data there are beyond one a cold block.
[[nodiscard]] constexpr std::uint32_t spare_ranges(const Config& config) noexcept {
    if (config.sent_ranges != 0) return config.sent_ranges;
    return 16384 + (config.cold_blocks == 0 ? config.connections : config.cold_blocks);
}

struct Core {
    Core(Endpoint& owner, const Config& given, const Secrets& secrets, ip::InternetLayer& internet,
         Counters& counts, MbufStash& mbufs, TransmitQueue& queue);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    // -- the present call
    Instant now{};
    Tick tick = 0;               // of now
    std::uint32_t us = 0;        // of now, modulo 2^32
    std::uint32_t ts_clock = 0;  // of now in milliseconds, modulo 2^32 (RFC 7323 section 5.4)
    void set_time(Instant instant) noexcept;

    // -- what it stands on
    Endpoint& endpoint;
    Config config;
    Secrets keys;
    TupleHash flow_hasher;
    FlowDigest digest;      // of the addresses of IPv6
    TupleHash flow_labels;  // of IPv6 (RFC 6437): what they tell is nothing of the flow table's hash
    BlockPrf isn_secret;
    ip::InternetLayer& ip;
    Counters& counters;
    MbufStash& stash;
    TransmitQueue& transmit_queue;

    // -- tables
    FlowTable flows;
    SlotPool<Tcb> tcbs;
    SlotPool<Cold> colds;
    SentRanges ranges;
    StaticOctets static_octets;
    HalfOpenPool half_open;
    TimeWaitTable time_wait;
    Listeners listeners;
    HandlerTable handlers;
    SettingsTable settings;
    ip::EphemeralPorts ports;
    FastOpenCookies fast_open_cookies;
    PendingFastOpens pending_fast_opens;
    FastOpenCache fast_open_servers;
    MemoryWaiters memory_waiters;
    SynCredit syn_credit;
    EalArray<ip::Ipv6Pair> connection_pairs, half_open_pairs,
        time_wait_pairs;  // of IPv6, by slot; else empty
    TimerWheel<Tcb, &Tcb::timer> timers;
    TimerWheel<HalfOpen, &HalfOpen::timer> half_open_timers;

    [[nodiscard]] Connection handle(std::uint32_t slot) noexcept {
        return {&endpoint, slot, tcbs[slot].generation};
    }
    [[nodiscard]] Handler& handler_of(const Tcb& tcb) const noexcept { return handlers[tcb.handler]; }

    /// The owner of a four-tuple as the flow table's value, or FlowTable::none.
    [[nodiscard]] std::uint32_t find(const Ends& ends, std::uint32_t hash) const noexcept {
        return flows.find(hash, [&](std::uint32_t value) noexcept {
            const Owner owner = Owner::decode(value);
            return flow_of(owner) == ends.flow && (ends.ipv6 == nullptr || pair_of(owner) == *ends.ipv6);
        });
    }
    [[nodiscard]] const Flow& flow_of(Owner owner) const noexcept {
        switch (owner.table) {
            case Table::half_open:
                return half_open[owner.slot].flow;
            case Table::time_wait:
                return time_wait[owner.slot].flow;
            case Table::connection:
                break;
        }
        return tcbs[owner.slot].flow;
    }
    /// Prefetches what a value of the flow table points at.
    void prefetch(std::uint32_t value) const noexcept;

    // -- the addresses of IPv6, filed under the same slots; there are none where no interface speaks it
    [[nodiscard]] const ip::Ipv6Pair& pair_of(Owner owner) const noexcept {
        switch (owner.table) {
            case Table::half_open:
                return half_open_pairs[owner.slot];
            case Table::time_wait:
                return time_wait_pairs[owner.slot];
            case Table::connection:
                break;
        }
        return connection_pairs[owner.slot];
    }
    [[nodiscard]] Ends ends_of(const Tcb& tcb) const noexcept {
        if (!tcb.flow.is_ipv6()) [[likely]]
            return {tcb.flow};
        return {tcb.flow, &connection_pairs[static_cast<std::size_t>(&tcb - tcbs.data())]};
    }
    [[nodiscard]] Ends ends_of(std::uint32_t slot, const HalfOpen& entry) const noexcept {
        return {entry.flow, entry.flow.is_ipv6() ? &half_open_pairs[slot] : nullptr};
    }
    [[nodiscard]] Ends ends_of(std::uint32_t slot, const TimeWait& entry) const noexcept {
        return {entry.flow, entry.flow.is_ipv6() ? &time_wait_pairs[slot] : nullptr};
    }

    // -- cold blocks
    [[nodiscard]] Cold* cold_of(const Tcb& tcb) noexcept {
        return tcb.cold == no_slot ? nullptr : &colds[tcb.cold];
    }
    /// The cold block, attached if it was not; null where none is free.
    [[nodiscard]] Cold* attach_cold(Tcb& tcb) noexcept;
    /// Gives the cold block back where nothing needs it any more.
    void detach_idle_cold(Tcb& tcb) noexcept;

    // -- memory
    /// The application was refused octets for want of memory: it will be told when there is some.
    void wait_for_memory(std::uint32_t slot, Tcb& tcb) noexcept {
        tcb.send_blocked = true;
        memory_waiters.add(slot);
    }
    /// Tells some of those who wait, where there is memory.
    void tell_memory_waiters() noexcept;
    /// When `tell_memory_waiters` looks again: what others give back to the pool is seen by looking only.
    [[nodiscard]] Instant memory_deadline() const noexcept {
        return memory_waiters.empty() ? never : std::max(now, memory_looked_at_ + memory_pause);
    }

    // -- timers
    /// Sees that the wheel wakes the connection no later than its earliest deadline. A deadline that moved
    /// back costs nothing: the wheel finds out when it fires.
    void schedule(std::uint32_t slot, Tcb& tcb) noexcept;
    [[nodiscard]] Tick after(Duration delay) const noexcept { return timers.tick_after(now, delay); }
    void start_timer(std::uint32_t slot, Tcb& tcb, TimerKind kind, Duration delay) noexcept;
    /// Nothing is in flight any more.
    void stop_timer(std::uint32_t slot, Tcb& tcb) noexcept {
        tcb.timer_kind = TimerKind::none;
        tcb.deadline = tick;
        if (tcb.settings != SettingsTable::plain) [[unlikely]]
            watch_idle(slot, tcb);
    }
    /// Starts the keep-alive timer where the application wants one and no other runs.
    void watch_idle(std::uint32_t slot, Tcb& tcb) noexcept;
    /// How long nothing has been sent; to be asked while nothing is in flight.
    [[nodiscard]] Duration idle_for(const Tcb& tcb) const noexcept;
    [[nodiscard]] Duration rto(const Tcb& tcb) const noexcept {
        return retransmission_timeout(config, tcb.round_trip, tcb.backoff, tcb.handshake_retransmitted);
    }

    /// How long an application that has closed waits in FIN-WAIT-2.
    [[nodiscard]] Duration fin_wait_2_timeout(const Tcb& tcb) const noexcept {
        const Duration wanted = settings[tcb.settings].fin_wait_2_timeout;
        return wanted != Duration{} ? wanted : config.fin_wait_2_timeout;
    }

    /// The MSS that a connection with these settings announces (RFC 9293 section 3.7.1), and most that it
    /// sends.
    [[nodiscard]] std::uint16_t own_mss(std::uint8_t index, std::uint16_t mtu, bool ipv6) const noexcept {
        const auto mss = static_cast<std::uint16_t>(mtu - headers_size(ipv6));
        if (index == SettingsTable::plain || settings[index].mss == 0) [[likely]]
            return mss;
        return std::min(mss, settings[index].mss);
    }

    // -- congestion control
    /// A control that paces needs to know what each ACK delivers: a peer without SACK gets CUBIC in its
    /// place.
    [[nodiscard]] CongestionAlgorithm algorithm_of(const Tcb& tcb) const noexcept {
        const CongestionAlgorithm wanted =
            tcb.settings == SettingsTable::plain
                ? config.congestion
                : settings[tcb.settings].congestion.value_or(config.congestion);
        return paces(wanted) && !tcb.sack ? CongestionAlgorithm::cubic : wanted;
    }
    /// The window at the start and after an idle time (RFC 6928, RFC 5681 section 3.1).
    [[nodiscard]] std::uint32_t initial_window(const Tcb& tcb) const noexcept {
        if (algorithm_of(tcb) == CongestionAlgorithm::none) return config.fixed_window;
        if (tcb.handshake_retransmitted) return tcb.mss;
        const std::uint32_t mss = tcb.mss;
        return std::min(config.initial_window * mss, std::max(2 * mss, 14600U));
    }
    [[nodiscard]] CongestionWindow window_of(Tcb& tcb) const noexcept {
        return {.cwnd = tcb.cwnd,
                .ssthresh = tcb.ssthresh,
                .mss = tcb.mss,
                .initial = initial_window(tcb),
                .srtt_us = tcb.round_trip.srtt_8 / 8};
    }
    /// Calls `use(Control{}, state)` with the connection's control and what it remembers.
    template <class Use>
    decltype(auto) with_control(const Tcb& tcb, Cold& cold, Use&& use) const noexcept {
        // Most exchanges end before a control is asked for anything: its state is made when it is.
        return with_congestion_control(algorithm_of(tcb), cold.congestion,
                                       [&](auto control, auto& state) noexcept -> decltype(auto) {
                                           if (!cold.congestion_begun) {
                                               std::construct_at(&state);
                                               cold.congestion_begun = true;
                                           }
                                           return use(control, state);
                                       });
    }
    /// Whether the control sets the window at all times, recovery included.
    [[nodiscard]] bool control_owns_window(const Tcb& tcb) const noexcept {
        return owns_window(algorithm_of(tcb));
    }
    /// ssthresh after a loss with `flight` octets outstanding.
    [[nodiscard]] std::uint32_t ssthresh_after_loss(Tcb& tcb, Cold& cold, std::uint32_t flight,
                                                    Reduction why) const noexcept {
        return with_control(tcb, cold, [&](auto control, auto& state) noexcept {
            return control.ssthresh_after_loss(state, window_of(tcb), flight, now, why);
        });
    }

    // -- output
    /// Lists the connection for transmission.
    void want_output(std::uint32_t slot, Tcb& tcb) noexcept;
    /// The next connection listed; no_slot where none is.
    [[nodiscard]] std::uint32_t take_pending() noexcept;
    /// Puts a connection back at the front: its turn was not over.
    void untake_pending(std::uint32_t slot, Tcb& tcb) noexcept;
    [[nodiscard]] bool output_wanted() const noexcept { return pending_head_ != pending_end_; }
    /// Until when what is listed waits for memory.
    void wait_with_output() noexcept { output_after_ = now + memory_pause; }
    void go_on_with_output() noexcept { output_after_ = Instant{}; }
    /// When what is listed can be sent.
    [[nodiscard]] Instant output_deadline() const noexcept {
        return output_wanted() ? std::max(now, output_after_) : never;
    }

    /// How many octets the list of them takes.
    [[nodiscard]] static constexpr std::size_t pending_bytes(std::uint32_t connections) noexcept {
        return EalArray<std::uint32_t>::bytes(std::size_t{connections} + pending_slack);
    }

    // -- the end of connections
    /// A TCB for a new connection, zeroed but for its generation; no_slot where the table is full.
    [[nodiscard]] std::uint32_t new_tcb(const Ends& ends, std::uint32_t hash) noexcept;
    /// Memory has run short: looks at some connections, and gives up the first whose peer has kept its window
    /// closed over many probes (CERT-FI "sockstress", CVE-2008-4609). It is reset with the next transmission.
    void make_room() noexcept;
    /// Ends a connection: tells the handler, forgets the four-tuple, frees all it held.
    void end(std::uint32_t slot, CloseReason reason) noexcept;
    /// Ends a connection for its handler and keeps its four-tuple in TIME-WAIT.
    void enter_time_wait(std::uint32_t slot) noexcept;
    void forget_half_open(std::uint32_t slot) noexcept;
    void forget_time_wait(std::uint32_t slot) noexcept;
    void expire_time_wait() noexcept;
    /// When `expire_time_wait` has work next.
    [[nodiscard]] Instant time_wait_deadline() const noexcept;

  private:
    // Room for stale entries before the list of pending connections is compacted.
    static constexpr std::size_t pending_slack = 1024;
    static constexpr Duration memory_pause = 1ms;

    void release(std::uint32_t slot) noexcept;
    void compact_pending() noexcept;

    EalArray<std::uint32_t> pending_;  // slots; stale where the TCB no longer says `output_pending`
    std::size_t pending_head_ = 0, pending_end_ = 0;
    Instant memory_looked_at_{};
    Instant output_after_{};
    std::uint32_t room_cursor_ = 0;  // where `make_room` looks next
};

}  // namespace runnel::tcp
