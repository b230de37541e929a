// NewReno's windows (RFC 5681) and byte counting (RFC 3465).
#include "runnel/tcp/congestion/newreno.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace {

constexpr std::uint32_t mss = 1448;

class NewRenoTest : public testing::Test {
  protected:
    NewRenoTest() {
        tcb_.mss = mss;
        tcb_.cwnd = 10 * mss;
        tcb_.ssthresh = 0xffff'ffff;
    }
    /// An ACK of so many octets while the whole window was out.
    void acknowledged(std::uint32_t octets) { NewReno::acknowledged(tcb_, cold_, octets, tcb_.cwnd); }

    std::mt19937_64 random_{test::seed()};
    Tcb tcb_{};
    Cold cold_{};
};

TEST_F(NewRenoTest, SlowStartOpensByAsMuchAsWasAcknowledged) {
    acknowledged(mss);
    EXPECT_EQ(tcb_.cwnd, 11 * mss);
    acknowledged(100);
    EXPECT_EQ(tcb_.cwnd, 11 * mss + 100);
}

TEST_F(NewRenoTest, SlowStartOpensByAtMostASegmentAnAck) {
    acknowledged(8 * mss);
    EXPECT_EQ(tcb_.cwnd, 11 * mss) << "RFC 5681 equation 2";
}

TEST_F(NewRenoTest, SlowStartDoublesTheWindowInARoundTrip) {
    const std::uint32_t window = tcb_.cwnd;
    for (std::uint32_t acked = 0; acked < window; acked += mss) acknowledged(mss);
    EXPECT_EQ(tcb_.cwnd, 2 * window);
}

TEST_F(NewRenoTest, DividedAcksOpenTheWindowByNoMoreThanWhatTheyAcknowledge) {
    for (int round = 0; round < 200; ++round) {
        tcb_.cwnd = static_cast<std::uint32_t>(2 + random_() % 50) * mss;
        const std::uint32_t before = tcb_.cwnd;
        std::uint32_t left = static_cast<std::uint32_t>(1 + random_() % 20) * mss;
        const std::uint32_t all = left;
        while (left > 0) {
            const std::uint32_t n = std::min(left, static_cast<std::uint32_t>(1 + random_() % 300));
            acknowledged(n);
            left -= n;
        }
        ASSERT_EQ(tcb_.cwnd, before + all);
    }
}

TEST_F(NewRenoTest, AvoidanceOpensByASegmentForEachWindowAcknowledgedHoweverDivided) {
    for (int round = 0; round < 200; ++round) {
        tcb_.ssthresh = 2 * mss;
        tcb_.cwnd = static_cast<std::uint32_t>(2 + random_() % 50) * mss;
        cold_.acked_in_avoidance = 0;
        const std::uint32_t most = random_() % 2 == 0 ? 100 : 2 * mss;
        std::uint32_t expected = tcb_.cwnd;
        std::uint64_t acked = 0, threshold = tcb_.cwnd;  // the model: the next step comes at this many octets
        while (acked < 20U * 50 * mss) {
            const auto n = static_cast<std::uint32_t>(1 + random_() % most);
            acknowledged(n);
            acked += n;
            if (acked >= threshold) {
                expected += mss;
                threshold += expected;
            }
            // An ACK of less than a window never brings two steps.
            ASSERT_EQ(tcb_.cwnd, expected) << "after " << acked << " octets";
        }
    }
}

TEST_F(NewRenoTest, SlowStartEndsAtTheThreshold) {
    tcb_.ssthresh = 12 * mss;
    acknowledged(mss);
    acknowledged(mss);
    ASSERT_EQ(tcb_.cwnd, 12 * mss);
    acknowledged(mss);
    EXPECT_EQ(tcb_.cwnd, 12 * mss) << "from here on a whole window must be acknowledged";
}

TEST_F(NewRenoTest, WindowThatWasNotUsedDoesNotGrow) {
    for (const std::uint32_t ssthresh : {0xffff'ffffU, 2 * mss}) {
        tcb_.cwnd = 10 * mss;
        tcb_.ssthresh = ssthresh;
        for (int i = 0; i < 100; ++i) NewReno::acknowledged(tcb_, cold_, mss, 5 * mss - 1);
        EXPECT_EQ(tcb_.cwnd, 10 * mss) << "RFC 7661 section 4.3";
        for (int i = 0; i < 100; ++i) NewReno::acknowledged(tcb_, cold_, mss, tcb_.cwnd / 2);
        EXPECT_GT(tcb_.cwnd, 10 * mss) << "used to the half it does";
    }
}

TEST_F(NewRenoTest, LossHalvesTheFlightButLeavesTwoSegments) {
    EXPECT_EQ(NewReno::ssthresh_after_loss(tcb_, 20 * mss), 10 * mss);
    EXPECT_EQ(NewReno::ssthresh_after_loss(tcb_, 4 * mss), 2 * mss);
    EXPECT_EQ(NewReno::ssthresh_after_loss(tcb_, mss), 2 * mss);
    EXPECT_EQ(NewReno::ssthresh_after_loss(tcb_, 0), 2 * mss);
    tcb_.cwnd = 100 * mss;
    EXPECT_EQ(NewReno::ssthresh_after_loss(tcb_, 6 * mss), 3 * mss) << "the flight counts, not the window";
}

}  // namespace
}  // namespace runnel::tcp
