#include "runnel/tcp/scoreboard.hpp"

namespace runnel::tcp {

using SentState = SentRange::State;

void Scoreboard::count_out(const SentRange& range) noexcept {
    if (range.state == SentState::sacked) sacked_ -= range.length();
    if (range.state == SentState::lost) lost_ -= range.length();
}

void Scoreboard::set_state(SentRange& range, SentState state) noexcept {
    count_out(range);
    range.state = state;
    if (state == SentState::sacked) sacked_ += range.length();
    if (state == SentState::lost) lost_ += range.length();
}

void Scoreboard::sent(SentRanges& all, SeqNum first, SeqNum end, const SendStamp& stamp,
                      std::uint32_t same_time_us) noexcept {
    if (tail_ != no_slot) {
        SentRange& last = all[tail_];
        const bool plain = last.state == SentState::in_flight && !last.retransmitted;
        if (plain && stamp.sent_us - last.stamp.sent_us <= same_time_us) {
            last.end = end;
            return;
        }
    }
    const std::uint32_t slot = count_ < max_ranges ? all.allocate(count_) : no_slot;
    if (slot == no_slot) [[unlikely]] {
        // No range is to be had, so the last one covers these too, as if all of it had been sent just now:
        // then it counts as lost late, never early.
        SentRange& last = all[tail_];
        if (last.state == SentState::sacked) set_state(last, SentState::in_flight);
        if (last.state == SentState::lost) lost_ += end - last.end;
        last.end = end;
        last.stamp = stamp;
        return;
    }
    all[slot] = {.first = first,
                 .end = end,
                 .next = no_slot,
                 .prev = tail_,
                 .stamp = stamp,
                 .state = SentState::in_flight,
                 .retransmitted = false};
    (tail_ == no_slot ? head_ : all[tail_].next) = slot;
    tail_ = slot;
    ++count_;
}

void Scoreboard::remove_head(SentRanges& all) noexcept {
    const std::uint32_t slot = head_;
    count_out(all[slot]);
    head_ = all[slot].next;
    (head_ == no_slot ? tail_ : all[head_].prev) = no_slot;
    --count_;
    all.free(slot, count_);
}

// From the nearer end: SACK blocks report the newest first, losses lie at the start.
std::uint32_t Scoreboard::find(const SentRanges& all, SeqNum at) const noexcept {
    if (head_ == no_slot || at >= all[tail_].end) return no_slot;
    if (at - all[head_].first < all[tail_].end - at) {
        std::uint32_t slot = head_;
        while (all[slot].end <= at) slot = all[slot].next;
        return slot;
    }
    std::uint32_t slot = tail_;
    while (all[slot].first > at && all[slot].prev != no_slot) slot = all[slot].prev;
    return slot;
}

bool Scoreboard::split(SentRanges& all, std::uint32_t slot, SeqNum at) noexcept {
    const std::uint32_t behind = count_ < max_ranges ? all.allocate(count_) : no_slot;
    if (behind == no_slot) [[unlikely]]
        return false;
    SentRange& range = all[slot];
    SentRange& rest = all[behind];
    rest = range;
    rest.first = at;
    rest.prev = slot;
    range.end = at;
    range.next = behind;
    (rest.next == no_slot ? tail_ : all[rest.next].prev) = behind;
    ++count_;
    return true;
}

// Makes one of a range and its successor, which are of one state.
void Scoreboard::join_next(SentRanges& all, std::uint32_t slot) noexcept {
    const std::uint32_t next = all[slot].next;
    all[slot].end = all[next].end;
    all[slot].next = all[next].next;
    (all[slot].next == no_slot ? tail_ : all[all[slot].next].prev) = slot;
    --count_;
    all.free(next, count_);
}

// What is SACKed needs no times any more: neighbours become one. Returns the range that is left.
std::uint32_t Scoreboard::join_sacked(SentRanges& all, std::uint32_t slot) noexcept {
    const std::uint32_t next = all[slot].next;
    if (next != no_slot && all[next].state == SentState::sacked) join_next(all, slot);
    const std::uint32_t prev = all[slot].prev;
    if (prev == no_slot || all[prev].state != SentState::sacked) return slot;
    join_next(all, prev);
    return prev;
}

std::uint32_t Scoreboard::first_lost(const SentRanges& all) const noexcept {
    if (lost_ == 0) return no_slot;
    std::uint32_t slot = head_;
    while (slot != no_slot && all[slot].state != SentState::lost) slot = all[slot].next;
    return slot;
}

void Scoreboard::sent_again(SentRanges& all, std::uint32_t slot, SeqNum end,
                            const SendStamp& stamp) noexcept {
    // Where it cannot be split all of it counts as sent: what was not is found lost once more.
    if (end < all[slot].end) (void)split(all, slot, end);
    SentRange& range = all[slot];
    set_state(range, SentState::in_flight);
    range.retransmitted = true;
    range.stamp = stamp;
}

void Scoreboard::forget_sacks(SentRanges& all) noexcept {
    walk(all, [&](std::uint32_t slot) noexcept {
        if (all[slot].state == SentState::sacked) set_state(all[slot], SentState::in_flight);
        return true;
    });
}

void Scoreboard::clear(SentRanges& all) noexcept {
    while (head_ != no_slot) remove_head(all);
}

}  // namespace runnel::tcp
