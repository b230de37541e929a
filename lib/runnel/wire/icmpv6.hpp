// ICMPv6 messages (RFC 4443) and the packet that an error quotes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::wire {

inline constexpr std::size_t icmpv6_header_size = 8;
/// ICMPv6 in the next header field.
inline constexpr std::uint8_t icmpv6_protocol = 58;

/// Values of the type field. Errors are those below 128.
enum class Icmpv6Type : std::uint8_t {
    destination_unreachable = 1,
    packet_too_big = 2,
    time_exceeded = 3,
    parameter_problem = 4,
    echo_request = 128,
    echo_reply = 129,
    listener_query = 130,
    listener_report = 131,
    listener_done = 132,
    router_solicitation = 133,
    router_advertisement = 134,
    neighbour_solicitation = 135,
    neighbour_advertisement = 136,
    redirect = 137,
    listener_report_v2 = 143,
};

/// Codes of "destination unreachable".
enum class Icmpv6UnreachableCode : std::uint8_t {
    no_route = 0,
    prohibited = 1,
    beyond_scope = 2,
    address = 3,
    port = 4,
    source_policy = 5,
    reject_route = 6,
};

[[nodiscard]] constexpr bool is_icmpv6_error(std::uint8_t type) noexcept {
    return type < 128;
}

/// The first eight octets of a message.
struct Icmpv6Header {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint16_t checksum = 0;  ///< written as it stands
    std::uint32_t rest = 0;      ///< identifier and sequence number, MTU, pointer, or flags
    friend constexpr bool operator==(const Icmpv6Header&, const Icmpv6Header&) noexcept = default;
};

/// Reads the header; nothing where the message is shorter. The checksum is not looked at.
[[nodiscard]] constexpr std::optional<Icmpv6Header> parse_icmpv6(
    std::span<const std::byte> message) noexcept {
    if (message.size() < icmpv6_header_size) return std::nullopt;
    return Icmpv6Header{std::to_integer<std::uint8_t>(message[0]), std::to_integer<std::uint8_t>(message[1]),
                        load_be16(message, 2), load_be32(message, 4)};
}

constexpr void write(const Icmpv6Header& header, std::span<std::byte, icmpv6_header_size> to) noexcept {
    to[0] = std::byte{header.type};
    to[1] = std::byte{header.code};
    store_be16(to.data() + 2, header.checksum);
    store_be32(to.data() + 4, header.rest);
}

/// What an ICMPv6 error quotes of the packet that caused it.
struct QuotedIpv6Packet {
    std::uint8_t protocol = 0;
    Ipv6Address source{}, destination{};
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint32_t sequence = 0;  ///< TCP's sequence number; of another protocol the octets at its place
    std::uint32_t length = 0;    ///< of the packet, header included, as its header says
};

/// Reads the packet that an error quotes, as far as the first eight octets of its upper layer. Nothing where
/// it is cut short before, malformed, or a later fragment, which holds no ports.
[[nodiscard]] constexpr std::optional<QuotedIpv6Packet> parse_quoted_ipv6_packet(
    std::span<const std::byte> quote) noexcept {
    constexpr std::size_t transport_octets = 8;
    if (quote.size() < ipv6_header_size || std::to_integer<unsigned>(quote[0]) >> 4 != 6) return std::nullopt;
    const std::size_t length = ipv6_header_size + load_be16(quote, 4);
    const Ipv6Chain chain = walk_ipv6_chain(quote, length);
    const bool first_fragment = chain.verdict == Ipv6Verdict::fragment &&
                                load_ipv6_fragment(quote.data() + chain.fragment_header).offset == 0;
    if (chain.verdict != Ipv6Verdict::deliver && !first_fragment) return std::nullopt;
    const std::size_t at = chain.offset;
    if (at + transport_octets > length || at + transport_octets > quote.size()) return std::nullopt;
    return QuotedIpv6Packet{chain.protocol,
                            load_ipv6(quote.data() + 8),
                            load_ipv6(quote.data() + 24),
                            load_be16(quote, at),
                            load_be16(quote, at + 2),
                            load_be32(quote, at + 4),
                            static_cast<std::uint32_t>(length)};
}

/// Whether a packet, of which the first octets are given, carries an ICMPv6 error or a redirect: no error is
/// ever sent about one of these (RFC 4443 section 2.4 (e)). Its extension headers are passed over unread.
[[nodiscard]] constexpr bool carries_icmpv6_error(std::span<const std::byte> packet) noexcept {
    if (packet.size() < ipv6_header_size) return false;
    auto next = std::to_integer<std::uint8_t>(packet[6]);
    std::size_t at = ipv6_header_size;
    while (next == static_cast<std::uint8_t>(Ipv6Extension::hop_by_hop) ||
           next == static_cast<std::uint8_t>(Ipv6Extension::routing) ||
           next == static_cast<std::uint8_t>(Ipv6Extension::fragment) ||
           next == static_cast<std::uint8_t>(Ipv6Extension::destination_options)) {
        if (at + 2 > packet.size()) return false;
        const bool fragment = next == static_cast<std::uint8_t>(Ipv6Extension::fragment);
        // What a later fragment of ICMPv6 carries cannot be told: it may be one.
        if (fragment && std::to_integer<std::uint8_t>(packet[at]) == icmpv6_protocol &&
            at + 4 <= packet.size() && (load_be16(packet, at + 2) & 0xfff8) != 0)
            return true;
        next = std::to_integer<std::uint8_t>(packet[at]);
        at += fragment ? ipv6_fragment_header_size : (std::to_integer<std::size_t>(packet[at + 1]) + 1) * 8;
    }
    if (next != icmpv6_protocol || at >= packet.size()) return false;
    const auto type = std::to_integer<std::uint8_t>(packet[at]);
    return is_icmpv6_error(type) || type == static_cast<std::uint8_t>(Icmpv6Type::redirect);
}

}  // namespace runnel::wire
