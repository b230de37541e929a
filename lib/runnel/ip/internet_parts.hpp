// What the internet layer is made of, and the steps of what it does with a received frame.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/counters.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/base/transmit_queue.hpp"
#include "runnel/ip/arp.hpp"
#include "runnel/ip/autoconfiguration.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/exception_path.hpp"
#include "runnel/ip/group_memberships.hpp"
#include "runnel/ip/icmp.hpp"
#include "runnel/ip/icmpv6.hpp"
#include "runnel/ip/igmp.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/ip_output.hpp"
#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/ip/ipv6_output.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/mld.hpp"
#include "runnel/ip/neighbour_discovery.hpp"
#include "runnel/ip/path_mtu.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/ip/pings.hpp"
#include "runnel/ip/raw_protocols.hpp"
#include "runnel/ip/reassembly.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

struct InternetLayer::Parts {
    Parts(InternetLayer& internet, const Config& config, HashKey key, Counters& counters, MbufStash& stash,
          TransmitQueue& queue);

    Upper input(rte_mbuf* frame, Ingress& in, Instant now) noexcept;
    Upper input_ipv4(rte_mbuf* frame, const Interface& interface, std::size_t offset, bool link_group,
                     bool reassembled, Ingress& in, Instant now) noexcept;
    Upper refuse_ipv4_option(rte_mbuf* frame, const Interface& interface, std::size_t offset, bool group,
                             Ingress& in, Instant now) noexcept;
    Upper input_ipv4_fragment(rte_mbuf* frame, const Interface& interface, std::size_t offset, Ingress& in,
                              Instant now) noexcept;

    Upper input_ipv6(rte_mbuf* frame, const Interface& interface, std::size_t offset, bool link_group,
                     bool reassembled, Ingress& in, Instant now) noexcept;
    Upper input_ipv6_fragment(const wire::Ipv6Chain& chain, std::size_t offset, Ingress& in,
                              Instant now) noexcept;
    Upper input_arp(rte_mbuf* frame, const Interface& interface, std::size_t offset, Instant now) noexcept;
    Upper plain_tcp(Ingress& in) noexcept;
    bool passes_on(std::size_t offset, Ingress& in) noexcept;
    /// Whether other cores may want a packet that was sent to the multicast group, or to any.
    [[nodiscard]] bool others_hear(const IpAddress& group) const noexcept {
        return peers != nullptr && !is_copy && peers->others_hear(group_bit(group));
    }
    [[nodiscard]] bool others_hear_groups() const noexcept { return others_hear(all_hosts); }
    void share_sent(const rte_mbuf& datagram, const Output& how, const Interface& interface) noexcept;
    bool passes_on_echo(std::size_t offset, Ingress& in) noexcept;
    void expire_fragments(Instant now) noexcept;
    std::uint16_t lower(PathMtuTable& table, const IcmpError& error, std::uint16_t interface_mtu,
                        Instant now) noexcept;
    Upper refuse_ipv6(const wire::Ipv6Chain& chain, Ingress& in, Instant now) noexcept;

    bool is_plain_tcp(rte_mbuf* frame, Ingress& in) const noexcept;
    bool is_plain_ipv6_tcp(rte_mbuf* frame, Ingress& in) const noexcept;
    [[nodiscard]] bool hears(const Interface& interface, const std::byte* frame) const noexcept;

    Upper drop(rte_mbuf* frame, DropReason reason) noexcept {
        link.drop(frame, reason);
        return Upper::none;
    }

    Upper let_go(rte_mbuf* frame) noexcept {
        link.stash().put(frame);
        return Upper::none;
    }

    Interfaces interfaces;
    LinkOutput link;
    RawProtocols raw;
    ExceptionPath exception;
    Arp arp;
    IpOutput output;
    Pings pings;
    Icmp icmp;
    PathMtus path_mtus;
    Ipv6Addresses ipv6_addresses;
    NeighbourDiscovery neighbours;
    Ipv6Output ipv6_output;
    Igmp igmp;
    Mld mld;
    GroupMemberships groups;
    Autoconfiguration autoconfiguration;
    Icmpv6 icmpv6;
    Reassembly reassembly;
    CorePlace place;
    PeerCores* peers;
    bool is_copy = false;  // the frame that is being looked at is another core's, which shares it
};

// Whether another host may have sent from that address.
[[nodiscard]] constexpr bool may_send_ipv6(const Ipv6Address& address) noexcept {
    constexpr unsigned global_unicast = 0x20;  // 2000::/3
    if ((address.octets[0] & 0xe0) == global_unicast) [[likely]]
        return true;
    return !address.is_multicast() && !address.is_unspecified() && !address.is_loopback() &&
           !address.is_v4_mapped();
}

// Moves the start of a frame's first segment on by so many octets, which it has, or back.
inline void skip_octets(rte_mbuf* frame, std::ptrdiff_t octets) noexcept {
    frame->data_off = static_cast<std::uint16_t>(frame->data_off + octets);
    frame->data_len = static_cast<std::uint16_t>(frame->data_len - octets);
    frame->pkt_len = static_cast<std::uint32_t>(frame->pkt_len - octets);
}

// The packet at `offset` of a frame, whose header is sound, becomes what is handed up.
inline void enter_ipv4(rte_mbuf* frame, const Interface& interface, std::size_t offset, bool group,
                       Ingress& in) noexcept {
    const auto* const header = rte_pktmbuf_mtod_offset(frame, const std::byte*, offset);
    in.mbuf = frame;
    in.source = Ipv4Address{wire::load_be32(header + 12)};
    in.destination = Ipv4Address{wire::load_be32(header + 16)};
    in.ipv6 = nullptr;
    in.protocol = std::to_integer<std::uint8_t>(header[9]);
    in.ttl = std::to_integer<std::uint8_t>(header[8]);
    in.tos = std::to_integer<std::uint8_t>(header[1]);
    in.interface = interface.index;
    in.group = group;
    in.ip_header_size = static_cast<std::uint16_t>((std::to_integer<unsigned>(header[0]) & 0xf) * 4);
    skip_octets(frame, static_cast<std::ptrdiff_t>(offset + in.ip_header_size));
}

inline void enter_ipv6(rte_mbuf* frame, const Interface& interface, std::size_t offset,
                       const wire::Ipv6Chain& chain, bool group, Ingress& in) noexcept {
    const auto* const packet = rte_pktmbuf_mtod_offset(frame, const std::byte*, offset);
    in.mbuf = frame;
    in.ipv6 = packet + 8;
    in.protocol = chain.protocol;
    in.ttl = std::to_integer<std::uint8_t>(packet[7]);
    in.tos = static_cast<std::uint8_t>(wire::load_be16(packet) >> 4);
    in.interface = interface.index;
    in.group = group;
    in.ip_header_size = chain.offset;
    skip_octets(frame, static_cast<std::ptrdiff_t>(offset + chain.offset));
}

}  // namespace runnel::ip
