#include "runnel/tcp/send_queue.hpp"

#include <algorithm>
#include <cstring>

namespace runnel::tcp {

const std::byte* SendQueue::octets_of(const rte_mbuf* node) noexcept {
    const auto* data = rte_pktmbuf_mtod(node, const std::byte*);
    if (!is_static(node)) return data;
    const std::byte* elsewhere = nullptr;
    std::memcpy(&elsewhere, data, sizeof elsewhere);
    return elsewhere;
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
    const std::byte* elsewhere = octets.data();
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
        if (node->data_len == 0)
            stash.put(node);
        else
            link(node, node->data_len);
    }
}

void SendQueue::read(std::uint32_t position, std::uint32_t length, std::byte* out) noexcept {
    position += head_released_;  // from here on positions count from the head's first octet
    if (cursor_ == nullptr || position < cursor_start_) {
        cursor_ = head_;
        cursor_start_ = 0;
    }
    while (length > 0) {
        const std::uint32_t node_length = length_of(cursor_);
        const std::uint32_t offset = position - cursor_start_;
        if (offset >= node_length) {
            cursor_start_ += node_length;
            cursor_ = cursor_->next;
            continue;
        }
        const std::uint32_t n = std::min(node_length - offset, length);
        std::memcpy(out, octets_of(cursor_) + offset, n);
        out += n;
        position += n;
        length -= n;
    }
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
