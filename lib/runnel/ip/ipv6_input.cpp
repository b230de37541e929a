// What arrives in IPv6 (RFC 8200 sections 3 and 4).
#include <cstddef>
#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "runnel/ip/checksum_verdicts.hpp"
#include "runnel/ip/internet_parts.hpp"
#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

namespace {

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

}  // namespace

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
    // host which wants the same: Neighbour Discovery alone has a use for these, and says so. Of a copy it is
    // ours where another core has sent it.
    const bool stranger = source.is_unspecified() || (ipv6_addresses.is_local(source) && !is_copy);
    if (!stranger && !may_send_ipv6(source)) [[unlikely]]
        return drop(frame, DropReason::ip_bad_source);
    bool group = false, unasked = false, for_others = false;
    if (!ipv6_addresses.owns(interface.index, destination)) [[unlikely]] {
        unasked = ipv6_addresses.hears(interface.index, destination);
        group = unasked || raw.hears(destination) || groups.hears(interface.index, destination);
        for_others = destination.is_multicast() && others_hear(destination);
        if (!group && !for_others &&
            (destination.is_multicast() || destination.is_link_local() ||
             !ipv6_addresses.is_local(destination))) {
            if (is_copy) return let_go(frame);
            exception.decline_frame(frame, interface, offset, DropReason::ip_not_for_us);
            return Upper::none;
        }
    }
    // A link multicast that means a single host is nothing that a host sends.
    if (link_group && !group && !for_others) [[unlikely]]
        return drop(frame, DropReason::ip_not_for_us);

    const std::size_t length = wire::ipv6_header_size + wire::load_be16(packet, 4);
    if (frame->pkt_len != offset + length) trim(frame, offset + length);
    const wire::Ipv6Chain chain = wire::walk_ipv6_chain(first_segment(frame).subspan(offset), length);
    if (offset + chain.offset > frame->data_len) [[unlikely]]
        return drop(frame, DropReason::ip_bad_option);

    if (for_others && chain.verdict == wire::Ipv6Verdict::deliver) [[unlikely]] {
        // Of what all hosts hear, queries for members are each core's; an echo one core answers.
        const auto* const message = packet.data() + chain.offset;
        const bool icmp_message = chain.protocol == wire::icmpv6_protocol;
        const bool query = icmp_message && offset + chain.offset < frame->data_len &&
                           *message == static_cast<std::byte>(wire::Icmpv6Type::listener_query);
        if (query || (!icmp_message && !unasked))
            peers->share(*frame, link.stash().pool(), group_bit(destination));
    }
    if (for_others && !group && chain.verdict != wire::Ipv6Verdict::fragment) [[unlikely]] {
        if (!exception.open()) return let_go(frame);
        exception.decline_frame(frame, interface, offset, DropReason::ip_not_for_us);
        return Upper::none;
    }

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
        return passes_on_echo(offset, in) ? Upper::none
                                          : icmpv6.input(in, reassembled || chain.fragment_header != 0, now);
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
            return (reassembled || chain.offset != wire::ipv6_header_size) && !in.group &&
                           passes_on(offset, in)
                       ? Upper::none
                       : Upper::udp;
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

}  // namespace runnel::ip
