// Loss recovery with SACK: RACK-TLP (RFC 8985), PRR (RFC 6937), reneging (RFC 2018 section 8), and the
// undoing of mistakes (RFC 3522, RFC 3708).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace loss_recovery_cases {

constexpr std::uint32_t smss = 1460;
constexpr Duration rtt = 100ms;

std::string segment_at(std::uint32_t index) {
    return stream(std::size_t{index} * smss, smss);
}
constexpr std::uint32_t seq_of(std::uint32_t index) {
    return 1 + index * smss;
}
Segment nth(std::uint32_t index) {
    return Segment{}.seq(seq_of(index)).payload(segment_at(index));
}

StackConfig with_newreno() {
    StackConfig config = small_stack();
    config.tcp.congestion = tcp::CongestionAlgorithm::newreno;
    return config;
}

/// A round-trip time of 100 ms, SACK, and `segments` sent, of which `flight` (ten at most) are out and taken.
void open_and_send(Conversation& c, std::uint32_t segments, std::uint32_t flight) {
    c.listen();
    c.inject(syn().mss(smss).sack_permitted());
    c.expect(syn_ack());
    c.elapse(rtt);
    c.inject(ack());
    c.expect_established();
    c.send(stream(0, std::size_t{segments} * smss));
    for (std::uint32_t i = 0; i < flight; ++i) c.expect(nth(i));
    c.expect_nothing();
}

Segment sack(std::uint32_t acked, std::initializer_list<std::pair<std::uint32_t, std::uint32_t>> segments) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks;
    for (const auto& [first, end] : segments) blocks.emplace_back(seq_of(first), seq_of(end));
    Segment segment = ack().ack(seq_of(acked));
    segment.sack_blocks = blocks;
    return segment;
}

TEST(Rfc8985, ThreeSackedSegmentsMakeTheHoleLostAtOnce) {
    Conversation c{with_newreno()};
    open_and_send(c, 10, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 2}}));
    c.inject(sack(0, {{1, 3}}));
    c.expect_nothing();
    c.inject(sack(0, {{1, 4}}));
    c.expect(nth(0));
    c.expect_nothing();
    EXPECT_EQ(c.info().ssthresh, 5 * smss);
}

TEST(Rfc8985, OneSackedSegmentMakesTheHoleLostAfterAQuarterOfTheRoundTrip) {
    Conversation c;
    open_and_send(c, 4, 4);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 2}}));
    c.expect_after(rtt / 4, nth(0));
}

TEST(Rfc8985, ReorderingWithinAQuarterOfTheRoundTripCausesNoRetransmission) {
    Conversation c;
    open_and_send(c, 10, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 2}}));
    c.elapse(rtt / 5);
    c.inject(ack().ack(seq_of(10)));
    c.expect_silence(1s);
    EXPECT_EQ(c.count(Counter::tcp_data_retransmits), 0U);
}

TEST(Rfc8985, OnceReorderingWasSeenThreeSackedSegmentsAreNoProofOfLoss) {
    Conversation c;
    open_and_send(c, 30, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 2}}));
    c.inject(ack().ack(seq_of(2)));  // the first had only been overtaken
    c.take_all();
    c.elapse(rtt / 2);
    c.inject(sack(2, {{3, 9}}));
    const auto sent = c.take_all();
    for (const Segment& s : sent) EXPECT_NE(s.sequence, seq_of(2)) << to_string(s);
    EXPECT_EQ(c.count(Counter::tcp_data_retransmits), 0U);
    c.inject(ack().ack(seq_of(10)));
    EXPECT_EQ(c.count(Counter::tcp_fast_recoveries), 0U);
}

TEST(Rfc8985, DuplicateThatIsReportedWidensTheReorderingWindow) {
    Conversation c;
    open_and_send(c, 6, 6);
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(1)));
    c.inject(sack(1, {{2, 3}}));
    c.expect_after(rtt / 4, nth(1));
    Segment duplicate = ack().ack(seq_of(5));
    duplicate.sack_blocks = {{seq_of(1), seq_of(2)}};  // it had only been late
    c.inject(duplicate);
    c.send(stream(std::size_t{6} * smss, std::size_t{4} * smss));
    for (std::uint32_t i = 6; i < 10; ++i) c.expect(nth(i));
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(6)));
    c.inject(sack(6, {{7, 8}}));
    c.expect_after(rtt / 2, nth(6));
}

