// NewReno congestion control (RFC 5681, RFC 6582, with appropriate byte counting, RFC 3465).
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/tcp/tcb.hpp"

namespace runnel::tcp {

/// What a congestion control decides. Sizes in octets; `cwnd` and `ssthresh` live in the TCB, the rest in the
/// cold block.
struct NewReno {
    /// ssthresh after a loss with `flight` octets outstanding (RFC 5681 equation 4).
    static std::uint32_t ssthresh_after_loss(const Tcb& tcb, std::uint32_t flight) noexcept {
        return std::max(flight / 2, 2U * tcb.mss);
    }

    /// New data was acknowledged outside of recovery. `flight` is what was outstanding before. A window that
    /// was not used to at least the half says nothing of the path and does not grow (RFC 7661 section 4.3).
    static void acknowledged(Tcb& tcb, Cold& cold, std::uint32_t octets, std::uint32_t flight) noexcept {
        if (flight < tcb.cwnd / 2) return;
        if (tcb.cwnd < tcb.ssthresh) {
            tcb.cwnd += std::min<std::uint32_t>(octets, tcb.mss);
            return;
        }
        cold.acked_in_avoidance += octets;
        if (cold.acked_in_avoidance >= tcb.cwnd) {
            cold.acked_in_avoidance -= tcb.cwnd;
            tcb.cwnd += tcb.mss;
        }
    }
};

}  // namespace runnel::tcp
