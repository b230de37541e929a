// A hierarchical timing wheel whose links lie in the objects that wait (DESIGN.md, rule 7; G. Varghese and T.
// Lauck, "Hashed and hierarchical timing wheels", 1987, scheme 7).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel {

/// A point in time in units of 2^17 ns (131 us), modulo 2^32: it comes round after 156 hours.
using Tick = std::uint32_t;

/// What an object carries to wait in a wheel. Zeroes are "not armed".
struct TimerLink {
    std::uint32_t next;  ///< the wheel's
    std::uint32_t prev;  ///< the wheel's
    Tick expires;        ///< when, while armed
};
static_assert(sizeof(TimerLink) == 12);

/// Fires the slots of an array of `T` when their time has come. One owner thread.
///
/// Four levels of 256 lists. A link lies on the level of the highest octet in which its tick differs from the
/// present one; when the present reaches its octet there it moves down, at most three times in all. Empty
/// stretches are skipped, however long.
template <class T, TimerLink T::*Link>
class TimerWheel {
  public:
    static constexpr Duration tick_length{std::int64_t{1} << 17};
    /// How far ahead a tick can lie: 78 hours. What lies further comes before its time, at this distance.
    static constexpr std::uint32_t furthest = 0x7fffffffU;

    /// `objects` is not owned, and outlives the wheel; slots lie below 2^31 - 1. `start` is the present.
    TimerWheel(T* objects, Instant start) noexcept
        : objects_(objects), now_(floor_tick(start)), cursor_(static_cast<Tick>(now_)) {}
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    /// Makes the slot fire at `when`; where it waited for another tick, that is forgotten. A tick that has
    /// already come fires in the next `advance`.
    void arm(std::uint32_t slot, Tick when) noexcept {
        assert(slot < head_mark - 1);
        TimerLink& timer = link(slot);
        if (timer.prev != 0) {
            unlink(timer);
        } else {
            ++size_;
        }
        timer.expires = when;
        const bool past = static_cast<std::int32_t>(when - now_tick()) <= 0;
        push(slot, timer, past ? due_list_ : list_of(when));
    }

    /// Makes the slot fire no more. Nothing happens where it is not armed.
    void cancel(std::uint32_t slot) noexcept {
        TimerLink& timer = link(slot);
        if (timer.prev == 0) return;
        unlink(timer);
        disarm(timer);
    }

    [[nodiscard]] bool armed(std::uint32_t slot) const noexcept { return (objects_[slot].*Link).prev != 0; }

    /// Makes `now` the present and calls `fire(slot)` for each slot whose tick has come, in the order of
    /// their ticks (in any order within one). The slot is no longer armed by then. `fire` may arm and cancel
    /// whatever it likes: a slot that it cancels does not fire; one that it arms for `now` or earlier fires
    /// in the next `advance`.
    template <class Fire>
    void advance(Instant now, Fire&& fire) noexcept {
        const std::uint32_t due = due_list_;
        due_list_ ^= 1U;  // what is armed for the past from here on waits for the next advance
        const std::int64_t target = std::max(floor_tick(now), now_);
        now_ = std::min(target, now_ + longest_step);
        fire_all(due, fire);
        run_to_present(fire);
        // Ticks are compared modulo 2^32, so a leap of days is made in steps that leave room to arm ahead.
        while (now_ < target) {
            now_ = std::min(target, now_ + longest_step);
            run_to_present(fire);
        }
    }

    /// When `advance` has something to do: never later than the next tick at which a slot fires, but perhaps
    /// earlier where that is far ahead. `never` where nothing is armed.
    [[nodiscard]] Instant next_deadline() const noexcept {
        if (heads_[due_list_] != 0) return to_instant(now_tick());
        const Event event = next_event();
        return event.level == levels ? never : to_instant(event.tick);
    }

    /// The first tick that is not before `when`. Instants beyond what a tick can say become the furthest that
    /// it can.
    [[nodiscard]] Tick to_tick(Instant when) const noexcept {
        const std::int64_t ns = when.time_since_epoch().count();
        const std::int64_t tick = (ns >> tick_bits) + ((ns & (tick_length.count() - 1)) != 0 ? 1 : 0);
        return static_cast<Tick>(
            std::clamp(tick, now_ - std::int64_t{furthest}, now_ + std::int64_t{furthest}));
    }
    /// The first tick that is not before `now + d`; `d` is not negative.
    [[nodiscard]] Tick tick_after(Instant now, Duration d) const noexcept {
        return to_tick(now + std::min(d, tick_length * furthest));
    }
    /// When the tick comes (or came): the one nearest to the present.
    [[nodiscard]] Instant to_instant(Tick tick) const noexcept {
        const std::int64_t distance = static_cast<std::int32_t>(tick - now_tick());
        return Instant{tick_length * (now_ + distance)};
    }
    /// The tick of the present.
    [[nodiscard]] Tick now_tick() const noexcept { return static_cast<Tick>(now_); }

    /// How many slots are armed.
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

  private:
    static constexpr int tick_bits = 17;
    static constexpr std::uint32_t levels = 4;
    static constexpr std::uint32_t lists_a_level = 256;
    static constexpr std::uint32_t due_lists = levels * lists_a_level;  // the first of two, used by turns
    static constexpr std::uint32_t head_mark = 0x80000000U;
    static constexpr std::int64_t longest_step = std::int64_t{1} << 30;

