// Membership in groups as version 3 of IGMP and version 2 of MLD have it: RFC 3376 sections 3 and 5, RFC 3810
// sections 4 and 6. Each test holds for both families.
#include <algorithm>
#include <optional>
#include <span>

#include <gtest/gtest.h>

#include "runnel/ip/group_memberships.hpp"
#include "runnel/ip/group_reporter.hpp"

#include "membership_network.hpp"

namespace runnel::ip {
namespace membership_test {

using namespace test;  // NOLINT: the words in which the tests are written

using Tellings = std::vector<Told>;

class BothFamilies : public testing::TestWithParam<bool> {
  protected:
    Membership host{GetParam()};
    [[nodiscard]] Instant now() const { return host.network.now; }
    [[nodiscard]] SourceFilter including(std::vector<IpAddress> sources) const {
        return {FilterMode::include, std::move(sources)};
    }
    [[nodiscard]] SourceFilter excluding(std::vector<IpAddress> sources) const {
        return {FilterMode::exclude, std::move(sources)};
    }
};
class Rfc3376 : public BothFamilies {};
INSTANTIATE_TEST_SUITE_P(Both, Rfc3376, testing::Bool(), [](const auto& family) {
    return std::string{family.param ? "OverIpv4" : "OverIpv6"};
});

class Rfc4604 : public BothFamilies {};
INSTANTIATE_TEST_SUITE_P(Both, Rfc4604, testing::Bool(), [](const auto& family) {
    return std::string{family.param ? "OverIpv4" : "OverIpv6"};
});

TEST_P(Rfc3376, JoinIsToldAtOnceAndOnceMoreWithinASecond) {
    EXPECT_EQ(host.join(host.group), GroupResult::done);
    EXPECT_LE(host.network.layer.next_deadline(), now());
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_exclude, host.group, {}}}));
    EXPECT_EQ(host.told_by(now() + 1s), (Tellings{{change_to_exclude, host.group, {}}}));
    EXPECT_TRUE(host.told_by(now() + 1h).empty());
    EXPECT_EQ(host.network.count(Counter::membership_reports_out), 2U);
}

TEST_P(Rfc3376, LeaveIsToldTwice) {
    host.join(host.group);
    (void)host.told_by(now() + 5s);
    EXPECT_EQ(host.leave(host.group), GroupResult::done);
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_include, host.group, {}}}));
    EXPECT_EQ(host.told_by(now() + 1s), (Tellings{{change_to_include, host.group, {}}}));
    EXPECT_TRUE(host.told_by(now() + 1h).empty());
    EXPECT_EQ(host.network.layer.next_deadline(), never);
}

TEST_P(Rfc3376, QueriersRobustnessSaysHowOftenAChangeIsTold) {
    for (const std::uint8_t robustness : {std::uint8_t{1}, std::uint8_t{3}, std::uint8_t{7}}) {
        host.ask({}, {.robustness = robustness});
        (void)host.told_by(now() + 20s);
        host.join(host.group);
        EXPECT_EQ(host.told_by(now() + 10s).size(), robustness);
        host.leave(host.group);
        EXPECT_EQ(host.told_by(now() + 10s).size(), robustness);
    }
    host.ask({}, {.robustness = 0});  // it does not say
    (void)host.told_by(now() + 20s);
    host.join(host.group);
    EXPECT_EQ(host.told_by(now() + 10s).size(), 2U);
}

TEST_P(Rfc3376, SourcesAllowedAndBlockedAreTold) {
    const IpAddress a = host.host(1), b = host.host(2), c = host.host(3);
    host.listen(including({a, b}));
    EXPECT_EQ(host.told_by(now()), (Tellings{{allow_new_sources, host.group, {a, b}}}));
    EXPECT_EQ(host.told_by(now() + 2s), (Tellings{{allow_new_sources, host.group, {a, b}}}));
    host.listen(including({b, c}));
    EXPECT_EQ(host.told_by(now()),
              (Tellings{{allow_new_sources, host.group, {c}}, {block_old_sources, host.group, {a}}}));
    (void)host.told_by(now() + 2s);
    host.listen(excluding({a}));
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_exclude, host.group, {a}}}));
    (void)host.told_by(now() + 2s);
    host.listen(excluding({a, c}));
    EXPECT_EQ(host.told_by(now()), (Tellings{{block_old_sources, host.group, {c}}}));
    (void)host.told_by(now() + 2s);
    host.listen(excluding({c}));
    EXPECT_EQ(host.told_by(now()), (Tellings{{allow_new_sources, host.group, {a}}}));
    (void)host.told_by(now() + 2s);
    host.listen(including({b}));
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_include, host.group, {b}}}));
    (void)host.told_by(now() + 2s);
    host.listen({});
    EXPECT_EQ(host.told_by(now()), (Tellings{{block_old_sources, host.group, {b}}}));
}

