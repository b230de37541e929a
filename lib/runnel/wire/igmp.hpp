// IGMP messages of versions 1 (RFC 1112 appendix I), 2 (RFC 2236) and 3 (RFC 3376 section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/group_membership.hpp"

namespace runnel::wire {

/// Octets of a message of versions 1 and 2, and the least that any has.
inline constexpr std::size_t igmp_header_size = 8;
/// Octets of a record of version 3 without sources.
inline constexpr std::size_t igmp_record_size = 8;

/// Values of the type field.
enum class IgmpType : std::uint8_t {
    query = 0x11,
    report_v1 = 0x12,
    report_v2 = 0x16,
    leave = 0x17,
    report_v3 = 0x22,
};

/// All routers on a link, who hear of leaves, and those of version 3, who hear reports.
inline constexpr Ipv4Address all_routers_v4{224, 0, 0, 2};
inline constexpr Ipv4Address igmpv3_routers{224, 0, 0, 22};

/// IP's router alert option (RFC 2113).
inline constexpr std::uint32_t ipv4_router_alert = 0x94'04'00'00;

/// Whether the router alert is among the options of a header, which are well formed.
[[nodiscard]] constexpr bool has_ipv4_router_alert(std::span<const std::byte> options) noexcept {
    constexpr std::uint8_t end_of_list = 0, no_operation = 1, router_alert = 148;
    while (!options.empty()) {
        const auto type = std::to_integer<std::uint8_t>(options[0]);
        if (type == end_of_list) return false;
        if (type == router_alert) return true;
        const std::size_t length =
            type == no_operation || options.size() < 2 ? 1 : std::to_integer<std::size_t>(options[1]);
        if (length == 0 || length > options.size()) return false;
        options = options.subspan(length);
    }
    return false;
}

/// Reads a query. Nothing where it is none, or of no version: the length tells them apart (RFC 3376 section
/// 7.1). The checksum is not looked at.
[[nodiscard]] constexpr std::optional<MembershipQuery> parse_igmp_query(
    std::span<const std::byte> message) noexcept {
    constexpr std::size_t third_size = 12;
    if (message.size() < igmp_header_size || message[0] != static_cast<std::byte>(IgmpType::query))
        return std::nullopt;
    const auto code = std::to_integer<std::uint8_t>(message[1]);
    MembershipQuery query{.group = Ipv4Address{load_be32(message, 4)}};
    if (message.size() == igmp_header_size) {
        query.version = code == 0 ? MembershipVersion::first : MembershipVersion::second;
        query.max_response = code == 0 ? Duration{10s} : Duration{100ms} * code;
        return query;
    }
    if (message.size() < third_size) return std::nullopt;
    const std::uint16_t count = load_be16(message, 10);
    if (message.size() < third_size + std::size_t{count} * 4) return std::nullopt;
    query.max_response = Duration{100ms} * float_of_8_bits(code);
    query.robustness = std::to_integer<std::uint8_t>(message[8] & std::byte{7});
    query.query_interval = Duration{1s} * float_of_8_bits(std::to_integer<std::uint8_t>(message[9]));
    query.source_count = count;
    query.sources = message.data() + third_size;
    return query;
}

/// The group that a report of versions 1 or 2 is about; nothing where the message is none.
[[nodiscard]] constexpr std::optional<Ipv4Address> parse_igmp_report(
    std::span<const std::byte> message) noexcept {
    if (message.size() < igmp_header_size || (message[0] != static_cast<std::byte>(IgmpType::report_v1) &&
                                              message[0] != static_cast<std::byte>(IgmpType::report_v2)))
        return std::nullopt;
    return Ipv4Address{load_be32(message, 4)};
}

/// A report of versions 1 or 2, or a leave. The checksum is left 0.
constexpr void write_igmp(IgmpType type, Ipv4Address group,
                          std::span<std::byte, igmp_header_size> to) noexcept {
    store_be32(to.data(), std::uint32_t{static_cast<std::uint8_t>(type)} << 24);
    store_be32(to.data() + 4, group.value);
}

}  // namespace runnel::wire
