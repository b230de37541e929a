// Goals as a person writes them, and whether a document reaches them.
#include "results/goals.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quantity.hpp"

namespace runnel::results {
namespace goals_test {

using app::BadQuantity;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Document document{
    "test",
    {{"connections", {{"attempted", 2000}, {"failed", 3}, {"unsent", 0}}},
     {"rate", {{"cps", 150000.0}, {"tps", 1.0}, {"goodput_bps", 2e9}}},
     {"drops", {{"tcp_paws", 3}, {"arp_bad", 4}}},
     {"retransmissions", {{"syn", 1}, {"synack", 0}, {"data", 2}, {"fin", 0}, {"rto", 40}}},
     {"latency_us", {{"handshake", {{"intended", {{"count", 10}, {"p99", 750.0}, {"max", 2500.0}}}}}}}}};

bool met(const char* goal) {
    return check(std::vector{parse_goal(goal)}, document).front().met;
}

TEST(Goals, EachComparatorComparesAsItSays) {
    EXPECT_TRUE(met("handshake_p99 < 1ms"));
    EXPECT_FALSE(met("handshake_p99 < 750us"));
    EXPECT_TRUE(met("handshake_p99 <= 750us"));
    EXPECT_FALSE(met("handshake_p99>1ms"));
    EXPECT_TRUE(met("cps >= 150k"));
    EXPECT_FALSE(met("cps > 150k"));
    EXPECT_TRUE(met("drops = 7"));
    EXPECT_FALSE(met("drops = 0"));
}

TEST(Goals, ValuesHaveTheUnitOfTheirMetric) {
    EXPECT_TRUE(met("failures < 0.2 %"));
    EXPECT_FALSE(met("failures < 0.1%"));
    EXPECT_TRUE(met("goodput > 1.9G"));
    EXPECT_TRUE(met("retransmissions = 3"));  // segments: expired timers are none
    EXPECT_TRUE(met("handshake_max < 3ms"));
}

TEST(Goals, WhatWasNotMeasuredIsNotReached) {
    const auto outcome = check(std::vector{parse_goal("transaction_p99 < 1h")}, document).front();
    EXPECT_FALSE(outcome.met);
    EXPECT_EQ(outcome.shown(), "not measured");
    EXPECT_TRUE(to_json(std::vector{outcome})[0]["value"].is_null());
}

TEST(Goals, WrongGoalNamesTheMend) {
    EXPECT_THAT([] { (void)parse_goal("handshake_p98 < 1ms"); },
                ThrowsMessage<BadQuantity>(AllOf(HasSubstr("handshake_p98"), HasSubstr("did you mean"))));
    EXPECT_THAT([] { (void)parse_goal("cps 100k"); },
                ThrowsMessage<BadQuantity>(HasSubstr("compares nothing")));
    EXPECT_THAT([] { (void)parse_goal("handshake_p99 < 5"); },
                ThrowsMessage<BadQuantity>(HasSubstr("no unit")));
    EXPECT_THAT([] { (void)parse_goal("failures < 1ms"); },
                ThrowsMessage<BadQuantity>(HasSubstr("no percentage")));
}

TEST(Goals, EveryMetricThatIsNamedCanBeAGoal) {
    for (const std::string& metric : goal_metrics()) {
        const bool latency = metric.find('_') != std::string::npos;
        const bool share = metric == "failures" || metric == "unsent";
        EXPECT_NO_THROW((void)parse_goal(metric + (latency ? " < 1ms"
                                                   : share ? " < 1 %"
                                                           : " > 1")))
            << metric;
    }
}

TEST(Goals, FailuresAreBoundedByAGoalOrNot) {
    EXPECT_TRUE(bounds_failures(std::vector{parse_goal("cps > 1"), parse_goal("failures < 1 %")}));
    EXPECT_FALSE(bounds_failures(std::vector{parse_goal("cps > 1")}));
}

}  // namespace goals_test
}  // namespace runnel::results
