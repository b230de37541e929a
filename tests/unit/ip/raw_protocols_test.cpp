// Protocols that the application speaks itself, over both families: RFC 791, RFC 1122 sections 3.2.2.1
// and 3.4, RFC 8200 section 4.
#include "runnel/ip/raw_protocols.hpp"

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipv6_network.hpp"

namespace runnel::ip {
namespace raw_protocols_test {

using namespace test;  // NOLINT: the words in which the tests are written

constexpr std::uint8_t ospf = 89, eigrp = 88, igmp = 2;
constexpr Ipv4Address all_ospf_routers{224, 0, 0, 5};
constexpr Ipv6Address all_ospf_routers6 = Ipv6Address::of(0xff02'0000'0000'0000, 5);

/// Keeps what it hears.
class Listener : public RawHandler {
  public:
    Ownership packet(const RawPacket& about, rte_mbuf& packet) noexcept override {
        abouts.push_back(about);
        packets.push_back(octets_of(&packet));
        if (!keeps) return Ownership::returned;
        rte_pktmbuf_free(&packet);
        return Ownership::taken;
    }
    void error(const IcmpError& error) noexcept override { errors.push_back(error); }

    std::vector<RawPacket> abouts;
    std::vector<Octets> packets;
    std::vector<IcmpError> errors;
    bool keeps = false;
};

Config both_families() {
    Config config = resolved_config();
    config.interfaces[0].ipv6 = {{.address = us6}};
    config.neighbours.push_back({peer6, peer_mac, 0});
    config.neighbours.push_back({peer_link_local, peer_mac, 0});
    return config;
}

Octets frame4(const Octets& payload, std::uint8_t protocol, Ipv4Address destination = us,
              const Octets& options = {}) {
    const MacAddress mac = destination.is_multicast() ? wire::multicast_mac(destination) : our_mac;
    return ethernet(ipv4(payload, {.destination = destination,
                                   .protocol = wire::IpProtocol{protocol},
                                   .ttl = 1,
                                   .tos = 0xc0,
                                   .options = options}),
                    wire::EtherType::ipv4, mac);
}

std::string complaint(const std::function<void()>& call) {
    try {
        call();
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "it was taken";
}

TEST(RawProtocols, PacketOfAClaimedProtocolComesWholeWithWhatItsHeaderSays) {
    Network net{both_families()};
    Listener listener;
    net.layer.raw().claim(ospf, listener);
    const Octets options(8, std::byte{1});
    const Octets frame = frame4(pattern(50), ospf, us, options);
    EXPECT_EQ(net.give(frame), Upper::none);
    ASSERT_EQ(listener.packets.size(), 1U);
    EXPECT_EQ(listener.packets[0], Octets(frame.begin() + 14, frame.end()));
    const RawPacket& about = listener.abouts[0];
    EXPECT_EQ(about.source, IpAddress{peer});
    EXPECT_EQ(about.destination, IpAddress{us});
    EXPECT_EQ(about.protocol, ospf);
    EXPECT_EQ(about.ttl, 1);
    EXPECT_EQ(about.tos, 0xc0);
    EXPECT_EQ(about.interface, 0);
    EXPECT_EQ(about.header_size, 28);
    EXPECT_FALSE(about.group);
    EXPECT_TRUE(net.sent().empty()) << "a claimed protocol is not refused";
    EXPECT_EQ(net.count(Counter::raw_in), 1U);
    EXPECT_EQ(net.count(DropReason::ip_unknown_protocol), 0U);
}

TEST(RawProtocols, PaddingOfAShortFrameIsNotOfThePacket) {
    Network net{both_families()};
    Listener listener;
    net.layer.raw().claim(eigrp, listener);
    Octets frame = frame4(pattern(3), eigrp);
    frame.resize(60);
    net.give(frame);
    ASSERT_EQ(listener.packets.size(), 1U);
    EXPECT_EQ(listener.packets[0].size(), 23U);
}

TEST(RawProtocols, OneClaimHoldsForBothFamiliesExtensionHeadersIncluded) {
    Network net{both_families()};
    Listener listener;
    net.layer.raw().claim(ospf, listener);
    const Octets option = numbers({ospf, 0, 1, 4, 0, 0, 0, 0});  // destination options: padding alone
    const Octets packet =
        ipv6(option + pattern(40), {.next_header = 60, .hop_limit = 1, .traffic_class = 0xc0});
    EXPECT_EQ(net.give(ethernet6(packet)), Upper::none);
    EXPECT_EQ(net.give(frame4(pattern(40), ospf)), Upper::none);
    ASSERT_EQ(listener.packets.size(), 2U);
    EXPECT_EQ(listener.packets[0], packet);
    EXPECT_EQ(listener.abouts[0].source, IpAddress{peer6});
    EXPECT_EQ(listener.abouts[0].destination, IpAddress{us6});
    EXPECT_EQ(listener.abouts[0].protocol, ospf);
    EXPECT_EQ(listener.abouts[0].ttl, 1);
    EXPECT_EQ(listener.abouts[0].tos, 0xc0);
    EXPECT_EQ(listener.abouts[0].header_size, 48);
    EXPECT_TRUE(listener.abouts[1].source.is_v4());
    EXPECT_TRUE(net.sent().empty());
}

TEST(RawProtocols, WhatNobodyClaimsIsRefusedByIcmpOfEitherFamilyBeforeAClaimAndAfterIt) {
    Network net{both_families()};
    Listener listener;
    const auto refused4 = [&] {
        EXPECT_EQ(net.reason_for(frame4(pattern(20), ospf)), DropReason::ip_unknown_protocol);
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U);
        const auto payload = packet_in(frames[0]).payload();
        EXPECT_EQ(payload[0], std::byte{3});  // destination unreachable
        EXPECT_EQ(payload[1], std::byte{2});  // protocol
    };
    const auto refused6 = [&] {
        EXPECT_EQ(net.reason_for(ethernet6(ipv6(pattern(20), {.next_header = ospf}))),
                  DropReason::ip_unknown_protocol);
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U);
        const Packet6 error = packet6_in(frames[0]);
        EXPECT_TRUE(checksum_is_right(error));
        EXPECT_EQ(error.payload[0], std::byte{4});  // parameter problem
        EXPECT_EQ(error.payload[1], std::byte{1});  // unrecognised next header
        EXPECT_EQ(wire::load_be32(error.payload, 4), 6U) << "points at the next header field";
    };
    refused4();
    refused6();
    net.layer.raw().claim(ospf, listener);
    EXPECT_EQ(net.reason_for(frame4(pattern(20), ospf)), std::nullopt);
    EXPECT_EQ(net.reason_for(ethernet6(ipv6(pattern(20), {.next_header = ospf}))), std::nullopt);
    EXPECT_TRUE(net.layer.raw().release(ospf));
    EXPECT_FALSE(net.layer.raw().release(ospf));
    refused4();
    refused6();
    EXPECT_EQ(listener.packets.size(), 2U);
}

TEST(RawProtocols, EveryNumberButTheStacksOwnCanBeClaimed) {
    Network net{both_families()};
    Listener listener;
    for (unsigned protocol = 0; protocol < 256; ++protocol) {
        const std::string said =
            complaint([&] { net.layer.raw().claim(static_cast<std::uint8_t>(protocol), listener); });
        const bool own = protocol == 1 || protocol == 6 || protocol == 17 || protocol == 58;
        EXPECT_EQ(said.find("the stack speaks it itself") != std::string::npos, own) << said;
        if (own) continue;
        net.give(frame4(pattern(8), static_cast<std::uint8_t>(protocol)));
    }
    EXPECT_EQ(listener.packets.size(), 252U);
    EXPECT_TRUE(net.sent().empty());
    EXPECT_NE(complaint([&] { net.layer.raw().claim(ospf, listener); }).find("89: is claimed already"),
              std::string::npos);
}

TEST(RawProtocols, HandlerMayKeepThePacket) {
    Network net{both_families()};
    Listener listener;
    listener.keeps = true;
    net.layer.raw().claim(igmp, listener);
    net.give(frame4(pattern(8), igmp));
    EXPECT_EQ(listener.packets.size(), 1U);  // and the pool sees at its end that no mbuf is lost
}

TEST(RawProtocols, GroupOfTheLinkIsHeardFromHearToIgnore) {
    Network net{both_families()};
    Listener listener;
    RawProtocols& raw = net.layer.raw();
    raw.claim(ospf, listener);
    const Octets hello = frame4(pattern(44), ospf, all_ospf_routers);
    const Octets hello6 = ethernet6(ipv6(pattern(36), {.source = peer_link_local,
                                                       .destination = all_ospf_routers6,
                                                       .next_header = ospf,
                                                       .hop_limit = 1}),
                                    wire::multicast_mac(all_ospf_routers6));
    EXPECT_EQ(net.reason_for(hello), DropReason::ethernet_not_for_us);
    EXPECT_EQ(net.reason_for(hello6), DropReason::ip_not_for_us);
    raw.hear(all_ospf_routers);
    raw.hear(all_ospf_routers);
    raw.hear(all_ospf_routers6);
    EXPECT_EQ(net.reason_for(hello), std::nullopt);
    EXPECT_EQ(net.reason_for(hello6), std::nullopt);
    ASSERT_EQ(listener.abouts.size(), 2U);
    EXPECT_TRUE(listener.abouts[0].group);
    EXPECT_EQ(listener.abouts[0].destination, IpAddress{all_ospf_routers});
    EXPECT_TRUE(listener.abouts[1].group);
    EXPECT_EQ(listener.abouts[1].destination, IpAddress{all_ospf_routers6});
    // Another group behind the same Ethernet address is none of ours (RFC 1112 section 6.4 maps 32 to one).
    const Octets other =
        ethernet(ipv4(pattern(44), {.destination = {225, 0, 0, 5}, .protocol = wire::IpProtocol{ospf}}),
                 wire::EtherType::ipv4, wire::multicast_mac(all_ospf_routers));
    EXPECT_EQ(net.reason_for(other), DropReason::ip_not_for_us);
    // What is heard and not claimed is dropped in silence: no error about a group.
    EXPECT_EQ(net.reason_for(frame4(pattern(8), eigrp, all_ospf_routers)), DropReason::ip_unknown_protocol);
    EXPECT_TRUE(net.sent().empty());

    EXPECT_TRUE(raw.ignore(all_ospf_routers));
    EXPECT_EQ(net.reason_for(hello), std::nullopt) << "was asked for twice";
    EXPECT_TRUE(raw.ignore(all_ospf_routers));
    EXPECT_FALSE(raw.ignore(all_ospf_routers));
    EXPECT_EQ(net.reason_for(hello), DropReason::ethernet_not_for_us);
    EXPECT_NE(complaint([&] {
                  raw.hear(Ipv4Address{239, 1, 2, 3});
              }).find("239.1.2.3: is no group of the link"),
              std::string::npos);
    EXPECT_NE(complaint([&] { raw.hear(us6); }).find("no group of the link"), std::string::npos);
}

TEST(RawProtocols, SendsToAHostAndToAGroupWithTheTtlAsked) {
    Network net{both_families()};
    Listener listener;
    RawProtocols& raw = net.layer.raw();
    raw.claim(ospf, listener);
    const Octets payload = pattern(100);
    EXPECT_EQ(raw.send({.remote = peer, .protocol = ospf, .tos = 0xc0, .ttl = 1}, payload, net.now),
              RawSendResult::sent);
    EXPECT_EQ(raw.send({.remote = all_ospf_routers, .protocol = ospf, .ttl = 1}, payload, net.now),
              RawSendResult::sent);
    EXPECT_EQ(raw.send({.remote = peer6, .protocol = ospf, .ttl = 7}, payload, net.now), RawSendResult::sent);
    EXPECT_EQ(
        raw.send({.remote = all_ospf_routers6, .protocol = ospf, .ttl = 1}, net.pool.mbuf(payload), net.now),
        RawSendResult::sent);
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 4U);
    const auto unicast = packet_in(frames[0]);
    EXPECT_EQ(unicast.protocol(), wire::IpProtocol{ospf});
    EXPECT_EQ(unicast.source(), us);
    EXPECT_EQ(unicast.destination(), peer);
    EXPECT_EQ(unicast.ttl(), 1);
    EXPECT_EQ(unicast.tos(), 0xc0);
    EXPECT_EQ(Octets(unicast.payload().begin(), unicast.payload().end()), payload);
    EXPECT_EQ(wire::EthernetView::parse(frames[1])->destination(), wire::multicast_mac(all_ospf_routers));
    EXPECT_EQ(packet_in(frames[1]).destination(), all_ospf_routers);
    const Packet6 unicast6 = packet6_in(frames[2]);
    EXPECT_EQ(unicast6.header.source, us6);
    EXPECT_EQ(unicast6.header.next_header, ospf);
    EXPECT_EQ(unicast6.header.hop_limit, 7);
    EXPECT_EQ(unicast6.payload, payload);
    EXPECT_EQ(wire::EthernetView::parse(frames[3])->destination(), wire::multicast_mac(all_ospf_routers6));
    EXPECT_EQ(packet6_in(frames[3]).header.source, our_link_local) << "to a group of the link by RFC 6724";
    EXPECT_EQ(net.count(Counter::raw_out), 4U);
}

TEST(RawProtocols, SharedOctetsAreSentWithoutBeingWrittenOn) {
    Network net{both_families()};
    Listener listener;
    net.layer.raw().claim(ospf, listener);
    const Octets payload = pattern(300);
    rte_mbuf* const shared = net.pool.mbuf(payload);
    rte_mbuf_refcnt_update(shared, 1);
    EXPECT_EQ(net.layer.raw().send({.remote = peer, .protocol = ospf}, shared, net.now), RawSendResult::sent);
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    const auto sent = packet_in(frames[0]).payload();
    EXPECT_EQ(Octets(sent.begin(), sent.end()), payload);
    EXPECT_EQ(octets_of(shared), payload);
    rte_pktmbuf_free(shared);
}

TEST(RawProtocols, WhatCannotBeSentIsRefusedByItsReasonAndCounted) {
    Network net{both_families()};
    Listener listener;
    RawProtocols& raw = net.layer.raw();
    raw.claim(ospf, listener);
    const auto refused = [&](const RawSendOptions& options, std::size_t size, RawSendResult why,
                             DropReason reason) {
        const std::uint64_t before = net.count(reason);
        EXPECT_EQ(raw.send(options, net.pool.mbuf(pattern(size)), net.now), why);
        EXPECT_EQ(net.count(reason), before + 1);
        EXPECT_TRUE(net.sent().empty());
    };
    refused({.remote = peer, .protocol = eigrp}, 8, RawSendResult::not_claimed,
            DropReason::ip_unknown_protocol);
    refused({.remote = peer, .local = us6, .protocol = ospf}, 8, RawSendResult::family_unsupported,
            DropReason::ip_family_unsupported);
    refused({.remote = far_away6, .protocol = ospf}, 8, RawSendResult::no_route, DropReason::ip_no_route);
    refused({.remote = peer, .local = peer, .protocol = ospf}, 8, RawSendResult::not_our_address,
            DropReason::ip_bad_source);
    refused({.remote = peer, .protocol = ospf}, 1481, RawSendResult::too_big, DropReason::ip_too_big);
    refused({.remote = peer6, .protocol = ospf}, 1461, RawSendResult::too_big, DropReason::ip_too_big);
    EXPECT_EQ(raw.send({.remote = peer, .protocol = ospf}, net.pool.mbuf(pattern(1480)), net.now),
              RawSendResult::sent);
    EXPECT_EQ(net.sent().size(), 1U);
}

TEST(RawProtocols, IcmpErrorReachesWhoHasClaimedTheQuotedProtocol) {
    Network net{both_families()};
    Listener listener;
    const Octets quote =
        ipv4(pattern(20), {.source = us, .destination = far_away, .protocol = wire::IpProtocol{ospf}});
    const Octets error = ethernet(ipv4(icmp(wire::IcmpType::destination_unreachable, 2, 0, quote),
                                       {.source = router, .protocol = wire::IpProtocol::icmp}));
    const Octets quote6 = ipv6(pattern(20), {.source = us6, .destination = peer6, .next_header = ospf});
    const Octets error6 = ethernet6(icmpv6(wire::Icmpv6Type::parameter_problem, 1, 6, quote6));
    EXPECT_EQ(net.reason_for(error), DropReason::icmp_error_without_owner);
    EXPECT_EQ(net.reason_for(error6), DropReason::icmp_error_without_owner);
    net.layer.raw().claim(ospf, listener);
    EXPECT_EQ(net.reason_for(error), std::nullopt);
    EXPECT_EQ(net.reason_for(error6), std::nullopt);
    ASSERT_EQ(listener.errors.size(), 2U);
    for (const IcmpError& heard : listener.errors) {
        EXPECT_EQ(heard.meaning, IcmpMeaning::refused);
        EXPECT_EQ(heard.protocol, ospf);
    }
    EXPECT_EQ(listener.errors[0].destination, IpAddress{far_away});
    EXPECT_EQ(listener.errors[1].destination, IpAddress{peer6});
}

}  // namespace raw_protocols_test
}  // namespace runnel::ip
