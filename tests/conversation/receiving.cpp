// The receiving side: when ACKs are sent, what is kept out of order, and the window offered (RFC 9293
// section 3.8.6, RFC 5681 section 4.2). That its right edge never moves left is an invariant of each
// conversation.
#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "conversation.hpp"
#include "seed.hpp"

namespace runnel::test {
namespace receiving_cases {

StackConfig with_receive_buffer(std::uint32_t octets) {
    StackConfig config = small_stack();
    config.tcp.receive_buffer = octets;
    return config;
}

// -- ACKs

TEST(Rfc9293, Must40SingleSegmentIsAcknowledgedWithinHalfASecond) {
    Conversation c;
    c.open_passive();
    for (std::uint32_t i = 0; i < 20; ++i) {
        c.inject(data("x"));
        c.expect_between(0ns, 499ms, ack().flags(".").seq(1).ack(2 + i).length(0));
        c.elapse(700ms);
        c.expect_nothing();
    }
}

TEST(Rfc9293, Must40DelayIsConfigurable) {
    StackConfig config = small_stack();
    config.tcp.delayed_ack = 200ms;
    Conversation c{config};
    c.open_passive();
    for (int i = 0; i < 20; ++i) {  // some may be acknowledged at once; none later than this
        c.inject(data("x"));
        c.expect_between(0ns, 200ms + timer_tolerance, ack());
    }
}

TEST(Rfc9293, Shld18AckIsDelayedAndRidesOnData) {
    Conversation c;
    c.open_passive();
    for (int i = 0; i < 30; ++i) {  // past any start in which each segment is acknowledged at once
        c.inject(data(stream(0, 1460)));
        c.elapse(1s);
    }
    c.take_all();
    c.inject(data("question"));
    c.expect_nothing();
    c.send("answer");
    c.expect(data("answer").seq(1).ack(c.flow().peer_next));
    c.expect_silence(150ms);  // no ACK of its own follows before a retransmission could
}

TEST(Rfc9293, Shld19EachSecondFullSegmentIsAcknowledgedAtOnce) {
    Conversation c;
    c.open_passive();
    std::size_t acks = 0;
    for (std::size_t i = 0; i < 20; i += 2) {
        c.inject(data(stream(i * 1460, 1460)));
        c.inject(data(stream((i + 1) * 1460, 1460)));
        const auto sent = c.take_all();
        ASSERT_FALSE(sent.empty());
        EXPECT_EQ(sent.back().acknowledgement, 1U + (i + 2) * 1460U);
        acks += sent.size();
    }
    EXPECT_GE(acks, 10U);
}

TEST(Rfc9293, Must58Must59ABatchIsProcessedWholeBeforeItIsAcknowledged) {
    Conversation c;
    c.open_passive();
    std::vector<Segment> burst;
    for (std::size_t i = 0; i < 10; ++i) burst.push_back(data(stream(i * 1460, 1460)));
    c.inject_burst(burst);
    const auto acks = c.take_all();
    EXPECT_GE(acks.size(), 1U);
    EXPECT_LE(acks.size(), 5U);
    ASSERT_FALSE(acks.empty());
    EXPECT_EQ(acks.back().acknowledgement, 14601U);
    c.expect_data(stream(0, 14600));
    c.expect_silence(1s);
}

TEST(Rfc9293, AnswerSentFromTheHandlerCarriesTheAckOfTheWholeBatch) {
    struct Echo : tcp::Handler {
        tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
            const std::string octets = text_of(payload);
            connection.consume(octets.size());
            connection.send(std::as_bytes(std::span{octets}));
            return tcp::Ownership::returned;
        }
    } echo;
    Conversation c;
    tcp::ListenOptions options;
    options.port = service_port;
    options.handler = &echo;
    c.stack().listen(options);
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.inject(data("hello"));
    c.expect(data("hello").seq(1).ack(6));
    c.expect_silence(100ms);  // before the retransmission, no ACK of its own
}

TEST(Rfc9293, PureAckIsNotAcknowledged) {
    Conversation c;
    c.open_passive();
    for (int i = 0; i < 5; ++i) c.inject(ack());
    c.expect_silence(10s);
}

// -- out of order

TEST(Rfc5681, OutOfOrderSegmentGetsAnImmediateDuplicateAckAndTheHoleIsFilledByOne) {
    Conversation c;
    c.open_passive();
    for (std::uint32_t i = 1; i < 4; ++i) {
        c.inject(data(stream(i * 100, 100)).seq(1 + i * 100));
        c.expect(ack().flags(".").seq(1).ack(1).length(0));
    }
    c.expect_no_event();
    c.inject(data(stream(0, 100)).seq(1));
    c.expect(ack().ack(401));
    c.expect_data(stream(0, 400));
    c.expect_silence(1s);
}

TEST(Rfc5681, EachOutOfOrderSegmentOfABurstGetsItsDuplicateAck) {
    Conversation c;
    c.open_passive();
    c.inject_burst(
        {data(stream(100, 100)).seq(101), data(stream(200, 100)).seq(201), data(stream(300, 100)).seq(301)});
    for (int i = 0; i < 3; ++i) c.expect(ack().seq(1).ack(1));
    c.expect_nothing();
}

TEST(Rfc5681, SegmentThatFillsPartOfAGapIsAcknowledgedAtOnce) {
    Conversation c;
    c.open_passive();
    c.inject(data(stream(200, 100)).seq(201));
    c.expect(ack().ack(1));
    c.inject(data(stream(0, 100)).seq(1));
    c.expect(ack().ack(101));
    c.expect_data(stream(0, 100));
    c.inject(data(stream(100, 100)).seq(101));
    c.expect(ack().ack(301));
    c.expect_data(stream(100, 200));
}

TEST(OutOfOrder, PiecesInAnyOrderOverlappingAndRepeatedMakeTheStream) {
    std::mt19937_64 random{seed()};
    for (int round = 0; round < 30; ++round) {
        Conversation c;
        c.open_passive();
        const std::size_t total = 1 + random() % 20000;
        std::string got;
        std::vector<std::pair<std::size_t, std::size_t>> pieces;
        for (std::size_t at = 0; at < total;) {  // a cover, and as many pieces at random
            const std::size_t n = std::min<std::size_t>(total - at, 1 + random() % 1460);
            pieces.emplace_back(at, n);
            at += n;
            const std::size_t begin = random() % total;
            pieces.emplace_back(begin, std::min<std::size_t>(total - begin, 1 + random() % 1460));
        }
        std::shuffle(pieces.begin(), pieces.end(), random);
        for (const auto& [at, n] : pieces) {
            c.inject(data(stream(at, n)).seq(static_cast<std::uint32_t>(1 + at)));
            c.take_all();
        }
        while (!c.events.empty()) got += c.expect_event(Event::Kind::data).data;
        ASSERT_EQ(got.size(), total);
        ASSERT_TRUE(got == stream(0, total));
    }
}

TEST(OutOfOrder, WhatExceedsTheLimitIsRefusedAndCountedAndTheConnectionGoesOn) {
    StackConfig config = small_stack();
    config.tcp.out_of_order_limit = 10000;
    Conversation c{config};
    c.open_passive();
    for (std::size_t i = 1; i <= 20; ++i) {
        c.inject(data(stream(i * 1000, 1000)).seq(static_cast<std::uint32_t>(1 + i * 1000)));
        c.expect(ack().ack(1));
    }
    EXPECT_GE(c.dropped(DropReason::tcp_out_of_order_full), 10U);
    std::string got;
    for (std::size_t i = 0; i <= 20; ++i) {
        c.inject(data(stream(i * 1000, 1000)).seq(static_cast<std::uint32_t>(1 + i * 1000)));
        c.take_all();
    }
    while (!c.events.empty()) got += c.expect_event(Event::Kind::data).data;
    EXPECT_TRUE(got == stream(0, 21000));
}

TEST(OutOfOrder, ManyTinySegmentsAreBounded) {
    Conversation c;
    c.open_passive();
    for (std::uint32_t i = 1; i < 5000; ++i)
        c.inject(data("x").seq(1 + 2 * i));  // every other octet (CVE-2018-5390)
    EXPECT_LT(mbufs_in_use(), 8192U);
    c.take_all();
    c.inject(data("xy").seq(1));
    c.expect_data("xyx");
}

TEST(OutOfOrder, WhatIsKeptIsFreedWithTheConnection) {
    Conversation c;
    c.open_passive();
    for (std::uint32_t i = 1; i < 50; ++i) c.inject(data("abc").seq(1 + 10 * i));
    c.inject(rst().seq(1));
    c.expect_closed(tcp::CloseReason::reset);
}  // that no mbuf is lost is checked at the end of each conversation

// -- the window

TEST(FlowControl, WindowClosesAsDataWaitsAndOpensAsItIsConsumed) {
    Conversation c{with_receive_buffer(20000)};
    c.open_passive();
    c.auto_consume = false;
    std::uint16_t last = 0;
    for (std::size_t i = 0; i < 13; ++i) {
        c.inject(data(stream(i * 1460, 1460)));
        const Segment acked =
            c.expect_within(500ms, ack().ack(static_cast<std::uint32_t>(1 + (i + 1) * 1460)));
        EXPECT_EQ(*acked.window, 20000U - (i + 1) * 1460U);
        last = *acked.window;
    }
    EXPECT_EQ(last, 1020U);
    c.expect_data(stream(0, 13 * 1460));
    c.consume(13 * 1460);
    EXPECT_EQ(c.expect(ack().seq(1).ack(1 + 13 * 1460)).window, 20000U);
}

TEST(FlowControl, WindowThatHasClosedIsAnnouncedWhenItOpens) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    c.auto_consume = false;
    c.inject(data(stream(0, 1460)));
    c.inject(data(stream(1460, 1460)));
    c.inject(data(stream(2920, 1176)));
    c.elapse(500ms);
    EXPECT_EQ(c.take_all().back().window, 0U);
    c.consume(4096);
    c.expect(ack().seq(1).ack(4097).win(4096));
    c.expect_silence(10s);
}

