#include "runnel/ip/received_frame.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "runnel/ip/outgoing_packet.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmp.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/udp.hpp"
#include "runnel/wire/vlan.hpp"

namespace runnel::ip {

namespace {

// Of a chain of extension headers, the longest TCP header, and what an ICMPv6 error quotes of both. A longer
// chain, cut off in the first segment, is malformed to the parser.
constexpr std::size_t largest_ipv6_headers = 512;

// The first `size` octets, or all of a shorter frame, in the first segment: what is missing there moves, and
// no more.
bool gather(rte_mbuf* frame, std::size_t size) noexcept {
    size = std::min<std::size_t>(size, frame->pkt_len);
    if (frame->data_len >= size) return true;
    // The other segments' octets go behind those of the first, which must be ours alone.
    if (!RTE_MBUF_DIRECT(frame) || rte_mbuf_refcnt_read(frame) != 1) return false;
    for (const rte_mbuf* part = frame->next; part != nullptr; part = part->next)
        if (rte_mbuf_refcnt_read(part) != 1) return rte_pktmbuf_linearize(frame) == 0;
    return pull_up(frame, size);
}

// Of a TCP segment behind `end` octets of headers its own header.
bool gather_tcp(rte_mbuf* frame, std::size_t end) noexcept {
    constexpr std::size_t header_size = 20;
    if (!gather(frame, end + header_size)) return false;
    if (frame->data_len < end + header_size) return true;
    const auto words =
        std::to_integer<std::size_t>(rte_pktmbuf_mtod(frame, const std::byte*)[end + tcp_data_offset_at]) >>
        4;
    return gather(frame, end + words * 4);
}

// Of a packet behind `ip` octets of link headers, whose chain of extension headers ends nobody knows where;
// what most are, has none.
bool gather_ipv6(rte_mbuf* frame, std::size_t ip) noexcept {
    const std::size_t end = ip + wire::ipv6_header_size;
    if (!gather(frame, end)) return false;
    if (frame->data_len < end) return true;
    const auto next = std::to_integer<std::uint8_t>(rte_pktmbuf_mtod(frame, const std::byte*)[ip + 6]);
    switch (wire::IpProtocol{next}) {
        case wire::IpProtocol::tcp:
            return gather_tcp(frame, end);
        case wire::IpProtocol::udp:
            return gather(frame, end + wire::udp_header_size);
        case wire::IpProtocol::icmp:
        case wire::IpProtocol::igmp:
            break;
    }
    return gather(frame, ip + largest_ipv6_headers);
}

}  // namespace

bool gather_headers(rte_mbuf* frame) noexcept {
    std::size_t end = wire::ethernet_header_size;
    if (!gather(frame, end)) return false;
    const auto octet = [frame](std::size_t at) {
        return std::to_integer<std::size_t>(rte_pktmbuf_mtod(frame, const std::byte*)[at]);
    };
    const auto type_at = [frame](std::size_t at) {
        return wire::EtherType{wire::load_be16(rte_pktmbuf_mtod(frame, const std::byte*) + at)};
    };
    // A frame that ends before a field is read ends the work: the parser will say what it lacks.
    const auto holds = [frame](std::size_t size) { return frame->data_len >= size; };
    if (!holds(end)) return true;
    wire::EtherType type = type_at(12);
    for (int tags = 0; tags < 2 && wire::is_vlan_tag(type); ++tags) {
        end += wire::vlan_tag_size;
        if (!gather(frame, end)) return false;
        if (!holds(end)) return true;
        type = type_at(end - 2);
    }
    if (type == wire::EtherType::arp) return gather(frame, frame->pkt_len);
    if (type == wire::EtherType::ipv6) return gather_ipv6(frame, end);
    if (type != wire::EtherType::ipv4) return true;
    const std::size_t ip = end;
    end += wire::ipv4_header_size;
    if (!gather(frame, end)) return false;
    if (!holds(end)) return true;
    end = ip + (octet(ip) & 0xf) * 4;
    switch (wire::IpProtocol{static_cast<std::uint8_t>(octet(ip + 9))}) {
        case wire::IpProtocol::tcp:
            return gather_tcp(frame, end);
        case wire::IpProtocol::udp:
            return gather(frame, end + wire::udp_header_size);
        case wire::IpProtocol::icmp:
            return gather(frame, end + wire::icmp_header_size + wire::ipv4_max_header_size + 8);
        case wire::IpProtocol::igmp:
            break;
    }
    return gather(frame, end);
}

bool pull_up(rte_mbuf* frame, std::size_t size) noexcept {
    if (frame->data_len >= size) [[likely]]
        return true;
    std::size_t missing = size - frame->data_len;
    if (missing > rte_pktmbuf_tailroom(frame)) return false;
    while (missing > 0) {
        rte_mbuf* const part = frame->next;
        const auto taken = static_cast<std::uint16_t>(std::min<std::size_t>(missing, part->data_len));
        std::memcpy(rte_pktmbuf_mtod_offset(frame, std::byte*, frame->data_len),
                    rte_pktmbuf_mtod(part, const std::byte*), taken);
        frame->data_len = static_cast<std::uint16_t>(frame->data_len + taken);
        part->data_off = static_cast<std::uint16_t>(part->data_off + taken);
        part->data_len = static_cast<std::uint16_t>(part->data_len - taken);
        missing -= taken;
        if (part->data_len > 0) continue;
        frame->next = part->next;
        --frame->nb_segs;
        part->next = nullptr;
        rte_pktmbuf_free_seg(part);
    }
    return true;
}

std::optional<LinkTags> read_link_tags(const rte_mbuf* frame) noexcept {
    const auto* const octets = rte_pktmbuf_mtod(frame, const std::byte*);
    LinkTags tags{.type = wire::load_be16(octets + 12), .size = wire::ethernet_header_size};
    int read = 0;
    const auto note = [&](std::uint16_t tci) {
        tags.outer = tags.vlan;
        tags.vlan = wire::vlan_id(tci);
        ++read;
    };
    if ((frame->ol_flags & RTE_MBUF_F_RX_QINQ_STRIPPED) != 0) note(frame->vlan_tci_outer);
    if ((frame->ol_flags & (RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_QINQ_STRIPPED)) != 0)
        note(frame->vlan_tci);
    // A service tag stands around another or it is none of those that are spoken here.
    while (read < 2 && (wire::EtherType{tags.type} == wire::EtherType::vlan ||
                        (read == 0 && wire::EtherType{tags.type} == wire::EtherType::service_vlan))) {
        const bool service = wire::EtherType{tags.type} == wire::EtherType::service_vlan;
        if (frame->data_len < tags.size + wire::vlan_tag_size) return std::nullopt;
        const std::uint16_t next = wire::load_be16(octets + tags.size + 2);
        if (service && wire::EtherType{next} != wire::EtherType::vlan) break;
        note(wire::load_be16(octets + tags.size));
        tags.type = next;
        tags.size += wire::vlan_tag_size;
    }
    return tags;
}

void trim(rte_mbuf* frame, std::size_t length) noexcept {
    frame->pkt_len = static_cast<std::uint32_t>(length);
    rte_mbuf* segment = frame;
    std::uint16_t segments = 1;
    while (length > segment->data_len) {
        length -= segment->data_len;
        segment = segment->next;
        ++segments;
    }
    segment->data_len = static_cast<std::uint16_t>(length);
    rte_pktmbuf_free(segment->next);
    segment->next = nullptr;
    frame->nb_segs = segments;
}

rte_mbuf* make_writable(rte_mbuf* frame, LinkOutput& link) noexcept {
    bool ours = true;
    for (const rte_mbuf* part = frame; part != nullptr; part = part->next)
        ours &= RTE_MBUF_DIRECT(part) && rte_mbuf_refcnt_read(part) == 1;
    if (ours) [[likely]]
        return frame;
    rte_mbuf* const copy = rte_pktmbuf_copy(frame, link.stash().pool(), 0, frame->pkt_len);
    if (copy == nullptr)
        link.drop(frame, DropReason::no_mbuf);
    else
        link.stash().put(frame);
    return copy;
}

}  // namespace runnel::ip
