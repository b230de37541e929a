// The slot pool against a simple model.
#include "runnel/base/slot_pool.hpp"

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel {
namespace slot_pool_test {

struct Block {
    std::uint32_t generation;
    std::uint32_t mark;
    std::uint32_t rest[18];
};
struct Plain {
    std::uint32_t mark;
};
static_assert(HasGeneration<Block> && !HasGeneration<Plain>);
static_assert(SlotPool<Block>::bytes(1000) == 84'000);

TEST(SlotPool, HandsOutUnusedSlotsInAscendingOrderAndThenNone) {
    SlotPool<Plain> pool{"blocks", 5};
    for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(pool.allocate(), i);
    EXPECT_EQ(pool.allocate(), no_slot);
    EXPECT_EQ(pool.size(), 5U);
    EXPECT_EQ(pool.capacity(), 5U);
}

TEST(SlotPool, HandsOutFirstWhatWasFreedLast) {
    SlotPool<Plain> pool{"blocks", 10};
    for (int i = 0; i < 4; ++i) (void)pool.allocate();
    pool.free(1);
    pool.free(3);
    EXPECT_EQ(pool.allocate(), 3U);
    EXPECT_EQ(pool.allocate(), 1U);
    EXPECT_EQ(pool.allocate(), 4U);
}

TEST(SlotPool, ZeroesASlotOnceAndLeavesItAloneAfterwards) {
    SlotPool<Block> pool{"blocks", 1};
    const std::uint32_t slot = pool.allocate();
    EXPECT_EQ(pool[slot].mark, 0U);
    pool[slot].mark = 42;
    pool.free(slot);
    EXPECT_EQ(pool.allocate(), slot);
    EXPECT_EQ(pool[slot].mark, 42U);
}

TEST(SlotPool, KnowsAHandleFromItsSuccessorsAndFromNonsense) {
    SlotPool<Block> pool{"blocks", 2};
    EXPECT_EQ(pool.get(0, 0), nullptr) << "a slot never used";
    const std::uint32_t slot = pool.allocate();
    const std::uint32_t generation = pool[slot].generation;
    EXPECT_EQ(generation % 2, 1U);
    EXPECT_EQ(pool.get(slot, generation), &pool[slot]);
    EXPECT_TRUE(pool.live(slot));
    pool.free(slot);
    EXPECT_FALSE(pool.live(slot));
    EXPECT_EQ(pool.get(slot, generation), nullptr);
    EXPECT_EQ(pool.get(slot, generation + 1), nullptr) << "the generation of a free slot is no handle";
    (void)pool.allocate();
    EXPECT_EQ(pool.get(slot, generation), nullptr);
    EXPECT_EQ(pool.get(slot, generation + 2), &pool[slot]);
    EXPECT_EQ(pool.get(2, 1), nullptr);
    EXPECT_EQ(pool.get(no_slot, 1), nullptr);
    EXPECT_FALSE(pool.live(no_slot));
}

TEST(SlotPool, KeepsGenerationsOddWhileLiveAcrossTheWrapOfThirtyTwoBits) {
    SlotPool<Block> pool{"blocks", 1};
    pool[0].generation = 0xfffffffeU;
    (void)pool.allocate();
    EXPECT_NE(pool.get(0, 0xffffffffU), nullptr);
    pool.free(0);
    EXPECT_EQ(pool[0].generation, 0U);
    (void)pool.allocate();
    EXPECT_NE(pool.get(0, 1), nullptr);
}

TEST(SlotPool, OfMillionsIsMadeAtOnceAndPrefetchesAnyOfThem) {
    SlotPool<Block> pool{"blocks", 4'000'000};
    pool.prefetch(0);
    pool.prefetch(3'999'999);
    EXPECT_EQ(pool.allocate(), 0U);
}

TEST(SlotPool, AgreesWithAModelUnderRandomOperations) {
    std::mt19937_64 random{test::seed()};
    constexpr std::uint32_t capacity = 50;
    SlotPool<Block> pool{"blocks", capacity};
    std::vector<std::pair<std::uint32_t, std::uint32_t>> live;  // slot and generation
    std::vector<std::pair<std::uint32_t, std::uint32_t>> dead;
    for (std::uint32_t step = 0; step < 20'000; ++step) {
        // The tendency turns every thousand steps, so that the pool is both full and empty at times.
        const bool grow = (random() % 4 != 0) == (step / 1000 % 2 == 0);
        if (grow) {
            const std::uint32_t slot = pool.allocate();
            if (live.size() == capacity) {
                ASSERT_EQ(slot, no_slot);
            } else {
                ASSERT_LT(slot, capacity);
                for (const auto& [other, generation] : live) ASSERT_NE(other, slot);
                pool[slot].mark = step;
                live.emplace_back(slot, pool[slot].generation);
            }
        } else if (!live.empty()) {
            std::swap(live[random() % live.size()], live.back());
            pool.free(live.back().first);
            dead.push_back(live.back());
            live.pop_back();
        }
        ASSERT_EQ(pool.size(), live.size());
        for (const auto& [slot, generation] : live) ASSERT_NE(pool.get(slot, generation), nullptr);
        if (!dead.empty()) {
            const auto& [slot, generation] = dead[random() % dead.size()];
            ASSERT_EQ(pool.get(slot, generation), nullptr);
        }
    }
}

}  // namespace slot_pool_test
}  // namespace runnel
