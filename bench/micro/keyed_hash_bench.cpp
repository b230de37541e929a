// The keyed hashes of a connection's sixteen octets beside DPDK's hashes, which anybody can aim.
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>

#include <benchmark/benchmark.h>

#include <rte_hash_crc.h>
#include <rte_jhash.h>

#include "runnel/base/block_prf.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/tuple_hash.hpp"

namespace runnel {
namespace {

using Words = std::array<std::uint64_t, 2>;
constexpr HashKey key{0x0123456789abcdefU, 0xfedcba9876543210U};

std::uint64_t sip_1_3(const Words& words) {
    return siphash_1_3(key, words[0], words[1]);
}
std::uint64_t sip_2_4(const Words& words) {
    return siphash_2_4(key, words[0], words[1]);
}
std::uint64_t block_prf(const Words& words) {
    static const BlockPrf prf{key};
    return prf(words[0], words[1]);
}
std::uint64_t tuple_hash(const Words& words) {
    static const TupleHash hash{key};
    return hash(words.data());
}
std::uint64_t jhash(const Words& words) {
    return rte_jhash(words.data(), sizeof(words), 1);
}
std::uint64_t crc(const Words& words) {
    return rte_hash_crc(words.data(), sizeof(words), 1);
}

template <std::uint64_t (*hash)(const Words&)>
void hash_of_a_connection(benchmark::State& state) {
    std::array<Words, 256> connections;
    std::mt19937_64 random{1};
    for (Words& words : connections) words = {random(), random()};
    std::size_t i = 0;
    for (auto _ : state) benchmark::DoNotOptimize(hash(connections[i++ % connections.size()]));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(hash_of_a_connection<sip_1_3>);
BENCHMARK(hash_of_a_connection<sip_2_4>);
BENCHMARK(hash_of_a_connection<block_prf>);
BENCHMARK(hash_of_a_connection<tuple_hash>);
BENCHMARK(hash_of_a_connection<jhash>);
BENCHMARK(hash_of_a_connection<crc>);

}  // namespace
}  // namespace runnel
