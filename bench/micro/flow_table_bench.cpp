// The flow table beside rte_hash and std::unordered_map. Each search ends at the connection's own block, as a
// packet's does: a table that keeps no keys pays for the block there, and one that keeps them pays for both.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <unordered_map>
#include <vector>

#include <benchmark/benchmark.h>

#include <rte_hash.h>

#include "runnel/base/flow_table.hpp"

namespace runnel {
namespace {

struct Key {
    std::uint64_t addresses;
    std::uint64_t ports;
    friend bool operator==(const Key&, const Key&) = default;
};

/// Stands for a TCB.
struct Block {
    Key key;
    std::uint64_t state;
    std::uint64_t rest[5];
};
static_assert(sizeof(Block) == 64);

constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ x >> 31) * 0x7fb5d329728ea185U;
    x = (x ^ x >> 27) * 0x81dadef4bc2dd44dU;
    return x ^ x >> 33;
}
/// The key of the nth connection, made rather than read, so that the tables' own misses are what is measured.
constexpr Key key_of(std::uint32_t n) noexcept {
    return {mix(n), n};
}
constexpr std::uint32_t hash_of(const Key& key) noexcept {
    return static_cast<std::uint32_t>((key.addresses ^ key.ports) * 0x9e3779b97f4a7c15U >> 32);
}

struct OurTable {
    explicit OurTable(std::uint32_t n) : table("benchmark", n) {}
    bool insert(const Key& key, std::uint32_t value) { return table.insert(hash_of(key), value); }
    void erase(const Key& key, std::uint32_t value) { table.erase(hash_of(key), value); }
    std::uint32_t find(const Key& key, const Block* blocks) const {
        return table.find(hash_of(key), [&](std::uint32_t value) { return blocks[value].key == key; });
    }
    template <std::size_t n>
    std::uint64_t find_batch(const std::array<Key, n>& keys, const Block* blocks) const {
        std::array<std::uint32_t, n> hashes;
        for (std::size_t i = 0; i < n; ++i) table.prefetch(hashes[i] = hash_of(keys[i]));
        for (std::size_t i = 0; i < n; ++i) {
            const std::uint32_t value = table.candidate(hashes[i]);
            if (value != FlowTable::none) __builtin_prefetch(&blocks[value]);
        }
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const std::uint32_t value =
                table.find(hashes[i], [&](std::uint32_t v) { return blocks[v].key == keys[i]; });
            if (value != FlowTable::none) sum += blocks[value].state;
        }
        return sum;
    }

    FlowTable table;
};

struct RteHash {
    explicit RteHash(std::uint32_t n) {
        rte_hash_parameters parameters{};
        parameters.name = "benchmark";
        parameters.entries =
            n + n / 4;  // cuckoo: it cannot promise a place for each of n where it is exactly so large
        parameters.key_len = sizeof(Key);
        parameters.socket_id = SOCKET_ID_ANY;
        table.reset(rte_hash_create(&parameters));
        if (!table) std::abort();
    }
    bool insert(const Key& key, std::uint32_t value) {
        return rte_hash_add_key_with_hash_data(table.get(), &key, hash_of(key),
                                               reinterpret_cast<void*>(std::uintptr_t{value})) == 0;
    }
    void erase(const Key& key, std::uint32_t) { rte_hash_del_key_with_hash(table.get(), &key, hash_of(key)); }
    std::uint32_t find(const Key& key, const Block*) const {
        void* value = nullptr;
        const int position = rte_hash_lookup_with_hash_data(table.get(), &key, hash_of(key), &value);
        return position < 0 ? FlowTable::none
                            : static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(value));
    }
    template <std::size_t n>
    std::uint64_t find_batch(const std::array<Key, n>& keys, const Block* blocks) const {
        std::array<hash_sig_t, n> hashes;
        std::array<const void*, n> pointers;
        for (std::size_t i = 0; i < n; ++i) {
            hashes[i] = hash_of(keys[i]);
            pointers[i] = &keys[i];
        }
        std::uint64_t hits = 0;
        std::array<void*, n> values;
        rte_hash_lookup_with_hash_bulk_data(table.get(), pointers.data(), hashes.data(), n, &hits,
                                            values.data());
        const auto value = [&](std::size_t i) { return reinterpret_cast<std::uintptr_t>(values[i]); };
        for (std::size_t i = 0; i < n; ++i)
            if ((hits >> i & 1) != 0) __builtin_prefetch(&blocks[value(i)]);
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < n; ++i)
            if ((hits >> i & 1) != 0) sum += blocks[value(i)].state;
        return sum;
    }

    struct Free {
        void operator()(rte_hash* hash) const { rte_hash_free(hash); }
    };
    std::unique_ptr<rte_hash, Free> table;
};

