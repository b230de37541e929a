// main of the micro-benchmarks: starts EAL without hugepages, devices or root, and hands the rest to Google
// Benchmark.
#include <cstdio>
#include <vector>

#include <benchmark/benchmark.h>

#include <rte_eal.h>
#include <rte_timer.h>

int main(int argc, char** argv) {
    std::vector<const char*> eal{argv[0], "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m",
                                 "2048",  "-l",        "0",        "--log-level=4"};
    if (rte_eal_init(static_cast<int>(eal.size()), const_cast<char**>(eal.data())) < 0 ||
        rte_timer_subsystem_init() < 0) {
        std::fprintf(stderr, "EAL did not start; the lines above say why\n");
        return 1;
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    rte_timer_subsystem_finalize();
    rte_eal_cleanup();
    return 0;
}
