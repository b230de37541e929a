// The family that scripts and simulations speak. They are written with IPv4 addresses; where the environment
// says RUNNEL_FAMILY=6 each such address stands for one of IPv6, frames are made and read as IPv6, and stacks
// are given IPv6 addresses alone: the same test, over the other family.
#pragma once

#include "runnel/base/ip_address.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::test {

/// RUNNEL_FAMILY=6 is set.
[[nodiscard]] bool speaks_ipv6();

/// 2001:db8::10.b.c.d for 10.b.c.d, and for others addresses that each have a prefix of their own, as hosts
/// of other networks do; groups and addresses that no host has for their like.
[[nodiscard]] Ipv6Address ipv6_for(Ipv4Address address);
/// The IPv4 address that stands for it: unspecified where none does.
[[nodiscard]] Ipv4Address ipv4_for(const Ipv6Address& address);

/// As it is spoken: the address itself, or the IPv6 address that it stands for.
[[nodiscard]] IpAddress spoken(Ipv4Address address);
/// The same of all addresses of a configuration. The MTU grows by as much as the header, so that segments are
/// of one size.
[[nodiscard]] StackConfig spoken(StackConfig config);

/// Octets of the IP header, and the MSS of a peer that offers none.
[[nodiscard]] inline std::uint16_t ip_header_size() {
    return speaks_ipv6() ? 40 : 20;
}
[[nodiscard]] inline std::uint16_t default_mss() {
    return speaks_ipv6() ? 1220 : 536;
}

/// The type and code of the ICMPv6 error that says what an ICMP error says, or the same where ICMP is spoken.
struct ErrorKind {
    std::uint8_t type = 0, code = 0;
};
[[nodiscard]] ErrorKind spoken_error(std::uint8_t type, std::uint8_t code);

}  // namespace runnel::test
