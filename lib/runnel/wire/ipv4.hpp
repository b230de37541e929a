// IPv4 headers (RFC 791 section 3.1) and their options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"

namespace runnel::wire {

/// Octets of a header without options, and of the longest one.
inline constexpr std::size_t ipv4_header_size = 20;
inline constexpr std::size_t ipv4_max_header_size = 60;

/// Values of the protocol field.
enum class IpProtocol : std::uint8_t { icmp = 1, igmp = 2, tcp = 6, udp = 17 };

/// Bits of the word that holds flags and fragment offset.
inline constexpr std::uint16_t ipv4_dont_fragment = 0x4000;
inline constexpr std::uint16_t ipv4_more_fragments = 0x2000;
inline constexpr std::uint16_t ipv4_fragment_offset_mask = 0x1fff;

/// What is wrong with the form of a header (RFC 1122 section 3.2.1). The checksum is not looked at: hardware
/// may have done so already.
enum class Ipv4Fault : std::uint8_t {
    none,
    truncated,          ///< fewer octets than a header has
    bad_version,        ///< not version 4
    bad_header_length,  ///< IHL below 5, or beyond the packet
    bad_total_length,   ///< total length below the header's, or beyond the octets received
};

/// What is wrong with the options of a header.
enum class Ipv4OptionFault : std::uint8_t {
    none,
    malformed,     ///< a length below 2, or beyond the header
    source_route,  ///< LSRR or SSRR is among them
};

/// Looks at the header at the start of `bytes`. `received` is how many octets of the packet arrived: more
/// than `bytes` holds where the packet lies in several pieces, of which `bytes` is the first.
[[nodiscard]] constexpr Ipv4Fault check_ipv4_header(std::span<const std::byte> bytes,
                                                    std::size_t received) noexcept {
    if (bytes.size() < ipv4_header_size) return Ipv4Fault::truncated;
    const auto first = std::to_integer<unsigned>(bytes[0]);
    if (first >> 4 != 4) return Ipv4Fault::bad_version;
    const std::size_t header = std::size_t{first & 0xf} * 4;
    if (header < ipv4_header_size || header > bytes.size()) return Ipv4Fault::bad_header_length;
    const std::size_t total = load_be16(bytes, 2);
    if (total < header || total > received) return Ipv4Fault::bad_total_length;
    return Ipv4Fault::none;
}

/// A packet in one piece whose header is known to be there and well formed.
class Ipv4View {
  public:
    constexpr Ipv4View() noexcept = default;

    /// Looks at a packet; `in` is set where the answer is `none`, and then ends where the packet's total
    /// length says: what follows in the frame is padding.
    [[nodiscard]] static constexpr Ipv4Fault parse(std::span<const std::byte> bytes, Ipv4View& in) noexcept {
        const Ipv4Fault fault = check_ipv4_header(bytes, bytes.size());
        if (fault == Ipv4Fault::none) in = Ipv4View{bytes.first(load_be16(bytes, 2))};
        return fault;
    }

    [[nodiscard]] constexpr std::size_t header_size() const noexcept {
        return (std::to_integer<std::size_t>(packet_[0]) & 0xf) * 4;
    }
    [[nodiscard]] constexpr std::uint8_t tos() const noexcept {
        return std::to_integer<std::uint8_t>(packet_[1]);
    }
    [[nodiscard]] constexpr std::size_t total_length() const noexcept { return packet_.size(); }
    [[nodiscard]] constexpr std::uint16_t id() const noexcept { return load_be16(packet_, 4); }
    [[nodiscard]] constexpr bool dont_fragment() const noexcept {
        return (load_be16(packet_, 6) & ipv4_dont_fragment) != 0;
    }
    /// A fragment of a packet, the first one included.
    [[nodiscard]] constexpr bool is_fragment() const noexcept {
        return (load_be16(packet_, 6) & (ipv4_more_fragments | ipv4_fragment_offset_mask)) != 0;
    }
    /// Where the fragment lies in its packet, in octets.
    [[nodiscard]] constexpr std::size_t fragment_offset() const noexcept {
        return std::size_t{load_be16(packet_, 6)} % (ipv4_fragment_offset_mask + 1) * 8;
    }
    [[nodiscard]] constexpr std::uint8_t ttl() const noexcept {
        return std::to_integer<std::uint8_t>(packet_[8]);
    }
    [[nodiscard]] constexpr IpProtocol protocol() const noexcept {
        return IpProtocol{std::to_integer<std::uint8_t>(packet_[9])};
    }
    [[nodiscard]] constexpr std::uint16_t checksum() const noexcept { return load_be16(packet_, 10); }
    [[nodiscard]] constexpr Ipv4Address source() const noexcept {
        return Ipv4Address{load_be32(packet_, 12)};
    }
    [[nodiscard]] constexpr Ipv4Address destination() const noexcept {
        return Ipv4Address{load_be32(packet_, 16)};
    }
    [[nodiscard]] constexpr std::span<const std::byte> header_bytes() const noexcept {
        return packet_.first(header_size());
    }
    [[nodiscard]] constexpr std::span<const std::byte> options() const noexcept {
        return packet_.subspan(ipv4_header_size, header_size() - ipv4_header_size);
    }
    [[nodiscard]] constexpr std::span<const std::byte> payload() const noexcept {
        return packet_.subspan(header_size());
    }

