// Echo requests of the application's and what becomes of them, over both families: RFC 792, RFC 1122 section
// 3.2.2.6, RFC 4443 sections 3 and 4, RFC 1191.
#include "runnel/ip/pings.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "fragments.hpp"

namespace runnel::ip {
namespace pings_test {

using namespace test;  // NOLINT: the words in which the tests are written

/// Writes down what becomes of requests.
class Asker : public PingHandler {
  public:
    Ownership reply(const PingReply& about, rte_mbuf& data) noexcept override {
        replies.push_back(about);
        texts.push_back(octets_of(&data));
        if (then) then();
        if (!keeps) return Ownership::returned;
        rte_pktmbuf_free(&data);
        return Ownership::taken;
    }
    void failed(PingNumber number, const IcmpError& error) noexcept override {
        failures.push_back(number);
        errors.push_back(error);
    }
    void timed_out(PingNumber number) noexcept override {
        late.push_back(number);
        if (then) then();
    }

    std::vector<PingReply> replies;
    std::vector<Octets> texts;
    std::vector<PingNumber> failures, late;
    std::vector<IcmpError> errors;
    std::function<void()> then;
    bool keeps = false;
};

Config both_families() {
    Config config = resolved_config();
    config.interfaces[0].ipv6 = {{.address = us6}};
    config.report_solicited_nodes = false;
    config.neighbours.push_back({peer6, peer_mac, 0});
    config.neighbours.push_back({router6, other_mac, 0});
    config.routes.push_back({.network = {}, .prefix_length = 0, .gateway = router6, .interface = 0});
    return config;
}

class Pinging : public testing::TestWithParam<bool> {
  protected:
    explicit Pinging(const Config& config = both_families()) : net(config, 4096) {}

    [[nodiscard]] static bool v4() { return GetParam(); }
    [[nodiscard]] static IpAddress remote() { return v4() ? IpAddress{peer} : IpAddress{peer6}; }
    [[nodiscard]] static IpAddress local() { return v4() ? IpAddress{us} : IpAddress{us6}; }

    PingSent ping(std::span<const std::byte> data, PingOptions options = {}) {
        if (options.remote.is_unspecified()) options.remote = remote();
        return net.layer.pings().send(options, data, asker, net.now);
    }
    /// The message of a request that was sent, whole or in fragments.
    Octets request() {
        const Rejoined whole = rejoin(net.sent());
        EXPECT_EQ(whole.protocol, v4() ? 1 : 58);
        return whole.message;
    }
    /// The reply to it as a packet.
    [[nodiscard]] Octets reply_to(Octets message, const IpAddress& from, const IpAddress& to) const {
        message[0] = std::byte{static_cast<std::uint8_t>(v4() ? 0 : 129)};
        wire::store_be16(message, 2, 0);
        if (v4()) {
            wire::store_be16(message, 2, wire::checksum_finish(wire::checksum_add(message)));
            return ipv4(
                message,
                {.source = from.v4(), .destination = to.v4(), .protocol = wire::IpProtocol::icmp, .ttl = 61});
        }
        const Ipv6Fields fields{
            .source = from.v6(), .destination = to.v6(), .next_header = 58, .hop_limit = 61};
        seal6(message, 2, fields);
        return ipv6(message, fields);
    }
    [[nodiscard]] static Octets frame(const Octets& packet) {
        return v4() ? ethernet(packet) : ethernet6(packet);
    }
    Upper answer(const Octets& message) { return net.give(frame(reply_to(message, remote(), local()))); }
    /// An error from a router about a request, which it quotes.
    Octets error_about(const Octets& message, std::uint8_t type, std::uint8_t code, std::uint32_t rest = 0) {
        if (v4()) {
            const Octets quote =
                ipv4(message, {.source = us, .destination = peer, .protocol = wire::IpProtocol::icmp});
            return ethernet(ipv4(icmp(wire::IcmpType{type}, code, rest, std::span{quote}.first(28)),
                                 {.source = router, .protocol = wire::IpProtocol::icmp}));
        }
        const Octets quote = ipv6(message, {.source = us6, .destination = peer6, .next_header = 58});
        return ethernet6(icmpv6(wire::Icmpv6Type{type}, code, rest,
                                std::span{quote}.first(std::min<std::size_t>(quote.size(), 1000)),
                                {.source = router6}));
    }

