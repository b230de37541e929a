// ICMP messages (RFC 792) and the packet that an ICMP error quotes (RFC 1122 section 3.2.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::wire {

inline constexpr std::size_t icmp_header_size = 8;
/// Octets of a timestamp message, and where the times of reception and of sending stand in it.
inline constexpr std::size_t icmp_timestamp_size = 20, icmp_received_at = 12, icmp_transmitted_at = 16;

/// Values of the type field.
enum class IcmpType : std::uint8_t {
    echo_reply = 0,
    destination_unreachable = 3,
    source_quench = 4,
    redirect = 5,
    echo_request = 8,
    time_exceeded = 11,
    parameter_problem = 12,
    timestamp_request = 13,
    timestamp_reply = 14,
    information_request = 15,
    information_reply = 16,
    address_mask_request = 17,
    address_mask_reply = 18,
};

/// Codes of "destination unreachable".
enum class UnreachableCode : std::uint8_t {
    network = 0,
    host = 1,
    protocol = 2,
    port = 3,
    fragmentation_needed = 4,
    source_route_failed = 5,
};

/// Codes of "time exceeded", of ICMPv6 too (RFC 4443 section 3.3).
enum class TimeExceededCode : std::uint8_t {
    transit = 0,
    reassembly = 1,
};

/// True for the types that report an error and quote a packet: no error is ever sent about one of these.
[[nodiscard]] constexpr bool is_icmp_error(IcmpType type) noexcept {
    return type == IcmpType::destination_unreachable || type == IcmpType::source_quench ||
           type == IcmpType::redirect || type == IcmpType::time_exceeded ||
           type == IcmpType::parameter_problem;
}

/// A message of which the eight octets of header are known to be there.
class IcmpView {
  public:
    /// Nothing where the message is shorter than its header. The checksum is not looked at.
    [[nodiscard]] static constexpr std::optional<IcmpView> parse(
        std::span<const std::byte> message) noexcept {
        if (message.size() < icmp_header_size) return std::nullopt;
        return IcmpView{message};
    }

    [[nodiscard]] constexpr IcmpType type() const noexcept {
        return IcmpType{std::to_integer<std::uint8_t>(message_[0])};
    }
    [[nodiscard]] constexpr std::uint8_t code() const noexcept {
        return std::to_integer<std::uint8_t>(message_[1]);
    }
    [[nodiscard]] constexpr std::uint16_t checksum() const noexcept { return load_be16(message_, 2); }
    /// Identifier and sequence number of an echo.
    [[nodiscard]] constexpr std::uint16_t identifier() const noexcept { return load_be16(message_, 4); }
    [[nodiscard]] constexpr std::uint16_t sequence() const noexcept { return load_be16(message_, 6); }
    /// MTU of the next hop in "fragmentation needed" (RFC 1191 section 4); 0 from routers that know no
    /// better.
    [[nodiscard]] constexpr std::uint16_t next_hop_mtu() const noexcept { return load_be16(message_, 6); }
    /// What follows the header: the data of an echo, the quoted packet of an error.
    [[nodiscard]] constexpr std::span<const std::byte> payload() const noexcept {
        return message_.subspan(icmp_header_size);
    }

  private:
    constexpr explicit IcmpView(std::span<const std::byte> message) noexcept : message_(message) {}
    std::span<const std::byte> message_;
};

/// The first eight octets of a message.
struct IcmpHeader {
    IcmpType type{};
    std::uint8_t code = 0;
    std::uint16_t checksum = 0;  ///< written as it stands
    std::uint32_t rest = 0;      ///< identifier and sequence number, unused and MTU, or gateway
    friend constexpr bool operator==(const IcmpHeader&, const IcmpHeader&) noexcept = default;
};

constexpr void write(const IcmpHeader& header, std::span<std::byte, icmp_header_size> to) noexcept {
    to[0] = static_cast<std::byte>(header.type);
    to[1] = std::byte{header.code};
    store_be16(to.data() + 2, header.checksum);
    store_be32(to.data() + 4, header.rest);
}

/// What an ICMP error quotes of the packet that caused it.
struct QuotedPacket {
    IpProtocol protocol{};
    Ipv4Address source{}, destination{};
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint32_t sequence = 0;      ///< TCP's sequence number; of another protocol the octets at its place
    std::uint16_t total_length = 0;  ///< of the packet, as its header says
};

/// Reads the packet that an ICMP error quotes: header and at least eight octets (RFC 792). Nothing where it
/// is cut short, malformed, or a later fragment, which holds no ports.
[[nodiscard]] constexpr std::optional<QuotedPacket> parse_quoted_packet(
    std::span<const std::byte> quote) noexcept {
    constexpr std::size_t transport_octets = 8;
    if (quote.size() < ipv4_header_size + transport_octets) return std::nullopt;
    const auto first = std::to_integer<unsigned>(quote[0]);
    const std::size_t header = std::size_t{first & 0xf} * 4;
    if (first >> 4 != 4 || header < ipv4_header_size || quote.size() < header + transport_octets)
        return std::nullopt;
    // The quote may hold less than the packet's total length, which only must have room for the octets read
    // here.
    if (load_be16(quote, 2) < header + transport_octets) return std::nullopt;
    if ((load_be16(quote, 6) & ipv4_fragment_offset_mask) != 0) return std::nullopt;
    return QuotedPacket{IpProtocol{std::to_integer<std::uint8_t>(quote[9])},
                        Ipv4Address{load_be32(quote, 12)},
                        Ipv4Address{load_be32(quote, 16)},
                        load_be16(quote, header),
                        load_be16(quote, header + 2),
                        load_be32(quote, header + 4),
                        load_be16(quote, 2)};
}

}  // namespace runnel::wire
