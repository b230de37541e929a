// Neighbours: RFC 826, RFC 1122 section 2.3.2, RFC 5227.
#include <vector>

#include <gtest/gtest.h>

#include "network.hpp"

namespace runnel::ip {
namespace arp_test {

using namespace test;  // NOLINT: the words in which the tests are written
using wire::ArpOperation;

Octets reply_from(Ipv4Address address, MacAddress mac) {
    return arp(ArpOperation::reply, mac, address, us, our_mac, our_mac);
}

// True where the frame asks for `target`; at `mac` where it does so by unicast.
bool asks_for(const Octets& frame, Ipv4Address target, MacAddress mac = MacAddress::broadcast()) {
    const auto packet = arp_in(frame);
    return packet && packet->operation == ArpOperation::request && packet->target_ip == target &&
           packet->sender_mac == our_mac && wire::EthernetView::parse(frame)->destination() == mac;
}

TEST(Rfc826, RequestForUsIsAnswered) {
    Network net;
    EXPECT_EQ(net.give(arp(ArpOperation::request, peer_mac, peer, us)), Upper::none);
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(arp_in(frames[0]), (wire::ArpPacket{ArpOperation::reply, our_mac, us, peer_mac, peer}));
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), peer_mac);
    EXPECT_EQ(net.count(Counter::arp_in), 1U);
    EXPECT_EQ(net.count(Counter::arp_out), 1U);
}

TEST(Rfc826, EachAddressOfARangeIsAnsweredAndNoOther) {
    Config config = plain_config();
    config.interfaces[0].address_count = 100;
    config.interfaces[0].prefix_length = 16;
    Network net{config};
    for (const std::uint32_t i : {0U, 1U, 99U}) {
        net.give(arp(ArpOperation::request, peer_mac, Ipv4Address{10, 0, 1, 1}, Ipv4Address{us.value + i}));
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U);
        EXPECT_EQ(arp_in(frames[0])->sender_ip, (Ipv4Address{us.value + i}));
    }
    EXPECT_EQ(net.reason_for(arp(ArpOperation::request, other_mac, Ipv4Address{10, 0, 1, 2},
                                 Ipv4Address{us.value + 100})),
              DropReason::arp_not_for_us);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc826, WhoAsksForUsNeedNotBeAskedBack) {
    Network net;
    net.give(arp(ArpOperation::request, peer_mac, peer, us));
    (void)net.sent();
    EXPECT_TRUE(net.send(tcp_header()));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), peer_mac);
    EXPECT_EQ(packet_in(frames[0]).destination(), peer);
}

TEST(Rfc826, RequestBetweenOthersTeachesNothing) {
    Network net;
    EXPECT_EQ(net.reason_for(arp(ArpOperation::request, peer_mac, peer, Ipv4Address{10, 0, 0, 77})),
              DropReason::arp_not_for_us);
    net.send(tcp_header());
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_TRUE(asks_for(frames[0], peer));
}

TEST(Rfc826, KnownNeighbourIsUpdatedByAnyPacketFromIt) {
    Network net;
    net.give(arp(ArpOperation::request, peer_mac, peer, us));
    net.send(tcp_header());
    (void)net.sent();
    EXPECT_EQ(net.reason_for(arp(ArpOperation::request, other_mac, peer, Ipv4Address{10, 0, 0, 77})),
              std::nullopt);
    net.send(tcp_header());
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), other_mac);
}

TEST(Rfc1122, ReplyNeverAskedForCreatesNothing) {
    Network net;
    EXPECT_EQ(net.reason_for(reply_from(peer, other_mac)), DropReason::arp_unsolicited);
    net.send(tcp_header());
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_TRUE(asks_for(frames[0], peer));
}

TEST(Rfc1122, PacketsWaitForTheAnswerAndLeaveInOrder) {
    Network net;
    for (std::uint16_t port = 1; port <= 3; ++port) EXPECT_TRUE(net.send(tcp_header(port)));
    auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_TRUE(asks_for(frames[0], peer));
    EXPECT_EQ(arp_in(frames[0])->sender_ip, us);
    EXPECT_EQ(net.reason_for(reply_from(peer, peer_mac)), std::nullopt);
    frames = net.sent();
    ASSERT_EQ(frames.size(), 3U);
    for (std::uint16_t port = 1; port <= 3; ++port) {
        EXPECT_EQ(wire::load_be16(packet_in(frames[port - 1U]).payload(), 0), port);
        EXPECT_EQ(wire::EthernetView::parse(frames[port - 1U])->header(),
                  (wire::EthernetHeader{peer_mac, our_mac, wire::EtherType::ipv4}));
    }
}

