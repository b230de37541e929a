// What a receiver counts of numbered packets: against a plain account of all that came.
#include "engine/sequence_tracker.hpp"

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::load {
namespace sequence_tracker_test {

SequenceCounts counts_of(const std::vector<std::uint32_t>& numbers, std::uint64_t sent) {
    SequenceTracker tracker;
    for (const std::uint32_t number : numbers) tracker.add(number);
    tracker.end(sent);
    return tracker.counts();
}

TEST(SequenceTracker, CountsLossFromGapsAndFromWhatTheSenderSays) {
    EXPECT_EQ(counts_of({0, 1, 2, 3}, 4), (SequenceCounts{.received = 4, .unique = 4}));
    EXPECT_EQ(counts_of({0, 1, 3}, 6), (SequenceCounts{.received = 3, .unique = 3, .missing = 3}));
    EXPECT_EQ(counts_of({2}, 3), (SequenceCounts{.received = 1, .unique = 1, .missing = 2}))
        << "the first are lost";
    EXPECT_EQ(counts_of({}, 5), (SequenceCounts{.missing = 5}));
}

TEST(SequenceTracker, CopiesAreCountedWhereverTheyCome) {
    EXPECT_EQ(counts_of({0, 0, 1, 2, 1, 2, 2}, 3),
              (SequenceCounts{.received = 7, .unique = 3, .duplicated = 4}));
    EXPECT_EQ(
        counts_of({0, 2, 1, 1}, 3),
        (SequenceCounts{.received = 4, .unique = 3, .duplicated = 1, .reordered = 1, .most_extent = 1}));
}

// The examples of RFC 4737 section 4.2.4 and of appendix B's kind, numbered from 0.
TEST(SequenceTracker, ReorderingExtentIsThatOfRfc4737) {
    SequenceTracker tracker;
    const std::vector<std::uint32_t> numbers{0, 1, 2, 4, 5, 3, 6, 9, 7, 8, 10};
    std::vector<std::uint64_t> extents;
    for (const std::uint32_t number : numbers) extents.push_back(tracker.add(number).extent);
    // 3 came two behind 4, the first that was greater; 7 one and 8 two behind 9.
    EXPECT_EQ(extents, (std::vector<std::uint64_t>{0, 0, 0, 0, 0, 2, 0, 0, 1, 2, 0}));
    EXPECT_EQ(tracker.counts().reordered, 3U);
}

TEST(SequenceTracker, NumbersGoOnAcrossThirtyTwoBits) {
    SequenceTracker tracker;
    std::uint64_t sent = 0;
    // As far as 2^32 in the longest steps that are believed.
    for (; sent < (std::uint64_t{1} << 32) - 10; sent += SequenceTracker::most_ahead)
        tracker.add(static_cast<std::uint32_t>(sent));
    const SequenceCounts before = tracker.counts();
    for (std::uint64_t i = sent; i < sent + 100; ++i) tracker.add(static_cast<std::uint32_t>(i));
    EXPECT_EQ(tracker.counts().unique - before.unique, 100U);
    EXPECT_EQ(tracker.counts().stale, 0U);
    tracker.end(sent + 100);
    EXPECT_EQ(tracker.counts().unique + tracker.counts().missing, sent + 100);
}

TEST(SequenceTracker, WhatIsTooFarAheadOrBehindIsCountedApart) {
    SequenceTracker tracker;
    tracker.add(0);
    EXPECT_FALSE(tracker.add(SequenceTracker::most_ahead + 2).unique);
    EXPECT_FALSE(tracker.add(0xffff'fff0).unique) << "before the first";
    for (std::uint32_t i = 2; i < SequenceTracker::window + 10; ++i) tracker.add(i);
    EXPECT_FALSE(tracker.add(1).unique);
    EXPECT_EQ(tracker.counts().stale, 3U);
    EXPECT_EQ(tracker.counts().missing, 1U);
}

// Every fate that a wire has for a packet, at once, and the wire knows what it did.
TEST(SequenceTracker, AgreesWithAWireThatLosesRepeatsAndReorders) {
    for (std::uint64_t s = test::seed(); s < test::seed() + 20; ++s) {
        SCOPED_TRACE("RUNNEL_SEED=" + std::to_string(s));
        std::mt19937_64 random{s};
        const std::uint32_t sent = 6'000;
        struct Copy {
            std::uint64_t when;
            std::uint32_t number;
        };
        std::vector<Copy> wire;
        std::uint64_t lost = 0, copies = 0;
        for (std::uint32_t i = 0; i < sent; ++i) {
            if (random() % 20 == 0) {
                ++lost;
                continue;
            }
            wire.push_back({i + (random() % 10 == 0 ? random() % 500 : 0), i});
            if (random() % 30 == 0) {
                ++copies;
                wire.push_back({i + random() % 300, i});
            }
        }
        std::ranges::stable_sort(wire, {}, &Copy::when);
        std::set<std::uint32_t> seen;
        std::vector<std::uint32_t> order;  // first arrivals
        std::uint64_t reordered = 0, most_extent = 0;
        SequenceTracker tracker;
        for (const Copy& copy : wire) {
            tracker.add(copy.number);
            if (!seen.insert(copy.number).second) continue;
            const auto larger = std::ranges::find_if(order, [&](std::uint32_t n) { return n > copy.number; });
            if (larger != order.end()) {
                ++reordered;
                most_extent = std::max(most_extent, static_cast<std::uint64_t>(order.end() - larger));
            }
            order.push_back(copy.number);
        }
        tracker.end(sent);
        const SequenceCounts& c = tracker.counts();
        EXPECT_EQ(c.unique, sent - lost);
        EXPECT_EQ(c.missing, lost);
        EXPECT_EQ(c.duplicated, copies);
        EXPECT_EQ(c.reordered, reordered);
        EXPECT_EQ(c.stale, 0U);
        // Gaps beyond those that are kept are forgotten: never more than it was.
        EXPECT_LE(c.most_extent, most_extent);
        if (testing::Test::HasFailure()) break;
    }
}

TEST(Jitter, IsTheMeanDifferenceOfTheTimeUnderWayWhateverTheClocksSay) {
    Jitter even, uneven;
    for (int i = 0; i < 2000; ++i) {
        const std::uint64_t sent_at = 5'000'000'000'000U + static_cast<std::uint64_t>(i) * 1'000'000;
        even.add(sent_at, Instant{1s} + i * 1ms);
        uneven.add(sent_at, Instant{1s} + i * 1ms + (i % 2 == 0 ? 0us : 200us));
    }
    EXPECT_DOUBLE_EQ(even.nanoseconds(), 0);
    EXPECT_NEAR(uneven.nanoseconds(), 200'000, 1);
}

}  // namespace sequence_tracker_test
}  // namespace runnel::load
