#include "runnel/ip/config.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runnel/ip/route_table.hpp"

namespace runnel::ip {

namespace {

template <typename... Arguments>
[[noreturn]] void refuse(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    throw std::invalid_argument(fmt::format(format, std::forward<Arguments>(arguments)...));
}

constexpr std::uint32_t mask_of(unsigned prefix_length) noexcept {
    return prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix_length);
}

bool is_unicast(const IpAddress& address) noexcept {
    if (!address.is_v4()) {
        const Ipv6Address v6 = address.v6();
        return !v6.is_unspecified() && !v6.is_loopback() && !v6.is_multicast();
    }
    const Ipv4Address v4 = address.v4();
    return v4.value >> 24 != 0 && !v4.is_loopback() && !v4.is_multicast() && !v4.is_reserved();
}

unsigned bits_of(const IpAddress& address) noexcept {
    return address.is_v4() ? 32 : 128;
}

bool in_network(const IpAddress& address, const IpAddress& network, unsigned prefix_length) noexcept {
    if (address.is_v4() != network.is_v4()) return false;
    return address.is_v4() ? same_prefix(address.v4(), network.v4(), prefix_length)
                           : same_prefix(address.v6(), network.v6(), prefix_length);
}

/// The network that an address belongs to.
IpAddress network_of(const IpAddress& address, unsigned prefix_length) noexcept {
    if (address.is_v4()) return Ipv4Address{address.v4().value & mask_of(prefix_length)};
    const auto half = [](std::uint64_t bits, unsigned length) {
        return length == 0 ? 0 : length >= 64 ? bits : bits & ~std::uint64_t{0} << (64 - length);
    };
    const Ipv6Address v6 = address.v6();
    return Ipv6Address::of(half(v6.high(), prefix_length),
                           half(v6.low(), prefix_length > 64 ? prefix_length - 64 : 0));
}

// The addresses [address, address + count) of one family.
bool holds(const Ipv6AddressConfig& range, const Ipv6Address& address) noexcept {
    return address.high() == range.address.high() &&
           address.low() - range.address.low() < range.address_count;
}

bool holds(const Ipv4NetworkConfig& range, Ipv4Address address) noexcept {
    return std::uint64_t{address.value} - range.address.value < range.address_count;
}

bool is_ours(const InterfaceConfig& interface, const IpAddress& address) {
    if (address.is_v4())
        return std::ranges::any_of(interface.ipv4_networks(), [&](const Ipv4NetworkConfig& network) {
            return holds(network, address.v4());
        });
    for (const Ipv6AddressConfig& range : interface.ipv6)
        if (holds(range, address.v6())) return true;
    return false;
}

void validate_ipv6(const InterfaceConfig& interface, std::size_t index) {
    for (std::size_t i = 0; i < interface.ipv6.size(); ++i) {
        const Ipv6AddressConfig& range = interface.ipv6[i];
        const auto name = [&](const char* setting) {
            return fmt::format("interfaces[{}].ipv6[{}].{}", index, i, setting);
        };
        if (!is_unicast(range.address) || range.address.is_v4_mapped())
            refuse("{} = {}: not an address of a host; give a unicast address such as 2001:db8::1",
                   name("address"), to_string(range.address));
        if (range.address.is_link_local())
            refuse(
                "{} = {}: is link-local; an interface makes such an address for itself, give a global or "
                "unique local one",
                name("address"), to_string(range.address));
        if (range.prefix_length > 128)
            refuse("{} = {}: give 0 to 128", name("prefix_length"), range.prefix_length);
        if (range.address_count == 0) refuse("{} = 0: give at least 1", name("address_count"));
        const std::uint64_t last = range.address.low() + range.address_count - 1;
        if (last < range.address.low() ||
            !same_prefix(range.address, Ipv6Address::of(range.address.high(), last), range.prefix_length))
            refuse(
                "{} = {} and {} = {}: not all are of the network /{}; give a shorter prefix_length or fewer "
                "addresses",
                name("address"), to_string(range.address), name("address_count"), range.address_count,
                range.prefix_length);
    }
    if (interface.mtu < 1280)
        refuse(
            "interfaces[{}].mtu = {}: IPv6 needs 1280 (RFC 8200 section 5); give at least that, or no IPv6 "
            "address",
            index, interface.mtu);
}

/// What the settings of a network are called: "interfaces[0].address", "interfaces[0].more_ipv4[1].address".
std::string name_of(std::size_t interface, std::size_t network, const char* setting) {
    return network == 0 ? fmt::format("interfaces[{}].{}", interface, setting)
                        : fmt::format("interfaces[{}].more_ipv4[{}].{}", interface, network - 1, setting);
}

void validate_ipv4(const Ipv4NetworkConfig& network, std::size_t interface, std::size_t index) {
    const auto name = [=](const char* setting) { return name_of(interface, index, setting); };
    if (!is_unicast(network.address))
        refuse("{} = {}: not an address of a host; give a unicast address such as 10.0.0.1", name("address"),
               to_string(network.address));
    if (network.prefix_length > 32)
        refuse("{} = {}: give 0 to 32", name("prefix_length"), network.prefix_length);
    if (network.address_count == 0) refuse("{} = 0: give at least 1", name("address_count"));

    // Of a network with broadcast addresses the first and the last address are no host's.
    const std::uint32_t mask = mask_of(network.prefix_length);
    const std::uint64_t reserved = network.prefix_length < 31 ? 1 : 0;
    const std::uint64_t lowest = (network.address.value & mask) + reserved;
    const std::uint64_t highest = (network.address.value | ~mask) - reserved;
    const std::uint64_t last = std::uint64_t{network.address.value} + network.address_count - 1;
    if (network.address.value < lowest || last > highest)
        refuse(
            "{} = {} and {} = {}: not all are hosts of the network /{}; give a shorter prefix_length or "
            "fewer addresses",
            name("address"), to_string(network.address), name("address_count"), network.address_count,
            network.prefix_length);
    if (!is_unicast(Ipv4Address{static_cast<std::uint32_t>(last)}))
        refuse("{} = {}: the range ends at {}, which is not an address of a host; give fewer",
               name("address_count"), network.address_count,
               to_string(Ipv4Address{static_cast<std::uint32_t>(last)}));
}

void validate_offloads(const Offloads& offloads, std::size_t index) {
    const auto name = [index](const char* setting) {
        return fmt::format("interfaces[{}].offloads.{}", index, setting);
    };
    if (offloads.tx_tcp_segmentation && !offloads.tx_tcp_checksum)
        refuse(
            "{} is on and tx_tcp_checksum is off: who cuts a segment makes its checksums; give it both, or "
            "leave both off",
            name("tx_tcp_segmentation"));
    if (offloads.tx_udp_segmentation && !offloads.tx_udp_checksum)
        refuse(
            "{} is on and tx_udp_checksum is off: who cuts a datagram makes its checksums; give it both, or "
            "leave both off",
            name("tx_udp_segmentation"));
    if (offloads.tx_chain == 0) refuse("{} = 0: give at least 1", name("tx_chain"));
    if (offloads.tx_large_chain == 0) refuse("{} = 0: give at least 1", name("tx_large_chain"));
}

void validate_interface(const InterfaceConfig& interface, std::size_t index) {
    const auto name = [index](const char* setting) {
        return fmt::format("interfaces[{}].{}", index, setting);
    };
    if (interface.mac == MacAddress{} || interface.mac.is_group())
        refuse("{} = {}: not an address of one station; give the port's, or one like 02:00:00:00:00:01",
               name("mac"), to_string(interface.mac));
    if (interface.mtu < 576 || interface.mtu > 9216)
        refuse("{} = {}: give 576 to 9216", name("mtu"), interface.mtu);
    if (interface.vlan > 4094)
        refuse("{} = {}: give 1 to 4094, or 0 for untagged", name("vlan"), interface.vlan);
    if (interface.outer_vlan > 4094 || (interface.outer_vlan != 0 && interface.vlan == 0))
        refuse("{} = {}: give 1 to 4094 around a vlan, or 0 for none", name("outer_vlan"),
               interface.outer_vlan);
    validate_offloads(interface.offloads, index);
    if (!interface.speaks_ipv4() && !interface.more_ipv4.empty())
        refuse("{} is not given and {} is: give the address of the first network", name("address"),
               name("more_ipv4"));
    const std::vector<Ipv4NetworkConfig> networks = interface.ipv4_networks();
    for (std::size_t i = 0; i < networks.size(); ++i) validate_ipv4(networks[i], index, i);
    if (!interface.speaks_ipv4() && !interface.speaks_ipv6()) validate_ipv4({}, index, 0);
    if (interface.speaks_ipv6()) validate_ipv6(interface, index);
}

void validate_disjoint_ipv4(const Config& config) {
    struct Place {
        std::size_t interface, network;
        Ipv4NetworkConfig range;
    };
    std::vector<Place> all;
    for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
        const std::vector<Ipv4NetworkConfig> networks = config.interfaces[i].ipv4_networks();
        for (std::size_t k = 0; k < networks.size(); ++k) all.push_back({i, k, networks[k]});
    }
    if (all.size() > 255)
        refuse("interfaces: they have {} IPv4 networks together; give 255 at most", all.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (holds(all[i].range, all[j].range.address) || holds(all[j].range, all[i].range.address))
                refuse("{} = {}: overlaps the addresses of {}; give each its own",
                       name_of(all[i].interface, all[i].network, "address"), to_string(all[i].range.address),
                       name_of(all[j].interface, all[j].network, "address"));
}

void validate_disjoint(const Config& config) {
    const auto overlap = [](const Ipv6AddressConfig& a, const Ipv6AddressConfig& b) {
        return holds(a, b.address) || holds(b, a.address);
    };
    for (std::size_t i = 0; i < config.interfaces.size(); ++i)
        for (std::size_t j = 0; j <= i; ++j) {
            const InterfaceConfig& a = config.interfaces[i];
            const InterfaceConfig& b = config.interfaces[j];
            for (std::size_t k = 0; k < a.ipv6.size(); ++k)
                for (std::size_t l = 0; l < (i == j ? k : b.ipv6.size()); ++l)
                    if (overlap(a.ipv6[k], b.ipv6[l]))
                        refuse(
                            "interfaces[{}].ipv6[{}].address = {}: overlaps the addresses of "
                            "interfaces[{}].ipv6[{}]; give each its own",
                            i, k, to_string(a.ipv6[k].address), j, l);
            if (i != j && a.port.value_or(i) == b.port.value_or(j) && a.vlan == b.vlan &&
                a.outer_vlan == b.outer_vlan)
                refuse(
                    "interfaces[{}].port = {}: interfaces[{}] is there too, with the same VLANs; give them "
                    "others",
                    i, a.port.value_or(i), j);
        }
    validate_disjoint_ipv4(config);
}

void validate_route(const Config& config, std::size_t index) {
    const RouteConfig& route = config.routes[index];
    const auto name = [index](const char* setting) { return fmt::format("routes[{}].{}", index, setting); };
    const unsigned bits = bits_of(route.gateway);
    if (route.prefix_length > bits)
        refuse("{} = {}: give 0 to {}", name("prefix_length"), route.prefix_length, bits);
    if (route.prefix_length > 0 && route.network.is_v4() != route.gateway.is_v4())
        refuse("{} = {}: is of another family than the gateway {}; give both of one", name("network"),
               to_string(route.network), to_string(route.gateway));
    const IpAddress network = network_of(route.network, route.prefix_length);
    if (route.prefix_length > 0 && network != route.network)
        refuse("{} = {}: has bits beyond the prefix /{}; give {}", name("network"), to_string(route.network),
               route.prefix_length, to_string(network));
    if (route.interface >= config.interfaces.size())
        refuse("{} = {}: there are {} interfaces; give the index of one", name("interface"), route.interface,
               config.interfaces.size());
    const InterfaceConfig& interface = config.interfaces[route.interface];
    if (!is_unicast(route.gateway))
        refuse("{} = {}: not an address of a host; give the router's", name("gateway"),
               to_string(route.gateway));
    if (is_ours(interface, route.gateway))
        refuse("{} = {}: is our own address; give the router's", name("gateway"), to_string(route.gateway));
    if (!route.gateway.is_v4()) {
        if (!interface.speaks_ipv6())
            refuse("{} = {}: interfaces[{}] has no IPv6 address; give it one", name("gateway"),
                   to_string(route.gateway), route.interface);
        bool connected = route.gateway.v6().is_link_local();
        for (const Ipv6AddressConfig& range : interface.ipv6)
            connected |= in_network(route.gateway, range.address, range.prefix_length);
        if (!connected)
            refuse("{} = {}: not in a connected network of interfaces[{}]; give a router on that link",
                   name("gateway"), to_string(route.gateway), route.interface);
        return;
    }
    if (!interface.speaks_ipv4())
        refuse("{} = {}: interfaces[{}] has no IPv4 address; give it one", name("gateway"),
               to_string(route.gateway), route.interface);
    // A network of one address reaches its router by link alone, as rented machines often do.
    const std::vector<Ipv4NetworkConfig> networks = interface.ipv4_networks();
    if (std::ranges::none_of(networks, [&](const Ipv4NetworkConfig& one) {
            return one.prefix_length == 32 || in_network(route.gateway, one.address, one.prefix_length);
        }))
        refuse("{} = {}: not in the connected network {}/{} of interfaces[{}]{}; give a router on that link",
               name("gateway"), to_string(route.gateway), to_string(interface.address),
               interface.prefix_length, route.interface, networks.size() > 1 ? " nor in another of it" : "");
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

void validate_exception(const ExceptionConfig& exception) {
    if (!std::has_single_bit(exception.queue) || exception.queue < 64 || exception.queue > 65536)
        refuse("exception.queue = {}: give a power of two, 64 to 65536", exception.queue);
    const auto check = [](const std::vector<PortRange>& ranges, const char* name) {
        for (std::size_t i = 0; i < ranges.size(); ++i)
            if (ranges[i].first == 0 || ranges[i].first > ranges[i].last)
                refuse("exception.{}[{}] = {} to {}: give ports from 1 to 65535, the lower first", name, i,
                       ranges[i].first, ranges[i].last);
    };
    check(exception.tcp, "tcp");
    check(exception.udp, "udp");
}

}  // namespace

std::vector<Ipv4NetworkConfig> InterfaceConfig::ipv4_networks() const {
    std::vector<Ipv4NetworkConfig> all;
    if (!speaks_ipv4()) return all;
    all.push_back({address, address_count, prefix_length});
    all.insert(all.end(), more_ipv4.begin(), more_ipv4.end());
    return all;
}

void validate(const Config& config) {
    if (config.interfaces.empty() || config.interfaces.size() > 255)
        refuse("interfaces: there are {}; give 1 to 255", config.interfaces.size());
    for (std::size_t i = 0; i < config.interfaces.size(); ++i) validate_interface(config.interfaces[i], i);
    validate_disjoint(config);
    for (std::size_t i = 0; i < config.routes.size(); ++i) validate_route(config, i);
    for (std::size_t i = 0; i < config.neighbours.size(); ++i) validate_neighbour(config, i);

    if (config.exception) validate_exception(*config.exception);
    if (config.neighbour_capacity == 0 || config.neighbour_capacity > 1U << 24)
        refuse("neighbour_capacity = {}: give 1 to 16777216", config.neighbour_capacity);
    if (config.neighbours.size() > config.neighbour_capacity)
        refuse("neighbour_capacity = {}: there are {} static neighbours; give at least as many",
               config.neighbour_capacity, config.neighbours.size());
    if (config.neighbour_lifetime <= Duration::zero())
        refuse("neighbour_lifetime = {} ns: give a time above 0, such as 60 s",
               config.neighbour_lifetime.count());
    if (config.reachable_time < 1s || config.reachable_time > 1h)
        refuse("reachable_time = {} ms: give 1000 to 3600000 (RFC 4861 section 10)",
               config.reachable_time / 1ms);
    if (config.neighbour_request_interval < 1s)
        refuse("neighbour_request_interval = {} ns: give at least 1 s (RFC 1122 section 2.3.2.1)",
               config.neighbour_request_interval.count());
    if (config.dad_probes > 16) refuse("dad_probes = {}: give 0 to 16", config.dad_probes);
    if (config.arp_probes > 16) refuse("arp_probes = {}: give 0 to 16", config.arp_probes);
    if (config.neighbour_requests == 0) refuse("neighbour_requests = 0: give at least 1");
    if (config.neighbour_queue == 0)
        refuse("neighbour_queue = 0: give at least 1 (RFC 1122 section 2.3.2.2)");
    if (config.ttl == 0) refuse("ttl = 0: give 1 to 255 (RFC 1122 section 3.2.1.7)");
    if (config.path_mtu_capacity == 0 || config.path_mtu_capacity > 1U << 24)
        refuse("path_mtu_capacity = {}: give 1 to 16777216", config.path_mtu_capacity);
    if (config.path_mtu_floor < 68 || config.path_mtu_floor > 576)
        refuse("path_mtu_floor = {}: give 68 to 576 (RFC 1191 section 3)", config.path_mtu_floor);
    if (config.multicast_groups == 0 || config.multicast_groups > 65536)
        refuse("multicast_groups = {}: give 1 to 65536", config.multicast_groups);
    if (config.pings == 0 || config.pings > 4096) refuse("pings = {}: give 1 to 4096", config.pings);
    if (config.reassembly_packets == 0 || config.reassembly_packets > 65536)
        refuse("reassembly_packets = {}: give 1 to 65536", config.reassembly_packets);
    if (config.reassembly_mbufs < 2)
        refuse("reassembly_mbufs = {}: give at least 2", config.reassembly_mbufs);
    if (config.reassembly_fragments < 2 || config.reassembly_fragments > 8192)
        refuse("reassembly_fragments = {}: give 2 to 8192", config.reassembly_fragments);
    if (config.reassembly_timeout < 1s || config.reassembly_timeout > 120s)
        refuse("reassembly_timeout = {} ms: give 1000 to 120000 (RFC 1122 section 3.3.2)",
               config.reassembly_timeout / 1ms);
    if (config.path_mtu_lifetime < 5min || config.path_mtu_lifetime > 24h)
        refuse("path_mtu_lifetime = {} s: give 300 to 86400 (RFC 1191 section 6.3)",
               config.path_mtu_lifetime / 1s);
}

}  // namespace runnel::ip
