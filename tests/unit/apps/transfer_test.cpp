// rr and stream over two stacks joined in memory, in virtual time: what is counted is what went over the
// wire, and every transaction and octet is accounted for.
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runnel/stack/stack.hpp"

#include "engine/http.hpp"
#include "engine/transfer_client.hpp"
#include "engine/transfer_responders.hpp"
#include "two_ends.hpp"

namespace runnel::load {
namespace transfer_test {

using Phase = Generator::Phase;

using two_ends::client_address;
using two_ends::collect;
using two_ends::pool;
using two_ends::server_address;

constexpr std::uint32_t slots = 512;

StackConfig config_of(bool server) {
    return two_ends::config_of(server, slots, 1024);
}

// Both ends of a wire with a delay of one step of the clock.
class Transfer : public testing::Test {
  protected:
    static constexpr Duration step = 100us;

    void run_until(
        Instant end, const std::function<bool()>& done = [] { return false; }) {
        for (; now < end && !done(); now += step) {
            std::vector<rte_mbuf*> to_client, to_server;
            collect(client_stack, to_server);
            collect(server_stack, to_client);
            if (unplugged) {
                for (rte_mbuf* frame : to_client) rte_pktmbuf_free(frame);
                for (rte_mbuf* frame : to_server) rte_pktmbuf_free(frame);
                to_client.clear();
                to_server.clear();
            }
            client->arrived(now);
            client_stack.receive(to_client, now);
            client_stack.advance(now);
            client->poll(now);
            server_stack.receive(to_server, now);
            server_stack.advance(now);
        }
    }

    void start(ClientOptions options) {
        options.first_local_address = client_address;
        options.remote_address = server_address;
        options.slots = slots;
        options.request = std::as_bytes(std::span{request});
        if (options.response_octets == 0) options.response_octets = response.all().size();
        options.block = block;
        client = std::make_unique<TransferClient>(client_stack, options);
    }
    void serve(Responder& responder) { server_stack.listen({.port = 80, .handler = &responder}); }
    // To the end of the window, and through the closing.
    void run_to_the_end() {
        run_until(now + 60s, [&] { return client->phase() == Phase::held; });
        client->release();
        run_until(now + 60s, [&] { return client->phase() == Phase::finished; });
        ASSERT_EQ(client->phase(), Phase::finished);
    }
    [[nodiscard]] std::uint64_t client_frames() const {
        return client_stack.counters().get(Counter::frames_out) +
               client_stack.counters().get(Counter::frames_in);
    }