  private:
    constexpr explicit Ipv4View(std::span<const std::byte> packet) noexcept : packet_(packet) {}
    std::span<const std::byte> packet_;
};

/// Walks the options of a header. Unknown ones are passed over by their length (RFC 1122 section 3.2.1.8).
[[nodiscard]] constexpr Ipv4OptionFault check_ipv4_options(std::span<const std::byte> options) noexcept {
    constexpr std::uint8_t end_of_list = 0, no_operation = 1, loose_source_route = 131,
                           strict_source_route = 137;
    bool source_route = false;
    while (!options.empty()) {
        const auto type = std::to_integer<std::uint8_t>(options[0]);
        if (type == end_of_list) break;
        if (type == no_operation) {
            options = options.subspan(1);
            continue;
        }
        if (options.size() < 2) return Ipv4OptionFault::malformed;
        const auto length = std::to_integer<std::size_t>(options[1]);
        if (length < 2 || length > options.size()) return Ipv4OptionFault::malformed;
        source_route |= type == loose_source_route || type == strict_source_route;
        options = options.subspan(length);
    }
    return source_route ? Ipv4OptionFault::source_route : Ipv4OptionFault::none;
}

/// Where in the options stands the octet that makes them malformed, as `check_ipv4_options` found: the length
/// of an option, or its type where the length is cut off.
[[nodiscard]] constexpr std::size_t malformed_ipv4_option_at(std::span<const std::byte> options) noexcept {
    constexpr std::uint8_t no_operation = 1;
    std::size_t at = 0;
    while (at + 1 < options.size()) {
        const auto type = std::to_integer<std::uint8_t>(options[at]);
        const auto length = std::to_integer<std::size_t>(options[at + 1]);
        if (type == no_operation) {
            ++at;
            continue;
        }
        if (length < 2 || at + length > options.size()) return at + 1;
        at += length;
    }
    return at;
}

/// A header without options, as it is sent.
struct Ipv4Header {
    std::uint8_t tos = 0;  ///< DSCP and ECN (RFC 2474, RFC 3168)
    std::uint16_t total_length = ipv4_header_size;
    std::uint16_t id = 0;
    bool dont_fragment = true;
    std::uint8_t ttl = 64;
    IpProtocol protocol = IpProtocol::tcp;
    std::uint16_t checksum = 0;  ///< written as it stands
    Ipv4Address source{}, destination{};
    friend constexpr bool operator==(const Ipv4Header&, const Ipv4Header&) noexcept = default;
};

constexpr void write(const Ipv4Header& header, std::span<std::byte, ipv4_header_size> to) noexcept {
    to[0] = std::byte{0x45};
    to[1] = std::byte{header.tos};
    store_be16(to.data() + 2, header.total_length);
    store_be16(to.data() + 4, header.id);
    store_be16(to.data() + 6, header.dont_fragment ? ipv4_dont_fragment : std::uint16_t{0});
    to[8] = std::byte{header.ttl};
    to[9] = static_cast<std::byte>(header.protocol);
    store_be16(to.data() + 10, header.checksum);
    store_be32(to.data() + 12, header.source.value);
    store_be32(to.data() + 16, header.destination.value);
}

}  // namespace runnel::wire
