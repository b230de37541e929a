// What each stage of the packet path takes, by the processor's cycle counter: of a build with
// -Dstage_marks=true.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runnel/base/stage_marks.hpp"

namespace runnel::runtime {

/// What one lcore's stages took, in cycles.
struct StageTimes {
    std::array<std::uint64_t, stage_count> cycles{};
    std::uint64_t frames = 0;  ///< received
};

/// Counts from now on. Before cores run; does nothing in a build without marks.
void count_stages() noexcept;
/// So many frames have come. Called by lcores.
void count_stage_frames(std::size_t frames) noexcept;
/// What an lcore's stages have taken so far. Exact once the lcore has ended.
[[nodiscard]] StageTimes stage_times(unsigned lcore) noexcept;

}  // namespace runnel::runtime
