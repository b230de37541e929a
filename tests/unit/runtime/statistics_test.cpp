#include "runnel/runtime/statistics.hpp"

#include <atomic>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/runtime/loop_statistics.hpp"

#include "seed.hpp"

namespace runnel::runtime {
namespace statistics_test {

TEST(Snapshot, SumsEveryCounterAndDropReasonOfAllCores) {
    std::mt19937_64 random{test::seed()};
    std::vector<Counters> cores(4);
    std::array<std::uint64_t, counter_count> counters{};
    std::array<std::uint64_t, drop_count> drops{};
    for (int i = 0; i < 10'000; ++i) {
        Counters& core = cores[random() % cores.size()];
        const std::uint64_t n = random() % 100;
        if (const std::size_t which = random() % (counter_count + drop_count); which < counter_count) {
            core.add(static_cast<Counter>(which), n);
            counters[which] += n;
        } else {
            core.drop(static_cast<DropReason>(which - counter_count), n);
            drops[which - counter_count] += n;
        }
    }
    Snapshot sum;
    for (const Counters& core : cores) sum += core;
    EXPECT_EQ(sum.counters, counters);
    EXPECT_EQ(sum.drops, drops);
    EXPECT_EQ(sum.dropped(), std::accumulate(drops.begin(), drops.end(), std::uint64_t{0}));
}

TEST(Snapshot, TellsWhatHappenedSinceAnEarlierOne) {
    Counters core;
    core.add(Counter::frames_in, 10);
    core.drop(DropReason::no_mbuf, 1);
    Snapshot before, after;
    before += core;
    core.add(Counter::frames_in, 5);
    core.drop(DropReason::no_mbuf, 2);
    after += core;
    const Snapshot between = after.since(before);
    EXPECT_EQ(between.get(Counter::frames_in), 5u);
    EXPECT_EQ(between.get(DropReason::no_mbuf), 2u);
    EXPECT_EQ(between.get(Counter::frames_out), 0u);
    Snapshot again = before;
    again += between;
    EXPECT_EQ(again, after);
}

TEST(Snapshot, ListsByNameOnlyWhatHappened) {
    Counters core;
    EXPECT_TRUE(nonzero_drops(Snapshot{}).empty());
    core.drop(DropReason::tcp_paws, 3);
    core.drop(DropReason::ethernet_truncated, 2);
    core.add(Counter::tcp_established, 4);
    Snapshot snapshot;
    snapshot += core;
    const std::vector<NamedCount> drops = nonzero_drops(snapshot);
    ASSERT_EQ(drops.size(), 2u);
    EXPECT_EQ(drops[0].name, "ethernet_truncated");
    EXPECT_EQ(drops[0].count, 2u);
    EXPECT_FALSE(drops[0].sentence.empty());
    EXPECT_EQ(drops[1].name, "tcp_paws");
    const std::vector<NamedCount> counters = nonzero_counters(snapshot);
    ASSERT_EQ(counters.size(), 1u);
    EXPECT_EQ(counters[0].name, "tcp_established");
    EXPECT_EQ(counters[0].count, 4u);
}

TEST(Snapshot, NeverSeesACounterGoBackWhileItsCoreCounts) {
    Counters core;
    std::atomic<bool> stop{false};
    std::thread counting{[&] {
        while (!stop.load(std::memory_order_relaxed)) core.add(Counter::frames_in, std::uint64_t{1} << 31);
    }};
    std::uint64_t last = 0, backwards = 0;
    for (int i = 0; i < 20'000; ++i) {
        Snapshot snapshot;
        snapshot += core;
        backwards += snapshot.get(Counter::frames_in) < last;
        last = snapshot.get(Counter::frames_in);
    }
    stop = true;
    counting.join();
    EXPECT_EQ(backwards, 0u);
}

TEST(LoopStatistics, GivesTheBusyShareOfAnInterval) {
    LoopStatistics statistics;
    EXPECT_EQ(statistics.read().busy_share(), 0.0);
    statistics.record({.iterations = 10, .busy_iterations = 1, .cycles = 1000, .busy_cycles = 100}, 7);
    const LoopStatistics::Values first = statistics.read();
    EXPECT_DOUBLE_EQ(first.busy_share(), 0.1);
    statistics.record(
        {.iterations = 30, .busy_iterations = 16, .cycles = 2000, .busy_cycles = 850, .frames_in = 5}, 3);
    const LoopStatistics::Values interval = statistics.read().since(first);
    EXPECT_DOUBLE_EQ(interval.busy_share(), 0.75);
    EXPECT_EQ(interval.iterations, 20u);
    EXPECT_EQ(interval.frames_in, 5u);
}

TEST(LoopStatistics, KeepsTheLongestGapUntilItIsTaken) {
    LoopStatistics statistics;
    for (const std::uint64_t gap : {5u, 90u, 20u}) statistics.record({}, gap);
    EXPECT_EQ(statistics.take_longest_gap(), 90u);
    EXPECT_EQ(statistics.take_longest_gap(), 0u);
    statistics.record({}, 8);
    EXPECT_EQ(statistics.take_longest_gap(), 8u);
}

}  // namespace statistics_test
}  // namespace runnel::runtime
