// What this core sends to a group and another core with the same addresses hears: it gets the frame as if the
// link had brought it back (RFC 1112 section 6.1).
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <rte_mbuf.h>

#include "runnel/ip/internet_parts.hpp"
#include "runnel/ip/outgoing_packet.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

namespace {

// Headers in front of a packet that will be cut for the link: nobody here need cut it.
bool prepend_ip(rte_mbuf* copy, const Output& how) noexcept {
    if (how.ipv6 != nullptr) {
        const std::uint32_t length = copy->pkt_len;
        auto* const header = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(copy, wire::ipv6_header_size));
        if (header == nullptr || length > UINT16_MAX) return false;
        wire::write(wire::Ipv6Header{.traffic_class = how.tos,
                                     .payload_length = static_cast<std::uint16_t>(length),
                                     .next_header = how.protocol,
                                     .hop_limit = how.ttl,
                                     .source = how.ipv6->local,
                                     .destination = how.ipv6->remote},
                    std::span<std::byte, wire::ipv6_header_size>{header, wire::ipv6_header_size});
        return true;
    }
    auto* const header = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(copy, wire::ipv4_header_size));
    if (header == nullptr || copy->pkt_len > UINT16_MAX) return false;
    const std::span<std::byte, wire::ipv4_header_size> octets{header, wire::ipv4_header_size};
    wire::write(wire::Ipv4Header{.tos = how.tos,
                                 .total_length = static_cast<std::uint16_t>(copy->pkt_len),
                                 .ttl = how.ttl,
                                 .protocol = wire::IpProtocol{how.protocol},
                                 .source = how.source,
                                 .destination = how.destination},
                octets);
    wire::store_be16(header + 10, wire::checksum_finish(wire::checksum_add(octets)));
    return true;
}

// As a port would have received it: a tag that ours inserts it would have taken off.
bool prepend_link(rte_mbuf* copy, const LinkHeader& link) noexcept {
    auto* const header = rte_pktmbuf_prepend(copy, link.size);
    if (header == nullptr) return false;
    std::memcpy(header, link.octets.data(), link.size);
    copy->ol_flags = 0;
    if (link.port_tag != 0) {
        copy->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
        copy->vlan_tci = link.port_tag;
    }
    copy->port = link.port;
    return true;
}

}  // namespace

void InternetLayer::Parts::share_sent(const rte_mbuf& datagram, const Output& how,
                                      const Interface& interface) noexcept {
    const bool v4 = how.ipv6 == nullptr;
    const IpAddress group = v4 ? IpAddress{how.destination} : IpAddress{how.ipv6->remote};
    // Of what all hosts hear without joining one core hears, as of what the link brings.
    const bool unasked =
        v4 ? how.destination == all_hosts : ipv6_addresses.hears(interface.index, how.ipv6->remote);
    // Also while a copy of another core's frame is being looked at: what is sent meanwhile is our own.
    if (unasked || peers == nullptr || !peers->others_hear(group_bit(group))) [[likely]]
        return;
    rte_mbuf* const copy = rte_pktmbuf_copy(&datagram, link.stash().pool(), 0, UINT32_MAX);
    if (copy == nullptr) return link.counters().drop(DropReason::no_mbuf);
    finish_transport_of_uncut(
        copy, how,
        v4 ? wire::pseudo_header_sum(how.source, how.destination, how.protocol, 0)
           : wire::pseudo_header_sum(how.ipv6->local, how.ipv6->remote, how.protocol, 0));
    const auto type = v4 ? wire::EtherType::ipv4 : wire::EtherType::ipv6;
    const MacAddress mac = v4 ? wire::multicast_mac(how.destination) : wire::multicast_mac(how.ipv6->remote);
    if (prepend_ip(copy, how) && prepend_link(copy, make_link_header(interface, mac, type)))
        peers->share(*copy, link.stash().pool(), group_bit(group));
    else
        link.counters().drop(DropReason::no_mbuf);
    link.stash().put(copy);
}

}  // namespace runnel::ip
