// TCP timestamps and PAWS (RFC 7323 sections 3 to 5). That every segment but RST carries them once negotiated
// is an invariant of each conversation.
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace timestamps_cases {

using tcp::CloseReason;

/// A connection whose peer's clock began at `first`; the third segment of the handshake says first + 1.
std::uint32_t open_stamped(Conversation& c, std::uint32_t first) {
    const Segment answer = c.open_passive(syn().mss(1460).ts(first, 0));
    EXPECT_EQ(answer.timestamps()->echo, first);
    return answer.timestamps()->value;
}

TEST(Rfc7323, TimestampsAreOfferedWithAnEchoOfZero) {
    Conversation c;
    c.connect();
    c.expect(syn().ts_echo(0));
    c.inject(syn_ack().mss(1460).ts(77, 0));
    c.expect(ack().ts_echo(77));
    c.expect_established();
    EXPECT_TRUE(c.info().timestamps);
}

TEST(Rfc7323, TimestampsCanBeSwitchedOff) {
    StackConfig config = small_stack();
    config.tcp.timestamps = false;
    Conversation c{config};
    c.listen();
    c.inject(syn().mss(1460).ts(5, 0));
    c.expect(syn_ack().without(option::timestamps));
    Conversation d{config};
    d.connect();
    d.expect(syn().without(option::timestamps));
}

TEST(Rfc7323, WithoutAnOfferNoneAreSent) {
    Conversation c;
    c.open_passive(syn().mss(1460));
    c.send("plain");
    c.expect(data("plain").without(option::timestamps));
    EXPECT_FALSE(c.info().timestamps);
}

TEST(Rfc7323, EchoIsTheTimestampOfTheSegmentAcknowledged) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.inject(data("a").ts(200, stamp));
    c.expect_within(500ms, ack().ack(2).ts_echo(200));
    c.inject(data("b").ts(300, stamp));
    c.expect_within(500ms, ack().ack(3).ts_echo(300));
}

TEST(Rfc7323, DelayedAckEchoesTheOldestTimestampThatItCovers) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.inject_burst({data("a").ts(200, stamp), data("b").ts(210, stamp)});
    c.expect_within(500ms, ack().ack(3).ts_echo(200));
    c.inject(data("c").ts(220, stamp));
    c.expect_within(500ms, ack().ack(4).ts_echo(220));
}

TEST(Rfc7323, OutOfOrderSegmentIsNotEchoed) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.inject(data("late").seq(5).ts(300, stamp));
    c.expect(ack().ack(1).ts_echo(101));
    c.inject(data("gap!").seq(1).ts(301, stamp));
    c.expect(ack().ack(9).ts_echo(301));
    c.expect_data("gap!late");
}

TEST(Rfc7323Paws, OlderTimestampGetsAnAckAndTheSegmentIsDropped) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.inject(data("old").ts(100, stamp));
    c.expect(ack().seq(1).ack(1).ts_echo(101));
    c.inject(data("ancient").seq(1).ts(0x90000000, stamp));
    c.expect(ack().seq(1).ack(1).ts_echo(101));
    c.expect_no_event();
    EXPECT_EQ(c.dropped(DropReason::tcp_paws), 2U);
    c.inject(data("new").seq(1).ts(101, stamp));
    c.expect_data("new");
}

TEST(Rfc7323Paws, AppliesBeforeTheAckIsLookedAt) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.send("x");
    c.expect(data("x"));
    c.inject(ack().ack(2).ts(50, stamp));
    c.take_all();
    EXPECT_EQ(c.info().unacknowledged, 1U);
}

TEST(Rfc7323Paws, DoesNotHoldForReset) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.inject(rst().seq(1).ts(50, stamp));
    c.expect_closed(CloseReason::reset);
}

TEST(Rfc7323Paws, ClockOfThePeerComesRound) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 0xfffffff0);
    c.inject(data("before").ts(0xffffffff, stamp));
    c.expect_data("before");
    c.inject(data("after").ts(3, stamp));
    c.expect_data("after");
    c.expect_within(500ms, ack().ack(12));
    c.inject(data("old").ts(0xfffffff5, stamp));
    c.expect(ack().ack(12));
    c.expect_no_event();
}

