#include "runnel/ip/config.hpp"

#include <stdexcept>

#include <fmt/format.h>

namespace runnel::ip {

namespace {

template <typename... Arguments>
[[noreturn]] void refuse(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    throw std::invalid_argument(fmt::format(format, std::forward<Arguments>(arguments)...));
}

constexpr std::uint32_t mask_of(unsigned prefix_length) noexcept {
    return prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix_length);
}

bool is_unicast(Ipv4Address address) noexcept {
    return address.value >> 24 != 0 && !address.is_loopback() && !address.is_multicast() &&
           !address.is_reserved();
}

bool in_network(Ipv4Address address, Ipv4Address network, unsigned prefix_length) noexcept {
    return ((address.value ^ network.value) & mask_of(prefix_length)) == 0;
}

void validate_interface(const InterfaceConfig& interface, std::size_t index) {
    const auto name = [index](const char* setting) {
        return fmt::format("interfaces[{}].{}", index, setting);
    };
    if (interface.mac == MacAddress{} || interface.mac.is_group())
        refuse("{} = {}: not an address of one station; give the port's, or one like 02:00:00:00:00:01",
               name("mac"), to_string(interface.mac));
    if (!is_unicast(interface.address))
        refuse("{} = {}: not an address of a host; give a unicast address such as 10.0.0.1", name("address"),
               to_string(interface.address));
    if (interface.prefix_length > 32)
        refuse("{} = {}: give 0 to 32", name("prefix_length"), interface.prefix_length);
    if (interface.mtu < 576 || interface.mtu > 9216)
        refuse("{} = {}: give 576 to 9216", name("mtu"), interface.mtu);
    if (interface.vlan > 4094)
        refuse("{} = {}: give 1 to 4094, or 0 for untagged", name("vlan"), interface.vlan);
    if (interface.address_count == 0) refuse("{} = 0: give at least 1", name("address_count"));
    const Offloads& offloads = interface.offloads;
    if (offloads.tx_tcp_segmentation && !offloads.tx_tcp_checksum)
        refuse(
            "{} is on and tx_tcp_checksum is off: who cuts a segment makes its checksums; give it both, or "
            "leave "
            "both off",
            name("offloads.tx_tcp_segmentation"));
    if (offloads.tx_chain == 0) refuse("{} = 0: give at least 1", name("offloads.tx_chain"));
    if (offloads.tx_large_chain == 0) refuse("{} = 0: give at least 1", name("offloads.tx_large_chain"));

    // Of a network with broadcast addresses the first and the last address are no host's.
    const std::uint32_t mask = mask_of(interface.prefix_length);
    const std::uint64_t reserved = interface.prefix_length < 31 ? 1 : 0;
    const std::uint64_t lowest = (interface.address.value & mask) + reserved;
    const std::uint64_t highest = (interface.address.value | ~mask) - reserved;
    const std::uint64_t last = std::uint64_t{interface.address.value} + interface.address_count - 1;
    if (interface.address.value < lowest || last > highest)
        refuse(
            "{} = {} and {} = {}: not all are hosts of the network /{}; give a shorter prefix_length or "
            "fewer addresses",
            name("address"), to_string(interface.address), name("address_count"), interface.address_count,
            interface.prefix_length);
    if (!is_unicast(Ipv4Address{static_cast<std::uint32_t>(last)}))
        refuse("{} = {}: the range ends at {}, which is not an address of a host; give fewer",
               name("address_count"), interface.address_count,
               to_string(Ipv4Address{static_cast<std::uint32_t>(last)}));
}

void validate_disjoint(const Config& config) {
    for (std::size_t i = 0; i < config.interfaces.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            const InterfaceConfig& a = config.interfaces[i];
            const InterfaceConfig& b = config.interfaces[j];
            if (std::uint64_t{a.address.value} < std::uint64_t{b.address.value} + b.address_count &&
                std::uint64_t{b.address.value} < std::uint64_t{a.address.value} + a.address_count)
                refuse(
                    "interfaces[{}].address = {}: overlaps the addresses of interfaces[{}]; give each its "
                    "own",
                    i, to_string(a.address), j);
        }
}

void validate_route(const Config& config, std::size_t index) {
    const RouteConfig& route = config.routes[index];
    const auto name = [index](const char* setting) { return fmt::format("routes[{}].{}", index, setting); };
    if (route.prefix_length > 32) refuse("{} = {}: give 0 to 32", name("prefix_length"), route.prefix_length);
    if ((route.network.value & ~mask_of(route.prefix_length)) != 0)
        refuse("{} = {}: has bits beyond the prefix /{}; give {}", name("network"), to_string(route.network),
               route.prefix_length,
               to_string(Ipv4Address{route.network.value & mask_of(route.prefix_length)}));
    if (route.interface >= config.interfaces.size())
        refuse("{} = {}: there are {} interfaces; give the index of one", name("interface"), route.interface,
               config.interfaces.size());
    const InterfaceConfig& interface = config.interfaces[route.interface];
    if (!is_unicast(route.gateway))
        refuse("{} = {}: not an address of a host; give the router's", name("gateway"),
               to_string(route.gateway));
    if (std::uint64_t{route.gateway.value} - interface.address.value < interface.address_count)
        refuse("{} = {}: is our own address; give the router's", name("gateway"), to_string(route.gateway));
    // A network of one address reaches its router by link alone, as rented machines often do.
    if (interface.prefix_length < 32 &&
        !in_network(route.gateway, interface.address, interface.prefix_length))
        refuse("{} = {}: not in the connected network {}/{} of interfaces[{}]; give a router on that link",
               name("gateway"), to_string(route.gateway), to_string(interface.address),
               interface.prefix_length, route.interface);
}

void validate_neighbour(const Config& config, std::size_t index) {
    const NeighbourConfig& neighbour = config.neighbours[index];
    const auto name = [index](const char* setting) {
        return fmt::format("neighbours[{}].{}", index, setting);
    };
    if (!is_unicast(neighbour.address))
        refuse("{} = {}: not an address of a host; give a unicast address", name("address"),
               to_string(neighbour.address));
    if (neighbour.mac == MacAddress{} || neighbour.mac.is_group())
        refuse("{} = {}: not an address of one station; give the neighbour's", name("mac"),
               to_string(neighbour.mac));
    if (neighbour.interface >= config.interfaces.size())
        refuse("{} = {}: there are {} interfaces; give the index of one", name("interface"),
               neighbour.interface, config.interfaces.size());
}

}  // namespace

