// The neighbours that a stack knows by their link address, and the packets that wait for one: the data
// structure behind ARP and Neighbour Discovery (RFC 1122 section 2.3.2, RFC 4861 section 5.1). It knows no
// packet formats and sends nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/forward_progress.hpp"

namespace runnel::ip {

enum class NeighbourState : std::uint8_t {
    incomplete,   ///< asked by broadcast or multicast, no answer yet; packets wait
    probing,      ///< asked again at its known address, which is used meanwhile
    reachable,    ///< told within its lifetime
    stale,        ///< told longer ago, or by hearsay; its next use asks again
    delayed,      ///< used since it was stale; asked again soon, unless news come first
    unreachable,  ///< did not answer; packets are dropped for a short while
    permanent,    ///< configured; never aged, changed or evicted
};

struct Neighbour {
    IpAddress address{};
    IpAddress asker{};  ///< of ours, the sender address of requests
    MacAddress mac{};   ///< known in all states but `incomplete` and `unreachable`
    std::uint8_t interface = 0;
    NeighbourState state = NeighbourState::incomplete;
    std::uint8_t requests = 0;  ///< sent since the last answer
    std::uint8_t waiting = 0;   ///< packets that wait
    bool is_router = false;     ///< it says so of itself (RFC 4861)
    bool doubted = false;       ///< a transport hears nothing by it: its next use asks at once
    Instant due = never;        ///< when the state ends
    /// The flow whose packet was sent when the state ceased to be `stale`, and its progress at that time.
    TransportFlow flow{};
    std::optional<std::uint64_t> progress{};

    /// True where `mac` may be sent to.
    [[nodiscard]] bool is_usable() const noexcept {
        return state != NeighbourState::incomplete && state != NeighbourState::unreachable;
    }
};

/// A bounded table. Each state lasts equally long for all, so a queue a state holds its neighbours in the
/// order in which they are due, and nothing is ever searched or sorted. One owner thread; allocates when
/// constructed only.
class NeighbourTable {
  public:
    /// `capacity`: neighbours; `waiting_capacity`: packets that may wait in all. `key` keeps others from
    /// aiming collisions at the table.
    NeighbourTable(std::uint32_t capacity, std::uint32_t waiting_capacity, HashKey key);
    /// Frees the packets that still wait.
    ~NeighbourTable();
    NeighbourTable(const NeighbourTable&) = delete;
    NeighbourTable& operator=(const NeighbourTable&) = delete;

    /// Null where it is not known. Pointers stay valid until the neighbour is removed.
    [[nodiscard]] Neighbour* find(std::uint8_t interface, const IpAddress& address) noexcept;
    /// Adds a neighbour that is not in the table, which is not full.
    Neighbour& create(std::uint8_t interface, const IpAddress& address, NeighbourState state,
                      Instant due) noexcept;
    /// Removes a neighbour for whom no packet waits.
    void remove(Neighbour& neighbour) noexcept;
    /// Changes the state. Within one state nobody is due before who entered it earlier: `due` is put off so
    /// far.
    void change(Neighbour& neighbour, NeighbourState state, Instant due) noexcept;

    [[nodiscard]] bool full() const noexcept { return free_ == none; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Who leaves first where room is needed: unreachable ones; where those who were asked are most of all,
    /// as under a scan (RFC 6583), who was asked longest ago; then stale ones, then whose news are oldest,
    /// then who is in use, then who was asked longest ago. Null where all are permanent.
    [[nodiscard]] Neighbour* to_evict() noexcept;
    /// The neighbour whose state ends next, or null.
    [[nodiscard]] Neighbour* next_due() noexcept;

    /// Adds a packet to those that wait for a neighbour; false, and the packet stays the caller's, where too
    /// many wait in all.
    [[nodiscard]] bool push_waiting(Neighbour& neighbour, rte_mbuf* packet) noexcept;
    /// The packet that waits longest, or null.
    [[nodiscard]] rte_mbuf* pop_waiting(Neighbour& neighbour) noexcept;

  private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    struct Entry : Neighbour {
        std::uint32_t next_in_bucket = none;  // or in the list of free entries
        std::uint32_t previous = none, next = none;
        std::uint32_t first_waiting = none, last_waiting = none;
    };
    struct Waiting {
        rte_mbuf* packet = nullptr;
        std::uint32_t next = none;
    };
    struct Queue {
        std::uint32_t head = none, tail = none;
        std::uint32_t size = 0;
    };

    // Both states that wait for an answer do so equally long and share a queue; permanent ones stand in none.
    static constexpr std::size_t queue_count = 5;
    enum QueueIndex : std::size_t { asked, told, old, silent, used, no_queue = queue_count };
    static QueueIndex queue_of(NeighbourState state) noexcept;

    [[nodiscard]] Entry& entry_of(Neighbour& neighbour) noexcept { return static_cast<Entry&>(neighbour); }
    [[nodiscard]] std::uint32_t index_of(const Entry& entry) const noexcept {
        return static_cast<std::uint32_t>(&entry - entries_.data());
    }
    [[nodiscard]] std::uint32_t& bucket_of(std::uint8_t interface, const IpAddress& address) noexcept;
    void enqueue(Entry& entry) noexcept;
    void dequeue(Entry& entry) noexcept;

    HashKey key_;
    std::size_t size_ = 0;
    std::uint32_t free_ = none;
    std::uint32_t free_waiting_ = none;
    std::array<Queue, queue_count> queues_{};
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> buckets_;
    std::vector<Waiting> waiting_;
};

}  // namespace runnel::ip
