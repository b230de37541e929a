// BBR congestion control, version 1 (draft-cardwell-iccrg-bbr-congestion-control-00).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/congestion/reduction.hpp"
#include "runnel/tcp/congestion/window.hpp"
#include "runnel/tcp/congestion/windowed_max.hpp"

namespace runnel::tcp {

/// Paces at the rate that the path has delivered, as measured, and keeps in flight what it holds at that rate
/// and the least round-trip time seen, twice. Losses close the window for a round only. Sections are those of
/// the draft; variables are called what it calls them.
struct Bbr {
    static constexpr double high_gain = 2.885;  ///< 2 / ln 2: the least that doubles the rate in each round
    static constexpr double probe_bw_cwnd_gain = 2;
    static constexpr std::uint32_t bw_filter_rounds = 10;   ///< section 4.1.1.3
    static constexpr Duration min_rtt_filter_length = 10s;  ///< section 4.1.2.3
    static constexpr Duration probe_rtt_duration = 200ms;   ///< section 4.3.5
    static constexpr std::uint32_t min_pipe_cwnd = 4;       ///< segments
    /// Section 4.3.4.2: probes for more, drains what that has queued, and cruises.
    static constexpr std::array<double, 8> cycle_gains{1.25, 0.75, 1, 1, 1, 1, 1, 1};
    /// As Linux: a little slower than the bottleneck, so that no queue builds up by rounding.
    static constexpr double pacing_margin = 0.99;

    enum class Mode : std::uint8_t { startup, drain, probe_bw, probe_rtt };

    struct State {
        Instant rtprop_stamp;         // when `rtprop_us` was measured
        Instant probe_rtt_done;       // the epoch: the flight has not come down yet
        Instant cycle_stamp;          // when the phase of the gain cycle began
        WindowedMax bottleneck_rate;  // octets a second, over rounds
        std::uint32_t round_count;
        std::uint32_t next_round_delivered;
        std::uint32_t
            limited_until;        // samples of what was sent before this was delivered are low by intention
        std::uint32_t rtprop_us;  // 0: none yet
        std::uint32_t prior_cwnd;
        float full_rate;
        float pacing_rate;  // octets a second; 0: none yet
        Mode mode;
        std::uint8_t cycle_index;
        std::uint8_t full_rate_count;
        bool filled_pipe : 1;
        bool limited : 1;  // `limited_until` holds
        bool probe_rtt_round_done : 1;
        bool idle_restart : 1;
        bool entering_recovery : 1;
        bool recovering : 1;
        bool packet_conservation : 1;
    };

    static constexpr bool owns_window = true;
    static constexpr bool paces = true;
    /// What was measured would take many rounds to measure again.
    static constexpr bool keeps_state = true;

    /// There is no threshold. The window is saved, and given back when the recovery ends (section 4.2.3.5).
    static std::uint32_t ssthresh_after_loss(State& state, const CongestionWindow& window, std::uint32_t,
                                             Instant, Reduction why) noexcept {
        if (why == Reduction::congestion_marks) return window.ssthresh;  // version 1 does not heed them
        save_cwnd(state, window);
        state.recovering = true;
        state.entering_recovery = why == Reduction::loss;
        state.packet_conservation = false;
        if (why == Reduction::time_out) state.full_rate = 0;  // low rates that follow say nothing of the pipe
        return window.ssthresh;
    }

    static void acknowledged(State& state, const CongestionWindow& window, const AckSample& ack) noexcept {
        const bool round_start = update_round(state, ack);
        update_bottleneck_rate(state, ack);
        check_cycle_phase(state, window, ack);
        check_full_pipe(state, ack, round_start);
        check_drain(state, window, ack);
        update_rtprop(state, window, ack, round_start);
        if (ack.delivered > 0) state.idle_restart = false;
        set_pacing_rate(state, window, pacing_gain(state));
        set_cwnd(state, window, ack, round_start);
    }

    /// Data is sent after a time in which nothing was in flight: at the rate of the path, without a probe,
    /// and the least round-trip time may be old for once (section 4.4.3).
    static void restarted(State& state, const CongestionWindow& window, Instant) noexcept {
        state.idle_restart = true;
        if (state.mode == Mode::probe_bw) set_pacing_rate(state, window, 1);
    }

    static void undo(State& state, const CongestionWindow& window) noexcept {
        state.full_rate = 0;
        state.full_rate_count = 0;
        end_recovery(state, window);
    }

    /// Never 0: before the first sample the initial window in a round trip, or in 1 ms (section 4.2.1).
    static std::uint64_t pacing_rate(const State& state, const CongestionWindow& window) noexcept {
        const double rate =
            state.pacing_rate > 0 ? static_cast<double>(state.pacing_rate) : first_rate(window);
        return std::max<std::uint64_t>(static_cast<std::uint64_t>(rate), 1);
    }

