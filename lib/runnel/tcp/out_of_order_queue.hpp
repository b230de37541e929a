// Segments that arrived before their turn (RFC 9293 SHLD-31), held by sequence number within a budget.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/seq_num.hpp"

namespace runnel::tcp {

/// Runs of segments that follow one another without a gap, in order of sequence numbers; each octet is held
/// once. A segment joins a run in one step, so that the work of an insertion is bounded by the number of
/// gaps, not of segments (CVE-2018-5390). Belongs to a cold block; a zeroed queue is an empty one. A packet's
/// chain hangs on `next`; what links segments and runs stands in the mbuf's head room, where the headers
/// were.
class OutOfOrderQueue {
  public:
    /// Runs held at most: bounds the work of one insertion.
    static constexpr std::uint32_t max_runs = 512;
    /// Octets that an mbuf of a segment is charged at least: those of tiny segments are not tiny.
    static constexpr std::uint32_t least_charge = 256;

    enum class Outcome : std::uint8_t {
        held,       ///< the queue owns the mbuf now
        duplicate,  ///< nothing new in it; the mbuf stays the caller's
        full,       ///< the budget is spent; the mbuf stays the caller's
    };

    /// Takes a segment of `payload.pkt_len` octets that starts at `sequence`, if it brings anything new. What
    /// others hold already is cut off it; runs that it covers wholly are let go. `limit` in octets.
    Outcome insert(rte_mbuf* payload, SeqNum sequence, std::uint32_t limit, MbufStash& stash) noexcept;

    /// Removes the first segment if it starts at or before `next`, with what precedes `next` cut off; the
    /// caller owns it. Null where there is a gap, or nothing. Segments wholly before `next` are let go.
    [[nodiscard]] rte_mbuf* pop(SeqNum next, MbufStash& stash) noexcept;

    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    [[nodiscard]] std::uint32_t octets() const noexcept { return octets_; }
    /// What the segments held count against the budget: their octets, and at least `least_charge`
    /// for each of their mbufs.
    [[nodiscard]] std::uint32_t charged() const noexcept { return charged_; }
    void clear(MbufStash& stash) noexcept;

  private:
    void drop_run(rte_mbuf* run, MbufStash& stash) noexcept;

    rte_mbuf* head_;  // the first segment of the first run
    rte_mbuf* last_;  // the first segment of the last run
    std::uint32_t octets_;
    std::uint32_t charged_;
    std::uint32_t runs_;
};

}  // namespace runnel::tcp
