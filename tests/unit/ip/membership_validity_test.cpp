// Which queries are believed, what older queriers get, and solicited-node groups: RFC 3376 sections 7 and 9,
// RFC 2236, RFC 1112 appendix I; RFC 3810 sections 6 and 8, RFC 2710.
#include <gtest/gtest.h>

#include "membership_network.hpp"

namespace runnel::ip {
namespace membership_validity_test {

using namespace test;  // NOLINT: the words in which the tests are written

using Tellings = std::vector<Told>;

class Older : public testing::TestWithParam<bool> {
  protected:
    Membership host{GetParam()};
    [[nodiscard]] Instant now() const { return host.network.now; }
    [[nodiscard]] unsigned report_type() const { return GetParam() ? 0x16 : 131; }
    [[nodiscard]] unsigned newest_type() const { return GetParam() ? 0x22 : 143; }
    // Another host's report in the version of the querier.
    void hear_report_of(const IpAddress& group) {
        if (GetParam()) {
            Octets message = numbers({0x16, 0, 0, 0, 0, 0, 0, 0});
            wire::store_be32(message, 4, group.v4().value);
            wire::store_be16(message, 2, wire::checksum_finish(wire::checksum_add(message)));
            host.network.give(ethernet(ipv4(message, {.destination = group.v4(),
                                                      .protocol = wire::IpProtocol::igmp,
                                                      .ttl = 1,
                                                      .options = numbers({0x94, 4, 0, 0})}),
                                       wire::EtherType::ipv4, wire::multicast_mac(group.v4())));
        } else {
            Octets message(24);
            message[0] = std::byte{131};
            wire::store_ipv6(message.data() + 8, group.v6());
            host.network.give(mld(message, peer_link_local, group.v6()));
        }
    }
    // A querier of version 2 is there from now on.
    void older_querier() {
        host.ask({}, {.version = 2});
        (void)host.told_by(now() + 10s);
    }
};
INSTANTIATE_TEST_SUITE_P(Both, Older, testing::Bool(), [](const auto& family) {
    return std::string{family.param ? "Rfc2236" : "Rfc2710"};
});

TEST_P(Older, QueryOfVersion2IsAnsweredByAReportAGroupEachAtATimeOfItsOwn) {
    host.join(host.group);
    host.join(host.nth_group(1));
    (void)host.told_by(now() + 5s);
    host.ask({}, {.version = 2});
    EXPECT_EQ(host.told_by(now() + 10s).size(), 2U);
    EXPECT_EQ(host.reports, 2U);
    EXPECT_EQ(host.type, report_type());
    EXPECT_TRUE(host.told_by(now() + 100s).empty());
}

TEST_P(Older, JoinIsReportedAtOnceAndOnceMoreWithinTenSeconds) {
    older_querier();
    host.join(host.group);
    EXPECT_EQ(host.told_by(now()), (Tellings{{mode_is_exclude, host.group, {}}}));
    EXPECT_EQ(host.type, report_type());
    EXPECT_EQ(host.told_by(now() + 10s).size(), 1U);
    EXPECT_TRUE(host.told_by(now() + 100s).empty());
}

TEST_P(Older, WhoHasReportedLastSaysThatHeLeaves) {
    older_querier();
    host.join(host.group);
    (void)host.told_by(now() + 10s);
    host.leave(host.group);
    EXPECT_EQ(host.told_by(now()), (Tellings{{change_to_include, host.group, {}}}));
    EXPECT_TRUE(host.told_by(now() + 100s).empty());
}

TEST_P(Older, ReportOfAnotherHostDoesForOurs) {
    older_querier();
    host.join(host.group);
    (void)host.told_by(now() + 10s);
    host.ask({}, {.version = 2});
    hear_report_of(host.group);
    EXPECT_TRUE(host.told_by(now() + 20s).empty());
    host.leave(host.group);
    EXPECT_TRUE(host.told_by(now() + 20s).empty()) << "the other is a member still, and will say so";
}

TEST_P(Older, QueryForAGroupHastensAReportAndDoesNotPutItOff) {
    older_querier();
    host.join(host.group);
    host.join(host.nth_group(1));
    (void)host.told_by(now() + 10s);
    host.ask({}, {.code = 100, .version = 2});
    host.ask(host.group, {.code = 10, .version = 2});
    EXPECT_GE(host.told_by(now() + 1s).size(), 1U);
    EXPECT_EQ(host.told_by(now() + 10s).size() + host.told_by(now() + 10s).size(), 1U);
}

TEST_P(Older, FiltersOfSourcesAreNotToldAndMembersAre) {
    older_querier();
    host.listen({FilterMode::include, {host.host(1)}});
    EXPECT_EQ(host.told_by(now()), (Tellings{{mode_is_exclude, host.group, {}}}));
    (void)host.told_by(now() + 10s);
    host.listen({FilterMode::include, {host.host(2)}});
    EXPECT_TRUE(host.told_by(now() + 20s).empty());
}

TEST_P(Older, NewestVersionComesBackWhenTheOldQuerierHasBeenSilentForItsTime) {
    host.join(host.group);
    (void)host.told_by(now() + 5s);
    const Instant heard = now();
    host.ask({}, {.version = 2});
    (void)host.told_by(now() + 10s);
    // Twice the query interval and the time for an answer: 260 s.
    host.ask({}, {.version = 3});
    EXPECT_EQ(host.told_by(now() + 10s).size(), 1U);
    EXPECT_EQ(host.type, report_type()) << "whatever a newer querier asks meanwhile";
    (void)host.told_by(heard + 259s);
    host.ask({}, {.code = 1, .version = 3});
    EXPECT_EQ(host.told_by(heard + 259s + 500ms).size(), 1U);
    EXPECT_EQ(host.type, report_type());
    (void)host.told_by(heard + 260s);
    host.ask({}, {.code = 10, .version = 3});
    EXPECT_EQ(host.told_by(now() + 1s).size(), 1U);
    EXPECT_EQ(host.type, newest_type());
}

TEST_P(Older, ChangeOfVersionGivesUpWhatWaits) {
    host.join(host.group);
    EXPECT_EQ(host.told_by(now()).size(), 1U);
    host.ask({}, {.code = 200, .version = 2});  // the second report of the join is given up
    const Tellings told = host.told_by(now() + 20s);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].type, mode_is_exclude);
    EXPECT_EQ(host.type, report_type());
}

