// Segments no larger than the path takes: RFC 1191, RFC 5927 section 7, and black holes (RFC 4821).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace path_mtu_cases {

using tcp::State;

constexpr std::uint8_t unreachable = 3, fragmentation_needed = 4;
constexpr std::uint32_t smss = 1460;

/// Peers with SACK and without.
class PathMtu : public testing::TestWithParam<bool> {
  protected:
    [[nodiscard]] static Segment offer() {
        Segment first = syn().mss(smss);
        if (GetParam()) first.sack_permitted();
        return first;
    }
    /// Opens with a round trip of 100 ms and sends; the first flight is taken.
    static void open_and_send(Conversation& c, std::size_t octets) {
        c.listen();
        c.inject(offer());
        c.expect(syn_ack().mss(smss));
        c.elapse(100ms);
        c.inject(ack());
        c.expect_established();
        c.send(stream(0, octets));
        for (std::size_t at = 0; at < octets; at += smss)
            c.expect(Segment{}
                         .seq(static_cast<std::uint32_t>(1 + at))
                         .payload(stream(at, std::min<std::size_t>(smss, octets - at))));
        c.expect_nothing();
    }
};
INSTANTIATE_TEST_SUITE_P(, PathMtu, testing::Bool(),
                         [](const auto& of) { return of.param ? "WithSack" : "WithoutSack"; });

void too_big(Conversation& c, std::uint32_t sequence, std::uint16_t mtu, std::uint16_t quoted_size = 1500) {
    c.inject_icmp(unreachable, fragmentation_needed, sequence, mtu, quoted_size);
}

/// The octets from `first` (relative) to `end` are sent now, in segments of `size` octets.
void expect_in_segments(Conversation& c, std::uint32_t first, std::uint32_t end, std::uint32_t size) {
    for (std::uint32_t at = first; at < end; at += size)
        c.expect(Segment{}.seq(at).payload(stream(at - 1, std::min(size, end - at))));
    c.expect_nothing();
}

/// What is sent now is of `size` octets at most, and so much in all.
void expect_no_larger_than(Conversation& c, std::uint32_t size, std::size_t in_all) {
    std::size_t octets = 0;
    for (const Segment& s : c.take_all()) {
        EXPECT_LE(s.text->size(), size);
        EXPECT_EQ(*s.text, stream(*s.sequence - 1, s.text->size()));
        octets += s.text->size();
    }
    EXPECT_EQ(octets, in_all);
}

TEST_P(PathMtu, Rfc1191TooBigIsSentAgainAtOnceInSmallerSegmentsAndTheWindowStays) {
    for (const auto& [mtu, size] : std::vector<std::pair<std::uint16_t, std::uint32_t>>{{0, 1452},
                                                                                        {1, 512},
                                                                                        {20, 512},
                                                                                        {68, 512},
                                                                                        {551, 512},
                                                                                        {552, 512},
                                                                                        {1000, 960},
                                                                                        {1280, 1240},
                                                                                        {1499, 1459}}) {
        Conversation c;
        open_and_send(c, 5 * smss);
        const tcp::ConnectionInfo before = c.info();
        c.elapse(50ms);
        too_big(c, 1, mtu);
        expect_in_segments(c, 1, 1 + 5 * smss, size);
        const tcp::ConnectionInfo after = c.info();
        EXPECT_EQ(after.mss, size);
        EXPECT_EQ(after.cwnd, before.cwnd);
        EXPECT_EQ(after.ssthresh, before.ssthresh);
        EXPECT_EQ(after.rto, before.rto);
        EXPECT_EQ(c.count(Counter::tcp_path_mtu_lowered), 1U);
        EXPECT_EQ(c.count(Counter::path_mtu_lowered), 1U);
        EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
        c.expect_no_event();
        c.elapse(100ms);
        c.inject(ack().ack(1 + 5 * smss));
        EXPECT_EQ(c.info().unacknowledged, 0U);
        EXPECT_GE(c.info().cwnd, before.cwnd);
        c.send(stream(5 * smss, 2 * smss));
        std::string sent;
        for (const Segment& s : c.take_all()) {
            EXPECT_LE(s.text->size(), size);
            sent += *s.text;
        }
        EXPECT_GT(sent.size(), 2 * smss - size);  // a short end may wait (Nagle)
        EXPECT_EQ(sent, stream(5 * smss, sent.size()));
    }
}

