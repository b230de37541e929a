// Neighbour Discovery: RFC 4861 sections 7.1 to 7.3, RFC 4862 section 5.4.3, RFC 6980.
#include <map>

#include "neighbourhood.hpp"

namespace runnel::ip {
namespace neighbour_discovery_test {

using namespace test;

TEST(Rfc4861, SolicitationForOurAddressIsAnswered) {
    Neighbourhood net;
    EXPECT_EQ(net.give(discovery(solicitation(us6), peer6, us6.solicited_node(), group_mac)), Upper::none);
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    const auto answer = discovery_in(frames[0]);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header.source, us6);
    EXPECT_EQ(answer->header.destination, peer6);
    EXPECT_EQ(answer->frame_destination, peer_mac);
    EXPECT_EQ(answer->message.flags, solicited | override_flag);
    EXPECT_EQ(answer->message.target, us6);
    EXPECT_EQ(answer->message.link_address, our_mac);
    EXPECT_EQ(net.way_to(), peer_mac) << "who asks is learnt";
}

TEST(Rfc4861, LinkLocalAddressIsMadeOfTheLinkAddressAndAnswered) {
    Neighbourhood net;
    EXPECT_EQ(to_string(our_link_local), "fe80::ff:fe00:1");
    net.give(discovery(solicitation(our_link_local), peer_link_local, our_link_local.solicited_node(),
                       wire::multicast_mac(our_link_local.solicited_node())));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(discovery_in(frames[0])->message.target, our_link_local);
}

TEST(Rfc4862, ProbeForOurAddressIsAnsweredToAll) {
    Neighbourhood net;
    net.give(discovery(solicitation(us6, std::nullopt), {}, us6.solicited_node(), group_mac));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    const auto answer = discovery_in(frames[0]);
    EXPECT_EQ(answer->header.destination, all_nodes);
    EXPECT_EQ(answer->frame_destination, wire::multicast_mac(all_nodes));
    EXPECT_EQ(answer->message.flags, override_flag);
    EXPECT_EQ(answer->message.link_address, our_mac);
}

// Each test of sections 7.1.1 and 7.1.2, and RFC 6980: one wrong thing, nothing learnt, nothing answered.
TEST(Rfc4861, MessagesThatAreNotValidAreDropped) {
    Neighbourhood net;
    const auto ask = solicitation(us6);
    const std::vector<std::pair<const char*, Octets>> bad{
        {"hop limit", discovery(ask, peer6, us6, our_mac, 254)},
        {"target is a group", discovery(solicitation(us6.solicited_node()), peer6, us6)},
        {"unspecified source to our address", discovery(solicitation(us6, std::nullopt), {}, us6)},
        {"unspecified source with a link address", discovery(ask, {}, us6.solicited_node(), group_mac)},
        {"a link address that is a group's",
         discovery(solicitation(us6, MacAddress::broadcast()), peer6, us6)},
        {"solicited advertisement to a group",
         discovery(advertisement(peer6, solicited), peer6, all_nodes, wire::multicast_mac(all_nodes))},
        {"advertised target is a group", discovery(advertisement(all_nodes, override_flag), peer6, us6)},
    };
    for (const auto& [what, frame] : bad) {
        EXPECT_EQ(net.reason_for(frame), DropReason::nd_malformed) << what;
        EXPECT_TRUE(net.sent().empty()) << what;
    }
    // With a code, cut short, an option of length 0, in a fragment.
    const Ipv6Fields fields{.next_header = icmpv6_protocol, .hop_limit = 255};
    Octets message(wire::size_of(ask));
    wire::write(ask, message);
    const auto altered = [&](auto&& alter) {
        Octets changed = message;
        alter(changed);
        seal6(changed, 2, fields);
        return ethernet6(ipv6(changed, fields));
    };
    EXPECT_EQ(net.reason_for(altered([](Octets& m) { m[1] = std::byte{1}; })), DropReason::nd_malformed);
    EXPECT_EQ(net.reason_for(altered([](Octets& m) { m.resize(23); })), DropReason::nd_malformed);
    EXPECT_EQ(net.reason_for(altered([](Octets& m) { m[25] = std::byte{0}; })), DropReason::nd_malformed);
    Octets sealed = message;
    seal6(sealed, 2, fields);
    const Octets fragment = numbers({icmpv6_protocol, 0, 0, 0, 0, 0, 0, 1}) + sealed;
    EXPECT_EQ(net.reason_for(ethernet6(ipv6(fragment, {.next_header = 44, .hop_limit = 255}))),
              DropReason::nd_malformed);
    sealed[9] ^= std::byte{1};
    EXPECT_EQ(net.reason_for(ethernet6(ipv6(sealed, fields))), DropReason::icmp_bad_checksum);
    EXPECT_TRUE(net.sent().empty());
    EXPECT_EQ(net.way_to(), std::nullopt);
}

TEST(Rfc4861, SolicitationForAnotherAddressIsNotAnswered) {
    Neighbourhood net;
    // The same last 24 bits: the group is ours, the address is not.
    const Ipv6Address other = documentation(0x1000001);
    EXPECT_EQ(net.reason_for(discovery(solicitation(other), peer6, other.solicited_node(), group_mac)),
              DropReason::nd_not_for_us);
    const Ipv6Address elsewhere = documentation(0x123456);
    EXPECT_EQ(net.reason_for(discovery(solicitation(elsewhere), peer6, elsewhere.solicited_node(),
                                       wire::multicast_mac(elsewhere.solicited_node()))),
              DropReason::ip_not_for_us);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc4861, PacketWaitsWhileItsNeighbourIsAskedFor) {
    Neighbourhood net;
    EXPECT_TRUE(net.send_to(peer6));
    const auto asked = net.solicitations();
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].message.target, peer6);
    EXPECT_EQ(asked[0].message.link_address, our_mac);
    EXPECT_EQ(asked[0].header.source, us6);
    EXPECT_EQ(asked[0].header.destination, peer6.solicited_node());
    EXPECT_EQ(asked[0].frame_destination, wire::multicast_mac(peer6.solicited_node()));
    net.give(discovery(advertisement(peer6, solicited | override_flag), peer6, us6));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), peer_mac);
    EXPECT_EQ(packet6_in(frames[0]).header.destination, peer6);
}

