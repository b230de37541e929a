// The interfaces of a stack, and what they make of an address: ours, a group's, or one that no host may send
// from (RFC 1122 sections 3.2.1.3 and 3.3.6).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_mbuf_core.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/vlan.hpp"

namespace runnel::ip {

/// All hosts on a link: each is a member (RFC 1112 section 4).
inline constexpr Ipv4Address all_hosts{224, 0, 0, 1};

/// The six octets of an Ethernet address as one number, first octet highest: addresses compare in one
/// instruction.
[[nodiscard]] constexpr std::uint64_t mac_number(const MacAddress& mac) noexcept {
    std::uint64_t number = 0;
    for (const std::uint8_t octet : mac.octets) number = number << 8 | octet;
    return number;
}

/// One IPv4 network of an interface, and our addresses in it.
struct Ipv4Network {
    Ipv4Network(const Ipv4NetworkConfig& settings, std::uint8_t of) noexcept
        : first(settings.address.value),
          count(settings.address_count),
          mask(settings.prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - settings.prefix_length)),
          // Networks of one or two addresses have no broadcast (RFC 3021); these two values are no host's
          // anyway.
          network_address(settings.prefix_length < 31 ? first & mask : 0),
          broadcast_address(settings.prefix_length < 31 ? first | ~mask : ~std::uint32_t{0}),
          interface(of) {}

    [[nodiscard]] bool owns(Ipv4Address address) const noexcept { return address.value - first < count; }
    [[nodiscard]] bool connects(Ipv4Address address) const noexcept {
        return ((address.value ^ first) & mask) == 0;
    }
    /// True for the broadcast address, in its old form of all zeros too (RFC 1122 section 3.3.6).
    [[nodiscard]] bool is_broadcast(Ipv4Address address) const noexcept {
        return address.value == broadcast_address || address.value == network_address;
    }

    std::uint32_t first;
    std::uint32_t count;  // of addresses in use: 0 while they are probed for, or others have them
    std::uint32_t mask;
    std::uint32_t network_address;
    std::uint32_t broadcast_address;
    std::uint8_t interface;
};

/// One interface, with what is asked of it a packet worked out.
struct Interface {
    /// `settings` have been validated.
    Interface(const InterfaceConfig& settings, std::uint8_t at) noexcept
        : mac_as_number(mac_number(settings.mac)),
          mtu(settings.mtu),
          ipv6_mtu(settings.mtu),
          vlan(settings.vlan),
          outer_vlan(settings.outer_vlan),
          index(at),
          port(settings.port.value_or(at)),
          port_inserts_tag(settings.vlan != 0 && settings.outer_vlan == 0 && settings.offloads.tx_vlan),
          link_header_size(static_cast<std::uint8_t>(
              wire::ethernet_header_size +
              (port_inserts_tag ? 0 : (settings.vlan != 0) + (settings.outer_vlan != 0)) *
                  wire::vlan_tag_size)),
          offloads(settings.offloads),
          believed((settings.offloads.rx_ip_checksum ? RTE_MBUF_F_RX_IP_CKSUM_MASK : 0) |
                   (settings.offloads.rx_l4_checksum ? RTE_MBUF_F_RX_L4_CKSUM_MASK : 0)),
          mac(settings.mac) {}

    [[nodiscard]] bool owns(Ipv4Address address) const noexcept {
        if (address.value - first < count) [[likely]]
            return true;
        for (const Ipv4Network& network : networks)
            if (network.owns(address)) return true;
        return false;
    }
    /// The network that the address is of, the one with the longest prefix; null where it is of none.
    [[nodiscard]] const Ipv4Network* network_of(Ipv4Address address) const noexcept {
        const Ipv4Network* best = nullptr;
        for (const Ipv4Network& network : networks)
            if (network.connects(address) && (best == nullptr || network.mask > best->mask)) best = &network;
        return best;
    }
    /// True where the address is of a connected network.
    [[nodiscard]] bool connects(Ipv4Address address) const noexcept { return network_of(address) != nullptr; }
    /// True for the broadcast address of a connected network.
    [[nodiscard]] bool is_broadcast(Ipv4Address address) const noexcept {
        for (const Ipv4Network& network : networks)
            if (network.is_broadcast(address)) return true;
        return false;
    }
    /// The first address that is in use; unspecified where none is.
    [[nodiscard]] Ipv4Address address() const noexcept {
        for (const Ipv4Network& network : networks)
            if (network.count != 0) return Ipv4Address{network.first};
        return {};
    }
    /// That of what is sent by this next hop and says no other: the first of the network which it is of, else
    /// `address` (RFC 1122 section 3.3.4.3).
    [[nodiscard]] Ipv4Address address_towards(Ipv4Address next_hop) const noexcept {
        const Ipv4Network* best = nullptr;
        for (const Ipv4Network& network : networks)
            if (network.count != 0 && network.connects(next_hop) &&
                (best == nullptr || network.mask > best->mask))
                best = &network;
        return best != nullptr ? Ipv4Address{best->first} : address();
    }
    [[nodiscard]] bool speaks_ipv4() const noexcept { return !address().is_unspecified(); }

