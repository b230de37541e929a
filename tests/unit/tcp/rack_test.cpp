// RACK (RFC 8985 section 6.2), step by step.
#include "runnel/tcp/rack.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace rack_test {

constexpr std::uint32_t rtt = 100'000;  // microseconds
constexpr SeqNum start{0xffff'fe00U};   // numbers and clock come round within each test
constexpr std::uint32_t epoch = 0xffff'ff00U;

class Rfc8985Rack : public testing::Test {
  protected:
    /// Segment `n` of 100 octets leaves `at` microseconds after the beginning; a range each.
    void send(std::uint32_t n, std::uint32_t at) {
        if (board_.ranges() > 0) {  // of one time, but told apart
            ASSERT_EQ(all_[board_.tail()].end, start + 100 * n);
        }
        const std::uint32_t tail = board_.tail();
        board_.sent(all_, start + 100 * n, start + 100 * (n + 1), {.sent_us = epoch + at}, 0);
        if (board_.tail() == tail) {
            ASSERT_TRUE(board_.split(all_, tail, start + 100 * n));
        }
    }
    SentRange& segment(std::uint32_t n) {
        std::uint32_t slot = board_.head();
        while (all_[slot].end <= start + 100 * n) slot = all_[slot].next;
        return all_[slot];
    }
    /// The peer reports segment `n`.
    void sack(std::uint32_t n, std::uint32_t at, std::uint32_t min_rtt = 0) {
        board_.sack(all_, start + 100 * n, start + 100 * (n + 1),
                    [&](const SentRange& range) { rack_.delivered(range, epoch + at, min_rtt); });
    }
    Rack::Losses detect(std::uint32_t at, std::uint32_t window) {
        return rack_.detect(board_, all_, epoch + at, window);
    }
    bool lost(std::uint32_t n) { return segment(n).state == SentRange::State::lost; }

    SentRanges all_{"sent ranges", 1, 100};
    Scoreboard board_;
    Rack rack_;
};

TEST_F(Rfc8985Rack, NothingIsLostBeforeAnythingWasDelivered) {
    send(0, 0);
    const Rack::Losses losses = detect(10 * rtt, 0);
    EXPECT_EQ(losses.octets, 0U);
    EXPECT_EQ(losses.wait_us, 0U);
}

TEST_F(Rfc8985Rack, OnlyWhatWasSentBeforeTheDeliveredOneCanBeLost) {
    for (std::uint32_t i = 0; i < 5; ++i) send(i, 10 * i);
    sack(2, rtt);
    const Rack::Losses losses = detect(10 * rtt, 0);
    EXPECT_EQ(losses.octets, 200U);
    EXPECT_TRUE(lost(0) && lost(1));
    EXPECT_FALSE(lost(3) || lost(4));
}

TEST_F(Rfc8985Rack, OfThoseSentAtOneTimeTheHigherCountsAsLater) {
    for (std::uint32_t i = 0; i < 5; ++i) send(i, 0);
    sack(2, rtt);
    EXPECT_EQ(detect(10 * rtt, 0).octets, 200U);
    EXPECT_TRUE(lost(0) && lost(1));
    EXPECT_FALSE(lost(3) || lost(4));
}

TEST_F(Rfc8985Rack, WaitsUntilTheRoundTripAndTheWindowAreOver) {
    send(0, 0);
    send(1, 1000);
    send(2, 2000);
    sack(2, 2000 + rtt);
    Rack::Losses losses = detect(2000 + rtt, 5000);
    EXPECT_EQ(losses.octets, 0U);
    EXPECT_EQ(losses.wait_us, 4000U) << "for the one sent last of those that wait";
    losses = detect(rtt + 5000, 5000);  // to the microsecond
    EXPECT_EQ(losses.octets, 100U);
    EXPECT_TRUE(lost(0));
    EXPECT_EQ(losses.wait_us, 1000U);
    losses = detect(rtt + 6000, 5000);
    EXPECT_EQ(losses.octets, 100U);
    EXPECT_EQ(losses.wait_us, 0U);
}

TEST_F(Rfc8985Rack, RetransmissionIsJudgedByItsOwnTime) {
    send(0, 0);
    send(1, 0);
    sack(1, rtt);
    ASSERT_EQ(detect(rtt, 0).octets, 100U);
    board_.sent_again(all_, board_.head(), start + 100, {.sent_us = epoch + rtt});
    send(2, rtt + 10);
    EXPECT_EQ(detect(5 * rtt, 0).octets, 0U) << "the delivered one was sent before it";
    sack(2, 2 * rtt + 10);
    EXPECT_EQ(detect(2 * rtt + 10, 0).octets, 100U);
}

TEST_F(Rfc8985Rack, RetransmissionAcknowledgedTooSoonSaysNothing) {
    send(0, 0);
    send(1, 10);
    board_.mark_lost(all_, board_.tail());
    board_.sent_again(all_, board_.tail(), start + 200, {.sent_us = epoch + rtt});
    sack(1, rtt + rtt / 2, rtt);  // the original's ACK
    EXPECT_EQ(detect(10 * rtt, 0).octets, 0U);
}

TEST_F(Rfc8985Rack, OvertakenSegmentIsSeenAsReorderedUnlessItWasSentAgain) {
    send(0, 0);
    send(1, 1);
    send(2, 2);
    EXPECT_FALSE(rack_.reordered(segment(0)));
    rack_.forward(start + 200);
    EXPECT_TRUE(rack_.reordered(segment(0)));
    EXPECT_TRUE(rack_.reordered(segment(1)));
    EXPECT_FALSE(rack_.reordered(segment(2)));
    segment(0).retransmitted = true;
    EXPECT_FALSE(rack_.reordered(segment(0)));
    rack_.forward(start + 100);  // never back
    EXPECT_TRUE(rack_.reordered(segment(1)));
}

constexpr Rack::Conditions calm{.min_rtt_us = 40'000, .srtt_us = 100'000};

TEST_F(Rfc8985Rack, WindowIsAQuarterOfTheLeastRoundTripAndAtMostTheSmoothedOne) {
    EXPECT_EQ(rack_.reordering_window(calm), 10'000U);
    Rack::Conditions given = calm;
    given.srtt_us = 9'000;
    EXPECT_EQ(rack_.reordering_window(given), 9'000U);
    given.min_rtt_us = 0xffff'ffffU;
    given.srtt_us = 0xffff'ffffU;
    EXPECT_EQ(rack_.reordering_window(given), 0x3fff'ffffU);
}

TEST_F(Rfc8985Rack, WindowIsNoneOnProofOfLossUnlessReorderingWasSeen) {
    Rack::Conditions given = calm;
    given.three_duplicates = true;
    EXPECT_EQ(rack_.reordering_window(given), 0U);
    given = calm;
    given.recovering = true;
    EXPECT_EQ(rack_.reordering_window(given), 0U);
    given.three_duplicates = given.reordering_seen = true;
    EXPECT_EQ(rack_.reordering_window(given), 10'000U);
}

TEST_F(Rfc8985Rack, WindowGrowsWithDuplicatesOnceARound) {
    rack_.duplicate_reported(start, start + 1000);
    EXPECT_EQ(rack_.reordering_window(calm), 20'000U);
    rack_.duplicate_reported(start + 999, start + 2000);  // of the same round
    EXPECT_EQ(rack_.reordering_window(calm), 20'000U);
    rack_.duplicate_reported(start + 1000, start + 2000);
    EXPECT_EQ(rack_.reordering_window(calm), 30'000U);
    for (std::uint32_t i = 2; i < 400; ++i)
        rack_.duplicate_reported(start + 1000 * i, start + 1000 * (i + 1));
    EXPECT_EQ(rack_.reordering_window(calm), 100'000U) << "the smoothed round trip";
    Rack::Conditions given = calm;
    given.srtt_us = 0xffff'ffffU;
    EXPECT_EQ(rack_.reordering_window(given), 255U * 10'000U);
}

TEST_F(Rfc8985Rack, RoundOfDuplicatesIsOverHoweverMuchHasBeenSentSince) {
    rack_.duplicate_reported(start, start + 1000);
    const SeqNum later = start + 0x9000'0000U;  // more than half the number space
    rack_.duplicate_reported(later, later + 1000);
    EXPECT_EQ(rack_.reordering_window(calm), 30'000U);
}

TEST_F(Rfc8985Rack, WindowIsWhatItWasAfterSixteenRecoveriesWithoutADuplicate) {
    rack_.duplicate_reported(start, start + 1000);
    for (int i = 0; i < 15; ++i) rack_.recovery_ended();
    EXPECT_EQ(rack_.reordering_window(calm), 20'000U);
    rack_.duplicate_reported(start + 1000, start + 2000);  // begins to count anew
    for (int i = 0; i < 15; ++i) rack_.recovery_ended();
    EXPECT_EQ(rack_.reordering_window(calm), 30'000U);
    rack_.recovery_ended();
    EXPECT_EQ(rack_.reordering_window(calm), 10'000U);
}

TEST_F(Rfc8985Rack, TimeOutTakesTheFirstAndAllThatWasOutForARoundTrip) {
    for (std::uint32_t i = 0; i < 4; ++i) send(i, i * rtt);
    sack(1, 2 * rtt);  // the round trip is known now: 100 ms
    rack_.time_out(board_, all_, epoch + 3 * rtt + rtt / 2, 0);
    EXPECT_TRUE(lost(0) && lost(2));
    EXPECT_FALSE(lost(3)) << "it has just left";
    EXPECT_EQ(board_.lost(), 200U);
}

TEST_F(Rfc8985Rack, TimeOutTakesAllWhereNothingWasEverDelivered) {
    for (std::uint32_t i = 0; i < 4; ++i) send(i, i);
    rack_.time_out(board_, all_, epoch + 4, 0);
    EXPECT_EQ(board_.lost(), 400U);
}

}  // namespace rack_test
}  // namespace runnel::tcp
