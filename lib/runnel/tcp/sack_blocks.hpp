// The SACK blocks that this side reports: what has come out of order (RFC 2018 section 4) and what has come
// twice (RFC 2883).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "runnel/base/seq_num.hpp"
#include "runnel/wire/tcp_options.hpp"

namespace runnel::tcp {

/// The newest blocks of the out-of-order queue, that of the last arrival first, and at most one duplicate.
/// Work on it does not depend on the length of the queue. Belongs to a cold block.
class SackBlocks {
  public:
    /// Octets from `left` up to `right` have come out of order and are held. What they touch joins them, and
    /// the whole comes first (RFC 2018 section 4).
    void held(SeqNum left, SeqNum right) noexcept {
        wire::SackBlock newest{left, right};
        std::size_t kept = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            const wire::SackBlock block = blocks_[i];
            if (block.left <= newest.right && newest.left <= block.right)
                newest = {min(newest.left, block.left), max(newest.right, block.right)};
            else
                blocks_[kept++] = block;
        }
        count_ = static_cast<std::uint8_t>(std::min(kept + 1, blocks_.size()));
        for (std::size_t i = count_ - 1U; i > 0; --i) blocks_[i] = blocks_[i - 1];
        blocks_[0] = newest;
    }

    /// The octets from `left` up to `right` had come before: the next ACK says so in its first block (RFC
    /// 2883 section 4). Where they lie within a block, that one follows.
    void repeated(SeqNum left, SeqNum right) noexcept {
        duplicate_ = {left, right};
        duplicate_due_ = true;
        for (std::size_t i = 1; i < count_; ++i)
            if (blocks_[i].left <= left && right <= blocks_[i].right) {
                std::rotate(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(i),
                            blocks_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
                return;
            }
    }

    /// The octets from `left` up to `right` have come in order. Those of them that were held had come before,
    /// and the first of these stretches counts as repeated (RFC 2883 section 4.2).
    void overlapped(SeqNum left, SeqNum right) noexcept {
        const wire::SackBlock* first = nullptr;
        for (std::size_t i = 0; i < count_; ++i)
            if (blocks_[i].left < right && left < blocks_[i].right &&
                (first == nullptr || blocks_[i].left < first->left))
                first = &blocks_[i];
        if (first != nullptr) repeated(max(first->left, left), min(first->right, right));
    }

    /// All before `next` is in order now, and no longer reported.
    void in_order(SeqNum next) noexcept {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < count_; ++i)
            if (blocks_[i].right > next) blocks_[kept++] = {max(blocks_[i].left, next), blocks_[i].right};
        count_ = static_cast<std::uint8_t>(kept);
    }

    /// The queue has been emptied.
    void nothing_held() noexcept { count_ = 0; }

    /// The next ACK has something to report.
    [[nodiscard]] bool any() const noexcept { return duplicate_due_ || count_ > 0; }
    /// A duplicate waits to be reported.
    [[nodiscard]] bool duplicate_due() const noexcept { return duplicate_due_; }
    void duplicate_reported() noexcept { duplicate_due_ = false; }

    /// Puts the blocks into `out`, the first to be sent first, and returns how many.
    [[nodiscard]] std::size_t list(std::span<wire::SackBlock, wire::tcp_max_sack_blocks> out) const noexcept {
        std::size_t n = 0;
        if (duplicate_due_) out[n++] = duplicate_;
        for (std::size_t i = 0; i < count_ && n < out.size(); ++i) out[n++] = blocks_[i];
        return n;
    }

  private:
    std::array<wire::SackBlock, wire::tcp_max_sack_blocks> blocks_{};
    wire::SackBlock duplicate_{};
    std::uint8_t count_ = 0;
    bool duplicate_due_ = false;
};

}  // namespace runnel::tcp
