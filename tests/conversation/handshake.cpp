// How connections come to be: passive, active and simultaneous opens (RFC 9293 sections 3.5 and 3.10.7), what
// of them is retransmitted and when it is given up, and half-open connections.
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace handshake_cases {

using tcp::CloseReason;
using tcp::State;

TEST(Rfc9293, PassiveOpenTakesThreeSegments) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack().flags("S.").seq(0).ack(1));
    c.expect_nothing();
    c.expect_no_event();
    c.inject(ack());
    c.expect_established();
    c.expect_state(State::established);
    c.expect_nothing();
    EXPECT_EQ(c.count(Counter::tcp_passive_opens), 1U);
    EXPECT_EQ(c.count(Counter::tcp_established), 1U);
}

TEST(Rfc9293, ActiveOpenTakesThreeSegments) {
    Conversation c;
    c.connect();
    c.expect_state(State::syn_sent);
    c.expect(syn().flags("S").seq(0));
    c.inject(syn_ack().mss(1460));
    c.expect(ack().flags(".").seq(1).ack(1));
    c.expect_established();
    c.expect_state(State::established);
    EXPECT_EQ(c.count(Counter::tcp_active_opens), 1U);
}

TEST(Rfc9293, Must10SimultaneousOpenIsCompletedByASynAck) {
    Conversation c;
    c.connect();
    c.expect(syn().seq(0));
    c.inject(syn().mss(1460));
    c.expect(syn_ack().seq(0).ack(1));
    c.expect_state(State::syn_received);
    c.expect_no_event();
    c.inject(syn_ack().seq(0).ack(1).mss(1460));
    c.expect_established();
    c.take_all();  // an ACK may answer the SYN that lies before the window
    c.inject(data("across"));
    c.expect_data("across");
    c.send("back");
    c.expect_within(500ms, data("back").seq(1).ack(7));
}

TEST(Rfc9293, Must10SimultaneousOpenIsCompletedByAnAck) {
    Conversation c;
    c.connect();
    c.expect(syn().seq(0));
    c.inject(syn().mss(1460));
    c.expect(syn_ack().seq(0).ack(1));
    c.inject(ack().seq(1).ack(1));
    c.expect_established();
    c.inject(data("across"));
    c.expect_data("across");
    c.send("back");
    c.expect_within(500ms, data("back").seq(1).ack(7));
}

TEST(Rfc9293, TextAndFinOfASynThatMeetsOursWaitForTheEstablishedState) {
    for (const bool with_fin : {false, true}) {
        SCOPED_TRACE(with_fin);
        Conversation c;
        c.connect();
        c.expect(syn().seq(0));
        Segment first = syn().mss(1460).payload("early");
        if (with_fin) first.flags("FS");
        c.inject(first);
        c.expect(syn_ack().seq(0).ack(1));
        c.expect_no_event();
        c.inject(ack().seq(with_fin ? 7 : 6).ack(1));
        c.expect_established();
        c.expect_data("early");
        if (with_fin) {
            c.expect_peer_closed();
            c.expect(ack().ack(7));
            c.expect_state(State::close_wait);
        } else {
            c.inject(data(" bird").seq(6));
            c.expect_data(" bird");
            c.expect(ack().ack(11));
        }
    }
}

TEST(Rfc9293, SimultaneousOpenRetransmitsItsSynAck) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.inject(syn().mss(1460));
    c.expect(syn_ack().seq(0).ack(1));
    c.expect_between(900ms, 3100ms, syn_ack().seq(0).ack(1));
    c.inject(ack());
    c.expect_established();
}

TEST(Rfc9293, Must11ResetInSynReceivedOfAPassiveOpenReturnsToListen) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack().ack(1));
    c.inject(rst().seq(1));
    c.expect_nothing();
    c.expect_no_event();
    Flow& other = c.add_flow(40001);
    other.inject(syn().mss(1460));
    other.expect(syn_ack().ack(1));
    other.inject(ack());
    c.expect_established();
    c.inject(ack().seq(1).ack(1));  // the one that was reset is gone
    c.expect(rst().flags("R").seq(1));
}

TEST(Rfc9293, Must11ResetInSynReceivedOfAnActiveOpenRefusesIt) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.inject(rst().seq(1));
    c.expect_closed(CloseReason::refused);
    c.expect_nothing();
}

TEST(Rfc5961, InexactResetInSynReceivedDoesNotEndTheHandshake) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack().ack(1));
    c.inject(rst().seq(5));
    c.expect(ack().seq(1).ack(1));
    c.inject(ack());
    c.expect_established();
}

TEST(Rfc9293, UnacceptableAckInSynReceivedGetsReset) {
    for (const std::uint32_t bad : {0U, 2U, 100000U, 0x80000000U}) {
        Conversation c;
        c.listen();
        c.inject(syn().mss(1460));
        c.expect(syn_ack().ack(1));
        c.inject(ack().ack(bad));
        c.expect(rst().flags("R").seq(bad));
        c.expect_no_event();
        c.inject(ack());
        c.expect_established();
    }
}

