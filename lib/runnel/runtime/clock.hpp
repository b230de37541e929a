// The clock of the poll loops: the processor's time stamp counter, scaled to nanoseconds.
#pragma once

#include <cstdint>

#include <rte_cycles.h>

#include "runnel/base/time.hpp"

namespace runnel::runtime {

/// Reads the time stamp counter as an `Instant`: nanoseconds since the clock was made. Small and constant:
/// copies tell the same time. On one CPU it never goes backwards; between CPUs it relies on an invariant,
/// synchronous counter.
class Clock {
  public:
    /// Asks EAL for the counter's frequency. Throws `std::runtime_error` where EAL has not started.
    Clock();
    /// A clock of the given frequency that starts at the given count: for tests and for callers without EAL.
    /// Throws `std::invalid_argument` where the frequency is below 1 MHz or above 2^40 Hz.
    Clock(std::uint64_t cycles_per_second, std::uint64_t start);

    [[nodiscard]] Instant now() const noexcept { return at(rte_rdtsc()); }
    /// The instant of a count that was read before; a count before the start gives the start.
    [[nodiscard]] Instant at(std::uint64_t cycles) const noexcept {
        return cycles > start_ ? Instant{duration(cycles - start_)} : Instant{};
    }
    /// How long so many cycles take.
    [[nodiscard]] Duration duration(std::uint64_t cycles) const noexcept {
        const Wide scaled = static_cast<Wide>(cycles) * nanoseconds_per_cycle_;
        return Duration{static_cast<Duration::rep>(scaled >> shift)};
    }
    [[nodiscard]] std::uint64_t cycles_per_second() const noexcept { return cycles_per_second_; }

  private:
    __extension__ using Wide = unsigned __int128;
    static constexpr unsigned shift = 32;

    std::uint64_t cycles_per_second_;
    std::uint64_t start_;
    std::uint64_t nanoseconds_per_cycle_;  // times 2^shift
};

}  // namespace runnel::runtime
