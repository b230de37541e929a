// The burst that leaves: frames ready to send, in order, until the caller fetches them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <rte_mbuf.h>

namespace runnel {

/// A bounded first-in-first-out of whole frames. One owner thread.
class TransmitQueue {
  public:
    /// `capacity` in frames, rounded up to a power of two.
    explicit TransmitQueue(std::size_t capacity);
    ~TransmitQueue();
    TransmitQueue(const TransmitQueue&) = delete;
    TransmitQueue& operator=(const TransmitQueue&) = delete;

    [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }
    [[nodiscard]] std::size_t room() const noexcept { return mask_ + 1 - size(); }

    /// Takes the frame; false, and the frame stays the caller's, where the queue is full.
    [[nodiscard]] bool push(rte_mbuf* frame) noexcept {
        if (room() == 0) [[unlikely]]
            return false;
        ring_[tail_++ & mask_] = frame;
        return true;
    }
    /// Moves up to `out.size()` frames to the caller, who owns them then; returns how many.
    [[nodiscard]] std::size_t pop(std::span<rte_mbuf*> out) noexcept {
        const std::size_t n = size() < out.size() ? size() : out.size();
        for (std::size_t i = 0; i < n; ++i) out[i] = ring_[head_++ & mask_];
        return n;
    }

  private:
    std::size_t mask_;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
    std::unique_ptr<rte_mbuf*[]> ring_;
};

}  // namespace runnel
