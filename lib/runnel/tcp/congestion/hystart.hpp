// HyStart++ (RFC 9406): leaves the initial slow start when the round-trip time rises, before the queue
// overflows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "runnel/base/seq_num.hpp"
#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/congestion/window.hpp"

namespace runnel::tcp {

/// The initial slow start, and the conservative one (CSS) that follows a rise of the round-trip time, until
/// either ends it by a threshold or a loss does.
struct HyStart {
    // RFC 9406 section 4.3
    static constexpr std::uint32_t min_rtt_threshold_us = 4'000;
    static constexpr std::uint32_t max_rtt_threshold_us = 16'000;
    static constexpr std::uint32_t min_rtt_divisor = 8;
    static constexpr std::uint8_t rtt_samples = 8;
    static constexpr std::uint32_t css_growth_divisor = 4;
    static constexpr std::uint8_t css_rounds = 5;
    static constexpr std::uint32_t burst_limit =
        10;  ///< L of a sender that does not pace, in segments an ACK: as many as the initial window,
             ///< which may be acknowledged at once (section 4.3 names 8)

    /// Zeroed: before the first round. Round-trip times count in units of 32 us, from 1 on, and 0 is none;
    /// longer than 2 s they all look alike, and nothing is concluded from them.
    struct State {
        SeqNum window_end;         // the round ends with the ACK of this
        std::uint16_t reference;   // lastRoundMinRTT; in CSS cssBaselineMinRtt
        std::uint16_t current;     // currentRoundMinRTT
        std::uint8_t samples;      // of this round; stays at the number that suffices
        std::uint8_t rounds_done;  // of CSS
        bool conservative;         // in CSS
        bool in_round;
    };

    /// Moves the window for an ACK of the initial slow start (RFC 9406 section 4.2), by `limit` segments at
    /// most. At the end of CSS ssthresh becomes the window, and slow start is over.
    static void acknowledged(State& state, const CongestionWindow& window, const AckSample& ack,
                             std::uint32_t limit = burst_limit) noexcept {
        if (!state.in_round) begin_round(state, ack);
        if (window.used(ack.flight_before)) {
            const std::uint32_t octets = std::min(ack.acknowledged, limit * window.mss);
            window.grow(state.conservative ? octets / css_growth_divisor : octets);
        }
        if (ack.rtt_us != 0) take_sample(state, ack.rtt_us);
        if (ack.snd_una < state.window_end) return;
        if (state.conservative && ++state.rounds_done >= css_rounds) {
            window.ssthresh = window.cwnd;
            return;
        }
        // The next round begins with the next ACK, when what this one lets go has been sent: else each round
        // would begin with more of the burst before it, at the end of that one's queue.
        if (!state.conservative) state.reference = state.current;
        state.in_round = false;
    }

  private:
    static constexpr std::uint32_t unit_us = 32;

    static void begin_round(State& state, const AckSample& ack) noexcept {
        state.in_round = true;
        state.window_end = ack.snd_nxt;
        state.current = 0;
        state.samples = 0;
    }

    static void take_sample(State& state, std::uint32_t rtt_us) noexcept {
        const auto rtt = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(rtt_us / unit_us + 1, std::numeric_limits<std::uint16_t>::max()));
        state.current = state.current == 0 ? rtt : std::min(state.current, rtt);
        if (state.samples < rtt_samples) ++state.samples;
        if (state.samples < rtt_samples) return;
        if (state.conservative) {
            // The rise was none of a queue. The baseline stays as the reference for the rest of the round: it
            // is above what the round has seen, so that nothing is concluded from it.
            if (state.current < state.reference) state.conservative = false;
            return;
        }
        if (state.reference == 0) return;
        const std::uint32_t threshold =
            std::clamp(state.reference / min_rtt_divisor, min_rtt_threshold_us / unit_us,
                       max_rtt_threshold_us / unit_us);
        if (state.current < state.reference + threshold) return;
        state.conservative = true;
        state.reference = state.current;
        state.rounds_done = 0;
    }
};
static_assert(sizeof(HyStart::State) == 12);

}  // namespace runnel::tcp