TEST(Rfc1122, OfTooManyWaitingPacketsTheLatestAreKept) {
    Config config = plain_config();
    config.neighbour_queue = 2;
    Network net{config};
    for (std::uint16_t port = 1; port <= 5; ++port) EXPECT_TRUE(net.send(tcp_header(port)));
    EXPECT_EQ(net.count(DropReason::neighbour_queue_full), 3U);
    (void)net.sent();
    net.give(reply_from(peer, peer_mac));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(wire::load_be16(packet_in(frames[0]).payload(), 0), 4);
    EXPECT_EQ(wire::load_be16(packet_in(frames[1]).payload(), 0), 5);
}

TEST(Rfc1122, OneRequestASecondAndThenTheNeighbourIsUnreachable) {
    Network net;
    net.send(tcp_header());
    std::vector<Instant> asked;
    for (int step = 0; step < 50; ++step) {
        for (const Octets& frame : net.sent()) {
            EXPECT_TRUE(asks_for(frame, peer));
            asked.push_back(net.now);
        }
        if (net.now < Instant{3900ms})
            net.send(tcp_header());  // more packets are no reason to ask more often
        net.run_until(net.now + 100ms);
    }
    EXPECT_EQ(asked, (std::vector<Instant>{Instant{1s}, Instant{2s}, Instant{3s}}));
    EXPECT_EQ(net.count(DropReason::neighbour_unreachable), 4U) << "what waited when the answer stayed out";
}

TEST(Rfc1122, UnreachableNeighbourDropsAtOnceForAWhileAndIsAskedAgain) {
    Network net;
    net.send(tcp_header());
    net.run_until(Instant{4s});
    (void)net.sent();
    EXPECT_EQ(net.count(DropReason::neighbour_unreachable), 1U);
    EXPECT_FALSE(net.send(tcp_header()));
    EXPECT_EQ(net.count(DropReason::neighbour_unreachable), 2U);
    EXPECT_TRUE(net.sent().empty());
    net.run_until(Instant{5s});
    EXPECT_TRUE(net.send(tcp_header()));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_TRUE(asks_for(frames[0], peer));
}

TEST(Rfc1122, UnreachableNeighbourThatSpeaksIsReachable) {
    Network net;
    net.send(tcp_header());
    net.run_until(Instant{4s});
    net.give(arp(ArpOperation::request, peer_mac, peer, us));
    (void)net.sent();
    EXPECT_TRUE(net.send(tcp_header()));
    EXPECT_EQ(packet_in(net.sent().at(0)).destination(), peer);
}

TEST(Rfc1122, AgedNeighbourIsAskedByUnicastAtItsNextUseAndServesMeanwhile) {
    Network net;
    net.give(arp(ArpOperation::request, peer_mac, peer, us));
    net.send(tcp_header());
    (void)net.sent();
    net.run_until(net.now + 59s);
    net.send(tcp_header());
    EXPECT_EQ(net.sent().size(), 1U) << "within its lifetime nothing is asked";
    net.run_until(net.now + 1s);
    EXPECT_TRUE(net.sent().empty()) << "who is not used is not asked for";
    net.send(tcp_header());
    auto frames = net.sent();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_TRUE(asks_for(frames[0], peer, peer_mac));
    EXPECT_EQ(packet_in(frames[1]).destination(), peer);
    net.give(reply_from(peer, peer_mac));
    net.run_until(net.now + 30s);
    net.send(tcp_header());
    EXPECT_EQ(net.sent().size(), 1U) << "the answer has renewed it";
}

TEST(Rfc1122, NeighbourInDoubtIsAskedAtItsNextUseAndServesMeanwhile) {
    Network net;
    net.give(arp(ArpOperation::request, peer_mac, peer, us));
    net.send(tcp_header());
    (void)net.sent();
    net.layer.doubt(peer, net.now);
    net.run_until(net.now + 1s);
    EXPECT_TRUE(net.sent().empty());
    net.send(tcp_header());
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_TRUE(asks_for(frames[0], peer, peer_mac));
    EXPECT_EQ(packet_in(frames[1]).destination(), peer);
}

TEST(Rfc1122, AgedNeighbourThatDoesNotAnswerIsForgotten) {
    Network net;
    net.give(arp(ArpOperation::request, peer_mac, peer, us));
    net.run_until(net.now + 60s);
    (void)net.sent();
    net.send(tcp_header());
    int asked = 0;
    for (int i = 0; i < 3; ++i) {
        for (const Octets& frame : net.sent()) asked += asks_for(frame, peer, peer_mac);
        net.run_until(net.now + 1s);
    }
    EXPECT_EQ(asked, 3);
    (void)net.sent();
    EXPECT_TRUE(net.send(tcp_header()));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_TRUE(asks_for(frames[0], peer));
}

