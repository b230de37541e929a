// VLAN tags on the way in and out: one of 802.1Q, two of 802.1ad, in the frame or left to the port.
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/ip/exception_path.hpp"

#include "ipv6_network.hpp"

namespace runnel::ip {
namespace {

using namespace test;  // NOLINT: the words in which the tests are written

constexpr unsigned customer = 0x8100, service = 0x88a8;

/// A frame with the tags, outermost first: type and control information of each.
Octets with_tags(const Octets& frame, const std::vector<std::pair<unsigned, unsigned>>& tags) {
    Octets octets(frame.begin(), frame.begin() + 12);
    for (const auto& [type, tci] : tags)
        octets = octets + numbers({type >> 8, type & 0xff, tci >> 8, tci & 0xff});
    return octets + std::span{frame}.subspan(12);
}

Config in_vlan(std::uint16_t vlan, std::uint16_t outer = 0, bool port_tags = false) {
    Config config = resolved_config();
    config.interfaces[0].vlan = vlan;
    config.interfaces[0].outer_vlan = outer;
    config.interfaces[0].offloads.tx_vlan = port_tags;
    config.interfaces[0].ipv6 = {{.address = us6}};
    config.neighbours.push_back({peer6, peer_mac, 0});
    return config;
}

const Octets& segment() {
    static const Octets frame = ethernet(ipv4(tcp_header()));
    return frame;
}

TEST(Ieee8021ad, OnlyTheServiceVlanWithItsCustomerVlanIsTaken) {
    Network net{in_vlan(5, 100)};
    EXPECT_EQ(net.give(with_tags(segment(), {{service, 100}, {customer, 5}})), Upper::tcp);
    EXPECT_EQ(net.in.mbuf->pkt_len, 20U);
    EXPECT_EQ(net.give(with_tags(segment(), {{service, 0xe000 | 100}, {customer, 0x6000 | 5}})), Upper::tcp)
        << "whatever their priorities";
    // Switches that stack two tags of 802.1Q mean the same.
    EXPECT_EQ(net.give(with_tags(segment(), {{customer, 100}, {customer, 5}})), Upper::tcp);
    const std::vector<std::vector<std::pair<unsigned, unsigned>>> others{{},
                                                                         {{customer, 5}},
                                                                         {{customer, 100}},
                                                                         {{service, 100}},
                                                                         {{service, 100}, {customer, 6}},
                                                                         {{service, 101}, {customer, 5}},
                                                                         {{customer, 5}, {customer, 100}},
                                                                         {{service, 100}, {service, 5}},
                                                                         {{service, 100}, {customer, 0}}};
    for (const auto& tags : others)
        EXPECT_EQ(net.reason_for(with_tags(segment(), tags)), DropReason::vlan_not_for_us);
    EXPECT_EQ(net.reason_for(with_tags(segment(), {{service, 100}, {customer, 5}, {customer, 7}})),
              DropReason::ethernet_unknown_type)
        << "three tags";
}

TEST(Ieee8021ad, OneTagAloneIsNotTheVlanWithinAService) {
    Network single{in_vlan(5)};
    EXPECT_EQ(single.give(with_tags(segment(), {{customer, 5}})), Upper::tcp);
    EXPECT_EQ(single.reason_for(with_tags(segment(), {{service, 100}, {customer, 5}})),
              DropReason::vlan_not_for_us);
    EXPECT_EQ(single.reason_for(with_tags(segment(), {{service, 5}})), DropReason::vlan_not_for_us);
    Network untagged{in_vlan(0)};
    EXPECT_EQ(untagged.reason_for(with_tags(segment(), {{service, 100}, {customer, 5}})),
              DropReason::vlan_not_for_us);
    EXPECT_EQ(untagged.reason_for(with_tags(segment(), {{service, 5}})), DropReason::ethernet_unknown_type);
}

TEST(Ieee8021ad, FramesCutWithinTheirTagsAreDropped) {
    Network net{in_vlan(5, 100)};
    const Octets whole = with_tags(segment(), {{service, 100}, {customer, 5}});
    for (std::size_t size = 14; size < 22; ++size) {
        const auto reason = net.reason_for(std::span{whole}.first(size));
        EXPECT_TRUE(reason == DropReason::ethernet_truncated || reason == DropReason::vlan_not_for_us)
            << size;
    }
    EXPECT_EQ(net.reason_for(std::span{whole}.first(22)), DropReason::ip_truncated);
    // The same in pieces, whole and cut.
    for (const std::size_t piece : {12U, 14U, 16U, 18U, 20U, 22U, 30U})
        EXPECT_EQ(net.give(net.pool.chain(whole, {piece})), Upper::tcp) << piece;
}

TEST(Ieee8021ad, TagsThatThePortHasStrippedCount) {
    const auto stripped = [](Network& net, const Octets& octets, std::uint64_t flags, std::uint16_t tci,
                             std::uint16_t outer) {
        rte_mbuf* const frame = net.pool.mbuf(octets);
        frame->ol_flags |= flags;
        frame->vlan_tci = tci;
        frame->vlan_tci_outer = outer;
        return net.give(frame);
    };
    constexpr std::uint64_t one = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    constexpr std::uint64_t both = one | RTE_MBUF_F_RX_QINQ | RTE_MBUF_F_RX_QINQ_STRIPPED;
    Network net{in_vlan(5, 100)};
    EXPECT_EQ(stripped(net, segment(), both, 0x6000 | 5, 0xe000 | 100), Upper::tcp);
    EXPECT_EQ(stripped(net, segment(), both, 5, 101), Upper::none);
    EXPECT_EQ(stripped(net, with_tags(segment(), {{customer, 5}}), one, 100, 0), Upper::tcp)
        << "the outer one alone";
    EXPECT_EQ(stripped(net, segment(), one, 5, 0), Upper::none) << "there was no outer one";
    EXPECT_EQ(net.count(DropReason::vlan_not_for_us), 2U);
}

TEST(Ieee8021ad, WhatLeavesCarriesBothTags) {
    Network net{in_vlan(5, 100)};
    const Octets expected = numbers({0x88, 0xa8, 0, 100, 0x81, 0x00, 0, 5});
    EXPECT_TRUE(net.send(tcp_header()));
    EXPECT_TRUE(net.send(tcp_header()));  // by the path that the first one has found
    const Ipv6Pair pair{peer6, us6};
    EXPECT_TRUE(
        net.layer.output(net.pool.mbuf(tcp_header()), {.ipv6 = &pair, .protocol = tcp_protocol}, net.now));
    net.give(
        with_tags(arp(wire::ArpOperation::request, peer_mac, peer, us), {{service, 100}, {customer, 5}}));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 4U);
    for (const Octets& frame : frames) EXPECT_EQ(Octets(frame.begin() + 12, frame.begin() + 20), expected);
    EXPECT_EQ(packet_in(frames[0], 22).destination(), peer);
    EXPECT_EQ(packet_in(frames[1], 22).destination(), peer);
    EXPECT_EQ(frames[2][20], std::byte{0x86});
    EXPECT_EQ(frames[3][20], std::byte{0x08});
    EXPECT_EQ(frames[3][21], std::byte{0x06});
}

TEST(Ieee8021ad, ExceptionPathTakesTagsOffAndPutsThemOn) {
    Config config = in_vlan(5, 100);
    config.exception = ExceptionConfig{.queue = 64};
    Network net{config};
    const Octets plain = ethernet(ipv4(pattern(44), {.protocol = wire::IpProtocol{89}}));
    const Octets lldp = ethernet(pattern(46), wire::EtherType{0x88cc});
    for (const Octets& frame : {plain, lldp}) {
        EXPECT_EQ(net.reason_for(with_tags(frame, {{service, 100}, {customer, 5}})), std::nullopt);
        rte_mbuf* one = nullptr;
        ASSERT_EQ(net.layer.exception().pop({&one, 1}), 1U);
        EXPECT_EQ(octets_of(one), frame);
        EXPECT_TRUE(net.layer.exception().send(one, 0));
        EXPECT_EQ(net.sent(), (std::vector<Octets>{with_tags(frame, {{service, 100}, {customer, 5}})}));
    }
}

TEST(Ieee8021q, PortThatInsertsTagsIsToldTheVlanAndGetsPlainFrames) {
    Config config = in_vlan(5, 0, true);
    config.exception = ExceptionConfig{.queue = 64};
    Network net{config};
    const auto expect_left_to_the_port = [&](const char* what) {
        rte_mbuf* frame = nullptr;
        ASSERT_EQ(net.queue.pop({&frame, 1}), 1U) << what;
        EXPECT_NE(frame->ol_flags & RTE_MBUF_F_TX_VLAN, 0U) << what;
        EXPECT_EQ(frame->vlan_tci, 5) << what;
        EXPECT_NE(wire::EthernetView::parse(octets_of(frame))->type(), wire::EtherType::vlan) << what;
        rte_pktmbuf_free(frame);
    };
    EXPECT_TRUE(net.send(tcp_header()));
    expect_left_to_the_port("the first segment");
    EXPECT_TRUE(net.send(tcp_header()));
    expect_left_to_the_port("the second");
    net.give(with_tags(arp(wire::ArpOperation::request, peer_mac, peer, us), {{customer, 5}}));
    expect_left_to_the_port("ARP");
    EXPECT_TRUE(net.layer.exception().send(net.pool.mbuf(segment()), 0));
    expect_left_to_the_port("a frame of the kernel's");

    // A checksum left to the port as well finds its header where it is.
    config.interfaces[0].offloads.tx_ip_checksum = config.interfaces[0].offloads.tx_tcp_checksum = true;
    Network offloading{config};
    EXPECT_TRUE(offloading.send(tcp_header()));
    rte_mbuf* frame = nullptr;
    ASSERT_EQ(offloading.queue.pop({&frame, 1}), 1U);
    EXPECT_EQ(frame->l2_len, 14U);
    EXPECT_EQ(frame->l3_len, 20U);
    EXPECT_NE(frame->ol_flags & RTE_MBUF_F_TX_VLAN, 0U);
    rte_pktmbuf_free(frame);
}

TEST(Ieee8021ad, ServiceTagsAreNotLeftToThePort) {
    Network net{in_vlan(5, 100, true)};
    EXPECT_TRUE(net.send(tcp_header()));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(packet_in(frames[0], 22).destination(), peer);
}

TEST(Ieee8021q, LargePacketsOfATaggedLinkAreAsLargeAsItsMtu) {
    for (const std::uint16_t outer : {std::uint16_t{0}, std::uint16_t{100}}) {
        Config config = in_vlan(5, outer);
        config.interfaces[0].mtu = 9000;
        config.interfaces[0].offloads.tx_chain = 8;
        Network net{config};
        const auto send = [&](std::size_t size) {
            rte_mbuf* const packet = net.pool.chain(pattern(size), {1000, 2000, 2000, 2000});
            return net.layer.output(packet, {.source = us, .destination = peer, .protocol = 89}, net.now);
        };
        EXPECT_FALSE(send(8981));
        EXPECT_EQ(net.count(DropReason::ip_too_big), 1U);
        EXPECT_TRUE(send(8980));
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U);
        EXPECT_EQ(packet_in(frames[0], outer == 0 ? 18 : 22).total_length(), 9000U);
    }
}