TEST_P(Older, QueryForAGroupDoesNotChangeTheVersion) {
    host.join(host.group);
    (void)host.told_by(now() + 5s);
    host.ask(host.group, {.code = 10, .version = 2});
    EXPECT_EQ(host.told_by(now() + 1s).size(), 1U);
    EXPECT_EQ(host.type, newest_type());
}

TEST(Rfc1112, QuerierOfVersion1GetsReportsOfVersion1AndNoLeave) {
    Membership host{true};
    host.join(host.group);
    (void)host.told_by(host.network.now + 5s);
    host.ask({}, {.version = 1, .alert = false});
    EXPECT_EQ(host.told_by(host.network.now + 10s), (Tellings{{mode_is_exclude, host.group, {}}}));
    EXPECT_EQ(host.type, 0x12U);
    host.join(host.nth_group(1));
    EXPECT_EQ(host.told_by(host.network.now + 10s).size(), 2U);
    EXPECT_EQ(host.type, 0x12U);
    host.leave(host.group);
    EXPECT_TRUE(host.told_by(host.network.now + 20s).empty());
}

class Validity : public testing::TestWithParam<bool> {
  protected:
    Membership host{GetParam()};
    // Nothing is answered, and the query is counted as what it is.
    void expect_ignored(const IpAddress& group, const QueryFields& fields, DropReason reason) {
        const std::uint64_t before = host.network.count(reason);
        host.ask(group, fields);
        EXPECT_EQ(host.network.count(reason), before + 1);
        EXPECT_TRUE(host.told_by(host.network.now + 20s).empty());
    }
};
INSTANTIATE_TEST_SUITE_P(Both, Validity, testing::Bool(),
                         [](const auto& family) { return std::string{family.param ? "Igmp" : "Mld"}; });

TEST_P(Validity, QueryFromBeyondTheLinkOrWithoutRouterAlertIsNotBelieved) {
    host.join(host.group);
    (void)host.told_by(host.network.now + 5s);
    expect_ignored({}, {.ttl = 2}, DropReason::membership_malformed);
    expect_ignored({}, {.ttl = 64}, DropReason::membership_malformed);
    expect_ignored({}, {.alert = false}, DropReason::membership_malformed);
    expect_ignored({}, {.version = 2, .alert = false}, DropReason::membership_malformed);
    host.ask();
    EXPECT_EQ(host.told_by(host.network.now + 20s).size(), 1U);
}

