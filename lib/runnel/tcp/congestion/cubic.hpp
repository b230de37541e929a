// CUBIC congestion control (RFC 9438), with HyStart++ (RFC 9406) in the initial slow start.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/congestion/hystart.hpp"
#include "runnel/tcp/congestion/reduction.hpp"
#include "runnel/tcp/congestion/window.hpp"

namespace runnel::tcp {

/// The window as a cubic function of the time since the last reduction: W(t) = C (t - K)^3 + W_max, and never
/// below what Reno would reach (RFC 9438 section 4.3). Variables are called what the RFC calls them; windows
/// are in octets, times in seconds.
struct Cubic {
    static constexpr double beta = 0.7;  ///< RFC 9438 section 4.6
    static constexpr double c = 0.4;     ///< segments a cubic second (section 5.1)
    /// Segments a round trip by which Reno with `beta` grows to be as fast as Reno with one half (section
    /// 4.3).
    static constexpr double alpha = 3 * (1 - beta) / (1 + beta);
    /// Segments by which one ACK may open the window in slow start (RFC 3465 section 2.3): after a time-out,
    /// when an ACK may cover what others had received long before, as few as RFC 5681 has it.
    static constexpr std::uint32_t slow_start_limit = HyStart::burst_limit;
    static constexpr std::uint32_t slow_start_limit_in_recovery = 1;

    struct State {
        /// What a spurious reduction must give back (section 4.9).
        struct Curve {
            std::uint32_t epoch_start;  // in `tick`s, modulo 2^32
            std::uint32_t w_max;        // 0: none; the epoch's first window takes its place
            std::uint32_t w_est;        // 0: no epoch is under way
            std::uint32_t cwnd_prior;
            float k;
        };
        Curve curve;
        Curve before;        // the last reduction
        float growth;        // of cwnd, below an octet
        float est_growth;    // of w_est
        std::uint32_t last;  // ACK, in `tick`s
        HyStart::State hystart;
    };

    static constexpr bool owns_window = false;
    static constexpr bool paces = false;
    /// A connection that has been idle begins a new epoch from the window it has.
    static constexpr bool keeps_state = false;

    /// Seven tenths of what was outstanding, and the end of the epoch (sections 4.6 to 4.8).
    static std::uint32_t ssthresh_after_loss(State& state, const CongestionWindow& window,
                                             std::uint32_t flight, Instant, Reduction why) noexcept {
        state.before = state.curve;
        const std::uint32_t previous = state.curve.w_max;
        // Fast convergence: the flow before made room for another, and this one makes more (section 4.7).
        const double w_max = window.cwnd < previous ? window.cwnd * ((1 + beta) / 2) : window.cwnd;
        // After a time-out the next epoch begins at its own W_max (section 4.8).
        state.curve.w_max = why == Reduction::time_out ? 0 : static_cast<std::uint32_t>(w_max);
        state.curve.cwnd_prior = window.cwnd;
        state.curve.w_est = 0;
        state.hystart = {};
        return std::max(static_cast<std::uint32_t>(flight * beta), 2 * window.mss);
    }

    static void acknowledged(State& state, const CongestionWindow& window, const AckSample& ack) noexcept {
        const std::uint32_t now = ticks(ack.now);
        const std::uint32_t since = now - state.last;
        state.last = now;
        if (window.initial_slow_start()) {
            HyStart::acknowledged(state.hystart, window, ack);
            return;
        }
        if (!window.used(ack.flight_before)) {
            // The time in which the application held back does not count (section 4.2).
            state.curve.epoch_start += since;
            return;
        }
        if (window.slow_start()) {
            state.curve.w_est = 0;
            const std::uint32_t limit = ack.in_recovery ? slow_start_limit_in_recovery : slow_start_limit;
            window.grow(std::min(ack.acknowledged, limit * window.mss), window.ssthresh);
            return;
        }
        if (state.curve.w_est == 0) {
            begin_epoch(state, window, now);
        } else if (const std::uint32_t round_trip = window.srtt_us / us_a_tick; since > 2 * round_trip) {
            state.curve.epoch_start += since - round_trip;  // nothing was out: idle
        }
        avoid(state, window, std::min(ack.acknowledged, window.cwnd), now);
    }

