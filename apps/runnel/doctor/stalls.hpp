// How long a core is left alone: a loop that reads the clock and does nothing else finds the gaps.
#pragma once

#include <concepts>
#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel::app::doctor {

struct Stalls {
    Duration watched{}, longest{}, lost{};  ///< `lost`: all gaps together
    std::uint64_t count = 0;                ///< gaps of `least` or more
};

/// Calls `now` again and again for `length` on this thread.
template <std::invocable Clock>
[[nodiscard]] Stalls watch_stalls(Clock now, Duration length, Duration least) {
    Stalls stalls;
    const Instant begin = now();
    Instant last = begin;
    while (last - begin < length) {
        const Instant time = now();
        const Duration gap = time - last;
        last = time;
        if (gap < least) continue;
        ++stalls.count;
        stalls.lost += gap;
        if (gap > stalls.longest) stalls.longest = gap;
    }
    stalls.watched = last - begin;
    return stalls;
}

}  // namespace runnel::app::doctor