struct Standard {
    explicit Standard(std::uint32_t n) { table.reserve(n); }
    bool insert(const Key& key, std::uint32_t value) { return table.emplace(key, value).second; }
    void erase(const Key& key, std::uint32_t) { table.erase(key); }
    std::uint32_t find(const Key& key, const Block*) const {
        const auto found = table.find(key);
        return found == table.end() ? FlowTable::none : found->second;
    }
    template <std::size_t n>
    std::uint64_t find_batch(const std::array<Key, n>& keys, const Block* blocks) const {
        std::uint64_t sum = 0;
        for (const Key& key : keys)
            if (const std::uint32_t value = find(key, blocks); value != FlowTable::none)
                sum += blocks[value].state;
        return sum;
    }

    struct Hash {
        std::size_t operator()(const Key& key) const noexcept { return hash_of(key); }
    };
    std::unordered_map<Key, std::uint32_t, Hash> table;
};

/// A full table, its blocks, and an order in which to ask for them.
template <class Table>
struct Population {
    explicit Population(std::uint32_t n) : table(n), blocks(n), order(n) {
        std::iota(order.begin(), order.end(), 0U);
        std::shuffle(order.begin(), order.end(), std::mt19937_64{1});
        for (std::uint32_t i = 0; i < n; ++i) {
            blocks[i].key = key_of(i);
            blocks[i].state = i;
            if (!table.insert(blocks[i].key, i)) std::abort();
        }
    }
    /// The next of the order, for ever.
    std::uint32_t next() {
        if (at == order.size()) at = 0;
        return order[at++];
    }

    Table table;
    std::vector<Block> blocks;
    std::vector<std::uint32_t> order;
    std::size_t at = 0;
};

template <class Table>
void find_hit(benchmark::State& state) {
    Population<Table> p{static_cast<std::uint32_t>(state.range(0))};
    for (auto _ : state) {
        const std::uint32_t value = p.table.find(key_of(p.next()), p.blocks.data());
        benchmark::DoNotOptimize(p.blocks[value].state);
    }
    state.SetItemsProcessed(state.iterations());
}

template <class Table>
void find_miss(benchmark::State& state) {
    const auto n = static_cast<std::uint32_t>(state.range(0));
    Population<Table> p{n};
    for (auto _ : state) benchmark::DoNotOptimize(p.table.find(key_of(n + p.next()), p.blocks.data()));
    state.SetItemsProcessed(state.iterations());
}

template <class Table>
void find_batch(benchmark::State& state) {
    constexpr std::size_t batch = 32;
    Population<Table> p{static_cast<std::uint32_t>(state.range(0))};
    std::array<Key, batch> keys;
    for (auto _ : state) {
        for (Key& key : keys) key = key_of(p.next());
        benchmark::DoNotOptimize(p.table.find_batch(keys, p.blocks.data()));
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}

/// A connection goes and another comes, the table full all the while.
template <class Table>
void erase_insert(benchmark::State& state) {
    const auto n = static_cast<std::uint32_t>(state.range(0));
    Population<Table> p{n};
    for (auto _ : state) {
        const std::uint32_t slot = p.next();
        Key& key = p.blocks[slot].key;
        p.table.erase(key, slot);
        key = key_of(static_cast<std::uint32_t>(key.ports) + n);
        if (!p.table.insert(key, slot)) {
            state.SkipWithError("the table refused an entry");
            break;
        }
    }
    state.SetItemsProcessed(state.iterations());
}

/// An empty table is filled.
template <class Table>
void fill(benchmark::State& state) {
    const auto n = static_cast<std::uint32_t>(state.range(0));
    for (auto _ : state) {
        state.PauseTiming();
        auto table = std::make_unique<Table>(n);
        state.ResumeTiming();
        for (std::uint32_t i = 0; i < n; ++i) benchmark::DoNotOptimize(table->insert(key_of(i), i));
        state.PauseTiming();
        table.reset();
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * n);
}

BENCHMARK(find_hit<OurTable>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(find_hit<RteHash>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(find_hit<Standard>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(find_miss<OurTable>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(find_miss<RteHash>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(find_miss<Standard>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(find_batch<OurTable>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Arg(10'000'000);
BENCHMARK(find_batch<RteHash>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Arg(10'000'000);
BENCHMARK(find_batch<Standard>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(erase_insert<OurTable>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(erase_insert<RteHash>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(erase_insert<Standard>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(fill<OurTable>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(fill<RteHash>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(fill<Standard>)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

}  // namespace
}  // namespace runnel
