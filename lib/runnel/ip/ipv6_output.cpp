#include "runnel/ip/ipv6_output.hpp"

#include <bit>
#include <cstddef>
#include <cstring>
#include <span>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/outgoing_packet.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"

namespace runnel::ip {

namespace {

constexpr std::size_t payload_length_at = 4, source_at = 8;

}  // namespace

Ipv6Output::Ipv6Output(const Config& config, HashKey key, const Interfaces& interfaces,
                       const Ipv6Addresses& addresses, NeighbourDiscovery& neighbours,
                       const PathMtus& path_mtus, LinkOutput& link)
    : interfaces_(interfaces),
      addresses_(addresses),
      neighbours_(neighbours),
      path_mtus_(path_mtus),
      link_(link),
      default_hop_limit_(config.ttl),
      key_(key),
      ids_(key, config.place),
      labels_({siphash_2_4(key, 0x666c'6f77, 0), siphash_2_4(key, 0x666c'6f77, 1)}),
      paths_(std::make_unique<std::array<Path, path_count>>()) {
    routes_.reserve(addresses.configured().size() + config.routes.size() + most_learnt_routes);
    // Between equals the connected network wins, then the order of the configuration.
    for (const Ipv6Addresses::Range& range : addresses.configured())
        routes_.add(range.first(), range.prefix_length, {range.interface, {}});
    for (const RouteConfig& route : config.routes)
        if (!route.gateway.is_v4())
            routes_.add(route.prefix_length == 0 ? Ipv6Address{} : route.network.v6(), route.prefix_length,
                        {route.interface, route.gateway.v6()});
}

std::optional<Ipv6Route> Ipv6Output::route_to(const Ipv6Address& destination) const noexcept {
    if (destination.is_unspecified() || destination.is_loopback() || destination.is_v4_mapped() ||
        addresses_.is_local(destination))
        return std::nullopt;
    const Ipv6Route* route = routes_.lookup(destination);
    // A group is on the link itself, whichever router a default route names.
    if (destination.is_multicast()) {
        if (route != nullptr) return Ipv6Route{route->interface, {}};
        if (!addresses_.any()) return std::nullopt;
        return Ipv6Route{addresses_.configured().front().interface, {}};
    }
    if (route == nullptr) return std::nullopt;
    return *route;
}

// Turns a transport message into an IPv6 packet, in another mbuf where need be; false where it was dropped.
bool Ipv6Output::complete(rte_mbuf*& packet, const Output& how, const Interface& interface,
                          Instant now) noexcept {
    if (!addresses_.is_local(how.ipv6->local)) [[unlikely]] {
        link_.drop(packet, DropReason::ip_bad_source);
        return false;
    }
    if (is_segmented(how)) [[unlikely]]
        return complete_segmented(packet, how, interface);
    if (is_to_be_cut(packet, how, wire::ipv6_header_size, wire::ipv6_min_mtu)) [[unlikely]] {
        // No router will do it for us.
        const std::uint16_t mtu = path_mtus_.for_datagrams(how.ipv6->remote, interface.ipv6_mtu, now);
        if (is_to_be_cut(packet, how, wire::ipv6_header_size, mtu))
            return complete_uncut(packet, how, interface, mtu);
    }
    if (!fit(packet, how, interface, wire::ipv6_header_size, link_)) return false;
    finish_transport(packet, how, interface,
                     wire::pseudo_header_sum(how.ipv6->local, how.ipv6->remote, how.protocol, 0),
                     RTE_MBUF_F_TX_IPV6);
    if (packet->ol_flags != 0) {
        packet->l2_len = interface.link_header_size & 0x7f;
        packet->l3_len = wire::ipv6_header_size;
    }
    write_header(packet, how, interface, how.protocol, packet->pkt_len);
    return true;
}

// The same of one that leaves in fragments.
bool Ipv6Output::complete_uncut(rte_mbuf* packet, const Output& how, const Interface& interface,
                                std::uint16_t mtu) noexcept {
    if (!fit_uncut(packet, UINT16_MAX, ipv6_fragment_headers_size, link_)) return false;
    finish_transport_of_uncut(packet, how,
                              wire::pseudo_header_sum(how.ipv6->local, how.ipv6->remote, how.protocol, 0));
    auto* const fragment =
        reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(packet, wire::ipv6_fragment_header_size));
    wire::store_be32(fragment, std::uint32_t{how.protocol} << 24);
    wire::store_be32(fragment + 4, ids_.ipv6());
    // The length is that of the largest fragment.
    write_header(packet, how, interface, static_cast<std::uint8_t>(wire::Ipv6Extension::fragment),
                 mtu - wire::ipv6_header_size);
    return true;
}

