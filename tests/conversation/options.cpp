// TCP options (RFC 9293 section 3.2, RFC 7323 window scale): read in any order and shape, sent as negotiated,
// and the segment size that follows from them (RFC 6691).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace options_cases {

using tcp::State;

/// The size of the payload in the first segment of a large send.
std::size_t first_size(Conversation& c) {
    c.send(stream(0, 8000));
    const auto sent = c.take_all();
    return sent.empty() ? 0 : sent.front().text->size();
}

TEST(Rfc9293Options, Must4MssIsFoundInAnyOrderWithNopAndEnd) {
    const std::vector<Segment> offers{
        syn().mss(900),
        syn().nop().mss(900),
        syn().nop(2).mss(900),
        syn().nop(3).mss(900),
        syn().mss(900).raw_options({0}),
        syn().nop().nop().mss(900).raw_options({0, 0, 0}),
        syn().sack_permitted().mss(900).nop(),
        syn().wscale(7).nop().mss(900),
    };
    for (const Segment& offer : offers) {
        Conversation c;
        c.open_passive(offer);
        EXPECT_EQ(c.info().mss, 900U);
        EXPECT_EQ(first_size(c), 900U);
    }
}

TEST(Rfc9293Options, Must6UnknownOptionsAreSkippedByTheirLength) {
    for (std::uint8_t length = 2; length <= 36; ++length) {
        Segment offer = syn();
        offer.options.assign(length, 0x02);  // its octets look like an MSS
        offer.options[0] = 253;
        offer.options[1] = length;
        offer.mss(900);
        Conversation c;
        c.open_passive(offer);
        EXPECT_EQ(c.info().mss, 900U) << int{length};
    }
}

TEST(Rfc9293Options, Must5OptionsMayComeInAnySegment) {
    Conversation c;
    c.open_passive();
    c.inject(data("one").nop(4));
    c.expect_data("one");
    c.inject(data("two").raw_options({253, 6, 1, 2, 3, 4}));
    c.expect_data("two");
    c.inject(data("three").raw_options({0}));
    c.expect_data("three");
    c.inject(data("four").mss(10));  // an MSS outside of a SYN means nothing
    c.expect_data("four");
    EXPECT_EQ(c.info().mss, 1460U);
    c.inject(fin().raw_options({254, 3, 9}).nop());
    c.expect_peer_closed();
    c.inject(rst().nop(8));
    c.expect_closed(tcp::CloseReason::reset);
}

TEST(Rfc9293Options, Must7IllegalLengthsAreSurvived) {
    const std::vector<std::vector<std::uint8_t>> illegal{
        {2, 0, 0, 0},
        {2, 1, 0, 0},
        {2, 3, 5, 0},
        {2, 255, 5, 0},
        {253, 0, 0, 0},
        {253, 1, 0, 0},
        {1, 1, 1, 253},
        {1, 1, 1, 2},
        {1, 1, 1, 8},
        {8, 3, 0, 0},
        {3, 2, 1, 1},
        {3, 4, 7, 0},
        {4, 3, 0, 0},
        {253, 8, 0, 0},
        {8, 10, 0, 0, 0, 0, 0, 0},
        {2, 4, 5, 180, 253, 0, 0, 0},
        {253, 40, 0, 0},
        {5, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1},
    };
    Conversation c;
    c.listen();
    std::uint16_t port = 50000;
    for (const auto& octets : illegal) {
        Flow& flow = c.add_flow(port++);
        Segment offer = syn();
        offer.options = octets;
        flow.inject(offer);
        c.take_all();  // the segment may be dropped, or the option ignored
        flow.inject(rst().seq(1));
        c.take_all();
        Flow& next = c.add_flow(port++);
        next.inject(syn().mss(1000));
        next.expect(syn_ack());
        next.inject(ack());
        c.expect_established();
        EXPECT_EQ(c.info().mss, 1000U);
        Segment bad = data("data");  // and in a synchronized state
        bad.options = octets;
        next.inject(bad);
        c.take_all();
        if (c.events.empty()) next.inject(data("data").seq(1));
        c.expect_data("data");
        next.inject(rst().seq(5));
        c.expect_closed(tcp::CloseReason::reset);
        c.take_all();
    }
}

TEST(Rfc9293Options, Must15WithoutMssThePeerTakes536OverIpv4And1220OverIpv6) {
    Conversation c;
    c.open_passive(syn());
    EXPECT_EQ(c.info().mss, default_mss());
    EXPECT_EQ(first_size(c), default_mss());
    Conversation d;
    d.open_active(syn_ack());
    EXPECT_EQ(first_size(d), default_mss());
}

