// The flow table against a simple model, with hashes good and bad.
#include "runnel/base/flow_table.hpp"

#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel {
namespace flow_table_test {

/// Finds a value that is its own key.
std::uint32_t find(const FlowTable& table, std::uint32_t hash, std::uint32_t value) {
    return table.find(hash, [&](std::uint32_t v) { return v == value; });
}

static_assert(FlowTable::bytes(80) == 64 * 11, "eight entries to a bucket of twelve, and one bucket more");

TEST(FlowTable, FindsWhatWasInsertedAndNothingElse) {
    FlowTable table{"flows", 100};
    EXPECT_EQ(find(table, 1, 10), FlowTable::none);
    ASSERT_TRUE(table.insert(1, 10));
    ASSERT_TRUE(table.insert(1, 11));
    EXPECT_EQ(find(table, 1, 10), 10U);
    EXPECT_EQ(find(table, 1, 11), 11U);
    EXPECT_EQ(find(table, 1, 12), FlowTable::none);
    EXPECT_EQ(find(table, 0x80000001U, 10), FlowTable::none);
    EXPECT_EQ(table.size(), 2U);
    EXPECT_TRUE(table.erase(1, 10));
    EXPECT_FALSE(table.erase(1, 10));
    EXPECT_EQ(find(table, 1, 10), FlowTable::none);
    EXPECT_EQ(find(table, 1, 11), 11U);
    EXPECT_EQ(table.size(), 1U);
}

TEST(FlowTable, AsksTheCallerOnlyAboutValuesWhoseTagAgrees) {
    FlowTable table{"flows", 8};  // so few buckets that many hashes share one
    std::mt19937_64 random{test::seed()};
    std::vector<std::uint32_t> hashes;
    for (std::uint32_t i = 0; i < 8; ++i) {
        hashes.push_back(static_cast<std::uint32_t>(random()));
        ASSERT_TRUE(table.insert(hashes.back(), i));
    }
    int asked = 0;
    for (int i = 0; i < 10'000; ++i)
        (void)table.find(static_cast<std::uint32_t>(random()), [&](std::uint32_t) {
            ++asked;
            return false;
        });
    // At most eight candidates a search, each with a chance of 1 in 255 (one tag: 2 in 256); far from 80,000.
    EXPECT_LT(asked, 2'000);
}

TEST(FlowTable, NamesTheLikelyValueOrNone) {
    FlowTable table{"flows", 100};
    EXPECT_EQ(table.candidate(77), FlowTable::none);
    ASSERT_TRUE(table.insert(77, 5));
    table.prefetch(77);
    EXPECT_EQ(table.candidate(77), 5U);
    ASSERT_TRUE(table.erase(77, 5));
    EXPECT_EQ(table.candidate(77), FlowTable::none);
}

TEST(FlowTable, ReplacesInPlace) {
    FlowTable table{"flows", 1000};
    for (std::uint32_t i = 0; i < 30; ++i) ASSERT_TRUE(table.insert(9, i));  // fills its home and two more
    EXPECT_TRUE(table.replace(9, 29, 0x80000029U));
    EXPECT_FALSE(table.replace(9, 29, 1));
    EXPECT_EQ(find(table, 9, 29), FlowTable::none);
    EXPECT_EQ(find(table, 9, 0x80000029U), 0x80000029U);
    EXPECT_EQ(table.size(), 30U);
}

TEST(FlowTable, HoldsItsCapacityEvenWhereAllHashesAreOne) {
    for (const std::uint32_t hash : {0U, 1U, 0x12345678U, 0xffffffffU}) {
        FlowTable table{"flows", 500};
        for (std::uint32_t i = 0; i < 500; ++i) ASSERT_TRUE(table.insert(hash, i));
        EXPECT_FALSE(table.insert(hash, 500)) << "beyond the capacity";
        for (std::uint32_t i = 0; i < 500; ++i) ASSERT_EQ(find(table, hash, i), i);
        EXPECT_EQ(find(table, hash, 500), FlowTable::none);
        for (std::uint32_t i = 0; i < 500; ++i) ASSERT_TRUE(table.erase(hash, (i * 7 + 3) % 500));
        EXPECT_EQ(table.size(), 0U);
        EXPECT_EQ(find(table, hash, 3), FlowTable::none);
    }
}

TEST(FlowTable, FindsAnEntryThatWentPastWhereRoomAppearedBeforeIt) {
    FlowTable table{"flows", 100};
    for (std::uint32_t i = 0; i < 13; ++i) ASSERT_TRUE(table.insert(7, i));
    ASSERT_TRUE(table.erase(7, 0));
    EXPECT_EQ(find(table, 7, 12), 12U) << "it lies beyond its home, which has room now";
    ASSERT_TRUE(table.insert(7, 13));
    EXPECT_EQ(find(table, 7, 12), 12U);
    EXPECT_EQ(find(table, 7, 13), 13U);
    ASSERT_TRUE(table.erase(7, 12));
    // With nobody gone past, a search that fails sees one bucket only, and so no value at all of another.
    EXPECT_EQ(find(table, 7, 12), FlowTable::none);
}

TEST(FlowTable, EndsASearchThatFailsWhereEveryBucketWasGonePast) {
    FlowTable table{"flows", 15};
    ASSERT_EQ(FlowTable::bytes(15), 2U * 64);
    constexpr std::uint32_t low = 0;
    constexpr std::uint32_t high = 0xffffffffU;
    // Thirteen of the low bucket, one of them gone past; room made there; then the high bucket fills, and its
    // thirteenth wraps to the low one.
    for (std::uint32_t i = 0; i < 13; ++i) ASSERT_TRUE(table.insert(low, i));
    for (std::uint32_t i = 0; i < 11; ++i) ASSERT_TRUE(table.erase(low, i));
    for (std::uint32_t i = 20; i < 32; ++i) ASSERT_TRUE(table.insert(high, i));
    EXPECT_EQ(find(table, low, 12), 12U);
    EXPECT_EQ(find(table, high, 31), 31U);
    EXPECT_EQ(find(table, low, 99), FlowTable::none);
    EXPECT_EQ(find(table, high, 99), FlowTable::none);
    EXPECT_FALSE(table.erase(low, 99));
    EXPECT_FALSE(table.replace(high, 99, 1));
}

TEST(FlowTable, RefusesAnEntryRatherThanLoseCountOfThoseGonePast) {
    constexpr std::uint32_t most = 65'535 + 12;
    FlowTable table{"flows", 100'000};
    for (std::uint32_t i = 0; i < most; ++i) ASSERT_TRUE(table.insert(5, i));
    EXPECT_FALSE(table.insert(5, most));
    EXPECT_TRUE(table.insert(0x80000000U, most)) << "another bucket takes entries still";
    EXPECT_EQ(table.size(), most + 1);
    EXPECT_EQ(find(table, 5, most - 1), most - 1);
    ASSERT_TRUE(table.erase(5, most - 1));
    EXPECT_TRUE(table.insert(5, most));
}

/// Random inserts, erases, replacements and searches, beside a map from value to hash.
void agree_with_a_model(std::uint32_t capacity, int steps,
                        const std::function<std::uint32_t(std::uint64_t)>& hash_of) {
    std::mt19937_64 random{test::seed()};
    FlowTable table{"flows", capacity};
    std::vector<std::pair<std::uint32_t, std::uint32_t>> model;  // hash and value
    std::uint32_t fresh = 0;
    for (int step = 0; step < steps; ++step) {
        const bool grow = (random() % 8 < 5) == (step / (static_cast<int>(capacity) * 8) % 2 == 0);
        if (grow) {
            const std::uint32_t hash = hash_of(random());
            const bool inserted = table.insert(hash, fresh);
            ASSERT_EQ(inserted, model.size() < capacity);
            if (inserted) model.emplace_back(hash, fresh);
            ++fresh;
        } else if (!model.empty()) {
            std::swap(model[random() % model.size()], model.back());
            ASSERT_TRUE(table.erase(model.back().first, model.back().second));
            ASSERT_EQ(find(table, model.back().first, model.back().second), FlowTable::none);
            model.pop_back();
        }
        if (!model.empty()) {
            auto& [hash, value] = model[random() % model.size()];
            ASSERT_EQ(find(table, hash, value), value);
            if (random() % 4 == 0) {
                ASSERT_TRUE(table.replace(hash, value, fresh));
                value = fresh++;
            }
        }
        ASSERT_EQ(table.size(), model.size());
        if (step % (static_cast<int>(capacity) * 2) == 0) {
            for (const auto& [hash, value] : model) ASSERT_EQ(find(table, hash, value), value);
        }
    }
    for (const auto& [hash, value] : model) ASSERT_TRUE(table.erase(hash, value));
    // Empty again, no bucket remembers that any entry went past it: every search ends without asking.
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(table.candidate(hash_of(random())), FlowTable::none);
    ASSERT_EQ(table.size(), 0U);
}

TEST(FlowTable, AgreesWithAModelUnderRandomOperations) {
    for (const std::uint32_t capacity : {1U, 2U, 9U, 10U, 100U, 3000U})
        agree_with_a_model(capacity, 40'000, [](std::uint64_t r) { return static_cast<std::uint32_t>(r); });
}

TEST(FlowTable, AgreesWithAModelWhereFewHashesExist) {
    agree_with_a_model(300, 40'000,
                       [](std::uint64_t r) { return static_cast<std::uint32_t>(r % 5) * 0x33333333U; });
    agree_with_a_model(300, 20'000, [](std::uint64_t) { return 0xfffffff0U; });
}

TEST(FlowTable, AgreesWithAModelWhereTheHashesCrowdAtTheEndAndWrap) {
    agree_with_a_model(300, 40'000,
                       [](std::uint64_t r) { return 0xf8000000U | static_cast<std::uint32_t>(r >> 37); });
}

TEST(FlowTable, AsksLittleEvenWhereRssHasFixedTheLowBitsOfTheHash) {
    // On one of sixteen cores four of the low seven bits are the same in every hash.
    std::mt19937_64 random{test::seed()};
    constexpr std::uint32_t entries = 20'000;
    FlowTable table{"flows", entries};
    for (std::uint32_t i = 0; i < entries; ++i)
        ASSERT_TRUE(table.insert(static_cast<std::uint32_t>(random()) & ~0xfU, i));
    std::uint64_t asked = 0;
    for (std::uint32_t i = 0; i < entries; ++i)
        (void)table.find(static_cast<std::uint32_t>(random()) & ~0xfU, [&](std::uint32_t) {
            ++asked;
            return false;
        });
    // Some eight entries in each bucket and 1 in 256 of a chance: 0.03 a search, and somewhat more.
    EXPECT_LT(asked, entries / 8);
}

}  // namespace flow_table_test
}  // namespace runnel
