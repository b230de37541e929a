// Networks behind routers of the link, as these say: RFC 4191; and the source address that fits the router:
// RFC 6724 section 5, rule 5.5.
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "advertisements.hpp"

namespace runnel::ip {
namespace learnt_routes_test {

using namespace test;  // NOLINT: the words in which the tests are written

// Two routers: the default one, at `other_mac`, and one that leads to some networks, at `peer_mac`.
const Ipv6Address second = link_local_address(peer_mac);
constexpr Ipv6Address there = documentation(7, 0x95), elsewhere = documentation(7, 0xa5);

Config listening() {
    Config config = plain_config();
    config.interfaces[0].autoconf = true;
    return config;
}

/// The same with routers that are never silent.
Config with_routers_that_answer() {
    Config config = listening();
    config.neighbours = {{router_link_local, other_mac, 0}, {second, peer_mac, 0}};
    return config;
}

struct Host : Neighbourhood {
    explicit Host(const Config& config = listening()) : Neighbourhood(config, 1024) {}

    void hear_router(RouterFields fields = {}) {
        EXPECT_EQ(reason_for(router_advertisement(fields)), std::nullopt);
    }
    void hear_second(std::vector<RouteFields> routes, std::uint16_t lifetime = 0, const Octets& more = {}) {
        hear_router({.source = second,
                     .lifetime = lifetime,
                     .mac = peer_mac,
                     .more = more,
                     .routes = std::move(routes)});
    }
    /// The link address that a packet goes to; nothing where it cannot be sent.
    std::optional<MacAddress> way_there(const Ipv6Address& destination = there) {
        (void)sent();
        const auto source = layer.source_for(destination);
        if (!source) return std::nullopt;
        send_to(destination, source->v6());
        for (const Octets& frame : sent())
            if (!discovery_in(frame)) return wire::EthernetView::parse(frame)->destination();
        return std::nullopt;
    }
    /// Of a prefix that a router says it forms an address.
    static RouterFields with_prefix(std::uint64_t subnet) {
        RouterFields fields;
        fields.prefixes = {{.prefix = documentation(0, subnet)}};
        return fields;
    }
};

TEST(Rfc4191, MoreSpecificRouteGoesByItsRouterForItsLifetime) {
    Host host{with_routers_that_answer()};
    host.hear_router(Host::with_prefix(0x42));
    EXPECT_EQ(host.way_there(), other_mac);
    host.hear_second({{.lifetime = 600}});
    EXPECT_EQ(host.way_there(), peer_mac);
    EXPECT_EQ(host.way_there(elsewhere), other_mac) << "not of that network";
    host.run_until(host.now + 599s);
    host.hear_second({});  // which says nothing of it
    EXPECT_EQ(host.way_there(), peer_mac);
    host.run_until(host.now + 1s);
    EXPECT_EQ(host.way_there(), other_mac);
    host.hear_second({{.lifetime = wire::infinite_lifetime}});
    host.hear_second({{.lifetime = 0}});
    EXPECT_EQ(host.way_there(), other_mac) << "it says that there is none any more";
}

TEST(Rfc4191, OfRoutesTheLongerPrefixThenThePreferenceDecides) {
    Host host;
    host.hear_router(Host::with_prefix(0x42));
    host.hear_router({.routes = {{}}});
    host.hear_second({{.preference = 1}});
    EXPECT_EQ(host.way_there(), peer_mac) << "high";
    host.hear_second({{.preference = 3}});
    EXPECT_EQ(host.way_there(), other_mac) << "low";
    host.hear_second({{.length = 62, .preference = 3}});
    EXPECT_EQ(host.way_there(), other_mac) << "0x95 is not of 0x90/62";
    host.hear_second({{.prefix = documentation(0, 0x95), .length = 64, .preference = 3}});
    EXPECT_EQ(host.way_there(), peer_mac) << "longer, though low";
    // A preference of the reserved value: as if it had not been said.
    host.hear_second({{.prefix = documentation(0, 0x95), .length = 64, .lifetime = 0, .preference = 2}});
    EXPECT_EQ(host.way_there(), peer_mac);
}

TEST(Rfc4191, RouteToEverywhereSaysWhatTheHeaderSaysAndGoesBeforeIt) {
    Host host{with_routers_that_answer()};
    host.hear_router(Host::with_prefix(0x42));
    host.hear_second({}, 0, numbers({24, 1, 0, 0x08, 0, 0, 2, 0x58}));  // high, 600 s
    EXPECT_EQ(host.way_there(), peer_mac);
    host.run_until(host.now + 600s);
    EXPECT_EQ(host.way_there(), other_mac);
    host.hear_second({}, 1800, numbers({24, 1, 0, 0x18, 0, 0, 2, 0x58}));  // low
    EXPECT_EQ(host.way_there(), other_mac);
}

TEST(Rfc4191, RouterThatIsSilentIsNotUsedWhereThereIsAnotherWay) {
    Host host;
    host.hear_router(Host::with_prefix(0x42));
    host.hear_second({{}});
    EXPECT_EQ(host.way_there(), peer_mac);
    // The default router answers meanwhile, the second does not.
    for (int tenth = 0; tenth < 600; ++tenth) {
        host.run_until(host.now + 100ms);
        (void)host.layer.source_for(there);
        host.send_to(there, host.layer.source_for(there)->v6());
        for (const Discovery& one : host.solicitations())
            if (one.message.target == router_link_local)
                host.give(discovery(
                    advertisement(router_link_local, solicited | override_flag | wire::advertisement_router,
                                  other_mac),
                    router_link_local, our_link_local));
    }
    EXPECT_EQ(host.way_there(), other_mac);
    host.hear_second({{}});
    EXPECT_EQ(host.way_there(), peer_mac) << "it speaks again";
}

TEST(Rfc4191, RouteIsKeptByWhoHasNoOtherAndGivenUpWithARouterThatIsNoneAnyMore) {
    Host host;
    RouterFields fields = Host::with_prefix(0x42);
    fields.source = second;
    fields.mac = peer_mac;
    fields.lifetime = 0;
    fields.routes = {{.lifetime = 3600}};
    host.hear_router(fields);
    EXPECT_EQ(host.way_there(), peer_mac);
    EXPECT_EQ(host.layer.source_for(elsewhere), std::nullopt);
    host.run_until(host.now + 60s);
    (void)host.way_there();
    host.run_until(host.now + 60s);
    EXPECT_TRUE(host.layer.source_for(there)) << "silent, and the only one";
    host.hear_router(fields);
    host.give(discovery(advertisement(second, override_flag, peer_mac), second, all_nodes,
                        wire::multicast_mac(all_nodes)));
    EXPECT_EQ(host.layer.source_for(there), std::nullopt);
}

TEST(Rfc4191, RoutesAreBoundedAndNoneIsToAGroupOrToTheLink) {
    Host host;
    host.hear_second({{.prefix = Ipv6Address::of(0xfe80'0000'0000'0000, 0), .length = 10},
                      {.prefix = Ipv6Address::of(0xff00'0000'0000'0000, 0), .length = 8}});
    EXPECT_EQ(host.layer.source_for(there), std::nullopt);
    std::size_t taken = 0;
    for (std::uint64_t i = 0; i < 400; ++i) {
        std::vector<RouteFields> routes;
        for (std::uint64_t j = 0; j < 16; ++j)
            routes.push_back({.prefix = documentation(0, 0x1000 + i * 16 + j), .length = 64});
        RouterFields fields = Host::with_prefix(0x42);
        fields.source = Ipv6Address::of(0xfe80'0000'0000'0000, 0x1000 + i);
        fields.lifetime = 0;
        fields.routes = routes;
        host.hear_router(fields);
    }
    for (std::uint64_t i = 0; i < 6400; ++i)
        taken += host.layer.source_for(documentation(1, 0x1000 + i)) ? 1 : 0;
    EXPECT_EQ(taken, 24U);
    host.run_until(host.now + 600s);
    for (std::uint64_t i = 0; i < 6400; ++i)
        ASSERT_EQ(host.layer.source_for(documentation(1, 0x1000 + i)), std::nullopt);
}

TEST(Rfc4191, WhoDoesNotListenToRoutersLearnsNoRoute) {
    Config config = ipv6_config();
    config.routes.clear();
    Host host{config};
    host.give(router_advertisement({.source = second, .routes = {{}}}));
    EXPECT_EQ(host.layer.source_for(there), std::nullopt);
}

TEST(Rfc4191, RouteOfTheConfigurationGoesBeforeOneOfTheSameLength) {
    Config config = listening();
    config.interfaces[0].ipv6 = {{.address = us6}};
    config.neighbours = {{router6, other_mac, 0}};
    config.routes = {{.network = documentation(0, 0x90), .prefix_length = 60, .gateway = router6}};
    Host host{config};
    host.hear_second({{.preference = 1}});
    EXPECT_EQ(host.way_there(), other_mac);
    host.hear_second({{.prefix = documentation(0, 0x95), .length = 64}});
    EXPECT_EQ(host.way_there(), peer_mac) << "longer";
}

// What comes to one core all learn, however many routes it says.
TEST(Rfc4191, CoresLearnOfRoutesFromOneAnother) {
    struct Telling final : PeerCores {
        std::vector<RouterNews> news;
        void tell(const NeighbourNews&) noexcept override {}
        void tell_of_router(const RouterNews& one) noexcept override { news.push_back(one); }
        bool pass_on(const IcmpError&) noexcept override { return false; }
        void tell(const IcmpError&) noexcept override {}
        bool pass_on(rte_mbuf*, const IpAddress&, const IpAddress&, std::uint16_t,
                     std::uint16_t) noexcept override {
            return false;
        }
    } peers;
    Config config = listening();
    config.peers = &peers;
    Host first{config};
    Host other;
    RouterFields fields = Host::with_prefix(0x42);
    for (std::uint64_t i = 0; i < 10; ++i)
        fields.routes.push_back({.prefix = documentation(0, 0x100 + i), .length = 64});
    fields.lifetime = 0;
    first.hear_router(fields);
    ASSERT_EQ(peers.news.size(), 3U);
    for (const RouterNews& news : peers.news) other.layer.hear(news, other.now);
    for (std::uint64_t i = 0; i < 10; ++i)
        EXPECT_EQ(other.way_there(documentation(1, 0x100 + i)), other_mac) << i;
}

TEST(Rfc6724, SourceIsOfAPrefixThatTheRouterOnTheWayHasSaid) {
    Host host;
    const auto prefix_of = [&](const Ipv6Address& destination) {
        const auto source = host.layer.source_for(destination);
        return source ? source->v6().high() : 0;
    };
    host.hear_router(Host::with_prefix(0x42));
    RouterFields fields = Host::with_prefix(0x43);
    fields.source = second;
    fields.mac = peer_mac;
    fields.lifetime = 600;
    fields.routes = {{}};
    host.hear_router(fields);
    EXPECT_EQ(prefix_of(elsewhere), documentation(0, 0x42).high());
    EXPECT_EQ(prefix_of(there), documentation(0, 0x43).high());
    // Rule 3 goes before it, rule 8 behind it: 0x43 shares more bits with 0x4300 than 0x42.
    EXPECT_EQ(prefix_of(documentation(1, 0x43ff)), documentation(0, 0x42).high());
    fields.prefixes[0].preferred = 0;
    host.hear_router(fields);
    EXPECT_EQ(prefix_of(there), documentation(0, 0x42).high()) << "deprecated";
    fields.prefixes[0].preferred = 600;
    host.hear_router(fields);
    EXPECT_EQ(prefix_of(there), documentation(0, 0x43).high());
    host.run_until(host.now + 600s);  // the router and its route are gone, its prefix is not
    EXPECT_EQ(prefix_of(there), documentation(0, 0x42).high());
}

}  // namespace learnt_routes_test
}  // namespace runnel::ip
