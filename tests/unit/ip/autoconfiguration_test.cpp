// What a host learns of routers: RFC 4861 section 6.3, RFC 4862 section 5.5, RFC 4191, RFC 7217, RFC 7559.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "advertisements.hpp"

namespace runnel::ip {
namespace autoconfiguration_test {

using namespace test;
using Kind = AddressEventKind;

constexpr Ipv6Address advertised_prefix = documentation(0, 0x42);

Config listening(std::uint8_t probes = 0) {
    Config config = plain_config();
    config.interfaces[0].autoconf = true;
    config.dad_probes = probes;
    return config;
}

struct Ears {
    Heard heard;
};

struct Host : private Ears, Neighbourhood {
    explicit Host(const Config& config = listening()) : Neighbourhood(with(config, Ears::heard), 1024) {}
    using Ears::heard;
    static Config with(Config config, Heard& heard) {
        config.address_observer = &heard;
        return config;
    }
    /// The address that it has formed of a prefix, or nothing.
    [[nodiscard]] std::optional<Ipv6Address> formed(const Ipv6Address& prefix = advertised_prefix) const {
        std::optional<Ipv6Address> found;
        for (const AddressEvent& event : heard.events) {
            if (event.address.is_v4() || event.address.v6().high() != prefix.high()) continue;
            if (event.kind == Kind::usable) found = event.address.v6();
            if (event.kind == Kind::removed) found.reset();
        }
        return found;
    }
    void hear_router(const RouterFields& fields = {}) {
        EXPECT_EQ(reason_for(router_advertisement(fields)), std::nullopt);
    }
    /// Where a packet to a far destination goes: the link address, or nothing.
    std::optional<MacAddress> way_out() {
        (void)sent();
        const auto source = layer.source_for(far_away6);
        if (!source) return std::nullopt;
        send_to(far_away6, source->v6());
        for (const Octets& frame : sent())
            if (!discovery_in(frame)) return wire::EthernetView::parse(frame)->destination();
        return std::nullopt;
    }
    /// Time passes; the router answers whenever it is asked.
    void pass_answering(Duration span, const Ipv6Address& router, const MacAddress& mac) {
        const Instant end = now + span;
        while (now < end) {
            run_until(now + 100ms);
            for (const Discovery& one : solicitations())
                if (one.message.target == router)
                    give(discovery(
                        advertisement(router, solicited | override_flag | wire::advertisement_router, mac),
                        router, our_link_local));
        }
    }
    /// Router solicitations sent since.
    std::vector<Packet6> router_solicitations() {
        std::vector<Packet6> found;
        for (const Octets& frame : sent()) {
            const Packet6 packet = packet6_in(frame);
            if (packet.header.next_header != icmpv6_protocol || packet.payload[0] != std::byte{133}) continue;
            EXPECT_TRUE(checksum_is_right(packet));
            EXPECT_EQ(packet.header.hop_limit, 255);
            EXPECT_EQ(packet.header.destination, all_routers);
            EXPECT_EQ(wire::EthernetView::parse(frame)->destination(), wire::multicast_mac(all_routers));
            found.push_back(packet);
        }
        return found;
    }
};

TEST(Rfc4861, RoutersAreAskedForUntilOneAnswers) {
    Host host;
    EXPECT_TRUE(host.layer.probes_addresses()) << "a client waits for them";
    const Instant start = host.now;
    std::vector<Duration> times;
    for (int tenth = 0; tenth < 1000; ++tenth) {
        host.run_until(host.now + 100ms);
        for (const Packet6& packet : host.router_solicitations()) {
            times.push_back(host.now - start);
            EXPECT_EQ(packet.header.source, our_link_local);
            EXPECT_EQ(packet.payload.size(), 16U) << "with our link address";
        }
    }
    ASSERT_GE(times.size(), 6U);
    EXPECT_LE(times[0], 1100ms);
    EXPECT_EQ(times[1] - times[0], 4s);
    EXPECT_EQ(times[2] - times[1], 4s);
    EXPECT_EQ(times[4] - times[3], 8s) << "ever more seldom (RFC 7559)";
    EXPECT_EQ(times[5] - times[4], 16s);
    EXPECT_FALSE(host.layer.probes_addresses()) << "nobody waits for ever";
    host.hear_router();
    host.run_until(host.now + 24h);
    EXPECT_TRUE(host.router_solicitations().empty());
}

TEST(Rfc4861, SolicitationFromATentativeAddressHasNeitherSourceNorLinkAddress) {
    Host host{listening(1)};
    const Instant start = host.now;
    std::vector<Packet6> asked;
    while (asked.empty()) {
        host.run_until(host.now + 10ms);
        asked = host.router_solicitations();
        ASSERT_LT(host.now, start + 10s);
    }
    if (host.layer.is_local(our_link_local)) return;  // drawn so late that it is not tentative any more
    EXPECT_TRUE(asked[0].header.source.is_unspecified());
    EXPECT_EQ(asked[0].payload.size(), 8U);
}

TEST(Rfc4861, WhoIsNotAskedToListensToNoRouter) {
    Neighbourhood net;
    EXPECT_EQ(net.reason_for(router_advertisement({.prefixes = {{}}})), DropReason::icmp_ignored);
    EXPECT_EQ(net.layer.source_for(far_away6), std::nullopt);
    net.run_until(net.now + 100s);
    EXPECT_TRUE(net.sent().empty());
}

// Section 6.1.2: one wrong thing each, nothing follows.
TEST(Rfc4861, AdvertisementsOfRoutersThatAreNotValidAreDropped) {
    Host host;
    const std::vector<std::pair<const char*, RouterFields>> bad{
        {"hop limit", {.hop_limit = 254, .prefixes = {{}}}},
        {"source not link-local", {.source = router6, .prefixes = {{}}}},
        {"code", {.code = 1, .prefixes = {{}}}},
        {"an option of length 0", {.prefixes = {{}}, .more = numbers({5, 0, 0, 0, 0, 0, 5, 0xdc})}},
        {"an option beyond the end", {.prefixes = {{}}, .more = numbers({3, 4, 64, 0xc0, 0, 0, 0, 0})}},
        {"a link address that is a group's", {.mac = MacAddress::broadcast(), .prefixes = {{}}}},
    };
    for (const auto& [what, fields] : bad)
        EXPECT_EQ(host.reason_for(router_advertisement(fields)), DropReason::nd_malformed) << what;
    const Ipv6Fields packet{.source = router_link_local,
                            .destination = all_nodes,
                            .next_header = icmpv6_protocol,
                            .hop_limit = 255};
    Octets message = router_message({.mac = std::nullopt});
    message.pop_back();
    seal6(message, 2, packet);
    EXPECT_EQ(host.reason_for(ethernet6(ipv6(message, packet), wire::multicast_mac(all_nodes))),
              DropReason::nd_malformed)
        << "cut short";
    EXPECT_EQ(host.formed(), std::nullopt);
    EXPECT_EQ(host.way_out(), std::nullopt);
    EXPECT_TRUE(host.heard.events.empty());
    EXPECT_EQ(host.reason_for(router_advertisement({.more = numbers({200, 1, 0, 0, 0, 0, 0, 0})})),
              std::nullopt)
        << "unknown options are passed over";
}

TEST(Rfc4861, RouterIsTheDefaultForItsLifetime) {
    Host host;
    host.hear_router({.lifetime = 600, .prefixes = {{}}});
    EXPECT_EQ(host.heard.of(Kind::router), (std::vector<std::string>{to_string(router_link_local)}));
    EXPECT_EQ(host.way_out(), other_mac) << "its link address came with the advertisement";
    host.pass_answering(599s, router_link_local, other_mac);
    EXPECT_TRUE(host.layer.source_for(far_away6));
    host.run_until(host.now + 1s);
    EXPECT_EQ(host.layer.source_for(far_away6), std::nullopt);
    EXPECT_EQ(host.heard.of(Kind::router_gone), (std::vector<std::string>{to_string(router_link_local)}));
    host.hear_router({.lifetime = 600});
    EXPECT_TRUE(host.layer.source_for(far_away6));
    host.hear_router({.lifetime = 0});
    EXPECT_EQ(host.layer.source_for(far_away6), std::nullopt) << "it says that it is none any more";
}

TEST(Rfc4861, AnotherRouterIsTakenWhenOneFallsSilent) {
    const Ipv6Address second = link_local_address(peer_mac);
    Host host;
    host.hear_router({.prefixes = {{}}});
    host.hear_router({.source = second, .mac = peer_mac});
    EXPECT_EQ(host.way_out(), other_mac) << "who is in use stays so";
    host.run_until(host.now + 9s);  // delay and three probes
    EXPECT_EQ(host.way_out(), peer_mac);
    host.pass_answering(10s, second, peer_mac);
    // The first speaks again, and is used again when the second falls silent.
    host.hear_router();
    EXPECT_EQ(host.way_out(), peer_mac);
    host.run_until(host.now + 46s);
    EXPECT_EQ(host.way_out(), peer_mac);
    host.run_until(host.now + 9s);
    EXPECT_EQ(host.way_out(), other_mac);
}

TEST(Rfc4861, SilentRoutersAreTriedInTurn) {
    const Ipv6Address second = link_local_address(peer_mac);
    Host host;
    host.hear_router({.prefixes = {{}}});
    host.hear_router({.source = second, .mac = peer_mac});
    std::set<MacAddress> tried;
    for (int i = 0; i < 60; ++i) {
        if (const auto mac = host.way_out()) tried.insert(*mac);
        for (const Discovery& one : host.solicitations()) (void)one;
        host.run_until(host.now + 1s);
    }
    EXPECT_EQ(tried.size(), 2U);
}

TEST(Rfc4861, NeighbourThatIsARouterNoMoreIsTheDefaultNoMore) {
    Host host;
    host.hear_router({.prefixes = {{}}});
    EXPECT_EQ(host.way_out(), other_mac);
    host.give(discovery(advertisement(router_link_local, override_flag, other_mac), router_link_local,
                        all_nodes, wire::multicast_mac(all_nodes)));
    EXPECT_EQ(host.layer.source_for(far_away6), std::nullopt);
}

TEST(Rfc4191, PreferredRouterIsTaken) {
    const Ipv6Address second = link_local_address(peer_mac);
    Host host;
    host.hear_router({.prefixes = {{}}});
    EXPECT_EQ(host.way_out(), other_mac);
    host.hear_router({.source = second, .flags = 0x08, .mac = peer_mac});  // high
    EXPECT_EQ(host.way_out(), peer_mac);
    host.hear_router({.source = second, .flags = 0x18, .mac = peer_mac});  // low
    EXPECT_EQ(host.way_out(), other_mac);
}

TEST(Rfc4861, ConfiguredGatewayGoesBeforeThoseThatOfferThemselves) {
    Config config = listening();
    config.interfaces[0].ipv6 = {{.address = us6}};
    config.neighbours = {{router6, peer_mac, 0}};
    config.routes = {{.network = {}, .prefix_length = 0, .gateway = router6, .interface = 0}};
    Host host{config};
    host.hear_router();
    EXPECT_EQ(host.way_out(), peer_mac);
}

TEST(Rfc4861, PrefixOnTheLinkNeedsNoRouter) {
    Host host;
    host.hear_router({.prefixes = {{.flags = 0x80, .valid = 600, .preferred = 600}}});
    EXPECT_EQ(host.formed(), std::nullopt) << "not autonomous";
    const Ipv6Address there = documentation(5, 0x42);
    (void)host.sent();
    host.send_to(there, our_link_local);
    const auto asked = host.solicitations();
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].message.target, there) << "asked for on the link itself";
    host.run_until(host.now + 600s);
    (void)host.sent();
    host.send_to(there, our_link_local);
    for (const Discovery& one : host.solicitations()) EXPECT_NE(one.message.target, there);
}