TEST(Rfc8985, RetransmissionThatIsLostIsFoundWithoutATimeOut) {
    Conversation c{with_newreno()};
    open_and_send(c, 40, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 10}}));
    c.expect(nth(0));
    c.expect(nth(10));  // one of PRR's, sent after the retransmission
    c.take_all();
    c.elapse(rtt);
    c.inject(sack(0, {{1, 11}}));
    c.expect(nth(0));
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
}

TEST(Rfc8985, SeveralHolesAreFilledInOneRoundTrip) {
    Conversation c{with_newreno()};
    open_and_send(c, 10, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 2}, {3, 4}, {5, 10}}));
    c.expect(nth(0));
    c.expect(nth(2));
    c.expect(nth(4));
    c.expect_nothing();
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(10)));
    EXPECT_EQ(c.info().cwnd, 5 * smss);
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

// RFC 6675 section 4, NextSeg(): rule 1 before rule 2. Section 5 (C): no more than the window holds.
TEST(Rfc6675, WhatIsLostGoesBeforeWhatIsNewAndThePipeIsNotOverfilled) {
    Conversation c{with_newreno()};
    open_and_send(c, 40, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 2}, {3, 4}, {5, 7}}));
    std::vector<std::uint32_t> order;
    for (const Segment& s : c.take_all()) order.push_back(*s.sequence);
    for (std::uint32_t i = 7; i < 10; ++i) {
        c.inject(sack(0, {{5, i + 1}, {3, 4}, {1, 2}}));
        for (const Segment& s : c.take_all()) order.push_back(*s.sequence);
    }
    // Three are lost and seven SACKed: what is out is what went since, half of ten segments at most.
    ASSERT_GE(order.size(), 4U);
    EXPECT_LE(order.size(), 5U);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(order[i], seq_of(static_cast<std::uint32_t>(2 * i)));
    for (std::size_t i = 3; i < order.size(); ++i)
        EXPECT_EQ(order[i], seq_of(static_cast<std::uint32_t>(10 + i - 3)));
}

// What RFC 6675's rescue retransmission (section 4, rule 4) is for: the end of the flight was lost too, and
// nothing new is there to show it.
TEST(Rfc6675, LostEndOfTheFlightIsRepairedWithoutATimeOut) {
    Conversation c{with_newreno()};
    open_and_send(c, 10, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 8}}));
    c.expect(nth(0));
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(8)));
    c.expect_within(rtt, nth(8));
    c.take_all();
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(10)));
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
    EXPECT_EQ(c.count(Counter::tcp_fast_recoveries), 1U);
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(Rfc6937, WindowEndsAtSsthreshAndNothingIsSentInABurst) {
    Conversation c{with_newreno()};
    open_and_send(c, 60, 10);
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(10)));  // twenty in flight
    const std::size_t flight = c.take_all().size();
    EXPECT_GE(flight, 11U);
    c.elapse(rtt);
    const auto last = static_cast<std::uint32_t>(10 + flight);
    std::size_t most = 0;
    std::size_t sent = 0;
    for (std::uint32_t i = 12; i <= last; ++i) {
        c.inject(sack(10, {{11, i}}));
        const std::size_t now = c.take_all().size();
        if (i > 14) most = std::max(most, now);
        sent += now;
    }
    EXPECT_LE(most, 1U);
    EXPECT_NEAR(static_cast<double>(sent), static_cast<double>(flight) / 2, 2);
    const std::uint32_t ssthresh = c.info().ssthresh;
    EXPECT_EQ(ssthresh, flight * smss / 2);
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(last)));
    EXPECT_EQ(c.info().cwnd, ssthresh);
}

TEST(Rfc8985, ProbeForTheTailLeavesAfterTwoRoundTrips) {
    Conversation c;
    open_and_send(c, 5, 5);
    c.expect_after(2 * rtt, nth(4));
    EXPECT_EQ(c.count(Counter::tcp_loss_probes), 1U);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
}

TEST(Rfc8985, OneProbeAnEpisodeThenTheTimeOut) {
    Conversation c;
    open_and_send(c, 5, 5);
    c.expect_after(2 * rtt, nth(4));
    c.expect_between(250ms, 350ms, nth(0));  // RTO: 100 + 4 * 50 ms
    EXPECT_EQ(c.count(Counter::tcp_loss_probes), 1U);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 1U);
    EXPECT_EQ(c.info().cwnd, smss);
}

TEST(Rfc8985, ProbeCarriesNewDataWhereThereIsSome) {
    Conversation c;
    open_and_send(c, 20, 10);
    c.expect_after(2 * rtt, nth(10));
}

