// The timer wheel against a simple model, across the wrap of its ticks.
#include "runnel/base/timer_wheel.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include <gmock/gmock.h>

#include "seed.hpp"

namespace runnel {
namespace timer_wheel_test {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct Waiter {
    std::uint64_t other;
    TimerLink timer;
};
using Wheel = TimerWheel<Waiter, &Waiter::timer>;
static_assert(sizeof(Wheel) < 4400);
static_assert(Wheel::tick_length == 131'072ns);

constexpr Instant at_tick(std::int64_t tick) {
    return Instant{Wheel::tick_length * tick};
}

/// Advances and says who fired.
std::vector<std::uint32_t> advance(Wheel& wheel, Instant now) {
    std::vector<std::uint32_t> fired;
    wheel.advance(now, [&](std::uint32_t slot) { fired.push_back(slot); });
    return fired;
}

TEST(TimerWheel, FiresAtItsTickAndNotBefore) {
    for (const std::int64_t delay : {1, 2, 255, 256, 257, 65'535, 65'536, 16'777'216, 100'000'000}) {
        for (const std::int64_t start : {0LL, 200LL, 65'530LL, 16'777'000LL, 4'294'967'290LL}) {
            std::vector<Waiter> waiters(1);
            Wheel wheel{waiters.data(), at_tick(start)};
            wheel.arm(0, wheel.to_tick(at_tick(start + delay)));
            EXPECT_TRUE(wheel.armed(0));
            EXPECT_EQ(wheel.size(), 1U);
            EXPECT_THAT(advance(wheel, at_tick(start + delay) - 1ns), IsEmpty()) << start << " + " << delay;
            EXPECT_THAT(advance(wheel, at_tick(start + delay)), ElementsAre(0U)) << start << " + " << delay;
            EXPECT_FALSE(wheel.armed(0));
            EXPECT_EQ(wheel.size(), 0U);
            EXPECT_EQ(wheel.next_deadline(), never);
        }
    }
}

TEST(TimerWheel, RoundsUpSoThatNothingComesEarly) {
    std::vector<Waiter> waiters(1);
    const Wheel wheel{waiters.data(), Instant{}};
    EXPECT_EQ(wheel.to_tick(at_tick(5)), 5U);
    EXPECT_EQ(wheel.to_tick(at_tick(5) + 1ns), 6U);
    EXPECT_EQ(wheel.to_tick(at_tick(6) - 1ns), 6U);
    EXPECT_EQ(wheel.tick_after(at_tick(5) + 1ns, Wheel::tick_length), 7U);
    EXPECT_EQ(wheel.to_instant(7), at_tick(7));
    EXPECT_EQ(wheel.now_tick(), 0U);
}

TEST(TimerWheel, TakesInstantsBeyondItsReachForTheFurthestThatItKnows) {
    std::vector<Waiter> waiters(1);
    Wheel wheel{waiters.data(), at_tick(1000)};
    EXPECT_EQ(wheel.to_tick(never), 1000 + Wheel::furthest);
    EXPECT_EQ(wheel.tick_after(at_tick(1000), Duration::max()), 1000 + Wheel::furthest);
    wheel.arm(0, wheel.to_tick(never));
    EXPECT_THAT(advance(wheel, at_tick(1000 + std::int64_t{Wheel::furthest}) - 1ns), IsEmpty());
    EXPECT_THAT(advance(wheel, at_tick(1000 + std::int64_t{Wheel::furthest})), ElementsAre(0U));
    // An instant long past is past, however long.
    EXPECT_LE(static_cast<std::int32_t>(wheel.to_tick(Instant{}) - wheel.now_tick()), 0);
}

TEST(TimerWheel, FiresThePastInTheNextAdvanceEvenWhereTimeStandsStill) {
    std::vector<Waiter> waiters(3);
    Wheel wheel{waiters.data(), at_tick(1000)};
    wheel.arm(0, 1000);
    wheel.arm(1, 999);
    wheel.arm(2, 1001);
    EXPECT_LE(wheel.next_deadline(), at_tick(1000));
    EXPECT_THAT(advance(wheel, at_tick(1000)), UnorderedElementsAre(0U, 1U));
    EXPECT_EQ(wheel.next_deadline(), at_tick(1001));
}

TEST(TimerWheel, CancelsAndArmsAnew) {
    std::vector<Waiter> waiters(3);
    Wheel wheel{waiters.data(), Instant{}};
    for (std::uint32_t slot = 0; slot < 3; ++slot) wheel.arm(slot, 10);
    wheel.cancel(1);
    wheel.cancel(1);  // nothing happens
    EXPECT_FALSE(wheel.armed(1));
    wheel.arm(0, 20);
    EXPECT_EQ(wheel.size(), 2U);
    EXPECT_THAT(advance(wheel, at_tick(10)), ElementsAre(2U));
    EXPECT_THAT(advance(wheel, at_tick(20)), ElementsAre(0U));
    wheel.arm(1, 15);  // past
    wheel.cancel(1);
    EXPECT_EQ(wheel.next_deadline(), never);
    EXPECT_THAT(advance(wheel, at_tick(21)), IsEmpty());
}

TEST(TimerWheel, LetsFireCancelAndArmWhateverItLikes) {
    std::vector<Waiter> waiters(4);
    Wheel wheel{waiters.data(), Instant{}};
    for (std::uint32_t slot = 0; slot < 4; ++slot) wheel.arm(slot, 10);
    std::vector<std::uint32_t> fired;
    wheel.advance(at_tick(100), [&](std::uint32_t slot) {
        EXPECT_FALSE(wheel.armed(slot));
        fired.push_back(slot);
        for (std::uint32_t other = 0; other < 4; ++other) wheel.cancel(other);  // also those due in this tick
        wheel.arm(slot, 100);                                                   // now: the next advance
        wheel.arm((slot + 1) % 4, 101);                                         // later
    });
    ASSERT_EQ(fired.size(), 1U);
    EXPECT_EQ(wheel.size(), 2U);
    EXPECT_THAT(advance(wheel, at_tick(100)), ElementsAre(fired[0]));
    EXPECT_THAT(advance(wheel, at_tick(101)), ElementsAre((fired[0] + 1) % 4));
}

TEST(TimerWheel, EndsAnAdvanceThoughEachTimerArmsItselfAtOnce) {
    std::vector<Waiter> waiters(2);
    Wheel wheel{waiters.data(), Instant{}};
    wheel.arm(0, 5);
    wheel.arm(1, 7);
    int fired = 0;
    wheel.advance(at_tick(1'000'000), [&](std::uint32_t slot) {
        ++fired;
        wheel.arm(slot, 6);
    });
    EXPECT_EQ(fired, 2);
    EXPECT_EQ(wheel.size(), 2U);
}

TEST(TimerWheel, CrossesYearsWithOneTimerAnHourWithoutWalkingEachTick) {
    std::vector<Waiter> waiters(1);
    Wheel wheel{waiters.data(), Instant{}};
    int fired = 0;
    wheel.arm(0, wheel.to_tick(Instant{1h}));
    constexpr int hours = 10 * 365 * 24;  // 2.4e12 ticks: to walk each would take an hour
    for (int hour = 1; hour <= hours; ++hour) {
        wheel.advance(Instant{1h * hour + 1ms}, [&](std::uint32_t slot) {
            ++fired;
            wheel.arm(slot, wheel.to_tick(Instant{1h * (hour + 1)}));
        });
    }
    EXPECT_EQ(fired, hours);
    EXPECT_EQ(wheel.size(), 1U);
    wheel.cancel(0);
    const Instant far{24h * 100'000};  // 270 years in one leap
    EXPECT_THAT(advance(wheel, far), IsEmpty());
    EXPECT_EQ(wheel.now_tick(), static_cast<Tick>(far.time_since_epoch() / Wheel::tick_length));
}

TEST(TimerWheel, FiresOverOneLeapOfDaysInTheOrderOfTheTicks) {
    std::mt19937_64 random{test::seed()};
    constexpr std::uint32_t n = 2000;
    std::vector<Waiter> waiters(n);
    const std::int64_t start = (std::int64_t{1} << 32) - 1000;
    Wheel wheel{waiters.data(), at_tick(start)};
    std::vector<std::uint32_t> delay(n);
    for (std::uint32_t slot = 0; slot < n; ++slot) {
        delay[slot] = 1 + static_cast<std::uint32_t>(random() % Wheel::furthest >> random() % 31);
        if (delay[slot] > Wheel::furthest) delay[slot] = Wheel::furthest;
        wheel.arm(slot, wheel.now_tick() + delay[slot]);
    }
    const std::vector<std::uint32_t> fired = advance(wheel, at_tick(start + (std::int64_t{5} << 31)));
    ASSERT_EQ(fired.size(), n);
    EXPECT_TRUE(std::ranges::is_sorted(fired, {}, [&](std::uint32_t slot) { return delay[slot]; }));
}

TEST(TimerWheel, AgreesWithAModelUnderRandomOperationsAcrossTheWrapOfTicks) {
    std::mt19937_64 random{test::seed()};
    const auto up_to = [&](std::uint64_t most) { return static_cast<std::int64_t>(random() % (most + 1)); };
    // Short and long spans alike: every order of magnitude up to `bits` is as likely as another.
    const auto span = [&](std::uint64_t bits) {
        return up_to((std::uint64_t{1} << random() % (bits + 1)) - 1);
    };

    for (const std::int64_t start :
         {std::int64_t{0}, (std::int64_t{1} << 32) - 70'000, (std::int64_t{7} << 32) - 3}) {
        constexpr std::uint32_t n = 40;
        std::vector<Waiter> waiters(n);
        Wheel wheel{waiters.data(), at_tick(start)};
        std::vector<std::optional<std::int64_t>> due(
            n);  // in ticks that do not wrap; the past as it was asked for
        std::int64_t now = start;

        const auto arm = [&](std::uint32_t slot, std::int64_t tick) {
            wheel.arm(slot, static_cast<Tick>(tick));
            due[slot] = tick;
        };
        for (int step = 0; step < 20'000; ++step) {
            const auto slot = static_cast<std::uint32_t>(random() % n);
            switch (random() % 4) {
                case 0:
                case 1:
                    arm(slot, now + 1 + span(30));
                    break;
                case 2:
                    if (random() % 2 == 0) {
                        wheel.cancel(slot);
                        due[slot].reset();
                    } else {
                        arm(slot, now - span(10));
                    }
                    break;
                default: {
                    now += span(28);
                    std::vector<std::optional<std::int64_t>> armed_now(n);  // during this advance
                    std::vector<bool> fired(n);
                    wheel.advance(at_tick(now) + Duration{up_to(131'071)}, [&](std::uint32_t who) {
                        ASSERT_FALSE(wheel.armed(who));
                        ASSERT_FALSE(fired[who]);
                        ASSERT_TRUE(due[who].has_value());
                        ASSERT_LE(*due[who], now) << "before its tick";
                        fired[who] = true;
                        due[who].reset();
                        if (random() % 4 == 0) {
                            const auto other = static_cast<std::uint32_t>(random() % n);
                            wheel.cancel(other);
                            due[other].reset();
                            armed_now[other].reset();
                        }
                        if (random() % 4 == 0) {
                            const auto other =
                                random() % 2 == 0 ? who : static_cast<std::uint32_t>(random() % n);
                            const std::int64_t when = now - 5 + span(29);
                            wheel.arm(other, static_cast<Tick>(when));
                            due[other].reset();
                            armed_now[other] = when;
                        }
                    });
                    for (std::uint32_t i = 0; i < n; ++i) {
                        ASSERT_FALSE(due[i] && *due[i] <= now) << "slot " << i << " was not fired";
                        if (armed_now[i]) due[i] = armed_now[i];
                    }
                }
            }

            std::uint32_t armed = 0;
            std::int64_t earliest = std::numeric_limits<std::int64_t>::max();
            for (std::uint32_t i = 0; i < n; ++i) {
                ASSERT_EQ(wheel.armed(i), due[i].has_value());
                if (!due[i]) continue;
                ++armed;
                earliest = std::min(earliest, *due[i]);
            }
            ASSERT_EQ(wheel.size(), armed);
            if (armed == 0) {
                ASSERT_EQ(wheel.next_deadline(), never);
            } else if (earliest <= now) {
                ASSERT_LE(wheel.next_deadline(), at_tick(now));
            } else {
                ASSERT_LE(wheel.next_deadline(), at_tick(earliest)) << "later than the first timer";
                ASSERT_GT(wheel.next_deadline(), at_tick(now)) << "there would be nothing to do";
            }
        }
    }
}

TEST(TimerWheel, ReachesEachTimerByAdvancingOnlyToTheNextDeadline) {
    std::mt19937_64 random{test::seed()};
    std::vector<Waiter> waiters(1);
    for (int round = 0; round < 1000; ++round) {
        const auto start = static_cast<std::int64_t>(random() >> 24);
        const auto delay = static_cast<std::int64_t>(1 + random() % 100'000'000);
        Wheel wheel{waiters.data(), at_tick(start)};
        wheel.arm(0, static_cast<Tick>(start + delay));
        int wakeups = 0;
        std::vector<std::uint32_t> fired;
        Instant now = at_tick(start);
        while (fired.empty()) {
            ASSERT_GT(wheel.next_deadline(), now);
            now = wheel.next_deadline();
            fired = advance(wheel, now);
            ASSERT_LE(++wakeups, 4) << "one a level";
        }
        ASSERT_EQ(now, at_tick(start + delay));
    }
}

}  // namespace timer_wheel_test
}  // namespace runnel
