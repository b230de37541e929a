// What every simulation ends with: how to run it again, and that nothing is left behind.
#pragma once

#include <cstdint>
#include <string>

#include "world.hpp"

namespace runnel::test {

/// How to run the present test again, with this seed first.
[[nodiscard]] std::string replay(std::uint64_t seed);

/// After the last connection: timers, slots and frames are all gone, and no frame broke an invariant.
/// `connections`: tcp::Config::connections of both stacks.
void expect_nothing_left(World& world, std::uint32_t connections = 64);

}  // namespace runnel::test
