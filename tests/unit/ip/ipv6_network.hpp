// What the tests of IPv6 add to the network: addresses, packets and messages.
#pragma once

#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/neighbour_discovery.hpp"

#include "network.hpp"

namespace runnel::test {

[[nodiscard]] constexpr Ipv6Address documentation(std::uint64_t low, std::uint64_t subnet = 0) {
    return Ipv6Address::of(0x2001'0db8'0000'0000 + subnet, low);
}

inline constexpr Ipv6Address us6 = documentation(1);
inline constexpr Ipv6Address peer6 = documentation(2);
inline constexpr Ipv6Address router6 = documentation(0xfe);
inline constexpr Ipv6Address far_away6 = documentation(7, 0x99);
inline const Ipv6Address our_link_local = ip::link_local_address(our_mac);
inline const Ipv6Address peer_link_local = ip::link_local_address(peer_mac);
inline constexpr std::uint8_t icmpv6_protocol = wire::icmpv6_protocol, tcp_protocol = 6, udp_protocol = 17;

/// One interface with 10.0.0.1/24 and 2001:db8::1/64, which reports no groups of its own accord.
[[nodiscard]] inline ip::Config ipv6_config() {
    ip::Config config = plain_config();
    config.interfaces[0].ipv6 = {{.address = us6}};
    config.report_solicited_nodes = false;  // a test sees what it causes
    return config;
}

/// The same, with peer and router known and a default route: nothing need be resolved.
[[nodiscard]] inline ip::Config resolved_ipv6_config() {
    ip::Config config = ipv6_config();
    config.neighbours = {{peer6, peer_mac, 0}, {router6, other_mac, 0}};
    config.routes = {{.network = {}, .prefix_length = 0, .gateway = router6, .interface = 0}};
    return config;
}

struct Ipv6Fields {
    Ipv6Address source = peer6, destination = us6;
    std::uint8_t next_header = tcp_protocol;
    std::uint8_t hop_limit = 64, traffic_class = 0;
};

[[nodiscard]] inline Octets ipv6(std::span<const std::byte> payload, const Ipv6Fields& fields = {}) {
    Octets packet(wire::ipv6_header_size);
    wire::write(wire::Ipv6Header{.traffic_class = fields.traffic_class,
                                 .payload_length = static_cast<std::uint16_t>(payload.size()),
                                 .next_header = fields.next_header,
                                 .hop_limit = fields.hop_limit,
                                 .source = fields.source,
                                 .destination = fields.destination},
                std::span{packet}.first<wire::ipv6_header_size>());
    return std::move(packet) + payload;
}

[[nodiscard]] inline Octets numbers(std::initializer_list<unsigned> octets) {
    Octets bytes;
    for (const unsigned octet : octets) bytes.push_back(static_cast<std::byte>(octet));
    return bytes;
}

/// A frame with a packet in it.
[[nodiscard]] inline Octets ethernet6(std::span<const std::byte> packet, MacAddress destination = our_mac,
                                      MacAddress source = peer_mac) {
    return ethernet(packet, wire::EtherType::ipv6, destination, source);
}

/// Makes the checksum at `at` of a message right.
inline void seal6(Octets& message, std::size_t at, const Ipv6Fields& fields) {
    wire::store_be16(message, at, 0);
    wire::store_be16(
        message, at,
        wire::checksum_finish(wire::checksum_add(
            message, wire::pseudo_header_sum(fields.source, fields.destination, fields.next_header,
                                             static_cast<std::uint32_t>(message.size())))));
}

/// An ICMPv6 message as a packet.
[[nodiscard]] inline Octets icmpv6(wire::Icmpv6Type type, std::uint8_t code, std::uint32_t rest,
                                   std::span<const std::byte> payload, Ipv6Fields fields = {}) {
    fields.next_header = icmpv6_protocol;
    Octets message(wire::icmpv6_header_size);
    wire::write(wire::Icmpv6Header{static_cast<std::uint8_t>(type), code, 0, rest},
                std::span{message}.first<wire::icmpv6_header_size>());
    message = std::move(message) + payload;
    seal6(message, 2, fields);
    return ipv6(message, fields);
}

/// A solicitation or advertisement as a frame.
[[nodiscard]] inline Octets discovery(const wire::NeighbourMessage& message, const Ipv6Address& source,
                                      const Ipv6Address& destination, MacAddress frame_destination = our_mac,
                                      std::uint8_t hop_limit = 255) {
    const Ipv6Fields fields{
        .source = source, .destination = destination, .next_header = icmpv6_protocol, .hop_limit = hop_limit};
    Octets octets(wire::size_of(message));
    wire::write(message, octets);
    seal6(octets, 2, fields);
    return ethernet6(ipv6(octets, fields), frame_destination);
}

/// The IPv6 packet in a frame; fails the test where it is none, or its length is not the frame's.
struct Packet6 {
    wire::Ipv6Header header;
    Octets payload;
};
[[nodiscard]] inline Packet6 packet6_in(std::span<const std::byte> frame) {
    EXPECT_EQ(wire::EthernetView::parse(frame)->type(), wire::EtherType::ipv6);
    const auto packet = frame.subspan(wire::ethernet_header_size);
    EXPECT_EQ(wire::check_ipv6_header(packet, packet.size()), wire::Ipv6Fault::none);
    const wire::Ipv6Header header = wire::load_ipv6_header(packet.data());
    EXPECT_EQ(wire::ipv6_header_size + header.payload_length, packet.size());
    const auto payload = packet.subspan(wire::ipv6_header_size);
    return {header, {payload.begin(), payload.end()}};
}

/// Whether the checksum of TCP, UDP or ICMPv6 in a packet is right.
[[nodiscard]] inline bool checksum_is_right(const Packet6& packet) {
    return wire::checksum_holds(wire::checksum_add(
        packet.payload,
        wire::pseudo_header_sum(packet.header.source, packet.header.destination, packet.header.next_header,
                                static_cast<std::uint32_t>(packet.payload.size()))));
}

/// The solicitation or advertisement in a frame, which is sound; nothing where it holds another thing.
struct Discovery {
    wire::Ipv6Header header;
    wire::NeighbourMessage message;
    MacAddress frame_destination;
};
[[nodiscard]] inline std::optional<Discovery> discovery_in(std::span<const std::byte> frame) {
    const Packet6 packet = packet6_in(frame);
    if (packet.header.next_header != icmpv6_protocol || packet.payload.size() < 24) return std::nullopt;
    const auto message = wire::parse_neighbour_message(packet.payload);
    if (!message) return std::nullopt;
    EXPECT_TRUE(checksum_is_right(packet));
    EXPECT_EQ(packet.header.hop_limit, 255);
    return Discovery{packet.header, *message, wire::EthernetView::parse(frame)->destination()};
}

}  // namespace runnel::test
