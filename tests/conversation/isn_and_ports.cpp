// Initial sequence numbers (RFC 9293 section 3.4.1, RFC 6528) and ephemeral ports (RFC 6056).
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace isn_and_ports_cases {

using tcp::Error;

/// The absolute ISN of a connection from `local_port` to port `remote_port` of the peer, which refuses it.
std::uint32_t isn_of(Conversation& c, std::uint16_t local_port, std::uint16_t remote_port) {
    Flow& flow = c.add_flow(remote_port, local_port);
    tcp::ConnectOptions options;
    options.remote_address = spoken(peer_address);
    options.remote_port = remote_port;
    options.local_port = local_port;
    options.handler = &c.handler();
    EXPECT_EQ(c.stack().connect(options).error, Error::none);
    c.pump();
    flow.expect(syn());
    const std::uint32_t isn = flow.stack_isn;
    flow.inject(rst_ack().seq(0).ack(1));
    flow.remote.port = 0;  // it has served
    return isn;
}

TEST(Rfc6528, Must8ClockPartMovesOn250000TimesASecond) {
    Conversation c;
    const std::uint32_t first = isn_of(c, 5000, 80);
    c.elapse(1s);
    const std::uint32_t second = isn_of(c, 5000, 80);
    EXPECT_NEAR(static_cast<double>(second - first), 250000.0, 40.0);
    c.elapse(1h);
    const std::uint32_t third = isn_of(c, 5000, 80);
    EXPECT_NEAR(static_cast<double>(third - second), 900000000.0, 40.0);
}

TEST(Rfc6528, Shld1NumbersOfDifferentEndsAreUnrelated) {
    Conversation c;
    std::vector<std::uint32_t> numbers;
    for (std::uint16_t port = 5000; port < 5256; ++port) numbers.push_back(isn_of(c, port, 80));
    std::set<std::uint32_t> steps;
    std::array<int, 16> upper{};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (i > 0) steps.insert(numbers[i] - numbers[i - 1]);
        ++upper[numbers[i] >> 28];
    }
    EXPECT_GE(steps.size(), 250U);
    for (const int n : upper) EXPECT_GE(n, 1);  // 256 draws of 16: one is missing once in a million runs
}

TEST(Rfc6528, EachPartOfTheTupleChangesTheNumber) {
    Conversation c;
    const std::uint32_t base = isn_of(c, 5000, 80);
    EXPECT_NE(isn_of(c, 5001, 80), base);
    EXPECT_NE(isn_of(c, 5000, 81), base);
}

TEST(Rfc6528, Must9TwoStacksChooseDifferentNumbersForTheSameEndsAtTheSameTime) {
    StackConfig config = small_stack();
    config.secret.reset();  // from the kernel's entropy
    Conversation a{config};
    Conversation b{config};
    EXPECT_NE(isn_of(a, 5000, 80), isn_of(b, 5000, 80));
}

TEST(Rfc6528, SameSecretAndTimeGiveTheSameNumber) {
    Conversation a, b;  // what makes a run replayable
    EXPECT_EQ(isn_of(a, 5000, 80), isn_of(b, 5000, 80));
}

TEST(Rfc6528, SynAcksAreNumberedLikewise) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    const std::uint32_t first = c.flow().stack_isn;
    c.inject(rst().seq(1));
    c.elapse(1s);
    c.inject(syn().seq(0).mss(1460));
    c.expect(syn_ack());
    EXPECT_NEAR(static_cast<double>(c.flow().stack_isn - first), 250000.0, 40.0);
    int near = 0;  // those of other ends lie anywhere: of 15, hardly one by chance within 2^20
    for (std::uint16_t i = 1; i < 16; ++i) {
        Flow& other = c.add_flow(static_cast<std::uint16_t>(peer_port + i));
        other.inject(syn().mss(1460));
        other.expect(syn_ack());
        near += other.stack_isn - c.flow().stack_isn + (1U << 20) < 1U << 21 ? 1 : 0;
    }
    EXPECT_LE(near, 2);
}

/// The source ports of `n` connections, all to one port of the peer or each to another.
std::vector<std::uint16_t> ports_of(Conversation& c, std::uint16_t n, bool one_destination) {
    std::vector<std::uint16_t> ports;
    for (std::uint16_t i = 0; i < n; ++i) {
        tcp::ConnectOptions options;
        options.remote_address = spoken(peer_address);
        options.remote_port = static_cast<std::uint16_t>(one_destination ? 80 : 1000 + i);
        options.handler = &c.handler();
        const tcp::ConnectResult result = c.stack().connect(options);
        EXPECT_EQ(result.error, Error::none);
        ports.push_back(result.connection.info().local_port);
        c.pump();
    }
    return ports;
}

TEST(Rfc6056, PortsToOneDestinationAreDistinctInRangeAndNotInSequence) {
    StackConfig config = small_stack();
    config.tcp.connections = 512;
    Conversation c{config};
    const auto ports = ports_of(c, 300, true);
    std::set<std::uint16_t> distinct(ports.begin(), ports.end());
    EXPECT_EQ(distinct.size(), 300U);
    EXPECT_GE(*distinct.begin(), 1024U);
    std::size_t up = 0;
    for (std::size_t i = 1; i < ports.size(); ++i) up += ports[i] == ports[i - 1] + 1 ? 1 : 0;
    EXPECT_LT(up, 150U) << "an observer of one destination predicts the next port";
}

TEST(Rfc6056, PortsToManyDestinationsAreNotInSequence) {
    StackConfig config = small_stack();
    config.tcp.connections = 512;
    Conversation c{config};
    const auto ports = ports_of(c, 300, false);
    std::size_t near = 0;
    for (std::size_t i = 1; i < ports.size(); ++i) {
        const int step = ports[i] - ports[i - 1];
        near += step > -100 && step < 100 ? 1 : 0;
    }
    EXPECT_LT(near, 30U);
    const auto [least, most] = std::minmax_element(ports.begin(), ports.end());
    EXPECT_LT(*least, 10000U);
    EXPECT_GT(*most, 55000U);
}

TEST(Rfc6056, RangeIsRespectedAndSaysWhenNonePortIsFree) {
    StackConfig config = small_stack();
    config.tcp.ephemeral_first = 30000;
    config.tcp.ephemeral_last = 30002;
    Conversation c{config};
    const auto ports = ports_of(c, 3, true);
    EXPECT_EQ((std::set<std::uint16_t>(ports.begin(), ports.end())),
              (std::set<std::uint16_t>{30000, 30001, 30002}));
    tcp::ConnectOptions options;
    options.remote_address = spoken(peer_address);
    options.remote_port = 80;
    options.handler = &c.handler();
    EXPECT_EQ(c.stack().connect(options).error, Error::no_port_free);
    options.remote_port = 81;  // another destination has ports of its own
    EXPECT_EQ(c.stack().connect(options).error, Error::none);
}

TEST(Rfc6056, PortIsFreeAgainAfterTheConnection) {
    StackConfig config = small_stack();
    config.tcp.ephemeral_first = config.tcp.ephemeral_last = 30000;
    Conversation c{config};
    for (int i = 0; i < 5; ++i) {
        c.flow().local.port = 0;
        c.flow().peer_next = 0;
        c.connect();
        c.expect(syn());
        EXPECT_EQ(c.flow().local.port, 30000U);
        c.inject(rst_ack().seq(0).ack(1));
        c.expect_closed(tcp::CloseReason::refused);
        c.elapse(10ms);
    }
}

}  // namespace isn_and_ports_cases
}  // namespace runnel::test
