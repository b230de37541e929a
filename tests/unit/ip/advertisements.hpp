// Router advertisements, written octet by octet.
#pragma once

#include "neighbourhood.hpp"

namespace runnel::test {

inline const Ipv6Address router_link_local = ip::link_local_address(other_mac);

struct PrefixFields {
    Ipv6Address prefix = documentation(0, 0x42);
    std::uint8_t length = 64, flags = 0xc0;  // on-link and autonomous
    std::uint32_t valid = 86400, preferred = 14400;
};

/// A route of RFC 4191, as an option.
struct RouteFields {
    Ipv6Address prefix = documentation(0, 0x90);
    std::uint8_t length = 60;
    std::uint32_t lifetime = 600;
    std::uint8_t preference = 0;  // its two bits: 1 high, 3 low
};

struct RouterFields {
    Ipv6Address source = router_link_local;
    std::uint8_t hop_limit = 255;  // of the packet
    std::uint8_t code = 0;
    std::uint8_t told_hop_limit = 0, flags = 0;
    std::uint16_t lifetime = 1800;
    std::uint32_t reachable = 0, retrans = 0;
    std::optional<MacAddress> mac = other_mac;
    std::optional<std::uint32_t> mtu{};
    std::vector<PrefixFields> prefixes{};
    Octets more{};  // behind all that
    std::vector<RouteFields> routes{};
};

[[nodiscard]] inline Octets number(std::uint64_t value, std::size_t octets) {
    Octets bytes;
    while (octets-- > 0) bytes.push_back(static_cast<std::byte>(value >> 8 * octets));
    return bytes;
}

[[nodiscard]] inline Octets router_message(const RouterFields& fields) {
    Octets message = numbers({134, fields.code, 0, 0, fields.told_hop_limit, fields.flags}) +
                     number(fields.lifetime, 2) + number(fields.reachable, 4) + number(fields.retrans, 4);
    if (fields.mac) {
        message = std::move(message) + numbers({1, 1});
        for (const std::uint8_t octet : fields.mac->octets) message.push_back(std::byte{octet});
    }
    if (fields.mtu) message = std::move(message) + numbers({5, 1, 0, 0}) + number(*fields.mtu, 4);
    for (const PrefixFields& prefix : fields.prefixes) {
        message = std::move(message) + numbers({3, 4, prefix.length, prefix.flags}) +
                  number(prefix.valid, 4) + number(prefix.preferred, 4) + number(0, 4) +
                  number(prefix.prefix.high(), 8) + number(prefix.prefix.low(), 8);
    }
    message = std::move(message) + fields.more;
    for (const RouteFields& route : fields.routes) {
        message = std::move(message) +
                  numbers({24, 3, route.length, static_cast<unsigned>(route.preference << 3)}) +
                  number(route.lifetime, 4) + number(route.prefix.high(), 8) + number(route.prefix.low(), 8);
    }
    return message;
}

/// As a frame to all nodes.
[[nodiscard]] inline Octets router_advertisement(const RouterFields& fields = {}) {
    const Ipv6Fields packet{.source = fields.source,
                            .destination = all_nodes,
                            .next_header = icmpv6_protocol,
                            .hop_limit = fields.hop_limit};
    Octets message = router_message(fields);
    seal6(message, 2, packet);
    return ethernet6(ipv6(message, packet), wire::multicast_mac(all_nodes), other_mac);
}

}  // namespace runnel::test