TEST(Rfc8985, LoneSegmentIsGivenTimeForADelayedAck) {
    StackConfig config = small_stack();
    config.tcp.peer_ack_delay = 50ms;
    Conversation c{config};
    open_and_send(c, 1, 1);
    c.expect_after(2 * rtt + 50ms, nth(0));
    EXPECT_EQ(c.count(Counter::tcp_loss_probes), 1U);
}

TEST(Rfc8985, ProbeThatWouldComeAfterTheTimeOutTakesItsPlace) {
    Conversation c;
    open_and_send(c, 1, 1);
    const std::uint32_t before = c.info().cwnd;
    c.expect_after(300ms, nth(0));  // 2 * SRTT + 200 ms would be later than the RTO
    EXPECT_EQ(c.count(Counter::tcp_loss_probes), 1U);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
    EXPECT_EQ(c.info().cwnd, before);
    c.expect_after(300ms, nth(0));
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 1U);
    c.expect_after(600ms, nth(0));
}

TEST(Rfc8985, FinByItselfIsProbedForToo) {
    Conversation c;
    open_and_send(c, 0, 0);
    c.shutdown();
    c.expect(fin().seq(1));
    c.expect_after(300ms, fin().seq(1));
    EXPECT_EQ(c.count(Counter::tcp_loss_probes), 1U);
    c.expect_after(300ms, fin().seq(1));
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 1U);
    c.expect_after(600ms, fin().seq(1));
    c.inject(ack().ack(2));
    c.expect_state(tcp::State::fin_wait_2);
    c.expect_silence(1s);
}

// RFC 6675 section 5: what SACK reported has left the network, and its room was used then.
TEST(Rfc6675, WindowGrowsForWhatSackHadReportedButOnce) {
    Conversation c{with_newreno()};
    open_and_send(c, 20, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 2}}));
    c.expect(nth(10));
    c.inject(sack(0, {{1, 3}}));
    c.expect(nth(11));
    c.expect_nothing();
    c.inject(ack().ack(seq_of(3)));  // overtaken, not lost
    c.expect(nth(12));
    c.expect(nth(13));
    c.expect_nothing();
    EXPECT_EQ(c.info().cwnd, 11 * smss);
}

TEST(Rfc8985, ProbeThatRepairsALossReducesTheWindow) {
    Conversation c{with_newreno()};
    open_and_send(c, 20, 10);
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(8)).win(2 * smss));  // 8 and 9 fill the window of the peer
    c.expect_nothing();
    c.expect_after(2 * rtt, nth(9));
    EXPECT_EQ(c.count(Counter::tcp_loss_probes), 1U);
    const std::uint32_t before = c.info().cwnd;
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(10)));
    c.expect(nth(10));
    EXPECT_GE(c.info().cwnd, before);  // a duplicate may still be reported
    c.take_all();
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(11)));
    EXPECT_LT(c.info().cwnd, before);
    EXPECT_EQ(c.info().cwnd, c.info().ssthresh);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
    EXPECT_EQ(c.count(Counter::tcp_fast_recoveries), 0U);
}

TEST(Rfc8985, SackOfTheProbeStartsTheRecoveryOfTheTail) {
    Conversation c{with_newreno()};
    open_and_send(c, 8, 8);
    c.expect_after(2 * rtt, nth(7));
    c.elapse(rtt);
    c.inject(sack(4, {{7, 8}}));  // 4 to 6 were lost, and 7 the first time
    c.expect(nth(4));
    c.expect(nth(5));
    c.inject(sack(6, {{7, 8}}));
    c.expect(nth(6));
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
    EXPECT_EQ(c.count(Counter::tcp_fast_recoveries), 1U);
}

TEST(Rfc8985, ProbeReportedAsADuplicateLeavesTheWindowAlone) {
    Conversation c{with_newreno()};
    open_and_send(c, 6, 5 + 1);
    c.expect_after(2 * rtt, nth(5));
    const std::uint32_t before = c.info().cwnd;
    c.inject(ack().ack(seq_of(6)));
    c.send(stream(std::size_t{6} * smss, smss));
    c.expect(nth(6));
    Segment duplicate = ack().ack(seq_of(6));
    duplicate.sack_blocks = {{seq_of(5), seq_of(6)}};
    c.inject(duplicate);
    c.inject(ack().ack(seq_of(7)));
    EXPECT_GE(c.info().cwnd, before);
}

