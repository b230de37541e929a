// Handlers by a 16-bit index, against a map of users.
#include "runnel/tcp/handler_table.hpp"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace handler_table_test {

class Deaf : public Handler {
  public:
    Ownership data(Connection, rte_mbuf&) noexcept override { return Ownership::returned; }
};

TEST(HandlerTable, HandlerKeepsItsIndexWhileItIsUsed) {
    std::mt19937_64 random{test::seed()};
    std::vector<Deaf> handlers(50);
    HandlerTable table;
    std::map<std::uint16_t, std::pair<Handler*, int>> users;  // the model, by index
    for (int step = 0; step < 50'000; ++step) {
        if (random() % 2 == 0) {
            Handler* handler = &handlers[random() % handlers.size()];
            const std::uint16_t index = table.acquire(handler);
            ASSERT_NE(index, HandlerTable::none);
            auto& [known, count] = users[index];
            ASSERT_TRUE(count == 0 || known == handler) << "an index in use was given to another handler";
            for (const auto& [other, entry] : users)
                ASSERT_TRUE(other == index || entry.first != handler || entry.second == 0);
            known = handler;
            ++count;
        } else if (!users.empty()) {
            auto at = users.begin();
            std::advance(at, random() % users.size());
            if (random() % 4 == 0) {
                table.add_user(at->first);
                ++at->second.second;
            }
            table.release(at->first);
            if (--at->second.second == 0) users.erase(at);
        }
        for (const auto& [index, entry] : users) ASSERT_EQ(&table[index], entry.first);
    }
}

TEST(HandlerTable, WhereAllAreInUseOneMustBeGivenUpFirst) {
    std::vector<Deaf> handlers(HandlerTable::none + std::size_t{2});
    HandlerTable table;
    for (std::size_t i = 0; i < HandlerTable::none; ++i) ASSERT_EQ(table.acquire(&handlers[i]), i);
    Handler* const late = &handlers[HandlerTable::none];
    Handler* const later = &handlers[HandlerTable::none + std::size_t{1}];
    EXPECT_EQ(table.acquire(late), HandlerTable::none);
    EXPECT_EQ(table.acquire(&handlers[7]), 7U) << "one that is known may have more users";

    table.release(7);
    EXPECT_EQ(table.acquire(late), HandlerTable::none) << "it has a user yet";
    table.release(7);
    EXPECT_EQ(table.acquire(late), 7U);
    EXPECT_EQ(&table[7], late);
    EXPECT_EQ(table.acquire(&handlers[7]), HandlerTable::none) << "its place is taken";
    EXPECT_EQ(table.acquire(later), HandlerTable::none);
    EXPECT_EQ(&table[65534], &handlers[65534]);

    table.release(65534);
    EXPECT_EQ(table.acquire(&handlers[7]), 65534U);
    EXPECT_EQ(&table[65534], &handlers[7]);
}

}  // namespace handler_table_test
}  // namespace runnel::tcp
