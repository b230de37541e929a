// One core's loop: receive a burst, process, run timers and tasks, send a burst, again.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include <rte_mbuf.h>
#include <rte_pause.h>

#include "runnel/base/stage_marks.hpp"
#include "runnel/base/time.hpp"
#include "runnel/port/wire.hpp"
#include "runnel/runtime/clock.hpp"
#include "runnel/runtime/loop_statistics.hpp"
#include "runnel/runtime/mailbox.hpp"
#include "runnel/runtime/poll_loop_options.hpp"
#include "runnel/runtime/stage_times.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::runtime {

/// What a loop can drive: `Stack`, or what has its four calls.
template <class T>
concept Endpoint = requires(T& endpoint, std::span<rte_mbuf* const> in, std::span<rte_mbuf*> out,
                            Instant now) {
    { endpoint.receive(in, now) }
    noexcept;
    { endpoint.advance(now) }
    noexcept;
    { endpoint.transmit(out) }
    noexcept->std::same_as<std::size_t>;
    { endpoint.next_deadline() }
    noexcept->std::same_as<Instant>;
};

/// Drives endpoints over wires, and tasks, on one core. `add` comes before `run`; both from the same thread
/// or with a hand-over between them. What a wire refuses is held and sent first the next time, and the
/// endpoint is not asked for more meanwhile: back pressure instead of loss. Every turn does bounded work, so
/// that a core comes back from a stall at its full rate.
///
/// Where a loop is behind, what is old comes first: while bursts come full, timers wait, as the answer that
/// each waits for may be among what has arrived and has not been looked at (else a stall of this core would
/// end in a storm of retransmissions to peers that have answered); and tasks are told so (`poll_behind`).
template <Endpoint E>
class BasicPollLoop {
  public:
    BasicPollLoop(const PollLoopOptions& options, const Clock& clock)
        : options_((validate(options), options)), clock_(clock), received_(options.receive_burst) {}
    ~BasicPollLoop() { drop_held(); }
    BasicPollLoop(const BasicPollLoop&) = delete;
    BasicPollLoop& operator=(const BasicPollLoop&) = delete;

    /// Neither is owned; both outlive the loop's last turn.
    void add(E& endpoint, port::Wire& wire) {
        links_.push_back(
            Link{&endpoint, &wire, std::vector<rte_mbuf*>(options_.transmit_burst), 0, 0, 0, false});
    }
    void add(Task& task) { tasks_.push_back(&task); }

    /// Turns until `stop`.
    void run() noexcept;
    /// One turn at a given time; returns whether there was anything to do. For tests, and for who owns the
    /// loop.
    bool turn(Instant now) noexcept;

    /// Has the tasks begin nothing new and end what runs, while the loop turns on. From any thread.
    void drain() noexcept { drain_.store(true, std::memory_order_relaxed); }
    /// Whether, after `drain`, nothing of this loop's tasks runs any more. From any thread. A loop without
    /// tasks has drained, and yet others may need what it serves: so it is whoever sees them all that calls
    /// `stop`.
    [[nodiscard]] bool drained() const noexcept { return drained_.load(std::memory_order_acquire); }
    /// Ends `run` after the turn that runs now. From any thread.
    void stop() noexcept { stop_.store(true, std::memory_order_relaxed); }
    /// Has the loop's thread run a function between two turns. One posting thread. False where the mailbox is
    /// full.
    [[nodiscard]] bool post(const Call& call) { return calls_.post(call); }

    [[nodiscard]] LoopStatistics& statistics() noexcept { return statistics_; }
    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }

  private:
    struct Link {
        E* endpoint;
        port::Wire* wire;
        std::vector<rte_mbuf*>
            held;  // the burst that is leaving: [first, last) has not been taken by the wire yet
        std::size_t first, last;
        std::uint32_t full_bursts;  // in a row, since timers last ran
        bool worked;  // in the last turn: its timers are looked after without asking for the deadline
    };

    // As many full bursts as a deep ring holds: at the latest then timers run.
    static constexpr std::uint32_t most_full_bursts = 64;

    /// Returns how many frames came.
    std::size_t receive(Link& link, Instant now) noexcept;
    bool transmit(Link& link) noexcept;
    /// Offers what is held; whether the wire took it all.
    bool flush(Link& link) noexcept;
    bool run_calls() noexcept;
    void drop_held() noexcept;
    static std::uint64_t elapsed(std::uint64_t from, std::uint64_t to) noexcept {
        return to > from ? to - from : 0;
    }
    [[nodiscard]] bool tasks_drained() const noexcept {
        return std::ranges::all_of(tasks_, [](const Task* task) { return task->drained(); });
    }

    PollLoopOptions options_;
    Clock clock_;
    std::vector<rte_mbuf*> received_;
    std::vector<Link> links_;
    std::vector<Task*> tasks_;
    CallMailbox calls_;
    LoopStatistics::Values values_;
    LoopStatistics statistics_;
    alignas(64) std::atomic<bool> stop_{false};
    std::atomic<bool> drain_{false};
    alignas(64) std::atomic<bool> drained_{false};
};

