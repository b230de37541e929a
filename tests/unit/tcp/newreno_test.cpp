// NewReno's windows (RFC 5681) and byte counting (RFC 3465).
#include "runnel/tcp/congestion/newreno.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace newreno_test {

constexpr std::uint32_t mss = 1448;

class NewRenoTest : public testing::Test {
  protected:
    /// An ACK of so many octets, with so much outstanding before it.
    void acknowledged(std::uint32_t octets, std::uint32_t flight) {
        AckSample ack;
        ack.delivered = ack.acknowledged = octets;
        ack.flight_before = flight;
        NewReno::acknowledged(state_, window(), ack);
    }
    /// The whole window was out.
    void acknowledged(std::uint32_t octets) { acknowledged(octets, cwnd_); }
    std::uint32_t ssthresh_after_loss(std::uint32_t flight, Reduction why = Reduction::loss) {
        return NewReno::ssthresh_after_loss(state_, window(), flight, Instant{}, why);
    }
    CongestionWindow window() { return {.cwnd = cwnd_, .ssthresh = ssthresh_, .mss = mss}; }

    std::mt19937_64 random_{test::seed()};
    std::uint32_t cwnd_ = 10 * mss;
    std::uint32_t ssthresh_ = 0xffff'ffff;
    NewReno::State state_{};
};

TEST_F(NewRenoTest, SlowStartOpensByAsMuchAsWasAcknowledged) {
    acknowledged(mss);
    EXPECT_EQ(cwnd_, 11 * mss);
    acknowledged(100);
    EXPECT_EQ(cwnd_, 11 * mss + 100);
}

TEST_F(NewRenoTest, SlowStartOpensByAtMostASegmentAnAck) {
    acknowledged(8 * mss);
    EXPECT_EQ(cwnd_, 11 * mss) << "RFC 5681 equation 2";
}

TEST_F(NewRenoTest, SlowStartDoublesTheWindowInARoundTrip) {
    const std::uint32_t window = cwnd_;
    for (std::uint32_t acked = 0; acked < window; acked += mss) acknowledged(mss);
    EXPECT_EQ(cwnd_, 2 * window);
}

TEST_F(NewRenoTest, DividedAcksOpenTheWindowByNoMoreThanWhatTheyAcknowledge) {
    for (int round = 0; round < 200; ++round) {
        cwnd_ = static_cast<std::uint32_t>(2 + random_() % 50) * mss;
        const std::uint32_t before = cwnd_;
        std::uint32_t left = static_cast<std::uint32_t>(1 + random_() % 20) * mss;
        const std::uint32_t all = left;
        while (left > 0) {
            const std::uint32_t n = std::min(left, static_cast<std::uint32_t>(1 + random_() % 300));
            acknowledged(n);
            left -= n;
        }
        ASSERT_EQ(cwnd_, before + all);
    }
}

TEST_F(NewRenoTest, AvoidanceOpensByASegmentForEachWindowAcknowledgedHoweverDivided) {
    for (int round = 0; round < 200; ++round) {
        ssthresh_ = 2 * mss;
        cwnd_ = static_cast<std::uint32_t>(2 + random_() % 50) * mss;
        state_.acked_in_avoidance = 0;
        const std::uint32_t most = random_() % 2 == 0 ? 100 : 2 * mss;
        std::uint32_t expected = cwnd_;
        std::uint64_t acked = 0, threshold = cwnd_;  // the model: the next step comes at this many octets
        while (acked < 20U * 50 * mss) {
            const auto n = static_cast<std::uint32_t>(1 + random_() % most);
            acknowledged(n);
            acked += n;
            if (acked >= threshold) {
                expected += mss;
                threshold += expected;
            }
            // An ACK of less than a window never brings two steps.
            ASSERT_EQ(cwnd_, expected) << "after " << acked << " octets";
        }
    }
}

TEST_F(NewRenoTest, SlowStartEndsAtTheThreshold) {
    ssthresh_ = 12 * mss;
    acknowledged(mss);
    acknowledged(mss);
    ASSERT_EQ(cwnd_, 12 * mss);
    acknowledged(mss);
    EXPECT_EQ(cwnd_, 12 * mss) << "from here on a whole window must be acknowledged";
}

TEST_F(NewRenoTest, WindowThatWasNotUsedDoesNotGrow) {
    for (const std::uint32_t ssthresh : {0xffff'ffffU, 2 * mss}) {
        cwnd_ = 10 * mss;
        ssthresh_ = ssthresh;
        for (int i = 0; i < 100; ++i) acknowledged(mss, 5 * mss - 1);
        EXPECT_EQ(cwnd_, 10 * mss) << "RFC 7661 section 4.3";
        for (int i = 0; i < 100; ++i) acknowledged(mss, cwnd_ / 2);
        EXPECT_GT(cwnd_, 10 * mss) << "used to the half it does";
    }
}

TEST_F(NewRenoTest, LossHalvesTheFlightButLeavesTwoSegments) {
    EXPECT_EQ(ssthresh_after_loss(20 * mss), 10 * mss);
    EXPECT_EQ(ssthresh_after_loss(4 * mss), 2 * mss);
    EXPECT_EQ(ssthresh_after_loss(mss), 2 * mss);
    EXPECT_EQ(ssthresh_after_loss(0), 2 * mss);
    EXPECT_EQ(ssthresh_after_loss(20 * mss, Reduction::time_out), 10 * mss);
    cwnd_ = 100 * mss;
    EXPECT_EQ(ssthresh_after_loss(6 * mss), 3 * mss) << "the flight counts, not the window";
}

TEST_F(NewRenoTest, WindowEndsAtTheLargestThatAPeerCanOffer) {
    cwnd_ = CongestionWindow::most - mss;
    for (int i = 0; i < 10; ++i) acknowledged(mss);
    EXPECT_EQ(cwnd_, CongestionWindow::most);
    ssthresh_ = mss;
    state_.acked_in_avoidance = cwnd_ - 1;
    acknowledged(mss);
    EXPECT_EQ(cwnd_, CongestionWindow::most);
}

}  // namespace newreno_test
}  // namespace runnel::tcp
