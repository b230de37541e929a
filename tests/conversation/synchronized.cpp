// Segments that arrive at a synchronized connection, step by step in the order of RFC 9293 section 3.10.7.4,
// with the defences of RFC 5961.
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace synchronized_cases {

using tcp::CloseReason;
using tcp::State;

StackConfig with_receive_buffer(std::uint32_t octets) {
    StackConfig config = small_stack();
    config.tcp.receive_buffer = octets;
    return config;
}

/// Fills a receive window of 4096 octets; the next sequence number is 4097 then, and the window 0.
void fill_window(Conversation& c) {
    c.auto_consume = false;
    c.inject(data(stream(0, 1460)));
    c.inject(data(stream(1460, 1460)));
    c.inject(data(stream(2920, 1176)));
    c.elapse(500ms);
    const auto acks = c.take_all();
    ASSERT_FALSE(acks.empty());
    ASSERT_EQ(acks.back().acknowledgement, 4097U);
    ASSERT_EQ(acks.back().window, 0U);
    c.expect_data(stream(0, 4096));
}

// -- first: the sequence number, in four cases

TEST(Rfc9293Sequence, EmptySegmentBesideAnOpenWindowIsAcknowledgedAndDropped) {
    Conversation c;
    c.open_passive();
    const std::uint32_t window = c.info().rcv_wnd;
    ASSERT_GT(window, 0U);
    c.inject(ack().seq(0));
    c.expect(ack().flags(".").seq(1).ack(1));
    c.inject(ack().seq(1 + window));
    c.expect(ack().flags(".").seq(1).ack(1));
    EXPECT_EQ(c.dropped(DropReason::tcp_out_of_window), 2U);
    c.inject(ack().seq(1));
    c.inject(ack().seq(window));  // the last number of the window
    c.expect_nothing();
}

TEST(Rfc9293Sequence, SegmentBeforeTheWindowIsAcknowledgedAndDropped) {
    Conversation c;
    c.open_passive();
    c.inject(data("hello"));
    c.expect_data("hello");
    c.elapse(500ms);
    c.take_all();
    c.inject(data("hello").seq(1));
    c.expect(ack().seq(1).ack(6));
    c.expect_no_event();
}

TEST(Rfc9293Sequence, SegmentBeyondTheWindowIsAcknowledgedAndDropped) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    c.inject(data("far").seq(1 + 4096));
    c.expect(ack().seq(1).ack(1));
    c.inject(data("farther").seq(1 + 0x40000000));
    c.expect(ack().seq(1).ack(1));
    c.expect_no_event();
}

TEST(Rfc9293Sequence, SegmentThatBeginsBeforeTheWindowIsTrimmedAtItsLeftEdge) {
    Conversation c;
    c.open_passive();
    c.inject(data("abcd"));
    c.expect_data("abcd");
    c.inject(data("cdefgh").seq(3));
    c.expect_data("efgh");
    c.expect_within(500ms, ack().ack(9));
}

TEST(Rfc9293Sequence, SegmentThatEndsBeyondTheWindowIsTrimmedAtItsRightEdgeAndItsFinIsNotProcessed) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    c.auto_consume = false;
    c.inject(data(stream(0, 1460)));
    c.inject(data(stream(1460, 1460)));
    c.inject(fin().payload(stream(2920, 1460)).seq(2921));
    c.elapse(500ms);
    const auto acks = c.take_all();
    ASSERT_FALSE(acks.empty());
    EXPECT_EQ(acks.back().acknowledgement, 4097U);
    EXPECT_EQ(acks.back().window, 0U);
    c.expect_data(stream(0, 4096));
    c.expect_no_event();
    c.expect_state(State::established);
    c.consume(4096);
    c.take_all();
    c.inject(fin().payload(stream(4096, 284)).seq(4097));
    c.expect_data(stream(4096, 284));
    c.expect_peer_closed();
    c.expect_within(500ms, ack().ack(4382));
}

