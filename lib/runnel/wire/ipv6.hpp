// IPv6 headers and the chain of extension headers behind them (RFC 8200).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"

namespace runnel::wire {

inline constexpr std::size_t ipv6_header_size = 40;
inline constexpr std::size_t ipv6_fragment_header_size = 8;
/// What every link carries in one packet (RFC 8200 section 5).
inline constexpr std::uint16_t ipv6_min_mtu = 1280;

/// Values of the next header field that name an extension header, or the end of the packet.
enum class Ipv6Extension : std::uint8_t {
    hop_by_hop = 0,
    routing = 43,
    fragment = 44,
    none = 59,
    destination_options = 60,
};

/// What is wrong with the form of a header.
enum class Ipv6Fault : std::uint8_t {
    none,
    truncated,           ///< fewer octets than a header has
    bad_version,         ///< not version 6
    bad_payload_length,  ///< beyond the octets received
};

/// Looks at the header at the start of `bytes`. `received` is how many octets of the packet arrived: more
/// than `bytes` holds where the packet lies in several pieces, of which `bytes` is the first.
[[nodiscard]] constexpr Ipv6Fault check_ipv6_header(std::span<const std::byte> bytes,
                                                    std::size_t received) noexcept {
    if (bytes.size() < ipv6_header_size) return Ipv6Fault::truncated;
    if (std::to_integer<unsigned>(bytes[0]) >> 4 != 6) return Ipv6Fault::bad_version;
    if (ipv6_header_size + load_be16(bytes, 4) > received) return Ipv6Fault::bad_payload_length;
    return Ipv6Fault::none;
}

[[nodiscard]] constexpr Ipv6Address load_ipv6(const std::byte* from) noexcept {
    return Ipv6Address::of(load_be64(from), load_be64(from + 8));
}

constexpr void store_ipv6(std::byte* to, const Ipv6Address& address) noexcept {
    store_be64(to, address.high());
    store_be64(to + 8, address.low());
}

/// A header, all fields in host order.
struct Ipv6Header {
    std::uint8_t traffic_class = 0;    ///< DSCP and ECN
    std::uint32_t flow_label = 0;      ///< 20 bits (RFC 6437)
    std::uint16_t payload_length = 0;  ///< octets behind this header, extension headers included
    std::uint8_t next_header = 0;
    std::uint8_t hop_limit = 64;
    Ipv6Address source{}, destination{};
    friend constexpr bool operator==(const Ipv6Header&, const Ipv6Header&) noexcept = default;
};

/// Reads the header of a packet that `check_ipv6_header` has found well formed.
[[nodiscard]] constexpr Ipv6Header load_ipv6_header(const std::byte* from) noexcept {
    const std::uint32_t first = load_be32(from);
    return {.traffic_class = static_cast<std::uint8_t>(first >> 20),
            .flow_label = first & 0xfffff,
            .payload_length = load_be16(from + 4),
            .next_header = std::to_integer<std::uint8_t>(from[6]),
            .hop_limit = std::to_integer<std::uint8_t>(from[7]),
            .source = load_ipv6(from + 8),
            .destination = load_ipv6(from + 24)};
}

constexpr void write(const Ipv6Header& header, std::span<std::byte, ipv6_header_size> to) noexcept {
    store_be32(to.data(), std::uint32_t{6} << 28 | std::uint32_t{header.traffic_class} << 20 |
                              (header.flow_label & 0xfffff));
    store_be16(to.data() + 4, header.payload_length);
    to[6] = std::byte{header.next_header};
    to[7] = std::byte{header.hop_limit};
    store_ipv6(to.data() + 8, header.source);
    store_ipv6(to.data() + 24, header.destination);
}

/// What a fragment header says (RFC 8200 section 4.5).
struct Ipv6Fragment {
    std::uint16_t offset = 0;  ///< octets, a multiple of eight
    bool more = false;
    std::uint32_t id = 0;

