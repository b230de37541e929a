// What it costs to record a latency, and to ask for a percentile.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>

#include <benchmark/benchmark.h>

#include "runnel/base/histogram.hpp"

namespace runnel {
namespace {

/// Latencies of some tens of microseconds with a long tail.
std::array<std::uint64_t, 1024> latencies() {
    std::array<std::uint64_t, 1024> values{};
    std::mt19937_64 random{1};
    std::lognormal_distribution<double> latency{10.5, 0.7};
    for (std::uint64_t& value : values) value = static_cast<std::uint64_t>(latency(random));
    return values;
}

void histogram_record(benchmark::State& state) {
    const auto values = latencies();
    const auto histogram = std::make_unique<Histogram>();
    std::size_t i = 0;
    for (auto _ : state) histogram->record(values[i++ % values.size()]);
    benchmark::DoNotOptimize(histogram->count());
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(histogram_record);

void histogram_percentile(benchmark::State& state) {
    const auto histogram = std::make_unique<Histogram>();
    for (const std::uint64_t value : latencies()) histogram->record(value);
    for (auto _ : state) benchmark::DoNotOptimize(histogram->percentile(99.9));
}
BENCHMARK(histogram_percentile);

void histogram_merge(benchmark::State& state) {
    const auto all = std::make_unique<Histogram>();
    const auto one = std::make_unique<Histogram>();
    for (const std::uint64_t value : latencies()) one->record(value);
    for (auto _ : state) {
        all->merge(*one);
        benchmark::DoNotOptimize(all->count());
    }
}
BENCHMARK(histogram_merge);

}  // namespace
}  // namespace runnel
