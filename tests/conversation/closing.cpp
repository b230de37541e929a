// How connections end: FIN in every order, half-close, RST (RFC 9293 sections 3.6, 3.10.4 to 3.10.7, RFC
// 2525).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace closing_cases {

using tcp::CloseReason;
using tcp::Error;
using tcp::State;

/// The application hears of the end once; `peer_closed` may come before it.
void expect_end(Conversation& c, CloseReason reason) {
    if (!c.events.empty() && c.events.front().kind == Event::Kind::peer_closed) c.events.pop_front();
    c.expect_closed(reason);
    c.expect_no_event();
}

TEST(Rfc9293Close, ActiveCloseOfBothSidesTakesFourSegments) {
    Conversation c;
    c.open_passive();
    c.shutdown();
    c.expect(fin().flags("F.").seq(1).ack(1));
    c.expect_state(State::fin_wait_1);
    c.inject(ack().ack(2));
    c.expect_state(State::fin_wait_2);
    c.expect_nothing();
    c.inject(fin());
    c.expect_within(500ms, ack().flags(".").seq(2).ack(2));
    c.expect_peer_closed();
    c.expect_closed(CloseReason::orderly);
    c.expect_no_event();
    EXPECT_EQ(c.count(Counter::tcp_time_wait_entered), 1U);
}

TEST(Rfc9293Close, PassiveCloseEndsWithTheAckOfOurFin) {
    Conversation c;
    c.open_passive();
    const tcp::Connection connection = c.connection();
    c.inject(fin());
    c.expect_peer_closed();
    c.expect_within(500ms, ack().flags(".").seq(1).ack(2));
    c.expect_state(State::close_wait);
    c.close();
    c.expect(fin().flags("F.").seq(1).ack(2));
    c.expect_state(State::last_ack);
    c.inject(ack().ack(2));
    c.expect_closed(CloseReason::orderly);
    c.expect_nothing();
    EXPECT_FALSE(connection.alive());
    EXPECT_EQ(c.count(Counter::tcp_time_wait_entered), 0U);
    EXPECT_EQ(c.stack().next_deadline(), never);
    c.inject(ack().ack(2));  // CLOSED
    c.expect(rst().seq(2));
}

TEST(Rfc9293Close, FinThatAcknowledgesOurFinLeadsStraightToTimeWait) {
    Conversation c;
    c.open_passive();
    c.shutdown();
    c.expect(fin().seq(1));
    c.inject(fin().ack(2));
    c.expect_within(500ms, ack().seq(2).ack(2));
    expect_end(c, CloseReason::orderly);
    EXPECT_EQ(c.count(Counter::tcp_time_wait_entered), 1U);
}

TEST(FinWait2, MayBeShorterForOneConnection) {
    Conversation c;
    c.open_passive();
    tcp::Settings settings;
    settings.fin_wait_2_timeout = 1s;
    EXPECT_EQ(c.connection().set(settings), Error::none);
    c.close();
    c.expect(fin().seq(1));
    c.inject(ack().ack(2));
    c.expect_state(State::fin_wait_2);
    c.elapse(990ms);
    c.expect_state(State::fin_wait_2);
    c.elapse(20ms);
    c.expect_closed(tcp::CloseReason::orderly);
    c.inject(ack().ack(2));
    c.expect(rst());
}

TEST(Rfc9293Close, SimultaneousCloseGoesThroughClosing) {
    Conversation c;
    c.open_passive();
    c.shutdown();
    c.expect(fin().seq(1).ack(1));
    c.inject(fin().ack(1));
    c.expect_within(500ms, ack().seq(2).ack(2));
    c.expect_peer_closed();
    c.expect_state(State::closing);
    c.expect_no_event();
    c.inject(ack().ack(2));
    c.expect_closed(CloseReason::orderly);
    EXPECT_EQ(c.count(Counter::tcp_time_wait_entered), 1U);
}

TEST(Rfc9293Close, LostFinIsRetransmittedInFinWait1ClosingAndLastAck) {
    for (const State state : {State::fin_wait_1, State::closing, State::last_ack}) {
        SCOPED_TRACE(tcp::to_string(state));
        Conversation c;
        c.open_passive();
        if (state == State::last_ack) c.inject(fin());
        c.elapse(500ms);
        c.take_all();
        c.shutdown();
        c.expect(fin().seq(1));
        if (state == State::closing) {
            c.inject(fin().ack(1));
            c.expect(ack().seq(2).ack(2));
        }
        c.expect_state(state);
        c.expect_between(200ms, 1s + timer_tolerance, fin().seq(1));
        c.expect_between(400ms, 2s + timer_tolerance, fin().seq(1));
        EXPECT_EQ(c.count(Counter::tcp_fin_retransmits), 2U);
        c.inject(ack().ack(2));
        if (state == State::fin_wait_1) c.inject(fin());
        EXPECT_FALSE(c.connection().alive());
    }
}

