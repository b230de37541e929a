// What became of numbered packets: lost, repeated, or late, as the receiver sees it (RFC 4737 for order, RFC
// 3550 for jitter).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel::load {

/// Counts of a receiver. Each packet that came is one of
///
///     received = unique + duplicated + stale
///
/// and of those that were sent, once it is known how many (`SequenceTracker::end`),
///
///     sent = unique + missing
///
/// where `missing` is counted gap by gap, so that the sum is a check and not an identity.
struct SequenceCounts {
    std::uint64_t received = 0;
    std::uint64_t unique = 0;      ///< came for the first time
    std::uint64_t duplicated = 0;  ///< had come before
    std::uint64_t stale = 0;       ///< so old, or so far ahead, that it is not known which
    std::uint64_t missing = 0;     ///< numbers that did not come, below the highest that did
    std::uint64_t reordered = 0;   ///< of the unique, behind one with a greater number (RFC 4737 section 3.3)
    std::uint64_t most_extent = 0;  ///< the greatest reordering extent

    SequenceCounts& operator+=(const SequenceCounts& other) noexcept;
    friend bool operator==(const SequenceCounts&, const SequenceCounts&) noexcept = default;
};

/// The packets of one flow, numbered from 0 on, of whose number 32 bits are sent. One owner thread; allocates
/// nothing.
class SequenceTracker {
  public:
    /// So far behind the highest number a packet is told from its copy.
    static constexpr std::uint32_t window = 4096;
    /// A number further ahead than this is no number of the flow: it would bring so much loss.
    static constexpr std::uint32_t most_ahead = 1U << 24;

    struct Arrival {
        bool unique = false;
        /// RFC 4737 section 4.2.2: how many packets, its own the last, have come since the first with a
        /// greater number did; 0: in order. Behind more gaps than are kept, at least so many.
        std::uint64_t extent = 0;
    };

    /// A packet has come.
    Arrival add(std::uint32_t number) noexcept;
    /// The sender says how many it has sent: what is behind the highest number is missing too.
    void end(std::uint64_t sent) noexcept;

    [[nodiscard]] const SequenceCounts& counts() const noexcept { return counts_; }

  private:
    static constexpr std::uint32_t most_gaps = 16;
    struct Gap {
        std::uint64_t first = 0, behind = 0;  // numbers that were skipped
        std::uint64_t arrival = 0;            // the unique arrival that skipped them
    };

    [[nodiscard]] std::uint64_t& word_of(std::uint64_t number) noexcept {
        return seen_[number / 64 % seen_.size()];
    }
    void forget(std::uint64_t first, std::uint64_t behind) noexcept;
    void skip_to(std::uint64_t number) noexcept;
    [[nodiscard]] std::uint64_t extent_of(std::uint64_t number) const noexcept;

    SequenceCounts counts_;
    std::uint64_t next_ = 0;  // above the highest number that has come
    std::array<std::uint64_t, window / 64> seen_{};
    std::array<Gap, most_gaps> gaps_{};
    std::uint64_t gap_count_ = 0;  // ever
};

/// How much the time under way differs from packet to packet (RFC 3550 section 6.4.1), in nanoseconds. The
/// clocks of the two sides need not agree.
class Jitter {
  public:
    void add(std::uint64_t sent_at, Instant now) noexcept {
        // Modulo 2^64: the peer's clock is another, and its word may be anything.
        const std::uint64_t transit = static_cast<std::uint64_t>(now.time_since_epoch().count()) - sent_at;
        if (begun_) {
            const std::uint64_t difference = std::min(transit - last_, last_ - transit);
            value_ += (static_cast<double>(difference) - value_) / 16;
        }
        last_ = transit;
        begun_ = true;
    }
    [[nodiscard]] bool begun() const noexcept { return begun_; }
    [[nodiscard]] double nanoseconds() const noexcept { return value_; }

  private:
    std::uint64_t last_ = 0;
    double value_ = 0;
    bool begun_ = false;
};

}  // namespace runnel::load