TEST_P(PathMtu, Rfc1191MessageThatNamesNoLessThanIsInUseIsIgnored) {
    Conversation c;
    open_and_send(c, 5 * smss);
    for (const std::uint16_t mtu : {std::uint16_t{1500}, std::uint16_t{1501}, std::uint16_t{65535}})
        too_big(c, 1, mtu);
    c.expect_nothing();
    EXPECT_EQ(c.info().mss, smss);
    EXPECT_EQ(c.dropped(DropReason::icmp_mtu_not_lower), 3U);
    too_big(c, 1, 1000);
    expect_in_segments(c, 1, 1 + 5 * smss, 960);
    // Each packet of the flight has had its message; and somebody would have it raised.
    for (const std::uint16_t mtu : std::vector<std::uint16_t>{1000, 1001, 1400, 1500, 65535})
        too_big(c, 1 + smss, mtu);
    c.expect_nothing();
    EXPECT_EQ(c.info().mss, 960U);
    EXPECT_EQ(c.count(Counter::tcp_path_mtu_lowered), 1U);
}

TEST_P(PathMtu, Rfc1191WithoutANextHopMtuThePlateausAreTriedOneAfterTheOther) {
    Conversation c;
    open_and_send(c, 2 * smss);
    too_big(c, 1, 0);
    expect_in_segments(c, 1, 1 + 2 * smss, 1452);
    too_big(c, 1, 0, 1492);
    // With SACK it is known what fits: a short end, and below what was cut off before.
    expect_no_larger_than(c, 966, GetParam() ? 2 * 1452 : 2 * smss);
    too_big(c, 1, 0, 1006);
    expect_no_larger_than(c, 512, GetParam() ? 2 * 966 : 2 * smss);
    too_big(c, 1, 0, 552);
    c.expect_nothing();
    // Routers that count the header twice quote more than was sent (RFC 1191 section 5).
    Conversation d;
    open_and_send(d, smss);
    too_big(d, 1, 0, 1520);
    expect_in_segments(d, 1, 1 + smss, 1452);
}

TEST_P(PathMtu, Rfc5927MessageAboutWhatIsNotInFlightIsIgnored) {
    Conversation c;
    open_and_send(c, 5 * smss);
    c.inject(ack().ack(1 + smss));
    for (const std::uint32_t sequence :
         {1U, smss, 1 + 5 * smss, 2 + 5 * smss, 0x80000000U, 0x7fffffffU, 0xffffffffU})
        too_big(c, sequence, 600);
    c.expect_nothing();
    EXPECT_EQ(c.dropped(DropReason::icmp_error_without_owner), 7U);
    EXPECT_EQ(c.info().mss, smss);
    EXPECT_EQ(c.count(Counter::path_mtu_lowered), 0U);
    too_big(c, 1 + smss, 600);
    EXPECT_EQ(c.info().mss, 560U);
}

TEST_P(PathMtu, Rfc5927MessageAboutOtherPortsIsIgnored) {
    Conversation c;
    open_and_send(c, 5 * smss);
    c.flow().local.port += 1;
    too_big(c, 1, 600);
    c.flow().local.port -= 1;
    c.flow().remote.port += 1;
    too_big(c, 1, 600);
    c.flow().remote.port -= 1;
    c.expect_nothing();
    EXPECT_EQ(c.dropped(DropReason::icmp_error_without_owner), 2U);
    EXPECT_EQ(c.info().mss, smss);
    EXPECT_EQ(c.count(Counter::path_mtu_lowered), 0U);
}

TEST_P(PathMtu, Rfc1191TimestampsAreTakenOffWhatTheSegmentCarries) {
    Conversation c;
    c.listen();
    c.inject(offer().ts(5000, 0));
    const Segment answer = c.expect(syn_ack());
    c.inject(ack().nop(2).ts(5001, answer.timestamps()->value));
    c.expect_established();
    c.send(stream(0, 3000));
    c.take_all();
    too_big(c, 1, 1000);
    expect_in_segments(c, 1, 3001, 948);
    EXPECT_EQ(c.info().mss, 948U);
}

TEST_P(PathMtu, Rfc1191WindowThatIsFullStaysFullAndNoMore) {
    Conversation c;
    open_and_send(c, 10 * smss);
    c.send(stream(10 * smss, 10 * smss));
    c.expect_nothing();
    const std::uint32_t cwnd = c.info().cwnd;
    too_big(c, 1, 1000);
    std::size_t sent = 0;
    for (const Segment& s : c.take_all()) {
        EXPECT_EQ(*s.sequence, 1 + sent);
        EXPECT_LE(s.text->size(), 960U);
        sent += s.text->size();
    }
    EXPECT_LE(sent, cwnd);
    EXPECT_GT(sent + 960, cwnd);
    EXPECT_EQ(c.info().cwnd, cwnd);
}

