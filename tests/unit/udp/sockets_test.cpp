// UDP sockets: RFC 768, RFC 1122 section 4.1.
#include "runnel/udp/sockets.hpp"

#include <random>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host.hpp"

namespace runnel::udp {
namespace sockets_test {

using namespace test_host;  // NOLINT: the words in which the tests are written

TEST(Rfc768, DatagramReachesItsSocket) {
    Host host;
    Listener listener;
    host.sockets.bind(us, 53, listener);
    host.receive_datagram(udp_datagram(pattern(20), 4000, 53));
    ASSERT_EQ(listener.heard.size(), 1U);
    EXPECT_EQ(listener.data[0], pattern(20));
    EXPECT_EQ(listener.heard[0].source_address, IpAddress{peer});
    EXPECT_EQ(listener.heard[0].destination_address, IpAddress{us});
    EXPECT_EQ(listener.heard[0].source_port, 4000);
    EXPECT_EQ(listener.heard[0].destination_port, 53);
    EXPECT_EQ(listener.heard[0].ttl, 5);
    EXPECT_EQ(listener.heard[0].tos, 8);
    EXPECT_FALSE(listener.heard[0].group);
    EXPECT_EQ(host.count(Counter::udp_in), 1U);
}

TEST(Rfc768, EmptyDatagramIsADatagram) {
    Host host;
    Listener listener;
    host.sockets.bind(us, 53, listener);
    host.receive_datagram(udp_datagram({}, 0, 53));
    ASSERT_EQ(listener.heard.size(), 1U);
    EXPECT_TRUE(listener.data[0].empty());
    EXPECT_EQ(listener.heard[0].source_port, 0);
}

TEST(Rfc768, ChecksumIsVerifiedAndZeroMeansNone) {
    Host host;
    Listener listener;
    host.sockets.bind(us, 53, listener);
    Octets datagram = udp_datagram(pattern(21), 4000, 53);
    datagram[15] ^= std::byte{1};
    host.receive_datagram(datagram);
    EXPECT_EQ(host.count(DropReason::udp_bad_checksum), 1U);
    EXPECT_TRUE(listener.heard.empty());
    wire::store_be16(datagram, 6, 0);
    host.receive_datagram(datagram);
    EXPECT_EQ(listener.heard.size(), 1U);
}

TEST(Rfc768, LengthIsCheckedAndWhatLiesBeyondIsCutOff) {
    Host host;
    Listener listener;
    host.sockets.bind(us, 53, listener);
    host.receive_datagram(udp_datagram(pattern(9), 4000, 53) + pattern(3));
    ASSERT_EQ(listener.data.size(), 1U);
    EXPECT_EQ(listener.data[0], pattern(9));
    Octets datagram = udp_datagram(pattern(9), 4000, 53);
    for (const std::uint16_t length : {std::uint16_t{7}, std::uint16_t{18}, std::uint16_t{0}}) {
        wire::store_be16(datagram, 4, length);
        host.receive_datagram(datagram);
    }
    EXPECT_EQ(host.count(DropReason::udp_bad_length), 3U);
    host.receive_datagram(pattern(7));
    EXPECT_EQ(host.count(DropReason::udp_truncated), 1U);
    EXPECT_EQ(listener.data.size(), 1U);
}

TEST(Rfc768, DatagramInAChainOfAnyCutIsVerifiedAndDelivered) {
    Host host;
    Listener listener;
    host.sockets.bind(us, 53, listener);
    const Octets frame =
        ethernet(ipv4(udp_datagram(pattern(99), 4000, 53), {.protocol = wire::IpProtocol::udp}));
    for (std::size_t first = 1; first < 80; ++first) {
        host.receive(host.pool.chain(frame, {first, 13}));
        ASSERT_EQ(listener.data.size(), first);
        ASSERT_EQ(listener.data.back(), pattern(99));
    }
}

TEST(Rfc1122, DatagramToAPortThatNobodyBoundIsAnsweredWithPortUnreachable) {
    Host host;
    const Octets packet = ipv4(udp_datagram(pattern(20), 4000, 53), {.protocol = wire::IpProtocol::udp});
    host.receive(ethernet(packet));
    EXPECT_EQ(host.count(DropReason::udp_no_socket), 1U);
    const auto frames = host.sent();
    ASSERT_EQ(frames.size(), 1U);
    const auto payload = packet_in(frames[0]).payload();
    EXPECT_EQ(Octets(payload.begin(), payload.end()),
              icmp(wire::IcmpType::destination_unreachable, 3, 0, packet));
}

TEST(Rfc1122, NoErrorAnswersADatagramToAGroup) {
    Host host;
    host.receive(ethernet(ipv4(udp_datagram({}, 1, 2, peer, subnet_broadcast),
                               {.destination = subnet_broadcast, .protocol = wire::IpProtocol::udp}),
                          wire::EtherType::ipv4, MacAddress::broadcast()));
    EXPECT_EQ(host.count(DropReason::udp_no_socket), 1U);
    EXPECT_TRUE(host.sent().empty());
}

TEST(Sockets, GroupsReachOnlyWhoBoundAllAddresses) {
    Host host;
    Listener of_all, of_one;
    host.sockets.bind({}, 67, of_all);
    host.sockets.bind(us, 67, of_one);
    host.receive(ethernet(ipv4(udp_datagram({}, 68, 67, peer, subnet_broadcast),
                               {.destination = subnet_broadcast, .protocol = wire::IpProtocol::udp}),
                          wire::EtherType::ipv4, MacAddress::broadcast()));
    EXPECT_TRUE(of_one.heard.empty());
    ASSERT_EQ(of_all.heard.size(), 1U);
    EXPECT_TRUE(of_all.heard[0].group);
}

TEST(Sockets, SocketOfAnAddressGoesBeforeThatOfAll) {
    ip::Config config = resolved_config();
    config.interfaces[0].address_count = 50;
    config.neighbours[0].address = Ipv4Address{10, 0, 0, 100};
    Host host{config};
    Listener of_all, of_one;
    host.sockets.bind({}, 53, of_all);
    host.sockets.bind(us, 53, of_one);
    const Ipv4Address second{us.value + 1};
    const Ipv4Address sender{10, 0, 0, 100};
    for (const Ipv4Address destination : {us, second})
        host.receive(ethernet(
            ipv4(udp_datagram({}, 1, 53, sender, destination),
                 {.source = sender, .destination = destination, .protocol = wire::IpProtocol::udp})));
    EXPECT_EQ(of_one.heard.size(), 1U);
    EXPECT_EQ(of_all.heard.size(), 1U);
}

TEST(Sockets, BindingIsCheckedAndUndone) {
    Host host{resolved_config(), {.sockets = 2}};
    Listener listener;
    EXPECT_THROW(host.sockets.bind(us, 0, listener), std::invalid_argument);
    EXPECT_THROW(host.sockets.bind(peer, 53, listener), std::invalid_argument);
    EXPECT_THROW(host.sockets.bind(*parse_ip_address("2001:db8::1"), 53, listener), std::invalid_argument);
    host.sockets.bind(us, 53, listener);
    EXPECT_THROW(host.sockets.bind(us, 53, listener), std::invalid_argument);
    host.sockets.bind(us, 55, listener);
    EXPECT_THROW(host.sockets.bind(us, 57, listener), std::length_error);
    EXPECT_TRUE(host.sockets.unbind(us, 53));
    EXPECT_FALSE(host.sockets.unbind(us, 53));
    EXPECT_FALSE(host.sockets.unbind({}, 55));
    host.receive_datagram(udp_datagram({}, 1, 53));
    EXPECT_EQ(host.count(DropReason::udp_no_socket), 1U);
    host.sockets.bind(us, 57, listener);
    EXPECT_EQ(host.sockets.size(), 2U);
    EXPECT_THROW((Sockets{{.sockets = 0}, {}, host.layer, host.counters, host.stash}), std::invalid_argument);
}

TEST(Sockets, TableBehavesLikeASetUnderRandomBindings) {
    std::mt19937_64 random{seed()};
    Host host{resolved_config(), {.sockets = 32}};
    Listener listener;
    std::vector<std::uint16_t> bound;
    for (int step = 0; step < 5000; ++step) {
        const auto port = static_cast<std::uint16_t>(1 + random() % 64 * (random() % 2 == 0 ? 1 : 1000));
        const auto at = std::find(bound.begin(), bound.end(), port);
        if (random() % 2 == 0 && at == bound.end() && bound.size() < 32) {
            host.sockets.bind(us, port, listener);
            bound.push_back(port);
        } else {
            ASSERT_EQ(host.sockets.unbind(us, port), at != bound.end());
            if (at != bound.end()) bound.erase(at);
        }
        ASSERT_EQ(host.sockets.size(), bound.size());
        const bool expected = std::find(bound.begin(), bound.end(), port) != bound.end();
        const std::size_t before = listener.heard.size();
        host.receive_datagram(udp_datagram({}, 1, port));
        ASSERT_EQ(listener.heard.size() - before, expected ? 1U : 0U);
        (void)host.sent();
    }
}

TEST(Rfc768, SentDatagramIsCompleteAndVerifies) {
    Host host;
    for (std::size_t size : {0U, 1U, 2U, 33U, 1472U}) {
        EXPECT_EQ(host.sockets.send_to(
                      {.remote_address = peer, .remote_port = 53, .local_port = 4000, .tos = 4, .ttl = 9},
                      pattern(size), host.now),
                  SendResult::sent);
        const auto frames = host.sent();
        ASSERT_EQ(frames.size(), 1U);
        const auto packet = packet_in(frames[0]);
        EXPECT_EQ(packet.source(), us);
        EXPECT_EQ(packet.tos(), 4);
        EXPECT_EQ(packet.ttl(), 9);
        EXPECT_EQ(Octets(packet.payload().begin(), packet.payload().end()),
                  udp_datagram(pattern(size), 4000, 53, us, peer));
    }
    EXPECT_EQ(host.count(Counter::udp_out), 5U);
}

TEST(Sockets, MbufIsSentWithoutACopyWhereItHasHeadRoom) {
    Host host;
    Listener echo;
    echo.keep = true;
    host.sockets.bind(us, 7, echo);
    host.receive_datagram(udp_datagram(pattern(50), 4000, 7));
    ASSERT_NE(echo.kept, nullptr);
    const void* const buffer = echo.kept->buf_addr;
    EXPECT_EQ(host.sockets.send_to({.remote_address = peer, .remote_port = 4000, .local_port = 7}, echo.kept,
                                   host.now),
              SendResult::sent);
    rte_mbuf* frame = nullptr;
    ASSERT_EQ(host.queue.pop({&frame, 1}), 1U);
    EXPECT_EQ(frame->buf_addr, buffer);
    const Octets octets = octets_of(frame);
    const auto payload = packet_in(octets).payload();
    EXPECT_EQ(Octets(payload.begin(), payload.end()), udp_datagram(pattern(50), 7, 4000, us, peer));
    rte_pktmbuf_free(frame);
}

TEST(Sockets, SharedOrCrampedMbufGetsAHeadOfItsOwn) {
    Host host;
    for (const bool shared : {true, false}) {
        rte_mbuf* payload = host.pool.mbuf(pattern(31));
        Octets expected = pattern(31);
        if (shared) {
            rte_mbuf_refcnt_update(payload, 1);
        } else {
            const auto* const front = reinterpret_cast<const std::byte*>(rte_pktmbuf_prepend(payload, 100));
            expected = Octets(front, front + 131);
        }
        EXPECT_EQ(host.sockets.send_to({.remote_address = peer, .remote_port = 9, .local_port = 8}, payload,
                                       host.now),
                  SendResult::sent);
        const auto frames = host.sent();
        ASSERT_EQ(frames.size(), 1U);
        const auto sent = packet_in(frames[0]).payload();
        EXPECT_EQ(Octets(sent.begin(), sent.end()), udp_datagram(expected, 8, 9, us, peer));
        if (shared) rte_pktmbuf_free(payload);
    }
}

TEST(Sockets, WhatCannotBeSentSaysWhyAndLosesNoMbuf) {
    Host host{plain_config()};
    const auto send = [&](SendOptions options, std::size_t size) {
        options.remote_port = options.remote_port == 0 ? std::uint16_t{9} : options.remote_port;
        return host.sockets.send_to(options, pattern(size), host.now);
    };
    EXPECT_EQ(send({.remote_address = far_away}, 1), SendResult::no_route);
    EXPECT_EQ(send({.remote_address = Ipv4Address{127, 0, 0, 1}}, 1), SendResult::no_route);
    EXPECT_EQ(send({.remote_address = *parse_ip_address("2001:db8::1")}, 1), SendResult::family_unsupported);
    EXPECT_EQ(send({.remote_address = peer, .local_address = far_away}, 1), SendResult::not_our_address);
    EXPECT_EQ(send({.remote_address = peer}, 1473), SendResult::too_big);
    EXPECT_EQ(send({.remote_address = peer}, 100000), SendResult::too_big);
    EXPECT_EQ(send({.remote_address = peer, .dont_fragment = false}, 65508), SendResult::too_big);
    EXPECT_EQ(send({.remote_address = peer, .dont_fragment = false}, 100000), SendResult::too_big);
    EXPECT_EQ(send({.remote_address = peer}, 1472), SendResult::sent) << "kept until the neighbour answers";
    host.run_until(host.now + 3500ms);
    EXPECT_EQ(host.count(DropReason::neighbour_unreachable), 1U);
    EXPECT_EQ(send({.remote_address = peer}, 1), SendResult::dropped);
}

// Sends back what it hears, in fragments where need be.
class Echo final : public Handler {
  public:
    explicit Echo(Host& host) : host_(host) {}
    Ownership datagram(const Datagram& about, rte_mbuf& payload) noexcept override {
        last = host_.sockets.send_to({.remote_address = about.source_address,
                                      .remote_port = about.source_port,
                                      .local_address = about.destination_address,
                                      .local_port = about.destination_port,
                                      .dont_fragment = false},
                                     &payload, host_.now);
        return Ownership::taken;
    }
    SendResult last{};

