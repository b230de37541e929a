// Who has rung.
#include "runnel/base/bell.hpp"

#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel {
namespace bell_test {

TEST(Bell, AnswerGivesEachWhoHasRungOnce) {
    std::mt19937_64 random{test::seed()};
    Bell bell;
    for (int round = 0; round < 200; ++round) {
        std::set<unsigned> rang;
        for (auto n = random() % 20; n > 0; --n) {
            const auto sender = static_cast<unsigned>(random() % Bell::most_cores);
            rang.insert(sender);
            bell.ring(sender);
        }
        Bell::Set senders{};
        bell.answer(senders);
        auto from = static_cast<unsigned>(random() % Bell::most_cores);
        std::vector<unsigned> order;
        while (!Bell::empty(senders)) {
            order.push_back(Bell::first(senders, from));
            ASSERT_EQ(rang.erase(order.back()), 1U);
            Bell::remove(senders, order.back());
        }
        EXPECT_TRUE(rang.empty());
        // Within a word the first is the next from there on, so that no sender is passed over for ever.
        for (std::size_t i = 1; i < order.size(); ++i)
            if (order[i] / 64 == order[i - 1] / 64 && order[i - 1] < from) {
                EXPECT_LT(order[i - 1], order[i]);
            }
        bell.answer(senders);
        EXPECT_TRUE(Bell::empty(senders));
    }
}

TEST(Bell, NoRingIsLostBetweenThreads) {
    Bell bell;
    constexpr unsigned rings = 100'000;
    std::array<std::atomic<unsigned>, 2> left{};  // as mailboxes would hold
    std::vector<std::thread> ringers;
    for (unsigned sender = 0; sender < 2; ++sender)
        ringers.emplace_back([&, sender] {
            for (unsigned i = 0; i < rings; ++i) {
                left[sender].fetch_add(1, std::memory_order_relaxed);
                bell.ring(64 * sender);
            }
        });
    unsigned got = 0;
    while (got < 2 * rings) {
        Bell::Set senders{};
        bell.answer(senders);
        if (Bell::empty(senders)) std::this_thread::yield();
        while (!Bell::empty(senders)) {
            const unsigned sender = Bell::first(senders, 0);
            Bell::remove(senders, sender);
            got += left[sender / 64].exchange(0, std::memory_order_relaxed);
        }
    }
    for (std::thread& ringer : ringers) ringer.join();
    EXPECT_EQ(got, 2 * rings);
}

}  // namespace bell_test
}  // namespace runnel