TEST_P(PathMtu, Rfc1191SegmentsThatAreSmallEnoughAreNotSentAgain) {
    Conversation c;
    open_and_send(c, 500);
    too_big(c, 1, 1000);
    c.expect_nothing();
    EXPECT_EQ(c.info().mss, 960U);
    c.inject(ack().ack(501));
    c.send(stream(500, 1000));
    c.expect(Segment{}.seq(501).payload(stream(500, 960)));
}

TEST_P(PathMtu, Rfc1191FinThatFollowedTheDataFollowsItAgain) {
    Conversation c;
    c.listen();
    c.inject(offer());
    c.expect(syn_ack());
    c.inject(ack());
    c.expect_established();
    const std::string text = stream(0, smss);
    tcp::Connection connection = c.connection();
    EXPECT_EQ(connection.send(std::as_bytes(std::span{text})).accepted, smss);
    c.shutdown();
    c.expect(fin().seq(1).payload(stream(0, smss)));
    too_big(c, 1, 1000);
    c.expect(Segment{}.seq(1).payload(stream(0, 960)).flags("."));
    c.expect(fin().seq(961).payload(stream(960, 500)));
    c.inject(ack().ack(2 + smss));
    c.expect_state(State::fin_wait_2);
}

TEST_P(PathMtu, Rfc1191LossOfWhatIsSentAgainIsFoundAsAnyOther) {
    Conversation c;
    open_and_send(c, smss);
    too_big(c, 1, 1000);
    expect_in_segments(c, 1, 1 + smss, 960);
    c.expect_within(1s, Segment{}.seq(1).payload(stream(0, 960)));
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations) + c.count(Counter::tcp_loss_probes), 1U);
}

TEST_P(PathMtu, Rfc1191LaterConnectionsStartLowerForTenMinutesAndAnnounceTheSameMss) {
    Conversation c;
    open_and_send(c, smss);
    too_big(c, 1, 1000);
    c.take_all();
    c.inject(ack().ack(1 + smss));
    const Duration told = c.now();
    std::uint16_t port = peer_port;
    const auto size_of_next = [&] {
        Flow& flow = c.add_flow(++port);
        flow.inject(offer());
        flow.expect(syn_ack().mss(smss));
        flow.inject(ack());
        c.expect_established();
        c.send(stream(0, smss));
        const std::uint32_t size = static_cast<std::uint32_t>(flow.expect(Segment{}.seq(1)).text->size());
        flow.inject(rst().seq(1));
        c.take_all();
        c.events.clear();
        return size;
    };
    EXPECT_EQ(size_of_next(), 960U);
    c.elapse_until(told + 5min);
    EXPECT_EQ(size_of_next(), 960U);
    c.elapse_until(told + 10min - 1ms);
    EXPECT_EQ(size_of_next(), 960U);
    c.elapse_until(told + 10min);
    EXPECT_EQ(size_of_next(), smss);
}

TEST_P(PathMtu, Rfc1191AConnectionOpenedFromHereStartsLowerToo) {
    Conversation c;
    open_and_send(c, smss);
    too_big(c, 1, 1000);
    c.take_all();
    c.inject(ack().ack(1 + smss));
    Flow& flow = c.add_flow(443, 5000);
    tcp::ConnectOptions options;
    options.local_port = 5000;
    options.remote_port = 443;
    options.handler = &c.handler();
    options.remote_address = spoken(peer_address);
    EXPECT_EQ(c.stack().connect(options).error, tcp::Error::none);
    c.pump();
    flow.expect(syn().mss(smss));
    flow.inject(syn_ack().mss(smss));
    flow.expect(ack());
    EXPECT_EQ(c.info().mss, 960U);
}