    Network net;
    Asker asker;
};
INSTANTIATE_TEST_SUITE_P(Both, Pinging, testing::Bool(), [](const auto& family) {
    return std::string{family.param ? "OverIpv4" : "OverIpv6"};
});

TEST_P(Pinging, ReplyComesWithItsDataAndRoundTripTime) {
    const PingSent sent = ping(pattern(56));
    ASSERT_EQ(sent.result, PingResult::sent);
    const Octets message = request();
    EXPECT_EQ(message.size(), 64U);
    EXPECT_EQ(message[0], std::byte{static_cast<std::uint8_t>(v4() ? 8 : 128)});
    net.now += 37ms;
    EXPECT_EQ(answer(message), Upper::none);
    ASSERT_EQ(asker.replies.size(), 1U);
    EXPECT_EQ(asker.replies[0].number, sent.number);
    EXPECT_EQ(asker.replies[0].source, remote());
    EXPECT_EQ(asker.replies[0].round_trip, 37ms);
    EXPECT_EQ(asker.replies[0].ttl, 61);
    EXPECT_EQ(asker.texts[0], pattern(56));
    net.run_until(net.now + 10s);
    EXPECT_TRUE(asker.late.empty());
    EXPECT_EQ(net.count(Counter::echo_requests_out), 1U);
    EXPECT_EQ(net.count(Counter::echo_replies_in), 1U);
}

TEST_P(Pinging, RequestsOfEverySizeLeaveInFragmentsWhereTheyMustAndAreAnswered) {
    asker.keeps = true;
    const std::size_t largest = v4() ? largest_ping : largest_ipv6_ping;
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1472}, std::size_t{1473},
                                   std::size_t{9000}, std::size_t{30001}, largest}) {
        ASSERT_EQ(ping(pattern(size)).result, PingResult::sent) << size;
        const Octets message = request();
        ASSERT_EQ(message.size(), size + 8);
        if (size <= 1400) {
            answer(message);
        } else {
            Octets reply = reply_to(message, remote(), local());
            const Octets text(reply.begin() + (v4() ? 20 : 40), reply.end());
            const auto pieces =
                v4() ? fragments4(text, 1400, {.protocol = wire::IpProtocol::icmp},
                                  static_cast<std::uint16_t>(size))
                     : fragments6(text, 1400, {.next_header = 58}, static_cast<std::uint32_t>(size));
            for (const Octets& piece : pieces) net.give(piece);
        }
        ASSERT_FALSE(asker.texts.empty());
        ASSERT_EQ(asker.texts.back(), pattern(size)) << size;
    }
    EXPECT_EQ(asker.replies.size(), 7U);
    EXPECT_EQ(ping(pattern(largest + 1)).result, PingResult::too_big);
}

TEST_P(Pinging, RequestThatNobodyMayCutIsRefusedWhereThePathTakesLess) {
    EXPECT_EQ(ping(pattern(1600), {.dont_fragment = true}).result, PingResult::too_big);
    EXPECT_EQ(ping(pattern(1000), {.dont_fragment = true}).result, PingResult::sent);
}

TEST_P(Pinging, SilenceIsToldAfterItsTimeAndALateReplyIsNobodys) {
    const PingSent one = ping(pattern(8), {.timeout = 2s});
    const Octets message = request();
    const PingSent two = ping(pattern(8), {.timeout = 500ms});
    const Octets second = request();
    net.run_until(net.now + 499ms);
    EXPECT_TRUE(asker.late.empty());
    net.run_until(net.now + 1ms);
    EXPECT_EQ(asker.late, (std::vector<PingNumber>{two.number}));
    net.run_until(net.now + 1500ms);
    EXPECT_EQ(asker.late, (std::vector<PingNumber>{two.number, one.number}));
    EXPECT_EQ(net.layer.next_deadline(), never);
    EXPECT_EQ(net.reason_for(frame(reply_to(message, remote(), local()))), DropReason::icmp_ignored);
    EXPECT_TRUE(asker.replies.empty());
}

