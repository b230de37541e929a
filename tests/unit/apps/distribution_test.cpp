// Values that differ from draw to draw: their quantiles, how they are written, and that a seed gives the
// same.
#include "engine/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quantity.hpp"

namespace runnel::load {
namespace distribution_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::uint64_t> drawn(const Distribution& distribution, std::uint64_t seed) {
    Draws draws(distribution, seed);
    std::vector<std::uint64_t> values;
    for (std::size_t i = 0; i < Draws::count; ++i) values.push_back(draws.next());
    return values;
}

double percentile(std::vector<std::uint64_t> values, double percent) {
    std::ranges::sort(values);
    return static_cast<double>(
        values[static_cast<std::size_t>(percent / 100 * static_cast<double>(values.size()))]);
}

TEST(Distribution, EachFormIsReadAndWrittenBackTheSame) {
    for (const std::string text :
         {"64", "uniform:64-1500", "exponential:1000", "lognormal:1000,0.5", "pareto:1000,1.3"})
        EXPECT_EQ(sizes_to_string(parse_sizes(text)), text);
    EXPECT_EQ(times_to_string(parse_times("uniform:1ms-1.5ms")), "uniform:1ms-1.5ms");
    EXPECT_EQ(times_to_string(parse_times("10ms")), "10ms");
    const Distribution imix = parse_sizes("64*7,576*4,1500*1");
    EXPECT_EQ(parse_sizes(sizes_to_string(imix)).quantile(0.9), imix.quantile(0.9));
    EXPECT_EQ(parse_sizes("1k").quantile(0.5), 1000);
}

TEST(Distribution, WhatCannotBeIsRefusedWithTheMend) {
    const auto refused = [](const char* text, const char* why) {
        EXPECT_THAT([&] { (void)parse_sizes(text); }, ThrowsMessage<app::BadQuantity>(HasSubstr(why)))
            << text;
    };
    refused("normal:5", "choose uniform, exponential, lognormal or pareto");
    refused("uniform:10", "write uniform:LEAST-MOST");
    refused("uniform:10-5", "at least the least");
    refused("pareto:10,0.9", "more than 1");
    refused("pareto:10", "write pareto:LEAST,SHAPE");
    refused("exponential:0", "more than 0");
    refused("64*0", "more than 0");
    refused("", "");
    EXPECT_THROW((void)parse_times("10"), app::BadQuantity) << "a time has a unit";
}

TEST(Distribution, DrawsMeetThePercentilesOfWhatWasAskedFor) {
    const auto exponential = drawn(Distribution::exponential(1e6), 1);
    EXPECT_NEAR(percentile(exponential, 50), 1e6 * std::log(2), 1e3);
    EXPECT_NEAR(percentile(exponential, 99), 1e6 * std::log(100), 2e4);
    const auto uniform = drawn(Distribution::uniform(100, 300), 1);
    EXPECT_NEAR(percentile(uniform, 25), 150, 1);
    EXPECT_NEAR(percentile(uniform, 90), 280, 1);
    const auto lognormal = drawn(Distribution::lognormal(1e6, 0.5), 1);
    EXPECT_NEAR(percentile(lognormal, 50), 1e6, 1e3);
    // One standard deviation above: 84.134 %.
    EXPECT_NEAR(percentile(lognormal, 84.1345), 1e6 * std::exp(0.5), 5e3);
    EXPECT_NEAR(percentile(lognormal, 99.865), 1e6 * std::exp(1.5), 5e4);
    EXPECT_NEAR(percentile(lognormal, 2.275), 1e6 * std::exp(-1.0), 5e3);
    const auto pareto = drawn(Distribution::pareto(1000, 1.5), 1);
    EXPECT_NEAR(percentile(pareto, 50), 1000 * std::pow(2, 1 / 1.5), 5);
    EXPECT_GE(percentile(pareto, 0), 1000);
}

TEST(Distribution, ListedValuesComeAsOftenAsTheirWeightsSay) {
    const auto values = drawn(parse_sizes("1500,64*7,576*4"), 3);
    EXPECT_NEAR(static_cast<double>(std::ranges::count(values, 64U)),
                static_cast<double>(Draws::count) * 7 / 12, 1);
    EXPECT_NEAR(static_cast<double>(std::ranges::count(values, 576U)),
                static_cast<double>(Draws::count) * 4 / 12, 1);
    EXPECT_NEAR(static_cast<double>(std::ranges::count(values, 1500U)),
                static_cast<double>(Draws::count) * 1 / 12, 1);
}

TEST(Distribution, SeedGivesTheSameDrawsAndAnotherSeedAnotherOrderOfThem) {
    const Distribution uniform = Distribution::uniform(0, 1e6);
    auto a = drawn(uniform, 7), b = drawn(uniform, 8);
    EXPECT_EQ(a, drawn(uniform, 7));
    EXPECT_NE(a, b);
    std::ranges::sort(a);
    std::ranges::sort(b);
    EXPECT_EQ(a, b);
}

TEST(Distribution, FixedValueIsDrawnAgainAndAgain) {
    Draws draws(Distribution::fixed(64), 1);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(draws.next(), 64U);
    EXPECT_TRUE(Draws().is_zero());
    EXPECT_FALSE(draws.is_zero());
    EXPECT_EQ(Distribution::uniform(5, 9).most(),
              Distribution::uniform(5, 9).quantile(1 - 0.5 / static_cast<double>(Draws::count)));
}

}  // namespace distribution_test
}  // namespace runnel::load