TEST(Rfc9293, SegmentWithoutAckInSynReceivedIsDropped) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.inject(data("x").flags("P").seq(1));
    c.expect_nothing();
    c.expect_no_event();
    c.inject(ack());
    c.expect_established();
}

TEST(Rfc6298, SynIsRetransmittedAfterOneSecondAndBacksOff) {
    Conversation c;
    c.connect();
    c.expect(syn().seq(0));
    for (const Duration wait : {1s, 2s, 4s, 8s, 16s, 32s}) c.expect_after(wait, syn().seq(0));
    EXPECT_EQ(c.count(Counter::tcp_syn_retransmits), 6U);
    c.inject(syn_ack().mss(1460));
    c.expect(ack().seq(1).ack(1));
    c.expect_established();
}

TEST(Rfc9293, Must23ConnectToABlackHoleTimesOutNotBeforeThreeMinutes) {
    Conversation c;
    const tcp::Connection connection = c.connect();
    while (c.events.empty() && c.step(15min)) c.take_all();
    const Event event = c.expect_event(Event::Kind::closed);
    EXPECT_EQ(event.reason, CloseReason::timed_out);
    EXPECT_GE(event.time, 180s);
    EXPECT_LE(event.time, 300s);
    EXPECT_FALSE(connection.alive());
    c.elapse(1h);
    c.expect_nothing();
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(SynAckRetransmission, FollowsOneTwoFourEightSixteenAndIsDropped) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack().seq(0).ack(1).mss(1460));
    for (const Duration wait : {1s, 2s, 4s, 8s, 16s}) c.expect_after(wait, syn_ack().seq(0).ack(1).mss(1460));
    c.expect_silence(64s);
    c.expect_no_event();
    EXPECT_EQ(c.count(Counter::tcp_synack_retransmits), 5U);
    EXPECT_EQ(c.count(Counter::tcp_half_open_expired), 1U);
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(SynAckRetransmission, ThreeSecondsGiveTheClassicThreeSixTwelve) {
    StackConfig config = small_stack();
    config.tcp.synack_timeout = 3s;
    Conversation c{config};
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    for (const Duration wait : {3s, 6s, 12s, 24s, 48s}) c.expect_after(wait, syn_ack().seq(0).ack(1));
    c.expect_silence(200s);
}

TEST(SynAckRetransmission, RetriesAreConfigurable) {
    StackConfig config = small_stack();
    config.tcp.synack_retries = 1;
    Conversation c{config};
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.expect_after(1s, syn_ack());
    c.expect_silence(30s);
    EXPECT_EQ(c.count(Counter::tcp_half_open_expired), 1U);
}

TEST(SynAckRetransmission, ClientThatBelievedInADroppedHalfOpenConnectionGetsResetWhenItSends) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.elapse(100s);
    c.take_all();
    c.inject(data("hello").seq(1).ack(1));
    c.expect(rst().flags("R").seq(1));
    c.expect_no_event();
}

TEST(SynAckRetransmission, StopsWhenTheHandshakeCompletes) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.expect_after(1s, syn_ack());
    c.inject(ack());
    c.expect_established();
    c.expect_silence(100s);
}

TEST(LostThirdAck, DataCompletesTheHandshakeAndIsDelivered) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.inject(data("hello"));
    c.expect_established();
    c.expect_data("hello");
    c.expect_within(500ms, ack().seq(1).ack(6));
}

TEST(LostThirdAck, FinCompletesTheHandshakeAndIsProcessed) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.inject(fin().payload("bye"));
    c.expect_established();
    c.expect_data("bye");
    c.expect_peer_closed();
    c.expect_within(500ms, ack().ack(5));
    c.expect_state(State::close_wait);
}

TEST(LostSynAck, RetransmittedSynGetsTheSynAckAgain) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    const Segment first = c.expect(syn_ack().seq(0).ack(1));
    c.inject(syn().seq(0).mss(1460));
    const Segment second = c.expect(syn_ack().seq(0).ack(1).mss(1460));
    EXPECT_EQ(first.window, second.window);
    c.inject(ack());
    c.expect_established();
    EXPECT_EQ(c.count(Counter::tcp_passive_opens), 1U);
}

TEST(LostThirdAck, RetransmittedSynAckToAnEstablishedClientIsAcknowledged) {
    Conversation c;
    c.open_active();
    c.inject(syn_ack().seq(0).ack(1).mss(1460));
    c.expect(ack().seq(1).ack(1));
    c.expect_no_event();
}

TEST(HalfOpenTable, WhenFullItIsCountedAndWhatIsEstablishedGoesOn) {
    StackConfig config = small_stack();  // room for 16
    config.tcp.syn_cookies = tcp::SynCookieUse::never;
    Conversation c{config};
    c.open_passive();
    const tcp::Connection established = c.connection();
    for (std::uint16_t i = 0; i < 24; ++i) {
        Flow& flow = c.add_flow(static_cast<std::uint16_t>(50000 + i));
        flow.inject(syn().mss(1460));
    }
    EXPECT_EQ(c.dropped(DropReason::tcp_half_open_full), 8U);
    c.take_all();
    c.expect_no_event();
    EXPECT_TRUE(established.alive());
    c.inject(data("still here"));
    c.expect_data("still here");
    c.elapse(100s);  // the half-open ones expire
    c.take_all();
    EXPECT_EQ(c.count(Counter::tcp_half_open_expired), 16U);
    Flow& late = c.add_flow(60000);
    late.inject(syn().mss(1460));
    late.expect(syn_ack());
    late.inject(ack());
    c.expect_established();
}

