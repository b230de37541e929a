// Segments that arrived before their turn (RFC 9293 SHLD-31), held by sequence number within a budget.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/seq_num.hpp"

namespace runnel::tcp {

/// A sorted list of mbufs without overlaps; each holds only octets that no other holds. Belongs to a cold
/// block; a zeroed queue is an empty one. A packet's chain hangs on `next`, the list on a pointer in the
/// first mbuf's head room, where the headers were.
class OutOfOrderQueue {
  public:
    /// Segments held at most: bounds the work of one insertion.
    static constexpr std::uint32_t max_segments = 512;

    enum class Outcome : std::uint8_t {
        held,       ///< the queue owns the mbuf now
        duplicate,  ///< nothing new in it; the mbuf stays the caller's
        full,       ///< the budget is spent; the mbuf stays the caller's
    };

    /// Takes a segment of `payload.pkt_len` octets that starts at `sequence`, if it brings anything new. What
    /// others hold already is cut off it; held segments that it covers wholly are let go. `limit` in octets.
    Outcome insert(rte_mbuf* payload, SeqNum sequence, std::uint32_t limit, MbufStash& stash) noexcept;

    /// Removes the first segment if it starts at or before `next`, with what precedes `next` cut off; the
    /// caller owns it. Null where there is a gap, or nothing. Segments wholly before `next` are let go.
    [[nodiscard]] rte_mbuf* pop(SeqNum next, MbufStash& stash) noexcept;

    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    [[nodiscard]] std::uint32_t octets() const noexcept { return octets_; }
    void clear(MbufStash& stash) noexcept;

  private:
    rte_mbuf* head_;
    rte_mbuf* tail_;
    std::uint32_t octets_;
    std::uint32_t segments_;
};

}  // namespace runnel::tcp
