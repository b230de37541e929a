// The seed of the run: RUNNEL_SEED where it is set, else chosen anew; printed by the tests' main.
#pragma once

#include <cstdint>

namespace runnel::test {

/// The same number for the whole run of a test program.
[[nodiscard]] std::uint64_t seed();

}  // namespace runnel::test
