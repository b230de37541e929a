// The search for the rate that a device carries, by the rules and with the terms of MLRsearch
// (draft-ietf-bmwg-mlrsearch): which load to try next and for how long, and what the trials so far say.
// Arithmetic only: who runs the trials feeds it with their results.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "runnel/base/time.hpp"

namespace runnel::search {

/// A search goal. A load that meets it at 1 is a lower bound of the device's rate, one that does not an upper
/// bound.
struct Goal {
    double loss_ratio = 0;             ///< a trial that loses more is a high-loss trial
    std::optional<double> latency_us;  ///< a trial whose latency is above is one, too
    double exceed_ratio = 0.5;         ///< of the time of trials at a load, what high-loss trials may take
    Duration initial_trial_duration = 1s;  ///< of the first, coarse trials
    Duration final_trial_duration = 1s;    ///< a full-length trial
    Duration duration_sum = 3s;            ///< of full-length trials, enough to decide on a load
    double width = 0.01;                   ///< of the bounds at the end, as a share of the upper one
};

/// A trial that is asked for.
struct Trial {
    std::uint64_t load = 0;  ///< connections a second
    Duration duration{};
};

/// What came of a trial.
struct Outcome {
    Trial trial;
    double loss_ratio = 0;             ///< of what was to be offered, what was not carried
    std::optional<double> latency_us;  ///< nothing: none was measured
    double carried = 0;                ///< connections a second that were
};

enum class Class : std::uint8_t { lower_bound, upper_bound, undecided };

/// What the trials say of the load that they were made at (MLRsearch, appendix A: "load classification"). A
/// trial is full-length from `full` on; `sum` is enough of them.
[[nodiscard]] Class classify(const std::vector<Outcome>& trials, const Goal& goal, Duration full,
                             Duration sum);
/// Whether the trial is a high-loss trial of the goal.
[[nodiscard]] bool is_high_loss(const Outcome& outcome, const Goal& goal) noexcept;

/// What was found for a goal.
struct Bounds {
    std::optional<std::uint64_t>
        lower;  ///< relevant lower bound; nothing: not even the least load meets the goal
    std::optional<std::uint64_t> upper;  ///< relevant upper bound; nothing: the greatest load meets the goal
    double conditional_throughput =
        0;  ///< carried at the lower bound, in the worst trial that the exceed ratio counts
};

class RateSearch {
  public:
    /// Between `least` and `most`, both included. `hint`: where the rate may be, 0: unknown. Throws
    /// `std::invalid_argument` for goals that cannot be.
    RateSearch(std::vector<Goal> goals, std::uint64_t least, std::uint64_t most, std::uint64_t hint = 0);

    /// The trial to run next; nothing: all goals have their bounds.
    [[nodiscard]] std::optional<Trial> next() const;
    void add(const Outcome& outcome);

    [[nodiscard]] const std::vector<Goal>& goals() const noexcept { return goals_; }
    /// Of a goal, as far as is known.
    [[nodiscard]] Bounds bounds(std::size_t goal) const;
    [[nodiscard]] std::size_t trials() const noexcept { return count_; }

  private:
    // A step of a goal's search: coarse and short first, as the goal says last.
    struct Phase {
        Duration duration{}, sum{};
        double width = 0;
    };
    struct Found {
        std::optional<std::uint64_t> lower, upper;
    };

    [[nodiscard]] std::vector<Phase> phases(const Goal& goal) const;
    [[nodiscard]] Found found(const Goal& goal, const Phase& phase) const;
    [[nodiscard]] bool done(const Found& found, const Phase& phase) const noexcept;
    [[nodiscard]] std::uint64_t choose(const Goal& goal, const Phase& phase, const Found& now,
                                       const Found& before) const;

    std::vector<Goal> goals_;
    std::uint64_t least_, most_, hint_;
    std::map<std::uint64_t, std::vector<Outcome>> by_load_;
    std::size_t count_ = 0;
};

}  // namespace runnel::search
