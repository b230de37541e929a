// SYN cookies: what a number and a timestamp bring back, and what they do not.
#include "runnel/tcp/syn_cookies.hpp"

#include <array>
#include <cstdint>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace syn_cookies_test {

class SynCookieTest : public testing::Test {
  protected:
    [[nodiscard]] Flow any_flow() {
        return {Ipv4Address{static_cast<std::uint32_t>(random_())},
                Ipv4Address{static_cast<std::uint32_t>(random_())}, static_cast<std::uint16_t>(random_()),
                static_cast<std::uint16_t>(random_())};
    }
    [[nodiscard]] SeqNum any_number() { return SeqNum{static_cast<std::uint32_t>(random_())}; }
    [[nodiscard]] Instant any_time() { return Instant{std::chrono::nanoseconds{random_() % (1ULL << 60)}}; }

    std::mt19937_64 random_{test::seed()};
    SynCookies cookies_{HashKey{random_(), random_()}, 64};
};

TEST_F(SynCookieTest, BringBackTheLargestMssOfTheTableThatIsNotAboveThePeers) {
    for (std::uint32_t offered = 64; offered < 65536; offered += 1 + offered / 100) {
        const Flow flow = any_flow();
        const SeqNum irs = any_number();
        const Instant now = any_time();
        const SeqNum cookie = cookies_.make(flow, irs, static_cast<std::uint16_t>(offered), now);
        const auto mss = cookies_.check(flow, irs, cookie, now);
        ASSERT_TRUE(mss);
        std::uint32_t expected = 64;
        for (const std::uint16_t entry : SynCookies::mss_table)
            if (entry != 0 && entry <= offered) expected = entry;
        ASSERT_EQ(*mss, expected) << offered;
    }
}

TEST_F(SynCookieTest, AreGoodInTheirSlotAndTheNextOnly) {
    for (int round = 0; round < 1000; ++round) {
        const Flow flow = any_flow();
        const SeqNum irs = any_number();
        const Instant made = any_time();
        const SeqNum cookie = cookies_.make(flow, irs, 1460, made);
        const Duration into_slot = made.time_since_epoch() % SynCookies::slot_length;
        const Instant end = made - into_slot + 2 * SynCookies::slot_length;
        ASSERT_TRUE(cookies_.check(flow, irs, cookie, end - 1ns));
        ASSERT_TRUE(cookies_.outstanding(end - 1ns));
        ASSERT_FALSE(cookies_.outstanding(end));
        // 29 bits of hash, twice.
        ASSERT_FALSE(cookies_.check(flow, irs, cookie, end) && cookies_.check(flow, irs, cookie, end + 64s));
    }
}

TEST_F(SynCookieTest, NoneIsOutstandingBeforeTheFirst) {
    EXPECT_FALSE(cookies_.outstanding(Instant{}));
    EXPECT_FALSE(cookies_.outstanding(any_time()));
}

TEST_F(SynCookieTest, EachBitOfTheTupleTheClientsNumberAndTheKeyCounts) {
    const Flow flow = any_flow();
    const SeqNum irs = any_number();
    const Instant now = any_time();
    const HashKey key{random_(), random_()};
    SynCookies cookies{key, 64};
    std::set<std::uint32_t> seen{cookies.make(flow, irs, 1460, now).value()};
    std::size_t expected = 1;
    const auto add = [&](const Flow& other, SeqNum other_irs) {
        seen.insert(cookies.make(other, other_irs, 1460, now).value());
        ++expected;
    };
    for (unsigned bit = 0; bit < 32; ++bit) {
        Flow other = flow;
        other.remote_address.value ^= 1U << bit;
        add(other, irs);
        other = flow;
        other.local_address.value ^= 1U << bit;
        add(other, irs);
        add(flow, SeqNum{irs.value() ^ 1U << bit});
    }
    for (unsigned bit = 0; bit < 16; ++bit) {
        Flow other = flow;
        other.remote_port = static_cast<std::uint16_t>(other.remote_port ^ 1U << bit);
        add(other, irs);
        other = flow;
        other.local_port = static_cast<std::uint16_t>(other.local_port ^ 1U << bit);
        add(other, irs);
    }
    for (unsigned bit = 0; bit < 64; ++bit) {
        SynCookies a{{key.k0 ^ std::uint64_t{1} << bit, key.k1}, 64};
        SynCookies b{{key.k0, key.k1 ^ std::uint64_t{1} << bit}, 64};
        seen.insert(a.make(flow, irs, 1460, now).value());
        seen.insert(b.make(flow, irs, 1460, now).value());
        expected += 2;
    }
    // 257 draws of 2^29: two are the same once in 16,000 runs, twice that once in half a billion.
    EXPECT_GE(seen.size(), expected - 1);
}

TEST_F(SynCookieTest, IndexIsBoundInToo) {
    for (int round = 0; round < 200; ++round) {
        const Flow flow = any_flow();
        const SeqNum irs = any_number();
        const Instant now = any_time();
        const std::uint32_t cookie = cookies_.make(flow, irs, 1460, now).value();
        int accepted = 0;
        for (std::uint32_t index = 0; index < 8; ++index)
            accepted += cookies_.check(flow, irs, SeqNum{(cookie & ~7U) | index}, now) ? 1 : 0;
        ASSERT_LE(accepted, 2);  // by chance once in 2^28; three never
        ASSERT_GE(accepted, 1);
    }
}

TEST_F(SynCookieTest, NumbersOfNeighbouringTuplesAreSpreadOverTheWholeSpace) {
    Flow flow = any_flow();
    const SeqNum irs = any_number();
    const Instant now = any_time();
    constexpr int tuples = 16'000;
    std::array<int, 16> by_top{}, by_bottom{};
    for (int i = 0; i < tuples; ++i) {
        ++flow.remote_port;
        const std::uint32_t number = cookies_.make(flow, irs, 1460, now).value();
        ++by_top[number >> 28];
        ++by_bottom[number >> 3 & 15];
    }
    for (const auto& counts : {by_top, by_bottom})
        for (const int n : counts) EXPECT_NEAR(n, tuples / 16, 200);
}

TEST_F(SynCookieTest, TimestampsHoldTheOptionsAndAreTheLatestThatDo) {
    for (int round = 0; round < 20'000; ++round) {
        CookieOptions options;
        options.window_scaling = random_() % 4 != 0;
        options.snd_wscale =
            options.window_scaling ? static_cast<std::uint8_t>(random_() % 15) : std::uint8_t{0};
        options.sack_permitted = random_() % 2 != 0;
        options.ecn = random_() % 2 != 0;
        // Every second one near the point where the clock comes round.
        const auto now = static_cast<std::uint32_t>(round % 2 == 0 ? random_() : random_() % 200 - 100);
        const std::uint32_t stamp = timestamp_with(options, now);
        ASSERT_LT(now - stamp, 64U);
        ASSERT_EQ(options_in_timestamp(stamp), options);
    }
}

TEST_F(SynCookieTest, EveryTimestampSaysSomethingThatCanBe) {
    for (std::uint32_t stamp = 0; stamp < 64; ++stamp) {
        const CookieOptions options = options_in_timestamp(stamp);
        EXPECT_LE(options.snd_wscale, 14);
        EXPECT_TRUE(options.window_scaling || options.snd_wscale == 0);
    }
}

}  // namespace syn_cookies_test
}  // namespace runnel::tcp
