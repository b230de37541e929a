// Datagrams out: where they leave and whether they fit, their header, and the copy for groups that are heard
// here (RFC 768, RFC 1122 section 4.1).

#include <algorithm>
#include <cstdint>
#include <limits>

#include "runnel/ip/link_output.hpp"
#include "runnel/ip/mbuf_octets.hpp"
#include "runnel/ip/udp_segmentation.hpp"
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

// Of the largest datagram there is.
constexpr std::size_t largest_packet(bool ipv6) noexcept {
    return UINT16_MAX + (ipv6 ? wire::ipv6_header_size : std::size_t{0});
}

}  // namespace

SendResult Sockets::refuse(rte_mbuf* mbuf, SendResult why, DropReason reason) noexcept {
    drop(mbuf, reason);
    return why;
}

SendResult Sockets::send_to(const SendOptions& options, std::span<const std::byte> payload,
                            Instant now) noexcept {
    SendResult why = SendResult::sent;
    rte_mbuf* const mbuf = copied(options, payload, why);
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
    const ConnectedSockets::Socket* const known = connected_.get(socket);
    if (known == nullptr) {
        counters_.drop(DropReason::udp_not_connected);
        return SendResult::not_connected;
    }
    SendResult why = SendResult::sent;
    rte_mbuf* const mbuf = copied(known->options, payload, why);
    return mbuf == nullptr ? why : send(socket, mbuf, now);
}

SendResult Sockets::send(ConnectedSocket socket, rte_mbuf* payload, Instant now) noexcept {
    ConnectedSockets::Socket* const known = connected_.get(socket);
    if (known == nullptr) return refuse(payload, SendResult::not_connected, DropReason::udp_not_connected);
    const Departure from{
        .source = known->options.local_address, .interface = known->options.interface, .way = &known->way};
    return depart(known->options, from, payload, now);
}

rte_mbuf* Sockets::copied(const SendOptions& options, std::span<const std::byte> payload,
                          SendResult& why) noexcept {
    if (payload.size() > largest_datagram) {
        counters_.drop(DropReason::ip_too_big);
        why = SendResult::too_big;
        return nullptr;
    }
    // Where the stack is to cut, one mbuf a datagram: then nothing is copied again.
    const bool here = options.segment != 0 && payload.size() > options.segment &&
                      !internet_.offloads_for(options.remote_address).tx_udp_segmentation;
    rte_mbuf* const mbuf = ip::copy_octets(payload, stash_, here ? options.segment : SIZE_MAX);
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
    const std::size_t mtu = path_mtu(options.remote_address, from, now);
    if (mtu == 0) return refuse(payload, SendResult::no_route, DropReason::ip_no_route);
    const std::size_t size = payload->pkt_len, headers = headers_size(ipv6);
    const bool is_cut = options.segment != 0 && size > options.segment;
    const std::size_t largest = options.dont_fragment && !is_cut ? mtu : largest_packet(ipv6);
    if (size + headers > largest ||
        (is_cut && (options.segment + headers > mtu || size > ip::most_segments * options.segment)))
        return refuse(payload, SendResult::too_big, DropReason::ip_too_big);
    // An id is a packet's own where it may be fragmented (RFC 6864): what cuts a send knows none.
    if (is_cut && !options.dont_fragment && !ipv6) return depart_singly(options, from, payload, now);
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
                         .dont_fragment = options.dont_fragment || is_cut,
                         .segment_size = is_cut ? options.segment : std::uint16_t{0}};
    const bool sent = from.interface        ? internet_.output_to_group(packet, how, *from.interface, now)
                      : from.way != nullptr ? internet_.output(packet, how, *from.way, now)
                                            : internet_.output(packet, how, now);
    if (!sent) return SendResult::dropped;
    if (is_cut) {
        counters_.add(Counter::udp_segmented_out);
        counters_.add(Counter::udp_out, (size + options.segment - 1) / options.segment);
    } else {
        counters_.add(Counter::udp_out);
    }
    return SendResult::sent;
}

// Each datagram of a send as if it were sent by itself; the first that cannot leave ends it.
SendResult Sockets::depart_singly(const SendOptions& options, const Departure& from, rte_mbuf* payload,
                                  Instant now) noexcept {
    SendOptions single = options;
    single.segment = 0;
    SendResult result = SendResult::sent;
    for (std::uint32_t at = 0; at < payload->pkt_len && result == SendResult::sent; at += options.segment) {
        rte_mbuf* const piece = rte_pktmbuf_copy(payload, stash_.pool(), at, options.segment);
        if (piece == nullptr) return refuse(payload, SendResult::no_memory, DropReason::no_mbuf);
        result = depart(single, from, piece, now);
    }
    stash_.put(payload);
    return result;
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

// Octets of a packet; 0 where no route leads there.
std::size_t Sockets::path_mtu(const IpAddress& remote, const Departure& from, Instant now) const noexcept {
    if (from.interface) return internet_.mtu_of(*from.interface);
    return from.way != nullptr ? internet_.datagram_mtu_for(remote, *from.way, now)
                               : internet_.datagram_mtu_for(remote, now);
}

// A copy of each datagram for the sockets here that hear the group.
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
    const bool is_cut = options.segment != 0 && payload->pkt_len > options.segment;
    const std::uint32_t step = is_cut ? options.segment : std::max(payload->pkt_len, 1U);
    std::uint32_t at = 0;
    do {
        if (looped_.size() == most_looped) return counters_.drop(DropReason::udp_loop_full);
        rte_mbuf* const copy =
            is_cut ? rte_pktmbuf_copy(payload, stash_.pool(), at, step) : copy_of(*payload, stash_);
        if (copy == nullptr) return counters_.drop(DropReason::no_mbuf);
        looped_.push_back({about, copy});
        at += step;
    } while (at < payload->pkt_len);
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
