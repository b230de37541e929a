// HyStart++ (RFC 9406), ACK by ACK, and on a path whose queue grows.
#include "runnel/tcp/congestion/hystart.hpp"

#include <gtest/gtest.h>

#include "runnel/tcp/congestion/cubic.hpp"
#include "runnel/tcp/congestion/newreno.hpp"

#include "congestion_path.hpp"

namespace runnel::tcp {
namespace hystart_test {

using test::Path;

constexpr std::uint32_t mss = 1000;
constexpr std::uint32_t unset = 0x7fffffff;

class HyStartTest : public testing::Test {
  protected:
    void acknowledge(std::uint32_t rtt_us, std::uint32_t segments = 1) {
        const std::uint32_t octets = segments * mss;
        una_ += octets;
        AckSample ack;
        ack.delivered = ack.acknowledged = octets;
        ack.flight_before = cwnd_;
        ack.rtt_us = rtt_us;
        ack.snd_una = una_;
        ack.snd_nxt = una_ + cwnd_;
        HyStart::acknowledged(state_, {.cwnd = cwnd_, .ssthresh = ssthresh_, .mss = mss}, ack);
    }
    /// A round: ACKs for a whole window, each with this round-trip time. Returns by how much cwnd grew.
    std::uint32_t round(std::uint32_t rtt_us, std::uint32_t segments = 1) {
        const std::uint32_t before = cwnd_;
        for (std::uint32_t i = 0; i < before / mss; i += segments) acknowledge(rtt_us, segments);
        return cwnd_ - before;
    }
    [[nodiscard]] bool ended() const { return ssthresh_ != unset; }

    std::uint32_t cwnd_ = 16 * mss;
    std::uint32_t ssthresh_ = unset;
    SeqNum una_{0xffff'0000};  // the numbers come round meanwhile
    HyStart::State state_{};
};

TEST_F(HyStartTest, DoublesTheWindowARoundWhileTheRoundTripStays) {
    for (int i = 0; i < 6; ++i) {
        const std::uint32_t before = cwnd_;
        EXPECT_EQ(round(40'000), before);
    }
    EXPECT_FALSE(state_.conservative);
    EXPECT_FALSE(ended());
}

TEST_F(HyStartTest, RiseByAnEighthBringsConservativeSlowStartAndFiveRoundsLaterAvoidance) {
    round(40'000);
    round(40'000);
    round(45'100);
    EXPECT_TRUE(state_.conservative);
    int rounds = 0;
    while (!ended() && rounds < 20) {
        const std::uint32_t before = cwnd_;
        round(45'100);
        ++rounds;
        if (!ended()) {
            EXPECT_NEAR(cwnd_ - before, before / 4, before / 16) << "a quarter of the growth";
        }
    }
    EXPECT_LE(rounds, HyStart::css_rounds + 1) << "the round in which it began counts";
    EXPECT_GE(rounds, HyStart::css_rounds - 1);
    EXPECT_LE(ssthresh_, cwnd_);
    EXPECT_GT(ssthresh_, 64 * mss);
}

TEST_F(HyStartTest, FallBelowTheBaselineTakesSlowStartUpAgain) {
    round(40'000);
    round(40'000);
    round(50'000);
    ASSERT_TRUE(state_.conservative);
    round(40'000);
    EXPECT_FALSE(state_.conservative) << "the rise was none of a queue";
    const std::uint32_t before = cwnd_ / mss * mss;
    EXPECT_EQ(round(40'000), before);
    for (int i = 0; i < 3; ++i) round(50'000);
    EXPECT_TRUE(state_.conservative) << "and looks on";
}

TEST_F(HyStartTest, ThresholdIsNotBelowFourMillisecondsNorAboveSixteen) {
    round(1'000);
    round(1'000);
    round(4'900);  // of a round trip of 1 ms an eighth is 125 us
    EXPECT_FALSE(state_.conservative);

    state_ = {};
    cwnd_ = 16 * mss;
    round(1'000);
    round(1'000);
    round(5'100);
    EXPECT_TRUE(state_.conservative);

    state_ = {};
    cwnd_ = 16 * mss;
    round(400'000);
    round(400'000);
    round(415'000);
    EXPECT_FALSE(state_.conservative);
    round(432'000);
    EXPECT_TRUE(state_.conservative) << "an eighth of 400 ms would be 50 ms";
}

TEST_F(HyStartTest, FewerThanEightSamplesARoundSayNothing) {
    cwnd_ = 7 * mss;
    for (int i = 0; i < 3; ++i) {
        cwnd_ = 7 * mss;
        round(40'000);
    }
    cwnd_ = 7 * mss;
    for (int i = 0; i < 6; ++i) acknowledge(90'000);
    EXPECT_FALSE(state_.conservative);
    for (int i = 0; i < 20; ++i) acknowledge(0);
    EXPECT_FALSE(state_.conservative) << "an ACK without a sample is none";
}

TEST_F(HyStartTest, OneHighSampleAmongLowOnesSaysNothing) {
    round(40'000);
    round(40'000);
    for (std::uint32_t i = 0; i < 60; ++i) acknowledge(i % 4 == 0 ? 40'000 : 90'000);
    EXPECT_FALSE(state_.conservative) << "the least of a round counts";
}

TEST_F(HyStartTest, StretchedAckOpensByTenSegmentsAtMost) {
    cwnd_ = 100 * mss;
    acknowledge(40'000, 50);
    EXPECT_EQ(cwnd_, 110 * mss);
}

TEST_F(HyStartTest, RoundTripsOfMoreThanTwoSecondsLeaveSlowStartAsItIs) {
    round(2'500'000);
    round(2'500'000);
    round(4'000'000);
    EXPECT_FALSE(state_.conservative);
}

// The rise shows in the round after the queue has come to stand, when the window is at most four times what
// the path holds, and five conservative rounds make three times of that: a queue of twelve times is enough
// for them, and not for slow start alone.
template <class Control>
class HyStartOnAPath : public testing::Test {};
using ControlsWithHyStart = testing::Types<Cubic, NewReno>;
TYPED_TEST_SUITE(HyStartOnAPath, ControlsWithHyStart);

TYPED_TEST(HyStartOnAPath, LeavesSlowStartBeforeTheQueueOverflows) {
    const test::PathOptions options{.rate = 12.5e6, .rtt = 40ms, .buffer = 12 * 500'000};
    Path<TypeParam> path(options);
    for (int i = 0; i < 3000 && path.ssthresh > CongestionWindow::most; ++i) path.run(1ms);
    EXPECT_LE(path.ssthresh, CongestionWindow::most);
    EXPECT_EQ(path.dropped, 0U);
    EXPECT_EQ(path.reductions, 0U);
    EXPECT_GT(path.ssthresh, path.bandwidth_delay()) << "and not before the path is full";
    EXPECT_LT(path.ssthresh, 12 * path.bandwidth_delay());
}

}  // namespace hystart_test
}  // namespace runnel::tcp
