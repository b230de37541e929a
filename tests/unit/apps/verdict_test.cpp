// Who was the limit, the target or the generator: servers and generators that are slow on purpose, in virtual
// time, and what the verdict says of each, with the exit status.
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runnel/stack/stack.hpp"

#include "engine/datagram_responder.hpp"
#include "engine/http.hpp"
#include "engine/measurement.hpp"
#include "engine/transfer_responders.hpp"
#include "two_ends.hpp"

namespace runnel::load {
namespace verdict_test {

using Phase = Generator::Phase;
using testing::HasSubstr;

using two_ends::client_address;
using two_ends::collect;
using two_ends::pool;
using two_ends::server_address;

constexpr std::uint32_t slots = 4096;

StackConfig config_of(bool server) {
    StackConfig config = two_ends::config_of(server, slots, 65536);
    config.udp.sockets = 256;
    return config;
}

// What is slow.
struct Slow {
    Duration answer{};      // of the server, each
    Duration stall{};       // of the generator's core, once, from the middle of the window on
    bool behind = false;    // the generator's core has never done when its next turn is due
    Duration step = 100us;  // of the clock: a turn of either side
};

// What of is asked for, 2,000 a second over two seconds.
struct Kind {
    const char* name;
    ClientOptions options;
};

class EachKind : public testing::TestWithParam<Kind> {
  protected:
    // Runs the recipe to its end; the judgement as `measure` makes it.
    Judgement run(const Slow& slow, const std::function<void(ClientOptions&)>& change = {}) {
        Stack client_stack{config_of(false), pool()}, server_stack{config_of(true), pool()};
        ClientOptions options = GetParam().options;
        options.first_local_address = client_address;
        options.remote_address = server_address;
        options.slots = slots;
        options.request = std::as_bytes(std::span{request});
        options.response_octets = answered.all().size();
        options.rate = 2000.0;
        options.duration = 2s;
        options.drain = 5s;
        if (change) change(options);

        OneShotResponder one_shot{answered.all(), static_cast<std::uint32_t>(request.size())};
        RequestResponder again{answered.all(), static_cast<std::uint32_t>(request.size()), slots};
        DatagramResponder datagrams{server_stack, {.key = {1, 2}}};
        Responder& responder = options.recipe == Recipe::crr ? static_cast<Responder&>(one_shot) : again;
        if (slow.answer > 0s) {
            const ServerBehaviour late{.delay =
                                           Distribution::fixed(static_cast<double>(slow.answer.count()))};
            responder.behave(late, slots, 5);
            datagrams.behave(late, 5);
        }
        server_stack.listen({.port = 80, .handler = &responder, .nagle = false});
        server_stack.udp().bind({}, 80, datagrams);
        const std::unique_ptr<Generator> client = make_client(client_stack, options);

        Instant now{1s};
        std::optional<Instant> middle;
        for (const Instant end = now + 60s; now < end && client->phase() != Phase::finished;
             now += slow.step) {
            if (client->phase() == Phase::measured && !middle) middle = now + options.duration / 2;
            if (client->phase() == Phase::held) client->release();
            std::vector<rte_mbuf*> to_client = taken(server_stack);
            const bool stalled = middle && now >= *middle && now < *middle + slow.stall;
            if (stalled) {
                waiting_.insert(waiting_.end(), to_client.begin(), to_client.end());
            } else {
                waiting_.insert(waiting_.end(), to_client.begin(), to_client.end());
                client->arrived(now);
                client_stack.receive(waiting_, now);
                waiting_.clear();
                client_stack.advance(now);
                if (slow.behind)
                    client->poll_behind(now);
                else
                    client->poll(now);
            }
            datagrams.arrived(now);
            const std::vector<rte_mbuf*> to_server = taken(client_stack);
            server_stack.receive(to_server, now);
            server_stack.advance(now);
            responder.poll(now);
            datagrams.poll(now);
        }
        EXPECT_EQ(client->phase(), Phase::finished);
        const Generator::Measurement& m = client->measurement();
        Result result;
        result.recipe = options.recipe;
        result.comes_and_goes = options.comes_and_goes;
        result.server_cores = 1;
        result.connections = m.accounting;
        result.transactions = m.transactions;
        result.datagrams = m.datagrams;
        result.asked_cps = options.rate;
        result.tps = static_cast<double>(m.window.transactions) / 2;
        EXPECT_EQ(m.accounting.residual(), 0);
        EXPECT_EQ(m.transactions.residual(), 0);
        result_ = result;
        return judge(result);
    }
    static std::vector<rte_mbuf*> taken(Stack& stack) {
        std::vector<rte_mbuf*> frames;
        std::array<rte_mbuf*, 64> burst;
        for (std::size_t n; (n = stack.transmit(burst)) > 0;)
            frames.insert(frames.end(), burst.begin(), burst.begin() + static_cast<std::ptrdiff_t>(n));
        return frames;
    }

