// The windowed maximum, beside the maximum itself.
#include "runnel/tcp/congestion/windowed_max.hpp"

#include <algorithm>
#include <deque>
#include <random>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace windowed_max_test {

TEST(WindowedMax, BestSampleHoldsForTheLengthOfTheWindowAndNoLonger) {
    WindowedMax max{};
    EXPECT_EQ(max.best(), 0);
    max.update(10, 100, 50);
    for (std::uint32_t time = 101; time <= 110; ++time) {
        max.update(10, time, 20);
        EXPECT_EQ(max.best(), 50) << time;
    }
    max.update(10, 111, 20);
    EXPECT_EQ(max.best(), 20);
    max.update(10, 111, 21);
    EXPECT_EQ(max.best(), 21) << "a better one counts at once";
}

TEST(WindowedMax, SilenceLongerThanTheWindowForgetsAll) {
    WindowedMax max{};
    max.update(10, 0xffff'fffc, 50);
    max.update(10, 8, 30);
    EXPECT_EQ(max.best(), 30) << "times come round";
}

// Three samples are not the whole window, so that the filter may be below the true maximum. Yet it is never
// above that, nor below the newest sample, and it falls only when its best has grown too old.
TEST(WindowedMax, IsNeverAboveTheMaximumAndFallsOnlyByAge) {
    std::mt19937_64 random{test::seed()};
    constexpr std::uint32_t length = 40;
    WindowedMax max{};
    std::deque<std::pair<std::uint32_t, float>> all;
    std::uint32_t time = 0xffff'ff00;
    for (int i = 0; i < 20'000; ++i) {
        time += static_cast<std::uint32_t>(random() % 3);
        const auto value = static_cast<float>(1 + random() % 1000);
        const WindowedMax before = max;
        max.update(length, time, value);
        if (max.best() < before.best()) {
            ASSERT_GT(time - before.samples[0].time, length);
        }
        all.emplace_back(time, value);
        while (time - all.front().first > length) all.pop_front();
        float most = 0;
        for (const auto& [when, what] : all) most = std::max(most, what);
        ASSERT_LE(max.best(), most);
        ASSERT_GE(max.best(), value);
    }
}

}  // namespace windowed_max_test
}  // namespace runnel::tcp