TEST_P(Validity, GeneralQueryToAGroupThatNotAllHearIsNotBelieved) {
    host.join(host.group);
    (void)host.told_by(host.network.now + 5s);
    expect_ignored({}, {.destination = host.group}, DropReason::membership_malformed);
    host.ask({}, {.destination = GetParam() ? IpAddress{us} : IpAddress{our_link_local}});
    EXPECT_EQ(host.told_by(host.network.now + 20s).size(), 1U) << "one to us alone is";
}

TEST_P(Validity, DamagedOrCutMessageIsDropped) {
    host.join(host.group);
    (void)host.told_by(host.network.now + 5s);
    Network& net = host.network;
    const auto query = [&](const QueryFields& fields) {
        return GetParam() ? igmp_query({}, fields) : mld_query({}, fields);
    };
    Octets damaged = query({});
    damaged.back() ^= std::byte{1};
    EXPECT_EQ(net.reason_for(damaged),
              GetParam() ? DropReason::membership_malformed : DropReason::icmp_bad_checksum);
    // More sources are said than there are: neither of version 2 nor of version 3.
    Octets lying = query({.sources = {host.host(1)}});
    Octets message(lying.begin() + (GetParam() ? 38 : 62), lying.end());
    wire::store_be16(message, GetParam() ? 10 : 26, 2);
    if (GetParam()) {
        wire::store_be16(message, 2, 0);
        wire::store_be16(message, 2, wire::checksum_finish(wire::checksum_add(message)));
        std::ranges::copy(message, lying.begin() + 38);
    } else {
        lying = mld(message, peer_link_local, all_nodes);
    }
    EXPECT_EQ(net.reason_for(lying), DropReason::membership_malformed);
    EXPECT_TRUE(host.told_by(net.now + 20s).empty());
}

TEST_P(Validity, QueryInAChainOfAnyCutIsAnswered) {
    host.join(host.group);
    (void)host.told_by(host.network.now + 5s);
    const Octets frame = GetParam() ? igmp_query(host.group.v4(), {.code = 1, .sources = {host.host(1)}})
                                    : mld_query(host.group.v6(), {.code = 1, .sources = {host.host(1)}});
    for (std::size_t first = 1; first < frame.size(); first += 3) {
        host.network.give(host.network.pool.chain(frame, {first}));
        ASSERT_EQ(host.told_by(host.network.now + 1s).size(), 1U) << first;
    }
}

TEST(Rfc4541, SwitchWithoutAddressMayAsk) {
    Membership host{true};
    host.join(host.group);
    (void)host.told_by(host.network.now + 5s);
    Octets query = igmp_query();
    wire::store_be32(query, 26, 0);
    Octets packet(query.begin() + 14, query.end());
    packet.resize(24 + 12);
    wire::store_be16(packet, 10, 0);
    wire::store_be16(packet, 10, wire::checksum_finish(wire::checksum_add(std::span{packet}.first(24))));
    host.network.give(ethernet(packet, wire::EtherType::ipv4, wire::multicast_mac(all_hosts)));
    EXPECT_EQ(host.told_by(host.network.now + 20s).size(), 1U);
    EXPECT_EQ(host.network.reason_for(ethernet(ipv4(tcp_header(), {.source = {}}))),
              DropReason::ip_bad_source)
        << "nothing else comes from there";
}

TEST(Rfc3810, QueryFromNoLinkLocalAddressIsNotBelieved) {
    Membership host{false};
    host.join(host.group);
    (void)host.told_by(host.network.now + 5s);
    EXPECT_EQ(host.network.reason_for(mld_query({}, {.from = peer6})), DropReason::membership_malformed);
    EXPECT_TRUE(host.told_by(host.network.now + 20s).empty());
}

Config reporting_config() {
    Config config = ipv6_config();
    config.interfaces[0].ipv6[0].address = documentation(0x55);
    config.report_solicited_nodes = true;
    return config;
}

