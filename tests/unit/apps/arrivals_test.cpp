// The open-loop schedule: even, without coordinated omission, bounded after a stall.
#include "engine/arrivals.hpp"

#include <random>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::load {
namespace {

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

}  // namespace
}  // namespace runnel::load