TEST_P(PathMtu, Rfc1191OtherConnectionsToThereLearnOfItAtTheirTimeOut) {
    Conversation c;
    open_and_send(c, smss);
    c.inject(ack().ack(1 + smss));
    Flow& other = c.add_flow(peer_port + 1);
    other.inject(offer());
    other.expect(syn_ack());
    other.inject(ack());
    c.expect_established();
    c.send(stream(0, smss));
    other.expect(Segment{}.seq(1).length(smss));
    // The message is about another connection.
    c.inject(data("x"));
    const tcp::Connection second = c.connection();
    tcp::Connection first = c.events.back().connection;
    EXPECT_NE(first, second);
    EXPECT_EQ(first.info().remote_port, peer_port);
    const std::string text = stream(smss, smss);
    EXPECT_EQ(first.send(std::as_bytes(std::span{text})).accepted, smss);
    c.pump();
    c.expect(Segment{}.seq(1 + smss).length(smss));
    too_big(c, 1 + smss, 1000);
    c.expect(Segment{}.seq(1 + smss).length(960));
    c.expect(Segment{}.seq(961 + smss).length(500));
    c.inject(ack().ack(1 + 2 * smss));
    EXPECT_EQ(second.info().mss, smss);
    if (GetParam()) other.expect_within(2s, Segment{}.seq(1).length(smss));  // the loss probe
    other.expect_within(2s, Segment{}.seq(1).payload(stream(0, 960)));
    EXPECT_EQ(second.info().mss, 960U);
    EXPECT_EQ(c.count(Counter::tcp_path_mtu_lowered), 2U);
    EXPECT_EQ(c.count(Counter::tcp_black_holes), 0U);
}

TEST_P(PathMtu, Rfc1191FloorIsConfigurable) {
    for (const std::uint16_t floor : {std::uint16_t{68}, std::uint16_t{576}}) {
        StackConfig config = small_stack();
        config.ip.path_mtu_floor = floor;
        Conversation c{config};
        open_and_send(c, 1000);
        too_big(c, 1, 1, 1040);
        EXPECT_EQ(c.info().mss, floor - 40U);
        expect_in_segments(c, 1, 1001, floor - 40U);
    }
}

TEST(Rfc5927, MessagesAboutASynAreIgnored) {
    Conversation c;
    c.connect();
    c.expect(syn());
    too_big(c, 0, 600);
    c.expect_nothing();
    c.expect_no_event();
    c.expect_state(State::syn_sent);
    c.inject(syn_ack().mss(smss));
    c.expect(ack());
    EXPECT_EQ(c.info().mss, smss);

    Conversation d;
    d.listen();
    d.inject(syn().mss(smss));
    d.expect(syn_ack());
    too_big(d, 0, 600);
    d.expect_nothing();
    d.inject(ack());
    d.expect_established();
    EXPECT_EQ(d.info().mss, smss);
}

TEST(Rfc1191, WhatIsSackedIsNotSentAgain) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(smss).sack_permitted());
    c.expect(syn_ack());
    c.elapse(100ms);
    c.inject(ack());
    c.expect_established();
    c.send(stream(0, 5 * smss));
    c.take_all();
    c.elapse(100ms);
    Segment third = ack().ack(1);
    third.sack_blocks = {{1 + 2 * smss, 1 + 3 * smss}};
    c.inject(third);
    c.expect_nothing();
    too_big(c, 1, 1000);
    std::vector<std::pair<std::uint32_t, std::size_t>> sent;
    for (const Segment& s : c.take_all()) sent.emplace_back(*s.sequence, s.text->size());
    const std::vector<std::pair<std::uint32_t, std::size_t>> wanted{
        {1, 960},        {961, 960},      {1921, 960},     {2881, 40},
        {1 + 4380, 960}, {1 + 5340, 960}, {1 + 6300, 960}, {1 + 7260, 40}};
    EXPECT_EQ(sent, wanted);
}

// RFC 4821 section 7: no router says anything, large segments vanish.
TEST_P(PathMtu, Rfc4821ThirdTimeOutInARowOfALargeSegmentMakesItSmallerAndTheFourthOnceMore) {
    Conversation c;
    open_and_send(c, 3 * smss);
    const auto by_time_out = [&](std::uint64_t nth) {
        for (;;) {
            const Segment s = c.expect_within(30s, Segment{});
            if (c.count(Counter::tcp_rto_expirations) >= nth) return s;
        }
    };
    for (const auto& [nth, size] :
         std::vector<std::pair<std::uint64_t, std::size_t>>{{1, smss}, {2, smss}, {3, 984}, {4, 512}}) {
        const Segment s = by_time_out(nth);
        EXPECT_EQ(c.count(Counter::tcp_rto_expirations), nth);
        EXPECT_EQ(*s.sequence, 1U);
        EXPECT_EQ(*s.text, stream(0, size)) << nth;
    }
    EXPECT_EQ(c.count(Counter::tcp_black_holes), 2U);
    EXPECT_EQ(c.count(Counter::path_mtu_lowered), 0U) << "nothing is known of others to there";
    // From here on they get through.
    std::uint32_t acked = 1;
    while (acked < 1 + 3 * smss) {
        acked += 512;
        c.elapse(50ms);
        c.inject(ack().ack(std::min(acked, 1 + 3 * smss)));
        for (const Segment& s : c.take_all()) EXPECT_LE(s.text->size(), 512U);
    }
    EXPECT_EQ(c.info().unacknowledged, 0U);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 4U);
    EXPECT_EQ(c.info().mss, 512U);
    // Ten minutes later the large ones are tried again; if they vanish still, it is found out again.
    c.elapse(10min);
    c.send("x");
    c.expect(Segment{}.seq(1 + 3 * smss).length(1));
    c.inject(ack().ack(2 + 3 * smss));
    EXPECT_EQ(c.info().mss, smss);
}

