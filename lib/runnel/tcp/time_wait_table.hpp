// TIME-WAIT (RFC 9293 section 3.6.1): for 2 MSL after the close the four-tuple is remembered, so that the
// last ACK can be repeated and no old duplicate enters a new connection. 48 octets each, so that a real 2 MSL
// is affordable.
#pragma once

#include <cstdint>

#include "runnel/base/seq_num.hpp"
#include "runnel/base/slot_pool.hpp"
#include "runnel/base/timer_wheel.hpp"
#include "runnel/tcp/challenge_acks.hpp"
#include "runnel/tcp/flow.hpp"

namespace runnel::tcp {

struct TimeWait {
    Flow flow;
    std::uint32_t flow_hash;
    SeqNum snd_nxt;
    SeqNum rcv_nxt;
    std::uint32_t ts_recent;
    std::uint32_t ts_offset;
    Tick expires;
    std::uint32_t older, newer;  // neighbours in order of expiry, or no_slot
    bool timestamps;
    std::uint8_t settings;
    ChallengeThrottle challenges;
};
static_assert(sizeof(TimeWait) <= 48);

/// A pool of TIME-WAIT entries in order of expiry: as all wait equally long, each new one goes last.
class TimeWaitTable {
  public:
    explicit TimeWaitTable(std::uint32_t capacity) : entries_("TIME-WAIT entries", capacity) {}

    [[nodiscard]] TimeWait& operator[](std::uint32_t slot) noexcept { return entries_[slot]; }
    [[nodiscard]] const TimeWait& operator[](std::uint32_t slot) const noexcept { return entries_[slot]; }
    [[nodiscard]] std::uint32_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return entries_.capacity(); }
    void prefetch(std::uint32_t slot) const noexcept { entries_.prefetch(slot); }

    /// The entry that expires first, or no_slot.
    [[nodiscard]] std::uint32_t oldest() const noexcept { return oldest_; }

    /// A new entry, last to expire; no_slot where the table is full. The caller fills all but `older` and
    /// `newer`.
    [[nodiscard]] std::uint32_t add() noexcept {
        const std::uint32_t slot = entries_.allocate();
        if (slot != no_slot) append(slot);
        return slot;
    }
    void remove(std::uint32_t slot) noexcept {
        unlink(slot);
        entries_.free(slot);
    }
    /// Makes an entry the last to expire: its 2 MSL starts anew.
    void restart(std::uint32_t slot, Tick expires) noexcept {
        unlink(slot);
        append(slot);
        entries_[slot].expires = expires;
    }

    [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t capacity) noexcept {
        return SlotPool<TimeWait>::bytes(capacity);
    }

  private:
    void append(std::uint32_t slot) noexcept {
        entries_[slot].older = newest_;
        entries_[slot].newer = no_slot;
        (newest_ == no_slot ? oldest_ : entries_[newest_].newer) = slot;
        newest_ = slot;
    }
    void unlink(std::uint32_t slot) noexcept {
        const TimeWait& entry = entries_[slot];
        (entry.older == no_slot ? oldest_ : entries_[entry.older].newer) = entry.newer;
        (entry.newer == no_slot ? newest_ : entries_[entry.newer].older) = entry.older;
    }

    SlotPool<TimeWait> entries_;
    std::uint32_t oldest_ = no_slot;
    std::uint32_t newest_ = no_slot;
};

}  // namespace runnel::tcp
