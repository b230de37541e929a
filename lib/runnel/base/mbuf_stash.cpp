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
    held_.reserve(capacity_);
}

MbufStash::~MbufStash() {
    for (rte_mbuf* mbuf : held_) rte_pktmbuf_free(mbuf);
}

// Fills up to the middle between the reserve and the capacity, so that what comes back next finds room. Where
// the pool cannot give so many it is asked for fewer, down to one.
std::size_t MbufStash::refill() noexcept {
    const std::size_t target = (std::size_t{capacity_} + reserve_) / 2;
    std::size_t wanted = target > held_.size() ? target - held_.size() : 1;
    const std::size_t before = held_.size();
    while (wanted > 0) {
        held_.resize(before + wanted);
        if (rte_mempool_get_bulk(pool_, reinterpret_cast<void**>(&held_[before]),
                                 static_cast<unsigned>(wanted)) == 0) {
            for (std::size_t i = before; i < held_.size(); ++i) __rte_mbuf_raw_sanity_check(held_[i]);
            return held_.size();
        }
        wanted /= 2;
    }
    held_.resize(before);
    return held_.size();
}

void MbufStash::spill() noexcept {
    const std::size_t surplus = held_.size() / 2;
    const std::size_t keep = held_.size() - surplus;
    for (std::size_t i = keep; i < held_.size(); ++i) rte_mbuf_raw_free(held_[i]);
    held_.resize(keep);
}

}  // namespace runnel
