#include "runnel/udp/sockets.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "runnel/ip/link_output.hpp"
#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/mbuf_octets.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel::udp {

namespace {

// Some versions of DPDK copy no packet without octets.
rte_mbuf* copy_of(const rte_mbuf* payload, MbufStash& stash) noexcept {
    if (payload->pkt_len == 0) return stash.take_data();
    return rte_pktmbuf_copy(payload, stash.pool(), 0, UINT32_MAX);
}

constexpr std::size_t largest_datagram = std::numeric_limits<std::uint16_t>::max() - wire::udp_header_size;

// Where nothing else is said a datagram to a group stays on the link (RFC 1112 section 6.1).
constexpr std::uint8_t group_ttl = 1;

constexpr std::size_t headers_size(bool ipv6) noexcept {
    return wire::udp_header_size + (ipv6 ? wire::ipv6_header_size : wire::ipv4_header_size);
}

std::uint32_t validated(std::uint32_t sockets) {
    if (sockets == 0 || sockets > 1U << 24)
        throw std::invalid_argument(fmt::format("udp.sockets = {}: give 1 to 16777216", sockets));
    return sockets;
}

}  // namespace

Sockets::Sockets(const Config& config, ip::InternetLayer& internet, Counters& counters, MbufStash& stash)
    : internet_(internet),
      counters_(counters),
      stash_(stash),
      groups_(internet),
      sockets_(validated(config.sockets)),
      buckets_(std::min(std::bit_ceil(config.sockets), 65536U), none) {
    for (std::uint32_t i = config.sockets; i-- > 0;) {
        sockets_[i].next = free_;
        free_ = i;
    }
    looped_.reserve(most_looped);
    looping_.reserve(most_looped);
}

Sockets::~Sockets() {
    for (const Looped& one : looped_) stash_.put(one.payload);
}

void Sockets::bind(IpAddress address, std::uint16_t port, Handler& handler) {
    if (port == 0) throw std::invalid_argument("udp port = 0: give 1 to 65535");
    if (!address.is_unspecified() && !internet_.is_configured(address))
        throw std::invalid_argument(fmt::format(
            "udp address = {}: is not ours; give an interface's, or none for all", to_string(address)));
    if (address.is_unspecified()) address = IpAddress{};
    if (find(address, port) != nullptr)
        throw std::invalid_argument(
            fmt::format("udp port = {}: is bound already at {}; give another, or unbind it first", port,
                        to_string(address)));
    if (free_ == none)
        throw std::length_error(
            fmt::format("udp.sockets = {}: all are in use; give more, or unbind one", sockets_.size()));
    const std::uint32_t index = free_;
    free_ = sockets_[index].next;
    std::uint32_t& bucket = bucket_of(address, port);
    sockets_[index] = {address, port, &handler, bucket};
    bucket = index;
    ++size_;
}

bool Sockets::unbind(IpAddress address, std::uint16_t port) noexcept {
    if (address.is_unspecified()) address = IpAddress{};
    for (std::uint32_t* link = &bucket_of(address, port); *link != none; link = &sockets_[*link].next) {
        Socket& socket = sockets_[*link];
        if (socket.port != port || socket.address != address) continue;
        const std::uint32_t index = *link;
        *link = socket.next;
        socket = Socket{};
        socket.next = free_;
        free_ = index;
        --size_;
        return true;
    }
    return false;
}

std::uint32_t& Sockets::bucket_of(const IpAddress& address, std::uint16_t port) noexcept {
    const std::uint64_t key = address.is_v4() ? address.v4().value : address.v6().high() ^ address.v6().low();
    const std::uint64_t mixed = key * 0x9e3779b97f4a7c15U;
    return buckets_[((mixed >> 32) + port) & (buckets_.size() - 1)];
}

Handler* Sockets::find(const IpAddress& address, std::uint16_t port) noexcept {
    for (std::uint32_t i = bucket_of(address, port); i != none; i = sockets_[i].next)
        if (sockets_[i].port == port && sockets_[i].address == address) return sockets_[i].handler;
    return nullptr;
}

Handler* Sockets::find_or_any(const IpAddress& address, std::uint16_t port) noexcept {
    Handler* handler = find(address, port);
    return handler != nullptr ? handler : find(IpAddress{}, port);
}

void Sockets::drop(rte_mbuf* mbuf, DropReason reason) noexcept {
    counters_.drop(reason);
    stash_.put(mbuf);
}

