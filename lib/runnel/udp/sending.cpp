// Datagrams out: where they leave and whether they fit, their header, and the copy for groups that are heard
// here (RFC 768, RFC 1122 section 4.1).

#include <limits>

#include "runnel/ip/link_output.hpp"
#include "runnel/ip/mbuf_octets.hpp"
#include "runnel/udp/payload_copy.hpp"
#include "runnel/udp/sockets.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel::udp {

namespace {

constexpr std::size_t largest_datagram = std::numeric_limits<std::uint16_t>::max() - wire::udp_header_size;

// Where nothing else is said a datagram to a group stays on the link (RFC 1112 section 6.1).
constexpr std::uint8_t group_ttl = 1;

constexpr std::size_t headers_size(bool ipv6) noexcept {
    return wire::udp_header_size + (ipv6 ? wire::ipv6_header_size : wire::ipv4_header_size);
}

}  // namespace

SendResult Sockets::refuse(rte_mbuf* mbuf, SendResult why, DropReason reason) noexcept {
    drop(mbuf, reason);
    return why;
}

SendResult Sockets::send_to(const SendOptions& options, std::span<const std::byte> payload,
                            Instant now) noexcept {
    SendResult why = SendResult::sent;
    rte_mbuf* const mbuf = copied(payload, why);
    return mbuf == nullptr ? why : send_to(options, mbuf, now);
}

SendResult Sockets::send_to(const SendOptions& options, rte_mbuf* payload, Instant now) noexcept {
    const bool ipv6 = !options.remote_address.is_v4();
    const bool any_local = options.local_address.is_unspecified();
    if ((ipv6 && !internet_.speaks_ipv6()) || (!any_local && options.local_address.is_v4() == ipv6))
        return refuse(payload, SendResult::family_unsupported, DropReason::ip_family_unsupported);
    auto from = departure_of(options);
    if (!from || options.remote_port == 0)
        return refuse(payload, SendResult::no_route, DropReason::ip_no_route);
    if (!any_local) from->source = options.local_address;
    return depart(options, *from, payload, now);
}

SendResult Sockets::send(ConnectedSocket socket, std::span<const std::byte> payload, Instant now) noexcept {
    if (connected_.get(socket) == nullptr) {
        counters_.drop(DropReason::udp_not_connected);
        return SendResult::not_connected;
    }
    SendResult why = SendResult::sent;
    rte_mbuf* const mbuf = copied(payload, why);
    return mbuf == nullptr ? why : send(socket, mbuf, now);
}

SendResult Sockets::send(ConnectedSocket socket, rte_mbuf* payload, Instant now) noexcept {
    ConnectedSockets::Socket* const known = connected_.get(socket);
    if (known == nullptr) return refuse(payload, SendResult::not_connected, DropReason::udp_not_connected);
    const Departure from{
        .source = known->options.local_address, .interface = known->options.interface, .way = &known->way};
    return depart(known->options, from, payload, now);
}

rte_mbuf* Sockets::copied(std::span<const std::byte> payload, SendResult& why) noexcept {
    if (payload.size() > largest_datagram) {
        counters_.drop(DropReason::ip_too_big);
        why = SendResult::too_big;
        return nullptr;
    }
    rte_mbuf* const mbuf = ip::copy_octets(payload, stash_);
    if (mbuf == nullptr) {
        counters_.drop(DropReason::no_mbuf);
        why = SendResult::no_memory;
    }
    return mbuf;
}

