// Segments that arrive where no connection is synchronized yet: CLOSED, LISTEN and SYN-SENT, step by step
// (RFC 9293 sections 3.10.7.1 to 3.10.7.3).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace closed_listen_syn_sent_cases {

using tcp::CloseReason;
using tcp::State;

// -- CLOSED (section 3.10.7.1): without ACK <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>, with it
// <SEQ=SEG.ACK><CTL=RST>

TEST(Rfc9293Closed, SynGetsResetThatAcknowledgesIt) {
    Conversation c;
    c.inject(syn().mss(1460));
    c.expect(rst_ack().flags("R.").seq(0).ack(1).length(0));
    c.expect_nothing();
    EXPECT_EQ(c.dropped(DropReason::tcp_no_connection), 1U);
}

TEST(Rfc9293Closed, SynWithDataGetsResetThatAcknowledgesAllOfIt) {
    Conversation c;
    c.inject(syn().payload("hello"));
    c.expect(rst_ack().flags("R.").seq(0).ack(6));
}

TEST(Rfc9293Closed, FinWithoutAckGetsResetThatAcknowledgesIt) {
    Conversation c;
    c.inject(fin().flags("F").seq(10).payload("xyz"));
    c.expect(rst_ack().flags("R.").seq(0).ack(14));
}

TEST(Rfc9293Closed, SegmentWithoutAnyFlagGetsReset) {
    Conversation c;
    c.inject(Segment{}.flags("").seq(10).payload("ab"));
    c.expect(rst_ack().flags("R.").seq(0).ack(12));
}

TEST(Rfc9293Closed, AckGetsResetWithItsNumberAndNoAck) {
    Conversation c;
    c.inject(ack().seq(10).ack(777));
    c.expect(rst().flags("R").seq(777).length(0));
}

TEST(Rfc9293Closed, DataAndFinWithAckGetResetWithTheirAckNumber) {
    Conversation c;
    c.inject(data("abc").seq(10).ack(778));
    c.expect(rst().flags("R").seq(778));
    c.inject(fin().seq(10).ack(779));
    c.expect(rst().flags("R").seq(779));
    c.inject(syn_ack().seq(10).ack(780));
    c.expect(rst().flags("R").seq(780));
}

TEST(Rfc9293Closed, ResetIsNeverAnsweredWithReset) {
    Conversation c;
    c.inject(rst().seq(10));
    c.inject(rst_ack().seq(10).ack(20));
    c.inject(syn().flags("SR").seq(10));
    c.inject(fin().flags("FR.").seq(10).ack(1));
    c.expect_nothing();
    EXPECT_EQ(c.count(Counter::tcp_resets_out), 0U);
    EXPECT_EQ(c.all_drops(), 4U);
}

TEST(Rfc9293Closed, SequenceNumberOfAResetWrapsAround) {
    Conversation c;
    c.flow().peer_isn = 0xffffffff;
    c.inject(syn());
    c.expect(rst_ack().seq(0).ack(1));
}

// -- LISTEN (section 3.10.7.2)

TEST(Rfc9293Listen, FirstAResetIsIgnored) {
    Conversation c;
    c.listen();
    c.inject(rst().seq(5));
    c.inject(rst_ack().seq(5).ack(5));
    c.inject(syn().flags("SR"));
    c.expect_nothing();
    c.expect_no_event();
    c.expect_silence(10s);
}

TEST(Rfc9293Listen, SecondAnAckGetsReset) {
    Conversation c;
    c.listen();
    c.inject(ack().seq(5).ack(500));
    c.expect(rst().flags("R").seq(500));
    c.inject(data("GET /").seq(5).ack(501));
    c.expect(rst().flags("R").seq(501));
    c.inject(syn_ack().seq(5).ack(502));
    c.expect(rst().flags("R").seq(502));
    c.inject(fin().seq(5).ack(503));
    c.expect(rst().flags("R").seq(503));
    c.expect_no_event();
}