TEST(Rfc6298, AfterATimeOutOnlyOneSegmentGoesAndOnlyWhatThePeerLacks) {
    Conversation c{with_newreno()};
    open_and_send(c, 10, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{2, 4}}));
    c.expect_after(rtt / 4, nth(0));  // PRR lets one go
    c.expect_within(1s, nth(0));      // and once more by the time-out
    c.expect_nothing();
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 1U);
    EXPECT_EQ(c.info().cwnd, smss);
    c.inject(ack().ack(seq_of(1)).payload(""));
    c.expect(nth(1));
    c.expect(nth(4));  // what was SACKed does not go again
}

TEST(Rfc2018, DataIsKeptUntilTheCumulativeAckThoughAllOfItIsSacked) {
    Conversation c{with_newreno()};
    open_and_send(c, 4, 4);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 4}}));
    c.expect(nth(0));
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(1)));  // the peer has dropped the rest again
    c.expect_within(2s, nth(1));
    EXPECT_EQ(c.count(Counter::tcp_sack_reneged), 1U);
    c.inject(ack().ack(seq_of(2)));
    c.expect(nth(2));
    c.expect(nth(3));
    c.inject(ack().ack(seq_of(4)));
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(Rfc2018, BlocksThatMakeNoSenseAreIgnored) {
    Conversation c;
    open_and_send(c, 10, 10);
    c.elapse(rtt);
    const auto inject = [&](std::initializer_list<std::pair<std::uint32_t, std::uint32_t>> blocks) {
        Segment segment = ack().ack(1);
        segment.sack_blocks = blocks;
        c.inject(segment);
    };
    inject({{seq_of(10), seq_of(12)}});                                // never sent
    inject({{seq_of(5), seq_of(4)}});                                  // inverted
    inject({{seq_of(5), seq_of(5)}});                                  // empty
    inject({{0x80000000U, 0x80000100U}, {0x7fffff00U, 0x80000000U}});  // from the other half of the space
    inject({{seq_of(9), seq_of(11)}, {seq_of(9), seq_of(11)}, {0, 0}, {1, 0xffffffffU}});
    c.expect_silence(90ms);
    EXPECT_EQ(c.count(Counter::tcp_data_retransmits), 0U);
    EXPECT_GE(c.count(Counter::tcp_bad_sack_blocks), 6U);
    c.inject(ack().ack(seq_of(10)));
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

// SACK panic and its kin (CVE-2019-11477 to 11479): a tiny MSS and the scoreboard in as many pieces as can
// be.
TEST(Rfc2018, ScoreboardInThousandsOfPiecesIsSurvived) {
    StackConfig config = small_stack();
    config.tcp.initial_window = 2000;
    Conversation c{config};
    c.listen();
    c.inject(syn().mss(48).sack_permitted());
    c.expect(syn_ack());
    c.elapse(rtt);
    c.flow().window = 65535;
    c.inject(ack());
    c.expect_established();
    c.send(stream(0, 14600));
    std::uint32_t end = 1;
    for (const Segment& s : c.take_all())
        end = std::max(end, *s.sequence + static_cast<std::uint32_t>(s.text->size()));
    for (std::uint32_t at = 3; at + 20 < end; at += 8) {
        Segment segment = ack().ack(1);
        segment.sack_blocks = {{at, at + 2}, {at + 4, at + 6}};
        c.inject(segment);
        for (const Segment& s : c.take_all())
            end = std::max(end, *s.sequence + static_cast<std::uint32_t>(s.text->size()));
    }
    c.inject(ack().ack(end));
    c.elapse(1s);
    for (const Segment& s : c.take_all())
        end = std::max(end, *s.sequence + static_cast<std::uint32_t>(s.text->size()));
    c.inject(ack().ack(end));
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

constexpr std::uint32_t stamped_smss = smss - 12;

Segment stamped(std::uint32_t index) {
    return Segment{}
        .seq(1 + index * stamped_smss)
        .payload(stream(std::size_t{index} * stamped_smss, stamped_smss));
}

/// As `open_and_send`, with timestamps. Returns the last TSval sent.
std::uint32_t open_with_timestamps(Conversation& c, std::uint32_t segments) {
    c.listen();
    c.inject(syn().mss(smss).sack_permitted().ts(5000, 0));
    const Segment answer = c.expect(syn_ack());
    c.elapse(rtt);
    c.inject(ack().nop(2).ts(5100, answer.timestamps()->value));
    c.expect_established();
    c.send(stream(0, std::size_t{segments} * stamped_smss));
    std::uint32_t value = 0;
    for (std::uint32_t i = 0; i < segments; ++i) value = c.expect(stamped(i)).timestamps()->value;
    return value;
}

TEST(Rfc3522, TimeOutThatWasSpuriousIsUndone) {
    Conversation c{with_newreno()};
    const std::uint32_t value = open_with_timestamps(c, 10);
    const std::uint32_t before = c.info().cwnd;
    c.expect_after(2 * rtt, stamped(9));  // a probe
    c.expect_within(1s, stamped(0));      // the time-out
    EXPECT_EQ(c.info().cwnd, stamped_smss);
    c.elapse(5ms);
    // The ACK of the original, only late.
    c.inject(ack().ack(1 + stamped_smss).nop(2).ts(5600, value));
    EXPECT_EQ(c.count(Counter::tcp_spurious_recoveries), 1U);
    EXPECT_GE(c.info().cwnd, before);
    for (const Segment& s : c.take_all()) EXPECT_TRUE(s.text->empty()) << to_string(s);
}

TEST(Rfc3522, TimeOutThatWasRightIsNotUndone) {
    Conversation c{with_newreno()};
    open_with_timestamps(c, 10);
    c.expect_after(2 * rtt, stamped(9));
    const Segment again = c.expect_within(1s, stamped(0));
    c.elapse(rtt);
    c.inject(ack().ack(1 + stamped_smss).nop(2).ts(5600, again.timestamps()->value));
    EXPECT_EQ(c.count(Counter::tcp_spurious_recoveries), 0U);
    EXPECT_EQ(c.info().ssthresh, 5 * stamped_smss);
    c.expect(stamped(1));
    c.expect(stamped(2));
}

TEST(Rfc3708, RecoveryIsUndoneWhenAllItSentAgainIsReportedAsDuplicate) {
    Conversation c{with_newreno()};
    open_and_send(c, 10, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 4}}));
    c.expect(nth(0));
    EXPECT_EQ(c.info().ssthresh, 5 * smss);
    c.inject(sack(4, {}));  // the first had only been late
    c.take_all();
    Segment duplicate = ack().ack(seq_of(5));
    duplicate.sack_blocks = {{seq_of(0), seq_of(1)}};
    c.inject(duplicate);
    EXPECT_EQ(c.count(Counter::tcp_spurious_recoveries), 1U);
    EXPECT_GE(c.info().cwnd, 10 * smss);
    EXPECT_GT(c.info().ssthresh, 10 * smss);
}

