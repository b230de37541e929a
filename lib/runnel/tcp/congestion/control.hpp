// The small interface behind which congestion controls stand: which one a connection uses is a setting,
// chosen by a switch that the compiler sees through.
#pragma once

#include <concepts>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/congestion/newreno.hpp"
#include "runnel/tcp/congestion/window.hpp"

namespace runnel::tcp {

/// What a congestion control answers. The mechanics of recovery (what is lost, what goes out again, PRR) are
/// not its business. A zeroed `State` is that of a connection without history; it is kept while data is in
/// flight or queued, and longer where `keeps_state`.
template <class T>
concept CongestionControl = requires(typename T::State& state, const typename T::State& seen,
                                     const CongestionWindow& window, const AckSample& ack, Instant now) {
    /// A loss, a time-out or an ECN mark ends a round with `flight` octets outstanding: the new ssthresh.
    /// Called once for each reduction; `cwnd` is the caller's to set.
    { T::ssthresh_after_loss(state, window, std::uint32_t{}, now) }
    noexcept->std::same_as<std::uint32_t>;
    /// An ACK delivered something. Called outside of recovery; in recovery too where `owns_window`, which
    /// means that the control sets `cwnd` at all times and neither PRR nor ssthresh do.
    { T::acknowledged(state, window, ack) }
    noexcept;
    /// The last reduction was a mistake: `cwnd` and `ssthresh` have been restored, now the rest is.
    { T::undo(state, window) }
    noexcept;
    /// Octets a second at which segments are to leave; 0: as the window allows.
    { T::pacing_rate(seen, window) }
    noexcept->std::same_as<std::uint64_t>;
    requires std::same_as<const bool, decltype(T::owns_window)>;
    requires std::same_as<const bool, decltype(T::keeps_state)>;
};
static_assert(CongestionControl<NewReno>);

/// What a connection's control remembers: which member is meant says the algorithm. Zeroed at first.
union CongestionState {
    NewReno::State newreno;
};

/// Whether the state outlives the data in flight: the connection keeps its cold block then.
[[nodiscard]] constexpr bool keeps_congestion_state(CongestionAlgorithm algorithm) noexcept {
    switch (algorithm) {
        case CongestionAlgorithm::newreno:
            break;
    }
    return NewReno::keeps_state;
}

/// Calls `use(Control{}, state)` with the congestion control that `algorithm` names and its part of the
/// state.
template <class Use>
decltype(auto) with_congestion_control(CongestionAlgorithm algorithm, CongestionState& state,
                                       Use&& use) noexcept {
    switch (algorithm) {
        case CongestionAlgorithm::newreno:
            break;
    }
    return use(NewReno{}, state.newreno);
}

}  // namespace runnel::tcp
