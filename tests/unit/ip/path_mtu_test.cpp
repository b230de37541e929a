// The table of lowered path MTUs: RFC 1191.
#include "runnel/ip/path_mtu.hpp"

#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "network.hpp"
#include "seed.hpp"

namespace runnel::ip {
namespace path_mtu_test {

constexpr std::uint16_t interface_mtu = 1500;
constexpr HashKey key{1, 2};

TEST(Rfc1191, PlateausAreThoseOfSection7) {
    EXPECT_EQ(plateau_below(65535), 32000);
    EXPECT_EQ(plateau_below(32000), 17914);
    EXPECT_EQ(plateau_below(1500), 1492);
    EXPECT_EQ(plateau_below(1492), 1006);
    EXPECT_EQ(plateau_below(1006), 508);
    EXPECT_EQ(plateau_below(69), 68);
    EXPECT_EQ(plateau_below(68), 68);
    EXPECT_EQ(plateau_below(0), 68);
}

struct Table {
    explicit Table(const Config& config = test::plain_config()) : table(config, key, counters) {}
    std::uint16_t lower(std::uint32_t destination, std::uint16_t mtu, Instant now) {
        return table.lower(Ipv4Address{destination}, interface_mtu, mtu, now);
    }
    [[nodiscard]] std::uint16_t mtu_for(std::uint32_t destination, Instant now) const {
        return table.mtu_for(Ipv4Address{destination}, interface_mtu, now);
    }
    Counters counters;
    PathMtuTable table;
};

TEST(Rfc1191, PathMtuIsLoweredAndNeverRaisedByAMessage) {
    Table t;
    const Instant now{1s};
    EXPECT_EQ(t.mtu_for(7, now), 1500);
    EXPECT_EQ(t.lower(7, 1400, now), 1400);
    EXPECT_EQ(t.lower(7, 1450, now), 1400);
    EXPECT_EQ(t.lower(7, 65535, now), 1400);
    EXPECT_EQ(t.lower(7, 1300, now), 1300);
    EXPECT_EQ(t.mtu_for(7, now), 1300);
    EXPECT_EQ(t.mtu_for(8, now), 1500);
    EXPECT_EQ(t.counters.get(Counter::path_mtu_lowered), 2U);
    EXPECT_EQ(t.counters.get(Counter::path_mtu_displaced), 0U);
}

TEST(Rfc1191, PathMtuNeverFallsBelowTheFloor) {
    Config config = test::plain_config();
    for (const std::uint16_t floor : {std::uint16_t{68}, std::uint16_t{552}, std::uint16_t{576}}) {
        config.path_mtu_floor = floor;
        for (const std::uint16_t mtu : std::vector<std::uint16_t>{0, 1, 67, 68, 551, 552}) {
            Table t{config};
            EXPECT_EQ(t.lower(7, mtu, Instant{1s}), std::max(mtu, floor)) << mtu;
        }
    }
}

TEST(Rfc1191, PathMtuIsForgottenAfterTenMinutesAndNoEarlier) {
    Table t;
    const Instant told{1s};
    t.lower(7, 1400, told);
    EXPECT_EQ(t.mtu_for(7, told + 10min - 1ns), 1400);
    EXPECT_EQ(t.mtu_for(7, told + 10min), 1500);
    EXPECT_EQ(t.lower(7, 1450, told + 10min), 1450);
    EXPECT_EQ(t.mtu_for(7, told + 20min - 1ns), 1450);
}

TEST(Rfc1191, AMessageOfTheSameMtuBeginsTheTimeAnew) {
    Table t;
    const Instant told{1s};
    t.lower(7, 1400, told);
    EXPECT_EQ(t.lower(7, 1400, told + 9min), 1400);
    EXPECT_EQ(t.lower(7, 1450, told + 18min), 1400);  // and a larger one does not
    EXPECT_EQ(t.mtu_for(7, told + 19min - 1ns), 1400);
    EXPECT_EQ(t.mtu_for(7, told + 19min), 1500);
    EXPECT_EQ(t.counters.get(Counter::path_mtu_lowered), 1U);
}

TEST(PathMtuTable, HasRoomForAsManyAsConfiguredAndForgetsTheOldestOfABucket) {
    Config config = test::plain_config();
    config.path_mtu_capacity = 4;  // one bucket
    Table t{config};
    for (std::uint32_t i = 1; i <= 4; ++i) t.lower(i, 1400, Instant{i * 1s});
    for (std::uint32_t i = 1; i <= 4; ++i) EXPECT_EQ(t.mtu_for(i, Instant{5s}), 1400);
    EXPECT_EQ(t.counters.get(Counter::path_mtu_displaced), 0U);
    t.lower(1, 1300, Instant{6s});
    t.lower(5, 1400, Instant{7s});
    EXPECT_EQ(t.mtu_for(2, Instant{7s}), 1500);
    for (const std::uint32_t i : {1U, 3U, 4U, 5U}) EXPECT_LT(t.mtu_for(i, Instant{7s}), 1500) << i;
    EXPECT_EQ(t.counters.get(Counter::path_mtu_displaced), 1U);
}

TEST(PathMtuTable, AgreesWithAMapUnderRandomMessages) {
    struct Known {
        std::uint16_t mtu;
        Instant until;
    };
    std::mt19937_64 random{test::seed()};
    Table t;  // far more room than destinations: no bucket of these overflows
    std::map<std::uint32_t, Known> model;
    Instant now{};
    for (int i = 0; i < 20000; ++i) {
        now += Duration{static_cast<std::int64_t>(random() % 30'000'000'000ULL)};
        const auto destination = static_cast<std::uint32_t>(random() % 40 + 1);
        const auto mtu = static_cast<std::uint16_t>(random() % 2000);
        const auto known = model.find(destination);
        const std::uint16_t before =
            known != model.end() && now < known->second.until ? known->second.mtu : interface_mtu;
        ASSERT_EQ(t.mtu_for(destination, now), before);
        if (random() % 4 != 0) continue;
        const std::uint16_t wanted = std::max<std::uint16_t>(mtu, 552);
        if (wanted <= before && wanted < interface_mtu) model[destination] = {wanted, now + 10min};
        ASSERT_EQ(t.lower(destination, mtu, now), std::min(wanted, before));
    }
    ASSERT_EQ(t.counters.get(Counter::path_mtu_displaced), 0U) << "choose another seed for the key";
}

}  // namespace path_mtu_test
}  // namespace runnel::ip
