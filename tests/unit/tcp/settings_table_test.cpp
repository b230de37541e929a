// Settings by an 8-bit index, counted by who names them.
#include "runnel/tcp/settings_table.hpp"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace settings_table_test {

Settings numbered(std::uint32_t n) {
    Settings settings;
    settings.user_timeout = Duration{n + 1};
    settings.dscp = static_cast<std::uint8_t>(n % 64);
    return settings;
}

TEST(SettingsTable, PlainSettingsCostNothing) {
    SettingsTable table;
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(table.acquire({}), SettingsTable::plain);
    table.release(SettingsTable::plain);
    EXPECT_EQ(table[SettingsTable::plain], Settings{});
}

TEST(SettingsTable, EqualSettingsShareAnIndex) {
    SettingsTable table;
    const std::uint16_t a = table.acquire(numbered(1));
    const std::uint16_t b = table.acquire(numbered(2));
    ASSERT_LT(a, SettingsTable::none);
    EXPECT_NE(a, SettingsTable::plain);
    EXPECT_NE(a, b);
    EXPECT_EQ(table.acquire(numbered(1)), a);
    EXPECT_EQ(table.acquire(numbered(2)), b);
    EXPECT_EQ(table[static_cast<std::uint8_t>(a)], numbered(1));
}

TEST(SettingsTable, FullTableRefusesWhatItDoesNotKnowAndSharesWhatItKnows) {
    SettingsTable table;
    std::vector<std::uint16_t> indices;
    for (std::uint32_t i = 0; i < 255; ++i) indices.push_back(table.acquire(numbered(i)));
    EXPECT_EQ(table.acquire(numbered(255)), SettingsTable::none);
    EXPECT_EQ(table.acquire(numbered(17)), indices[17]);
    EXPECT_EQ(table.acquire({}), SettingsTable::plain);
    table.release(static_cast<std::uint8_t>(indices[17]));
    EXPECT_EQ(table.acquire(numbered(255)), SettingsTable::none) << "it has a second user";
    table.release(static_cast<std::uint8_t>(indices[17]));
    EXPECT_EQ(table.acquire(numbered(255)), indices[17]);
    EXPECT_EQ(table[static_cast<std::uint8_t>(indices[17])], numbered(255));
}

TEST(SettingsTable, FollowsAModel) {
    std::mt19937_64 random{test::seed()};
    SettingsTable table;
    struct Users {
        std::uint16_t index;
        std::uint32_t count;
    };
    std::map<std::uint32_t, Users> model;  // of settings in use, by their number
    for (int step = 0; step < 50'000; ++step) {
        const auto n = static_cast<std::uint32_t>(random() % 300);
        const auto found = model.find(n);
        if (random() % 2 == 0) {
            const std::uint16_t index = table.acquire(numbered(n));
            if (found != model.end()) {
                ASSERT_EQ(index, found->second.index);
                ++found->second.count;
            } else if (model.size() == 255) {
                ASSERT_EQ(index, SettingsTable::none);
            } else {
                ASSERT_LT(index, SettingsTable::none);
                for (const auto& [number, users] : model) ASSERT_NE(users.index, index) << number;
                model[n] = {index, 1};
            }
        } else if (found != model.end()) {
            const auto index = static_cast<std::uint8_t>(found->second.index);
            if (random() % 4 == 0) {
                table.add_user(index);
                ++found->second.count;
            } else {
                table.release(index);
                if (--found->second.count == 0) model.erase(found);
            }
        }
        for (const auto& [number, users] : model)
            ASSERT_EQ(table[static_cast<std::uint8_t>(users.index)], numbered(number));
    }
}

}  // namespace settings_table_test
}  // namespace runnel::tcp