TEST(Rfc9293Sequence, FinAloneBeyondTheRightEdgeIsNotProcessed) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    ASSERT_NO_FATAL_FAILURE(fill_window(c));
    c.inject(fin().seq(4097));
    c.expect(ack().ack(4097).win(0));
    c.expect_no_event();
    c.expect_state(State::established);
}

TEST(Rfc9293Sequence, Must66WithAZeroWindowDataIsRefusedAndAcksAreProcessed) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    ASSERT_NO_FATAL_FAILURE(fill_window(c));
    c.send("question");
    c.expect(data("question").seq(1).ack(4097).win(0));
    EXPECT_EQ(c.info().unacknowledged, 8U);
    c.inject(ack().seq(4097).ack(9));  // empty, at RCV.NXT: acceptable
    c.expect_nothing();
    EXPECT_EQ(c.info().unacknowledged, 0U);
    c.inject(data("more").seq(4097));
    c.expect(ack().seq(9).ack(4097).win(0));
    c.expect_no_event();
}

TEST(Rfc9293Sequence, Must66WithAZeroWindowTheAckOfRefusedDataIsProcessed) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    ASSERT_NO_FATAL_FAILURE(fill_window(c));
    c.send("question");
    c.expect(data("question"));
    c.inject(data("m").seq(4097).ack(9));
    c.expect(ack().seq(9).ack(4097).win(0));
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(Rfc9293Sequence, Must66WithAZeroWindowAResetIsProcessed) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    ASSERT_NO_FATAL_FAILURE(fill_window(c));
    c.inject(rst().seq(4097));
    c.expect_closed(CloseReason::reset);
    c.expect_nothing();
}

TEST(Rfc9293Sequence, Must66WithAZeroWindowUrgentIsProcessed) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    ASSERT_NO_FATAL_FAILURE(fill_window(c));
    c.inject(ack().seq(4097).urgent(5));
    EXPECT_EQ(c.expect_event(Event::Kind::urgent).number, 5U);
}

TEST(Rfc9293Sequence, NumbersOfThePeerWrapAround) {
    Conversation c;
    c.flow().peer_isn = 0xfffffe00;
    c.open_passive();
    for (std::size_t at = 0; at < 2000; at += 100) {
        c.inject(data(stream(at, 100)));
        c.expect_data(stream(at, 100));
    }
    c.inject(data(stream(1950, 100)).seq(1951));
    c.expect_data(stream(2000, 50));
    c.elapse(500ms);
    EXPECT_EQ(c.take_all().back().acknowledgement, 2051U);
}

TEST(Rfc9293Sequence, SynOrFinOfThePeerMayBeTheLastNumber) {
    Conversation c;
    c.flow().peer_isn = 0xffffffff;
    c.open_passive();
    c.inject(data("first").seq(1));
    c.expect_data("first");

    Conversation d;
    d.flow().peer_isn = 0xfffffff9;
    d.open_passive();
    d.inject(data("world").seq(1));
    d.expect_data("world");
    d.inject(rst().seq(7));  // in the window, on the other side of the wrap
    d.expect(ack().ack(6));
    d.inject(fin().seq(6));  // 0xffffffff
    d.expect_peer_closed();
    d.expect_within(500ms, ack().ack(7));
}

