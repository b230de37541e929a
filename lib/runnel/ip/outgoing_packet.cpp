#include "runnel/ip/outgoing_packet.hpp"

#include <cstring>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"

namespace runnel::ip {

namespace {

unsigned tcp_header_size(const std::byte* header) noexcept {
    return std::to_integer<unsigned>(header[tcp_data_offset_at] >> 4) * 4;
}

// Octets of the largest packet that leaves the port, of what is to be cut the largest piece.
std::size_t largest_packet(const rte_mbuf* packet, const Output& how, std::size_t ip_header_size) noexcept {
    if (how.segment_size == 0) return packet->pkt_len + ip_header_size;
    return ip_header_size + tcp_header_size(rte_pktmbuf_mtod(packet, const std::byte*)) + how.segment_size;
}

// In software; 0 stands for none (RFC 768).
void write_udp_checksum(rte_mbuf* packet, std::uint32_t pseudo) noexcept {
    const std::uint16_t sum = wire::checksum_finish(mbuf_checksum_add(packet, pseudo));
    wire::store_be16(rte_pktmbuf_mtod(packet, std::byte*) + udp_checksum_at,
                     sum == 0 ? std::uint16_t{0xffff} : sum);
}

// The octets of a chain in one mbuf, for a port that takes no more. False where they do not fit one, or none
// is to be had.
bool linearize(rte_mbuf*& packet, MbufStash& stash) noexcept {
    rte_mbuf* const whole = stash.take_data();
    if (whole == nullptr) return false;
    char* const room = packet->pkt_len > UINT16_MAX
                           ? nullptr
                           : rte_pktmbuf_append(whole, static_cast<std::uint16_t>(packet->pkt_len));
    if (room == nullptr) {
        stash.put(whole);
        return false;
    }
    std::size_t at = 0;
    for (const rte_mbuf* part = packet; part != nullptr; part = part->next) {
        std::memcpy(room + at, rte_pktmbuf_mtod(part, const char*), part->data_len);
        at += part->data_len;
    }
    stash.put(packet);
    packet = whole;
    return true;
}

}  // namespace

bool fit(rte_mbuf*& packet, const Output& how, const Interface& interface, std::size_t ip_header_size,
         LinkOutput& link) noexcept {
    if (largest_packet(packet, how, ip_header_size) > interface.mtu ||
        packet->pkt_len + ip_header_size > UINT16_MAX ||
        (how.segment_size != 0 && !interface.offloads.tx_tcp_segmentation)) [[unlikely]] {
        link.drop(packet, DropReason::ip_too_big);
        return false;
    }
    const std::size_t most_mbufs =
        how.segment_size != 0 ? interface.offloads.tx_large_chain : interface.offloads.tx_chain;
    if (packet->nb_segs > most_mbufs) [[unlikely]] {
        if (!linearize(packet, link.stash())) {
            link.drop(packet, DropReason::no_mbuf);
            return false;
        }
        link.counters().add(Counter::frames_linearized);
    }
    if (rte_pktmbuf_headroom(packet) < ip_header_size + max_link_header_size) [[unlikely]] {
        link.drop(packet, DropReason::no_mbuf);
        return false;
    }
    return true;
}

bool fit_uncut(rte_mbuf* packet, std::size_t largest, std::size_t headers_size, LinkOutput& link) noexcept {
    if (packet->pkt_len > largest) [[unlikely]] {
        link.drop(packet, DropReason::ip_too_big);
        return false;
    }
    if (rte_pktmbuf_headroom(packet) < headers_size + max_link_header_size) [[unlikely]] {
        link.drop(packet, DropReason::no_mbuf);
        return false;
    }
    return true;
}

void finish_transport_of_uncut(rte_mbuf* packet, const Output& how, std::uint32_t pseudo) noexcept {
    if (how.protocol == protocol_udp) write_udp_checksum(packet, pseudo + packet->pkt_len);
}

void finish_transport(rte_mbuf* packet, const Output& how, const Interface& interface, std::uint32_t pseudo,
                      std::uint64_t version) noexcept {
    auto* const header = rte_pktmbuf_mtod(packet, std::byte*);
    if (how.segment_size != 0) {
        // The port adds the length of each segment that it makes to the sum of the rest of the pseudo-header.
        packet->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | version;
        packet->l4_len = tcp_header_size(header) & 0xff;
        packet->tso_segsz = how.segment_size;
        wire::store_be16(header + tcp_checksum_at, wire::checksum_fold(pseudo));
        return;
    }
    pseudo += packet->pkt_len;
    if (how.protocol == protocol_tcp) {
        if (interface.offloads.tx_tcp_checksum) {
            packet->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | version;
            packet->l4_len = tcp_header_size(header) & 0xff;
            wire::store_be16(header + tcp_checksum_at, wire::checksum_fold(pseudo));
        } else {
            wire::store_be16(header + tcp_checksum_at,
                             wire::checksum_finish(mbuf_checksum_add(packet, pseudo)));
        }
    } else if (how.protocol == protocol_udp) {
        if (interface.offloads.tx_udp_checksum) {
            packet->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM | version;
            packet->l4_len = 8;
            wire::store_be16(header + udp_checksum_at, wire::checksum_fold(pseudo));
        } else {
            write_udp_checksum(packet, pseudo);
        }
    }
}

std::optional<TransportFlow> flow_of(const rte_mbuf* packet, const Output& how,
                                     std::size_t ip_header_size) noexcept {
    if (how.protocol != protocol_tcp || packet->data_len < ip_header_size + 4) return std::nullopt;
    const auto* const ports = rte_pktmbuf_mtod_offset(packet, const std::byte*, ip_header_size);
    TransportFlow flow{.remote_port = wire::load_be16(ports + 2), .local_port = wire::load_be16(ports)};
    if (how.ipv6 != nullptr) {
        flow.remote = how.ipv6->remote;
        flow.local = how.ipv6->local;
    } else {
        flow.remote = how.destination;
        flow.local = how.source;
    }
    return flow;
}

}  // namespace runnel::ip
