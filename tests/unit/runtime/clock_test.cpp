#include "runnel/runtime/clock.hpp"

#include <chrono>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

namespace runnel::runtime {
namespace clock_test {

TEST(Clock, ScalesCyclesToNanosecondsForAnyFrequency) {
    for (const std::uint64_t hz : {1'000'000ULL, 2'400'000'000ULL, 2'599'998'000ULL, 5'000'000'000ULL}) {
        const Clock clock{hz, 1000};
        EXPECT_EQ(clock.at(1000), Instant{});
        // A day, to a microsecond.
        const auto day = clock.at(1000 + hz * 86'400).time_since_epoch();
        EXPECT_LE(day, 24h);
        EXPECT_GT(day, 24h - 100us) << hz;
    }
}

TEST(Clock, CountsYearsWithoutWrappingRound) {
    const std::uint64_t hz = 5'000'000'000;
    const Clock clock{hz, 0};
    const std::uint64_t years = 100ULL * 365 * 86'400;
    EXPECT_NEAR(std::chrono::duration<double>(clock.duration(hz * years)).count(), static_cast<double>(years),
                10.0);
}

TEST(Clock, GivesItsStartForWhatWasReadBefore) {
    const Clock clock{3'000'000'000, 500};
    EXPECT_EQ(clock.at(499), Instant{});
    EXPECT_EQ(clock.at(0), Instant{});
}

TEST(Clock, NeverGoesBack) {
    const Clock clock;
    Instant last = clock.now();
    for (int i = 0; i < 100'000; ++i) {
        const Instant now = clock.now();
        ASSERT_GE(now, last);
        last = now;
    }
}

TEST(Clock, AgreesWithTheOneOfTheSystem) {
    const Clock clock;
    // The system's clock is read on both sides of ours, so that a pause of this thread widens the bounds.
    using Steady = std::chrono::steady_clock;
    const auto before_first = Steady::now();
    const Instant first = clock.now();
    const auto after_first = Steady::now();
    std::this_thread::sleep_for(100ms);
    const auto before_second = Steady::now();
    const Instant second = clock.now();
    const auto after_second = Steady::now();

    const std::chrono::duration<double> ours = second - first;
    EXPECT_GT(ours.count(), std::chrono::duration<double>(before_second - after_first).count() * 0.99);
    EXPECT_LT(ours.count(), std::chrono::duration<double>(after_second - before_first).count() * 1.01);
}

TEST(Clock, RefusesAnImpossibleFrequency) {
    EXPECT_THROW((Clock{0, 0}), std::invalid_argument);
    EXPECT_THROW((Clock{(1ULL << 40) + 1, 0}), std::invalid_argument);
}

}  // namespace clock_test
}  // namespace runnel::runtime