TEST_P(Rfc3376, ChangeWithinAChangeIsMergedIntoTheNextReport) {
    const IpAddress a = host.host(1), b = host.host(2);
    host.listen(including({a}));
    EXPECT_EQ(host.told_by(now()), (Tellings{{allow_new_sources, host.group, {a}}}));
    host.listen(including({a, b}));
    // At once, with what is yet to be told of the first; then what is left of the second.
    EXPECT_EQ(host.told_by(now()), (Tellings{{allow_new_sources, host.group, {a, b}}}));
    EXPECT_EQ(host.told_by(now() + 2s), (Tellings{{allow_new_sources, host.group, {b}}}));
    EXPECT_TRUE(host.told_by(now() + 2s).empty());
    // Of a new mode the present list is told, whatever it was when the mode changed.
    host.listen(excluding({a}));
    (void)host.told_by(now());
    host.listen(excluding({b}));
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_exclude, host.group, {b}}}));
}

TEST_P(Rfc3376, ChangesOfSeveralGroupsShareAReport) {
    for (std::uint32_t i = 0; i < 5; ++i) host.join(host.nth_group(i));
    EXPECT_EQ(host.told_by(now()).size(), 5U);
    EXPECT_EQ(host.reports, 1U);
}

TEST_P(Rfc3376, GeneralQueryIsAnsweredOnceWithinItsTimeByTheStateOfAllGroups) {
    const IpAddress a = host.host(1);
    host.join(host.nth_group(1));
    host.listen(including({a}));
    (void)host.told_by(now() + 5s);
    const Instant asked = now();
    host.ask();
    EXPECT_EQ(host.network.count(Counter::membership_queries_in), 1U);
    const Instant due = host.network.layer.next_deadline();
    EXPECT_GT(due, asked);
    EXPECT_LE(due, asked + 10s);
    EXPECT_TRUE(host.told_by(due - 1ns).empty());
    EXPECT_EQ(host.told_by(due),
              (Tellings{{mode_is_include, host.group, {a}}, {mode_is_exclude, host.nth_group(1), {}}}));
    EXPECT_EQ(host.reports, 1U);
    EXPECT_TRUE(host.told_by(asked + 60s).empty());
}

TEST_P(Rfc3376, AnswersComeAtTimesThatDiffer) {
    host.join(host.group);
    (void)host.told_by(now() + 5s);
    std::vector<Duration> delays;
    for (int i = 0; i < 20; ++i) {
        const Instant asked = now();
        host.ask();
        delays.push_back(host.network.layer.next_deadline() - asked);
        (void)host.told_by(asked + 10s);
    }
    std::ranges::sort(delays);
    EXPECT_EQ(std::ranges::unique(delays).size(), 0U);
    EXPECT_LT(delays.front(), 5s);
    EXPECT_GT(delays.back(), 5s);
}

TEST_P(Rfc3376, SecondGeneralQueryCanHastenTheAnswerAndNotPutItOff) {
    host.join(host.group);
    (void)host.told_by(now() + 5s);
    host.ask({}, {.code = 100});
    const Instant first = host.network.layer.next_deadline();
    for (int i = 0; i < 20; ++i) host.ask({}, {.code = 100});
    EXPECT_LE(host.network.layer.next_deadline(), first);
    EXPECT_EQ(host.told_by(now() + 30s).size(), 1U);
}

