// The retransmission time-out (RFC 6298), against its formulas in floating point.
#include "runnel/tcp/rto.hpp"

#include <cmath>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace rto_test {

using std::chrono::microseconds;

/// RFC 6298 section 2 as it is written, in microseconds.
struct Model {
    double srtt = 0, rttvar = 0;
    bool first = true;

    void sample(double r) {
        if (first) {
            srtt = r;
            rttvar = r / 2;
            first = false;
            return;
        }
        rttvar = 0.75 * rttvar + 0.25 * std::abs(srtt - r);
        srtt = 0.875 * srtt + 0.125 * r;
    }
    [[nodiscard]] double rto() const { return srtt + 4 * rttvar; }
};

[[nodiscard]] double in_microseconds(Duration d) {
    return std::chrono::duration<double, std::micro>(d).count();
}

/// No clamp that an estimate could meet.
[[nodiscard]] Config unclamped() {
    Config config;
    config.min_rto = 1ns;
    config.max_rto = 100h;
    return config;
}

TEST(Rfc6298, Rule22FirstSampleGivesThreeTimesItself) {
    for (const std::uint32_t r : {2U, 50U, 1000U, 250'000U, 60'000'000U}) {
        RoundTrip estimate;
        estimate.sample(r);
        EXPECT_EQ(retransmission_timeout(unclamped(), estimate, 0, false), microseconds{3 * r});
    }
}

TEST(Rfc6298, Rule23SamplesFollowTheFormulasWithinTheRounding) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 200; ++round) {
        RoundTrip estimate;
        Model model;
        const std::uint64_t scale = std::uint64_t{1} << (4 + random() % 23);
        for (int i = 0; i < 200; ++i) {
            const auto r = static_cast<std::uint32_t>(1 + random() % scale);
            estimate.sample(r);
            model.sample(r);
            // One microsecond is lost at most in the sum of all roundings of SRTT; of RTTVAR three.
            ASSERT_NEAR(estimate.srtt_8 / 8.0, model.srtt, 1.0);
            ASSERT_NEAR(estimate.rttvar_4 / 4.0, model.rttvar, 3.0);
            ASSERT_NEAR(in_microseconds(retransmission_timeout(unclamped(), estimate, 0, false)), model.rto(),
                        14.0);
        }
    }
}

TEST(Rfc6298, SteadyRoundTripsLetTheVariationDieOut) {
    RoundTrip estimate;
    for (int i = 0; i < 200; ++i) estimate.sample(10'000);
    EXPECT_EQ(estimate.srtt_8, 80'000U);
    // RTTVAR stops where a quarter of it is no whole microsecond any more.
    EXPECT_LE(estimate.rttvar_4, 3U);
}

TEST(Rfc6298, SampleBelowTheClocksGrainCountsAsOne) {
    RoundTrip estimate;
    EXPECT_FALSE(estimate.has_sample());
    estimate.sample(0);
    EXPECT_TRUE(estimate.has_sample());
    for (int i = 0; i < 1000; ++i) estimate.sample(0);
    EXPECT_TRUE(estimate.has_sample()) << "an estimate is never forgotten";
    EXPECT_GT(retransmission_timeout(unclamped(), estimate, 0, false), Duration{});
}

TEST(Rfc6298, WildSamplesNeverOverflowTheEstimate) {
    std::mt19937_64 random{test::seed()};
    RoundTrip estimate;
    for (int i = 0; i < 100'000; ++i) {
        estimate.sample(random() % 2 == 0 ? 0xffff'ffffU : static_cast<std::uint32_t>(random() % 2));
        ASSERT_TRUE(estimate.has_sample());
        ASSERT_LT(estimate.srtt_8 / 8, 1U << 28);
        ASSERT_LE(estimate.rttvar_4, 1U << 30) << "four times the greatest deviation there can be";
    }
}

TEST(Rfc6298, Rule21WithoutASampleItIsOneSecond) {
    EXPECT_EQ(retransmission_timeout({}, {}, 0, false), 1s);
    EXPECT_EQ(retransmission_timeout({}, {}, 3, false), 8s);
}

TEST(Rfc6298, Rule57WithoutASampleItIsThreeSecondsAfterALostSyn) {
    EXPECT_EQ(retransmission_timeout({}, {}, 0, true), 3s);
    EXPECT_EQ(retransmission_timeout({}, {}, 2, true), 12s);
}

TEST(Rfc6298, Rule24MarginIsRaisedToTheLeast) {
    Config config;
    RoundTrip estimate;
    estimate.sample(100);
    EXPECT_EQ(retransmission_timeout(config, estimate, 0, false), 100us + config.min_rto);
    EXPECT_EQ(retransmission_timeout(config, estimate, 3, false), 8 * (100us + config.min_rto));
    config.min_rto = 1s;
    EXPECT_EQ(retransmission_timeout(config, estimate, 0, false), 100us + 1s);
}

TEST(Rfc6298, Rule55EachBackoffDoublesUpToTheMost) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 1000; ++round) {
        Config config;
        config.max_rto = std::chrono::milliseconds{60'000 + random() % 200'000};
        RoundTrip estimate;
        estimate.sample(static_cast<std::uint32_t>(1 + random() % 20'000'000));
        Duration expected = retransmission_timeout(config, estimate, 0, false);
        for (unsigned backoff = 0; backoff <= 255; ++backoff) {
            ASSERT_EQ(retransmission_timeout(config, estimate, static_cast<std::uint8_t>(backoff), false),
                      expected);
            expected = std::min(2 * expected, config.max_rto);
        }
        ASSERT_EQ(expected, config.max_rto);
    }
}

}  // namespace rto_test
}  // namespace runnel::tcp
