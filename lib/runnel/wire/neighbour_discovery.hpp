// The messages of Neighbour Discovery behind their ICMPv6 header, and their options (RFC 4861 section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::wire {

/// The hop limit of every message: what comes with less has crossed a router, and is not to be believed.
inline constexpr std::uint8_t nd_hop_limit = 255;
/// Octets of a solicitation or advertisement of a neighbour without options, and with one link address.
inline constexpr std::size_t neighbour_message_size = 24;
inline constexpr std::size_t link_address_option_size = 8;
inline constexpr std::size_t nonce_option_size = 8;
inline constexpr std::size_t router_solicitation_size = 8;

/// Values of an option's type.
enum class NdOption : std::uint8_t {
    source_link_address = 1,
    target_link_address = 2,
    prefix_information = 3,
    redirected_header = 4,
    mtu = 5,
    nonce = 14,              ///< RFC 3971 section 5.3.2; of probes RFC 7527
    route_information = 24,  ///< RFC 4191 section 2.3
};

/// The options of a message whose link addresses are Ethernet's. Where one stands twice the first counts.
struct NdOptions {
    std::optional<MacAddress> source_link_address, target_link_address;
    std::optional<std::uint64_t> nonce;  ///< of 48 bits, the shortest there is
};

/// Reads the options; nothing where one has the length 0 or reaches beyond the message: the whole message is
/// not valid then (RFC 4861 section 6.1.1). What is unknown is passed over.
[[nodiscard]] constexpr std::optional<NdOptions> parse_nd_options(
    std::span<const std::byte> options) noexcept {
    NdOptions found;
    while (!options.empty()) {
        if (options.size() < 2) return std::nullopt;
        const std::size_t size = std::to_integer<std::size_t>(options[1]) * 8;
        if (size == 0 || size > options.size()) return std::nullopt;
        const NdOption type{std::to_integer<std::uint8_t>(options[0])};
        if (size == link_address_option_size) {
            if (type == NdOption::source_link_address && !found.source_link_address)
                found.source_link_address = load_mac(options.data() + 2);
            if (type == NdOption::target_link_address && !found.target_link_address)
                found.target_link_address = load_mac(options.data() + 2);
            if (type == NdOption::nonce && !found.nonce)
                found.nonce = load_be64(options, 0) & 0xffff'ffff'ffff;
        }
        options = options.subspan(size);
    }
    return found;
}

/// Bits of an advertisement's first word.
inline constexpr std::uint32_t advertisement_router = 0x8000'0000;
inline constexpr std::uint32_t advertisement_solicited = 0x4000'0000;
inline constexpr std::uint32_t advertisement_override = 0x2000'0000;

/// A solicitation or an advertisement of a neighbour.
struct NeighbourMessage {
    Icmpv6Type type = Icmpv6Type::neighbour_solicitation;
    std::uint32_t flags = 0;  ///< of an advertisement
    Ipv6Address target{};
    std::optional<MacAddress> link_address{};  ///< the sender's, or in an advertisement the target's
    std::optional<std::uint64_t> nonce{};      ///< of a solicitation; the low 48 bits
};

/// Reads a message of either kind with its ICMPv6 header; nothing where it is not valid by itself (RFC 4861
/// sections 7.1.1 and 7.1.2): cut short, a code, a target that is a group, or a bad option. Hop limit,
/// checksum and addresses of the packet are the caller's to check.
[[nodiscard]] constexpr std::optional<NeighbourMessage> parse_neighbour_message(
    std::span<const std::byte> message) noexcept {
    if (message.size() < neighbour_message_size || message[1] != std::byte{0}) return std::nullopt;
    const auto options = parse_nd_options(message.subspan(neighbour_message_size));
    const Ipv6Address target = load_ipv6(message.data() + 8);
    if (!options || target.is_multicast()) return std::nullopt;
    const Icmpv6Type type{std::to_integer<std::uint8_t>(message[0])};
    return NeighbourMessage{type, load_be32(message, 4), target,
                            type == Icmpv6Type::neighbour_solicitation ? options->source_link_address
                                                                       : options->target_link_address,
                            options->nonce};
}

/// Octets that `write` makes of a message.
[[nodiscard]] constexpr std::size_t size_of(const NeighbourMessage& message) noexcept {
    return neighbour_message_size + (message.link_address ? link_address_option_size : 0) +
           (message.nonce ? nonce_option_size : 0);
}

constexpr void write_link_address(NdOption type, const MacAddress& mac, std::byte* to) noexcept {
    to[0] = static_cast<std::byte>(type);
    to[1] = std::byte{1};
    store_mac(to + 2, mac);
}

/// Writes a message with its ICMPv6 header, the checksum 0. `to` holds `size_of(message)` octets.
constexpr void write(const NeighbourMessage& message, std::span<std::byte> to) noexcept {
    write(Icmpv6Header{.type = static_cast<std::uint8_t>(message.type), .rest = message.flags},
          to.first<icmpv6_header_size>());
    store_ipv6(to.data() + 8, message.target);
    if (message.link_address)
        write_link_address(message.type == Icmpv6Type::neighbour_solicitation ? NdOption::source_link_address
                                                                              : NdOption::target_link_address,
                           *message.link_address, to.data() + neighbour_message_size);
    if (message.nonce) {
        constexpr std::uint64_t header =
            std::uint64_t{static_cast<std::uint8_t>(NdOption::nonce)} << 56 | std::uint64_t{1} << 48;
        store_be64(to.last<nonce_option_size>().data(), header | (*message.nonce & 0xffff'ffff'ffff));
    }
}

}  // namespace runnel::wire
