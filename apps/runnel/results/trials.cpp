// See trials.hpp.
#include "results/trials.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

// In double: what Boost sets up before main in long double fails under valgrind, which has 64 bits of it.
#define BOOST_MATH_PROMOTE_DOUBLE_POLICY false
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

namespace runnel::results {
namespace {

// How many orders of m values among n give each value of U, by the recurrence of Mann and Whitney's paper.
std::vector<double> orders_by_u(std::size_t n, std::size_t m) {
    // counts[j][u]: with j of the m, and as many of the n as the outer loop has reached.
    std::vector<std::vector<double>> counts(m + 1, std::vector<double>(n * m + 1, 0.0));
    for (auto& row : counts) row[0] = 1;
    for (std::size_t i = 1; i <= n; ++i) {
        std::vector<std::vector<double>> next = counts;
        for (std::size_t j = 1; j <= m; ++j)
            for (std::size_t u = 0; u <= n * m; ++u)
                // The greatest is of the n, above all j; or of the m, and what is left has one fewer.
                next[j][u] = (u >= j ? counts[j][u - j] : 0) + next[j - 1][u];
        counts = std::move(next);
    }
    return counts[m];
}

}  // namespace

Mean mean_of(std::span<const double> values) noexcept {
    if (values.empty()) return {};
    const auto n = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    if (values.size() == 1) return {mean, 0};
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    return {mean, std::sqrt(squares / (n - 1))};
}

Difference welch(std::span<const double> a, std::span<const double> b, double confidence) {
    if (a.empty() || b.empty()) return {};
    const auto positive = [](double value) { return value > 0; };
    const bool logarithms = std::ranges::all_of(a, positive) && std::ranges::all_of(b, positive);
    std::vector<double> x(a.begin(), a.end()), y(b.begin(), b.end());
    if (logarithms)
        for (auto* values : {&x, &y})
            for (double& value : *values) value = std::log(value);
    const Mean of_a = mean_of(x), of_b = mean_of(y);
    const double difference = of_b.mean - of_a.mean;
    const auto as_share = [&](double d) {
        if (logarithms) return std::expm1(d);
        if (d == 0) return 0.0;
        return of_a.mean == 0 ? std::copysign(std::numeric_limits<double>::infinity(), d) : d / of_a.mean;
    };
    Difference result{
        .share = as_share(difference), .low = as_share(difference), .high = as_share(difference)};
    if (a.size() < 2 || b.size() < 2) return result;
    result.known = true;
    const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
    const double variance_a = of_a.deviation * of_a.deviation / n;
    const double variance_b = of_b.deviation * of_b.deviation / m;
    const double error = std::sqrt(variance_a + variance_b);
    // Trials that do not vary at all, as counts may.
    if (error <= std::abs(of_a.mean) * 1e-14) {
        result.p = std::abs(difference) <= std::abs(of_a.mean) * 1e-12 ? 1 : 0;
        return result;
    }
    // Welch and Satterthwaite.
    const double freedom = (variance_a + variance_b) * (variance_a + variance_b) /
                           (variance_a * variance_a / (n - 1) + variance_b * variance_b / (m - 1));
    const boost::math::students_t distribution(freedom);
    const double reach =
        error * boost::math::quantile(boost::math::complement(distribution, (1 - confidence) / 2));
    result.low = as_share(difference - reach);
    result.high = as_share(difference + reach);
    if (result.low > result.high) std::swap(result.low, result.high);  // of shares of a negative mean
    result.p = 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(difference) / error));
    return result;
}

double mann_whitney(std::span<const double> a, std::span<const double> b) {
    if (a.empty() || b.empty()) return 1;
    double u = 0;  // pairs in which B is greater
    bool ties = false;
    for (const double x : a)
        for (const double y : b) {
            u += y > x ? 1.0 : y == x ? 0.5 : 0.0;
            ties = ties || x == y;
        }
    const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
    if (!ties && a.size() + b.size() <= 30) {
        const std::vector<double> orders = orders_by_u(a.size(), b.size());
        const double all = std::accumulate(orders.begin(), orders.end(), 0.0);
        const auto least = static_cast<std::size_t>(std::min(u, n * m - u));
        const auto end = orders.begin() + static_cast<std::ptrdiff_t>(least) + 1;
        return std::min(1.0, 2 * std::accumulate(orders.begin(), end, 0.0) / all);
    }
    std::vector<double> together(a.begin(), a.end());
    together.insert(together.end(), b.begin(), b.end());
    std::ranges::sort(together);
    double tied = 0;
    for (std::size_t i = 0; i < together.size();) {
        const auto same = std::ranges::upper_bound(together, together[i]) - together.begin();
        const auto t = static_cast<double>(same) - static_cast<double>(i);
        tied += t * t * t - t;
        i = static_cast<std::size_t>(same);
    }
    const double total = n + m;
    const double variance = n * m / 12 * (total + 1 - tied / (total * (total - 1)));
    if (variance <= 0) return 1;  // all the same
    const double z = std::max(0.0, std::abs(u - n * m / 2) - 0.5) / std::sqrt(variance);
    return 2 * boost::math::cdf(boost::math::complement(boost::math::normal(), z));
}

Finding judge(const Difference& difference, bool higher_is_better, double threshold) noexcept {
    if (!difference.known) return Finding::unclear;
    if (difference.low >= -threshold && difference.high <= threshold) return Finding::no_difference;
    if (difference.low > 0) return higher_is_better ? Finding::better : Finding::worse;
    if (difference.high < 0) return higher_is_better ? Finding::worse : Finding::better;
    return Finding::unclear;
}

std::string_view to_string(Finding finding) noexcept {
    switch (finding) {
        case Finding::better:
            return "better";
        case Finding::worse:
            return "worse";
        case Finding::no_difference:
            return "no difference";
        case Finding::unclear:
            break;
    }
    return "unclear";
}

}  // namespace runnel::results
