// What the internet layer sends: RFC 791, RFC 1122 sections 3.2.1 and 3.3.1, RFC 1112 section 6.4, RFC 6864.
#include <set>

#include <gtest/gtest.h>

#include "network.hpp"

namespace runnel::ip {
namespace output_test {

using namespace test;  // NOLINT: the words in which the tests are written

bool transport_checksum_right(const wire::Ipv4View& packet) {
    return wire::checksum_holds(wire::checksum_add(
        packet.payload(), wire::pseudo_header_sum(packet.source(), packet.destination(),
                                                  static_cast<std::uint8_t>(packet.protocol()),
                                                  static_cast<std::uint16_t>(packet.payload().size()))));
}

TEST(Rfc791, PacketLeavesCompleteInOneFrame) {
    Network net{resolved_config()};
    // Twice: found out the first time, remembered the second.
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(net.layer.output(
            net.pool.mbuf(tcp_header() + pattern(5)),
            {.source = us, .destination = peer, .protocol = 6, .tos = 0x2a, .ttl = 9}, net.now));
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U);
        EXPECT_EQ(wire::EthernetView::parse(frames[0])->header(),
                  (wire::EthernetHeader{peer_mac, our_mac, wire::EtherType::ipv4}));
        const auto packet = packet_in(frames[0]);
        EXPECT_EQ(packet.header_size(), 20U);
        EXPECT_EQ(packet.tos(), 0x2a);
        EXPECT_EQ(packet.ttl(), 9);
        EXPECT_TRUE(packet.dont_fragment());
        EXPECT_EQ(packet.protocol(), wire::IpProtocol::tcp);
        EXPECT_EQ(packet.source(), us);
        EXPECT_EQ(packet.destination(), peer);
        EXPECT_EQ(packet.payload().size(), 25U);
        EXPECT_TRUE(transport_checksum_right(packet));
    }
}

TEST(Rfc1122, TtlIsNeverZero) {
    Config config = resolved_config();
    config.ttl = 33;
    Network net{config};
    net.send(tcp_header());
    EXPECT_EQ(packet_in(net.sent().at(0)).ttl(), 33);
}

TEST(Rfc9293, ChecksumIsRightForEveryLengthAndCut) {
    Network net{resolved_config()};
    for (std::size_t size = 0; size < 70; ++size)
        for (const std::vector<std::size_t>& cut :
             {std::vector<std::size_t>{}, {20}, {20, 1}, {21, 3}, {20, 5, 2, 0, 7}}) {
            ASSERT_TRUE(net.layer.output(net.pool.chain(tcp_header() + pattern(size), cut),
                                         {.source = us, .destination = peer, .protocol = 6}, net.now));
            const auto frames = net.sent();
            ASSERT_EQ(frames.size(), 1U);
            ASSERT_TRUE(transport_checksum_right(packet_in(frames[0]))) << size;
            ASSERT_EQ(packet_in(frames[0]).payload().size(), 20 + size);
        }
}

TEST(Rfc768, UdpChecksumThatComesOutZeroIsSentAsAllOnes) {
    Network net{resolved_config()};
    Octets datagram(10);
    wire::write(wire::UdpHeader{1, 2, 10}, std::span{datagram}.first<8>());
    // The payload that makes the sum all ones, of which the checksum is 0.
    const auto sum =
        wire::checksum_fold(wire::checksum_add(datagram, wire::pseudo_header_sum(us, peer, 17, 10)));
    wire::store_be16(datagram, 8, static_cast<std::uint16_t>(0xffff - sum));
    ASSERT_TRUE(net.send(datagram, peer, wire::IpProtocol::udp));
    EXPECT_EQ(wire::load_be16(packet_in(net.sent().at(0)).payload(), 6), 0xffff);
}

TEST(Offloads, ChecksumsAreLeftToThePortThatMakesThem) {
    Config config = resolved_config();
    config.interfaces[0].offloads = {
        .tx_ip_checksum = true, .tx_tcp_checksum = true, .tx_udp_checksum = true};
    for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{5}}) {
        config.interfaces[0].vlan = vlan;
        Network net{config};
        Octets segment = tcp_header() + pattern(12);
        segment[12] = std::byte{0x80};  // with 12 octets of options
        Octets datagram(9);
        net.send(segment);
        net.send(datagram, peer, wire::IpProtocol::udp);
        net.send(segment);  // by the way that the first has found
        rte_mbuf* frames[3];
        ASSERT_EQ(net.queue.pop(frames), 3U);
        for (rte_mbuf* frame : frames) {
            const bool tcp = frame != frames[1];
            EXPECT_EQ(frame->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM |
                                           (tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM));
            EXPECT_EQ(frame->l2_len, vlan == 0 ? 14U : 18U);
            EXPECT_EQ(frame->l3_len, 20U);
            EXPECT_EQ(frame->l4_len, tcp ? 32U : 8U);
            const Octets octets = octets_of(frame);
            const std::size_t ip = frame->l2_len;
            EXPECT_EQ(wire::load_be16(octets, ip + 10), 0);
            const auto length = static_cast<std::uint16_t>(octets.size() - ip - 20);
            EXPECT_EQ(wire::load_be16(octets, ip + 20 + (tcp ? 16 : 6)),
                      wire::checksum_fold(wire::pseudo_header_sum(us, peer, tcp ? 6 : 17, length)));
            rte_pktmbuf_free(frame);
        }
    }
}

