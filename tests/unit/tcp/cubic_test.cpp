// CUBIC (RFC 9438) beside its formulas, in a closed loop of virtual time and over a bottleneck.
#include "runnel/tcp/congestion/cubic.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "congestion_path.hpp"
#include "seed.hpp"

namespace runnel::tcp {
namespace cubic_test {

using test::Path;

constexpr std::uint32_t mss = 1000;

double in_seconds(Duration time) {
    return std::chrono::duration<double>(time).count();
}

class CubicTest : public testing::Test {
  protected:
    CongestionWindow window() {
        return {.cwnd = cwnd_,
                .ssthresh = ssthresh_,
                .mss = mss,
                .initial = 10 * mss,
                .srtt_us = static_cast<std::uint32_t>(rtt_.count() / 1000)};
    }
    void acknowledge(std::uint32_t octets, std::uint32_t flight, bool in_recovery = false) {
        AckSample ack;
        ack.now = now_;
        ack.delivered = ack.acknowledged = octets;
        ack.flight_before = flight;
        ack.in_recovery = in_recovery;
        Cubic::acknowledged(state_, window(), ack);
    }
    /// A round trip in which the window is used in full, its ACKs evenly spread.
    void round() {
        const std::uint32_t acks = std::max(cwnd_ / mss, 1U);
        for (std::uint32_t i = 0; i < acks; ++i) {
            now_ += rtt_ / acks;
            acknowledge(mss, cwnd_);
        }
    }
    /// The whole window was out when one segment of it was lost.
    void lose(Reduction why = Reduction::loss) {
        ssthresh_ = Cubic::ssthresh_after_loss(state_, window(), cwnd_, now_, why);
        cwnd_ = why == Reduction::time_out ? mss : ssthresh_;
    }
    [[nodiscard]] double segments() const { return static_cast<double>(cwnd_) / mss; }

