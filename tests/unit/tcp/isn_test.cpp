// Initial sequence numbers (RFC 6528) and timestamp offsets.
#include "runnel/tcp/isn.hpp"

#include <array>
#include <cstdint>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace isn_test {

class IsnTest : public testing::Test {
  protected:
    [[nodiscard]] Flow any_flow() {
        return {Ipv4Address{static_cast<std::uint32_t>(random_())},
                Ipv4Address{static_cast<std::uint32_t>(random_())}, static_cast<std::uint16_t>(random_()),
                static_cast<std::uint16_t>(random_())};
    }
    [[nodiscard]] Instant any_time() { return Instant{std::chrono::nanoseconds{random_() % (1ULL << 60)}}; }
    [[nodiscard]] std::uint32_t isn(const Flow& flow, Instant now) const {
        return initial_numbers(secret_, flow, now).iss.value();
    }

    std::mt19937_64 random_{test::seed()};
    const HashKey key_{random_(), random_()};
    const BlockPrf secret_{key_};
};

TEST_F(IsnTest, NumbersOfOneTupleMoveOnByOneEachFourMicroseconds) {
    for (int round = 0; round < 10'000; ++round) {
        const Flow flow = any_flow();
        const Instant now = any_time();
        const auto steps = static_cast<std::uint32_t>(random_() % (1U << 31));
        // Modulo 2^32: it comes round after 4.77 hours.
        ASSERT_EQ(isn(flow, now + std::chrono::microseconds{4} * std::int64_t{steps}) - isn(flow, now),
                  steps);
    }
    const Flow flow = any_flow();
    const Instant now = any_time();
    EXPECT_EQ(isn(flow, now + 1s) - isn(flow, now), 250'000U);
    EXPECT_EQ(isn(flow, now + std::chrono::microseconds{4} * (std::int64_t{1} << 32)), isn(flow, now));
}

TEST_F(IsnTest, NumbersOfNeighbouringTuplesAreSpreadOverTheWholeSpace) {
    Flow flow = any_flow();
    const Instant now = any_time();
    constexpr int tuples = 16'000;
    std::array<int, 16> by_top{}, by_bottom{}, by_step{};
    std::uint32_t last = 0;
    for (int i = 0; i < tuples; ++i) {
        ++flow.remote_port;
        const std::uint32_t number = isn(flow, now);
        ++by_top[number >> 28];
        ++by_bottom[number & 15];
        ++by_step[(number - last) >> 28];
        last = number;
    }
    // 1000 expected in each; 200 are more than six standard deviations.
    for (const auto& counts : {by_top, by_bottom, by_step})
        for (const int n : counts) EXPECT_NEAR(n, tuples / 16, 200);
}

TEST_F(IsnTest, EachPartOfTheTupleAndOfTheSecretCounts) {
    const Flow flow = any_flow();
    const Instant now = any_time();
    std::set<std::uint32_t> numbers{isn(flow, now)},
        offsets{initial_numbers(secret_, flow, now).timestamp_offset};
    const auto add = [&](const HashKey& key, const Flow& other) {
        const InitialNumbers initial = initial_numbers(BlockPrf{key}, other, now);
        numbers.insert(initial.iss.value());
        offsets.insert(initial.timestamp_offset);
    };
    std::size_t expected = 1;
    for (int bit = 0; bit < 32; ++bit) {
        Flow other = flow;
        other.remote_address.value ^= 1U << bit;
        add(key_, other);
        other = flow;
        other.local_address.value ^= 1U << bit;
        add(key_, other);
        expected += 2;
    }
    for (int bit = 0; bit < 16; ++bit) {
        Flow other = flow;
        other.remote_port = static_cast<std::uint16_t>(other.remote_port ^ 1U << bit);
        add(key_, other);
        other = flow;
        other.local_port = static_cast<std::uint16_t>(other.local_port ^ 1U << bit);
        add(key_, other);
        expected += 2;
    }
    for (int bit = 0; bit < 64; ++bit) {
        add({key_.k0 ^ std::uint64_t{1} << bit, key_.k1}, flow);
        add({key_.k0, key_.k1 ^ std::uint64_t{1} << bit}, flow);
        expected += 2;
    }
    // Two of 257 random numbers are the same once in 130,000 runs; twice never.
    EXPECT_GE(numbers.size(), expected - 1);
    EXPECT_GE(offsets.size(), expected - 1);
}

TEST_F(IsnTest, TimestampOffsetOfATupleStaysFromOneIncarnationToTheNext) {
    for (int round = 0; round < 1000; ++round) {
        const Flow flow = any_flow();
        ASSERT_EQ(initial_numbers(secret_, flow, any_time()).timestamp_offset,
                  initial_numbers(secret_, flow, any_time()).timestamp_offset);
    }
}

}  // namespace isn_test
}  // namespace runnel::tcp
