#include "runnel/udp/sockets.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include <fmt/format.h>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/udp/payload_copy.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel::udp {

namespace {

std::uint32_t validated(std::uint32_t sockets) {
    if (sockets == 0 || sockets > 1U << 24)
        throw std::invalid_argument(fmt::format("udp.sockets = {}: give 1 to 16777216", sockets));
    return sockets;
}

}  // namespace

Sockets::Sockets(const Config& config, const Secrets& secrets, ip::InternetLayer& internet,
                 Counters& counters, MbufStash& stash)
    : internet_(internet),
      counters_(counters),
      stash_(stash),
      groups_(internet),
      connected_(config, secrets),
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
        payload = copy_of(*payload, stash_);
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
    Datagram about{.source_address = in.source_address(),
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
    // The socket that says most of the datagram hears it.
    Handler* handler = nullptr;
    if (!connected_.empty()) [[unlikely]] {
        about.socket = connected_.find(in, about.source_port, port);
        if (about.socket) handler = connected_.get(about.socket)->handler;
    }
    if (handler == nullptr) handler = find_or_any(about.destination_address, port);
    if (handler == nullptr) {
        internet_.send_port_unreachable(in, now);
        return drop(mbuf, DropReason::udp_no_socket);
    }
    rte_pktmbuf_adj(mbuf, wire::udp_header_size);
    if (handler->datagram(about, *mbuf) == Ownership::returned) stash_.put(mbuf);
}

bool Sockets::icmp_error(const ip::IcmpError& error) noexcept {
    if (error.protocol != static_cast<std::uint8_t>(wire::IpProtocol::udp)) return false;
    Handler* handler = nullptr;
    ConnectedSocket connected;
    if (!connected_.empty()) {
        connected =
            connected_.find(error.destination, error.destination_port, error.source, error.source_port);
        if (connected) handler = connected_.get(connected)->handler;
    }
    if (handler == nullptr) handler = find_or_any(error.source, error.source_port);
    if (handler == nullptr) return false;
    handler->error({.type = error.type,
                    .code = error.code,
                    .next_hop_mtu = error.next_hop_mtu,
                    .local_address = error.source,
                    .remote_address = error.destination,
                    .local_port = error.source_port,
                    .remote_port = error.destination_port,
                    .socket = connected});
    return true;
}

}  // namespace runnel::udp
