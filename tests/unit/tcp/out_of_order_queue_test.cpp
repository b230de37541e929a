// Segments that came before their turn (RFC 9293 SHLD-31), against a map of octets.
#include "runnel/tcp/out_of_order_queue.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "mbufs.hpp"
#include "seed.hpp"

namespace runnel::tcp {
namespace out_of_order_queue_test {

using test::octets_at;
using test::octets_of;
using Outcome = OutOfOrderQueue::Outcome;

// Each test's numbers start just before they come round.
constexpr SeqNum start{0xffff'ff00U};

class OutOfOrderQueueTest : public testing::Test {
  protected:
    /// A segment with the octets of the stream from `position` on; octet 0 stands at `start`.
    Outcome insert(std::uint32_t position, std::uint32_t length, std::uint32_t limit = 1U << 20) {
        rte_mbuf* payload = mbufs_.packet(octets_at(position, length),
                                          static_cast<unsigned>(1 + random_() % most_parts_), random_);
        parts_ = payload->nb_segs;
        const Outcome outcome = queue_.insert(payload, start + position, limit, stash_);
        if (outcome != Outcome::held) rte_pktmbuf_free(payload);  // it stays the caller's
        return outcome;
    }
    /// The octets that `pop` gives at `position`; empty where it gives none.
    test::Octets pop(std::uint32_t position) {
        rte_mbuf* payload = queue_.pop(start + position, stash_);
        if (payload == nullptr) return {};
        test::Octets octets = octets_of(payload);
        EXPECT_FALSE(octets.empty());
        stash_.put(payload);
        return octets;
    }
    void follow_a_model();
    [[nodiscard]] std::size_t missing() const { return mbufs_.missing(stash_); }

    std::mt19937_64 random_{test::seed()};
    unsigned most_parts_ = 3;  // of the chains that come
    std::uint32_t parts_ = 0;  // of the last one
    const test::Mbufs mbufs_;
    MbufStash stash_{mbufs_.pool(), {}};
    OutOfOrderQueue queue_{};
};

// Segments come at random ahead of the next octet, until some 390,000 octets of the stream are through.
void OutOfOrderQueueTest::follow_a_model() {
    constexpr std::uint32_t limit = 12000;
    std::vector<bool> held(420'000);  // the model: which octets of the stream are in the queue
    std::uint32_t next = 0;           // RCV.NXT
    std::uint32_t inserted = 0;       // segments since the queue was last empty
    for (int step = 0; step < 40'000 && next < 390'000; ++step) {
        if (queue_.empty()) inserted = 0;
        if (random_() % 20 != 0) {
            const auto position = next + 1 + static_cast<std::uint32_t>(random_() % 8000);
            const auto length =
                static_cast<std::uint32_t>(random_() % 4 == 0 ? 1 + random_() % 8 : 1 + random_() % 700);
            const auto from = held.begin() + position;
            const auto known = static_cast<std::uint32_t>(std::count(from, from + length, true));
            const std::uint32_t octets = queue_.octets();
            const std::size_t before = missing();
            switch (insert(position, length, limit)) {
                case Outcome::held:
                    // One with nothing new may stand in for others, but costs nothing.
                    if (known == length && most_parts_ == 1) {
                        ASSERT_LE(missing(), before);
                    }
                    ASSERT_EQ(queue_.octets(), octets + length - known);
                    std::fill(from, from + length, true);
                    ++inserted;
                    break;
                case Outcome::duplicate:
                    ASSERT_EQ(known, length);
                    ASSERT_EQ(queue_.octets(), octets);
                    break;
                case Outcome::full:
                    ASSERT_TRUE(queue_.charged() + std::max(length, OutOfOrderQueue::least_charge * parts_) >
                                    limit ||
                                inserted >= OutOfOrderQueue::max_runs);
                    ASSERT_EQ(queue_.octets(), octets);
                    break;
            }
            ASSERT_LE(queue_.octets(), limit);
        } else {
            // What was missing comes, and perhaps more: the queue may hold parts of it.
            next += 1 + static_cast<std::uint32_t>(random_() % 600);
            for (;;) {
                const test::Octets octets = pop(next);
                if (octets.empty()) break;
                ASSERT_EQ(octets, octets_at(next, octets.size()));
                for (std::size_t i = 0; i < octets.size(); ++i) {
                    ASSERT_TRUE(held[next]);
                    held[next++] = false;
                }
            }
            ASSERT_FALSE(held[next]) << "the queue kept what was due";
            // What lies before is of no use any more.
            std::fill(held.begin(), held.begin() + next, false);
        }
        ASSERT_EQ(queue_.octets(), std::count(held.begin() + next, held.begin() + next + 9000, true));
    }
    queue_.clear(stash_);
    EXPECT_TRUE(queue_.empty());
    EXPECT_EQ(queue_.octets(), 0U);
    EXPECT_EQ(missing(), 0U);
}

TEST_F(OutOfOrderQueueTest, GivesBackEachOctetOnceInOrder) {
    most_parts_ = 1;
    follow_a_model();
}

TEST_F(OutOfOrderQueueTest, GivesBackEachOctetOfChainsOnceInOrder) {
    follow_a_model();
}

TEST_F(OutOfOrderQueueTest, SegmentBetweenTwoThatHoldAllOfItIsADuplicate) {
    ASSERT_EQ(insert(10, 20), Outcome::held);
    ASSERT_EQ(insert(30, 20), Outcome::held);
    const std::size_t before = missing();
    EXPECT_EQ(insert(20, 20), Outcome::duplicate);
    EXPECT_EQ(insert(10, 20), Outcome::duplicate);
    EXPECT_EQ(insert(30, 5), Outcome::duplicate);
    EXPECT_EQ(missing(), before) << "no mbuf is spent on what is known";
    queue_.clear(stash_);
}

TEST_F(OutOfOrderQueueTest, SegmentOverSeveralTakesTheirPlace) {
    for (std::uint32_t position = 100; position < 1000; position += 100)
        ASSERT_EQ(insert(position, 50), Outcome::held);
    EXPECT_EQ(insert(75, 860), Outcome::held);
    EXPECT_EQ(queue_.octets(), 875U);
    EXPECT_EQ(pop(75), octets_at(75, 825)) << "the end is cut where the next begins, at 900";
    EXPECT_EQ(pop(900), octets_at(900, 50));
    EXPECT_TRUE(queue_.empty());
    EXPECT_EQ(missing(), 0U);
}

TEST_F(OutOfOrderQueueTest, GapHoldsBackWhatFollows) {
    ASSERT_EQ(insert(10, 5), Outcome::held);
    EXPECT_EQ(pop(9), test::Octets{});
    EXPECT_EQ(queue_.octets(), 5U);
    EXPECT_EQ(pop(12), octets_at(12, 3)) << "what precedes the next octet is cut off";
}

TEST_F(OutOfOrderQueueTest, WhatLiesWhollyBeforeTheNextOctetIsLetGo) {
    for (std::uint32_t position = 10; position < 100; position += 10)
        ASSERT_EQ(insert(position, 5), Outcome::held);
    EXPECT_EQ(pop(98), test::Octets{});
    EXPECT_TRUE(queue_.empty());
    EXPECT_EQ(queue_.octets(), 0U);
    EXPECT_EQ(missing(), 0U);
}

TEST_F(OutOfOrderQueueTest, TinySegmentsAreChargedForTheirMbufs) {
    most_parts_ = 1;
    for (std::uint32_t i = 0; i < 4; ++i)
        ASSERT_EQ(insert(10 + i, 1, 4 * OutOfOrderQueue::least_charge), Outcome::held);
    EXPECT_EQ(insert(14, 1, 4 * OutOfOrderQueue::least_charge), Outcome::full);
    queue_.clear(stash_);
    EXPECT_EQ(missing(), 0U);
}

TEST_F(OutOfOrderQueueTest, SegmentOfManyFragmentsIsChargedForAllItsMbufs) {
    const auto of_parts = [this](std::uint32_t position, unsigned parts) {
        rte_mbuf* const payload = mbufs_.packet(octets_at(position, 100), parts, random_);
        EXPECT_EQ(payload->nb_segs, parts);
        const Outcome outcome =
            queue_.insert(payload, start + position, 100 * OutOfOrderQueue::least_charge, stash_);
        if (outcome != Outcome::held) rte_pktmbuf_free(payload);
        return outcome;
    };
    for (std::uint32_t i = 0; i < 4; ++i) ASSERT_EQ(of_parts(10 + 100 * i, 25), Outcome::held);
    EXPECT_EQ(queue_.charged(), 100 * OutOfOrderQueue::least_charge);
    EXPECT_EQ(of_parts(500, 1), Outcome::full);
    EXPECT_EQ(pop(10), octets_at(10, 100));
    EXPECT_EQ(queue_.charged(), 75 * OutOfOrderQueue::least_charge);
    queue_.clear(stash_);
    EXPECT_EQ(missing(), 0U);
}

TEST_F(OutOfOrderQueueTest, GapsAreLimitedAndSegmentsThatCloseThemAreNot) {
    for (std::uint32_t i = 0; i < OutOfOrderQueue::max_runs; ++i)
        ASSERT_EQ(insert(2 + 2 * i, 1), Outcome::held);
    EXPECT_EQ(insert(0, 1), Outcome::full);
    EXPECT_EQ(insert(8000, 1), Outcome::full);
    EXPECT_EQ(pop(2), octets_at(2, 1));
    EXPECT_EQ(insert(8000, 1), Outcome::held) << "one went, one may come";
    EXPECT_EQ(insert(5, 1), Outcome::held) << "joins two";
    EXPECT_EQ(insert(8001, 1000), Outcome::held) << "joins the last";
    queue_.clear(stash_);
    EXPECT_EQ(missing(), 0U);
}

TEST_F(OutOfOrderQueueTest, OctetsHeldAreLimited) {
    most_parts_ = 1;
    EXPECT_EQ(insert(10, 1001, 1000), Outcome::full);
    EXPECT_EQ(insert(10, 600, 1000), Outcome::held);
    EXPECT_EQ(insert(1000, 401, 1000), Outcome::full);
    EXPECT_EQ(insert(1000, 400, 1000), Outcome::held);
    EXPECT_EQ(queue_.octets(), 1000U);
    queue_.clear(stash_);
}

}  // namespace out_of_order_queue_test
}  // namespace runnel::tcp
