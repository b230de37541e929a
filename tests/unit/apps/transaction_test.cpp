// Transactions with think times, drawn sizes, a rate of their own, a count on each connection, and over HTTP;
// and servers that answer late. Two stacks joined in memory, in virtual time: what is measured is compared
// with what is known.
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runnel/stack/stack.hpp"

#include "engine/http.hpp"
#include "engine/measurement.hpp"
#include "engine/transaction_client.hpp"
#include "engine/transfer_responders.hpp"
#include "two_ends.hpp"

namespace runnel::load {
namespace {

using Phase = Generator::Phase;
using testing::ElementsAre;
using testing::HasSubstr;

using two_ends::client_address;
using two_ends::collect;
using two_ends::pool;
using two_ends::server_address;

constexpr std::uint32_t slots = 2048;

StackConfig config_of(bool server) {
    return two_ends::config_of(server, slots, 16384);
}

// Both ends of a wire with a delay of one step of the clock.
class TransactionRun : public testing::Test {
  protected:
    void run_until(
        Instant end, const std::function<bool()>& done = [] { return false; }) {
        for (; now < end && !done(); now += step) {
            std::vector<rte_mbuf*> to_client, to_server;
            collect(client_stack, to_server);
            collect(server_stack, to_client);
            client->arrived(now);
            client_stack.receive(to_client, now);
            client_stack.advance(now);
            client->poll(now);
            server_stack.receive(to_server, now);
            server_stack.advance(now);
            if (responder != nullptr) responder->poll(now);
        }
    }
    void start(ClientOptions options) {
        options.first_local_address = client_address;
        options.remote_address = server_address;
        options.slots = slots;
        options.request = std::as_bytes(std::span{request});
        options.response_octets = response.size();
        options.block = block;
        client = make_client(client_stack, options);
    }
    void serve(Responder& answers, const ServerBehaviour& behaviour = {}) {
        if (!behaviour.answers_at_once()) answers.behave(behaviour, slots, 5);
        server_stack.listen({.port = 80, .handler = &answers, .nagle = false});
        responder = &answers;
    }
    void run_to_the_end() {
        run_until(now + 60s, [&] { return client->phase() >= Phase::held; });
        client->release();
        run_until(now + 60s, [&] { return client->phase() == Phase::finished; });
        ASSERT_EQ(client->phase(), Phase::finished);
        run_until(now + 5ms);
        EXPECT_EQ(client->open(), 0U);
        EXPECT_EQ(client->measurement().accounting.residual(), 0);
        EXPECT_EQ(client->measurement().transactions.residual(), 0);
        EXPECT_EQ(client->measurement().local_errors, 0U);
    }
    [[nodiscard]] const Generator::Measurement& m() const { return client->measurement(); }

