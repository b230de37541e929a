#include "runnel/ip/internet_layer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/ip/internet_parts.hpp"
#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/icmp.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

namespace {

constexpr std::uint64_t broadcast_mac = mac_number(MacAddress::broadcast());
constexpr Ipv4Address all_hosts{224, 0, 0, 1};  // RFC 1112 section 4: every host is a member
constexpr std::uint64_t all_hosts_mac = mac_number(wire::multicast_mac(all_hosts));
constexpr std::uint64_t ipv6_group_mac = 0x3333;  // the first two octets (RFC 2464 section 7)

const Config& validated(const Config& config) {
    validate(config);
    return config;
}

DropReason reason_of(wire::Ipv4Fault fault) noexcept {
    switch (fault) {
        case wire::Ipv4Fault::bad_version:
            return DropReason::ip_bad_version;
        case wire::Ipv4Fault::bad_header_length:
            return DropReason::ip_bad_header_length;
        case wire::Ipv4Fault::bad_total_length:
            return DropReason::ip_bad_total_length;
        case wire::Ipv4Fault::truncated:
        case wire::Ipv4Fault::none:
            break;
    }
    return DropReason::ip_truncated;
}

DropReason reason_of(wire::Ipv6Fault fault) noexcept {
    switch (fault) {
        case wire::Ipv6Fault::bad_version:
            return DropReason::ip_bad_version;
        case wire::Ipv6Fault::bad_payload_length:
            return DropReason::ip_bad_total_length;
        case wire::Ipv6Fault::truncated:
        case wire::Ipv6Fault::none:
            break;
    }
    return DropReason::ip_truncated;
}

// Whether another host may have sent from that address.
bool may_send_ipv6(const Ipv6Address& address) noexcept {
    constexpr unsigned global_unicast = 0x20;  // 2000::/3
    if ((address.octets[0] & 0xe0) == global_unicast) [[likely]]
        return true;
    return !address.is_multicast() && !address.is_unspecified() && !address.is_loopback() &&
           !address.is_v4_mapped();
}

}  // namespace

InternetLayer::Parts::Parts(InternetLayer& internet, const Config& config, HashKey key, Counters& counters,
                            MbufStash& stash, TransmitQueue& queue)
    : interfaces(config.interfaces),
      link(counters, stash, queue),
      raw(internet, link),
      exception(config, interfaces, link),
      arp(config, key, interfaces, link),
      output(config, key, interfaces, arp, link),
      icmp(config, key, interfaces, raw, exception, output, link),
      path_mtus{{config, key, counters}, {config, key, counters}},
      ipv6_addresses(config),
      neighbours(config, key, interfaces, ipv6_addresses, link),
      ipv6_output(config, key, interfaces, ipv6_addresses, neighbours, path_mtus, link),
      icmpv6(config, key, interfaces, ipv6_addresses, raw, exception, neighbours, ipv6_output, link),
      reassembly(config, key, link),
      peers(config.peers) {}

