// What the messages of IGMP (RFC 3376 section 4) and of MLD (RFC 3810 section 5) have in common: they ask and
// tell the same, in formats of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::wire {

/// Which version a querier speaks, as IGMP counts them: MLDv1 is IGMPv2 and MLDv2 IGMPv3 over IPv6.
enum class MembershipVersion : std::uint8_t { first = 1, second = 2, third = 3 };

/// What a record of a report says of its group (RFC 3376 section 4.2.12).
enum class GroupRecordType : std::uint8_t {
    mode_is_include = 1,
    mode_is_exclude = 2,
    change_to_include = 3,
    change_to_exclude = 4,
    allow_new_sources = 5,
    block_old_sources = 6,
};

/// Octets of a report before its first record, in both families.
inline constexpr std::size_t group_report_header_size = 8;

/// A query, of whichever family and version.
struct MembershipQuery {
    MembershipVersion version = MembershipVersion::third;
    IpAddress group{};            ///< unspecified: a general query, of all groups
    Duration max_response{};      ///< within which hosts answer
    std::uint8_t robustness = 0;  ///< the querier's Robustness Variable; 0: it does not say
    Duration query_interval{};    ///< between its general queries; 0: it does not say
    std::uint16_t source_count = 0;
    const std::byte* sources = nullptr;  ///< as they stand in the message, one behind the other; not owned

    [[nodiscard]] IpAddress source(std::size_t index) const noexcept {
        if (group.is_v4()) return Ipv4Address{load_be32(sources + index * 4)};
        return load_ipv6(sources + index * 16);
    }
};

/// A code of eight bits for a number of up to 31744 (RFC 3376 sections 4.1.1 and 4.1.7).
[[nodiscard]] constexpr std::uint32_t float_of_8_bits(std::uint8_t code) noexcept {
    return code < 128 ? code : ((code & 0xfU) | 0x10U) << (((code >> 4) & 7U) + 3);
}

/// A code of 16 bits for a number of up to 8387584 (RFC 3810 section 5.1.3).
[[nodiscard]] constexpr std::uint32_t float_of_16_bits(std::uint16_t code) noexcept {
    return code < 32768 ? code : ((code & 0xfffU) | 0x1000U) << (((code >> 12) & 7U) + 3);
}

}  // namespace runnel::wire
