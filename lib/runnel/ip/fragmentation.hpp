// Datagrams larger than what leaves in one frame: cut into fragments (RFC 791 section 3.2, RFC 8200
// section 4.5). TCP never comes here.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/ip/link_output.hpp"
#include "runnel/ip/udp_segmentation.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

/// Octets of all headers in front of the data of an uncut IPv6 packet: it has its fragment header already.
inline constexpr std::size_t ipv6_fragment_headers_size =
    wire::ipv6_header_size + wire::ipv6_fragment_header_size;

/// True of a packet, complete but for its link header, that is yet to be cut: then the length in its header
/// is that of the largest fragment, and shorter than the packet. It has no options.
[[nodiscard]] inline bool is_uncut(const rte_mbuf* packet) noexcept {
    const auto* const header = rte_pktmbuf_mtod(packet, const std::byte*);
    const bool v4 = std::to_integer<unsigned>(header[0]) >> 4 == 4;
    const std::size_t length =
        v4 ? wire::load_be16(header + 2) : wire::ipv6_header_size + wire::load_be16(header + 4);
    return length < packet->pkt_len;
}

/// Cuts an uncut packet and queues its fragments behind one another: all, or none where there is no room or
/// no mbuf for each, which is counted. Takes the mbuf in every case.
bool send_fragments(rte_mbuf* packet, const LinkHeader& header, LinkOutput& link) noexcept;

/// As `LinkOutput::send`, of packets that may be uncut.
inline bool send_packet(rte_mbuf* packet, const LinkHeader& header, LinkOutput& link) noexcept {
    if (is_uncut(packet)) [[unlikely]]
        return (packet->ol_flags & RTE_MBUF_F_TX_UDP_SEG) != 0 ? send_segments(packet, header, link)
                                                               : send_fragments(packet, header, link);
    return link.send(packet, header);
}

}  // namespace runnel::ip
