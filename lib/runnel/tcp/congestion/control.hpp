// The small interface behind which congestion controls stand: which one a stack uses is a setting, chosen by
// a switch that the compiler sees through.
#pragma once

#include <concepts>
#include <cstdint>

#include "runnel/tcp/congestion/newreno.hpp"
#include "runnel/tcp/tcb.hpp"

namespace runnel::tcp {

/// What a congestion control answers. The mechanics of recovery (what is lost, what goes out again) are not
/// its business.
template <class T>
concept CongestionControl = requires(Tcb& tcb, Cold& cold, std::uint32_t octets) {
    { T::ssthresh_after_loss(tcb, octets) }
    noexcept->std::same_as<std::uint32_t>;
    { T::acknowledged(tcb, cold, octets, octets) }
    noexcept;
};
static_assert(CongestionControl<NewReno>);

/// Calls `use(Control{})` with the congestion control that `algorithm` names.
template <class Use>
decltype(auto) with_congestion_control(CongestionAlgorithm algorithm, Use&& use) noexcept {
    switch (algorithm) {
        case CongestionAlgorithm::newreno:
            break;
    }
    return use(NewReno{});
}

}  // namespace runnel::tcp
