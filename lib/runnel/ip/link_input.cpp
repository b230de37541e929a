// What arrives from the link: the short way for what most frames are, then whose frame it is, of which VLAN,
// of what type.
#include <cstddef>
#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "runnel/ip/checksum_verdicts.hpp"
#include "runnel/ip/internet_parts.hpp"
#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

namespace {

constexpr std::uint64_t broadcast_mac = mac_number(MacAddress::broadcast());
constexpr std::uint64_t all_hosts_mac = mac_number(wire::multicast_mac(all_hosts));
constexpr std::uint64_t ipv4_group_mac = 0x01'005e;  // the first three octets (RFC 1112 section 6.4)
constexpr std::uint64_t ipv6_group_mac = 0x3333;     // the first two octets (RFC 2464 section 7)

}  // namespace

// What most frames are: whole in one piece, untagged, for our own address, a TCP segment behind a header
// without options. Then `in` is filled; all else, and whatever is wrong, is looked at by `input`. The checks
// are the same.
bool InternetLayer::Parts::is_plain_tcp(rte_mbuf* frame, Ingress& in) const noexcept {
    constexpr std::size_t ip = wire::ethernet_header_size, tcp = ip + wire::ipv4_header_size;
    constexpr std::uint32_t ipv4_without_options =
        0x0800'45;  // the type of the frame, version, header length
    const Interface& interface = interfaces.first();
    if (!interfaces.one_untagged() || frame->nb_segs != 1 || frame->data_len < tcp ||
        (frame->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) [[unlikely]]
        return false;
    const std::uint64_t verdicts = frame->ol_flags & interface.believed;
    const auto* const octets = rte_pktmbuf_mtod(frame, const std::byte*);
    const std::byte* const header = octets + ip;
    const std::uint32_t total = wire::load_be16(header + 2);
    const std::uint32_t destination = wire::load_be32(header + 16);
    const Ipv4Address source{wire::load_be32(header + 12)};
    if (wire::load_be32(octets + 12) >> 8 != ipv4_without_options ||
        wire::load_be64(octets) >> 16 != interface.mac_as_number || total < wire::ipv4_header_size ||
        total > frame->data_len - ip ||
        (wire::load_be16(header + 6) & (wire::ipv4_more_fragments | wire::ipv4_fragment_offset_mask)) != 0 ||
        header[9] != std::byte{static_cast<std::uint8_t>(wire::IpProtocol::tcp)} ||
        !interface.owns(Ipv4Address{destination}) || !interfaces.may_be_sender(source) ||
        (!ip_checksum_good(verdicts) &&
         (ip_checksum_bad(verdicts) ||
          !wire::checksum_holds(wire::checksum_add(std::span<const std::byte, wire::ipv4_header_size>{
              header, wire::ipv4_header_size}))))) [[unlikely]]
        return false;
    frame->data_off = static_cast<std::uint16_t>(frame->data_off + tcp);
    frame->data_len = static_cast<std::uint16_t>(total - wire::ipv4_header_size);  // without padding
    frame->pkt_len = frame->data_len;
    in.mbuf = frame;
    in.source = source;
    in.destination = Ipv4Address{destination};
    in.ipv6 = nullptr;
    in.protocol = static_cast<std::uint8_t>(wire::IpProtocol::tcp);
    in.ttl = std::to_integer<std::uint8_t>(header[8]);
    in.tos = std::to_integer<std::uint8_t>(header[1]);
    in.interface = 0;
    in.group = false;
    in.l4_checksum_good = l4_checksum_good(verdicts);
    in.l4_checksum_bad = l4_checksum_bad(verdicts);
    in.ip_header_size = wire::ipv4_header_size;
    return true;
}

// The same over IPv6.
bool InternetLayer::Parts::is_plain_ipv6_tcp(rte_mbuf* frame, Ingress& in) const noexcept {
    constexpr std::size_t ip = wire::ethernet_header_size, tcp = ip + wire::ipv6_header_size;
    constexpr std::uint32_t ipv6_version = 0x86dd'6;  // the type of the frame, version
    const Interface& interface = interfaces.first();
    if (!interfaces.one_untagged() || frame->nb_segs != 1 || frame->data_len < tcp ||
        (frame->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) [[unlikely]]
        return false;
    const std::uint64_t verdicts = frame->ol_flags & interface.believed;
    const auto* const octets = rte_pktmbuf_mtod(frame, const std::byte*);
    const std::byte* const header = octets + ip;
    const std::uint32_t length = wire::load_be16(header + 4);
    Ipv6Pair pair;
    std::memcpy(&pair, header + 8, sizeof pair);
    if (wire::load_be32(octets + 12) >> 12 != ipv6_version ||
        wire::load_be64(octets) >> 16 != interface.mac_as_number || length > frame->data_len - tcp ||
        header[6] != std::byte{static_cast<std::uint8_t>(wire::IpProtocol::tcp)} ||
        !may_send_ipv6(pair.remote) || ipv6_addresses.is_local(pair.remote) ||
        !ipv6_addresses.owns(0, pair.local)) [[unlikely]]
        return false;
    frame->data_off = static_cast<std::uint16_t>(frame->data_off + tcp);
    frame->data_len = static_cast<std::uint16_t>(length);  // without padding
    frame->pkt_len = frame->data_len;
    in.mbuf = frame;
    in.ipv6 = header + 8;
    in.protocol = static_cast<std::uint8_t>(wire::IpProtocol::tcp);
    in.ttl = std::to_integer<std::uint8_t>(header[7]);
    in.tos = static_cast<std::uint8_t>(wire::load_be16(header) >> 4);
    in.interface = 0;
    in.group = false;
    in.l4_checksum_good = l4_checksum_good(verdicts);
    in.l4_checksum_bad = l4_checksum_bad(verdicts);
    in.ip_header_size = wire::ipv6_header_size;
    return true;
}

// Whether a frame to a group concerns the interface: the groups that our addresses belong to. Which of them
// is meant the IP header says.
bool InternetLayer::Parts::hears(const Interface& interface, const std::byte* frame) const noexcept {
    const std::uint64_t destination = wire::load_be64(frame) >> 16;
    if (destination == broadcast_mac || destination == all_hosts_mac || raw.hears_mac(destination))
        return true;
    if (destination >> 24 == ipv4_group_mac && (groups.any_ipv4() || others_hear_groups())) return true;
    return ipv6_addresses.speaks(interface.index) && destination >> 32 == ipv6_group_mac;
}

// A segment of a port that a rule gives to the kernel is not ours.
Upper InternetLayer::Parts::plain_tcp(Ingress& in) noexcept {
    if (!exception.open()) [[likely]]
        return Upper::tcp;
    if (!exception.owns(in)) return Upper::tcp;
    exception.begin(rte_pktmbuf_mtod(in.mbuf, const std::byte*) - in.ip_header_size -
                    wire::ethernet_header_size);
    exception.take(in);
    return Upper::none;
}

// The link layer: whose frame, of which VLAN, of what type.
Upper InternetLayer::Parts::input(rte_mbuf* frame, Ingress& in, Instant now) noexcept {
    if (is_plain_tcp(frame, in)) [[likely]]
        return plain_tcp(in);
    if (ipv6_addresses.any() && is_plain_ipv6_tcp(frame, in)) return plain_tcp(in);
    if (!interfaces.any_on(frame->port)) [[unlikely]]
        return drop(frame, DropReason::ethernet_not_for_us);
    if (frame->nb_segs > 1 && !gather_headers(frame)) [[unlikely]]
        return drop(frame, DropReason::frame_scattered);
    if (frame->data_len < wire::ethernet_header_size) [[unlikely]]
        return drop(frame, DropReason::ethernet_truncated);

    const auto* const octets = rte_pktmbuf_mtod(frame, const std::byte*);
    LinkTags tags{.type = wire::load_be16(octets + 12), .size = wire::ethernet_header_size};
    constexpr std::uint64_t stripped = RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_QINQ_STRIPPED;
    if ((frame->ol_flags & stripped) != 0 || wire::is_vlan_tag(wire::EtherType{tags.type})) [[unlikely]] {
        const auto read = read_link_tags(frame);
        if (!read) return drop(frame, DropReason::ethernet_truncated);
        tags = *read;
    }
    // A tag of id 0 says a priority and no VLAN: it is as good as none.
    const Interface* const found = interfaces.find(frame->port, tags.vlan, tags.outer);
    if (found == nullptr) [[unlikely]]
        return drop(frame, DropReason::vlan_not_for_us);
    const Interface& interface = *found;
    const std::uint64_t destination = wire::load_be64(octets) >> 16;
    bool link_group = false, unheard = false;
    if (destination != interface.mac_as_number) [[unlikely]] {
        link_group = hears(interface, octets);
        // Of groups that nobody hears the kernel may be a member.
        unheard = !link_group;
        if (unheard && (!exception.open() || !wire::load_mac(octets).is_group()))
            return is_copy ? let_go(frame) : drop(frame, DropReason::ethernet_not_for_us);
    }
    exception.begin(octets);

    const std::size_t offset = tags.size;
    const std::uint16_t type = tags.type;
    if (unheard) [[unlikely]] {
        exception.take_frame(frame, interface, offset);
        return Upper::none;
    }

    if (type == static_cast<std::uint16_t>(wire::EtherType::ipv4)) [[likely]]
        return input_ipv4(frame, interface, offset, link_group, false, in, now);
    if (type == static_cast<std::uint16_t>(wire::EtherType::arp))
        return input_arp(frame, interface, offset, now);
    if (type == static_cast<std::uint16_t>(wire::EtherType::ipv6)) {
        if (ipv6_addresses.speaks(interface.index))
            return input_ipv6(frame, interface, offset, link_group, false, in, now);
        exception.decline_frame(frame, interface, offset, DropReason::ip_family_unsupported);
        return Upper::none;
    }
    exception.decline_frame(frame, interface, offset, DropReason::ethernet_unknown_type);
    return Upper::none;
}

// Both ends of an exception path have neighbours to hear of; who asks for our address is answered here alone.
Upper InternetLayer::Parts::input_arp(rte_mbuf* frame, const Interface& interface, std::size_t offset,
                                      Instant now) noexcept {
    const NeighbourPacket packet = arp.input(first_segment(frame).subspan(offset), interface, now);
    if (exception.open() && !packet.malformed && !packet.answered) {
        exception.take_frame(frame, interface, offset);
        return Upper::none;
    }
    if (packet.useless) link.counters().drop(*packet.useless);
    link.stash().put(frame);
    return Upper::none;
}

// A reply to an echo request, or an error about one, that another core has sent: true where that has it then.
bool InternetLayer::Parts::passes_on_echo(std::size_t offset, Ingress& in) noexcept {
    if (peers == nullptr || in.group) return false;
    const auto core = pings.core_of(in);
    if (!core || *core == place.core) return false;
    const auto skip = static_cast<std::ptrdiff_t>(offset + in.ip_header_size);
    skip_octets(in.mbuf, -skip);
    if (peers->give(in.mbuf, *core)) return true;
    skip_octets(in.mbuf, skip);
    return false;
}

}  // namespace runnel::ip
