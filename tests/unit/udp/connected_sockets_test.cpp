// Connected sockets: RFC 1122 sections 4.1.3.5 and 4.1.4, RFC 8085 section 5.2, RFC 6056.
#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host.hpp"

namespace runnel::udp {
namespace connected_sockets_test {

using namespace test_host;  // NOLINT: the words in which the tests are written

constexpr Ipv4Address other{10, 0, 0, 3};

// What leaves, as the peer reads it.
struct Sent {
    IpAddress source, destination;
    std::uint16_t source_port = 0, destination_port = 0;
    MacAddress mac{};
    Octets data;
};
std::vector<Sent> read(const std::vector<Octets>& frames) {
    std::vector<Sent> all;
    for (const Octets& frame : frames) {
        const auto packet = packet_in(frame);
        if (packet.protocol() != wire::IpProtocol::udp) continue;
        const auto datagram = packet.payload();
        EXPECT_TRUE(wire::checksum_holds(wire::checksum_add(
            datagram, wire::pseudo_header_sum(packet.source(), packet.destination(), 17,
                                              static_cast<std::uint16_t>(datagram.size())))));
        EXPECT_EQ(wire::load_be16(datagram, 4), datagram.size());
        all.push_back({packet.source(),
                       packet.destination(),
                       wire::load_be16(datagram, 0),
                       wire::load_be16(datagram, 2),
                       wire::EthernetView::parse(frame)->destination(),
                       {datagram.begin() + 8, datagram.end()}});
    }
    return all;
}

SendOptions to_peer(std::uint16_t local_port = 5000, std::uint16_t remote_port = 53) {
    return {.remote_address = peer, .remote_port = remote_port, .local_port = local_port};
}

// A datagram of any peer's.
Octets frame_from(Ipv4Address source, std::uint16_t from, std::uint16_t to, std::size_t size = 4) {
    return ethernet(ipv4(udp_datagram(pattern(size), from, to, source, us),
                         {.source = source, .protocol = wire::IpProtocol::udp}));
}

TEST(Rfc1122, ConnectedSocketHearsItsPeerAlone) {
    Host host;
    Listener listener;
    const auto [socket, error] = host.sockets.connect(to_peer(), listener);
    ASSERT_EQ(error, ConnectError::none);
    EXPECT_EQ(host.sockets.connected(), 1U);
    host.receive(frame_from(peer, 53, 5000, 20));
    ASSERT_EQ(listener.heard.size(), 1U);
    EXPECT_EQ(listener.data[0], pattern(20));
    EXPECT_EQ(listener.heard[0].socket, socket);
    EXPECT_TRUE(host.sent().empty());
    // Another port of the peer, another host with its port, and the peer to another port: nobody's.
    host.receive(frame_from(peer, 54, 5000));
    host.receive(frame_from(other, 53, 5000));
    host.receive(frame_from(peer, 53, 5001));
    EXPECT_EQ(listener.heard.size(), 1U);
    EXPECT_EQ(host.count(DropReason::udp_no_socket), 3U);
}

TEST(Sockets, TheMostSpecificSocketHears) {
    Host host;
    Listener of_all, of_address, connected;
    host.sockets.bind({}, 5000, of_all);
    host.sockets.bind(us, 5000, of_address);
    const ConnectedSocket socket = host.sockets.connect(to_peer(), connected).socket;
    const auto hears = [&](Listener& listener) {
        const std::size_t before = listener.heard.size();
        host.receive(frame_from(peer, 53, 5000));
        return listener.heard.size() == before + 1;
    };
    EXPECT_TRUE(hears(connected));
    host.receive(frame_from(peer, 54, 5000));
    EXPECT_EQ(of_address.heard.size(), 1U) << "who is not the peer is the bound socket's";
    EXPECT_FALSE(of_address.heard[0].socket);
    EXPECT_TRUE(host.sockets.disconnect(socket));
    EXPECT_TRUE(hears(of_address));
    EXPECT_TRUE(host.sockets.unbind(us, 5000));
    EXPECT_TRUE(hears(of_all));
    EXPECT_EQ(connected.heard.size(), 1U);
}

TEST(Sockets, ConnectedSocketSendsToItsPeerWithoutAnAddress) {
    Host host;
    Listener listener;
    SendOptions options = to_peer();
    options.tos = 0xb8;
    options.ttl = 9;
    const ConnectedSocket socket = host.sockets.connect(options, listener).socket;
    for (const std::size_t size : {0U, 1U, 1472U})
        EXPECT_EQ(host.sockets.send(socket, pattern(size), host.now), SendResult::sent);
    EXPECT_EQ(host.sockets.send(socket, pattern(1473), host.now), SendResult::too_big);
    EXPECT_EQ(host.sockets.send(socket, host.pool.mbuf(pattern(77)), host.now), SendResult::sent);
    const auto frames = host.sent();
    const auto sent = read(frames);
    ASSERT_EQ(sent.size(), 4U);
    EXPECT_EQ(packet_in(frames[0]).tos(), 0xb8);
    EXPECT_EQ(packet_in(frames[0]).ttl(), 9);
    const std::size_t sizes[] = {0, 1, 1472, 77};
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(sent[i].source, IpAddress{us});
        EXPECT_EQ(sent[i].destination, IpAddress{peer});
        EXPECT_EQ(sent[i].source_port, 5000);
        EXPECT_EQ(sent[i].destination_port, 53);
        EXPECT_EQ(sent[i].mac, peer_mac);
        EXPECT_EQ(sent[i].data, pattern(sizes[i]));
    }
    EXPECT_EQ(host.count(Counter::udp_out), 4U);
    // The same octets as those of one who names the address each time.
    EXPECT_EQ(host.sockets.send(socket, pattern(100), host.now), SendResult::sent);
    EXPECT_EQ(host.sockets.send_to(options, pattern(100), host.now), SendResult::sent);
    const auto both = host.sent();
    EXPECT_EQ(both[0], both[1]);
}

TEST(Sockets, ManyShareALocalPortAndEachHearsItsOwnPeer) {
    constexpr std::uint32_t peers = 100'000;
    Host host{resolved_config(), {.connected = peers}};
    Listener listener;
    std::vector<ConnectedSocket> sockets;
    const auto peer_of = [](std::uint32_t i) { return Ipv4Address{0xc0000000U + i / 50}; };
    const auto port_of = [](std::uint32_t i) { return static_cast<std::uint16_t>(1000 + i % 50); };
    for (std::uint32_t i = 0; i < peers; ++i) {
        const auto made = host.sockets.connect(
            {.remote_address = peer_of(i), .remote_port = port_of(i), .local_port = 4500}, listener);
        ASSERT_EQ(made.error, ConnectError::none);
        sockets.push_back(made.socket);
    }
    EXPECT_EQ(host.sockets
                  .connect({.remote_address = peer_of(peers), .remote_port = 1, .local_port = 4500}, listener)
                  .error,
              ConnectError::sockets_full);
    EXPECT_EQ(host.count(DropReason::udp_connected_full), 1U);
    std::mt19937_64 random{seed()};
    for (int n = 0; n < 300; ++n) {
        const auto i = static_cast<std::uint32_t>(random() % peers);
        host.receive(frame_from(peer_of(i), port_of(i), 4500));
        ASSERT_EQ(listener.heard.size(), 1U);
        EXPECT_EQ(listener.heard[0].socket, sockets[i]);
        listener.heard.clear();
    }
    host.receive(frame_from(peer_of(0), 999, 4500));
    EXPECT_TRUE(listener.heard.empty());
    for (const ConnectedSocket& socket : sockets) EXPECT_TRUE(host.sockets.disconnect(socket));
    EXPECT_EQ(host.sockets.connected(), 0U);
    host.receive(frame_from(peer_of(7), port_of(7), 4500));
    EXPECT_TRUE(listener.heard.empty());
}

TEST(Sockets, ConnectedSocketsBehaveLikeAMapUnderRandomUse) {
    Host host{resolved_config(), {.connected = 40}};
    Listener listener;
    std::mt19937_64 random{seed()};
    using Key = std::tuple<std::uint32_t, std::uint16_t, std::uint16_t>;
    std::map<Key, ConnectedSocket> model;
    std::vector<ConnectedSocket> over;
    for (int n = 0; n < 20'000; ++n) {
        const Key key{0xc6336400U + static_cast<std::uint32_t>(random() % 4),
                      static_cast<std::uint16_t>(1 + random() % 4),
                      static_cast<std::uint16_t>(1 + random() % 4)};
        const auto [address, remote_port, local_port] = key;
        const SendOptions options{
            .remote_address = Ipv4Address{address}, .remote_port = remote_port, .local_port = local_port};
        const auto known = model.find(key);
        switch (random() % 3) {
            case 0: {
                const auto made = host.sockets.connect(options, listener);
                EXPECT_EQ(made.error, model.size() == 40     ? ConnectError::sockets_full
                                      : known != model.end() ? ConnectError::address_in_use
                                                             : ConnectError::none);
                if (made.error == ConnectError::none) model[key] = made.socket;
                break;
            }
            case 1:
                if (known == model.end()) break;
                EXPECT_TRUE(host.sockets.disconnect(known->second));
                over.push_back(known->second);
                model.erase(known);
                break;
            default:
                listener.heard.clear();
                host.receive(frame_from(Ipv4Address{address}, remote_port, local_port));
                ASSERT_EQ(listener.heard.size(), known == model.end() ? 0U : 1U);
                if (known != model.end()) {
                    EXPECT_EQ(listener.heard[0].socket, known->second);
                }
        }
        ASSERT_EQ(host.sockets.connected(), model.size());
    }
    for (const ConnectedSocket& socket : over) ASSERT_EQ(host.sockets.options_of(socket), nullptr);
    (void)host.sent();
}

TEST(Sockets, CallsOnASocketThatIsOverAreRefusedAndLoseNoMbuf) {
    Host host;
    Listener listener;
    const ConnectedSocket socket = host.sockets.connect(to_peer(), listener).socket;
    EXPECT_EQ(host.sockets.options_of(socket)->local_address, IpAddress{us});
    EXPECT_TRUE(host.sockets.disconnect(socket));
    EXPECT_FALSE(host.sockets.disconnect(socket));
    // Its slot serves another, which the old handle does not reach.
    const ConnectedSocket next = host.sockets.connect(to_peer(), listener).socket;
    EXPECT_EQ(next.slot, socket.slot);
    for (const ConnectedSocket& old : {socket, ConnectedSocket{}, ConnectedSocket{77'777, 1}}) {
        EXPECT_FALSE(host.sockets.disconnect(old));
        EXPECT_EQ(host.sockets.options_of(old), nullptr);
        EXPECT_EQ(host.sockets.largest_whole(old, host.now), 0U);
        EXPECT_EQ(host.sockets.send(old, pattern(4), host.now), SendResult::not_connected);
        EXPECT_EQ(host.sockets.send(old, host.pool.mbuf(pattern(4)), host.now), SendResult::not_connected);
    }
    EXPECT_EQ(host.count(DropReason::udp_not_connected), 6U);
    EXPECT_TRUE(host.sent().empty());
}

TEST(Sockets, WhatCannotBeConnectedSaysWhy) {
    Host host;
    Listener listener;
    const auto error_of = [&](const SendOptions& options) {
        return host.sockets.connect(options, listener).error;
    };
    EXPECT_EQ(error_of({.remote_address = peer, .remote_port = 0}), ConnectError::no_route);
    EXPECT_EQ(error_of({.remote_address = {}, .remote_port = 1}), ConnectError::no_route);
    EXPECT_EQ(error_of({.remote_address = us, .remote_port = 1}), ConnectError::no_route);
    EXPECT_EQ(error_of({.remote_address = Ipv4Address{127, 0, 0, 1}, .remote_port = 1}),
              ConnectError::no_route);
    EXPECT_EQ(error_of({.remote_address = peer, .remote_port = 1, .local_address = peer}),
              ConnectError::not_our_address);
    EXPECT_EQ(error_of({.remote_address = peer, .remote_port = 1, .local_address = us6}),
              ConnectError::family_unsupported);
    EXPECT_EQ(error_of({.remote_address = peer6, .remote_port = 1}), ConnectError::family_unsupported);
    EXPECT_EQ(error_of({.remote_address = Ipv4Address{239, 1, 1, 1}, .remote_port = 1, .interface = 7}),
              ConnectError::no_route);
    EXPECT_EQ(host.sockets.connected(), 0U);
    EXPECT_EQ(error_of(to_peer()), ConnectError::none);
    EXPECT_EQ(error_of(to_peer()), ConnectError::address_in_use);
    EXPECT_EQ(error_of(to_peer(5001)), ConnectError::none);
    const auto bad = [&](const Config& config, const char* words) {
        EXPECT_THAT([&] { const Host one(resolved_config(), config); },
                    testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr(words)));
    };
    bad({.connected = 0}, "udp.connected = 0");
    bad({.connected = (1U << 24) + 1}, "udp.connected = 16777217");
    bad({.ephemeral_first = 0}, "ephemeral ports 0 to 65535");
    bad({.ephemeral_first = 9, .ephemeral_last = 8}, "ephemeral ports 9 to 8");
}

TEST(Rfc6056, PortsThatAreDrawnAreFreeAndAllOfTheRangeServe) {
    Host host{resolved_config(), {.ephemeral_first = 40'000, .ephemeral_last = 40'099}};
    Listener listener, bound;
    host.sockets.bind({}, 40'007, bound);
    host.sockets.bind(us, 40'008, bound);
    std::set<std::uint16_t> ports;
    for (int n = 0; n < 98; ++n) {
        const auto made = host.sockets.connect(to_peer(0), listener);
        ASSERT_EQ(made.error, ConnectError::none);
        ports.insert(host.sockets.options_of(made.socket)->local_port);
    }
    EXPECT_EQ(ports.size(), 98U);
    EXPECT_GE(*ports.begin(), 40'000);
    EXPECT_LE(*ports.rbegin(), 40'099);
    EXPECT_FALSE(ports.contains(40'007) || ports.contains(40'008)) << "what is bound keeps its port";
    EXPECT_EQ(host.sockets.connect(to_peer(0), listener).error, ConnectError::no_port_free);
    EXPECT_EQ(host.sockets.connect(to_peer(0, 54), listener).error, ConnectError::none)
        << "towards another port of the peer all are free";
}

TEST(Rfc6056, NoPortIsDrawnThatIsTheKernels) {
    ip::Config config = resolved_config();
    config.exception = ip::ExceptionConfig{.udp = {{40'000, 40'004}}};
    Host host{config, {.ephemeral_first = 40'000, .ephemeral_last = 40'005}};
    Listener listener;
    const auto made = host.sockets.connect(to_peer(0), listener);
    ASSERT_EQ(made.error, ConnectError::none);
    EXPECT_EQ(host.sockets.options_of(made.socket)->local_port, 40'005);
    EXPECT_EQ(host.sockets.connect(to_peer(0), listener).error, ConnectError::no_port_free);
}

TEST(Rfc1122, IcmpErrorReachesTheConnectedSocketWhosePeerItIsAbout) {
    Host host;
    Listener connected, bound;
    host.sockets.bind({}, 5000, bound);
    const ConnectedSocket socket = host.sockets.connect(to_peer(), connected).socket;
    const auto report = [&](Ipv4Address to, std::uint16_t port) {
        const Octets quote = ipv4(udp_datagram(pattern(4), 5000, port, us, to),
                                  {.source = us, .destination = to, .protocol = wire::IpProtocol::udp});
        EXPECT_EQ(host.give(ethernet(ipv4(icmp(wire::IcmpType::destination_unreachable, 3, 0, quote),
                                          {.source = to, .protocol = wire::IpProtocol::icmp}))),
                  ip::Upper::icmp_error);
        return host.sockets.icmp_error(host.in.error);
    };
    EXPECT_TRUE(report(peer, 53));
    ASSERT_EQ(connected.errors.size(), 1U);
    EXPECT_EQ(connected.errors[0].code, 3);
    EXPECT_EQ(connected.errors[0].socket, socket);
    EXPECT_TRUE(bound.errors.empty());
    EXPECT_TRUE(report(other, 53));
    EXPECT_TRUE(report(peer, 54));
    EXPECT_EQ(connected.errors.size(), 1U);
    EXPECT_EQ(bound.errors.size(), 2U);
    host.sockets.unbind({}, 5000);
    EXPECT_FALSE(report(other, 53)) << "of nobody";
}

TEST(Rfc1191, ConnectedSocketKeepsToThePathsMtuAsItIsKnown) {
    Host host;
    Listener listener;
    const ConnectedSocket socket =
        host.sockets.connect({.remote_address = far_away, .remote_port = 9}, listener).socket;
    EXPECT_EQ(host.sockets.largest_whole(socket, host.now), 1472U);
    EXPECT_EQ(host.sockets.send(socket, pattern(1472), host.now), SendResult::sent);
    ip::IcmpError error{.meaning = ip::IcmpMeaning::too_big, .protocol = 17, .next_hop_mtu = 1300};
    error.source = us;
    error.destination = far_away;
    host.layer.lower_datagram_mtu(error, host.now);
    EXPECT_EQ(host.sockets.largest_whole(socket, host.now), 1272U);
    EXPECT_EQ(host.sockets.send(socket, pattern(1273), host.now), SendResult::too_big);
    EXPECT_EQ(host.sockets.send(socket, pattern(1272), host.now), SendResult::sent);
    host.run_until(host.now + 601s);
    EXPECT_EQ(host.sockets.send(socket, pattern(1472), host.now), SendResult::sent);
    EXPECT_EQ(host.sent().size(), 3U);
}

TEST(Sockets, ConnectedSocketFollowsItsPeerToAnotherLinkAddress) {
    Host host{plain_config()};
    Listener listener;
    const ConnectedSocket socket = host.sockets.connect(to_peer(), listener).socket;
    EXPECT_EQ(host.sockets.send(socket, pattern(1), host.now), SendResult::sent) << "it waits for ARP";
    auto frames = host.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(arp_in(frames[0])->target_ip, peer);
    const auto answer = [&](MacAddress mac) {
        host.give(arp(wire::ArpOperation::reply, mac, peer, us, our_mac, our_mac));
    };
    answer(peer_mac);
    EXPECT_EQ(read(host.sent()).size(), 1U);
    const auto goes_to = [&] {
        EXPECT_EQ(host.sockets.send(socket, pattern(1), host.now), SendResult::sent);
        const auto sent = read(host.sent());
        return sent.size() == 1 ? sent[0].mac : MacAddress{};
    };
    EXPECT_EQ(goes_to(), peer_mac);
    EXPECT_EQ(goes_to(), peer_mac);
    // It tells of a new one when it is asked again.
    bool asked = false;
    for (int second = 0; second < 120 && !asked; ++second) {
        host.run_until(host.now + 1s);
        EXPECT_EQ(host.sockets.send(socket, pattern(1), host.now), SendResult::sent);
        for (const Octets& frame : host.sent()) asked |= arp_in(frame).has_value();
    }
    ASSERT_TRUE(asked) << "a way that is in use is looked at again";
    answer(other_mac);
    (void)host.sent();
    EXPECT_EQ(goes_to(), other_mac);
}

TEST(Sockets, PeerThatAnswersNoMoreIsNotSentToForEver) {
    Host host{plain_config()};
    Listener listener;
    const ConnectedSocket socket = host.sockets.connect(to_peer(), listener).socket;
    EXPECT_EQ(host.sockets.send(socket, pattern(1), host.now), SendResult::sent);
    host.give(arp(wire::ArpOperation::reply, peer_mac, peer, us, our_mac, our_mac));
    SendResult last = SendResult::sent;
    for (int second = 0; second < 200 && last == SendResult::sent; ++second) {
        host.run_until(host.now + 1s);
        last = host.sockets.send(socket, pattern(1), host.now);
        (void)host.sent();
    }
    EXPECT_EQ(last, SendResult::dropped);
}

TEST(Sockets, ConnectedToAGroupSendsThereAndHearsNothing) {
    constexpr Ipv4Address group{239, 1, 2, 3};
    Host host;
    Listener listener, member;
    ASSERT_EQ(host.sockets.groups().join({.group = group, .port = 7000, .handler = &member}),
              ip::GroupResult::done);
    const auto made = host.sockets.connect(
        {.remote_address = group, .remote_port = 7000, .local_port = 7001, .loop = true}, listener);
    ASSERT_EQ(made.error, ConnectError::none);
    EXPECT_EQ(host.sockets.send(made.socket, pattern(30), host.now), SendResult::sent);
    host.sockets.advance();
    EXPECT_EQ(member.data, std::vector<Octets>{pattern(30)});
    const auto frames = host.sent();
    const auto sent = read(frames);
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0].mac, wire::multicast_mac(group));
    EXPECT_EQ(packet_in(frames[0]).ttl(), 1) << "RFC 1112 section 6.1";
    EXPECT_TRUE(listener.heard.empty());
    // A broadcast address is sent to like any other.
    const auto broadcast = host.sockets.connect(
        {.remote_address = subnet_broadcast, .remote_port = 67, .local_port = 68}, listener);
    ASSERT_EQ(broadcast.error, ConnectError::none);
    for (int n = 0; n < 2; ++n)
        EXPECT_EQ(host.sockets.send(broadcast.socket, pattern(9), host.now), SendResult::sent);
    for (const Sent& one : read(host.sent())) EXPECT_EQ(one.mac, MacAddress::broadcast());
}

TEST(Sockets, HandlerMayDisconnectWithinItsCall) {
    Host host;
    struct Once : Listener {
        Ownership datagram(const Datagram& about, rte_mbuf& payload) noexcept override {
            EXPECT_EQ(sockets->send(about.socket, octets_of(&payload), now), SendResult::sent);
            EXPECT_TRUE(sockets->disconnect(about.socket));
            return Listener::datagram(about, payload);
        }
        Sockets* sockets = nullptr;
        Instant now{};
    } once;
    once.sockets = &host.sockets;
    once.now = host.now;
    ASSERT_EQ(host.sockets.connect(to_peer(), once).error, ConnectError::none);
    host.receive(frame_from(peer, 53, 5000));
    host.receive(frame_from(peer, 53, 5000));
    EXPECT_EQ(once.heard.size(), 1U);
    EXPECT_EQ(read(host.sent()).size(), 1U);
}

TEST(Ipv6Udp, ConnectedSocketHearsItsPeerAndSendsToIt) {
    Host host{resolved_ipv6_config()};
    Listener listener, bound;
    host.sockets.bind(us6, 5000, bound);
    const auto made =
        host.sockets.connect({.remote_address = peer6, .remote_port = 53, .local_port = 5000}, listener);
    ASSERT_EQ(made.error, ConnectError::none);
    EXPECT_EQ(host.sockets.options_of(made.socket)->local_address, IpAddress{us6});
    host.receive(ipv6_datagram(pattern(5), 53, 5000));
    host.receive(ipv6_datagram(pattern(6), 54, 5000));
    host.receive(ipv6_datagram(pattern(7), 53, 5000, documentation(3)));
    EXPECT_EQ(listener.data, std::vector<Octets>{pattern(5)});
    EXPECT_EQ(bound.data, (std::vector<Octets>{pattern(6), pattern(7)}));
    for (int n = 0; n < 3; ++n)
        EXPECT_EQ(host.sockets.send(made.socket, pattern(1452), host.now), SendResult::sent);
    EXPECT_EQ(host.sockets.send(made.socket, pattern(1453), host.now), SendResult::too_big);
    EXPECT_EQ(host.sockets.largest_whole(made.socket, host.now), 1452U);
    const auto frames = host.sent();
    ASSERT_EQ(frames.size(), 3U);
    for (const Octets& frame : frames) {
        const Packet6 packet = packet6_in(frame);
        EXPECT_TRUE(checksum_is_right(packet));
        EXPECT_EQ(packet.header.destination, peer6);
        EXPECT_EQ((Octets{packet.payload.begin() + 8, packet.payload.end()}), pattern(1452));
    }
    EXPECT_TRUE(host.sockets.icmp_error({.meaning = ip::IcmpMeaning::refused,
                                         .type = 1,
                                         .code = 4,
                                         .protocol = udp_protocol,
                                         .source = us6,
                                         .destination = peer6,
                                         .source_port = 5000,
                                         .destination_port = 53}));
    ASSERT_EQ(listener.errors.size(), 1U);
    EXPECT_EQ(listener.errors[0].socket, made.socket);
}

}  // namespace connected_sockets_test
}  // namespace runnel::udp