TEST(Rfc9293Options, Must16TimestampsCountAgainstThePeersMss) {
    Conversation c;
    c.open_passive(syn().mss(1000).ts(1, 0));
    EXPECT_EQ(first_size(c), 988U);
}

TEST(Rfc9293Options, Must67MssSentIsTheMtuLessFortyWhateverTheOptions) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460).wscale(7).sack_permitted().ts(1, 0));
    c.expect(syn_ack().mss(1460));
    StackConfig config = small_stack();
    config.ip.interfaces[0].mtu = 9000;
    Conversation jumbo{config};
    jumbo.connect();
    jumbo.expect(syn().mss(8960));
}

TEST(Rfc9293Options, SegmentIsNeverLargerThanOurOwnMtu) {
    Conversation c;
    c.open_passive(syn().mss(9000));
    EXPECT_EQ(first_size(c), 1460U);
}

TEST(TinyMss, IsTakenAsTheSmallestAllowed) {
    for (const std::uint16_t mss : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{48}}) {
        Conversation c;
        c.open_passive(syn().mss(mss));
        EXPECT_EQ(c.info().mss, 64U);
        EXPECT_EQ(first_size(c), 64U);
    }
}

TEST(TinyMss, WithTimestampsLeavesRoomForData) {
    Conversation c;
    c.open_passive(syn().mss(1).ts(1, 0));
    EXPECT_EQ(first_size(c), 52U);
}

// -- window scale (RFC 7323 section 2)

TEST(Rfc7323Scale, IsAnsweredOnlyWhereOffered) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack().without(option::wscale).without(option::timestamps).without(option::sack_permitted));
    Flow& other = c.add_flow(40001);
    other.inject(syn().mss(1460).wscale(3));
    EXPECT_TRUE(other.expect(syn_ack()).option_number(option::wscale));
}

TEST(Rfc7323Scale, IsOfferedInOurSynAndNotUsedWhereThePeerIsSilent) {
    Conversation c;
    c.connect();
    EXPECT_TRUE(c.expect(syn()).option_number(option::wscale));
    c.inject(syn_ack().mss(1460).win(1000));
    c.expect(ack());
    EXPECT_EQ(c.info().snd_wnd, 1000U);
    EXPECT_EQ(c.info().rcv_wscale, 0U);
    c.inject(ack().win(2000));
    EXPECT_EQ(c.info().snd_wnd, 2000U);
}

TEST(Rfc7323Scale, CanBeSwitchedOff) {
    StackConfig config = small_stack();
    config.tcp.window_scaling = false;
    Conversation c{config};
    c.connect();
    c.expect(syn().without(option::wscale));
    c.listen();
    Flow& other = c.add_flow(40001);
    other.inject(syn().mss(1460).wscale(3));
    other.expect(syn_ack().without(option::wscale));
}

TEST(Rfc7323Scale, WindowOfASynIsNotScaled) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460).wscale(7).win(1000));
    c.expect(syn_ack());
    c.inject(ack().win(100));
    EXPECT_EQ(c.info().snd_wnd, 12800U);

    Conversation d;
    d.connect();
    d.expect(syn());
    d.inject(syn_ack().mss(500).wscale(7).win(1000));
    d.expect(ack());
    EXPECT_EQ(d.info().snd_wnd, 1000U);
    d.send(stream(0, 8000));
    std::size_t sum = 0;
    for (const Segment& s : d.take_all()) sum += s.text->size();
    EXPECT_EQ(sum, 1000U);
}

TEST(Rfc7323Scale, ShiftsBeyondFourteenAreFourteen) {
    for (const std::uint8_t shift : {std::uint8_t{14}, std::uint8_t{15}, std::uint8_t{255}}) {
        Conversation c;
        c.open_passive(syn().mss(1460).wscale(shift));
        EXPECT_EQ(c.info().snd_wscale, 14U);
        c.inject(ack().win(2));
        EXPECT_EQ(c.info().snd_wnd, 2U << 14);
        c.inject(ack().win(65535));  // REC-1: 32 bits hold it
        EXPECT_EQ(c.info().snd_wnd, 65535U << 14);
        c.send("x");
        c.expect(data("x"));
    }
}

TEST(Rfc7323Scale, WholeReceiveBufferIsOffered) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460).wscale(7));
    const Segment answer = c.expect(syn_ack());
    c.inject(ack());
    c.expect_established();
    c.inject(data("x"));
    const Segment acked = c.expect_within(500ms, ack().ack(2));
    const std::uint32_t offered = std::uint32_t{*acked.window} << *answer.option_number(option::wscale);
    EXPECT_GT(offered, 200U * 1024U);
    EXPECT_LE(offered, 256U * 1024U);
}

}  // namespace options_cases
}  // namespace runnel::test
