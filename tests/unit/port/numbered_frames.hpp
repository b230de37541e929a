// Frames that can be told apart: each carries its number.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "runnel/port/mbuf_pool.hpp"

namespace runnel::test {

/// A pool of a test, that can say whether every mbuf has come home.
class FramePool {
  public:
    explicit FramePool(std::uint32_t mbufs = 4096)
        : pool_(port::make_mbuf_pool({.mbufs = mbufs, .data_room = 2048, .lcore_cache = 0})) {}

    [[nodiscard]] rte_mempool* get() const { return pool_.get(); }
    [[nodiscard]] unsigned away() const { return rte_mempool_in_use_count(pool_.get()); }

    [[nodiscard]] rte_mbuf* frame(std::uint32_t number) const {
        rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_.get());
        std::memcpy(rte_pktmbuf_append(mbuf, 60), &number, sizeof number);
        return mbuf;
    }
    [[nodiscard]] std::vector<rte_mbuf*> frames(std::uint32_t first, std::uint32_t count) const {
        std::vector<rte_mbuf*> result;
        for (std::uint32_t i = 0; i < count; ++i) result.push_back(frame(first + i));
        return result;
    }

  private:
    port::MbufPool pool_;
};

inline std::uint32_t number_of(const rte_mbuf* mbuf) {
    std::uint32_t number = 0;
    std::memcpy(&number, rte_pktmbuf_mtod(mbuf, const void*), sizeof number);
    return number;
}

inline void free_all(std::span<rte_mbuf* const> frames) {
    for (rte_mbuf* frame : frames) rte_pktmbuf_free(frame);
}

}  // namespace runnel::test
