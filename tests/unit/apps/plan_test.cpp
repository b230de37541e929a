// The arithmetic before the start: ports, tables, memory.
#include "engine/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runnel::load {
namespace plan_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

TEST(Plan, SharesAddUpToWhatWasAsked) {
    Traffic traffic{.rate = 1000, .connections = 10};
    std::uint64_t connections = 0;
    double rate = 0;
    for (unsigned i = 0; i < 3; ++i) {
        const CorePlan plan = plan_core(traffic, 3, i);
        connections += plan.client.connections;
        rate += *plan.client.rate;
    }
    EXPECT_EQ(connections, 10U);
    EXPECT_DOUBLE_EQ(rate, 1000.0);
}

TEST(Plan, HoldNeedsToKnowHowMany) {
    EXPECT_THAT([] { (void)plan_core({.recipe = Recipe::hold}, 1, 0); },
                ThrowsMessage<BadPlan>(HasSubstr("--connections")));
}

TEST(Plan, HoldHasRoomAndPortsForAllItKeeps) {
    const Traffic traffic{.recipe = Recipe::hold, .connections = 1'000'000};
    const CorePlan plan = plan_core(traffic, 1, 0);
    EXPECT_GE(plan.client_tcp.connections, 1'000'000U);
    EXPECT_GE(plan.server_tcp.connections, 1'000'000U);
    EXPECT_GE(std::uint64_t{plan.client_addresses} * ports_per_address(traffic.tcp), 1'000'000U);
    EXPECT_NO_THROW(check_addresses(traffic, plan, plan.client_addresses));
    EXPECT_THAT([&] { check_addresses(traffic, plan, 1); },
                ThrowsMessage<BadPlan>(AllOf(HasSubstr("1000000"), HasSubstr("16 client addresses"))));
}