    /// BBRInflight: what the path holds, times `gain`, and room for the bursts of a sender that segments in
    /// hardware (section 4.2.3.2). Octets.
    static std::uint32_t inflight(const State& state, const CongestionWindow& window, double gain) noexcept {
        const auto rate = static_cast<double>(state.bottleneck_rate.best());
        if (state.rtprop_us == 0 || rate <= 0) return window.initial;
        const double octets = gain * rate * state.rtprop_us / 1e6 + 3.0 * send_quantum(state, window);
        return static_cast<std::uint32_t>(std::min<double>(octets, CongestionWindow::most));
    }

  private:
    static double first_rate(const CongestionWindow& window) noexcept {
        const double round_trip = window.srtt_us == 0 ? 1e-3 : window.srtt_us / 1e6;
        return high_gain * window.initial / round_trip;
    }

    static double pacing_gain(const State& state) noexcept {
        switch (state.mode) {
            case Mode::startup:
                return high_gain;
            case Mode::drain:
                return 1 / high_gain;
            case Mode::probe_bw:
                return cycle_gains[state.cycle_index];
            case Mode::probe_rtt:
                break;
        }
        return 1;
    }
    static double cwnd_gain(const State& state) noexcept {
        switch (state.mode) {
            case Mode::startup:
            case Mode::drain:
                return high_gain;
            case Mode::probe_bw:
                return probe_bw_cwnd_gain;
            case Mode::probe_rtt:
                break;
        }
        return 1;
    }

    /// Section 4.2.2.
    static std::uint32_t send_quantum(const State& state, const CongestionWindow& window) noexcept {
        if (state.pacing_rate < 150e3F) return window.mss;
        if (state.pacing_rate < 3e6F) return 2 * window.mss;
        return static_cast<std::uint32_t>(std::min(state.pacing_rate / 1000, 65536.0F));
    }

    /// A round ends when something is delivered that was sent after the round began (section 4.1.1.2).
    static bool update_round(State& state, const AckSample& ack) noexcept {
        if (state.round_count != 0 && before(ack.prior_delivered, state.next_round_delivered)) return false;
        state.next_round_delivered = ack.total_delivered;
        ++state.round_count;
        return true;
    }

    static bool limited(const State& state, const AckSample& ack) noexcept {
        return ack.rate_app_limited || state.limited;
    }

    /// Section 4.1.1.4. A sample that was low because little was to be sent counts only where it is the best.
    static void update_bottleneck_rate(State& state, const AckSample& ack) noexcept {
        if (state.limited && !before(ack.prior_delivered, state.limited_until)) state.limited = false;
        if (ack.rate_delivered == 0 || ack.rate_interval_us == 0) return;
        // Shorter than any round trip: ACKs came in a lump (draft-cheng-iccrg-delivery-rate-estimation
        // section 3.3).
        if (ack.rate_interval_us + 1 < state.rtprop_us) return;
        const float rate =
            static_cast<float>(ack.rate_delivered) * 1e6F / static_cast<float>(ack.rate_interval_us);
        if (rate >= state.bottleneck_rate.best() || !limited(state, ack))
            state.bottleneck_rate.update(bw_filter_rounds, state.round_count, rate);
    }

    /// Section 4.3.4.3.
    static void check_cycle_phase(State& state, const CongestionWindow& window,
                                  const AckSample& ack) noexcept {
        if (state.mode != Mode::probe_bw) return;
        const double gain = cycle_gains[state.cycle_index];
        bool next = ack.now - state.cycle_stamp > std::chrono::microseconds{state.rtprop_us};
        if (gain > 1) {
            // Until the path has been asked for that much, or has said that it cannot.
            next = next && (ack.lost > 0 || ack.flight_before >= inflight(state, window, gain));
        } else if (gain < 1) {
            next = next || ack.flight_before <= inflight(state, window, 1);
        }
        if (next) advance_cycle_phase(state, ack.now);
    }
    static void advance_cycle_phase(State& state, Instant now) noexcept {
        state.cycle_stamp = now;
        state.cycle_index = static_cast<std::uint8_t>((state.cycle_index + 1) % cycle_gains.size());
    }

    /// Three rounds in which the rate did not grow by a quarter have filled the pipe (section 4.3.2.2).
    static void check_full_pipe(State& state, const AckSample& ack, bool round_start) noexcept {
        if (state.filled_pipe || !round_start || limited(state, ack)) return;
        const float rate = state.bottleneck_rate.best();
        if (rate >= state.full_rate * 1.25F) {
            state.full_rate = rate;
            state.full_rate_count = 0;
            return;
        }
        state.filled_pipe = ++state.full_rate_count >= 3;
    }

    static void check_drain(State& state, const CongestionWindow& window, const AckSample& ack) noexcept {
        if (state.mode == Mode::startup && state.filled_pipe) state.mode = Mode::drain;
        if (state.mode == Mode::drain && ack.flight <= inflight(state, window, 1)) enter_probe_bw(state, ack);
    }

