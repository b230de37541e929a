// What a run is told while it goes, and what each kind of client does of it. Two stacks joined in memory, in
// virtual time.
#include "engine/control.hpp"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runnel/stack/stack.hpp"

#include "engine/arrivals.hpp"
#include "engine/http.hpp"
#include "engine/measurement.hpp"
#include "engine/transfer_responders.hpp"
#include "two_ends.hpp"

namespace runnel::load {
namespace control_test {

using Phase = Generator::Phase;
using testing::HasSubstr;

using two_ends::client_address;
using two_ends::collect;
using two_ends::pool;
using two_ends::server_address;

constexpr std::uint32_t slots = 4096;
constexpr Duration step = 100us;

StackConfig config_of(bool server) {
    return two_ends::config_of(server, slots, 65536);
}

class Told : public testing::Test {
  protected:
    void start(ClientOptions options) {
        options.first_local_address = client_address;
        options.remote_address = server_address;
        options.slots = slots;
        options.request = std::as_bytes(std::span{request});
        options.response_octets = response.size();
        options.block = block;
        client_side.reset();
        server_side.reset();
        client_side = std::make_unique<Stack>(config_of(false), pool());
        server_side = std::make_unique<Stack>(config_of(true), pool());
        responder = make_responder(options, response, slots);
        server_side->listen({.port = 80, .handler = responder.get(), .nagle = false});
        client = make_client(*client_side, options);
    }
    void run_for(
        Duration length, const std::function<bool()>& done = [] { return false; }) {
        for (const Instant end = now + length; now < end && !done(); now += step) {
            std::vector<rte_mbuf*> to_client, to_server;
            collect(*client_side, to_server);
            collect(*server_side, to_client);
            client->arrived(now);
            client_side->receive(to_client, now);
            client_side->advance(now);
            client->poll(now);
            if (deaf) {
                for (rte_mbuf* frame : to_server) rte_pktmbuf_free(frame);
                continue;
            }
            server_side->receive(to_server, now);
            server_side->advance(now);
        }
    }
    void run_to_the_end() {
        run_for(60s, [&] { return client->phase() >= Phase::held; });
        client->release();
        run_for(60s, [&] { return client->phase() == Phase::finished; });
        ASSERT_EQ(client->phase(), Phase::finished);
        run_for(5ms);
        EXPECT_EQ(client->open(), 0U);
        EXPECT_EQ(m().accounting.residual(), 0);
        EXPECT_EQ(m().transactions.residual(), 0);
    }
    [[nodiscard]] const Generator::Measurement& m() const { return client->measurement(); }
    [[nodiscard]] std::uint64_t started() const { return m().all.started; }
    [[nodiscard]] std::uint64_t answered() const { return m().all.transactions; }