TEST(Offloads, WhatOnePortDoesNotMakeIsMadeInSoftware) {
    Config config = resolved_config();
    config.interfaces[0].offloads = {.tx_ip_checksum = true};
    Network net{config};
    net.send(tcp_header());
    rte_mbuf* frame = nullptr;
    ASSERT_EQ(net.queue.pop({&frame, 1}), 1U);
    EXPECT_EQ(frame->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
    Octets octets = octets_of(frame);
    rte_pktmbuf_free(frame);
    wire::Ipv4View packet;
    ASSERT_EQ(wire::Ipv4View::parse(std::span{octets}.subspan(14), packet), wire::Ipv4Fault::none);
    EXPECT_TRUE(transport_checksum_right(packet));
}

/// Interface 0 cuts segments, and takes chains of so many mbufs.
Config cutting_config(std::uint8_t chain = 4, std::uint8_t large_chain = 255) {
    Config config = resolved_config();
    config.interfaces[0].offloads = {.tx_ip_checksum = true,
                                     .tx_tcp_checksum = true,
                                     .tx_tcp_segmentation = true,
                                     .tx_chain = chain,
                                     .tx_large_chain = large_chain};
    return config;
}

// What DPDK asks of the sender: rte_mbuf_core.h, at RTE_MBUF_F_TX_TCP_SEG.
TEST(Offloads, LargeSegmentIsLeftToThePortToCut) {
    for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{5}}) {
        Config config = cutting_config();
        config.interfaces[0].vlan = vlan;
        Network net{config};
        for (int i = 0; i < 2; ++i) {  // found out the first time, remembered the second
            Octets segment = tcp_header() + pattern(4012);
            segment[12] = std::byte{0x80};
            ASSERT_TRUE(net.layer.output(
                net.pool.chain(segment, {32, 1500, 1500}),
                {.source = us, .destination = peer, .protocol = 6, .segment_size = 1400}, net.now));
            rte_mbuf* frame = nullptr;
            ASSERT_EQ(net.queue.pop({&frame, 1}), 1U);
            EXPECT_EQ(frame->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM |
                                           RTE_MBUF_F_TX_TCP_SEG);
            EXPECT_EQ(frame->l2_len, vlan == 0 ? 14U : 18U);
            EXPECT_EQ(frame->l3_len, 20U);
            EXPECT_EQ(frame->l4_len, 32U);
            EXPECT_EQ(frame->tso_segsz, 1400U);
            EXPECT_EQ(frame->nb_segs, 4U);
            const Octets octets = octets_of(frame);
            rte_pktmbuf_free(frame);
            const std::size_t ip = vlan == 0 ? 14 : 18;
            EXPECT_EQ(wire::load_be16(octets, ip + 2), 20U + segment.size());
            EXPECT_EQ(wire::load_be16(octets, ip + 10), 0U);
            EXPECT_EQ(wire::load_be16(octets, ip + 36),
                      wire::checksum_fold(wire::pseudo_header_sum(us, peer, 6, 0)));
        }
    }
}

TEST(Offloads, LargeSegmentGoesNowhereElse) {
    const auto outcome = [](const Config& config, std::size_t size, std::uint16_t segment_size) {
        Network net{config};
        const bool sent = net.layer.output(
            net.pool.chain(tcp_header() + pattern(size), {20}),
            {.source = us, .destination = peer, .protocol = 6, .segment_size = segment_size}, net.now);
        EXPECT_EQ(net.count(DropReason::ip_too_big), sent ? 0U : 1U);
        EXPECT_EQ(net.sent().size(), sent ? 1U : 0U);
        return sent;
    };
    EXPECT_TRUE(outcome(cutting_config(), 1900, 1460));
    EXPECT_FALSE(outcome(cutting_config(), 1900, 1461));  // its pieces do not fit the link
    EXPECT_TRUE(outcome(cutting_config(), 1900, 700));
    EXPECT_FALSE(outcome(resolved_config(), 1900, 1460));  // nobody cuts it
    EXPECT_FALSE(outcome(resolved_config(), 1000, 700));
}

