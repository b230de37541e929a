// What this side reports of data out of order and of duplicates (RFC 2018, RFC 2883).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace sack_cases {

Segment offer() {
    return syn().mss(1460).sack_permitted();
}

Segment text_at(std::uint32_t seq, std::uint32_t octets) {
    return data(stream(seq - 1, octets)).seq(seq);
}

TEST(Rfc2018, SackIsOfferedInASynAndAgreedToInTheSynAck) {
    Conversation c;
    c.connect();
    c.expect(syn().sack_permitted());
    Conversation d;
    d.listen();
    d.inject(offer());
    d.expect(syn_ack().sack_permitted());
}

TEST(Rfc2018, SackIsNotAgreedToWhereItWasNotOffered) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack().without(option::sack_permitted));
    c.inject(ack());
    c.inject(text_at(101, 100));
    c.expect(ack().ack(1).sack({}));
}

TEST(Rfc2018, SackCanBeSwitchedOff) {
    StackConfig config = small_stack();
    config.tcp.sack = false;
    Conversation c{config};
    c.listen();
    c.inject(offer());
    c.expect(syn_ack().without(option::sack_permitted));
    Conversation d{config};
    d.connect();
    d.expect(syn().without(option::sack_permitted));
}

TEST(Rfc2018, FirstBlockHoldsTheSegmentThatTriggeredTheAck) {
    Conversation c;
    c.open_passive(offer());
    c.inject(text_at(201, 100));
    c.expect(ack().ack(1).sack({{201, 301}}));
    c.inject(text_at(401, 100));
    c.expect(ack().ack(1).sack({{401, 501}, {201, 301}}));
    c.inject(text_at(601, 100));
    c.expect(ack().ack(1).sack({{601, 701}, {401, 501}, {201, 301}}));
    c.inject(text_at(301, 50));  // joins the oldest: now it is the newest
    c.expect(ack().ack(1).sack({{201, 351}, {601, 701}, {401, 501}}));
}

TEST(Rfc2018, FourBlocksFitWithoutTimestampsAndThreeWithThem) {
    Conversation c;
    c.open_passive(offer());
    for (std::uint32_t i = 0; i < 5; ++i) c.inject(text_at(201 + 200 * i, 100));
    const auto acks = c.take_all();
    ASSERT_EQ(acks.size(), 5U);
    EXPECT_EQ(difference(ack().ack(1).sack({{1001, 1101}, {801, 901}, {601, 701}, {401, 501}}), acks[4]), "");

    Conversation d;
    d.listen();
    d.inject(offer().nop(2).ts(1000, 0));
    const Segment answer = d.expect(syn_ack());
    const std::uint32_t echo = answer.timestamps()->value;
    d.inject(ack().nop(2).ts(1001, echo));
    for (std::uint32_t i = 0; i < 5; ++i) d.inject(text_at(201 + 200 * i, 100).nop(2).ts(1002, echo));
    const auto others = d.take_all();
    ASSERT_EQ(others.size(), 5U);
    EXPECT_EQ(difference(ack().ack(1).sack({{1001, 1101}, {801, 901}, {601, 701}}), others[4]), "");
}

TEST(Rfc2018, FilledGapsAreNoLongerReported) {
    Conversation c;
    c.open_passive(offer());
    c.inject(text_at(201, 100));
    c.expect(ack().ack(1).sack({{201, 301}}));
    c.inject(text_at(401, 100));
    c.expect(ack().ack(1).sack({{401, 501}, {201, 301}}));
    c.inject(text_at(1, 200));
    c.expect(ack().ack(301).sack({{401, 501}}));
    c.inject(text_at(301, 100));
    c.expect(ack().ack(501).sack({}));
    c.expect_data(stream(0, 500));
}

TEST(Rfc2018, BlocksAccompanyDataAndTheSegmentStaysWithinTheMss) {
    Conversation c;
    c.open_passive(offer());
    c.inject(text_at(201, 100));
    c.expect(ack().ack(1).sack({{201, 301}}));
    c.send(stream(0, 3000));
    c.expect(data(stream(0, 1448)).seq(1).ack(1).sack({{201, 301}}));
}

TEST(Rfc2018, BlocksAreRightWhereSequenceNumbersWrap) {
    Conversation c;
    c.flow().peer_isn = 0xffffff80;
    c.open_passive(offer());
    c.inject(text_at(101, 100));
    c.expect(ack().ack(1).sack({{101, 201}}));
    c.inject(text_at(301, 100));
    c.expect(ack().ack(1).sack({{301, 401}, {101, 201}}));
    c.inject(text_at(1, 100));
    c.expect(ack().ack(201).sack({{301, 401}}));
}