SendResult Sockets::depart(const SendOptions& options, const Departure& from, rte_mbuf* payload,
                           Instant now) noexcept {
    const bool ipv6 = !options.remote_address.is_v4();
    if (!internet_.is_local(from.source))
        return refuse(payload, SendResult::not_our_address, DropReason::ip_bad_source);
    const std::size_t largest = largest_packet(options, from, now);
    if (largest == 0) return refuse(payload, SendResult::no_route, DropReason::ip_no_route);
    if (payload->pkt_len + headers_size(ipv6) > largest)
        return refuse(payload, SendResult::too_big, DropReason::ip_too_big);
    if (options.loop && from.interface) loop(options, from, payload);

    // What an mbuf brings from its reception is no word to the port that sends it; where its octets lie stays
    // true.
    payload->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    const bool own_head =
        RTE_MBUF_DIRECT(payload) && rte_mbuf_refcnt_read(payload) == 1 &&
        rte_pktmbuf_headroom(payload) >= headers_size(ipv6) + ip::max_link_header_size +
                                             (ipv6 ? wire::ipv6_fragment_header_size : std::size_t{0});
    rte_mbuf* packet = payload;
    if (!own_head) {
        packet = stash_.take_data();
        if (packet == nullptr) return refuse(payload, SendResult::no_memory, DropReason::no_mbuf);
        if (rte_pktmbuf_chain(packet, payload) != 0) {
            stash_.put(packet);
            return refuse(payload, SendResult::no_memory, DropReason::no_mbuf);
        }
    }
    char* const room = rte_pktmbuf_prepend(packet, wire::udp_header_size);
    if (room == nullptr) return refuse(packet, SendResult::no_memory, DropReason::no_mbuf);
    wire::write(wire::UdpHeader{.source_port = options.local_port,
                                .destination_port = options.remote_port,
                                .length = static_cast<std::uint16_t>(packet->pkt_len)},
                std::span<std::byte, wire::udp_header_size>{reinterpret_cast<std::byte*>(room),
                                                            wire::udp_header_size});
    const ip::Ipv6Pair pair{options.remote_address.v6(), from.source.v6()};
    const ip::Output how{.source = from.source.v4(),
                         .destination = options.remote_address.v4(),
                         .ipv6 = ipv6 ? &pair : nullptr,
                         .protocol = static_cast<std::uint8_t>(wire::IpProtocol::udp),
                         .tos = options.tos,
                         .ttl = options.ttl == 0 && from.interface ? group_ttl : options.ttl,
                         .dont_fragment = options.dont_fragment};
    if (options.loop && from.interface) internet_.loop_to_cores(*packet, how, *from.interface);
    const bool sent = from.interface        ? internet_.output_to_group(packet, how, *from.interface, now)
                      : from.way != nullptr ? internet_.output(packet, how, *from.way, now)
                                            : internet_.output(packet, how, now);
    if (!sent) return SendResult::dropped;
    counters_.add(Counter::udp_out);
    return SendResult::sent;
}

std::optional<Sockets::Departure> Sockets::departure_of(const SendOptions& options) const noexcept {
    const IpAddress& remote = options.remote_address;
    if (!is_multicast(remote)) {
        const auto source = internet_.source_for(remote);
        if (!source) return std::nullopt;
        return Departure{*source, std::nullopt};
    }
    const auto interface = options.interface ? options.interface : internet_.interface_for(remote);
    if (!interface) return std::nullopt;
    const auto source = internet_.source_on(*interface, remote);
    if (!source) return std::nullopt;
    return Departure{*source, interface};
}

// Octets; 0 where no route leads there.
std::size_t Sockets::largest_packet(const SendOptions& options, const Departure& from,
                                    Instant now) const noexcept {
    const IpAddress& remote = options.remote_address;
    if (!options.dont_fragment)
        return remote.is_v4() ? std::size_t{UINT16_MAX} : UINT16_MAX + wire::ipv6_header_size;
    if (from.interface) return internet_.mtu_of(*from.interface);
    return from.way != nullptr ? internet_.datagram_mtu_for(remote, *from.way, now)
                               : internet_.datagram_mtu_for(remote, now);
}

// A copy for the sockets here that hear the group.
void Sockets::loop(const SendOptions& options, const Departure& from, const rte_mbuf* payload) noexcept {
    const Datagram about{.source_address = from.source,
                         .destination_address = options.remote_address,
                         .source_port = options.local_port,
                         .destination_port = options.remote_port,
                         .ttl = options.ttl == 0 ? group_ttl : options.ttl,
                         .tos = options.tos,
                         .group = true,
                         .interface = *from.interface};
    if (groups_.hearers(about).count == 0) return;
    if (looped_.size() == most_looped) return counters_.drop(DropReason::udp_loop_full);
    rte_mbuf* const copy = copy_of(*payload, stash_);
    if (copy == nullptr) return counters_.drop(DropReason::no_mbuf);
    looped_.push_back({about, copy});
}

std::size_t Sockets::largest_whole(ConnectedSocket socket, Instant now) const noexcept {
    const ConnectedSockets::Socket* const known = connected_.get(socket);
    if (known == nullptr) return 0;
    const IpAddress& remote = known->options.remote_address;
    const std::size_t packet = known->options.interface ? internet_.mtu_of(*known->options.interface)
                                                        : internet_.datagram_mtu_for(remote, known->way, now);
    const std::size_t headers = headers_size(!remote.is_v4());
    return packet < headers ? 0 : packet - headers;
}

}  // namespace runnel::udp
