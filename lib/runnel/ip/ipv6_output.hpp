// IPv6 packets out: source and size checked, transport checksum and header written, route and neighbour found
// (RFC 8200, RFC 4861 section 5.2).
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
#include "runnel/base/tuple_hash.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/fragmentation.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/neighbour_discovery.hpp"
#include "runnel/ip/packet_ids.hpp"
#include "runnel/ip/path_mtu.hpp"
#include "runnel/ip/route_table.hpp"
#include "runnel/ip/way.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

class Ipv6Output {
  public:
    /// `config` has been validated. References are not owned and outlive this.
    Ipv6Output(const Config& config, HashKey key, const Interfaces& interfaces,
               const Ipv6Addresses& addresses, NeighbourDiscovery& neighbours, const PathMtus& path_mtus,
               LinkOutput& link);

    /// As `InternetLayer::output`, for a packet with `how.ipv6`. Of other protocols than TCP and UDP the
    /// checksum is the caller's.
    bool send(rte_mbuf* packet, const Output& how, Instant now) noexcept {
        const Path& path = (*paths_)[slot_of(how.ipv6->remote)];
        if (path.destination == how.ipv6->remote && path.epoch == neighbours_.epoch()) [[likely]] {
            const Interface& interface = interfaces_[path.interface];
            if (path.plain && how.protocol == tcp && how.ttl == 0 && how.segment_size == 0 &&
                addresses_.owns(path.interface, how.ipv6->local)) [[likely]]
                return send_tcp(packet, how, path, interface, now);
            return complete(packet, how, interface, now) && send_packet(packet, path.header, link_);
        }
        return send_by_route(packet, how, now);
    }

    /// The same of a flow that keeps its way; `how.ipv6->remote` is that of every call.
    bool send(rte_mbuf* packet, const Output& how, Way& way, Instant now) noexcept {
        if (way.epoch == neighbours_.epoch()) [[likely]]
            return complete(packet, how, interfaces_[way.interface], now) &&
                   send_packet(packet, way.header, link_);
        return send_by_route(packet, how, now, &way);
    }
    /// Sends data that is in no mbuf yet as many datagrams (`how.segment_size`); `head` holds a UDP header,
    /// and is taken. `way`: as above, or null.
    bool send_data(rte_mbuf* head, std::span<const std::byte> data, const Output& how, Way* way,
                   Instant now) noexcept;
    /// The interface by which it leaves, where that is known.
    [[nodiscard]] const Interface* interface_of(const Way& way) const noexcept {
        return way.epoch == neighbours_.epoch() ? &interfaces_[way.interface] : nullptr;
    }

    /// The same of a packet to a multicast group, by an interface that speaks IPv6.
    bool send_to_group(rte_mbuf* packet, const Output& how, const Interface& interface, Instant now) noexcept;

    /// The route to a destination that packets may be sent to, groups included; nothing where there is none.
    [[nodiscard]] std::optional<Ipv6Route> route_to(const Ipv6Address& destination) const noexcept;

    /// MTU of the interface that leads to `destination`, in octets; 0 where no route leads there.
    [[nodiscard]] std::uint16_t mtu_for(const Ipv6Address& destination) const noexcept {
        const Path& path = (*paths_)[slot_of(destination)];
        if (path.destination == destination && path.epoch == neighbours_.epoch()) [[likely]]
            return interfaces_[path.interface].ipv6_mtu;
        const auto route = route_to(destination);
        return route ? interfaces_[route->interface].ipv6_mtu : std::uint16_t{0};
    }

    /// As `InternetLayer::offloads_for`.
    [[nodiscard]] const Offloads& offloads_for(const Ipv6Address& destination) const noexcept {
        static constexpr Offloads none{};
        const Path& path = (*paths_)[slot_of(destination)];
        if (path.destination == destination && path.epoch == neighbours_.epoch()) [[likely]]
            return interfaces_[path.interface].offloads;
        const auto route = route_to(destination);
        return route ? interfaces_[route->interface].offloads : none;
    }

    /// Routes as routers on the link say; those of the configuration go before. At most `most_learnt_routes`.
    void add_route(const Ipv6Address& network, unsigned prefix_length, const Ipv6Route& route) noexcept;
    void remove_route(const Ipv6Address& network, unsigned prefix_length, const Ipv6Route& route) noexcept;
    /// What was found out of the way to destinations holds no more.
    void forget_paths() noexcept;
    static constexpr std::size_t most_learnt_routes = 48;

    /// As `InternetLayer::doubt`.
    void doubt(const Ipv6Address& destination, Instant now) noexcept;

  private:
    static constexpr std::uint8_t tcp = 6;

    // What the last packet to some destination found out, for the next one. Valid while the epoch is that of
    // Neighbour Discovery.
    struct alignas(64) Path {
        Ipv6Address destination{};
        std::uint32_t epoch = 0;
        LinkHeader header{};
        std::uint8_t interface = 0;
        bool plain = false;                 // an untagged link: `tcp_header` is good
        bool checksums = false;             // the port makes that of TCP; else it is made here
        std::uint32_t destination_sum = 0;  // what of `tcp_header` counts for the checksum of TCP
        // Ethernet and IPv6 header of a TCP segment; source, length, traffic class and flow label are 0.
        std::array<std::byte, wire::ethernet_header_size + wire::ipv6_header_size> tcp_header{};
    };
    static_assert(sizeof(Path) == 128);
    static constexpr std::size_t path_count = 512;

    // Keyed: whoever has a /64 chooses the low half.
    [[nodiscard]] std::size_t slot_of(const Ipv6Address& destination) const noexcept {
        const auto [high, low] = destination.words();
        const std::uint64_t mixed =
            (high ^ key_.k0) * 0x9e37'79b9'7f4a'7c15 ^ (low ^ key_.k1) * 0xbf58'476d'1ce4'e5b9;
        return static_cast<std::size_t>(mixed >> 40) % path_count;
    }

    bool complete(rte_mbuf*& packet, const Output& how, const Interface& interface, Instant now) noexcept;
    bool complete_uncut(rte_mbuf* packet, const Output& how, const Interface& interface,
                        std::uint16_t mtu) noexcept;
    bool complete_segmented(rte_mbuf* packet, const Output& how, const Interface& interface) noexcept;
    void write_header(rte_mbuf* packet, const Output& how, const Interface& interface,
                      std::uint8_t next_header, std::size_t length) const noexcept;
    [[nodiscard]] std::uint8_t hop_limit_of(const Interface& interface) const noexcept {
        return interface.hop_limit != 0 ? interface.hop_limit : default_hop_limit_;
    }
    [[nodiscard]] std::uint32_t flow_label(const rte_mbuf* packet, const Output& how,
                                           bool cut) const noexcept;
    bool send_tcp(rte_mbuf* packet, const Output& how, const Path& path, const Interface& interface,
                  Instant now) noexcept;
    void remember(Path& path, const Output& how, const Interface& interface,
                  const MacAddress& mac) const noexcept;
    bool send_by_route(rte_mbuf* packet, const Output& how, Instant now, Way* way = nullptr) noexcept;

    const Interfaces& interfaces_;
    const Ipv6Addresses& addresses_;
    NeighbourDiscovery& neighbours_;
    const PathMtus& path_mtus_;
    LinkOutput& link_;
    std::uint8_t default_hop_limit_;
    HashKey key_;
    PacketIds ids_;
    TupleHash labels_;
    Ipv6RouteTable routes_;
    std::unique_ptr<std::array<Path, path_count>> paths_;
};

}  // namespace runnel::ip