    /// Begins with any phase but the draining one, so that flows do not probe in step (section 4.3.4.2).
    /// Chance is the time and what was delivered.
    static void enter_probe_bw(State& state, const AckSample& ack) noexcept {
        state.mode = Mode::probe_bw;
        const auto time = static_cast<std::uint64_t>(ack.now.time_since_epoch().count());
        const std::uint64_t chance =
            ((time ^ (std::uint64_t{ack.total_delivered} << 32)) + ack.snd_una.value()) *
            0x9e37'79b9'7f4a'7c15ULL;
        constexpr auto phases = static_cast<std::uint32_t>(cycle_gains.size());
        state.cycle_index = static_cast<std::uint8_t>(phases - 1 - (chance >> 33) % (phases - 1));
        advance_cycle_phase(state, ack.now);
    }

    /// Sections 4.1.2.3 and 4.3.5: a least round-trip time of more than ten seconds ago is measured anew,
    /// with almost nothing in flight for 200 ms and a round.
    static void update_rtprop(State& state, const CongestionWindow& window, const AckSample& ack,
                              bool round_start) noexcept {
        const bool expired = state.rtprop_us != 0 && ack.now - state.rtprop_stamp > min_rtt_filter_length;
        if (ack.rtt_us != 0 && (state.rtprop_us == 0 || ack.rtt_us <= state.rtprop_us || expired)) {
            state.rtprop_us = ack.rtt_us;
            state.rtprop_stamp = ack.now;
        }
        if (expired && !state.idle_restart && state.mode != Mode::probe_rtt) {
            save_cwnd(state, window);
            state.mode = Mode::probe_rtt;
            state.probe_rtt_done = Instant{};
        }
        if (state.mode != Mode::probe_rtt) return;
        state.limited = true;
        state.limited_until = ack.total_delivered + ack.flight;
        if (state.probe_rtt_done == Instant{}) {
            if (ack.flight > min_pipe_cwnd * window.mss) return;
            state.probe_rtt_done = ack.now + probe_rtt_duration;
            state.probe_rtt_round_done = false;
            state.next_round_delivered = ack.total_delivered;
            return;
        }
        if (round_start) state.probe_rtt_round_done = true;
        if (!state.probe_rtt_round_done || ack.now < state.probe_rtt_done) return;
        state.rtprop_stamp = ack.now;
        if (!state.recovering) window.cwnd = std::max(window.cwnd, state.prior_cwnd);
        if (state.filled_pipe) {
            enter_probe_bw(state, ack);
        } else {
            state.mode = Mode::startup;
        }
    }

    /// Section 4.2.1. Until the pipe is full the rate does not fall.
    static void set_pacing_rate(State& state, const CongestionWindow& window, double gain) noexcept {
        if (state.pacing_rate <= 0 && window.srtt_us != 0)
            state.pacing_rate = static_cast<float>(first_rate(window));
        const auto rate =
            static_cast<float>(gain * static_cast<double>(state.bottleneck_rate.best()) * pacing_margin);
        if (rate > 0 && (state.filled_pipe || rate > state.pacing_rate)) state.pacing_rate = rate;
    }

    /// Sections 4.2.3.3 to 4.2.3.6.
    static void set_cwnd(State& state, const CongestionWindow& window, const AckSample& ack,
                         bool round_start) noexcept {
        if (ack.lost > 0) window.cwnd = std::max(window.cwnd - std::min(window.cwnd, ack.lost), window.mss);
        if (state.entering_recovery) {
            // For a round as much is sent as is delivered.
            state.entering_recovery = false;
            state.packet_conservation = true;
            state.next_round_delivered = ack.total_delivered;
            window.cwnd = ack.flight + std::max(ack.delivered, window.mss);
        } else if (state.recovering && !ack.in_recovery) {
            end_recovery(state, window);
        } else if (round_start) {
            state.packet_conservation = false;
        }
        const std::uint32_t least = min_pipe_cwnd * window.mss;
        if (state.packet_conservation) {
            window.cwnd = std::max(window.cwnd, ack.flight + ack.delivered);
        } else {
            const std::uint32_t target = inflight(state, window, cwnd_gain(state));
            if (state.filled_pipe) {
                window.grow(ack.delivered, target);
                window.cwnd = std::min(window.cwnd, target);
            } else if (window.cwnd < target || ack.total_delivered < window.initial) {
                window.grow(ack.delivered);
            }
            window.cwnd = std::max(window.cwnd, least);
        }
        if (state.mode == Mode::probe_rtt) window.cwnd = std::min(window.cwnd, least);
    }

    static void save_cwnd(State& state, const CongestionWindow& window) noexcept {
        const bool reduced = state.recovering || state.mode == Mode::probe_rtt;
        state.prior_cwnd = reduced ? std::max(state.prior_cwnd, window.cwnd) : window.cwnd;
    }
    static void end_recovery(State& state, const CongestionWindow& window) noexcept {
        state.entering_recovery = state.packet_conservation = false;
        if (!state.recovering) return;
        state.recovering = false;
        window.cwnd = std::max(window.cwnd, state.prior_cwnd);
    }

    static bool before(std::uint32_t a, std::uint32_t b) noexcept {
        return static_cast<std::int32_t>(a - b) < 0;
    }
};
static_assert(sizeof(Bbr::State) <= 112);

}  // namespace runnel::tcp
