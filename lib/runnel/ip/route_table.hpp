// Which interface leads to an address, and by which router: longest-prefix match (RFC 1122 section 3.3.1,
// RFC 4861 section 5.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/base/ip_address.hpp"

namespace runnel::ip {

/// True where the first `length` bits of both are the same.
[[nodiscard]] constexpr bool same_prefix(Ipv4Address a, Ipv4Address b, unsigned length) noexcept {
    return length == 0 || (a.value ^ b.value) >> (32 - length) == 0;
}
[[nodiscard]] constexpr bool same_prefix(const Ipv6Address& a, const Ipv6Address& b,
                                         unsigned length) noexcept {
    if (length == 0) return true;
    if (length <= 64) return (a.high() ^ b.high()) >> (64 - length) == 0;
    return a.high() == b.high() && (length == 64 || (a.low() ^ b.low()) >> (128 - length) == 0);
}

/// The next hop of one family.
template <class Address>
struct RouteOf {
    std::uint8_t interface = 0;
    Address gateway{};  ///< unspecified: the destination is on the link itself

    /// Who gets the packet on that link.
    [[nodiscard]] const Address& next_hop(const Address& destination) const noexcept {
        return gateway.is_unspecified() ? destination : gateway;
    }
    friend constexpr bool operator==(const RouteOf&, const RouteOf&) noexcept = default;
};

/// An end host has a handful of routes, so they are walked from the longest prefix to the shortest; rte_lpm
/// would take 64 MB a stack for the same answer.
template <class Address>
class RouteTableOf {
  public:
    using Route = RouteOf<Address>;

    /// Makes room, so that adding allocates nothing up to that size.
    void reserve(std::size_t routes) { entries_.reserve(routes); }
    /// Adds a route; of those with equally long prefixes the one added first goes before.
    void add(const Address& network, unsigned prefix_length, const Route& route);
    /// Takes back what was added with the same words; false where it is not there.
    bool remove(const Address& network, unsigned prefix_length, const Route& route);

    /// The route of the longest prefix that covers the destination, or null.
    [[nodiscard]] const Route* lookup(const Address& destination) const noexcept {
        for (const Entry& entry : entries_)
            if (same_prefix(destination, entry.network, entry.prefix_length)) return &entry.route;
        return nullptr;
    }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  private:
    struct Entry {
        Address network;
        unsigned prefix_length;
        Route route;
    };
    std::vector<Entry> entries_;  // the longest prefix first
};

using Route = RouteOf<Ipv4Address>;
using RouteTable = RouteTableOf<Ipv4Address>;
using Ipv6Route = RouteOf<Ipv6Address>;
using Ipv6RouteTable = RouteTableOf<Ipv6Address>;

extern template class RouteTableOf<Ipv4Address>;
extern template class RouteTableOf<Ipv6Address>;

}  // namespace runnel::ip