// What is let go for want of room must not be reported: the peer would not send it again for a while.
TEST(Rfc2018, WhatIsReportedIsKept) {
    StackConfig config = small_stack();
    config.tcp.out_of_order_limit = 10000;
    Conversation c{config};
    c.open_passive(offer());
    std::vector<std::uint32_t> unreported;  // the first octets of segments of 1000, each second one lost
    for (std::uint32_t i = 0; i < 40; ++i) {
        const std::uint32_t seq = 1 + 1000 * i;
        unreported.push_back(seq);
        if (i % 2 == 0) continue;
        c.inject(text_at(seq, 1000));
        const Segment answer = c.expect(ack().ack(1));
        for (const auto& [left, right] : *answer.sack_blocks)
            std::erase_if(unreported, [&](std::uint32_t first) { return first >= left && first < right; });
    }
    EXPECT_GE(c.dropped(DropReason::tcp_out_of_order_full), 5U);
    EXPECT_GE(unreported.size(), 25U);
    EXPECT_LE(unreported.size(), 35U);
    for (const std::uint32_t seq : unreported) c.inject(text_at(seq, 1000));
    c.expect_data(stream(0, 40000));
}

TEST(Rfc2883, SegmentReceivedTwiceIsReported) {
    Conversation c;
    c.open_passive(offer());
    c.inject(text_at(1, 100));
    c.inject(text_at(1, 100));
    c.expect(ack().ack(101).sack({{1, 101}}));
    c.inject(text_at(101, 100));  // reported once
    c.inject(text_at(201, 100));
    c.expect(ack().ack(301).sack({}));
}

// The one cold block there is serves the next connection once the report has left.
TEST(Rfc2883, ReportOfADuplicateHoldsNoColdBlock) {
    StackConfig config = small_stack();
    config.tcp.cold_blocks = 1;
    Conversation c{config};
    c.open_passive(offer());
    c.inject(text_at(1, 100));
    c.inject(text_at(1, 100));
    c.expect(ack().ack(101).sack({{1, 101}}));
    Flow& other = c.add_flow(41000);
    other.inject(offer());
    other.expect(syn_ack());
    other.inject(ack());
    other.inject(text_at(201, 300));
    other.expect(ack().ack(1).sack({{201, 501}}));
    EXPECT_EQ(c.dropped(DropReason::tcp_cold_blocks_full), 0U);
}

TEST(Rfc2883, PartOfASegmentReceivedTwiceIsReported) {
    Conversation c;
    c.open_passive(offer());
    c.inject(text_at(1, 100));
    c.inject(text_at(51, 100));
    c.expect(ack().ack(151).sack({{51, 101}}));
    c.expect_data(stream(0, 150));
}

TEST(Rfc2883, DuplicateOutOfOrderComesBeforeTheBlockThatHoldsIt) {
    Conversation c;
    c.open_passive(offer());
    c.inject(text_at(201, 300));
    c.expect(ack().ack(1).sack({{201, 501}}));
    c.inject(text_at(301, 100));
    c.expect(ack().ack(1).sack({{301, 401}, {201, 501}}));
    c.inject(text_at(701, 100));
    c.expect(ack().ack(1).sack({{701, 801}, {201, 501}}));
}

TEST(Rfc2883, WhatAFilledGapCoversOfTheOutOfOrderQueueIsReported) {
    Conversation c;
    c.open_passive(offer());
    c.inject(text_at(101, 100));
    c.expect(ack().ack(1).sack({{101, 201}}));
    c.inject(text_at(301, 100));
    c.expect(ack().ack(1).sack({{301, 401}, {101, 201}}));
    c.inject(text_at(501, 100));
    c.expect(ack().ack(1).sack({{501, 601}, {301, 401}, {101, 201}}));
    c.inject(text_at(1, 450));  // over the first two: the first is reported
    c.expect(ack().ack(451).sack({{101, 201}, {501, 601}}));
    c.inject(text_at(451, 100));  // into the middle of the third
    c.expect(ack().ack(601).sack({{501, 551}}));
    c.inject(text_at(601, 100));
    c.inject(text_at(701, 100));
    c.expect(ack().ack(801).sack({}));
    c.expect_data(stream(0, 800));
}

TEST(Rfc2018, WhatCameFromBeyondTheFinIsNeitherReportedNorKept) {
    Conversation c;
    c.open_passive(syn().mss(1460).sack_permitted());
    c.inject(data("beyond").seq(10));
    c.expect(ack().ack(1).sack({{10, 16}}));
    c.inject(data("far beyond").seq(100));
    c.expect(ack().ack(1).sack({{100, 110}, {10, 16}}));
    c.inject(fin().seq(1));
    c.expect_peer_closed();
    c.expect(ack().ack(2).sack({}));
    EXPECT_EQ(c.dropped(DropReason::tcp_data_after_close), 1U);
}

}  // namespace sack_cases
}  // namespace runnel::test