    static inline const std::string request = http_request(server_address);
    static inline const HttpResponse response{64, true};
    static inline const std::vector<std::byte> block{10'000, std::byte{7}};
    Instant now{1s};
    bool unplugged = false;
    Stack client_stack{config_of(false), pool()};
    Stack server_stack{config_of(true), pool()};
    std::unique_ptr<TransferClient> client;
};

TEST_F(Transfer, RrHasOneTransactionUnderWayOnEachConnectionAndTwoPacketsATransaction) {
    RequestResponder responder(response.all(), static_cast<std::uint32_t>(request.size()), slots);
    serve(responder);
    start({.recipe = Recipe::rr, .connections = 50, .ramp = 100ms, .duration = 1s});
    run_until(now + 60s, [&] { return client->phase() == Phase::measured; });
    EXPECT_EQ(client->measurement().all.established, 50U);
    const std::uint64_t frames = client_frames();
    const std::uint64_t transactions = client->measurement().all.transactions;
    run_until(now + 900ms);
    const std::uint64_t done = client->measurement().all.transactions - transactions;
    EXPECT_EQ(client_frames() - frames, 2 * done);
    // A step there and a step back: 5,000 a second on each connection.
    EXPECT_EQ(done, 50 * 4500U);

    run_to_the_end();
    const Generator::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting, (Accounting{.attempted = 50, .established = 50, .completed = 50}));
    EXPECT_EQ(m.transactions.residual(), 0);
    EXPECT_EQ(m.transactions.lost + m.transactions.in_flight, 0U);
    EXPECT_EQ(m.transactions.answered, responder.totals().requests);
    EXPECT_EQ(m.window_length, 1s);
    EXPECT_NEAR(static_cast<double>(m.window.transactions), 250'000, 50);
    EXPECT_EQ(m.latency.actual.transaction.count(), m.window.transactions);
    EXPECT_EQ(m.latency.actual.transaction.min(), static_cast<std::uint64_t>((2 * step).count()));
    EXPECT_EQ(m.latency.actual.handshake.count(), 50U);
    EXPECT_EQ(m.all.octets_received, m.transactions.answered * response.all().size());
    EXPECT_EQ(client->open(), 0U);
}

TEST_F(Transfer, RrResponseOfManySegmentsIsOneTransaction) {
    static const HttpResponse large{400'000, true};  // more than the send buffer
    RequestResponder responder(large.all(), static_cast<std::uint32_t>(request.size()), slots);
    serve(responder);
    start({.recipe = Recipe::rr, .response_octets = large.all().size(), .connections = 3, .duration = 500ms});
    run_to_the_end();
    const Generator::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting.completed, 3U);
    EXPECT_GT(m.transactions.answered, 3U);
    EXPECT_EQ(m.transactions,
              (TransactionAccounting{.asked = m.transactions.asked, .answered = m.transactions.asked}));
    EXPECT_EQ(m.all.octets_received, m.transactions.answered * large.all().size());
}

TEST_F(Transfer, RrAtAServerThatFallsSilentLeavesItsTransactionsInFlightAndTheSumCloses) {
    RequestResponder responder(response.all(), static_cast<std::uint32_t>(request.size()), slots);
    serve(responder);
    start({.recipe = Recipe::rr, .connections = 20, .duration = 500ms, .drain = 300ms});
    run_until(now + 60s, [&] { return client->phase() == Phase::held; });
    unplugged = true;
    client->release();
    run_until(now + 60s, [&] { return client->phase() == Phase::finished; });
    const Generator::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting, (Accounting{.attempted = 20, .established = 20, .in_flight = 20}));
    EXPECT_EQ(m.transactions.in_flight, 20U);
    EXPECT_EQ(m.transactions.residual(), 0);
}

TEST_F(Transfer, RrConnectionThatTheServerResetsLosesItsTransactionAndIsNotCompleted) {
    // Answers three requests, then no more.
    struct Breaker final : Responder {
        std::vector<int> answered = std::vector<int>(slots);
        void established(tcp::Connection connection) noexcept override { answered[connection.slot()] = 0; }
        tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
            (void)connection.consume(rte_pktmbuf_pkt_len(&payload));
            if (++answered[connection.slot()] > 3)
                (void)connection.abort();
            else
                (void)connection.send_static(response.all());
            return tcp::Ownership::returned;
        }
    } breaker;
    serve(breaker);
    start({.recipe = Recipe::rr, .connections = 5, .duration = 500ms});
    run_to_the_end();
    const Generator::Measurement& m = client->measurement();
    EXPECT_EQ(m.accounting, (Accounting{.attempted = 5, .established = 5, .reset = 5}));
    EXPECT_EQ(m.transactions, (TransactionAccounting{.asked = 20, .answered = 15, .lost = 5}));
}

TEST_F(Transfer, RrAtAServerThatAnswersMoreThanAskedIsReset) {
    struct Chatter final : Responder {
        tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
            (void)connection.consume(rte_pktmbuf_pkt_len(&payload));
            (void)connection.send_static(response.all());
            (void)connection.send_static(std::as_bytes(std::span{"and more"}));
            return tcp::Ownership::returned;
        }
    } chatter;
    serve(chatter);
    start({.recipe = Recipe::rr, .connections = 1, .duration = 100ms});
    run_to_the_end();
    EXPECT_EQ(client->measurement().accounting.reset, 1U);
    EXPECT_EQ(client->measurement().transactions.residual(), 0);
}

