// The seed of the run: RUNNEL_SEED where it is set, else chosen anew; printed by the tests' main.
#pragma once

#include <cstdint>

namespace runnel::test {

/// The same number for the whole run of a test program.
[[nodiscard]] std::uint64_t seed();

/// RUNNEL_SEED where it is set, else 1: for what is judged by statistics, where one seed in some hundreds is
/// an outlier that says nothing. Exploring is a loop over seeds.
[[nodiscard]] std::uint64_t steady_seed();

}  // namespace runnel::test
