// SYN floods (RFC 4987): who connects still gets through, tables stay as they are, and the embedder hears of
// the flood at its beginning and its end, and of no other crowd.
#include <optional>
#include <random>

#include <gtest/gtest.h>

#include "runnel/tcp/endpoint.hpp"
#include "runnel/tcp/syn_credit.hpp"

#include "attacks.hpp"

namespace runnel::test {
namespace floods_cases {

using tcp::AttackKind;
using tcp::CloseReason;
using tcp::SynCookieUse;

/// A conversation in which SYNs come from everywhere.
struct Flooded : Conversation {
    explicit Flooded(const StackConfig& config) : Conversation(config) { listen(); }
    /// `count` SYNs in `span`, each from another address, which the SYN-ACK does not find.
    void flood(int count, Duration span) {
        for (int i = 0; i < count; ++i) {
            inject(syn().seq(0).mss(1460).from(Ipv4Address{(100U << 24) + next_++},
                                               static_cast<std::uint16_t>(1024 + random_() % 60000)));
            elapse(span / count);
        }
        take_all();
    }
    void connect_and_exchange(std::uint16_t port) {
        Flow& flow = add_flow(port);
        flow.inject(syn().mss(1460));
        flow.expect(syn_ack().ack(1));
        flow.inject(test::data("hello"));
        expect_established();
        expect_data("hello");
        flow.inject(rst());
        expect_closed(CloseReason::reset);
        take_all();
    }

