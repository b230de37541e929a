// The open-loop schedule: even or Poisson, constant or by a profile, without coordinated omission, bounded
// after a stall.
#include "engine/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::load {
namespace arrivals_test {

constexpr Instant start{1s};

std::uint64_t send_all(Arrivals& arrivals, Instant now) {
    std::uint64_t n = 0;
    while (arrivals.due(now)) {
        arrivals.sent();
        ++n;
    }
    return n;
}

TEST(Arrivals, ConstantRateIsEvenAndDoesNotDrift) {
    Arrivals arrivals({.rate = 3.0}, start);
    EXPECT_FALSE(arrivals.due(start - 1ns));
    for (std::uint64_t i = 0; i < 300'000; ++i) {
        const Instant intended = arrivals.intended(start);
        const double exact = static_cast<double>(i) * 1e9 / 3.0;
        ASSERT_NEAR(static_cast<double>((intended - start).count()), exact, 2.0);
        arrivals.sent();
    }
}

TEST(Arrivals, LateArrivalKeepsItsIntendedTime) {
    Arrivals arrivals({.rate = 1000.0}, start);
    arrivals.sent();
    const Instant late = start + 50ms;
    ASSERT_TRUE(arrivals.due(late));
    EXPECT_EQ(arrivals.intended(late), start + 1ms);
}

TEST(Arrivals, AfterAStallTheBacklogIsBoundedAndTheRestIsUnsent) {
    Arrivals arrivals({.rate = 1000.0, .max_lag = 100ms}, start);
    EXPECT_EQ(arrivals.give_up(start + 100ms), 0U);
    const Instant after = start + 10s;
    EXPECT_EQ(arrivals.give_up(after), 9900U);
    EXPECT_EQ(send_all(arrivals, after), 101U);
    EXPECT_EQ(arrivals.attempted(), 10'001U);
    EXPECT_EQ(arrivals.unsent(), 9900U);
    // And then it goes on as if nothing had been.
    EXPECT_EQ(arrivals.give_up(after + 1s), 899U);
}

TEST(Arrivals, AtMaxThereIsAlwaysOneDueAndItIsIntendedNow) {
    Arrivals arrivals({}, start);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(arrivals.due(start));
        EXPECT_EQ(arrivals.intended(start + 5s), start + 5s);
        arrivals.sent();
    }
    EXPECT_EQ(arrivals.give_up(start + 100s), 0U);
    EXPECT_EQ(arrivals.finish(start + 100s), 0U);
    EXPECT_EQ(arrivals.attempted(), 1000U);
    EXPECT_FALSE(arrivals.open_loop());
}

TEST(Arrivals, LimitEndsTheSchedule) {
    Arrivals arrivals({.rate = 1000.0, .limit = 7}, start);
    EXPECT_EQ(send_all(arrivals, start + 10s), 7U);
    EXPECT_TRUE(arrivals.exhausted());
    EXPECT_EQ(arrivals.finish(start + 20s), 0U);
}

TEST(Arrivals, WhateverTheStallsAttemptedIsTheScheduleAndSplitsIntoSentAndUnsent) {
    std::mt19937_64 random(test::seed());
    for (int round = 0; round < 50; ++round) {
        const double rate = 1.0 + static_cast<double>(random() % 1'000'000);
        const Duration max_lag{static_cast<Duration::rep>(random() % 200'000'000)};
        Arrivals arrivals({.rate = rate, .max_lag = max_lag}, start);
        Instant now = start;
        std::uint64_t sent = 0;
        for (int i = 0; i < 200; ++i) {
            now +=
                Duration{static_cast<Duration::rep>(random() % (random() % 20 == 0 ? 300'000'000 : 300'000))};
            arrivals.give_up(now);
            for (std::uint64_t room = random() % 100; room > 0 && arrivals.due(now); --room, ++sent) {
                ASSERT_LE(now - arrivals.intended(now), max_lag);
                arrivals.sent();
            }
        }
        arrivals.finish(now);
        EXPECT_EQ(arrivals.attempted(), sent + arrivals.unsent());
        // All that was intended before now, to within the rounding of one.
        const double scheduled = static_cast<double>((now - start).count()) * rate / 1e9;
        EXPECT_NEAR(static_cast<double>(arrivals.attempted()), scheduled, 1.5);
    }
}

// How many of a constant rate are intended before a moment: one by one, as they are sent.
std::uint64_t counted_before(Arrivals arrivals, Instant horizon) {
    std::uint64_t n = arrivals.attempted();
    while (!arrivals.exhausted() && arrivals.intended(horizon) < horizon) {
        arrivals.sent();
        n = arrivals.attempted();
    }
    return n;
}

TEST(Arrivals, GivenUpAtOnceAreExactlyThoseThatComeBeforeOneByOne) {
    std::mt19937_64 random(test::seed());
    for (int round = 0; round < 3000; ++round) {
        // From one in some seconds to one each nanosecond, and some 10,000 of them.
        const double rate =
            round % 10 == 0 ? 1e9 : std::pow(10, static_cast<double>(random() % 9'300) / 1000 - 0.3);
        const auto span = static_cast<Duration::rep>(static_cast<double>(random() % 10'000) * 1e9 / rate);
        const std::uint64_t limit = round % 3 == 0 ? random() % 10'000 : UINT64_MAX;
        Arrivals arrivals({.rate = rate, .max_lag = 0ns, .limit = limit}, start);
        if (round % 4 == 0) {
            // Some are sent, and then the rate is another: its schedule begins there.
            for (std::uint64_t n = random() % 50; n > 0 && !arrivals.exhausted(); --n) arrivals.sent();
            arrivals.change_rate(rate / 3, arrivals.intended(start));
        }
        const std::uint64_t before = arrivals.attempted();
        const Instant horizon = start + Duration{span};
        const std::uint64_t exact = counted_before(arrivals, horizon);
        ASSERT_EQ(arrivals.give_up(horizon), exact - before) << rate << "/s, " << span << " ns";
        ASSERT_EQ(arrivals.attempted(), exact);
        ASSERT_EQ(arrivals.unsent(), exact - before);
        ASSERT_EQ(arrivals.exhausted(), exact == limit);
        // And no more of them, nor fewer, when it is asked again.
        ASSERT_EQ(arrivals.give_up(horizon), 0U);
    }
}

TEST(Arrivals, GivenUpAtABillionASecondAfterAHundredDaysAreCountedToTheLast) {
    Arrivals arrivals({.rate = 1e9, .max_lag = 0ns}, start);
    // One each nanosecond. Doubles hold whole numbers to 2^53: 104 days of them.
    for (const Duration length :
         {Duration{1ns}, Duration{2ns}, Duration{3ns}, Duration{10s}, Duration{100h}, Duration{2400h}}) {
        (void)arrivals.give_up(start + length);
        EXPECT_EQ(arrivals.attempted(), static_cast<std::uint64_t>(length.count()));
        EXPECT_EQ(arrivals.intended(start), start + length);
    }
    // What is sent goes on from there.
    EXPECT_EQ(send_all(arrivals, start + 2400h + 999ns), 1000U);
    EXPECT_EQ(arrivals.unsent(), static_cast<std::uint64_t>(Duration{2400h}.count()));
}

std::vector<double> first_seconds(Arrivals& arrivals, std::size_t count) {
    std::vector<double> at;
    for (std::size_t i = 0; i < count; ++i) {
        at.push_back(static_cast<double>((arrivals.intended(never) - start).count()) / 1e9);
        arrivals.sent();
    }
    return at;
}

TEST(Arrivals, OfARampComeWhenTheAreaBelowItHasGrownByOne) {
    const LoadProfile ramp = LoadProfile::parse("ramp:100-300/10s");
    Arrivals arrivals({.profile = &ramp}, start);
    const std::vector<double> at = first_seconds(arrivals, 2600);
    // 100 t + 10 t^2 = n up to 10 s, where 2000 have come; from there 300 a second.
    for (std::size_t n = 0; n < 2000; ++n) {
        const double exact = (std::sqrt(10'000 + 40.0 * static_cast<double>(n)) - 100) / 20;
        ASSERT_NEAR(at[n], exact, 1e-6) << n;
    }
    EXPECT_NEAR(at[2300], 11, 1e-6);
    EXPECT_TRUE(std::ranges::is_sorted(at));
}

TEST(Arrivals, OfStepsAreAsManyInEachAsItsRateSaysAndNoneWhereItIsZero) {
    const LoadProfile steps = LoadProfile::parse("schedule:0s=0,1s=0,1s=10,2s=10,2s=0,3s=0,3s=30,4s=30,4s=0");
    Arrivals arrivals({.profile = &steps}, start);
    const std::vector<double> at = first_seconds(arrivals, 40);
    EXPECT_NEAR(at[0], 1, 1e-6);
    EXPECT_NEAR(at[9], 1.9, 1e-6);
    EXPECT_NEAR(at[10], 3, 1e-6);
    EXPECT_NEAR(at[39], 3 + 29 / 30.0, 1e-6);
    EXPECT_FALSE(arrivals.due(start + 100h)) << "the rate stays 0";
    EXPECT_EQ(arrivals.finish(start + 100h), 0U);
    EXPECT_EQ(arrivals.attempted(), 40U);
}

TEST(Arrivals, OfABurstComeTogether) {
    const LoadProfile bursts = LoadProfile::parse("burst:3/10ms");
    Arrivals arrivals({.max_lag = 100ms, .profile = &bursts}, start);
    EXPECT_EQ(send_all(arrivals, start), 3U);
    EXPECT_EQ(send_all(arrivals, start + 9ms), 0U);
    EXPECT_EQ(send_all(arrivals, start + 20ms), 6U);
    EXPECT_EQ(arrivals.give_up(start + 1s), 3U * 87U);
}

TEST(Arrivals, OfAPoissonProcessHaveExponentialGapsAndTheSameOnesForASeed) {
    const std::uint64_t seed = test::steady_seed();
    Arrivals arrivals({.rate = 1000, .process = ArrivalProcess::poisson, .seed = seed}, start);
    constexpr std::size_t count = 100'000;
    const std::vector<double> at = first_seconds(arrivals, count);
    Arrivals again({.rate = 1000, .process = ArrivalProcess::poisson, .seed = seed}, start);
    EXPECT_EQ(first_seconds(again, count), at);
    std::vector<double> gaps;
    for (std::size_t i = 1; i < count; ++i) gaps.push_back(1000 * (at[i] - at[i - 1]));
    // Five standard deviations of each: the mean 1 / sqrt(n), the share sqrt(p (1 - p) / n).
    const double root = std::sqrt(static_cast<double>(gaps.size()));
    EXPECT_NEAR(at.back() * 1000 / static_cast<double>(count), 1, 5 / root);
    for (const double limit : {0.1, 0.5, 1.0, 2.0, 4.0}) {
        const double share =
            static_cast<double>(std::ranges::count_if(gaps, [&](double gap) { return gap > limit; })) /
            static_cast<double>(gaps.size());
        const double p = std::exp(-limit);
        EXPECT_NEAR(share, p, 5 * std::sqrt(p * (1 - p)) / root) << limit;
    }
    // Of what comes in a tenth of a second the variance is the mean.
    std::vector<double> tenths(900);
    for (const double when : at)
        if (when < 90) ++tenths[static_cast<std::size_t>(when * 10)];
    double variance = 0;
    for (const double n : tenths) variance += (n - 100) * (n - 100) / 900;
    EXPECT_NEAR(variance, 100, 100 * 5 * std::sqrt(2.0 / 900));
}

TEST(Arrivals, OfAPoissonProcessFollowTheProfile) {
    const LoadProfile ramp = LoadProfile::parse("ramp:0-10k/10s");
    Arrivals arrivals({.profile = &ramp, .process = ArrivalProcess::poisson, .seed = test::steady_seed()},
                      start);
    EXPECT_NEAR(static_cast<double>(send_all(arrivals, start + 5s)), 12'500, 5 * std::sqrt(12'500));
    EXPECT_NEAR(static_cast<double>(send_all(arrivals, start + 10s)), 37'500, 5 * std::sqrt(37'500));
}

}  // namespace arrivals_test
}  // namespace runnel::load