    std::uint64_t mac_as_number;
    std::uint32_t first = 0, count = 0;  // as the first network says, which most packets are for
    std::uint16_t mtu;
    std::uint16_t ipv6_mtu;  // of what is begun from now on: at most `mtu`, as routers say
    std::uint16_t vlan;
    std::uint16_t outer_vlan;
    std::uint8_t index;
    std::uint8_t port;
    bool port_inserts_tag;
    std::uint8_t link_header_size;
    std::uint8_t hop_limit = 0;  // of IPv6 packets, as routers say; 0: that of the configuration
    Offloads offloads;
    std::uint64_t believed;  // the bits of `ol_flags` in which the port's verdicts on checksums stand
    MacAddress mac;
    std::span<const Ipv4Network> networks{};  // those of IPv4, in the order of the configuration
};

class Interfaces {
  public:
    explicit Interfaces(const std::vector<InterfaceConfig>& settings) {
        all_.reserve(settings.size());
        for (const InterfaceConfig& one : settings) {
            const auto index = static_cast<std::uint8_t>(all_.size());
            all_.emplace_back(one, index);
            for (const Ipv4NetworkConfig& network : one.ipv4_networks())
                networks_.emplace_back(network, index);
        }
        for (Interface& one : all_) {
            const auto of_it = std::ranges::equal_range(networks_, one.index, {}, &Ipv4Network::interface);
            one.networks = {of_it.begin(), of_it.end()};
            if (!of_it.empty()) copy_first(one);
        }
        one_untagged_ = all_.size() == 1 && all_[0].vlan == 0;
    }
    Interfaces(const Interfaces&) = delete;
    Interfaces& operator=(const Interfaces&) = delete;

    /// The IPv4 networks of all interfaces, which are numbered so.
    [[nodiscard]] std::span<const Ipv4Network> ipv4_networks() const noexcept { return networks_; }
    /// From now on these IPv4 addresses are ours, consecutive ones of a network; with a `count` of 0 none.
    void set_ipv4(std::size_t network, std::uint32_t first, std::uint32_t count) noexcept {
        networks_[network].first = first;
        networks_[network].count = count;
        copy_first(all_[networks_[network].interface]);
    }

    void set_ipv6_mtu(std::size_t index, std::uint16_t mtu) noexcept { all_[index].ipv6_mtu = mtu; }
    void set_hop_limit(std::size_t index, std::uint8_t hop_limit) noexcept {
        all_[index].hop_limit = hop_limit;
    }

    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
    [[nodiscard]] const Interface& operator[](std::size_t index) const noexcept { return all_[index]; }
    [[nodiscard]] const Interface& first() const noexcept { return all_.front(); }
    /// The interface that frames of a port with such tags (0: none) belong to, or null. Of a single interface
    /// the port does not matter.
    [[nodiscard]] const Interface* find(std::uint16_t port, std::uint16_t vlan,
                                        std::uint16_t outer_vlan) const noexcept {
        for (const Interface& interface : all_)
            if (interface.vlan == vlan && interface.outer_vlan == outer_vlan &&
                (interface.port == port || all_.size() == 1))
                return &interface;
        return nullptr;
    }
    /// There is an interface on the port.
    [[nodiscard]] bool any_on(std::uint16_t port) const noexcept {
        if (all_.size() == 1) return true;
        for (const Interface& interface : all_)
            if (interface.port == port) return true;
        return false;
    }
    /// There is one interface, and its frames carry no VLAN tag.
    [[nodiscard]] bool one_untagged() const noexcept { return one_untagged_; }
    [[nodiscard]] auto begin() const noexcept { return all_.begin(); }
    [[nodiscard]] auto end() const noexcept { return all_.end(); }

    /// Ours, on whichever interface: the weak host model (RFC 1122 section 3.3.4.2).
    [[nodiscard]] bool is_local(Ipv4Address address) const noexcept {
        for (const Ipv4Network& network : networks_)
            if (network.owns(address)) return true;
        return false;
    }
    /// Limited broadcast, broadcast of a connected network, or multicast.
    [[nodiscard]] bool is_group(Ipv4Address address) const noexcept {
        return address.is_multicast() || is_broadcast(address);
    }
    [[nodiscard]] bool is_broadcast(Ipv4Address address) const noexcept {
        if (address.is_limited_broadcast()) return true;
        for (const Ipv4Network& network : networks_)
            if (address.value != 0 && network.is_broadcast(address)) return true;
        return false;
    }
    /// True where another host may have sent from that address: not 0/8, loopback, multicast, class E,
    /// broadcast of a connected network, nor ours.
    [[nodiscard]] bool may_be_sender(Ipv4Address address) const noexcept {
        constexpr std::uint32_t first_unicast = 0x01000000, beyond_unicast = 0xe0000000;
        if (address.value - first_unicast >= beyond_unicast - first_unicast || address.is_loopback())
            return false;
        for (const Ipv4Network& network : networks_)
            if (network.owns(address) || network.is_broadcast(address)) return false;
        return true;
    }

  private:
    static void copy_first(Interface& interface) noexcept {
        interface.first = interface.networks.front().first;
        interface.count = interface.networks.front().count;
    }

    std::vector<Interface> all_;
    std::vector<Ipv4Network> networks_;  // in the order of the interfaces; never resized later
    bool one_untagged_ = false;
};

}  // namespace runnel::ip