TEST(Rfc9293, Must42ManyConnectionsOfOnePortShakeHandsAtOnce) {
    Conversation c;
    c.listen();
    std::vector<Flow*> flows;
    for (std::uint16_t i = 0; i < 16; ++i)
        flows.push_back(&c.add_flow(static_cast<std::uint16_t>(50000 + i)));
    for (Flow* flow : flows) flow->inject(syn().mss(1460));
    for (Flow* flow : flows) flow->expect(syn_ack().seq(0).ack(1));
    for (Flow* flow : flows) flow->inject(data(stream(flow->remote.port, 7)));
    for (const Flow* flow : flows) {
        c.expect_established();
        c.expect_data(stream(flow->remote.port, 7));
    }
}

TEST(Rfc9293, Must41ListeningOnThePortOfALiveConnectionLeavesItAlone) {
    Conversation c;
    tcp::ConnectOptions options;
    options.local_port = 5000;
    c.connect(options);
    c.expect(syn());
    c.inject(syn_ack().mss(1460));
    c.expect(ack());
    c.expect_established();
    c.listen(5000);
    c.inject(data("one"));
    c.expect_data("one");
    Flow& other = c.add_flow(40001, 5000);
    other.inject(syn().mss(1460));
    other.expect(syn_ack());
    other.inject(ack());
    c.expect_established();
    c.inject(data("two"));
    c.expect_data("two");
}

TEST(Rfc9293, Must43ListenerOfOneAddressAnswersForNoOther) {
    StackConfig config = small_stack();
    config.ip.interfaces[0].address_count = 2;
    config.ip.interfaces[0].address = Ipv4Address{10, 0, 0, 0x41};
    Conversation c{config};
    tcp::ListenOptions options;
    options.address = spoken(Ipv4Address{10, 0, 0, 0x42});
    options.port = 80;
    options.handler = &c.handler();
    c.stack().listen(options);
    c.flow().local = {Ipv4Address{10, 0, 0, 0x41}, 80};
    c.inject(syn().mss(1460));
    c.expect(rst_ack().seq(0).ack(1));
    Flow& right = c.add_flow(40001);
    right.local = {Ipv4Address{10, 0, 0, 0x42}, 80};
    right.inject(syn().mss(1460));
    right.expect(syn_ack().ack(1));
    right.inject(ack());
    c.expect_established();
}

TEST(Listening, ListenerThatStopsDropsItsHalfOpenConnectionsAndKeepsTheEstablished) {
    Conversation c;
    c.open_passive();
    Flow& half = c.add_flow(40001);
    half.inject(syn().mss(1460));
    half.expect(syn_ack());
    c.stack().unlisten(IpAddress{}, service_port);
    half.inject(ack());
    half.expect(rst().seq(1));
    Flow& late = c.add_flow(40002);
    late.inject(syn());
    late.expect(rst_ack().ack(1));
    c.inject(data("alive"));
    c.expect_data("alive");
}

TEST(Rfc9293, DataOnASynIsNotDeliveredBeforeTheHandshakeIsComplete) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460).payload("early"));
    const Segment answer = c.expect(syn_ack().seq(0));
    ASSERT_TRUE(answer.acknowledgement == 1U || answer.acknowledgement == 6U)
        << "neither the SYN alone nor all of it";
    c.expect_no_event();
    if (answer.acknowledgement == 1U) {
        c.inject(data("early").seq(1));
    } else {
        c.inject(ack());
    }
    c.expect_established();
    c.expect_data("early");
}

TEST(Rfc9293, DataOnASynAckIsDelivered) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.inject(syn_ack().mss(1460).payload("banner"));
    c.expect(ack().seq(1).ack(7));
    c.expect_established();
    c.expect_data("banner");
}

TEST(Rfc9293, DataQueuedBeforeTheHandshakeLeavesOnceItIsComplete) {
    Conversation c;
    c.connect();
    EXPECT_EQ(c.send("request").accepted, 7U);
    c.expect(syn().length(0));
    c.expect_nothing();
    c.inject(syn_ack().mss(1460));
    c.expect_established();
    const Segment first = c.expect(Segment{}.seq(1).ack(1));  // the data may carry the ACK, or follow it
    if (first.text->empty()) {
        c.expect(data("request").seq(1));
    } else {
        EXPECT_EQ(first.text, "request");
    }
    c.expect_nothing();
}

TEST(Rfc9293, AbortInSynSentSendsNoReset) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.abort();
    c.expect_nothing();
    c.expect_closed(CloseReason::aborted);
    c.inject(syn_ack().mss(1460));  // nobody wants it any more
    c.expect(rst().seq(1));
    c.expect_silence(5min);
}

}  // namespace handshake_cases
}  // namespace runnel::test
