// What goes to the kernel and what does not, octet by octet, and what comes back from it.
#include "runnel/ip/exception_path.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/ip/raw_protocols.hpp"

#include "fragments.hpp"

namespace runnel::ip {
namespace exception_path_test {

using namespace test;  // NOLINT: the words in which the tests are written

using Ports = std::vector<std::uint16_t>;
using Frames = std::vector<Octets>;
constexpr std::uint8_t ospf = 89;
constexpr Ipv4Address all_ospf_routers{224, 0, 0, 5};

Config with_kernel(Config config = resolved_config()) {
    config.interfaces[0].ipv6 = {{.address = us6}};
    config.neighbours.push_back({peer6, peer_mac, 0});
    config.exception = ExceptionConfig{.tcp = {{22, 22}, {1000, 2000}}, .udp = {{500, 4500}}, .queue = 64};
    return config;
}

class KernelNetwork : public Network {
  public:
    explicit KernelNetwork(const Config& config = with_kernel()) : Network(config) {}

    /// The frames that the kernel gets, since the last call.
    std::vector<Octets> kernel() {
        std::vector<Octets> frames;
        rte_mbuf* one = nullptr;
        while (layer.exception().pop({&one, 1}) == 1) {
            EXPECT_EQ(rte_mbuf_check(one, 1, nullptr), 0);
            EXPECT_EQ(one->ol_flags, 0U);
            EXPECT_EQ(one->port, 0);
            frames.push_back(octets_of(one));
            rte_pktmbuf_free(one);
        }
        return frames;
    }
    /// The kernel gets the frame as it is but for padding, nothing is sent, and no drop is counted.
    void expect_kernel(const Octets& frame, const std::string& what) {
        EXPECT_EQ(reason_for(frame), std::nullopt) << what;
        EXPECT_TRUE(sent().empty()) << what;
        EXPECT_EQ(kernel(), Frames{frame}) << what;
    }
    void expect_stack(const Octets& frame, Upper upper, const std::string& what) {
        EXPECT_EQ(give(frame), upper) << what;
        EXPECT_TRUE(kernel().empty()) << what;
    }
};

Octets of_protocol(std::uint8_t protocol, Ipv4Address destination = us) {
    return ethernet(ipv4(pattern(44), {.destination = destination, .protocol = wire::IpProtocol{protocol}}),
                    wire::EtherType::ipv4,
                    destination.is_multicast() ? wire::multicast_mac(destination) : our_mac);
}

TEST(ExceptionPath, PortsOfARuleAreTheKernelsAndOthersAreNot) {
    KernelNetwork net;
    const auto tcp4 = [](std::uint16_t port) { return ethernet(ipv4(tcp_header(40000, port))); };
    const auto tcp6 = [](std::uint16_t port) { return ethernet6(ipv6(tcp_header(40000, port))); };
    for (const std::uint16_t port : Ports{22, 1000, 1500, 2000}) {
        net.expect_kernel(tcp4(port), "TCP over IPv4");
        net.expect_kernel(tcp6(port), "TCP over IPv6");
    }
    for (const std::uint16_t port : Ports{21, 23, 80, 500, 999, 2001, 65535}) {
        net.expect_stack(tcp4(port), Upper::tcp, "TCP over IPv4");
        net.expect_stack(tcp6(port), Upper::tcp, "TCP over IPv6");
    }
    const Octets options(8, std::byte{1});
    net.expect_kernel(ethernet(ipv4(tcp_header(40000, 22), {.options = options})), "behind IP options");
    const auto udp4 = [](std::uint16_t port) {
        return ethernet(ipv4(udp_datagram(pattern(30), 40000, port), {.protocol = wire::IpProtocol::udp}));
    };
    for (const std::uint16_t port : Ports{500, 520, 4500}) net.expect_kernel(udp4(port), "UDP");
    for (const std::uint16_t port : Ports{22, 499, 4501}) net.expect_stack(udp4(port), Upper::udp, "UDP");
    EXPECT_EQ(net.count(Counter::frames_to_kernel), 12U);
}

TEST(ExceptionPath, ProtocolsThatNobodyClaimsAreTheKernelsAndNotRefused) {
    KernelNetwork net;
    net.expect_kernel(of_protocol(ospf), "OSPF");
    net.expect_kernel(of_protocol(2), "IGMP");
    net.expect_kernel(ethernet6(ipv6(pattern(40), {.next_header = ospf})), "OSPF over IPv6");
    net.expect_kernel(
        ethernet6(ipv6(numbers({ospf, 0, 1, 4, 0, 0, 0, 0}) + pattern(40), {.next_header = 60})),
        "behind an extension header");
}

TEST(ExceptionPath, GroupsThatNobodyHearsAreTheKernels) {
    KernelNetwork net;
    net.expect_kernel(of_protocol(ospf, all_ospf_routers), "a group");
    net.expect_kernel(of_protocol(17, {239, 1, 2, 3}), "UDP to a group");
    const Ipv6Address routers = Ipv6Address::of(0xff02'0000'0000'0000, 5);
    net.expect_kernel(
        ethernet6(ipv6(pattern(36), {.source = peer_link_local, .destination = routers, .next_header = ospf}),
                  wire::multicast_mac(routers)),
        "a group over IPv6");
    // Of another station: the port is promiscuous, nobody means us.
    EXPECT_EQ(net.reason_for(ethernet(ipv4(tcp_header()), wire::EtherType::ipv4, other_mac)),
              DropReason::ethernet_not_for_us);
    EXPECT_TRUE(net.kernel().empty());
}

TEST(ExceptionPath, AddressesAndTypesThatAreNotOursAreTheKernels) {
    KernelNetwork net;
    net.expect_kernel(of_protocol(6, {10, 0, 0, 77}), "another address at our link address");
    net.expect_kernel(ethernet6(ipv6(tcp_header(), {.destination = documentation(77)})),
                      "the same over IPv6");
    net.expect_kernel(ethernet(pattern(50), wire::EtherType{0x88cc}), "LLDP");
    Config config = with_kernel();
    config.interfaces[0].ipv6.clear();
    config.neighbours.pop_back();
    KernelNetwork ipv4_alone{config};
    ipv4_alone.expect_kernel(ethernet6(ipv6(tcp_header(40000, 80))), "a family that is not spoken here");
}

TEST(ExceptionPath, IcmpThatWeHaveNoUseForIsTheKernelsAndEchoIsAnsweredHere) {
    KernelNetwork net;
    const auto of_icmp = [](const Octets& message) {
        return ethernet(ipv4(message, {.protocol = wire::IpProtocol::icmp}));
    };
    net.expect_kernel(of_icmp(icmp(wire::IcmpType::echo_reply, 0, 0x12340001, pattern(56))),
                      "a reply to the kernel");
    net.expect_kernel(of_icmp(icmp(wire::IcmpType::timestamp_reply, 0, 0, pattern(12))), "a timestamp");
    const auto error_about = [&](const Octets& packet) {
        return of_icmp(icmp(wire::IcmpType::destination_unreachable, 1, 0, packet));
    };
    net.expect_kernel(error_about(ipv4(tcp_header(22, 40000), {.source = us, .destination = peer})),
                      "an error about a segment of the kernel's");
    net.expect_kernel(
        error_about(
            ipv4(pattern(44), {.source = us, .destination = peer, .protocol = wire::IpProtocol{ospf}})),
        "an error about OSPF");
    net.expect_stack(error_about(ipv4(tcp_header(80, 40000), {.source = us, .destination = peer})),
                     Upper::icmp_error, "an error about a segment of ours");
    net.expect_stack(of_icmp(icmp(wire::IcmpType::echo_request, 0, 0x12340001, pattern(56))), Upper::none,
                     "echo");
    EXPECT_EQ(net.sent().size(), 1U);
    net.expect_kernel(ethernet6(icmpv6(wire::Icmpv6Type::echo_reply, 0, 1, pattern(56))),
                      "a reply over IPv6");
    net.expect_kernel(
        ethernet6(icmpv6(wire::Icmpv6Type::router_advertisement, 0, 0, pattern(8),
                         {.source = peer_link_local, .destination = all_nodes, .hop_limit = 255}),
                  wire::multicast_mac(all_nodes)),
        "a router's advertisement");
    net.expect_kernel(ethernet6(icmpv6(wire::Icmpv6Type::destination_unreachable, 1, 0,
                                       ipv6(tcp_header(22, 40000), {.source = us6, .destination = peer6}))),
                      "an error about a segment of the kernel's over IPv6");
    net.expect_stack(ethernet6(icmpv6(wire::Icmpv6Type::echo_request, 0, 1, pattern(56))), Upper::none,
                     "echo");
    EXPECT_EQ(net.sent().size(), 1U);
}

TEST(ExceptionPath, KernelHearsWhatNeighboursSayAndNotWhatTheyAskOfUs) {
    Config config = with_kernel();
    config.neighbours.clear();
    config.routes.clear();
    KernelNetwork net{config};
    const Octets reply = arp(wire::ArpOperation::reply, peer_mac, peer, us, our_mac, our_mac);
    net.expect_kernel(reply, "a reply that the kernel has asked for");
    net.send(tcp_header());
    EXPECT_EQ(net.sent().size(), 1U);  // the request
    EXPECT_EQ(net.reason_for(reply), std::nullopt);
    EXPECT_EQ(net.kernel(), Frames{reply}) << "both have asked";
    EXPECT_EQ(net.sent().size(), 1U) << "what waited";
    net.expect_kernel(arp(wire::ArpOperation::request, peer_mac, peer, {10, 0, 0, 77}),
                      "a request for another");
    net.expect_stack(arp(wire::ArpOperation::request, peer_mac, peer, us), Upper::none, "a request for us");
    EXPECT_EQ(net.sent().size(), 1U) << "answered once";

    const wire::NeighbourMessage solicitation{
        .type = wire::Icmpv6Type::neighbour_solicitation, .target = us6, .link_address = peer_mac};
    net.expect_stack(
        discovery(solicitation, peer6, us6.solicited_node(), wire::multicast_mac(us6.solicited_node())),
        Upper::none, "a solicitation for us");
    EXPECT_EQ(net.sent().size(), 1U);
    const wire::NeighbourMessage advertisement{.type = wire::Icmpv6Type::neighbour_advertisement,
                                               .flags = wire::advertisement_solicited,
                                               .target = documentation(9),
                                               .link_address = other_mac};
    net.expect_kernel(discovery(advertisement, documentation(9), us6),
                      "an advertisement that the kernel has asked for");
}

TEST(ExceptionPath, ClaimedProtocolsAreNotTheKernels) {
    class Deaf : public RawHandler {
      public:
        Ownership packet(const RawPacket&, rte_mbuf&) noexcept override { return Ownership::returned; }
    };
    KernelNetwork net;
    Deaf deaf;
    net.layer.raw().claim(ospf, deaf);
    net.expect_stack(of_protocol(ospf), Upper::none, "claimed");
    net.layer.raw().release(ospf);
    net.expect_kernel(of_protocol(ospf), "released");
}

TEST(ExceptionPath, WhatIsMalformedIsNobodys) {
    KernelNetwork net;
    Octets packet = ipv4(pattern(44), {.protocol = wire::IpProtocol{ospf}});
    packet[10] ^= std::byte{1};
    EXPECT_EQ(net.reason_for(ethernet(packet)), DropReason::ip_bad_checksum);
    EXPECT_EQ(net.reason_for(Octets(10)), DropReason::ethernet_truncated);
    EXPECT_EQ(net.reason_for(ethernet(pattern(20), wire::EtherType::arp)), DropReason::arp_malformed);
    EXPECT_TRUE(net.kernel().empty());
}

TEST(ExceptionPath, FullQueueDropsTheNewestAndCountsIt) {
    KernelNetwork net;
    const Octets frame = of_protocol(ospf);
    for (int i = 0; i < 64; ++i) EXPECT_EQ(net.reason_for(frame), std::nullopt);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(net.reason_for(frame), DropReason::exception_queue_full);
    EXPECT_EQ(net.kernel().size(), 64U);
    net.expect_kernel(frame, "there is room again");
    EXPECT_TRUE(net.sent().empty());
}

TEST(ExceptionPath, FrameLongerThanTheInterfaceSendsIsNotGivenToTheKernel) {
    KernelNetwork net;
    const auto of_size = [](std::size_t size) {
        return ethernet(ipv4(pattern(size), {.protocol = wire::IpProtocol{ospf}}));
    };
    net.expect_kernel(of_size(1480), "as long as the MTU");
    EXPECT_EQ(net.reason_for(of_size(1481)), DropReason::frame_too_long);
    EXPECT_TRUE(net.kernel().empty());
}

TEST(ExceptionPath, PacketThatCameInFragmentsAndIsLargerThanAFrameIsCutAgain) {
    for (const std::size_t size : {1600U, 3000U, 9000U, 65000U}) {
        Config config = with_kernel();
        KernelNetwork net{config};
        const Octets datagram = udp_datagram(pattern(size), 40000, 500);
        for (const Octets& frame :
             fragments4(datagram, 1480, {.protocol = wire::IpProtocol::udp, .tos = 0x20}, 0x1234))
            EXPECT_EQ(net.give(frame), Upper::none);
        const Frames cut = net.kernel();
        EXPECT_EQ(net.count(Counter::frames_to_kernel), cut.size());
        ASSERT_EQ(cut.size(), (datagram.size() + 1479) / 1480);
        for (const Octets& frame : cut) {
            EXPECT_EQ(wire::EthernetView::parse(frame)->destination(), our_mac);
            EXPECT_EQ(wire::EthernetView::parse(frame)->source(), peer_mac);
            EXPECT_EQ(packet_in(frame).tos(), 0x20);
        }
        const Rejoined whole = rejoin(cut);
        EXPECT_EQ(whole.message, datagram);
        EXPECT_EQ(whole.id, 0x1234U);
        EXPECT_EQ(whole.protocol, 17);

        const Octets datagram6 = udp6(pattern(size));
        Octets to_kernel = datagram6;
        wire::store_be16(to_kernel, 2, 500);
        for (const Octets& frame : fragments6(to_kernel, 1440, {.next_header = udp_protocol}, 0xabcdef01))
            EXPECT_EQ(net.give(frame), Upper::none);
        const Rejoined whole6 = rejoin(net.kernel());
        EXPECT_EQ(whole6.message, to_kernel);
        EXPECT_EQ(whole6.id, 0xabcdef01U);
        EXPECT_EQ(whole6.protocol, 17);
        // What follows whole is whole, and may be no longer than ever.
        EXPECT_EQ(net.reason_for(ethernet(ipv4(pattern(1481), {.protocol = wire::IpProtocol{ospf}}))),
                  DropReason::frame_too_long);
        EXPECT_EQ(net.count(DropReason::exception_queue_full), 0U);
    }
}

TEST(ExceptionPath, OptionsOfAPacketThatIsCutAgainAreThoseThatEachFragmentCarries) {
    KernelNetwork net;
    // Two of no use, router alert (to be copied), and a timestamp's place (not to be copied).
    const Octets options = numbers({1, 1, 148, 4, 0, 0, 68, 5, 5, 0, 0, 0});
    const Octets message = pattern(4000);
    const PacketFields fields{.protocol = wire::IpProtocol{ospf}, .options = options};
    for (const Octets& frame : fragments4(message, 1000, fields)) EXPECT_EQ(net.give(frame), Upper::none);
    const Frames cut = net.kernel();
    ASSERT_EQ(cut.size(), 3U);
    for (std::size_t i = 0; i < cut.size(); ++i) {
        const auto seen = packet_in(cut[i]).options();
        const Octets carried = i == 0 ? options : numbers({148, 4, 0, 0});
        EXPECT_EQ(Octets(seen.begin(), seen.end()), carried);
    }
    EXPECT_EQ(rejoin(cut).message, message);
}

TEST(ExceptionPath, HopByHopOptionsOfAPacketThatIsCutAgainStandInEachFragment) {
    KernelNetwork net;
    const Octets padding = numbers({44, 0, 1, 4, 0, 0, 0, 0});
    const Octets message = pattern(4000);
    for (std::size_t at = 0; at < message.size(); at += 1000) {
        Octets header = numbers({ospf, 0, 0, 0, 0, 0, 0, 9});
        wire::store_be16(header, 2, static_cast<std::uint16_t>(at | (at < 3000 ? 1U : 0U)));
        const auto data = std::span{message}.subspan(at, 1000);
        EXPECT_EQ(net.give(ethernet6(ipv6(padding + header + data, {.next_header = 0}))), Upper::none);
    }
    const Frames cut = net.kernel();
    ASSERT_EQ(cut.size(), 3U);
    Octets seen;
    for (const Octets& frame : cut) {
        const Packet6 packet = packet6_in(frame);
        EXPECT_EQ(packet.header.next_header, 0);
        EXPECT_TRUE(std::ranges::equal(std::span{packet.payload}.first(8), padding));
        EXPECT_EQ(packet.payload[8], std::byte{ospf});
        EXPECT_EQ(wire::load_ipv6_fragment(packet.payload.data() + 8).offset, seen.size());
        EXPECT_EQ(wire::load_ipv6_fragment(packet.payload.data() + 8).id, 9U);
        seen.insert(seen.end(), packet.payload.begin() + 16, packet.payload.end());
    }
    EXPECT_EQ(seen, message);
}

TEST(ExceptionPath, PacketOfWhichNotAllFragmentsFindRoomIsDroppedWhole) {
    KernelNetwork net;
    for (int i = 0; i < 62; ++i) EXPECT_EQ(net.reason_for(of_protocol(ospf)), std::nullopt);
    const auto frames = fragments4(pattern(4000), 2000, {.protocol = wire::IpProtocol{ospf}});
    net.give(frames[0]);
    EXPECT_EQ(net.reason_for(frames[1]), DropReason::exception_queue_full);
    EXPECT_EQ(net.kernel().size(), 62U);
}

TEST(ExceptionPath, SharedAndChainedFramesComeWhole) {
    KernelNetwork net;
    const Octets frame = ethernet(ipv4(pattern(600), {.protocol = wire::IpProtocol{ospf}}));
    EXPECT_EQ(net.reason_for(net.pool.chain(frame, {20, 200})), std::nullopt);
    EXPECT_EQ(net.kernel(), Frames{frame});
    rte_mbuf* const shared = net.pool.mbuf(frame);
    rte_mbuf_refcnt_update(shared, 1);
    EXPECT_EQ(net.reason_for(shared), std::nullopt);
    EXPECT_EQ(net.kernel(), Frames{frame});
    ASSERT_NE(rte_pktmbuf_prepend(shared, wire::ethernet_header_size), nullptr);
    EXPECT_EQ(octets_of(shared), frame) << "the octets were others' too";
    rte_pktmbuf_free(shared);
}

TEST(ExceptionPath, ChecksumThatThePortVouchesForIsFilledIn) {
    Config config = with_kernel();
    config.interfaces[0].offloads.rx_l4_checksum = true;
    KernelNetwork net{config};
    const Octets whole =
        ethernet(ipv4(udp_datagram(pattern(31), 40000, 500), {.protocol = wire::IpProtocol::udp}));
    Octets unfilled = whole;
    wire::store_be16(unfilled, 14 + 20 + 6, 0x1234);
    rte_mbuf* const frame = net.pool.mbuf(unfilled);
    frame->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
    EXPECT_EQ(net.reason_for(frame), std::nullopt);
    EXPECT_EQ(net.kernel(), Frames{whole});
}

TEST(ExceptionPath, FramesOfTheKernelLeaveAsTheyAre) {
    KernelNetwork net;
    const Octets hello = ethernet(ipv4(pattern(44), {.source = us, .destination = all_ospf_routers}),
                                  wire::EtherType::ipv4, wire::multicast_mac(all_ospf_routers), our_mac);
    EXPECT_TRUE(net.layer.exception().send(net.pool.mbuf(hello), 0));
    EXPECT_EQ(net.sent(), Frames{hello});
    EXPECT_EQ(net.count(Counter::frames_from_kernel), 1U);
    EXPECT_FALSE(net.layer.exception().send(net.pool.mbuf(Octets(1515)), 0));
    EXPECT_EQ(net.count(DropReason::frame_too_long), 1U);
    EXPECT_TRUE(net.layer.exception().send(net.pool.mbuf(Octets(1514)), 0));
    EXPECT_FALSE(net.layer.exception().send(net.pool.mbuf(Octets(13)), 0));
    EXPECT_EQ(net.count(DropReason::ethernet_truncated), 1U);
    EXPECT_EQ(net.sent().size(), 1U);
}

TEST(ExceptionPath, KernelSeesTheVlanAlone) {
    Config config = with_kernel();
    config.interfaces[0].vlan = 7;
    KernelNetwork net{config};
    const Octets packet = ipv4(pattern(44), {.protocol = wire::IpProtocol{ospf}});
    const Octets plain = ethernet(packet);
    EXPECT_EQ(net.reason_for(tagged(packet, 7)), std::nullopt);
    EXPECT_EQ(net.kernel(), Frames{plain});
    const Octets lldp = tagged(pattern(50), 7, wire::EtherType{0x88cc});
    EXPECT_EQ(net.reason_for(lldp), std::nullopt);
    EXPECT_EQ(net.kernel(), Frames{ethernet(pattern(50), wire::EtherType{0x88cc})});
    EXPECT_EQ(net.reason_for(tagged(packet, 8)), DropReason::vlan_not_for_us);
    EXPECT_EQ(net.reason_for(plain), DropReason::vlan_not_for_us);
    EXPECT_TRUE(net.kernel().empty());

    const Octets out = ethernet(packet, wire::EtherType::ipv4, peer_mac, our_mac);
    EXPECT_TRUE(net.layer.exception().send(net.pool.mbuf(out), 0));
    Octets expected(out.begin(), out.begin() + 12);
    expected = expected + numbers({0x81, 0x00, 0x00, 0x07}) + std::span{out}.subspan(12);
    EXPECT_EQ(net.sent(), Frames{expected});
}

TEST(ExceptionPath, WithoutOneNothingGoesToTheKernel) {
    Config config = with_kernel();
    config.exception.reset();
    KernelNetwork net{config};
    EXPECT_EQ(net.reason_for(of_protocol(ospf)), DropReason::ip_unknown_protocol);
    EXPECT_EQ(net.reason_for(of_protocol(ospf, all_ospf_routers)), DropReason::ethernet_not_for_us);
    net.expect_stack(ethernet(ipv4(tcp_header(40000, 22))), Upper::tcp, "no rule");
    EXPECT_TRUE(net.kernel().empty());
    EXPECT_EQ(net.count(Counter::frames_to_kernel), 0U);
}

}  // namespace exception_path_test
}  // namespace runnel::ip
