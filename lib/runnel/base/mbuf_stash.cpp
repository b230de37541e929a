#include "runnel/base/mbuf_stash.hpp"

#include <stdexcept>
#include <string>

namespace runnel {

MbufStash::MbufStash(rte_mempool* pool, const Options& options)
    : pool_(pool), capacity_(options.capacity), reserve_(options.reserve) {
    if (pool == nullptr)
        throw std::invalid_argument(
            "mbuf stash: the mempool is null; create one with rte_pktmbuf_pool_create");
    if (capacity_ < 64 || reserve_ >= capacity_)
        throw std::invalid_argument("mbuf stash: capacity " + std::to_string(capacity_) + " and reserve " +
                                    std::to_string(reserve_) +
                                    ": give at least 64, and a reserve below the capacity");
    held_ = std::make_unique<rte_mbuf*[]>(capacity_);
}

MbufStash::~MbufStash() {
    for (std::uint32_t i = 0; i < count_; ++i) rte_pktmbuf_free(held_[i]);
}

// Fills up to the middle between the reserve and the capacity, so that what comes back next finds room. Where
// the pool cannot give so many it is asked for fewer, down to one.
std::size_t MbufStash::refill() noexcept {
    const std::uint32_t target = (capacity_ + reserve_) / 2;
    for (std::uint32_t wanted = target > count_ ? target - count_ : 1; wanted > 0; wanted /= 2) {
        if (rte_mempool_get_bulk(pool_, reinterpret_cast<void**>(&held_[count_]), wanted) != 0) continue;
        for (std::uint32_t i = count_; i < count_ + wanted; ++i) __rte_mbuf_raw_sanity_check(held_[i]);
        count_ += wanted;
        break;
    }
    return count_;
}

// A chain, or one that refers to the octets of another.
void MbufStash::put_parts(rte_mbuf* chain) noexcept {
    while (chain != nullptr) {
        rte_mbuf* const part = chain;
        chain = chain->next;
        rte_mbuf* const plain = rte_pktmbuf_prefree_seg(part);
        if (plain == nullptr) continue;  // others refer to it yet
        if (plain->pool == pool_)
            keep(plain);
        else
            rte_mbuf_raw_free(plain);
    }
}

void MbufStash::spill() noexcept {
    const std::uint32_t keep = count_ - count_ / 2;
    for (std::uint32_t i = keep; i < count_; ++i) rte_mbuf_raw_free(held_[i]);
    count_ = keep;
}

}  // namespace runnel