// Once the network is seen to copy what was sent once, a duplicate says nothing of what was sent again.
TEST(Rfc3708, RecoveryIsNotUndoneWhereTheNetworkMakesCopies) {
    Conversation c{with_newreno()};
    open_and_send(c, 10, 10);
    c.elapse(rtt);
    Segment copy = ack().ack(seq_of(1));
    copy.sack_blocks = {{seq_of(0), seq_of(1)}};
    c.inject(copy);
    c.take_all();
    c.inject(sack(1, {{2, 5}}));
    c.expect(nth(1));
    const std::uint32_t reduced = c.info().ssthresh;
    c.inject(sack(5, {}));
    c.take_all();
    Segment duplicate = ack().ack(seq_of(6));
    duplicate.sack_blocks = {{seq_of(1), seq_of(2)}};
    c.inject(duplicate);
    EXPECT_EQ(c.count(Counter::tcp_dsacks_in), 2U);
    EXPECT_EQ(c.count(Counter::tcp_spurious_recoveries), 0U);
    EXPECT_EQ(c.info().ssthresh, reduced);
}

TEST(Rfc8985, RecoveryWorksWhereSequenceNumbersWrap) {
    // The stack's ISN comes from a keyed hash of the clock: wait until it is about to wrap.
    Conversation c{with_newreno()};
    c.listen();
    c.inject(syn().mss(smss).sack_permitted());
    const std::uint32_t isn = c.expect(syn_ack()).sequence.value_or(0) + c.flow().stack_isn;
    c.inject(rst().seq(1));
    const std::uint32_t left = 0xffffffffU - isn - 6000;
    c.elapse(Duration{std::int64_t{left} * 4000});  // 4 microseconds a number (RFC 6528)
    c.flow().peer_next = 0;
    c.flow().stack_next = 0;
    c.inject(syn().mss(smss).sack_permitted());
    c.expect(syn_ack());
    EXPECT_GT(c.flow().stack_isn, 0xffffe000U);
    c.elapse(rtt);
    c.inject(ack());
    c.expect_established();
    c.send(stream(0, std::size_t{10} * smss));
    for (std::uint32_t i = 0; i < 10; ++i) c.expect(nth(i));
    c.elapse(rtt);
    c.inject(sack(0, {{1, 3}, {4, 9}}));
    c.expect(nth(0));
    c.expect(nth(3));
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(10)));
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

}  // namespace loss_recovery_cases
}  // namespace runnel::test
