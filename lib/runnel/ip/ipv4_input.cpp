// What arrives in IPv4 (RFC 791, RFC 1122 section 3.2.1).
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
#include "runnel/wire/icmp.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::ip {

namespace {

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

}  // namespace

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
    // A switch that snoops asks for members from no address where it has none (RFC 4541 section 2.1.1).
    // Of a copy it is ours where another core has sent it.
    if (!interfaces.may_be_sender(source) && !(is_copy && interfaces.is_local(source)) &&
        (!source.is_unspecified() || header[9] != static_cast<std::byte>(wire::IpProtocol::igmp)))
        [[unlikely]]
        return drop(frame, DropReason::ip_bad_source);
    bool group = false, for_others = false;
    if (!interface.owns(destination)) [[unlikely]] {
        group = destination == all_hosts || interfaces.is_broadcast(destination) || raw.hears(destination) ||
                groups.hears(interface.index, destination);
        for_others = destination.is_multicast() && others_hear(destination);
        if (!group && !for_others && !interfaces.is_local(destination)) {
            if (is_copy) return let_go(frame);
            exception.decline_frame(frame, interface, offset, DropReason::ip_not_for_us);
            return Upper::none;
        }
    }
    // A link broadcast that means a single host is nothing that a host sends (RFC 1122 section 3.3.6).
    if (link_group && !group && !for_others) [[unlikely]]
        return drop(frame, DropReason::ip_not_for_us);
    if (header_size > wire::ipv4_header_size) [[unlikely]] {
        const auto options = header.subspan(wire::ipv4_header_size, header_size - wire::ipv4_header_size);
        const wire::Ipv4OptionFault option_fault = wire::check_ipv4_options(options);
        if (option_fault == wire::Ipv4OptionFault::malformed)
            return refuse_ipv4_option(frame, interface, offset, group, in, now);
        if (option_fault == wire::Ipv4OptionFault::source_route)
            return drop(frame, DropReason::ip_source_route);
    }
    if ((wire::load_be16(header, 6) & (wire::ipv4_more_fragments | wire::ipv4_fragment_offset_mask)) != 0)
        [[unlikely]]
        return input_ipv4_fragment(frame, interface, offset, in, now);

    const std::size_t total = wire::load_be16(header, 2);
    if (frame->pkt_len != offset + total) trim(frame, offset + total);
    if (for_others) [[unlikely]] {
        // Of what all hosts hear, queries for members are each core's.
        const bool query = header[9] == static_cast<std::byte>(wire::IpProtocol::igmp);
        if (destination != all_hosts || query)
            peers->share(*frame, link.stash().pool(), group_bit(destination));
        if (!group) {
            if (!exception.open()) return let_go(frame);
            exception.decline_frame(frame, interface, offset, DropReason::ip_not_for_us);
            return Upper::none;
        }
    }
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
            return reassembled && !in.group && passes_on(offset, in) ? Upper::none : Upper::udp;
        case wire::IpProtocol::icmp:
            return passes_on_echo(offset, in) ? Upper::none : icmp.input(in, now);
        case wire::IpProtocol::igmp: {
            // Who claims the protocol, and the kernel, have memberships of their own.
            const auto useless = igmp.input(in, now);
            if (raw.claimed(in.protocol) || exception.open()) break;
            if (useless) return drop(in.mbuf, *useless);
            link.stash().put(in.mbuf);
            return Upper::none;
        }
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

// The sender is told which octet of the header it is (RFC 1122 section 3.2.2.5); of a later fragment not.
Upper InternetLayer::Parts::refuse_ipv4_option(rte_mbuf* frame, const Interface& interface,
                                               std::size_t offset, bool group, Ingress& in,
                                               Instant now) noexcept {
    const std::span<const std::byte> header = first_segment(frame).subspan(offset);
    const std::size_t header_size = (std::to_integer<std::size_t>(header[0]) & 0xf) * 4;
    const std::size_t at =
        wire::ipv4_header_size + wire::malformed_ipv4_option_at(header.subspan(
                                     wire::ipv4_header_size, header_size - wire::ipv4_header_size));
    const bool first = (wire::load_be16(header, 6) & wire::ipv4_fragment_offset_mask) == 0;
    const std::size_t total = wire::load_be16(header, 2);
    if (frame->pkt_len != offset + total) trim(frame, offset + total);
    enter_ipv4(frame, interface, offset, group, in);
    if (first)
        icmp.send_error(in, static_cast<std::uint8_t>(wire::IcmpType::parameter_problem), 0, now,
                        static_cast<std::uint32_t>(at) << 24);
    return drop(frame, DropReason::ip_bad_option);
}

}  // namespace runnel::ip
