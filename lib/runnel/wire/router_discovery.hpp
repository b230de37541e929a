// The messages of router discovery behind their ICMPv6 header, and their options (RFC 4861 sections 4.1, 4.2
// and 4.6, RFC 4191 section 2.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/neighbour_discovery.hpp"

namespace runnel::wire {

inline constexpr std::size_t router_advertisement_size = 16;  ///< without options
inline constexpr std::size_t prefix_option_size = 32, mtu_option_size = 8;
/// A lifetime, in seconds, that does not end.
inline constexpr std::uint32_t infinite_lifetime = 0xffff'ffff;

/// A prefix option. Lifetimes in seconds.
struct PrefixInformation {
    Ipv6Address prefix{};
    std::uint32_t valid = 0, preferred = 0;
    std::uint8_t length = 0;  ///< 0 to 128
    bool on_link = false, autonomous = false;
    friend constexpr bool operator==(const PrefixInformation&, const PrefixInformation&) noexcept = default;
};

/// A route to a network behind a router (RFC 4191 section 2.3).
struct RouteInformation {
    Ipv6Address prefix{};        ///< bits beyond the length are 0
    std::uint32_t lifetime = 0;  ///< seconds; 0: there is none any more
    std::uint8_t length = 0;     ///< 0 to 128
    std::int8_t preference = 0;  ///< 1 high, 0, -1 low
    friend constexpr bool operator==(const RouteInformation&, const RouteInformation&) noexcept = default;
};

/// Reads a route option, which is as long as it says; nothing where its length is not its prefix's, or its
/// preference is the reserved value: then it is to be passed over.
[[nodiscard]] constexpr std::optional<RouteInformation> parse_route_information(
    std::span<const std::byte> option) noexcept {
    const auto length = std::to_integer<unsigned>(option[2]);
    const unsigned preference = std::to_integer<unsigned>(option[3]) >> 3 & 3;
    const std::size_t prefix_size = option.size() - 8;
    if (length > 128 || prefix_size * 8 < length || prefix_size > 16 || preference == 2) return std::nullopt;
    const std::uint64_t high = prefix_size >= 8 ? load_be64(option.data() + 8) : 0;
    const std::uint64_t low = prefix_size == 16 ? load_be64(option.data() + 16) : 0;
    const auto first_bits = [](std::uint64_t half, unsigned bits) {
        return bits == 0 ? 0 : bits >= 64 ? half : half & ~std::uint64_t{0} << (64 - bits);
    };
    return RouteInformation{
        .prefix = Ipv6Address::of(first_bits(high, length), first_bits(low, length > 64 ? length - 64 : 0)),
        .lifetime = load_be32(option, 4),
        .length = static_cast<std::uint8_t>(length),
        .preference = static_cast<std::int8_t>(preference == 1   ? 1
                                               : preference == 3 ? -1
                                                                 : 0)};
}

/// What a router says of itself and its link; 0 of a number: nothing.
struct RouterAdvertisement {
    static constexpr std::size_t most_prefixes = 16;  ///< what stands behind them is not read
    static constexpr std::size_t most_routes = 16;    ///< the same of routes

    std::uint32_t reachable_time = 0, retrans_timer = 0;  ///< milliseconds
    std::uint32_t mtu = 0;
    std::uint16_t lifetime = 0;  ///< as a default router, in seconds; 0: it is none
    std::uint8_t hop_limit = 0;
    std::int8_t preference = 0;  ///< 1 high, 0, -1 low
    std::optional<MacAddress> link_address{};
    std::size_t prefix_count = 0;
    std::array<PrefixInformation, most_prefixes> prefixes{};
    std::size_t route_count = 0;
    std::array<RouteInformation, most_routes> routes{};
};

/// Reads an advertisement with its ICMPv6 header; nothing where it is not valid by itself (RFC 4861 section
/// 6.1.2): cut short, a code, or a bad option. Hop limit, checksum and source of the packet are the caller's
/// to check. Options whose length is not theirs are passed over.
[[nodiscard]] constexpr std::optional<RouterAdvertisement> parse_router_advertisement(
    std::span<const std::byte> message) noexcept {
    if (message.size() < router_advertisement_size || message[1] != std::byte{0}) return std::nullopt;
    const auto options = parse_nd_options(message.subspan(router_advertisement_size));
    if (!options) return std::nullopt;
    RouterAdvertisement found{.reachable_time = load_be32(message, 8),
                              .retrans_timer = load_be32(message, 12),
                              .lifetime = load_be16(message, 6),
                              .hop_limit = std::to_integer<std::uint8_t>(message[4]),
                              .link_address = options->source_link_address};
    // Two bits with a sign. The fourth value is to be taken for medium, and so it is of a router that is
    // none.
    const unsigned preference = std::to_integer<unsigned>(message[5]) >> 3 & 3;
    found.preference = static_cast<std::int8_t>(found.lifetime == 0 ? 0
                                                : preference == 1   ? 1
                                                : preference == 3   ? -1
                                                                    : 0);
    for (std::span<const std::byte> rest = message.subspan(router_advertisement_size); !rest.empty();) {
        const std::size_t size = std::to_integer<std::size_t>(rest[1]) * 8;
        const NdOption type{std::to_integer<std::uint8_t>(rest[0])};
        if (type == NdOption::mtu && size == mtu_option_size) found.mtu = load_be32(rest, 4);
        if (type == NdOption::prefix_information && size == prefix_option_size &&
            std::to_integer<unsigned>(rest[2]) <= 128 && found.prefix_count < found.prefixes.size()) {
            const auto flags = std::to_integer<unsigned>(rest[3]);
            found.prefixes[found.prefix_count++] = {.prefix = load_ipv6(rest.data() + 16),
                                                    .valid = load_be32(rest, 4),
                                                    .preferred = load_be32(rest, 8),
                                                    .length = std::to_integer<std::uint8_t>(rest[2]),
                                                    .on_link = (flags & 0x80) != 0,
                                                    .autonomous = (flags & 0x40) != 0};
        }
        if (type == NdOption::route_information && found.route_count < found.routes.size())
            if (const auto route = parse_route_information(rest.first(size)))
                found.routes[found.route_count++] = *route;
        rest = rest.subspan(size);
    }
    return found;
}

/// Octets of a solicitation with, or without, a link address.
[[nodiscard]] constexpr std::size_t size_of_router_solicitation(bool with_link_address) noexcept {
    return router_solicitation_size + (with_link_address ? link_address_option_size : 0);
}

/// Writes a solicitation with its ICMPv6 header, the checksum 0. `to` holds as many octets as said above.
constexpr void write_router_solicitation(const std::optional<MacAddress>& link_address,
                                         std::span<std::byte> to) noexcept {
    write(Icmpv6Header{.type = static_cast<std::uint8_t>(Icmpv6Type::router_solicitation)},
          to.first<icmpv6_header_size>());
    if (link_address)
        write_link_address(NdOption::source_link_address, *link_address,
                           to.data() + router_solicitation_size);
}

}  // namespace runnel::wire
