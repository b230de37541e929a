// What a result says of datagrams, and of a target that answers nothing.
#include "engine/datagram_result.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/goals.hpp"

namespace runnel::load {
namespace datagram_result_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Result requests() {
    Result r;
    r.recipe = Recipe::udp_rr;
    r.asked_tps = 100;
    r.tps = 100;
    r.transactions = {.planned = 1000, .asked = 1000, .answered = 1000};
    r.datagrams.flows = r.datagrams.flows_answered = r.datagrams.flows_ours = r.datagrams.flows_reported = 4;
    r.datagrams.to_server = {
        .planned = 1000, .sent = 1000, .sent_known = 1000, .counts = {.received = 1000, .unique = 1000}};
    return r;
}
Result one_way() {
    Result r = requests();
    r.recipe = Recipe::udp_oneway;
    r.asked_tps.reset();
    r.asked_dps = 100;
    r.transactions = {};
    return r;
}

TEST(DatagramResult, WhatIsWhollyAnsweredIsValid) {
    EXPECT_EQ(judge_datagrams(requests()).exit_status(), ExitStatus::good);
    EXPECT_EQ(judge_datagrams(one_way()).exit_status(), ExitStatus::good);
}

TEST(DatagramResult, ARequestWithoutAnAnswerFailsTheRunUnlessAGoalSaysHowMany) {
    Result r = requests();
    r.transactions.answered = 990;
    r.transactions.lost = 10;
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::failed);
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("10 of 1000 requests"));
    r.datagrams.undelivered[static_cast<std::size_t>(Undelivered::port)] = 10;
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("10 times \"port unreachable\""));
    r.failures_bounded = true;
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::valid);
    const auto loss = results::parse_goal("loss < 2 %");
    EXPECT_TRUE(results::bounds_failures(std::array{loss}));
}

TEST(DatagramResult, LossOneWayFailsARateAndNotWhatGoesAsFastAsItCan) {
    Result r = one_way();
    r.datagrams.to_server.counts = {.received = 900, .unique = 900, .missing = 100};
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::failed);
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("100 of 1000 datagrams were lost (10 %)"));
    r.asked_dps.reset();
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::valid);
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("(10 %)"));
    r.datagrams.to_server.counts = {.missing = 1000};
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::failed) << "nothing arrived";
}

TEST(DatagramResult, AnAccountThatDoesNotCloseFails) {
    Result r = one_way();
    r.datagrams.to_server.counts.unique = 999;
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("to the server does not close: residual 1"));
    r = requests();
    r.transactions.answered = 999;
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("residual 1"));
}

TEST(DatagramResult, FlowsWithoutAnAnswerOrAnAccountFailTheRun) {
    Result r = requests();
    r.datagrams.flows_answered = 3;
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("1 of 4 flows had no answer"));
    r = one_way();
    r.datagrams.flows_reported = 2;
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("2 of 4 servers' accounts did not come"));
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::failed);
}

TEST(DatagramResult, SaysWhoWasTheLimit) {
    Result r = requests();
    r.transactions = {.planned = 1000, .unsent = 100, .asked = 900, .answered = 900};
    r.datagrams.to_server.unsent = 100;
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::generator_limited);
    r.datagrams.unsent_full = 100;
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::failed);
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("the target is the limit"));
    r = one_way();
    r.datagrams.to_client = {
        .planned = 1000, .unsent = 500, .sent = 500, .sent_known = 500, .counts = {.unique = 500}};
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::failed);
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("servers did not send"));
}

TEST(DatagramResult, WhereNobodyReportsIsSaid) {
    Result r = one_way();
    r.datagrams.flows_ours = r.datagrams.flows_reported = 0;
    r.datagrams.to_server.sent_known = 0;
    r.datagrams.to_server.counts = {};
    EXPECT_EQ(judge_datagrams(r).verdict, Verdict::valid);
    EXPECT_THAT(judge_datagrams(r).reason, HasSubstr("nobody has said what arrived"));
}

