#include "runnel/tcp/scoreboard.hpp"

namespace runnel::tcp {

using SentState = SentRange::State;

void Scoreboard::count_out(const SentRange& range) noexcept {
    if (range.state == SentState::sacked) sacked_ -= range.length();
    if (range.state == SentState::lost) lost_ -= range.length();
}

// What is in flight is filed in the order of sending, so that RACK looks at no more than it finds.
void Scoreboard::file_as_sent_last(SentRanges& all, std::uint32_t slot) noexcept {
    all[slot].earlier = newest_;
    all[slot].later = no_slot;
    (newest_ == no_slot ? oldest_ : all[newest_].later) = slot;
    newest_ = slot;
}

void Scoreboard::unfile(SentRanges& all, std::uint32_t slot) noexcept {
    const SentRange& range = all[slot];
    (range.earlier == no_slot ? oldest_ : all[range.earlier].later) = range.later;
    (range.later == no_slot ? newest_ : all[range.later].earlier) = range.earlier;
}

// A range goes; `heir` stands where it stood.
void Scoreboard::forget(std::uint32_t slot, std::uint32_t heir) noexcept {
    if (lowest_lost_ == slot) lowest_lost_ = heir;
    if (found_last_ == slot) found_last_ = heir;
}

void Scoreboard::set_state(SentRanges& all, std::uint32_t slot, SentState state) noexcept {
    SentRange& range = all[slot];
    count_out(range);
    if (range.state == SentState::in_flight) unfile(all, slot);
    range.state = state;
    if (state == SentState::in_flight) file_as_sent_last(all, slot);
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
        // then it counts as lost late, never early. Its round trip cannot be measured any more.
        SentRange& last = all[tail_];
        set_state(all, tail_, SentState::in_flight);
        last.end = end;
        last.stamp = stamp;
        last.retransmitted = true;
        return;
    }
    all[slot] = {.first = first,
                 .end = end,
                 .next = no_slot,
                 .prev = tail_,
                 .later = no_slot,
                 .earlier = no_slot,
                 .stamp = stamp,
                 .state = SentState::in_flight,
                 .retransmitted = false};
    (tail_ == no_slot ? head_ : all[tail_].next) = slot;
    tail_ = slot;
    ++count_;
    file_as_sent_last(all, slot);
}

void Scoreboard::remove_head(SentRanges& all) noexcept {
    const std::uint32_t slot = head_;
    count_out(all[slot]);
    if (all[slot].state == SentState::in_flight) unfile(all, slot);
    head_ = all[slot].next;
    forget(slot, head_);
    (head_ == no_slot ? tail_ : all[head_].prev) = no_slot;
    --count_;
    all.free(slot, count_);
}

// The range that holds `at`. SACK blocks grow: the search begins where the last one ended.
std::uint32_t Scoreboard::find(const SentRanges& all, SeqNum at) noexcept {
    if (head_ == no_slot || at >= all[tail_].end || at < all[head_].first) return no_slot;
    std::uint32_t slot = found_last_ != no_slot ? found_last_ : head_;
    while (all[slot].end <= at) slot = all[slot].next;
    while (all[slot].first > at) slot = all[slot].prev;
    found_last_ = slot;
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
    if (range.state == SentState::in_flight) {
        rest.earlier = slot;
        range.later = behind;
        (rest.later == no_slot ? newest_ : all[rest.later].earlier) = behind;
    }
    return true;
}

// Makes one of a range and its successor, which are of one state.
void Scoreboard::join_next(SentRanges& all, std::uint32_t slot) noexcept {
    const std::uint32_t next = all[slot].next;
    all[slot].end = all[next].end;
    all[slot].next = all[next].next;
    (all[slot].next == no_slot ? tail_ : all[all[slot].next].prev) = slot;
    --count_;
    forget(next, slot);
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

std::uint32_t Scoreboard::first_lost(const SentRanges& all) noexcept {
    if (lost_ == 0) {
        lowest_lost_ = no_slot;
        return no_slot;
    }
    while (all[lowest_lost_].state != SentState::lost) lowest_lost_ = all[lowest_lost_].next;
    return lowest_lost_;
}

void Scoreboard::sent_again(SentRanges& all, std::uint32_t slot, SeqNum end,
                            const SendStamp& stamp) noexcept {
    // Where it cannot be split all of it counts as sent, until an ACK shows what is missing.
    all[slot].rest_missing = end < all[slot].end && !split(all, slot, end);
    set_state(all, slot, SentState::in_flight);
    all[slot].retransmitted = true;
    all[slot].stamp = stamp;
}

void Scoreboard::mark_none_lost(SentRanges& all, std::uint32_t now_us) noexcept {
    for (std::uint32_t slot = first_lost(all); slot != no_slot; slot = first_lost(all)) {
        set_state(all, slot, SentState::in_flight);
        all[slot].retransmitted = true;  // its round trip cannot be measured any more
        all[slot].rest_missing = false;
        all[slot].stamp.sent_us = now_us;
    }
}

void Scoreboard::forget_sacks(SentRanges& all) noexcept {
    for (std::uint32_t slot = head_; slot != no_slot; slot = all[slot].next)
        if (all[slot].state == SentState::sacked) mark_lost(all, slot);
}

void Scoreboard::clear(SentRanges& all) noexcept {
    while (head_ != no_slot) remove_head(all);
}

}  // namespace runnel::tcp
