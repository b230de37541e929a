// Client and responders over two stacks joined in memory, in virtual time: packets a connection, accounting,
// responders.
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runnel/stack/stack.hpp"

#include "engine/client.hpp"
#include "engine/http.hpp"
#include "engine/measurement.hpp"
#include "engine/random_order.hpp"
#include "engine/server.hpp"
#include "two_ends.hpp"

namespace runnel::load {
namespace traffic_test {

using two_ends::client_address;
using two_ends::collect;
using two_ends::pool;
using two_ends::server_address;

StackConfig config_of(bool server) {
    StackConfig config = two_ends::config_of(server, 4096, 65536);
    config.tcp.half_open = 1024;
    return config;
}

// Both ends of a wire with a delay of one step of the clock.
class Traffic : public testing::Test {
  protected:
    static constexpr Duration step = 100us;

    void run_until(
        Instant end, const std::function<bool()>& done = [] { return false; }) {
        for (; now < end && !done(); now += step) {
            if (paused) continue;
            const Bursts bursts = take();
            give(client_stack, bursts.to_client, true);
            give(server_stack, bursts.to_server, false);
        }
    }

    struct Bursts {
        std::vector<rte_mbuf*> to_client, to_server;
    };
    Bursts take() {
        Bursts bursts;
        collect(client_stack, bursts.to_server);
        collect(server_stack, bursts.to_client);
        return bursts;
    }
    void give(Stack& stack, const std::vector<rte_mbuf*>& burst, bool is_client) {
        if (is_client && client) client->arrived(now);
        if (unplugged) {
            for (rte_mbuf* frame : burst) rte_pktmbuf_free(frame);
        } else {
            stack.receive(burst, now);
        }
        stack.advance(now);
        if (is_client && client) client->poll(now);
    }

    void start(ClientOptions options) {
        options.first_local_address = client_address;
        options.remote_address = server_address;
        options.slots = 4096;
        options.request = std::as_bytes(std::span{request});
        options.response_octets = response.all().size();
        client = make_client(client_stack, options);
    }
    void serve(Responder& responder, std::uint16_t port = 80) {
        server_stack.listen({.port = port, .handler = &responder});
    }

    [[nodiscard]] double packets_per_connection() const {
        const auto frames = client_stack.counters().get(Counter::frames_out) +
                            client_stack.counters().get(Counter::frames_in);
        return static_cast<double>(frames) / static_cast<double>(client->measurement().all.started);
    }
    [[nodiscard]] bool finished() const { return client->phase() == Client::Phase::finished; }

    static inline const std::string request = http_request(server_address);
    static inline const HttpResponse response{64, false};
    OneShotResponder one_shot{response.all(), static_cast<std::uint32_t>(request.size())};
    Instant now{1s};
    bool paused = false, unplugged = false;
    Stack client_stack{config_of(false), pool()};
    Stack server_stack{config_of(true), pool()};
    std::unique_ptr<Generator> client;
};

struct RecipePackets {
    Recipe recipe;
    double packets;
};

class EachRecipe : public Traffic, public testing::WithParamInterface<RecipePackets> {};

TEST_P(EachRecipe, SendsExactlyItsPacketsAndItsAccountingCloses) {
    const auto [recipe, packets] = GetParam();
    serve(one_shot);
    start({.recipe = recipe, .connections = 1000, .window = 64, .duration = 30s});
    run_until(now + 60s, [&] { return finished() || client->phase() == Client::Phase::held; });
    EXPECT_DOUBLE_EQ(packets_per_connection(), packets);
    if (recipe == Recipe::hold) {
        EXPECT_EQ(client->open(), 1000U);
        client->release();
        run_until(now + 60s, [&] { return finished(); });
    }
    ASSERT_TRUE(finished());
    const Client::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting, (Accounting{.attempted = 1000, .established = 1000, .completed = 1000}));
    EXPECT_EQ(m.accounting.residual(), 0);
    EXPECT_EQ(client->open(), 0U);
    EXPECT_EQ(m.local_errors, 0U);
    EXPECT_EQ(one_shot.totals().connections, 1000U);
    EXPECT_EQ(m.latency.actual.handshake.count(), 1000U);
    // A step there, a step back.
    EXPECT_EQ(m.latency.actual.handshake.min(), static_cast<std::uint64_t>((2 * step).count()));
    if (recipe == Recipe::crr) {
        EXPECT_EQ(one_shot.totals().requests, 1000U);
        EXPECT_EQ(m.all.octets_received, 1000 * response.all().size());
        EXPECT_EQ(m.latency.actual.ttfb.count(), 1000U);
        EXPECT_EQ(m.latency.intended.ttlb.count(), 1000U);
        EXPECT_EQ(m.latency.actual.close.count(), 1000U);
    }
}

INSTANTIATE_TEST_SUITE_P(Measure, EachRecipe,
                         testing::Values(RecipePackets{Recipe::hold, 3}, RecipePackets{Recipe::rst, 4},
                                         RecipePackets{Recipe::fin, 6}, RecipePackets{Recipe::crr, 6}),
                         [](const auto& one) { return std::string{to_string(one.param.recipe)}; });

TEST_F(Traffic, OpenLoopRateIsKeptAndMeasuredWithoutTheRamp) {
    serve(one_shot);
    start({.recipe = Recipe::crr, .rate = 2000.0, .ramp = 500ms, .duration = 2s});
    run_until(now + 10s, [&] { return finished(); });
    const Client::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting.attempted, 4000U);
    EXPECT_EQ(m.accounting.completed, 4000U);
    EXPECT_EQ(m.all.completed, 5000U);
    EXPECT_EQ(m.window_length, 2s);
    EXPECT_NEAR(static_cast<double>(m.window.completed), 4000, 4);
    EXPECT_LE(m.lag.max(), static_cast<std::uint64_t>(step.count()));
}