TEST(Rfc9293Close, FinFollowsTheDataThatWaits) {
    Conversation c;
    c.open_passive();
    c.inject(ack().win(1460));
    c.send(stream(0, 3000));
    c.shutdown();
    c.expect(data(stream(0, 1460)).seq(1));
    c.expect_nothing();
    c.inject(ack().ack(1461).win(10000));
    c.expect(data(stream(1460, 1460)).seq(1461));
    c.expect(fin().payload(stream(2920, 80)).seq(2921));
    c.inject(ack().ack(3002));
    c.expect_state(State::fin_wait_2);
}

TEST(Rfc9293Close, LostDataBeforeTheFinIsRetransmittedAndTheFinToo) {
    Conversation c;
    c.open_passive();
    c.send("tail");
    c.expect(data("tail"));
    c.shutdown();
    c.expect(fin());
    bool data_again = false, fin_again = false;
    for (int i = 0; i < 10 && !(data_again && fin_again); ++i) {
        const Segment s = c.expect_within(10s, Segment{});
        data_again = data_again || *s.text == "tail";
        fin_again = fin_again || s.has(flag::fin);
        if (data_again && !fin_again) c.inject(ack().ack(5));
    }
    c.inject(ack().ack(6));
    c.expect_state(State::fin_wait_2);
}

// -- half-close

TEST(HalfClose, ReceivingGoesOnAfterShutdown) {
    Conversation c;
    c.open_passive();
    c.shutdown();
    c.expect(fin());
    c.inject(data("during fin-wait-1").ack(1));
    c.expect_data("during fin-wait-1");
    c.inject(ack().ack(2));
    c.inject(data("during fin-wait-2"));
    c.expect_data("during fin-wait-2");
    c.elapse(1s);
    EXPECT_EQ(c.take_all().back().acknowledgement, 35U);
    EXPECT_EQ(c.connection().send(std::as_bytes(std::span{std::string_view{"no"}})).error,
              Error::wrong_state);
    c.inject(fin().payload("last"));
    c.expect_data("last");
    c.expect_peer_closed();
    c.expect_closed(CloseReason::orderly);
}

TEST(HalfClose, SendingGoesOnInCloseWait) {
    Conversation c;
    c.open_passive();
    c.inject(fin());
    c.expect_peer_closed();
    c.expect_within(500ms, ack());
    for (std::uint32_t i = 0; i < 20; ++i) {
        c.send(stream(i * 1000, 1000));
        c.expect(data(stream(i * 1000, 1000)).seq(1 + i * 1000).ack(2));
        c.inject(ack());
    }
    c.shutdown();
    c.expect(fin().seq(20001));
    c.inject(ack());
    c.expect_closed(CloseReason::orderly);
}

TEST(HalfClose, CloseWaitLastsAsLongAsTheApplicationLikes) {
    Conversation c;
    c.open_passive();
    c.inject(fin());
    c.expect_peer_closed();
    c.expect_within(500ms, ack());
    c.expect_silence(24h);
    c.expect_state(State::close_wait);
    c.expect_no_event();
    c.send("late");
    c.expect(data("late"));
}

TEST(HalfClose, FinWait2OfAnOpenHalfLastsAsLongAsThePeerLikes) {
    Conversation c;
    c.open_passive();
    c.shutdown();
    c.expect(fin());
    c.inject(ack().ack(2));
    c.expect_silence(24h);
    c.expect_state(State::fin_wait_2);
    c.inject(data("at last"));
    c.expect_data("at last");
}

TEST(HalfClose, BothDirectionsCarryDataWhileOneHasClosed) {
    Conversation c;
    c.open_passive();
    c.send("a");
    c.inject(fin().payload("b").ack(1));
    c.expect_data("b");
    c.expect_peer_closed();
    c.elapse(100ms);
    c.inject(ack());
    c.take_all();
    c.send("c");
    c.expect(data("c").ack(3));
}

TEST(Closing, ShutdownTwiceIsAWrongState) {
    Conversation c;
    c.open_passive();
    c.shutdown();
    EXPECT_EQ(c.connection().shutdown(), Error::wrong_state);
}

// -- FIN-WAIT-2 of a connection that nobody holds any more

