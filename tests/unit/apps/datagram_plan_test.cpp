// What `udp-rr` and `udp-oneway` take, and what of them cannot be.
#include "engine/datagram_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runnel::load {
namespace datagram_plan_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

Traffic requests() {
    Traffic traffic{.recipe = Recipe::udp_rr};
    traffic.sizes.set_missing(64);
    return traffic;
}

TEST(DatagramPlan, FlowsAreSixtyFourForRequestsAndOneForOneWay) {
    EXPECT_EQ(kept_connections(requests(), 1), 64U);
    EXPECT_EQ(kept_connections({.recipe = Recipe::udp_oneway}, 1), 1U);
    EXPECT_EQ(kept_connections({.recipe = Recipe::udp_oneway}, 4), 4U) << "one for each core";
}

TEST(DatagramPlan, SoManyAreUnderWayAsIsAskedOrThereAreFlows) {
    Traffic traffic = requests();
    EXPECT_EQ(plan_core(traffic, 1, 0).client.window, 64U);
    traffic.concurrency = 1000;
    EXPECT_EQ(plan_core(traffic, 1, 0).client.window, 1000U);
    EXPECT_EQ(plan_core(traffic, 4, 0).client.window, 250U);
    traffic.concurrency.reset();
    traffic.rate = 100'000;
    EXPECT_EQ(plan_core(traffic, 1, 0).client.window, 8192U);
    EXPECT_EQ(plan_core(traffic, 1, 0).client.max_lag, 100ms) << "nobody's answer is waited for";
}

TEST(DatagramPlan, SocketsAddressesAndMbufsGoWithFlowsAndSizes) {
    Traffic traffic = requests();
    traffic.connections = 200'000;
    traffic.rate = 1000;
    const CorePlan plan = plan_core(traffic, 1, 0);
    EXPECT_GE(plan.client_sockets, 200'000U);
    EXPECT_GE(plan.server_flows, 200'000U);
    EXPECT_EQ(plan.client_addresses, 4U) << "64,512 ports each";
    EXPECT_NO_THROW(check_addresses(traffic, plan, 4));
    EXPECT_THAT([&] { check_addresses(traffic, plan, 3); },
                ThrowsMessage<BadPlan>(HasSubstr("need 4 client addresses")));
    traffic.connections = 64;
    const std::uint32_t small = plan_core(traffic, 1, 0).mbufs;
    traffic.sizes.response = Distribution::fixed(60'000);
    EXPECT_GT(plan_core(traffic, 1, 0).mbufs, 2 * small);
}

TEST(DatagramPlan, WhatCannotBeIsSaidWithTheMend) {
    struct Case {
        const char* said;
        Traffic traffic;
    };
    std::vector<Case> cases;
    const auto add = [&](const char* said, auto change) {
        Traffic traffic = requests();
        change(traffic);
        cases.push_back({said, traffic});
    };
    add("--transactions 3", [](Traffic& t) { t.transactions = 3; });
    add("--request-octets 8", [](Traffic& t) { t.sizes.request = Distribution::fixed(8); });
    add("--response-octets 70", [](Traffic& t) { t.sizes.response = Distribution::fixed(70'000); });
    add("--concurrency 100", [](Traffic& t) { t.concurrency = 100, t.rate = 1000; });
    add("--think 1ms", [](Traffic& t) { t.sizes.think = Distribution::fixed(1e6), t.rate = 1000; });
    add("--datagram-octets 4", [](Traffic& t) {
        t.recipe = Recipe::udp_oneway;
        t.datagram_octets = Distribution::fixed(4);
    });
    add("a burst is fewer than one for each of 50 flows", [](Traffic& t) {
        t.recipe = Recipe::udp_oneway;
        t.direction = Direction::to_client;
        t.connections = 50;
        t.profile = LoadProfile::parse("burst:10/10ms");
    });
    add("--connections 100000", [](Traffic& t) {
        t.recipe = Recipe::udp_oneway;
        t.direction = Direction::both;
        t.connections = 100'000;
    });
    add("--blind", [](Traffic& t) { t.blind = true; });
    for (const Case& one : cases)
        EXPECT_THAT([&] { (void)plan_core(one.traffic, 2, 0); }, ThrowsMessage<BadPlan>(HasSubstr(one.said)));
}

}  // namespace datagram_plan_test
}  // namespace runnel::load
