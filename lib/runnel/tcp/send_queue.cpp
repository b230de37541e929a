#include "runnel/tcp/send_queue.hpp"

#include <algorithm>
#include <cstring>

#include "runnel/base/eal_memory.hpp"

namespace runnel::tcp {

namespace {

// How the octets of a node came here; kept in its `port`, which means nothing while it waits.
enum Origin : std::uint16_t { copied, taken_over };

enum class Reach : std::uint8_t { not_asked, no, yes };

// In the data room of a node for static octets.
struct Elsewhere {
    const std::byte* octets = nullptr;
    Reach by_devices = Reach::not_asked;
};

Elsewhere elsewhere_of(const rte_mbuf* node) noexcept {
    Elsewhere elsewhere;
    std::memcpy(&elsewhere, rte_pktmbuf_mtod(node, const std::byte*), sizeof elsewhere);
    return elsewhere;
}

}  // namespace

const std::byte* SendQueue::octets_of(const rte_mbuf* node) noexcept {
    return is_static(node) ? elsewhere_of(node).octets : rte_pktmbuf_mtod(node, const std::byte*);
}

bool SendQueue::in_place(const rte_mbuf* node) noexcept {
    if (!is_static(node)) return node->port == taken_over;
    Elsewhere elsewhere = elsewhere_of(node);
    if (elsewhere.by_devices == Reach::not_asked) {
        elsewhere.by_devices = devices_reach({elsewhere.octets, node->pkt_len}) ? Reach::yes : Reach::no;
        std::memcpy(rte_pktmbuf_mtod(node, std::byte*), &elsewhere, sizeof elsewhere);
    }
    return elsewhere.by_devices == Reach::yes;
}

void SendQueue::link(rte_mbuf* node, std::uint32_t length) noexcept {
    node->next = nullptr;
    (head_ == nullptr ? head_ : tail_->next) = node;
    tail_ = node;
    size_ += length;
}

std::size_t SendQueue::append_copy(std::span<const std::byte> octets, MbufStash& stash) noexcept {
    std::size_t taken = 0;
    while (taken < octets.size()) {
        // Octets join the last mbuf where it is ours alone and has room.
        rte_mbuf* node = tail_;
        if (node == nullptr || is_static(node) || !RTE_MBUF_DIRECT(node) || rte_mbuf_refcnt_read(node) != 1 ||
            rte_pktmbuf_tailroom(node) == 0) {
            node = stash.take_data();
            if (node == nullptr) break;
            node->data_off = 0;  // no header comes before octets that wait
            node->port = copied;
            link(node, 0);
        }
        const std::size_t n = std::min<std::size_t>(rte_pktmbuf_tailroom(node), octets.size() - taken);
        std::memcpy(rte_pktmbuf_mtod(node, std::byte*) + node->data_len, octets.data() + taken, n);
        node->data_len = static_cast<std::uint16_t>(node->data_len + n);
        size_ += static_cast<std::uint32_t>(n);
        taken += n;
    }
    return taken;
}

bool SendQueue::append_static(std::span<const std::byte> octets, MbufStash& stash) noexcept {
    rte_mbuf* node = stash.take_data();
    if (node == nullptr) return false;
    const Elsewhere elsewhere{octets.data()};
    std::memcpy(rte_pktmbuf_mtod(node, std::byte*), &elsewhere, sizeof elsewhere);
    node->pkt_len = static_cast<std::uint32_t>(octets.size());
    link(node, node->pkt_len);
    return true;
}

void SendQueue::append_mbuf(rte_mbuf* chain, MbufStash& stash) noexcept {
    while (chain != nullptr) {
        rte_mbuf* node = chain;
        chain = chain->next;
        node->next = nullptr;
        node->nb_segs = 1;
        if (node->data_len == 0) {
            stash.put(node);
        } else {
            node->port = taken_over;
            link(node, node->data_len);
        }
    }
}

// Puts the cursor on the node that holds a position; returns the offset in it.
std::uint32_t SendQueue::seek(std::uint32_t position) noexcept {
    position += head_released_;  // from here on positions count from the head's first octet
    if (cursor_ == nullptr || position < cursor_start_) {
        cursor_ = head_;
        cursor_start_ = 0;
    }
    for (;;) {
        const std::uint32_t node_length = length_of(cursor_);
        const std::uint32_t offset = position - cursor_start_;
        if (offset < node_length) return offset;
        cursor_start_ += node_length;
        cursor_ = cursor_->next;
    }
}

void SendQueue::read(std::uint32_t position, std::uint32_t length, std::byte* out) noexcept {
    while (length > 0) {
        const std::uint32_t offset = seek(position);
        const std::uint32_t n = std::min(length_of(cursor_) - offset, length);
        std::memcpy(out, octets_of(cursor_) + offset, n);
        out += n;
        position += n;
        length -= n;
    }
}

bool SendQueue::in_mbuf(std::uint32_t position) noexcept {
    (void)seek(position);
    return !is_static(cursor_) && in_place(cursor_);
}

std::uint32_t SendQueue::fits(std::uint32_t position, std::uint32_t length, std::uint32_t mbufs,
                              std::uint32_t room) noexcept {
    std::uint32_t offset = seek(position);
    std::uint32_t octets = 0;
    for (const rte_mbuf* node = cursor_; octets < length && mbufs > 0; node = node->next, offset = 0) {
        const std::uint32_t n = std::min(length_of(node) - offset, length - octets);
        const std::uint32_t most = is_static(node) ? (in_place(node) ? UINT16_MAX : room) : n;
        const std::uint32_t parts = std::min((n + most - 1) / most, mbufs);
        octets += std::min(n, parts * most);
        mbufs -= parts;
    }
    return octets;
}

bool SendQueue::refer(std::uint32_t position, std::uint32_t length, rte_mbuf* packet, MbufStash& stash,
                      StaticOctets& statics) noexcept {
    rte_mbuf* last = packet;
    const std::uint32_t header_size = packet->pkt_len;
    while (length > 0) {
        rte_mbuf* const part = stash.take_data();
        if (part == nullptr) [[unlikely]] {
            if (packet->next != nullptr) stash.put(packet->next);
            packet->next = nullptr;
            packet->nb_segs = 1;
            packet->pkt_len = header_size;
            return false;
        }
        const std::uint32_t offset = seek(position);
        std::uint32_t n = std::min(length_of(cursor_) - offset, length);
        if (!is_static(cursor_)) {
            rte_pktmbuf_attach(part, cursor_);
            part->ol_flags &=
                RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;  // not what it brings from its reception
            part->data_off = static_cast<std::uint16_t>(part->data_off + offset);
        } else if (in_place(cursor_)) {
            n = std::min<std::uint32_t>(n, UINT16_MAX);
            statics.attach(part, {octets_of(cursor_) + offset, n});
        } else {
            part->data_off = 0;
            n = std::min<std::uint32_t>(n, part->buf_len);
            std::memcpy(part->buf_addr, octets_of(cursor_) + offset, n);
        }
        part->data_len = static_cast<std::uint16_t>(n);
        last->next = part;
        last = part;
        ++packet->nb_segs;
        packet->pkt_len += n;
        position += n;
        length -= n;
    }
    return true;
}

void SendQueue::release(std::uint32_t octets, MbufStash& stash) noexcept {
    size_ -= octets;
    octets += head_released_;
    while (head_ != nullptr && octets >= length_of(head_)) {
        rte_mbuf* node = head_;
        const std::uint32_t node_length = length_of(node);
        octets -= node_length;
        head_ = node->next;
        if (cursor_ == node)
            cursor_ = nullptr;
        else if (cursor_ != nullptr)
            cursor_start_ -= node_length;
        node->next = nullptr;
        stash.put(node);
    }
    head_released_ = octets;
    if (head_ == nullptr) tail_ = nullptr;
}

}  // namespace runnel::tcp
