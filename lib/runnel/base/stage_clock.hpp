// Where the cycles of a core go: with the build option -Dstage_marks=true the stages of the packet path are
// marked by the processor's cycle counter, and `runnel handshake` tells what each took. Without it there is
// no code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(RUNNEL_STAGE_MARKS)
#include <rte_cycles.h>
#include <rte_lcore.h>
#endif

namespace runnel {

/// The stages of a turn of the poll loop (DESIGN.md, "The journey of a frame").
enum class Stage : std::uint8_t {
    receive,   ///< frames fetched from the wire; waiting for some, too
    parse,     ///< link, IP and TCP headers read and checked, checksums among it
    look_up,   ///< flows hashed, the table's buckets and the TCBs prefetched
    segments,  ///< what the segments say is done: the whole of TCP, and the application's handlers
    timers,
    tasks,  ///< of the application: connections begun and ended
    build,  ///< segments made, with their headers and checksums
    send,   ///< frames given to the wire
    count_,
};
inline constexpr std::size_t stage_count = static_cast<std::size_t>(Stage::count_);

[[nodiscard]] constexpr std::string_view to_string(Stage stage) noexcept {
    constexpr std::array<std::string_view, stage_count> names{"receive", "parse", "look up", "segments",
                                                              "timers",  "tasks", "build",   "send"};
    return names[static_cast<std::size_t>(stage)];
}

/// What one core's stages took.
struct StageTimes {
    std::array<std::uint64_t, stage_count> cycles{};
    std::uint64_t frames = 0;  ///< received
};

#if defined(RUNNEL_STAGE_MARKS)

inline constexpr bool stages_are_marked = true;

namespace detail {
struct alignas(64) StageClock {
    StageTimes times;
    std::uint64_t since = 0;
    Stage stage = Stage::count_;
};
inline std::array<StageClock, RTE_MAX_LCORE> stage_clocks;  // by lcore: each writes its own
}  // namespace detail

/// The core goes on to this stage: what has passed since the last mark belongs to the stage before. Called by
/// lcores of EAL's.
inline void mark(Stage stage) noexcept {
    const unsigned lcore = rte_lcore_id();
    if (lcore >= RTE_MAX_LCORE) return;
    detail::StageClock& clock = detail::stage_clocks[lcore];
    const std::uint64_t now = rte_rdtsc();
    if (clock.stage != Stage::count_)
        clock.times.cycles[static_cast<std::size_t>(clock.stage)] += now - clock.since;
    clock.since = now;
    clock.stage = stage;
}
/// So many frames have come.
inline void count_frames(std::size_t frames) noexcept {
    if (const unsigned lcore = rte_lcore_id(); lcore < RTE_MAX_LCORE)
        detail::stage_clocks[lcore].times.frames += frames;
}
/// What an lcore's stages have taken so far. Exact once the lcore has ended.
[[nodiscard]] inline StageTimes stage_times(unsigned lcore) noexcept {
    return detail::stage_clocks[lcore].times;
}

#else

inline constexpr bool stages_are_marked = false;
inline void mark(Stage) noexcept {}
inline void count_frames(std::size_t) noexcept {}
[[nodiscard]] inline StageTimes stage_times(unsigned) noexcept {
    return {};
}

#endif

}  // namespace runnel