TEST_F(Traffic, StallOfTheGeneratorShowsFromTheIntendedTimeAndAsUnsent) {
    serve(one_shot);
    start({.recipe = Recipe::crr, .rate = 1000.0, .max_lag = 100ms, .duration = 2s});
    run_until(now + 500ms);
    paused = true;
    run_until(now + 500ms);
    paused = false;
    run_until(now + 10s, [&] { return finished(); });
    const Client::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting.attempted, 2000U);
    EXPECT_NEAR(static_cast<double>(m.accounting.unsent), 400, 3);
    EXPECT_EQ(m.accounting.completed + m.accounting.unsent, 2000U);
    EXPECT_EQ(m.accounting.residual(), 0);
    EXPECT_GE(m.latency.intended.handshake.max(), 95'000'000U);
    EXPECT_GE(m.lag.max(), 95'000'000U);
    // Those that were sent late were answered at once: one that was on its way waited for the stall itself.
    EXPECT_LE(m.latency.actual.handshake.percentile(99), 1'000'000U);
}

TEST_F(Traffic, OpenLoopThatIsBehindBeginsOneConnectionATurnAndTheClosedOneItsWindow) {
    serve(one_shot);
    start({.recipe = Recipe::crr, .rate = 1'000'000.0, .window = 4096, .batch = 32, .duration = 2s});
    client->poll(now);
    now += 1ms;
    const std::uint64_t begun = client->open();
    client->poll_behind(now);
    EXPECT_EQ(client->open(), begun + 1);
    client->poll(now);
    EXPECT_EQ(client->open(), begun + 33);
    start({.recipe = Recipe::crr, .window = 100, .batch = 32, .duration = 2s});
    for (int i = 0; i < 4; ++i) client->poll_behind(now);
    EXPECT_EQ(client->open(), 100U);
}

TEST_F(Traffic, RequestThatMemoryDoesNotSufficeForIsSentWhenThereIsSome) {
    serve(one_shot);
    start({.recipe = Recipe::crr, .connections = 200, .window = 200, .batch = 200, .duration = 5s});
    std::vector<void*> hogged;
    run_until(now + 200us);  // the SYNs are on their way
    for (void* one = nullptr; rte_mempool_get(pool(), &one) == 0;) hogged.push_back(one);
    // Those who have been answered find no memory for their requests; nothing is given up for that.
    run_until(now + 20ms);
    for (void* const one : hogged) rte_mempool_put(pool(), one);
    run_until(now + 10s, [&] { return finished(); });
    EXPECT_EQ(client->measurement().accounting,
              (Accounting{.attempted = 200, .established = 200, .completed = 200}));
}

TEST_F(Traffic, ServerThatRefusesIsCountedAsRefused) {
    start({.recipe = Recipe::crr, .connections = 50, .window = 8, .duration = 5s});
    run_until(now + 10s, [&] { return finished(); });
    EXPECT_EQ(client->measurement().accounting, (Accounting{.attempted = 50, .refused = 50}));
}

