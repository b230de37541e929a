// The Internet checksum (RFC 1071) over the octets of an mbuf chain, pieces of odd length included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <rte_byteorder.h>
#include <rte_mbuf.h>

#include "runnel/ip/internet_layer.hpp"
#include "runnel/wire/checksum.hpp"

namespace runnel::ip {

/// The octets of the first piece of an mbuf chain.
[[nodiscard]] inline std::span<const std::byte> first_segment(const rte_mbuf* mbuf) noexcept {
    return {rte_pktmbuf_mtod(mbuf, const std::byte*), mbuf->data_len};
}

/// Adds all octets of the chain to a partial sum.
[[nodiscard]] inline std::uint32_t mbuf_checksum_add(const rte_mbuf* mbuf,
                                                     std::uint32_t partial = 0) noexcept {
    if (mbuf->nb_segs == 1) [[likely]]
        return wire::checksum_add(first_segment(mbuf), partial);
    bool odd = false;
    for (; mbuf != nullptr; mbuf = mbuf->next) {
        const std::uint16_t sum = wire::checksum_fold(wire::checksum_add(first_segment(mbuf)));
        // A piece that starts at an odd octet contributes its sum with the octets swapped (RFC 1071 section 2
        // (B)).
        partial += odd ? rte_bswap16(sum) : sum;
        odd ^= (mbuf->data_len & 1) != 0;
    }
    return partial;
}

/// True where the port, or else the sum over pseudo-header, header and payload, finds the checksum of TCP,
/// UDP or ICMPv6 right. `in.mbuf` holds exactly what the checksum covers.
[[nodiscard]] inline bool transport_checksum_holds(const Ingress& in) noexcept {
    if (in.l4_checksum_good) return true;
    if (in.l4_checksum_bad) [[unlikely]]
        return false;
    std::uint32_t pseudo;
    if (in.ipv6 == nullptr) [[likely]]
        pseudo = wire::pseudo_header_sum(in.source, in.destination, in.protocol,
                                         static_cast<std::uint16_t>(in.mbuf->pkt_len));
    else
        // Source and destination stand side by side (RFC 8200 section 8.1).
        pseudo = wire::checksum_add({in.ipv6, sizeof(Ipv6Pair)}, in.mbuf->pkt_len + in.protocol);
    return wire::checksum_holds(mbuf_checksum_add(in.mbuf, pseudo));
}

}  // namespace runnel::ip
