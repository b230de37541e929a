#include "runnel/ip/neighbour_table.hpp"

#include <algorithm>
#include <bit>

namespace runnel::ip {

NeighbourTable::NeighbourTable(std::uint32_t capacity, std::uint32_t waiting_capacity, HashKey key)
    : key_(key), entries_(capacity), buckets_(std::bit_ceil(capacity), none), waiting_(waiting_capacity) {
    for (std::uint32_t i = capacity; i-- > 0;) {
        entries_[i].next_in_bucket = free_;
        free_ = i;
    }
    for (std::uint32_t i = waiting_capacity; i-- > 0;) {
        waiting_[i].next = free_waiting_;
        free_waiting_ = i;
    }
}

NeighbourTable::~NeighbourTable() {
    for (Entry& entry : entries_)
        while (rte_mbuf* packet = pop_waiting(entry)) rte_pktmbuf_free(packet);
}

std::uint32_t& NeighbourTable::bucket_of(std::uint8_t interface, const IpAddress& address) noexcept {
    const Ipv6Address words = address.v6();
    return buckets_[siphash_1_3(key_, words.high() ^ interface, words.low()) & (buckets_.size() - 1)];
}

Neighbour* NeighbourTable::find(std::uint8_t interface, const IpAddress& address) noexcept {
    for (std::uint32_t i = bucket_of(interface, address); i != none; i = entries_[i].next_in_bucket)
        if (entries_[i].address == address && entries_[i].interface == interface) return &entries_[i];
    return nullptr;
}

Neighbour& NeighbourTable::create(std::uint8_t interface, const IpAddress& address, NeighbourState state,
                                  Instant due) noexcept {
    Entry& entry = entries_[free_];
    free_ = entry.next_in_bucket;
    entry = Entry{};
    entry.interface = interface;
    entry.address = address;
    entry.state = state;
    entry.due = due;
    std::uint32_t& bucket = bucket_of(interface, address);
    entry.next_in_bucket = bucket;
    bucket = index_of(entry);
    enqueue(entry);
    ++size_;
    return entry;
}

void NeighbourTable::remove(Neighbour& neighbour) noexcept {
    Entry& entry = entry_of(neighbour);
    dequeue(entry);
    const std::uint32_t index = index_of(entry);
    std::uint32_t* link = &bucket_of(entry.interface, entry.address);
    while (*link != index) link = &entries_[*link].next_in_bucket;
    *link = entry.next_in_bucket;
    entry.next_in_bucket = free_;
    free_ = index;
    --size_;
}

void NeighbourTable::change(Neighbour& neighbour, NeighbourState state, Instant due) noexcept {
    Entry& entry = entry_of(neighbour);
    dequeue(entry);
    entry.state = state;
    entry.due = due;
    enqueue(entry);
}

NeighbourTable::QueueIndex NeighbourTable::queue_of(NeighbourState state) noexcept {
    switch (state) {
        case NeighbourState::incomplete:
        case NeighbourState::probing:
            return asked;
        case NeighbourState::reachable:
            return told;
        case NeighbourState::stale:
            return old;
        case NeighbourState::delayed:
            return used;
        case NeighbourState::unreachable:
            return silent;
        case NeighbourState::permanent:
            break;
    }
    return no_queue;
}

void NeighbourTable::enqueue(Entry& entry) noexcept {
    const QueueIndex at = queue_of(entry.state);
    if (at == no_queue) return;
    Queue& queue = queues_[at];
    const std::uint32_t index = index_of(entry);
    if (queue.tail != none) entry.due = std::max(entry.due, entries_[queue.tail].due);
    entry.previous = queue.tail;
    entry.next = none;
    (queue.tail == none ? queue.head : entries_[queue.tail].next) = index;
    queue.tail = index;
    ++queue.size;
}

void NeighbourTable::dequeue(Entry& entry) noexcept {
    const QueueIndex at = queue_of(entry.state);
    if (at == no_queue) return;
    Queue& queue = queues_[at];
    (entry.previous == none ? queue.head : entries_[entry.previous].next) = entry.next;
    (entry.next == none ? queue.tail : entries_[entry.next].previous) = entry.previous;
    entry.previous = entry.next = none;
    --queue.size;
}

Neighbour* NeighbourTable::to_evict() noexcept {
    const QueueIndex crowd = queues_[asked].size > entries_.size() / 2 ? asked : silent;
    for (const QueueIndex at : {silent, crowd, old, told, used, asked})
        if (queues_[at].head != none) return &entries_[queues_[at].head];
    return nullptr;
}

Neighbour* NeighbourTable::next_due() noexcept {
    Entry* first = nullptr;
    for (const Queue& queue : queues_)
        if (queue.head != none && (first == nullptr || entries_[queue.head].due < first->due))
            first = &entries_[queue.head];
    return first;
}

bool NeighbourTable::push_waiting(Neighbour& neighbour, rte_mbuf* packet) noexcept {
    if (free_waiting_ == none) return false;
    Entry& entry = entry_of(neighbour);
    const std::uint32_t index = free_waiting_;
    free_waiting_ = waiting_[index].next;
    waiting_[index] = {packet, none};
    (entry.last_waiting == none ? entry.first_waiting : waiting_[entry.last_waiting].next) = index;
    entry.last_waiting = index;
    ++entry.waiting;
    return true;
}

rte_mbuf* NeighbourTable::pop_waiting(Neighbour& neighbour) noexcept {
    Entry& entry = entry_of(neighbour);
    const std::uint32_t index = entry.first_waiting;
    if (index == none) return nullptr;
    entry.first_waiting = waiting_[index].next;
    if (entry.first_waiting == none) entry.last_waiting = none;
    --entry.waiting;
    waiting_[index].next = free_waiting_;
    free_waiting_ = index;
    return waiting_[index].packet;
}

}  // namespace runnel::ip