TEST_P(PathMtu, Rfc4821SegmentsBecomeLargeAgainWhereSmallOnesHadVanishedToo) {
    Conversation c;
    open_and_send(c, 3 * smss);
    while (c.count(Counter::tcp_rto_expirations) < 5) c.expect_within(60s, Segment{});
    EXPECT_EQ(c.info().mss, 512U);
    c.take_all();
    c.inject(ack().ack(513));
    EXPECT_EQ(c.info().mss, smss);
    EXPECT_EQ(c.count(Counter::tcp_black_holes), 2U);
}

TEST_P(PathMtu, Rfc4821WhatARouterHasSaidMeanwhileHoldsWhenSegmentsBecomeLargeAgain) {
    Conversation c;
    open_and_send(c, smss);
    while (c.count(Counter::tcp_rto_expirations) < 4) c.expect_within(60s, Segment{});
    Flow& other = c.add_flow(peer_port + 1);
    const tcp::Connection first = c.connection();
    other.inject(offer());
    other.expect(syn_ack());
    other.inject(ack());
    c.expect_established();
    c.send(stream(0, smss));
    other.expect(Segment{}.seq(1).length(smss));
    const Flow own = c.flow();
    c.flow().remote = other.remote;
    c.flow().stack_isn = other.stack_isn;
    too_big(c, 1, 1200);
    c.flow() = own;
    other.inject(ack().ack(1 + smss));
    while (c.count(Counter::tcp_rto_expirations) < 5) c.step(c.now() + 60s);
    c.take_all();
    c.inject(ack().ack(513));
    EXPECT_EQ(first.info().mss, 1160U);
}

TEST_P(PathMtu, Rfc4821TimeOutsThatAnAckInterruptsAreNoBlackHole) {
    Conversation c;
    open_and_send(c, smss);
    for (std::uint32_t i = 0; i < 4; ++i) {
        const std::uint32_t first = 1 + i * smss;
        for (int n = 0; n < 2; ++n) c.expect_within(60s, Segment{}.seq(first).length(smss));
        c.inject(ack().ack(first + smss));
        c.send(stream(first + smss - 1, smss));
        c.expect(Segment{}.seq(first + smss).length(smss));
    }
    EXPECT_EQ(c.count(Counter::tcp_black_holes), 0U);
    EXPECT_EQ(c.info().mss, smss);
}

TEST_P(PathMtu, Rfc4821SmallSegmentsThatVanishSayNothingOfTheSize) {
    Conversation c;
    open_and_send(c, 500);
    for (std::uint32_t n = 0; n < 6; ++n) c.expect_within(60s, Segment{}.seq(1).payload(stream(0, 500)));
    EXPECT_EQ(c.count(Counter::tcp_black_holes), 0U);
    EXPECT_EQ(c.info().mss, smss);
}

TEST_P(PathMtu, Rfc4821SegmentBelowTheFirstStepGoesStraightToTheSecond) {
    Conversation c;
    open_and_send(c, 800);
    if (GetParam()) c.expect_within(60s, Segment{}.seq(1).length(800));  // the loss probe
    for (std::uint32_t n = 0; n < 2; ++n) c.expect_within(60s, Segment{}.seq(1).payload(stream(0, 800)));
    c.expect_within(60s, Segment{}.seq(1).payload(stream(0, 512)));
    EXPECT_EQ(c.count(Counter::tcp_black_holes), 1U);
}

}  // namespace path_mtu_cases
}  // namespace runnel::test