    static inline const std::string request = http_request(server_address);
    static inline const HttpResponse answered{64, false};
    std::vector<rte_mbuf*> waiting_;  // in the queue of a port whose core is stalled
    Result result_;                   // of the last run
};

TEST_P(EachKind, WhereBothKeepUpTheResultIsValid) {
    const Judgement judgement = run({.answer = 2ms});
    EXPECT_EQ(judgement.verdict, Verdict::valid) << judgement.reason;
    EXPECT_EQ(judgement.exit_status(), ExitStatus::good);
}

TEST_P(EachKind, ServerThatIsSlowIsNamedAsTheLimit) {
    // Fifty at once, each for 100 ms: 500 a second.
    const Judgement judgement = run({.answer = 100ms});
    EXPECT_EQ(judgement.verdict, Verdict::failed) << judgement.reason;
    EXPECT_THAT(judgement.reason, HasSubstr("the target is the limit"));
    EXPECT_THAT(judgement.reason, HasSubstr("were not sent"));
    EXPECT_EQ(judgement.exit_status(), ExitStatus::goal_missed);
}

TEST_P(EachKind, GeneratorWhoseCoreStallsIsNamedAsTheLimitThoughTheServerIsQuick) {
    const Judgement judgement = run({.answer = 2ms, .stall = 700ms});
    EXPECT_EQ(judgement.verdict, Verdict::generator_limited) << judgement.reason;
    EXPECT_THAT(judgement.reason, HasSubstr("more was asked for than could be offered"));
    EXPECT_EQ(judgement.exit_status(), ExitStatus::generator_limited);
}

TEST_P(EachKind, GeneratorWhoseCoreIsAlwaysBehindIsNotTheServersFault) {
    // A turn takes a millisecond, and begins one: half of what is asked for.
    const Judgement judgement = run({.behind = true, .step = 1ms});
    EXPECT_EQ(judgement.verdict, Verdict::generator_limited) << judgement.reason;
    EXPECT_EQ(judgement.exit_status(), ExitStatus::generator_limited);
}

TEST_P(EachKind, ServerThatIsSlowDoesNotExcuseAGeneratorThatStalls) {
    // The server carries nine tenths; what the stall took of it is the generator's own.
    const Judgement judgement = run({.answer = 27ms, .stall = 900ms});
    EXPECT_EQ(judgement.verdict, Verdict::generator_limited) << judgement.reason;
}

TEST_P(EachKind, WindowThatIsTooNarrowIsNamed) {
    // One at once, and each takes some turns: the server is quick, but nobody can see that from here.
    const Judgement judgement = run({.answer = 2ms}, [](ClientOptions& options) {
        options.window = 1;
        if (options.connections < 1000) options.connections = 1;
        options.concurrency = options.concurrency > 0 ? 1 : 0;
    });
    EXPECT_EQ(judgement.verdict, Verdict::failed) << judgement.reason;
    EXPECT_THAT(judgement.reason, testing::AnyOf(HasSubstr("--window"), HasSubstr("--connections")));
    EXPECT_EQ(judgement.exit_status(), ExitStatus::goal_missed);
}

INSTANTIATE_TEST_SUITE_P(
    Verdicts, EachKind,
    testing::Values(Kind{"connections", {.recipe = Recipe::crr, .window = 50}},
                    Kind{"counted_transactions",
                         {.recipe = Recipe::rr, .transactions = 1, .comes_and_goes = true, .window = 50}},
                    Kind{"kept_transactions", {.recipe = Recipe::rr, .max_lag = 100ms, .connections = 50}},
                    Kind{"datagrams", {.recipe = Recipe::udp_rr, .connections = 4, .window = 50}}),
    [](const auto& one) { return std::string{one.param.name}; });

}  // namespace verdict_test
}  // namespace runnel::load
