// Many datagrams in one send (as Linux's UDP_SEGMENT): cut in software, they are what as many sends would be.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host.hpp"

namespace runnel::udp {
namespace segments_test {

using namespace test_host;  // NOLINT: the words in which the tests are written

SendOptions to(const IpAddress& remote, std::uint16_t segment = 0) {
    return {.remote_address = remote, .remote_port = 53, .local_port = 5000, .tos = 0x28, .segment = segment};
}

// The data, one send a datagram.
std::vector<Octets> sent_singly(Host& host, const IpAddress& remote, const Octets& data, std::size_t step) {
    for (std::size_t at = 0; at < data.size(); at += step)
        EXPECT_EQ(host.sockets.send_to(
                      to(remote), std::span{data}.subspan(at, std::min(step, data.size() - at)), host.now),
                  SendResult::sent);
    return host.sent();
}

TEST(Segments, AreTheDatagramsOfAsManySends) {
    std::mt19937_64 random{seed()};
    for (const bool v4 : {true, false}) {
        Host host{v4 ? resolved_config() : resolved_ipv6_config()};
        const IpAddress remote = v4 ? IpAddress{peer} : IpAddress{peer6};
        const std::size_t most = v4 ? 1472 : 1452;
        for (int n = 0; n < 200; ++n) {
            const std::size_t step = 1 + random() % most;
            const Octets data =
                pattern(std::min<std::size_t>(step * (1 + random() % 63) + 1 + random() % step, 65'507));
            const auto segment = static_cast<std::uint16_t>(step);
            SCOPED_TRACE(testing::Message() << data.size() << " octets by " << step);
            const auto expected = sent_singly(host, remote, data, step);
            ASSERT_EQ(host.sockets.send_to(to(remote, segment), data, host.now), SendResult::sent);
            ASSERT_EQ(host.sent(), expected);
            // Of a chain that is cut anywhere.
            std::vector<std::size_t> sizes;
            for (std::size_t left = data.size(); left > 0;) {
                sizes.push_back(1 + random() % std::min<std::size_t>(left, 1900));
                left -= sizes.back();
            }
            rte_mbuf* const chain = host.pool.chain(data, sizes);
            ASSERT_EQ(host.sockets.send_to(to(remote, segment), chain, host.now), SendResult::sent);
            ASSERT_EQ(host.sent(), expected);
            // Of a chain whose octets somebody else holds too.
            rte_mbuf* const shared = host.pool.chain(data, sizes);
            for (rte_mbuf* part = shared; part != nullptr; part = part->next) rte_mbuf_refcnt_update(part, 1);
            const Octets before = octets_of(shared);
            std::vector<rte_mbuf*> parts;
            for (rte_mbuf* part = shared; part != nullptr; part = part->next) parts.push_back(part);
            ASSERT_EQ(host.sockets.send_to(to(remote, segment), shared, host.now), SendResult::sent);
            ASSERT_EQ(host.sent(), expected);
            Octets after;
            for (rte_mbuf* const part : parts) {
                const auto* const at = rte_pktmbuf_mtod(part, const std::byte*);
                after.insert(after.end(), at, at + part->data_len);
                rte_pktmbuf_free_seg(part);
            }
            ASSERT_EQ(after, before) << "what is shared stays as it is";
        }
        EXPECT_EQ(host.count(Counter::udp_segmented_out), 600U);
    }
}

TEST(Segments, EveryChecksumThereIsIsRight) {
    Host host;
    Octets data(128);
    for (unsigned first = 0; first < 65'536; first += 64) {
        for (unsigned i = 0; i < 64; ++i)
            wire::store_be16(data, 2 * i, static_cast<std::uint16_t>(first + i));
        ASSERT_EQ(host.sockets.send_to(to(peer, 2), data, host.now), SendResult::sent);
        for (const Octets& frame : host.sent()) {
            const auto packet = packet_in(frame);
            const auto datagram = packet.payload();
            ASSERT_NE(wire::load_be16(datagram, 6), 0) << "0 says that there is none (RFC 768)";
            ASSERT_TRUE(wire::checksum_holds(
                wire::checksum_add(datagram, wire::pseudo_header_sum(us, peer, 17, std::uint16_t{10}))));
        }
    }
    EXPECT_EQ(host.count(Counter::udp_out), 65'536U);
}

TEST(Segments, AreBoundedAsLinuxBoundsThem) {
    for (const bool v4 : {true, false}) {
        Host host{v4 ? resolved_config() : resolved_ipv6_config()};
        const IpAddress remote = v4 ? IpAddress{far_away} : IpAddress{far_away6};
        const std::size_t whole = v4 ? 1472 : 1452, most = v4 ? 65'507 : 65'527;
        const auto send = [&](std::size_t size, std::size_t segment) {
            const auto result = host.sockets.send_to(to(remote, static_cast<std::uint16_t>(segment)),
                                                     pattern(size), host.now);
            EXPECT_EQ(host.sent().size(), result == SendResult::sent ? (size + segment - 1) / segment : 0U);
            return result;
        };
        EXPECT_EQ(send(64 * 100, 100), SendResult::sent);
        EXPECT_EQ(send(64 * 100 + 1, 100), SendResult::too_big) << "65 datagrams";
        EXPECT_EQ(send(2 * whole, whole), SendResult::sent);
        EXPECT_EQ(send(2 * whole, whole + 1), SendResult::too_big) << "each is to fit the path";
        EXPECT_EQ(send(most, whole), SendResult::sent);
        EXPECT_EQ(send(most + 1, whole), SendResult::too_big);
        EXPECT_EQ(send(whole, whole + 1), SendResult::sent)
            << "nothing is cut, so the segment does not matter";
        EXPECT_EQ(send(whole + 1, 65'535), SendResult::too_big);
        EXPECT_EQ(host.count(DropReason::ip_too_big), 4U);
        ip::IcmpError error{.meaning = ip::IcmpMeaning::too_big, .protocol = 17, .next_hop_mtu = 1300};
        error.source = v4 ? IpAddress{us} : IpAddress{us6};
        error.destination = remote;
        host.layer.lower_datagram_mtu(error, host.now);
        const std::size_t lower = whole - 200;
        EXPECT_EQ(send(2 * lower, lower), SendResult::sent);
        EXPECT_EQ(send(2 * lower, lower + 1), SendResult::too_big) << "the path takes less";
    }
}

TEST(Segments, ConnectedSocketSendsThemToItsPeer) {
    Host host;
    Listener listener;
    const auto made = host.sockets.connect(to(peer, 700), listener);
    ASSERT_EQ(made.error, ConnectError::none);
    const Octets data = pattern(7'200);
    const auto expected = sent_singly(host, peer, data, 700);
    for (int n = 0; n < 3; ++n) {
        EXPECT_EQ(host.sockets.send(made.socket, data, host.now), SendResult::sent);
        EXPECT_EQ(host.sent(), expected);
    }
    EXPECT_EQ(host.count(Counter::udp_out), 4U * 11);
    EXPECT_EQ(host.count(Counter::udp_segmented_out), 3U);
}

TEST(Segments, WaitForTheNeighbourTogether) {
    Host host{plain_config()}, resolved;
    const Octets data = pattern(30'000);
    EXPECT_EQ(host.sockets.send_to(to(peer, 1000), data, host.now), SendResult::sent);
    EXPECT_EQ(host.sent().size(), 1U) << "a request";
    host.give(arp(wire::ArpOperation::reply, peer_mac, peer, us, our_mac, our_mac));
    EXPECT_EQ(host.sent(), sent_singly(resolved, peer, data, 1000));
}

TEST(Rfc6864, SegmentsThatMayBeFragmentedHaveAnIdEach) {
    Host host;
    SendOptions options = to(peer, 500);
    options.dont_fragment = false;
    const Octets data = pattern(20'100);
    EXPECT_EQ(host.sockets.send_to(options, data, host.now), SendResult::sent);
    const auto frames = host.sent();
    ASSERT_EQ(frames.size(), 41U);
    std::set<std::uint16_t> ids;
    Octets joined;
    for (const Octets& frame : frames) {
        const auto packet = packet_in(frame);
        EXPECT_FALSE(packet.dont_fragment());
        ids.insert(packet.id());
        const auto datagram = packet.payload();
        EXPECT_TRUE(wire::checksum_holds(wire::checksum_add(
            datagram, wire::pseudo_header_sum(us, peer, 17, static_cast<std::uint16_t>(datagram.size())))));
        joined.insert(joined.end(), datagram.begin() + 8, datagram.end());
    }
    EXPECT_EQ(ids.size(), 41U);
    EXPECT_EQ(joined, data);
    EXPECT_EQ(host.count(Counter::udp_out), 41U);
}

TEST(Segments, AllLeaveOrNone) {
    // 64 frames may wait.
    Host host{resolved_config(), {}, 64};
    EXPECT_EQ(host.sockets.send_to(to(peer), pattern(1), host.now), SendResult::sent);
    EXPECT_EQ(host.sockets.send_to(to(peer, 100), pattern(6'400), host.now), SendResult::dropped);
    EXPECT_EQ(host.count(DropReason::transmit_queue_full), 1U);
    EXPECT_EQ(host.sockets.send_to(to(peer, 100), pattern(6'300), host.now), SendResult::sent);
    EXPECT_EQ(host.sent().size(), 64U);
    // And with mbufs for the data, but not for another copy of it.
    rte_mbuf* const chain = host.pool.chain(pattern(6'400), {1'000, 1'000, 1'000, 1'000, 1'000, 1'000});
    std::vector<rte_mbuf*> taken;
    while (rte_mempool_avail_count(host.pool.get()) > 20) taken.push_back(rte_pktmbuf_alloc(host.pool.get()));
    std::vector<rte_mbuf*> stashed;
    while (rte_mbuf* const one = host.stash.take_data()) stashed.push_back(one);
    for (int n = 0; n < 30; ++n) {
        host.stash.put(stashed.back());
        stashed.pop_back();
    }
    EXPECT_EQ(host.sockets.send_to(to(peer, 100), chain, host.now), SendResult::dropped);
    EXPECT_EQ(host.count(DropReason::no_mbuf), 1U);
    EXPECT_TRUE(host.sent().empty());
    for (rte_mbuf* const one : stashed) host.stash.put(one);
    for (rte_mbuf* const one : taken) rte_pktmbuf_free(one);
}

TEST(Segments, ReachGroupsAndBroadcastAndThoseWhoHearThemHere) {
    constexpr Ipv4Address group{239, 1, 2, 3};
    Host host;
    Listener member;
    ASSERT_EQ(host.sockets.groups().join({.group = group, .port = 53, .handler = &member}),
              ip::GroupResult::done);
    SendOptions options = to(group, 400);
    options.loop = true;
    const Octets data = pattern(1'100);
    EXPECT_EQ(host.sockets.send_to(options, data, host.now), SendResult::sent);
    host.sockets.advance();
    ASSERT_EQ(member.data.size(), 3U);
    EXPECT_EQ(member.data[0] + member.data[1] + member.data[2], data);
    EXPECT_EQ(member.data[2].size(), 300U);
    std::size_t datagrams = 0;
    for (const Octets& frame : host.sent()) {
        const auto packet = packet_in(frame);
        if (packet.protocol() != wire::IpProtocol::udp) continue;
        ++datagrams;
        EXPECT_EQ(packet.ttl(), 1);
        EXPECT_EQ(wire::EthernetView::parse(frame)->destination(), wire::multicast_mac(group));
    }
    EXPECT_EQ(datagrams, 3U);
    EXPECT_EQ(host.sockets.send_to(to(subnet_broadcast, 400), data, host.now), SendResult::sent);
    const auto frames = host.sent();
    ASSERT_EQ(frames.size(), 3U);
    for (const Octets& frame : frames)
        EXPECT_EQ(wire::EthernetView::parse(frame)->destination(), MacAddress::broadcast());
}

TEST(Segments, CarryTheTagsOfTheirVlan) {
    ip::Config config = resolved_config();
    config.interfaces[0].vlan = 100;
    Host host{config};
    const Octets data = pattern(2'500);
    const auto expected = sent_singly(host, peer, data, 1'000);
    EXPECT_EQ(host.sockets.send_to(to(peer, 1'000), data, host.now), SendResult::sent);
    EXPECT_EQ(host.sent(), expected);
}

}  // namespace segments_test
}  // namespace runnel::udp
