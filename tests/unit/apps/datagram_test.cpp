// `udp-rr` and `udp-oneway`, client and server, in virtual time over a wire that does as it is told: what is
// measured is compared with what is known.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/stack/stack.hpp"

#include "engine/datagram_responder.hpp"
#include "engine/measurement.hpp"
#include "seed.hpp"

namespace runnel::load {
namespace datagram_test {

using Phase = Generator::Phase;

constexpr MacAddress client_mac{{2, 0, 0, 0, 0, 1}}, server_mac{{2, 0, 0, 0, 0, 2}};
constexpr std::uint16_t server_port = 9000;

rte_mempool* pool() {
    static const port::MbufPool mbufs = port::make_mbuf_pool({.mbufs = 65'535, .lcore_cache = 0});
    return mbufs.get();
}

// What becomes of the datagrams of one direction that are of the recipe (not of those that ask and report).
struct Fate {
    double loss = 0, duplication = 0, reordering = 0;
    Duration late = 2ms;  // of those reordered
};
struct Dealt {
    std::uint64_t sent = 0, lost = 0, duplicated = 0, reordered = 0;
};

IpAddress client_address(bool ipv6) {
    if (ipv6) return Ipv6Address::of(0x2001'0002'0000'0001, 1);
    return Ipv4Address{198, 18, 0, 1};
}
IpAddress server_address(bool ipv6) {
    if (ipv6) return Ipv6Address::of(0x2001'0002'0000'0001, 0x200);
    return Ipv4Address{198, 18, 0, 200};
}

StackConfig config_of(bool server, bool ipv6) {
    StackConfig config;
    ip::InterfaceConfig interface;
    interface.mac = server ? server_mac : client_mac;
    const IpAddress own = server ? server_address(ipv6) : client_address(ipv6);
    if (ipv6) {
        interface.ipv6.push_back({.address = own.v6(), .address_count = 4, .prefix_length = 64});
    } else {
        interface.address = own.v4();
        interface.address_count = 4;
    }
    config.ip.interfaces.push_back(interface);
    for (std::uint32_t i = 0; i < 4; ++i)
        config.ip.neighbours.push_back(
            {.address = nth_after(server ? client_address(ipv6) : server_address(ipv6), i),
             .mac = server ? client_mac : server_mac});
    config.tcp.connections = 64;
    config.tcp.half_open = 64;
    config.tcp.time_wait = 1024;
    config.udp.sockets = 4096;
    config.transmit_queue = 8192;
    config.secret = std::array<std::uint64_t, 2>{server ? 1U : 2U, 3U};
    return config;
}

// Two stacks; what one sends arrives a step of the clock later at the other, or as its fate has it.
class Wired {
  public:
    explicit Wired(bool ipv6 = false)
        : v6_(ipv6),
          client_stack(config_of(false, ipv6), pool()),
          server_stack(config_of(true, ipv6), pool()) {
        responder =
            std::make_unique<DatagramResponder>(server_stack, DatagramResponder::Options{.key = {1, 2}});
        server_stack.udp().bind({}, server_port, *responder);
    }
    ~Wired() {
        for (auto& [when, frames] : under_way_)
            for (auto& [mbuf, to_server] : frames) rte_pktmbuf_free(mbuf);
    }

    void start(ClientOptions options) {
        if (options.clients.empty()) options.first_local_address = client_address(v6_);
        options.remote_address = server_address(v6_);
        options.remote_port = server_port;
        client = make_client(client_stack, options);
    }
    void run_until(
        Instant end, const std::function<bool()>& done = [] { return false; }) {
        for (; now < end && !done(); now += step) {
            std::vector<rte_mbuf*> to_client, to_server;
            carry(client_stack, true);
            carry(server_stack, false);
            while (!under_way_.empty() && under_way_.begin()->first <= now) {
                for (auto& [mbuf, server] : under_way_.begin()->second)
                    (server ? to_server : to_client).push_back(mbuf);
                under_way_.erase(under_way_.begin());
            }
            client->arrived(now);
            client_stack.receive(to_client, now);
            client_stack.advance(now);
            client->poll(now);
            responder->arrived(now);
            server_stack.receive(to_server, now);
            server_stack.advance(now);
            responder->poll(now);
        }
    }
    void run_to_the_end() {
        run_until(now + 120s, [&] { return client->phase() >= Phase::held; });
        client->release();
        run_until(now + 120s, [&] { return client->phase() == Phase::finished; });
        ASSERT_EQ(client->phase(), Phase::finished);
        EXPECT_EQ(client->measurement().transactions.residual(), 0);
        EXPECT_EQ(client->measurement().datagrams.to_server.residual(), 0);
        EXPECT_EQ(client->measurement().datagrams.to_client.residual(), 0);
    }
    [[nodiscard]] const Generator::Measurement& m() const { return client->measurement(); }
    [[nodiscard]] const DatagramAccounting& d() const { return m().datagrams; }

  private:
    void carry(Stack& stack, bool to_server) {
        std::array<rte_mbuf*, 64> burst;
        for (std::size_t n; (n = stack.transmit(burst)) > 0;)
            for (std::size_t i = 0; i < n; ++i) deal(burst[i], to_server);
    }
    void deal(rte_mbuf* mbuf, bool to_server) {
        const std::size_t headers = v6_ ? 14 + 40 + 8 : 14 + 20 + 8;
        const auto kind =
            rte_pktmbuf_data_len(mbuf) >= headers + 2
                ? std::to_integer<std::uint8_t>(*rte_pktmbuf_mtod_offset(mbuf, const std::byte*, headers + 1))
                : 0;
        const bool of_recipe = kind >= static_cast<std::uint8_t>(DatagramKind::request) &&
                               kind <= static_cast<std::uint8_t>(DatagramKind::data);
        Instant when = now + step;
        if (of_recipe) {
            const Fate& fate = to_server ? there : back;
            Dealt& dealt = to_server ? dealt_there : dealt_back;
            const auto happens = [&](double p) { return p > 0 && std::bernoulli_distribution{p}(random); };
            ++dealt.sent;
            if (happens(fate.loss)) {
                ++dealt.lost;
                rte_pktmbuf_free(mbuf);
                return;
            }
            if (happens(fate.duplication)) {
                ++dealt.duplicated;
                under_way_[when + 3 * step].push_back(
                    {rte_pktmbuf_copy(mbuf, pool(), 0, UINT32_MAX), to_server});
            } else if (now < calm_from && happens(fate.reordering)) {
                ++dealt.reordered;
                when += fate.late;
            }
        }
        under_way_[when].push_back({mbuf, to_server});
    }

    bool v6_;
    std::map<Instant, std::vector<std::pair<rte_mbuf*, bool>>> under_way_;

  public:
    Duration step = 100us;
    Instant now{1s};
    std::mt19937_64 random{test::seed()};
    Fate there, back;
    Instant calm_from = never;  // nothing is made late that would have nobody to overtake it
    Dealt dealt_there, dealt_back;
    Stack client_stack, server_stack;
    std::unique_ptr<Generator> client;
    std::unique_ptr<DatagramResponder> responder;
};

ClientOptions requests(std::optional<double> rate, std::uint64_t flows = 8) {
    ClientOptions options{.recipe = Recipe::udp_rr, .rate = rate, .connections = flows, .duration = 2s};
    options.sizes.request = Distribution::fixed(100);
    options.sizes.response = Distribution::fixed(300);
    return options;
}
ClientOptions one_way(std::optional<double> rate, Direction direction, std::uint64_t flows = 4) {
    return {.recipe = Recipe::udp_oneway,
            .direction = direction,
            .rate = rate,
            .connections = flows,
            .datagram_octets = Distribution::fixed(500),
            .duration = 2s};
}

class BothFamilies : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Datagram, BothFamilies, testing::Bool(),
                         [](const auto& family) { return family.param ? "Ipv6" : "Ipv4"; });

TEST_P(BothFamilies, RequestsAtARateAreAnsweredAndBothSidesCountTheSame) {
    Wired run(GetParam());
    run.start(requests(1000));
    run.run_to_the_end();
    const TransactionAccounting& t = run.m().transactions;
    EXPECT_NEAR(static_cast<double>(t.planned), 2000, 20);  // and those of the time after the window
    EXPECT_EQ(t.unsent, 0U);
    EXPECT_EQ(t.answered, t.planned);
    EXPECT_EQ(t.lost + t.in_flight, 0U);
    EXPECT_EQ(run.d().flows_ours, 8U);
    EXPECT_EQ(run.d().flows_reported, 8U);
    EXPECT_EQ(run.d().to_server.counts, (SequenceCounts{.received = t.asked, .unique = t.asked}));
    EXPECT_EQ(run.d().answered_by_server, t.answered);
    EXPECT_EQ(run.m().all.octets_received, 300 * t.answered);
    EXPECT_EQ(run.m().latency.actual.transaction.count(), 2000U);
    EXPECT_EQ(run.m().latency.actual.transaction.max(), 400'000U) << "two steps there and two back";
    EXPECT_EQ(run.responder->totals().datagrams_in, t.asked);
}

TEST_P(BothFamilies, DatagramsLargerThanTheMtuGoInFragments) {
    Wired run(GetParam());
    ClientOptions options = requests(50, 2);
    options.sizes.request = Distribution::fixed(5000);
    options.sizes.response = Distribution::fixed(60'000);
    run.start(options);
    run.run_to_the_end();
    EXPECT_NEAR(static_cast<double>(run.m().transactions.answered), 100, 3);
    EXPECT_EQ(run.m().all.octets_received, 60'000 * run.m().transactions.answered);
    EXPECT_EQ(run.m().transactions.lost, 0U);
}

// The wire knows what it did: each of its deeds is counted, exactly.
TEST_P(BothFamilies, LossCopiesAndReorderingOfRequestsAreCountedExactly) {
    SCOPED_TRACE("RUNNEL_SEED=" + std::to_string(test::seed()));
    Wired run(GetParam());
    run.there = {.loss = 0.02, .duplication = 0.03, .reordering = 0.05, .late = 20ms};
    run.back = {.loss = 0.01, .duplication = 0.02, .reordering = 0.05, .late = 20ms};
    run.calm_from = run.now + 1900ms;
    ClientOptions options = requests(2000, 3);
    options.reply_timeout = 100ms;
    run.start(options);
    run.run_to_the_end();
    const TransactionAccounting& t = run.m().transactions;
    const SequenceCounts& server = run.d().to_server.counts;
    EXPECT_EQ(t.asked, run.dealt_there.sent);
    EXPECT_EQ(server.missing, run.dealt_there.lost);
    EXPECT_EQ(server.duplicated, run.dealt_there.duplicated);
    EXPECT_GT(run.dealt_there.reordered, 100U);
    EXPECT_EQ(server.reordered, run.dealt_there.reordered);
    EXPECT_EQ(server.received, run.dealt_there.sent - run.dealt_there.lost + run.dealt_there.duplicated);
    EXPECT_EQ(run.d().answered_by_server, server.received) << "a copy is answered too";
    // A request is lost where neither of its answers comes back.
    EXPECT_EQ(t.answered + run.d().duplicated,
              run.dealt_back.sent - run.dealt_back.lost + run.dealt_back.duplicated);
    EXPECT_EQ(t.lost, t.asked - t.answered);
    EXPECT_GE(t.lost, run.dealt_there.lost);
    EXPECT_EQ(run.d().late, 0U);
}

TEST(Datagram, AResponseBehindTheTimeoutIsLateAndItsRequestStaysLost) {
    Wired run;
    run.back = {.reordering = 0.1, .late = 400ms};
    ClientOptions options = requests(500);
    options.reply_timeout = 300ms;
    run.start(options);
    run.run_to_the_end();
    const TransactionAccounting& t = run.m().transactions;
    EXPECT_GT(run.dealt_back.reordered, 30U);
    EXPECT_EQ(t.lost, run.dealt_back.reordered);
    EXPECT_EQ(run.d().late, run.dealt_back.reordered);
    EXPECT_EQ(t.answered, t.asked - t.lost);
}

// The truth of latencies: what the server is told to wait comes out again, within 2 % at each percentile.
TEST(Datagram, LatenciesAreTheDelaysThatTheServerMakes) {
    Wired run;
    run.step = 20us;
    const Distribution delay = Distribution::lognormal(10e6, 0.5);
    run.responder->behave({.delay = delay}, 3);
    ClientOptions options = requests(4096, 16);
    // As many as it takes until the server's draws have met each percentile.
    options.duration = 4s;
    run.start(options);
    run.run_to_the_end();
    const Histogram& h = run.m().latency.intended.transaction;
    EXPECT_EQ(h.count(), Draws::count);
    for (const double percent : {1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9}) {
        const double truth = delay.quantile(percent / 100);
        // The wire takes four steps, and the server's loop up to one.
        EXPECT_NEAR(static_cast<double>(h.percentile(percent)), truth, 0.02 * truth + 100e3) << percent;
    }
}

// Nobody may wait unseen: a server that stalls is seen from the intended time by all who came meanwhile.
TEST(Datagram, AStallIsSeenFromTheIntendedTimes) {
    Wired run;
    run.responder->behave({.stall = {.length = 400ms, .every = 1s}}, 3);
    ClientOptions options = requests(1000);
    options.duration = 3s;
    options.reply_timeout = 2s;
    run.start(options);
    run.run_to_the_end();
    const Histogram& h = run.m().latency.intended.transaction;
    EXPECT_EQ(run.m().transactions.lost, 0U);
    EXPECT_GT(h.max(), 380'000'000U);
    // Two stalls of 400 ms in 3 s: somewhat more than a quarter of all has met one.
    EXPECT_LT(h.percentile(70), 1'000'000U);
    EXPECT_GT(h.percentile(80), 50'000'000U);
}

TEST(Datagram, WithoutARateSoManyAreUnderWayAllTheWhile) {
    Wired run;
    ClientOptions options = requests(std::nullopt);
    options.window = 50;
    options.duration = 500ms;
    run.responder->behave({.delay = Distribution::fixed(10e6)}, 1);
    run.start(options);
    std::uint64_t most = 0, least = UINT64_MAX;
    run.run_until(run.now + 400ms);
    run.run_until(run.now + 200ms, [&] {
        most = std::max(most, run.client->open());
        least = std::min(least, run.client->open());
        return false;
    });
    EXPECT_EQ(most, 50U);
    EXPECT_GE(least, 49U);
    run.run_to_the_end();
    // 50 under way, each for 10 ms and some steps.
    EXPECT_NEAR(static_cast<double>(run.m().window.transactions), 500 * 50 / 10.4, 60);
}

TEST(Datagram, ThinkTimesLieBetweenARequestAndTheNext) {
    Wired run;
    ClientOptions options = requests(std::nullopt);
    options.window = 10;
    options.duration = 1s;
    options.sizes.think = Distribution::fixed(20e6);
    run.start(options);
    run.run_to_the_end();
    EXPECT_NEAR(static_cast<double>(run.m().window.transactions), 10 * 1000 / 20.3, 15);
}

TEST(Datagram, ProfilesSayWhenRequestsBegin) {
    for (const char* text : {"ramp:0-2000/2s", "steps:500,1500/1s", "burst:100/100ms"}) {
        SCOPED_TRACE(text);
        Wired run;
        ClientOptions options = requests(2000);
        options.profile = LoadProfile::parse(text);
        options.rate = options.profile->highest(options.duration);
        run.start(options);
        run.run_to_the_end();
        EXPECT_NEAR(static_cast<double>(run.m().latency.intended.transaction.count()), 2000, 10);
        EXPECT_EQ(run.m().transactions.lost, 0U);
    }
}

TEST(Datagram, SizesAreDrawnForEachRequest) {
    Wired run;
    ClientOptions options = requests(1000);
    options.sizes.request = parse_sizes("64*3,1400");
    options.sizes.response = parse_sizes("uniform:100-200");
    run.start(options);
    run.run_to_the_end();
    const double asked = static_cast<double>(run.m().transactions.asked);
    EXPECT_NEAR(static_cast<double>(run.d().to_server.octets_sent) / asked, (3 * 64 + 1400) / 4.0, 25);
    EXPECT_NEAR(static_cast<double>(run.m().all.octets_received) / asked, 150, 3);
}

TEST(Datagram, ClientsAndTargetsAreUsedInTurn) {
    Wired run;
    ClientOptions options = requests(1000, 12);
    options.clients = {{client_address(false), 3}};
    options.servers = {{{server_address(false), 4}, {server_port, server_port}}};
    run.start(options);
    run.run_to_the_end();
    EXPECT_EQ(run.d().flows_ours, 12U);
    EXPECT_EQ(run.m().transactions.lost, 0U);
    EXPECT_EQ(run.d().to_server.counts.unique, run.m().transactions.asked);
}

TEST_P(BothFamilies, DataOneWayIsCountedByItsNumbersInEitherDirection) {
    for (const Direction direction : {Direction::to_server, Direction::to_client, Direction::both}) {
        SCOPED_TRACE(to_string(direction));
        SCOPED_TRACE("RUNNEL_SEED=" + std::to_string(test::seed()));
        Wired run(GetParam());
        run.there = {.loss = 0.02, .duplication = 0.03, .reordering = 0.05, .late = 20ms};
        run.back = {.loss = 0.04, .duplication = 0.01, .reordering = 0.02, .late = 20ms};
        run.calm_from = run.now + 1900ms;
        run.start(one_way(2000, direction));
        run.run_to_the_end();
        EXPECT_EQ(run.d().flows_reported, 4U);
        const auto check = [&](const DatagramDirection& way, const Dealt& dealt, bool used) {
            EXPECT_EQ(way.sent, dealt.sent);
            EXPECT_EQ(way.counts.missing, dealt.lost);
            EXPECT_EQ(way.counts.duplicated, dealt.duplicated);
            EXPECT_EQ(way.counts.reordered, dealt.reordered);
            EXPECT_EQ(way.counts.stale, 0U);
            EXPECT_EQ(way.planned, way.sent + way.unsent);
            if (!used) {
                EXPECT_EQ(way.sent, 0U);
                return;
            }
            // A server goes on until it is asked for its account, when what the client has sent has settled.
            EXPECT_NEAR(static_cast<double>(way.sent), 4200, 260);
            EXPECT_EQ(way.unsent, 0U);
            EXPECT_EQ(way.octets_sent, 500 * way.sent);
            EXPECT_GT(way.counts.most_extent, 0U);
            // It fades when calm comes (RFC 3550 section 6.4.1); how fast, the tests of Jitter say.
            EXPECT_GT(way.jitter.mean(), 0.0);
        };
        check(run.d().to_server, run.dealt_there, sends_to_server(direction));
        check(run.d().to_client, run.dealt_back, sends_to_client(direction));
        if (testing::Test::HasFailure()) break;
    }
}

TEST(Datagram, DataFromTheServerFollowsTheSchedule) {
    for (const char* text : {"ramp:0-2000/2s", "burst:200/200ms", "schedule:0s=0,1s=2000,2s=0"}) {
        SCOPED_TRACE(text);
        Wired run;
        ClientOptions options = one_way(2000, Direction::to_client);
        options.profile = LoadProfile::parse(text);
        options.rate = options.profile->highest(options.duration);
        options.ramp = 100ms;
        run.start(options);
        run.run_until(run.now + 60s, [&] { return run.client->phase() >= Phase::measured; });
        run.run_to_the_end();
        EXPECT_NEAR(static_cast<double>(run.m().window.datagrams_received), 2000, 60)
            << run.d().to_client.planned << " planned, " << run.d().to_client.unsent << " unsent, "
            << run.d().to_client.sent << " sent";
        EXPECT_EQ(run.d().to_client.counts.missing, 0U);
    }
}

TEST(Datagram, AServerStopsWhenItHearsNoMoreOfItsClient) {
    Wired run;
    run.start(one_way(1000, Direction::to_client, 2));
    run.run_until(run.now + 1s);
    const std::uint64_t before = run.responder->totals().datagrams_out;
    EXPECT_GT(before, 500U);
    // The client is gone: nobody polls it.
    const Instant end = run.now + 3s;
    for (; run.now < end; run.now += run.step) {
        run.server_stack.advance(run.now);
        run.responder->poll(run.now);
        std::array<rte_mbuf*, 64> burst;
        for (std::size_t n; (n = run.server_stack.transmit(burst)) > 0;)
            rte_pktmbuf_free_bulk(burst.data(), static_cast<unsigned>(n));
    }
    const std::uint64_t after = run.responder->totals().datagrams_out - before;
    EXPECT_LT(after, 1300U);
    EXPECT_GT(after, 500U);
}

TEST(Datagram, WhereNobodyAnswersTheRunEndsByItself) {
    for (const Recipe recipe : {Recipe::udp_rr, Recipe::udp_oneway}) {
        Wired run;
        run.server_stack.udp().unbind({}, server_port);
        ClientOptions options =
            recipe == Recipe::udp_rr ? requests(1000) : one_way(1000, Direction::to_server);
        run.start(options);
        const Instant begin = run.now;
        run.run_until(run.now + 60s, [&] { return run.client->phase() == Phase::finished; });
        EXPECT_LT(run.now - begin, 2s) << "the host says that nobody listens";
        EXPECT_TRUE(run.m().nobody_answered);
        EXPECT_GT(run.d().undelivered[static_cast<std::size_t>(Undelivered::port)], 0U);
        EXPECT_EQ(run.d().errors(), run.d().undelivered[static_cast<std::size_t>(Undelivered::port)]);
        EXPECT_EQ(run.m().transactions.asked, 0U);
    }
}

TEST(Datagram, SilenceIsWaitedForAsLongAsTheOptionSays) {
    Wired run;
    ClientOptions options = requests(1000);
    run.start(options);
    const Instant begin = run.now;
    std::array<rte_mbuf*, 64> burst;
    while (run.client->phase() != Phase::finished && run.now < begin + 60s) {
        for (std::size_t n; (n = run.client_stack.transmit(burst)) > 0;)
            rte_pktmbuf_free_bulk(burst.data(), static_cast<unsigned>(n));
        run.client_stack.advance(run.now);
        run.client->poll(run.now);
        run.now += 1ms;
    }
    EXPECT_TRUE(run.m().nobody_answered);
    EXPECT_NEAR(static_cast<double>((run.now - begin).count()), static_cast<double>(options.give_up.count()),
                1e7);
}

// A spoofed request gets no more than thrice its octets, and no data without the token.
TEST(Datagram, NobodyIsSentMoreThanHeHasProvenToWant) {
    Wired run;
    run.responder = std::make_unique<DatagramResponder>(
        run.server_stack, DatagramResponder::Options{.response_octets = 0, .key = {1, 2}});
    run.server_stack.udp().unbind({}, server_port);
    run.server_stack.udp().bind({}, server_port, *run.responder);
    const auto ask = [&](const DatagramHeader& header, std::size_t octets, const std::string& text = {}) {
        std::vector<std::byte> datagram(octets);
        header.encode(datagram.data());
        std::ranges::copy(std::as_bytes(std::span{text}), datagram.begin() + DatagramHeader::octets);
        const std::uint64_t before = run.responder->totals().octets_out;
        run.client_stack.udp().send_to(
            {.remote_address = server_address(false), .remote_port = server_port, .local_port = 5}, datagram,
            run.now);
        std::array<rte_mbuf*, 64> burst;
        const std::size_t n = run.client_stack.transmit(burst);
        run.server_stack.receive({burst.data(), n}, run.now);
        for (int i = 0; i < 20; ++i) run.responder->poll(run.now += 1ms);
        for (std::size_t k; (k = run.server_stack.transmit(burst)) > 0;)
            rte_pktmbuf_free_bulk(burst.data(), static_cast<unsigned>(k));
        return run.responder->totals().octets_out - before;
    };
    EXPECT_EQ(ask({.kind = DatagramKind::request, .word = 60'000}, 16), 48U);
    EXPECT_EQ(ask({.kind = DatagramKind::request, .word = 60'000}, 1000), 3000U);
    Pace pace{.rate = 1e6};
    const std::string text = to_text(pace);
    EXPECT_EQ(ask({.kind = DatagramKind::start, .word = 12345}, 16 + text.size(), text), 0U);
    EXPECT_EQ(ask({.kind = DatagramKind::proceed}, 16), 0U);
    EXPECT_EQ(run.responder->totals().refused, 1U);
    EXPECT_EQ(ask({.kind = DatagramKind::report_wanted}, 16), 0U) << "shorter than the answer";
    EXPECT_EQ(ask({.kind = DatagramKind::response}, 64), 0U) << "servers do not answer servers";
}

TEST(PaceText, IsReadAsItWasWrittenAndWhatIsNoneIsRefused) {
    Pace pace{.rate = 1234.5, .arrivals = ArrivalProcess::poisson, .seed = 77, .ramp = 3ms, .offset = 17us};
    pace.sizes = parse_sizes("64*3,1400");
    EXPECT_EQ(to_text(parse_pace(to_text(pace))), to_text(pace));
    pace.profile = LoadProfile::parse("steps:10000,20000/5s");
    EXPECT_EQ(to_text(parse_pace(to_text(pace))), to_text(pace));
    EXPECT_LT(to_text(pace).size(), most_pace_text);
    for (const std::string& wrong :
         {std::string{}, std::string{"max"}, std::string(1200, '\n'), to_text(pace) + "\n",
          to_text(pace) + "x", std::string{"nan\neven\n1\n0\n0\n0\n1\n0\n0\n64"},
          std::string{"1e300\neven\n1\n0\n0\n0\n1\n0\n0\n64"},
          std::string{"max\neven\n1\n0\n-1\n0\n1\n0\n0\n64"}})
        EXPECT_THROW((void)parse_pace(wrong), std::exception) << wrong;
}

}  // namespace datagram_test
}  // namespace runnel::load
