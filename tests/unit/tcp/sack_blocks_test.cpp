// The SACK blocks that are reported (RFC 2018 section 4, RFC 2883), against a set of octets and a list of
// arrivals.
#include "runnel/tcp/sack_blocks.hpp"

#include <array>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace sack_blocks_test {

constexpr SeqNum start{0xffff'ff00U};  // the numbers come round within each test
using Blocks = std::vector<wire::SackBlock>;

Blocks listed(const SackBlocks& reported) {
    std::array<wire::SackBlock, wire::tcp_max_sack_blocks> out;
    const std::size_t n = reported.list(out);
    return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n)};
}
wire::SackBlock block(std::uint32_t left, std::uint32_t right) {
    return {start + left, start + right};
}

TEST(Rfc2018, BlockOfTheLastArrivalComesFirst) {
    SackBlocks reported;
    reported.held(start + 100, start + 200);
    reported.held(start + 300, start + 400);
    reported.held(start + 500, start + 600);
    EXPECT_EQ(listed(reported), (Blocks{block(500, 600), block(300, 400), block(100, 200)}));
    reported.held(start + 200, start + 250);  // joins the oldest, which comes first then
    EXPECT_EQ(listed(reported), (Blocks{block(100, 250), block(500, 600), block(300, 400)}));
    reported.held(start + 250, start + 300);  // closes a gap
    EXPECT_EQ(listed(reported), (Blocks{block(100, 400), block(500, 600)}));
}

TEST(Rfc2018, FifthBlockDrivesOutTheOldest) {
    SackBlocks reported;
    for (std::uint32_t i = 0; i < 5; ++i) reported.held(start + 100 * i, start + 100 * i + 50);
    EXPECT_EQ(listed(reported), (Blocks{block(400, 450), block(300, 350), block(200, 250), block(100, 150)}));
}

TEST(Rfc2018, WhatIsInOrderIsNoLongerReported) {
    SackBlocks reported;
    EXPECT_FALSE(reported.any());
    reported.held(start + 100, start + 200);
    reported.held(start + 300, start + 400);
    reported.in_order(start + 200);
    EXPECT_EQ(listed(reported), (Blocks{block(300, 400)}));
    reported.in_order(start + 350);  // an application that has been given part of it
    EXPECT_EQ(listed(reported), (Blocks{block(350, 400)}));
    reported.in_order(start + 400);
    EXPECT_FALSE(reported.any());
}

TEST(Rfc2883, DuplicateComesFirstAndOnce) {
    SackBlocks reported;
    reported.repeated(start, start + 50);
    EXPECT_TRUE(reported.any() && reported.duplicate_due());
    EXPECT_EQ(listed(reported), (Blocks{block(0, 50)}));
    reported.duplicate_reported();
    EXPECT_FALSE(reported.any());
}

TEST(Rfc2883, DuplicateWithinABlockIsFollowedByThatBlock) {
    SackBlocks reported;
    for (std::uint32_t i = 1; i < 5; ++i) reported.held(start + 100 * i, start + 100 * i + 50);
    reported.repeated(start + 210, start + 220);
    EXPECT_EQ(listed(reported), (Blocks{block(210, 220), block(200, 250), block(400, 450), block(300, 350)}));
    reported.duplicate_reported();
    EXPECT_EQ(listed(reported), (Blocks{block(200, 250), block(400, 450), block(300, 350), block(100, 150)}));
}

// What is held is a set of octets. Each arrival makes the list new: first the stretch that the reported
// blocks make with it, then what was listed before and is no part of it.
TEST(SackBlocks, FollowAModel) {
    std::mt19937_64 random{test::seed()};
    std::set<std::uint32_t> held;
    std::uint32_t next = 0;
    SackBlocks reported;
    for (int step = 0; step < 20'000; ++step) {
        SCOPED_TRACE("step " + std::to_string(step));
        const Blocks before = listed(reported);
        if (random() % 4 != 0) {
            const auto left = next + 1 + static_cast<std::uint32_t>(random() % 200);
            const auto right = left + 1 + static_cast<std::uint32_t>(random() % 20);
            for (std::uint32_t i = left; i < right; ++i) held.insert(i);
            reported.held(start + left, start + right);
            const Blocks now = listed(reported);
            ASSERT_FALSE(now.empty());
            ASSERT_TRUE(now[0].left <= start + left && start + right <= now[0].right)
                << "the newest is first";
            std::size_t at = 1;
            for (const wire::SackBlock& old : before) {
                const bool part = now[0].left <= old.left && old.right <= now[0].right;
                if (part || at == wire::tcp_max_sack_blocks) continue;
                ASSERT_LT(at, now.size());
                ASSERT_EQ(now[at], old) << "the others keep their order";
                ++at;
            }
            ASSERT_EQ(at, now.size());
        } else {
            next += static_cast<std::uint32_t>(random() % 60);
            while (held.contains(next)) ++next;
            held.erase(held.begin(), held.lower_bound(next));
            reported.in_order(start + next);
        }
        const Blocks now = listed(reported);
        ASSERT_EQ(reported.any(), !now.empty());
        for (std::size_t i = 0; i < now.size(); ++i) {
            ASSERT_LT(now[i].left, now[i].right);
            ASSERT_GT(now[i].left, start + next) << "above what is in order";
            for (std::uint32_t at = now[i].left - start; at < now[i].right - start; ++at)
                ASSERT_TRUE(held.contains(at)) << "only what is held";
            for (std::size_t j = 0; j < i; ++j)
                ASSERT_TRUE(now[i].right < now[j].left || now[j].right < now[i].left) << "apart";
        }
    }
    EXPECT_GT(next, 0x100U) << "past where the numbers come round";
}

}  // namespace sack_blocks_test
}  // namespace runnel::tcp
