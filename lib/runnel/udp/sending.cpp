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

SendResult Sockets::refuse(rte_mbuf* mbuf, SendResult why) noexcept {
    const auto reason = [why] {
        switch (why) {
            case SendResult::family_unsupported:
                return DropReason::ip_family_unsupported;
            case SendResult::no_route:
                return DropReason::ip_no_route;
            case SendResult::not_our_address:
                return DropReason::ip_bad_source;
            case SendResult::too_big:
                return DropReason::ip_too_big;
            case SendResult::not_connected:
                return DropReason::udp_not_connected;
            case SendResult::sent:
            case SendResult::no_memory:
            case SendResult::dropped:
                break;
        }
        return DropReason::no_mbuf;
    };
    counters_.drop(reason());
    if (mbuf != nullptr) stash_.put(mbuf);
    return why;
}

SendResult Sockets::send_to(const SendOptions& options, std::span<const std::byte> payload,
                            Instant now) noexcept {
    Departure from;
    const SendResult found = find_departure(options, from);
    return found == SendResult::sent ? depart(options, from, payload, now) : refuse(nullptr, found);
}

SendResult Sockets::send_to(const SendOptions& options, rte_mbuf* payload, Instant now) noexcept {
    Departure from;
    const SendResult found = find_departure(options, from);
    return found == SendResult::sent ? depart(options, from, payload, now) : refuse(payload, found);
}

SendResult Sockets::send(ConnectedSocket socket, std::span<const std::byte> payload, Instant now) noexcept {
    ConnectedSockets::Socket* const known = connected_.get(socket);
    if (known == nullptr) return refuse(nullptr, SendResult::not_connected);
    return depart(known->options, departure_of(*known), payload, now);
}

SendResult Sockets::send(ConnectedSocket socket, rte_mbuf* payload, Instant now) noexcept {
    ConnectedSockets::Socket* const known = connected_.get(socket);
    if (known == nullptr) return refuse(payload, SendResult::not_connected);
    return depart(known->options, departure_of(*known), payload, now);
}

SendResult Sockets::find_departure(const SendOptions& options, Departure& from) const noexcept {
    const bool ipv6 = !options.remote_address.is_v4();
    const bool any_local = options.local_address.is_unspecified();
    if ((ipv6 && !internet_.speaks_ipv6()) || (!any_local && options.local_address.is_v4() == ipv6))
        return SendResult::family_unsupported;
    const auto found = departure_of(options);
    if (!found || options.remote_port == 0) return SendResult::no_route;
    from = *found;
    if (!any_local) from.source = options.local_address;
    return SendResult::sent;
}

SendResult Sockets::inspect(const SendOptions& options, const Departure& from, std::size_t size,
                            Parcel& parcel, Instant now) const noexcept {
    const bool ipv6 = !options.remote_address.is_v4();
    if (!internet_.is_local(from.source)) return SendResult::not_our_address;
    const std::size_t mtu = path_mtu(options.remote_address, from, now);
    if (mtu == 0) return SendResult::no_route;
    const std::size_t headers = headers_size(ipv6);
    const bool is_cut = options.segment != 0 && size > options.segment;
    const std::size_t largest = options.dont_fragment && !is_cut ? mtu : largest_packet(ipv6);
    if (size + headers > largest ||
        (is_cut && (options.segment + headers > mtu || size > ip::most_segments * options.segment)))
        return SendResult::too_big;
    parcel.ipv6 = ipv6;
    parcel.is_cut = is_cut;
    parcel.pair = {options.remote_address.v6(), from.source.v6()};
    parcel.how = {.source = from.source.v4(),
                  .destination = options.remote_address.v4(),
                  .ipv6 = ipv6 ? &parcel.pair : nullptr,
                  .protocol = static_cast<std::uint8_t>(wire::IpProtocol::udp),
                  .tos = options.tos,
                  .ttl = options.ttl == 0 && from.interface ? group_ttl : options.ttl,
                  .dont_fragment = options.dont_fragment,
                  .segment_size = is_cut ? options.segment : std::uint16_t{0}};
    return SendResult::sent;
}