    static inline const std::string request = std::string(100, 'q');
    static inline const std::vector<std::byte> response{200, std::byte{7}};
    static inline const std::vector<std::byte> block{10'000, std::byte{7}};
    static inline const HttpResponse keeping{64, true}, closing{64, false};
    Duration step = 100us;
    Instant now{1s};
    Stack client_stack{config_of(false), pool()};
    Stack server_stack{config_of(true), pool()};
    std::unique_ptr<Generator> client;
    Responder* responder = nullptr;
};

TEST_F(TransactionRun, ConnectionsCarryTheirCountWithThinkTimesBetweenAndSoManyAreOpen) {
    RequestResponder server(response, 100, slots);
    serve(server);
    start({.recipe = Recipe::rr,
           .transactions = 5,
           .comes_and_goes = true,
           .sizes = {.think = Distribution::fixed(10e6)},
           .window = 20,
           .ramp = 200ms,
           .duration = 2s});
    run_until(now + 10s, [&] { return client->phase() == Phase::measured; });
    std::uint64_t least = UINT64_MAX, most = 0;
    run_until(now + 10s, [&] {
        least = std::min(least, client->open());
        most = std::max(most, client->open());
        return client->phase() == Phase::draining;
    });
    EXPECT_GE(least, 10U) << "those whose ends come together are opened anew at the next turn";
    EXPECT_EQ(most, 20U);
    run_to_the_end();
    // Four think times a connection, and some steps for handshake, transactions and close.
    const double stay = 4 * 10.0 + 15 * 0.1;
    EXPECT_NEAR(static_cast<double>(m().accounting.attempted), 20 * 2000 / stay, 20 * 2000 / stay * 0.05);
    EXPECT_EQ(m().accounting.completed, m().accounting.attempted);
    EXPECT_EQ(m().transactions.answered, 5 * m().all.completed);
    EXPECT_EQ(server.totals().requests, m().transactions.answered);
    EXPECT_EQ(m().latency.actual.transaction.min(), 200'000U);
    EXPECT_LE(m().latency.intended.transaction.max(), 300'000U) << "a think time ends between two steps";
    EXPECT_GE(m().latency.actual.close.min(), 40'000'000U);
}

TEST_F(TransactionRun, AtARateConnectionsBeginOnScheduleHoweverLongTheyStay) {
    RequestResponder server(response, 100, slots);
    serve(server);
    start({.recipe = Recipe::rr,
           .rate = 200.0,
           .transactions = 3,
           .comes_and_goes = true,
           .sizes = {.think = Distribution::uniform(50e6, 150e6)},
           .ramp = 500ms,
           .duration = 2s});
    run_until(now + 10s, [&] { return client->phase() == Phase::measured; });
    run_until(now + 1s);
    EXPECT_NEAR(static_cast<double>(client->open()), 200 * 0.2, 6) << "two think times of 100 ms on average";
    run_to_the_end();
    EXPECT_EQ(m().accounting, (Accounting{.attempted = 400, .established = 400, .completed = 400}));
    EXPECT_EQ(m().transactions.answered, 3 * 500U);
    EXPECT_EQ(m().latency.intended.ttlb.count(), 400U);
}

TEST_F(TransactionRun, DrawnSizesAreToldToTheServerAndArriveToTheOctet) {
    SizedResponder server(block, slots);
    serve(server);
    start({.recipe = Recipe::rr,
           .connections = 10,
           .sizes = {.request = parse_sizes("8,100,5000"), .response = parse_sizes("uniform:1-60000")},
           .ramp = 50ms,
           .duration = 500ms});
    run_to_the_end();
    EXPECT_EQ(m().accounting, (Accounting{.attempted = 10, .established = 10, .completed = 10}));
    EXPECT_GT(m().transactions.answered, 1000U);
    EXPECT_EQ(m().transactions.answered, m().transactions.asked);
    EXPECT_EQ(server.totals().requests, m().transactions.answered);
    EXPECT_EQ(server.totals().bad_requests, 0U);
    EXPECT_EQ(server.totals().octets_out, m().all.octets_received);
    const double mean =
        static_cast<double>(m().all.octets_received) / static_cast<double>(m().transactions.answered);
    EXPECT_NEAR(mean, 30'000, 2'000);
    const double asked =
        static_cast<double>(server.totals().octets_in) / static_cast<double>(server.totals().requests);
    EXPECT_NEAR(asked, (8 + 100 + 5000) / 3.0, 100);
}

TEST_F(TransactionRun, WhatIsNoSizedRequestEndsTheConnection) {
    SizedResponder server(block, slots);
    serve(server);
    // The plain client sends its 100 octets of 'q', whose first four say some 1.9 G.
    start({.recipe = Recipe::rr, .connections = 5, .duration = 100ms});
    run_to_the_end();
    EXPECT_EQ(m().accounting.reset, 5U);
    EXPECT_EQ(m().transactions.lost, 5U);
    EXPECT_EQ(server.totals().bad_requests, 5U);
}

TEST_F(TransactionRun, RateOfTransactionsIsOfferedOnKeptConnectionsAndAccountedFor) {
    RequestResponder server(response, 100, slots);
    serve(server);
    start({.recipe = Recipe::rr, .rate = 5000.0, .connections = 20, .ramp = 200ms, .duration = 2s});
    run_to_the_end();
    EXPECT_EQ(m().accounting, (Accounting{.attempted = 20, .established = 20, .completed = 20}));
    EXPECT_NEAR(static_cast<double>(m().window.transactions), 10'000, 5);
    EXPECT_EQ(m().latency.actual.transaction.count(), 10'000U);
    EXPECT_EQ(m().transactions.unsent, 0U);
    EXPECT_GE(m().transactions.planned, 11'000U);
    EXPECT_EQ(m().transactions.planned, m().transactions.asked);
    EXPECT_LE(m().latency.intended.transaction.max(), 300'000U);
}

TEST_F(TransactionRun, RateAboveWhatTheConnectionsCarryIsUnsentAndTheSumCloses) {
    RequestResponder server(response, 100, slots);
    serve(server, {.delay = Distribution::fixed(10e6)});
    // Two connections carry some 195 a second.
    start({.recipe = Recipe::rr, .rate = 1000.0, .max_lag = 200ms, .connections = 2, .duration = 2s});
    run_to_the_end();
    EXPECT_NEAR(static_cast<double>(m().window.transactions), 390, 10);
    // What waited at the end of the window had its 200 ms too.
    EXPECT_NEAR(static_cast<double>(m().transactions.unsent), 2000 - 390 - 39, 12);
    EXPECT_GE(m().latency.intended.transaction.percentile(50), 190'000'000U);
    EXPECT_LE(m().latency.actual.transaction.percentile(99), 11'000'000U);
}

// -- is it true what is measured?

struct Truth {
    const char* name;
    Recipe recipe;
    Distribution delay;
};
class EachTruth : public TransactionRun, public testing::WithParamInterface<Truth> {};

TEST_P(EachTruth, ServerThatDelaysByADistributionIsMeasuredWithinTwoPercentAtEachPercentile) {
    const auto& [name, recipe, delay] = GetParam();
    step = 25us;
    RequestResponder rr(response, 100, slots);
    HttpResponder http(keeping, closing, slots);
    OneShotResponder crr(response, 100);
    Responder* const server = recipe == Recipe::rr     ? static_cast<Responder*>(&rr)
                              : recipe == Recipe::http ? static_cast<Responder*>(&http)
                                                       : &crr;
    serve(*server, {.delay = delay});
    const bool kept = recipe != Recipe::crr;
    // Each quantile of the server's draws once: the percentiles are not a matter of luck.
    start({.recipe = recipe,
           .rate = Draws::count / 4.0,
           .connections = kept ? 1500 : UINT64_MAX,
           .window = 1500,
           .duration = 4s,
           .drain = 10s});
    run_to_the_end();
    EXPECT_EQ(m().accounting.completed, m().accounting.attempted);
    const Histogram& measured = kept ? m().latency.actual.transaction : m().latency.actual.ttlb;
    const Histogram& intended = kept ? m().latency.intended.transaction : m().latency.intended.ttlb;
    EXPECT_NEAR(static_cast<double>(measured.count()), Draws::count, 2);
    // Of crr the handshake, and the request and its answer: a step for each segment.
    const double path = (kept ? 2.0 : 4.0) * static_cast<double>(step.count());
    for (const double percent : {1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9}) {
        const double known = delay.quantile(percent / 100) + path;
        EXPECT_NEAR(static_cast<double>(measured.percentile(percent)), known, 0.02 * known) << percent;
        EXPECT_NEAR(static_cast<double>(intended.percentile(percent)), known, 0.02 * known) << percent;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Latency, EachTruth,
    testing::Values(Truth{"rr_lognormal", Recipe::rr, Distribution::lognormal(30e6, 0.4)},
                    Truth{"rr_uniform", Recipe::rr, Distribution::uniform(5e6, 100e6)},
                    Truth{"rr_pareto", Recipe::rr, Distribution::pareto(10e6, 3)},
                    Truth{"http_lognormal", Recipe::http, Distribution::lognormal(30e6, 0.4)},
                    Truth{"crr_uniform", Recipe::crr, Distribution::uniform(10e6, 60e6)}),
    [](const auto& one) { return std::string{one.param.name}; });

TEST_F(TransactionRun, StallOfTheServerShowsInTheIntendedTimesAndHardlyInTheActualOnes) {
    RequestResponder server(response, 100, slots);
    serve(server, {.stall = {.length = 200ms, .every = 1s}});
    // Four stalls of a fifth of a second each: four fifths of what is planned meet none.
    start({.recipe = Recipe::rr, .rate = 1000.0, .max_lag = 10s, .connections = 5, .duration = 4s});
    run_to_the_end();
    EXPECT_EQ(m().transactions.unsent, 0U);
    EXPECT_EQ(m().transactions.answered, m().transactions.planned);
    const Histogram &intended = m().latency.intended.transaction, &actual = m().latency.actual.transaction;
    ASSERT_NEAR(static_cast<double>(intended.count()), 4000, 1);
    // What was to come in a stall of 200 ms waits for its rest, evenly from 0 to 200 ms; three stalls lie
    // within the window, and a fourth begins with its end.
    const auto share_above = [](const Histogram& h, double ms) {
        double low = 0, high = 100;
        for (int i = 0; i < 40; ++i) {
            const double middle = (low + high) / 2;
            (static_cast<double>(h.percentile(middle)) > ms * 1e6 ? high : low) = middle;
        }
        return 1 - low / 100;
    };
    for (const double ms : {20.0, 50.0, 100.0, 150.0, 180.0})
        EXPECT_NEAR(share_above(intended, ms), 3 * (200 - ms + 6) / 4000, 0.008) << ms;
    EXPECT_GE(intended.percentile(99), 180'000'000U);
    // Only those that were under way when it began, one a connection: 15 of 4,000.
    EXPECT_LE(actual.percentile(99), 1'000'000U);
    EXPECT_NEAR(share_above(actual, 100), 15.0 / 4000, 0.0013);
    EXPECT_GE(actual.max(), 190'000'000U);
}

TEST_F(TransactionRun, ClosedLoopCannotSeeTheStall) {
    RequestResponder server(response, 100, slots);
    serve(server, {.stall = {.length = 200ms, .every = 1s}});
    start({.recipe = Recipe::rr, .connections = 5, .duration = 4s});
    run_to_the_end();
    EXPECT_LE(m().latency.intended.transaction.percentile(99.9), 1'000'000U);
}

// -- HTTP

TEST_F(TransactionRun, HttpKeepsItsConnectionsAndCountsStatuses) {
    HttpResponder server(keeping, closing, slots);
    serve(server);
    start({.recipe = Recipe::http, .connections = 10, .duration = 500ms});
    run_to_the_end();
    EXPECT_EQ(m().accounting, (Accounting{.attempted = 10, .established = 10, .completed = 10}));
    EXPECT_GT(m().transactions.answered, 10'000U);
    EXPECT_EQ(m().http.statuses[200], m().transactions.answered);
    EXPECT_EQ(m().http.body_octets, 64 * m().transactions.answered);
    EXPECT_EQ(server.totals().requests, m().transactions.answered);
    EXPECT_THAT(m().http.errors_in_words(), ElementsAre());
}

TEST_F(TransactionRun, HttpAsksInTurnWithHeadersBodiesAndSizes) {
    // Says what it was asked.
    struct Scribe final : Responder {
        std::string heard;
        tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
            heard.append(rte_pktmbuf_mtod(&payload, const char*), rte_pktmbuf_data_len(&payload));
            (void)connection.consume(rte_pktmbuf_pkt_len(&payload));
            (void)connection.send_static(keeping.all());
            return tcp::Ownership::returned;
        }
        void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
    } scribe;
    serve(scribe);
    start({.recipe = Recipe::http,
           .connections = 1,
           .transactions = 2,
           .comes_and_goes = true,
           .sizes = {.request = Distribution::fixed(5)},
           .http = {.asks = {{"POST", "/form"}, {"GET", "/x?y=1"}},
                    .headers = {"Accept: */*"},
                    .host = "test.example"},
           .duration = 1s});
    run_to_the_end();
    const std::string filler(5, '\x07');
    EXPECT_EQ(scribe.heard,
              "POST /form HTTP/1.1\r\nHost: test.example\r\nAccept: */*\r\nContent-Length: 5\r\n\r\n" +
                  filler +
                  "GET /x?y=1 HTTP/1.1\r\nHost: test.example\r\nAccept: */*\r\nConnection: close\r\n"
                  "Content-Length: 5\r\n\r\n" +
                  filler);
    EXPECT_EQ(m().accounting, (Accounting{.attempted = 1, .established = 1, .completed = 1}));
}

TEST_F(TransactionRun, HttpResponseOfADrawnSizeIsAskedForByItsPath) {
    HttpResponder server(keeping, closing, slots);
    serve(server);
    start({.recipe = Recipe::http,
           .connections = 4,
           .sizes = {.response = parse_sizes("1,100000")},
           .duration = 500ms});
    run_to_the_end();
    EXPECT_EQ(m().accounting.completed, 4U);
    EXPECT_GT(m().transactions.answered, 100U);
    const double mean =
        static_cast<double>(m().http.body_octets) / static_cast<double>(m().transactions.answered);
    EXPECT_NEAR(mean, 50'000, 10'000);
    EXPECT_EQ(m().http.statuses[200], m().transactions.answered);
}

TEST_F(TransactionRun, HttpConnectionThatTheServerEndsInOrderIsOpenedAnew) {
    HttpResponder server(keeping, closing, slots);
    serve(server);
    start({.recipe = Recipe::http, .connections = 10, .http = {.keep_alive = false}, .duration = 500ms});
    run_to_the_end();
    EXPECT_GT(m().all.started, 1000U);
    EXPECT_EQ(m().accounting.completed, m().accounting.attempted);
    EXPECT_EQ(m().transactions.answered, m().transactions.asked);
    EXPECT_EQ(m().http.statuses[200], m().transactions.answered);
}

TEST_F(TransactionRun, HttpServerThatSpeaksAnotherLanguageIsNamedInWords) {
    EchoResponder echo(slots);
    serve(echo);
    start({.recipe = Recipe::http, .connections = 3, .duration = 100ms});
    run_to_the_end();
    EXPECT_EQ(m().accounting.reset, 3U);
    EXPECT_EQ(m().transactions.lost, 3U);
    ASSERT_EQ(m().http.errors_in_words().size(), 1U);
    EXPECT_THAT(m().http.errors_in_words()[0], HasSubstr(": 3"));
}

TEST_F(TransactionRun, HttpServerThatDelaysAnswersEachPipelinedRequestOnceAndInOrder) {
    HttpResponder server(keeping, closing, slots);
    serve(server, {.delay = Distribution::uniform(1e6, 5e6)});
    // Three requests at once, of which the last asks for the end.
    struct Pipeliner final : tcp::Handler {
        std::string heard;
        bool over = false;
        void established(tcp::Connection connection) noexcept override {
            static const std::string text =
                "GET /bytes/3 HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\nGET /bytes/0 HTTP/1.1\r\nConnection: "
                "close\r\n\r\n";
            (void)connection.send_static(std::as_bytes(std::span{text}));
        }
        tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
            heard.append(rte_pktmbuf_mtod(&payload, const char*), rte_pktmbuf_data_len(&payload));
            (void)connection.consume(rte_pktmbuf_pkt_len(&payload));
            return tcp::Ownership::returned;
        }
        void peer_closed(tcp::Connection connection) noexcept override {
            over = true;
            (void)connection.close();
        }
    } pipeliner;
    start({.recipe = Recipe::rr, .connections = 0, .duration = 1s});
    client_stack.advance(now);
    ASSERT_EQ(
        client_stack.connect({.remote_address = server_address, .remote_port = 80, .handler = &pipeliner})
            .error,
        tcp::Error::none);
    const Instant begin = now;
    run_until(now + 1s, [&] { return pipeliner.over; });
    EXPECT_TRUE(pipeliner.over);
    EXPECT_GE(now - begin, 1ms);
    EXPECT_EQ(server.totals().requests, 3U);
    const auto head = [](int size, const char* connection) {
        return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(size) +
               "\r\nConnection: " + connection + "\r\n\r\n";
    };
    EXPECT_EQ(pipeliner.heard, head(3, "keep-alive") + "xxx" + head(64, "keep-alive") + head(0, "close"));
}

struct Reply {
    const char* name;
    std::string text;
    HttpReader::Event event;
    unsigned status;
    std::uint64_t body;
    bool keeps;
};
class EachReply : public testing::TestWithParam<Reply> {};

TEST_P(EachReply, IsReadHoweverItIsCut) {
    const Reply& reply = GetParam();
    for (std::size_t piece = 1; piece <= reply.text.size(); piece = piece * 2 + 1) {
        HttpReader reader;
        HttpCounts counts;
        HttpReader::Event event = HttpReader::Event::need_more;
        for (std::size_t at = 0; at < reply.text.size() && event == HttpReader::Event::need_more; at += piece)
            event = reader.read(std::span{reply.text}.subspan(at, std::min(piece, reply.text.size() - at)),
                                counts);
        if (event == HttpReader::Event::need_more) event = reader.end(counts);
        EXPECT_EQ(event, reply.event) << piece;
        EXPECT_EQ(counts.body_octets, reply.body) << piece;
        if (reply.event != HttpReader::Event::response) {
            EXPECT_EQ(counts.errors_in_words().size(), 1U);
            continue;
        }
        EXPECT_EQ(counts.statuses[reply.status], 1U) << piece;
        EXPECT_EQ(reader.keeps(), reply.keeps) << piece;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Http, EachReply,
    testing::Values(
        Reply{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", HttpReader::Event::response, 200,
              5, true},
        Reply{"chunked",
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: "
              "b\r\n\r\n",
              HttpReader::Event::response, 200, 11, true},
        Reply{"until_the_end", "HTTP/1.0 200 OK\r\n\r\nhello", HttpReader::Event::response, 200, 5, false},
        Reply{"close", "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
              HttpReader::Event::response, 404, 0, false},
        Reply{"after_continue", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
              HttpReader::Event::response, 204, 0, true},
        Reply{"not_modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
              HttpReader::Event::response, 304, 0, true},
        Reply{"cut_off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", HttpReader::Event::bad, 0, 3,
              false},
        Reply{"cut_off_in_a_chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
              HttpReader::Event::bad, 0, 2, false},
        Reply{"no_status", "HTTP/1.1 OK\r\n\r\n", HttpReader::Event::bad, 0, 0, false},
        Reply{"no_http", "220 mail.example ESMTP\r\n", HttpReader::Event::bad, 0, 0, false},
        Reply{"bad_chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
              HttpReader::Event::bad, 0, 0, false}),
    [](const auto& one) { return std::string{one.param.name}; });

TEST(HttpReader, HeadHasNoBodyAndWhatComesUnaskedIsSurplus) {
    HttpReader reader;
    HttpCounts counts;
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    reader.begin(true);
    EXPECT_EQ(reader.read(head, counts), HttpReader::Event::response);
    reader.begin(false);
    EXPECT_EQ(reader.read(head + "hello and more", counts), HttpReader::Event::bad);
    EXPECT_THAT(counts.errors_in_words(), ElementsAre("octets that were not asked for: 1"));
    EXPECT_EQ(counts.statuses[200], 2U);
}

}  // namespace
}  // namespace runnel::load
