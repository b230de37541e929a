// Several IPv4 networks on one link, each with addresses of ours: RFC 1122 sections 3.3.1 and 3.3.4, and RFC
// 5227 of each.
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "membership_network.hpp"
#include "neighbourhood.hpp"

namespace runnel::ip {
namespace ipv4_networks_test {

using namespace test;  // NOLINT: the words in which the tests are written
using Kind = AddressEventKind;

constexpr Ipv4Address second{172, 16, 0, 1}, second_peer{172, 16, 5, 9}, second_router{172, 16, 0, 254};
constexpr Ipv4Address nested{172, 16, 8, 1}, nested_peer{172, 16, 8, 9};

/// 10.0.0.1/24, 172.16.0.1 to .3 of /16, and 172.16.8.1/24 within that.
Config three_networks() {
    Config config = plain_config();
    config.interfaces[0].more_ipv4 = {{.address = second, .address_count = 3, .prefix_length = 16},
                                      {.address = nested}};
    config.routes = {{.gateway = router},
                     {.network = Ipv4Address{198, 18, 0, 0}, .prefix_length = 15, .gateway = second_router}};
    return config;
}

struct Networks : Network {
    explicit Networks(const Config& config = three_networks()) : Network(config) {}

    bool send_from(Ipv4Address source, Ipv4Address destination) {
        return layer.output(pool.mbuf(tcp_header()),
                            {.source = source, .destination = destination, .protocol = 6}, now);
    }
    /// What is asked of the link, of the packets sent since.
    std::vector<wire::ArpPacket> requests() {
        std::vector<wire::ArpPacket> found;
        for (const Octets& frame : sent())
            if (const auto packet = arp_in(frame)) found.push_back(*packet);
        return found;
    }
};

TEST(Ipv4Networks, AddressesOfEachAreAnsweredForAndNoOther) {
    Networks net;
    for (const auto& [asker, target, answered] :
         {std::tuple{peer, us, true}, std::tuple{second_peer, second, true},
          std::tuple{second_peer, Ipv4Address{172, 16, 0, 3}, true},
          std::tuple{second_peer, Ipv4Address{172, 16, 0, 4}, false}, std::tuple{nested_peer, nested, true},
          std::tuple{peer, nested, true}, std::tuple{second_peer, Ipv4Address{172, 16, 8, 2}, false}}) {
        net.give(arp(wire::ArpOperation::request, peer_mac, asker, target));
        const auto answers = net.requests();
        ASSERT_EQ(answers.size(), answered ? 1U : 0U) << to_string(target);
        if (answered) {
            EXPECT_EQ(answers[0].operation, wire::ArpOperation::reply);
            EXPECT_EQ(answers[0].sender_ip, target);
            EXPECT_EQ(answers[0].target_ip, asker);
        }
    }
}

TEST(Ipv4Networks, SegmentsToEachAddressAreReceived) {
    Networks net;
    for (const Ipv4Address address : {us, second, Ipv4Address{172, 16, 0, 2}, nested}) {
        EXPECT_EQ(net.give(ethernet(ipv4(tcp_header(), {.source = far_away, .destination = address}))),
                  Upper::tcp);
        EXPECT_EQ(net.in.destination, address);
        EXPECT_TRUE(net.layer.is_local(address));
    }
    EXPECT_EQ(net.reason_for(ethernet(ipv4(tcp_header(), {.destination = Ipv4Address{172, 16, 0, 4}}))),
              DropReason::ip_not_for_us);
    EXPECT_EQ(net.reason_for(ethernet(ipv4(tcp_header(), {.source = second}))), DropReason::ip_bad_source);
}

TEST(Ipv4Networks, EachIsConnectedAndTheLongestPrefixSaysWhoseAddressThePacketCarries) {
    Networks net;
    EXPECT_EQ(net.layer.source_for(peer), us);
    EXPECT_EQ(net.layer.source_for(second_peer), second);
    EXPECT_EQ(net.layer.source_for(nested_peer), nested);
    EXPECT_EQ(net.layer.source_for(far_away), us) << "the router is in the first";
    EXPECT_EQ(net.layer.source_for(Ipv4Address{198, 18, 0, 7}), second) << "that router is in the second";
    EXPECT_EQ(net.layer.source_for(Ipv4Address{172, 16, 255, 255}), second) << "a broadcast";
    EXPECT_EQ(net.layer.source_for(Ipv4Address{239, 0, 0, 1}), us);
    EXPECT_EQ(net.layer.source_on(0, nested_peer), nested);
}

TEST(Ipv4Networks, NeighbourIsAskedFromAnAddressOfItsNetwork) {
    Networks net;
    for (const auto& [source, destination, asked, from] :
         {std::tuple{us, peer, peer, us}, std::tuple{second, second_peer, second_peer, second},
          std::tuple{Ipv4Address{172, 16, 0, 2}, Ipv4Address{172, 16, 9, 9}, Ipv4Address{172, 16, 9, 9},
                     Ipv4Address{172, 16, 0, 2}},
          std::tuple{us, Ipv4Address{172, 16, 9, 10}, Ipv4Address{172, 16, 9, 10}, second},
          std::tuple{nested, far_away, router, us}, std::tuple{second, nested_peer, nested_peer, nested},
          std::tuple{us, Ipv4Address{198, 18, 0, 7}, second_router, second}}) {
        EXPECT_TRUE(net.send_from(source, destination));
        const auto requests = net.requests();
        ASSERT_EQ(requests.size(), 1U) << to_string(destination);
        EXPECT_EQ(requests[0].target_ip, asked);
        EXPECT_EQ(requests[0].sender_ip, from);
    }
}

TEST(Ipv4Networks, BroadcastOfEachIsHeardAndSentToAllAndNobodysAddress) {
    Networks net;
    for (const Ipv4Address broadcast : {subnet_broadcast, Ipv4Address{172, 16, 255, 255},
                                        Ipv4Address{172, 16, 0, 0}, Ipv4Address{172, 16, 8, 255}}) {
        EXPECT_TRUE(net.layer.is_group(broadcast));
        EXPECT_EQ(net.give(ethernet(ipv4(udp_datagram(pattern(8), 1, 2, peer, broadcast),
                                         {.destination = broadcast, .protocol = wire::IpProtocol::udp}),
                                    wire::EtherType::ipv4, MacAddress::broadcast())),
                  Upper::udp);
        EXPECT_TRUE(net.in.group);
        EXPECT_EQ(net.reason_for(ethernet(ipv4(tcp_header(), {.source = broadcast}))),
                  DropReason::ip_bad_source);
        EXPECT_TRUE(net.send_from(us, broadcast));
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U);
        EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), MacAddress::broadcast());
    }
}

