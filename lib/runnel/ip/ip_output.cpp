#include "runnel/ip/ip_output.hpp"

#include <cstddef>
#include <cstring>
#include <span>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/outgoing_packet.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::ip {

namespace {

// The header checksum of what `wire::write` makes of the fields (RFC 791), its own field counted as 0.
std::uint16_t header_checksum(const wire::Ipv4Header& header) noexcept {
    const std::uint32_t sum = 0x4500U + header.tos + header.total_length + header.id +
                              (header.dont_fragment ? wire::ipv4_dont_fragment : 0U) +
                              (std::uint32_t{header.ttl} << 8 | static_cast<std::uint32_t>(header.protocol)) +
                              (header.source.value >> 16) + (header.source.value & 0xffff) +
                              (header.destination.value >> 16) + (header.destination.value & 0xffff);
    return wire::checksum_finish(sum);
}

}  // namespace

IpOutput::IpOutput(const Config& config, HashKey key, const Interfaces& interfaces, Arp& arp,
                   LinkOutput& link)
    : interfaces_(interfaces),
      arp_(arp),
      link_(link),
      default_ttl_(config.ttl),
      ids_(key, config.place),
      paths_(std::make_unique<std::array<Path, path_count>>()) {
    // Between equals the connected network wins, then the order of the configuration.
    for (std::size_t i = 0; i < config.interfaces.size(); ++i)
        for (const Ipv4NetworkConfig& network : config.interfaces[i].ipv4_networks())
            routes_.add(network.address, network.prefix_length, {static_cast<std::uint8_t>(i), {}});
    for (const RouteConfig& route : config.routes)
        if (route.gateway.is_v4())
            routes_.add(route.network.v4(), route.prefix_length, {route.interface, route.gateway.v4()});
}

std::optional<Route> IpOutput::route_to(Ipv4Address destination) const noexcept {
    if (destination.is_limited_broadcast()) return Route{};  // the first interface's link
    // Nothing leads to ourselves, to "this network", loopback or class E (RFC 1122 section 3.2.1.3).
    if (destination.value >> 24 == 0 || destination.is_loopback() || destination.is_reserved() ||
        interfaces_.is_local(destination))
        return std::nullopt;
    const Route* route = routes_.lookup(destination);
    // A group is on the link itself, whichever router a default route names.
    if (destination.is_multicast()) return Route{route == nullptr ? std::uint8_t{0} : route->interface, {}};
    if (route == nullptr) return std::nullopt;
    return *route;
}

// Turns a transport message into an IP packet, in another mbuf where need be; false where it was dropped.
bool IpOutput::complete(rte_mbuf*& packet, const Output& how, const Interface& interface) noexcept {
    if (!interface.owns(how.source) && !interfaces_.is_local(how.source)) [[unlikely]] {
        link_.drop(packet, DropReason::ip_bad_source);
        return false;
    }
    if (is_segmented(how)) [[unlikely]]
        return complete_segmented(packet, how, interface);
    if (is_to_be_cut(packet, how, wire::ipv4_header_size, interface.mtu)) [[unlikely]]
        return complete_uncut(packet, how, interface);
    if (!fit(packet, how, interface, wire::ipv4_header_size, link_)) return false;
    finish_transport(packet, how, interface,
                     wire::pseudo_header_sum(how.source, how.destination, how.protocol, 0),
                     RTE_MBUF_F_TX_IPV4);

    // A packet that nobody may fragment needs no id (RFC 6864 section 4.1).
    write_header(packet, how, interface, packet->pkt_len,
                 how.dont_fragment ? std::uint16_t{0} : ids_.ipv4(how.source, how.destination, how.protocol));
    return true;
}