TEST_P(Pinging, ReplyThatAnswersNothingIsNotTaken) {
    ping(pattern(8));
    const Octets message = request();
    const auto expect_ignored = [&](const Octets& packet) {
        EXPECT_EQ(net.reason_for(frame(packet)), DropReason::icmp_ignored);
        EXPECT_TRUE(asker.replies.empty());
    };
    Octets other = message;
    other[4] ^= std::byte{1};  // another's identifier
    expect_ignored(reply_to(other, remote(), local()));
    other = message;
    other[7] ^= std::byte{1};  // another number
    expect_ignored(reply_to(other, remote(), local()));
    expect_ignored(reply_to(message, v4() ? IpAddress{router} : IpAddress{router6}, local()));
    answer(message);
    EXPECT_EQ(asker.replies.size(), 1U);
}

TEST_P(Pinging, SecondReplyIsNotTaken) {
    ping(pattern(8));
    const Octets message = request();
    answer(message);
    EXPECT_EQ(net.reason_for(frame(reply_to(message, remote(), local()))), DropReason::icmp_ignored);
    EXPECT_EQ(asker.replies.size(), 1U);
}

TEST_P(Pinging, ErrorIsToldWithWhoSentItAndEndsTheRequest) {
    const PingSent sent = ping(pattern(8), {.ttl = 1});
    const Octets message = request();
    const std::uint8_t time_exceeded = v4() ? 11 : 3, unreachable = v4() ? 3 : 1;
    EXPECT_EQ(net.give(error_about(message, time_exceeded, 0)), Upper::none);
    EXPECT_EQ(asker.failures, (std::vector<PingNumber>{sent.number}));
    EXPECT_EQ(asker.errors[0].type, time_exceeded);
    EXPECT_EQ(asker.errors[0].reporter, v4() ? IpAddress{router} : IpAddress{router6});
    EXPECT_EQ(asker.errors[0].meaning, IcmpMeaning::other);
    EXPECT_EQ(net.reason_for(error_about(message, unreachable, 1)), DropReason::icmp_error_without_owner);
    ping(pattern(8));
    net.give(error_about(request(), unreachable, v4() ? 1 : 3));
    EXPECT_EQ(asker.errors.back().meaning, IcmpMeaning::unreachable);
    net.run_until(net.now + 10s);
    EXPECT_TRUE(asker.late.empty());
}

TEST_P(Pinging, TooBigIsToldAndLowersWhatThePathTakesOfDatagrams) {
    ping(pattern(1400));
    const Octets message = request();
    ASSERT_EQ(net.give(error_about(message, v4() ? 3 : 2, v4() ? 4 : 0, 1300)), Upper::icmp_error);
    EXPECT_EQ(asker.failures.size(), 1U);
    EXPECT_EQ(asker.errors[0].meaning, IcmpMeaning::too_big);
    EXPECT_EQ(asker.errors[0].next_hop_mtu, 1300);
    net.layer.lower_datagram_mtu(net.in.error, net.now);  // as the stack does
    EXPECT_EQ(net.layer.datagram_mtu_for(remote(), net.now), 1300);
    EXPECT_EQ(net.layer.path_mtu_for(remote(), net.now), 1500) << "no TCP connection minds";
    EXPECT_EQ(ping(pattern(1400), {.dont_fragment = true}).result, PingResult::too_big);
    EXPECT_EQ(net.reason_for(error_about(message, v4() ? 3 : 2, v4() ? 4 : 0, 1280)),
              DropReason::icmp_error_without_owner);
}

