// See rate_search.hpp.
#include "search/rate_search.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

namespace runnel::search {
namespace {

double seconds(Duration duration) {
    return static_cast<double>(duration.count()) / 1e9;
}

double width_of(std::uint64_t lower, std::uint64_t upper) {
    return static_cast<double>(upper - lower) / static_cast<double>(upper);
}

}  // namespace

bool is_high_loss(const Outcome& outcome, const Goal& goal) noexcept {
    if (outcome.loss_ratio > goal.loss_ratio) return true;
    // Where nothing was carried there is no latency to be within.
    return goal.latency_us && (!outcome.latency_us || *outcome.latency_us > *goal.latency_us);
}

Class classify(const std::vector<Outcome>& trials, const Goal& goal, Duration full, Duration sum) {
    double full_low = 0, full_high = 0, short_low = 0, short_high = 0;
    for (const Outcome& outcome : trials) {
        const bool high = is_high_loss(outcome, goal);
        const bool is_full = outcome.trial.duration >= full;
        (is_full ? (high ? full_high : full_low) : (high ? short_high : short_low)) +=
            seconds(outcome.trial.duration);
    }
    // Short trials with little loss only outweigh short trials with much.
    const double balancing = short_low * goal.exceed_ratio / (1 - goal.exceed_ratio);
    const double high = full_high + std::max(0.0, short_high - balancing);
    const double whole = std::max(full_low + high, seconds(sum));
    const double missing = whole - (full_low + high);
    const double allowed = whole * goal.exceed_ratio + 1e-12;
    if (high + missing <= allowed) return Class::lower_bound;  // even if all that is missing were lost
    if (high > allowed) return Class::upper_bound;             // even if nothing of it were
    return Class::undecided;
}

RateSearch::RateSearch(std::vector<Goal> goals, std::uint64_t least, std::uint64_t most, std::uint64_t hint)
    : goals_(std::move(goals)), least_(least), most_(most), hint_(hint) {
    if (goals_.empty()) throw std::invalid_argument("a search needs a goal");
    if (least_ < 1 || least_ >= most_)
        throw std::invalid_argument(fmt::format(
            "a search from {} to {} connections a second has no room; give a lower least or a higher "
            "greatest rate",
            least_, most_));
    for (const Goal& goal : goals_) {
        if (goal.width <= 0 || goal.width >= 1 || goal.exceed_ratio < 0 || goal.exceed_ratio >= 1 ||
            goal.loss_ratio < 0 || goal.loss_ratio >= 1)
            throw std::invalid_argument(
                "loss ratio and exceed ratio are from 0 to less than 1, and the width is between 0 and 1");
        if (goal.initial_trial_duration <= 0s || goal.final_trial_duration < goal.initial_trial_duration ||
            goal.duration_sum < goal.final_trial_duration)
            throw std::invalid_argument(
                "the initial trial is no longer than the final one, and the sum of durations no shorter than "
                "it");
    }
}

void RateSearch::add(const Outcome& outcome) {
    by_load_[outcome.trial.load].push_back(outcome);
    ++count_;
}

std::vector<RateSearch::Phase> RateSearch::phases(const Goal& goal) const {
    const double growth = seconds(goal.final_trial_duration) / seconds(goal.initial_trial_duration);
    std::vector<Phase> phases;
    if (growth > 1.01) {
        // The coarse phases cost about as much together as one trial of the last.
        const double half_way = std::sqrt(growth);
        const auto scaled = [&](double factor) {
            return Duration{static_cast<Duration::rep>(
                static_cast<double>(goal.initial_trial_duration.count()) * factor)};
        };
        phases.push_back(
            {goal.initial_trial_duration, goal.initial_trial_duration, std::min(0.5, 4 * goal.width)});
        phases.push_back({scaled(half_way), scaled(half_way), std::min(0.4, 2 * goal.width)});
    }
    phases.push_back({goal.final_trial_duration, goal.duration_sum, goal.width});
    return phases;
}

RateSearch::Found RateSearch::found(const Goal& goal, const Phase& phase) const {
    Found result;
    // The relevant upper bound is the least of all, the relevant lower bound the greatest below it.
    for (const auto& [load, trials] : by_load_) {
        const Class is = classify(trials, goal, phase.duration, phase.sum);
        if (is == Class::upper_bound) {
            result.upper = load;
            break;
        }
        if (is == Class::lower_bound) result.lower = load;
    }
    return result;
}

bool RateSearch::done(const Found& found, const Phase& phase) const noexcept {
    if (found.lower && found.upper)
        return width_of(*found.lower, *found.upper) <= phase.width || *found.upper - *found.lower <= 1;
    return found.lower == most_ || found.upper == least_;
}

std::uint64_t RateSearch::choose(const Goal& goal, const Phase& phase, const Found& now,
                                 const Found& before) const {
    const auto bounded = [&](double load) {
        return std::clamp(static_cast<std::uint64_t>(std::llround(load)), least_, most_);
    };
    // What was begun and is not decided goes on, if it still matters.
    for (const auto& [load, trials] : by_load_) {
        if ((now.lower && load <= *now.lower) || (now.upper && load >= *now.upper)) continue;
        const bool begun = std::ranges::any_of(
            trials, [&](const Outcome& outcome) { return outcome.trial.duration >= phase.duration; });
        if (begun && classify(trials, goal, phase.duration, phase.sum) == Class::undecided) return load;
    }
    if (now.lower && now.upper) {
        // As loads differ by shares, the middle is the geometric one.
        const std::uint64_t middle =
            bounded(std::sqrt(static_cast<double>(*now.lower) * static_cast<double>(*now.upper)));
        return std::clamp(middle, *now.lower + 1, *now.upper - 1);
    }
    // With one bound only the search goes on beyond it by steps that double: twice as far as from the load
    // before.
    if (now.lower) {
        if (before.upper && *before.upper > *now.lower) return *before.upper;
        const auto here = by_load_.find(*now.lower);
        const auto lower = static_cast<double>(*now.lower);
        double step = phase.width * lower;
        if (here != by_load_.begin())
            step = std::max(step, 2 * (lower - static_cast<double>(std::prev(here)->first)));
        return std::max(bounded(lower + step), std::min(*now.lower + 1, most_));
    }
    if (now.upper) {
        if (before.lower && *before.lower < *now.upper) return *before.lower;
        const auto here = by_load_.find(*now.upper);
        const auto upper = static_cast<double>(*now.upper);
        double step = phase.width * upper;
        if (const auto above = std::next(here); above != by_load_.end()) {
            step = std::max(step, 2 * (static_cast<double>(above->first) - upper));
        } else {
            // An overloaded device still carries something: near that its rate may be.
            double carried = 0;
            for (const Outcome& outcome : here->second) carried = std::max(carried, outcome.carried);
            if (carried > upper / 10) step = std::max(step, upper - carried * (1 - phase.width / 2));
        }
        return std::min(bounded(std::max(upper - step, static_cast<double>(least_))),
                        std::max(*now.upper - 1, least_));
    }
    if (before.lower) return *before.lower;
    if (before.upper) return *before.upper;
    return hint_ != 0 ? std::clamp(hint_, least_, most_) : most_;
}

std::optional<Trial> RateSearch::next() const {
    for (const Goal& goal : goals_) {
        Found before;
        for (const Phase& phase : phases(goal)) {
            const Found now = found(goal, phase);
            if (!done(now, phase)) return Trial{choose(goal, phase, now, before), phase.duration};
            before = now;
        }
    }
    return std::nullopt;
}

Bounds RateSearch::bounds(std::size_t index) const {
    const Goal& goal = goals_.at(index);
    const Phase last = phases(goal).back();
    const Found result = found(goal, last);
    Bounds bounds{.lower = result.lower, .upper = result.upper};
    if (!result.lower) return bounds;
    // The trials from the best to the worst: the one up to which time the exceed ratio leaves.
    std::vector<Outcome> full;
    for (const Outcome& outcome : by_load_.at(*result.lower))
        if (outcome.trial.duration >= last.duration) full.push_back(outcome);
    std::ranges::sort(full, std::ranges::less{}, &Outcome::loss_ratio);
    double whole = 0, passed = 0;
    for (const Outcome& outcome : full) whole += seconds(outcome.trial.duration);
    double loss = 0;
    for (const Outcome& outcome : full) {
        if (passed > whole * (1 - goal.exceed_ratio) - 1e-12) break;
        loss = outcome.loss_ratio;
        passed += seconds(outcome.trial.duration);
    }
    bounds.conditional_throughput = static_cast<double>(*result.lower) * (1 - loss);
    return bounds;
}

}  // namespace runnel::search
