// The limit on challenge ACKs (RFC 5961 section 7).
#include "runnel/tcp/challenge_acks.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace challenge_acks_test {

static_assert(sizeof(ChallengeThrottle) == 1, "it stands in every TCB, half-open and TIME-WAIT entry");

TEST(Rfc5961Limit, EachSecondHasItsBudgetWhateverTheTimesOfTheRequests) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 200; ++round) {
        ChallengeThrottle throttle{};
        const auto per_second = static_cast<std::uint32_t>(1 + random() % 15);
        Instant now{};
        std::int64_t second = 0;
        std::uint32_t spent = 0;
        for (int i = 0; i < 500; ++i) {
            // Bursts, trickles and pauses below sixteen seconds.
            now +=
                random() % 20 == 0 ? Duration{random() % 14'000'000'000} : Duration{random() % 100'000'000};
            const std::int64_t this_second = now.time_since_epoch() / 1s;
            if (this_second != second) spent = 0;
            second = this_second;
            ASSERT_EQ(throttle.allow(now, per_second), spent < per_second);
            spent = std::min(spent + 1, per_second);
        }
    }
}

TEST(Rfc5961Limit, FreshThrottleHasTheWholeBudgetAtAnyTime) {
    for (int second = 0; second < 40; ++second) {
        ChallengeThrottle throttle{};
        for (int i = 0; i < 10; ++i) EXPECT_TRUE(throttle.allow(Instant{second * 1s + 999ms}, 10));
        EXPECT_FALSE(throttle.allow(Instant{second * 1s + 999ms}, 10));
        EXPECT_TRUE(throttle.allow(Instant{second * 1s + 1s}, 10));
    }
}

}  // namespace challenge_acks_test
}  // namespace runnel::tcp