TEST_P(Pinging, RequestsThatWaitAreBoundedAndRoomComesBack) {
    for (int i = 0; i < 256; ++i) ASSERT_EQ(ping(pattern(8)).result, PingResult::sent);
    EXPECT_EQ(ping(pattern(8)).result, PingResult::table_full);
    EXPECT_EQ(net.count(DropReason::ping_table_full), 1U);
    EXPECT_EQ(net.layer.pings().size(), 256U);
    (void)net.sent();
    net.run_until(net.now + 1s);
    EXPECT_EQ(asker.late.size(), 256U);
    EXPECT_EQ(ping(pattern(8)).result, PingResult::sent);
}

TEST_P(Pinging, HandlerMaySendTheNextRequestAtOnce) {
    asker.then = [&] { ping(pattern(8)); };
    ping(pattern(8));
    answer(request());
    EXPECT_EQ(net.layer.pings().size(), 1U);
    net.run_until(net.now + 1s);
    EXPECT_EQ(asker.late.size(), 1U);
    EXPECT_EQ(net.layer.pings().size(), 1U);
}

TEST_P(Pinging, ForgottenRequestIsHeardOfNoMore) {
    const PingSent sent = ping(pattern(8));
    const Octets message = request();
    EXPECT_TRUE(net.layer.pings().forget(sent.number));
    EXPECT_FALSE(net.layer.pings().forget(sent.number));
    answer(message);
    net.run_until(net.now + 10s);
    EXPECT_TRUE(asker.replies.empty());
    EXPECT_TRUE(asker.late.empty());
}

TEST_P(Pinging, GroupIsAnsweredByAnyNumberOfItsMembers) {
    const IpAddress group = v4() ? IpAddress{Ipv4Address{224, 0, 0, 1}} : IpAddress{all_nodes};
    const PingSent sent = ping(pattern(8), {.remote = group});
    const auto frames = net.sent();
    ASSERT_EQ(frames.size(), 1U);
    const Octets message = rejoin(frames).message;
    IpAddress ours = local();
    if (v4()) {
        EXPECT_EQ(packet_in(frames[0]).ttl(), 1);
    } else {
        EXPECT_EQ(packet6_in(frames[0]).header.hop_limit, 1);
        ours = packet6_in(frames[0]).header.source;
    }
    for (const unsigned host : {2U, 3U}) {
        const IpAddress member = v4() ? IpAddress{Ipv4Address{10, 0, 0, static_cast<std::uint8_t>(host)}}
                                      : IpAddress{documentation(host)};
        net.give(frame(reply_to(message, member, ours)));
    }
    EXPECT_EQ(asker.replies.size(), 2U);
    net.run_until(net.now + 1s);
    EXPECT_EQ(asker.late, (std::vector<PingNumber>{sent.number}));
}

class PingingByTwoLinks : public Pinging {
  protected:
    static constexpr MacAddress second_mac{{2, 0, 0, 0, 0, 77}};
    static constexpr Ipv4Address second_address{172, 16, 0, 1};
    static Config two_links() {
        Config config = both_families();
        config.interfaces.push_back(
            {.mac = second_mac, .address = second_address, .ipv6 = {{.address = documentation(1, 9)}}});
        return config;
    }
    PingingByTwoLinks() : Pinging(two_links()) {}
};
INSTANTIATE_TEST_SUITE_P(Both, PingingByTwoLinks, testing::Bool(), [](const auto& family) {
    return std::string{family.param ? "OverIpv4" : "OverIpv6"};
});