SendResult Sockets::refuse(rte_mbuf* mbuf, SendResult why, DropReason reason) noexcept {
    drop(mbuf, reason);
    return why;
}

SendResult Sockets::send_to(const SendOptions& options, std::span<const std::byte> payload,
                            Instant now) noexcept {
    if (payload.size() > largest_datagram) {
        counters_.drop(DropReason::ip_too_big);
        return SendResult::too_big;
    }
    rte_mbuf* const mbuf = ip::copy_octets(payload, stash_);
    if (mbuf == nullptr) {
        counters_.drop(DropReason::no_mbuf);
        return SendResult::no_memory;
    }
    return send_to(options, mbuf, now);
}

SendResult Sockets::send_to(const SendOptions& options, rte_mbuf* payload, Instant now) noexcept {
    const IpAddress& remote = options.remote_address;
    const bool ipv6 = !remote.is_v4();
    const bool any_local = options.local_address.is_unspecified();
    if ((ipv6 && !internet_.speaks_ipv6()) || (!any_local && options.local_address.is_v4() == ipv6))
        return refuse(payload, SendResult::family_unsupported, DropReason::ip_family_unsupported);
    const auto way = way_to(options);
    if (!way || options.remote_port == 0)
        return refuse(payload, SendResult::no_route, DropReason::ip_no_route);
    const IpAddress local = any_local ? way->source : options.local_address;
    if (!internet_.is_local(local))
        return refuse(payload, SendResult::not_our_address, DropReason::ip_bad_source);
    if (payload->pkt_len + headers_size(ipv6) > largest_packet(options, *way, now))
        return refuse(payload, SendResult::too_big, DropReason::ip_too_big);
    if (options.loop && way->interface) loop(options, *way, local, payload);

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
    const ip::Ipv6Pair pair{remote.v6(), local.v6()};
    const ip::Output how{.source = local.v4(),
                         .destination = remote.v4(),
                         .ipv6 = ipv6 ? &pair : nullptr,
                         .protocol = static_cast<std::uint8_t>(wire::IpProtocol::udp),
                         .tos = options.tos,
                         .ttl = options.ttl == 0 && way->interface ? group_ttl : options.ttl,
                         .dont_fragment = options.dont_fragment};
    const bool sent = way->interface ? internet_.output_to_group(packet, how, *way->interface, now)
                                     : internet_.output(packet, how, now);
    if (!sent) return SendResult::dropped;
    counters_.add(Counter::udp_out);
    return SendResult::sent;
}

std::optional<Sockets::Way> Sockets::way_to(const SendOptions& options) const noexcept {
    const IpAddress& remote = options.remote_address;
    if (!is_multicast(remote)) {
        const auto source = internet_.source_for(remote);
        if (!source) return std::nullopt;
        return Way{*source, std::nullopt};
    }
    const auto interface = options.interface ? options.interface : internet_.interface_for(remote);
    if (!interface) return std::nullopt;
    const auto source = internet_.source_on(*interface, remote);
    if (!source) return std::nullopt;
    return Way{*source, interface};
}

std::size_t Sockets::largest_packet(const SendOptions& options, const Way& way, Instant now) const noexcept {
    const bool ipv6 = !options.remote_address.is_v4();
    if (!options.dont_fragment) return ipv6 ? UINT16_MAX + wire::ipv6_header_size : std::size_t{UINT16_MAX};
    return way.interface ? internet_.mtu_of(*way.interface)
                         : internet_.datagram_mtu_for(options.remote_address, now);
}

// A copy for the sockets here that hear the group.
void Sockets::loop(const SendOptions& options, const Way& way, const IpAddress& local,
                   const rte_mbuf* payload) noexcept {
    const Datagram about{.source_address = local,
                         .destination_address = options.remote_address,
                         .source_port = options.local_port,
                         .destination_port = options.remote_port,
                         .ttl = options.ttl == 0 ? group_ttl : options.ttl,
                         .tos = options.tos,
                         .group = true,
                         .interface = *way.interface};
    if (groups_.hearers(about).count == 0) return;
    if (looped_.size() == most_looped) return counters_.drop(DropReason::udp_loop_full);
    rte_mbuf* const copy = copy_of(payload, stash_);
    if (copy == nullptr) return counters_.drop(DropReason::no_mbuf);
    looped_.push_back({about, copy});
}

void Sockets::advance() noexcept {
    if (looped_.empty()) [[likely]]
        return;
    // What is sent meanwhile waits for the next turn.
    looping_.swap(looped_);
    for (const Looped& one : looping_)
        if (!deliver_to_group(one.about, one.payload, false)) stash_.put(one.payload);
    looping_.clear();
}