TEST(Rfc9293, Must39WindowIsNotOpenedByLessThanASegmentOrHalfTheBuffer) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    c.auto_consume = false;
    c.inject(data(stream(0, 1460)));
    c.inject(data(stream(1460, 1460)));
    c.inject(data(stream(2920, 1176)));
    c.elapse(500ms);
    EXPECT_EQ(c.take_all().back().window, 0U);
    std::size_t consumed = 0;
    std::vector<Segment> updates;
    while (updates.empty() && consumed < 4096) {
        c.consume(1);
        ++consumed;
        updates = c.take_all();
    }
    ASSERT_EQ(updates.size(), 1U);
    EXPECT_GE(*updates[0].window, 1460U);  // min(half the buffer, a segment)
    EXPECT_LE(consumed, 2048U);
    EXPECT_EQ(*updates[0].window, consumed);
    for (int i = 0; i < 1000; ++i) c.consume(1);
    c.expect_nothing();
}

TEST(Rfc9293, Must39ProbeOfASmallOpeningIsToldOfAClosedWindow) {
    Conversation c{with_receive_buffer(4096)};
    c.open_passive();
    c.auto_consume = false;
    c.inject(data(stream(0, 1460)));
    c.inject(data(stream(1460, 1460)));
    c.inject(data(stream(2920, 1176)));
    c.elapse(500ms);
    c.take_all();
    c.consume(100);
    c.expect_nothing();
    c.inject(data("p").seq(4097));  // a window probe
    c.expect(ack().ack(4097).win(0));
}

TEST(FlowControl, RightEdgeNeverMovesLeftWhateverIsReadAndWhateverTheScale) {
    std::mt19937_64 random{seed()};
    for (int round = 0; round < 10; ++round) {
        Conversation c{with_receive_buffer(static_cast<std::uint32_t>(3000 + random() % 600000))};
        c.auto_consume = false;
        c.open_passive(syn().mss(1460).wscale(2));
        std::size_t sent = 0, delivered = 0, consumed = 0;
        for (int i = 0; i < 400; ++i) {
            const std::size_t room = c.info().rcv_wnd;
            const std::size_t n = std::min<std::size_t>(room, random() % 1461);
            if (n > 0) c.inject(data(stream(sent, n)));
            sent += n;
            while (!c.events.empty()) delivered += c.expect_event(Event::Kind::data).data.size();
            ASSERT_EQ(delivered, sent);
            if (random() % 3 == 0 && delivered > consumed) {
                const std::size_t read = 1 + random() % (delivered - consumed);
                c.consume(read);
                consumed += read;
            }
            if (random() % 10 == 0) c.elapse(50ms);
            c.take_all();  // what is sent has been checked against the invariants
        }
    }
}

}  // namespace receiving_cases
}  // namespace runnel::test
