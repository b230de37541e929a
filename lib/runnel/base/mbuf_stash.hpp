// A core's small store of plain mbufs: what arrived and is finished with goes out again as the next packet,
// and the mempool sees bulk refills only (DESIGN.md, rule 10).
#pragma once

#include <cstdint>
#include <memory>

#include <rte_mbuf.h>

namespace runnel {

/// Hands out and takes back mbufs of one mempool. One owner thread; nothing is shared.
///
/// Control segments (ACK, RST, ARP, ICMP) draw on a reserve that data may not touch, so a flood of data
/// cannot silence the stack (DESIGN.md, rule 8).
class MbufStash {
  public:
    struct Options {
        std::uint32_t capacity =
            512;                     ///< mbufs held before the surplus goes back to the mempool; at least 64
        std::uint32_t reserve = 64;  ///< of these, how many only control segments may take
    };

    /// `pool` is not owned and outlives the stash. Throws `std::invalid_argument` where an option is out of
    /// range.
    MbufStash(rte_mempool* pool, const Options& options);
    ~MbufStash();
    MbufStash(const MbufStash&) = delete;
    MbufStash& operator=(const MbufStash&) = delete;

    /// An empty mbuf (data_off = the pool's head room, length 0), or null where memory is spent.
    [[nodiscard]] rte_mbuf* take_data() noexcept {
        if (count_ > reserve_) [[likely]]
            return pop();
        return refill() > reserve_ ? pop() : nullptr;
    }
    /// Whether `take_data` would give one.
    [[nodiscard]] bool has_data() noexcept { return count_ > reserve_ || refill() > reserve_; }
    /// As `take_data`, for a control segment: may use the reserve.
    [[nodiscard]] rte_mbuf* take_control() noexcept {
        if (count_ > 0) [[likely]]
            return pop();
        return refill() > 0 ? pop() : nullptr;
    }

    /// Takes an mbuf back, of whatever kind. A plain one (one segment, sole reference, of this pool) is kept
    /// for the next packet, and so is each of a chain; any other is freed to where it came from.
    void put(rte_mbuf* mbuf) noexcept {
        if (mbuf->pool == pool_ && mbuf->nb_segs == 1 && rte_mbuf_refcnt_read(mbuf) == 1 &&
            RTE_MBUF_DIRECT(mbuf)) [[likely]] {
            keep(mbuf);
        } else {
            put_parts(mbuf);
        }
    }

    [[nodiscard]] std::size_t held() const noexcept { return count_; }
    [[nodiscard]] rte_mempool* pool() const noexcept { return pool_; }

  private:
    rte_mbuf* pop() noexcept {
        rte_mbuf* const mbuf = held_[--count_];
        // Only the first cache line is written: `next` is null and `nb_segs` 1 in every plain mbuf, and the
        // lengths of the headers are for him to set who asks for an offload.
        mbuf->data_off = RTE_PKTMBUF_HEADROOM;
        mbuf->data_len = 0;
        mbuf->pkt_len = 0;
        mbuf->ol_flags = 0;
        return mbuf;
    }
    void keep(rte_mbuf* mbuf) noexcept {
        if (count_ == capacity_) [[unlikely]]
            spill();
        held_[count_++] = mbuf;
    }
    void put_parts(rte_mbuf* chain) noexcept;
    std::size_t refill() noexcept;
    void spill() noexcept;

    rte_mempool* pool_;
    std::uint32_t capacity_;
    std::uint32_t reserve_;
    std::uint32_t count_ = 0;
    std::unique_ptr<rte_mbuf*[]> held_;  // the first `count_` of `capacity_`
};

}  // namespace runnel
