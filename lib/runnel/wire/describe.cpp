// The line of describe.hpp, put together layer by layer: each function appends what its layer says.
#include "runnel/wire/describe.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/arp.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/describe_membership.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmp.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/neighbour_discovery.hpp"
#include "runnel/wire/tcp.hpp"
#include "runnel/wire/tcp_options.hpp"
#include "runnel/wire/udp.hpp"
#include "runnel/wire/vlan.hpp"

namespace runnel::wire {

namespace {

using Octets = std::span<const std::byte>;

unsigned octet(Octets octets, std::size_t at) {
    return std::to_integer<unsigned>(octets[at]);
}

template <typename... Arguments>
void append(std::string& line, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    line += fmt::format(format, std::forward<Arguments>(arguments)...);
}

// `digits` hexadecimal digits. By hand: a width in a format string makes g++ 12 warn inside fmt under a
// sanitizer.
void append_hex(std::string& line, unsigned value, unsigned digits) {
    while (digits-- > 0) line += "0123456789abcdef"[value >> 4 * digits & 0xf];
}

void append_tcp_flags(std::string& line, std::uint8_t flags) {
    using namespace tcp_flags;
    static constexpr std::array<std::pair<std::uint8_t, char>, 8> letters{
        {{fin, 'F'}, {syn, 'S'}, {rst, 'R'}, {psh, 'P'}, {ack, '.'}, {urg, 'U'}, {ece, 'E'}, {cwr, 'W'}}};
    if (flags == 0) line += "none";
    for (const auto& [bit, letter] : letters)
        if ((flags & bit) != 0) line += letter;
}

// An option of a kind that has a name and one right length (SACK: of any length that its blocks can have).
void append_named_option(std::string& line, Octets option, std::string_view name, bool right_length) {
    line += name;
    if (!right_length) {
        append(line, " [length {}]", option.size());
        return;
    }
    switch (octet(option, 0)) {
        case tcp_option::mss:
            append(line, " {}", load_be16(option, 2));
            break;
        case tcp_option::window_scale:
            append(line, " {}", octet(option, 2));
            break;
        case tcp_option::sack:
            append(line, " {} ", option.size() / 8);
            for (std::size_t at = 2; at < option.size(); at += 8)
                append(line, "{{{}:{}}}", load_be32(option, at), load_be32(option, at + 4));
            break;
        case tcp_option::timestamps:
            append(line, " val {} ecr {}", load_be32(option, 2), load_be32(option, 6));
            break;
        case tcp_option::fast_open:
            line += option.size() == 2 ? "  cookiereq" : "  cookie ";
            for (const std::byte each : option.subspan(2))
                append_hex(line, std::to_integer<unsigned>(each), 2);
            break;
        default:
            break;
    }
}

void append_tcp_option(std::string& line, Octets option) {
    const std::size_t size = option.size();
    switch (octet(option, 0)) {
        case tcp_option::mss:
            return append_named_option(line, option, "mss", size == 4);
        case tcp_option::window_scale:
            return append_named_option(line, option, "wscale", size == 3);
        case tcp_option::sack_permitted:
            return append_named_option(line, option, "sackOK", size == 2);
        case tcp_option::sack:
            return append_named_option(line, option, "sack", size >= 10 && size % 8 == 2);
        case tcp_option::timestamps:
            return append_named_option(line, option, "TS", size == 10);
        case tcp_option::fast_open:
            return append_named_option(line, option, "tfo",
                                       size == 2 || (size >= 6 && size <= 18 && size % 2 == 0));
        default:
            break;
    }
    append(line, "unknown-{}", octet(option, 0));
    if (size > 2) line += " 0x";
    for (const std::byte each : option.subspan(2)) append_hex(line, std::to_integer<unsigned>(each), 2);
}

void append_tcp_options(std::string& line, Octets list) {
    for (std::size_t at = 0; at < list.size();) {
        if (at != 0) line += ',';
        const unsigned kind = octet(list, at);
        if (kind == tcp_option::end_of_list) {
            line += "eol";
            return;
        }
        if (kind == tcp_option::no_operation) {
            line += "nop";
            ++at;
            continue;
        }
        const std::size_t left = list.size() - at;
        const std::size_t length = left < 2 ? 0 : octet(list, at + 1);
        if (length < 2 || length > left) {
            line += "[bad opt]";
            return;
        }
        append_tcp_option(line, list.subspan(at, length));
        at += length;
    }
}

void append_tcp(std::string& line, std::string_view source, std::string_view destination, Octets segment) {
    const TcpError error = TcpView::check(segment);
    if (error == TcpError::truncated_header) {
        append(line, "{} > {}: [truncated TCP header]", source, destination);
        return;
    }
    append(line, "{}.{} > {}.{}: ", source, load_be16(segment, 0), destination, load_be16(segment, 2));
    if (error != TcpError::none) {
        const std::size_t header = octet(segment, 12) / 16 * 4;
        append(line, "[bad TCP header length {}{}]", header,
               error == TcpError::data_offset_beyond ? fmt::format(", {} octets of segment", segment.size())
                                                     : "");
        return;
    }
    const TcpView view = *TcpView::parse(segment);
    const std::size_t length = view.payload().size();
    line += "Flags [";
    append_tcp_flags(line, view.flags());
    line += ']';
    // tcpdump leaves the sequence number out where nothing is in sequence.
    if (length > 0)
        append(line, ", seq {}:{}", view.sequence().value(),
               (view.sequence() + static_cast<std::uint32_t>(length)).value());
    else if (view.has(tcp_flags::syn | tcp_flags::fin | tcp_flags::rst))
        append(line, ", seq {}", view.sequence().value());
    if (view.has(tcp_flags::ack)) append(line, ", ack {}", view.acknowledgement().value());
    append(line, ", win {}", view.window());
    if (view.has(tcp_flags::urg)) append(line, ", urg {}", view.urgent_pointer());
    if (!view.options().empty()) {
        line += ", options [";
        append_tcp_options(line, view.options());
        line += ']';
    }
    append(line, ", length {}", length);
}

void append_udp(std::string& line, std::string_view source, std::string_view destination, Octets datagram) {
    UdpView view;
    const UdpFault fault = UdpView::parse(datagram, view);
    if (fault == UdpFault::truncated) {
        append(line, "{} > {}: [truncated UDP header]", source, destination);
        return;
    }
    append(line, "{}.{} > {}.{}: ", source, load_be16(datagram, 0), destination, load_be16(datagram, 2));
    if (fault == UdpFault::bad_length)
        append(line, "[bad UDP length {}, {} octets of datagram]", load_be16(datagram, 4), datagram.size());
    else
        append(line, "UDP, length {}", view.payload().size());
}

void append_unreachable(std::string& line, const IcmpView& message) {
    const Octets quote = message.payload();
    if (quote.size() < ipv4_header_size) {
        append(line, "unreachable, code {} [truncated quote]", message.code());
        return;
    }
    const std::string target = to_string(Ipv4Address{load_be32(quote, 16)});
    switch (UnreachableCode{message.code()}) {
        case UnreachableCode::network:
            append(line, "net {} unreachable", target);
            return;
        case UnreachableCode::host:
            append(line, "host {} unreachable", target);
            return;
        case UnreachableCode::protocol:
            append(line, "{} protocol {} unreachable", target, octet(quote, 9));
            return;
        case UnreachableCode::port: {
            const auto quoted = parse_quoted_packet(quote);
            if (!quoted)
                append(line, "{} port unreachable [truncated quote]", target);
            else if (quoted->protocol == IpProtocol::tcp || quoted->protocol == IpProtocol::udp)
                append(line, "{} {} port {} unreachable", target,
                       quoted->protocol == IpProtocol::tcp ? "tcp" : "udp", quoted->destination_port);
            else
                append(line, "{} protocol {} port {} unreachable", target,
                       static_cast<unsigned>(quoted->protocol), quoted->destination_port);
            return;
        }
        case UnreachableCode::fragmentation_needed:
            append(line, "{} unreachable - need to frag", target);
            if (message.next_hop_mtu() != 0) append(line, " (mtu {})", message.next_hop_mtu());
            return;
        case UnreachableCode::source_route_failed:
            append(line, "{} unreachable - source route failed", target);
            return;
    }
    append(line, "{} unreachable - #{}", target, message.code());
}

void append_redirect(std::string& line, const IcmpView& message) {
    const Octets quote = message.payload();
    const Ipv4Address gateway{std::uint32_t{message.identifier()} << 16 | message.sequence()};
    if (quote.size() < ipv4_header_size)
        append(line, "redirect to {} [truncated quote]", to_string(gateway));
    else
        append(line, "redirect {} to {} {}", to_string(Ipv4Address{load_be32(quote, 16)}),
               message.code() == 0 ? "net" : "host", to_string(gateway));
}

void append_icmp(std::string& line, std::string_view source, std::string_view destination, Octets octets) {
    append(line, "{} > {}: ", source, destination);
    const auto message = IcmpView::parse(octets);
    if (!message) {
        line += "[truncated ICMP header]";
        return;
    }
    line += "ICMP ";
    switch (message->type()) {
        case IcmpType::echo_request:
        case IcmpType::echo_reply:
            append(line, "echo {}, id {}, seq {}",
                   message->type() == IcmpType::echo_request ? "request" : "reply", message->identifier(),
                   message->sequence());
            break;
        case IcmpType::destination_unreachable:
            append_unreachable(line, *message);
            break;
        case IcmpType::redirect:
            append_redirect(line, *message);
            break;
        case IcmpType::source_quench:
            line += "source quench";
            break;
        case IcmpType::time_exceeded:
            if (message->code() == 0)
                line += "time exceeded in-transit";
            else if (message->code() == 1)
                line += "ip reassembly time exceeded";
            else
                append(line, "time exceeded-#{}", message->code());
            break;
        case IcmpType::parameter_problem:
            append(line, "parameter problem - octet {}", message->identifier() >> 8);
            break;
        case IcmpType::timestamp_request:
            append(line, "time stamp query id {} seq {}", message->identifier(), message->sequence());
            break;
        case IcmpType::timestamp_reply:
            append(line, "time stamp reply id {} seq {}", message->identifier(), message->sequence());
            break;
        case IcmpType::information_request:
            line += "information request";
            break;
        case IcmpType::information_reply:
            line += "information reply";
            break;
        case IcmpType::address_mask_request:
            line += "address mask request";
            break;
        case IcmpType::address_mask_reply:
            line += "address mask reply";
            break;
        default:
            append(line, "type-#{}", static_cast<unsigned>(message->type()));
    }
    append(line, ", length {}", octets.size());
}

// What both versions of IP carry alike.
void append_transport(std::string& line, std::string_view source, std::string_view destination,
                      unsigned protocol, Octets payload) {
    switch (IpProtocol{static_cast<std::uint8_t>(protocol)}) {
        case IpProtocol::tcp:
            return append_tcp(line, source, destination, payload);
        case IpProtocol::udp:
            return append_udp(line, source, destination, payload);
        case IpProtocol::igmp:
            append(line, "{} > {}: {}, length {}", source, destination, describe_igmp(payload),
                   payload.size());
            return;
        default:
            append(line, "{} > {}: ip-proto-{}, length {}", source, destination, protocol, payload.size());
    }
}

void append_ipv4(std::string& line, Octets packet) {
    line += "IP ";
    Ipv4View view;
    switch (Ipv4View::parse(packet, view)) {
        case Ipv4Fault::none:
            break;
        case Ipv4Fault::truncated:
            line += "[truncated IP header]";
            return;
        case Ipv4Fault::bad_version:
            append(line, "[version {} in IPv4]", octet(packet, 0) >> 4);
            return;
        case Ipv4Fault::bad_header_length:
            append(line, "[bad IP header length {}, {} octets of packet]", (octet(packet, 0) & 0xf) * 4,
                   packet.size());
            return;
        case Ipv4Fault::bad_total_length:
            append(line, "[bad IP total length {}, {} octets of packet]", load_be16(packet, 2),
                   packet.size());
            return;
    }
    const std::string source = to_string(view.source());
    const std::string destination = to_string(view.destination());
    const auto protocol = static_cast<unsigned>(view.protocol());
    if (view.is_fragment())
        append(line, "{} > {}: ip-proto-{}, fragment at {}, length {}", source, destination, protocol,
               view.fragment_offset(), view.payload().size());
    else if (view.protocol() == IpProtocol::icmp)
        append_icmp(line, source, destination, view.payload());
    else
        append_transport(line, source, destination, protocol, view.payload());
}

void append_icmpv6(std::string& line, std::string_view source, std::string_view destination, Octets octets) {
    append(line, "{} > {}: ICMP6, ", source, destination);
    const auto message = parse_icmpv6(octets);
    if (!message) {
        append(line, "[truncated], length {}", octets.size());
        return;
    }
    const auto target = [&]() {
        return octets.size() < neighbour_message_size ? std::string{"[truncated]"}
                                                      : to_string(load_ipv6(octets.data() + 8));
    };
    switch (Icmpv6Type{message->type}) {
        case Icmpv6Type::echo_request:
        case Icmpv6Type::echo_reply:
            append(line, "echo {}, id {}, seq {}",
                   Icmpv6Type{message->type} == Icmpv6Type::echo_request ? "request" : "reply",
                   message->rest >> 16, message->rest & 0xffff);
            break;
        case Icmpv6Type::destination_unreachable:
            append(line, "destination unreachable, code {}", message->code);
            break;
        case Icmpv6Type::packet_too_big:
            append(line, "packet too big, mtu {}", message->rest);
            break;
        case Icmpv6Type::time_exceeded:
            append(line, "time exceeded, code {}", message->code);
            break;
        case Icmpv6Type::parameter_problem:
            append(line, "parameter problem, code {} - octet {}", message->code, message->rest);
            break;
        case Icmpv6Type::neighbour_solicitation:
            append(line, "neighbor solicitation, who has {}", target());
            break;
        case Icmpv6Type::neighbour_advertisement:
            append(line, "neighbor advertisement, tgt is {}, flags [{}{}{}]", target(),
                   (message->rest & advertisement_router) != 0 ? "R" : "",
                   (message->rest & advertisement_solicited) != 0 ? "S" : "",
                   (message->rest & advertisement_override) != 0 ? "O" : "");
            break;
        case Icmpv6Type::router_solicitation:
            line += "router solicitation";
            break;
        case Icmpv6Type::router_advertisement:
            line += "router advertisement";
            break;
        case Icmpv6Type::redirect:
            line += "redirect";
            break;
        case Icmpv6Type::listener_query:
        case Icmpv6Type::listener_report:
        case Icmpv6Type::listener_done:
        case Icmpv6Type::listener_report_v2:
            line += describe_mld(octets);
            break;
        default:
            append(line, "type-#{}", message->type);
    }
    append(line, ", length {}", octets.size());
}

void append_ipv6(std::string& line, Octets packet) {
    line += "IP6 ";
    if (packet.size() < ipv6_header_size) {
        line += "[truncated IPv6 header]";
        return;
    }
    if (octet(packet, 0) >> 4 != 6) {
        append(line, "[version {} in IPv6]", octet(packet, 0) >> 4);
        return;
    }
    const std::size_t length = load_be16(packet, 4);
    if (length > packet.size() - ipv6_header_size) {
        append(line, "[bad IPv6 payload length {}, {} octets of payload]", length,
               packet.size() - ipv6_header_size);
        return;
    }
    const std::string source = to_string(load_ipv6(packet.data() + 8));
    const std::string destination = to_string(load_ipv6(packet.data() + 24));
    const Ipv6Chain chain = walk_ipv6_chain(packet, ipv6_header_size + length);
    const Octets payload = packet.subspan(chain.offset, ipv6_header_size + length - chain.offset);
    switch (chain.verdict) {
        case Ipv6Verdict::deliver:
            break;
        case Ipv6Verdict::fragment:
        case Ipv6Verdict::incomplete_chain:
            append(line, "{} > {}: frag (", source, destination);
            if (chain.fragment_header != 0)
                append(line, "{}", load_ipv6_fragment(packet.data() + chain.fragment_header).offset);
            append(line, "|{})", payload.size());
            return;
        case Ipv6Verdict::nothing:
            append(line, "{} > {}: no next header", source, destination);
            return;
        case Ipv6Verdict::drop:
        case Ipv6Verdict::malformed:
        case Ipv6Verdict::parameter_problem:
            append(line, "{} > {}: [bad extension header {}], length {}", source, destination, chain.protocol,
                   length);
            return;
    }
    if (chain.protocol == icmpv6_protocol)
        append_icmpv6(line, source, destination, payload);
    else
        append_transport(line, source, destination, chain.protocol, payload);
}

// Read octet by octet and not by `parse_arp`, so that a packet which the stack refuses is still shown.
void append_arp(std::string& line, Octets packet) {
    line += "ARP, ";
    if (packet.size() < arp_packet_size) {
        line += "[truncated ARP packet]";
        return;
    }
    if (load_be16(packet, 0) != 1 || load_be32(packet, 2) != 0x08000604) {
        append(line, "[hardware type {}, protocol 0x", load_be16(packet, 0));
        append_hex(line, load_be16(packet, 2), 4);
        line += ", not IPv4 over Ethernet]";
        return;
    }
    const std::string sender = to_string(Ipv4Address{load_be32(packet, 14)});
    const std::string target = to_string(Ipv4Address{load_be32(packet, 24)});
    const MacAddress target_mac = load_mac(packet.data() + 18);
    switch (const unsigned operation = load_be16(packet, 6); operation) {
        case 1:
            append(line, "Request who-has {}", target);
            if (target_mac != MacAddress{}) append(line, " ({})", to_string(target_mac));
            append(line, " tell {}", sender);
            break;
        case 2:
            append(line, "Reply {} is-at {}", sender, to_string(load_mac(packet.data() + 8)));
            break;
        default:
            append(line, "Unknown ({})", operation);
    }
    append(line, ", length {}", packet.size());
}

void append_payload(std::string& line, EtherType type, Octets payload) {
    switch (type) {
        case EtherType::ipv4:
            return append_ipv4(line, payload);
        case EtherType::ipv6:
            return append_ipv6(line, payload);
        case EtherType::arp:
            return append_arp(line, payload);
        default:
            line += "ethertype 0x";
            append_hex(line, static_cast<unsigned>(type), 4);
            append(line, ", length {}", payload.size());
    }
}

}  // namespace

std::string describe(std::span<const std::byte> frame) {
    const auto ethernet = EthernetView::parse(frame);
    if (!ethernet) return "[truncated Ethernet header]";
    std::string line;
    EtherType type = ethernet->type();
    Octets payload = ethernet->payload();
    while (is_vlan_tag(type)) {
        const auto tag = parse_vlan_tag(payload);
        if (!tag) return line + "[truncated VLAN tag]";
        append(line, "vlan {}, p {}{}, ", tag->id, tag->priority, tag->drop_eligible ? ", DEI" : "");
        type = tag->type;
        payload = payload.subspan(vlan_tag_size);
    }
    append_payload(line, type, payload);
    return line;
}

std::string describe_ip(std::span<const std::byte> packet) {
    if (packet.empty()) return "IP [truncated IP header]";
    std::string line;
    append_payload(line, octet(packet, 0) >> 4 == 6 ? EtherType::ipv6 : EtherType::ipv4, packet);
    return line;
}

}  // namespace runnel::wire