TEST_P(PingingByTwoLinks, GroupIsAskedByTheInterfaceThatIsNamed) {
    const IpAddress group = v4() ? IpAddress{Ipv4Address{224, 0, 0, 1}} : IpAddress{all_nodes};
    for (const std::uint8_t interface : {std::uint8_t{1}, std::uint8_t{0}}) {
        ASSERT_EQ(ping(pattern(8), {.remote = group, .interface = interface}).result, PingResult::sent);
        const auto frames = net.sent();
        ASSERT_EQ(frames.size(), 1U);
        EXPECT_EQ(wire::EthernetView::parse(frames[0])->source(), interface == 0 ? our_mac : second_mac);
        if (v4()) {
            EXPECT_EQ(packet_in(frames[0]).source(), interface == 0 ? us : second_address);
        }
    }
    EXPECT_EQ(ping({}, {.remote = group, .interface = 2}).result, PingResult::no_interface);
    EXPECT_EQ(ping({}, {.interface = 1}).result, PingResult::no_interface) << "to a host";
}

TEST_P(Pinging, WrongRequestsSayWhatIsWrong) {
    EXPECT_EQ(ping({}, {.local = v4() ? IpAddress{peer6} : IpAddress{peer}}).result,
              PingResult::family_unsupported);
    EXPECT_EQ(ping({}, {.local = v4() ? IpAddress{Ipv4Address{10, 0, 0, 77}} : IpAddress{documentation(77)}})
                  .result,
              PingResult::not_our_address);
    EXPECT_EQ(ping({}, {.remote = local()}).result, PingResult::no_route) << "ourselves";
    EXPECT_EQ(net.layer.pings().size(), 0U);
}

TEST(RawProtocolErrors, TooBigAboutARawPacketLowersWhatThePathTakesOfDatagrams) {
    Network net{both_families()};
    class Listener : public RawHandler {
      public:
        Ownership packet(const RawPacket&, rte_mbuf&) noexcept override { return Ownership::returned; }
        void error(const IcmpError& error) noexcept override { errors.push_back(error); }
        std::vector<IcmpError> errors;
    } listener;
    net.layer.raw().claim(89, listener);
    Octets quote = ipv4(pattern(8), {.source = us, .destination = peer, .protocol = wire::IpProtocol{89}});
    EXPECT_EQ(net.give(ethernet(ipv4(icmp(wire::IcmpType::destination_unreachable, 4, 1200, quote),
                                     {.source = router, .protocol = wire::IpProtocol::icmp}))),
              Upper::icmp_error);
    EXPECT_EQ(net.in.error.protocol, 89);
    net.layer.lower_datagram_mtu(net.in.error, net.now);
    quote = ipv6(pattern(8), {.source = us6, .destination = peer6, .next_header = 89});
    EXPECT_EQ(
        net.give(ethernet6(icmpv6(wire::Icmpv6Type::packet_too_big, 0, 1290, quote, {.source = router6}))),
        Upper::icmp_error);
    net.layer.lower_datagram_mtu(net.in.error, net.now);
    EXPECT_EQ(listener.errors.size(), 2U);
    EXPECT_EQ(net.layer.raw().send({.remote = peer, .protocol = 89}, pattern(1300), net.now),
              RawSendResult::too_big);
    EXPECT_EQ(net.layer.raw().send({.remote = peer6, .protocol = 89}, pattern(1260), net.now),
              RawSendResult::too_big);
    EXPECT_EQ(net.layer.raw().send({.remote = peer6, .protocol = 89, .dont_fragment = false}, pattern(1300),
                                   net.now),
              RawSendResult::sent);
    EXPECT_EQ(rejoin(net.sent(), 1290).fragments, 2U);
}

TEST(RawProtocolErrors, RawPacketOfAnySizeLeavesInFragmentsWhereItMay) {
    Network net{both_families()};
    class Nobody : public RawHandler {
      public:
        Ownership packet(const RawPacket&, rte_mbuf&) noexcept override { return Ownership::returned; }
    } nobody;
    net.layer.raw().claim(89, nobody);
    EXPECT_EQ(net.layer.raw().send({.remote = peer, .protocol = 89, .dont_fragment = false}, pattern(60000),
                                   net.now),
              RawSendResult::sent);
    EXPECT_EQ(rejoin(net.sent()).message, pattern(60000));
}

}  // namespace pings_test
}  // namespace runnel::ip