TEST(DatagramResult, GoalsMayBeAboutLossCopiesAndOrder) {
    Result r = one_way();
    r.datagrams.to_server.counts = {
        .received = 1000, .unique = 980, .duplicated = 20, .missing = 20, .reordered = 49};
    r.dps_to_server = 98;
    const results::Document document{"test", to_json(r)};
    const auto value = [&](const char* goal) {
        return results::check(std::array{results::parse_goal(goal)}, document).front().value;
    };
    EXPECT_DOUBLE_EQ(value("loss < 1 %"), 2);
    EXPECT_DOUBLE_EQ(value("failures < 1 %"), 2);
    EXPECT_DOUBLE_EQ(value("duplicates < 1 %"), 2);
    EXPECT_DOUBLE_EQ(value("reordered < 1 %"), 5);
    EXPECT_DOUBLE_EQ(value("dps > 1"), 98);
    EXPECT_DOUBLE_EQ(value("unsent < 1 %"), 0);
}

TEST(Unanswered, ReasonSaysWhatIsKnown) {
    Result r;
    r.target = "10.0.0.9:80";
    r.next_hop = "10.0.0.1";
    EXPECT_THAT(judge_unanswered(r).reason,
                AllOf(HasSubstr("10.0.0.9:80 answers nothing"), HasSubstr("filter")));
    EXPECT_EQ(judge_unanswered(r).exit_status(), ExitStatus::goal_missed);
    r.connections.refused = 5;
    EXPECT_THAT(judge_unanswered(r).reason, HasSubstr("10.0.0.9:80 refuses connections"));
    r.connections = {};
    r.recipe = Recipe::udp_rr;
    r.datagrams.strange = 1;
    EXPECT_THAT(judge_unanswered(r).reason, HasSubstr("nothing of this recipe"));
    r.datagrams.undelivered[static_cast<std::size_t>(Undelivered::port)] = 3;
    EXPECT_THAT(judge_unanswered(r).reason, HasSubstr("port unreachable, nothing listens there"));
    r.datagrams = {};
    r.counters.drops[static_cast<std::size_t>(DropReason::neighbour_unreachable)] = 1;
    EXPECT_THAT(judge_unanswered(r).reason,
                AllOf(HasSubstr("link address of 10.0.0.1 (ARP)"), HasSubstr("10.0.0.9:80")));
    r.next_hop = "2001:db8::1";
    EXPECT_THAT(judge_unanswered(r).reason, HasSubstr("(neighbour discovery)"));
}

// RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 sections 3.1 and 3.3.
TEST(Undelivered, ClassesAreThoseOfBothFamilies) {
    const auto v4 = [](std::uint8_t type, std::uint8_t code) {
        return undelivered_of({.type = type, .code = code, .remote_address = Ipv4Address{10, 0, 0, 1}});
    };
    const auto v6 = [](std::uint8_t type, std::uint8_t code) {
        return undelivered_of({.type = type, .code = code, .remote_address = Ipv6Address::of(1, 1)});
    };
    EXPECT_EQ(v4(3, 3), Undelivered::port);
    EXPECT_EQ(v4(3, 1), Undelivered::host);
    EXPECT_EQ(v4(3, 0), Undelivered::network);
    EXPECT_EQ(v4(3, 13), Undelivered::prohibited);
    EXPECT_EQ(v4(11, 0), Undelivered::expired);
    EXPECT_EQ(v4(3, 4), Undelivered::other);
    EXPECT_EQ(v6(1, 4), Undelivered::port);
    EXPECT_EQ(v6(1, 3), Undelivered::host);
    EXPECT_EQ(v6(1, 0), Undelivered::network);
    EXPECT_EQ(v6(1, 1), Undelivered::prohibited);
    EXPECT_EQ(v6(3, 0), Undelivered::expired);
    EXPECT_EQ(v6(2, 0), Undelivered::other);
}

}  // namespace datagram_result_test
}  // namespace runnel::load
