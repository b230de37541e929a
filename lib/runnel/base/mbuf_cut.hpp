// Shortening a packet at either end, also where it is a chain: rte_pktmbuf_adj and rte_pktmbuf_trim work on
// the first and the last mbuf only.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

namespace runnel {

/// Drops the first `octets`, at most all. Emptied mbufs stay in the chain.
inline void cut_front(rte_mbuf* packet, std::uint32_t octets) noexcept {
    packet->pkt_len -= octets;
    for (rte_mbuf* part = packet; octets > 0; part = part->next) {
        const std::uint32_t n = octets < part->data_len ? octets : part->data_len;
        part->data_off = static_cast<std::uint16_t>(part->data_off + n);
        part->data_len = static_cast<std::uint16_t>(part->data_len - n);
        octets -= n;
    }
}

/// Keeps the first `octets`, at most all, and drops the rest. Emptied mbufs stay in the chain.
inline void keep_front(rte_mbuf* packet, std::uint32_t octets) noexcept {
    packet->pkt_len = octets;
    for (rte_mbuf* part = packet; part != nullptr; part = part->next) {
        const std::uint32_t n = octets < part->data_len ? octets : part->data_len;
        part->data_len = static_cast<std::uint16_t>(n);
        octets -= n;
    }
}

}  // namespace runnel