TEST(Rfc7323Paws, RecentTimestampIsInvalidAfterTwentyFourDaysOfIdleness) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.elapse(std::chrono::hours{24 * 25});
    c.inject(data("awake").ts(100U + 2160000000U, stamp));  // 25 days of a millisecond clock: looks older
    c.expect_data("awake");
    c.expect_within(500ms, ack().ack(6).ts_echo(100U + 2160000000U));
}

TEST(Rfc7323Paws, RecentTimestampIsInvalidHoweverLongTheIdlenessWas) {
    // A clock of a millisecond looks older for 25 days, then newer for 25, and so on.
    for (const std::uint32_t days : {26U, 49U, 53U, 75U, 76U, 99U, 125U, 128U, 175U, 400U}) {
        SCOPED_TRACE(days);
        Conversation c;
        const std::uint32_t stamp = open_stamped(c, 100);
        c.elapse(std::chrono::hours{24} * days);
        c.inject(data("awake").ts(100U + days * 86400000U, stamp));
        c.expect_data("awake");
    }
}

TEST(Rfc7323Paws, RecentTimestampIsValidForTwentyThreeDays) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.elapse(std::chrono::hours{24 * 23});
    c.inject(data("forged").ts(50, stamp));
    c.expect(ack().ack(1));
    c.expect_no_event();
}

TEST(Rfc7323, SegmentWithoutTimestampsIsDroppedOnceTheyAreNegotiated) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.inject(data("bare"));
    c.expect_nothing();
    c.expect_no_event();
    EXPECT_EQ(c.dropped(DropReason::tcp_missing_timestamp), 1U);
    c.inject(data("bare").seq(1).ts(102, stamp));
    c.expect_data("bare");
    c.inject(rst().seq(5));  // "if a non-RST segment": an RST needs none
    c.expect_closed(CloseReason::reset);
}

TEST(Rfc7323, OwnClockTicksBetweenOnceAMillisecondAndOnceASecondAndNeverGoesBack) {
    Conversation c;
    open_stamped(c, 100);
    std::uint32_t last = 0;
    for (int i = 0; i < 20; ++i) {
        c.send("x");
        const Segment sent = c.expect(data("x").ts_echo(101));
        const std::uint32_t value = sent.timestamps()->value;
        if (i > 0) {
            EXPECT_GE(value - last, 10U);
            EXPECT_LE(value - last, 10001U);
        }
        last = value;
        c.inject(ack().ts(101, value));
        c.elapse(10s);
    }
}

TEST(Rfc7323, ClockDoesNotTellTheUptime) {
    Conversation c;
    c.connect();
    const std::uint32_t first = c.expect(syn()).timestamps()->value;
    Flow& other = c.add_flow(40001, 0);
    tcp::ConnectOptions options;
    options.remote_port = 40001;
    options.remote_address = spoken(peer_address);
    options.handler = &c.handler();
    ASSERT_EQ(c.stack().connect(options).error, tcp::Error::none);
    c.pump();
    const std::uint32_t second = other.expect(syn()).timestamps()->value;
    EXPECT_GT(second - first + 1000U, 2000U) << "two connections show the same clock";
}

TEST(Rfc7323, ProbesChallengesAndFinsCarryTimestamps) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.inject(rst().seq(7));
    c.expect(ack().ts_echo(101));
    c.inject(ack().win(0).ts(102, stamp));
    c.send("held");
    c.expect_within(5s, Segment{}.ts_echo(102));
    c.inject(ack().ack(1).win(1000).ts(103, stamp));
    c.elapse(1s);
    c.take_all();
    c.shutdown();
    c.elapse(5s);
    for (const Segment& s : c.take_all()) EXPECT_EQ(s.timestamps().value().echo, 103U);
}

// Section 3.2: "and SHOULD be sent in a RST segment".
TEST(Rfc7323, ResetOfAConnectionCarriesTimestamps) {
    Conversation c;
    const std::uint32_t stamp = open_stamped(c, 100);
    c.inject(data("x").ts(200, stamp));
    c.abort();
    c.expect(rst_ack().seq(1).ack(2).ts_echo(200));
}

}  // namespace timestamps_cases
}  // namespace runnel::test
