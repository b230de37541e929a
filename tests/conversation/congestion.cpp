// Congestion control: slow start, congestion avoidance, fast retransmit and recovery (RFC 5681), NewReno (RFC
// 6582), limited transmit (RFC 3042), the initial window (RFC 6928).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace congestion_cases {

constexpr std::uint32_t smss = 1460;

std::string segment_at(std::size_t index) {
    return stream(index * smss, smss);
}
constexpr std::uint32_t seq_of(std::size_t index) {
    return static_cast<std::uint32_t>(1 + index * smss);
}

/// Takes what was sent, each a full segment in order from `first` on; returns how many.
std::size_t take_full(Conversation& c, std::size_t first) {
    const auto sent = c.take_all();
    for (std::size_t i = 0; i < sent.size(); ++i) {
        EXPECT_EQ(sent[i].sequence, seq_of(first + i));
        EXPECT_EQ(sent[i].text->size(), smss);
    }
    return sent.size();
}

StackConfig with(tcp::CongestionAlgorithm algorithm) {
    StackConfig config = small_stack();
    config.tcp.congestion = algorithm;
    return config;
}
StackConfig newreno() {
    return with(tcp::CongestionAlgorithm::newreno);
}

/// Opens with a round-trip time of 100 ms and hands over `octets`; the first flight of ten segments is out.
void open_and_send(Conversation& c, std::size_t octets) {
    c.listen();
    c.inject(syn().mss(smss));
    c.expect(syn_ack());
    c.elapse(100ms);
    c.inject(ack());
    c.expect_established();
    c.send(stream(0, octets));
}

TEST(Rfc6928, InitialWindowIsTenSegments) {
    Conversation c;
    open_and_send(c, 60000);
    EXPECT_EQ(take_full(c, 0), 10U);
    EXPECT_EQ(c.info().cwnd, 10 * smss);
}

TEST(Rfc6928, InitialWindowOfOtherSegmentSizes) {
    Conversation c;  // min(10 * MSS, max(2 * MSS, 14600))
    c.open_passive(syn().mss(536));
    c.send(stream(0, 60000));
    EXPECT_EQ(c.take_all().size(), 10U);
}

TEST(Rfc6928, InitialWindowIsConfigurable) {
    StackConfig config = small_stack();
    config.tcp.initial_window = 3;
    Conversation c{config};
    open_and_send(c, 60000);
    EXPECT_EQ(take_full(c, 0), 3U);
}

TEST(Rfc5681, InitialWindowIsOneSegmentAfterALostSynAck) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(smss));
    c.expect(syn_ack());
    c.expect_after(1s, syn_ack());
    c.inject(ack());
    c.expect_established();
    c.send(stream(0, 60000));
    EXPECT_EQ(take_full(c, 0), 1U);
}

TEST(Rfc5681, InitialWindowIsOneSegmentAfterALostSyn) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.expect_after(1s, syn());
    c.inject(syn_ack().mss(smss));
    c.expect(ack());
    c.send(stream(0, 60000));
    EXPECT_EQ(take_full(c, 0), 1U);
}

TEST(Rfc5681, SlowStartOpensByOneSegmentForEachAcknowledged) {
    Conversation c{newreno()};
    open_and_send(c, 200000);
    EXPECT_EQ(take_full(c, 0), 10U);
    std::size_t sent = 10;
    for (std::uint32_t i = 1; i <= 10; ++i) {
        c.inject(ack().ack(seq_of(i)));
        EXPECT_EQ(c.info().cwnd, (10 + i) * smss);
        sent += take_full(c, sent);
    }
    EXPECT_EQ(sent, 30U);
}

TEST(Rfc3465, DividedAcksGainNothing) {
    Conversation c;
    open_and_send(c, 200000);
    take_full(c, 0);
    for (std::uint32_t i = 1; i <= 10; ++i) c.inject(ack().ack(1 + i * 146));
    EXPECT_EQ(c.info().cwnd, 11 * smss);
    for (int i = 0; i < 2; ++i) c.inject(ack().ack(1 + 1460));  // a repeated one neither
    EXPECT_EQ(c.info().cwnd, 11 * smss);
}