TEST(Ipv4Networks, AddressesOfEachAreDefendedAndAnnounced) {
    Networks net;
    for (const Ipv4Address address : {us, second, nested}) {
        EXPECT_EQ(net.reason_for(arp(wire::ArpOperation::request, other_mac, address, address)),
                  DropReason::arp_address_conflict);
        const auto defence = net.requests();
        ASSERT_EQ(defence.size(), 1U);
        EXPECT_EQ(defence[0].sender_ip, address);
        EXPECT_EQ(defence[0].target_ip, address);
    }
    net.layer.announce(net.now);
    std::vector<std::string> announced;
    for (const auto& packet : net.requests()) announced.push_back(to_string(packet.sender_ip));
    EXPECT_EQ(announced,
              (std::vector<std::string>{"10.0.0.1", "172.16.0.1", "172.16.0.2", "172.16.0.3", "172.16.8.1"}));
}

TEST(Ipv4Networks, EachIsProbedForAndWhatAnotherHostHasStaysUnusedAlone) {
    Heard heard;
    Config config = three_networks();
    config.arp_probes = 3;
    config.address_observer = &heard;
    Networks net{config};
    EXPECT_TRUE(net.layer.is_configured(nested));
    EXPECT_FALSE(net.layer.is_local(nested));
    net.layer.advance(net.now);
    EXPECT_EQ(net.layer.source_for(peer), std::nullopt);
    // Another host has the first, and one in the midst of the second.
    net.give(arp(wire::ArpOperation::reply, other_mac, us, {}));
    net.give(arp(wire::ArpOperation::reply, other_mac, Ipv4Address{172, 16, 0, 2}, {}));
    net.run_until(net.now + 20s);
    EXPECT_EQ(heard.of(Kind::duplicate), (std::vector<std::string>{"10.0.0.1", "172.16.0.2"}));
    auto usable = heard.of(Kind::usable);
    std::ranges::sort(usable);
    EXPECT_EQ(usable, (std::vector<std::string>{"172.16.0.1", "172.16.8.1"}));
    EXPECT_FALSE(net.layer.is_local(us));
    EXPECT_TRUE(net.layer.is_local(second));
    EXPECT_FALSE(net.layer.is_local(Ipv4Address{172, 16, 0, 2}));
    EXPECT_TRUE(net.layer.is_local(nested));
    EXPECT_EQ(net.layer.source_for(peer), second) << "the first that is in use";
    EXPECT_EQ(net.give(ethernet(ipv4(tcp_header(), {.destination = nested}))), Upper::tcp);
}

