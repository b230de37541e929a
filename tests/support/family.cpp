#include "family.hpp"

#include <cstdlib>
#include <string_view>

namespace runnel::test {

namespace {

constexpr std::uint64_t prefix = 0x2001'0db8'0000'0000;
constexpr std::uint64_t all_nodes_prefix = 0xff02'0000'0000'0000;

}  // namespace

bool speaks_ipv6() {
    static const bool value = [] {
        const char* const family = std::getenv("RUNNEL_FAMILY");
        return family != nullptr && std::string_view{family} == "6";
    }();
    return value;
}

Ipv6Address ipv6_for(Ipv4Address address) {
    if (address.is_unspecified()) return {};
    if (address.is_loopback()) return Ipv6Address::of(0, 1);
    if (address.is_multicast()) return Ipv6Address::of(all_nodes_prefix, address.value & 0xff);
    const bool near = address.value >> 24 == 10;
    const bool broadcast = near && (address.value & 0xff) == 0xff;
    if (address.is_reserved() || broadcast) return Ipv6Address::of(all_nodes_prefix, 1);
    if (near) return Ipv6Address::of(prefix, address.value);
    return Ipv6Address::of(prefix | address.value, 1);
}

Ipv4Address ipv4_for(const Ipv6Address& address) {
    if (address.is_loopback()) return Ipv4Address{127, 0, 0, 1};
    if (address.is_multicast()) return Ipv4Address{224, 0, 0, static_cast<std::uint8_t>(address.low())};
    if (address.high() == prefix) return Ipv4Address{static_cast<std::uint32_t>(address.low())};
    return Ipv4Address{static_cast<std::uint32_t>(address.high())};
}

IpAddress spoken(Ipv4Address address) {
    return speaks_ipv6() ? IpAddress{ipv6_for(address)} : IpAddress{address};
}

StackConfig spoken(StackConfig config) {
    if (!speaks_ipv6()) return config;
    constexpr std::uint8_t more_bits = 96;     // of a prefix
    config.ip.report_solicited_nodes = false;  // a conversation is about what it says
    for (ip::InterfaceConfig& interface : config.ip.interfaces) {
        if (!interface.speaks_ipv4()) continue;
        interface.ipv6.push_back(
            {.address = ipv6_for(interface.address),
             .address_count = interface.address_count,
             .prefix_length = static_cast<std::uint8_t>(more_bits + interface.prefix_length)});
        interface.address = {};
        interface.mtu = static_cast<std::uint16_t>(interface.mtu + 20);
    }
    for (ip::RouteConfig& route : config.ip.routes) {
        if (route.prefix_length > 0) {
            const Ipv4Address network = route.network.v4();
            const bool far = network.value >> 24 != 10;
            route.network = far ? Ipv6Address::of(prefix | network.value, 0) : ipv6_for(network);
            route.prefix_length = static_cast<std::uint8_t>((far ? 32 : more_bits) + route.prefix_length);
        }
        route.gateway = ipv6_for(route.gateway.v4());
    }
    for (ip::NeighbourConfig& neighbour : config.ip.neighbours)
        neighbour.address = ipv6_for(neighbour.address.v4());
    return config;
}

ErrorKind spoken_error(std::uint8_t type, std::uint8_t code) {
    if (!speaks_ipv6()) return {type, code};
    constexpr std::uint8_t unreachable = 3, time_exceeded = 11, parameter_problem = 12, unknown = 100;
    if (type == time_exceeded) return {3, code};
    if (type == parameter_problem) return {4, 0};
    if (type != unreachable) return {unknown, code};
    switch (code) {
        case 1:
            return {1, 3};
        case 2:
            return {4, 1};
        case 3:
            return {1, 4};
        case 4:
            return {2, 0};
        case 9:
        case 10:
        case 13:
            return {1, 1};
        default:
            return {1, 0};
    }
}

}  // namespace runnel::test