TEST(Rfc5681, TimeoutHalvesTheFlightIntoSsthreshAndLeavesOneSegment) {
    Conversation c{newreno()};
    open_and_send(c, 60000);
    EXPECT_EQ(take_full(c, 0), 10U);
    c.expect_within(400ms, Segment{}.seq(1).payload(segment_at(0)));
    c.expect_nothing();
    EXPECT_EQ(c.info().cwnd, smss);
    EXPECT_EQ(c.info().ssthresh, 5 * smss);
    c.expect_within(700ms,
                    Segment{}.seq(1).payload(segment_at(0)));  // the second time-out of one segment keeps it
    EXPECT_EQ(c.info().ssthresh, 5 * smss);
}

TEST(Rfc5681, SsthreshIsTakenFromTheFlightAndNotFromTheWindow) {
    Conversation c{newreno()};
    open_and_send(c, 6 * smss);
    EXPECT_EQ(take_full(c, 0), 6U);
    c.expect_within(400ms, Segment{}.seq(1));
    EXPECT_EQ(c.info().ssthresh, 3 * smss);

    Conversation d{newreno()};
    open_and_send(d, smss);
    EXPECT_EQ(take_full(d, 0), 1U);
    d.expect_within(400ms, Segment{}.seq(1));
    EXPECT_EQ(d.info().ssthresh, 2 * smss);  // never less
}

TEST(Rfc5681, CongestionAvoidanceOpensByAtMostOneSegmentARoundTrip) {
    Conversation c{newreno()};
    open_and_send(c, 250000);
    take_full(c, 0);
    c.expect_within(400ms, Segment{}.seq(1));  // a time-out: ssthresh is 5 segments
    std::uint32_t acknowledged = 1;
    std::uint32_t highest = seq_of(10);
    for (int round = 0; round < 30; ++round) {
        const std::uint32_t before = c.info().cwnd;
        const std::uint32_t end = highest;
        if (round < 2) {
            c.inject(ack().ack(acknowledged = end));  // what was out before the time-out had arrived
        } else {
            while (acknowledged < end) c.inject(ack().ack(acknowledged = std::min(acknowledged + smss, end)));
        }
        const std::uint32_t after = c.info().cwnd;
        if (before >= c.info().ssthresh) {
            EXPECT_LE(after, before + smss);
            if (round > 3 && c.info().unsent > 0) {
                EXPECT_GE(after + 1, before + smss / 2);
            }
        }
        for (const Segment& s : c.take_all())
            highest = std::max(highest, *s.sequence + static_cast<std::uint32_t>(s.text->size()));
        if (highest == end) break;
        c.elapse(100ms);
        c.take_all();
    }
    EXPECT_GT(acknowledged, 100000U);
}

TEST(Rfc5681, ThirdDuplicateAckRetransmitsAtOnce) {
    Conversation c{newreno()};
    open_and_send(c, 60000);
    EXPECT_EQ(take_full(c, 0), 10U);
    c.inject(ack().ack(1));
    c.inject(ack().ack(1));
    for (const Segment& s : c.take_all())
        EXPECT_GE(*s.sequence, seq_of(10));  // limited transmit (RFC 3042): new data only
    c.inject(ack().ack(1));
    c.expect(Segment{}.seq(1).payload(segment_at(0)));
    EXPECT_LE(c.info().ssthresh, 6 * smss);
    EXPECT_GE(c.info().ssthresh, 5 * smss);
    EXPECT_EQ(c.info().cwnd, c.info().ssthresh + 3 * smss);
    EXPECT_EQ(c.count(Counter::tcp_fast_retransmits), 1U);
}

TEST(Rfc3042, FirstTwoDuplicateAcksReleaseOneNewSegmentEach) {
    Conversation c;
    open_and_send(c, 60000);
    EXPECT_EQ(take_full(c, 0), 10U);
    c.inject(ack().ack(1));
    c.expect(data(segment_at(10)).seq(seq_of(10)));
    c.expect_nothing();
    c.inject(ack().ack(1));
    c.expect(data(segment_at(11)).seq(seq_of(11)));
    c.expect_nothing();
    EXPECT_EQ(c.info().cwnd, 10 * smss);
}

// "The receiver's advertised window allows the transmission of the segment" (section 2).
TEST(Rfc3042, NothingIsReleasedBeyondTheWindowOfThePeer) {
    Conversation c;
    c.flow().window = 10 * smss;
    open_and_send(c, 60000);
    EXPECT_EQ(take_full(c, 0), 10U);
    c.inject(ack().ack(1));
    c.inject(ack().ack(1));
    c.expect_nothing();
}