TEST_P(Rfc3376, QueryForAGroupIsAnsweredForThatGroupAlone) {
    host.join(host.group);
    host.join(host.nth_group(1));
    (void)host.told_by(now() + 5s);
    host.ask(host.group, {.code = 10});
    EXPECT_EQ(host.told_by(now() + 1s), (Tellings{{mode_is_exclude, host.group, {}}}));
    host.ask(host.nth_group(7), {.code = 10});
    EXPECT_TRUE(host.told_by(now() + 5s).empty()) << "no member";
}

TEST_P(Rfc3376, QueryForSourcesIsAnsweredByThoseThatAreHeard) {
    const IpAddress a = host.host(1), b = host.host(2), c = host.host(3);
    host.listen(including({a, b}));
    (void)host.told_by(now() + 5s);
    host.ask(host.group, {.code = 10, .sources = {b, c}});
    EXPECT_EQ(host.told_by(now() + 1s), (Tellings{{mode_is_include, host.group, {b}}}));
    host.ask(host.group, {.code = 10, .sources = {c}});
    EXPECT_TRUE(host.told_by(now() + 5s).empty()) << "of none heard nothing is said";
    host.listen(excluding({a}));
    (void)host.told_by(now() + 5s);
    host.ask(host.group, {.code = 10, .sources = {a, b, c}});
    EXPECT_EQ(host.told_by(now() + 1s), (Tellings{{mode_is_include, host.group, {b, c}}}));
}

TEST_P(Rfc3376, QueriesForSourcesAddUpAndOneForTheGroupStandsForAll) {
    const IpAddress a = host.host(1), b = host.host(2);
    host.join(host.group);
    (void)host.told_by(now() + 5s);
    host.ask(host.group, {.code = 50, .sources = {a}});
    host.ask(host.group, {.code = 50, .sources = {b, a}});
    EXPECT_EQ(host.told_by(now() + 5s), (Tellings{{mode_is_include, host.group, {a, b}}}));
    host.ask(host.group, {.code = 50, .sources = {a}});
    host.ask(host.group, {.code = 50});
    host.ask(host.group, {.code = 50, .sources = {b}});
    EXPECT_EQ(host.told_by(now() + 5s), (Tellings{{mode_is_exclude, host.group, {}}}));
}

TEST_P(Rfc3376, MoreSourcesThanAreRememberedAreAnsweredByTheGroup) {
    host.join(host.group);
    (void)host.told_by(now() + 5s);
    std::vector<IpAddress> sources;
    for (std::uint8_t i = 1; i <= 70; ++i) sources.push_back(host.host(i));
    host.ask(host.group, {.code = 10, .sources = sources});
    EXPECT_EQ(host.told_by(now() + 1s), (Tellings{{mode_is_exclude, host.group, {}}}));
}

TEST_P(Rfc3376, LongListOfGroupsIsToldInSeveralReportsThatFitTheMtu) {
    for (std::uint32_t i = 0; i < 250; ++i) EXPECT_EQ(host.join(host.nth_group(i)), GroupResult::done);
    const Tellings told = host.told_by(now());
    EXPECT_EQ(told.size(), 250U);
    for (std::uint32_t i = 0; i < 250; ++i) EXPECT_EQ(told[i].group, host.nth_group(i));
    EXPECT_GT(host.reports, 1U);
    std::vector<IpAddress> sources;
    for (std::uint8_t i = 1; i <= SourceFilter::most_sources; ++i) sources.push_back(host.host(i));
    host.listen(including(sources));
    EXPECT_EQ(host.told_by(now()).size(), 250U);
    EXPECT_EQ(host.told_by(now() + 5s).back().type, change_to_include);
}

TEST_P(Rfc3376, QueriesWithoutEndAreAnsweredAtABoundedRate) {
    host.join(host.group);
    (void)host.told_by(now() + 5s);
    std::size_t answers = 0;
    for (int i = 0; i < 10000; ++i) {
        host.ask({}, {.code = GetParam() ? std::uint8_t{1} : std::uint8_t{0}});
        answers += host.told_by(now() + 100us).size();
    }
    EXPECT_GT(answers, 2U);
    EXPECT_LE(answers, 250U);  // in a second
}

