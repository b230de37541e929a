// Counters and the table that describes them.
#include "runnel/base/counters.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace runnel {
namespace counters_test {

bool is_snake_case(std::string_view name) {
    return std::ranges::all_of(
        name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

TEST(CounterDescriptions, AreOneOfAKindAndInSnakeCase) {
    std::set<std::string_view> names;
    std::set<std::string_view> sentences;
    const auto check = [&](const CounterDescription& description) {
        EXPECT_TRUE(is_snake_case(description.name)) << description.name;
        EXPECT_TRUE(names.insert(description.name).second) << description.name;
        EXPECT_TRUE(sentences.insert(description.sentence).second) << description.sentence;
    };
    for (const CounterDescription& description : counter_descriptions()) check(description);
    for (const CounterDescription& description : drop_descriptions()) check(description);
}

TEST(CounterDescriptions, StandInTheOrderOfTheEnums) {
    EXPECT_EQ(counter_descriptions()[static_cast<std::size_t>(Counter::tcp_established)].name,
              "tcp_established");
    EXPECT_EQ(drop_descriptions()[static_cast<std::size_t>(DropReason::tcp_paws)].name, "tcp_paws");
    EXPECT_EQ(drop_descriptions().front().name, "ethernet_truncated");
}

TEST(Counters, CountEachOnItsOwn) {
    Counters counters;
    counters.add(Counter::frames_in, 3);
    counters.add(Counter::frames_in);
    counters.drop(DropReason::frame_too_long, 2);
    for (std::size_t i = 0; i < counter_count; ++i)
        EXPECT_EQ(counters.get(static_cast<Counter>(i)),
                  i == static_cast<std::size_t>(Counter::frames_in) ? 4U : 0U);
    for (std::size_t i = 0; i < drop_count; ++i)
        EXPECT_EQ(counters.get(static_cast<DropReason>(i)),
                  i == static_cast<std::size_t>(DropReason::frame_too_long) ? 2U : 0U);
}

}  // namespace counters_test
}  // namespace runnel
