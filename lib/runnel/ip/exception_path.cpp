#include "runnel/ip/exception_path.hpp"

#include <algorithm>
#include <cstring>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/vlan.hpp"

namespace runnel::ip {

namespace {

constexpr std::size_t addresses_size = 12;
constexpr auto tcp = static_cast<std::uint8_t>(wire::IpProtocol::tcp);
constexpr auto udp = static_cast<std::uint8_t>(wire::IpProtocol::udp);

// Among virtual machines a port vouches for a segment whose checksum field is not filled in. The kernel gets
// it by another port, which says nothing of the kind.
void fill_in_checksum(const Ingress& in) noexcept {
    const bool is_tcp = in.protocol == tcp;
    const std::size_t at = is_tcp ? 16 : 6;
    if ((!is_tcp && in.protocol != udp) || in.mbuf->data_len < at + 2) return;
    const std::uint32_t length = in.mbuf->pkt_len;
    std::uint32_t pseudo = 0;
    if (in.ipv6 == nullptr) {
        pseudo = wire::pseudo_header_sum(in.source, in.destination, in.protocol,
                                         static_cast<std::uint16_t>(length));
    } else {
        const Ipv6Pair pair = in.ipv6_pair();
        pseudo = wire::pseudo_header_sum(pair.remote, pair.local, in.protocol, length);
    }
    auto* const header = rte_pktmbuf_mtod(in.mbuf, std::byte*);
    if (!is_tcp && wire::load_be16(header + at) == 0) return;  // it has none
    wire::store_be16(header + at, 0);
    const std::uint16_t sum = wire::checksum_finish(mbuf_checksum_add(in.mbuf, pseudo));
    wire::store_be16(header + at, !is_tcp && sum == 0 ? std::uint16_t{0xffff} : sum);
}

void fill(std::bitset<65536>& ports, const std::vector<PortRange>& ranges) {
    for (const PortRange& range : ranges)
        for (std::size_t port = range.first; port <= range.last; ++port) ports.set(port);
}

void give_back_octets(rte_mbuf* mbuf, std::size_t size) noexcept {
    mbuf->data_off = static_cast<std::uint16_t>(mbuf->data_off - size);
    mbuf->data_len = static_cast<std::uint16_t>(mbuf->data_len + size);
    mbuf->pkt_len += static_cast<std::uint32_t>(size);
}

}  // namespace

ExceptionPath::ExceptionPath(const Config& config, const Interfaces& interfaces, LinkOutput& link)
    : interfaces_(interfaces), link_(link) {
    if (!config.exception) return;
    ports_ = std::make_unique<Ports>();
    fill(ports_->tcp, config.exception->tcp);
    fill(ports_->udp, config.exception->udp);
    queue_ = std::make_unique<TransmitQueue>(config.exception->queue);
}

bool ExceptionPath::owns(std::uint8_t protocol, std::uint16_t port) const noexcept {
    return open() && has_rule(protocol, port);
}

bool ExceptionPath::has_rule(std::uint8_t protocol, std::uint16_t port) const noexcept {
    const Ports* const rules = open() ? ports_.get() : suspended_.get();
    if (rules == nullptr) return false;
    if (protocol == tcp) return rules->tcp[port];
    return protocol == udp && rules->udp[port];
}

bool ExceptionPath::owns(const Ingress& in) const noexcept {
    constexpr std::size_t ports_size = 4;
    if (!open() || in.mbuf->data_len < ports_size) return false;
    return owns(in.protocol, wire::load_be16(rte_pktmbuf_mtod(in.mbuf, const std::byte*) + 2));
}

void ExceptionPath::take(Ingress& in) noexcept {
    rte_mbuf* mbuf = in.mbuf;
    const std::uint64_t believed = interfaces_[in.interface].believed;
    const bool unfilled =
        (mbuf->ol_flags & believed & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
    give_back_octets(mbuf, in.ip_header_size);
    mbuf = make_writable(mbuf, link_);
    if (mbuf == nullptr) return;
    in.mbuf = mbuf;
    if (unfilled) [[unlikely]] {
        if (in.ipv6 != nullptr) in.ipv6 = rte_pktmbuf_mtod(mbuf, const std::byte*) + 8;
        rte_pktmbuf_adj(mbuf, in.ip_header_size);
        fill_in_checksum(in);
        give_back_octets(mbuf, in.ip_header_size);
    }
    // A packet that was put together of fragments has no link header of its own.
    auto* const header = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(mbuf, wire::ethernet_header_size));
    if (header == nullptr) return link_.drop(mbuf, DropReason::no_mbuf);
    std::ranges::copy(link_addresses_, header);
    const auto type = in.ipv6 == nullptr ? wire::EtherType::ipv4 : wire::EtherType::ipv6;
    wire::store_be16(header + addresses_size, static_cast<std::uint16_t>(type));
    push(mbuf, in.interface);
}

void ExceptionPath::take_frame(rte_mbuf* frame, const Interface& interface, std::size_t link_size) noexcept {
    if (link_size > wire::ethernet_header_size) {
        frame = make_writable(frame, link_);
        if (frame == nullptr) return;
        const std::size_t tags = link_size - wire::ethernet_header_size;
        auto* const start = rte_pktmbuf_mtod(frame, std::byte*);
        std::memmove(start + tags, start, addresses_size);
        rte_pktmbuf_adj(frame, static_cast<std::uint16_t>(tags));
    }
    push(frame, interface.index);
}

void ExceptionPath::push(rte_mbuf* frame, std::uint8_t interface) noexcept {
    // A driver may wait for ever with a frame that is longer than its port sends.
    if (frame->pkt_len > interfaces_[interface].mtu + wire::ethernet_header_size) [[unlikely]] {
        if (whole_id_) return push_cut(frame, interface);
        return link_.drop(frame, DropReason::frame_too_long);
    }
    // What the port says of a frame is no word to the one that sends it on; where its octets lie stays true.
    frame->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    frame->port = interface;
    if (queue_->push(frame)) [[likely]] {
        link_.counters().add(Counter::frames_to_kernel);
        return;
    }
    link_.drop(frame, DropReason::exception_queue_full);
}

bool ExceptionPath::send(rte_mbuf* frame, std::uint8_t interface) noexcept {
    const Interface& way = interfaces_[interface];
    const auto refuse = [&](DropReason reason) {
        link_.drop(frame, reason);
        return false;
    };
    if (frame->data_len < wire::ethernet_header_size) return refuse(DropReason::ethernet_truncated);
    if (frame->pkt_len > way.mtu + wire::ethernet_header_size) return refuse(DropReason::frame_too_long);
    if (frame->nb_segs > way.offloads.tx_chain && rte_pktmbuf_linearize(frame) != 0)
        return refuse(DropReason::no_mbuf);
    frame->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    if (way.port_inserts_tag) {
        frame->ol_flags |= RTE_MBUF_F_TX_VLAN;
        frame->vlan_tci = way.vlan;
    } else if (way.vlan != 0) {
        // The type that stands behind the addresses becomes that behind the tags.
        const std::size_t tags = way.link_header_size - wire::ethernet_header_size;
        auto* const start =
            reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(frame, static_cast<std::uint16_t>(tags)));
        if (start == nullptr) return refuse(DropReason::no_mbuf);
        std::memmove(start, start + tags, addresses_size);
        std::byte* tag = start + addresses_size;
        const auto write = [&tag](wire::EtherType type, std::uint16_t id) {
            wire::store_be16(tag, static_cast<std::uint16_t>(type));
            wire::store_be16(tag + 2, id);
            tag += wire::vlan_tag_size;
        };
        if (way.outer_vlan != 0) write(wire::EtherType::service_vlan, way.outer_vlan);
        write(wire::EtherType::vlan, way.vlan);
    }
    frame->port = way.port;
    if (!link_.queue(frame)) return false;
    link_.counters().add(Counter::frames_from_kernel);
    return true;
}

}  // namespace runnel::ip