// The same of one that leaves as many datagrams.
bool Ipv6Output::complete_segmented(rte_mbuf* packet, const Output& how,
                                    const Interface& interface) noexcept {
    if (!fit_segmented(packet, how, interface, wire::ipv6_header_size, link_)) return false;
    const std::uint32_t pseudo = wire::pseudo_header_sum(how.ipv6->local, how.ipv6->remote, how.protocol, 0);
    const std::uint16_t length = mark_segmented(packet, how, interface, pseudo, RTE_MBUF_F_TX_IPV6);
    packet->l2_len = interface.link_header_size & 0x7f;
    packet->l3_len = wire::ipv6_header_size;
    write_header(packet, how, interface, how.protocol, length);
    return true;
}

void Ipv6Output::write_header(rte_mbuf* packet, const Output& how, const Interface& interface,
                              std::uint8_t next_header, std::size_t length) const noexcept {
    const std::uint32_t label =
        how.flow_label != 0 ? how.flow_label : flow_label(packet, how, next_header != how.protocol);
    auto* const header = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(packet, wire::ipv6_header_size));
    wire::write(wire::Ipv6Header{.traffic_class = how.tos,
                                 .flow_label = label,
                                 .payload_length = static_cast<std::uint16_t>(length),
                                 .next_header = next_header,
                                 .hop_limit = how.ttl != 0 ? how.ttl : hop_limit_of(interface),
                                 .source = how.ipv6->local,
                                 .destination = how.ipv6->remote},
                std::span<std::byte, wire::ipv6_header_size>{header, wire::ipv6_header_size});
}

// The flow of a packet for which no transport keeps a label: its addresses, protocol and ports (RFC 6437
// section 3).
std::uint32_t Ipv6Output::flow_label(const rte_mbuf* packet, const Output& how, bool cut) const noexcept {
    const std::size_t at = cut ? wire::ipv6_fragment_header_size : 0;
    std::uint32_t ports = how.protocol;
    if (how.protocol == protocol_udp && packet->data_len >= at + 4)
        ports = wire::load_be32(rte_pktmbuf_mtod_offset(packet, const std::byte*, at));
    const auto addresses = labels_.addresses(how.ipv6);
    const std::uint64_t both = addresses[0] ^ std::rotl(addresses[1], 32);
    std::array<std::byte, TupleHash::size> flow;
    std::memcpy(flow.data(), &both, sizeof both);
    std::memcpy(flow.data() + sizeof both, &ports, sizeof ports);
    return flow_label_of(labels_(flow.data()));
}

bool Ipv6Output::send_by_route(rte_mbuf* packet, const Output& how, Instant now, Way* way) noexcept {
    const Ipv6Address& destination = how.ipv6->remote;
    const auto route = route_to(destination);
    if (!route) {
        link_.drop(packet, DropReason::ip_no_route);
        return false;
    }
    const Interface& interface = interfaces_[route->interface];
    if (!complete(packet, how, interface, now)) return false;

    const Ipv6Address& next_hop = route->next_hop(destination);
    const auto flow = flow_of(packet, how, wire::ipv6_header_size);
    MacAddress mac;
    if (destination.is_multicast())
        mac = wire::multicast_mac(destination);
    else if (const MacAddress* known =
                 neighbours_.link_address(interface, next_hop, how.ipv6->local, now, flow ? &*flow : nullptr))
        mac = *known;
    else
        return neighbours_.hold(packet, interface, next_hop, how.ipv6->local, now);
    Path& path = (*paths_)[slot_of(destination)];
    remember(path, how, interface, mac);
    if (way != nullptr) *way = {.epoch = path.epoch, .header = path.header, .interface = path.interface};
    return send_packet(packet, path.header, link_);
}

