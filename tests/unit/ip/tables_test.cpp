// The tables of the internet layer against plain models, and the token bucket against its definition.
#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/ip/neighbour_table.hpp"
#include "runnel/ip/route_table.hpp"
#include "runnel/ip/token_bucket.hpp"

#include "network.hpp"
#include "seed.hpp"

namespace runnel::ip {
namespace tables_test {

/// The first address of a prefix that holds `bits`; few bits differ, so that prefixes nest.
template <class Address>
Address few_bits(std::mt19937_64& random);
template <>
Ipv4Address few_bits(std::mt19937_64& random) {
    return Ipv4Address{static_cast<std::uint32_t>(random() & 0xc0c0c003)};
}
template <>
Ipv6Address few_bits(std::mt19937_64& random) {
    return Ipv6Address::of(random() & 0xc0c0'0000'0000'0003, random() & 0xc000'0000'c000'0003);
}

template <class Address>
class RouteTables : public testing::Test {};
using Families = testing::Types<Ipv4Address, Ipv6Address>;
TYPED_TEST_SUITE(RouteTables, Families);

TYPED_TEST(RouteTables, FindTheLongestPrefixLikeASearchThroughAll) {
    using Table = RouteTableOf<TypeParam>;
    struct Entry {
        TypeParam network;
        unsigned length;
        typename Table::Route route;
    };
    std::mt19937_64 random{test::seed()};
    constexpr unsigned bits = sizeof(TypeParam) * 8;
    for (int round = 0; round < 50; ++round) {
        Table table;
        std::vector<Entry> model;
        for (int i = 0; i < 40; ++i) {
            if (!model.empty() && random() % 4 == 0) {
                const std::size_t which = random() % model.size();
                const Entry gone = model[which];
                ASSERT_TRUE(table.remove(gone.network, gone.length, gone.route));
                ASSERT_FALSE(table.remove(gone.network, gone.length, gone.route));
                model.erase(model.begin() + static_cast<std::ptrdiff_t>(which));
                continue;
            }
            const auto length = static_cast<unsigned>(random() % (bits + 1));
            const typename Table::Route route{static_cast<std::uint8_t>(i), few_bits<TypeParam>(random)};
            model.push_back({few_bits<TypeParam>(random), length, route});
            table.add(model.back().network, length, route);
        }
        ASSERT_EQ(table.size(), model.size());
        for (int i = 0; i < 500; ++i) {
            const auto destination = few_bits<TypeParam>(random);
            const Entry* best = nullptr;
            for (const Entry& entry : model)
                if (same_prefix(destination, entry.network, entry.length) &&
                    (best == nullptr || entry.length > best->length))
                    best = &entry;
            const auto* const route = table.lookup(destination);
            ASSERT_EQ(route != nullptr, best != nullptr);
            if (route != nullptr) {
                ASSERT_EQ(*route, best->route);
            }
        }
    }
}

TYPED_TEST(RouteTables, PrefixIsComparedBitByBit) {
    std::mt19937_64 random{test::seed()};
    constexpr unsigned bits = sizeof(TypeParam) * 8;
    const auto bit = [](const TypeParam& address, unsigned at) {
        if constexpr (bits == 32)
            return (address.value >> (31 - at) & 1) != 0;
        else
            return (address.octets[at / 8] >> (7 - at % 8) & 1) != 0;
    };
    for (int i = 0; i < 2000; ++i) {
        const auto a = few_bits<TypeParam>(random), b = few_bits<TypeParam>(random);
        unsigned common = 0;
        while (common < bits && bit(a, common) == bit(b, common)) ++common;
        for (unsigned length = 0; length <= bits; ++length)
            ASSERT_EQ(same_prefix(a, b, length), length <= common) << length;
    }
}

TEST(NeighbourTable, BehavesLikeAMapUnderRandomOperations) {
    struct Model {
        NeighbourState state;
        Instant due;
        std::vector<rte_mbuf*> waiting;
    };
    constexpr std::size_t capacity = 16, waiting_capacity = 20;
    const std::map<NeighbourState, Duration> lasts = {
        {NeighbourState::incomplete, 1s}, {NeighbourState::probing, 1s},     {NeighbourState::reachable, 60s},
        {NeighbourState::stale, 60s},     {NeighbourState::unreachable, 1s}, {NeighbourState::permanent, 0s},
        {NeighbourState::delayed, 5s}};
    std::mt19937_64 random{test::seed()};
    test::Pool pool{63};
    NeighbourTable table{capacity, waiting_capacity, {random(), random()}};
    std::map<std::pair<std::uint8_t, Ipv4Address>, Model> model;
    std::size_t waiting = 0;
    Instant now{};
    for (int step = 0; step < 50000; ++step) {
        now += Duration{static_cast<std::int64_t>(random() % 1000) + 1};
        const auto interface = static_cast<std::uint8_t>(random() % 2);
        const Ipv4Address address{static_cast<std::uint32_t>(random() % 20)};
        const auto key = std::pair{interface, address};
        const auto state = static_cast<NeighbourState>(random() % 7);
        const Instant due = state == NeighbourState::permanent ? never : now + lasts.at(state);
        Neighbour* found = table.find(interface, address);
        const auto known = model.find(key);
        ASSERT_EQ(found != nullptr, known != model.end());
        if (found == nullptr) {
            ASSERT_EQ(table.full(), model.size() == capacity);
            if (!table.full()) {
                table.create(interface, address, state, due);
                model[key] = {state, due, {}};
            }
        } else {
            ASSERT_EQ(found->state, known->second.state);
            ASSERT_EQ(found->waiting, known->second.waiting.size());
            switch (random() % 4) {
                case 0:
                    table.change(*found, state, due);
                    known->second.state = state;
                    known->second.due = due;
                    break;
                case 1: {
                    rte_mbuf* packet = rte_pktmbuf_alloc(pool.get());
                    const bool room = waiting < waiting_capacity;
                    ASSERT_EQ(table.push_waiting(*found, packet), room);
                    if (room) {
                        known->second.waiting.push_back(packet);
                        ++waiting;
                    } else {
                        rte_pktmbuf_free(packet);
                    }
                    break;
                }
                case 2: {
                    rte_mbuf* packet = table.pop_waiting(*found);
                    auto& queue = known->second.waiting;
                    ASSERT_EQ(packet, queue.empty() ? nullptr : queue.front());
                    if (packet != nullptr) {
                        queue.erase(queue.begin());
                        rte_pktmbuf_free(packet);
                        --waiting;
                    }
                    break;
                }
                default:
                    if (!known->second.waiting.empty()) break;
                    table.remove(*found);
                    model.erase(known);
            }
        }
        ASSERT_EQ(table.size(), model.size());
        Instant earliest = never;
        for (const auto& [_, entry] : model) earliest = std::min(earliest, entry.due);
        const Neighbour* first = table.next_due();
        ASSERT_EQ(first == nullptr ? never : first->due, earliest);
        const bool all_permanent = std::all_of(model.begin(), model.end(), [](const auto& one) {
            return one.second.state == NeighbourState::permanent;
        });
        ASSERT_EQ(table.to_evict() == nullptr, all_permanent);
    }
}  // what still waits is freed with the table, or the pool says so

TEST(TokenBucket, LetsTheRatePassAndALittleMoreAtOnce) {
    std::mt19937_64 random{test::seed()};
    for (const std::uint32_t rate : {1U, 10U, 100U, 1000U, 100000U}) {
        TokenBucket bucket{rate, {random(), random()}};
        const Instant start{5s};
        Instant now = start;
        std::uint64_t passed = 0;
        const std::uint64_t burst = rate < 20 ? 1 : std::min(rate / 20, 50U);
        while (now < start + 2s) {
            passed += bucket.take(now);
            const auto elapsed = static_cast<std::uint64_t>((now - start).count());
            ASSERT_LE(passed, elapsed * rate / 1'000'000'000 + burst + 1);
            now += Duration{static_cast<std::int64_t>(random() % 4000) + 1000};
        }
        EXPECT_GE(passed, std::uint64_t{rate} * 2 - burst) << "under constant demand no token is lost";
    }
}

TEST(TokenBucket, LongRestEarnsOneBurstOnly) {
    TokenBucket bucket{1000, {1, 2}};
    Instant now{1s};
    for (int round = 0; round < 20; ++round) {
        now += 1000s;
        int passed = 0;
        while (bucket.take(now)) ++passed;
        EXPECT_LE(passed, 50);
        EXPECT_GE(passed, 43);
    }
}

}  // namespace tables_test
}  // namespace runnel::ip