TEST(Rfc3810, SolicitedNodeGroupsOfTheAddressesAreReportedOnceEach) {
    Config config = reporting_config();
    config.interfaces[0].ipv6.push_back({.address = documentation(0x55, 7)});  // of the same solicited node
    Membership host{false, config};
    const auto told = host.told_by(host.network.now);
    ASSERT_EQ(told.size(), 2U);
    std::vector<IpAddress> groups{told[0].group, told[1].group};
    std::ranges::sort(groups);
    std::vector<IpAddress> expected{documentation(0x55).solicited_node(), our_link_local.solicited_node()};
    std::ranges::sort(expected);
    EXPECT_EQ(groups, expected);
    for (const Told& one : told) EXPECT_EQ(one.type, change_to_exclude);
    EXPECT_EQ(host.told_by(host.network.now + 2s).size(), 2U);
    host.ask();
    EXPECT_EQ(host.told_by(host.network.now + 10s).size(), 2U);
}

TEST(Rfc3810, SolicitedNodeGroupIsReportedWhileAnAddressHasIt) {
    Membership host{false, reporting_config()};
    (void)host.told_by(host.network.now + 5s);
    GroupMemberships& groups = host.network.layer.groups();
    const Ipv6Address one = documentation(77), two = documentation(77, 3);
    groups.hold_solicited_node(0, one);
    groups.hold_solicited_node(0, two);
    EXPECT_EQ(host.told_by(host.network.now), (Tellings{{change_to_exclude, one.solicited_node(), {}}}));
    (void)host.told_by(host.network.now + 5s);
    groups.release_solicited_node(0, one);
    EXPECT_TRUE(host.told_by(host.network.now + 5s).empty());
    groups.release_solicited_node(0, two);
    EXPECT_EQ(host.told_by(host.network.now), (Tellings{{change_to_include, one.solicited_node(), {}}}));
}

TEST(Rfc3590, WhatWasToldFromNoAddressIsToldAgainWhenThereIsOne) {
    Config config = reporting_config();
    config.dad_probes = 1;
    Network net{config};
    std::vector<Ipv6Address> sources;
    const auto collect = [&] {
        std::size_t records = 0;
        for (const Octets& frame : net.sent())
            if (const auto report = mld_in(frame)) {
                sources.push_back(report->source);
                records = records_in(*report).size();
            }
        return records;
    };
    net.run_until(net.now);
    EXPECT_EQ(collect(), 2U);
    net.run_until(net.now + 10s);
    EXPECT_EQ(collect(), 2U) << "all of them once more";
    ASSERT_GE(sources.size(), 3U);
    EXPECT_TRUE(sources.front().is_unspecified());
    EXPECT_EQ(sources[sources.size() - 1], our_link_local);
    EXPECT_EQ(sources[sources.size() - 2], our_link_local);
    net.run_until(net.now + 100s);
    EXPECT_EQ(collect(), 0U);
}

TEST(Rfc3810, MoreAddressesThanTheTableHasRoomForAreHeardAndNotReported) {
    Config config = reporting_config();
    config.interfaces[0].ipv6[0].address_count = 5000;
    Membership host{false, config};
    EXPECT_EQ(host.told_by(host.network.now).size(), 256U);
}

TEST(Memberships, EchoToAGroupThatWasJoinedIsAnsweredOverIpv6AndNotOverIpv4) {
    Membership host{false};
    host.join(group6);
    host.join(group4);
    (void)host.told_by(host.network.now + 5s);
    EXPECT_EQ(
        host.network.reason_for(ethernet(ipv4(icmp(wire::IcmpType::echo_request, 0, 1, pattern(8)),
                                              {.destination = group4, .protocol = wire::IpProtocol::icmp}),
                                         wire::EtherType::ipv4, wire::multicast_mac(group4))),
        DropReason::icmp_group_destination);
    EXPECT_EQ(host.network.reason_for(
                  ethernet(tcp_header(), wire::EtherType::ipv4, MacAddress{{1, 0, 0x5e, 9, 9, 9}})),
              DropReason::ip_bad_version);
    host.leave(group4);
    EXPECT_EQ(host.network.reason_for(
                  ethernet(tcp_header(), wire::EtherType::ipv4, MacAddress{{1, 0, 0x5e, 9, 9, 9}})),
              DropReason::ethernet_not_for_us);
}

}  // namespace membership_validity_test
}  // namespace runnel::ip
