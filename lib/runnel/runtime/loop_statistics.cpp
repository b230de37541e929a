#include "runnel/runtime/loop_statistics.hpp"

namespace runnel::runtime {

LoopStatistics::Values LoopStatistics::Values::since(const Values& earlier) const noexcept {
    return {iterations - earlier.iterations,
            busy_iterations - earlier.busy_iterations,
            cycles - earlier.cycles,
            busy_cycles - earlier.busy_cycles,
            frames_in - earlier.frames_in,
            frames_out - earlier.frames_out,
            transmit_full - earlier.transmit_full};
}

LoopStatistics::Values LoopStatistics::read() const noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    return {iterations_.load(relaxed),   busy_iterations_.load(relaxed), cycles_.load(relaxed),
            busy_cycles_.load(relaxed),  frames_in_.load(relaxed),       frames_out_.load(relaxed),
            transmit_full_.load(relaxed)};
}

void LoopStatistics::record(const Values& values, std::uint64_t gap) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    iterations_.store(values.iterations, relaxed);
    busy_iterations_.store(values.busy_iterations, relaxed);
    cycles_.store(values.cycles, relaxed);
    busy_cycles_.store(values.busy_cycles, relaxed);
    frames_in_.store(values.frames_in, relaxed);
    frames_out_.store(values.frames_out, relaxed);
    transmit_full_.store(values.transmit_full, relaxed);
    // A reader that resets it in between loses this one gap at worst.
    if (gap > longest_gap_.load(relaxed)) longest_gap_.store(gap, relaxed);
}

}  // namespace runnel::runtime