    /// How long nothing was in flight shows with the next ACK.
    static void restarted(State&, const CongestionWindow&, Instant) noexcept {}

    static void undo(State& state, const CongestionWindow&) noexcept { state.curve = state.before; }

    static std::uint64_t pacing_rate(const State&, const CongestionWindow&) noexcept { return 0; }

    /// The curve, `t` seconds after the beginning of the epoch (section 4.2, Figure 1).
    static double w_cubic(const State::Curve& curve, std::uint32_t mss, double t) noexcept {
        const double d = t - static_cast<double>(curve.k);
        return c * mss * (d * d * d) + curve.w_max;
    }

  private:
    static constexpr unsigned tick_bits = 16;  // 65.5 us, so that 32 bits hold 78 hours
    static constexpr double seconds_a_tick = (1U << tick_bits) / 1e9;
    static constexpr std::uint32_t us_a_tick = (1U << tick_bits) / 1000;
    static constexpr std::uint32_t longest_epoch = 1U << 31;  // the curve has passed any window long before

    static std::uint32_t ticks(Instant now) noexcept {
        return static_cast<std::uint32_t>(static_cast<std::uint64_t>(now.time_since_epoch().count()) >>
                                          tick_bits);
    }

    /// Figure 2: K is how long the curve takes from the window as it is back to W_max.
    static void begin_epoch(State& state, const CongestionWindow& window, std::uint32_t now) noexcept {
        State::Curve& curve = state.curve;
        curve.epoch_start = now;
        curve.w_est = window.cwnd;
        state.growth = 0;
        state.est_growth = 0;
        if (window.cwnd < curve.w_max) {
            curve.k = static_cast<float>(std::cbrt((curve.w_max - window.cwnd) / (c * window.mss)));
        } else {
            curve.k = 0;
            curve.w_max = window.cwnd;
        }
    }

    static void avoid(State& state, const CongestionWindow& window, std::uint32_t acked,
                      std::uint32_t now) noexcept {
        State::Curve& curve = state.curve;
        if (now - curve.epoch_start > longest_epoch) curve.epoch_start = now - longest_epoch;
        const double t = (now - curve.epoch_start) * seconds_a_tick;
        const double share = acked / static_cast<double>(window.cwnd);

        // What Reno would have (section 4.3). Once it has regained what it lost it goes at its own pace.
        const double slope = curve.w_est < curve.cwnd_prior ? alpha : 1.0;
        curve.w_est = std::min(curve.w_est + whole(state.est_growth, slope * share * window.mss),
                               CongestionWindow::most);
        if (w_cubic(curve, window.mss, t) < curve.w_est) {
            if (window.cwnd < curve.w_est) window.grow(curve.w_est - window.cwnd);
            return;
        }
        // The concave and the convex part alike (sections 4.4 and 4.5): where the curve will be in a round
        // trip, at most half as much again.
        const double target = std::min(w_cubic(curve, window.mss, t + window.srtt_us / 1e6),
                                       1.5 * static_cast<double>(window.cwnd));
        if (target > window.cwnd) window.grow(whole(state.growth, (target - window.cwnd) * share));
    }

    /// Adds to what is left below an octet and takes the whole ones.
    static std::uint32_t whole(float& rest, double octets) noexcept {
        const double sum = rest + octets;
        const auto taken = static_cast<std::uint32_t>(sum);
        rest = static_cast<float>(sum - taken);
        return taken;
    }
};
static_assert(sizeof(Cubic::State) <= 64);

}  // namespace runnel::tcp
