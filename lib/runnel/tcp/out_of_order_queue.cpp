#include "runnel/tcp/out_of_order_queue.hpp"

#include "runnel/base/mbuf_cut.hpp"

namespace runnel::tcp {

namespace {

// What the queue writes at the start of a held mbuf's buffer. The head room of a received packet is at least
// the 54 octets of its headers, and nothing reads them any more.
struct Link {
    rte_mbuf* next;
    SeqNum first;
};

Link& link_of(rte_mbuf* mbuf) noexcept {
    return *static_cast<Link*>(mbuf->buf_addr);
}
SeqNum first_of(rte_mbuf* mbuf) noexcept {
    return link_of(mbuf).first;
}
SeqNum end_of(rte_mbuf* mbuf) noexcept {
    return link_of(mbuf).first + mbuf->pkt_len;
}

}  // namespace

OutOfOrderQueue::Outcome OutOfOrderQueue::insert(rte_mbuf* payload, SeqNum sequence, std::uint32_t limit,
                                                 MbufStash& stash) noexcept {
    if (segments_ >= max_segments || octets_ + payload->pkt_len > limit) return Outcome::full;

    rte_mbuf* before = nullptr;
    rte_mbuf* after = head_;
    if (tail_ != nullptr && end_of(tail_) <= sequence) {  // the usual case: behind all others
        before = tail_;
        after = nullptr;
    } else {
        while (after != nullptr && first_of(after) <= sequence) {
            before = after;
            after = link_of(after).next;
        }
    }
    if (before != nullptr && end_of(before) > sequence) {
        const std::uint32_t known = end_of(before) - sequence;
        if (known >= payload->pkt_len) return Outcome::duplicate;
        cut_front(payload, known);
        sequence += known;
    }
    // What follows and is covered wholly goes; where the new one reaches into the next, its end is cut.
    while (after != nullptr && end_of(after) <= sequence + payload->pkt_len) {
        rte_mbuf* covered = after;
        after = link_of(covered).next;
        octets_ -= covered->pkt_len;
        --segments_;
        if (tail_ == covered) tail_ = before;
        stash.put(covered);
    }
    if (after != nullptr && first_of(after) < sequence + payload->pkt_len) {
        if (first_of(after) == sequence)
            return Outcome::duplicate;  // its neighbours hold all of it between them
        keep_front(payload, first_of(after) - sequence);
    }

    link_of(payload) = {after, sequence};
    (before == nullptr ? head_ : link_of(before).next) = payload;
    if (after == nullptr) tail_ = payload;
    octets_ += payload->pkt_len;
    ++segments_;
    return Outcome::held;
}

rte_mbuf* OutOfOrderQueue::pop(SeqNum next, MbufStash& stash) noexcept {
    while (head_ != nullptr && first_of(head_) <= next) {
        rte_mbuf* mbuf = head_;
        const SeqNum first = first_of(mbuf);
        const SeqNum end = end_of(mbuf);
        head_ = link_of(mbuf).next;
        if (head_ == nullptr) tail_ = nullptr;
        octets_ -= mbuf->pkt_len;
        --segments_;
        if (end > next) {
            cut_front(mbuf, next - first);
            return mbuf;
        }
        stash.put(mbuf);
    }
    return nullptr;
}

void OutOfOrderQueue::clear(MbufStash& stash) noexcept {
    while (head_ != nullptr) {
        rte_mbuf* mbuf = head_;
        head_ = link_of(mbuf).next;
        stash.put(mbuf);
    }
    tail_ = nullptr;
    octets_ = 0;
    segments_ = 0;
}

}  // namespace runnel::tcp
