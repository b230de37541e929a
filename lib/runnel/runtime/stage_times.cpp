#include "runnel/runtime/stage_times.hpp"

#include <rte_cycles.h>
#include <rte_lcore.h>

namespace runnel::runtime {

#if defined(RUNNEL_STAGE_MARKS)

namespace {

// Each lcore writes its own.
struct alignas(64) StageClock {
    StageTimes times;
    std::uint64_t since = 0;
    Stage stage = Stage::count_;
};
std::array<StageClock, RTE_MAX_LCORE> clocks;

// What has passed since the last mark belongs to the stage before.
void heard(Stage stage) noexcept {
    const unsigned lcore = rte_lcore_id();
    if (lcore >= RTE_MAX_LCORE) return;
    StageClock& clock = clocks[lcore];
    const std::uint64_t now = rte_rdtsc();
    if (clock.stage != Stage::count_)
        clock.times.cycles[static_cast<std::size_t>(clock.stage)] += now - clock.since;
    clock.since = now;
    clock.stage = stage;
}

}  // namespace

void count_stages() noexcept {
    stage_listener = heard;
}

void count_stage_frames(std::size_t frames) noexcept {
    if (const unsigned lcore = rte_lcore_id(); lcore < RTE_MAX_LCORE) clocks[lcore].times.frames += frames;
}

StageTimes stage_times(unsigned lcore) noexcept {
    return lcore < RTE_MAX_LCORE ? clocks[lcore].times : StageTimes{};
}

#else

void count_stages() noexcept {}
void count_stage_frames(std::size_t) noexcept {}
StageTimes stage_times(unsigned) noexcept {
    return {};
}

#endif

}  // namespace runnel::runtime