TEST_P(Rfc3376, WhatSeveralListenersWantIsMerged) {
    const IpAddress a = host.host(1), b = host.host(2), c = host.host(3);
    host.listen(excluding({a, b}), 1);
    (void)host.told_by(now() + 2s);
    host.listen(excluding({b, c}), 2);
    EXPECT_EQ(host.told_by(now()), (Tellings{{allow_new_sources, host.group, {a}}}));
    (void)host.told_by(now() + 2s);
    host.listen(including({b, c}), 3);
    EXPECT_EQ(host.told_by(now()), (Tellings{{allow_new_sources, host.group, {b}}}));
    (void)host.told_by(now() + 2s);
    host.listen({}, 1);
    EXPECT_TRUE(host.told_by(now() + 2s).empty()) << "the second and the third still want the same";
    host.listen({}, 2);
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_include, host.group, {b, c}}}));
}

TEST_P(Rfc3376, ListsTooLongToMergeBecomeEverybody) {
    std::vector<IpAddress> low, high;
    for (std::uint8_t i = 1; i <= 40; ++i) {
        low.push_back(host.host(i));
        high.push_back(host.host(static_cast<std::uint8_t>(100 + i)));
    }
    host.listen(including(low), 1);
    (void)host.told_by(now() + 2s);
    host.listen(including(high), 2);
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_exclude, host.group, {}}}));
    (void)host.told_by(now() + 2s);
    host.listen({}, 1);
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_include, host.group, high}}));
}

TEST_P(Rfc3376, WrongJoinsSayWhatIsWrong) {
    const bool v4 = GetParam();
    EXPECT_EQ(host.join(host.host(1)), GroupResult::not_a_group);
    EXPECT_EQ(host.leave(host.group), GroupResult::not_member);
    EXPECT_EQ(host.listen(including({v4 ? IpAddress{peer6} : IpAddress{peer}})), GroupResult::bad_source);
    EXPECT_EQ(host.listen(including({host.group})), GroupResult::bad_source);
    std::vector<IpAddress> sources;
    for (std::uint8_t i = 1; i <= SourceFilter::most_sources + 1; ++i) sources.push_back(host.host(i));
    EXPECT_EQ(host.listen(including(sources)), GroupResult::too_many_sources);
    GroupMemberships& groups = host.network.layer.groups();
    EXPECT_EQ(groups.listen({this, 1}, 1, host.group, SourceFilter::any()), GroupResult::no_interface);
    for (std::uint16_t port = 1; port <= GroupMemberships::most_listeners; ++port)
        EXPECT_EQ(host.join(host.group, port), GroupResult::done);
    EXPECT_EQ(host.join(host.group, 999), GroupResult::too_many_listeners);
    for (std::uint32_t i = 1; i < 256; ++i) EXPECT_EQ(host.join(host.nth_group(i)), GroupResult::done);
    EXPECT_EQ(host.join(host.nth_group(256)), GroupResult::table_full);
    EXPECT_EQ(host.leave(host.nth_group(9)), GroupResult::done);
    EXPECT_EQ(host.join(host.nth_group(256)), GroupResult::done);
    for (const GroupResult result : {GroupResult::not_a_group, GroupResult::table_full})
        EXPECT_GT(to_sentence(result).size(), 40U);
}

