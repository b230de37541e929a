// IPv4 packets out: source and size checked, transport checksum and header written, route and neighbour found
// (RFC 791, RFC 1122 section 3.3.1).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/arp.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/fragmentation.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/packet_ids.hpp"
#include "runnel/ip/route_table.hpp"
#include "runnel/ip/way.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::ip {

class IpOutput {
  public:
    /// `config` has been validated. References are not owned and outlive this.
    IpOutput(const Config& config, HashKey key, const Interfaces& interfaces, Arp& arp, LinkOutput& link);

    /// As `InternetLayer::output`. Of other protocols than TCP and UDP the checksum is the caller's.
    bool send(rte_mbuf* packet, const Output& how, Instant now) noexcept {
        const Path& path = (*paths_)[slot_of(how.destination)];
        if (path.destination == how.destination.value && path.epoch == arp_.epoch()) [[likely]] {
            const Interface& interface = interfaces_[path.interface];
            if (path.plain && how.protocol == static_cast<std::uint8_t>(wire::IpProtocol::tcp) &&
                how.ttl == 0 && how.dont_fragment && how.segment_size == 0 && interface.owns(how.source))
                [[likely]]
                return send_tcp(packet, how, path, interface);
            return complete(packet, how, interface) && send_packet(packet, path.header, link_);
        }
        return send_by_route(packet, how, now);
    }

    /// The same of a flow that keeps its way; `how.destination` is that of every call.
    bool send(rte_mbuf* packet, const Output& how, Way& way, Instant now) noexcept {
        if (way.epoch == arp_.epoch()) [[likely]]
            return complete(packet, how, interfaces_[way.interface]) &&
                   send_packet(packet, way.header, link_);
        return send_by_route(packet, how, now, &way);
    }
    /// Sends data that is in no mbuf yet as many datagrams (`how.segment_size`); `head` holds a UDP header,
    /// and is taken. `way`: as above, or null.
    bool send_data(rte_mbuf* head, std::span<const std::byte> data, const Output& how, Way* way,
                   Instant now) noexcept;
    /// The interface by which it leaves, where that is known.
    [[nodiscard]] const Interface* interface_of(const Way& way) const noexcept {
        return way.epoch == arp_.epoch() ? &interfaces_[way.interface] : nullptr;
    }

    /// The same of a packet to a multicast group, by an interface that speaks IPv4.
    bool send_to_group(rte_mbuf* packet, const Output& how, const Interface& interface) noexcept;

    /// The route to a destination that packets may be sent to, groups included; nothing where there is none.
    [[nodiscard]] std::optional<Route> route_to(Ipv4Address destination) const noexcept;

    /// MTU of the interface that leads to `destination`, in octets; 0 where no route leads there.
    [[nodiscard]] std::uint16_t mtu_for(Ipv4Address destination) const noexcept {
        const Path& path = (*paths_)[slot_of(destination)];
        if (path.destination == destination.value && path.epoch == arp_.epoch()) [[likely]]
            return interfaces_[path.interface].mtu;
        const auto route = route_to(destination);
        return route ? interfaces_[route->interface].mtu : std::uint16_t{0};
    }

    /// As `InternetLayer::offloads_for`.
    [[nodiscard]] const Offloads& offloads_for(Ipv4Address destination) const noexcept {
        static constexpr Offloads none{};
        const Path& path = (*paths_)[slot_of(destination)];
        if (path.destination == destination.value && path.epoch == arp_.epoch()) [[likely]]
            return interfaces_[path.interface].offloads;
        const auto route = route_to(destination);
        return route ? interfaces_[route->interface].offloads : none;
    }

    /// As `InternetLayer::doubt`.
    void doubt(Ipv4Address destination, Instant now) noexcept;

  private:
    // What the last packet to some destination found out, for the next one. Valid while the epoch is that of
    // ARP.
    struct alignas(64) Path {
        std::uint32_t destination = 0;
        std::uint32_t epoch = 0;
        LinkHeader header{};
        std::uint8_t interface = 0;
        bool plain = false;  // an untagged link: `tcp_header` is good
        bool checksums =
            false;  // where it is plain: the port makes those of IP and TCP; else all are made here
        std::uint32_t ip_sum = 0;           // what of `tcp_header` counts for the checksum of the IP header
        std::uint32_t destination_sum = 0;  // what of it counts for that of TCP
        // Ethernet and IPv4 header of a TCP segment; source, length, type of service and checksum are 0.
        std::array<std::byte, wire::ethernet_header_size + wire::ipv4_header_size> tcp_header{};
    };
    static_assert(sizeof(Path) == 128);
    static constexpr std::size_t path_count = 512;

    [[nodiscard]] static std::size_t slot_of(Ipv4Address destination) noexcept {
        return (destination.value ^ destination.value >> 9 ^ destination.value >> 18) % path_count;
    }

    bool complete(rte_mbuf*& packet, const Output& how, const Interface& interface) noexcept;
    bool complete_uncut(rte_mbuf* packet, const Output& how, const Interface& interface) noexcept;
    bool complete_segmented(rte_mbuf* packet, const Output& how, const Interface& interface) noexcept;
    void write_header(rte_mbuf* packet, const Output& how, const Interface& interface, std::size_t length,
                      std::uint16_t id) const noexcept;
    bool send_tcp(rte_mbuf* packet, const Output& how, const Path& path, const Interface& interface) noexcept;
    void remember(Path& path, const Output& how, const Interface& interface,
                  const MacAddress& mac) const noexcept;
    bool send_by_route(rte_mbuf* packet, const Output& how, Instant now, Way* way = nullptr) noexcept;

    const Interfaces& interfaces_;
    Arp& arp_;
    LinkOutput& link_;
    std::uint8_t default_ttl_;
    PacketIds ids_;
    RouteTable routes_;
    std::unique_ptr<std::array<Path, path_count>> paths_;
};

}  // namespace runnel::ip
