// See arrivals.hpp.
#include "engine/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "engine/distribution.hpp"
#include "engine/seconds.hpp"

namespace runnel::load {

Arrivals::Arrivals(const Options& options, Instant start) noexcept
    : process_(options.process),
      max_lag_(options.max_lag),
      limit_(options.limit),
      start_(start),
      profile_(options.profile),
      random_(mixed(options.seed)) {
    std::optional<double> rate = options.rate;
    if (profile_ != nullptr && !profile_->burst() && profile_->points().size() == 1)
        rate = profile_->points()[0].rate;
    const bool varies = profile_ != nullptr && (profile_->burst() || profile_->points().size() > 1);
    if (!rate && !varies) return;
    if (!varies && process_ == ArrivalProcess::even) {
        pace_ = Pace::constant;
        interval_ = 1e9 / *rate;
        return;
    }
    pace_ = Pace::varied;
    if (!varies) {
        constant_.rate = *rate;
        profile_ = nullptr;
    }
    next_ = varied();
}

void Arrivals::change_rate(std::optional<double> rate, Instant now) noexcept {
    const bool was_paused = paused();
    if (was_paused) resume(now);
    // The next one of a slow schedule may lie far ahead; the new one does not wait for it.
    start_ = open_loop() ? std::min(next_, now) : now;
    next_ = start_;
    before_ = attempted_;
    profile_ = nullptr;
    if (!rate) {
        pace_ = Pace::max;
    } else if (process_ == ArrivalProcess::even) {
        pace_ = Pace::constant;
        interval_ = 1e9 / *rate;
    } else {
        pace_ = Pace::varied;
        constant_ = {.rate = *rate};
        segment_ = 0;
        passed_ = position_ = 0;
        next_ = varied();
    }
    if (pace_ == Pace::max) interval_ = 0;
    if (was_paused) pause(now);
}

void Arrivals::pause(Instant now) noexcept {
    if (paused()) return;
    paused_at_ = now;
    resumed_next_ = std::exchange(next_, never);
}

void Arrivals::resume(Instant now) noexcept {
    if (!paused()) return;
    const Duration length = now - std::exchange(paused_at_, never);
    start_ += length;
    next_ = resumed_next_ == never ? never : resumed_next_ + length;
}

Instant Arrivals::after(double seconds) const noexcept {
    constexpr double ages = 1e9;
    if (!(seconds < ages)) return never;
    return start_ + Duration{static_cast<Duration::rep>(seconds * 1e9)};
}

Instant Arrivals::varied() noexcept {
    if (profile_ != nullptr && profile_->burst()) {
        const Burst& burst = *profile_->burst();
        return start_ + burst.every * static_cast<Duration::rep>((attempted_ - before_) / burst.count);
    }
    if (process_ == ArrivalProcess::poisson) {
        random_ += 0x9e3779b97f4a7c15U;
        const double share = (static_cast<double>(mixed(random_) >> 11) + 0.5) * 0x1p-53;
        position_ -= std::log(share);
    } else {
        position_ = static_cast<double>(attempted_ - before_);
    }
    const std::span<const RatePoint> points =
        profile_ != nullptr ? std::span{profile_->points()} : std::span{&constant_, 1};
    for (;; ++segment_) {
        const RatePoint& from = points[segment_];
        const double wanted = position_ - passed_;
        if (segment_ + 1 == points.size())
            return from.rate > 0 ? after(seconds(from.at) + wanted / from.rate) : never;
        const RatePoint& to = points[segment_ + 1];
        const double length = seconds(to.at - from.at);
        const double brought = length * (from.rate + to.rate) / 2;
        if (wanted >= brought) {
            passed_ += brought;
            continue;
        }
        // rate * t + slope * t^2 / 2 = wanted, solved so that a slope of 0 divides nothing.
        const double slope = (to.rate - from.rate) / length;
        const double root = std::sqrt(std::max(0.0, from.rate * from.rate + 2 * slope * wanted));
        return after(seconds(from.at) + (wanted > 0 ? 2 * wanted / (from.rate + root) : 0));
    }
}

}  // namespace runnel::load
