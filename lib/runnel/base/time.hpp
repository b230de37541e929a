// Time as the library knows it: an argument, never something that it reads (DESIGN.md, rule 1).
#pragma once

#include <chrono>
#include <cstdint>

namespace runnel {

using namespace std::chrono_literals;  // NOLINT: 200ms and 2min read as they are meant, everywhere in the
                                       // library

/// A span of time in nanoseconds.
using Duration = std::chrono::nanoseconds;

/// Names the time line on which an `Instant` lies. It has no `now()`: only `runtime/` and the embedder read a
/// clock.
struct TimeLine {
    using duration = Duration;
    using rep = Duration::rep;
    using period = Duration::period;
};

/// A point in time: nanoseconds since an epoch of the caller's choosing (the start of the process, or 0 in a
/// test). Instants given to one stack must not go backwards.
using Instant = std::chrono::time_point<TimeLine, Duration>;

/// The instant that never comes: "no deadline".
inline constexpr Instant never = Instant::max();

}  // namespace runnel
