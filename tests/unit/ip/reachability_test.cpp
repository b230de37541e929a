// Whether a neighbour still answers: Neighbour Unreachability Detection (RFC 4861 section 7.3) with what
// transports know, for ND and ARP alike (RFC 1122 section 2.3.2.1).
#include <set>

#include "neighbourhood.hpp"

namespace runnel::ip {
namespace reachability_test {

using namespace test;

/// A transport that has one flow, and counts how often it is asked.
struct OneFlow final : ForwardProgress {
    std::optional<std::uint64_t> progress = 0;
    mutable TransportFlow asked{};
    mutable int times = 0;

    std::optional<std::uint64_t> progress_of(const TransportFlow& flow) const noexcept override {
        asked = flow;
        ++times;
        return progress;
    }
};

struct Watched : Neighbourhood {
    Watched() { layer.set_progress(&flow); }
    /// Knows the peer, and has used it since that knowledge was old: five seconds from now it is probed.
    void doubt_peer() {
        resolve();
        run_until(now + 46s);  // the longest reachable time
        EXPECT_EQ(way_to(), peer_mac);
    }
    OneFlow flow;
};

TEST(Rfc4861, ProgressOfAFlowIsAsGoodAsAnAnswer) {
    Watched net;
    net.doubt_peer();
    EXPECT_EQ(net.flow.asked.remote, IpAddress{peer6});
    EXPECT_EQ(net.flow.asked.local, IpAddress{us6});
    EXPECT_EQ(net.flow.asked.local_port, 40000);
    EXPECT_EQ(net.flow.asked.remote_port, 80);
    ++*net.flow.progress;
    net.run_until(net.now + 14s);
    EXPECT_TRUE(net.solicitations().empty()) << "reachable again, for 15 s at least";
    EXPECT_EQ(net.way_to(), peer_mac);
    net.run_until(net.now + 100s);
    EXPECT_TRUE(net.solicitations().empty());
}

TEST(Rfc4861, FlowWithoutProgressIsNoAnswer) {
    Watched net;
    net.doubt_peer();
    net.run_until(net.now + 5100ms);
    ASSERT_EQ(net.solicitations().size(), 1U);
}

TEST(Rfc4861, FlowThatHasEndedIsNoAnswer) {
    Watched net;
    net.doubt_peer();
    net.flow.progress.reset();
    net.run_until(net.now + 5100ms);
    EXPECT_EQ(net.solicitations().size(), 1U);
}

TEST(Rfc4861, ProgressEndsTheProbing) {
    Watched net;
    net.doubt_peer();
    net.run_until(net.now + 5100ms);
    ASSERT_EQ(net.solicitations().size(), 1U);
    ++*net.flow.progress;
    net.run_until(net.now + 10s);
    EXPECT_TRUE(net.solicitations().empty());
    EXPECT_EQ(net.way_to(), peer_mac);
}

// What a transport knows costs nothing while the neighbour is not in doubt, and little while it is.
TEST(Rfc4861, TransportIsAskedOnlyOfANeighbourInDoubt) {
    Watched net;
    net.resolve();
    for (int i = 0; i < 100; ++i) EXPECT_EQ(net.way_to(), peer_mac);
    EXPECT_EQ(net.flow.times, 0);
    net.run_until(net.now + 46s);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(net.way_to(), peer_mac);
    EXPECT_EQ(net.flow.times, 1) << "at the first use since";
    ++*net.flow.progress;
    net.run_until(net.now + 5100ms);
    EXPECT_EQ(net.flow.times, 2) << "and when it would be probed";
    for (int i = 0; i < 100; ++i) EXPECT_EQ(net.way_to(), peer_mac);
    EXPECT_EQ(net.flow.times, 2);
}

// A transport that hears nothing says so (RFC 9293 section 3.8.3): there is nothing to wait for.
TEST(Rfc4861, NeighbourInDoubtIsProbedWithoutDelay) {
    Neighbourhood net;
    net.resolve();
    net.layer.doubt(peer6, net.now);
    EXPECT_TRUE(net.solicitations().empty()) << "nobody uses it";
    net.send_to(peer6);
    const auto asked = net.solicitations();
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].frame_destination, peer_mac);
    net.give(discovery(advertisement(peer6, solicited, std::nullopt), peer6, us6));
    net.run_until(net.now + 10s);
    EXPECT_TRUE(net.solicitations().empty());
}

TEST(Rfc4861, DoubtEndsTheDelay) {
    Neighbourhood net;
    net.resolve();
    net.run_until(net.now + 46s);
    (void)net.way_to();
    net.run_until(net.now + 1s);
    net.layer.doubt(peer6, net.now);
    net.send_to(peer6);
    EXPECT_EQ(net.solicitations().size(), 1U);
}

// Fail-over: who takes over the address says so, or is asked for when the one before has not answered.
TEST(Rfc4861, NeighbourWhoseLinkAddressChangesIsFollowedAtOnce) {
    Neighbourhood net;
    net.resolve();
    EXPECT_EQ(net.way_to(), peer_mac);
    net.give(discovery(advertisement(peer6, override_flag, other_mac), peer6, all_nodes,
                       wire::multicast_mac(all_nodes)));
    EXPECT_EQ(net.way_to(), other_mac);
}

TEST(Rfc4861, DeadNeighbourIsAskedForByMulticastAndAnotherMayAnswer) {
    Neighbourhood net;
    net.resolve();
    net.layer.doubt(peer6, net.now);
    net.send_to(peer6);
    net.run_until(net.now + 3100ms);  // three probes
    (void)net.sent();
    net.send_to(peer6);
    const auto asked = net.solicitations();
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].header.destination, peer6.solicited_node());
    net.give(discovery(advertisement(peer6, solicited | override_flag, other_mac), peer6, us6));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), other_mac);
}

// Section 6.3.2: between a half and three halves of the base, drawn anew every few hours.
TEST(Rfc4861, ReachableTimeIsDrawnAtRandomAndAnewEveryFewHours) {
    Neighbourhood net;
    std::set<Duration> drawn;
    for (int i = 0; i < 50; ++i) {
        net.resolve();
        const Duration reachable = net.layer.next_deadline() - net.now;
        EXPECT_GE(reachable, 15s);
        EXPECT_LE(reachable, 45s);
        drawn.insert(reachable);
        net.run_until(net.now + 3h);
        (void)net.sent();
    }
    EXPECT_GT(drawn.size(), 25U);
    EXPECT_LT(*drawn.begin(), 25s);
    EXPECT_GT(*drawn.rbegin(), 35s);
}

TEST(Rfc1122, ProgressOfAFlowEndsTheProbingOfArpToo) {
    Network net;
    OneFlow flow;
    net.layer.set_progress(&flow);
    net.give(arp(wire::ArpOperation::request, peer_mac, peer, us));
    net.run_until(net.now + 60s);
    (void)net.sent();
    net.send(tcp_header());
    EXPECT_EQ(flow.asked.remote, IpAddress{peer});
    ++*flow.progress;
    ASSERT_EQ(net.sent().size(), 2U) << "a unicast request, and the segment";
    net.run_until(net.now + 30s);
    EXPECT_TRUE(net.sent().empty()) << "asked no more";
    net.send(tcp_header());
    EXPECT_EQ(net.sent().size(), 1U);
}

}  // namespace reachability_test
}  // namespace runnel::ip