struct Way {
    Direction direction;
    bool copies;
};
class EachWay : public Transfer, public testing::WithParamInterface<Way> {};

TEST_P(EachWay, StreamDeliversEveryOctetThatItTookAndNoneTheOtherWay) {
    const auto [direction, copies] = GetParam();
    StreamResponder responder(StreamSource(block, copies), direction);
    serve(responder);
    start({.recipe = Recipe::stream,
           .direction = direction,
           .copies = copies,
           .connections = 10,
           .ramp = 50ms,
           .duration = 200ms});
    run_to_the_end();
    const Generator::Measurement& m = client->measurement();
    const ServerTotals& server = responder.totals();
    EXPECT_EQ(m.accounting, (Accounting{.attempted = 10, .established = 10, .completed = 10}));
    EXPECT_EQ(m.all.octets_sent, server.octets_in);
    EXPECT_EQ(m.all.octets_received, server.octets_out);
    // A send buffer of 256 KiB leaves in a round trip of two steps, and one more to be told of.
    constexpr std::uint64_t a_second = 10ULL * 256 * 1024 * 1'000'000 / 300;
    EXPECT_EQ(sends_to_server(direction), m.all.octets_sent > a_second / 5);
    EXPECT_EQ(sends_to_client(direction), m.all.octets_received > a_second / 5);
    EXPECT_EQ(sends_to_server(direction), m.window.octets_sent > 0);
    EXPECT_EQ(sends_to_client(direction), m.window.octets_received > 0);
    EXPECT_EQ(client->open(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Stream, EachWay,
                         testing::Values(Way{Direction::to_server, false}, Way{Direction::to_server, true},
                                         Way{Direction::to_client, false}, Way{Direction::to_client, true},
                                         Way{Direction::both, false}),
                         [](const auto& one) {
                             std::string name{to_string(one.param.direction)};
                             std::erase(name, '-');
                             return name + (one.param.copies ? "_copied" : "_referred");
                         });

TEST_F(Transfer, StreamEndsEarlyWhenToldToAndStillInGoodOrder) {
    StreamResponder responder(StreamSource(block, false), Direction::to_server);
    serve(responder);
    start({.recipe = Recipe::stream, .connections = 2, .duration = 30s});
    run_until(now + 100ms);
    client->stop_early();
    run_to_the_end();
    EXPECT_LT(client->measurement().window_length, 1s);
    EXPECT_EQ(client->measurement().accounting.completed, 2U);
    EXPECT_EQ(client->measurement().all.octets_sent, responder.totals().octets_in);
}

TEST_F(Transfer, ConnectionsThatCannotBeOpenedAreRefusedOrUnsentAndTheSumCloses) {
    start({.recipe = Recipe::rr, .connections = 30, .duration = 100ms});
    run_to_the_end();
    EXPECT_EQ(client->measurement().accounting, (Accounting{.attempted = 30, .refused = 30}));
    EXPECT_EQ(client->measurement().transactions, TransactionAccounting{});
}

TEST_F(Transfer, SilentServerEndsTheOpeningAfterItsLimit) {
    unplugged = true;
    start({.recipe = Recipe::rr, .connections = 30, .window = 8, .duration = 100ms, .drain = 100ms});
    const Instant begin = now;
    run_to_the_end();
    EXPECT_NEAR(static_cast<double>((now - begin).count()) / 1e9, 30.2, 0.1);
    EXPECT_EQ(client->measurement().accounting, (Accounting{.attempted = 30, .unsent = 22, .in_flight = 8}));
    run_until(now + 1ms);
    EXPECT_EQ(client->open(), 0U) << "what was in flight is aborted at the end";
}

}  // namespace transfer_test
}  // namespace runnel::load