TEST_F(Traffic, SilentServerIsATimeOutOrInFlightAndTheSumCloses) {
    unplugged = true;
    start({.recipe = Recipe::crr, .rate = 100.0, .window = 16, .duration = 1s, .drain = 1s});
    run_until(now + 10s, [&] { return finished(); });
    const Accounting& a = client->measurement().accounting;
    EXPECT_EQ(a.in_flight, 16U);
    EXPECT_EQ(a.unsent, 84U);
    EXPECT_EQ(a.residual(), 0);
    run_until(now + 1ms);
    EXPECT_EQ(client->open(), 0U) << "what was in flight is aborted at the end";
}

TEST_F(Traffic, WindowIsTheMostThatIsOnItsWay) {
    serve(one_shot);
    start({.recipe = Recipe::fin, .connections = 500, .window = 5, .duration = 10s});
    std::uint64_t most = 0;
    run_until(now + 10s, [&] {
        most = std::max(most, client->open());
        return finished();
    });
    EXPECT_EQ(most, 5U);
    EXPECT_EQ(client->measurement().accounting.completed, 500U);
}

TEST_F(Traffic, WithAConcurrencyTheOldestEndsWhenThereAreMoreAndAllAreCompletedInTheEnd) {
    for (const Recipe recipe : {Recipe::fin, Recipe::rst}) {
        SCOPED_TRACE(to_string(recipe));
        if (recipe == Recipe::fin) serve(one_shot);
        start({.recipe = recipe, .rate = 1000.0, .concurrency = 300, .ramp = 400ms, .duration = 2s});
        run_until(now + 10s, [&] { return client->phase() == Client::Phase::measured; });
        std::uint64_t least = UINT64_MAX, most = 0;
        run_until(now + 10s, [&] {
            least = std::min(least, client->open());
            most = std::max(most, client->open());
            return client->phase() == Client::Phase::draining;
        });
        EXPECT_GE(least, 299U);
        EXPECT_LE(most, 303U) << "besides those that stay, those that open and close";
        run_until(now + 10s, [&] { return finished(); });
        const Client::Measurement& m = client->measurement();
        EXPECT_EQ(m.accounting, (Accounting{.attempted = 2000, .established = 2000, .completed = 2000}));
        // Each of the window has stayed as long as it takes for 300 more to come, or until the traffic ended.
        EXPECT_NEAR(static_cast<double>(m.latency.actual.close.max()), 300e6, 3e6);
        EXPECT_NEAR(static_cast<double>(m.window.completed), 2000, 4);
        EXPECT_EQ(client->open(), 0U);
    }
}

TEST_F(Traffic, ConnectionOfAConcurrencyThatTheServerEndsIsReplaced) {
    // Ends each connection 100 ms after it was established.
    struct Impatient final : Responder {
        std::vector<tcp::Connection> open;
        void established(tcp::Connection connection) noexcept override { open.push_back(connection); }
        tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
        void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
    } impatient;
    serve(impatient);
    start({.recipe = Recipe::fin, .rate = 1000.0, .concurrency = 200, .duration = 2s});
    run_until(now + 500ms);
    // Every other of those that are open, the oldest first.
    for (std::size_t i = impatient.open.size() - 200; i < impatient.open.size(); i += 2)
        (void)impatient.open[i].abort();
    run_until(now + 50ms);
    EXPECT_NEAR(static_cast<double>(client->open()), 150, 5) << "100 are gone and 50 have come";
    run_until(now + 200ms);
    EXPECT_NEAR(static_cast<double>(client->open()), 200, 5);
    run_until(now + 10s, [&] { return finished(); });
    const Accounting& a = client->measurement().accounting;
    EXPECT_NEAR(static_cast<double>(a.reset), 100, 3);
    EXPECT_EQ(a.completed + a.reset, 2000U);
    EXPECT_EQ(a.residual(), 0);
}

