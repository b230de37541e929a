// No congestion control: a window that stays as it was set, to generate load on a path of one's own.
#pragma once

#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/congestion/reduction.hpp"
#include "runnel/tcp/congestion/window.hpp"

namespace runnel::tcp {

/// The window is the initial one, Config::fixed_window, and no loss closes it. This breaks RFC 9293 MUST-19
/// and has no place on a path that others use. A time-out still sends one segment and waits for its ACK.
struct FixedWindow {
    struct State {};

    static constexpr bool owns_window = true;
    static constexpr bool paces = false;
    static constexpr bool keeps_state = false;

    static std::uint32_t ssthresh_after_loss(State&, const CongestionWindow& window, std::uint32_t, Instant,
                                             Reduction) noexcept {
        return window.ssthresh;
    }

    static void acknowledged(State&, const CongestionWindow& window, const AckSample&) noexcept {
        window.cwnd = window.initial;
    }

    static void restarted(State&, const CongestionWindow&, Instant) noexcept {}

    static void undo(State&, const CongestionWindow&) noexcept {}

    static std::uint64_t pacing_rate(const State&, const CongestionWindow&) noexcept { return 0; }
};

}  // namespace runnel::tcp