// Section 7.2.2: three solicitations, a second apart, then the neighbour cannot be reached.
TEST(Rfc4861, SilentNeighbourIsAskedThreeTimesThenGivenUp) {
    Neighbourhood net;
    net.send_to(peer6);
    const Instant start = net.now;
    std::vector<Duration> times;
    for (int tenth = 0; tenth <= 40; ++tenth) {
        net.run_until(start + tenth * 100ms);
        for (const auto& one : net.solicitations()) {
            (void)one;
            times.push_back(net.now - start);
        }
    }
    EXPECT_EQ(times, (std::vector<Duration>{0s, 1s, 2s}));
    EXPECT_EQ(net.count(DropReason::neighbour_unreachable), 1U);
}

// Section 7.2.5, by its table.
TEST(Rfc4861, AdvertisementsChangeWhatIsKnownByTheirFlags) {
    struct Case {
        const char* what;
        std::uint32_t flags;
        std::optional<MacAddress> mac;
        MacAddress expected;
        bool asks_again;  // the next use leads to a probe within 5 s
    };
    const std::vector<Case> cases{
        {"the same address, unsolicited", override_flag, peer_mac, peer_mac, false},
        {"another address without override", 0, other_mac, peer_mac, true},
        {"another address with override", override_flag, other_mac, other_mac, true},
        {"another address with override, called solicited though nobody asked", solicited | override_flag,
         other_mac, other_mac, true},
        {"no address", 0, std::nullopt, peer_mac, false},
    };
    for (const Case& one : cases) {
        Neighbourhood net;
        net.resolve();
        net.give(discovery(advertisement(peer6, one.flags, one.mac), peer6, us6));
        EXPECT_EQ(net.way_to(), one.expected) << one.what;
        net.run_until(net.now + 5100ms);
        EXPECT_EQ(!net.solicitations().empty(), one.asks_again) << one.what;
    }
}

TEST(Rfc4861, AdvertisementOfWhomNobodyAskedForIsIgnored) {
    Neighbourhood net;
    EXPECT_EQ(net.reason_for(discovery(advertisement(peer6, override_flag), peer6, all_nodes,
                                       wire::multicast_mac(all_nodes))),
              DropReason::nd_unsolicited);
    EXPECT_EQ(net.way_to(), std::nullopt);
    // Asked for, but without its link address it says nothing.
    EXPECT_EQ(net.reason_for(discovery(advertisement(peer6, solicited, std::nullopt), peer6, us6)),
              DropReason::nd_unsolicited);
    EXPECT_EQ(net.way_to(), std::nullopt);
}

