// A datagram's octets once more, for another who hears them.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/mbuf_stash.hpp"

namespace runnel::udp {

/// Null where there is no mbuf.
[[nodiscard]] inline rte_mbuf* copy_of(const rte_mbuf& payload, MbufStash& stash) noexcept {
    // Some versions of DPDK copy no packet without octets.
    if (payload.pkt_len == 0) return stash.take_data();
    return rte_pktmbuf_copy(&payload, stash.pool(), 0, UINT32_MAX);
}

}  // namespace runnel::udp
