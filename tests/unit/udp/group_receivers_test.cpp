// UDP to and from multicast groups: RFC 1112 sections 6 and 7, RFC 3678, for both families where they agree.
#include "runnel/udp/group_receivers.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "runnel/udp/sockets.hpp"

#include "../ip/membership_network.hpp"

namespace runnel::udp {
namespace group_receivers_test {

using namespace test;  // NOLINT: the words in which the tests are written
using ip::FilterMode;
using ip::GroupResult;
using ip::SourceFilter;

// Writes down what it hears, and does what a test says then.
class Listener : public Handler {
  public:
    Ownership datagram(const Datagram& about, rte_mbuf& payload) noexcept override {
        heard.push_back(about);
        data.push_back(octets_of(&payload));
        if (spoils) rte_pktmbuf_mtod(&payload, std::byte*)[0] = std::byte{0xee};
        if (then) then();
        if (!takes) return Ownership::returned;
        rte_pktmbuf_free(&payload);
        return Ownership::taken;
    }

    std::vector<Datagram> heard;
    std::vector<Octets> data;
    std::function<void()> then;
    bool spoils = false, takes = false;
};

ip::Config two_interfaces() {
    ip::Config config = ipv6_config();
    config.interfaces.push_back(
        {.mac = {{2, 0, 0, 0, 0, 9}}, .address = {10, 0, 1, 1}, .ipv6 = {{.address = documentation(1, 1)}}});
    return config;
}

// A stack's lower half with UDP on it, and a group of either family.
class Host : public Network {
  public:
    explicit Host(bool v4, const ip::Config& config = ipv6_config())
        : Network(config),
          sockets(Config{}, Secrets{}, layer, counters, stash),
          group(v4 ? IpAddress{group4} : IpAddress{group6}),
          v4_(v4) {}

    [[nodiscard]] IpAddress host(std::uint8_t number) const {
        return v4_ ? IpAddress{Ipv4Address{192, 0, 2, number}} : IpAddress{documentation(number, 5)};
    }
    [[nodiscard]] GroupSocket socket(Listener& listener, std::uint16_t port = 5000) const {
        return {.group = group, .port = port, .handler = &listener};
    }
    GroupReceivers& groups() { return sockets.groups(); }

    void receive(std::span<const std::byte> data, const IpAddress& from, std::uint16_t port = 5000,
                 std::uint16_t by_port = 0) {
        receive_to(group, data, from, port, by_port);
    }
    void receive_to(const IpAddress& to, std::span<const std::byte> data, const IpAddress& from,
                    std::uint16_t port, std::uint16_t by_port = 0) {
        Octets frame;
        if (to.is_v4()) {
            frame = ethernet(
                ipv4(udp_datagram(data, 4000, port, from.v4(), to.v4()), {.source = from.v4(),
                                                                          .destination = to.v4(),
                                                                          .protocol = wire::IpProtocol::udp,
                                                                          .ttl = 3,
                                                                          .tos = 8}),
                wire::EtherType::ipv4, wire::multicast_mac(to.v4()));
        } else {
            const Ipv6Fields fields{.source = from.v6(),
                                    .destination = to.v6(),
                                    .next_header = 17,
                                    .hop_limit = 3,
                                    .traffic_class = 8};
            Octets datagram = udp_datagram(data, 4000, port);
            seal6(datagram, 6, fields);
            frame = ethernet6(ipv6(datagram, fields), wire::multicast_mac(to.v6()));
        }
        rte_mbuf* const mbuf = pool.mbuf(frame);
        mbuf->port = by_port;
        if (give(mbuf) != ip::Upper::udp) return;
        let_go();
        sockets.input(in, now);
    }
    SendOptions to_group() const {
        return {.remote_address = group, .remote_port = 5000, .local_port = 6000};
    }

    Sockets sockets;
    IpAddress group;

