// What `udp-rr` and `udp-oneway` take: flows, sockets, packets.
#pragma once

#include "engine/plan.hpp"

namespace runnel::load {

/// Flows where nobody says how many.
[[nodiscard]] constexpr unsigned default_flows(Recipe recipe) noexcept {
    return recipe == Recipe::udp_rr ? 64 : 1;
}

/// Throws `BadPlan` where the traffic is of datagrams and cannot be.
void check_datagrams(const Traffic& traffic, unsigned cores);
/// The rest of the plan of a client core, whose rate, flows and window are known.
void plan_datagrams(const Traffic& traffic, CorePlan& plan);
/// Throws `BadPlan` where `given` client addresses have too few ports.
void check_flows(const Traffic& traffic, const CorePlan& plan, std::uint32_t given);

}  // namespace runnel::load