TEST(Plan, CoresThatShareAddressesHaveTheirPartOfThePorts) {
    const Traffic traffic{.recipe = Recipe::hold, .connections = 100'000};
    const CorePlan alone = plan_core(traffic, 4, 0), sharing = plan_core(traffic, 4, 0, true);
    EXPECT_EQ(alone.client_addresses, 1U);
    EXPECT_EQ(sharing.client_addresses,
              3U);  // half as many again as the 25,512 that are used, of 15,120 each
    EXPECT_NO_THROW(check_addresses(traffic, alone, 1));
    EXPECT_NO_THROW(check_addresses(traffic, sharing, 2));
    EXPECT_THAT([&] { check_addresses(traffic, sharing, 1); },
                ThrowsMessage<BadPlan>(AllOf(HasSubstr("2 client addresses"), HasSubstr("15120 ports"))));
    EXPECT_GE(ports_per_address(traffic.tcp, 64), 900U);
    EXPECT_EQ(ports_per_address(traffic.tcp), 64512U);
}

TEST(Plan, WhereTheServerWaitsOneAddressSufficesAndItsTableHoldsEveryPair) {
    const CorePlan plan = plan_core({.recipe = Recipe::crr}, 1, 0);
    EXPECT_EQ(plan.client_addresses, 1U);
    EXPECT_EQ(plan.server_tcp.time_wait, 64512U);
    EXPECT_EQ(plan.server_tcp.time_wait_duration, 60s);
}

TEST(Plan, WhereTheClientWaitsThereAreAddressesForTheTimeOfTimeWait) {
    Traffic traffic{.recipe = Recipe::fin, .rate = 10'000, .duration = 1h};
    const CorePlan plan = plan_core(traffic, 1, 0);
    // 10,000 a second for 60 s.
    EXPECT_GE(std::uint64_t{plan.client_addresses} * 64512, 600'000U);
    EXPECT_THAT(
        [&] { check_addresses(traffic, plan, 2); },
        ThrowsMessage<BadPlan>(AllOf(HasSubstr("10.0 k connections/s with 1m TIME-WAIT need 608 k pairs"),
                                     HasSubstr("2 client addresses with 64512 ports give 129 k"),
                                     HasSubstr("10 addresses are needed"), HasSubstr("--msl"))));
    traffic.tcp.time_wait_duration = 2s;
    EXPECT_NO_THROW(check_addresses(traffic, plan, 2));
}

TEST(Plan, ProfileIsPlannedForAtItsHighestAndAskedForAtItsMean) {
    const Traffic traffic{.recipe = Recipe::fin,
                          .duration = 10s,
                          .profile = LoadProfile::parse("ramp:0-20k/10s"),
                          .arrivals = ArrivalProcess::poisson};
    const CorePlan plan = plan_core(traffic, 2, 1);
    EXPECT_DOUBLE_EQ(*plan.client.rate, 10'000.0);
    EXPECT_EQ(plan.client.profile, LoadProfile::parse("ramp:0-10k/10s"));
    EXPECT_EQ(plan.client.arrivals, ArrivalProcess::poisson);
    EXPECT_NE(plan.client.seed, plan_core(traffic, 2, 0).client.seed);
    EXPECT_DOUBLE_EQ(*mean_rate(traffic), 10'000.0);
}

TEST(Plan, ConcurrencyHasRoomAndPortsAndATimeBeforeTheWindowInWhichItIsReached) {
    const Traffic traffic{.recipe = Recipe::fin, .rate = 10'000, .duration = 10s, .concurrency = 100'000};
    const CorePlan plan = plan_core(traffic, 1, 0);
    EXPECT_EQ(plan.client.concurrency, 100'000U);
    EXPECT_GE(plan.client_tcp.connections, 100'000U);
    EXPECT_GE(plan.server_tcp.connections, 100'000U);
    EXPECT_GE(plan.client.ramp, 10s);
    EXPECT_GE(std::uint64_t{plan.client_addresses} * ports_per_address(traffic.tcp), 300'000U)
        << "those that are open, and those of 20 s in TIME-WAIT";
    EXPECT_THAT([&] { check_addresses(traffic, plan, 1); },
                ThrowsMessage<BadPlan>(HasSubstr("(100000 of them open)")));
    // Without a rate it is the window.
    const CorePlan closed = plan_core({.recipe = Recipe::crr, .concurrency = 100}, 1, 0);
    EXPECT_EQ(closed.client.window, 100U);
    EXPECT_EQ(closed.client.concurrency, 0U);
}

TEST(Plan, TransactionsThatEndTheirConnectionMakeItComeAndGo) {
    Traffic traffic{.recipe = Recipe::rr, .rate = 1000, .transactions = 10, .duration = 10s};
    traffic.sizes.think = Distribution::fixed(100e6);
    const CorePlan plan = plan_core(traffic, 1, 0);
    EXPECT_TRUE(plan.client.comes_and_goes);
    EXPECT_EQ(plan.client.connections, UINT64_MAX);
    EXPECT_GE(plan.client.window, 8192U + 1000) << "each stays for a second";
    EXPECT_EQ(plan.client.drain, 4s);
    EXPECT_EQ(plan.client.max_lag, 100ms);
    EXPECT_EQ(kept_connections(traffic, 1), std::nullopt);
    traffic.transactions = 0;
    const CorePlan kept = plan_core(traffic, 1, 0);
    EXPECT_FALSE(kept.client.comes_and_goes);
    EXPECT_EQ(kept.client.connections, 2000U);
    EXPECT_EQ(kept.client.max_lag, 10s) << "a target that stalls is no limit of the generator";
    EXPECT_DOUBLE_EQ(*kept.client.rate, 1000.0) << "of transactions";
}

TEST(Plan, PortServesOnceTowardsEachServerUnlessEachClientHasItsOwn) {
    Traffic traffic{.recipe = Recipe::fin, .rate = 10'000, .duration = 1h};
    traffic.servers = {parse_servers("10.1.0.0/29:80")};
    const CorePlan plan = plan_core(traffic, 1, 0);
    EXPECT_NO_THROW(check_addresses(traffic, plan, 2)) << "608 k pairs of 2 x 6 x 64,512";
    EXPECT_THAT([&] { check_addresses(traffic, plan, 1); },
                ThrowsMessage<BadPlan>(HasSubstr("1 client address with 387072 ports gives 387 k")));
    traffic.choice = AddressChoice::hashed;
    EXPECT_THROW(check_addresses(traffic, plan, 2), BadPlan);
}

TEST(Plan, AttacksAreSharedByTheCores) {
    Traffic traffic{.recipe = Recipe::none};
    traffic.attacks = {parse_attack("syn-flood:100k"), parse_attack("rst:10")};
    const CorePlan plan = plan_core(traffic, 4, 1);
    ASSERT_EQ(plan.client.attacks.size(), 2U);
    EXPECT_DOUBLE_EQ(plan.client.attacks[0].rate, 25'000);
    EXPECT_DOUBLE_EQ(plan.client.attacks[1].rate, 2.5);
    EXPECT_THROW((void)plan_core(traffic, 16, 0), BadPlan);
}

TEST(Plan, WhatOfARateCannotBeIsSaidWithTheMend) {
    struct Case {
        Traffic traffic;
        std::vector<const char*> said;
    };
    const std::vector<Case> cases{
        {{.arrivals = ArrivalProcess::poisson}, {"--arrivals poisson", "--rate"}},
        {{.ramp_up = 1s}, {"--ramp-up", "--rate"}},
        {{.recipe = Recipe::stream, .profile = LoadProfile::parse("ramp:1-2/1s")}, {"--rate", "stream"}},
        {{.profile = LoadProfile::parse("burst:1/1s")}, {"burst:1/1s", "2 client cores"}},
        {{.profile = LoadProfile::parse("burst:10/1s"), .arrivals = ArrivalProcess::poisson},
         {"--arrivals poisson", "at once"}},
        {{.profile = LoadProfile::parse("burst:10/1s"), .ramp_down = 1s}, {"--ramp-down", "burst:10/1s"}},
        {{.profile = LoadProfile::parse("schedule:0s=0,10s=0,10s=5")}, {"nothing within --duration 5s"}},
        {{.recipe = Recipe::rr, .concurrency = 10}, {"--concurrency 10", "--connections"}},
        {{.recipe = Recipe::fin, .concurrency = 1}, {"--concurrency 1", "--cores"}},
        {{.recipe = Recipe::crr, .rate = 100, .concurrency = 10}, {"--concurrency 10", "fin or rst"}},
        {{.recipe = Recipe::fin, .window = 5, .concurrency = 10}, {"--concurrency 10", "--window 5"}},
    };
    for (const Case& one : cases) {
        try {
            (void)plan_core(one.traffic, 2, 0);
            ADD_FAILURE() << one.said[0];
        } catch (const BadPlan& wrong) {
            for (const char* said : one.said) EXPECT_THAT(wrong.what(), HasSubstr(said));
        }
    }
}

TEST(Plan, ConnectionsThatCarryTrafficAreManyForTransactionsAndOneForAStream) {
    EXPECT_EQ(kept_connections({.recipe = Recipe::rr}, 1), 2000U);
    EXPECT_EQ(kept_connections({.recipe = Recipe::stream}, 1), 1U);
    EXPECT_EQ(kept_connections({.recipe = Recipe::stream}, 4), 4U) << "one for each core";
    EXPECT_EQ(kept_connections({.recipe = Recipe::stream, .connections = 7}, 4), 7U);
    EXPECT_EQ(kept_connections({.recipe = Recipe::crr}, 4), std::nullopt) << "they come and go";
}

TEST(Plan, EachConnectionThatCarriesTrafficHasAColdBlockAndMbufsForWhatItHasInHand) {
    const Traffic rr{.recipe = Recipe::rr, .connections = 100'000};
    const CorePlan transactions = plan_core(rr, 1, 0);
    EXPECT_GE(transactions.client_tcp.cold_blocks, 100'000U);
    EXPECT_GE(transactions.server_tcp.cold_blocks, 100'000U);
    EXPECT_GE(transactions.mbufs, 200'000U) << "a request and a response each";
    EXPECT_GE(std::uint64_t{transactions.client_addresses} * ports_per_address(rr.tcp), 100'000U);

    Traffic stream{.recipe = Recipe::stream, .connections = 1000};
    const std::uint32_t one_way = plan_core(stream, 1, 0).mbufs;
    EXPECT_GE(one_way, 1000 * (stream.tcp.send_buffer / 1448));
    stream.direction = Direction::both;
    EXPECT_GE(plan_core(stream, 1, 0).mbufs, one_way + 1000 * (stream.tcp.send_buffer / 1448));
}

TEST(Plan, TrafficOnKeptConnectionsHasARampAndNoRate) {
    EXPECT_EQ(plan_core({.recipe = Recipe::rr, .connections = 10, .ramp = 500ms}, 1, 0).client.ramp, 500ms);
    EXPECT_THAT([] { (void)plan_core({.recipe = Recipe::stream, .rate = 1000}, 1, 0); },
                ThrowsMessage<BadPlan>(AllOf(HasSubstr("--rate 1000"), HasSubstr("recipe stream"))));
}

TEST(Plan, FiftyMillionConnectionsASideTakeNoMoreThan160OctetsEach) {
    const Traffic traffic{.recipe = Recipe::hold, .connections = 50'000'000, .transactions = 1};
    const CorePlan plan = plan_core(traffic, 1, 0);
    StackConfig client, server;
    client.tcp = plan.client_tcp;
    server.tcp = plan.server_tcp;
    EXPECT_LE(memory_needed(client), 50'000'000U * 160ULL);
    EXPECT_LE(memory_needed(server), 50'000'000U * 160ULL);
    EXPECT_GE(std::uint64_t{plan.client_addresses} * ports_per_address(traffic.tcp), 50'000'000U);
    EXPECT_LT(plan.client_addresses, 65'000U);
    EXPECT_THAT([] { (void)plan_core({.recipe = Recipe::crr, .transactions = 1}, 1, 0); },
                ThrowsMessage<BadPlan>(AllOf(HasSubstr("--transactions 1"), HasSubstr("crr"))));
}

TEST(Plan, TooLittleMemoryIsSaidWithTheFigureNeededAndWhatIsMissing) {
    const Traffic traffic{.recipe = Recipe::hold, .connections = 50'000'000};
    const CorePlan plan = plan_core(traffic, 1, 0);
    StackConfig client, server;
    client.tcp = plan.client_tcp;
    server.tcp = plan.server_tcp;
    MemoryPlan memory;
    memory.add(MemoryPlan::Side::client, client);
    memory.add(MemoryPlan::Side::server, server);
    memory.add_packets(std::size_t{50} << 20);
    EXPECT_EQ(memory.tables_mb(), (memory_needed(client) + memory_needed(server)) >> 20);
    EXPECT_GE(memory.total_mb(), memory.tables_mb() + 50);
    EXPECT_THAT([&] { memory.check(4096, traffic); },
                ThrowsMessage<BadPlan>(AllOf(HasSubstr("for 50000000 connections"), HasSubstr("14 GiB"),
                                             HasSubstr("4.0 GiB"), HasSubstr("9.7 GiB are missing"),
                                             HasSubstr("fewer --connections"))));
    EXPECT_NO_THROW(memory.check(memory.total_mb() + 64, traffic));
    EXPECT_NO_THROW(memory.check(0, traffic)) << "not known";

    EXPECT_THAT(
        memory.describe(traffic, false, 23'000),
        AllOf(HasSubstr("client 6.8 GiB (connections 6.1 GiB, flow table"), HasSubstr("server 6.7 GiB"),
              HasSubstr("packets 50 MiB"), HasSubstr("50000000 connections a side"),
              HasSubstr("hugepages: none"), HasSubstr("22 GiB available")));
    memory.add(MemoryPlan::Side::client, client);
    EXPECT_THAT(memory.describe(traffic, true, 0),
                AllOf(HasSubstr("clients 2 x 6.8 GiB"), Not(HasSubstr("none")), Not(HasSubstr("available"))));
}

TEST(Plan, WhatCannotBeSharedAmongTheCoresIsRefused) {
    EXPECT_THROW((void)plan_core({.connections = 1}, 2, 0), BadPlan);
    EXPECT_THROW((void)plan_core({.rate = 1}, 2, 0), BadPlan);
    EXPECT_THROW((void)plan_core({.duration = 1ms}, 1, 0), BadPlan);
}

}  // namespace plan_test
}  // namespace runnel::load