TEST_F(Traffic, RateFollowsTheProfileOverTheWindowAndClimbsAndFallsAroundIt) {
    serve(one_shot);
    start({.recipe = Recipe::crr,
           .rate = 4000.0,
           .profile = LoadProfile::parse("steps:1k,4k/1s"),
           .ramp_up = 1s,
           .ramp = 500ms,
           .duration = 2s,
           .ramp_down = 1s});
    const Generator::Measurement& m = client->measurement();
    run_until(now + 1s);
    EXPECT_NEAR(static_cast<double>(m.all.started), 500, 3) << "climbing to 1,000 a second";
    run_until(now + 10s, [&] { return client->phase() == Client::Phase::measured; });
    EXPECT_NEAR(static_cast<double>(m.all.started), 1000, 3);
    run_until(now + 1s);
    EXPECT_NEAR(static_cast<double>(m.all.started), 2000, 6);
    run_until(now + 10s, [&] { return client->phase() == Client::Phase::draining; });
    EXPECT_EQ(m.accounting.attempted, 5000U);
    run_until(now + 10s, [&] { return finished(); });
    EXPECT_NEAR(static_cast<double>(m.all.started), 8000, 6) << "falling from 4,000 a second";
    EXPECT_EQ(m.accounting, (Accounting{.attempted = 5000, .established = 5000, .completed = 5000}));
}

TEST_F(Traffic, HeldConnectionThatTheServerEndsIsNotCompleted) {
    // It answers nothing and holds nothing: a service that closes at once.
    struct Closer final : Responder {
        void established(tcp::Connection connection) noexcept override { (void)connection.close(); }
        tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
    } closer;
    serve(closer);
    start({.recipe = Recipe::hold, .connections = 20, .window = 20, .duration = 1s});
    run_until(now + 10s, [&] { return client->phase() == Client::Phase::held; });
    client->release();
    run_until(now + 10s, [&] { return finished(); });
    EXPECT_EQ(client->measurement().accounting,
              (Accounting{.attempted = 20, .established = 20, .reset = 20}));
}

TEST_F(Traffic, ConnectionsToHoldThatTheWindowWasTooShortForAreUnsent) {
    serve(one_shot);
    start({.recipe = Recipe::hold, .rate = 100.0, .connections = 50, .duration = 300ms});
    run_until(now + 10s, [&] { return client->phase() == Client::Phase::held; });
    const Accounting& a = client->measurement().accounting;
    EXPECT_EQ(a, (Accounting{.attempted = 50, .unsent = 20, .established = 30, .completed = 30}));
}

TEST_F(Traffic, HeldConnectionsEachCarryTheirTransactionsAndThenCloseInOrder) {
    OneShotResponder keeping{response.all(), static_cast<std::uint32_t>(request.size()), true};
    serve(keeping);
    // More than the window's time would suffice for: without a rate it lasts until all is done.
    start({.recipe = Recipe::hold, .connections = 1500, .transactions = 3, .window = 10, .duration = 10ms});
    std::uint64_t most = 0;
    run_until(now + 60s, [&] {
        const auto& t = client->measurement().transactions;
        most = std::max(most, t.asked - t.answered);
        return client->phase() == Client::Phase::held;
    });
    run_until(now + 100ms);  // the last ACKs are delayed
    EXPECT_EQ(client->open(), 1500U);
    EXPECT_EQ(
        client_stack.counters().get(Counter::frames_out) + client_stack.counters().get(Counter::frames_in),
        1500 * (3U + 3 * 3))
        << "request, response and its ACK: nothing is sent twice";
    EXPECT_GT(most, 5U);
    EXPECT_LE(most, 10U);
    client->release();
    run_until(now + 60s, [&] { return finished(); });
    run_until(now + 1ms);
    const Client::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting, (Accounting{.attempted = 1500, .established = 1500, .completed = 1500}));
    EXPECT_EQ(m.transactions, (TransactionAccounting{.asked = 4500, .answered = 4500}));
    EXPECT_EQ(m.latency.actual.transaction.count(), 4500U);
    EXPECT_EQ(m.latency.intended.transaction.min(), static_cast<std::uint64_t>((2 * step).count()));
    EXPECT_EQ(keeping.totals().requests, 4500U);
    EXPECT_EQ(m.closed_in_order, 1500U);
    EXPECT_EQ(client->open(), 0U);
    EXPECT_EQ(client_stack.tcp().time_wait(), 1500U);
    EXPECT_EQ(server_stack.tcp().connections(), 0U);
}

