// Datagrams sent in fragments: RFC 791, RFC 6864, RFC 7739, RFC 8200 section 4.5, RFC 8201.
#include <set>

#include <gtest/gtest.h>

#include "runnel/ip/packet_ids.hpp"

#include "fragments.hpp"

namespace runnel::ip {
namespace fragmentation_test {

using namespace test;  // NOLINT: the words in which the tests are written

constexpr std::uint32_t echo_id = 0x1234'0001;
constexpr PacketFields of_icmp{.protocol = wire::IpProtocol::icmp};

// An echo request over IPv6, without its IPv6 header.
Octets ping6(std::size_t size) {
    const Octets packet = icmpv6(wire::Icmpv6Type::echo_request, 0, echo_id, pattern(size));
    return {packet.begin() + wire::ipv6_header_size, packet.end()};
}

Octets reply6(std::size_t size) {
    const Octets packet = icmpv6(wire::Icmpv6Type::echo_reply, 0, echo_id, pattern(size),
                                 {.source = us6, .destination = peer6});
    return {packet.begin() + wire::ipv6_header_size, packet.end()};
}

TEST(Rfc1122, EchoOfEverySizeBeyondTheMtuComesBackWithAllItsData) {
    Network net{resolved_config()};
    std::set<std::uint32_t> ids;
    for (const std::size_t size : {1473U, 1474U, 2952U, 2953U, 8000U, 30001U, 65506U, 65507U}) {
        for (const Octets& frame :
             fragments4(icmp(wire::IcmpType::echo_request, 0, echo_id, pattern(size)), 1480, of_icmp))
            ASSERT_EQ(net.give(frame), Upper::none);
        const Rejoined reply = rejoin(net.sent());
        EXPECT_EQ(reply.fragments, (size + 8 + 1479) / 1480);
        EXPECT_EQ(reply.message, icmp(wire::IcmpType::echo_reply, 0, echo_id, pattern(size))) << size;
        ids.insert(reply.id);
    }
    EXPECT_GE(ids.size(), 7U);
    EXPECT_EQ(net.count(Counter::icmp_out), 8U);
    EXPECT_EQ(net.count(Counter::ip_fragmented_out), 8U);
}

TEST(Rfc4443, EchoOfEverySizeBeyondTheMtuComesBackWithAllItsData) {
    Network net{resolved_ipv6_config()};
    for (const std::size_t size : {1453U, 1454U, 2888U, 2889U, 8000U, 30001U, 65507U, 65527U}) {
        for (const Octets& frame : fragments6(ping6(size), 1448, {.next_header = icmpv6_protocol}))
            ASSERT_EQ(net.give(frame), Upper::none);
        const Rejoined reply = rejoin(net.sent());
        EXPECT_EQ(reply.protocol, icmpv6_protocol);
        EXPECT_EQ(reply.fragments, (size + 8 + 1447) / 1448);
        EXPECT_EQ(reply.message, reply6(size)) << size;
    }
}

TEST(Rfc791, DatagramIsCutWhereItMayBeAndRefusedWhereNot) {
    Network net{resolved_config()};
    Output how{.source = us, .destination = peer, .protocol = udp_protocol, .tos = 0x48, .ttl = 7};
    Octets datagram = udp_datagram(pattern(3000), 4000, 5000, us, peer);
    const Octets sound = datagram;
    wire::store_be16(datagram, 6, 0);  // the layer makes it
    EXPECT_FALSE(net.layer.output(net.pool.chain(datagram, {100, 1400}), how, net.now));
    EXPECT_EQ(net.count(DropReason::ip_too_big), 1U);
    how.dont_fragment = false;
    EXPECT_TRUE(net.layer.output(net.pool.chain(datagram, {100, 1400}), how, net.now));
    const auto frames = net.sent();
    for (const Octets& frame : frames) {
        EXPECT_EQ(packet_in(frame).tos(), 0x48);
        EXPECT_EQ(packet_in(frame).ttl(), 7);
        EXPECT_EQ(packet_in(frame).source(), us);
        EXPECT_EQ(packet_in(frame).destination(), peer);
    }
    EXPECT_EQ(rejoin(frames).message, sound) << "its checksum is there";
    EXPECT_EQ(rejoin(frames).fragments, 3U);
    // What fits leaves whole, and may be cut on its way.
    EXPECT_TRUE(net.layer.output(net.pool.mbuf(datagram = udp_datagram(pattern(1472), 1, 2, us, peer)), how,
                                 net.now));
    const auto whole = net.sent();
    ASSERT_EQ(whole.size(), 1U);
    EXPECT_FALSE(packet_in(whole[0]).is_fragment());
    EXPECT_FALSE(packet_in(whole[0]).dont_fragment());
}

TEST(Rfc791, TcpIsNeverCut) {
    Network net{resolved_ipv6_config()};
    const Octets segment = tcp_header() + pattern(1600);
    const Ipv6Pair pair{peer6, us6};
    EXPECT_FALSE(net.layer.output(
        net.pool.mbuf(segment),
        {.source = us, .destination = peer, .protocol = tcp_protocol, .dont_fragment = false}, net.now));
    EXPECT_FALSE(net.layer.output(
        net.pool.mbuf(segment), {.ipv6 = &pair, .protocol = tcp_protocol, .dont_fragment = false}, net.now));
    EXPECT_EQ(net.count(DropReason::ip_too_big), 2U);
}

TEST(Rfc791, NothingLargerThanAPacketLeaves) {
    Config config = resolved_ipv6_config();
    config.neighbours.push_back({peer, peer_mac, 0});
    Network net{config};
    const Ipv6Pair pair{peer6, us6};
    const auto give = [&](std::size_t size, bool v6) {
        std::vector<std::size_t> pieces(size / 1500, 1500);
        return net.layer.output(net.pool.chain(pattern(size), pieces),
                                {.source = us,
                                 .destination = peer,
                                 .ipv6 = v6 ? &pair : nullptr,
                                 .protocol = 99,
                                 .dont_fragment = false},
                                net.now);
    };
    EXPECT_TRUE(give(65515, false));
    EXPECT_EQ(rejoin(net.sent()).message, pattern(65515));
    EXPECT_FALSE(give(65516, false));
    EXPECT_TRUE(give(65535, true));
    EXPECT_EQ(rejoin(net.sent()).message, pattern(65535));
    EXPECT_FALSE(give(65536, true));
    EXPECT_EQ(net.count(DropReason::ip_too_big), 2U);
}

TEST(Rfc1122, DatagramThatWaitsForItsNeighbourLeavesInFragments) {
    for (const bool v6 : {false, true}) {
        Network net{ipv6_config()};
        const Ipv6Pair pair{peer6, us6};
        const Output how{.source = us,
                         .destination = peer,
                         .ipv6 = v6 ? &pair : nullptr,
                         .protocol = 99,
                         .dont_fragment = false};
        EXPECT_TRUE(net.layer.output(net.pool.chain(pattern(4000), {1500, 1500}), how, net.now));
        ASSERT_EQ(net.sent().size(), 1U) << "it is asked for";
        net.layer.hear({v6 ? IpAddress{peer6} : IpAddress{peer}, peer_mac, 0, false}, net.now);
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 3U);
        EXPECT_EQ(wire::EthernetView::parse(frames[2])->destination(), peer_mac);
        EXPECT_EQ(rejoin(frames).message, pattern(4000));
    }
}

TEST(Rfc1122, DatagramsThatWaitTieUpABoundedNumberOfMbufs) {
    Network net{plain_config()};
    // 45 mbufs each, for four neighbours that stay silent, more than the pool has.
    const std::vector<std::size_t> pieces(44, 1480);
    for (std::uint8_t host = 2; host < 6; ++host)
        for (int i = 0; i < 8; ++i)
            net.layer.output(net.pool.chain(pattern(65000), pieces),
                             {.source = us,
                              .destination = Ipv4Address{10, 0, 0, host},
                              .protocol = 99,
                              .dont_fragment = false},
                             net.now);
    EXPECT_EQ(net.count(DropReason::neighbour_queue_full), 16U);
    (void)net.sent();
    net.run_until(net.now + 10s);
    (void)net.sent();
    EXPECT_EQ(net.count(DropReason::neighbour_unreachable), 16U);
}

TEST(Mbufs, FragmentsLeaveAllOrNone) {
    const Output how{.source = us, .destination = peer, .protocol = 99, .dont_fragment = false};
    Network narrow{resolved_config(), 16};
    const std::vector<std::size_t> pieces(29, 1000);
    EXPECT_FALSE(narrow.layer.output(narrow.pool.chain(pattern(30000), pieces), how, narrow.now));
    EXPECT_EQ(narrow.count(DropReason::transmit_queue_full), 1U);
    EXPECT_TRUE(narrow.sent().empty());

    Network net{resolved_config()};
    std::vector<rte_mbuf*> taken;
    while (rte_mempool_avail_count(net.pool.get()) > 40) taken.push_back(rte_pktmbuf_alloc(net.pool.get()));
    EXPECT_FALSE(net.layer.output(net.pool.chain(pattern(30000), pieces), how, net.now));
    EXPECT_EQ(net.count(DropReason::no_mbuf), 1U);
    EXPECT_TRUE(net.sent().empty());
    for (rte_mbuf* const mbuf : taken) rte_pktmbuf_free(mbuf);
    EXPECT_TRUE(net.layer.output(net.pool.chain(pattern(30000), pieces), how, net.now));
    EXPECT_EQ(rejoin(net.sent()).message, pattern(30000));
}

TEST(Mbufs, FragmentsAreNoLargerThanAnMbufWhateverTheMtu) {
    Config config = resolved_config();
    config.interfaces[0].mtu = 9000;
    Network net{config};
    EXPECT_TRUE(net.layer.output(net.pool.chain(pattern(20000), std::vector<std::size_t>(10, 1900)),
                                 {.source = us, .destination = peer, .protocol = 99, .dont_fragment = false},
                                 net.now));
    const Rejoined whole = rejoin(net.sent(), RTE_MBUF_DEFAULT_DATAROOM);
    EXPECT_EQ(whole.message, pattern(20000));
    EXPECT_EQ(whole.fragments, (20000U + 2023) / 2024);
}

TEST(Rfc8201, EchoRepliesAreCutToWhatARouterSaysThePathTakesAndTcpDoesNotHeedIt) {
    Network net{resolved_ipv6_config()};
    Octets request = ping6(1400);
    seal6(request, 2, {.source = far_away6, .next_header = icmpv6_protocol});
    const auto ask = [&] {
        EXPECT_EQ(net.give(ethernet6(ipv6(request, {.source = far_away6, .next_header = icmpv6_protocol}))),
                  Upper::none);
        return net.sent();
    };
    auto frames = ask();
    ASSERT_EQ(frames.size(), 1U);
    const Octets reply = packet6_in(frames[0]).payload;
    Octets quote(frames[0].begin() + wire::ethernet_header_size, frames[0].end());
    quote.resize(1200);
    ASSERT_EQ(
        net.give(ethernet6(icmpv6(wire::Icmpv6Type::packet_too_big, 0, 1300, quote, {.source = router6}))),
        Upper::icmp_error);
    EXPECT_EQ(net.in.error.meaning, IcmpMeaning::too_big);
    EXPECT_EQ(net.in.error.protocol, icmpv6_protocol);
    net.layer.lower_datagram_mtu(net.in.error, net.now);
    frames = ask();
    EXPECT_EQ(frames.size(), 2U);
    EXPECT_EQ(rejoin(frames, 1300).message, reply);
    EXPECT_EQ(net.layer.datagram_mtu_for(far_away6, net.now), 1300);
    EXPECT_EQ(net.layer.path_mtu_for(far_away6, net.now), 1500) << "anybody may have forged it";
    // Another quoted message of ours, or none of ours, is nobody's.
    EXPECT_EQ(net.reason_for(ethernet6(
                  icmpv6(wire::Icmpv6Type::destination_unreachable, 0, 0, quote, {.source = router6}))),
              DropReason::icmp_error_without_owner);
    EXPECT_EQ(net.reason_for(
                  ethernet6(icmpv6(wire::Icmpv6Type::packet_too_big, 0, 1300,
                                   ipv6(ping6(100), {.next_header = icmpv6_protocol}), {.source = router6}))),
              DropReason::icmp_error_without_owner);
    net.now += 601s;
    EXPECT_EQ(ask().size(), 1U) << "it is forgotten";
}

TEST(Rfc8201, WhatTcpHasProvenHoldsForDatagramsToo) {
    Network net{resolved_ipv6_config()};
    IcmpError error{.meaning = IcmpMeaning::too_big, .protocol = 6, .next_hop_mtu = 1400};
    error.source = us6;
    error.destination = far_away6;
    EXPECT_EQ(net.layer.lower_path_mtu(error, net.now), 1400);
    EXPECT_EQ(net.layer.datagram_mtu_for(far_away6, net.now), 1400);
}

TEST(Rfc6864, IdComesAgainAfterAllOthersOnly) {
    PacketIds ids{HashKey{1, 2}};
    std::set<std::uint16_t> seen;
    for (std::uint32_t i = 0; i < 65536; ++i) ASSERT_TRUE(seen.insert(ids.ipv4(us, peer, 17)).second) << i;
    EXPECT_FALSE(seen.insert(ids.ipv4(us, peer, 17)).second);
}

TEST(Rfc6864, CoresWithOneAddressAndKeyDrawDifferentIds) {
    constexpr std::uint16_t cores = 3;
    std::set<std::uint16_t> seen;
    std::set<std::uint32_t> seen_ipv6;
    for (std::uint16_t core = 0; core < cores; ++core) {
        PacketIds ids{HashKey{1, 2}, {.core = core, .count = cores}};
        for (std::uint32_t i = 0; i < 65536 / cores; ++i) {
            ASSERT_TRUE(seen.insert(ids.ipv4(us, peer, 17)).second) << i << " of core " << core;
            ASSERT_TRUE(seen_ipv6.insert(ids.ipv6()).second) << i << " of core " << core;
        }
        EXPECT_FALSE(seen.insert(ids.ipv4(us, peer, 17)).second) << "the core's own begin anew";
    }
}

// RFC 7739 section 5: neither a counter, nor the same for all destinations or after a restart.
TEST(Rfc7739, IdsOfFragmentsAreNotToBeForetold) {
    PacketIds ids{HashKey{1, 2}}, others{HashKey{1, 3}};
    std::set<std::uint32_t> seen, steps;
    std::uint32_t last = 0;
    unsigned same = 0;
    for (int i = 0; i < 4096; ++i) {
        const std::uint32_t id = ids.ipv6();
        seen.insert(id);
        steps.insert(id - last);
        last = id;
        same += static_cast<unsigned>(others.ipv6() == id);
    }
    EXPECT_EQ(seen.size(), 4096U);
    EXPECT_GT(steps.size(), 4090U);
    EXPECT_LT(same, 2U);
    unsigned like = 0;
    for (std::uint8_t host = 2; host < 202; ++host)
        like += static_cast<unsigned>(ids.ipv4(us, Ipv4Address{10, 0, 0, host}, 17) ==
                                      others.ipv4(us, Ipv4Address{10, 0, 0, host}, 17));
    EXPECT_LT(like, 3U);
}

}  // namespace fragmentation_test
}  // namespace runnel::ip
