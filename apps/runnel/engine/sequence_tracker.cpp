// See sequence_tracker.hpp.
#include "engine/sequence_tracker.hpp"

#include <algorithm>

namespace runnel::load {

SequenceCounts& SequenceCounts::operator+=(const SequenceCounts& other) noexcept {
    received += other.received;
    unique += other.unique;
    duplicated += other.duplicated;
    stale += other.stale;
    missing += other.missing;
    reordered += other.reordered;
    most_extent = std::max(most_extent, other.most_extent);
    return *this;
}

SequenceTracker::Arrival SequenceTracker::add(std::uint32_t number) noexcept {
    ++counts_.received;
    // The whole number is the one nearest to the next.
    const auto ahead = static_cast<std::int32_t>(number - static_cast<std::uint32_t>(next_));
    if (ahead >= 0) {
        if (static_cast<std::uint32_t>(ahead) > most_ahead) [[unlikely]] {
            ++counts_.stale;
            return {};
        }
        const std::uint64_t whole = next_ + static_cast<std::uint32_t>(ahead);
        if (ahead > 0) [[unlikely]]
            skip_to(whole);
        forget(whole, whole + 1);
        word_of(whole) |= std::uint64_t{1} << whole % 64;
        next_ = whole + 1;
        ++counts_.unique;
        return {.unique = true};
    }
    const std::uint64_t behind = static_cast<std::uint64_t>(-static_cast<std::int64_t>(ahead));
    if (behind > window || behind > next_) [[unlikely]] {
        ++counts_.stale;
        return {};
    }
    const std::uint64_t whole = next_ - behind;
    const std::uint64_t bit = std::uint64_t{1} << whole % 64;
    if ((word_of(whole) & bit) != 0) {
        ++counts_.duplicated;
        return {};
    }
    word_of(whole) |= bit;
    const std::uint64_t extent = extent_of(whole);
    --counts_.missing;
    ++counts_.unique;
    ++counts_.reordered;
    counts_.most_extent = std::max(counts_.most_extent, extent);
    return {.unique = true, .extent = extent};
}

// Of these none has been seen.
void SequenceTracker::forget(std::uint64_t first, std::uint64_t behind) noexcept {
    if (behind - first >= window) {
        seen_.fill(0);
        return;
    }
    while (first < behind) {
        const std::uint64_t end = std::min(behind, first - first % 64 + 64);
        const std::uint64_t bits = end - first;
        word_of(first) &= ~((bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1) << first % 64);
        first = end;
    }
}

std::uint64_t SequenceTracker::extent_of(std::uint64_t number) const noexcept {
    const std::uint64_t kept = std::min<std::uint64_t>(gap_count_, most_gaps);
    std::uint64_t opened = counts_.unique;
    for (std::uint64_t i = 0; i < kept; ++i) {
        const Gap& gap = gaps_[(gap_count_ - 1 - i) % most_gaps];
        opened = gap.arrival;
        if (number >= gap.first) break;
    }
    return counts_.unique - opened;
}

void SequenceTracker::end(std::uint64_t sent) noexcept {
    if (sent <= next_) return;
    skip_to(sent);
    next_ = sent;
}

void SequenceTracker::skip_to(std::uint64_t number) noexcept {
    gaps_[gap_count_++ % most_gaps] = {next_, number, counts_.unique};
    counts_.missing += number - next_;
    forget(next_, number);
}

}  // namespace runnel::load
