// What this side has sent and the peer has not acknowledged cumulatively: when each stretch left, whether the
// peer has it (RFC 2018), and whether it counts as lost (RFC 6675, RFC 8985).
#pragma once

#include <cstdint>
#include <string_view>

#include "runnel/base/seq_num.hpp"
#include "runnel/base/slot_pool.hpp"

namespace runnel::tcp {

/// What is noted of a segment when it leaves (RFC 8985 section 5.1; delivery rate as in
/// draft-cheng-iccrg-delivery-rate-estimation). Times in microseconds modulo 2^32.
struct SendStamp {
    std::uint32_t sent_us = 0;
    std::uint32_t first_sent_us = 0;  ///< when the first segment of the rate sample left
    std::uint32_t delivered = 0;      ///< octets that had been delivered by then, modulo 2^32
    std::uint32_t delivered_us = 0;   ///< when that was last so
    bool app_limited = false;
};

/// A stretch of sequence numbers, sent at one time, all in one state.
struct SentRange {
    enum class State : std::uint8_t { in_flight, sacked, lost };

    SeqNum first, end;
    std::uint32_t next, prev;      // neighbours in the order of sequence numbers, or no_slot
    std::uint32_t later, earlier;  // in flight: neighbours in the order of sending, or no_slot
    SendStamp stamp;               // of the last transmission
    State state;
    bool retransmitted;
    bool rest_missing = false;  // only its first octets were sent again, for want of a range for the rest

    [[nodiscard]] std::uint32_t length() const noexcept { return end - first; }
};

/// The ranges of all connections of a core. A connection always gets its first range, as there are at least
/// as many as connections that can have data in flight; further ones come out of what is spare.
class SentRanges {
  public:
    /// Throws as `SlotPool` does.
    SentRanges(std::string_view what, std::uint32_t connections, std::uint32_t spare)
        : pool_(what, connections + spare), spare_(spare) {}

    /// A range for a connection that has `owned` already, or no_slot.
    [[nodiscard]] std::uint32_t allocate(std::uint32_t owned) noexcept {
        if (owned > 0) {
            if (spare_ == 0) return no_slot;
            --spare_;
        }
        return pool_.allocate();
    }
    /// Takes one back from a connection that keeps `owned`.
    void free(std::uint32_t slot, std::uint32_t owned) noexcept {
        if (owned > 0) ++spare_;
        pool_.free(slot);
    }
    [[nodiscard]] SentRange& operator[](std::uint32_t slot) noexcept { return pool_[slot]; }
    [[nodiscard]] const SentRange& operator[](std::uint32_t slot) const noexcept { return pool_[slot]; }
    [[nodiscard]] std::uint32_t spare() const noexcept { return spare_; }

    [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t connections,
                                                     std::uint32_t spare) noexcept {
        return SlotPool<SentRange>::bytes(connections + spare);
    }

  private:
    SlotPool<SentRange> pool_;
    std::uint32_t spare_;
};

/// The ranges of one connection: they cover SND.UNA to SND.NXT without a gap. Belongs to a cold block. Work
/// and memory are bounded: with `max_ranges` in use, or none spare, what is sent joins the last range, and a
/// SACK block that would have to split one is heeded only where it covers ranges wholly.
class Scoreboard {
  public:
    static constexpr std::uint32_t max_ranges = 4096;

    [[nodiscard]] bool empty() const noexcept { return head_ == no_slot; }
    /// The first and the last range, or no_slot.
    [[nodiscard]] std::uint32_t head() const noexcept { return head_; }
    [[nodiscard]] std::uint32_t tail() const noexcept { return tail_; }
    /// Octets that the peer has reported by SACK; octets that count as lost and were not sent again.
    [[nodiscard]] std::uint32_t sacked() const noexcept { return sacked_; }
    [[nodiscard]] std::uint32_t lost() const noexcept { return lost_; }
    [[nodiscard]] std::uint32_t ranges() const noexcept { return count_; }

    /// New octets have left; `first` is the end of what was sent before. Within `same_time_us` of the last
    /// range's they count as sent with it.
    void sent(SentRanges& all, SeqNum first, SeqNum end, const SendStamp& stamp,
              std::uint32_t same_time_us) noexcept;

