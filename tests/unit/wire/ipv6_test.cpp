// IPv6 headers, the chain of extension headers, and addresses: RFC 8200, RFC 4291.
#include "runnel/wire/ipv6.hpp"

#include <gtest/gtest.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/ethernet.hpp"

#include "octets.hpp"
#include "seed.hpp"

namespace runnel::wire {
namespace ipv6_test {

using test::Bytes;

constexpr Ipv6Address host = Ipv6Address::of(0x2001'0db8'0000'0000, 0x0202'b3ff'fe1e'8329);
static_assert(host.high() == 0x2001'0db8'0000'0000 && host.low() == 0x0202'b3ff'fe1e'8329);
static_assert(host.octets[0] == 0x20 && host.octets[1] == 0x01 && host.octets[15] == 0x29);
// RFC 4291 section 2.7.1: the address 4037::01:800:200E:8C6C has the group FF02::1:FF0E:8C6C.
static_assert(Ipv6Address::of(0x4037'0000'0000'0000, 0x0001'0800'200e'8c6c).solicited_node() ==
              Ipv6Address::of(0xff02'0000'0000'0000, 0x1'ff0e'8c6c));
static_assert(multicast_mac(host.solicited_node()) == MacAddress{{0x33, 0x33, 0xff, 0x1e, 0x83, 0x29}});
static_assert(Ipv6Address::of(0xfebf'0000'0000'0000, 1).is_link_local() &&
              !Ipv6Address::of(0xfec0'0000'0000'0000, 1).is_link_local());
static_assert(IpAddress{Ipv4Address{10, 0, 0, 1}}.v6().is_v4_mapped() && !host.is_v4_mapped());

static_assert([] {
    std::array<std::byte, ipv6_header_size> octets{};
    const Ipv6Header header{.traffic_class = 0xb8,
                            .flow_label = 0xabcde,
                            .payload_length = 1234,
                            .next_header = 6,
                            .hop_limit = 3,
                            .source = host,
                            .destination = all_nodes};
    write(header, octets);
    return load_ipv6_header(octets.data()) == header && octets[0] == std::byte{0x6b} &&
           octets[1] == std::byte{0x8a} && octets[4] == std::byte{4} && octets[8] == std::byte{0x20};
}());

/// A packet of the given extension headers and upper layer, the first of which `next` names.
Bytes packet_of(std::uint8_t next, std::initializer_list<unsigned> octets, std::size_t upper = 20) {
    Bytes packet(ipv6_header_size);
    write(Ipv6Header{.payload_length = static_cast<std::uint16_t>(octets.size() + upper),
                     .next_header = next,
                     .source = host,
                     .destination = host},
          std::span{packet}.first<ipv6_header_size>());
    for (const unsigned octet : octets) packet.push_back(static_cast<std::byte>(octet));
    packet.resize(packet.size() + upper, std::byte{0x55});
    return packet;
}

Ipv6Chain walk(const Bytes& packet) {
    return walk_ipv6_chain(packet, packet.size());
}

constexpr std::uint8_t hop_by_hop = 0, tcp = 6, udp = 17, routing = 43, fragment = 44, icmpv6 = 58, none = 59,
                       destination = 60;

TEST(Rfc8200, HeaderThatIsCutShortOrOfAnotherVersionIsRefused) {
    Bytes packet = packet_of(tcp, {});
    EXPECT_EQ(check_ipv6_header(packet, packet.size()), Ipv6Fault::none);
    EXPECT_EQ(check_ipv6_header(packet, packet.size() + 7), Ipv6Fault::none) << "padding";
    EXPECT_EQ(check_ipv6_header(packet, packet.size() - 1), Ipv6Fault::bad_payload_length);
    for (std::size_t size = 0; size < ipv6_header_size; ++size)
        EXPECT_EQ(check_ipv6_header(std::span{packet}.first(size), size), Ipv6Fault::truncated);
    packet[0] = std::byte{0x45};
    EXPECT_EQ(check_ipv6_header(packet, packet.size()), Ipv6Fault::bad_version);
}

TEST(Rfc8200, ChainLeadsToTheUpperLayer) {
    const Ipv6Chain plain = walk(packet_of(tcp, {}));
    EXPECT_EQ(plain.verdict, Ipv6Verdict::deliver);
    EXPECT_EQ(plain.offset, 40);
    // Hop-by-hop with PadN, a routing header at its end, destination options with Pad1 and an unknown option
    // that may be skipped.
    const Ipv6Chain all = walk(packet_of(hop_by_hop, {routing,     0, 1, 4,    0, 0, 0, 0,  //
                                                      destination, 0, 2, 0,    0, 0, 0, 0,  //
                                                      udp,         0, 0, 0x3e, 2, 9, 9, 0}));
    EXPECT_EQ(all.verdict, Ipv6Verdict::deliver);
    EXPECT_EQ(all.protocol, udp);
    EXPECT_EQ(all.offset, 64);
    EXPECT_EQ(all.next_header_field, 56);
    EXPECT_EQ(all.fragment_header, 0);
    EXPECT_EQ(walk(packet_of(none, {}, 0)).verdict, Ipv6Verdict::nothing);
}

// Section 4.2: the two highest bits of an option that is not known.
TEST(Rfc8200, UnknownOptionDoesWhatItsHighestBitsSay) {
    const auto with = [](unsigned option) {
        return walk(packet_of(destination, {tcp, 0, 0, 0, option, 2, 7, 7}));
    };
    EXPECT_EQ(with(0x1e).verdict, Ipv6Verdict::deliver);
    EXPECT_EQ(with(0x5e).verdict, Ipv6Verdict::drop);
    for (const unsigned option : {0x9eU, 0xdeU}) {
        const Ipv6Chain chain = with(option);
        EXPECT_EQ(chain.verdict, Ipv6Verdict::parameter_problem);
        EXPECT_EQ(chain.code, 2);
        EXPECT_EQ(chain.pointer, 44U);
        EXPECT_EQ(chain.even_if_group, option == 0x9eU);
    }
}

TEST(Rfc8200, OptionOrHeaderThatReachesTooFarIsMalformed) {
    EXPECT_EQ(walk(packet_of(destination, {tcp, 0, 1, 5, 0, 0, 0, 0})).verdict, Ipv6Verdict::malformed);
    EXPECT_EQ(walk(packet_of(destination, {tcp, 0, 1, 3, 0, 0, 0, 1})).verdict, Ipv6Verdict::malformed);
    EXPECT_EQ(walk(packet_of(destination, {tcp, 9, 1, 4, 0, 0, 0, 0}, 8)).verdict, Ipv6Verdict::malformed);
    EXPECT_EQ(walk(packet_of(destination, {tcp, 0, 1, 4}, 0)).verdict, Ipv6Verdict::malformed);
}

// Section 4.1: hop-by-hop options stand behind the header itself or nowhere.
TEST(Rfc8200, HopByHopOptionsElsewhereAreAnUnknownNextHeader) {
    const Ipv6Chain chain = walk(packet_of(destination, {hop_by_hop, 0, 1, 4, 0, 0, 0, 0,  //
                                                         tcp, 0, 1, 4, 0, 0, 0, 0}));
    EXPECT_EQ(chain.verdict, Ipv6Verdict::parameter_problem);
    EXPECT_EQ(chain.code, 1);
    EXPECT_EQ(chain.pointer, 40U);
}

TEST(Rfc5095, RoutingHeaderWithSegmentsLeftIsRefusedWhateverItsType) {
    for (const unsigned type : {0U, 2U, 4U, 200U}) {
        const Ipv6Chain chain = walk(packet_of(routing, {tcp, 0, type, 1, 0, 0, 0, 0}));
        EXPECT_EQ(chain.verdict, Ipv6Verdict::parameter_problem);
        EXPECT_EQ(chain.code, 0);
        EXPECT_EQ(chain.pointer, 42U);
    }
}

TEST(Rfc8200, FragmentsAreToldFromWholePackets) {
    const Ipv6Chain later = walk(packet_of(fragment, {tcp, 0, 0, 8, 0, 0, 0, 1}));
    EXPECT_EQ(later.verdict, Ipv6Verdict::fragment);
    EXPECT_EQ(later.fragment_header, 40);
    EXPECT_EQ(later.before_fragment, 6);
    const Ipv6Chain first = walk(packet_of(fragment, {tcp, 0, 0, 1, 0, 0, 0, 1}));
    EXPECT_EQ(first.verdict, Ipv6Verdict::fragment);
    EXPECT_EQ(first.offset, 48);
    EXPECT_EQ(first.protocol, tcp);
    // RFC 6946: an atomic fragment is a packet of its own.
    const Ipv6Chain atomic = walk(packet_of(fragment, {tcp, 0, 0, 0, 0, 0, 0, 1}));
    EXPECT_EQ(atomic.verdict, Ipv6Verdict::deliver);
    EXPECT_EQ(atomic.offset, 48);
    EXPECT_EQ(walk(packet_of(fragment, {fragment, 0, 0, 0, 0, 0, 0, 1, tcp, 0, 0, 0, 0, 0, 0, 1})).verdict,
              Ipv6Verdict::malformed);
}

TEST(Rfc7112, FirstFragmentHoldsTheWholeChain) {
    for (const auto& [protocol, least] : {std::pair{tcp, 20}, std::pair{udp, 8}, std::pair{icmpv6, 8}}) {
        const auto size = static_cast<std::size_t>(least);
        EXPECT_EQ(walk(packet_of(fragment, {protocol, 0, 0, 1, 0, 0, 0, 1}, size)).verdict,
                  Ipv6Verdict::fragment);
        EXPECT_EQ(walk(packet_of(fragment, {protocol, 0, 0, 1, 0, 0, 0, 1}, size - 1)).verdict,
                  Ipv6Verdict::incomplete_chain);
    }
    EXPECT_EQ(
        walk(packet_of(fragment, {destination, 0, 0, 1, 0, 0, 0, 1, tcp, 1, 1, 12, 0, 0, 0, 0}, 0)).verdict,
        Ipv6Verdict::incomplete_chain);
}

TEST(Rfc8200, WalkNeverReadsBeyondThePacketAndAlwaysEnds) {
    std::mt19937_64 random{test::seed()};
    constexpr std::array<std::uint8_t, 8> interesting{hop_by_hop, tcp,    udp,  routing,
                                                      fragment,   icmpv6, none, destination};
    for (int i = 0; i < 20'000; ++i) {
        Bytes packet = test::random_bytes(random, ipv6_header_size + random() % 80);
        packet[6] = static_cast<std::byte>(interesting[random() % interesting.size()]);
        for (std::size_t at = ipv6_header_size; at < packet.size(); at += 8)
            if (random() % 4 != 0) {
                packet[at] = static_cast<std::byte>(interesting[random() % interesting.size()]);
                if (at + 1 < packet.size()) packet[at + 1] = static_cast<std::byte>(random() % 3);
            }
        const test::ExactCopy exact{packet};
        const Ipv6Chain chain = walk_ipv6_chain(exact.span(), packet.size());
        ASSERT_LE(chain.offset, packet.size());
        ASSERT_LT(chain.next_header_field, packet.size());
    }
}

}  // namespace ipv6_test
}  // namespace runnel::wire
