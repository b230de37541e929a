// ARP packets for IPv4 over Ethernet (RFC 826).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ethernet.hpp"

namespace runnel::wire {

inline constexpr std::size_t arp_packet_size = 28;

enum class ArpOperation : std::uint16_t { request = 1, reply = 2 };

/// An ARP packet, its fields in the order of RFC 826.
struct ArpPacket {
    ArpOperation operation = ArpOperation::request;
    MacAddress sender_mac{};
    Ipv4Address sender_ip{};  ///< unspecified in a probe (RFC 5227 section 1.1)
    MacAddress target_mac{};  ///< meaningless in a request
    Ipv4Address target_ip{};
    friend constexpr bool operator==(const ArpPacket&, const ArpPacket&) noexcept = default;
};

/// Reads a packet; trailing octets are padding. Nothing where it is cut short, is not about IPv4 over
/// Ethernet, names an operation other than request and reply, or claims a group address as its sender's.
[[nodiscard]] constexpr std::optional<ArpPacket> parse_arp(std::span<const std::byte> bytes) noexcept {
    if (bytes.size() < arp_packet_size) return std::nullopt;
    constexpr std::uint64_t ethernet_and_ipv4 = 0x0001'0800'06'04;
    if (load_be64(bytes, 0) >> 16 != ethernet_and_ipv4) return std::nullopt;
    const std::uint16_t operation = load_be16(bytes, 6);
    if (operation != 1 && operation != 2) return std::nullopt;
    const ArpPacket packet{ArpOperation{operation}, load_mac(bytes.data() + 8),
                           Ipv4Address{load_be32(bytes, 14)}, load_mac(bytes.data() + 18),
                           Ipv4Address{load_be32(bytes, 24)}};
    if (packet.sender_mac.is_group() || packet.sender_mac == MacAddress{}) return std::nullopt;
    return packet;
}

constexpr void write(const ArpPacket& packet, std::span<std::byte, arp_packet_size> to) noexcept {
    store_be16(to.data(), 1);
    store_be16(to.data() + 2, static_cast<std::uint16_t>(EtherType::ipv4));
    store_be16(to.data() + 4, 0x0604);  // lengths of a hardware and a protocol address
    store_be16(to.data() + 6, static_cast<std::uint16_t>(packet.operation));
    store_mac(to.data() + 8, packet.sender_mac);
    store_be32(to.data() + 14, packet.sender_ip.value);
    store_mac(to.data() + 18, packet.target_mac);
    store_be32(to.data() + 24, packet.target_ip.value);
}

}  // namespace runnel::wire