TEST(Rfc9293Sequence, OwnNumbersWrapAround) {
    Conversation c;
    tcp::ConnectOptions options;
    options.local_port = 5000;
    c.connect(options);
    c.expect(syn());
    c.inject(rst_ack().seq(0).ack(1));
    // The ISN clock ticks each 4 us (RFC 9293 MUST-8): wait until it stands just before 2^32 for this pair of
    // ends.
    const std::uint32_t ticks = 0xfffffff0U - 512U - c.flow().stack_isn;
    c.elapse(ticks * 4us);
    c.events.clear();
    c.connect(options);
    c.expect(syn());
    EXPECT_GT(c.flow().stack_isn, 0xfffff000U);
    c.inject(syn_ack().seq(0).mss(536));
    c.flow().peer_next = 1;
    c.expect(ack().seq(1));
    c.expect_established();
    c.send(stream(0, 5000));
    c.elapse(1ms);
    std::size_t got = 0;
    while (got < 5000) {
        for (const Segment& s : c.take_all()) {
            EXPECT_EQ(*s.sequence, got + 1);
            EXPECT_EQ(*s.text, stream(got, s.text->size()));
            got += s.text->size();
        }
        c.inject(ack().ack(static_cast<std::uint32_t>(got + 1)));
        c.elapse(1ms);
        ASSERT_TRUE(c.flow().has_sent_anything() || got == 5000);
    }
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

// -- second: RST (RFC 5961 section 3.2)

TEST(Rfc5961Reset, ExactlyAtRcvNxtResets) {
    Conversation c;
    c.open_passive();
    c.inject(rst().seq(1));
    c.expect_closed(CloseReason::reset);
    c.expect_nothing();
    c.expect_silence(1h);
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(Rfc5961Reset, ElsewhereInTheWindowGetsAChallengeAck) {
    Conversation c;
    c.open_passive();
    c.send("sent");
    c.expect(data("sent"));
    c.inject(rst().seq(2));
    c.expect(ack().flags(".").seq(5).ack(1));
    c.inject(rst_ack().seq(1000));
    c.expect(ack().flags(".").seq(5).ack(1));
    c.inject(rst().seq(c.info().rcv_wnd));
    c.expect(ack().flags(".").seq(5).ack(1));
    c.expect_no_event();
    EXPECT_EQ(c.count(Counter::tcp_challenge_acks), 3U);
    c.inject(ack().ack(5));
    c.inject(rst().seq(1));  // the peer that was challenged knows the number
    c.expect_closed(CloseReason::reset);
}

TEST(Rfc5961Reset, OutOfTheWindowIsDroppedInSilence) {
    Conversation c;
    c.open_passive();
    c.inject(rst().seq(0));
    c.inject(rst().seq(1 + c.info().rcv_wnd));
    c.inject(rst().seq(0x80000000));
    c.inject(rst_ack().seq(0xfffffff0));
    c.expect_nothing();
    c.expect_no_event();
    EXPECT_EQ(c.dropped(DropReason::tcp_reset_out_of_window), 4U);
}

TEST(Rfc9293, Shld2ResetMayCarryDataThatIsNotDelivered) {
    Conversation c;
    c.open_passive();
    c.inject(rst().seq(1).payload("because"));
    c.expect_closed(CloseReason::reset);
    c.expect_nothing();
}

TEST(Rfc5961Reset, EndsTheConnectionInEachSynchronizedState) {
    for (const State state :
         {State::fin_wait_1, State::fin_wait_2, State::close_wait, State::closing, State::last_ack}) {
        SCOPED_TRACE(tcp::to_string(state));
        Conversation c;
        c.open_passive();
        if (state == State::close_wait || state == State::last_ack) c.inject(fin());
        if (state != State::close_wait) c.shutdown();
        if (state == State::closing) c.inject(fin().ack(1));
        if (state == State::fin_wait_2) c.inject(ack().ack(2));
        c.expect_state(state);
        c.take_all();
        c.inject(rst().seq(c.flow().peer_next + 1));
        c.expect(ack());
        c.expect_state(state);
        c.events.clear();
        c.inject(rst());
        c.expect_nothing();
        EXPECT_EQ(c.expect_event(Event::Kind::closed).reason, CloseReason::reset);
        EXPECT_EQ(c.stack().next_deadline(), never);
    }
}

// -- fourth: SYN (RFC 5961 section 4.2)

TEST(Rfc5961Syn, WhateverItsNumberGetsAChallengeAck) {
    Conversation c;
    c.open_passive();
    for (const std::uint32_t seq : {0U, 1U, 2U, 70000U, 0x80000000U}) {
        c.inject(syn().seq(seq).mss(1460));
        c.expect(ack().flags(".").seq(1).ack(1));
    }
    c.inject(syn_ack().seq(1).ack(1));
    c.expect(ack().flags(".").seq(1).ack(1));
    c.expect_no_event();
    c.expect_state(State::established);
    c.inject(data("unharmed"));
    c.expect_data("unharmed");
}

TEST(Rfc5961Syn, IsChallengedInEachSynchronizedState) {
    for (const State state :
         {State::fin_wait_1, State::fin_wait_2, State::close_wait, State::closing, State::last_ack}) {
        SCOPED_TRACE(tcp::to_string(state));
        Conversation c;
        c.open_passive();
        if (state == State::close_wait || state == State::last_ack) c.inject(fin());
        if (state != State::close_wait) c.shutdown();
        if (state == State::closing) c.inject(fin().ack(1));
        if (state == State::fin_wait_2) c.inject(ack().ack(2));
        c.elapse(100ms);
        c.take_all();
        const std::uint32_t next = state == State::close_wait ? 1 : 2;
        for (const std::uint32_t seq : {0U, c.flow().peer_next, 70000U, 0x80000000U}) {
            c.inject(syn().seq(seq).mss(1460));
            c.expect(ack().flags(".").seq(next).ack(c.flow().peer_next).length(0));
            c.expect_state(state);
        }
    }
}

TEST(Rfc5961Syn, PeerThatHasForgottenTheConnectionEndsItByAnsweringTheChallenge) {
    Conversation c;
    c.open_passive();
    c.inject(syn().seq(70000).mss(1460));
    const Segment challenge = c.expect(ack());
    c.inject(rst().seq(*challenge.acknowledgement));
    c.expect_closed(CloseReason::reset);
    c.inject(syn().seq(70000).mss(1460));
    c.expect(syn_ack().ack(70001));
}

// -- the throttle (RFC 5961 section 7)

TEST(Rfc5961Throttle, ChallengeAcksAreLimitedForEachConnectionByItself) {
    Conversation c;
    c.open_passive();
    Flow& other = c.add_flow(40001);
    other.inject(syn().mss(1460));
    other.expect(syn_ack());
    other.inject(ack());
    c.expect_established();
    for (std::uint32_t i = 0; i < 1000; ++i) c.inject(rst().seq(2 + i));
    const std::size_t answers = c.take_all().size();
    EXPECT_GE(answers, 1U);
    EXPECT_LE(answers, 10U);
    for (int i = 0; i < 5;
         ++i) {  // the other connection's budget is untouched: no side channel (CVE-2016-5696)
        other.inject(rst().seq(2));
        other.expect(ack().seq(1).ack(1));
    }
    c.elapse(2s);
    c.take_all();
    c.inject(rst().seq(2));
    c.expect(ack().seq(1).ack(1));
}

TEST(Rfc5961Throttle, CoversWhateverMakesAChallenge) {
    const std::vector<Segment> kinds{rst().seq(2),
                                     syn().seq(1),
                                     syn().seq(0x80000000),
                                     ack().seq(1).ack(2),
                                     ack().seq(1).ack(0x90000000),
                                     data("evil").seq(1).ack(2),
                                     data("evil").seq(1).ack(0x90000000),
                                     ack().seq(0),
                                     ack().seq(0x80000000)};
    for (const Segment& kind : kinds) {
        SCOPED_TRACE(to_string(kind));
        Conversation c;
        c.open_passive();
        for (int i = 0; i < 1000; ++i) c.inject(kind);
        const std::size_t answers = c.take_all().size();
        EXPECT_GE(answers, 1U);
        EXPECT_LE(answers, 10U);
        c.expect_no_event();
        c.expect_state(State::established);
    }
}

TEST(Rfc5961Throttle, IsConfigurable) {
    StackConfig config = small_stack();
    config.tcp.challenge_acks_per_second = 3;
    Conversation c{config};
    c.open_passive();
    for (std::uint32_t i = 0; i < 100; ++i) c.inject(syn().seq(2 + i));
    EXPECT_EQ(c.take_all().size(), 3U);
}

// -- fifth: the ACK field (RFC 9293, RFC 5961 section 5.2)

TEST(Rfc9293Ack, SegmentWithoutAckIsDropped) {
    Conversation c;
    c.open_passive();
    c.inject(data("x").flags("P"));
    c.inject(Segment{}.flags("").seq(1));
    c.inject(Segment{}.flags("F").seq(1));
    c.expect_nothing();
    c.expect_no_event();
    EXPECT_EQ(c.dropped(DropReason::tcp_no_ack_flag), 3U);
}

TEST(Rfc9293Ack, AckOfWhatWasNotSentIsAnsweredAndTheSegmentDropped) {
    Conversation c;
    c.open_passive();
    c.inject(data("evil").ack(2));
    c.expect(ack().flags(".").seq(1).ack(1));
    c.inject(data("evil").seq(1).ack(0x40000000));
    c.expect(ack().flags(".").seq(1).ack(1));
    c.expect_no_event();
}

TEST(Rfc5961Ack, OlderThanTheLargestWindowIsChallengedAndTheDataDropped) {
    Conversation c;
    c.open_passive();
    c.inject(data("evil").seq(1).ack(1U - 65536U));  // MAX.SND.WND is 65535
    c.expect(ack().flags(".").seq(1).ack(1));
    c.inject(data("evil").seq(1).ack(0x90000000));
    c.expect(ack().flags(".").seq(1).ack(1));
    c.expect_no_event();
}

TEST(Rfc5961Ack, OldButWithinTheLargestWindowIsIgnoredAndTheDataDelivered) {
    Conversation c;
    c.open_passive();
    c.send("0123456789");
    c.expect(data("0123456789"));
    c.inject(ack().ack(11));
    c.inject(data("late").ack(1));
    c.expect_data("late");
    c.inject(data("later").ack(11U - 65535U));
    c.expect_data("later");
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(Rfc9293Ack, WindowIsTakenFromTheNewestSegmentOnly) {
    Conversation c;
    c.open_passive();
    c.send("01234567");
    c.expect(data("01234567"));
    c.inject(ack().ack(5).win(5000));
    EXPECT_EQ(c.info().snd_wnd, 5000U);
    c.inject(ack().ack(3).win(9000));  // SND.WL1 = SEG.SEQ, but SEG.ACK < SND.WL2
    EXPECT_EQ(c.info().snd_wnd, 5000U);
    c.inject(ack().ack(5).win(6000));
    EXPECT_EQ(c.info().snd_wnd, 6000U);
    c.inject(data("abcd").ack(5).win(7000));  // SND.WL1 < SEG.SEQ from here on
    EXPECT_EQ(c.info().snd_wnd, 7000U);
    c.inject(data("abcd").seq(1).ack(9).win(100));  // an old duplicate, out of the window
    EXPECT_EQ(c.info().snd_wnd, 7000U);
    c.inject(data("later").seq(20).ack(5).win(4000));  // out of order, and newer than what comes next
    EXPECT_EQ(c.info().snd_wnd, 4000U);
    c.inject(ack().seq(5).ack(5).win(9000));  // SEG.SEQ < SND.WL1
    EXPECT_EQ(c.info().snd_wnd, 4000U);
}

TEST(Rfc9293, Must1WindowsAbove32767AreNotNegative) {
    Conversation c;
    c.flow().window = 0x8000;
    c.open_passive();
    EXPECT_EQ(c.info().snd_wnd, 0x8000U);
    c.send("x");
    c.expect(data("x"));
    c.inject(ack().ack(2).win(0xffff));
    EXPECT_EQ(c.info().snd_wnd, 0xffffU);
}

// -- sixth: URG (RFC 9293 section 3.8.5, RFC 6093)

TEST(Rfc9293Urgent, Must30Must32Must33TheApplicationIsToldAndTheDataComesInLine) {
    Conversation c;
    c.open_passive();
    c.inject(data("abcde").urgent(3));
    EXPECT_EQ(c.expect_event(Event::Kind::urgent).number, 3U);
    c.expect_data("abcde");
    c.inject(data("fgh").urgent(3));
    EXPECT_EQ(c.expect_event(Event::Kind::urgent).number, 3U);
    c.expect_data("fgh");
}

TEST(Rfc9293Urgent, Must31UrgentDataMayBeOfAnyLength) {
    Conversation c;
    c.open_passive();
    c.inject(data("a").urgent(65535));
    EXPECT_EQ(c.expect_event(Event::Kind::urgent).number, 65535U);
    c.expect_data("a");
    c.inject(data("b").urgent(65534));  // the same octet: nothing new
    c.expect_data("b");
    c.inject(data("c").urgent(65535));  // two octets further
    EXPECT_EQ(c.expect_event(Event::Kind::urgent).number, 65535U);
    c.expect_data("c");
}

TEST(Rfc6093, Must62PointerNamesTheOctetAfterTheLastUrgentOne) {
    Conversation c;
    c.open_passive();
    const std::string_view octets = "!";
    EXPECT_EQ(c.connection().send_urgent(std::as_bytes(std::span{octets})).accepted, 1U);
    c.pump();
    c.expect(data("!").flags("PU.").seq(1).urgent(1));
    c.inject(ack().ack(2));
    const std::string_view more = "hurry";
    EXPECT_EQ(c.connection().send_urgent(std::as_bytes(std::span{more})).accepted, 5U);
    c.pump();
    c.expect(data("hurry").flags("PU.").seq(2).urgent(5));
    c.inject(ack().ack(7));
    c.send("calm");
    c.expect(data("calm").flags("P."));
}

// -- seventh and eighth: text and FIN

TEST(Rfc9293Text, IsIgnoredAfterThePeersFin) {
    Conversation c;
    c.open_passive();
    c.inject(fin());
    c.expect_peer_closed();
    c.expect_within(500ms, ack().ack(2));
    c.inject(data("more").seq(2));
    c.elapse(500ms);
    for (const Segment& s : c.take_all()) EXPECT_EQ(s.acknowledgement, 2U);
    c.expect_no_event();
    c.expect_state(State::close_wait);
}

TEST(Rfc9293Fin, RetransmittedFinIsAcknowledgedAgainInCloseWaitAndLastAck) {
    Conversation c;
    c.open_passive();
    c.inject(fin());
    c.expect_peer_closed();
    c.expect_within(500ms, ack().seq(1).ack(2));
    c.inject(fin().seq(1));
    c.expect(ack().seq(1).ack(2));
    c.expect_state(State::close_wait);
    c.expect_no_event();
    c.shutdown();
    c.expect(fin().seq(1).ack(2));
    c.expect_state(State::last_ack);
    c.inject(fin().seq(1).ack(1));
    c.expect(ack().seq(2).ack(2));
    c.expect_state(State::last_ack);
    c.inject(ack().ack(2));
    c.expect_closed(CloseReason::orderly);
}

TEST(Rfc9293Fin, OutOfOrderFinWaitsForTheDataBeforeIt) {
    Conversation c;
    c.open_passive();
    c.inject(fin().seq(6));
    c.expect(ack().seq(1).ack(1));
    c.expect_no_event();
    c.inject(data("hello").seq(1));
    c.expect_data("hello");
    if (c.events.empty()) c.inject(fin().seq(6));  // a FIN out of order need not be kept
    c.expect_peer_closed();
    c.elapse(500ms);
    EXPECT_EQ(c.take_all().back().acknowledgement, 7U);
}

}  // namespace synchronized_cases
}  // namespace runnel::test