TEST(Ieee8021q, InterfacesOfOnePortAreToldByTheirVlans) {
    constexpr Ipv4Address us5{10, 5, 0, 1}, peer5{10, 5, 0, 2}, us105{10, 105, 0, 1}, peer105{10, 105, 0, 2};
    Config config = plain_config();
    config.interfaces[0].port = 3;
    config.interfaces.push_back({.mac = our_mac, .address = us5, .mtu = 9000, .vlan = 5, .port = 3});
    config.interfaces.push_back({.mac = our_mac, .address = us105, .vlan = 5, .outer_vlan = 100, .port = 3});
    config.neighbours = {{peer, peer_mac, 0}, {peer5, peer_mac, 1}, {peer105, peer_mac, 2}};
    Network net{config};
    const auto give = [&](const Octets& octets, std::uint16_t port) {
        rte_mbuf* const frame = net.pool.mbuf(octets);
        frame->port = port;
        return net.give(frame);
    };
    const auto segment_to = [](Ipv4Address from, Ipv4Address to) {
        return ethernet(ipv4(tcp_header(), {.source = from, .destination = to}));
    };
    EXPECT_EQ(give(segment_to(peer, us), 3), Upper::tcp);
    EXPECT_EQ(net.in.interface, 0);
    EXPECT_EQ(give(with_tags(segment_to(peer5, us5), {{customer, 5}}), 3), Upper::tcp);
    EXPECT_EQ(net.in.interface, 1);
    EXPECT_EQ(give(with_tags(segment_to(peer105, us105), {{service, 100}, {customer, 5}}), 3), Upper::tcp);
    EXPECT_EQ(net.in.interface, 2);
    EXPECT_EQ(give(with_tags(segment_to(peer, us), {{customer, 6}}), 3), Upper::none);
    EXPECT_EQ(net.count(DropReason::vlan_not_for_us), 1U);
    EXPECT_EQ(give(segment_to(peer, us), 0), Upper::none) << "of another port";
    EXPECT_EQ(net.count(DropReason::ethernet_not_for_us), 1U);

    const std::vector<Octets> tags{
        {}, numbers({0x81, 0x00, 0, 5}), numbers({0x88, 0xa8, 0, 100, 0x81, 0x00, 0, 5})};
    const std::vector<std::pair<Ipv4Address, Ipv4Address>> ways{{us, peer}, {us5, peer5}, {us105, peer105}};
    for (std::size_t i = 0; i < ways.size(); ++i) {
        for (int time = 0; time < 2; ++time)
            EXPECT_TRUE(net.layer.output(
                net.pool.mbuf(tcp_header()),
                {.source = ways[i].first, .destination = ways[i].second, .protocol = 6}, net.now));
        rte_mbuf* frame = nullptr;
        while (net.queue.pop({&frame, 1}) == 1) {
            EXPECT_EQ(frame->port, 3);
            const Octets octets = octets_of(frame);
            EXPECT_EQ(Octets(octets.begin() + 12,
                             octets.begin() + 12 + static_cast<std::ptrdiff_t>(tags[i].size())),
                      tags[i]);
            EXPECT_EQ(packet_in(octets, 14 + tags[i].size()).destination(), ways[i].second);
            rte_pktmbuf_free(frame);
        }
    }
    EXPECT_EQ(net.layer.mtu_for(peer5), 9000);
    EXPECT_EQ(net.layer.mtu_for(peer105), 1500);
}

TEST(Ieee8021q, InterfacesOfOnePortWithTheSameVlansAreRefused) {
    Config config = plain_config();
    config.interfaces.push_back({.mac = our_mac, .address = {10, 5, 0, 1}, .vlan = 5, .port = 0});
    EXPECT_NO_THROW(validate(config));
    config.interfaces[1].vlan = 0;
    try {
        validate(config);
        ADD_FAILURE() << "it was taken";
    } catch (const std::invalid_argument& error) {
        EXPECT_NE(std::string{error.what()}.find("interfaces[1].port = 0: interfaces[0] is there too"),
                  std::string::npos)
            << error.what();
    }
}

}  // namespace
}  // namespace runnel::ip
