// Half-open and TIME-WAIT entries: what they cost, and the order in which they expire.
#include <algorithm>
#include <list>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/tcp/half_open_table.hpp"
#include "runnel/tcp/time_wait_table.hpp"

#include "seed.hpp"

namespace runnel::tcp {
namespace waiting_tables_test {

static_assert(sizeof(HalfOpen) == 64 && alignof(HalfOpen) == 64, "a SYN costs one cache line");
static_assert(sizeof(TimeWait) <= 48, "a real 2 MSL must be affordable");
static_assert(TimeWaitTable::bytes(1'000'000) <= 52'000'000);

TEST(TimeWaitTable, KeepsTheOrderOfExpiryUnderRandomOperations) {
    std::mt19937_64 random{test::seed()};
    constexpr std::uint32_t capacity = 64;
    TimeWaitTable table{capacity};
    std::list<std::uint32_t> model;  // slots, the oldest first
    Tick now = 0xffff'0000;          // comes round
    for (int step = 0; step < 50'000; ++step) {
        now += static_cast<Tick>(random() % 10);
        auto any = model.begin();
        if (!model.empty()) std::advance(any, random() % model.size());
        switch (random() % 5) {
            case 0:
            case 1: {
                const std::uint32_t slot = table.add();
                ASSERT_EQ(slot == no_slot, model.size() == capacity);
                if (slot == no_slot) {  // full: the oldest makes room
                    table.remove(table.oldest());
                    model.pop_front();
                    break;
                }
                ASSERT_EQ(std::ranges::find(model, slot), model.end());
                table[slot].expires = now;
                model.push_back(slot);
                break;
            }
            case 2:
                if (model.empty()) break;
                table.remove(*any);
                model.erase(any);
                break;
            case 3:
                if (model.empty()) break;
                table.restart(*any, now);
                model.splice(model.end(), model, any);
                break;
            default:  // what is oldest expires
                while (!model.empty() &&
                       static_cast<std::int32_t>(now - table[table.oldest()].expires) > 100) {
                    ASSERT_EQ(table.oldest(), model.front());
                    table.remove(table.oldest());
                    model.pop_front();
                }
        }
        ASSERT_EQ(table.size(), model.size());
        std::uint32_t slot = table.oldest();
        std::uint32_t older = no_slot;
        for (const std::uint32_t expected : model) {
            ASSERT_EQ(slot, expected);
            ASSERT_EQ(table[slot].older, older);
            if (older != no_slot) {
                ASSERT_LE(static_cast<std::int32_t>(table[older].expires - table[slot].expires), 0);
            }
            older = slot;
            slot = table[slot].newer;
        }
        ASSERT_EQ(slot, no_slot);
    }
}

TEST(HalfOpenPool, EntriesExpireInTheOrderOfTheirTimersAndNoneIsForgotten) {
    std::mt19937_64 random{test::seed()};
    constexpr std::uint32_t capacity = 200;
    HalfOpenPool pool{"half-open connections", capacity};
    TimerWheel<HalfOpen, &HalfOpen::timer> timers{pool.data(), Instant{}};
    std::vector<std::uint32_t> live;
    Instant now{};
    for (int step = 0; step < 20'000; ++step) {
        if (random() % 3 != 0) {
            const std::uint32_t slot = pool.allocate();
            ASSERT_EQ(slot == no_slot, live.size() == capacity);
            if (slot != no_slot) {
                timers.arm(slot, timers.tick_after(now, std::chrono::milliseconds{1 + random() % 3000}));
                live.push_back(slot);
            }
        } else if (!live.empty() && random() % 2 == 0) {  // the handshake is complete
            const auto at = static_cast<std::ptrdiff_t>(random() % live.size());
            timers.cancel(live[static_cast<std::size_t>(at)]);
            pool.free(live[static_cast<std::size_t>(at)]);
            live.erase(live.begin() + at);
        } else {
            now += std::chrono::milliseconds{random() % 500};
            Tick last = 0;
            timers.advance(now, [&](std::uint32_t slot) {
                EXPECT_GE(pool[slot].timer.expires, last);
                last = pool[slot].timer.expires;
                EXPECT_EQ(std::erase(live, slot), 1U);
                pool.free(slot);
            });
            for (const std::uint32_t slot : live) {
                ASSERT_TRUE(timers.armed(slot));
                ASSERT_GT(timers.to_instant(pool[slot].timer.expires), now);
            }
        }
        ASSERT_EQ(pool.size(), live.size());
    }
}

TEST(HalfOpenPool, WhatIsExpectedNextFollowsTheSyn) {
    HalfOpen half_open{};
    half_open.irs = SeqNum{0xffff'ffffU};
    EXPECT_EQ(half_open.rcv_nxt(), SeqNum{0});
}

}  // namespace waiting_tables_test
}  // namespace runnel::tcp