TEST(Offloads, ChainThatThePortDoesNotTakeIsCopiedIntoOneMbuf) {
    for (const std::uint8_t chain : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}}) {
        Config config = resolved_config();
        config.interfaces[0].offloads.tx_chain = chain;
        Network net{config};
        for (int i = 0; i < 2; ++i) {
            ASSERT_TRUE(net.layer.output(net.pool.chain(tcp_header() + pattern(71), {20, 30}),
                                         {.source = us, .destination = peer, .protocol = 6}, net.now));
            rte_mbuf* frame = nullptr;
            ASSERT_EQ(net.queue.pop({&frame, 1}), 1U);
            EXPECT_EQ(frame->nb_segs, chain < 3 ? 1U : 3U);
            const Octets octets = octets_of(frame);
            rte_pktmbuf_free(frame);
            EXPECT_TRUE(transport_checksum_right(packet_in(octets)));
            EXPECT_EQ(Octets(octets.begin() + 54, octets.end()), pattern(71));
        }
        EXPECT_EQ(net.count(Counter::frames_linearized), chain < 3 ? 2U : 0U);
    }
}

TEST(Offloads, ChainLongerThanAnMbufIsDroppedWhereThePortTakesNone) {
    Config config = resolved_config();
    config.interfaces[0].mtu = 9000;
    Network net{config};
    ASSERT_FALSE(net.layer.output(net.pool.chain(tcp_header() + pattern(4000), {20, 1500, 1500}),
                                  {.source = us, .destination = peer, .protocol = 6}, net.now));
    EXPECT_EQ(net.count(DropReason::no_mbuf), 1U);
    EXPECT_EQ(net.count(Counter::frames_linearized), 0U);
}

TEST(Rfc6864, PacketThatMayBeFragmentedHasAnIdThatIsNotCounted) {
    Network net{resolved_config()};
    std::set<std::uint16_t> ids;
    std::set<std::uint16_t> steps;
    std::uint16_t last = 0;
    for (int i = 0; i < 64; ++i) {
        net.layer.output(net.pool.mbuf(tcp_header()),
                         {.source = us, .destination = peer, .protocol = 6, .dont_fragment = false}, net.now);
        const auto frames = net.sent();
        const auto packet = packet_in(frames.at(0));
        EXPECT_FALSE(packet.dont_fragment());
        ids.insert(packet.id());
        steps.insert(static_cast<std::uint16_t>(packet.id() - last));
        last = packet.id();
    }
    EXPECT_GT(ids.size(), 60U);
    EXPECT_GT(steps.size(), 60U);
}

TEST(Rfc1122, DestinationOffTheLinkGoesToTheRouter) {
    Network net{resolved_config()};
    ASSERT_TRUE(net.send(tcp_header(), far_away));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), other_mac);
    EXPECT_EQ(packet_in(frames[0]).destination(), far_away);
}

TEST(Rfc1122, LongestPrefixWins) {
    Config config = plain_config();
    const Ipv4Address second_router{10, 0, 0, 253};
    const MacAddress second_mac{{2, 0, 0, 0, 0, 9}};
    config.neighbours = {{router, other_mac, 0}, {second_router, second_mac, 0}};
    config.routes = {{{}, 0, router, 0}, {Ipv4Address{192, 0, 2, 0}, 24, second_router, 0}};
    Network net{config};
    net.send(tcp_header(), far_away);
    net.send(tcp_header(), Ipv4Address{192, 0, 3, 7});
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), second_mac);
    EXPECT_EQ(wire::EthernetView::parse(frames[1])->destination(), other_mac);
}