void Ipv6Output::remember(Path& path, const Output& how, const Interface& interface,
                          const MacAddress& mac) const noexcept {
    path = {.destination = how.ipv6->remote,
            .epoch = neighbours_.epoch(),
            .header = make_link_header(interface, mac, wire::EtherType::ipv6),
            .interface = interface.index,
            .plain = interface.vlan == 0,
            .checksums = interface.offloads.tx_tcp_checksum};
    const std::span octets{path.tcp_header};
    std::memcpy(octets.data(), path.header.octets.data(), wire::ethernet_header_size);
    wire::write(
        wire::Ipv6Header{
            .next_header = tcp, .hop_limit = hop_limit_of(interface), .destination = how.ipv6->remote},
        octets.last<wire::ipv6_header_size>());
    path.destination_sum = wire::pseudo_header_sum({}, how.ipv6->remote, tcp, 0);
}

// What `complete` and `LinkOutput::send` do, in one pass for what most packets are.
bool Ipv6Output::send_tcp(rte_mbuf* packet, const Output& how, const Path& path, const Interface& interface,
                          Instant now) noexcept {
    const std::uint32_t length = packet->pkt_len;
    if (length + wire::ipv6_header_size > interface.mtu ||
        rte_pktmbuf_headroom(packet) < sizeof path.tcp_header ||
        packet->nb_segs > interface.offloads.tx_chain) [[unlikely]]
        return complete(packet, how, interface, now) && link_.send(packet, path.header);
    const std::span<const std::byte> source = std::as_bytes(std::span{how.ipv6->local.octets});
    std::byte* const segment = rte_pktmbuf_mtod(packet, std::byte*);
    const std::uint32_t pseudo = wire::checksum_add(source, path.destination_sum + length);
    if (path.checksums) {
        packet->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6;
        packet->tx_offload = rte_mbuf_tx_offload(
            wire::ethernet_header_size, wire::ipv6_header_size,
            std::to_integer<std::uint64_t>(segment[tcp_data_offset_at] >> 4) * 4, 0, 0, 0, 0);
        wire::store_be16(segment + tcp_checksum_at, wire::checksum_fold(pseudo));
    } else {
        wire::store_be16(segment + tcp_checksum_at, wire::checksum_finish(mbuf_checksum_add(packet, pseudo)));
    }

    constexpr std::uint32_t size = sizeof path.tcp_header;
    std::byte* const frame = segment - size;
    std::memcpy(frame, path.tcp_header.data(), size);
    std::byte* const header = frame + wire::ethernet_header_size;
    wire::store_be32(header,
                     std::uint32_t{6} << 28 | std::uint32_t{how.tos} << 20 | (how.flow_label & 0xfffff));
    wire::store_be16(header + payload_length_at, static_cast<std::uint16_t>(length));
    std::memcpy(header + source_at, source.data(), source.size());
    packet->data_off = static_cast<std::uint16_t>(packet->data_off - size);
    packet->data_len = static_cast<std::uint16_t>(packet->data_len + size);
    packet->pkt_len = length + size;
    packet->port = path.header.port;
    return link_.queue(packet);
}

bool Ipv6Output::send_data(rte_mbuf* head, std::span<const std::byte> data, const Output& how, Way* way,
                           Instant now) noexcept {
    const Path& path = (*paths_)[slot_of(how.ipv6->remote)];
    const LinkHeader* header = nullptr;
    const Interface* interface = nullptr;
    if (way != nullptr && way->epoch == neighbours_.epoch()) {
        header = &way->header;
        interface = &interfaces_[way->interface];
    } else if (path.destination == how.ipv6->remote && path.epoch == neighbours_.epoch()) {
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

bool Ipv6Output::send_to_group(rte_mbuf* packet, const Output& how, const Interface& interface,
                               Instant now) noexcept {
    if (!complete(packet, how, interface, now)) return false;
    const MacAddress mac = wire::multicast_mac(how.ipv6->remote);
    return send_packet(packet, make_link_header(interface, mac, wire::EtherType::ipv6), link_);
}

void Ipv6Output::add_route(const Ipv6Address& network, unsigned prefix_length,
                           const Ipv6Route& route) noexcept {
    routes_.add(network, prefix_length, route);
    forget_paths();
}

void Ipv6Output::remove_route(const Ipv6Address& network, unsigned prefix_length,
                              const Ipv6Route& route) noexcept {
    routes_.remove(network, prefix_length, route);
    forget_paths();
}

void Ipv6Output::forget_paths() noexcept {
    neighbours_.forget_paths();
}

void Ipv6Output::doubt(const Ipv6Address& destination, Instant now) noexcept {
    if (const auto route = route_to(destination))
        neighbours_.doubt(interfaces_[route->interface], route->next_hop(destination), now);
}

}  // namespace runnel::ip
