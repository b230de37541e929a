// What the internet layer takes from the link: RFC 791, RFC 894, RFC 1122 sections 2.3 and 3.2.1, IEEE
// 802.1Q.
#include <gtest/gtest.h>

#include "runnel/ip/mbuf_checksum.hpp"

#include "network.hpp"

namespace runnel::ip {
namespace input_test {

using namespace test;  // NOLINT: the words in which the tests are written

TEST(Rfc791, SegmentForUsIsHandedOnWithItsFields) {
    Network net;
    const Octets segment = tcp_header() + pattern(11);
    ASSERT_EQ(net.give(ethernet(ipv4(segment, {.ttl = 17, .tos = 0x28}))), Upper::tcp);
    EXPECT_EQ(octets_of(net.in.mbuf), segment);
    EXPECT_EQ(net.in.source, peer);
    EXPECT_EQ(net.in.destination, us);
    EXPECT_EQ(net.in.protocol, 6);
    EXPECT_EQ(net.in.ttl, 17);
    EXPECT_EQ(net.in.tos, 0x28);
    EXPECT_EQ(net.in.interface, 0);
    EXPECT_FALSE(net.in.group);
    EXPECT_FALSE(net.in.l4_checksum_good);
    EXPECT_EQ(net.in.ip_header_size, 20);
}

TEST(Rfc894, PaddingBehindThePacketIsCutOff) {
    Network net;
    const Octets segment = tcp_header();
    ASSERT_EQ(net.give(ethernet(ipv4(segment)) + pattern(6)), Upper::tcp);
    EXPECT_EQ(octets_of(net.in.mbuf), segment);
    // The same where the padding lies in segments of its own.
    const Octets frame = ethernet(ipv4(segment)) + pattern(30);
    ASSERT_EQ(net.give(net.pool.chain(frame, {60, 10})), Upper::tcp);
    EXPECT_EQ(octets_of(net.in.mbuf), segment);
    EXPECT_EQ(rte_mbuf_check(net.in.mbuf, 1, nullptr), 0);
    EXPECT_EQ(net.in.mbuf->nb_segs, 1);
}

TEST(Rfc1122, FrameForAnotherStationIsDropped) {
    Network net;
    for (const MacAddress mac :
         {other_mac, MacAddress{{0x01, 0, 0x5e, 0, 0, 2}}, MacAddress{{0x33, 0x33, 0, 0, 0, 1}}})
        EXPECT_EQ(net.reason_for(ethernet(ipv4(tcp_header()), wire::EtherType::ipv4, mac)),
                  DropReason::ethernet_not_for_us);
}

TEST(Rfc1122, UnknownEtherTypeIsDropped) {
    Network net;
    EXPECT_EQ(net.reason_for(ethernet(pattern(46), wire::EtherType{0x88cc})),
              DropReason::ethernet_unknown_type);
    EXPECT_EQ(net.reason_for(ethernet(pattern(46), wire::EtherType::ipv6)),
              DropReason::ip_family_unsupported);
}

TEST(Ieee8021q, OnlyTheVlanOfTheInterfaceIsTaken) {
    Config config = plain_config();
    config.interfaces[0].vlan = 100;
    Network net{config};
    const Octets packet = ipv4(tcp_header());
    EXPECT_EQ(net.give(tagged(packet, 100)), Upper::tcp);
    EXPECT_EQ(octets_of(net.in.mbuf), tcp_header());
    EXPECT_EQ(net.reason_for(tagged(packet, 101)), DropReason::vlan_not_for_us);
    EXPECT_EQ(net.reason_for(tagged(packet, 0)), DropReason::vlan_not_for_us);
    EXPECT_EQ(net.reason_for(ethernet(packet)), DropReason::vlan_not_for_us);
    EXPECT_EQ(net.reason_for(ethernet(pattern(3), wire::EtherType::vlan)), DropReason::ethernet_truncated);
}

TEST(Ieee8021q, TagStrippedByThePortCounts) {
    Config config = plain_config();
    config.interfaces[0].vlan = 100;
    Network net{config};
    for (const std::uint16_t vlan : {std::uint16_t{100}, std::uint16_t{101}}) {
        rte_mbuf* frame = net.pool.mbuf(ethernet(ipv4(tcp_header())));
        frame->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
        frame->vlan_tci = static_cast<std::uint16_t>(0x6000 | vlan);
        EXPECT_EQ(net.give(frame), vlan == 100 ? Upper::tcp : Upper::none);
    }
    EXPECT_EQ(net.count(DropReason::vlan_not_for_us), 1U);
}

TEST(Ieee8021q, UntaggedInterfaceTakesPriorityTagsOnly) {
    Network net;
    const Octets packet = ipv4(tcp_header());
    EXPECT_EQ(net.give(tagged(packet, 0)), Upper::tcp);
    EXPECT_EQ(net.reason_for(tagged(packet, 1)), DropReason::vlan_not_for_us);
    EXPECT_EQ(net.reason_for(tagged(tagged(packet, 1), 0, wire::EtherType::vlan)),
              DropReason::vlan_not_for_us);
}

TEST(Rfc1122, WrongVersionIsSilentlyDiscarded) {
    Network net;
    Octets packet = ipv4(tcp_header());
    packet[0] = std::byte{0x65};
    seal(packet);
    EXPECT_EQ(net.reason_for(ethernet(packet)), DropReason::ip_bad_version);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc1122, HeaderLengthAndTotalLengthAreChecked) {
    Network net;
    Octets packet = ipv4(tcp_header());
    packet[0] = std::byte{0x44};
    EXPECT_EQ(net.reason_for(ethernet(packet)), DropReason::ip_bad_header_length);
    packet = ipv4({});
    packet[0] = std::byte{0x46};
    EXPECT_EQ(net.reason_for(ethernet(packet)), DropReason::ip_bad_header_length);
    packet = ipv4(tcp_header());
    for (const std::uint16_t total : {std::uint16_t{19}, std::uint16_t{41}, std::uint16_t{65535}}) {
        wire::store_be16(packet, 2, total);
        seal(packet);
        EXPECT_EQ(net.reason_for(ethernet(packet)), DropReason::ip_bad_total_length) << total;
    }
    EXPECT_EQ(net.reason_for(ethernet(pattern(19))), DropReason::ip_truncated);
}

TEST(Rfc1122, BadHeaderChecksumIsSilentlyDiscarded) {
    Network net;
    Octets frame = ethernet(ipv4(tcp_header()));
    frame[14 + 8] ^= std::byte{1};
    EXPECT_EQ(net.reason_for(frame), DropReason::ip_bad_checksum);
}

// What the port says of a frame, and by which way the frame goes: with its header plain, or tagged, which is
// looked at in full.
struct Verdict {
    bool believed = true;
    std::uint64_t flags = 0;
    bool plain = true;
};

rte_mbuf* judged(Network& net, Octets packet, const Verdict& verdict) {
    rte_mbuf* mbuf = net.pool.mbuf(verdict.plain ? ethernet(packet) : tagged(packet, 0));
    mbuf->ol_flags |= verdict.flags;
    return mbuf;
}

TEST(Offloads, HeaderChecksumVerdictOfThePortIsBelievedWhereItIsToBe) {
    Config config = plain_config();
    for (const bool plain : {true, false}) {
        SCOPED_TRACE(plain);
        const auto outcome = [&](bool believe, std::uint64_t flags, bool right) {
            config.interfaces[0].offloads.rx_ip_checksum = believe;
            Network net{config};
            Octets packet = ipv4(tcp_header());
            if (!right) packet[10] ^= std::byte{1};
            const bool taken = net.give(judged(net, packet, {believe, flags, plain})) == Upper::tcp;
            EXPECT_EQ(net.count(DropReason::ip_bad_checksum), taken ? 0U : 1U);
            return taken;
        };
        EXPECT_TRUE(outcome(true, RTE_MBUF_F_RX_IP_CKSUM_GOOD, true));
        EXPECT_TRUE(outcome(true, RTE_MBUF_F_RX_IP_CKSUM_GOOD, false));
        EXPECT_TRUE(outcome(true, RTE_MBUF_F_RX_IP_CKSUM_NONE, false));
        EXPECT_FALSE(outcome(true, RTE_MBUF_F_RX_IP_CKSUM_BAD, true));
        EXPECT_TRUE(outcome(true, RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN, true));
        EXPECT_FALSE(outcome(true, RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN, false));
        EXPECT_FALSE(outcome(false, RTE_MBUF_F_RX_IP_CKSUM_GOOD, false));
        EXPECT_FALSE(outcome(false, RTE_MBUF_F_RX_IP_CKSUM_NONE, false));
        EXPECT_TRUE(outcome(false, RTE_MBUF_F_RX_IP_CKSUM_BAD, true));
    }
}

TEST(Offloads, TransportChecksumVerdictIsHandedOnWhereItIsToBeBelieved) {
    Config config = plain_config();
    for (const bool plain : {true, false})
        for (const bool believe : {false, true}) {
            config.interfaces[0].offloads.rx_l4_checksum = believe;
            Network net{config};
            for (const std::uint64_t flags :
                 {std::uint64_t{RTE_MBUF_F_RX_L4_CKSUM_GOOD}, std::uint64_t{RTE_MBUF_F_RX_L4_CKSUM_BAD},
                  std::uint64_t{RTE_MBUF_F_RX_L4_CKSUM_NONE},
                  std::uint64_t{RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN}}) {
                ASSERT_EQ(net.give(judged(net, ipv4(tcp_header()), {believe, flags, plain})), Upper::tcp);
                EXPECT_EQ(net.in.l4_checksum_good, believe && (flags == RTE_MBUF_F_RX_L4_CKSUM_GOOD ||
                                                               flags == RTE_MBUF_F_RX_L4_CKSUM_NONE));
                EXPECT_EQ(net.in.l4_checksum_bad, believe && flags == RTE_MBUF_F_RX_L4_CKSUM_BAD);
                // The header here has no checksum: it is wrong, and only a port that vouches for it helps.
                EXPECT_EQ(transport_checksum_holds(net.in), net.in.l4_checksum_good);
            }
        }
}

TEST(Offloads, TransportChecksumThatThePortSaysNothingOfIsSummedUp) {
    Config config = plain_config();
    config.interfaces[0].offloads.rx_l4_checksum = true;
    Octets segment = tcp_header();
    wire::store_be16(segment, 16,
                     wire::checksum_finish(wire::checksum_add(
                         segment, wire::pseudo_header_sum(peer, us, 6, static_cast<std::uint16_t>(20)))));
    for (const bool plain : {true, false}) {
        Network net{config};
        const auto holds = [&](std::uint64_t flags) {
            EXPECT_EQ(net.give(judged(net, ipv4(segment), {true, flags, plain})), Upper::tcp);
            return transport_checksum_holds(net.in);
        };
        EXPECT_TRUE(holds(RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN));
        EXPECT_FALSE(holds(RTE_MBUF_F_RX_L4_CKSUM_BAD));
        segment[19] ^= std::byte{1};
        EXPECT_FALSE(holds(RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN));
        EXPECT_TRUE(holds(RTE_MBUF_F_RX_L4_CKSUM_GOOD));
        segment[19] ^= std::byte{1};
    }
}

// Erratum 22 of the Intel 82599: a datagram without a checksum is called bad.
TEST(Offloads, BadVerdictOnADatagramIsLookedInto) {
    Config config = plain_config();
    config.interfaces[0].offloads.rx_l4_checksum = true;
    Network net{config};
    const Octets packet = ipv4(udp_datagram(pattern(3), 9, 10), {.protocol = wire::IpProtocol::udp});
    ASSERT_EQ(net.give(judged(net, packet, {true, RTE_MBUF_F_RX_L4_CKSUM_BAD, true})), Upper::udp);
    EXPECT_FALSE(net.in.l4_checksum_bad);
    EXPECT_TRUE(transport_checksum_holds(net.in));
}

TEST(Rfc1122, SourceThatNoHostMaySendFromIsSilentlyDiscarded) {
    Network net;
    for (const Ipv4Address source :
         {Ipv4Address{0, 0, 0, 0}, Ipv4Address{0, 1, 2, 3}, Ipv4Address{127, 0, 0, 1},
          Ipv4Address{224, 0, 0, 1}, Ipv4Address{239, 255, 255, 255}, Ipv4Address{240, 0, 0, 1},
          Ipv4Address{255, 255, 255, 255}, subnet_broadcast, Ipv4Address{10, 0, 0, 0}, us})
        EXPECT_EQ(net.reason_for(ethernet(ipv4(tcp_header(), {.source = source}))), DropReason::ip_bad_source)
            << to_string(source);
    EXPECT_EQ(net.give(ethernet(ipv4(tcp_header(), {.source = Ipv4Address{1, 0, 0, 0}}))), Upper::tcp);
    EXPECT_EQ(net.give(ethernet(ipv4(tcp_header(), {.source = Ipv4Address{223, 255, 255, 255}}))),
              Upper::tcp);
}

TEST(Rfc1122, OnlyOurOwnAddressesAreTaken) {
    Config config = plain_config();
    config.interfaces[0].address_count = 3;
    Network net{config};
    for (std::uint32_t i = 0; i < 3; ++i)
        EXPECT_EQ(net.give(ethernet(
                      ipv4(tcp_header(), {.source = far_away, .destination = Ipv4Address{us.value + i}}))),
                  Upper::tcp);
    for (const Ipv4Address destination :
         {Ipv4Address{10, 0, 0, 4}, Ipv4Address{9, 255, 255, 255}, far_away, Ipv4Address{127, 0, 0, 1},
          Ipv4Address{224, 0, 0, 2}, Ipv4Address{}})
        EXPECT_EQ(
            net.reason_for(ethernet(ipv4(tcp_header(), {.source = far_away, .destination = destination}))),
            DropReason::ip_not_for_us)
            << to_string(destination);
}

TEST(Rfc9293, SegmentToAGroupIsMarkedSoThatTcpCanDiscardIt) {
    Network net;
    for (const Ipv4Address destination : {Ipv4Address{255, 255, 255, 255}, subnet_broadcast,
                                          Ipv4Address{10, 0, 0, 0}, Ipv4Address{224, 0, 0, 1}}) {
        const MacAddress mac =
            destination.is_multicast() ? wire::multicast_mac(destination) : MacAddress::broadcast();
        for (const MacAddress link : {mac, our_mac}) {
            const Octets packet = ipv4(tcp_header(), {.destination = destination});
            ASSERT_EQ(net.give(ethernet(packet, wire::EtherType::ipv4, link)), Upper::tcp);
            EXPECT_TRUE(net.in.group) << to_string(destination);
        }
    }
}

TEST(Rfc1122, LinkBroadcastOfAUnicastPacketIsDiscarded) {
    Network net;
    EXPECT_EQ(net.reason_for(ethernet(ipv4(tcp_header()), wire::EtherType::ipv4, MacAddress::broadcast())),
              DropReason::ip_not_for_us);
}

TEST(Rfc1122, TtlOfZeroAndOneAreTakenByTheHostThatIsMeant) {
    Network net;
    for (const std::uint8_t ttl : {std::uint8_t{0}, std::uint8_t{1}})
        EXPECT_EQ(net.give(ethernet(ipv4(tcp_header(), {.ttl = ttl}))), Upper::tcp);
}

TEST(Rfc1122, UnknownOptionsAreIgnored) {
    Network net;
    for (const Octets& options : {Octets{std::byte{1}, std::byte{1}, std::byte{1}, std::byte{0}},
                                  Octets{std::byte{148}, std::byte{4}, std::byte{0}, std::byte{0}},
                                  Octets{std::byte{30}, std::byte{3}, std::byte{9}, std::byte{0}}}) {
        ASSERT_EQ(net.give(ethernet(ipv4(tcp_header(), {.options = options}))), Upper::tcp);
        EXPECT_EQ(octets_of(net.in.mbuf), tcp_header());
        EXPECT_EQ(net.in.ip_header_size, 24);
    }
}

TEST(Rfc1122, MalformedOptionsAndSourceRoutesAreDropped) {
    Network net;
    const auto with = [&](std::uint8_t type, std::uint8_t length) {
        const Octets options{std::byte{type}, std::byte{length}, std::byte{4}, std::byte{0}};
        return net.reason_for(ethernet(ipv4(tcp_header(), {.options = options})));
    };
    EXPECT_EQ(with(7, 0), DropReason::ip_bad_option);
    EXPECT_EQ(with(7, 1), DropReason::ip_bad_option);
    EXPECT_EQ(with(7, 5), DropReason::ip_bad_option);
    EXPECT_EQ(with(131, 3), DropReason::ip_source_route);
    EXPECT_EQ(with(137, 3), DropReason::ip_source_route);
}

TEST(Mbufs, ChainIsTakenWhereverItsSegmentsAreCut) {
    Network net;
    const Octets segment = tcp_header() + pattern(100);
    const Octets frame = ethernet(ipv4(segment));
    for (std::size_t first = 1; first < frame.size(); ++first) {
        ASSERT_EQ(net.give(net.pool.chain(frame, {first, 7})), Upper::tcp) << first;
        ASSERT_EQ(octets_of(net.in.mbuf), segment) << first;
        ASSERT_GE(net.in.mbuf->data_len, 20) << "the transport header is in one piece";
        ASSERT_EQ(rte_mbuf_check(net.in.mbuf, 1, nullptr), 0);
    }
}

TEST(Mbufs, DataBehindTheHeadersStaysWhereItIs) {
    Network net;
    const Octets frame = ethernet(ipv4(tcp_header() + pattern(100)));
    ASSERT_EQ(net.give(net.pool.chain(frame, {54})), Upper::tcp);
    EXPECT_EQ(net.in.mbuf->nb_segs, 2);
}

TEST(Mbufs, HeadersThatCannotBeGatheredAreACountedDrop) {
    Network net;
    const Octets frame = ethernet(ipv4(tcp_header() + pattern(100)));
    rte_mbuf* shared = net.pool.chain(frame, {20});
    rte_mbuf_refcnt_update(shared, 1);
    EXPECT_EQ(net.reason_for(shared), DropReason::frame_scattered);
    rte_pktmbuf_free(shared);
}

TEST(Mbufs, ChecksumOverAnyCutEqualsTheSumOverTheWhole) {
    Pool pool;
    const Octets octets = pattern(97);
    const std::uint16_t whole = wire::checksum_fold(wire::checksum_add(octets, 0x1234));
    for (std::size_t first = 1; first < 40; ++first)
        for (std::size_t second = 1; second < 40; ++second) {
            rte_mbuf* chain = pool.chain(octets, {first, second});
            ASSERT_EQ(wire::checksum_fold(mbuf_checksum_add(chain, 0x1234)), whole) << first << ',' << second;
            rte_pktmbuf_free(chain);
        }
}

TEST(Interfaces, PortOfTheMbufNamesTheInterfaceWhereThereAreSeveral) {
    Config config = plain_config();
    config.interfaces.push_back({.mac = other_mac, .address = Ipv4Address{10, 1, 0, 1}});
    Network net{config};
    const auto give = [&](std::uint16_t port, MacAddress mac) {
        rte_mbuf* frame = net.pool.mbuf(ethernet(
            ipv4(tcp_header(), {.destination = Ipv4Address{10, 1, 0, 1}}), wire::EtherType::ipv4, mac));
        frame->port = port;
        return net.give(frame);
    };
    EXPECT_EQ(give(1, other_mac), Upper::tcp);
    EXPECT_EQ(net.in.interface, 1);
    EXPECT_EQ(give(0, our_mac), Upper::tcp);  // the weak host model of RFC 1122 section 3.3.4.2
    EXPECT_EQ(net.in.interface, 0);
    EXPECT_EQ(give(0, other_mac), Upper::none);
    EXPECT_EQ(give(2, other_mac), Upper::none);
    EXPECT_EQ(net.count(DropReason::ethernet_not_for_us), 2U);
}

}  // namespace input_test
}  // namespace runnel::ip