    Duration rtt_ = 100ms;
    Instant now_{7s};
    std::uint32_t cwnd_ = 200 * mss;
    std::uint32_t ssthresh_ = 0x7fffffff;
    Cubic::State state_{};
};

/// RFC 9438 Figures 1 and 2, in segments and seconds.
double curve(double w_max, double cwnd_epoch, double t) {
    return 0.4 * std::pow(t - std::cbrt((w_max - cwnd_epoch) / 0.4), 3) + w_max;
}

TEST_F(CubicTest, LossLeavesSevenTenthsOfTheFlight) {
    EXPECT_EQ(Cubic::ssthresh_after_loss(state_, window(), 100 * mss, now_, Reduction::loss), 70 * mss);
    EXPECT_EQ(Cubic::ssthresh_after_loss(state_, window(), 100 * mss, now_, Reduction::time_out), 70 * mss);
    EXPECT_EQ(Cubic::ssthresh_after_loss(state_, window(), 10 * mss, now_, Reduction::congestion_marks),
              7 * mss);
    EXPECT_EQ(Cubic::ssthresh_after_loss(state_, window(), 2 * mss, now_, Reduction::loss), 2 * mss);
    EXPECT_EQ(Cubic::ssthresh_after_loss(state_, window(), 0, now_, Reduction::loss), 2 * mss);
}

TEST_F(CubicTest, WindowFollowsTheCurveThroughItsConcaveAndItsConvexPart) {
    lose();
    ASSERT_EQ(cwnd_, 140 * mss);
    const Instant begin = now_;
    bool plateau = false;
    for (int i = 0; i < 120; ++i) {
        round();
        const double t = in_seconds(now_ - begin);
        // Each ACK aims at where the curve is a round trip later, and covers a part of the way.
        const double least = curve(200, 140, t - 0.1), most = curve(200, 140, t + 0.1);
        ASSERT_GE(segments(), least - 1) << t;
        ASSERT_LE(segments(), most + 1) << t;
        if (std::abs(t - std::cbrt(60 / 0.4)) < 0.1) {
            plateau = true;
            EXPECT_NEAR(segments(), 200, 1) << "at K the window is W_max";
        }
    }
    EXPECT_TRUE(plateau);
    EXPECT_GT(segments(), 300);
}

TEST_F(CubicTest, WindowThatIsLostBelowWMaxIsReducedFurtherForOthers) {
    lose();
    EXPECT_EQ(state_.curve.w_max, 200 * mss);
    for (int i = 0; i < 10; ++i) round();
    ASSERT_LT(cwnd_, 200 * mss);
    const std::uint32_t before = cwnd_;
    lose();
    EXPECT_NEAR(state_.curve.w_max, before * 0.85, 1) << "fast convergence, section 4.7";
    for (int i = 0; i < 100; ++i) round();
    ASSERT_GT(cwnd_, state_.curve.w_max);
    const std::uint32_t above = cwnd_;
    lose();
    EXPECT_EQ(state_.curve.w_max, above);
}

TEST_F(CubicTest, ShortRoundTripsGrowAsRenoWithTheSameMeanWould) {
    rtt_ = 5ms;
    cwnd_ = 40 * mss;
    lose();
    ASSERT_EQ(cwnd_, 28 * mss);
    // alpha = 0.53 segments a round until the window is back where it was, then one (section 4.3).
    double expected = 28;
    for (int i = 0; i < 60; ++i) {
        round();
        expected += expected < 40 ? 3 * 0.3 / 1.7 : 1;
        ASSERT_NEAR(segments(), expected, 1.5) << "round " << i;
    }
    EXPECT_GT(segments(), 70);
    EXPECT_LT(curve(40, 28, in_seconds(60 * rtt_)), 35) << "the curve alone would be here";
}

TEST_F(CubicTest, OneAckOpensByHalfOfWhatItAcknowledgesAtMost) {
    cwnd_ = 1000 * mss;
    lose();
    cwnd_ = ssthresh_ = 10 * mss;  // the curve begins steep
    for (int i = 0; i < 200; ++i) {
        now_ += 1ms;
        const std::uint32_t before = cwnd_;
        acknowledge(mss, cwnd_);
        ASSERT_LE(cwnd_, before + mss / 2);
    }
    EXPECT_GT(cwnd_, 15 * mss);
    const std::uint32_t before = cwnd_;
    acknowledge(100'000 * mss, cwnd_);
    EXPECT_LE(cwnd_, before + before / 2) << "nor more for more than a window";
}

TEST_F(CubicTest, WindowThatIsNotUsedDoesNotGrow) {
    const auto all = [this] {
        const std::uint32_t before = cwnd_;
        for (int i = 0; i < 1000; ++i) {
            now_ += 1ms;
            acknowledge(mss, cwnd_ / 2 - 1);
        }
        EXPECT_EQ(cwnd_, before);
    };
    all();  // in slow start
    lose();
    round();
    all();  // in avoidance
}

TEST_F(CubicTest, TimeInWhichTheApplicationHeldBackDoesNotCount) {
    lose();
    const Instant begin = now_;
    for (int i = 0; i < 20; ++i) round();
    const Instant limited = now_;
    for (int i = 0; i < 1000; ++i) {
        now_ += 100ms;
        acknowledge(mss, mss);
    }
    const Duration away = now_ - limited;
    for (int i = 0; i < 20; ++i) round();
    const double t = in_seconds(now_ - begin - away);
    EXPECT_NEAR(segments(), curve(200, 140, t), 2.5) << "the curve goes on where it was (section 4.2)";
}

TEST_F(CubicTest, IdleTimeDoesNotCount) {
    lose();
    const Instant begin = now_;
    for (int i = 0; i < 20; ++i) round();
    now_ += 1h;
    for (int i = 0; i < 20; ++i) round();
    EXPECT_NEAR(segments(), curve(200, 140, in_seconds(now_ - begin - 1h)), 2.5);
}

TEST_F(CubicTest, AfterATimeoutSlowStartAndThenTheConvexPartFromWhereItEnds) {
    lose(Reduction::time_out);
    ASSERT_EQ(ssthresh_, 140 * mss);
    const std::uint32_t before = cwnd_;
    acknowledge(5 * mss, cwnd_, true);
    EXPECT_EQ(cwnd_, before + mss) << "one segment an ACK in the recovery (RFC 3465 section 2.3)";
    for (int i = 0; i < 20 && cwnd_ < ssthresh_; ++i) {
        now_ += rtt_;
        for (std::uint32_t acks = cwnd_ / mss; acks > 0 && cwnd_ < ssthresh_; --acks) acknowledge(mss, cwnd_);
    }
    ASSERT_EQ(cwnd_, ssthresh_) << "slow start ends at the threshold, not beyond";
    const Instant begin = now_;
    round();
    EXPECT_EQ(state_.curve.k, 0) << "section 4.8";
    EXPECT_NEAR(state_.curve.w_max, 140 * mss, mss);
    for (int i = 0; i < 60; ++i) round();
    const double t = in_seconds(now_ - begin);
    EXPECT_GE(segments(), 140 + 0.4 * std::pow(t - 0.1, 3) - 1);
    EXPECT_LE(segments(), 140 + 0.4 * std::pow(t + 0.1, 3) + 1);
}

TEST_F(CubicTest, UndoneReductionLeavesTheCurveAsItWas) {
    lose();
    const Instant begin = now_;
    for (int i = 0; i < 30; ++i) round();
    const std::uint32_t cwnd = cwnd_, ssthresh = ssthresh_;
    for (const Reduction why : {Reduction::loss, Reduction::time_out}) {
        const Cubic::State::Curve curve_before = state_.curve;
        lose(why);
        EXPECT_NE(state_.curve.w_max, curve_before.w_max);
        cwnd_ = cwnd;
        ssthresh_ = ssthresh;
        Cubic::undo(state_, window());
        EXPECT_EQ(state_.curve.w_max, curve_before.w_max);
        EXPECT_EQ(state_.curve.cwnd_prior, curve_before.cwnd_prior);
        EXPECT_EQ(state_.curve.w_est, curve_before.w_est);
        EXPECT_EQ(state_.curve.k, curve_before.k);
        EXPECT_EQ(state_.curve.epoch_start, curve_before.epoch_start);
    }
    for (int i = 0; i < 30; ++i) round();
    EXPECT_NEAR(segments(), curve(200, 140, in_seconds(now_ - begin)), 2.5);
}

TEST_F(CubicTest, UndoOfTheFirstReductionGoesOnWithTheInitialSlowStart) {
    cwnd_ = 20 * mss;
    lose();
    cwnd_ = 20 * mss;
    ssthresh_ = 0x7fffffff;
    Cubic::undo(state_, window());
    for (int i = 0; i < 20; ++i) acknowledge(mss, cwnd_);
    EXPECT_EQ(cwnd_, 40 * mss);
}

TEST_F(CubicTest, DividedAcksGainNothing) {
    for (const bool avoidance : {false, true}) {
        std::uint32_t results[2];
        for (const std::uint32_t parts : {1U, 10U}) {
            cwnd_ = 100 * mss;
            ssthresh_ = 0x7fffffff;
            state_ = {};
            if (avoidance) lose();
            for (int i = 0; i < 3000; ++i) {
                now_ += 1ms;
                for (std::uint32_t part = 0; part < parts; ++part) acknowledge(mss / parts, cwnd_);
            }
            results[parts == 1 ? 0 : 1] = cwnd_;
        }
        EXPECT_NEAR(results[0], results[1], mss) << "RFC 3465";
    }
}

TEST_F(CubicTest, EpochOfDaysKeepsTheWindowInItsBounds) {
    rtt_ = 10s;
    cwnd_ = 10 * mss;
    lose();
    std::uint32_t before = cwnd_;
    for (int i = 0; i < 8 * 24 * 360; ++i) {
        now_ += rtt_;
        acknowledge(cwnd_, cwnd_);
        ASSERT_GE(cwnd_, before) << "at " << in_seconds(now_.time_since_epoch());
        before = cwnd_;
    }
    EXPECT_EQ(cwnd_, CongestionWindow::most);
}

// RFC 9438 section 5.2: with each 1/p-th segment lost the mean window is 1.054 (RTT / p)^(3/4) segments.
TEST(Rfc9438, MeanWindowIsThatOfTheResponseFunction) {
    Path<Cubic> path({.rate = 1e8, .rtt = 100ms, .lose_every = 10'000});
    path.run(60s);
    const std::uint64_t before = path.delivered;
    path.run(120s);
    const double window = static_cast<double>(path.delivered - before) / Path<Cubic>::mss / 120 * 0.1;
    EXPECT_NEAR(window / (1.054 * std::pow(0.1 * 10'000, 0.75)), 1, 0.1) << window << " segments";
}

TEST(Rfc9438, MeanWindowOfTheRenoFriendlyRegionIsThatOfReno) {
    Path<Cubic> path({.rate = 1e8, .rtt = 10ms, .lose_every = 1'000});
    path.run(10s);
    const std::uint64_t before = path.delivered;
    path.run(20s);
    const double window = static_cast<double>(path.delivered - before) / Path<Cubic>::mss / 20 * 0.01;
    EXPECT_NEAR(window / std::sqrt(1.5 * 1'000), 1, 0.15) << window << " segments";
}

TEST(Rfc9438, KeepsABottleneckBusyThatHoldsHalfOfWhatThePathDoes) {
    Path<Cubic> path({.rate = 12.5e6, .rtt = 40ms, .buffer = 250'000});
    path.run(5s);
    const std::uint64_t before = path.delivered;
    path.run(10s);
    EXPECT_GT(static_cast<double>(path.delivered - before), 0.97 * 12.5e6 * 10);
    EXPECT_GT(path.reductions, 1U);
    EXPECT_EQ(path.timeouts, 0U);
}

TEST(Rfc9438, IsTheSameWhereTimesAndSequenceNumbersComeRound) {
    const auto run = [](Instant begin, SeqNum first) {
        Path<Cubic> path({.buffer = 100'000,
                          .loss = 0.0005,
                          .seed = test::seed(),
                          .first_sequence = first,
                          .begin = begin});
        path.run(15s);
        EXPECT_GT(path.reductions, 1U);
        return std::pair{path.delivered, path.cwnd};
    };
    const auto expected = run(Instant{}, SeqNum{1});
    // Its clock is of 32 bits, 2^16 ns each.
    constexpr std::int64_t tick = 1 << 16, round = std::int64_t{1} << 48;
    EXPECT_EQ(run(Instant{Duration{round - 10'000 * tick}}, SeqNum{0xffff'f000}), expected);
    EXPECT_EQ(run(Instant{Duration{round / 2 - 50'000 * tick}}, SeqNum{0x7fff'f000}), expected);
}

}  // namespace cubic_test
}  // namespace runnel::tcp