TEST_F(Traffic, EachHeldConnectionIsAskedOnceARound) {
    // Knows each connection by its port.
    struct Counting final : Responder {
        std::map<std::uint16_t, int> asked;
        std::vector<std::uint16_t> order;
        std::span<const std::byte> answer;
        tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
            (void)connection.consume(rte_pktmbuf_pkt_len(&payload));
            ++asked[connection.info().remote_port];
            order.push_back(connection.info().remote_port);
            (void)connection.send_static(answer);
            return tcp::Ownership::returned;
        }
        void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
    } counting;
    counting.answer = response.all();
    serve(counting);
    start({.recipe = Recipe::hold, .connections = 300, .transactions = 2, .window = 8, .duration = 10ms});
    run_until(now + 60s, [&] { return client->phase() == Client::Phase::held; });
    ASSERT_EQ(counting.order.size(), 600U);
    EXPECT_EQ(counting.asked.size(), 300U);
    for (const auto& [port, times] : counting.asked) EXPECT_EQ(times, 2) << port;
    const std::vector<std::uint16_t> first{counting.order.begin(), counting.order.begin() + 300};
    const std::vector<std::uint16_t> second{counting.order.begin() + 300, counting.order.end()};
    EXPECT_NE(first, second) << "each round has an order of its own";
}

TEST_F(Traffic, HeldConnectionThatEndsDuringATransactionLosesBoth) {
    struct Resetter final : Responder {
        tcp::Ownership data(tcp::Connection connection, rte_mbuf&) noexcept override {
            (void)connection.abort();
            return tcp::Ownership::returned;
        }
    } resetter;
    serve(resetter);
    start({.recipe = Recipe::hold, .connections = 20, .transactions = 1, .window = 5, .duration = 10ms});
    run_until(now + 20s, [&] { return client->phase() == Client::Phase::held; });
    client->release();
    run_until(now + 20s, [&] { return finished(); });
    const Client::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting, (Accounting{.attempted = 20, .established = 20, .reset = 20}));
    EXPECT_EQ(m.transactions, (TransactionAccounting{.asked = 20, .lost = 20}));
    EXPECT_EQ(m.closed_in_order, 0U);
}

TEST_F(Traffic, HoldTowardsASilentServerEndsAndItsSumsClose) {
    unplugged = true;
    start({.recipe = Recipe::hold, .connections = 100, .window = 16, .duration = 1s, .drain = 1s});
    run_until(now + 10s, [&] { return client->phase() == Client::Phase::held; });
    client->release();
    run_until(now + 10s, [&] { return finished(); });
    ASSERT_TRUE(finished());
    EXPECT_EQ(client->measurement().accounting,
              (Accounting{.attempted = 100, .unsent = 84, .in_flight = 16}));
    run_until(now + 1ms);
    EXPECT_EQ(client->open(), 0U) << "what was in flight is aborted at the end";
}

TEST(RandomOrder, GivesEachNumberOnceAndNotInARow) {
    for (const std::uint32_t limit : {1U, 2U, 3U, 64U, 1000U, 65'537U}) {
        for (const std::uint64_t key : {0ULL, 1ULL, 0x123456789abcdefULL}) {
            RandomOrder order{limit, key};
            std::vector<bool> given(limit);
            std::uint32_t beside_the_last = 0, last = 0;
            for (std::uint32_t i = 0; i < limit; ++i) {
                ASSERT_FALSE(order.done());
                const std::uint32_t number = order.next();
                ASSERT_LT(number, limit);
                ASSERT_FALSE(given[number]);
                given[number] = true;
                if (i > 0 && number - last + 1 <= 2) ++beside_the_last;
                last = number;
            }
            EXPECT_TRUE(order.done());
            if (limit >= 64) {
                EXPECT_LT(beside_the_last, limit / 8) << limit << " " << key;
            }
        }
    }
}

// An application of the test's own on the client's stack.
struct Peer final : tcp::Handler {
    std::string received;
    bool peer_has_closed = false, is_closed = false, is_established = false;
    void established(tcp::Connection) noexcept override { is_established = true; }
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
        for (const rte_mbuf* segment = &payload; segment != nullptr; segment = segment->next)
            received.append(rte_pktmbuf_mtod(segment, const char*), segment->data_len);
        (void)connection.consume(rte_pktmbuf_pkt_len(&payload));
        return tcp::Ownership::returned;
    }
    void peer_closed(tcp::Connection connection) noexcept override {
        peer_has_closed = true;
        (void)connection.close();
    }
    void closed(tcp::Connection, tcp::CloseReason) noexcept override { is_closed = true; }
};