TEST(Rfc9293Listen, FourthAnythingElseIsDropped) {
    Conversation c;
    c.listen();
    c.inject(Segment{}.flags("").seq(5));
    c.inject(Segment{}.flags("F").seq(5));
    c.inject(Segment{}.flags("FPU").seq(5));
    c.inject(Segment{}.flags("P").seq(5).payload("text"));
    c.expect_nothing();
    EXPECT_EQ(c.dropped(DropReason::tcp_listen_unexpected), 4U);
}

// -- SYN-SENT (section 3.10.7.3)

TEST(Rfc9293SynSent, FirstAnUnacceptableAckGetsReset) {
    Conversation c;
    c.connect();
    c.expect(syn());
    for (const std::uint32_t bad : {0U, 2U, 100000U, 0xffffffffU}) {
        c.inject(syn_ack().seq(0).ack(bad).mss(1460));
        c.expect(rst().flags("R").seq(bad));
        c.inject(ack().seq(0).ack(bad));
        c.expect(rst().flags("R").seq(bad));
    }
    c.expect_no_event();
    c.expect_state(State::syn_sent);
    c.inject(syn_ack().mss(1460));
    c.expect(ack().ack(1));
    c.expect_established();
}

TEST(Rfc9293SynSent, FirstAnUnacceptableAckWithResetIsDropped) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.inject(rst_ack().seq(0).ack(0));
    c.inject(rst_ack().seq(0).ack(2));
    c.inject(rst_ack().seq(0).ack(100000));
    c.expect_nothing();
    c.expect_no_event();
    c.expect_state(State::syn_sent);
    EXPECT_EQ(c.all_drops(), 3U);
}

TEST(Rfc9293SynSent, SecondAResetWithAcceptableAckRefuses) {
    Conversation c;
    const tcp::Connection connection = c.connect();
    c.expect(syn());
    c.inject(rst_ack().seq(0).ack(1));
    c.expect_closed(CloseReason::refused);
    c.expect_nothing();
    EXPECT_FALSE(connection.alive());
    EXPECT_EQ(c.stack().next_deadline(), never);
    EXPECT_EQ(c.count(Counter::tcp_connect_failed), 1U);
}

TEST(Rfc9293SynSent, SecondAResetWithoutAckIsDropped) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.inject(rst().seq(0));
    c.inject(rst().seq(1));
    c.expect_nothing();
    c.expect_no_event();
    c.inject(syn_ack().mss(1460));
    c.expect(ack());
    c.expect_established();
}

TEST(Rfc9293SynSent, FifthASegmentWithNeitherSynNorResetIsDropped) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.inject(ack().seq(0).ack(1));
    c.inject(data("early").seq(1).ack(1));
    c.inject(fin().seq(1).ack(1));
    c.inject(Segment{}.flags("F").seq(1));
    c.inject(Segment{}.flags("").seq(1));
    c.expect_nothing();
    c.expect_no_event();
    c.expect_state(State::syn_sent);
    EXPECT_EQ(c.dropped(DropReason::tcp_syn_sent_unexpected), 5U);
    c.expect_after(1s, syn().seq(0));
}

TEST(Rfc9293SynSent, FourthASynAckWithFinEstablishesAndThePeerHasClosed) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.inject(syn_ack().flags("SF.").mss(1460));
    c.expect_established();
    const Segment answer = c.expect(ack().seq(1));
    if (answer.acknowledgement == 1U) {  // a FIN beside a SYN may be left for the peer to send again
        c.inject(fin().seq(1));
        c.expect_within(500ms, ack().ack(2));
    }
    c.expect_peer_closed();
    c.expect_state(State::close_wait);
}

TEST(Rfc9293SynSent, CloseBeforeAnAnswerEndsTheConnectionQuietly) {
    Conversation c;
    const tcp::Connection connection = c.connect();
    c.expect(syn());
    c.close();
    c.expect_nothing();
    EXPECT_FALSE(connection.alive());
    c.expect_silence(5min);
}

}  // namespace closed_listen_syn_sent_cases
}  // namespace runnel::test