TEST(Rfc4861, AdvertisementOfOurOwnAddressIsAConflict) {
    Neighbourhood net;
    for (const Ipv6Address& source : {us6, peer6})
        EXPECT_EQ(net.reason_for(discovery(advertisement(us6, override_flag), source, all_nodes,
                                           wire::multicast_mac(all_nodes))),
                  DropReason::nd_address_conflict);
    EXPECT_EQ(net.reason_for(discovery(solicitation(us6), us6, us6)), DropReason::nd_address_conflict);
}

// Section 7.3.3: reachable, stale, delay of 5 s, three probes a second apart at its address, gone.
TEST(Rfc4861, NeighbourThatFallsSilentIsProbedAndForgotten) {
    Neighbourhood net;
    net.resolve();
    const Instant resolved = net.now;
    net.run_until(resolved + 14s);
    EXPECT_EQ(net.way_to(), peer_mac);
    net.run_until(resolved + 46s);  // the longest reachable time
    EXPECT_TRUE(net.solicitations().empty()) << "nobody uses it, nobody asks";
    EXPECT_EQ(net.way_to(), peer_mac) << "stale is used all the same";
    const Instant used = net.now;
    std::vector<Duration> probes;
    for (int tenth = 1; tenth <= 90; ++tenth) {
        net.run_until(used + tenth * 100ms);
        for (const auto& one : net.solicitations()) {
            probes.push_back(net.now - used);
            EXPECT_EQ(one.header.destination, peer6) << "unicast";
            EXPECT_EQ(one.frame_destination, peer_mac);
        }
    }
    EXPECT_EQ(probes, (std::vector<Duration>{5s, 6s, 7s}));
    EXPECT_EQ(net.way_to(), std::nullopt) << "it must be asked for anew";
}

TEST(Rfc4861, ProbeThatIsAnsweredMakesTheNeighbourReachable) {
    Neighbourhood net;
    net.resolve();
    net.run_until(net.now + 46s);
    (void)net.way_to();
    net.run_until(net.now + 5100ms);
    ASSERT_EQ(net.solicitations().size(), 1U);
    net.give(discovery(advertisement(peer6, solicited, std::nullopt), peer6, us6));
    net.run_until(net.now + 10s);
    EXPECT_TRUE(net.solicitations().empty());
    EXPECT_EQ(net.way_to(), peer_mac);
}

// RFC 6583: a scan of a /64 fills its table and nothing else; who is reachable stays.
TEST(Rfc6583, ScanOfTheSubnetIsBoundedAndHarmsNobody) {
    Config config = ipv6_config();
    config.neighbour_capacity = 64;
    Neighbourhood net{config, 4096};
    net.resolve();
    for (std::uint64_t i = 0; i < 1000; ++i) {
        net.send_to(documentation(0x10000 + i));
        if (i % 50 == 0) {
            EXPECT_EQ(net.way_to(), peer_mac) << i;
        }
        (void)net.sent();
    }
    EXPECT_EQ(net.way_to(), peer_mac);
    EXPECT_GT(net.count(DropReason::neighbour_table_full), 900U);
}

TEST(Rfc4861, AddressesAreAnnouncedThreeTimes) {
    Config config = ipv6_config();
    config.interfaces[0].ipv6[0].address_count = 3;
    Neighbourhood net{config};
    net.layer.announce(net.now);
    const Instant start = net.now;
    std::map<std::string, std::vector<Duration>> announced;
    for (int tenth = 0; tenth <= 50; ++tenth) {
        net.run_until(start + tenth * 100ms);
        for (const Octets& frame : net.sent()) {
            if (wire::EthernetView::parse(frame)->type() != wire::EtherType::ipv6) continue;
            const auto one = discovery_in(frame);
            ASSERT_TRUE(one);
            EXPECT_EQ(one->header.destination, all_nodes);
            EXPECT_EQ(one->message.flags, override_flag);
            announced[to_string(one->message.target)].push_back(net.now - start);
        }
    }
    EXPECT_EQ(announced.size(), 4U) << "three, and the link-local one";
    for (const auto& [address, times] : announced) {
        ASSERT_EQ(times.size(), 3U) << address;
        EXPECT_GE(times[1] - times[0], 1s);
        EXPECT_GE(times[2] - times[1], 1s);
    }
}

}  // namespace neighbour_discovery_test
}  // namespace runnel::ip
