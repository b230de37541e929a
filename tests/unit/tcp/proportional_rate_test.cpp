// Proportional rate reduction: the course of a recovery as RFC 6937 section 4 tells it.
#include "runnel/tcp/proportional_rate.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace proportional_rate_test {

constexpr std::uint32_t mss = 1000;

/// A sender in recovery that sends whatever the window lets it, in full segments.
struct Sender {
    ProportionalRate prr{};
    std::uint32_t pipe, ssthresh;

    Sender(std::uint32_t flight, std::uint32_t lost, std::uint32_t threshold)
        : pipe(flight - lost), ssthresh(threshold) {
        prr.begin(flight);
    }
    /// An ACK that delivers so many octets of `pipe`. Returns how many segments leave.
    std::uint32_t ack(std::uint32_t delivered, bool safe = false) {
        pipe -= delivered;
        const std::uint32_t window =
            prr.window({.delivered = delivered, .pipe = pipe, .safe = safe}, ssthresh, mss);
        std::uint32_t segments = 0;
        for (; pipe + mss <= window; ++segments) {
            pipe += mss;
            prr.sent(mss);
        }
        return segments;
    }
};

// Section 4, first example: twenty segments out, the first lost, ssthresh half. "PRR sends on every other
// ACK".
TEST(Rfc6937, OneLossOfTwentyLetsOneSegmentGoForEveryTwoDelivered) {
    Sender sender{20 * mss, mss, 10 * mss};
    std::uint32_t sent = sender.ack(mss);
    EXPECT_EQ(sent, 1U) << "the retransmission goes with the first ACK";
    std::vector<std::uint32_t> each;
    for (int i = 1; i < 19; ++i) {
        const std::uint32_t now = sender.ack(mss);
        sent += now;
        EXPECT_LE(now, 1U) << "no burst";
        if (sender.pipe > sender.ssthresh) each.push_back(now);
    }
    EXPECT_EQ(sent, 10U) << "as many as ssthresh, in a round trip";
    EXPECT_EQ(sender.pipe, 10 * mss);
    EXPECT_GE(each.size(), 14U);
    for (std::size_t i = 1; i < each.size(); ++i) EXPECT_LE(each[i] + each[i - 1], 1U) << "every other ACK";
}

// Section 4, second example: of twenty segments the first fifteen are lost. The pipe falls below ssthresh at
// once: with the slow-start bound one more segment leaves than each ACK delivers, up to ssthresh.
TEST(Rfc6937, HeavyLossIsSlowStartedTowardsSsthreshOnlyWhereItIsSafe) {
    Sender conservative{20 * mss, 15 * mss, 10 * mss};
    EXPECT_EQ(conservative.pipe, 5 * mss);
    std::uint32_t sent = 0;
    for (int i = 0; i < 5; ++i) sent += conservative.ack(mss);
    EXPECT_EQ(sent, 5U) << "packet conservation: as many as were delivered";
    EXPECT_EQ(conservative.pipe, 5 * mss);

    Sender safe{20 * mss, 15 * mss, 10 * mss};
    sent = 0;
    for (int i = 0; i < 5; ++i) {
        const std::uint32_t now = safe.ack(mss, true);
        EXPECT_LE(now, 2U);
        sent += now;
    }
    EXPECT_EQ(sent, 10U) << "one more for each ACK";
    EXPECT_EQ(safe.pipe, 10 * mss);
    EXPECT_EQ(safe.ack(mss, true), 1U) << "not beyond ssthresh";
    EXPECT_EQ(safe.pipe, 10 * mss);
}

TEST(Rfc6937, FirstAckAlwaysLetsTheFastRetransmitGo) {
    ProportionalRate prr;
    prr.begin(20 * mss);
    EXPECT_EQ(prr.window({.delivered = 0, .pipe = 19 * mss}, 10 * mss, mss), 20 * mss);
    prr.sent(mss);
    EXPECT_EQ(prr.window({.delivered = 0, .pipe = 20 * mss}, 10 * mss, mss), 20 * mss) << "once";
}

TEST(Rfc6937, NothingInFlightAtTheBeginningIsNoDivisionByZero) {
    ProportionalRate prr;
    prr.begin(0);
    EXPECT_EQ(prr.window({.delivered = 1, .pipe = 20 * mss}, mss, mss), 21 * mss);
}

TEST(Rfc6937, LargestWindowsDoNotOverflow) {
    ProportionalRate prr;
    prr.begin(0x4000'0000U);
    EXPECT_EQ(prr.window({.delivered = 0x1000'0000U, .pipe = 0x3000'0000U}, 0x2000'0000U, mss),
              0x3000'0000U + 0x0800'0000U);
}

// Whatever comes: the window is never below what is out, so nothing underflows in who subtracts; above
// ssthresh no more leaves than its share of what was delivered; below it, no more than ssthresh.
TEST(Rfc6937, BoundsHoldForAnyCourseOfEvents) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 500; ++round) {
        const auto flight = static_cast<std::uint32_t>(10 + random() % 200) * mss;
        const auto ssthresh = static_cast<std::uint32_t>(2 + random() % (flight / mss)) * mss;
        ProportionalRate prr;
        prr.begin(flight);
        std::uint32_t pipe = flight;
        std::uint64_t delivered = 0, out = 0;
        for (int i = 0; i < 100; ++i) {
            const auto news = static_cast<std::uint32_t>(random() % (std::min(pipe, 4 * mss) + 1));
            const auto lost =
                static_cast<std::uint32_t>(random() % 4 == 0 ? random() % (pipe - news + 1) : 0);
            pipe -= news + lost;
            delivered += news;
            const bool safe = random() % 2 == 0 && lost == 0;
            const std::uint32_t window =
                prr.window({.delivered = news, .pipe = pipe, .safe = safe}, ssthresh, mss);
            ASSERT_GE(window, pipe);
            const std::uint32_t may = window - pipe;
            if (out > 0 && pipe > ssthresh) {
                ASSERT_LE(out + may, std::max(out, (delivered * ssthresh + flight - 1) / flight));
            }
            if (out > 0 && pipe <= ssthresh) {
                ASSERT_LE(window, ssthresh);
                if (!safe) {
                    ASSERT_LE(may, std::max<std::uint64_t>(delivered > out ? delivered - out : 0, news));
                }
            }
            const auto sent = static_cast<std::uint32_t>(random() % 3 == 0 ? random() % (may + 1) : may);
            prr.sent(sent);
            out += sent;
            pipe += sent;
        }
    }
}

}  // namespace proportional_rate_test
}  // namespace runnel::tcp