    static inline const std::string request = std::string(100, 'q');
    static inline const std::vector<std::byte> response{200, std::byte{7}};
    static inline const std::vector<std::byte> block{10'000, std::byte{7}};
    Instant now{1s};
    bool deaf = false;
    // Stacks go first: they tell nobody any more then.
    std::unique_ptr<Responder> responder;
    std::unique_ptr<Generator> client;
    std::unique_ptr<Stack> client_side, server_side;
};

// -- schedules

TEST(ArrivalsTold, ChangedRateCountsOnFromWhereItStood) {
    constexpr Instant start{1s};
    for (const ArrivalProcess process : {ArrivalProcess::even, ArrivalProcess::poisson}) {
        Arrivals arrivals({.rate = 1000.0, .process = process}, start);
        Instant now = start;
        const auto run_until = [&](Instant end) {
            for (; now < end; now += 100us)
                while (arrivals.due(now)) arrivals.sent();
            return static_cast<double>(arrivals.attempted());
        };
        const double first = run_until(start + 2s);
        EXPECT_NEAR(first, 2000, process == ArrivalProcess::even ? 1 : 250);
        arrivals.change_rate(5000.0, now);
        const double second = run_until(start + 3s);
        EXPECT_NEAR(second - first, 5000, process == ArrivalProcess::even ? 2 : 400);
        arrivals.change_rate(0.01, now);
        EXPECT_LE(run_until(start + 5s) - second, 1);
        // The next one lay a hundred seconds ahead.
        arrivals.change_rate(1000.0, now);
        EXPECT_NEAR(run_until(start + 6s) - second, 1000, process == ArrivalProcess::even ? 2 : 180);
        EXPECT_EQ(arrivals.unsent(), 0U);
    }
}

TEST(ArrivalsTold, FromMaxToARateAndBack) {
    constexpr Instant start{1s};
    Arrivals arrivals({}, start);
    for (int i = 0; i < 100; ++i) arrivals.sent();
    arrivals.change_rate(10.0, start + 5s);
    EXPECT_TRUE(arrivals.open_loop());
    EXPECT_TRUE(arrivals.due(start + 5s));
    EXPECT_EQ(arrivals.intended(start + 9s), start + 5s);
    arrivals.sent();
    EXPECT_FALSE(arrivals.due(start + 5s + 99ms));
    EXPECT_TRUE(arrivals.due(start + 5s + 100ms));
    arrivals.change_rate(std::nullopt, start + 6s);
    EXPECT_FALSE(arrivals.open_loop());
    EXPECT_EQ(arrivals.intended(start + 7s), start + 7s);
    EXPECT_EQ(arrivals.attempted(), 101U);
}

TEST(ArrivalsTold, PauseShiftsTheScheduleAndGivesNothingUp) {
    constexpr Instant start{1s};
    for (const bool profile : {false, true}) {
        const LoadProfile steps = LoadProfile::parse("steps:100,200/1s");
        Arrivals arrivals({.rate = 100.0, .max_lag = 100ms, .profile = profile ? &steps : nullptr}, start);
        for (int i = 0; i < 50; ++i) arrivals.sent();
        const Instant next = arrivals.intended(start);
        arrivals.pause(start + 500ms);
        EXPECT_TRUE(arrivals.paused());
        EXPECT_FALSE(arrivals.due(start + 100s));
        EXPECT_EQ(arrivals.give_up(start + 100s), 0U);
        arrivals.resume(start + 10s + 500ms);
        EXPECT_EQ(arrivals.intended(start), next + 10s);
        arrivals.sent();
        EXPECT_NEAR(static_cast<double>((arrivals.intended(start) - next).count()), 10'010'000'000.0, 2.0);
    }
}

TEST(ArrivalsTold, RateChangedInAPauseHoldsFromItsEnd) {
    constexpr Instant start{1s};
    Arrivals arrivals({.rate = 100.0}, start);
    arrivals.sent();
    arrivals.pause(start + 5ms);
    arrivals.change_rate(1000.0, start + 1s);
    EXPECT_TRUE(arrivals.paused());
    EXPECT_FALSE(arrivals.due(start + 2s));
    arrivals.resume(start + 3s);
    EXPECT_TRUE(arrivals.due(start + 3s));
    arrivals.sent();
    EXPECT_FALSE(arrivals.due(start + 3s));
    EXPECT_TRUE(arrivals.due(start + 3s + 1ms));
}

// -- clients

TEST_F(Told, RateOfConnectionsChangesAndWhatWasPlannedAddsUp) {
    start({.recipe = Recipe::crr, .rate = 1000.0, .duration = 4s});
    run_for(1s);
    EXPECT_NEAR(static_cast<double>(started()), 1000, 2);
    client->change_rate(4000.0, now);
    run_for(1s);
    EXPECT_NEAR(static_cast<double>(started()), 5000, 4);
    client->change_rate(500.0, now);
    run_to_the_end();
    EXPECT_NEAR(static_cast<double>(m().accounting.attempted), 6000, 6);
    EXPECT_EQ(m().accounting.completed, m().accounting.attempted);
    EXPECT_EQ(m().latency.intended.handshake.count(), m().accounting.established);
}

TEST_F(Told, RateAfterMaxKeepsTheLatenciesOfBefore) {
    start({.recipe = Recipe::crr, .window = 8, .duration = 1s});
    run_for(200ms);
    const std::uint64_t before = started();
    client->change_rate(1000.0, now);
    run_to_the_end();
    EXPECT_NEAR(static_cast<double>(started() - before), 800, 10);
    EXPECT_EQ(m().latency.intended.handshake.count(), m().latency.actual.handshake.count());
    EXPECT_EQ(m().accounting.completed, m().accounting.attempted);
}

TEST_F(Told, PausedClientBeginsNothingAndWhatIsUnderWayEnds) {
    for (const bool rated : {true, false}) {
        start({.recipe = Recipe::crr,
               .rate = rated ? std::optional{2000.0} : std::nullopt,
               .window = 4,
               .duration = 3s});
        run_for(1s);
        client->pause(now);
        const std::uint64_t before = started();
        run_for(1s);
        EXPECT_EQ(started(), before);
        EXPECT_EQ(client->open(), 0U);
        EXPECT_EQ(m().all.completed, before);
        client->resume(now);
        run_to_the_end();
        EXPECT_GT(started(), before + 1900);
        EXPECT_EQ(m().accounting.unsent, 0U);
        EXPECT_EQ(m().accounting.completed, m().accounting.attempted);
        EXPECT_EQ(m().window_length, 3s);
    }
}

TEST_F(Told, PauseInTheRampLastsIntoTheWindow) {
    start({.recipe = Recipe::rst, .rate = 1000.0, .ramp = 500ms, .duration = 1s});
    run_for(100ms);
    client->pause(now);
    run_for(900ms);
    EXPECT_EQ(client->phase(), Phase::measured);
    EXPECT_NEAR(static_cast<double>(started()), 100, 2);
    client->resume(now);
    run_to_the_end();
    EXPECT_NEAR(static_cast<double>(m().accounting.attempted), 500, 5);
}

struct Stopped {
    Recipe recipe;
    Ending ending;
    std::uint32_t transactions;
};
class EachEnding : public Told, public testing::WithParamInterface<Stopped> {};

TEST_P(EachEnding, AsToldAndTheAccountingCloses) {
    const auto [recipe, ending, transactions] = GetParam();
    ClientOptions options{.recipe = recipe, .transactions = transactions, .window = 16, .duration = 30s};
    options.comes_and_goes = transactions > 0;
    options.drain = 3s;
    if (keeps_connections(recipe) && !options.comes_and_goes) options.connections = 50;
    if (recipe == Recipe::http) options.sizes.set_missing(0);
    if (recipe == Recipe::rr && transactions > 0) options.rate = 1000.0;
    // Not all in step, so that some are on each step of their way.
    if (recipe == Recipe::crr) options.rate = 5000.0;
    start(options);
    run_for(100ms);
    ASSERT_EQ(client->phase(), Phase::measured);
    // What is under way now gets no answer.
    deaf = recipe != Recipe::stream || ending == Ending::reset;
    run_for(1ms);
    const std::uint64_t resets = client_side->counters().get(Counter::tcp_resets_out);
    const std::uint64_t open = client->open();
    ASSERT_GT(open, 0U);
    client->stop(ending);
    const Instant told = now;
    run_for(10ms, [&] { return client->phase() >= Phase::held; });
    client->release();
    run_for(10ms, [&] { return client->phase() == Phase::finished; });
    if (ending != Ending::reset) deaf = false;
    run_for(60s, [&] { return client->phase() == Phase::finished; });
    ASSERT_EQ(client->phase(), Phase::finished);
    const Duration taken = now - told;
    run_for(5ms);
    EXPECT_EQ(m().accounting.residual(), 0);
    EXPECT_EQ(m().transactions.residual(), 0);
    const std::uint64_t reset_by_us = client_side->counters().get(Counter::tcp_resets_out) - resets;
    if (ending == Ending::reset) {
        EXPECT_LE(taken, 10ms);
        EXPECT_GT(reset_by_us, 0U);
        EXPECT_GT(m().accounting.in_flight, 0U);
    } else if (ending == Ending::fin && recipe != Recipe::stream) {
        // Its FIN, not its answer. What has not been established yet has nothing to end: a SYN-ACK gets RST.
        EXPECT_GT(m().accounting.in_flight, 0U);
        EXPECT_LT(reset_by_us, recipe == Recipe::crr ? m().accounting.in_flight : 1U);
    } else {
        EXPECT_EQ(m().accounting.in_flight, 0U);
        EXPECT_EQ(reset_by_us, 0U);
    }
    EXPECT_EQ(client->open(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Stop, EachEnding,
    testing::Values(Stopped{Recipe::crr, Ending::drain, 0}, Stopped{Recipe::crr, Ending::fin, 0},
                    Stopped{Recipe::crr, Ending::reset, 0}, Stopped{Recipe::rr, Ending::drain, 0},
                    Stopped{Recipe::rr, Ending::fin, 0}, Stopped{Recipe::rr, Ending::reset, 0},
                    Stopped{Recipe::rr, Ending::fin, 1000}, Stopped{Recipe::rr, Ending::reset, 1000},
                    Stopped{Recipe::stream, Ending::drain, 0}, Stopped{Recipe::stream, Ending::fin, 0},
                    Stopped{Recipe::stream, Ending::reset, 0}),
    [](const auto& one) {
        return fmt::format("{}{}_{}", to_string(one.param.recipe),
                           one.param.transactions > 0 ? "Counted" : "", to_string(one.param.ending));
    });

TEST_F(Told, KeptRrConnectionsRestInAPauseAndAllGoOn) {
    start({.recipe = Recipe::rr, .connections = 100, .duration = 400ms});
    run_for(100ms);
    client->pause(now);
    run_for(10ms);
    const std::uint64_t before = answered();
    EXPECT_EQ(m().transactions.asked, before);  // none is left without its answer
    run_for(100ms);
    EXPECT_EQ(answered(), before);
    client->resume(now);
    run_for(10ms);
    EXPECT_GE(answered(), before + 100);
    run_to_the_end();
    EXPECT_EQ(m().accounting.completed, 100U);
    EXPECT_EQ(m().transactions.in_flight, 0U);
    EXPECT_FALSE(client->has_rate());
}

TEST_F(Told, PausedConnectionsThatAreKeptEndInOrderWhenTheWindowEnds) {
    for (const double rate : {0.0, 1000.0}) {
        start({.recipe = Recipe::rr,
               .rate = rate > 0 ? std::optional{rate} : std::nullopt,
               .connections = 100,
               .duration = 200ms});
        run_for(100ms);
        client->pause(now);
        run_to_the_end();
        EXPECT_EQ(m().accounting.completed, 100U);
        EXPECT_EQ(m().transactions.in_flight + m().transactions.lost, 0U);
    }
}

TEST_F(Told, RateOfTransactionsChanges) {
    start({.recipe = Recipe::rr, .rate = 1000.0, .connections = 100, .duration = 3s});
    run_for(1s);
    client->change_rate(3000.0, now);
    run_for(1s);
    EXPECT_NEAR(static_cast<double>(answered()), 4000, 20);
    client->change_rate(std::nullopt, now);
    run_for(20ms);
    EXPECT_GT(answered(), 5000U);  // as fast as the connections carry
    client->change_rate(1000.0, now);
    run_to_the_end();
    EXPECT_EQ(m().transactions.lost + m().transactions.in_flight + m().transactions.unsent, 0U);
}

TEST_F(Told, TransactionsOfConnectionsThatComeAndGoRestInAPause) {
    ClientOptions options{
        .recipe = Recipe::rr, .rate = 200.0, .transactions = 50, .window = 64, .duration = 2s};
    options.comes_and_goes = true;
    options.sizes.think = Distribution::fixed(5e6);
    start(options);
    run_for(1s);
    client->pause(now);
    run_for(10ms);
    const std::uint64_t before = answered(), connections = started();
    run_for(500ms);
    EXPECT_EQ(answered(), before);
    EXPECT_EQ(started(), connections);
    EXPECT_GT(client->open(), 0U);
    client->resume(now);
    run_for(50ms);
    EXPECT_GT(answered(), before);
    run_to_the_end();
    EXPECT_EQ(m().accounting.completed, m().accounting.attempted);
    EXPECT_EQ(m().transactions.answered, 50 * m().accounting.completed);
}

TEST_F(Told, StreamsOfBothDirectionsStandStillInAPauseAndLoseNothing) {
    start({.recipe = Recipe::stream, .direction = Direction::both, .connections = 4, .duration = 400ms});
    run_for(100ms);
    client->pause(now);
    run_for(50ms);  // what is on its way arrives, and fills the windows
    const std::uint64_t received = m().all.octets_received, sent = m().all.octets_sent;
    run_for(50ms);
    EXPECT_EQ(m().all.octets_received, received);
    EXPECT_EQ(m().all.octets_sent, sent);
    client->resume(now);
    run_for(50ms);
    EXPECT_GT(m().all.octets_received, received);
    EXPECT_GT(m().all.octets_sent, sent);
    run_to_the_end();
    EXPECT_EQ(m().accounting.completed, 4U);
    EXPECT_EQ(responder->totals().octets_in, m().all.octets_sent);
    EXPECT_EQ(responder->totals().octets_out, m().all.octets_received);
}

TEST_F(Told, HeldConnectionsAreOpenedAtAnotherRateAndPaused) {
    start({.recipe = Recipe::hold, .rate = 100.0, .connections = 1000, .duration = 2s});
    run_for(500ms);
    client->change_rate(1000.0, now);
    client->pause(now);
    const std::uint64_t before = started();
    run_for(200ms);
    EXPECT_EQ(started(), before);
    client->resume(now);
    run_for(500ms);
    EXPECT_NEAR(static_cast<double>(started() - before), 500, 3);
    run_to_the_end();
    EXPECT_EQ(m().accounting.completed, 1000U);
    EXPECT_EQ(m().closed_in_order, 1000U);
}

TEST_F(Told, HeldConnectionsAreResetAtOnceWhereToldSo) {
    start({.recipe = Recipe::hold, .connections = 500, .duration = 30s});
    run_for(500ms);
    EXPECT_EQ(client->open(), 500U);
    client->stop(Ending::reset);
    run_to_the_end();
    EXPECT_EQ(m().closed_in_order, 0U);
    EXPECT_GE(client_side->counters().get(Counter::tcp_resets_out), 500U);
}

// -- what a view shows of flags

TEST_F(Told, EachFlagIsCountedOnceADirection) {
    for (const Recipe recipe : {Recipe::crr, Recipe::rst}) {
        start({.recipe = recipe, .connections = 100, .window = 16, .duration = 10s});
        run_to_the_end();
        const Counters& client_counts = client_side->counters();
        const Counters& server_counts = server_side->counters();
        using enum Counter;
        const std::uint64_t fins = recipe == Recipe::rst ? 0 : 100;
        for (const auto& [out, in, expected] : {std::tuple{tcp_syns_out, tcp_syns_in, std::uint64_t{100}},
                                                std::tuple{tcp_fins_out, tcp_fins_in, fins},
                                                std::tuple{tcp_resets_out, tcp_resets_in, 100 - fins}}) {
            EXPECT_EQ(client_counts.get(out), expected) << static_cast<int>(out);
            EXPECT_EQ(server_counts.get(in), expected) << static_cast<int>(in);
        }
        EXPECT_EQ(server_counts.get(tcp_syn_acks_out), 100U);
        EXPECT_EQ(client_counts.get(tcp_syn_acks_in), 100U);
        EXPECT_EQ(server_counts.get(tcp_fins_out), fins);
        EXPECT_EQ(client_counts.get(tcp_fins_in), fins);
        EXPECT_EQ(client_counts.get(tcp_syns_in) + server_counts.get(tcp_syns_out), 0U);
    }
}

TEST(Judge, CallsNoFailureWhatWasCutOffByOrder) {
    const Accounting cut{.attempted = 10, .established = 10, .in_flight = 10};
    EXPECT_EQ(judge(cut, std::nullopt).verdict, Verdict::failed);
    EXPECT_EQ(judge(cut, std::nullopt, false, true).verdict, Verdict::valid);
    const Accounting broken{.attempted = 10, .established = 10, .reset = 1, .in_flight = 9};
    EXPECT_EQ(judge(broken, std::nullopt, false, true).verdict, Verdict::failed);
}

// -- what a run takes of orders

TEST(Control, TakesOnlyWhatTheRunCanDoAndSaysWhyNot) {
    Control control;
    EXPECT_THAT(control.ask({.kind = Order::Kind::pause}).sentence, HasSubstr("has not begun"));
    control.begin(false, true, std::nullopt);
    const Control::Answer rate = control.ask({.kind = Order::Kind::rate, .rate = 5.0});
    EXPECT_FALSE(rate.accepted);
    EXPECT_THAT(rate.sentence, HasSubstr("no rate to change"));
    EXPECT_FALSE(control.ask({.kind = Order::Kind::resume}).accepted);
    EXPECT_TRUE(control.ask({.kind = Order::Kind::pause, .by = "test"}).accepted);
    EXPECT_FALSE(control.ask({.kind = Order::Kind::pause}).accepted);
    EXPECT_TRUE(control.state().paused);
    EXPECT_TRUE(control.ask({.kind = Order::Kind::resume}).accepted);
    EXPECT_TRUE(control.ask({.kind = Order::Kind::stop}).accepted);
    EXPECT_FALSE(control.ask({.kind = Order::Kind::resume}).accepted);
    const std::vector<Order> orders = control.take();
    ASSERT_EQ(orders.size(), 3U);
    EXPECT_EQ(orders[0].by, "test");
    EXPECT_EQ(orders[2].ending, Ending::drain);
    EXPECT_TRUE(control.take().empty());
    control.end();
    EXPECT_FALSE(control.state().running);
}

TEST(Control, BoundsOrdersThatNobodyTakes) {
    Control control;
    control.begin(true, true, 10.0);
    int accepted = 0;
    for (int i = 0; i < 1000; ++i)
        accepted += control.ask({.kind = Order::Kind::rate, .rate = 1.0 + i}).accepted ? 1 : 0;
    EXPECT_EQ(accepted, 64);
    EXPECT_EQ(control.take().size(), 64U);
    EXPECT_FALSE(control.ask({.kind = Order::Kind::rate, .rate = 0.0}).accepted);
    EXPECT_EQ(control.state().rate, 64.0);
}

TEST(Control, StopsAsTheRunWasSetUpUnlessTheOrderSaysOtherwise) {
    for (const auto& [given, expected] : {std::pair{std::optional<Ending>{}, Ending::reset},
                                          std::pair{std::optional{Ending::fin}, Ending::fin}}) {
        Control control(Ending::reset);
        control.begin(true, true, std::nullopt);
        EXPECT_TRUE(control.ask({.kind = Order::Kind::stop, .ending = given}).accepted);
        EXPECT_EQ(control.take().at(0).ending, expected);
    }
    EXPECT_EQ(parse_ending("rst"), Ending::reset);
    EXPECT_EQ(parse_ending("kill"), std::nullopt);
}

}  // namespace control_test
}  // namespace runnel::load
