// The rate before and after the measured window, which is the same whatever is sent.
#pragma once

#include <optional>

#include "runnel/base/time.hpp"

#include "engine/profile.hpp"

namespace runnel::load {

/// Before the window the rate climbs from 0 to the one that the window begins with, and holds on; after it
/// the rate is the one that the window ended with, or falls to 0 from there. Nothing: none is sent. Bursts go
/// on through all of it.
struct RateAround {
    std::optional<LoadProfile> before, after;

    /// `profile` goes before `rate`; at max, where there is neither, both are nothing. `climb` and `fall` of
    /// 0: the rate is there at once, and stays.
    [[nodiscard]] static RateAround of(const std::optional<double>& rate,
                                       const std::optional<LoadProfile>& profile, Duration window,
                                       Duration climb, Duration fall) {
        if (!rate) return {};
        if (profile && profile->burst()) return {profile, profile};
        const double first = profile ? profile->rate_at(Duration{}) : *rate;
        const double last = profile ? profile->rate_at(window) : *rate;
        RateAround around;
        // A profile that begins with 0 has nothing before it.
        if (first > 0)
            around.before =
                climb > Duration{} ? LoadProfile::ramp(0, first, climb) : LoadProfile::constant(first);
        if (last > 0)
            around.after = fall > Duration{} ? LoadProfile::ramp(last, 0, fall) : LoadProfile::constant(last);
        return around;
    }
};

}  // namespace runnel::load
