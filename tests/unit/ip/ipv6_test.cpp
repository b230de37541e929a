// IPv6 in and out, and ICMPv6: RFC 8200, RFC 4443, RFC 6724, RFC 8201.
#include <random>
#include <set>

#include "ipv6_network.hpp"
#include "seed.hpp"

namespace runnel::ip {
namespace ipv6_test {

using namespace test;
using Kind = wire::Icmpv6Type;

/// The ICMPv6 error in the only frame sent; fails the test where there is another thing.
struct SentError {
    wire::Icmpv6Header message{};
    wire::Ipv6Header header{};
    Octets quote;
};
SentError error_in(Network& net) {
    const auto frames = net.sent();
    EXPECT_EQ(frames.size(), 1U);
    if (frames.size() != 1) return {};
    const Packet6 packet = packet6_in(frames[0]);
    EXPECT_EQ(packet.header.next_header, icmpv6_protocol);
    EXPECT_TRUE(checksum_is_right(packet));
    return {*wire::parse_icmpv6(packet.payload),
            packet.header,
            {packet.payload.begin() + wire::icmpv6_header_size, packet.payload.end()}};
}

TEST(Rfc8200, TcpAndUdpForOurAddressesReachTheirTransport) {
    Network net{resolved_ipv6_config()};
    for (const Ipv6Address& destination : {us6, our_link_local}) {
        Octets padded = ethernet6(ipv6(tcp_header(), {.destination = destination, .traffic_class = 0xb9}));
        padded.resize(padded.size() + 9);
        ASSERT_EQ(net.give(padded), Upper::tcp);
        EXPECT_EQ(net.in.source_address(), IpAddress{peer6});
        EXPECT_EQ(net.in.destination_address(), IpAddress{destination});
        EXPECT_EQ(net.in.tos, 0xb9);
        EXPECT_EQ(net.in.mbuf->pkt_len, 20U) << "without padding";
        EXPECT_EQ(octets_of(net.in.mbuf), tcp_header());
    }
    ASSERT_EQ(net.give(ethernet6(ipv6(pattern(8), {.next_header = udp_protocol}))), Upper::udp);
    // Behind extension headers.
    const Octets behind =
        numbers({60, 0, 1, 4, 0, 0, 0, 0, tcp_protocol, 0, 0x1e, 4, 0, 0, 0, 0}) + tcp_header();
    ASSERT_EQ(net.give(ethernet6(ipv6(behind, {.next_header = 0}))), Upper::tcp);
    EXPECT_EQ(net.in.ip_header_size, 56);
    EXPECT_EQ(net.in.source_address(), IpAddress{peer6});
    EXPECT_EQ(octets_of(net.in.mbuf), tcp_header());
}

TEST(Rfc8200, SameFrameInPiecesMeansTheSame) {
    Network net{resolved_ipv6_config()};
    const Octets behind = numbers({tcp_protocol, 0, 1, 4, 0, 0, 0, 0}) + tcp_header() + pattern(600);
    const Octets frame = ethernet6(ipv6(behind, {.next_header = 60}));
    std::mt19937_64 random{test::seed()};
    for (int i = 0; i < 200; ++i) {
        std::vector<std::size_t> sizes;
        for (int piece = 0; piece < 3; ++piece) sizes.push_back(1 + random() % 120);
        ASSERT_EQ(net.give(net.pool.chain(frame, sizes)), Upper::tcp);
        ASSERT_GE(net.in.mbuf->data_len, 20);
        ASSERT_EQ(octets_of(net.in.mbuf), tcp_header() + pattern(600));
        ASSERT_EQ(net.in.source_address(), IpAddress{peer6});
    }
}

TEST(Mbufs, DataBehindIpv6HeadersStaysWhereItIs) {
    Network net{resolved_ipv6_config()};
    const Octets segment = tcp_header() + pattern(3000);
    const Octets frame = ethernet6(ipv6(segment));
    constexpr std::size_t headers = 14 + 40 + 20;
    // All headers in the first piece: nothing moves. Some of them in the next: those alone.
    for (const std::size_t first : {headers, headers + 10, std::size_t{60}, std::size_t{14}}) {
        rte_mbuf* const chain = net.pool.chain(frame, {first, 1500});
        const rte_mbuf* const second = chain->next;
        const std::uint16_t moved = static_cast<std::uint16_t>(first < headers ? headers - first : 0);
        ASSERT_EQ(net.give(chain), Upper::tcp) << first;
        EXPECT_EQ(net.in.mbuf->nb_segs, 3) << first;
        EXPECT_EQ(net.in.mbuf->next, second);
        EXPECT_EQ(second->data_len, 1500 - moved) << first;
        EXPECT_EQ(net.in.mbuf->data_len, 20 + (first > headers ? first - headers : 0));
        EXPECT_EQ(octets_of(net.in.mbuf), segment);
        EXPECT_EQ(rte_mbuf_check(net.in.mbuf, 1, nullptr), 0);
    }
    // A piece that somebody else reads too is not touched.
    rte_mbuf* const chain = net.pool.chain(ethernet6(ipv6(tcp_header() + pattern(500))), {60, 100});
    rte_mbuf* const second = chain->next;
    rte_mbuf_refcnt_update(second, 1);
    ASSERT_EQ(net.give(chain), Upper::tcp);
    EXPECT_EQ(octets_of(net.in.mbuf), tcp_header() + pattern(500));
    EXPECT_EQ(second->data_len, 100);
    second->next = nullptr;
    second->nb_segs = 1;
    rte_pktmbuf_free(second);
}

TEST(Rfc8200, PacketThatIsNotForUsOrNotSoundIsDropped) {
    Network net{resolved_ipv6_config()};
    const auto reason = [&](const Ipv6Fields& fields, MacAddress mac = our_mac) {
        return net.reason_for(ethernet6(ipv6(tcp_header(), fields), mac));
    };
    EXPECT_EQ(reason({.destination = documentation(3)}), DropReason::ip_not_for_us);
    EXPECT_EQ(reason({.destination = Ipv6Address::of(0xfe80'0000'0000'0000, 99)}), DropReason::ip_not_for_us);
    for (const Ipv6Address& source : {Ipv6Address{}, Ipv6Address::of(0, 1), all_nodes,
                                      documentation(2).solicited_node(), IpAddress{peer}.v6(), us6})
        EXPECT_EQ(reason({.source = source}), DropReason::ip_bad_source) << to_string(source);
    EXPECT_EQ(reason({}, wire::multicast_mac(all_nodes)), DropReason::ip_not_for_us)
        << "host in a link group";
    Octets frame = ethernet6(ipv6(tcp_header()));
    frame[14] = std::byte{0x40};
    EXPECT_EQ(net.reason_for(frame), DropReason::ip_bad_version);
    frame = ethernet6(ipv6(tcp_header()));
    frame.resize(frame.size() - 1);
    EXPECT_EQ(net.reason_for(frame), DropReason::ip_bad_total_length);
    EXPECT_EQ(net.reason_for(ethernet6(pattern(39))), DropReason::ip_truncated);
    EXPECT_TRUE(net.sent().empty());
    Network without{resolved_config()};
    EXPECT_EQ(without.reason_for(ethernet6(ipv6(tcp_header()))), DropReason::ip_family_unsupported);
}

TEST(Rfc8200, ProblemsOfTheChainAreToldWithTheirPlace) {
    Network net{resolved_ipv6_config()};
    struct Case {
        const char* what;
        std::uint8_t next;
        Octets payload;
        DropReason reason;
        std::uint8_t code;
        std::uint32_t pointer;
    };
    const std::vector<Case> cases{
        {"unknown next header", 99, pattern(20), DropReason::ip_unknown_protocol, 1, 6},
        {"ICMP of IPv4", 1, pattern(20), DropReason::ip_unknown_protocol, 1, 6},
        {"unknown next header behind options", 60, numbers({200, 0, 1, 4, 0, 0, 0, 0}) + pattern(20),
         DropReason::ip_unknown_protocol, 1, 40},
        {"option 10xxxxxx", 60, numbers({6, 0, 0x80, 4, 0, 0, 0, 0}) + tcp_header(),
         DropReason::ip_option_refused, 2, 42},
        {"option 11xxxxxx", 0, numbers({6, 0, 0xc2, 4, 0, 0, 0, 0}) + tcp_header(),
         DropReason::ip_option_refused, 2, 42},
        {"routing header type 0", 43, numbers({6, 0, 0, 1, 0, 0, 0, 0}) + tcp_header(),
         DropReason::ip_routing_header, 0, 42},
        {"incomplete chain", 44, numbers({6, 0, 0, 1, 0, 0, 0, 9}) + pattern(16),
         DropReason::ip_incomplete_chain, 3, 0},
    };
    for (const Case& one : cases) {
        const Octets packet = ipv6(one.payload, {.next_header = one.next});
        EXPECT_EQ(net.reason_for(ethernet6(packet)), one.reason) << one.what;
        const SentError error = error_in(net);
        EXPECT_EQ(error.message.type, 4) << one.what;
        EXPECT_EQ(error.message.code, one.code) << one.what;
        EXPECT_EQ(error.message.rest, one.pointer) << one.what;
        EXPECT_EQ(error.header.source, us6);
        EXPECT_EQ(error.header.destination, peer6);
        EXPECT_EQ(error.quote, packet) << one.what;
    }
    // Without a word.
    EXPECT_EQ(net.reason_for(
                  ethernet6(ipv6(numbers({6, 0, 0x40, 4, 0, 0, 0, 0}) + tcp_header(), {.next_header = 60}))),
              DropReason::ip_option_refused);
    EXPECT_EQ(net.reason_for(ethernet6(ipv6({}, {.next_header = 59}))), DropReason::ip_no_next_header);
    EXPECT_EQ(net.reason_for(ethernet6(ipv6(numbers({6, 9, 1, 4, 0, 0, 0, 0}), {.next_header = 60}))),
              DropReason::ip_bad_option);
    EXPECT_TRUE(net.sent().empty());
}

// RFC 4443 section 2.4 (e).
TEST(Rfc4443, NoErrorAboutAnErrorAGroupOrASourceThatIsNotOneHost) {
    Network net{resolved_ipv6_config()};
    const Octets option_10 = numbers({6, 0, 0x80, 4, 0, 0, 0, 0}) + tcp_header();
    const Octets option_11 = numbers({6, 0, 0xc0, 4, 0, 0, 0, 0}) + tcp_header();
    const auto to_group = [&](std::span<const std::byte> payload, std::uint8_t next) {
        net.give(ethernet6(ipv6(payload, {.destination = all_nodes, .next_header = next}),
                           wire::multicast_mac(all_nodes)));
        return net.sent();
    };
    EXPECT_TRUE(to_group(pattern(20), 99).empty());
    EXPECT_TRUE(to_group(option_11, 60).empty());
    const auto frames = to_group(option_10, 60);  // the exception: code 2
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(packet6_in(frames[0]).header.source, us6) << "from an address of ours";
    // About an ICMPv6 error, also behind the header that is at fault.
    net.give(
        ethernet6(ipv6(numbers({58, 0, 0x80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}), {.next_header = 60})));
    EXPECT_TRUE(net.sent().empty());
    net.give(ethernet6(ipv6(pattern(20), {.source = {}, .next_header = 99})));
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc4443, ErrorQuotesAsMuchAsFits1280Octets) {
    Network net{resolved_ipv6_config()};
    const Octets packet = ipv6(pattern(1400), {.next_header = 99});
    net.give(ethernet6(packet));
    const SentError error = error_in(net);
    EXPECT_EQ(error.quote, (Octets{packet.begin(), packet.begin() + 1280 - 48}));
}

TEST(Rfc4443, ErrorsAreRateLimited) {
    Config config = resolved_ipv6_config();
    config.icmp_errors_per_second = 100;
    Network net{config, 4096};
    std::size_t errors = 0;
    for (int i = 0; i < 10000; ++i) {
        net.give(ethernet6(ipv6(pattern(20), {.next_header = 99})));
        net.now += 100us;
        errors += net.sent().size();
    }
    EXPECT_LE(errors, 106U);
    EXPECT_GE(errors, 95U);
}

TEST(Rfc4443, EchoIsAnsweredWithAllItsData) {
    Network net{resolved_ipv6_config()};
    for (const std::size_t size : {0U, 1U, 56U, 1452U}) {
        net.give(ethernet6(icmpv6(Kind::echo_request, 0, 0x12340007, pattern(size), {.traffic_class = 8})));
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U) << size;
        const Packet6 reply = packet6_in(frames[0]);
        EXPECT_TRUE(checksum_is_right(reply));
        EXPECT_EQ(reply.header.source, us6);
        EXPECT_EQ(reply.header.destination, peer6);
        const auto message = wire::parse_icmpv6(reply.payload);
        EXPECT_EQ(message->type, 129);
        EXPECT_EQ(message->rest, 0x12340007U);
        EXPECT_EQ((Octets{reply.payload.begin() + 8, reply.payload.end()}), pattern(size));
    }
    // To all nodes: from an address that fits the asker's.
    net.give(ethernet6(icmpv6(Kind::echo_request, 0, 1, {}, {.source = peer6, .destination = all_nodes}),
                       wire::multicast_mac(all_nodes)));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(packet6_in(frames[0]).header.source, us6);
}

TEST(Rfc4443, MessageThatIsDamagedOrUnknownIsDropped) {
    Network net{resolved_ipv6_config()};
    Octets damaged = icmpv6(Kind::echo_request, 0, 1, pattern(8));
    damaged.back() ^= std::byte{1};
    EXPECT_EQ(net.reason_for(ethernet6(damaged)), DropReason::icmp_bad_checksum);
    EXPECT_EQ(net.reason_for(ethernet6(ipv6(pattern(7), {.next_header = icmpv6_protocol}))),
              DropReason::icmp_truncated);
    EXPECT_EQ(net.reason_for(ethernet6(icmpv6(Kind{200}, 0, 0, {}))), DropReason::icmp_unknown_type);
    EXPECT_EQ(net.reason_for(ethernet6(icmpv6(Kind{100}, 0, 0, {}))), DropReason::icmp_unknown_type);
    for (const Kind kind : {Kind::redirect, Kind::router_advertisement, Kind::echo_reply})
        EXPECT_EQ(net.reason_for(ethernet6(icmpv6(kind, 0, 0, pattern(32)))), DropReason::icmp_ignored);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc4443, ErrorsAboutOurPacketsReachTheTransportWithTheirMeaning) {
    Network net{resolved_ipv6_config()};
    const Octets quote = ipv6(tcp_header(80, 40000), {.source = us6, .destination = peer6});
    struct Case {
        Kind kind;
        std::uint8_t code;
        IcmpMeaning meaning;
    };
    for (const Case& one : {Case{Kind::destination_unreachable, 0, IcmpMeaning::unreachable},
                            Case{Kind::destination_unreachable, 1, IcmpMeaning::prohibited},
                            Case{Kind::destination_unreachable, 3, IcmpMeaning::unreachable},
                            Case{Kind::destination_unreachable, 4, IcmpMeaning::refused},
                            Case{Kind::packet_too_big, 0, IcmpMeaning::too_big},
                            Case{Kind::time_exceeded, 0, IcmpMeaning::other},
                            Case{Kind::parameter_problem, 0, IcmpMeaning::other},
                            Case{Kind::parameter_problem, 1, IcmpMeaning::refused}}) {
        ASSERT_EQ(net.give(ethernet6(icmpv6(one.kind, one.code, 1300, quote, {.source = router6}))),
                  Upper::icmp_error);
        EXPECT_EQ(net.in.error.meaning, one.meaning);
        EXPECT_EQ(net.in.error.source, IpAddress{us6});
        EXPECT_EQ(net.in.error.destination, IpAddress{peer6});
        EXPECT_EQ(net.in.error.source_port, 80);
        EXPECT_EQ(net.in.error.destination_port, 40000);
        EXPECT_EQ(net.in.error.sequence, 0x01020304U);
        EXPECT_EQ(net.in.error.next_hop_mtu, one.meaning == IcmpMeaning::too_big ? 1300 : 0);
    }
    const Octets foreign = ipv6(tcp_header(), {.source = peer6, .destination = us6});
    EXPECT_EQ(net.reason_for(ethernet6(icmpv6(Kind::packet_too_big, 0, 1300, foreign))),
              DropReason::icmp_error_without_owner);
}

// RFC 8201 section 4: a path takes 1280 octets, whatever anybody says.
TEST(Rfc8201, PathMtuIsLoweredTo1280AtMostAndNeverRaised) {
    Network net{resolved_ipv6_config()};
    const auto told = [&](std::uint16_t mtu) {
        return net.layer.lower_path_mtu(
            {.meaning = IcmpMeaning::too_big, .next_hop_mtu = mtu, .source = us6, .destination = far_away6},
            net.now);
    };
    EXPECT_EQ(net.layer.path_mtu_for(far_away6, net.now), 1500);
    EXPECT_EQ(told(1400), 1400);
    EXPECT_EQ(told(1450), 1400);
    for (const std::uint16_t lie : {std::uint16_t{0}, std::uint16_t{68}, std::uint16_t{1279}})
        EXPECT_EQ(told(lie), 1400) << lie;
    EXPECT_EQ(told(1280), 1280);
    EXPECT_EQ(net.layer.path_mtu_for(far_away6, net.now), 1280);
    EXPECT_EQ(net.layer.path_mtu_for(peer6, net.now), 1500);
    EXPECT_EQ(net.layer.path_mtu_for(far_away6, net.now + 601s), 1500);
}

TEST(Rfc8200, WhatIsSentIsRoutedAndCarriesItsChecksum) {
    Network net{resolved_ipv6_config()};
    for (const auto& [destination, mac] : {std::pair{peer6, peer_mac}, std::pair{far_away6, other_mac}})
        for (int twice = 0; twice < 2; ++twice) {  // the second time by what the first has found out
            const Ipv6Pair pair{destination, us6};
            ASSERT_TRUE(net.layer.output(net.pool.mbuf(tcp_header() + pattern(33)),
                                         {.ipv6 = &pair, .flow_label = 0x12345, .protocol = 6, .tos = 2},
                                         net.now));
            const auto frames = net.sent();
            ASSERT_EQ(frames.size(), 1U);
            EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), mac);
            const Packet6 packet = packet6_in(frames[0]);
            EXPECT_EQ(packet.header.source, us6);
            EXPECT_EQ(packet.header.destination, destination);
            EXPECT_EQ(packet.header.flow_label, 0x12345U);
            EXPECT_EQ(packet.header.traffic_class, 2);
            EXPECT_EQ(packet.header.hop_limit, 64);
            EXPECT_TRUE(checksum_is_right(packet));
        }
}

TEST(Rfc8200, WhatMayNotBeSentIsACountedDrop) {
    Network net{resolved_ipv6_config()};
    const auto reason = [&](const Ipv6Pair& pair, std::size_t size = 20) {
        std::vector<std::uint64_t> before;
        for (std::size_t i = 0; i < drop_count; ++i) before.push_back(net.count(static_cast<DropReason>(i)));
        EXPECT_FALSE(net.layer.output(net.pool.mbuf(pattern(size)), {.ipv6 = &pair, .protocol = 6}, net.now));
        for (std::size_t i = 0; i < drop_count; ++i) {
            const auto each = static_cast<DropReason>(i);
            if (net.count(each) != before[i]) return each;
        }
        return DropReason::count_;
    };
    EXPECT_EQ(reason({peer6, documentation(9)}), DropReason::ip_bad_source);
    EXPECT_EQ(reason({us6, us6}), DropReason::ip_no_route);
    EXPECT_EQ(reason({{}, us6}), DropReason::ip_no_route);
    EXPECT_EQ(reason({peer6, us6}, 1461), DropReason::ip_too_big);
    Network alone{ipv6_config()};
    const Ipv6Pair pair{far_away6, us6};
    EXPECT_FALSE(alone.layer.output(alone.pool.mbuf(pattern(20)), {.ipv6 = &pair, .protocol = 6}, alone.now));
    EXPECT_EQ(alone.count(DropReason::ip_no_route), 1U);
}

// RFC 6724 section 5: scope, then label, then the longest common prefix.
TEST(Rfc6724, SourceFitsItsDestination) {
    Config config = resolved_ipv6_config();
    const Ipv6Address unique_local = Ipv6Address::of(0xfd00'0000'0000'0000, 1);
    const Ipv6Address other_net = documentation(1, 0x5500);
    config.interfaces[0].ipv6.push_back({.address = unique_local});
    config.interfaces[0].ipv6.push_back({.address = other_net});
    const Network net{config};
    const auto source = [&](const Ipv6Address& destination) { return net.layer.source_for(destination); };
    EXPECT_EQ(source(peer6), IpAddress{us6});
    EXPECT_EQ(source(peer_link_local), IpAddress{our_link_local});
    EXPECT_EQ(source(Ipv6Address::of(0xfd00'0000'0000'0000, 7)), IpAddress{unique_local});
    EXPECT_EQ(source(documentation(7, 0x5501)), IpAddress{other_net});
    EXPECT_EQ(source(Ipv6Address::of(0x2a00'0000'0000'0000, 7)), IpAddress{us6});
    EXPECT_EQ(source(us6), std::nullopt) << "nothing leads to ourselves";
}

// RFC 6437 section 3: what no transport keeps a label for has one of its addresses, protocol and ports.
TEST(Rfc6437, DatagramsOfAFlowCarryOneLabelAndOthersAnother) {
    Network net(resolved_ipv6_config(), 1024);
    const auto label_of = [&](const Ipv6Address& to, std::uint16_t port, std::size_t size) {
        const Ipv6Pair pair{to, us6};
        EXPECT_TRUE(net.layer.output(net.pool.mbuf(udp_datagram(pattern(size), port, 53)),
                                     {.ipv6 = &pair, .protocol = udp_protocol, .dont_fragment = false},
                                     net.now));
        std::set<std::uint32_t> labels;
        for (const Octets& frame : net.sent()) labels.insert(packet6_in(frame).header.flow_label);
        EXPECT_EQ(labels.size(), 1U) << "each fragment has the same";
        return *labels.begin();
    };
    std::set<std::uint32_t> all;
    for (std::uint16_t port = 1000; port < 1100; ++port) {
        const std::uint32_t label = label_of(peer6, port, 100);
        EXPECT_EQ(label_of(peer6, port, 1900), label) << port;
        EXPECT_NE(label_of(far_away6, port, 100), label) << port;
        all.insert(label);
    }
    EXPECT_GT(all.size(), 95U);
    EXPECT_FALSE(all.contains(0));
}

TEST(Rfc6437, LabelIsNeverZero) {
    EXPECT_EQ(flow_label_of(0x12300000), 1U);
    EXPECT_EQ(flow_label_of(0xfff00000), 1U);
    EXPECT_EQ(flow_label_of(0x12345678), 0x45678U);
}

}  // namespace ipv6_test
}  // namespace runnel::ip