TEST_P(Rfc4604, GroupOfSourcesIsNotJoinedWithoutNamingThem) {
    const bool v4 = GetParam();
    for (const IpAddress& group :
         v4 ? std::vector<IpAddress>{Ipv4Address{232, 0, 0, 1}, Ipv4Address{232, 255, 1, 2}}
            : std::vector<IpAddress>{Ipv6Address::of(0xff3e'0000'0000'0000, 0x8000'0001),
                                     Ipv6Address::of(0xff35'0000'0000'0001, 1)}) {
        EXPECT_EQ(host.join(group), GroupResult::source_specific);
        GroupMemberships& groups = host.network.layer.groups();
        EXPECT_EQ(groups.listen({this, 1}, 0, group, excluding({host.host(1)})),
                  GroupResult::source_specific);
        EXPECT_EQ(groups.listen({this, 1}, 0, group, including({host.host(1)})), GroupResult::done);
        EXPECT_EQ(host.told_by(now()), (Tellings{{allow_new_sources, group, {host.host(1)}}}));
        EXPECT_EQ(groups.listen({this, 1}, 0, group, {}), GroupResult::done);
        (void)host.told_by(now() + 5s);
    }
    // ff3x with a prefix of its own in it is no such group (RFC 3306).
    EXPECT_EQ(host.join(v4 ? IpAddress{Ipv4Address{233, 0, 0, 1}}
                           : IpAddress{Ipv6Address::of(0xff3e'0040'2001'0db8, 1)}),
              GroupResult::done);
}

TEST(Membership, InterfaceOfTheOtherFamilyIsRefused) {
    Network net{plain_config()};
    EXPECT_EQ(net.layer.groups().listen({&net, 1}, 0, group6, SourceFilter::any()),
              GroupResult::family_unsupported);
}

TEST(Membership, GroupsThatEverybodyHearsAreNotReported) {
    for (const IpAddress& group :
         {IpAddress{all_hosts}, IpAddress{all_nodes}, IpAddress{Ipv6Address::of(0xff01'0000'0000'0000, 9)}}) {
        Membership host{group.is_v4()};
        EXPECT_EQ(host.join(group), GroupResult::done);
        EXPECT_TRUE(host.told_by(host.network.now + 5s).empty());
        host.ask();
        EXPECT_TRUE(host.told_by(host.network.now + 20s).empty());
    }
}

TEST(Membership, LinkGroupsAreToldToWhomeverFiltersThem) {
    Membership host{true};
    const GroupMemberships& groups = host.network.layer.groups();
    const auto before = groups.epoch();
    EXPECT_TRUE(groups.link_groups(0).empty());
    host.join(group4);
    host.join(Ipv4Address{224, 129, 2, 3});  // of the same Ethernet address
    host.join(Ipv4Address{224, 1, 1, 1});
    EXPECT_NE(groups.epoch(), before);
    EXPECT_EQ(groups.link_groups(0),
              (std::vector<MacAddress>{{{1, 0, 0x5e, 1, 1, 1}}, {{1, 0, 0x5e, 1, 2, 3}}}));
    host.leave(Ipv4Address{224, 1, 1, 1});
    EXPECT_EQ(groups.link_groups(0).size(), 1U);
}

// A report is of one interface: what is put together leaves before anything of another is added.
TEST(GroupReporters, AnswersLeaveByTheInterfaceThatWasAsked) {
    struct Writer final : ReportWriter {
        void add(std::uint8_t interface, wire::GroupRecordType, const IpAddress&,
                 std::span<const IpAddress>) noexcept override {
            mixed |= pending && *pending != interface;
            pending = interface;
        }
        void flush(std::uint8_t interface) noexcept override {
            astray |= pending && *pending != interface;
            sent += pending ? 1 : 0;
            pending.reset();
        }
        void report(std::uint8_t, wire::MembershipVersion, const IpAddress&) noexcept override {}
        void leave(std::uint8_t, const IpAddress&) noexcept override {}
        std::optional<std::uint8_t> pending;
        bool mixed = false, astray = false;
        int sent = 0;
    } writer;
    constexpr std::uint8_t interfaces = 3;
    GroupReporter reporter{interfaces, 16, HashKey{1, 2}, writer};
    Instant now{1s};
    for (std::uint8_t i = 0; i < interfaces; ++i) reporter.set(i, group4, SourceFilter::any());
    while (reporter.next_deadline() != never) {
        now = std::max(now, reporter.next_deadline());
        reporter.advance(now);
    }
    writer.sent = 0;
    for (std::uint8_t i = 0; i < interfaces; ++i) {
        EXPECT_TRUE(reporter.query(i, {.version = wire::MembershipVersion::third, .max_response = 1s}, now));
        wire::MembershipQuery about{.version = wire::MembershipVersion::third, .max_response = 1s};
        about.group = group4;
        EXPECT_TRUE(reporter.query(static_cast<std::uint8_t>(interfaces - 1 - i), about, now));
    }
    reporter.advance(now + 2s);
    EXPECT_FALSE(writer.mixed);
    EXPECT_FALSE(writer.astray);
    EXPECT_FALSE(writer.pending);
    EXPECT_GE(writer.sent, interfaces);
}

}  // namespace membership_test
}  // namespace runnel::ip