TEST(Rfc4861, ParametersOfTheLinkAreAsTheRouterSays) {
    Host host;
    host.hear_router(
        {.told_hop_limit = 99, .reachable = 5000, .retrans = 3000, .mtu = 1400, .prefixes = {{}}});
    EXPECT_EQ(host.layer.mtu_for(far_away6), 1400);
    host.send_to(far_away6, *host.formed());
    const auto frames = host.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(packet6_in(frames[0]).header.hop_limit, 99);
    // Reachable for 2.5 to 7.5 s, then in delay for 5, then probed each 3 s.
    host.pass_answering(10s, router_link_local, other_mac);
    host.run_until(host.now + 7501ms);
    (void)host.way_out();
    const Instant used = host.now;
    std::vector<Duration> probes;
    for (int tenth = 0; tenth < 130; ++tenth) {
        host.run_until(host.now + 100ms);
        for (const Discovery& one : host.solicitations())
            if (one.message.target == router_link_local) probes.push_back(host.now - used);
    }
    EXPECT_EQ(probes, (std::vector<Duration>{5s, 8s, 11s}));
}

TEST(Rfc4861, ParametersThatWouldStopUsAreNotBelieved) {
    Host host;
    host.hear_router(
        {.told_hop_limit = 1, .reachable = 4'000'000, .retrans = 1, .mtu = 1279, .prefixes = {{}}});
    EXPECT_EQ(host.layer.mtu_for(far_away6), 1500);
    host.hear_router({.mtu = 9000});
    EXPECT_EQ(host.layer.mtu_for(far_away6), 1500) << "more than the link has";
    host.send_to(far_away6, *host.formed());
    EXPECT_EQ(packet6_in(host.sent().at(0)).header.hop_limit, 64);
}