  private:
    Host& host_;
};

TEST(Rfc768, DatagramsOfAllSizesAreReceivedAndSentOverIpv4) {
    Host host;
    Echo echo{host};
    host.sockets.bind({}, 53, echo);
    for (const std::size_t size : {0U, 1U, 1472U, 1473U, 8000U, 40000U, 65507U}) {
        for (const Octets& frame :
             fragments4(udp_datagram(pattern(size), 4000, 53), 1480, {.protocol = wire::IpProtocol::udp}))
            host.receive(frame);
        EXPECT_EQ(echo.last, SendResult::sent) << size;
        const Octets expected = udp_datagram(pattern(size), 53, 4000, us, peer);
        EXPECT_EQ(rejoin(host.sent()).message, expected) << size;
        // The same from octets that are copied.
        EXPECT_EQ(host.sockets.send_to(
                      {.remote_address = peer, .remote_port = 4000, .local_port = 53, .dont_fragment = false},
                      pattern(size), host.now),
                  SendResult::sent);
        EXPECT_EQ(rejoin(host.sent()).message, expected) << size;
    }
}

TEST(Rfc768, DatagramsOfAllSizesAreReceivedAndSentOverIpv6) {
    Host host{resolved_ipv6_config()};
    Echo echo{host};
    host.sockets.bind({}, 5000, echo);
    for (const std::size_t size : {0U, 1U, 1452U, 1453U, 8000U, 40000U, 65507U, 65527U}) {
        const Ipv6Fields of_udp{.next_header = udp_protocol};
        for (const Octets& frame : fragments6(udp6(pattern(size)), 1448, of_udp)) host.receive(frame);
        EXPECT_EQ(echo.last, SendResult::sent) << size;
        Octets expected = udp6(pattern(size));
        wire::store_be16(expected, 0, 5000);
        wire::store_be16(expected, 2, 4000);
        seal6(expected, 6, {.source = us6, .destination = peer6, .next_header = udp_protocol});
        EXPECT_EQ(rejoin(host.sent()).message, expected) << size;
    }
}

TEST(Sockets, OctetsThatFindNoMbufAreRefusedAndNoneIsLost) {
    Host host;
    std::vector<rte_mbuf*> taken;
    while (rte_mempool_avail_count(host.pool.get()) > 20) taken.push_back(rte_pktmbuf_alloc(host.pool.get()));
    const SendOptions options{.remote_address = peer, .remote_port = 9, .dont_fragment = false};
    EXPECT_EQ(host.sockets.send_to(options, pattern(65507), host.now), SendResult::no_memory);
    EXPECT_EQ(host.count(DropReason::no_mbuf), 1U);
    for (rte_mbuf* const mbuf : taken) rte_pktmbuf_free(mbuf);
    EXPECT_EQ(host.sockets.send_to(options, pattern(65507), host.now), SendResult::sent);
    EXPECT_EQ(rejoin(host.sent()).fragments, 45U);
}

TEST(Rfc1191, DatagramLargerThanAPathIsKnownToTakeIsRefusedWhereItMayNotBeCut) {
    Host host;
    ip::IcmpError error{.meaning = ip::IcmpMeaning::too_big, .protocol = 17, .next_hop_mtu = 1300};
    error.source = us;
    error.destination = far_away;
    host.layer.lower_datagram_mtu(error, host.now);
    const auto send = [&](std::size_t size, bool whole) {
        return host.sockets.send_to({.remote_address = far_away, .remote_port = 9, .dont_fragment = whole},
                                    pattern(size), host.now);
    };
    EXPECT_EQ(send(1272, true), SendResult::sent);
    EXPECT_EQ(send(1273, true), SendResult::too_big);
    EXPECT_EQ(send(1273, false), SendResult::sent) << "a router may cut it";
    EXPECT_EQ(host.layer.path_mtu_for(far_away, host.now), 1500);
}

TEST(Rfc1122, IcmpErrorReachesTheSocketThatSent) {
    Host host;
    Listener listener;
    host.sockets.bind({}, 4000, listener);
    const auto report = [&](std::uint16_t source_port, wire::IpProtocol protocol) {
        const Octets quote = ipv4(udp_datagram(pattern(4), source_port, 53, us, far_away),
                                  {.source = us, .destination = far_away, .protocol = protocol});
        EXPECT_EQ(host.give(ethernet(ipv4(icmp(wire::IcmpType::destination_unreachable, 4, 1300, quote),
                                          {.source = router, .protocol = wire::IpProtocol::icmp}))),
                  ip::Upper::icmp_error);
        return host.sockets.icmp_error(host.in.error);
    };
    EXPECT_TRUE(report(4000, wire::IpProtocol::udp));
    ASSERT_EQ(listener.errors.size(), 1U);
    const IcmpReport& heard = listener.errors[0];
    EXPECT_EQ(heard.type, 3);
    EXPECT_EQ(heard.code, 4);
    EXPECT_EQ(heard.next_hop_mtu, 1300);
    EXPECT_EQ(heard.local_address, IpAddress{us});
    EXPECT_EQ(heard.local_port, 4000);
    EXPECT_EQ(heard.remote_address, IpAddress{far_away});
    EXPECT_EQ(heard.remote_port, 53);
    EXPECT_FALSE(report(4001, wire::IpProtocol::udp));
    EXPECT_FALSE(report(4000, wire::IpProtocol::tcp));
}

TEST(BadInput, EveryDamagedDatagramIsDeliveredOrCounted) {
    Host host;
    Listener listener;
    host.sockets.bind({}, 53, listener);
    const Octets sample = udp_datagram(pattern(15), 4000, 53);
    const auto accounted = [&] {
        std::uint64_t sum = listener.heard.size();
        for (std::size_t i = 0; i < drop_count; ++i) sum += host.count(static_cast<DropReason>(i));
        return sum;
    };
    const auto give = [&](std::span<const std::byte> datagram) {
        const auto before = accounted();
        host.receive_datagram(datagram);
        ASSERT_GT(accounted(), before);
        (void)host.sent();
    };
    for (std::size_t size = 0; size <= sample.size(); ++size) give(std::span{sample}.first(size));
    for (std::size_t bit = 0; bit < sample.size() * 8; ++bit) {
        Octets changed = sample;
        changed[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
        give(changed);
    }
}

// -- over IPv6: RFC 8200 section 8.1, RFC 4443 section 3.1

TEST(Ipv6Udp, DatagramReachesItsSocketAndIsAnswered) {
    Host host{resolved_ipv6_config()};
    Listener listener, of_all;
    host.sockets.bind(us6, 53, listener);
    host.sockets.bind({}, 54, of_all);
    host.receive(ipv6_datagram(pattern(33), 4000, 53));
    host.receive(ipv6_datagram(pattern(7), 4000, 54));
    ASSERT_EQ(listener.heard.size(), 1U);
    EXPECT_EQ(listener.heard[0].source_address, IpAddress{peer6});
    EXPECT_EQ(listener.heard[0].destination_address, IpAddress{us6});
    EXPECT_EQ(listener.data[0], pattern(33));
    EXPECT_EQ(of_all.heard.size(), 1U);
    for (const std::size_t size : {0U, 1U, 1452U}) {
        const Octets payload = pattern(size);
        ASSERT_EQ(host.sockets.send_to({.remote_address = peer6, .remote_port = 4000, .local_port = 53},
                                       payload, host.now),
                  SendResult::sent);
        const auto frames = host.sent();
        ASSERT_EQ(frames.size(), 1U);
        const Packet6 packet = packet6_in(frames[0]);
        EXPECT_TRUE(checksum_is_right(packet));
        EXPECT_EQ(packet.header.source, us6);
        EXPECT_EQ((Octets{packet.payload.begin() + 8, packet.payload.end()}), payload);
    }
    const auto send = [&](const IpAddress& remote, const IpAddress& local, std::size_t size) {
        return host.sockets.send_to({.remote_address = remote, .remote_port = 1, .local_address = local},
                                    pattern(size), host.now);
    };
    EXPECT_EQ(send(peer6, {}, 1453), SendResult::too_big);
    EXPECT_EQ(send(peer6, us, 1), SendResult::family_unsupported);
    EXPECT_EQ(send(peer6, documentation(9), 1), SendResult::not_our_address);
    Host without;
    EXPECT_EQ(without.sockets.send_to({.remote_address = peer6, .remote_port = 1}, pattern(1), without.now),
              SendResult::family_unsupported);
}

TEST(Ipv6Udp, DatagramWithoutAChecksumIsDropped) {
    Host host{resolved_ipv6_config()};
    Listener listener;
    host.sockets.bind(us6, 53, listener);
    Octets frame = ipv6_datagram(pattern(8), 4000, 53);
    frame[14 + 40 + 6] = frame[14 + 40 + 7] = std::byte{0};
    host.receive(frame);
    EXPECT_TRUE(listener.heard.empty());
    EXPECT_EQ(host.count(DropReason::udp_bad_checksum), 1U);
    frame = ipv6_datagram(pattern(8), 4000, 53);
    frame.back() ^= std::byte{1};
    host.receive(frame);
    EXPECT_EQ(host.count(DropReason::udp_bad_checksum), 2U);
    EXPECT_TRUE(host.sent().empty());
}

TEST(Ipv6Udp, ClosedPortIsToldAndErrorsReachTheSocket) {
    Host host{resolved_ipv6_config()};
    host.receive(ipv6_datagram(pattern(8), 4000, 99));
    const auto frames = host.sent();
    ASSERT_EQ(frames.size(), 1U);
    const Packet6 packet = packet6_in(frames[0]);
    EXPECT_EQ(packet.payload[0], std::byte{1});
    EXPECT_EQ(packet.payload[1], std::byte{4});
    Listener listener;
    host.sockets.bind(us6, 53, listener);
    ASSERT_TRUE(host.sockets.icmp_error({.meaning = ip::IcmpMeaning::refused,
                                         .type = 1,
                                         .code = 4,
                                         .protocol = udp_protocol,
                                         .source = us6,
                                         .destination = peer6,
                                         .source_port = 53,
                                         .destination_port = 4000}));
    ASSERT_EQ(listener.errors.size(), 1U);
    EXPECT_EQ(listener.errors[0].remote_address, IpAddress{peer6});
}

}  // namespace sockets_test
}  // namespace runnel::udp
