// ICMP of a host: RFC 792, RFC 1122 section 3.2.2, RFC 1812 section 4.3.2, RFC 5927.
#include <gtest/gtest.h>

#include "network.hpp"

namespace runnel::ip {
namespace icmp_test {

using namespace test;  // NOLINT: the words in which the tests are written
using wire::IcmpType;

constexpr PacketFields of_icmp{.protocol = wire::IpProtocol::icmp};

Octets ping(std::size_t size) {
    return icmp(IcmpType::echo_request, 0, 0x12340001, pattern(size));
}

// The one ICMP message among frames sent, its checksum seen to be right.
Octets message_in(const std::vector<Octets>& frames) {
    if (frames.size() != 1) return {};
    const auto packet = packet_in(frames[0]);
    EXPECT_EQ(packet.protocol(), wire::IpProtocol::icmp);
    EXPECT_TRUE(wire::checksum_holds(wire::checksum_add(packet.payload())));
    return Octets{packet.payload().begin(), packet.payload().end()};
}

TEST(Rfc1122, EchoOfEverySizeToTheMtuComesBackWithAllItsData) {
    Network net{resolved_config()};
    for (std::size_t size = 0; size <= 1500 - 28; ++size) {
        ASSERT_EQ(net.give(ethernet(ipv4(ping(size), of_icmp))), Upper::none);
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U) << size;
        ASSERT_EQ(message_in(frames), icmp(IcmpType::echo_reply, 0, 0x12340001, pattern(size))) << size;
        const auto packet = packet_in(frames[0]);
        ASSERT_EQ(packet.source(), us);
        ASSERT_EQ(packet.destination(), peer);
    }
    EXPECT_EQ(net.count(Counter::icmp_in), 1473U);
    EXPECT_EQ(net.count(Counter::icmp_out), 1473U);
}

TEST(Rfc1122, EchoReplyComesFromTheAddressThatWasAskedWithTheTosOfTheRequest) {
    Config config = resolved_config();
    config.interfaces[0].address_count = 50;
    config.neighbours[0].address = Ipv4Address{10, 0, 0, 100};
    Network net{config};
    net.give(ethernet(ipv4(ping(1), {.source = Ipv4Address{10, 0, 0, 100},
                                     .destination = Ipv4Address{10, 0, 0, 33},
                                     .protocol = wire::IpProtocol::icmp,
                                     .ttl = 3,
                                     .tos = 0x48})));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    const auto packet = packet_in(frames[0]);
    EXPECT_EQ(packet.source(), (Ipv4Address{10, 0, 0, 33}));
    EXPECT_EQ(packet.tos(), 0x48);
    EXPECT_EQ(packet.ttl(), 64);
}

TEST(Rfc792, EchoInAChainOfAnyCutIsAnswered) {
    Network net{resolved_config()};
    const Octets frame = ethernet(ipv4(ping(300), of_icmp));
    for (std::size_t first = 1; first < 150; ++first) {
        ASSERT_EQ(net.give(net.pool.chain(frame, {first, 31})), Upper::none);
        ASSERT_EQ(message_in(net.sent()), icmp(IcmpType::echo_reply, 0, 0x12340001, pattern(300))) << first;
    }
}

TEST(Mbufs, EchoInASharedMbufIsAnsweredFromACopy) {
    Network net{resolved_config()};
    const Octets frame = ethernet(ipv4(ping(10), of_icmp));
    rte_mbuf* shared = net.pool.mbuf(frame);
    rte_mbuf_refcnt_update(shared, 1);
    EXPECT_EQ(net.give(shared), Upper::none);
    EXPECT_EQ(message_in(net.sent()), icmp(IcmpType::echo_reply, 0, 0x12340001, pattern(10)));
    EXPECT_EQ(rte_pktmbuf_mtod(shared, const std::uint8_t*)[0], 8)
        << "the other holder's octets are untouched";
    rte_pktmbuf_free(shared);
}

TEST(Rfc792, BadChecksumIsDropped) {
    Network net{resolved_config()};
    Octets message = ping(9);
    message[12] ^= std::byte{4};
    EXPECT_EQ(net.reason_for(ethernet(ipv4(message, of_icmp))), DropReason::icmp_bad_checksum);
    EXPECT_EQ(net.reason_for(ethernet(ipv4(pattern(7), of_icmp))), DropReason::icmp_truncated);
}

TEST(Rfc1122, EchoToAGroupIsNotAnswered) {
    Network net{resolved_config()};
    for (const Ipv4Address destination :
         {Ipv4Address{255, 255, 255, 255}, subnet_broadcast, Ipv4Address{224, 0, 0, 1}})
        EXPECT_EQ(net.reason_for(ethernet(
                      ipv4(ping(4), {.destination = destination, .protocol = wire::IpProtocol::icmp}),
                      wire::EtherType::ipv4, MacAddress::broadcast())),
                  DropReason::icmp_group_destination);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc6918, ObsoleteTypesRedirectAndSourceQuenchAreIgnored) {
    Network net{resolved_config()};
    const Octets quote = ipv4(tcp_header(), {.source = us, .destination = peer});
    for (const IcmpType type :
         {IcmpType::redirect, IcmpType::source_quench, IcmpType::timestamp_reply,
          IcmpType::information_request, IcmpType::address_mask_request, IcmpType::echo_reply})
        EXPECT_EQ(net.reason_for(ethernet(ipv4(icmp(type, 1, 0x0a000003, quote), of_icmp))),
                  DropReason::icmp_ignored);
    EXPECT_EQ(net.reason_for(ethernet(ipv4(icmp(IcmpType{42}, 0, 0, quote), of_icmp))),
              DropReason::icmp_unknown_type);
    EXPECT_TRUE(net.sent().empty());
}

Octets timestamp_request() {
    Octets times(12);
    wire::store_be32(times, 0, 0x00112233);
    return icmp(IcmpType::timestamp_request, 0, 0x12340007, times);
}

TEST(Rfc792, TimestampIsAnsweredByMillisecondsSinceMidnightWhereThatIsKnown) {
    Config config = resolved_config();
    config.midnight = Instant{5s};
    Network net{config};
    for (const auto& [after, expected] :
         {std::pair{Duration{5s + 1234ms}, 1234U}, std::pair{Duration{5s + 25h}, 3'600'000U},
          std::pair{Duration{5s + 48h}, 0U}}) {
        net.now = Instant{after};
        net.give(ethernet(ipv4(timestamp_request(), of_icmp)));
        const Octets message = message_in(net.sent());
        ASSERT_EQ(message.size(), 20U);
        EXPECT_EQ(message[0], std::byte{14});
        EXPECT_EQ(wire::load_be32(message, 4), 0x12340007U) << "identifier and sequence number";
        EXPECT_EQ(wire::load_be32(message, 8), 0x00112233U) << "the originator's stays";
        EXPECT_EQ(wire::load_be32(message, 12), expected);
        EXPECT_EQ(wire::load_be32(message, 16), expected);
    }
}

TEST(Rfc792, TimestampOfAClockWithoutTimeOfDayHasTheHighestBitSetAndTellsNobodyHowLongWeRun) {
    Network net{resolved_config()};
    const auto ask = [&] {
        net.give(ethernet(ipv4(timestamp_request(), of_icmp)));
        return wire::load_be32(message_in(net.sent()), 12);
    };
    const std::uint32_t first = ask();
    net.now += 250ms;
    const std::uint32_t second = ask();
    EXPECT_NE(first & 0x8000'0000, 0U);
    EXPECT_NE(second & 0x8000'0000, 0U);
    EXPECT_EQ((second - first) & 0x7fff'ffff, 250U);
    EXPECT_NE(first & 0x7fff'ffff, 1000U);
}

TEST(Rfc792, TimestampRequestCutShortOrToAGroupOrUnwantedIsNotAnswered) {
    Network net{resolved_config()};
    EXPECT_EQ(net.reason_for(ethernet(ipv4(icmp(IcmpType::timestamp_request, 0, 1, pattern(11)), of_icmp))),
              DropReason::icmp_truncated);
    EXPECT_EQ(net.reason_for(ethernet(ipv4(timestamp_request(), {.destination = subnet_broadcast,
                                                                 .protocol = wire::IpProtocol::icmp}),
                                      wire::EtherType::ipv4, MacAddress::broadcast())),
              DropReason::icmp_group_destination);
    Config config = resolved_config();
    config.answer_timestamps = false;
    Network silent{config};
    EXPECT_EQ(silent.reason_for(ethernet(ipv4(timestamp_request(), of_icmp))), DropReason::icmp_ignored);
    EXPECT_TRUE(net.sent().empty());
    EXPECT_TRUE(silent.sent().empty());
}

TEST(Rfc792, TimestampRequestInAChainOfAnyCutIsAnswered) {
    Network net{resolved_config()};
    const Octets frame = ethernet(ipv4(timestamp_request(), of_icmp));
    for (std::size_t first = 1; first < frame.size(); ++first) {
        net.give(net.pool.chain(frame, {first, 3}));
        ASSERT_EQ(message_in(net.sent()).size(), 20U) << first;
    }
}

TEST(Rfc1122, MalformedOptionIsToldWithItsPlace) {
    Network net{resolved_config()};
    const Octets packet =
        ipv4(tcp_header(), {.options = {std::byte{1}, std::byte{1}, std::byte{7}, std::byte{60}}});
    EXPECT_EQ(net.reason_for(ethernet(packet)), DropReason::ip_bad_option);
    EXPECT_EQ(message_in(net.sent()), icmp(IcmpType::parameter_problem, 0, 23U << 24, packet));
    // Nothing about a group, nor about an ICMP error, nor beyond the first fragment.
    const PacketFields bad{.protocol = wire::IpProtocol::icmp,
                           .options = {std::byte{7}, std::byte{0}, std::byte{0}, std::byte{0}}};
    net.give(ethernet(ipv4(icmp(IcmpType::time_exceeded, 0, 0, packet), bad)));
    Octets later = packet;
    wire::store_be16(later, 6, 5);
    seal(later);
    net.give(ethernet(later));
    PacketFields group = bad;
    group.destination = subnet_broadcast;
    net.give(ethernet(ipv4(pattern(20), group), wire::EtherType::ipv4, MacAddress::broadcast()));
    EXPECT_EQ(net.count(DropReason::ip_bad_option), 4U);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc1122, ErrorAboutAPacketOfOursIsHandedOnWithWhatItQuotes) {
    Network net{resolved_config()};
    Octets quote = ipv4(tcp_header(50000, 443), {.source = us, .destination = far_away});
    quote.resize(28);  // no more than RFC 792 asks for
    const auto give = [&](IcmpType type, std::uint8_t code, std::uint32_t rest) {
        return net.give(ethernet(
            ipv4(icmp(type, code, rest, quote), {.source = router, .protocol = wire::IpProtocol::icmp})));
    };
    for (const IcmpType type :
         {IcmpType::destination_unreachable, IcmpType::time_exceeded, IcmpType::parameter_problem}) {
        ASSERT_EQ(give(type, 1, 1400), Upper::icmp_error);
        const IcmpError& error = net.in.error;
        EXPECT_EQ(error.type, static_cast<std::uint8_t>(type));
        EXPECT_EQ(error.code, 1);
        EXPECT_EQ(error.protocol, 6);
        EXPECT_EQ(error.next_hop_mtu, 0);
        EXPECT_EQ(error.source, us);
        EXPECT_EQ(error.destination, far_away);
        EXPECT_EQ(error.source_port, 50000);
        EXPECT_EQ(error.destination_port, 443);
        EXPECT_EQ(error.sequence, 0x01020304U);
    }
    ASSERT_EQ(give(IcmpType::destination_unreachable, 4, 1400), Upper::icmp_error);
    EXPECT_EQ(net.in.error.next_hop_mtu, 1400);
}

TEST(Rfc5927, ErrorAboutAPacketThatWeCannotHaveSentIsDropped) {
    Network net{resolved_config()};
    const auto reason = [&](const Octets& quote) {
        return net.reason_for(ethernet(ipv4(icmp(IcmpType::destination_unreachable, 3, 0, quote), of_icmp)));
    };
    const Octets good = ipv4(tcp_header(), {.source = us, .destination = peer});
    EXPECT_EQ(reason(good), std::nullopt);
    EXPECT_EQ(reason(ipv4(tcp_header(), {.source = peer, .destination = us})),
              DropReason::icmp_error_without_owner);
    EXPECT_EQ(reason(ipv4(ping(8), {.source = us, .destination = peer, .protocol = wire::IpProtocol::icmp})),
              DropReason::icmp_error_without_owner);
    EXPECT_EQ(reason(Octets(good.begin(), good.begin() + 27)), DropReason::icmp_truncated);
    EXPECT_EQ(reason({}), DropReason::icmp_truncated);
}

TEST(Rfc1122, UnknownProtocolIsAnsweredWithProtocolUnreachableThatQuotesThePacket) {
    Network net{resolved_config()};
    const Octets packet = ipv4(pattern(100), {.protocol = wire::IpProtocol{99}, .tos = 0x20});
    EXPECT_EQ(net.reason_for(ethernet(packet)), DropReason::ip_unknown_protocol);
    const auto frames = net.sent();
    EXPECT_EQ(message_in(frames), icmp(IcmpType::destination_unreachable, 2, 0, packet));
    const auto error = packet_in(frames.at(0));
    EXPECT_EQ(error.tos(), 0);
    EXPECT_EQ(error.source(), us);
    EXPECT_EQ(error.destination(), peer);
    EXPECT_EQ(net.count(Counter::icmp_out), 1U);
}

TEST(Rfc1812, ErrorIsAtMost576OctetsLong) {
    Network net{resolved_config()};
    const Octets options(8, std::byte{1});
    const Octets packet = ipv4(pattern(1400), {.protocol = wire::IpProtocol{99}, .options = options});
    net.give(ethernet(packet));
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(packet_in(frames[0]).total_length(), 576U);
    EXPECT_EQ(message_in(frames),
              icmp(IcmpType::destination_unreachable, 2, 0, std::span{packet}.first(548)));
}

TEST(Rfc1122, NoErrorAboutAGroupOrAnIcmpMessage) {
    Network net{resolved_config()};
    const Octets packet =
        ipv4(pattern(20), {.destination = subnet_broadcast, .protocol = wire::IpProtocol{99}});
    EXPECT_EQ(net.reason_for(ethernet(packet, wire::EtherType::ipv4, MacAddress::broadcast())),
              DropReason::ip_unknown_protocol);
    const Octets quote = ipv4(tcp_header(), {.source = us, .destination = peer});
    ASSERT_EQ(net.give(ethernet(ipv4(icmp(IcmpType::time_exceeded, 0, 0, quote), of_icmp))),
              Upper::icmp_error);
    net.layer.send_port_unreachable(net.in, net.now);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc1812, ErrorsAreRateLimited) {
    Config config = resolved_config();
    config.icmp_errors_per_second = 100;
    Network net{config, 4096};
    const Octets frame = ethernet(ipv4(pattern(20), {.protocol = wire::IpProtocol{99}}));
    std::size_t errors = 0;
    for (int i = 0; i < 10000; ++i) {
        net.give(frame);
        net.now += 100us;
        errors += net.sent().size();
    }
    EXPECT_GE(errors, 95U);
    EXPECT_LE(errors, 105U);  // a second's worth, and the burst
    EXPECT_EQ(net.count(DropReason::icmp_rate_limited), 10000 - errors);
}

TEST(Rfc1812, RateOfZeroSendsNoErrors) {
    Config config = resolved_config();
    config.icmp_errors_per_second = 0;
    Network net{config};
    net.give(ethernet(ipv4(pattern(20), {.protocol = wire::IpProtocol{99}})));
    EXPECT_TRUE(net.sent().empty());
    EXPECT_EQ(net.count(DropReason::icmp_rate_limited), 1U);
}

}  // namespace icmp_test
}  // namespace runnel::ip
