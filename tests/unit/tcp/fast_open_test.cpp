// What a server and a client keep for Fast Open (RFC 7413).
#include "runnel/tcp/fast_open.hpp"

#include <deque>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "runnel/wire/byte_order.hpp"

#include "seed.hpp"

namespace runnel::tcp {
namespace fast_open_test {

using Verdict = FastOpenCookies::Verdict;

constexpr Ipv4Address client{192, 0, 2, 1};
constexpr Ipv4Address service{192, 168, 0, 1};

TEST(FastOpenCookies, IsGoodInItsHourOldInTheNextAndWrongAfterIt) {
    const FastOpenCookies cookies{HashKey{1, 2}};
    const Instant made{30min};
    const wire::FastOpenCookie cookie = cookies.make(client, service, made);
    EXPECT_EQ(cookie.size, 8);
    EXPECT_EQ(cookies.check(cookie, client, service, made), Verdict::good);
    EXPECT_EQ(cookies.check(cookie, client, service, Instant{1h - 1ns}), Verdict::good);
    EXPECT_EQ(cookies.check(cookie, client, service, Instant{1h}), Verdict::old);
    EXPECT_EQ(cookies.check(cookie, client, service, Instant{2h - 1ns}), Verdict::old);
    EXPECT_EQ(cookies.check(cookie, client, service, Instant{2h}), Verdict::wrong);
    EXPECT_EQ(cookies.check(cookies.make(client, service, Instant{1h}), client, service, made),
              Verdict::wrong);
}

TEST(FastOpenCookies, AnyChangedBitOrLengthIsWrong) {
    const FastOpenCookies cookies{HashKey{test::seed(), 2}};
    const wire::FastOpenCookie cookie = cookies.make(client, service, Instant{1s});
    for (std::size_t bit = 0; bit < 128; ++bit) {
        wire::FastOpenCookie changed = cookie;
        changed.octets[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        EXPECT_EQ(cookies.check(changed, client, service, Instant{1s}), Verdict::wrong) << bit;
    }
    for (std::uint8_t size = 0; size <= 16; ++size) {
        wire::FastOpenCookie changed = cookie;
        changed.size = size;
        EXPECT_EQ(cookies.check(changed, client, service, Instant{1s}),
                  size == 8 ? Verdict::good : Verdict::wrong);
    }
}

TEST(FastOpenCookies, AddressesAndKeysHaveTheirOwn) {
    std::set<std::array<std::byte, 16>> seen;
    for (std::uint64_t key = 1; key <= 10; ++key)
        for (std::uint32_t address = 1; address <= 100; ++address)
            seen.insert(
                FastOpenCookies{HashKey{key, 2}}.make(Ipv4Address{address}, service, Instant{1s}).octets);
    EXPECT_EQ(seen.size(), 1000U);
}

// The cookies were made by Linux 6 under net.ipv4.tcp_fastopen_key.
TEST(FastOpenCookies, UnderASharedKeyAreThoseThatLinuxMakesAndNeverGrowOld) {
    // a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4
    const FastOpenCookies cookies{HashKey{1, 2}, HashKey{0xb2b2b2b2'a1a1a1a1U, 0xd4d4d4d4'c3c3c3c3U}};
    const wire::FastOpenCookie cookie = cookies.make(client, service, Instant{1s});
    EXPECT_EQ(cookie.size, 8);
    EXPECT_EQ(wire::load_be64(cookie.octets.data()), 0x3021'b9d8'8901'7eebU);
    EXPECT_EQ(cookies.check(cookie, client, service, Instant{24h * 365}), Verdict::good);
    EXPECT_EQ(cookies.check(cookie, service, client, Instant{1s}), Verdict::wrong);
    // a0bf63f7-ed803d81-cd641d30-cebc4a90
    const FastOpenCookies others{HashKey{1, 2}, HashKey{0xed803d81'a0bf63f7U, 0xcebc4a90'cd641d30U}};
    EXPECT_EQ(
        wire::load_be64(
            others.make(Ipv4Address{10, 248, 0, 2}, Ipv4Address{192, 168, 0, 2}, Instant{1s}).octets.data()),
        0x00ab'aaab'e8e9'54c2U);
}

TEST(PendingFastOpens, CountsLikeAListOfWhatIsPendingAndWhatWasReset) {
    std::mt19937_64 random{test::seed()};
    for (const std::uint32_t limit : {0U, 1U, 3U, 17U}) {
        PendingFastOpens pending{limit};
        std::uint32_t model = 0;
        std::deque<Instant> resets;
        Instant now{};
        for (int i = 0; i < 5000; ++i) {
            now += Duration{static_cast<std::int64_t>(random() % 20'000'000'000ULL)};
            while (!resets.empty() && resets.front() <= now) resets.pop_front();
            const auto what = random() % 4;
            if (what < 2) {
                const bool room = model + resets.size() < limit;
                ASSERT_EQ(pending.begin(now), room);
                if (room) ++model;
            } else if (model > 0) {
                --model;
                if (what == 2) {
                    pending.end();
                } else {
                    pending.reset(now);
                    resets.push_back(now + 60s);
                }
            }
            ASSERT_EQ(pending.pending(), model);
        }
    }
}

wire::FastOpenCookie cookie_of(std::uint8_t size, unsigned first) {
    wire::FastOpenCookie cookie{.size = size};
    cookie.octets[0] = static_cast<std::byte>(first);
    return cookie;
}

TEST(FastOpenCache, KeepsCookieAndMssOfEachServerUntilAnotherTakesItsPlace) {
    FastOpenCache cache{4, HashKey{3, 4}};  // one bucket
    for (std::uint8_t i = 1; i <= 4; ++i)
        cache.store(Ipv4Address{i}, cookie_of(8, i), static_cast<std::uint16_t>(1000 + i), Instant{i * 1s});
    for (std::uint8_t i = 1; i <= 4; ++i) {
        const FastOpenCache::Known known = cache.find(Ipv4Address{i}, Instant{9s});
        EXPECT_EQ(known.cookie, cookie_of(8, i));
        EXPECT_EQ(known.mss, 1000 + i);
        EXPECT_FALSE(known.refused);
    }
    cache.store(Ipv4Address{1}, cookie_of(16, 11), 1, Instant{10s});
    cache.store(Ipv4Address{5}, cookie_of(4, 5), 2, Instant{11s});
    EXPECT_EQ(cache.find(Ipv4Address{1}, Instant{12s}).cookie, cookie_of(16, 11));
    EXPECT_EQ(cache.find(Ipv4Address{5}, Instant{12s}).cookie, cookie_of(4, 5));
    EXPECT_EQ(cache.find(Ipv4Address{2}, Instant{12s}).cookie.size, 0) << "heard of longest ago";
    EXPECT_FALSE(cache.find(Ipv4Address{2}, Instant{12s}).refused);
}

TEST(FastOpenCache, RefusalForgetsTheCookieAndHoldsForAnHour) {
    FastOpenCache cache{16, HashKey{3, 4}};
    const Ipv4Address server{7};
    cache.store(server, cookie_of(8, 1), 1460, Instant{1s});
    cache.refuse(server, Instant{2s});
    EXPECT_TRUE(cache.find(server, Instant{2s}).refused);
    EXPECT_TRUE(cache.find(server, Instant{1h + 2s - 1ns}).refused);
    EXPECT_FALSE(cache.find(server, Instant{1h + 2s}).refused);
    EXPECT_EQ(cache.find(server, Instant{1h + 2s}).cookie.size, 0);
    cache.refuse(server, Instant{2h});
    cache.store(server, cookie_of(8, 2), 1460, Instant{2h});
    EXPECT_FALSE(cache.find(server, Instant{2h}).refused);
}

TEST(FastOpenCache, OfNoServersKnowsNoneAndTriesNone) {
    FastOpenCache cache{0, HashKey{3, 4}};
    cache.store(Ipv4Address{1}, cookie_of(8, 1), 1460, Instant{1s});
    cache.refuse(Ipv4Address{1}, Instant{1s});
    EXPECT_TRUE(cache.find(Ipv4Address{1}, Instant{1s}).refused);
}

}  // namespace fast_open_test
}  // namespace runnel::tcp
