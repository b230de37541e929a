// The histogram against the sorted values themselves.
#include "runnel/base/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel {
namespace histogram_test {

static_assert(sizeof(Histogram) < 31'000);

/// A value of any magnitude.
std::uint64_t any_value(std::mt19937_64& random) {
    return random() >> random() % 64;
}

TEST(Histogram, OfNothingIsZero) {
    const auto histogram = std::make_unique<Histogram>();
    EXPECT_EQ(histogram->count(), 0U);
    EXPECT_EQ(histogram->min(), 0U);
    EXPECT_EQ(histogram->max(), 0U);
    EXPECT_EQ(histogram->mean(), 0.0);
    EXPECT_EQ(histogram->percentile(50), 0U);
}

TEST(Histogram, CountsExactlyWhatLiesBelowAPowerOfTwo) {
    std::mt19937_64 random{test::seed()};
    const auto histogram = std::make_unique<Histogram>();
    std::vector<std::uint64_t> values(10'000);
    for (std::uint64_t& value : values) histogram->record(value = any_value(random));
    for (int bit = 0; bit < 64; ++bit) {
        const std::uint64_t bound = std::uint64_t{1} << bit;
        EXPECT_EQ(histogram->count_below(bound),
                  static_cast<std::uint64_t>(
                      std::ranges::count_if(values, [&](std::uint64_t value) { return value < bound; })));
    }
    EXPECT_EQ(histogram->count_below(0), 0U);
}

TEST(Histogram, HoldsSmallValuesExactly) {
    const auto histogram = std::make_unique<Histogram>();
    for (std::uint64_t value = 0; value < 100; ++value) histogram->record(value);
    for (int percent = 1; percent <= 100; ++percent)
        EXPECT_EQ(histogram->percentile(percent), static_cast<std::uint64_t>(percent - 1));
}

TEST(Histogram, ErrsByAtMostOnePointSixPercentAtAnySize) {
    std::mt19937_64 random{test::seed()};
    std::vector<std::uint64_t> values;
    for (int bit = 0; bit < 64; ++bit) {  // the edges first
        const std::uint64_t power = std::uint64_t{1} << bit;
        values.insert(values.end(),
                      {power - 1, power, power + 1, power + power / 64, power + power / 64 - 1});
    }
    for (int i = 0; i < 1000; ++i) values.push_back(any_value(random));
    values.push_back(~std::uint64_t{0});
    for (const std::uint64_t value : values) {
        const auto histogram = std::make_unique<Histogram>();
        // In company, lest the clamp to the least and greatest hide the error.
        histogram->record(0);
        histogram->record(value, 2);
        histogram->record(~std::uint64_t{0});
        const auto said = static_cast<double>(histogram->percentile(50));
        ASSERT_LE(std::abs(said - static_cast<double>(value)), 0.016 * static_cast<double>(value)) << value;
    }
}

TEST(Histogram, AgreesWithTheSortedValues) {
    std::mt19937_64 random{test::seed()};
    const auto histogram = std::make_unique<Histogram>();
    std::vector<std::uint64_t> values;
    double sum = 0;
    for (int i = 0; i < 5000; ++i) {
        values.push_back(random() >> (20 + random() % 40));
        histogram->record(values.back());
        sum += static_cast<double>(values.back());
    }
    std::ranges::sort(values);
    EXPECT_EQ(histogram->count(), values.size());
    EXPECT_EQ(histogram->min(), values.front());
    EXPECT_EQ(histogram->max(), values.back());
    EXPECT_EQ(histogram->percentile(0), values.front());
    EXPECT_EQ(histogram->percentile(100), values.back());
    EXPECT_NEAR(histogram->mean(), sum / 5000, sum / 5000 * 1e-9);
    for (std::size_t rank = 1; rank <= 5000; rank += 13) {
        const double percent = static_cast<double>(rank) / 50;
        const auto exact = static_cast<double>(values[rank - 1]);
        ASSERT_NEAR(static_cast<double>(histogram->percentile(percent)), exact, 0.016 * exact) << percent;
    }
}

TEST(Histogram, MergesToWhatHadRecordedAll) {
    std::mt19937_64 random{test::seed()};
    const auto all = std::make_unique<Histogram>();
    const auto merged = std::make_unique<Histogram>();
    for (int part = 0; part < 4; ++part) {
        const auto histogram = std::make_unique<Histogram>();
        for (int i = 0; i < 1000 * part; ++i) {  // the first has none
            const std::uint64_t value = any_value(random);
            const std::uint64_t times = random() % 5;
            histogram->record(value, times);
            all->record(value, times);
        }
        merged->merge(*histogram);
    }
    EXPECT_TRUE(*merged == *all);
    merged->clear();
    EXPECT_TRUE(*merged == Histogram{});
    EXPECT_FALSE(*merged == *all);
}

TEST(Histogram, SinceAnEarlierStateHoldsWhatCameAfter) {
    std::mt19937_64 random{test::seed()};
    const auto histogram = std::make_unique<Histogram>();
    for (int i = 0; i < 2000; ++i) histogram->record(any_value(random));
    const Histogram earlier = *histogram;
    const auto after = std::make_unique<Histogram>();
    for (int i = 0; i < 3000; ++i) {
        const std::uint64_t value = any_value(random);
        histogram->record(value);
        after->record(value);
    }
    const Histogram since = histogram->since(earlier);
    EXPECT_EQ(since.count(), 3000U);
    EXPECT_EQ(since.mean(), after->mean());
    for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
        const auto value = static_cast<double>(after->percentile(percent));
        EXPECT_NEAR(static_cast<double>(since.percentile(percent)), value, 0.016 * value) << percent;
    }
    EXPECT_NEAR(static_cast<double>(since.max()), static_cast<double>(after->max()),
                0.016 * static_cast<double>(after->max()));
    EXPECT_EQ(histogram->since(*histogram).count(), 0U);
    EXPECT_EQ(histogram->since(Histogram{}).max(), histogram->max());
}

TEST(Histogram, SumsBeyondSixtyFourBits) {
    const auto histogram = std::make_unique<Histogram>();
    histogram->record(std::uint64_t{1} << 60, 1'000'000);
    EXPECT_EQ(histogram->mean(), std::ldexp(1.0, 60));
}

}  // namespace histogram_test
}  // namespace runnel
