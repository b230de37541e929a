// What a result has to reach: "handshake_p99 < 1ms", "failures < 0.1 %", "cps >= 200k".
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "results/document.hpp"

namespace runnel::results {

enum class Comparator { less, at_most, more, at_least, equal };

/// A goal that was read.
struct Goal {
    std::string text;    ///< "handshake_p99 < 1ms"
    std::string metric;  ///< "handshake_p99"
    Comparator comparator = Comparator::less;
    double value = 0;  ///< as the document counts: microseconds, percent, a count
};

/// Reads a goal: a metric, one of < <= > >= =, and a value in the metric's unit. Throws `app::BadQuantity`.
[[nodiscard]] Goal parse_goal(std::string_view text);

/// Names of metrics: cps, tps, goodput, failures and unsent (percent of the connections attempted),
/// retransmissions, drops; and handshake, ttfb, ttlb, close, transaction with _min, _mean, _p50, _p90, _p99,
/// _p999, _p9999 or _max, from the intended time.
[[nodiscard]] std::vector<std::string> goal_metrics();

struct GoalOutcome {
    Goal goal;
    bool measured = false;
    double value = 0;
    bool met = false;
    [[nodiscard]] std::string shown() const;  ///< "1.2 ms", "not measured"
};
[[nodiscard]] std::vector<GoalOutcome> check(std::span<const Goal> goals, const Document& document);
[[nodiscard]] nlohmann::ordered_json to_json(std::span<const GoalOutcome> outcomes);

/// Whether a goal says how many connections may fail: else none may.
[[nodiscard]] bool bounds_failures(std::span<const Goal> goals) noexcept;

}  // namespace runnel::results
