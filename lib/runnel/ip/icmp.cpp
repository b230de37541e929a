#include "runnel/ip/icmp.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/icmp.hpp"

namespace runnel::ip {

namespace {

// An ICMP error quotes as much as fits an IP packet of 576 octets (RFC 1812 section 4.3.2.3).
constexpr std::size_t largest_quote = 576 - wire::ipv4_header_size - wire::icmp_header_size;

IcmpMeaning meaning_of(const wire::IcmpView& message) noexcept {
    constexpr std::uint8_t net_prohibited = 9, host_prohibited = 10, prohibited = 13;
    if (message.type() != wire::IcmpType::destination_unreachable) return IcmpMeaning::other;
    switch (message.code()) {
        case static_cast<std::uint8_t>(wire::UnreachableCode::fragmentation_needed):
            return IcmpMeaning::too_big;
        case static_cast<std::uint8_t>(wire::UnreachableCode::protocol):
        case static_cast<std::uint8_t>(wire::UnreachableCode::port):
            return IcmpMeaning::refused;
        case net_prohibited:
        case host_prohibited:
        case prohibited:
            return IcmpMeaning::prohibited;
        default:
            return IcmpMeaning::unreachable;
    }
}

}  // namespace

Upper Icmp::input(Ingress& in, Instant now) noexcept {
    const auto message = wire::IcmpView::parse(first_segment(in.mbuf));
    if (!message) [[unlikely]] {
        link_.drop(in.mbuf, DropReason::icmp_truncated);
        return Upper::none;
    }
    if (!wire::checksum_holds(mbuf_checksum_add(in.mbuf))) [[unlikely]] {
        link_.drop(in.mbuf, DropReason::icmp_bad_checksum);
        return Upper::none;
    }
    link_.counters().add(Counter::icmp_in);
    if (in.group) {
        exception_.decline(in, DropReason::icmp_group_destination);
        return Upper::none;
    }
    switch (message->type()) {
        case wire::IcmpType::echo_request:
            answer_echo(in, now);
            return Upper::none;
        case wire::IcmpType::destination_unreachable:
        case wire::IcmpType::time_exceeded:
        case wire::IcmpType::parameter_problem:
            return take_error(in);
        case wire::IcmpType::echo_reply:
            if (!pings_.take_reply(in, now)) exception_.decline(in, DropReason::icmp_ignored);
            return Upper::none;
        case wire::IcmpType::timestamp_request:
            answer_timestamp(in, now);
            return Upper::none;
        // RFC 6633 (source quench), RFC 6918 (the obsolete ones); a redirect would let anybody on the path to
        // a forged router's address turn our traffic (RFC 1122 section 3.2.2.2 lets a host ignore what it
        // cannot verify).
        case wire::IcmpType::source_quench:
        case wire::IcmpType::redirect:
        case wire::IcmpType::timestamp_reply:
        case wire::IcmpType::information_request:
        case wire::IcmpType::information_reply:
        case wire::IcmpType::address_mask_request:
        case wire::IcmpType::address_mask_reply:
            exception_.decline(in, DropReason::icmp_ignored);
            return Upper::none;
    }
    exception_.decline(in, DropReason::icmp_unknown_type);
    return Upper::none;
}

// The request becomes its reply: all data stays, only the type and with it the checksum change (RFC 1122
// section 3.2.2.6).
void Icmp::answer_echo(Ingress& in, Instant now) noexcept {
    rte_mbuf* const mbuf = make_writable(in.mbuf, link_);
    if (mbuf == nullptr) return;
    auto* const message = rte_pktmbuf_mtod(mbuf, std::byte*);
    const std::uint16_t checksum = wire::load_be16(message + 2);
    const std::uint16_t type_and_code = wire::load_be16(message);
    const auto reply = static_cast<std::uint16_t>(type_and_code & 0xff);
    wire::store_be16(message, reply);
    wire::store_be16(message + 2, wire::checksum_update16(checksum, type_and_code, reply));
    turn_round(mbuf, in, now);
}

// Answers the sender of a request from the address that it has asked.
void Icmp::turn_round(rte_mbuf* message, const Ingress& in, Instant now) noexcept {
    message->ol_flags = 0;
    const Output how{.source = in.destination,
                     .destination = in.source,
                     .protocol = static_cast<std::uint8_t>(wire::IpProtocol::icmp),
                     .tos = in.tos,
                     .dont_fragment = false};
    if (output_.send(message, how, now)) link_.counters().add(Counter::icmp_out);
}

// Milliseconds since midnight, Universal Time; where nobody has told when that was, another number with the
// highest bit set (RFC 792, "Timestamp or Timestamp Reply Message").
std::uint32_t Icmp::timestamp(Instant now) const noexcept {
    constexpr std::uint32_t no_time_of_day = 0x8000'0000;
    constexpr Duration day = 24h;
    if (!midnight_)
        return static_cast<std::uint32_t>(now.time_since_epoch() / 1ms + clock_offset_) | no_time_of_day;
    const Duration since = (now - *midnight_) % day;
    return static_cast<std::uint32_t>((since < Duration::zero() ? since + day : since) / 1ms);
}

// The request becomes its reply: the originator's timestamp stays, ours are the times of reception and of
// sending, which are one (RFC 792, RFC 1122 section 3.2.2.8).
void Icmp::answer_timestamp(Ingress& in, Instant now) noexcept {
    if (!answers_timestamps_ || in.mbuf->pkt_len < wire::icmp_timestamp_size)
        return exception_.decline(
            in, answers_timestamps_ ? DropReason::icmp_truncated : DropReason::icmp_ignored);
    rte_mbuf* const mbuf = make_writable(in.mbuf, link_);
    if (mbuf == nullptr) return;
    if (!pull_up(mbuf, wire::icmp_timestamp_size)) return link_.drop(mbuf, DropReason::no_mbuf);
    auto* const message = rte_pktmbuf_mtod(mbuf, std::byte*);
    wire::store_be32(message,
                     std::uint32_t{static_cast<std::uint8_t>(wire::IcmpType::timestamp_reply)} << 24);
    for (const std::size_t at : {wire::icmp_received_at, wire::icmp_transmitted_at})
        wire::store_be32(message + at, timestamp(now));
    wire::store_be16(message + 2, wire::checksum_finish(mbuf_checksum_add(mbuf)));
    turn_round(mbuf, in, now);
}

Upper Icmp::take_error(Ingress& in) noexcept {
    const auto message = wire::IcmpView::parse(first_segment(in.mbuf));
    const auto quote = wire::parse_quoted_packet(message->payload());
    if (!quote) {
        link_.drop(in.mbuf, DropReason::icmp_truncated);
        return Upper::none;
    }
    const bool transport =
        quote->protocol == wire::IpProtocol::tcp || quote->protocol == wire::IpProtocol::udp;
    const bool claimed = raw_.claimed(static_cast<std::uint8_t>(quote->protocol));
    const bool ping = quote->protocol == wire::IpProtocol::icmp;
    if ((!transport && !claimed && !ping) || !interfaces_.is_local(quote->source) ||
        exception_.owns(static_cast<std::uint8_t>(quote->protocol), quote->source_port)) {
        exception_.decline(in, DropReason::icmp_error_without_owner);
        return Upper::none;
    }
    const IcmpMeaning meaning = meaning_of(*message);
    in.error = {.meaning = meaning,
                .type = static_cast<std::uint8_t>(message->type()),
                .code = message->code(),
                .protocol = static_cast<std::uint8_t>(quote->protocol),
                .next_hop_mtu = meaning == IcmpMeaning::too_big ? message->next_hop_mtu() : std::uint16_t{0},
                .source = quote->source,
                .destination = quote->destination,
                .reporter = in.source,
                .source_port = quote->source_port,
                .destination_port = quote->destination_port,
                .sequence = quote->sequence,
                .total_length = quote->total_length};
    if (transport) return Upper::icmp_error;
    if (ping && !pings_.take_error(in.error)) {
        exception_.decline(in, DropReason::icmp_error_without_owner);
        return Upper::none;
    }
    if (claimed) raw_.deliver(in.error);
    if (meaning == IcmpMeaning::too_big) return Upper::icmp_error;
    link_.stash().put(in.mbuf);
    return Upper::none;
}

void Icmp::send_error(const Ingress& about, std::uint8_t type, std::uint8_t code, Instant now,
                      std::uint32_t rest) noexcept {
    // RFC 1122 section 3.2.2: never about an ICMP error, a group, or a source that is not one host. Later
    // fragments never come here.
    const bool error = about.protocol == static_cast<std::uint8_t>(wire::IpProtocol::icmp) &&
                       (about.mbuf->data_len == 0 ||
                        wire::is_icmp_error(wire::IcmpType{*rte_pktmbuf_mtod(about.mbuf, std::uint8_t*)}));
    if (about.group || error || !interfaces_.may_be_sender(about.source) ||
        !interfaces_.is_local(about.destination))
        return;
    if (!errors_.take(now)) {
        link_.counters().drop(DropReason::icmp_rate_limited);
        return;
    }
    rte_mbuf* mbuf = link_.stash().take_control();
    if (mbuf == nullptr) {
        link_.counters().drop(DropReason::no_mbuf);
        return;
    }
    // Of a chain only what the first segment holds is quoted: it has the headers.
    const std::size_t quoted =
        std::min(std::size_t{about.ip_header_size} + about.mbuf->data_len, largest_quote);
    char* const room = rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(wire::icmp_header_size + quoted));
    if (room == nullptr) {
        link_.drop(mbuf, DropReason::no_mbuf);
        return;
    }
    auto* const message = reinterpret_cast<std::byte*>(room);
    wire::write(wire::IcmpHeader{.type = wire::IcmpType{type}, .code = code, .rest = rest},
                std::span<std::byte, wire::icmp_header_size>{message, wire::icmp_header_size});
    // The packet's own header stands in the head room, where `input` passed it by.
    std::memcpy(message + wire::icmp_header_size,
                rte_pktmbuf_mtod(about.mbuf, const std::byte*) - about.ip_header_size, quoted);
    wire::store_be16(message + 2,
                     wire::checksum_finish(wire::checksum_add({message, wire::icmp_header_size + quoted})));
    const Output how{.source = about.destination,
                     .destination = about.source,
                     .protocol = static_cast<std::uint8_t>(wire::IpProtocol::icmp),
                     .dont_fragment = false};
    if (output_.send(mbuf, how, now)) link_.counters().add(Counter::icmp_out);
}

}  // namespace runnel::ip