// What a port has found out about checksums, of the bits of `ol_flags` in which it is believed. "None" of a
// mask's four values is: the port vouches for the octets though the field is not filled in. Its bits are
// those of "good" and "bad", so that "good" alone tells.
constexpr bool ip_checksum_good(std::uint64_t verdicts) noexcept {
    return (verdicts & RTE_MBUF_F_RX_IP_CKSUM_GOOD) != 0;
}
constexpr bool ip_checksum_bad(std::uint64_t verdicts) noexcept {
    return (verdicts & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD;
}
constexpr bool l4_checksum_good(std::uint64_t verdicts) noexcept {
    return (verdicts & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0;
}
constexpr bool l4_checksum_bad(std::uint64_t verdicts) noexcept {
    return (verdicts & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD;
}
static_assert((RTE_MBUF_F_RX_IP_CKSUM_NONE & RTE_MBUF_F_RX_IP_CKSUM_GOOD) != 0 &&
              (RTE_MBUF_F_RX_L4_CKSUM_NONE & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0);

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
            return drop(frame, DropReason::ethernet_not_for_us);
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

// RFC 1122 section 3.2.1, in its order.
Upper InternetLayer::Parts::input_ipv4(rte_mbuf* frame, const Interface& interface, std::size_t offset,
                                       bool link_group, bool reassembled, Ingress& in, Instant now) noexcept {
    const std::span<const std::byte> header = first_segment(frame).subspan(offset);
    const wire::Ipv4Fault fault = wire::check_ipv4_header(header, frame->pkt_len - offset);
    if (fault != wire::Ipv4Fault::none) [[unlikely]]
        return drop(frame, reason_of(fault));
    const std::size_t header_size = (std::to_integer<std::size_t>(header[0]) & 0xf) * 4;

    const std::uint64_t verdicts = frame->ol_flags & interface.believed;
    if (!ip_checksum_good(verdicts) &&
        (ip_checksum_bad(verdicts) ||
         !wire::checksum_holds(header_size == wire::ipv4_header_size
                                   ? wire::checksum_add(header.first<wire::ipv4_header_size>())
                                   : wire::checksum_add(header.first(header_size))))) [[unlikely]]
        return drop(frame, DropReason::ip_bad_checksum);

    const Ipv4Address source{wire::load_be32(header, 12)};
    const Ipv4Address destination{wire::load_be32(header, 16)};
    if (!interfaces.may_be_sender(source)) [[unlikely]]
        return drop(frame, DropReason::ip_bad_source);
    bool group = false;
    if (!interface.owns(destination)) [[unlikely]] {
        group = destination == all_hosts || interfaces.is_broadcast(destination) || raw.hears(destination);
        if (!group && !interfaces.is_local(destination)) {
            exception.decline_frame(frame, interface, offset, DropReason::ip_not_for_us);
            return Upper::none;
        }
    }
    // A link broadcast that means a single host is nothing that a host sends (RFC 1122 section 3.3.6).
    if (link_group && !group) [[unlikely]]
        return drop(frame, DropReason::ip_not_for_us);
    if (header_size > wire::ipv4_header_size) [[unlikely]] {
        const auto options = header.subspan(wire::ipv4_header_size, header_size - wire::ipv4_header_size);
        const wire::Ipv4OptionFault option_fault = wire::check_ipv4_options(options);
        if (option_fault == wire::Ipv4OptionFault::malformed) return drop(frame, DropReason::ip_bad_option);
        if (option_fault == wire::Ipv4OptionFault::source_route)
            return drop(frame, DropReason::ip_source_route);
    }
    if ((wire::load_be16(header, 6) & (wire::ipv4_more_fragments | wire::ipv4_fragment_offset_mask)) != 0)
        [[unlikely]]
        return input_ipv4_fragment(frame, interface, offset, in, now);

    const std::size_t total = wire::load_be16(header, 2);
    if (frame->pkt_len != offset + total) trim(frame, offset + total);
    enter_ipv4(frame, interface, offset, group, in);
    in.l4_checksum_good = l4_checksum_good(verdicts);
    // Not of UDP: there are ports that call a datagram without a checksum a bad one (erratum 22 of the
    // 82599).
    in.l4_checksum_bad =
        header[9] == std::byte{static_cast<std::uint8_t>(wire::IpProtocol::tcp)} && l4_checksum_bad(verdicts);

    if (exception.owns(in)) [[unlikely]] {
        exception.take(in);
        return Upper::none;
    }
    switch (wire::IpProtocol{in.protocol}) {
        case wire::IpProtocol::tcp:
            return reassembled && passes_on(offset, in) ? Upper::none : Upper::tcp;
        case wire::IpProtocol::udp:
            return Upper::udp;
        case wire::IpProtocol::icmp:
            return icmp.input(in, now);
        case wire::IpProtocol::igmp:
            break;
    }
    if (raw.claimed(in.protocol)) {
        raw.deliver(in);
        return Upper::none;
    }
    if (exception.open()) {
        exception.take(in);
        return Upper::none;
    }
    icmp.send_error(in, static_cast<std::uint8_t>(wire::IcmpType::destination_unreachable),
                    static_cast<std::uint8_t>(wire::UnreachableCode::protocol), now);
    return drop(frame, DropReason::ip_unknown_protocol);
}

// A segment that the port cannot have told the owner of, for it lay behind extension headers or in fragments:
// true where another core owns it, which has it then.
bool InternetLayer::Parts::passes_on(std::size_t offset, Ingress& in) noexcept {
    if (peers == nullptr || in.mbuf->data_len < 4) return false;
    const auto* const ports = rte_pktmbuf_mtod(in.mbuf, const std::byte*);
    const std::uint16_t source_port = wire::load_be16(ports), destination_port = wire::load_be16(ports + 2);
    const auto skip = static_cast<std::ptrdiff_t>(offset + in.ip_header_size);
    skip_octets(in.mbuf, -skip);
    if (peers->pass_on(in.mbuf, in.source_address(), in.destination_address(), source_port, destination_port))
        return true;
    skip_octets(in.mbuf, skip);
    return false;
}

// RFC 8200 sections 3 and 4.
Upper InternetLayer::Parts::input_ipv6(rte_mbuf* frame, const Interface& interface, std::size_t offset,
                                       bool link_group, bool reassembled, Ingress& in, Instant now) noexcept {
    const std::span<const std::byte> packet = first_segment(frame).subspan(offset);
    const wire::Ipv6Fault fault = wire::check_ipv6_header(packet, frame->pkt_len - offset);
    if (fault != wire::Ipv6Fault::none) [[unlikely]]
        return drop(frame, reason_of(fault));
    const Ipv6Address source = wire::load_ipv6(packet.data() + 8);
    const Ipv6Address destination = wire::load_ipv6(packet.data() + 24);
    // An unspecified source is that of a host which does not have its address yet, and one of ours that of a
    // host which wants the same: Neighbour Discovery alone has a use for these, and says so.
    const bool stranger = source.is_unspecified() || ipv6_addresses.is_local(source);
    if (!stranger && !may_send_ipv6(source)) [[unlikely]]
        return drop(frame, DropReason::ip_bad_source);
    bool group = false;
    if (!ipv6_addresses.owns(interface.index, destination)) [[unlikely]] {
        group = ipv6_addresses.hears(interface.index, destination) || raw.hears(destination);
        if (!group && (destination.is_multicast() || destination.is_link_local() ||
                       !ipv6_addresses.is_local(destination))) {
            exception.decline_frame(frame, interface, offset, DropReason::ip_not_for_us);
            return Upper::none;
        }
    }
    // A link multicast that means a single host is nothing that a host sends.
    if (link_group && !group) [[unlikely]]
        return drop(frame, DropReason::ip_not_for_us);

    const std::size_t length = wire::ipv6_header_size + wire::load_be16(packet, 4);
    if (frame->pkt_len != offset + length) trim(frame, offset + length);
    const wire::Ipv6Chain chain = wire::walk_ipv6_chain(first_segment(frame).subspan(offset), length);
    if (offset + chain.offset > frame->data_len) [[unlikely]]
        return drop(frame, DropReason::ip_bad_option);

    // Few ports know of ICMPv6's checksum, and none of one that is spread over fragments.
    const std::uint64_t verdicts = chain.protocol != wire::icmpv6_protocol && chain.fragment_header == 0
                                       ? frame->ol_flags & interface.believed
                                       : 0;
    enter_ipv6(frame, interface, offset, chain, group, in);
    in.l4_checksum_good = l4_checksum_good(verdicts);
    in.l4_checksum_bad =
        chain.protocol == static_cast<std::uint8_t>(wire::IpProtocol::tcp) && l4_checksum_bad(verdicts);
    if (chain.verdict != wire::Ipv6Verdict::deliver) [[unlikely]] {
        if (chain.verdict != wire::Ipv6Verdict::fragment) return refuse_ipv6(chain, in, now);
        if (stranger) return drop(frame, DropReason::ip_bad_source);
        return input_ipv6_fragment(chain, offset, in, now);
    }
    if (chain.protocol == wire::icmpv6_protocol)
        return icmpv6.input(in, reassembled || chain.fragment_header != 0, now);
    if (stranger) [[unlikely]]
        return drop(frame, DropReason::ip_bad_source);
    if (exception.owns(in)) [[unlikely]] {
        exception.take(in);
        return Upper::none;
    }
    switch (wire::IpProtocol{chain.protocol}) {
        case wire::IpProtocol::tcp:
            return (reassembled || chain.offset != wire::ipv6_header_size) && passes_on(offset, in)
                       ? Upper::none
                       : Upper::tcp;
        case wire::IpProtocol::udp:
            return Upper::udp;
        case wire::IpProtocol::icmp:
        case wire::IpProtocol::igmp:
            break;
    }
    if (raw.claimed(in.protocol)) {
        raw.deliver(in);
        return Upper::none;
    }
    if (exception.open()) {
        exception.take(in);
        return Upper::none;
    }
    icmpv6.send_error(in, wire::Icmpv6Type::parameter_problem,
                      static_cast<std::uint8_t>(wire::Ipv6ProblemCode::unknown_next_header),
                      chain.next_header_field, false, now);
    return drop(frame, DropReason::ip_unknown_protocol);
}

// What the chain of extension headers forbids to deliver.
Upper InternetLayer::Parts::refuse_ipv6(const wire::Ipv6Chain& chain, Ingress& in, Instant now) noexcept {
    const auto problem = [&](std::uint8_t code, std::uint32_t pointer) {
        icmpv6.send_error(in, wire::Icmpv6Type::parameter_problem, code, pointer, chain.even_if_group, now);
    };
    switch (chain.verdict) {
        case wire::Ipv6Verdict::fragment:
            return drop(in.mbuf, DropReason::ip_fragment_malformed);
        case wire::Ipv6Verdict::nothing:
            return drop(in.mbuf, DropReason::ip_no_next_header);
        case wire::Ipv6Verdict::drop:
            return drop(in.mbuf, DropReason::ip_option_refused);
        case wire::Ipv6Verdict::incomplete_chain:
            problem(static_cast<std::uint8_t>(wire::Ipv6ProblemCode::incomplete_chain), 0);
            return drop(in.mbuf, DropReason::ip_incomplete_chain);
        case wire::Ipv6Verdict::parameter_problem:
            break;
        case wire::Ipv6Verdict::malformed:
        case wire::Ipv6Verdict::deliver:
            return drop(in.mbuf, DropReason::ip_bad_option);
    }
    problem(chain.code, chain.pointer);
    switch (wire::Ipv6ProblemCode{chain.code}) {
        case wire::Ipv6ProblemCode::erroneous_field:
            return drop(in.mbuf, DropReason::ip_routing_header);
        case wire::Ipv6ProblemCode::unknown_next_header:
            return drop(in.mbuf, DropReason::ip_unknown_protocol);
        case wire::Ipv6ProblemCode::unknown_option:
        case wire::Ipv6ProblemCode::incomplete_chain:
            break;
    }
    return drop(in.mbuf, DropReason::ip_option_refused);
}

InternetLayer::InternetLayer(const Config& config, std::array<std::uint64_t, 2> secret, Counters& counters,
                             MbufStash& stash, TransmitQueue& queue)
    : parts_(std::make_unique<Parts>(*this, validated(config), HashKey{secret[0], secret[1]}, counters, stash,
                                     queue)) {}

InternetLayer::~InternetLayer() = default;

Upper InternetLayer::input(rte_mbuf* frame, Ingress& in, Instant now) noexcept {
    return parts_->input(frame, in, now);
}

bool InternetLayer::output(rte_mbuf* packet, const Output& how, Instant now) noexcept {
    if (how.ipv6 == nullptr) [[likely]]
        return parts_->output.send(packet, how, now);
    return parts_->ipv6_output.send(packet, how, now);
}

void InternetLayer::send_port_unreachable(const Ingress& about, Instant now) noexcept {
    if (about.ipv6 == nullptr)
        parts_->icmp.send_error(about, static_cast<std::uint8_t>(wire::IcmpType::destination_unreachable),
                                static_cast<std::uint8_t>(wire::UnreachableCode::port), now);
    else
        parts_->icmpv6.send_error(about, wire::Icmpv6Type::destination_unreachable,
                                  static_cast<std::uint8_t>(wire::Icmpv6UnreachableCode::port), 0, false,
                                  now);
}

RawProtocols& InternetLayer::raw() noexcept {
    return parts_->raw;
}

ExceptionPath& InternetLayer::exception() noexcept {
    return parts_->exception;
}

void InternetLayer::decline(Ingress& in, DropReason reason) noexcept {
    parts_->exception.decline(in, reason);
}

bool InternetLayer::is_local(const IpAddress& address) const noexcept {
    return address.is_v4() ? parts_->interfaces.is_local(address.v4())
                           : parts_->ipv6_addresses.is_local(address.v6());
}

bool InternetLayer::is_group(const IpAddress& address) const noexcept {
    return address.is_v4() ? parts_->interfaces.is_group(address.v4()) : address.v6().is_multicast();
}

bool InternetLayer::speaks_ipv6() const noexcept {
    return parts_->ipv6_addresses.any();
}

std::optional<IpAddress> InternetLayer::source_for(const IpAddress& destination) const noexcept {
    if (destination.is_v4()) {
        const auto route = parts_->output.route_to(destination.v4());
        if (!route || !parts_->interfaces[route->interface].speaks_ipv4()) return std::nullopt;
        return parts_->interfaces[route->interface].address();
    }
    const auto route = parts_->ipv6_output.route_to(destination.v6());
    if (!route) return std::nullopt;
    const auto source = parts_->ipv6_addresses.source_for(route->interface, destination.v6());
    if (!source) return std::nullopt;
    return *source;
}

std::uint16_t InternetLayer::mtu_for(const IpAddress& destination) const noexcept {
    return destination.is_v4() ? parts_->output.mtu_for(destination.v4())
                               : parts_->ipv6_output.mtu_for(destination.v6());
}

const Offloads& InternetLayer::offloads_for(const IpAddress& destination) const noexcept {
    return destination.is_v4() ? parts_->output.offloads_for(destination.v4())
                               : parts_->ipv6_output.offloads_for(destination.v6());
}

std::uint16_t InternetLayer::path_mtu_for(const IpAddress& destination, Instant now) const noexcept {
    return parts_->path_mtus.proven.mtu_for(destination, mtu_for(destination), now);
}

std::uint16_t InternetLayer::datagram_mtu_for(const IpAddress& destination, Instant now) const noexcept {
    return parts_->path_mtus.for_datagrams(destination, mtu_for(destination), now);
}

std::uint16_t InternetLayer::lower_path_mtu(const IcmpError& error, Instant now) noexcept {
    return parts_->lower(parts_->path_mtus.proven, error, mtu_for(error.destination), now);
}

void InternetLayer::lower_datagram_mtu(const IcmpError& error, Instant now) noexcept {
    parts_->lower(parts_->path_mtus.datagrams, error, mtu_for(error.destination), now);
}

std::uint16_t InternetLayer::Parts::lower(PathMtuTable& table, const IcmpError& error,
                                          std::uint16_t interface_mtu, Instant now) noexcept {
    // Routers of before RFC 1191 say 0. Some of them count the header twice in the length that they quote
    // (section 5): what we know to fit is never exceeded.
    const std::uint16_t mtu =
        error.next_hop_mtu != 0 || !error.destination.is_v4()
            ? error.next_hop_mtu
            : plateau_below(
                  std::min(error.total_length, table.mtu_for(error.destination, interface_mtu, now)));
    return table.lower(error.destination, interface_mtu, mtu, now);
}

void InternetLayer::doubt(const IpAddress& destination, Instant now) noexcept {
    if (destination.is_v4())
        parts_->output.doubt(destination.v4(), now);
    else
        parts_->ipv6_output.doubt(destination.v6(), now);
}

void InternetLayer::announce(Instant now) noexcept {
    parts_->arp.announce(now);
    parts_->neighbours.announce(now);
}

void InternetLayer::hear(const NeighbourNews& news, Instant now) noexcept {
    if (news.address.is_v4())
        parts_->arp.hear(news, now);
    else
        parts_->neighbours.hear(news, now);
}

void InternetLayer::advance(Instant now) noexcept {
    parts_->arp.advance(now);
    parts_->neighbours.advance(now);
    parts_->expire_fragments(now);
}

Instant InternetLayer::next_deadline() const noexcept {
    return std::min(
        {parts_->arp.next_deadline(), parts_->neighbours.next_deadline(), parts_->reassembly.next_expiry()});
}

}  // namespace runnel::ip
