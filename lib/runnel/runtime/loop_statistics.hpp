// What a poll loop measures of itself: turns, busy share, frames, stalls.
#pragma once

#include <atomic>
#include <cstdint>

namespace runnel::runtime {

/// What a loop has measured of itself. Written by its thread; readable from any at any time.
class LoopStatistics {
  public:
    struct Values {
        std::uint64_t iterations = 0;       ///< turns of the loop
        std::uint64_t busy_iterations = 0;  ///< of these, turns that had something to do
        std::uint64_t cycles = 0;           ///< processor cycles from start to the last turn
        std::uint64_t busy_cycles = 0;      ///< of these, in turns that had something to do
        std::uint64_t frames_in = 0;        ///< received from the wires
        std::uint64_t frames_out = 0;       ///< taken by the wires
        std::uint64_t transmit_full = 0;    ///< times that a wire refused frames, which then waited

        /// 0 to 1; 0 where no time has passed.
        [[nodiscard]] double busy_share() const noexcept {
            return cycles == 0 ? 0.0 : static_cast<double>(busy_cycles) / static_cast<double>(cycles);
        }
        [[nodiscard]] Values since(const Values& earlier) const noexcept;
    };

    [[nodiscard]] Values read() const noexcept;
    /// The longest time between two turns, in cycles, since this was last called: a stall of this core. One
    /// reader.
    std::uint64_t take_longest_gap() noexcept { return longest_gap_.exchange(0, std::memory_order_relaxed); }

    /// For the loop.
    void record(const Values& values, std::uint64_t gap) noexcept;

  private:
    std::atomic<std::uint64_t> iterations_{0}, busy_iterations_{0}, cycles_{0}, busy_cycles_{0},
        frames_in_{0}, frames_out_{0}, transmit_full_{0}, longest_gap_{0};
};

}  // namespace runnel::runtime