TEST(FinWait2, OfAClosedConnectionEndsAfterItsTimeAndLaterDataGetsReset) {
    Conversation c;
    c.open_passive();
    const tcp::Connection connection = c.connection();
    c.close();
    c.expect(fin().seq(1));
    c.inject(ack().ack(2));
    c.expect_silence(59s);
    c.elapse(2s);
    c.expect_nothing();
    EXPECT_FALSE(connection.alive());
    c.inject(data("late").ack(2));
    c.expect(rst().seq(2));
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(FinWait2, ItsTimeIsConfigurable) {
    StackConfig config = small_stack();
    config.tcp.fin_wait_2_timeout = 5s;
    Conversation c{config};
    c.open_passive();
    const tcp::Connection connection = c.connection();
    c.close();
    c.expect(fin());
    c.inject(ack().ack(2));
    c.elapse(4s);
    c.inject(ack());
    c.expect_nothing();
    c.elapse(6s);
    EXPECT_FALSE(connection.alive());
}

TEST(FinWait2, FinInTimeLeadsToTimeWait) {
    Conversation c;
    c.open_passive();
    c.close();
    c.expect(fin());
    c.inject(ack().ack(2));
    c.elapse(30s);
    c.inject(fin());
    c.expect_within(500ms, ack().seq(2).ack(2));
    expect_end(c, CloseReason::orderly);
    EXPECT_EQ(c.count(Counter::tcp_time_wait_entered), 1U);
}

// -- RST

TEST(Rfc2525, CloseWithUnconsumedDataSendsReset) {
    Conversation c;
    c.auto_consume = false;
    c.open_passive();
    c.inject(data("unread"));
    c.expect_data("unread");
    c.close();
    const Segment reset = c.expect(Segment{});
    EXPECT_TRUE(reset.has(flag::rst));
    EXPECT_FALSE(reset.has(flag::fin));
    EXPECT_EQ(reset.sequence, 1U);
    c.expect_nothing();
    EXPECT_FALSE(c.connection().alive());
    c.expect_event(Event::Kind::closed);
    c.expect_no_event();
    c.expect_silence(10min);
}

TEST(Rfc2525, CloseWithAllConsumedSendsFin) {
    Conversation c;
    c.open_passive();
    c.inject(data("read"));
    c.expect_data("read");
    c.close();
    c.expect(fin().ack(5));
}

TEST(Rfc9293, Shld3DataAfterCloseGetsReset) {
    Conversation c;
    c.open_passive();
    c.close();
    c.expect(fin().seq(1));
    c.inject(data("nobody reads this").ack(2));
    const Segment reset = c.expect(Segment{}.seq(2));
    EXPECT_TRUE(reset.has(flag::rst));
    EXPECT_FALSE(c.connection().alive());
    c.expect_event(Event::Kind::closed);
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(Abort, SendsResetAndTellsTheHandler) {
    Conversation c;
    c.open_passive();
    const tcp::Connection connection = c.connection();
    c.send("unacknowledged");
    c.expect(data("unacknowledged"));
    c.abort();
    const Segment reset = c.expect(Segment{}.seq(15));
    EXPECT_TRUE(reset.has(flag::rst));
    c.expect_closed(CloseReason::aborted);
    c.expect_nothing();
    EXPECT_FALSE(connection.alive());
    c.expect_silence(1h);
    c.inject(ack().ack(15));
    c.expect(rst().seq(15));
}

TEST(Abort, SendsResetInEachStateThatOwesThePeerOne) {
    for (const State state : {State::fin_wait_1, State::fin_wait_2, State::close_wait}) {
        SCOPED_TRACE(tcp::to_string(state));
        Conversation c;
        c.open_passive();
        if (state == State::close_wait) {
            c.inject(fin());
        } else {
            c.shutdown();
            if (state == State::fin_wait_2) c.inject(ack().ack(2));
        }
        c.elapse(100ms);
        c.take_all();
        c.expect_state(state);
        c.events.clear();
        c.abort();
        EXPECT_TRUE(c.expect(Segment{}).has(flag::rst));
        c.expect_closed(CloseReason::aborted);
    }
}

TEST(Rfc9293, Must12ResetIsToldFromANormalClose) {
    Conversation c;
    c.open_passive();
    c.inject(data("partial"));
    c.inject(rst());
    c.expect_data("partial");
    c.expect_closed(CloseReason::reset);
    c.expect_no_event();
}

TEST(Closing, PeerThatVanishesInFinWait1EndsTheConnection) {
    Conversation c;
    c.open_passive();
    c.close();
    while (c.connection().alive() && c.step(2h)) c.take_all();
    EXPECT_FALSE(c.connection().alive());
    EXPECT_GE(c.now(), 100s);
    c.expect_closed(CloseReason::timed_out);
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(Closing, FinIsHeldByAZeroWindowAtMostAsLongAsTheWindow) {
    Conversation c;
    c.open_passive();
    c.inject(ack().win(0));
    c.send("x");
    c.shutdown();
    c.expect_within(5s, Segment{});
    c.inject(ack().ack(1).win(100));
    c.elapse(5s);
    bool fin_seen = false;
    for (const Segment& s : c.take_all()) fin_seen = fin_seen || s.has(flag::fin);
    EXPECT_TRUE(fin_seen);
}

}  // namespace closing_cases
}  // namespace runnel::test