TEST(Rfc5681, AckWithAnotherWindowOrWithDataIsNoDuplicate) {
    Conversation c;
    open_and_send(c, 60000);
    take_full(c, 0);
    for (std::uint16_t i = 1; i <= 6; ++i) c.inject(ack().ack(1).win(static_cast<std::uint16_t>(60000 + i)));
    for (int i = 0; i < 6; ++i) c.inject(data("x").ack(1).win(60006));
    for (const Segment& s : c.take_all()) EXPECT_NE(s.text->size() > 0 ? *s.sequence : 0U, 1U);
    EXPECT_EQ(c.count(Counter::tcp_fast_retransmits), 0U);
}

TEST(Rfc5681, DuplicateAckWithNothingInFlightIsNone) {
    Conversation c;
    c.open_passive();
    for (int i = 0; i < 10; ++i) c.inject(ack());
    c.send("x");
    c.expect(data("x"));
    c.expect_nothing();
    EXPECT_EQ(c.info().cwnd, 10 * smss);
    EXPECT_EQ(c.count(Counter::tcp_fast_retransmits), 0U);
}

TEST(Rfc5681, RecoveryEndsWithTheWindowAtSsthresh) {
    Conversation c{newreno()};
    open_and_send(c, 10 * smss);
    take_full(c, 0);
    for (int i = 0; i < 9; ++i) c.inject(ack().ack(1));
    c.expect(Segment{}.seq(1).payload(segment_at(0)));
    c.expect_nothing();
    EXPECT_EQ(c.info().ssthresh, 5 * smss);
    c.inject(ack().ack(seq_of(10)));
    EXPECT_LE(c.info().cwnd, 5 * smss);
    EXPECT_GE(c.info().cwnd, smss);
    c.expect_silence(10min);
}

TEST(Rfc6582, PartialAckRetransmitsTheNextHoleAtOnce) {
    Conversation c{newreno()};
    open_and_send(c, 10 * smss);
    take_full(c, 0);
    for (int i = 0; i < 7; ++i) c.inject(ack().ack(1));  // segments 0, 3 and 6 are lost
    c.expect(Segment{}.seq(1).payload(segment_at(0)));
    c.expect_nothing();
    c.inject(ack().ack(seq_of(3)));
    c.expect(Segment{}.seq(seq_of(3)).payload(segment_at(3)));
    c.expect_nothing();
    c.inject(ack().ack(seq_of(6)));
    c.expect(Segment{}.seq(seq_of(6)).payload(segment_at(6)));
    c.expect_nothing();
    c.inject(ack().ack(seq_of(10)));
    EXPECT_LE(c.info().cwnd, 5 * smss);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
    c.expect_silence(10min);
}

// Section 3.2 step 3: with many holes the time-out takes over from a repair of one hole a round trip.
TEST(Rfc6582, OnlyTheFirstPartialAckRestartsTheTimer) {
    Conversation c{newreno()};
    open_and_send(c, 10 * smss);
    take_full(c, 0);
    c.elapse(100ms);
    for (int i = 0; i < 3; ++i) c.inject(ack().ack(1));
    c.expect(Segment{}.seq(1));
    c.take_all();
    c.elapse(100ms);
    c.inject(ack().ack(seq_of(1)));
    c.expect(Segment{}.seq(seq_of(1)));
    c.take_all();
    const Duration rto = c.info().rto;
    c.elapse(100ms);
    c.inject(ack().ack(seq_of(2)));
    c.expect(Segment{}.seq(seq_of(2)));
    c.take_all();
    c.expect_after(rto - 100ms, Segment{}.seq(seq_of(2)));
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 1U);
}

TEST(Rfc6582, DuplicateAcksAfterATimeoutDoNotStartASecondFastRetransmit) {
    Conversation c;
    open_and_send(c, 10 * smss);
    take_full(c, 0);
    c.expect_within(400ms, Segment{}.seq(1).payload(segment_at(0)));
    for (int i = 0; i < 5; ++i) c.inject(ack().ack(1));
    c.expect_nothing();
    EXPECT_EQ(c.count(Counter::tcp_fast_retransmits), 0U);
}

