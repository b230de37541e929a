// The hash of RSS over a four-tuple beside DPDK's. rte_thash_gfni is measured where the compiler may use GFNI
// (-Dcpp_args=-march=native on a processor that has it): without, DPDK compiles a stub in its place.
#define ALLOW_EXPERIMENTAL_API  // rte_thash_gfni
#include <array>
#include <cstdint>
#include <random>

#include <benchmark/benchmark.h>

#include <rte_byteorder.h>
#include <rte_thash.h>

#include "runnel/wire/toeplitz.hpp"

namespace runnel::wire {
namespace {

constexpr std::array<std::uint8_t, 40> key{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                           0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                           0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                           0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

using Tuple = std::array<std::uint32_t, 3>;

template <class Hash>
void hash_of_a_tuple(benchmark::State& state, Hash hash) {
    std::array<Tuple, 256> tuples;
    std::mt19937 random{1};
    for (Tuple& tuple : tuples)
        for (std::uint32_t& word : tuple) word = static_cast<std::uint32_t>(random());
    std::size_t i = 0;
    for (auto _ : state) benchmark::DoNotOptimize(hash(tuples[i++ % tuples.size()]));
    state.SetItemsProcessed(state.iterations());
}

void toeplitz_runnel(benchmark::State& state) {
    static const Toeplitz toeplitz{key};
    hash_of_a_tuple(state, [](const Tuple& t) {
        return toeplitz.hash(Ipv4Address{t[0]}, Ipv4Address{t[1]}, static_cast<std::uint16_t>(t[2] >> 16),
                             static_cast<std::uint16_t>(t[2]));
    });
}
BENCHMARK(toeplitz_runnel);

void toeplitz_rte_softrss_be(benchmark::State& state) {
    static std::array<std::uint8_t, 40> converted = [] {
        std::array<std::uint8_t, 40> to{};
        rte_convert_rss_key(reinterpret_cast<const std::uint32_t*>(key.data()),
                            reinterpret_cast<std::uint32_t*>(to.data()), 40);
        return to;
    }();
    hash_of_a_tuple(state, [](Tuple& t) { return rte_softrss_be(t.data(), 3, converted.data()); });
}
BENCHMARK(toeplitz_rte_softrss_be);

#ifdef RTE_THASH_GFNI_DEFINED
void toeplitz_rte_thash_gfni(benchmark::State& state) {
    static std::array<std::uint64_t, 40> matrices = [] {
        std::array<std::uint64_t, 40> to{};
        rte_thash_complete_matrix(to.data(), key.data(), 40);
        return to;
    }();
    hash_of_a_tuple(state, [](Tuple& t) {
        Tuple wire{rte_cpu_to_be_32(t[0]), rte_cpu_to_be_32(t[1]), rte_cpu_to_be_32(t[2])};
        return rte_thash_gfni(matrices.data(), reinterpret_cast<std::uint8_t*>(wire.data()), 12);
    });
}
BENCHMARK(toeplitz_rte_thash_gfni);
#endif

}  // namespace
}  // namespace runnel::wire
