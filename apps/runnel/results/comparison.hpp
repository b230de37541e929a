// Sets of result documents beside one another: the figures of each, how they differ, and what can be said.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "results/document.hpp"
#include "results/trials.hpp"

namespace runnel::results {

/// A set-up that cannot be compared; the message names the mend.
struct BadComparison : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

enum class Test { welch, mann_whitney };

struct ComparisonOptions {
    double confidence = 0.95;
    double threshold = 0.02;  ///< shares smaller than this do not matter
    Test test = Test::welch;  ///< which p decides; the interval is Welch's in either case
    bool all = false;         ///< take documents whose verdict is not valid, too
};

/// The trials of one kind.
struct Side {
    std::string name;
    std::vector<Document> trials;
};

/// A figure of a document that is worth a comparison.
enum class Unit { count, bits, microseconds, percent };
struct Metric {
    std::string name;
    Unit unit = Unit::count;
    bool higher_is_better = true;
};

/// A metric of two sides.
struct Line {
    Metric metric;
    Mean a, b;
    Difference difference;
    double mann_whitney_p = 1;
    Finding finding = Finding::unclear;
};

/// One side beside the first.
struct Comparison {
    std::string a, b;
    std::size_t trials_a = 0, trials_b = 0;
    std::vector<Line> lines;             ///< the first is what the verdict is about
    std::vector<std::string> differing;  ///< settings that differ, "rate: 100000 / 200000"
    std::vector<std::string> notes;      ///< what qualifies the findings
    [[nodiscard]] Finding finding() const { return lines.front().finding; }
};

/// Compares each side with the first. Throws `BadComparison` where recipes differ, or where a side has no
/// valid trial left.
[[nodiscard]] std::vector<Comparison> compare(std::vector<Side> sides, const ComparisonOptions& options);

/// A table and a sentence for a person.
[[nodiscard]] std::string to_text(const Comparison& comparison, const ComparisonOptions& options);
/// The document "runnel.comparison/1".
[[nodiscard]] nlohmann::ordered_json to_json(const std::vector<Comparison>& comparisons,
                                             const ComparisonOptions& options);

}  // namespace runnel::results
