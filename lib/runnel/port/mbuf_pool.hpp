// The pool that a process's packets come from. Both ends of an in-process wire share one (DESIGN.md, rule
// 10).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <rte_mbuf.h>

namespace runnel::port {

struct MbufPoolOptions {
    std::uint32_t mbufs =
        16384;  ///< how many packets may exist at once, in every ring, queue, stash and buffer
    std::uint16_t data_room =
        2048;  ///< octets of a packet that an mbuf holds, head room not counted; at least 128
    std::uint32_t lcore_cache =
        256;               ///< mbufs that each lcore keeps at hand, at most 512; comes on top of `mbufs`
    unsigned lcores = 1;   ///< how many lcores use the pool
    int numa_socket = -1;  ///< where its memory is; -1: anywhere
};

struct MbufPoolFree {
    void operator()(rte_mempool* pool) const noexcept;
};
/// Owns a mempool. It must outlive all that holds its mbufs.
using MbufPool = std::unique_ptr<rte_mempool, MbufPoolFree>;

/// Octets of EAL memory that such a pool takes.
[[nodiscard]] std::size_t memory_needed(const MbufPoolOptions& options) noexcept;

/// Makes a pool. Throws `std::invalid_argument` for an option out of range and `std::runtime_error` where EAL
/// memory does not suffice; the message gives the MB needed. From a control thread.
[[nodiscard]] MbufPool make_mbuf_pool(const MbufPoolOptions& options);

}  // namespace runnel::port