// Puts the header, which says a message of so many octets, in front of a packet that leaves whole or is cut
// by the port or by `send_segments`.
inline void IpOutput::write_header(rte_mbuf* packet, const Output& how, const Interface& interface,
                                   std::size_t length, std::uint16_t id) const noexcept {
    wire::Ipv4Header header{.tos = how.tos,
                            .total_length = static_cast<std::uint16_t>(length + wire::ipv4_header_size),
                            .id = id,
                            .dont_fragment = how.dont_fragment,
                            .ttl = how.ttl != 0 ? how.ttl : default_ttl_,
                            .protocol = wire::IpProtocol{how.protocol},
                            .source = how.source,
                            .destination = how.destination};
    if (interface.offloads.tx_ip_checksum)
        packet->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4;
    else
        header.checksum = header_checksum(header);
    if (packet->ol_flags != 0) {
        packet->l2_len = interface.link_header_size & 0x7f;
        packet->l3_len = wire::ipv4_header_size;
    }

    packet->data_off = static_cast<std::uint16_t>(packet->data_off - wire::ipv4_header_size);
    packet->data_len = static_cast<std::uint16_t>(packet->data_len + wire::ipv4_header_size);
    packet->pkt_len += static_cast<std::uint32_t>(wire::ipv4_header_size);
    wire::write(header, std::span<std::byte, wire::ipv4_header_size>{rte_pktmbuf_mtod(packet, std::byte*),
                                                                     wire::ipv4_header_size});
}

// The same of one that leaves as many datagrams.
bool IpOutput::complete_segmented(rte_mbuf* packet, const Output& how, const Interface& interface) noexcept {
    if (!fit_segmented(packet, how, interface, wire::ipv4_header_size, link_)) return false;
    const std::uint32_t pseudo = wire::pseudo_header_sum(how.source, how.destination, how.protocol, 0);
    const std::uint16_t length = mark_segmented(packet, how, interface, pseudo, RTE_MBUF_F_TX_IPV4);
    write_header(packet, how, interface, length, 0);
    return true;
}

// The same of one that leaves in fragments.
bool IpOutput::complete_uncut(rte_mbuf* packet, const Output& how, const Interface& interface) noexcept {
    if (!fit_uncut(packet, UINT16_MAX - wire::ipv4_header_size, wire::ipv4_header_size, link_)) return false;
    finish_transport_of_uncut(packet, how,
                              wire::pseudo_header_sum(how.source, how.destination, how.protocol, 0));
    const wire::Ipv4Header header{.tos = how.tos,
                                  .total_length = interface.mtu,  // of the largest fragment
                                  .id = ids_.ipv4(how.source, how.destination, how.protocol),
                                  .dont_fragment = false,
                                  .ttl = how.ttl != 0 ? how.ttl : default_ttl_,
                                  .protocol = wire::IpProtocol{how.protocol},
                                  .source = how.source,
                                  .destination = how.destination};
    auto* const room = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(packet, wire::ipv4_header_size));
    wire::write(header, std::span<std::byte, wire::ipv4_header_size>{room, wire::ipv4_header_size});
    return true;
}

bool IpOutput::send_by_route(rte_mbuf* packet, const Output& how, Instant now, Way* way) noexcept {
    const auto route = route_to(how.destination);
    if (!route) {
        link_.drop(packet, DropReason::ip_no_route);
        return false;
    }
    const Interface& interface = interfaces_[route->interface];
    if (!complete(packet, how, interface)) return false;

    const Ipv4Address next_hop = route->next_hop(how.destination);
    const auto flow = flow_of(packet, how, wire::ipv4_header_size);
    MacAddress mac;
    if (how.destination.is_multicast()) {
        mac = wire::multicast_mac(how.destination);
    } else if (next_hop.is_limited_broadcast() || interface.is_broadcast(next_hop)) {
        mac = MacAddress::broadcast();
    } else if (const MacAddress* known =
                   arp_.link_address(interface, next_hop, how.source, now, flow ? &*flow : nullptr)) {
        mac = *known;
    } else {
        return arp_.hold(packet, interface, next_hop, how.source, now);
    }
    Path& path = (*paths_)[slot_of(how.destination)];
    remember(path, how, interface, mac);
    if (way != nullptr) *way = {.epoch = path.epoch, .header = path.header, .interface = path.interface};
    return send_packet(packet, path.header, link_);
}

void IpOutput::remember(Path& path, const Output& how, const Interface& interface,
                        const MacAddress& mac) const noexcept {
    path = {.destination = how.destination.value,
            .epoch = arp_.epoch(),
            .header = make_link_header(interface, mac, wire::EtherType::ipv4),
            .interface = interface.index,
            .plain = interface.vlan == 0 &&
                     interface.offloads.tx_ip_checksum == interface.offloads.tx_tcp_checksum,
            .checksums = interface.offloads.tx_tcp_checksum};
    const std::span octets{path.tcp_header};
    std::memcpy(octets.data(), path.header.octets.data(), wire::ethernet_header_size);
    const wire::Ipv4Header header{.dont_fragment = true,
                                  .ttl = default_ttl_,
                                  .protocol = wire::IpProtocol::tcp,
                                  .destination = how.destination};
    wire::write(header, octets.last<wire::ipv4_header_size>());
    wire::store_be16(octets, wire::ethernet_header_size + 2, 0);  // the length is a packet's own
    path.ip_sum = wire::checksum_add(octets.last<wire::ipv4_header_size>());
    path.destination_sum = wire::pseudo_header_sum({}, how.destination, protocol_tcp, 0);
}