    /// A whole packet that carries the header all the same (RFC 6946).
    [[nodiscard]] constexpr bool atomic() const noexcept { return offset == 0 && !more; }
};

[[nodiscard]] constexpr Ipv6Fragment load_ipv6_fragment(const std::byte* from) noexcept {
    const std::uint16_t word = load_be16(from + 2);
    return {static_cast<std::uint16_t>(word & 0xfff8), (word & 1) != 0, load_be32(from + 4)};
}

/// What becomes of a packet by its extension headers.
enum class Ipv6Verdict : std::uint8_t {
    deliver,            ///< `protocol` gets what stands at `offset`
    fragment,           ///< a piece of a packet; of the first one the chain of headers is there
    nothing,            ///< "no next header": it carries nothing for us
    drop,               ///< an option says so, without a word to the sender
    malformed,          ///< an option or header reaches beyond its place
    incomplete_chain,   ///< a first fragment that does not hold all headers (RFC 7112)
    parameter_problem,  ///< `code` and `pointer` go to the sender, see `even_if_group`
};

/// The chain of extension headers, walked.
struct Ipv6Chain {
    Ipv6Verdict verdict = Ipv6Verdict::deliver;
    std::uint8_t protocol = 0;            ///< of the upper layer
    std::uint16_t offset = 0;             ///< of the upper layer's header, from the start of the packet
    std::uint16_t fragment_header = 0;    ///< where the fragment header stands; 0: there is none
    std::uint16_t before_fragment = 0;    ///< where the octet stands that names the fragment header
    std::uint16_t next_header_field = 6;  ///< where the octet stands that names the upper layer
    std::uint8_t code = 0;                ///< of a parameter problem
    std::uint32_t pointer = 0;            ///< of a parameter problem: which octet of the packet is meant
    bool even_if_group = false;           ///< the parameter problem is also due for a packet to a group
};

/// Codes of "parameter problem" (RFC 4443 section 3.4, RFC 7112 section 7).
enum class Ipv6ProblemCode : std::uint8_t {
    erroneous_field = 0,
    unknown_next_header = 1,
    unknown_option = 2,
    incomplete_chain = 3,
};

namespace detail {

constexpr void problem(Ipv6Chain& chain, Ipv6ProblemCode code, std::size_t pointer) noexcept {
    chain.verdict = Ipv6Verdict::parameter_problem;
    chain.code = static_cast<std::uint8_t>(code);
    chain.pointer = static_cast<std::uint32_t>(pointer);
}

// Walks the options in [at, end); false where the verdict is no longer `deliver` (RFC 8200 section 4.2). This
// host knows the padding; of what it does not know the two highest bits say what to do.
constexpr bool walk_options(std::span<const std::byte> packet, std::size_t at, std::size_t end,
                            Ipv6Chain& chain) noexcept {
    constexpr unsigned pad1 = 0, padn = 1;
    while (at < end) {
        const auto type = std::to_integer<unsigned>(packet[at]);
        if (type == pad1) {
            ++at;
            continue;
        }
        if (at + 2 > end || at + 2 + std::to_integer<std::size_t>(packet[at + 1]) > end) {
            chain.verdict = Ipv6Verdict::malformed;
            return false;
        }
        if (type != padn) switch (type >> 6) {
                case 0:
                    break;
                case 1:
                    chain.verdict = Ipv6Verdict::drop;
                    return false;
                default:
                    problem(chain, Ipv6ProblemCode::unknown_option, at);
                    chain.even_if_group = type >> 6 == 2;
                    return false;
            }
        at += 2 + std::to_integer<std::size_t>(packet[at + 1]);
    }
    return true;
}

}  // namespace detail

/// Walks the extension headers of a packet whose header is well formed, in their order (RFC 8200 section 4).
/// `packet` begins with the IPv6 header and holds the packet, or the first piece of it: a chain that reaches
/// beyond is malformed. `length` is the packet's, header included. Routing headers with segments left are
/// refused, whatever their type (RFC 5095, RFC 8200 section 4.4).
[[nodiscard]] constexpr Ipv6Chain walk_ipv6_chain(std::span<const std::byte> packet,
                                                  std::size_t length) noexcept {
    Ipv6Chain chain;
    std::size_t at = ipv6_header_size;
    std::size_t named_at = 6;
    const std::size_t held = packet.size() < length ? packet.size() : length;
    bool first_fragment = false;
    for (;;) {
        chain.protocol = std::to_integer<std::uint8_t>(packet[named_at]);
        chain.offset = static_cast<std::uint16_t>(at);
        chain.next_header_field = static_cast<std::uint16_t>(named_at);
        const Ipv6Extension type{chain.protocol};
        if (type == Ipv6Extension::none) {
            chain.verdict = Ipv6Verdict::nothing;
            return chain;
        }
        const bool extension = type == Ipv6Extension::hop_by_hop || type == Ipv6Extension::routing ||
                               type == Ipv6Extension::fragment || type == Ipv6Extension::destination_options;
        if (!extension) break;
        if (type == Ipv6Extension::hop_by_hop && named_at != 6) {
            detail::problem(chain, Ipv6ProblemCode::unknown_next_header, named_at);
            return chain;
        }
        const std::size_t size = at + 8 > held ? 8
                                 : type == Ipv6Extension::fragment
                                     ? ipv6_fragment_header_size
                                     : (std::to_integer<std::size_t>(packet[at + 1]) + 1) * 8;
        if (at + size > held) {
            chain.verdict = first_fragment ? Ipv6Verdict::incomplete_chain : Ipv6Verdict::malformed;
            return chain;
        }
        if (type == Ipv6Extension::routing) {
            constexpr std::size_t type_at = 2, segments_left_at = 3;
            if (packet[at + segments_left_at] != std::byte{0}) {
                detail::problem(chain, Ipv6ProblemCode::erroneous_field, at + type_at);
                return chain;
            }
        } else if (type == Ipv6Extension::fragment) {
            const Ipv6Fragment fragment = load_ipv6_fragment(packet.data() + at);
            // One within another is nothing that a host sends.
            if (chain.fragment_header != 0) {
                chain.verdict = Ipv6Verdict::malformed;
                return chain;
            }
            chain.fragment_header = static_cast<std::uint16_t>(at);
            chain.before_fragment = static_cast<std::uint16_t>(named_at);
            if (fragment.offset != 0) {
                chain.verdict = Ipv6Verdict::fragment;
                return chain;
            }
            first_fragment = fragment.more;
        } else if (!detail::walk_options(packet, at + 2, at + size, chain)) {
            return chain;
        }
        named_at = at;
        at += size;
    }
    if (first_fragment) {
        // The upper layer's header belongs to the chain (RFC 7112 section 3).
        constexpr std::uint8_t tcp = 6, udp = 17, icmpv6 = 58;
        std::size_t least = chain.protocol == tcp ? 20 : chain.protocol == udp ? 8 : 0;
        if (chain.protocol == icmpv6) least = 8;
        chain.verdict = at + least > length ? Ipv6Verdict::incomplete_chain : Ipv6Verdict::fragment;
    }
    return chain;
}

}  // namespace runnel::wire
