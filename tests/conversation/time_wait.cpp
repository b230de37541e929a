// TIME-WAIT: how long, what is answered, how it is reopened (RFC 9293 sections 3.4.2 and 3.6.1, RFC 6191, RFC
// 1337).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace time_wait_cases {

using tcp::CloseReason;
using tcp::State;

/// A connection of the flow that ends with the stack in TIME-WAIT: numbers 2 and 2 are next. Its listener
/// stays.
void close_actively(Conversation& c, Flow& flow, const Segment& offered) {
    flow.inject(offered);
    const Segment answer = flow.expect(syn_ack());
    const auto stamps = answer.timestamps();
    const auto stamp = [&](Segment segment, std::uint32_t later) {
        if (stamps) segment.ts(offered.timestamps()->value + later, stamps->value);
        return segment;
    };
    flow.inject(stamp(ack(), 1));
    c.expect_established();
    c.close();
    flow.expect(fin().seq(1).ack(1));
    flow.inject(stamp(fin().ack(2), 2));
    flow.expect_within(500ms, ack().seq(2).ack(2));
    while (!c.events.empty() && c.events.front().kind == Event::Kind::peer_closed) c.events.pop_front();
    c.expect_closed(CloseReason::orderly);
}

void close_actively(Conversation& c) {
    c.listen();
    close_actively(c, c.flow(), syn().mss(1460));
}

void close_actively_stamped(Conversation& c) {
    c.listen();
    close_actively(c, c.flow(), syn().mss(1460).ts(1000, 0));  // the last segment says 1002
}

TEST(TimeWait, HandleIsOverAndTheSlotIsFree) {
    Conversation c;
    close_actively(c);
    EXPECT_FALSE(c.connection().alive());
    EXPECT_EQ(c.count(Counter::tcp_time_wait_entered), 1U);
}