TEST(Rfc4862, AddressIsFormedOfAnAutonomousPrefix) {
    Host host;
    host.hear_router({.prefixes = {{}}});
    const auto address = host.formed();
    ASSERT_TRUE(address);
    EXPECT_EQ(address->high(), advertised_prefix.high());
    EXPECT_TRUE(host.layer.is_local(*address));
    EXPECT_EQ(host.layer.source_for(far_away6), *address);
    // It is answered for.
    (void)host.sent();
    host.give(discovery(solicitation(*address, other_mac), router_link_local, address->solicited_node(),
                        wire::multicast_mac(address->solicited_node())));
    const auto frames = host.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(discovery_in(frames[0])->message.target, *address);
}

// Section 5.5.3: which prefixes nothing is formed of.
TEST(Rfc4862, NothingIsFormedOfOtherPrefixes) {
    Host host;
    host.hear_router({.prefixes = {{.length = 63},
                                   {.length = 65},
                                   {.flags = 0x80},
                                   {.valid = 0, .preferred = 0},
                                   {.valid = 100, .preferred = 101},
                                   {.prefix = Ipv6Address::of(0xfe80'0000'0000'0000, 0)},
                                   {.prefix = Ipv6Address::of(0xff02'0000'0000'0000, 0)}}});
    EXPECT_TRUE(host.heard.of(Kind::usable).empty());
}

TEST(Rfc7217, AddressIsStableAndTellsNothingOfTheLinkAddress) {
    Host one, again;
    const Ipv6Address other_prefix = documentation(0, 0x43);
    for (Host* const host : {&one, &again}) host->hear_router({.prefixes = {{}, {.prefix = other_prefix}}});
    EXPECT_EQ(one.formed(), again.formed());
    EXPECT_NE(one.formed()->low(), one.formed(other_prefix)->low()) << "each prefix has its own";
    EXPECT_NE(one.formed()->low(), our_link_local.low());
    Config config = listening();
    config.interfaces[0].mac = other_mac;
    Host elsewhere{config};
    elsewhere.hear_router({.source = peer_link_local, .mac = peer_mac, .prefixes = {{}}});
    EXPECT_NE(elsewhere.formed()->low(), one.formed()->low());
}

TEST(Rfc7217, AnotherAddressIsFormedWhereOneIsTakenAFewTimes) {
    Host host{listening(1)};
    host.run_until(host.now + 5s);
    (void)host.sent();
    host.hear_router({.prefixes = {{}}});
    std::set<std::string> tried;
    for (int tenth = 0; tenth < 200; ++tenth) {
        host.run_until(host.now + 100ms);
        for (const Discovery& one : host.solicitations()) {
            if (!one.header.source.is_unspecified()) continue;
            tried.insert(to_string(one.message.target));
            host.give(discovery(advertisement(one.message.target, override_flag), one.message.target,
                                all_nodes, wire::multicast_mac(all_nodes)));
        }
    }
    EXPECT_EQ(tried.size(), 4U) << "the first, and three more";
    EXPECT_EQ(host.formed(), std::nullopt);
    EXPECT_EQ(host.heard.of(Kind::duplicate).size(), 4U);
    EXPECT_FALSE(host.layer.probes_addresses());
}

TEST(Rfc7217, SecondAddressIsUsedWhereTheFirstIsTaken) {
    Host host{listening(1)};
    host.run_until(host.now + 5s);
    (void)host.sent();
    host.hear_router({.prefixes = {{}}});
    std::vector<Ipv6Address> tried;
    for (int tenth = 0; tenth < 100; ++tenth) {
        host.run_until(host.now + 100ms);
        for (const Discovery& one : host.solicitations()) {
            if (!one.header.source.is_unspecified()) continue;
            tried.push_back(one.message.target);
            EXPECT_FALSE(host.layer.is_local(one.message.target)) << "not before it is proven";
            if (tried.size() == 1)
                host.give(discovery(advertisement(one.message.target, override_flag), one.message.target,
                                    all_nodes, wire::multicast_mac(all_nodes)));
        }
    }
    ASSERT_EQ(tried.size(), 2U);
    EXPECT_EQ(host.formed(), tried[1]);
}

TEST(Rfc4862, DeprecatedAddressServesWhatIsThereAndNothingNew) {
    Host host;
    const Ipv6Address newer = documentation(0, 0x43);
    host.hear_router({.prefixes = {{.valid = 20000, .preferred = 100}}});
    const Ipv6Address first = *host.formed();
    host.run_until(host.now + 100s);
    EXPECT_EQ(host.heard.of(Kind::deprecated), (std::vector<std::string>{to_string(first)}));
    EXPECT_EQ(host.layer.source_for(far_away6), first) << "there is no other";
    host.hear_router({.prefixes = {{.prefix = newer}}});
    EXPECT_EQ(host.layer.source_for(far_away6), *host.formed(newer));
    EXPECT_TRUE(host.layer.is_local(first));
    EXPECT_TRUE(host.send_to(far_away6, first)) << "what has begun from it goes on";
    host.hear_router({.prefixes = {{.valid = 20000, .preferred = 1000}}});
    EXPECT_EQ(host.heard.of(Kind::preferred), (std::vector<std::string>{to_string(first)}));
}

TEST(Rfc4862, AddressIsRemovedWhenItsValidLifetimeEnds) {
    Host host;
    host.hear_router({.lifetime = 9000, .prefixes = {{.valid = 300, .preferred = 200}}});
    const Ipv6Address address = *host.formed();
    host.run_until(host.now + 299s);
    EXPECT_TRUE(host.layer.is_local(address));
    host.run_until(host.now + 1s);
    EXPECT_FALSE(host.layer.is_local(address));
    EXPECT_EQ(host.heard.of(Kind::removed), (std::vector<std::string>{to_string(address)}));
    EXPECT_FALSE(host.send_to(far_away6, address));
    EXPECT_EQ(host.layer.source_for(far_away6), our_link_local);
}

// Section 5.5.3 (e): nobody takes an address away within two hours.
TEST(Rfc4862, ValidLifetimeIsNotCutBelowTwoHours) {
    struct Case {
        std::uint32_t had, said;
        Duration left;
    };
    const std::vector<Case> cases{
        {86400, 10, 2h},                             // cut to two hours
        {86400, 7201, 7201s},                        // more than two hours: as said
        {86400, 0, 2h},          {3600, 10, 3600s},  // less than two hours left: not cut at all
        {3600, 3601, 3601s},                         // prolonged
        {3600, 100000, 100000s}, {0xffffffff, 10, 2h},
    };
    for (const Case& one : cases) {
        Host host;
        host.hear_router({.lifetime = 0, .prefixes = {{.flags = 0x40, .valid = one.had, .preferred = 0}}});
        const Ipv6Address address = *host.formed();
        host.hear_router({.lifetime = 0, .prefixes = {{.flags = 0x40, .valid = one.said, .preferred = 0}}});
        host.run_until(host.now + one.left - 1s);
        EXPECT_TRUE(host.layer.is_local(address)) << one.had << ' ' << one.said;
        host.run_until(host.now + 1s);
        EXPECT_FALSE(host.layer.is_local(address)) << one.had << ' ' << one.said;
    }
}

TEST(Rfc4862, LifetimeWithoutEndDoesNotEnd) {
    Host host;
    host.hear_router({.prefixes = {{.valid = 0xffffffff, .preferred = 0xffffffff}}});
    host.run_until(host.now + 24h * 365);
    EXPECT_TRUE(host.layer.is_local(*host.formed()));
    EXPECT_TRUE(host.heard.of(Kind::deprecated).empty());
}

// Whoever sends advertisements without end makes us keep no more than so many of each.
TEST(Rfc6104, RoguesAreBounded) {
    Host host;
    for (std::uint32_t i = 0; i < 2000; ++i) {
        RouterFields fields{.source = Ipv6Address::of(0xfe80'0000'0000'0000, 0x1000 + i)};
        for (std::uint64_t j = 0; j < 20; ++j)
            fields.prefixes.push_back({.prefix = documentation(0, 0x1000 + i * 20 + j)});
        EXPECT_EQ(host.reason_for(router_advertisement(fields)), std::nullopt);
        (void)host.sent();
    }
    EXPECT_EQ(host.heard.of(Kind::router).size(), 8U);
    EXPECT_EQ(host.heard.of(Kind::usable).size(), 16U);
    host.run_until(host.now + 24h);
    (void)host.sent();
    EXPECT_EQ(host.heard.of(Kind::removed).size(), 16U);
    EXPECT_EQ(host.heard.of(Kind::router_gone).size(), 8U);
}

// What comes to one core all learn.
TEST(Rfc4861, CoresLearnOfRoutersFromOneAnother) {
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
    config = listening();
    config.place = {.core = 1, .count = 2};
    Host second{config};
    RouterFields fields;
    for (std::uint64_t i = 0; i < 6; ++i) fields.prefixes.push_back({.prefix = documentation(0, 0x42 + i)});
    first.hear_router(fields);
    ASSERT_EQ(peers.news.size(), 2U) << "four prefixes, and two";
    for (const RouterNews& news : peers.news) second.layer.hear(news, second.now);
    for (std::uint64_t i = 0; i < 6; ++i) {
        ASSERT_TRUE(first.formed(documentation(0, 0x42 + i))) << i;
        EXPECT_EQ(first.formed(documentation(0, 0x42 + i)), second.formed(documentation(0, 0x42 + i))) << i;
    }
    EXPECT_EQ(second.way_out(), other_mac);
    second.run_until(second.now + 100s);
    EXPECT_TRUE(second.router_solicitations().empty());
}

}  // namespace autoconfiguration_test
}  // namespace runnel::ip
