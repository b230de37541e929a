// Whether another host has an address that we are about to use: RFC 4862 section 5.4, RFC 7527, RFC 5227.
#include <map>
#include <string>
#include <vector>

#include "runnel/ip/conflict_defence.hpp"

#include "neighbourhood.hpp"

namespace runnel::ip {
namespace duplicate_detection_test {

using namespace test;
using Kind = AddressEventKind;

Config probing(Heard& heard, std::uint8_t ipv6_probes = 1, std::uint8_t ipv4_probes = 0) {
    Config config = ipv6_config();
    config.dad_probes = ipv6_probes;
    config.arp_probes = ipv4_probes;
    config.address_observer = &heard;
    return config;
}

/// A probe for the address, as another host sends it; or the advertisement that answers ours.
Octets probe_for(const Ipv6Address& address) {
    return discovery(solicitation(address, std::nullopt), {}, address.solicited_node(),
                     wire::multicast_mac(address.solicited_node()));
}
Octets defended(const Ipv6Address& address) {
    return discovery(advertisement(address, override_flag), address, all_nodes,
                     wire::multicast_mac(all_nodes));
}

TEST(Rfc4862, AddressIsProbedForAndNotUsedUntilNobodyHasAnswered) {
    Heard heard;
    Neighbourhood net{probing(heard)};
    EXPECT_TRUE(net.layer.probes_addresses());
    EXPECT_FALSE(net.layer.is_local(us6));
    EXPECT_TRUE(net.layer.is_configured(us6)) << "one may wait for what comes to it";
    const Instant start = net.now;
    std::map<std::string, std::vector<Duration>> probes;
    while (net.layer.probes_addresses()) {
        net.run_until(net.now + 10ms);
        ASSERT_LT(net.now, start + 10s);
        for (const Discovery& one : net.solicitations()) {
            EXPECT_TRUE(one.header.source.is_unspecified());
            EXPECT_EQ(one.header.destination, one.message.target.solicited_node());
            EXPECT_EQ(one.frame_destination, wire::multicast_mac(one.header.destination));
            EXPECT_FALSE(one.message.link_address) << "section 5.4.2";
            EXPECT_TRUE(one.message.nonce) << "RFC 7527";
            probes[to_string(one.message.target)].push_back(net.now - start);
            // Nobody is answered, nothing is sent meanwhile.
            net.give(discovery(solicitation(us6), peer6, us6.solicited_node(), group_mac));
            EXPECT_FALSE(net.send_to(peer6));
            EXPECT_EQ(net.layer.source_for(peer6), std::nullopt);
            EXPECT_TRUE(net.sent().empty());
        }
    }
    ASSERT_EQ(probes.size(), 2U) << "ours, and the link-local one";
    for (const auto& [address, times] : probes) {
        ASSERT_EQ(times.size(), 1U) << address;
        EXPECT_LE(times[0], 1010ms) << "delayed by up to a second";
        EXPECT_GE(net.now - start - times[0], 990ms) << "waited for a second";
    }
    EXPECT_TRUE(net.layer.is_local(us6));
    EXPECT_EQ(heard.of(Kind::usable), (std::vector<std::string>{"2001:db8::1", "fe80::ff:fe00:1"}));
    net.give(discovery(solicitation(us6), peer6, us6.solicited_node(), group_mac));
    EXPECT_EQ(net.sent().size(), 1U) << "answered now";
    EXPECT_EQ(net.layer.source_for(peer6), us6);
}

TEST(Rfc4862, AsManyProbesAreSentAsAskedForASecondApart) {
    Heard heard;
    Neighbourhood net{probing(heard, 3)};
    const Instant start = net.now;
    std::vector<Duration> times;
    while (net.layer.probes_addresses()) {
        net.run_until(net.now + 10ms);
        ASSERT_LT(net.now, start + 10s);
        for (const Discovery& one : net.solicitations())
            if (one.message.target == us6) times.push_back(net.now - start);
    }
    ASSERT_EQ(times.size(), 3U);
    EXPECT_EQ(times[1] - times[0], 1s);
    EXPECT_EQ(times[2] - times[1], 1s);
}

TEST(Rfc4862, AddressThatAnotherHostHasStaysUnused) {
    for (const Octets& answer : {defended(us6), probe_for(us6)}) {
        Heard heard;
        Neighbourhood net{probing(heard)};
        net.run_until(net.now + 1s);
        EXPECT_EQ(net.reason_for(answer), DropReason::nd_address_conflict);
        net.give(answer);
        net.run_until(net.now + 10s);
        (void)net.sent();
        EXPECT_FALSE(net.layer.probes_addresses());
        EXPECT_FALSE(net.layer.is_local(us6));
        EXPECT_EQ(heard.of(Kind::duplicate), (std::vector<std::string>{"2001:db8::1"})) << "told once";
        EXPECT_EQ(heard.of(Kind::usable), (std::vector<std::string>{"fe80::ff:fe00:1"}));
        net.give(discovery(solicitation(us6), peer6, us6.solicited_node(), group_mac));
        EXPECT_TRUE(net.sent().empty());
        EXPECT_FALSE(net.send_to(peer6));
        EXPECT_EQ(net.layer.source_for(peer6), our_link_local);
    }
}

TEST(Rfc4862, DuplicateIsToldInOneClearSentence) {
    EXPECT_EQ(to_string({.kind = Kind::duplicate, .address = us6, .mac = peer_mac}),
              "2001:db8::1 is in use by 02:00:00:00:00:02 and stays unused; give another");
    EXPECT_EQ(to_string({.kind = Kind::duplicate, .address = us}),
              "10.0.0.1 is in use by another host and stays unused; give another");
    EXPECT_EQ(
        to_string({.kind = Kind::disabled, .address = our_link_local, .mac = peer_mac}),
        "fe80::ff:fe00:1 is in use by 02:00:00:00:00:02: IPv6 is not spoken on this link; give the port "
        "another link address");
}

TEST(Rfc4862, WhoLooksForTheHolderOfATentativeAddressIsNoDuplicate) {
    Heard heard;
    Neighbourhood net{probing(heard)};
    net.run_until(net.now + 1s);
    EXPECT_EQ(net.reason_for(discovery(solicitation(us6), peer6, us6.solicited_node(), group_mac)),
              DropReason::nd_not_for_us);
    net.run_until(net.now + 10s);
    (void)net.sent();
    EXPECT_TRUE(net.layer.is_local(us6));
    EXPECT_TRUE(heard.of(Kind::duplicate).empty());
}

TEST(Rfc7527, OwnProbeThatComesBackIsNoDuplicate) {
    Heard heard;
    Neighbourhood net{probing(heard)};
    net.run_until(net.now + 1s);
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 2U);
    for (const Octets& frame : frames) net.give(frame);
    net.run_until(net.now + 10s);
    (void)net.sent();
    EXPECT_TRUE(net.layer.is_local(us6));
    EXPECT_TRUE(net.layer.is_local(our_link_local));
}

// Section 5.4.5: the link-local address is made of the link address, so that both are somebody else's.
TEST(Rfc4862, DuplicateLinkLocalAddressEndsIpv6OnTheLink) {
    Heard heard;
    Neighbourhood net{probing(heard)};
    net.run_until(net.now + 1s);
    net.give(defended(our_link_local));
    net.run_until(net.now + 10s);
    (void)net.sent();
    EXPECT_EQ(heard.of(Kind::disabled), (std::vector<std::string>{"fe80::ff:fe00:1"}));
    EXPECT_FALSE(net.layer.is_local(us6));
    EXPECT_FALSE(net.layer.probes_addresses());
    EXPECT_EQ(net.reason_for(discovery(solicitation(us6), peer6, us6)), DropReason::ip_family_unsupported);
    EXPECT_TRUE(net.send(tcp_header())) << "IPv4 goes on";
}

TEST(Rfc4862, OfARangeThoseAreUsedThatNobodyHas) {
    Heard heard;
    Config config = probing(heard);
    config.interfaces[0].ipv6[0].address_count = 1000;
    Neighbourhood net{config, 4096};
    net.run_until(net.now + 1100ms);
    for (const std::uint64_t taken : {500U, 1U, 777U}) net.give(defended(documentation(taken)));
    net.run_until(net.now + 10s);
    EXPECT_EQ(net.solicitations().size(), 1001U);
    EXPECT_EQ(heard.of(Kind::duplicate),
              (std::vector<std::string>{"2001:db8::1f4", "2001:db8::1", "2001:db8::309"}));
    for (std::uint64_t i = 1; i <= 1000; ++i)
        EXPECT_EQ(net.layer.is_local(documentation(i)), i != 500 && i != 1 && i != 777) << i;
}

// Whoever claims all of them cannot make us keep a list of holes without end.
TEST(Rfc4862, RangeOfWhichTooManyAreTakenStaysUnused) {
    Heard heard;
    Config config = probing(heard);
    config.interfaces[0].ipv6[0].address_count = 1000;
    Neighbourhood net{config, 4096};
    net.run_until(net.now + 1100ms);
    (void)net.sent();
    for (std::uint64_t i = 1; i <= 900; ++i) net.give(defended(documentation(i)));
    net.run_until(net.now + 10s);
    (void)net.sent();
    EXPECT_EQ(heard.of(Kind::duplicate).size(), 17U);
    EXPECT_EQ(
        std::ranges::count_if(heard.events, [](const AddressEvent& event) { return event.more == 999; }), 1)
        << "the last one says so of all";
    for (std::uint64_t i = 1; i <= 1000; ++i) EXPECT_FALSE(net.layer.is_local(documentation(i))) << i;
    EXPECT_TRUE(net.layer.is_local(our_link_local));
}

TEST(Rfc4862, WithoutProbesAddressesAreUsedAtOnce) {
    Heard heard;
    Neighbourhood net{probing(heard, 0)};
    EXPECT_FALSE(net.layer.probes_addresses());
    EXPECT_TRUE(net.layer.is_local(us6));
    net.run_until(net.now + 10s);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc4862, OfSeveralCoresOneProbesForAll) {
    Heard heard;
    Config config = probing(heard, 1, 3);
    config.place = {.core = 1, .count = 2};
    Neighbourhood net{config};
    net.run_until(net.now + 1s);
    net.layer.hear({.address = us6, .mac = peer_mac, .interface = 0, .conflict = true}, net.now);
    net.run_until(net.now + 20s);
    EXPECT_TRUE(net.sent().empty());
    EXPECT_FALSE(net.layer.is_local(us6)) << "another core has heard of a duplicate";
    EXPECT_TRUE(net.layer.is_local(us));
    EXPECT_TRUE(net.layer.is_local(our_link_local));
}

// Section 2.1.1: three probes one to two seconds apart, after up to a second; used two seconds after the
// last, and announced twice.
TEST(Rfc5227, AddressIsProbedForThenAnnounced) {
    Heard heard;
    Network net{probing(heard, 0, 3)};
    const Instant start = net.now;
    EXPECT_FALSE(net.layer.is_local(us));
    EXPECT_TRUE(net.layer.is_configured(us));
    std::vector<Duration> probes, announcements;
    std::optional<Duration> used;
    for (int tick = 0; tick < 2000; ++tick) {
        net.run_until(net.now + 10ms);
        if (!used && net.layer.is_local(us)) used = net.now - start;
        for (const Octets& frame : net.sent()) {
            const auto packet = arp_in(frame);
            ASSERT_TRUE(packet);
            EXPECT_EQ(packet->operation, wire::ArpOperation::request);
            EXPECT_EQ(packet->target_ip, us);
            EXPECT_EQ(packet->target_mac, MacAddress{});
            if (packet->sender_ip.is_unspecified())
                probes.push_back(net.now - start);
            else
                announcements.push_back(net.now - start);
        }
        if (!used) {
            net.give(arp(wire::ArpOperation::request, peer_mac, peer, us));
            EXPECT_TRUE(net.sent().empty()) << "not answered yet";
            EXPECT_FALSE(net.send(tcp_header()));
        }
    }
    ASSERT_EQ(probes.size(), 3U);
    EXPECT_LE(probes[0], 1010ms);
    for (std::size_t i = 1; i < 3; ++i) {
        EXPECT_GE(probes[i] - probes[i - 1], 1s);
        EXPECT_LE(probes[i] - probes[i - 1], 2s);
    }
    ASSERT_TRUE(used);
    EXPECT_GE(*used - probes[2], 2s);
    EXPECT_LE(*used - probes[2], 2010ms);
    ASSERT_EQ(announcements.size(), 2U);
    EXPECT_EQ(announcements[1] - announcements[0], 2s);
    EXPECT_EQ(heard.of(Kind::usable), (std::vector<std::string>{"10.0.0.1"}));
}

TEST(Rfc5227, AddressThatAnotherHostHasOrProbesForStaysUnused) {
    const std::vector<Octets> claims{
        arp(wire::ArpOperation::reply, peer_mac, us, us, our_mac, our_mac),
        arp(wire::ArpOperation::request, peer_mac, us, peer),
        arp(wire::ArpOperation::request, peer_mac, Ipv4Address{}, us),
    };
    for (const Octets& claim : claims) {
        Heard heard;
        Network net{probing(heard, 0, 3)};
        net.run_until(net.now + 2s);
        EXPECT_EQ(net.reason_for(claim), DropReason::arp_address_conflict);
        net.give(claim);
        net.run_until(net.now + 20s);
        (void)net.sent();
        EXPECT_FALSE(net.layer.is_local(us));
        EXPECT_FALSE(net.layer.probes_addresses());
        EXPECT_EQ(heard.of(Kind::duplicate), (std::vector<std::string>{"10.0.0.1"}));
        net.give(arp(wire::ArpOperation::request, peer_mac, peer, us));
        EXPECT_TRUE(net.sent().empty());
        EXPECT_FALSE(net.send(tcp_header()));
        EXPECT_EQ(net.layer.source_for(peer), std::nullopt);
    }
}

TEST(Rfc5227, OwnProbeThatComesBackIsNoConflict) {
    Heard heard;
    Network net{probing(heard, 0, 3)};
    net.run_until(net.now + 1s);
    net.give(arp(wire::ArpOperation::request, our_mac, Ipv4Address{}, us));
    net.run_until(net.now + 20s);
    (void)net.sent();
    EXPECT_TRUE(net.layer.is_local(us));
}

TEST(Rfc5227, OfARangeTheLongestStretchThatNobodyHasIsUsed) {
    Heard heard;
    Config config = probing(heard, 0, 1);
    config.interfaces[0].address_count = 100;
    Network net{config, 1024};
    net.run_until(net.now + 1500ms);
    net.give(arp(wire::ArpOperation::request, peer_mac, Ipv4Address{10, 0, 0, 30}, peer));
    net.run_until(net.now + 20s);
    (void)net.sent();
    for (std::uint8_t i = 1; i <= 100; ++i)
        EXPECT_EQ(net.layer.is_local(Ipv4Address{10, 0, 0, i}), i > 30) << int{i};
    EXPECT_EQ(net.layer.source_for(Ipv4Address{10, 0, 0, 200}), (Ipv4Address{10, 0, 0, 31}));
}

// Section 2.4 (c): at most once in ten seconds an announcement, and the address is kept.
TEST(Rfc5227, AddressInUseIsDefendedOnceInTenSeconds) {
    Heard heard;
    Config config = probing(heard, 0, 0);
    config.interfaces[0].address_count = 2;
    Network net{config};
    const Instant start = net.now;
    std::map<std::string, std::vector<Duration>> defended;
    for (int second = 0; second < 31; ++second) {
        for (const Ipv4Address ours : {us, Ipv4Address{10, 0, 0, 2}}) {
            EXPECT_EQ(net.reason_for(arp(wire::ArpOperation::request, other_mac, ours, ours)),
                      DropReason::arp_address_conflict);
            for (const Octets& frame : net.sent()) {
                const auto packet = arp_in(frame);
                ASSERT_TRUE(packet);
                EXPECT_EQ(packet->sender_mac, our_mac);
                EXPECT_EQ(packet->sender_ip, packet->target_ip);
                defended[to_string(packet->sender_ip)].push_back(net.now - start);
            }
        }
        net.run_until(net.now + 1s);
    }
    EXPECT_EQ(defended.size(), 2U) << "each by itself";
    for (const auto& [address, times] : defended)
        EXPECT_EQ(times, (std::vector<Duration>{0s, 10s, 20s, 30s})) << address;
    EXPECT_EQ(heard.of(Kind::conflict).size(), 8U);
    EXPECT_TRUE(net.layer.is_local(us));
}

TEST(Rfc4862, Ipv6AddressInUseIsDefendedOnceInTenSeconds) {
    Heard heard;
    Neighbourhood net{probing(heard, 0)};
    const Instant start = net.now;
    std::vector<Duration> times;
    for (int second = 0; second < 21; ++second) {
        EXPECT_EQ(net.reason_for(defended(us6)), DropReason::nd_address_conflict);
        for (const Octets& frame : net.sent()) {
            const auto one = discovery_in(frame);
            ASSERT_TRUE(one);
            EXPECT_EQ(one->message.type, wire::Icmpv6Type::neighbour_advertisement);
            EXPECT_EQ(one->message.flags, override_flag);
            EXPECT_EQ(one->message.link_address, our_mac);
            EXPECT_EQ(one->header.destination, all_nodes);
            times.push_back(net.now - start);
        }
        net.run_until(net.now + 1s);
    }
    EXPECT_EQ(times, (std::vector<Duration>{0s, 10s, 20s}));
    EXPECT_EQ(heard.of(Kind::conflict).size(), 3U);
}

TEST(Rfc5227, DefenceOfManyAddressesIsBounded) {
    ConflictDefence defence;
    int answered = 0;
    for (std::uint32_t i = 0; i < 1000; ++i)
        answered += defence.due(Ipv4Address{0x0a000000 + i}, Instant{5s});
    EXPECT_EQ(answered, 16);
    EXPECT_TRUE(defence.due(Ipv4Address{0x0a0003e0}, Instant{15s}));
}

}  // namespace duplicate_detection_test
}  // namespace runnel::ip
