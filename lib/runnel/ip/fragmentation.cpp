#include "runnel/ip/fragmentation.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "runnel/ip/mbuf_reader.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::ip {

namespace {

// 64 KB in fragments as small as the smallest mbufs make them.
constexpr std::size_t most_fragments = 1024;

void write_ipv4(std::byte* header, std::size_t offset, std::size_t size, bool more) noexcept {
    wire::store_be16(header + 2, static_cast<std::uint16_t>(wire::ipv4_header_size + size));
    wire::store_be16(header + 6,
                     static_cast<std::uint16_t>(offset / 8 | (more ? wire::ipv4_more_fragments : 0U)));
    wire::store_be16(header + 10, 0);
    wire::store_be16(header + 10, wire::checksum_finish(
                                      wire::checksum_add(std::span<const std::byte, wire::ipv4_header_size>{
                                          header, wire::ipv4_header_size})));
}

void write_ipv6(std::byte* header, std::size_t offset, std::size_t size, bool more) noexcept {
    wire::store_be16(header + 4, static_cast<std::uint16_t>(wire::ipv6_fragment_header_size + size));
    wire::store_be16(header + wire::ipv6_header_size + 2,
                     static_cast<std::uint16_t>(offset | (more ? 1U : 0U)));
}

}  // namespace

bool send_fragments(rte_mbuf* packet, const LinkHeader& header, LinkOutput& link) noexcept {
    const auto* const first = rte_pktmbuf_mtod(packet, const std::byte*);
    const bool v4 = std::to_integer<unsigned>(first[0]) >> 4 == 4;
    const std::size_t header_size = v4 ? wire::ipv4_header_size : ipv6_fragment_headers_size;
    const std::size_t largest =
        v4 ? wire::load_be16(first + 2) : wire::ipv6_header_size + wire::load_be16(first + 4);
    const std::size_t size = packet->pkt_len - header_size;

    std::array<rte_mbuf*, most_fragments> fragments;
    fragments[0] = link.stash().take_data();
    if (fragments[0] == nullptr) {
        link.drop(packet, DropReason::no_mbuf);
        return false;
    }
    // An mbuf may hold less than the MTU; fragments may be smaller.
    const std::size_t room = std::min<std::size_t>(largest, rte_pktmbuf_tailroom(fragments[0]));
    const std::size_t step = room > header_size ? (room - header_size) / 8 * 8 : 0;
    const std::size_t count = step == 0 ? most_fragments + 1 : (size + step - 1) / step;
    std::size_t taken = 1;
    const bool queue_has_room = link.room() >= count;
    if (count <= most_fragments && queue_has_room)
        while (taken < count && (fragments[taken] = link.stash().take_data()) != nullptr) ++taken;
    if (taken != count) {
        for (rte_mbuf* const fragment : std::span{fragments}.first(taken)) link.stash().put(fragment);
        link.drop(packet, queue_has_room ? DropReason::no_mbuf : DropReason::transmit_queue_full);
        return false;
    }

    MbufReader data{packet, header_size};
    for (std::size_t i = 0; i < count; ++i) {
        rte_mbuf* const fragment = fragments[i];
        const std::size_t offset = i * step, octets = std::min(step, size - offset);
        auto* const to = rte_pktmbuf_mtod(fragment, std::byte*);
        std::memcpy(to, first, header_size);
        data.copy(to + header_size, octets);
        fragment->data_len = static_cast<std::uint16_t>(header_size + octets);
        fragment->pkt_len = fragment->data_len;
        (v4 ? write_ipv4 : write_ipv6)(to, offset, octets, i + 1 < count);
        link.send(fragment, header);
    }
    link.stash().put(packet);
    link.counters().add(Counter::ip_fragmented_out);
    link.counters().add(Counter::ip_fragments_out, count);
    return true;
}

}  // namespace runnel::ip
