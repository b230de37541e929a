// Fragments received: checked, put together, and handed on as the packets that they were (RFC 791, RFC 8200
// section 4.5).
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

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

// Octets behind the IP header that those who parse a transport's header want to see at once: the longest of
// TCP's, and what an ICMP error quotes.
constexpr std::size_t transport_headers = 128;

}  // namespace

// RFC 791 section 3.2. The header has passed all checks.
Upper InternetLayer::Parts::input_ipv4_fragment(rte_mbuf* frame, const Interface& interface,
                                                std::size_t offset, Ingress& in, Instant now) noexcept {
    const auto* const header = rte_pktmbuf_mtod_offset(frame, const std::byte*, offset);
    const std::size_t header_size = (std::to_integer<std::size_t>(header[0]) & 0xf) * 4;
    const std::uint16_t where = wire::load_be16(header + 6);
    const std::size_t total = wire::load_be16(header + 2), size = total - header_size;
    const Reassembly::Key key{.source = Ipv4Address{wire::load_be32(header + 12)},
                              .destination = Ipv4Address{wire::load_be32(header + 16)},
                              .id = wire::load_be16(header + 4),
                              .protocol = std::to_integer<std::uint8_t>(header[9])};
    if (peers != nullptr && peers->pass_on(frame, key.source, key.destination, 0, 0)) return Upper::none;
    link.counters().add(Counter::ip_fragments_in);
    Reassembly::Fragment fragment{.frame = frame,
                                  .layout = {.ip = static_cast<std::uint16_t>(offset),
                                             .transport = static_cast<std::uint16_t>(header_size),
                                             .data = static_cast<std::uint16_t>(offset + header_size)},
                                  .offset = (where & wire::ipv4_fragment_offset_mask) * std::uint32_t{8},
                                  .more = (where & wire::ipv4_more_fragments) != 0,
                                  .tos = std::to_integer<std::uint8_t>(header[1]),
                                  .interface = interface.index};
    if (size == 0 || (fragment.more && size % 8 != 0) || header_size + fragment.offset + size > UINT16_MAX)
        return drop(frame, DropReason::ip_fragment_malformed);
    if (frame->pkt_len != offset + total) trim(frame, offset + total);
    fragment.frame = make_writable(frame, link);
    if (fragment.frame == nullptr) return Upper::none;
    expire_fragments(now);
    const auto whole = reassembly.add(key, fragment, now);
    if (!whole) return Upper::none;

    frame = whole->frame;
    const std::size_t first_header_size = whole->layout.transport;
    if (first_header_size + whole->data > UINT16_MAX) return drop(frame, DropReason::ip_fragment_malformed);
    if (!pull_up(frame, std::min<std::size_t>(frame->pkt_len, whole->layout.data + transport_headers)))
        return drop(frame, DropReason::frame_scattered);
    link.counters().add(Counter::ip_reassembled);
    exception.note_whole(key.id);
    auto* const made = rte_pktmbuf_mtod_offset(frame, std::byte*, whole->layout.ip);
    if (whole->congestion_marked) made[1] |= std::byte{3};
    wire::store_be16(made + 2, static_cast<std::uint16_t>(first_header_size + whole->data));
    wire::store_be16(made + 6, 0);
    wire::store_be16(made + 10, 0);
    wire::store_be16(made + 10, wire::checksum_finish(
                                    wire::checksum_add(std::span<const std::byte>{made, first_header_size})));
    return input_ipv4(frame, interfaces[whole->interface], whole->layout.ip, false, true, in, now);
}

// Tells the senders of what was not whole in time, where they can know by the quote what is meant: the first
// fragment had come (RFC 792, RFC 8200 section 4.5).
void InternetLayer::Parts::expire_fragments(Instant now) noexcept {
    constexpr auto code = static_cast<std::uint8_t>(wire::TimeExceededCode::reassembly);
    while (const auto late = reassembly.expire(now)) {
        const Interface& interface = interfaces[late->interface];
        const auto packet = first_segment(late->frame).subspan(late->layout.ip);
        Ingress in;
        if (std::to_integer<unsigned>(packet[0]) >> 4 == 4) {
            const bool group = !interfaces.is_local(Ipv4Address{wire::load_be32(packet, 16)});
            enter_ipv4(late->frame, interface, late->layout.ip, group, in);
            icmp.send_error(in, static_cast<std::uint8_t>(wire::IcmpType::time_exceeded), code, now);
        } else {
            const bool group = !ipv6_addresses.is_local(wire::load_ipv6(packet.data() + 24));
            const wire::Ipv6Chain chain{.offset = late->layout.transport};
            enter_ipv6(late->frame, interface, late->layout.ip, chain, group, in);
            icmpv6.send_error(in, wire::Icmpv6Type::time_exceeded, code, 0, false, now);
        }
        link.stash().put(late->frame);
    }
}