TEST(Rfc1122, NothingLeavesForNowhere) {
    Network net{plain_config()};
    for (const Ipv4Address destination : {far_away, Ipv4Address{127, 0, 0, 1}, Ipv4Address{},
                                          Ipv4Address{0, 0, 0, 9}, Ipv4Address{240, 0, 0, 1}, us})
        EXPECT_FALSE(net.send(tcp_header(), destination)) << to_string(destination);
    EXPECT_EQ(net.count(DropReason::ip_no_route), 6U);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc1122, SourceIsAlwaysOneOfOurs) {
    Network net{resolved_config()};
    ASSERT_TRUE(net.send(tcp_header()));  // so that the way is known
    (void)net.sent();
    for (const Ipv4Address source : {Ipv4Address{127, 0, 0, 1}, Ipv4Address{}, peer, subnet_broadcast,
                                     Ipv4Address{224, 0, 0, 1}, Ipv4Address{255, 255, 255, 255}})
        for (const Ipv4Address destination : {peer, far_away})
            EXPECT_FALSE(net.layer.output(net.pool.mbuf(tcp_header()),
                                          {.source = source, .destination = destination, .protocol = 6},
                                          net.now));
    EXPECT_EQ(net.count(DropReason::ip_bad_source), 12U);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc1122, GroupsGoToTheirLinkAddresses) {
    Network net{resolved_config()};
    const auto link_destination = [&](Ipv4Address destination) {
        EXPECT_TRUE(net.send(Octets(8), destination, wire::IpProtocol::udp));
        return wire::EthernetView::parse(net.sent().at(0))->destination();
    };
    EXPECT_EQ(link_destination(Ipv4Address{255, 255, 255, 255}), MacAddress::broadcast());
    EXPECT_EQ(link_destination(subnet_broadcast), MacAddress::broadcast());
    EXPECT_EQ(link_destination(Ipv4Address{239, 1, 2, 3}), (MacAddress{{0x01, 0, 0x5e, 1, 2, 3}}));
}

TEST(Rfc1191, PacketLargerThanTheMtuIsCounted) {
    Network net{resolved_config()};
    EXPECT_TRUE(net.send(Octets(1480)));
    EXPECT_FALSE(net.send(Octets(1481)));
    EXPECT_EQ(net.count(DropReason::ip_too_big), 1U);
}

TEST(TransmitQueue, FullQueueIsCountedAndTheMbufComesBack) {
    Network net{resolved_config(), 2};
    EXPECT_TRUE(net.send(tcp_header()));
    EXPECT_TRUE(net.send(tcp_header()));
    EXPECT_FALSE(net.send(tcp_header()));
    EXPECT_EQ(net.count(DropReason::transmit_queue_full), 1U);
}

TEST(Mbufs, TooLittleHeadRoomIsACountedDrop) {
    Network net{resolved_config()};
    rte_mbuf* packet = net.pool.mbuf(tcp_header());
    rte_pktmbuf_prepend(packet, 100);
    EXPECT_FALSE(net.layer.output(packet, {.source = us, .destination = peer, .protocol = 6}, net.now));
    EXPECT_EQ(net.count(DropReason::no_mbuf), 1U);
}

TEST(Interfaces, FrameNamesTheInterfaceByWhichItLeaves) {
    Config config = plain_config();
    config.interfaces.push_back(
        {.mac = other_mac, .address = Ipv4Address{10, 1, 0, 1}, .mtu = 9000, .vlan = 5});
    config.neighbours = {{peer, peer_mac, 0}, {Ipv4Address{10, 1, 0, 2}, peer_mac, 1}};
    Network net{config};
    for (const std::uint8_t interface : {std::uint8_t{0}, std::uint8_t{1}}) {
        const Ipv4Address destination{10, interface, 0, 2};
        EXPECT_EQ(net.layer.source_for(destination), (Ipv4Address{10, interface, 0, 1}));
        EXPECT_EQ(net.layer.mtu_for(destination), interface == 0 ? 1500 : 9000);
        net.send(tcp_header(), destination);
        rte_mbuf* frame = nullptr;
        ASSERT_EQ(net.queue.pop({&frame, 1}), 1U);
        EXPECT_EQ(frame->port, interface);
        EXPECT_EQ(wire::EthernetView::parse(octets_of(frame))->source(),
                  interface == 0 ? our_mac : other_mac);
        rte_pktmbuf_free(frame);
    }
}

TEST(InternetLayer, TellsWhoseAnAddressIs) {
    Network net{resolved_config()};
    EXPECT_TRUE(net.layer.is_local(us));
    EXPECT_FALSE(net.layer.is_local(peer));
    EXPECT_TRUE(net.layer.is_group(subnet_broadcast));
    EXPECT_TRUE(net.layer.is_group(Ipv4Address{255, 255, 255, 255}));
    EXPECT_TRUE(net.layer.is_group(Ipv4Address{224, 9, 9, 9}));
    EXPECT_FALSE(net.layer.is_group(peer));
    EXPECT_FALSE(net.layer.is_group(Ipv4Address{}));
    EXPECT_EQ(net.layer.source_for(far_away), us);
    EXPECT_EQ(net.layer.source_for(Ipv4Address{127, 0, 0, 1}), std::nullopt);
    EXPECT_EQ(net.layer.source_for(us), std::nullopt);
    EXPECT_EQ(net.layer.mtu_for(Ipv4Address{240, 0, 0, 1}), 0);
}

}  // namespace output_test
}  // namespace runnel::ip