  private:
    std::uint32_t next_ = 1;
    std::mt19937_64 random_{1};
};

TEST(SynFlood, WhoConnectsMeanwhileGetsThroughAndNothingGrows) {
    Watcher watcher;
    Flooded c{watched(watcher)};
    for (std::uint16_t i = 0; i < 50; ++i) {
        c.flood(20, 100ms);
        c.connect_and_exchange(static_cast<std::uint16_t>(50000 + i));
        EXPECT_LE(c.stack().tcp().half_open(), 16U);
        EXPECT_EQ(c.stack().tcp().connections(), 0U);
    }
    EXPECT_EQ(c.dropped(DropReason::tcp_half_open_full), 0U);
    EXPECT_GT(c.count(Counter::tcp_syn_cookies_sent), 900U);
}

TEST(SynFlood, IsToldOfAtItsBeginningAndAtItsEnd) {
    for (const SynCookieUse use : {SynCookieUse::never, SynCookieUse::when_full, SynCookieUse::always}) {
        Watcher watcher;
        StackConfig config = watched(watcher);
        config.tcp.syn_cookies = use;
        Flooded c{config};
        const Instant begin = c.instant();
        c.flood(400, 900ms);
        EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
        c.elapse(110ms);
        ASSERT_EQ(watcher.heard.size(), 1U) << watcher.all();
        const tcp::AttackEpisode first = watcher.heard[0];
        EXPECT_EQ(first.kind, AttackKind::syn_flood);
        EXPECT_FALSE(first.ended);
        EXPECT_EQ(first.began, begin);
        EXPECT_EQ(first.segments, 400U);
        EXPECT_EQ(first.completed, 0U);
        EXPECT_NEAR(first.sources, 400, 50);  // eight standard errors
        EXPECT_NEAR(static_cast<double>(first.duration.count()), 1e9, 2e6);

        c.flood(4000, 9s);
        EXPECT_EQ(watcher.heard.size(), 1U) << watcher.all();
        c.elapse(4s);
        EXPECT_EQ(watcher.heard.size(), 1U) << watcher.all();
        c.elapse(3s);
        c.take_all();
        ASSERT_EQ(watcher.heard.size(), 2U) << watcher.all();
        const tcp::AttackEpisode last = watcher.heard[1];
        EXPECT_EQ(last.kind, AttackKind::syn_flood);
        EXPECT_TRUE(last.ended);
        EXPECT_EQ(last.began, begin);
        EXPECT_EQ(last.segments, 4400U);
        EXPECT_NEAR(last.sources, 4400, 660);  // five standard errors
        EXPECT_NEAR(static_cast<double>(last.duration.count()), 10e9, 1.1e9);
        EXPECT_EQ(c.count(Counter::tcp_syn_floods), 1U);
        c.elapse(200s);
        c.take_all();
        EXPECT_EQ(watcher.heard.size(), 2U) << watcher.all();
        EXPECT_EQ(c.stack().next_deadline(), never);
    }
}

TEST(SynFlood, ThatIsSlowButFillsTheTableIsFound) {
    Watcher watcher;
    StackConfig config = watched(watcher);
    config.tcp.half_open = 1024;
    Flooded c{config};
    for (int second = 0; second < 20 && watcher.heard.empty(); ++second) c.flood(50, 1s);
    ASSERT_EQ(watcher.heard.size(), 1U) << watcher.all();
    EXPECT_LT(c.now(), 13s);  // 512 of 1024 stand after 10.24 s
    EXPECT_EQ(c.count(Counter::tcp_syn_cookies_sent), 0U);
}

TEST(SynFlood, OfOneSourceIsFoundAndToldAsSuch) {
    Watcher watcher;
    Flooded c{watched(watcher)};
    for (std::uint16_t i = 0; i < 1000; ++i)
        c.inject(
            syn().seq(0).mss(1460).from(Ipv4Address{192, 0, 2, 1}, static_cast<std::uint16_t>(1024 + i)));
    c.elapse(1001ms);
    c.take_all();
    ASSERT_EQ(watcher.heard.size(), 1U) << watcher.all();
    EXPECT_EQ(watcher.heard[0].sources, 1U);
    EXPECT_EQ(watcher.heard[0].segments, 1000U);
}

TEST(SynFlood, ThatStandsWhenTheStackGoesIsEnded) {
    Watcher watcher;
    {
        Flooded c{watched(watcher)};
        c.flood(1000, 2s);
        EXPECT_EQ(watcher.heard.size(), 1U) << watcher.all();
    }
    ASSERT_EQ(watcher.heard.size(), 2U) << watcher.all();
    EXPECT_TRUE(watcher.heard[1].ended);
}

TEST(SynFlood, SecondOneIsAnotherEpisode) {
    Watcher watcher;
    Flooded c{watched(watcher)};
    for (int i = 0; i < 2; ++i) {
        c.flood(200, 2s);
        c.elapse(2min);
        c.take_all();
    }
    ASSERT_EQ(watcher.heard.size(), 4U) << watcher.all();
    EXPECT_NEAR(watcher.heard[3].sources, 200, 30);  // counted anew
    EXPECT_EQ(c.count(Counter::tcp_syn_floods), 2U);
}

/// Connections that complete, `at_once` of them under way at a time, each a round trip long.
void complete_many(Conversation& c, int rounds, std::uint16_t at_once, Duration round_trip) {
    std::vector<Flow*> flows;
    for (std::uint16_t i = 0; i < at_once; ++i)
        flows.push_back(&c.add_flow(static_cast<std::uint16_t>(50000 + i)));
    for (int round = 0; round < rounds; ++round) {
        for (Flow* flow : flows) flow->inject(syn().seq(0).mss(1460));
        c.elapse(round_trip);
        for (Flow* flow : flows) {
            flow->peer_next = 1;
            flow->inject(ack().seq(1).ack(1));
            flow->inject(rst().seq(1));
        }
        c.take_all();
        c.events.clear();
    }
}

TEST(SynFlood, TwoMillionConnectionsASecondThatCompleteAreNone) {
    for (const SynCookieUse use : {SynCookieUse::never, SynCookieUse::when_full, SynCookieUse::always}) {
        Watcher watcher;
        StackConfig config = watched(watcher);
        config.tcp.syn_cookies = use;
        Conversation c{config};
        c.listen();
        complete_many(c, 500, 16, 8us);  // the table is full in each round
        c.elapse(2s);
        EXPECT_EQ(c.count(Counter::tcp_passive_opens), 8000U);
        EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
    }
}

TEST(SynFlood, CrowdFarAwayIsNone) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    c.listen();
    complete_many(c, 20, 48, 300ms);  // 160 a second, three times what the table holds
    c.elapse(2s);
    EXPECT_EQ(c.count(Counter::tcp_passive_opens), 960U);
    EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
}

TEST(SynFlood, PeersThatFindAllConnectionsInUseAreNone) {
    Watcher watcher;
    StackConfig config = watched(watcher);
    config.tcp.connections = 1;
    Conversation c{config};
    c.listen();
    std::vector<Flow*> flows;
    for (std::uint16_t i = 0; i < 200; ++i) {
        Flow& flow = c.add_flow(static_cast<std::uint16_t>(50000 + i));
        flow.inject(syn().mss(1460));
        flow.inject(ack());
        c.elapse(10ms);
    }
    c.elapse(2s);
    c.take_all();
    EXPECT_GT(c.dropped(DropReason::tcp_connections_full), 150U);
    EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
}

TEST(SynFlood, ASynNowAndThenThatNobodyCompletesIsNone) {
    Watcher watcher;
    StackConfig config = watched(watcher);
    config.tcp.syn_cookies = SynCookieUse::never;
    Flooded c{config};
    c.flood(500, 250s);  // the table is full all the time
    EXPECT_GT(c.dropped(DropReason::tcp_half_open_full), 100U);
    EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
}

TEST(SynFlood, ThatACoreCannotKeepUpWithIsNotAnsweredAndWhatIsEstablishedGoesOn) {
    StackConfig config = small_stack();
    config.tcp.syn_cookies = SynCookieUse::always;
    Watcher watcher;
    config.tcp.observer = &watcher;
    Conversation c{config};
    c.open_passive();
    std::vector<Segment> flood;
    for (std::uint32_t i = 0; i < 64; ++i)
        flood.push_back(syn().seq(0).mss(1460).from(Ipv4Address{(100U << 24) + i}, 2000));
    std::size_t answered = 0;
    for (int burst = 0; burst < 400; ++burst) {
        c.stack().set_behind(true);
        c.inject_burst(flood);
        answered += c.take_all().size();
        c.elapse(1ms);
    }
    EXPECT_EQ(answered, tcp::SynCredit::most);
    EXPECT_EQ(c.dropped(DropReason::tcp_syn_while_behind), 400 * 64 - tcp::SynCredit::most);
    ASSERT_EQ(c.count(Counter::tcp_syn_floods), 0U) << "cookies are always sent: no table overflows";
    // Established before, and in the midst of it.
    c.inject(data("hello"));
    c.expect_data("hello");
    c.elapse(c.stack().next_deadline() - c.instant());
    c.take_all();
    // The core keeps up again: whoever comes is answered.
    c.stack().set_behind(false);
    Flow& flow = c.add_flow(50000);
    flow.inject(syn().mss(1460));
    flow.expect(syn_ack().ack(1));
    flow.inject(ack());
    c.expect_established();
}

TEST(ConnectionsFull, ThirdAckIsDroppedNotResetAndTheNextCompletes) {
    StackConfig config = small_stack();
    config.tcp.connections = 1;
    Conversation c{config};
    c.open_passive();
    Flow& second = c.add_flow(50000);
    second.inject(syn().mss(1460));
    second.expect(syn_ack());
    second.inject(ack());
    c.expect_nothing();
    c.expect_no_event();
    EXPECT_EQ(c.dropped(DropReason::tcp_connections_full), 1U);
    second.expect_after(1s, syn_ack());  // the peer's next chance
    c.inject(rst());
    c.expect_closed(CloseReason::reset);
    second.inject(ack());
    c.expect_established();
}

}  // namespace floods_cases
}  // namespace runnel::test
