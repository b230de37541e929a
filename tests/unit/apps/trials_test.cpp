// Whether repeated trials differ: figures worked out by hand or published, and how often noise is taken for a
// difference.
#include "results/trials.hpp"

#include <array>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::results {
namespace trials_test {

TEST(Trials, WelchGivesRatioIntervalAndP) {
    // Logarithms 0, 1, 2 and 1, 2, 3, 4: means 1 and 2.5, variances 1 and 5/3; t = 1.5 / sqrt(3/4), and by
    // Welch and Satterthwaite 4.9591 degrees of freedom.
    const std::array a{1.0, std::exp(1.0), std::exp(2.0)};
    const std::array b{std::exp(1.0), std::exp(2.0), std::exp(3.0), std::exp(4.0)};
    const Difference d = welch(a, b, 0.95);
    ASSERT_TRUE(d.known);
    EXPECT_NEAR(d.share, std::exp(1.5) - 1, 1e-9);
    EXPECT_NEAR(d.p, 0.1443, 0.0005);
    EXPECT_NEAR(std::log(d.low + 1), 1.5 - 2.5782 * std::sqrt(0.75), 0.002);
    EXPECT_NEAR(std::log(d.high + 1), 1.5 + 2.5782 * std::sqrt(0.75), 0.002);
}

TEST(Trials, ValuesWithZerosAreComparedAsTheyAre) {
    const Difference d = welch(std::array{0.0, 2.0, 4.0}, std::array{1.0, 3.0, 5.0}, 0.95);
    EXPECT_NEAR(d.share, 0.5, 1e-12);
    EXPECT_LT(d.low, 0);
    EXPECT_EQ(welch(std::array{0.0, 0.0}, std::array{0.0, 0.0}, 0.95).share, 0.0);
}

TEST(Trials, OneTrialHasNoInterval) {
    const Difference d = welch(std::array{100.0}, std::array{90.0, 91.0, 92.0}, 0.95);
    EXPECT_FALSE(d.known);
    EXPECT_EQ(judge(d, true, 0.02), Finding::unclear);
}

TEST(Trials, ValuesThatDoNotVaryDifferOrNot) {
    EXPECT_EQ(judge(welch(std::array{6.0, 6.0, 6.0}, std::array{6.0, 6.0}, 0.95), false, 0.02),
              Finding::no_difference);
    EXPECT_EQ(judge(welch(std::array{6.0, 6.0, 6.0}, std::array{7.0, 7.0}, 0.95), false, 0.02),
              Finding::worse);
}

TEST(Trials, MannWhitneyIsExactForFewValues) {
    // Of the 20 orders of three and three, one at each end is as extreme.
    EXPECT_NEAR(mann_whitney(std::array{1.0, 2.0, 3.0}, std::array{4.0, 5.0, 6.0}), 0.1, 1e-12);
    EXPECT_NEAR(mann_whitney(std::array{4.0, 5.0, 6.0}, std::array{1.0, 2.0, 3.0}), 0.1, 1e-12);
    // Of the 252 orders of five and five, 4 have a U of 2 or less.
    EXPECT_NEAR(mann_whitney(std::array{1.0, 2.0, 3.0, 4.0, 7.0}, std::array{5.0, 6.0, 8.0, 9.0, 10.0}),
                8.0 / 252, 1e-12);
    EXPECT_EQ(mann_whitney(std::array{1.0, 1.0}, std::array{1.0, 1.0}), 1.0);
}

TEST(Trials, MannWhitneyOfManyValuesAgreesWithTheExactOne) {
    std::vector<double> a, b;
    for (int i = 0; i < 15; ++i) {
        a.push_back(i * 2.0);
        b.push_back(i * 2.0 + 5.5);
    }
    const double exact = mann_whitney(a, b);
    a.push_back(100), b.push_back(101), a.push_back(102), b.push_back(103);  // more than 30: approximated
    a.push_back(-1), b.push_back(-2);
    EXPECT_NEAR(mann_whitney(a, b), exact, 0.15);
    EXPECT_GT(exact, 0.05);
}

TEST(Trials, FindingFollowsFromTheInterval) {
    const auto interval = [](double low, double high) {
        return Difference{.share = (low + high) / 2, .low = low, .high = high, .p = 0, .known = true};
    };
    EXPECT_EQ(judge(interval(0.03, 0.08), true, 0.02), Finding::better);
    EXPECT_EQ(judge(interval(0.03, 0.08), false, 0.02), Finding::worse);
    EXPECT_EQ(judge(interval(-0.08, -0.03), true, 0.02), Finding::worse);
    EXPECT_EQ(judge(interval(-0.01, 0.015), true, 0.02), Finding::no_difference);
    EXPECT_EQ(judge(interval(0.005, 0.015), true, 0.02), Finding::no_difference);
    EXPECT_EQ(judge(interval(-0.01, 0.08), true, 0.02), Finding::unclear);
}

TEST(Trials, NoiseAloneIsTakenForADifferenceAsOftenAsIsSaid) {
    std::mt19937_64 random{test::steady_seed()};
    std::lognormal_distribution<double> noise{13.0, 0.05};
    int differ = 0;
    constexpr int times = 4000;
    for (int i = 0; i < times; ++i) {
        std::vector<double> a(5), b(8);
        for (double& value : a) value = noise(random);
        for (double& value : b) value = noise(random);
        const Finding finding = judge(welch(a, b, 0.95), true, 0.0);
        if (finding == Finding::better || finding == Finding::worse) ++differ;
    }
    // 5 %, and five times the deviation of a count of 4000 about it.
    EXPECT_NEAR(differ, times * 0.05, 70);
}

TEST(Trials, DifferenceLargerThanTheNoiseIsFound) {
    std::mt19937_64 random{test::steady_seed()};
    std::lognormal_distribution<double> before{13.0, 0.02}, after{13.0 + std::log(1.1), 0.02};
    int found = 0;
    for (int i = 0; i < 200; ++i) {
        std::vector<double> a(5), b(5);
        for (double& value : a) value = before(random);
        for (double& value : b) value = after(random);
        if (judge(welch(a, b, 0.95), true, 0.02) == Finding::better) ++found;
    }
    EXPECT_GT(found, 190);
}

}  // namespace trials_test
}  // namespace runnel::results
