// MLD messages of versions 1 (RFC 2710 section 3) and 2 (RFC 3810 section 5). They are ICMPv6's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/group_membership.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::wire {

/// Octets of a message of version 1, and the least that a query has.
inline constexpr std::size_t mld_header_size = 24;
/// Octets of a record of version 2 without sources.
inline constexpr std::size_t mld_record_size = 20;

/// All routers that hear reports of version 2.
inline constexpr Ipv6Address mldv2_routers = Ipv6Address::of(0xff02'0000'0000'0000, 0x16);

/// A hop-by-hop header that holds the router alert option for MLD and padding (RFC 2711 section 2.1). Its
/// first octet, the next header, is 0.
inline constexpr std::uint64_t mld_hop_by_hop = 0x00'00'05'02'00'00'01'00;
inline constexpr std::size_t mld_hop_by_hop_size = 8;

/// Whether a packet, whose chain of extension headers is well formed and ends at `chain_end`, carries the
/// router alert option for MLD.
[[nodiscard]] constexpr bool has_mld_router_alert(std::span<const std::byte> packet,
                                                  std::size_t chain_end) noexcept {
    constexpr std::uint8_t pad1 = 0, router_alert = 5;
    if (packet[6] != static_cast<std::byte>(Ipv6Extension::hop_by_hop) ||
        chain_end < ipv6_header_size + mld_hop_by_hop_size)
        return false;
    const std::size_t end =
        ipv6_header_size + (std::to_integer<std::size_t>(packet[ipv6_header_size + 1]) + 1) * 8;
    for (std::size_t at = ipv6_header_size + 2; at + 2 <= end && end <= chain_end;) {
        const auto type = std::to_integer<std::uint8_t>(packet[at]);
        if (type == pad1) {
            ++at;
            continue;
        }
        const auto length = std::to_integer<std::size_t>(packet[at + 1]);
        if (type == router_alert && length == 2 && at + 4 <= end) return load_be16(packet, at + 2) == 0;
        at += 2 + length;
    }
    return false;
}

/// Reads a query. Nothing where it is none, or of no version: the length tells them apart (RFC 3810 section
/// 8.1). The checksum is not looked at.
[[nodiscard]] constexpr std::optional<MembershipQuery> parse_mld_query(
    std::span<const std::byte> message) noexcept {
    constexpr std::size_t second_size = 28;
    if (message.size() < mld_header_size || message[0] != static_cast<std::byte>(Icmpv6Type::listener_query))
        return std::nullopt;
    const std::uint16_t code = load_be16(message, 4);
    MembershipQuery query{.group = load_ipv6(message.data() + 8)};
    if (message.size() == mld_header_size) {
        query.version = MembershipVersion::second;
        query.max_response = Duration{1ms} * code;
        return query;
    }
    if (message.size() < second_size) return std::nullopt;
    const std::uint16_t count = load_be16(message, 26);
    if (message.size() < second_size + std::size_t{count} * 16) return std::nullopt;
    query.max_response = Duration{1ms} * float_of_16_bits(code);
    query.robustness = std::to_integer<std::uint8_t>(message[24] & std::byte{7});
    query.query_interval = Duration{1s} * float_of_8_bits(std::to_integer<std::uint8_t>(message[25]));
    query.source_count = count;
    query.sources = message.data() + second_size;
    return query;
}

/// The group that a report of version 1 is about; nothing where the message is none.
[[nodiscard]] constexpr std::optional<Ipv6Address> parse_mld_report(
    std::span<const std::byte> message) noexcept {
    if (message.size() < mld_header_size || message[0] != static_cast<std::byte>(Icmpv6Type::listener_report))
        return std::nullopt;
    return load_ipv6(message.data() + 8);
}

/// A report or done of version 1. The checksum is left 0.
constexpr void write_mld(Icmpv6Type type, const Ipv6Address& group,
                         std::span<std::byte, mld_header_size> to) noexcept {
    store_be64(to.data(), std::uint64_t{static_cast<std::uint8_t>(type)} << 56);
    store_ipv6(to.data() + 8, group);
}

}  // namespace runnel::wire