TEST(Rfc1122, NeighbourThatNobodyUsesIsForgottenWithoutAWord) {
    Network net;
    net.give(arp(ArpOperation::request, peer_mac, peer, us));
    (void)net.sent();
    net.run_until(net.now + 120s);
    EXPECT_TRUE(net.sent().empty());
    EXPECT_EQ(net.layer.next_deadline(), never);
}

TEST(NeighbourCache, IsBoundedAndTheOldestMakesRoom) {
    Config config = plain_config();
    config.neighbour_capacity = 4;
    Network net{config};
    for (std::uint8_t host = 10; host < 15; ++host) {
        net.give(arp(ArpOperation::request, peer_mac, Ipv4Address{10, 0, 0, host}, us));
        net.now += 1s;
    }
    EXPECT_EQ(net.count(DropReason::neighbour_table_full), 1U);
    (void)net.sent();
    for (std::uint8_t host = 14; host >= 11; --host) net.send(tcp_header(), Ipv4Address{10, 0, 0, host});
    for (const Octets& frame : net.sent()) EXPECT_FALSE(arp_in(frame));
    net.send(tcp_header(), Ipv4Address{10, 0, 0, 10});
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_TRUE(asks_for(frames[0], Ipv4Address{10, 0, 0, 10}));
}

TEST(NeighbourCache, EvictedNeighbourGivesUpItsPackets) {
    Config config = plain_config();
    config.neighbour_capacity = 1;
    Network net{config};
    net.send(tcp_header());
    net.send(tcp_header(), Ipv4Address{10, 0, 0, 3});
    EXPECT_EQ(net.count(DropReason::neighbour_table_full), 2U);  // the neighbour and its packet
    net.give(reply_from(Ipv4Address{10, 0, 0, 3}, peer_mac));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(packet_in(frames[2]).destination(), (Ipv4Address{10, 0, 0, 3}));
}

TEST(NeighbourCache, StaticEntryIsNeverOverwrittenEvictedOrAged) {
    Config config = plain_config();
    config.neighbours = {{peer, peer_mac, 0}};
    config.neighbour_capacity = 1;
    Network net{config};
    net.give(arp(ArpOperation::request, other_mac, peer, us));
    net.give(reply_from(peer, other_mac));
    net.give(arp(ArpOperation::request, other_mac, Ipv4Address{10, 0, 0, 3}, us));
    net.run_until(net.now + 1000s);
    (void)net.sent();
    net.send(tcp_header());
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), peer_mac);
    EXPECT_FALSE(net.send(tcp_header(), Ipv4Address{10, 0, 0, 3}));
    EXPECT_EQ(net.count(DropReason::neighbour_table_full), 1U);
}

/// Keeps what one core tells the others.
class Listening final : public PeerCores {
  public:
    void tell(const NeighbourNews& news) noexcept override { told.push_back(news); }
    bool pass_on(const IcmpError&) noexcept override { return false; }
    void tell_of_router(const RouterNews&) noexcept override {}
    void tell(const IcmpError&) noexcept override {}
    bool pass_on(rte_mbuf*, const IpAddress&, const IpAddress&, std::uint16_t,
                 std::uint16_t) noexcept override {
        return false;
    }
    std::vector<NeighbourNews> told;
};

TEST(ArpOfManyCores, WhatIsHeardIsToldToTheOtherCores) {
    Listening others;
    Config config = plain_config();
    config.peers = &others;
    Network net{config};
    // A reply that another core asked for is no news here, and no drop.
    EXPECT_EQ(net.reason_for(reply_from(peer, peer_mac)), std::nullopt);
    EXPECT_EQ(net.reason_for(arp(ArpOperation::request, other_mac, peer, us)), std::nullopt);
    EXPECT_EQ(net.reason_for(arp(ArpOperation::request, peer_mac, Ipv4Address{}, us)),
              std::nullopt);  // a probe
    ASSERT_EQ(others.told.size(), 2U);
    EXPECT_EQ(others.told[0].address, peer);
    EXPECT_EQ(others.told[0].mac, peer_mac);
    EXPECT_FALSE(others.told[0].asked_us);
    EXPECT_EQ(others.told[1].mac, other_mac);
    EXPECT_TRUE(others.told[1].asked_us);
    EXPECT_EQ(net.sent().size(), 2U) << "the core that was asked answers, and no other";
}