// What `complete` and `LinkOutput::send` do, in one pass for what most packets are.
bool IpOutput::send_tcp(rte_mbuf* packet, const Output& how, const Path& path,
                        const Interface& interface) noexcept {
    const std::uint32_t length = packet->pkt_len;
    const std::uint32_t total = length + static_cast<std::uint32_t>(wire::ipv4_header_size);
    if (total > interface.mtu || rte_pktmbuf_headroom(packet) < sizeof path.tcp_header ||
        packet->nb_segs > interface.offloads.tx_chain) [[unlikely]]
        return complete(packet, how, interface) && link_.send(packet, path.header);
    const std::uint32_t source_sum = (how.source.value >> 16) + (how.source.value & 0xffff);
    std::byte* const segment = rte_pktmbuf_mtod(packet, std::byte*);
    const std::uint32_t pseudo = path.destination_sum + source_sum + length;
    std::uint16_t ip_checksum = 0;
    if (path.checksums) {
        packet->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4;
        packet->tx_offload = rte_mbuf_tx_offload(
            wire::ethernet_header_size, wire::ipv4_header_size,
            std::to_integer<std::uint64_t>(segment[tcp_data_offset_at] >> 4) * 4, 0, 0, 0, 0);
        wire::store_be16(segment + tcp_checksum_at, wire::checksum_fold(pseudo));
    } else {
        ip_checksum = wire::checksum_finish(path.ip_sum + how.tos + total + source_sum);
        wire::store_be16(segment + tcp_checksum_at, wire::checksum_finish(mbuf_checksum_add(packet, pseudo)));
    }

    constexpr std::uint32_t size = sizeof path.tcp_header;
    std::byte* const frame = segment - size;
    std::memcpy(frame, path.tcp_header.data(), size);
    std::byte* const header = frame + wire::ethernet_header_size;
    header[1] = std::byte{how.tos};
    wire::store_be16(header + 2, static_cast<std::uint16_t>(total));
    wire::store_be16(header + 10, ip_checksum);
    wire::store_be32(header + 12, how.source.value);
    packet->data_off = static_cast<std::uint16_t>(packet->data_off - size);
    packet->data_len = static_cast<std::uint16_t>(packet->data_len + size);
    packet->pkt_len = length + size;
    packet->port = path.header.port;
    return link_.queue(packet);
}

bool IpOutput::send_data(rte_mbuf* head, std::span<const std::byte> data, const Output& how, Way* way,
                         Instant now) noexcept {
    const Path& path = (*paths_)[slot_of(how.destination)];
    const LinkHeader* header = nullptr;
    const Interface* interface = nullptr;
    if (way != nullptr && way->epoch == arp_.epoch()) {
        header = &way->header;
        interface = &interfaces_[way->interface];
    } else if (path.destination == how.destination.value && path.epoch == arp_.epoch()) {
        header = &path.header;
        interface = &interfaces_[path.interface];
    }
    if (interface != nullptr && !port_segments(*interface, how.segment_size)) [[likely]] {
        head->pkt_len += static_cast<std::uint32_t>(data.size());
        return complete_segmented(head, how, *interface) && send_segments(head, data, *header, link_);
    }
    if (!append_copy(head, data, interface != nullptr ? SIZE_MAX : how.segment_size, link_)) return false;
    return way != nullptr ? send(head, how, *way, now) : send(head, how, now);
}

bool IpOutput::send_to_group(rte_mbuf* packet, const Output& how, const Interface& interface) noexcept {
    if (!complete(packet, how, interface)) return false;
    const MacAddress mac = wire::multicast_mac(how.destination);
    return send_packet(packet, make_link_header(interface, mac, wire::EtherType::ipv4), link_);
}

void IpOutput::doubt(Ipv4Address destination, Instant now) noexcept {
    if (const auto route = route_to(destination))
        arp_.doubt(interfaces_[route->interface], route->next_hop(destination), now);
}

}  // namespace runnel::ip