TEST(Rfc9293, Must13RetransmittedFinIsAcknowledgedAndTheTimeBeginsAnew) {
    Conversation c;
    close_actively(c);
    for (int i = 0; i < 5; ++i) {
        c.elapse(59s);
        c.expect_nothing();
        c.inject(fin().seq(1).ack(2));
        c.expect(ack().flags(".").seq(2).ack(2));
    }
    c.elapse(59s);
    c.inject(ack().seq(2).ack(2));  // an acceptable ACK is no reason for an answer, nor for more time
    c.take_all();
    c.elapse(2s);
    c.inject(fin().seq(1).ack(2));
    c.expect(rst().flags("R").seq(2));
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(TimeWait, EndsAfterItsTimeAndThenThePortAnswersWithReset) {
    Conversation c;
    close_actively(c);
    c.expect_silence(59s);
    c.elapse(2s);
    c.inject(fin().seq(1).ack(2));
    c.expect(rst().flags("R").seq(2));
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(TimeWait, ItsTimeIsConfigurable) {
    StackConfig config = small_stack();
    config.tcp.time_wait_duration = 1s;
    Conversation c{config};
    close_actively(c);
    c.elapse(900ms);
    c.inject(fin().seq(1).ack(2));
    c.expect(ack().seq(2).ack(2));
    c.elapse(900ms);
    c.inject(fin().seq(1).ack(2));
    c.expect(ack().seq(2).ack(2));
    c.elapse(1100ms);
    c.inject(fin().seq(1).ack(2));
    c.expect(rst().seq(2));
}

TEST(Rfc1337, ResetDoesNotEndTimeWait) {
    Conversation c;
    close_actively(c);
    c.inject(rst().seq(2));
    c.inject(rst_ack().seq(2).ack(2));
    c.inject(rst().seq(100));
    c.expect_nothing();
    c.inject(fin().seq(1).ack(2));
    c.expect(ack().seq(2).ack(2));
    EXPECT_GE(c.dropped(DropReason::tcp_time_wait_ignored), 2U);
}

TEST(TimeWait, OldDataIsAcknowledgedAndNotDelivered) {
    Conversation c;
    close_actively(c);
    c.inject(data("old").seq(0xfffffff0).ack(2));
    c.expect(ack().seq(2).ack(2));
    c.expect_no_event();
}

TEST(Rfc6191, SynWithAHigherNumberReopens) {
    Conversation c;
    close_actively(c);
    const std::uint32_t old_end = c.flow().stack_isn + 2;
    c.elapse(1ms);
    c.inject(syn().seq(100).mss(1460));
    c.expect(syn_ack().ack(101));
    EXPECT_GT(static_cast<std::int32_t>(c.flow().stack_isn - old_end), 0)
        << "the new ISN lies in the old numbers";
    c.inject(ack().seq(101).ack(1));
    c.expect_established();
    c.inject(data("again").seq(101).ack(1));
    c.expect_data("again");
    EXPECT_EQ(c.count(Counter::tcp_time_wait_reopened), 1U);
    c.elapse(61s);
    EXPECT_TRUE(c.connection().alive());
}

TEST(Rfc6191, SynWithTheVeryNextNumberReopens) {
    Conversation c;
    close_actively(c);
    c.elapse(1ms);
    c.inject(syn().seq(2).mss(1460));
    c.expect(syn_ack().ack(3));
}

TEST(Rfc6191, SynWithAnOldNumberDoesNotReopen) {
    Conversation c;
    close_actively(c);
    for (const std::uint32_t seq : {0U, 1U, 0xfffffff0U}) {
        c.inject(syn().seq(seq).mss(1460));
        for (const Segment& s : c.take_all()) {
            EXPECT_EQ(s.flag_bits, flag::ack);
            EXPECT_EQ(s.sequence, 2U);
            EXPECT_EQ(s.acknowledgement, 2U);
        }
    }
    EXPECT_EQ(c.count(Counter::tcp_time_wait_reopened), 0U);
    c.inject(fin().seq(1).ack(2));
    c.expect(ack().seq(2).ack(2));
}

TEST(Rfc6191, SynWithANewerTimestampReopensWhateverItsNumber) {
    Conversation c;
    close_actively_stamped(c);
    c.elapse(1ms);
    c.inject(syn().seq(0xf0000000).mss(1460).ts(1003, 0));
    c.expect(syn_ack().ack(0xf0000001).ts_echo(1003));
    EXPECT_EQ(c.count(Counter::tcp_time_wait_reopened), 1U);
}

TEST(Rfc6191, SynWithTheSameTimestampReopensOnlyWithAHigherNumber) {
    Conversation c;
    close_actively_stamped(c);
    c.elapse(1ms);
    c.inject(syn().seq(1).mss(1460).ts(1002, 0));
    for (const Segment& s : c.take_all()) EXPECT_FALSE(s.has(flag::syn));
    EXPECT_EQ(c.count(Counter::tcp_time_wait_reopened), 0U);
    c.inject(syn().seq(2).mss(1460).ts(1002, 0));
    c.expect(syn_ack().ack(3));
}

TEST(Rfc6191, SynWithAnOlderTimestampDoesNotReopen) {
    Conversation c;
    close_actively_stamped(c);
    c.elapse(1ms);
    c.inject(syn().seq(100000).mss(1460).ts(1001, 0));
    for (const Segment& s : c.take_all()) EXPECT_FALSE(s.has(flag::syn));
    EXPECT_EQ(c.count(Counter::tcp_time_wait_reopened), 0U);
}

TEST(Rfc6191, SynWithoutTimestampAfterOneWithThemGoesByTheNumber) {
    Conversation c;
    close_actively_stamped(c);
    c.elapse(1ms);
    c.inject(syn().seq(1).mss(1460));
    for (const Segment& s : c.take_all()) EXPECT_FALSE(s.has(flag::syn));
    c.inject(syn().seq(100).mss(1460));
    c.expect(syn_ack().ack(101));
}

TEST(Rfc6191, SynDoesNotReopenWhereNobodyListens) {
    Conversation c;
    close_actively(c);
    c.stack().unlisten(IpAddress{}, service_port);
    c.inject(syn().seq(100).mss(1460));
    for (const Segment& s : c.take_all()) EXPECT_FALSE(s.has(flag::syn));
    c.expect_no_event();
}

TEST(Rfc7323, TimeWaitAnswersWithTimestamps) {
    Conversation c;
    close_actively_stamped(c);
    c.elapse(1s);
    c.inject(fin().seq(1).ack(2).ts(2000, 0));
    EXPECT_TRUE(c.expect(ack().seq(2).ack(2)).timestamps());
}

TEST(TimeWait, WhenItsTableIsFullTheOldestIsRecycledAndCounted) {
    Conversation c;  // room for 16
    c.listen();
    std::vector<Flow*> flows;
    for (std::uint16_t i = 0; i < 20; ++i) {
        flows.push_back(&c.add_flow(static_cast<std::uint16_t>(50000 + i)));
        close_actively(c, *flows.back(), syn().mss(1460));
        c.elapse(10ms);
    }
    EXPECT_EQ(c.count(Counter::tcp_time_wait_entered), 20U);
    EXPECT_EQ(c.count(Counter::tcp_time_wait_recycled), 4U);
    for (std::size_t i = 0; i < 20; ++i) {
        flows[i]->inject(fin().seq(1).ack(2));
        if (i < 4) {
            flows[i]->expect(rst().seq(2));
        } else {
            flows[i]->expect(ack().seq(2).ack(2));
        }
    }
}

TEST(TimeWait, ManyEndInTheirOrder) {
    StackConfig config = small_stack();
    config.tcp.time_wait = 256;
    config.tcp.time_wait_duration = 10s;
    Conversation c{config};
    c.listen();
    std::vector<Flow*> flows;
    for (std::uint16_t i = 0; i < 100; ++i) {
        flows.push_back(&c.add_flow(static_cast<std::uint16_t>(50000 + i)));
        close_actively(c, *flows.back(), syn().mss(1460));
        c.elapse(50ms);
    }
    c.elapse(7500ms);  // 12.5 s after the first: those older than 10 s are gone
    std::size_t gone = 0;
    for (Flow* flow : flows) {
        flow->inject(data("x").seq(0xfffffff0).ack(2));
        const Segment answer = flow->expect(Segment{});
        if (answer.has(flag::rst)) ++gone;
    }
    EXPECT_GE(gone, 49U);
    EXPECT_LE(gone, 51U);
    c.elapse(11s);
    EXPECT_EQ(c.stack().next_deadline(), never);
}

}  // namespace time_wait_cases
}  // namespace runnel::test