TEST(Rfc6582, DuplicatesOfTheAckThatEndedARecoveryDoNotStartAnother) {
    Conversation c;
    open_and_send(c, 30 * smss);
    std::size_t sent = take_full(c, 0);
    for (int i = 0; i < 2; ++i) {
        c.inject(ack().ack(1));
        sent += take_full(c, sent);  // limited transmit
    }
    c.inject(ack().ack(1));
    c.expect(Segment{}.seq(1));
    c.inject(ack().ack(seq_of(sent)));
    EXPECT_GE(take_full(c, sent), 1U);
    for (int i = 0; i < 5; ++i) c.inject(ack().ack(seq_of(sent)));  // it does not cover more than `recover`
    for (const Segment& s : c.take_all()) EXPECT_NE(s.sequence, seq_of(sent));
    EXPECT_EQ(c.count(Counter::tcp_fast_retransmits), 1U);
}

TEST(Rfc5681, WindowRestartsAfterIdleness) {
    Conversation c;
    open_and_send(c, 20 * smss);
    std::size_t sent = take_full(c, 0);
    while (c.info().unacknowledged > 0) {
        c.inject(ack());
        sent += take_full(c, sent);
    }
    EXPECT_EQ(sent, 20U);
    EXPECT_GT(c.info().cwnd, 10 * smss);
    c.elapse(30s);
    c.send(stream(20 * smss, 60 * smss));
    EXPECT_EQ(take_full(c, 20), 10U);
}

TEST(Rfc5681, RestartAfterIdlenessDoesNotEnlargeASmallWindow) {
    Conversation c{newreno()};
    open_and_send(c, 2 * smss);
    take_full(c, 0);
    c.expect_within(400ms, Segment{}.seq(1));
    c.inject(ack().ack(seq_of(2)));
    const std::uint32_t small = c.info().cwnd;
    EXPECT_LE(small, 3 * smss);
    c.elapse(1h);
    c.send(stream(2 * smss, 60000));
    EXPECT_EQ(take_full(c, 2), small / smss);
}

TEST(Rfc5681, WindowStaysOverAPauseShorterThanTheTimeOut) {
    Conversation c;
    open_and_send(c, 20 * smss);
    std::size_t sent = take_full(c, 0);
    while (c.info().unacknowledged > 0) {
        c.elapse(100ms);
        c.inject(ack());
        sent += take_full(c, sent);
    }
    EXPECT_EQ(sent, 20U);
    const std::uint32_t window = c.info().cwnd;
    EXPECT_GT(window, 10 * smss);
    c.elapse(c.info().rto * 9 / 10);
    c.send(stream(20 * smss, 60 * smss));
    EXPECT_EQ(take_full(c, 20), window / smss);
}

TEST(Rfc9438, ThirdDuplicateAckLeavesSevenTenthsOfTheFlight) {
    Conversation c;  // CUBIC is the default
    open_and_send(c, 60000);
    EXPECT_EQ(take_full(c, 0), 10U);
    for (int i = 0; i < 2; ++i) {
        c.inject(ack().ack(1));
        EXPECT_EQ(take_full(c, static_cast<std::size_t>(10 + i)), 1U);
    }
    c.inject(ack().ack(1));
    c.expect(Segment{}.seq(1).payload(segment_at(0)));
    EXPECT_EQ(c.info().ssthresh, 7 * smss);  // what limited transmit sent does not count
    c.inject(ack().ack(seq_of(12)));
    EXPECT_LE(c.info().cwnd, 7 * smss);
    EXPECT_EQ(c.count(Counter::tcp_fast_retransmits), 1U);
}

TEST(Rfc9438, TimeoutLeavesSevenTenthsOfTheFlightAsSsthreshAndOneSegment) {
    Conversation c;
    open_and_send(c, 60000);
    EXPECT_EQ(take_full(c, 0), 10U);
    for (int i = 0; i < 2; ++i) {
        c.expect_within(700ms, Segment{}.seq(1).payload(segment_at(0)));
        c.expect_nothing();
        EXPECT_EQ(c.info().cwnd, smss);
        EXPECT_EQ(c.info().ssthresh, 7 * smss);  // the second time-out of one segment keeps it
    }
}

TEST(Rfc9438, SsthreshIsNeverBelowTwoSegments) {
    Conversation c;
    open_and_send(c, 2 * smss);
    EXPECT_EQ(take_full(c, 0), 2U);
    c.expect_within(400ms, Segment{}.seq(1));
    EXPECT_EQ(c.info().ssthresh, 2 * smss);
}

