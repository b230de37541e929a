#include "runnel/ip/icmpv6.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"

namespace runnel::ip {

namespace {

// An error and what it quotes fit what every link carries (RFC 4443 section 2.4 (c)).
constexpr std::size_t largest_ipv6_quote =
    wire::ipv6_min_mtu - wire::ipv6_header_size - wire::icmpv6_header_size;

IcmpMeaning meaning_of(const wire::Icmpv6Header& message) noexcept {
    switch (wire::Icmpv6Type{message.type}) {
        case wire::Icmpv6Type::packet_too_big:
            return IcmpMeaning::too_big;
        case wire::Icmpv6Type::destination_unreachable:
            break;
        case wire::Icmpv6Type::parameter_problem:
            // It has nobody for the protocol.
            return message.code == static_cast<std::uint8_t>(wire::Ipv6ProblemCode::unknown_next_header)
                       ? IcmpMeaning::refused
                       : IcmpMeaning::other;
        default:
            return IcmpMeaning::other;
    }
    switch (wire::Icmpv6UnreachableCode{message.code}) {
        case wire::Icmpv6UnreachableCode::port:
            return IcmpMeaning::refused;
        case wire::Icmpv6UnreachableCode::prohibited:
        case wire::Icmpv6UnreachableCode::source_policy:
        case wire::Icmpv6UnreachableCode::reject_route:
            return IcmpMeaning::prohibited;
        case wire::Icmpv6UnreachableCode::no_route:
        case wire::Icmpv6UnreachableCode::beyond_scope:
        case wire::Icmpv6UnreachableCode::address:
            break;
    }
    return IcmpMeaning::unreachable;
}

}  // namespace

Upper Icmpv6::input(Ingress& in, bool fragmented, Instant now) noexcept {
    const auto refuse = [&](DropReason reason) {
        link_.drop(in.mbuf, reason);
        return Upper::none;
    };
    const auto decline = [&](DropReason reason) {
        exception_.decline(in, reason);
        return Upper::none;
    };
    const auto message = wire::parse_icmpv6(first_segment(in.mbuf));
    if (!message) [[unlikely]]
        return refuse(DropReason::icmp_truncated);
    if (!transport_checksum_holds(in)) [[unlikely]]
        return refuse(DropReason::icmp_bad_checksum);
    link_.counters().add(Counter::icmp_in);
    const Ipv6Pair pair = in.ipv6_pair();
    const bool discovery =
        message->type == static_cast<std::uint8_t>(wire::Icmpv6Type::neighbour_solicitation) ||
        message->type == static_cast<std::uint8_t>(wire::Icmpv6Type::neighbour_advertisement);
    if (!discovery && (pair.remote.is_unspecified() || addresses_.is_local(pair.remote))) [[unlikely]]
        return refuse(DropReason::ip_bad_source);
    switch (wire::Icmpv6Type{message->type}) {
        case wire::Icmpv6Type::echo_request:
            answer_echo(in, now);
            return Upper::none;
        case wire::Icmpv6Type::destination_unreachable:
        case wire::Icmpv6Type::packet_too_big:
        case wire::Icmpv6Type::time_exceeded:
        case wire::Icmpv6Type::parameter_problem:
            return take_error(in);
        case wire::Icmpv6Type::neighbour_solicitation:
        case wire::Icmpv6Type::neighbour_advertisement:
            return take_discovery(in, fragmented, false, now);
        case wire::Icmpv6Type::router_advertisement:
            return take_discovery(in, fragmented, true, now);
        case wire::Icmpv6Type::listener_query:
        case wire::Icmpv6Type::listener_report:
        case wire::Icmpv6Type::listener_done:
        case wire::Icmpv6Type::listener_report_v2:
            if (const auto useless = mld_.input(in, now)) return decline(*useless);
            if (exception_.open())
                exception_.take(in);
            else
                link_.stash().put(in.mbuf);
            return Upper::none;
        case wire::Icmpv6Type::echo_reply:
            if (!pings_.take_reply(in, now)) return decline(DropReason::icmp_ignored);
            return Upper::none;
        // A redirect would let anybody who can guess a router's address turn our traffic: a host need not
        // follow (RFC 4861 section 8.3 is a SHOULD).
        case wire::Icmpv6Type::redirect:
        case wire::Icmpv6Type::router_solicitation:
            return decline(DropReason::icmp_ignored);
    }
    return decline(DropReason::icmp_unknown_type);
}

namespace {

// Of a long advertisement the options may lie in further mbufs.
bool in_one_piece(rte_mbuf* message) noexcept {
    return message->nb_segs == 1 || (RTE_MBUF_DIRECT(message) && rte_mbuf_refcnt_read(message) == 1 &&
                                     pull_up(message, message->pkt_len));
}

}  // namespace

Upper Icmpv6::take_discovery(Ingress& in, bool fragmented, bool of_router, Instant now) noexcept {
    const Interface& interface = interfaces_[in.interface];
    if (of_router && !routers_.listens(interface.index)) {
        exception_.decline(in, DropReason::icmp_ignored);
        return Upper::none;
    }
    const Ipv6Pair pair = in.ipv6_pair();
    NeighbourPacket packet{.malformed = true, .useless = DropReason::nd_malformed};
    // From beyond the link no packet arrives with that hop limit (RFC 4861 section 7.1.1); in fragments the
    // message is not to be believed (RFC 6980).
    if (in.ttl == wire::nd_hop_limit && !fragmented && in_one_piece(in.mbuf))
        packet = of_router
                     ? routers_.input(first_segment(in.mbuf), pair.remote, interface, now)
                     : neighbours_.input(first_segment(in.mbuf), pair.remote, pair.local, interface, now);
    if (exception_.open() && !packet.malformed && !packet.answered) {
        exception_.take(in);
        return Upper::none;
    }
    if (packet.useless) link_.counters().drop(*packet.useless);
    link_.stash().put(in.mbuf);
    return Upper::none;
}

// The request becomes its reply: all data stays (RFC 4443 section 4.2). A request to a group is answered from
// an address of the interface, at the rate of errors: one request could bring many answers.
void Icmpv6::answer_echo(Ingress& in, Instant now) noexcept {
    rte_mbuf* mbuf = in.mbuf;
    Ipv6Pair pair = in.ipv6_pair();
    if (in.group) {
        const auto source = addresses_.source_for(in.interface, pair.remote);
        if (!source || !errors_.take(now)) {
            link_.drop(mbuf, DropReason::icmp_rate_limited);
            return;
        }
        pair.local = *source;
    }
    mbuf = make_writable(mbuf, link_);
    if (mbuf == nullptr) return;
    auto* const message = rte_pktmbuf_mtod(mbuf, std::byte*);
    message[0] = static_cast<std::byte>(wire::Icmpv6Type::echo_reply);
    wire::store_be16(message + 2, 0);
    wire::store_be16(
        message + 2,
        wire::checksum_finish(mbuf_checksum_add(
            mbuf, wire::pseudo_header_sum(pair.local, pair.remote, wire::icmpv6_protocol, mbuf->pkt_len))));
    mbuf->ol_flags = 0;
    const Output how{.ipv6 = &pair, .protocol = wire::icmpv6_protocol, .tos = in.tos, .dont_fragment = false};
    if (output_.send(mbuf, how, now)) link_.counters().add(Counter::icmp_out);
}

Upper Icmpv6::take_error(Ingress& in) noexcept {
    const std::span<const std::byte> octets = first_segment(in.mbuf);
    const auto message = wire::parse_icmpv6(octets);
    const auto quote = wire::parse_quoted_ipv6_packet(octets.subspan(wire::icmpv6_header_size));
    if (!quote) {
        link_.drop(in.mbuf, DropReason::icmp_truncated);
        return Upper::none;
    }
    constexpr std::uint8_t tcp = 6, udp = 17;
    const bool transport = quote->protocol == tcp || quote->protocol == udp;
    const IcmpMeaning meaning = meaning_of(*message);
    // An echo reply leaves in fragments where the path takes less. Its type stands where ports have the
    // source, as that of a request does.
    const bool echo = quote->protocol == wire::icmpv6_protocol;
    const bool reply = echo && meaning == IcmpMeaning::too_big &&
                       quote->source_port >> 8 == static_cast<std::uint8_t>(wire::Icmpv6Type::echo_reply);
    const bool claimed = raw_.claimed(quote->protocol);
    const auto without_owner = [&] {
        exception_.decline(in, DropReason::icmp_error_without_owner);
        return Upper::none;
    };
    if ((!transport && !claimed && !echo) || !addresses_.is_local(quote->source) ||
        exception_.owns(quote->protocol, quote->source_port))
        return without_owner();
    constexpr std::uint32_t largest = std::numeric_limits<std::uint16_t>::max();
    in.error = {.meaning = meaning,
                .type = message->type,
                .code = message->code,
                .protocol = quote->protocol,
                .next_hop_mtu = static_cast<std::uint16_t>(
                    meaning == IcmpMeaning::too_big ? std::min(message->rest, largest) : std::uint32_t{0}),
                .source = quote->source,
                .destination = quote->destination,
                .reporter = in.ipv6_pair().remote,
                .source_port = quote->source_port,
                .destination_port = quote->destination_port,
                .sequence = quote->sequence,
                .total_length = static_cast<std::uint16_t>(std::min(quote->length, largest))};
    if (transport || reply) return Upper::icmp_error;
    if (echo && !pings_.take_error(in.error)) return without_owner();
    if (claimed) raw_.deliver(in.error);
    if (meaning == IcmpMeaning::too_big) return Upper::icmp_error;
    link_.stash().put(in.mbuf);
    return Upper::none;
}

void Icmpv6::send_error(const Ingress& about, wire::Icmpv6Type type, std::uint8_t code, std::uint32_t rest,
                        bool even_if_group, Instant now) noexcept {
    const Ipv6Pair received = about.ipv6_pair();
    // RFC 4443 section 2.4 (e): never about an ICMPv6 error, a group but where asked for, or a source that is
    // not one host.
    const std::byte* const packet = about.ipv6 - 8;
    const std::size_t held = static_cast<std::size_t>(rte_pktmbuf_mtod(about.mbuf, const std::byte*) +
                                                      about.mbuf->data_len - packet);
    if ((about.group && !even_if_group) || received.remote.is_unspecified() ||
        received.remote.is_multicast() || addresses_.is_local(received.remote) ||
        wire::carries_icmpv6_error({packet, held}))
        return;
    const auto source = addresses_.is_local(received.local)
                            ? std::optional{received.local}
                            : addresses_.source_for(about.interface, received.remote);
    if (!source) return;
    if (!errors_.take(now)) {
        link_.counters().drop(DropReason::icmp_rate_limited);
        return;
    }
    rte_mbuf* mbuf = link_.stash().take_control();
    if (mbuf == nullptr) {
        link_.counters().drop(DropReason::no_mbuf);
        return;
    }
    // Of a chain only what the first segment holds is quoted: it has the headers. A control mbuf may be
    // smaller than the largest quote.
    const std::size_t quoted = std::min(
        {held, largest_ipv6_quote, std::size_t{rte_pktmbuf_tailroom(mbuf)} - wire::icmpv6_header_size});
    const std::size_t size = wire::icmpv6_header_size + quoted;
    auto* const message =
        reinterpret_cast<std::byte*>(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(size)));
    if (message == nullptr) {
        link_.drop(mbuf, DropReason::no_mbuf);
        return;
    }
    wire::write(wire::Icmpv6Header{.type = static_cast<std::uint8_t>(type), .code = code, .rest = rest},
                std::span<std::byte, wire::icmpv6_header_size>{message, wire::icmpv6_header_size});
    std::memcpy(message + wire::icmpv6_header_size, packet, quoted);
    const Ipv6Pair pair{received.remote, *source};
    const std::uint32_t pseudo = wire::pseudo_header_sum(pair.local, pair.remote, wire::icmpv6_protocol,
                                                         static_cast<std::uint32_t>(size));
    wire::store_be16(message + 2, wire::checksum_finish(wire::checksum_add({message, size}, pseudo)));
    const Output how{.ipv6 = &pair, .protocol = wire::icmpv6_protocol, .dont_fragment = false};
    if (output_.send(mbuf, how, now)) link_.counters().add(Counter::icmp_out);
}

}  // namespace runnel::ip