std::span<const std::byte> octets(std::string_view text) {
    return std::as_bytes(std::span{text});
}

TEST_F(Traffic, HttpResponderKeepsAliveAnswersPipelinedRequestsAndClosesWhenAsked) {
    const HttpResponse body(10'000, true);
    const HttpResponse last(10'000, false);
    HttpResponder http(body, last, 4096);
    serve(http);
    Peer peer;
    tcp::Connection connection =
        client_stack.connect({.remote_address = server_address, .remote_port = 80, .handler = &peer})
            .connection;
    run_until(now + 10ms);
    ASSERT_TRUE(peer.is_established);
    (void)connection.send(octets("GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\nGET / HT"));
    run_until(now + 500ms);
    EXPECT_EQ(peer.received.size(), body.all().size() + body.head().size());
    (void)connection.send(octets("TP/1.1\r\nConnection: close\r\n\r\n"));
    run_until(now + 500ms);
    EXPECT_EQ(peer.received.size(), body.all().size() + body.head().size() + last.all().size());
    EXPECT_THAT(peer.received, testing::HasSubstr("Connection: close\r\n"));
    EXPECT_TRUE(peer.peer_has_closed);
    EXPECT_TRUE(peer.is_closed);
    EXPECT_EQ(http.totals().requests, 3U);
    EXPECT_EQ(http.totals().bad_requests, 0U);
}

TEST_F(Traffic, HttpResponderSendsABodyLargerThanTheSendBuffer) {
    const HttpResponse body(2'000'000, true);
    const HttpResponse last(2'000'000, false);
    HttpResponder http(body, last, 4096);
    serve(http);
    Peer peer;
    tcp::Connection connection =
        client_stack.connect({.remote_address = server_address, .remote_port = 80, .handler = &peer})
            .connection;
    run_until(now + 10ms);
    (void)connection.send(octets("GET / HTTP/1.0\r\n\r\n"));
    run_until(now + 30s, [&] { return peer.is_closed; });
    ASSERT_EQ(peer.received.size(), last.all().size());
    EXPECT_TRUE(std::ranges::equal(octets(peer.received), last.all()));
}

TEST_F(Traffic, HttpResponderAnswers400AndClosesOnWhatIsNotHttp) {
    const HttpResponse body(10, true);
    const HttpResponse last(10, false);
    HttpResponder http(body, last, 4096);
    serve(http);
    Peer peer;
    tcp::Connection connection =
        client_stack.connect({.remote_address = server_address, .remote_port = 80, .handler = &peer})
            .connection;
    run_until(now + 10ms);
    (void)connection.send(octets("\x16\x03\x01 hello"));
    run_until(now + 500ms);
    EXPECT_THAT(peer.received, testing::StartsWith("HTTP/1.1 400"));
    EXPECT_TRUE(peer.is_closed);
    EXPECT_EQ(http.totals().bad_requests, 1U);
}

TEST_F(Traffic, EchoResponderReturnsEveryOctetAlsoToAPeerThatReadsLate) {
    // Reads nothing until told to: the echo finds no window and must keep what it has.
    struct LatePeer final : tcp::Handler {
        std::string received;
        std::size_t unread = 0;
        bool reading = false, is_closed = false;
        tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
            for (const rte_mbuf* segment = &payload; segment != nullptr; segment = segment->next)
                received.append(rte_pktmbuf_mtod(segment, const char*), segment->data_len);
            unread += rte_pktmbuf_pkt_len(&payload);
            if (reading) read(connection);
            return tcp::Ownership::returned;
        }
        void read(tcp::Connection connection) noexcept {
            reading = true;
            (void)connection.consume(unread);
            unread = 0;
        }
        void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
        void closed(tcp::Connection, tcp::CloseReason) noexcept override { is_closed = true; }
    } peer;
    EchoResponder echo(4096);
    serve(echo, 7);
    tcp::Connection connection =
        client_stack.connect({.remote_address = server_address, .remote_port = 7, .handler = &peer})
            .connection;
    run_until(now + 10ms);
    std::string sent(1'500'000, ' ');
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>('a' + i * 7919 / 13 % 26);
    std::size_t done = 0;
    const auto push = [&] { done += connection.send(octets(std::string_view{sent}.substr(done))).accepted; };
    run_until(now + 5s, [&] {
        push();
        return false;
    });
    ASSERT_LT(done, sent.size())
        << "the peer that does not read stops the echo, and the echo stops the sender";
    peer.read(connection);
    run_until(now + 60s, [&] {
        push();
        return peer.received.size() == sent.size();
    });
    (void)connection.shutdown();
    run_until(now + 5s, [&] { return peer.is_closed; });
    EXPECT_EQ(peer.received, sent);
    EXPECT_EQ(echo.totals().octets_out, sent.size());
    EXPECT_TRUE(peer.is_closed);
}

TEST(Digest, IsThatOfTheWholeHoweverItIsCut) {
    // FIPS 180-4, as published with the standard.
    const std::string_view text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    Digest digest;
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        digest.begin();
        digest.add(octets(text.substr(0, cut)));
        digest.add(octets(text.substr(cut)));
        EXPECT_EQ(to_string(digest.finish()),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    digest.begin();
    EXPECT_EQ(to_string(digest.finish()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_F(Traffic, DiscardResponderTakesAllAndReportsWhatEachConnectionBrought) {
    DiscardResponder discard(4096, 2);
    serve(discard, 9);
    std::array<Peer, 4> peers;
    std::array<tcp::Connection, 4> connections;
    std::array<std::string, 4> sent;
    for (std::size_t i = 0; i < peers.size(); ++i) {
        connections[i] =
            client_stack.connect({.remote_address = server_address, .remote_port = 9, .handler = &peers[i]})
                .connection;
        sent[i].assign(100'000 + i, static_cast<char>('a' + i));
        run_until(now + 10ms);  // so that they are accepted in this order
    }
    const auto send = [&](std::size_t i) {
        std::size_t done = 0;
        run_until(now + 10s, [&] {
            done += connections[i].send(octets(std::string_view{sent[i]}.substr(done))).accepted;
            return done == sent[i].size();
        });
        run_until(now + 100ms);
    };
    for (const std::size_t i : {2U, 0U, 1U}) send(i);
    (void)connections[0].shutdown();
    (void)connections[2].shutdown();
    run_until(now + 100ms);
    EXPECT_TRUE(peers[0].is_closed && peers[0].peer_has_closed);
    (void)connections[1].abort();
    run_until(now + 100ms);

    const auto digest_of = [](const std::string& text) {
        Digest digest;
        digest.begin();
        digest.add(octets(text));
        return digest.finish();
    };
    const std::vector<Received> reports = discard.take_reports();
    ASSERT_EQ(reports.size(), 3U);
    EXPECT_EQ(reports[0].octets, sent[0].size());
    EXPECT_EQ(reports[0].digest, digest_of(sent[0]));
    EXPECT_TRUE(reports[0].orderly);
    EXPECT_EQ(reports[1].octets, sent[2].size());
    EXPECT_EQ(reports[1].digest, std::nullopt) << "two digests at once, and this was the third connection";
    EXPECT_FALSE(reports[2].orderly) << "it was reset";
    EXPECT_EQ(reports[2].digest, digest_of(sent[1]));
    EXPECT_TRUE(discard.take_reports().empty());

    // The digests of those that ended serve others.
    tcp::Connection next =
        client_stack.connect({.remote_address = server_address, .remote_port = 9, .handler = &peers[1]})
            .connection;
    run_until(now + 10ms);
    (void)next.send(octets("abc"));
    (void)next.shutdown();
    run_until(now + 100ms);
    const std::vector<Received> later = discard.take_reports();
    ASSERT_EQ(later.size(), 1U);
    EXPECT_EQ(later[0].digest, digest_of("abc"));
    EXPECT_EQ(discard.totals().octets_in, sent[0].size() + sent[1].size() + sent[2].size() + 3);
}

TEST_F(Traffic, DiscardResponderThatMakesNoDigestsReportsNothing) {
    DiscardResponder discard(4096, 0);
    serve(discard, 9);
    Peer peer;
    tcp::Connection connection =
        client_stack.connect({.remote_address = server_address, .remote_port = 9, .handler = &peer})
            .connection;
    run_until(now + 10ms);
    (void)connection.send(octets("abc"));
    (void)connection.shutdown();
    run_until(now + 100ms);
    EXPECT_TRUE(peer.is_closed);
    EXPECT_TRUE(discard.take_reports().empty());
    EXPECT_EQ(discard.totals().octets_in, 3U);
}

}  // namespace traffic_test
}  // namespace runnel::load