void validate(const Config& config) {
    if (config.interfaces.empty() || config.interfaces.size() > 255)
        refuse("interfaces: there are {}; give 1 to 255", config.interfaces.size());
    for (std::size_t i = 0; i < config.interfaces.size(); ++i) validate_interface(config.interfaces[i], i);
    validate_disjoint(config);
    for (std::size_t i = 0; i < config.routes.size(); ++i) validate_route(config, i);
    for (std::size_t i = 0; i < config.neighbours.size(); ++i) validate_neighbour(config, i);

    if (config.neighbour_capacity == 0 || config.neighbour_capacity > 1U << 24)
        refuse("neighbour_capacity = {}: give 1 to 16777216", config.neighbour_capacity);
    if (config.neighbours.size() > config.neighbour_capacity)
        refuse("neighbour_capacity = {}: there are {} static neighbours; give at least as many",
               config.neighbour_capacity, config.neighbours.size());
    if (config.neighbour_lifetime <= Duration::zero())
        refuse("neighbour_lifetime = {} ns: give a time above 0, such as 60 s",
               config.neighbour_lifetime.count());
    if (config.neighbour_request_interval < 1s)
        refuse("neighbour_request_interval = {} ns: give at least 1 s (RFC 1122 section 2.3.2.1)",
               config.neighbour_request_interval.count());
    if (config.neighbour_requests == 0) refuse("neighbour_requests = 0: give at least 1");
    if (config.neighbour_queue == 0)
        refuse("neighbour_queue = 0: give at least 1 (RFC 1122 section 2.3.2.2)");
    if (config.ttl == 0) refuse("ttl = 0: give 1 to 255 (RFC 1122 section 3.2.1.7)");
    if (config.path_mtu_capacity == 0 || config.path_mtu_capacity > 1U << 24)
        refuse("path_mtu_capacity = {}: give 1 to 16777216", config.path_mtu_capacity);
    if (config.path_mtu_floor < 68 || config.path_mtu_floor > 576)
        refuse("path_mtu_floor = {}: give 68 to 576 (RFC 1191 section 3)", config.path_mtu_floor);
    if (config.path_mtu_lifetime < 5min || config.path_mtu_lifetime > 24h)
        refuse("path_mtu_lifetime = {} s: give 300 to 86400 (RFC 1191 section 6.3)",
               config.path_mtu_lifetime / 1s);
}

}  // namespace runnel::ip