TEST(ArpOfManyCores, NewsAnswerWhatThisCoreAskedAndSayWhoWillBeSentSomething) {
    Network net;
    net.layer.hear({peer, peer_mac, 0, false}, net.now);
    EXPECT_EQ(net.layer.next_deadline(), never) << "nobody here wanted to know";
    net.send(tcp_header());
    auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_TRUE(asks_for(frames[0], peer));
    net.layer.hear({peer, peer_mac, 0, false}, net.now);
    frames = net.sent();
    ASSERT_EQ(frames.size(), 1U) << "what waited leaves";
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), peer_mac);
    // A neighbour that has moved is followed.
    net.layer.hear({peer, other_mac, 0, false}, net.now);
    net.send(tcp_header());
    frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(wire::EthernetView::parse(frames[0])->destination(), other_mac);

    Network asked;
    asked.layer.hear({peer, peer_mac, 0, true}, asked.now);
    EXPECT_TRUE(asked.sent().empty()) << "the core that received the request has answered";
    asked.send(tcp_header());
    frames = asked.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(packet_in(frames[0]).destination(), peer);
}

TEST(Rfc5227, ProbeIsAnsweredAndNotRemembered) {
    Network net;
    EXPECT_EQ(net.reason_for(arp(ArpOperation::request, peer_mac, Ipv4Address{}, us)), std::nullopt);
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(arp_in(frames[0]),
              (wire::ArpPacket{ArpOperation::reply, our_mac, us, peer_mac, Ipv4Address{}}));
    EXPECT_EQ(net.layer.next_deadline(), never) << "no entry ages";
}

TEST(Rfc5227, ClaimToOurAddressIsAnsweredOnceInTenSeconds) {
    Network net;
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(net.reason_for(arp(ArpOperation::request, other_mac, us, us)),
                  DropReason::arp_address_conflict);
    auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(arp_in(frames[0]), (wire::ArpPacket{ArpOperation::request, our_mac, us, {}, us}));
    net.now += 10s;
    net.give(reply_from(us, other_mac));
    EXPECT_EQ(net.sent().size(), 1U);
    net.now += 10s;
    net.give(arp(ArpOperation::request, our_mac, us, us));  // our own, come back
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc5227, AddressesAreAnnouncedTwiceTwoSecondsApart) {
    Config config = plain_config();
    config.interfaces[0].address_count = 200;
    Network net{config, 1024};
    net.layer.announce(net.now);
    std::vector<int> announced(200);
    net.run_until(net.now + 1900ms);
    const auto count = [&] {
        for (const Octets& frame : net.sent()) {
            const auto packet = arp_in(frame);
            ASSERT_TRUE(packet && packet->sender_ip == packet->target_ip &&
                        packet->operation == ArpOperation::request);
            ++announced.at(packet->sender_ip.value - us.value);
        }
    };
    count();
    EXPECT_EQ(announced, std::vector<int>(200, 1));
    net.run_until(net.now + 2s);
    count();
    EXPECT_EQ(announced, std::vector<int>(200, 2));
    EXPECT_EQ(net.layer.next_deadline(), never);
}

TEST(Rfc826, MalformedPacketsAreCounted) {
    Network net;
    const Octets good = arp(ArpOperation::request, peer_mac, peer, us);
    EXPECT_EQ(net.reason_for(std::span{good}.first(14 + 27)), DropReason::arp_malformed);
    for (const std::size_t at : {14U, 16U, 18U, 19U, 20U}) {
        Octets changed = good;
        changed[at] ^= std::byte{0x40};
        EXPECT_EQ(net.reason_for(changed), DropReason::arp_malformed) << at;
    }
    for (const Ipv4Address sender : {Ipv4Address{127, 0, 0, 1}, Ipv4Address{224, 0, 0, 1}, subnet_broadcast})
        EXPECT_EQ(net.reason_for(arp(ArpOperation::request, peer_mac, sender, us)),
                  DropReason::arp_malformed);
    EXPECT_EQ(net.reason_for(arp(ArpOperation::reply, peer_mac, Ipv4Address{}, us)),
              DropReason::arp_malformed);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Ieee8021q, ArpIsTaggedLikeAllElse) {
    Config config = plain_config();
    config.interfaces[0].vlan = 7;
    Network net{config};
    net.send(tcp_header());
    auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    const auto view = *wire::EthernetView::parse(frames[0]);
    EXPECT_EQ(view.type(), wire::EtherType::vlan);
    EXPECT_EQ(wire::parse_vlan_tag(view.payload()), (wire::VlanTag{.id = 7, .type = wire::EtherType::arp}));
    const Octets answer = reply_from(peer, peer_mac);
    net.give(tagged(std::span{answer}.subspan(14), 7, wire::EtherType::arp));
    frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(packet_in(frames[0], 18).destination(), peer);
}

TEST(Arp, AFullTransmitQueueLosesNoMbuf) {
    Network net{plain_config(), 1};
    net.give(arp(ArpOperation::request, peer_mac, peer, us));
    EXPECT_EQ(net.reason_for(arp(ArpOperation::request, peer_mac, peer, us)),
              DropReason::transmit_queue_full);
    EXPECT_EQ(net.count(Counter::arp_out), 1U);
}

}  // namespace arp_test
}  // namespace runnel::ip
