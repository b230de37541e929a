// SYN cookies (RFC 4987 section 3.6): what a third segment alone brings back, and what it must not.
#include <algorithm>
#include <array>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/tcp/endpoint.hpp"

#include "conversation.hpp"

namespace runnel::test {
namespace syn_cookies_cases {

using tcp::CloseReason;
using tcp::State;
using tcp::SynCookieUse;

StackConfig cookies(SynCookieUse use) {
    StackConfig config = small_stack();
    config.tcp.syn_cookies = use;
    return config;
}

/// A stack that answers each SYN with a cookie.
struct Always : Conversation {
    explicit Always(const StackConfig& config = cookies(SynCookieUse::always)) : Conversation(config) {
        listen();
    }
    /// Sends the SYN and takes the SYN-ACK.
    Segment ask(const Segment& offered = syn().mss(1460)) {
        Segment s = offered;
        if (!s.sequence) s.seq(0);
        inject(s);
        flow().peer_next = 1;
        return expect(syn_ack().ack(1));
    }
};

/// Fills the half-open table of `small_stack` and takes the SYN-ACKs.
void fill(Conversation& c) {
    for (std::uint16_t i = 0; i < 16; ++i) {
        Flow& flow = c.add_flow(static_cast<std::uint16_t>(50000 + i));
        flow.inject(syn().mss(1460));
        flow.expect(syn_ack());
    }
    ASSERT_EQ(c.stack().tcp().half_open(), 16U);
}

TEST(SynCookies, TakeOverWhenTheHalfOpenTableIsFull) {
    Conversation c;  // when_full is the default
    c.listen();
    fill(c);
    EXPECT_EQ(c.count(Counter::tcp_syn_cookies_sent), 0U);
    c.inject(syn().mss(1460));
    c.expect(syn_ack().ack(1).mss(1460));
    EXPECT_EQ(c.count(Counter::tcp_syn_cookies_sent), 1U);
    EXPECT_EQ(c.dropped(DropReason::tcp_half_open_full), 0U);
    c.inject(ack());
    c.expect_established();
    EXPECT_EQ(c.count(Counter::tcp_syn_cookies_accepted), 1U);
    EXPECT_EQ(c.stack().tcp().half_open(), 16U);
    c.inject(data("request"));
    c.expect_data("request");
    c.send("response");
    c.expect(data("response").seq(1).ack(8));
}

TEST(SynCookies, NeverMeansThatAFullTableDropsTheSyn) {
    Conversation c{cookies(SynCookieUse::never)};
    c.listen();
    fill(c);
    c.inject(syn().mss(1460));
    c.expect_nothing();
    EXPECT_EQ(c.dropped(DropReason::tcp_half_open_full), 1U);
    EXPECT_EQ(c.count(Counter::tcp_syn_cookies_sent), 0U);
}

TEST(SynCookies, AlwaysKeepsNothingOfASyn) {
    Always c;
    c.ask();
    EXPECT_EQ(c.stack().tcp().half_open(), 0U);
    EXPECT_EQ(c.stack().tcp().connections(), 0U);
    c.expect_silence(100s);  // the SYN-ACK is not sent again
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(SynCookies, DataCompletesTheHandshakeAndIsDelivered) {
    Always c;
    c.ask();
    c.inject(data("hello"));  // the third ACK was lost
    c.expect_established();
    c.expect_data("hello");
    c.expect_within(500ms, ack().seq(1).ack(6));
}

TEST(SynCookies, FinCompletesTheHandshakeAndIsProcessed) {
    Always c;
    c.ask();
    c.inject(fin().payload("bye"));
    c.expect_established();
    c.expect_data("bye");
    c.expect_peer_closed();
    c.expect_within(500ms, ack().ack(5));
    c.expect_state(State::close_wait);
}

TEST(SynCookies, DataOnASynIsNotDeliveredBeforeTheHandshakeIsComplete) {
    Always c;
    c.inject(syn().seq(0).mss(1460).payload("early"));
    c.flow().peer_next = 1;
    c.expect(syn_ack().ack(1));
    c.expect_no_event();
    c.inject(data("early"));
    c.expect_established();
    c.expect_data("early");
}

TEST(SynCookies, KeepTheLargestMssOfTheTableThatThePeerTakes) {
    const std::vector<std::pair<std::uint16_t, std::uint32_t>> cases{
        {0, 64},      {1, 64},      {63, 64},     {400, 64},    {535, 64},    {536, 536},   {1219, 536},
        {1220, 1220}, {1380, 1360}, {1420, 1400}, {1452, 1440}, {1460, 1460}, {8960, 1460}, {65535, 1460}};
    for (const auto& [offered, kept] : cases) {
        Always c;
        c.ask(syn().mss(offered));
        c.inject(ack());
        c.expect_established();
        EXPECT_EQ(c.info().mss, kept) << "offered " << offered;
        c.send(stream(0, 3000));
        EXPECT_EQ(c.expect(Segment{}.seq(1).ack(1)).text->size(), kept);
        c.take_all();
    }
    Always silent;
    silent.ask(syn());
    silent.inject(ack());
    silent.expect_established();
    EXPECT_EQ(silent.info().mss, speaks_ipv6() ? 1220U : 536U);
}

TEST(SynCookies, TimestampsBringTheWindowScaleBack) {
    for (std::uint8_t shift = 0; shift <= 16; ++shift) {
        Always c;
        const Segment answer = c.ask(syn().mss(1460).wscale(shift).ts(100, 0));
        ASSERT_TRUE(answer.timestamps());
        EXPECT_TRUE(answer.option(option::wscale));
        EXPECT_EQ(answer.timestamps()->echo, 100U);
        c.inject(ack().win(3).ts(101, answer.timestamps()->value));
        c.expect_established();
        const std::uint8_t kept = std::min<std::uint8_t>(shift, 14);
        EXPECT_EQ(c.info().snd_wscale, kept);
        EXPECT_EQ(c.info().snd_wnd, 3U << kept);
        EXPECT_GT(c.info().rcv_wscale, 0);  // of a buffer of 256 KiB
        EXPECT_TRUE(c.info().timestamps);
        EXPECT_EQ(c.info().mss, 1448U);
    }
}

TEST(SynCookies, TimestampsBringSackBack) {
    for (const bool offered : {false, true}) {
        Always c;
        Segment first = syn().mss(1460).ts(100, 0);
        if (offered) first.sack_permitted();
        const Segment answer = c.ask(first);
        EXPECT_EQ(answer.option(option::sack_permitted).has_value(), offered);
        c.inject(ack().ts(101, answer.timestamps()->value));
        c.expect_established();
        c.inject(data("later").seq(6).ts(102, answer.timestamps()->value));
        EXPECT_EQ(c.expect(ack().ack(1)).option(option::sack).has_value(), offered);
    }
}

TEST(SynCookies, PeerThatDoesNotScaleIsRememberedAsSuch) {
    Always c;
    const Segment answer = c.ask(syn().mss(1460).ts(100, 0));
    EXPECT_FALSE(answer.option(option::wscale));
    c.inject(ack().win(3000).ts(101, answer.timestamps()->value));
    c.expect_established();
    EXPECT_EQ(c.info().snd_wnd, 3000U);
    EXPECT_EQ(c.info().rcv_wscale, 0);
    EXPECT_TRUE(c.info().timestamps);
}

TEST(SynCookies, WithoutTimestampsNeitherWindowScaleNorSackIsAgreedOn) {
    Always c;
    c.inject(syn().seq(0).mss(1460).wscale(7).sack_permitted());
    c.flow().peer_next = 1;
    c.expect(syn_ack()
                 .ack(1)
                 .mss(1460)
                 .without(option::wscale)
                 .without(option::sack_permitted)
                 .without(option::timestamps));
    c.inject(ack().win(3000));
    c.expect_established();
    EXPECT_EQ(c.info().snd_wnd, 3000U);
    EXPECT_EQ(c.info().rcv_wscale, 0);
}

TEST(SynCookies, TimestampOfTheSynAckIsAtMost63MillisecondsBehindAndNeverAhead) {
    std::mt19937_64 random{7};
    for (std::uint8_t shift = 0; shift <= 14; ++shift) {
        Always c;
        c.elapse(std::chrono::milliseconds{random() % 1000});
        const Segment answer = c.ask(syn().mss(1460).wscale(shift).ts(100, 0));
        const std::uint32_t of_cookie = answer.timestamps()->value;
        c.inject(data("x").ts(101, of_cookie));
        c.expect_established();
        c.expect_data("x");
        c.send("y");
        const std::uint32_t of_data = c.expect(data("y")).timestamps()->value;
        EXPECT_LT(of_data - of_cookie, 64U);
    }
}

TEST(SynCookies, SurviveTheTimestampClockComingRound) {
    int came_round = 0;
    for (Duration early = 130ms; early >= 0ms; early -= 5ms) {
        Always c;
        const Segment first = c.ask(syn().mss(1460).wscale(9).ts(100, 0));
        c.elapse(std::chrono::milliseconds{0U - first.timestamps()->value} - early);
        const std::uint32_t of_cookie = c.ask(syn().mss(1460).wscale(9).ts(100, 0)).timestamps()->value;
        c.elapse(200ms);
        c.inject(ack().win(1000).ts(101, of_cookie));
        c.expect_established();
        EXPECT_EQ(c.info().snd_wscale, 9);
        EXPECT_TRUE(c.info().timestamps);
        c.send("y");
        const std::uint32_t of_data = c.expect(data("y")).timestamps()->value;
        EXPECT_GE(of_data - of_cookie, 200U);
        EXPECT_LT(of_data - of_cookie, 264U);
        if (of_data < of_cookie) ++came_round;
    }
    EXPECT_GT(came_round, 10);
}

TEST(SynCookies, EchoThatCannotBeOursAgreesOnNoTimestamps) {
    Always c;
    const std::uint32_t clock = c.ask(syn().mss(1460).ts(100, 0)).timestamps()->value;
    c.ask(syn().mss(1460));
    c.inject(ack().ts(101, clock + 0x40000000));  // never negotiated
    c.expect_established();
    EXPECT_FALSE(c.info().timestamps);
    EXPECT_EQ(c.info().rcv_wscale, 0);
}

TEST(SynCookies, HandshakeGivesNoRoundTripSample) {
    Always c;
    c.ask();
    c.elapse(30s);
    c.inject(ack());
    c.expect_established();
    EXPECT_EQ(c.info().srtt, 0s);
    EXPECT_EQ(c.info().rto, 1s);
    EXPECT_EQ(c.info().cwnd, 14600U);
}

/// The ACK brings no connection about and is answered as any ACK to a listener.
void expect_refused(Conversation& c, Flow& flow, std::uint32_t seq, std::uint32_t number) {
    const std::uint64_t refused = c.count(Counter::tcp_syn_cookies_refused);
    flow.inject(ack().seq(seq).ack(number));
    flow.expect(rst().flags("R").seq(number));
    c.expect_no_event();
    EXPECT_EQ(c.count(Counter::tcp_syn_cookies_refused), refused + 1);
    EXPECT_EQ(c.stack().tcp().connections(), 0U);
}

TEST(SynCookies, ForgedNumbersGetReset) {
    Always c;
    c.ask();
    for (std::uint32_t off = 1; off <= 16; ++off) {
        expect_refused(c, c.flow(), 1, 1 + off);
        expect_refused(c, c.flow(), 1, 1 - off);
    }
    for (unsigned bit = 4; bit < 32; ++bit) expect_refused(c, c.flow(), 1, 1 + (1U << bit));
    c.inject(ack().seq(1).ack(1));  // the true one is still good
    c.expect_established();
}

TEST(SynCookies, AckOfAnotherClientIsnGetsReset) {
    Always c;
    c.ask();
    expect_refused(c, c.flow(), 0, 1);
    expect_refused(c, c.flow(), 2, 1);
    expect_refused(c, c.flow(), 0x80000001, 1);
}

TEST(SynCookies, CookieOfAnotherTupleGetsReset) {
    Always c;
    c.listen(81);
    c.ask();
    Flow& other_port = c.add_flow(peer_port + 1);
    Flow& other_host = c.add_flow(peer_port, service_port, Ipv4Address{192, 0, 2, 3});
    Flow& other_service = c.add_flow(peer_port, 81);
    for (Flow* flow : {&other_port, &other_host, &other_service}) {
        flow->stack_isn = c.flow().stack_isn;
        const std::uint64_t refused = c.count(Counter::tcp_syn_cookies_refused);
        flow->inject(ack().seq(1).ack(1));
        flow->expect(rst().flags("R").seq(1));
        EXPECT_EQ(c.count(Counter::tcp_syn_cookies_refused), refused + 1);
    }
    c.expect_no_event();
}

TEST(SynCookies, AreGoodForAMinuteAndNotForFive) {
    Always young;
    young.ask();
    young.elapse(64s);
    young.inject(ack().seq(1).ack(1));
    young.expect_established();

    for (const Duration age : {Duration{128s}, Duration{5min}}) {
        Always c;
        c.ask();
        c.elapse(age);
        Flow& other = c.add_flow(50000);
        other.inject(syn().mss(1460));  // cookies are out, as they would be in a flood
        other.expect(syn_ack());
        expect_refused(c, c.flow(), 1, 1);
    }
}

TEST(SynCookies, OfAnEarlierStartAreRefused) {
    StackConfig config = cookies(SynCookieUse::always);
    config.secret = std::array<std::uint64_t, 2>{1, 2};
    Always before{config};
    before.ask();
    config.secret = std::array<std::uint64_t, 2>{3, 4};
    Always after{config};
    after.ask();
    after.flow().stack_isn = before.flow().stack_isn;
    expect_refused(after, after.flow(), 1, 1);
}

TEST(SynCookies, WhereNoneAreOutAnAckIsNotEvenLookedAt) {
    Conversation c{cookies(SynCookieUse::when_full)};
    c.listen();
    for (std::uint32_t i = 0; i < 100; ++i) {
        c.inject(ack().seq(i).ack(1000 * i));
        c.expect(rst().flags("R").seq(1000 * i));
    }
    EXPECT_EQ(c.count(Counter::tcp_syn_cookies_refused), 0U);

    Always late;
    late.ask();
    late.elapse(3min);
    late.inject(ack().seq(1).ack(1));
    late.expect(rst().flags("R").seq(1));
    EXPECT_EQ(late.count(Counter::tcp_syn_cookies_refused), 0U);
}

TEST(SynCookies, AMillionBlindAcksMakeNoConnection) {
    // One in 2^28 would. The secret and the guesses are fixed, so that this run is as the last one.
    StackConfig config = cookies(SynCookieUse::always);
    config.secret = std::array<std::uint64_t, 2>{1, 2};
    Always c{config};
    c.ask();
    std::mt19937_64 random{1};
    Octets frame = encode(c.flow().complete(ack()), stack_mac, peer_mac);
    const std::size_t tcp = 14U + ip_header_size();
    const std::size_t checksum = tcp + 16;
    const auto put = [&](std::size_t at, std::uint16_t value) {  // and the checksum by RFC 1624
        const auto word = [&](std::size_t i) { return std::uint32_t{frame[i]} << 8 | frame[i + 1]; };
        std::uint32_t sum = (~word(checksum) & 0xffff) + (~word(at) & 0xffff) + value;
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        const auto store = [&](std::size_t i, std::uint32_t v) {
            frame[i] = static_cast<std::uint8_t>(v >> 8);
            frame[i + 1] = static_cast<std::uint8_t>(v);
        };
        store(at, value);
        store(checksum, ~sum & 0xffff);
    };
    constexpr std::uint64_t rounds = 1U << 15;
    std::array<rte_mbuf*, 32> burst{};
    for (std::uint64_t round = 0; round < rounds; ++round) {
        for (rte_mbuf*& mbuf : burst) {
            const std::uint64_t guess = random();
            put(tcp, static_cast<std::uint16_t>(1024 + guess % 60000));  // the source port
            put(tcp + 8, static_cast<std::uint16_t>(guess >> 32));
            put(tcp + 10, static_cast<std::uint16_t>(guess >> 48));
            mbuf = to_mbuf(frame);
        }
        c.stack().receive(burst, c.instant());
        for (std::size_t n = burst.size(); n == burst.size();) {
            n = c.stack().transmit(burst);
            rte_pktmbuf_free_bulk(burst.data(), static_cast<unsigned>(n));
        }
    }
    EXPECT_EQ(c.count(Counter::tcp_syn_cookies_refused), rounds * burst.size());
    EXPECT_EQ(c.count(Counter::tcp_resets_out), rounds * burst.size());
    EXPECT_EQ(c.count(Counter::tcp_established), 0U);
    c.expect_no_event();
}

TEST(SynCookies, WithAllConnectionsInUseTheAckIsDroppedAndTheNextSegmentCompletes) {
    StackConfig config = cookies(SynCookieUse::always);
    config.tcp.connections = 1;
    Always c{config};
    c.ask();
    c.inject(ack());
    c.expect_established();
    Flow& second = c.add_flow(50000);
    second.inject(syn().mss(1460));
    second.expect(syn_ack());
    second.inject(ack());
    c.expect_nothing();
    c.expect_no_event();
    EXPECT_EQ(c.dropped(DropReason::tcp_connections_full), 1U);
    c.inject(rst());
    c.expect_closed(CloseReason::reset);
    second.inject(data("again"));
    c.expect_established();
    c.expect_data("again");
}

TEST(SynCookies, AnswerToACookieCompletesThoughTheSecondSynFoundRoomInTheTable) {
    Conversation c;
    c.listen();
    fill(c);
    c.inject(syn().seq(0).mss(1460));
    c.flow().peer_next = 1;
    c.expect(syn_ack());
    const std::uint32_t cookie = c.flow().stack_isn;
    c.add_flow(50000).inject(rst().seq(1));  // room for one
    c.inject(syn().seq(0).mss(1460));        // it had been sent twice
    c.expect(syn_ack());
    ASSERT_NE(c.flow().stack_isn, cookie);
    ASSERT_EQ(c.count(Counter::tcp_syn_cookies_sent), 1U);
    c.flow().stack_isn = cookie;
    c.inject(data("hello").seq(1).ack(1));
    c.expect_established();
    c.expect_data("hello");
    EXPECT_EQ(c.stack().tcp().half_open(), 15U);
    EXPECT_EQ(c.stack().tcp().connections(), 1U);
}

TEST(SynCookies, ASynThatReopensTimeWaitGetsANumberAboveTheOldOne) {
    Always c;
    c.ask();
    c.inject(ack());
    c.expect_established();
    const std::uint32_t old = c.flow().stack_isn;
    c.close();
    c.expect(fin().seq(1).ack(1));
    c.inject(fin().ack(2));
    c.expect(ack().seq(2).ack(2));
    c.expect_peer_closed();
    c.expect_closed(CloseReason::orderly);
    ASSERT_EQ(c.stack().tcp().time_wait(), 1U);
    c.inject(syn().seq(1000).mss(1460));
    c.expect(syn_ack());
    EXPECT_GT(static_cast<std::int32_t>(c.flow().stack_isn - old), 1);
    EXPECT_EQ(c.stack().tcp().half_open(), 1U);
}

}  // namespace syn_cookies_cases
}  // namespace runnel::test
