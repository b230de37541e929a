// What the application has sent and the peer has not yet acknowledged: a list of mbufs, held until the
// cumulative ACK passes them (RFC 9293 section 3.8.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "runnel/base/mbuf_stash.hpp"
#include "runnel/tcp/static_octets.hpp"

namespace runnel::tcp {

/// A stream of octets in mbufs linked by `next`. An mbuf with `data_len` 0 stands for octets elsewhere that
/// never change (`send_static`): its data room holds the pointer, its `pkt_len` the length. Position 0 is the
/// oldest octet kept. Belongs to a cold block; a zeroed queue is an empty one.
class SendQueue {
  public:
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

    /// Copies as many octets as mbufs can be had for; returns how many.
    std::size_t append_copy(std::span<const std::byte> octets, MbufStash& stash) noexcept;
    /// Refers to octets that stay. False where no mbuf can be had.
    [[nodiscard]] bool append_static(std::span<const std::byte> octets, MbufStash& stash) noexcept;
    /// Takes over an mbuf chain. Segments without data go to the stash.
    void append_mbuf(rte_mbuf* chain, MbufStash& stash) noexcept;

    /// Copies `length` octets from `position` on to `out`; they must be there. Quick where it follows the
    /// last read.
    void read(std::uint32_t position, std::uint32_t length, std::byte* out) noexcept;

    /// Whether the octet at `position`, which must be there, lies in an mbuf that was taken over, or is a
    /// static one that devices reach: copying it can be saved.
    [[nodiscard]] bool in_place(std::uint32_t position) noexcept {
        (void)seek(position);
        return in_place(cursor_);
    }
    /// The same of mbufs alone, which is quickly said.
    [[nodiscard]] bool in_mbuf(std::uint32_t position) noexcept;
    /// How many octets from `position` on, at most `length`, `refer` can put into `mbufs` of them; the data
    /// room of an mbuf holds `room`.
    [[nodiscard]] std::uint32_t fits(std::uint32_t position, std::uint32_t length, std::uint32_t mbufs,
                                     std::uint32_t room) noexcept;
    /// Appends to `packet`, one mbuf with headers in it, mbufs that refer to `length` octets from `position`
    /// on; they must be there. Only static octets that no device reaches are copied. What is referred to
    /// stays until the last packet with it is freed, whatever is released here. False, and the packet as it
    /// was, where no mbuf can be had.
    [[nodiscard]] bool refer(std::uint32_t position, std::uint32_t length, rte_mbuf* packet, MbufStash& stash,
                             StaticOctets& statics) noexcept;

    /// Lets go of the `octets` oldest, at most `size()`.
    void release(std::uint32_t octets, MbufStash& stash) noexcept;
    /// Lets go of all.
    void clear(MbufStash& stash) noexcept { release(size_, stash); }

  private:
    static bool is_static(const rte_mbuf* node) noexcept { return node->data_len == 0; }
    static std::uint32_t length_of(const rte_mbuf* node) noexcept {
        return is_static(node) ? node->pkt_len : node->data_len;
    }
    static const std::byte* octets_of(const rte_mbuf* node) noexcept;
    static bool in_place(const rte_mbuf* node) noexcept;
    void link(rte_mbuf* node, std::uint32_t length) noexcept;
    std::uint32_t seek(std::uint32_t position) noexcept;

    rte_mbuf* head_;
    rte_mbuf* tail_;
    rte_mbuf* cursor_;             // the node of the last read, or null
    std::uint32_t cursor_start_;   // position of the cursor's first octet
    std::uint32_t size_;           // octets kept
    std::uint32_t head_released_;  // octets of the head that are acknowledged already
};

}  // namespace runnel::tcp