    // A link names a slot as slot + 1, so that 0 is none. In the first of a list `prev` is head_mark | list:
    // no armed link has `prev` 0.

    struct Event {
        std::uint32_t level;  // `levels` where nothing waits
        Tick tick;
    };
    using Occupancy = std::array<std::uint64_t, lists_a_level / 64>;

    [[nodiscard]] static std::int64_t floor_tick(Instant instant) noexcept {
        return instant.time_since_epoch().count() >> tick_bits;
    }
    [[nodiscard]] TimerLink& link(std::uint32_t slot) noexcept { return objects_[slot].*Link; }

    /// The list in which a tick ahead of the cursor (or at it) waits.
    [[nodiscard]] std::uint32_t list_of(Tick when) const noexcept {
        const std::uint32_t level =
            (31U - static_cast<std::uint32_t>(std::countl_zero((when ^ cursor_) | 1U))) / 8;
        return level * lists_a_level + (when >> (8 * level) & 0xffU);
    }

    void push(std::uint32_t slot, TimerLink& timer, std::uint32_t list) noexcept {
        const std::uint32_t first = heads_[list];
        timer.next = first;
        timer.prev = head_mark | list;
        heads_[list] = slot + 1;
        if (first != 0) {
            link(first - 1).prev = slot + 1;
        } else if (list < due_lists) {
            occupied_[list / lists_a_level][list % lists_a_level / 64] |= std::uint64_t{1} << list % 64;
        }
    }

    void unlink(const TimerLink& timer) noexcept {
        if (timer.next != 0) link(timer.next - 1).prev = timer.prev;
        if ((timer.prev & head_mark) == 0) {
            link(timer.prev - 1).next = timer.next;
            return;
        }
        const std::uint32_t list = timer.prev & ~head_mark;
        heads_[list] = timer.next;
        if (timer.next == 0 && list < due_lists) mark_empty(list);
    }

    void disarm(TimerLink& timer) noexcept {
        timer.next = 0;
        timer.prev = 0;
        --size_;
    }

    void mark_empty(std::uint32_t list) noexcept {
        occupied_[list / lists_a_level][list % lists_a_level / 64] &= ~(std::uint64_t{1} << list % 64);
    }

    /// The first occupied list at or after `from`, or 256.
    [[nodiscard]] static std::uint32_t first_occupied(const Occupancy& occupied,
                                                      std::uint32_t from) noexcept {
        if (from == lists_a_level) return lists_a_level;
        std::uint64_t word = occupied[from / 64] >> from % 64 << from % 64;
        for (std::uint32_t i = from / 64;; word = occupied[i]) {
            if (word != 0) return i * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
            if (++i == occupied.size()) return lists_a_level;
        }
    }

    /// What waits on a lower level comes before all that waits on a higher one, and no list at or before the
    /// cursor's own is occupied; but the highest level goes round.
    [[nodiscard]] Event next_event() const noexcept {
        for (std::uint32_t level = 0; level < levels - 1; ++level) {
            const std::uint32_t i = first_occupied(occupied_[level], 0);
            if (i != lists_a_level) {
                const std::uint32_t shift = 8 * level;
                return {level, (cursor_ >> shift >> 8 << 8 | i) << shift};
            }
        }
        std::uint32_t i = first_occupied(occupied_[levels - 1], (cursor_ >> 24) + 1);
        if (i == lists_a_level) i = first_occupied(occupied_[levels - 1], 0);
        return i == lists_a_level ? Event{levels, 0} : Event{levels - 1, i << 24};
    }

    template <class Fire>
    void run_to_present(Fire& fire) noexcept {
        const Tick present = now_tick();
        for (;;) {
            const Event event = next_event();
            if (event.level == levels || event.tick - cursor_ > present - cursor_) break;
            cursor_ = event.tick;
            if (event.level > 0)
                move_down(event.level * lists_a_level + (cursor_ >> (8 * event.level) & 0xffU));
            fire_all(cursor_ & 0xffU, fire);
        }
        cursor_ = present;
    }

    /// Puts each link of a list where it belongs now that the cursor has reached it.
    void move_down(std::uint32_t list) noexcept {
        std::uint32_t name = heads_[list];
        heads_[list] = 0;
        mark_empty(list);
        while (name != 0) {
            const std::uint32_t slot = name - 1;
            TimerLink& timer = link(slot);
            name = timer.next;
            if (name != 0) __builtin_prefetch(&link(name - 1), 1);
            push(slot, timer, list_of(timer.expires));
        }
    }

    /// Fires a list until it is empty. Nothing joins it meanwhile: what is armed now waits for a later tick
    /// or for the next advance.
    template <class Fire>
    void fire_all(std::uint32_t list, Fire& fire) noexcept {
        while (heads_[list] != 0) {
            const std::uint32_t slot = heads_[list] - 1;
            TimerLink& timer = link(slot);
            if (timer.next != 0) __builtin_prefetch(&link(timer.next - 1), 1);
            unlink(timer);
            disarm(timer);
            fire(slot);
        }
    }

    T* objects_;
    std::int64_t now_;  // in ticks since the epoch of the instants, not modulo anything
    Tick cursor_;       // up to where all has fired; behind the present only while an advance runs
    std::uint32_t due_list_ = due_lists;
    std::uint32_t size_ = 0;
    std::array<Occupancy, levels> occupied_{};
    std::array<std::uint32_t, due_lists + 2> heads_{};
};

}  // namespace runnel
