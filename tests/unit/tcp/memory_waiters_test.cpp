// Who waits for memory: everybody's turn comes, and nobody's twice before.
#include "runnel/tcp/memory_waiters.hpp"

#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace memory_waiters_test {

TEST(MemoryWaiters, AgreeWithASetThatIsGoneRoundUnderRandomOperations) {
    std::mt19937_64 random{test::seed()};
    for (const std::uint32_t capacity : {1U, 63U, 64U, 65U, 1000U}) {
        MemoryWaiters waiters{capacity};
        std::set<std::uint32_t> model;
        std::uint32_t next = 0;
        for (int i = 0; i < 20'000; ++i) {
            const auto slot = static_cast<std::uint32_t>(random() % capacity);
            switch (random() % 4) {
                case 0:
                case 1:
                    waiters.add(slot);
                    model.insert(slot);
                    break;
                case 2:
                    waiters.remove(slot);
                    model.erase(slot);
                    break;
                default: {
                    auto expected = model.lower_bound(next);
                    if (expected == model.end()) expected = model.begin();
                    const std::uint32_t taken = waiters.take();
                    ASSERT_EQ(taken, expected == model.end() ? no_slot : *expected);
                    if (taken == no_slot) break;
                    model.erase(expected);
                    next = taken + 1;
                }
            }
            ASSERT_EQ(waiters.size(), model.size());
            ASSERT_EQ(waiters.contains(slot), model.contains(slot));
        }
    }
}

TEST(MemoryWaiters, WhoIsRefusedAgainComesBehindAllOthers) {
    MemoryWaiters waiters{200};
    for (std::uint32_t slot = 0; slot < 200; slot += 3) waiters.add(slot);
    for (int round = 0; round < 3; ++round)
        for (std::uint32_t slot = 0; slot < 200; slot += 3) {
            ASSERT_EQ(waiters.take(), slot);
            waiters.add(slot);
        }
}

TEST(MemoryWaiters, FewAmongMillionsAreFoundByBoundedLooks) {
    MemoryWaiters waiters{5'000'000};
    waiters.add(4'999'999);
    int looks = 1;
    while (waiters.take() == no_slot) ++looks;
    EXPECT_GT(looks, 100) << "one call looks at some thousands of slots only";
    EXPECT_LT(looks, 1000);
    EXPECT_TRUE(waiters.empty());
}

}  // namespace memory_waiters_test
}  // namespace runnel::tcp
