// Whom a load generator may aim at without being told twice.
#pragma once

#include <span>
#include <stdexcept>
#include <string_view>

#include "runnel/base/ip_address.hpp"

#include "engine/addresses.hpp"

namespace runnel::load {

/// Addresses that are for private use, for benchmarks or for documentation, or that cannot leave the machine
/// or the link (RFC 1918, RFC 2544, RFC 5737, RFC 6598, RFC 1122, RFC 3927; of IPv6 RFC 4193, RFC 5180, RFC
/// 3849, RFC 9637, RFC 4291). Load towards any other is likely to be a mistake.
[[nodiscard]] constexpr bool is_test_address(const IpAddress& any) noexcept {
    if (!any.is_v4()) {
        const Ipv6Address v6 = any.v6();
        return v6.is_loopback() || v6.is_link_local() || (v6.octets[0] & 0xfe) == 0xfc ||
               v6.high() >> 16 == 0x2001'0002'0000 || v6.high() >> 32 == 0x2001'0db8 ||
               v6.high() >> 44 == 0x3fff0;
    }
    const Ipv4Address address = any.v4();
    struct Ipv4Network {
        Ipv4Address address;
        unsigned prefix_length;
    };
    constexpr Ipv4Network networks[] = {
        {{10, 0, 0, 0}, 8},      {{172, 16, 0, 0}, 12},  {{192, 168, 0, 0}, 16}, {{127, 0, 0, 0}, 8},
        {{169, 254, 0, 0}, 16},  {{100, 64, 0, 0}, 10},  {{198, 18, 0, 0}, 15},  {{192, 0, 2, 0}, 24},
        {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24},
    };
    for (const Ipv4Network& network : networks)
        if (((address.value ^ network.address.value) >> (32 - network.prefix_length)) == 0) return true;
    return false;
}

/// Throws `std::invalid_argument` where any address of these is neither such a one nor in a network that was
/// allowed.
void check_target(const Servers& servers, std::span<const Network> allowed);
/// The same of the addresses that an option gives; its name stands in the message.
void check_range(std::string_view option, const AddressRange& range, std::span<const Network> allowed);

}  // namespace runnel::load
