// NewReno congestion control (RFC 5681, RFC 6582, with appropriate byte counting, RFC 3465), with HyStart++
// (RFC 9406) in the initial slow start.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/congestion/hystart.hpp"
#include "runnel/tcp/congestion/reduction.hpp"
#include "runnel/tcp/congestion/window.hpp"

namespace runnel::tcp {

struct NewReno {
    struct State {
        std::uint32_t acked_in_avoidance;  // octets, RFC 3465
        HyStart::State hystart;
    };

    static constexpr bool owns_window = false;
    static constexpr bool paces = false;
    static constexpr bool keeps_state = false;

    /// Half of what was outstanding (RFC 5681 equation 4).
    static std::uint32_t ssthresh_after_loss(State& state, const CongestionWindow& window,
                                             std::uint32_t flight, Instant, Reduction) noexcept {
        state.acked_in_avoidance = 0;
        state.hystart = {};
        return std::max(flight / 2, 2 * window.mss);
    }

    static void acknowledged(State& state, const CongestionWindow& window, const AckSample& ack) noexcept {
        if (window.initial_slow_start()) {
            HyStart::acknowledged(state.hystart, window, ack, 1);
            return;
        }
        if (!window.used(ack.flight_before)) return;
        if (window.slow_start()) {
            window.grow(std::min(ack.acknowledged, window.mss));
            return;
        }
        state.acked_in_avoidance += ack.acknowledged;
        if (state.acked_in_avoidance >= window.cwnd) {
            state.acked_in_avoidance -= window.cwnd;
            window.grow(window.mss);
        }
    }

    static void restarted(State&, const CongestionWindow&, Instant) noexcept {}

    static void undo(State&, const CongestionWindow&) noexcept {}

    static std::uint64_t pacing_rate(const State&, const CongestionWindow&) noexcept { return 0; }
};

}  // namespace runnel::tcp