void Sockets::give(Handler& handler, const Datagram& about, rte_mbuf* payload, bool copy) noexcept {
    if (copy) {
        payload = copy_of(payload, stash_);
        if (payload == nullptr) return counters_.drop(DropReason::no_mbuf);
        counters_.add(Counter::udp_group_copies);
    }
    if (handler.datagram(about, *payload) == Ownership::returned) stash_.put(payload);
}

// Each socket that hears the group gets a copy, the last one the datagram itself. Takes the mbuf, but where
// nobody hears it, and then returns false.
bool Sockets::deliver_to_group(const Datagram& about, rte_mbuf* payload, bool also_bound) noexcept {
    const GroupReceivers::Hearers hearers = groups_.hearers(about);
    Handler* const bound = also_bound ? find(IpAddress{}, about.destination_port) : nullptr;
    if (hearers.count == 0 && bound == nullptr) return false;
    std::size_t left = hearers.count + (bound != nullptr ? 1 : 0);
    bool given = false;
    for (std::size_t i = 0; i < hearers.count; ++i) {
        --left;
        // One that was called before may have had it leave.
        if (i > 0 && !groups_.hears(*hearers.handlers[i], about)) continue;
        give(*hearers.handlers[i], about, payload, left > 0);
        given |= left == 0;
    }
    if (bound != nullptr && find(IpAddress{}, about.destination_port) == bound) {
        give(*bound, about, payload, false);
        given = true;
    }
    if (!given) stash_.put(payload);
    return true;
}

void Sockets::input(ip::Ingress& in, Instant now) noexcept {
    rte_mbuf* const mbuf = in.mbuf;
    const std::span<const std::byte> header = ip::first_segment(mbuf);
    switch (wire::check_udp_header(header, mbuf->pkt_len)) {
        case wire::UdpFault::truncated:
            return drop(mbuf, DropReason::udp_truncated);
        case wire::UdpFault::bad_length:
            return drop(mbuf, DropReason::udp_bad_length);
        case wire::UdpFault::none:
            break;
    }
    // What the IP packet holds beyond the datagram is not of it (and not in its checksum).
    const std::size_t length = wire::load_be16(header, 4);
    if (length < mbuf->pkt_len) ip::trim(mbuf, length);
    const bool has_checksum = wire::load_be16(header, 6) != 0;
    // Over IPv6 a datagram without one is of nobody known (RFC 8200 section 8.1).
    if (!has_checksum && in.ipv6 != nullptr) return drop(mbuf, DropReason::udp_bad_checksum);
    if (has_checksum && !ip::transport_checksum_holds(in)) return drop(mbuf, DropReason::udp_bad_checksum);
    counters_.add(Counter::udp_in);

    const std::uint16_t port = wire::load_be16(header, 2);
    const Datagram about{.source_address = in.source_address(),
                         .destination_address = in.destination_address(),
                         .source_port = wire::load_be16(header, 0),
                         .destination_port = port,
                         .ttl = in.ttl,
                         .tos = in.tos,
                         .group = in.group,
                         .interface = in.interface};
    if (in.group) [[unlikely]] {
        rte_pktmbuf_adj(mbuf, wire::udp_header_size);
        if (deliver_to_group(about, mbuf, internet_.hears_unasked(in))) return;
        rte_pktmbuf_prepend(mbuf, wire::udp_header_size);
        return internet_.decline(in, DropReason::udp_no_socket);
    }
    Handler* const handler = find_or_any(about.destination_address, port);
    if (handler == nullptr) {
        internet_.send_port_unreachable(in, now);
        return drop(mbuf, DropReason::udp_no_socket);
    }
    rte_pktmbuf_adj(mbuf, wire::udp_header_size);
    if (handler->datagram(about, *mbuf) == Ownership::returned) stash_.put(mbuf);
}

bool Sockets::icmp_error(const ip::IcmpError& error) noexcept {
    if (error.protocol != static_cast<std::uint8_t>(wire::IpProtocol::udp)) return false;
    Handler* const handler = find_or_any(error.source, error.source_port);
    if (handler == nullptr) return false;
    handler->error({.type = error.type,
                    .code = error.code,
                    .next_hop_mtu = error.next_hop_mtu,
                    .local_address = error.source,
                    .remote_address = error.destination,
                    .local_port = error.source_port,
                    .remote_port = error.destination_port});
    return true;
}

}  // namespace runnel::udp