TEST(Rfc9406, StretchedAckOfTheInitialSlowStartOpensByTenSegmentsAtMost) {
    Conversation c;
    open_and_send(c, 200000);
    EXPECT_EQ(take_full(c, 0), 10U);
    c.inject(ack().ack(seq_of(4)));
    EXPECT_EQ(c.info().cwnd, 14 * smss);
    c.take_all();
    c.inject(ack().ack(seq_of(15)));
    EXPECT_EQ(c.info().cwnd, 24 * smss);
}

TEST(Rfc3465, AckAfterATimeoutOpensByOneSegmentAtMost) {
    Conversation c;
    open_and_send(c, 20 * smss);
    EXPECT_EQ(take_full(c, 0), 10U);
    c.expect_within(400ms, Segment{}.seq(1));
    c.inject(ack().ack(seq_of(6)));  // what came after the lost segment had arrived
    EXPECT_EQ(c.info().cwnd, 2 * smss);
    EXPECT_EQ(c.info().ssthresh, 7 * smss);
}

// The curve begins at 7 segments and is back at 10 after K = 1.96 s; the Reno-friendly window, with alpha =
// 0.53 segments a round trip of 100 ms, is faster: after a second it is at 12.
TEST(Rfc9438, AfterALossTheWindowGrowsAsTheRenoFriendlyOne) {
    Conversation c;
    open_and_send(c, 250000);
    std::size_t sent = take_full(c, 0);
    for (int i = 0; i < 3; ++i) c.inject(ack().ack(1));
    for (const Segment& s : c.take_all()) sent += *s.sequence == seq_of(sent) ? 1 : 0;
    c.elapse(100ms);
    std::size_t acknowledged = sent;
    c.inject(ack().ack(seq_of(acknowledged)));
    // Nothing is in flight: the window is small (RFC 6582 section 3.2), and slow start takes it to ssthresh.
    std::uint32_t before = c.info().cwnd;
    const auto round = [&] {
        for (const Segment& s : c.take_all()) sent += *s.sequence == seq_of(sent) ? 1 : 0;
        c.elapse(100ms);
        while (acknowledged < sent) c.inject(ack().ack(seq_of(++acknowledged)));
    };
    while (c.info().cwnd < 7 * smss) round();
    EXPECT_LE(c.info().cwnd, 7 * smss + smss / 2);
    for (int i = 0; i < 10; ++i) {
        before = c.info().cwnd;
        round();
        EXPECT_LE(c.info().cwnd, before + smss + smss / 4);
        EXPECT_GE(c.info().cwnd, before + smss / 4);
    }
    before = c.info().cwnd;
    EXPECT_GE(before, 10 * smss);
    EXPECT_LE(before, 14 * smss);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
}

TEST(FixedWindow, StaysThroughFastRetransmitAndAfterATimeout) {
    StackConfig config = with(tcp::CongestionAlgorithm::none);
    config.tcp.fixed_window = 25 * smss;
    Conversation c{config};
    open_and_send(c, 200000);
    std::size_t sent = take_full(c, 0);
    EXPECT_EQ(sent, 25U);  // from the first flight on
    for (std::size_t i = 1; i <= 5; ++i) {
        c.inject(ack().ack(seq_of(i)));
        EXPECT_EQ(take_full(c, sent), 1U);
        ++sent;
    }
    for (int i = 0; i < 3; ++i) c.inject(ack().ack(seq_of(5)));
    EXPECT_EQ(c.count(Counter::tcp_fast_retransmits), 1U);
    EXPECT_EQ(c.info().cwnd, 25 * smss);
    c.take_all();
    c.inject(ack().ack(seq_of(10)));  // a partial ACK
    EXPECT_EQ(c.info().cwnd, 25 * smss);
    c.expect_within(1s, Segment{}.seq(seq_of(10)));
    c.take_all();
    c.elapse(1s);
    EXPECT_GE(c.count(Counter::tcp_rto_expirations), 1U);
    EXPECT_EQ(c.info().cwnd, smss);
    c.inject(ack().ack(seq_of(11)));
    EXPECT_EQ(c.info().cwnd, 25 * smss);
}

TEST(OptimisticAck, BeyondWhatWasSentGainsNothing) {
    Conversation c;
    open_and_send(c, 200000);
    take_full(c, 0);
    c.inject(ack().ack(seq_of(11)));
    c.expect(ack().length(0));
    EXPECT_EQ(c.info().cwnd, 10 * smss);
    EXPECT_EQ(c.info().unacknowledged, 10 * smss);
}

}  // namespace congestion_cases
}  // namespace runnel::test
