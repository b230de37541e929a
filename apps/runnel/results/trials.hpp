// Whether repeated trials of two kinds differ: Welch's t-test, with the confidence interval of the
// difference; and the test of Mann and Whitney, which assumes nothing of the distribution.
#pragma once

#include <span>
#include <string_view>

namespace runnel::results {

struct Mean {
    double mean = 0;
    double deviation = 0;  ///< standard deviation of the sample; 0 of one value
};
[[nodiscard]] Mean mean_of(std::span<const double> values) noexcept;

/// How much larger B is than A, as a share of A: 0.05 is 5 % more.
struct Difference {
    double share = 0;
    double low = 0, high = 0;  ///< the confidence interval; both `share` where a side has one trial
    double p = 1;              ///< of seeing such a difference or more where there is none
    bool known = false;        ///< there is an interval: each side has two trials or more
};

/// Welch's t-test, two-sided, of unequal variances (B. L. Welch, Biometrika 34, 1947). Where all values are
/// positive it is made of their logarithms, as rates and latencies vary by shares: means are geometric then,
/// and the interval is that of a ratio. `confidence` is 0.95, say. A mean of A that is 0 has no shares: the
/// difference is 0 or infinite.
[[nodiscard]] Difference welch(std::span<const double> a, std::span<const double> b, double confidence);

/// The p of the two-sided test of Mann and Whitney (Annals of Mathematical Statistics 18, 1947): exact up to
/// 30 values without ties, else by the normal approximation with ties corrected. 1 where a side is empty.
[[nodiscard]] double mann_whitney(std::span<const double> a, std::span<const double> b);

/// What is said of B, beside A.
enum class Finding {
    better,  ///< the whole interval lies on the better side of 0, and not within the threshold
    worse,
    no_difference,  ///< the whole interval lies within the threshold
    unclear,        ///< the trials do not tell: too few, or too noisy
};
[[nodiscard]] Finding judge(const Difference& difference, bool higher_is_better, double threshold) noexcept;
[[nodiscard]] std::string_view to_string(Finding finding) noexcept;

}  // namespace runnel::results
