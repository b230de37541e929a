#include "frame.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include <rte_mempool.h>

#include "family.hpp"

namespace runnel::test {

namespace {

void put8(Octets& out, unsigned value) {
    out.push_back(static_cast<std::uint8_t>(value));
}
void put16(Octets& out, unsigned value) {
    put8(out, value >> 8 & 0xff);
    put8(out, value & 0xff);
}
void put32(Octets& out, std::uint32_t value) {
    put16(out, value >> 16);
    put16(out, value & 0xffff);
}
void set16(Octets& out, std::size_t at, unsigned value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
}
std::uint16_t get16(std::span<const std::uint8_t> in, std::size_t at) {
    return static_cast<std::uint16_t>(in[at] << 8 | in[at + 1]);
}
std::uint32_t get32(std::span<const std::uint8_t> in, std::size_t at) {
    return std::uint32_t{get16(in, at)} << 16 | get16(in, at + 2);
}

Octets octets_of(const Ipv6Address& address) {
    return {address.octets.begin(), address.octets.end()};
}

std::uint32_t pseudo_header_sum(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol,
                                std::size_t length) {
    if (speaks_ipv6()) {
        std::uint32_t sum = protocol + static_cast<std::uint32_t>(length);
        for (const Octets& address : {octets_of(ipv6_for(source)), octets_of(ipv6_for(destination))})
            for (std::size_t i = 0; i < 16; i += 2) sum += get16(address, i);
        return sum;
    }
    return (source.value >> 16) + (source.value & 0xffff) + (destination.value >> 16) +
           (destination.value & 0xffff) + protocol + static_cast<std::uint32_t>(length);
}

/// Complains of options that cannot be walked (RFC 9293 MUST-68), and of padding that is not zero (MUST-69).
void check_options(std::span<const std::uint8_t> options, std::string& problems, std::string& sender_faults) {
    for (std::size_t i = 0; i < options.size();) {
        if (options[i] == option::end) {
            if (std::any_of(options.begin() + static_cast<std::ptrdiff_t>(i), options.end(),
                            [](auto o) { return o != 0; }))
                sender_faults += "padding after the end of the options is not zero; ";
            return;
        }
        if (options[i] == option::nop) {
            ++i;
            continue;
        }
        if (i + 1 >= options.size() || options[i + 1] < 2 || i + options[i + 1] > options.size()) {
            problems += fmt::format("option {} has an illegal length; ", options[i]);
            return;
        }
        i += options[i + 1];
    }
}

void decode_tcp(std::span<const std::uint8_t> tcp, Frame& frame) {
    if (tcp.size() < 20) {
        frame.problems += "TCP header truncated; ";
        return;
    }
    const std::size_t header = std::size_t{tcp[12]} >> 4 << 2;
    if (header < 20 || header > tcp.size()) {
        frame.problems +=
            fmt::format("TCP data offset of {} octets in a segment of {}; ", header, tcp.size());
        return;
    }
    if (internet_checksum(tcp, pseudo_header_sum(frame.source, frame.destination, 6, tcp.size())) != 0)
        frame.problems += "TCP checksum wrong; ";
    if ((tcp[12] & 0x0f) != 0) frame.sender_faults += "reserved bits of the TCP header set; ";
    Segment& s = frame.segment;
    s.source = {frame.source, get16(tcp, 0)};
    s.destination = {frame.destination, get16(tcp, 2)};
    s.sequence = get32(tcp, 4);
    s.acknowledgement = get32(tcp, 8);
    s.flag_bits = tcp[13];
    s.window = get16(tcp, 14);
    s.urgent_pointer = get16(tcp, 18);
    s.options.assign(tcp.begin() + 20, tcp.begin() + static_cast<std::ptrdiff_t>(header));
    check_options(s.options, frame.problems, frame.sender_faults);
    s.text = std::string(tcp.begin() + static_cast<std::ptrdiff_t>(header), tcp.end());
    s.time_to_live = frame.ttl;
    s.type_of_service = frame.tos;
}

}  // namespace

std::uint16_t internet_checksum(std::span<const std::uint8_t> octets, std::uint32_t sum) {
    std::uint64_t total = sum;
    for (std::size_t i = 0; i < octets.size(); ++i)
        total += i % 2 == 0 ? std::uint64_t{octets[i]} << 8 : octets[i];
    while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
    return static_cast<std::uint16_t>(~total);
}

namespace {

Octets ipv4_packet(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol, std::size_t size,
                   std::uint8_t ttl, std::span<const std::uint8_t> ip_options, std::uint8_t tos) {
    Octets padded(ip_options.begin(), ip_options.end());
    padded.resize((padded.size() + 3) / 4 * 4);
    const std::size_t header = 20 + padded.size();
    Octets ip;
    put8(ip, static_cast<unsigned>(0x40 | header / 4));
    put8(ip, tos);
    put16(ip, static_cast<unsigned>(header + size));
    put16(ip, 0x1234);
    put16(ip, 0x4000);
    put8(ip, ttl);
    put8(ip, protocol);
    put16(ip, 0);
    put32(ip, source.value);
    put32(ip, destination.value);
    ip.insert(ip.end(), padded.begin(), padded.end());
    set16(ip, 10, internet_checksum(ip));
    return ip;
}

Octets ipv6_packet(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol, std::size_t size,
                   std::uint8_t ttl, std::span<const std::uint8_t> options, std::uint8_t tos) {
    constexpr unsigned destination_options = 60;
    constexpr std::uint8_t pad1 = 0, to_be_skipped = 0x1e;
    Octets extension;
    if (!options.empty()) {
        extension = {protocol, 0, to_be_skipped, static_cast<std::uint8_t>(options.size())};
        extension.insert(extension.end(), options.begin(), options.end());
        extension.resize((extension.size() + 7) / 8 * 8, pad1);
        extension[1] = static_cast<std::uint8_t>(extension.size() / 8 - 1);
    }
    Octets ip;
    put32(ip, 0x6000'0000U | std::uint32_t{tos} << 20);
    put16(ip, static_cast<unsigned>(extension.size() + size));
    put8(ip, extension.empty() ? protocol : destination_options);
    put8(ip, ttl);
    for (const Octets& address : {octets_of(ipv6_for(source)), octets_of(ipv6_for(destination))})
        ip.insert(ip.end(), address.begin(), address.end());
    ip.insert(ip.end(), extension.begin(), extension.end());
    return ip;
}

}  // namespace

Octets encode_ip(const MacAddress& to, const MacAddress& from, Ipv4Address source, Ipv4Address destination,
                 std::uint8_t protocol, std::span<const std::uint8_t> payload, std::uint8_t ttl,
                 std::span<const std::uint8_t> ip_options, std::uint8_t tos) {
    const Octets ip = (speaks_ipv6() ? ipv6_packet : ipv4_packet)(source, destination, protocol,
                                                                  payload.size(), ttl, ip_options, tos);
    Octets frame;
    frame.insert(frame.end(), to.octets.begin(), to.octets.end());
    frame.insert(frame.end(), from.octets.begin(), from.octets.end());
    put16(frame, speaks_ipv6() ? 0x86dd : 0x0800);
    frame.insert(frame.end(), ip.begin(), ip.end());
    frame.insert(frame.end(), payload.begin(), payload.end());
    if (frame.size() < 60) frame.resize(60);
    return frame;
}

Octets encode_tcp(const Segment& segment) {
    Octets options = segment.options;
    options.resize((options.size() + 3) / 4 * 4);
    Octets tcp;
    put16(tcp, segment.source->port);
    put16(tcp, segment.destination->port);
    put32(tcp, segment.sequence.value_or(0));
    put32(tcp, segment.acknowledgement.value_or(0));
    put8(tcp, static_cast<unsigned>((20 + options.size()) / 4 << 4));
    put8(tcp, segment.flag_bits.value_or(0));
    put16(tcp, segment.window.value_or(0));
    put16(tcp, 0);
    put16(tcp, segment.urgent_pointer.value_or(0));
    tcp.insert(tcp.end(), options.begin(), options.end());
    if (segment.text) tcp.insert(tcp.end(), segment.text->begin(), segment.text->end());
    const std::uint32_t pseudo =
        pseudo_header_sum(segment.source->address, segment.destination->address, 6, tcp.size());
    set16(tcp, 16, internet_checksum(tcp, pseudo) ^ (segment.break_checksum ? 0x0101U : 0U));
    return tcp;
}

Octets encode(const Segment& segment, const MacAddress& to, const MacAddress& from) {
    return encode_ip(segment.ethernet_destination.value_or(to), from, segment.source->address,
                     segment.destination->address, 6, encode_tcp(segment), segment.time_to_live.value_or(64),
                     segment.ip_option_octets, segment.type_of_service.value_or(0));
}

namespace {

// ICMPv6 of a size and with a checksum; of Neighbour Discovery no more is looked at here.
void decode_icmpv6(std::span<const std::uint8_t> payload, std::span<const std::uint8_t> addresses,
                   Frame& frame) {
    std::uint32_t sum = 58 + static_cast<std::uint32_t>(payload.size());
    for (std::size_t i = 0; i < addresses.size(); i += 2) sum += get16(addresses, i);
    frame.kind = FrameKind::icmp;
    if (payload.size() < 8 || internet_checksum(payload, sum) != 0)
        frame.problems += "ICMPv6 truncated or its checksum wrong; ";
    else
        frame.icmp_type = payload[0], frame.icmp_code = payload[1];
}

void decode_ipv6(std::span<const std::uint8_t> ip, bool padded, Frame& frame) {
    if (ip.size() < 40 || ip[0] >> 4 != 6) {
        frame.problems += "not an IPv6 header; ";
        return;
    }
    const std::size_t length = 40 + std::size_t{get16(ip, 4)};
    if (length > ip.size()) {
        frame.problems += fmt::format("IPv6 packet of {}, frame holds {}; ", length, ip.size());
        return;
    }
    if (length < ip.size() && !padded) frame.problems += "octets after the IPv6 packet; ";
    Ipv6Address source, destination;
    std::copy_n(ip.begin() + 8, 16, source.octets.begin());
    std::copy_n(ip.begin() + 24, 16, destination.octets.begin());
    frame.source = ipv4_for(source);
    frame.destination = ipv4_for(destination);
    frame.ttl = ip[7];
    frame.tos = static_cast<std::uint8_t>(get16(ip, 0) >> 4);
    frame.flow_label = get32(ip, 0) & 0xfffff;
    frame.dont_fragment = true;
    if (frame.ttl == 0) frame.problems += "hop limit 0; ";
    std::size_t at = 40;
    std::uint8_t protocol = ip[6];
    if (protocol == 60 && length >= 48) {
        protocol = ip[at];
        at += (std::size_t{ip[at + 1]} + 1) * 8;
    }
    const auto payload = ip.subspan(std::min(at, length), length - std::min(at, length));
    if (protocol == 6) {
        frame.kind = FrameKind::tcp;
        decode_tcp(payload, frame);
    } else if (protocol == 17) {
        frame.kind = FrameKind::udp;
    } else if (protocol == 58) {
        decode_icmpv6(payload, ip.subspan(8, 32), frame);
    } else if (protocol == 89) {
        frame.kind = FrameKind::raw;
    } else {
        frame.problems += fmt::format("next header {}; ", protocol);
    }
}

}  // namespace

Frame decode(std::span<const std::uint8_t> octets) {
    Frame frame;
    if (octets.size() < 14) {
        frame.problems = "Ethernet header truncated; ";
        return frame;
    }
    std::copy_n(octets.begin(), 6, frame.ethernet_to.octets.begin());
    std::copy_n(octets.begin() + 6, 6, frame.ethernet_from.octets.begin());
    const std::uint16_t type = get16(octets, 12);
    if (type == 0x0806) {
        frame.kind = FrameKind::arp;
        if (octets.size() < 42) frame.problems += "ARP truncated; ";
        return frame;
    }
    if (type == 0x86dd) {
        decode_ipv6(octets.subspan(14), octets.size() <= 60, frame);
        return frame;
    }
    if (type != 0x0800) {
        frame.problems += fmt::format("EtherType {:#06x}; ", type);
        return frame;
    }
    const auto ip = octets.subspan(14);
    if (ip.size() < 20 || ip[0] >> 4 != 4) {
        frame.problems += "not an IPv4 header; ";
        return frame;
    }
    const std::size_t header = std::size_t{ip[0] & 0xfU} * 4;
    const std::size_t total = get16(ip, 2);
    if (header < 20 || total < header || total > ip.size()) {
        frame.problems +=
            fmt::format("IPv4 header of {} octets, packet of {}, frame holds {}; ", header, total, ip.size());
        return frame;
    }
    if (total < ip.size() && octets.size() > 60) frame.problems += "octets after the IPv4 packet; ";
    if (internet_checksum(ip.first(header)) != 0) frame.problems += "IPv4 header checksum wrong; ";
    frame.ttl = ip[8];
    frame.tos = ip[1];
    frame.dont_fragment = (ip[6] & 0x40) != 0;
    if ((get16(ip, 6) & 0xbfff) != 0) frame.problems += "a fragment, or the reserved flag set; ";
    if (frame.ttl == 0) frame.problems += "TTL 0; ";
    frame.source = Ipv4Address{get32(ip, 12)};
    frame.destination = Ipv4Address{get32(ip, 16)};
    const auto payload = ip.subspan(header, total - header);
    switch (ip[9]) {
        case 1:
            frame.kind = FrameKind::icmp;
            if (payload.size() < 8 || internet_checksum(payload) != 0)
                frame.problems += "ICMP truncated or its checksum wrong; ";
            else
                frame.icmp_type = payload[0], frame.icmp_code = payload[1];
            break;
        case 6:
            frame.kind = FrameKind::tcp;
            if (!frame.dont_fragment) frame.sender_faults += "TCP without DF; ";
            decode_tcp(payload, frame);
            break;
        case 17:
            frame.kind = FrameKind::udp;
            break;
        case 89:
            frame.kind = FrameKind::raw;
            break;
        default:
            frame.problems += fmt::format("IP protocol {}; ", ip[9]);
    }
    return frame;
}

rte_mempool* mbuf_pool() {
    static rte_mempool* const pool = [] {
        rte_mempool* made =
            rte_pktmbuf_pool_create("test_mbufs", 16383, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
        if (made == nullptr) std::abort();
        return made;
    }();
    return pool;
}

unsigned mbufs_in_use() {
    return rte_mempool_in_use_count(mbuf_pool());
}

rte_mbuf* to_mbuf(std::span<const std::uint8_t> frame) {
    rte_mbuf* head = nullptr;
    std::size_t done = 0;
    do {
        rte_mbuf* part = rte_pktmbuf_alloc(mbuf_pool());
        if (part == nullptr) std::abort();
        const std::size_t n = std::min<std::size_t>(frame.size() - done, rte_pktmbuf_tailroom(part));
        std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(done), n,
                    reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(part, static_cast<std::uint16_t>(n))));
        done += n;
        if (head == nullptr)
            head = part;
        else
            rte_pktmbuf_chain(head, part);
    } while (done < frame.size());
    return head;
}

Octets octets_of(const rte_mbuf& mbuf) {
    Octets octets;
    for (const rte_mbuf* part = &mbuf; part != nullptr; part = part->next) {
        const auto* begin = rte_pktmbuf_mtod(part, const std::uint8_t*);
        octets.insert(octets.end(), begin, begin + part->data_len);
    }
    return octets;
}

std::string text_of(const rte_mbuf& mbuf) {
    const Octets octets = octets_of(mbuf);
    return {octets.begin(), octets.end()};
}

}  // namespace runnel::test
