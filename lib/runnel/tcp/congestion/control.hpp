// The small interface behind which congestion controls stand: which one a connection uses is a setting,
// chosen by a switch that the compiler sees through.
#pragma once

#include <concepts>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/congestion/bbr.hpp"
#include "runnel/tcp/congestion/cubic.hpp"
#include "runnel/tcp/congestion/fixed_window.hpp"
#include "runnel/tcp/congestion/newreno.hpp"
#include "runnel/tcp/congestion/reduction.hpp"
#include "runnel/tcp/congestion/window.hpp"

namespace runnel::tcp {

/// What a congestion control answers. The mechanics of recovery (what is lost, what goes out again, PRR) are
/// not its business. A zeroed `State` is that of a connection without history; it is kept while data is in
/// flight or queued, and longer where `keeps_state`.
template <class T>
concept CongestionControl = requires(typename T::State& state, const typename T::State& seen,
                                     const CongestionWindow& window, const AckSample& ack, Instant now,
                                     Reduction why) {
    /// A loss, a time-out or an ECN mark ends a round with `flight` octets outstanding: the new ssthresh.
    /// Called once for each reduction; `cwnd` is the caller's to set.
    { T::ssthresh_after_loss(state, window, std::uint32_t{}, now, why) }
    noexcept->std::same_as<std::uint32_t>;
    /// An ACK delivered something. Called outside of fast recovery; in it too where `owns_window`, which
    /// means that the control sets `cwnd` at all times and neither PRR nor ssthresh do. After a time-out the
    /// caller sets the loss window of one segment for each control (RFC 5681 section 3.1), and the control
    /// goes on from there.
    { T::acknowledged(state, window, ack) }
    noexcept;
    /// Data is sent after a time in which nothing was in flight. Where the control does not own the window,
    /// the caller has seen to RFC 5681 section 4.1.
    { T::restarted(state, window, now) }
    noexcept;
    /// The last reduction was a mistake: `cwnd` and `ssthresh` have been restored, now the rest is.
    { T::undo(state, window) }
    noexcept;
    /// Octets a second at which segments are to leave; 0: as the window allows.
    { T::pacing_rate(seen, window) }
    noexcept->std::same_as<std::uint64_t>;
    requires std::same_as<const bool, decltype(T::owns_window)>;
    requires std::same_as<const bool, decltype(T::keeps_state)>;
    /// It spaces segments in time, and wants the delivery rate for it, which takes a peer with SACK.
    requires std::same_as<const bool, decltype(T::paces)>;
};
static_assert(CongestionControl<Bbr>);
static_assert(CongestionControl<Cubic>);
static_assert(CongestionControl<NewReno>);
static_assert(CongestionControl<FixedWindow>);

/// What a connection's control remembers: which member is meant says the algorithm. Nobody is there at first;
/// who uses it makes the member.
union CongestionState {
    CongestionState() noexcept {}
    Bbr::State bbr;
    Cubic::State cubic;
    NewReno::State newreno;
    FixedWindow::State none;
};

/// Calls `use(Control{}, state)` with the congestion control that `algorithm` names and its part of the
/// state.
template <class Use>
decltype(auto) with_congestion_control(CongestionAlgorithm algorithm, CongestionState& state,
                                       Use&& use) noexcept {
    switch (algorithm) {
        case CongestionAlgorithm::newreno:
            return use(NewReno{}, state.newreno);
        case CongestionAlgorithm::bbr:
            return use(Bbr{}, state.bbr);
        case CongestionAlgorithm::none:
            return use(FixedWindow{}, state.none);
        case CongestionAlgorithm::cubic:
            break;
    }
    return use(Cubic{}, state.cubic);
}

/// Calls `use(Control{})` with the congestion control that `algorithm` names.
template <class Use>
constexpr bool of_congestion_control(CongestionAlgorithm algorithm, Use&& use) noexcept {
    switch (algorithm) {
        case CongestionAlgorithm::newreno:
            return use(NewReno{});
        case CongestionAlgorithm::bbr:
            return use(Bbr{});
        case CongestionAlgorithm::none:
            return use(FixedWindow{});
        case CongestionAlgorithm::cubic:
            break;
    }
    return use(Cubic{});
}

/// The member of that name of the control that `algorithm` names.
[[nodiscard]] constexpr bool owns_window(CongestionAlgorithm algorithm) noexcept {
    return of_congestion_control(algorithm, [](auto control) noexcept { return control.owns_window; });
}
[[nodiscard]] constexpr bool keeps_state(CongestionAlgorithm algorithm) noexcept {
    return of_congestion_control(algorithm, [](auto control) noexcept { return control.keeps_state; });
}
[[nodiscard]] constexpr bool paces(CongestionAlgorithm algorithm) noexcept {
    return of_congestion_control(algorithm, [](auto control) noexcept { return control.paces; });
}

}  // namespace runnel::tcp