// RFC 8200 section 4.5. `in` is filled, and the frame's data begins where the chain of headers ends.
Upper InternetLayer::Parts::input_ipv6_fragment(const wire::Ipv6Chain& chain, std::size_t offset, Ingress& in,
                                                Instant now) noexcept {
    rte_mbuf* frame = in.mbuf;
    const auto skip = static_cast<std::ptrdiff_t>(offset + chain.offset);
    const std::byte* const packet = in.ipv6 - 8;
    const wire::Ipv6Fragment where = wire::load_ipv6_fragment(packet + chain.fragment_header);
    const Ipv6Pair pair = in.ipv6_pair();
    const Reassembly::Key key{.source = pair.remote, .destination = pair.local, .id = where.id};
    // What stands before the fragment header is each fragment's, what follows it is cut.
    const std::size_t data = chain.fragment_header + wire::ipv6_fragment_header_size;
    const std::size_t size = wire::ipv6_header_size + wire::load_be16(packet + 4) - data;
    constexpr std::uint32_t payload_length_at = 4;
    const std::uint32_t offset_at = chain.fragment_header + std::uint32_t{2};
    const std::size_t extensions = chain.fragment_header - wire::ipv6_header_size;

    skip_octets(frame, -skip);
    if (peers != nullptr && peers->pass_on(frame, key.source, key.destination, 0, 0)) return Upper::none;
    link.counters().add(Counter::ip_fragments_in);
    const bool unaligned = where.more && size % 8 != 0;
    if (unaligned || extensions + where.offset + size > UINT16_MAX) {
        skip_octets(frame, skip);
        icmpv6.send_error(in, wire::Icmpv6Type::parameter_problem,
                          static_cast<std::uint8_t>(wire::Ipv6ProblemCode::erroneous_field),
                          unaligned ? payload_length_at : offset_at, false, now);
        return drop(frame, DropReason::ip_fragment_malformed);
    }
    if (size == 0) return drop(frame, DropReason::ip_fragment_malformed);
    Reassembly::Fragment fragment{.frame = frame,
                                  .layout = {.ip = static_cast<std::uint16_t>(offset),
                                             .fragment_header = chain.fragment_header,
                                             .before_fragment = chain.before_fragment,
                                             .transport = chain.offset,
                                             .data = static_cast<std::uint16_t>(offset + data)},
                                  .offset = where.offset,
                                  .more = where.more,
                                  .tos = in.tos,
                                  .interface = in.interface};
    fragment.frame = make_writable(frame, link);
    if (fragment.frame == nullptr) return Upper::none;
    expire_fragments(now);
    const auto whole = reassembly.add(key, fragment, now);
    if (!whole) return Upper::none;

    frame = whole->frame;
    const Reassembly::Layout& layout = whole->layout;
    const std::size_t payload = layout.fragment_header - wire::ipv6_header_size + whole->data;
    if (payload > UINT16_MAX) return drop(frame, DropReason::ip_fragment_malformed);
    if (!pull_up(frame,
                 std::min<std::size_t>(frame->pkt_len, layout.ip + layout.transport + transport_headers)))
        return drop(frame, DropReason::frame_scattered);
    link.counters().add(Counter::ip_reassembled);
    exception.note_whole(key.id);
    // The fragment header goes, and what stands before it moves up.
    auto* const start = rte_pktmbuf_mtod(frame, std::byte*);
    const std::byte next_header = start[layout.ip + layout.fragment_header];
    std::memmove(start + wire::ipv6_fragment_header_size, start, layout.ip + layout.fragment_header);
    skip_octets(frame, wire::ipv6_fragment_header_size);
    auto* const made = rte_pktmbuf_mtod_offset(frame, std::byte*, layout.ip);
    if (whole->congestion_marked) made[1] |= std::byte{0x30};
    made[layout.before_fragment] = next_header;
    wire::store_be16(made + 4, static_cast<std::uint16_t>(payload));
    return input_ipv6(frame, interfaces[whole->interface], layout.ip, false, true, in, now);
}

}  // namespace runnel::ip
