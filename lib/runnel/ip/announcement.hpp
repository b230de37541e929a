// Addresses still to be announced on their links: some at a time where there are many, so that the
// announcements of a large range neither fill the transmit queue nor flood the link.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel::ip {

/// Goes `rounds` times over a number of addresses. One owner thread.
class Announcement {
  public:
    static constexpr std::uint32_t at_once = 64;
    static constexpr Duration pause = 10ms;

    /// Begins anew with `count` addresses; a round starts no earlier than `interval` after the one before.
    void begin(std::uint64_t count, std::uint8_t rounds, Duration interval, Instant now) noexcept {
        *this = {};
        if (count == 0) return;
        count_ = count;
        rounds_ = rounds;
        interval_ = interval;
        due_ = now;
        next_round_ = now + interval;
    }
    [[nodiscard]] Instant due() const noexcept { return due_; }

    /// Calls `announce(index)` for those whose turn it is at `now`, which is not before `due()`.
    template <class Announce>
    void advance(Instant now, Announce&& announce) noexcept {
        for (std::uint32_t sent = 0; sent < at_once; ++sent) {
            announce(at_);
            if (++at_ < count_) continue;
            at_ = 0;
            --rounds_;
            due_ = rounds_ == 0 ? never : std::max(next_round_, now + pause);
            next_round_ = rounds_ == 0 ? never : due_ + interval_;
            return;
        }
        due_ = now + pause;
    }

  private:
    std::uint64_t count_ = 0, at_ = 0;
    std::uint8_t rounds_ = 0;
    Duration interval_{};
    Instant due_ = never;
    Instant next_round_ = never;
};

}  // namespace runnel::ip