template <Endpoint E>
std::size_t BasicPollLoop<E>::receive(Link& link, Instant now) noexcept {
    mark(Stage::receive);
    const std::size_t n = link.wire->receive(received_);
    if (n == 0) return 0;
    if constexpr (stages_are_marked) count_stage_frames(n);
    values_.frames_in += n;
    if constexpr (requires { link.endpoint->set_behind(true); })
        link.endpoint->set_behind(n == received_.size());
    link.endpoint->receive({received_.data(), n}, now);
    return n;
}

template <Endpoint E>
bool BasicPollLoop<E>::flush(Link& link) noexcept {
    mark(Stage::send);
    const std::size_t taken = link.wire->send({link.held.data() + link.first, link.last - link.first});
    values_.frames_out += taken;
    link.first += taken;
    if (link.first == link.last) [[likely]]
        return true;
    ++values_.transmit_full;
    return false;
}

template <Endpoint E>
bool BasicPollLoop<E>::transmit(Link& link) noexcept {
    if (link.first != link.last) [[unlikely]] {
        // A turn that could not get rid of anything counts as idle: the peer is what it waits for.
        const std::size_t before = link.first;
        if (!flush(link)) return link.first != before;
    }
    bool worked = false;
    for (std::uint32_t burst = 0; burst < options_.transmit_bursts; ++burst) {
        mark(Stage::build);
        const std::size_t n = link.endpoint->transmit(link.held);
        if (n == 0) break;
        worked = true;
        link.first = 0;
        link.last = n;
        if (!flush(link) || n < link.held.size()) break;
    }
    return worked;
}

template <Endpoint E>
bool BasicPollLoop<E>::run_calls() noexcept {
    return calls_.drain([](Call& call) { call(); }) > 0;
}

template <Endpoint E>
bool BasicPollLoop<E>::turn(Instant now) noexcept {
    bool worked = false;
    if (values_.iterations++ % options_.mailbox_interval == 0) worked = run_calls();
    bool behind = false;
    for (Link& link : links_) {
        const std::size_t n = receive(link, now);
        behind |= n == received_.size() || link.first != link.last;
        if (n == received_.size() && link.full_bursts < most_full_bursts) [[unlikely]] {
            ++link.full_bursts;
            link.worked = worked = true;
            continue;
        }
        link.full_bursts = 0;
        // After work the timers may have changed, and running them costs less than asking; an idle link is
        // asked.
        const bool received = n > 0;
        const bool unsettled = received || link.worked;
        const bool due = !unsettled && link.endpoint->next_deadline() <= now;
        // What a task does to an endpoint happens at the time that the endpoint was told last: one that has
        // been idle for long would start its timers in the past.
        if (unsettled || due || !tasks_.empty()) {
            mark(Stage::timers);
            link.endpoint->advance(now);
        }
        link.worked = received;
        worked |= received || due;
    }
    mark(Stage::tasks);
    for (Task* task : tasks_) worked |= behind ? task->poll_behind(now) : task->poll(now);
    for (Link& link : links_) {
        const bool sent = transmit(link);
        link.worked |= sent;
        worked |= sent;
    }
    return worked;
}

template <Endpoint E>
void BasicPollLoop<E>::run() noexcept {
    Instant now{};
    bool draining = false;
    std::uint32_t idle_turns = 0;
    std::uint64_t turn_began = rte_rdtsc();
    for (;;) {
        // A thread that changes CPUs may meet a counter that is a little behind; an endpoint's time never
        // goes back.
        now = std::max(now, clock_.at(turn_began));
        const bool worked = turn(now);

        std::uint64_t next_begins = rte_rdtsc();
        if (worked) {
            values_.busy_cycles += elapsed(turn_began, next_begins);
            ++values_.busy_iterations;
            idle_turns = 0;
        } else {
            if (options_.idle == Idle::yield && ++idle_turns >= options_.idle_iterations)
                std::this_thread::yield();
            else
                rte_pause();
            next_begins = rte_rdtsc();
        }
        const std::uint64_t cycles = elapsed(turn_began, next_begins);
        values_.cycles += cycles;
        statistics_.record(values_, cycles);
        turn_began = next_begins;

        if (drain_.load(std::memory_order_relaxed)) [[unlikely]] {
            if (!draining) {
                for (Task* task : tasks_) task->begin_drain(now);
                draining = true;
            }
            drained_.store(tasks_drained(), std::memory_order_release);
        }
        if (stop_.load(std::memory_order_relaxed)) [[unlikely]]
            break;
    }
    run_calls();
    drop_held();
}

template <Endpoint E>
void BasicPollLoop<E>::drop_held() noexcept {
    for (Link& link : links_) {
        while (link.first != link.last) rte_pktmbuf_free(link.held[link.first++]);
    }
}

/// The loop of a core of the library.
using PollLoop = BasicPollLoop<Stack>;
extern template class BasicPollLoop<Stack>;

}  // namespace runnel::runtime
