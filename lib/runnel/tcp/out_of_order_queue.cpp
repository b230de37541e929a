#include "runnel/tcp/out_of_order_queue.hpp"

#include <algorithm>

#include "runnel/base/mbuf_cut.hpp"

namespace runnel::tcp {

namespace {

// What the queue writes at the start of a held mbuf's buffer. The head room of a received packet is at least
// the 54 octets of its headers, and nothing reads them any more. The last three concern a run, and are kept
// in its first segment.
struct Link {
    rte_mbuf* next;  // in the run
    SeqNum first;
    SeqNum run_end;
    rte_mbuf* run_tail;
    rte_mbuf* next_run;
};
static_assert(sizeof(Link) <= 54);

Link& link_of(rte_mbuf* mbuf) noexcept {
    return *static_cast<Link*>(mbuf->buf_addr);
}
SeqNum first_of(rte_mbuf* mbuf) noexcept {
    return link_of(mbuf).first;
}
SeqNum end_of_run(rte_mbuf* run) noexcept {
    return link_of(run).run_end;
}
// A segment that was put together of fragments is many mbufs.
std::uint32_t charge_of(const rte_mbuf* mbuf) noexcept {
    return std::max(mbuf->pkt_len, OutOfOrderQueue::least_charge * mbuf->nb_segs);
}

}  // namespace

void OutOfOrderQueue::drop_run(rte_mbuf* run, MbufStash& stash) noexcept {
    for (rte_mbuf* mbuf = run; mbuf != nullptr;) {
        rte_mbuf* const next = link_of(mbuf).next;
        octets_ -= mbuf->pkt_len;
        charged_ -= charge_of(mbuf);
        stash.put(mbuf);
        mbuf = next;
    }
    --runs_;
}

OutOfOrderQueue::Outcome OutOfOrderQueue::insert(rte_mbuf* payload, SeqNum sequence, std::uint32_t limit,
                                                 MbufStash& stash) noexcept {
    if (charged_ + charge_of(payload) > limit) return Outcome::full;

    // The run that starts at or before the segment, and the one behind it.
    rte_mbuf* before = nullptr;
    rte_mbuf* after = head_;
    if (last_ != nullptr && first_of(last_) <= sequence) {  // the usual case: at the end
        before = last_;
        after = nullptr;
    } else {
        while (after != nullptr && first_of(after) <= sequence) {
            before = after;
            after = link_of(after).next_run;
        }
    }
    if (before != nullptr && end_of_run(before) > sequence) {
        const std::uint32_t known = end_of_run(before) - sequence;
        if (known >= payload->pkt_len) return Outcome::duplicate;
        cut_front(payload, known);
        sequence += known;
    }
    const bool joins_before = before != nullptr && end_of_run(before) == sequence;
    if (!joins_before && runs_ >= max_runs &&
        (after == nullptr || sequence + payload->pkt_len < first_of(after)))
        return Outcome::full;

    // Runs that are covered wholly go; where the segment reaches into the next one, its end is cut.
    while (after != nullptr && end_of_run(after) <= sequence + payload->pkt_len) {
        rte_mbuf* const covered = after;
        after = link_of(covered).next_run;
        if (last_ == covered) last_ = before;
        drop_run(covered, stash);
    }
    const bool joins_after = after != nullptr && first_of(after) <= sequence + payload->pkt_len;
    if (joins_after && first_of(after) < sequence + payload->pkt_len)
        keep_front(payload, first_of(after) - sequence);

    const SeqNum end = sequence + payload->pkt_len;
    octets_ += payload->pkt_len;
    charged_ += charge_of(payload);
    rte_mbuf* run = before;  // the run that the segment is in, in the end
    if (joins_before) {
        link_of(payload) = {nullptr, sequence, end, nullptr, nullptr};
        link_of(link_of(before).run_tail).next = payload;
        link_of(before).run_tail = payload;
        link_of(before).run_end = end;
        link_of(before).next_run = after;
    } else {
        link_of(payload) = {nullptr, sequence, end, payload, after};
        (before == nullptr ? head_ : link_of(before).next_run) = payload;
        run = payload;
        ++runs_;
    }
    if (joins_after) {
        link_of(link_of(run).run_tail).next = after;
        link_of(run).run_tail = link_of(after).run_tail;
        link_of(run).run_end = link_of(after).run_end;
        link_of(run).next_run = link_of(after).next_run;
        if (last_ == after) last_ = run;
        --runs_;
    }
    if (link_of(run).next_run == nullptr) last_ = run;
    return Outcome::held;
}

rte_mbuf* OutOfOrderQueue::pop(SeqNum next, MbufStash& stash) noexcept {
    while (head_ != nullptr && first_of(head_) <= next) {
        rte_mbuf* const mbuf = head_;
        const Link link = link_of(mbuf);
        const SeqNum end = link.first + mbuf->pkt_len;
        octets_ -= mbuf->pkt_len;
        charged_ -= charge_of(mbuf);
        if (link.next != nullptr) {
            Link& successor = link_of(link.next);
            successor.run_end = link.run_end;
            successor.run_tail = link.run_tail;
            successor.next_run = link.next_run;
            if (last_ == mbuf) last_ = link.next;
            head_ = link.next;
        } else {
            head_ = link.next_run;
            if (last_ == mbuf) last_ = nullptr;
            --runs_;
        }
        if (end > next) {
            cut_front(mbuf, next - link.first);
            return mbuf;
        }
        stash.put(mbuf);
    }
    return nullptr;
}

void OutOfOrderQueue::clear(MbufStash& stash) noexcept {
    while (head_ != nullptr) {
        rte_mbuf* const run = head_;
        head_ = link_of(run).next_run;
        drop_run(run, stash);
    }
    last_ = nullptr;
}

}  // namespace runnel::tcp
