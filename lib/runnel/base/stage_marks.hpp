// Where on its way a core is: with the build option -Dstage_marks=true the stages of the packet path tell a
// listener, which counts what each takes (runtime/stage_times.hpp). Without it there is no code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

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

#if defined(RUNNEL_STAGE_MARKS)

inline constexpr bool stages_are_marked = true;
/// Who hears of the marks; null: nobody. Set before cores run.
inline void (*stage_listener)(Stage) noexcept = nullptr;

/// The core goes on to this stage.
inline void mark(Stage stage) noexcept {
    if (stage_listener != nullptr) stage_listener(stage);
}

#else

inline constexpr bool stages_are_marked = false;
inline void mark(Stage) noexcept {}

#endif

}  // namespace runnel