  private:
    bool v4_;
};

class Rfc3678 : public testing::TestWithParam<bool> {
  protected:
    Listener listener, other;
    Host host{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Both, Rfc3678, testing::Bool(), [](const auto& family) {
    return std::string{family.param ? "OverIpv4" : "OverIpv6"};
});

TEST_P(Rfc3678, DatagramToAJoinedGroupReachesItsSocketAndNoneAfterTheLeave) {
    host.receive(pattern(9), host.host(1));
    EXPECT_EQ(host.count(DropReason::ip_not_for_us) + host.count(DropReason::ethernet_not_for_us), 1U);
    EXPECT_EQ(host.groups().join(host.socket(listener)), GroupResult::done);
    host.receive(pattern(9), host.host(1));
    ASSERT_EQ(listener.data, (std::vector<Octets>{pattern(9)}));
    EXPECT_EQ(listener.heard[0].source_address, host.host(1));
    EXPECT_EQ(listener.heard[0].destination_address, host.group);
    EXPECT_EQ(listener.heard[0].source_port, 4000);
    EXPECT_EQ(listener.heard[0].destination_port, 5000);
    EXPECT_EQ(listener.heard[0].ttl, 3);
    EXPECT_EQ(listener.heard[0].tos, 8);
    EXPECT_TRUE(listener.heard[0].group);
    host.receive(pattern(9), host.host(1), 5001);
    EXPECT_EQ(host.count(DropReason::udp_no_socket), 1U) << "another port";
    EXPECT_EQ(host.groups().leave(host.socket(listener)), GroupResult::done);
    host.receive(pattern(9), host.host(1));
    EXPECT_EQ(listener.data.size(), 1U);
}

TEST_P(Rfc3678, SeveralSocketsOfOnePortAndGroupGetACopyEach) {
    Listener third;
    listener.spoils = true;  // its copy is its own
    other.takes = true;
    for (Listener* const one : {&listener, &other, &third})
        EXPECT_EQ(host.groups().join(host.socket(*one)), GroupResult::done);
    host.receive(pattern(100), host.host(1));
    for (const Listener* const one : {&listener, &other, &third})
        EXPECT_EQ(one->data, (std::vector<Octets>{pattern(100)}));
    EXPECT_EQ(host.count(Counter::udp_group_copies), 2U);
    EXPECT_EQ(host.count(Counter::udp_in), 1U);
}

TEST_P(Rfc3678, SocketHearsOnlyTheGroupsThatItHasJoinedItself) {
    host.groups().join(host.socket(listener));
    host.sockets.bind({}, 5001, other);
    host.receive(pattern(3), host.host(1), 5001);
    EXPECT_TRUE(other.data.empty());
    EXPECT_EQ(host.count(DropReason::udp_no_socket), 1U);
}

TEST_P(Rfc3678, IncludedSourcesAloneAreHeard) {
    const IpAddress a = host.host(1), b = host.host(2);
    EXPECT_EQ(host.groups().join_source(host.socket(listener), a), GroupResult::done);
    host.receive(pattern(1), a);
    host.receive(pattern(2), b);
    EXPECT_EQ(listener.data, (std::vector<Octets>{pattern(1)}));
    EXPECT_EQ(host.groups().join_source(host.socket(listener), b), GroupResult::done);
    host.receive(pattern(3), b);
    EXPECT_EQ(listener.data.size(), 2U);
    EXPECT_EQ(host.groups().leave_source(host.socket(listener), a), GroupResult::done);
    host.receive(pattern(4), a);
    EXPECT_EQ(listener.data.size(), 2U);
    EXPECT_EQ(host.groups().leave_source(host.socket(listener), b), GroupResult::done);
    EXPECT_EQ(host.groups().filter(host.socket(listener)), nullptr) << "with the last source it has left";
}

TEST_P(Rfc3678, BlockedSourcesAloneAreNotHeard) {
    const IpAddress a = host.host(1), b = host.host(2);
    host.groups().join(host.socket(listener));
    EXPECT_EQ(host.groups().block(host.socket(listener), a), GroupResult::done);
    host.receive(pattern(1), a);
    host.receive(pattern(2), b);
    EXPECT_EQ(listener.data, (std::vector<Octets>{pattern(2)}));
    EXPECT_EQ(host.groups().unblock(host.socket(listener), a), GroupResult::done);
    host.receive(pattern(1), a);
    EXPECT_EQ(listener.data.size(), 2U);
}

TEST_P(Rfc3678, OneSocketsFilterIsNotAnothers) {
    const IpAddress a = host.host(1), b = host.host(2);
    host.groups().join_source(host.socket(listener), a);
    host.groups().set_filter(host.socket(other), {FilterMode::exclude, {a}});
    host.receive(pattern(1), a);
    host.receive(pattern(2), b);
    EXPECT_EQ(listener.data, (std::vector<Octets>{pattern(1)}));
    EXPECT_EQ(other.data, (std::vector<Octets>{pattern(2)}));
}

TEST_P(Rfc3678, WrongCallsSayWhatIsWrong) {
    GroupReceivers& groups = host.groups();
    const GroupSocket socket = host.socket(listener);
    const IpAddress a = host.host(1), b = host.host(2);
    EXPECT_EQ(groups.leave(socket), GroupResult::not_member);
    EXPECT_EQ(groups.block(socket, a), GroupResult::not_member);
    EXPECT_EQ(groups.leave_source(socket, a), GroupResult::not_member);
    groups.join(socket);
    EXPECT_EQ(groups.join(socket), GroupResult::already_member);
    EXPECT_EQ(groups.join_source(socket, a), GroupResult::wrong_mode);
    EXPECT_EQ(groups.unblock(socket, a), GroupResult::not_member);
    EXPECT_EQ(groups.block(socket, a), GroupResult::done);
    EXPECT_EQ(groups.block(socket, a), GroupResult::already_member);
    EXPECT_EQ(groups.block(socket, host.group), GroupResult::bad_source);
    EXPECT_EQ(groups.leave(socket), GroupResult::done);
    groups.join_source(socket, a);
    EXPECT_EQ(groups.join_source(socket, a), GroupResult::already_member);
    EXPECT_EQ(groups.leave_source(socket, b), GroupResult::not_member);
    EXPECT_EQ(groups.block(socket, b), GroupResult::wrong_mode);
    GroupSocket wrong = socket;
    wrong.group = a;
    EXPECT_EQ(groups.join(wrong), GroupResult::not_a_group);
    wrong = socket;
    wrong.interface = 7;
    EXPECT_EQ(groups.join(wrong), GroupResult::no_interface);
}

TEST_P(Rfc3678, WholeFilterIsSetAndReadBack) {
    const GroupSocket socket = host.socket(listener);
    const SourceFilter filter{FilterMode::include, {host.host(2), host.host(1), host.host(2)}};
    EXPECT_EQ(host.groups().set_filter(socket, filter), GroupResult::done);
    ASSERT_NE(host.groups().filter(socket), nullptr);
    EXPECT_EQ(*host.groups().filter(socket), filter);
    EXPECT_EQ(host.groups().filter(socket)->sources().size(), 2U);
    EXPECT_EQ(host.groups().set_filter(socket, SourceFilter::any()), GroupResult::done);
    EXPECT_EQ(host.groups().filter(socket)->mode(), FilterMode::exclude);
}

TEST_P(Rfc3678, HandlerMayHaveOthersLeaveWhileItIsCalled) {
    Listener third;
    for (Listener* const one : {&listener, &other, &third}) host.groups().join(host.socket(*one));
    listener.then = [&] {
        host.groups().leave(host.socket(listener));
        host.groups().leave(host.socket(other));
        host.groups().leave(host.socket(third));
    };
    host.receive(pattern(5), host.host(1));
    EXPECT_EQ(listener.data.size(), 1U);
    EXPECT_TRUE(other.data.empty());
    EXPECT_TRUE(third.data.empty());
}

TEST_P(Rfc3678, CopyForWhichThereIsNoMemoryIsCountedAndTheLastSocketHears) {
    host.groups().join(host.socket(listener));
    host.groups().join(host.socket(other));
    std::vector<rte_mbuf*> taken;
    const Octets data = pattern(5);
    while (rte_mempool_avail_count(host.pool.get()) > 1) taken.push_back(rte_pktmbuf_alloc(host.pool.get()));
    host.receive(data, host.host(1));
    EXPECT_EQ(host.count(DropReason::no_mbuf), 1U);
    EXPECT_EQ(listener.data.size() + other.data.size(), 1U);
    for (rte_mbuf* const one : taken) rte_pktmbuf_free(one);
}

TEST_P(Rfc3678, MembershipHoldsOnItsInterfaceAlone) {
    Host two{GetParam(), two_interfaces()};
    GroupSocket socket = two.socket(listener);
    socket.interface = 1;
    EXPECT_EQ(two.groups().join(socket), GroupResult::done);
    two.receive(pattern(1), two.host(1), 5000, 0);
    EXPECT_TRUE(listener.data.empty());
    two.receive(pattern(1), two.host(1), 5000, 1);
    ASSERT_EQ(listener.data.size(), 1U);
    EXPECT_EQ(listener.heard[0].interface, 1);
    two.run_until(two.now);
    for (const Octets& frame : two.sent())
        EXPECT_EQ(wire::EthernetView::parse(frame)->source(), (MacAddress{{2, 0, 0, 0, 0, 9}}));
}

TEST_P(Rfc3678, SendingToAGroupNeedsNoMembershipAndStaysOnTheLinkUnlessToldOtherwise) {
    SendOptions options = host.to_group();
    EXPECT_EQ(host.sockets.send_to(options, pattern(10), host.now), SendResult::sent);
    options.ttl = 9;
    EXPECT_EQ(host.sockets.send_to(options, pattern(10), host.now), SendResult::sent);
    const auto frames = host.sent();
    ASSERT_EQ(frames.size(), 2U);
    const auto mac = wire::EthernetView::parse(frames[0])->destination();
    if (GetParam()) {
        EXPECT_EQ(mac, wire::multicast_mac(group4));
        EXPECT_EQ(packet_in(frames[0]).ttl(), 1);
        EXPECT_EQ(packet_in(frames[1]).ttl(), 9);
        EXPECT_EQ(packet_in(frames[0]).source(), us);
    } else {
        EXPECT_EQ(mac, wire::multicast_mac(group6));
        EXPECT_EQ(packet6_in(frames[0]).header.hop_limit, 1);
        EXPECT_EQ(packet6_in(frames[1]).header.hop_limit, 9);
        EXPECT_EQ(packet6_in(frames[0]).header.source, us6);
        EXPECT_TRUE(checksum_is_right(packet6_in(frames[0])));
    }
}

TEST_P(Rfc3678, SenderChoosesTheInterface) {
    Host two{GetParam(), two_interfaces()};
    SendOptions options = two.to_group();
    options.interface = 1;
    EXPECT_EQ(two.sockets.send_to(options, pattern(10), two.now), SendResult::sent);
    options.interface = 2;
    EXPECT_EQ(two.sockets.send_to(options, pattern(10), two.now), SendResult::no_route);
    const auto frames = two.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->source(), (MacAddress{{2, 0, 0, 0, 0, 9}}));
    if (GetParam())
        EXPECT_EQ(packet_in(frames[0]).source(), (Ipv4Address{10, 0, 1, 1}));
    else
        EXPECT_EQ(packet6_in(frames[0]).header.source, documentation(1, 1));
}

TEST_P(Rfc3678, LargeDatagramToAGroupLeavesInFragmentsWhereItMay) {
    SendOptions options = host.to_group();
    EXPECT_EQ(host.sockets.send_to(options, pattern(4000), host.now), SendResult::too_big);
    options.dont_fragment = false;
    EXPECT_EQ(host.sockets.send_to(options, pattern(4000), host.now), SendResult::sent);
    EXPECT_EQ(host.sent().size(), 3U);
}

TEST_P(Rfc3678, OwnDatagramsAreHeardHereOnlyWhereTheSenderWantsIt) {
    host.groups().join(host.socket(listener));
    host.groups().join(host.socket(other));
    SendOptions options = host.to_group();
    host.sockets.send_to(options, pattern(10), host.now);
    host.sockets.advance();
    EXPECT_TRUE(listener.data.empty()) << "by default not";
    options.loop = true;
    host.sockets.send_to(options, pattern(20), host.now);
    EXPECT_TRUE(listener.data.empty()) << "never within the call";
    EXPECT_TRUE(host.sockets.has_looped());
    host.sockets.advance();
    EXPECT_FALSE(host.sockets.has_looped());
    EXPECT_EQ(listener.data, (std::vector<Octets>{pattern(20)}));
    EXPECT_EQ(other.data, (std::vector<Octets>{pattern(20)}));
    EXPECT_EQ(listener.heard[0].source_address, GetParam() ? IpAddress{us} : IpAddress{us6});
    EXPECT_EQ(listener.heard[0].source_port, 6000);
    EXPECT_TRUE(listener.heard[0].group);
    const auto frames = host.sent();
    EXPECT_GE(frames.size(), 2U);
}

TEST_P(Rfc3678, WhoAnswersHisOwnDatagramsForEverHoldsNobodyUp) {
    host.groups().join(host.socket(listener));
    SendOptions options = host.to_group();
    options.loop = true;
    listener.then = [&] {
        host.sockets.send_to(options, pattern(1), host.now);
        host.sockets.send_to(options, pattern(1), host.now);
    };
    host.sockets.send_to(options, pattern(1), host.now);
    for (int turn = 0; turn < 20; ++turn) {
        host.sockets.advance();
        (void)host.sent();
    }
    EXPECT_GT(host.count(DropReason::udp_loop_full), 0U);
    EXPECT_LT(listener.data.size(), 6000U);
}

TEST_P(Rfc3678, OwnDatagramPassesTheFiltersOfTheSockets) {
    const IpAddress ours = GetParam() ? IpAddress{us} : IpAddress{us6};
    host.groups().set_filter(host.socket(listener), {FilterMode::exclude, {ours}});
    SendOptions options = host.to_group();
    options.loop = true;
    host.sockets.send_to(options, pattern(1), host.now);
    EXPECT_FALSE(host.sockets.has_looped());
}

TEST(Rfc1122, BroadcastAndTheGroupThatAllHearReachABoundSocketAsBefore) {
    Listener listener, joined;
    Host host{true};
    host.sockets.bind({}, 5000, listener);
    host.receive_to(ip::all_hosts, pattern(2), peer, 5000);
    EXPECT_EQ(listener.data.size(), 1U);
    host.groups().join({.group = ip::all_hosts, .port = 5000, .handler = &joined});
    host.receive_to(ip::all_hosts, pattern(2), peer, 5000);
    EXPECT_EQ(listener.data.size(), 2U);
    EXPECT_EQ(joined.data.size(), 1U);
}

TEST(Rfc1122, NoPortUnreachableIsSentAboutADatagramToAGroup) {
    Listener listener;
    Host host{true};
    host.groups().join({.group = group4, .port = 1, .handler = &listener});
    host.run_until(host.now + 10s);
    (void)host.sent();
    host.receive(pattern(2), peer);
    EXPECT_TRUE(host.sent().empty());
}

}  // namespace group_receivers_test
}  // namespace runnel::udp
