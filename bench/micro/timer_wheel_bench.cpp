// The timer wheel beside rte_timer, each timer in a block of its own as it would be in a TCB.
#include <cstdint>
#include <type_traits>
#include <vector>

#include <benchmark/benchmark.h>

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_timer.h>

#include "runnel/base/timer_wheel.hpp"

namespace runnel {
namespace {

/// Random numbers that cost nothing to speak of.
struct Dice {
    std::uint64_t state = 1;
    std::uint32_t below(std::uint32_t n) noexcept {
        state = state * 6364136223846793005U + 1442695040888963407U;
        return static_cast<std::uint32_t>((state >> 32) * n >> 32);
    }
};

struct OurWheel {
    struct alignas(64) Block {
        TimerLink timer;
    };
    explicit OurWheel(std::uint32_t n) : blocks(n), wheel(blocks.data(), Instant{}) {}
    void arm(std::uint32_t slot, Duration in) { wheel.arm(slot, wheel.tick_after(now, in)); }
    void cancel(std::uint32_t slot) { wheel.cancel(slot); }
    /// Lets this time pass and fires what has become due.
    void pass(Duration time) {
        now += time;
        wheel.advance(now, [this](std::uint32_t) { ++fired; });
    }

    std::vector<Block> blocks;
    TimerWheel<Block, &Block::timer> wheel;
    Instant now{};
    std::uint64_t fired = 0;
};

struct RteTimer {
    struct alignas(64) Block {
        rte_timer timer;
    };
    explicit RteTimer(std::uint32_t n) : blocks(n) {
        for (Block& block : blocks) rte_timer_init(&block.timer);
    }
    ~RteTimer() {
        for (Block& block : blocks) rte_timer_stop_sync(&block.timer);
    }
    static std::uint64_t cycles(Duration d) {
        return static_cast<std::uint64_t>(d.count()) * (rte_get_timer_hz() / 1'000'000) / 1000;
    }
    void arm(std::uint32_t slot, Duration in) {
        rte_timer_reset(&blocks[slot].timer, cycles(in), SINGLE, rte_lcore_id(), &count, this);
    }
    void cancel(std::uint32_t slot) { rte_timer_stop(&blocks[slot].timer); }
    void pass(Duration) { rte_timer_manage(); }  // the benchmark has waited, in the clock's own time
    static void count(rte_timer*, void* self) { ++static_cast<RteTimer*>(self)->fired; }

    std::vector<Block> blocks;
    std::uint64_t fired = 0;
};

/// A connection's timer is pushed back, or drawn nearer: anywhere in the next minute.
template <class Timers>
void rearm(benchmark::State& state) {
    const auto n = static_cast<std::uint32_t>(state.range(0));
    Timers timers{n};
    Dice dice;
    const auto soon = [&] { return 1ms + Duration{std::int64_t{dice.below(60'000'000)} * 1000}; };
    for (std::uint32_t slot = 0; slot < n; ++slot) timers.arm(slot, 1h + soon());
    for (auto _ : state) timers.arm(dice.below(n), 1h + soon());
    state.SetItemsProcessed(state.iterations());
}

/// A timer is cancelled and armed anew, as by a connection that ends and the next that begins.
template <class Timers>
void cancel_arm(benchmark::State& state) {
    const auto n = static_cast<std::uint32_t>(state.range(0));
    Timers timers{n};
    Dice dice;
    const auto soon = [&] { return 1ms + Duration{std::int64_t{dice.below(60'000'000)} * 1000}; };
    for (std::uint32_t slot = 0; slot < n; ++slot) timers.arm(slot, 1h + soon());
    for (auto _ : state) {
        const std::uint32_t slot = dice.below(n);
        timers.cancel(slot);
        timers.arm(slot, 1h + soon());
    }
    state.SetItemsProcessed(state.iterations());
}

/// All timers are armed for the next 200 ms, and fire.
template <class Timers>
void arm_fire(benchmark::State& state) {
    const auto n = static_cast<std::uint32_t>(state.range(0));
    Timers timers{n};
    Dice dice;
    for (auto _ : state) {
        for (std::uint32_t slot = 0; slot < n; ++slot) timers.arm(slot, Duration{dice.below(200'000'000)});
        state.PauseTiming();
        if constexpr (std::is_same_v<Timers, RteTimer>) rte_delay_us_block(200'000);
        state.ResumeTiming();
        timers.pass(201ms);
    }
    if (timers.fired != static_cast<std::uint64_t>(state.iterations()) * n)
        state.SkipWithError("a timer did not fire");
    state.SetItemsProcessed(state.iterations() * n);
}

/// Time passes, a poll after another, none of the armed timers being due.
template <class Timers>
void idle_poll(benchmark::State& state) {
    const auto n = static_cast<std::uint32_t>(state.range(0));
    Timers timers{n};
    Dice dice;
    for (std::uint32_t slot = 0; slot < n; ++slot)
        timers.arm(slot, 24h + Duration{std::int64_t{dice.below(60'000'000)} * 1000});
    for (auto _ : state) timers.pass(1us);
    state.SetItemsProcessed(state.iterations());
}

BENCHMARK(rearm<OurWheel>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(rearm<RteTimer>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(cancel_arm<OurWheel>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(cancel_arm<RteTimer>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(arm_fire<OurWheel>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Iterations(5);
BENCHMARK(arm_fire<RteTimer>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Iterations(5);
BENCHMARK(idle_poll<OurWheel>)->Arg(100'000);
BENCHMARK(idle_poll<RteTimer>)->Arg(100'000);

}  // namespace
}  // namespace runnel
