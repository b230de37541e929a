#include "runnel/base/transmit_queue.hpp"

#include <bit>

namespace runnel {

TransmitQueue::TransmitQueue(std::size_t capacity)
    : mask_(std::bit_ceil(capacity) - 1), ring_(std::make_unique<rte_mbuf*[]>(mask_ + 1)) {}

TransmitQueue::~TransmitQueue() {
    while (size() > 0) rte_pktmbuf_free(ring_[head_++ & mask_]);
}

}  // namespace runnel
