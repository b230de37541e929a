// main of every test program: starts EAL without hugepages, devices or root, prints the seed, runs the tests.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>

#include <rte_eal.h>

#include "seed.hpp"

namespace runnel::test {

std::uint64_t seed() {
    static const std::uint64_t value = [] {
        if (const char* given = std::getenv("RUNNEL_SEED"))
            return std::uint64_t{std::strtoull(given, nullptr, 0)};
        std::random_device entropy;
        return std::uint64_t{entropy()} << 32 | entropy();
    }();
    return value;
}

std::uint64_t steady_seed() {
    return std::getenv("RUNNEL_SEED") != nullptr ? seed() : 1;
}

}  // namespace runnel::test

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();

    std::vector<const char*> eal{argv[0], "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m",
                                 "1024",  "-l",        "0",        "--log-level=4"};
    // EAL ties this thread to one processor; several programs at a time are to have all of them.
    cpu_set_t processors;
    const bool known = sched_getaffinity(0, sizeof processors, &processors) == 0;
    if (rte_eal_init(static_cast<int>(eal.size()), const_cast<char**>(eal.data())) < 0) {
        std::fprintf(stderr, "EAL did not start; the lines above say why\n");
        return 1;
    }
    if (known) sched_setaffinity(0, sizeof processors, &processors);
    std::printf("seed: RUNNEL_SEED=%llu\n", static_cast<unsigned long long>(runnel::test::seed()));
    std::fflush(stdout);
    // Not followed by rte_eal_cleanup: in DPDK 22.11 it unmaps memory that the interrupt thread still reads,
    // and a run in which all passed would end by SIGSEGV now and then.
    return RUN_ALL_TESTS();
}