    /// All before `una` is acknowledged. Calls `leaves(const SentRange&)` for each range, or part of one,
    /// that goes. What is left of a range of which only the first octets were sent again counts as lost.
    template <class Leaves>
    void acknowledge(SentRanges& all, SeqNum una, Leaves&& leaves) noexcept {
        if (head_ == no_slot || all[head_].first >= una) return;
        while (head_ != no_slot && all[head_].first < una) {
            SentRange& range = all[head_];
            if (range.end > una) {
                SentRange part = range;
                part.end = una;
                count_out(part);
                range.first = una;
                leaves(part);
                break;
            }
            const SentRange gone = range;
            remove_head(all);
            leaves(gone);
        }
        if (head_ != no_slot && all[head_].rest_missing && all[head_].state == SentRange::State::in_flight)
            [[unlikely]]
            mark_lost(all, head_);
    }

    /// The peer has the octets from `left` up to `right`. Calls `news(const SentRange&)` for each range that
    /// this is news of, in the state in which it was.
    template <class News>
    void sack(SentRanges& all, SeqNum left, SeqNum right, News&& news) noexcept {
        std::uint32_t slot = find(all, left);
        if (slot != no_slot && all[slot].first < left && all[slot].state != SentRange::State::sacked) {
            (void)split(all, slot, left);  // without a range for it, what follows wholly is heeded alone
            slot = all[slot].next;
        }
        while (slot != no_slot && all[slot].first < right) {
            if (all[slot].state != SentRange::State::sacked) {
                if (all[slot].end > right && !split(all, slot, right)) return;
                const SentRange before = all[slot];
                set_state(all, slot, SentRange::State::sacked);
                slot = join_sacked(all, slot);
                found_last_ = slot;
                news(before);
            }
            slot = all[slot].next;
        }
    }

    /// Calls `each(slot)` for the ranges in flight, those sent first first, until it returns false. It may
    /// mark that range lost.
    template <class Each>
    void walk_in_order_of_sending(SentRanges& all, Each&& each) noexcept {
        for (std::uint32_t slot = oldest_; slot != no_slot;) {
            const std::uint32_t later = all[slot].later;
            if (!each(slot)) return;
            slot = later;
        }
    }

    /// A range in flight counts as lost from now on.
    void mark_lost(SentRanges& all, std::uint32_t slot) noexcept {
        set_state(all, slot, SentRange::State::lost);
        if (lowest_lost_ == no_slot || all[slot].first < all[lowest_lost_].first) lowest_lost_ = slot;
    }
    /// Nothing counts as lost any more. When it was sent is forgotten: as if it had been now.
    void mark_none_lost(SentRanges& all, std::uint32_t now_us) noexcept;

    /// The lowest range that counts as lost, or no_slot.
    [[nodiscard]] std::uint32_t first_lost(const SentRanges& all) noexcept;
    /// The first octets of a range, up to `end`, have been sent again and are in flight.
    void sent_again(SentRanges& all, std::uint32_t slot, SeqNum end, const SendStamp& stamp) noexcept;
    /// Cuts a range in two at `at`, which lies within. False where no range is to be had.
    bool split(SentRanges& all, std::uint32_t slot, SeqNum at) noexcept;

    /// The peer has dropped what it reported (RFC 2018 section 8): all of that counts as lost.
    void forget_sacks(SentRanges& all) noexcept;
    void clear(SentRanges& all) noexcept;

  private:
    void set_state(SentRanges& all, std::uint32_t slot, SentRange::State state) noexcept;
    void count_out(const SentRange& range) noexcept;
    void file_as_sent_last(SentRanges& all, std::uint32_t slot) noexcept;
    void unfile(SentRanges& all, std::uint32_t slot) noexcept;
    void forget(std::uint32_t slot, std::uint32_t heir) noexcept;
    void remove_head(SentRanges& all) noexcept;
    [[nodiscard]] std::uint32_t find(const SentRanges& all, SeqNum at) noexcept;
    std::uint32_t join_sacked(SentRanges& all, std::uint32_t slot) noexcept;
    void join_next(SentRanges& all, std::uint32_t slot) noexcept;

    std::uint32_t head_ = no_slot;
    std::uint32_t tail_ = no_slot;
    std::uint32_t oldest_ = no_slot;  // of those in flight, in the order of sending
    std::uint32_t newest_ = no_slot;
    std::uint32_t lowest_lost_ = no_slot;  // below it nothing counts as lost
    std::uint32_t found_last_ = no_slot;   // where the next search begins
    std::uint32_t count_ = 0;
    std::uint32_t sacked_ = 0;
    std::uint32_t lost_ = 0;
};

}  // namespace runnel::tcp
