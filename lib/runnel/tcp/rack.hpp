// RACK (RFC 8985 sections 5 and 6): a segment is lost when one that was sent sufficiently later has been
// delivered.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/seq_num.hpp"
#include "runnel/tcp/scoreboard.hpp"

namespace runnel::tcp {

/// RACK's own variables. Times in microseconds, instants modulo 2^32. Belongs to a cold block.
class Rack {
  public:
    /// What the reordering window depends on (section 6.2, step 4).
    struct Conditions {
        std::uint32_t min_rtt_us = 0;
        std::uint32_t srtt_us = 0;
        bool reordering_seen = false;
        bool recovering = false;        ///< in fast recovery, or recovering from a time-out
        bool three_duplicates = false;  ///< as many segments as DupThresh are SACKed
    };

    /// What a look at the scoreboard found.
    struct Losses {
        std::uint32_t octets = 0;   ///< newly lost
        std::uint32_t wait_us = 0;  ///< after which more will count as lost; 0: nothing waits
    };

    /// A range has been delivered (step 2). A retransmission whose ACK came sooner than a round trip takes is
    /// the original's, which says nothing of when.
    void delivered(const SentRange& range, std::uint32_t now_us, std::uint32_t min_rtt_us) noexcept {
        const std::uint32_t rtt = now_us - range.stamp.sent_us;
        if (range.retransmitted && rtt < min_rtt_us) return;
        if (known_ && !sent_after(range.stamp.sent_us, range.end, sent_us_, end_)) return;
        known_ = true;
        sent_us_ = range.stamp.sent_us;
        end_ = range.end;
        rtt_us_ = rtt;
    }

    /// Nothing is in flight: what was delivered says nothing of what is sent from now on. The clock comes
    /// round while a connection is idle.
    void restarted() noexcept { known_ = false; }

    /// Whether the range was overtaken by what had been delivered before (step 3).
    [[nodiscard]] bool reordered(const SentRange& range) const noexcept {
        return forward_known_ && !range.retransmitted && range.end <= forward_;
    }
    /// The highest octet acknowledged, by whatever means.
    void forward(SeqNum end) noexcept {
        forward_ = forward_known_ ? max(forward_, end) : end;
        forward_known_ = true;
    }

    /// A D-SACK has come: the window was too small (step 4). Once a round.
    void duplicate_reported(SeqNum snd_una, SeqNum snd_nxt) noexcept {
        if (round_runs_ && snd_una < round_end_ && round_end_ <= snd_nxt) return;
        round_runs_ = true;
        round_end_ = snd_nxt;
        persist_ = 16;
        if (multiplier_ < 255) ++multiplier_;
    }
    /// A recovery is over: sixteen of them after the last D-SACK the window is what it was.
    void recovery_ended() noexcept {
        if (persist_ > 0 && --persist_ == 0) multiplier_ = 1;
    }

    [[nodiscard]] std::uint32_t reordering_window(const Conditions& given) const noexcept {
        if (!given.reordering_seen && (given.recovering || given.three_duplicates)) return 0;
        const std::uint64_t window = std::uint64_t{multiplier_} * given.min_rtt_us / 4;
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(window, given.srtt_us));
    }

    /// Marks what is lost by now (step 5).
    [[nodiscard]] Losses detect(Scoreboard& board, SentRanges& all, std::uint32_t now_us,
                                std::uint32_t window_us) const noexcept {
        Losses losses;
        if (!known_) return losses;
        board.walk_in_order_of_sending(all, [&](std::uint32_t slot) noexcept {
            const SentRange& range = all[slot];
            if (!sent_after(sent_us_, end_, range.stamp.sent_us, range.end)) return false;
            const std::uint32_t age = now_us - range.stamp.sent_us;
            const std::uint32_t limit = rtt_us_ + window_us;
            if (age >= limit) {
                losses.octets += range.length();
                board.mark_lost(all, slot);
            } else {
                losses.wait_us = std::max(losses.wait_us, limit - age);
            }
            return true;
        });
        return losses;
    }

    /// Marks what is lost when the retransmission timer has expired (section 6.3): the first range, and all
    /// that have been out for longer than a round trip.
    void time_out(Scoreboard& board, SentRanges& all, std::uint32_t now_us,
                  std::uint32_t window_us) const noexcept {
        if (all[board.head()].state == SentRange::State::in_flight) board.mark_lost(all, board.head());
        board.walk_in_order_of_sending(all, [&](std::uint32_t slot) noexcept {
            const bool old = !known_ || now_us - all[slot].stamp.sent_us >= rtt_us_ + window_us;
            if (old) board.mark_lost(all, slot);
            return old;
        });
    }

  private:
    // RACK_sent_after: of segments sent at one time the higher one counts as later.
    static bool sent_after(std::uint32_t us, SeqNum end, std::uint32_t other_us, SeqNum other_end) noexcept {
        const auto later = static_cast<std::int32_t>(us - other_us);
        return later > 0 || (later == 0 && end > other_end);
    }

    std::uint32_t sent_us_ = 0;  // of the segment sent last among those delivered
    SeqNum end_{};
    std::uint32_t rtt_us_ = 0;
    SeqNum forward_{};  // RACK.fack
    SeqNum round_end_{};
    std::uint8_t multiplier_ = 1;
    std::uint8_t persist_ = 0;
    bool known_ = false;
    bool forward_known_ = false;
    bool round_runs_ = false;
};

}  // namespace runnel::tcp