TEST(Ipv4Networks, MembershipsAreReportedFromTheFirstAddressAndAQuerierOfEachIsOnTheLink) {
    Config config = three_networks();
    Membership host{true, config};
    host.join(host.group);
    EXPECT_EQ(host.told_by(host.network.now).size(), 1U);  // which checks that the source is the first
    (void)host.told_by(host.network.now + 5s);
    host.ask({}, {.from = second_peer, .destination = us});
    EXPECT_EQ(host.told_by(host.network.now + 10s).size(), 1U);
}

TEST(Ipv4Networks, WrongOnesAreRefusedByName) {
    const auto complaint = [](auto&& spoil) {
        Config config = three_networks();
        spoil(config);
        try {
            validate(config);
        } catch (const std::invalid_argument& wrong) {
            return std::string{wrong.what()};
        }
        return std::string{};
    };
    EXPECT_EQ(complaint([](Config&) {}), "");
    using testing::HasSubstr;
    EXPECT_THAT(complaint([](Config& c) {
                    c.interfaces[0].more_ipv4[1].address = Ipv4Address{172, 16, 0, 3};
                }),
                HasSubstr("interfaces[0].more_ipv4[1].address = 172.16.0.3: overlaps the addresses of "
                          "interfaces[0].more_ipv4[0].address"));
    EXPECT_THAT(complaint([](Config& c) { c.interfaces[0].more_ipv4[0].address = us; }),
                HasSubstr("interfaces[0].more_ipv4[0].address = 10.0.0.1: overlaps"));
    EXPECT_THAT(complaint([](Config& c) { c.interfaces[0].more_ipv4[1].prefix_length = 33; }),
                HasSubstr("interfaces[0].more_ipv4[1].prefix_length = 33"));
    EXPECT_THAT(complaint([](Config& c) { c.interfaces[0].more_ipv4[1].address_count = 255; }),
                HasSubstr("not all are hosts of the network /24"));
    EXPECT_THAT(complaint([](Config& c) {
                    c.interfaces[0].more_ipv4[0].address = Ipv4Address{239, 0, 0, 1};
                }),
                HasSubstr("not an address of a host"));
    EXPECT_THAT(complaint([](Config& c) {
                    c.routes[1].gateway = Ipv4Address{192, 168, 0, 1};
                }),
                HasSubstr("routes[1].gateway = 192.168.0.1: not in the connected network"));
    EXPECT_THAT(complaint([](Config& c) { c.routes[1].gateway = nested; }), HasSubstr("is our own address"));
    EXPECT_THAT(complaint([](Config& c) {
                    c.interfaces[0].address = {};
                    c.interfaces[0].ipv6 = {{.address = us6}};
                    c.routes.clear();
                }),
                HasSubstr("interfaces[0].address is not given and interfaces[0].more_ipv4 is"));
    EXPECT_THAT(complaint([](Config& c) {
                    for (std::uint32_t i = 0; i < 255; ++i)
                        c.interfaces[0].more_ipv4.push_back({.address = Ipv4Address{0x0b000001U + (i << 8)}});
                }),
                HasSubstr("give 255 at most"));
}

}  // namespace ipv4_networks_test
}  // namespace runnel::ip