// Of `size` octets of data; false where there is no room for it.
bool Sockets::write_header(const SendOptions& options, rte_mbuf* packet, std::size_t size) const noexcept {
    char* const room = rte_pktmbuf_prepend(packet, wire::udp_header_size);
    if (room == nullptr) return false;
    wire::write(wire::UdpHeader{.source_port = options.local_port,
                                .destination_port = options.remote_port,
                                .length = static_cast<std::uint16_t>(wire::udp_header_size + size)},
                std::span<std::byte, wire::udp_header_size>{reinterpret_cast<std::byte*>(room),
                                                            wire::udp_header_size});
    return true;
}

void Sockets::count_sent(const SendOptions& options, const Parcel& parcel, std::size_t size) noexcept {
    if (!parcel.is_cut) return counters_.add(Counter::udp_out);
    counters_.add(Counter::udp_segmented_out);
    counters_.add(Counter::udp_out, (size + options.segment - 1) / options.segment);
}

SendResult Sockets::depart(const SendOptions& options, const Departure& from, std::span<const std::byte> data,
                           Instant now) noexcept {
    if (options.segment == 0 || data.size() <= options.segment || from.interface ||
        (!options.dont_fragment && options.remote_address.is_v4())) {
        if (data.size() > largest_datagram) return refuse(nullptr, SendResult::too_big);
        rte_mbuf* const mbuf = ip::copy_octets(data, stash_);
        if (mbuf == nullptr) return refuse(nullptr, SendResult::no_memory);
        return depart(options, from, mbuf, now);
    }
    // What is cut here is copied once, into its datagrams.
    Parcel parcel;
    if (const SendResult why = inspect(options, from, data.size(), parcel, now); why != SendResult::sent)
        return refuse(nullptr, why);
    parcel.how.dont_fragment = true;
    rte_mbuf* const head = stash_.take_data();
    if (head == nullptr || !write_header(options, head, data.size()))
        return refuse(head, SendResult::no_memory);
    if (!internet_.output_data(head, data, parcel.how, from.way, now)) return SendResult::dropped;
    count_sent(options, parcel, data.size());
    return SendResult::sent;
}

SendResult Sockets::depart(const SendOptions& options, const Departure& from, rte_mbuf* payload,
                           Instant now) noexcept {
    const std::size_t size = payload->pkt_len;
    Parcel parcel;
    if (const SendResult why = inspect(options, from, size, parcel, now); why != SendResult::sent)
        return refuse(payload, why);
    // An id is a packet's own where it may be fragmented (RFC 6864): what cuts a send knows none. And who
    // hears the group on this host gets datagrams.
    if (parcel.is_cut && ((!options.dont_fragment && !parcel.ipv6) || (options.loop && from.interface)))
        return depart_singly(options, from, payload, now);
    parcel.how.dont_fragment |= parcel.is_cut;
    if (options.loop && from.interface) loop(options, from, payload);

    // What an mbuf brings from its reception is no word to the port that sends it; where its octets lie stays
    // true.
    payload->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    const bool own_head =
        RTE_MBUF_DIRECT(payload) && rte_mbuf_refcnt_read(payload) == 1 &&
        rte_pktmbuf_headroom(payload) >= headers_size(parcel.ipv6) + ip::max_link_header_size +
                                             (parcel.ipv6 ? wire::ipv6_fragment_header_size : std::size_t{0});
    rte_mbuf* packet = payload;
    if (!own_head) {
        packet = stash_.take_data();
        if (packet == nullptr) return refuse(payload, SendResult::no_memory);
        if (size == 0) {
            stash_.put(payload);  // there is nothing in it
        } else if (rte_pktmbuf_chain(packet, payload) != 0) {
            stash_.put(packet);
            return refuse(payload, SendResult::no_memory);
        }
    }
    if (!write_header(options, packet, size)) return refuse(packet, SendResult::no_memory);
    if (options.loop && from.interface) internet_.loop_to_cores(*packet, parcel.how, *from.interface);
    const bool sent = from.interface ? internet_.output_to_group(packet, parcel.how, *from.interface, now)
                      : from.way != nullptr ? internet_.output(packet, parcel.how, *from.way, now)
                                            : internet_.output(packet, parcel.how, now);
    if (!sent) return SendResult::dropped;
    count_sent(options, parcel, size);
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
        if (piece == nullptr) return refuse(payload, SendResult::no_memory);
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
