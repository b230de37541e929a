// What an application holds: the handle of a connection, and the calls that handlers make.
#include <functional>

#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace handles_cases {

using tcp::CloseReason;
using tcp::Connection;
using tcp::Error;

void expect_dead(Connection connection) {
    const std::string_view text = "x";
    const auto octets = std::as_bytes(std::span{text});
    EXPECT_FALSE(connection.alive());
    EXPECT_EQ(connection.send(octets).error, Error::no_connection);
    EXPECT_EQ(connection.send(octets).accepted, 0U);
    EXPECT_EQ(connection.send_static(octets).error, Error::no_connection);
    EXPECT_EQ(connection.send_urgent(octets).error, Error::no_connection);
    const Octets one{1};
    rte_mbuf* mbuf = to_mbuf(one);
    EXPECT_EQ(connection.send(mbuf).error, Error::no_connection);
    rte_pktmbuf_free(mbuf);  // it stayed ours
    EXPECT_EQ(connection.consume(1), Error::no_connection);
    EXPECT_EQ(connection.shutdown(), Error::no_connection);
    EXPECT_EQ(connection.close(), Error::no_connection);
    EXPECT_EQ(connection.abort(), Error::no_connection);
    EXPECT_EQ(connection.set_nagle(false), Error::no_connection);
    EXPECT_EQ(connection.set_user_timeout(1s), Error::no_connection);
    EXPECT_EQ(connection.set_context(1), Error::no_connection);
    EXPECT_EQ(connection.context(), 0U);
    EXPECT_EQ(connection.info().state, tcp::State::closed);
}

/// A handler made of functions.
struct Functions : tcp::Handler {
    std::function<void(Connection)> on_established = [](Connection) {};
    std::function<tcp::Ownership(Connection, rte_mbuf&)> on_data = [](Connection c, rte_mbuf& payload) {
        c.consume(rte_pktmbuf_pkt_len(&payload));
        return tcp::Ownership::returned;
    };
    std::function<void(Connection)> on_peer_closed = [](Connection) {};
    std::function<void(Connection, CloseReason)> on_closed = [](Connection, CloseReason) {};
    int closed_calls = 0;

    void established(Connection connection) noexcept override { on_established(connection); }
    tcp::Ownership data(Connection connection, rte_mbuf& payload) noexcept override {
        return on_data(connection, payload);
    }
    void peer_closed(Connection connection) noexcept override { on_peer_closed(connection); }
    void closed(Connection connection, CloseReason reason) noexcept override {
        ++closed_calls;
        on_closed(connection, reason);
    }
};

/// Listens with the handler and lets the script shake hands.
void open_with(Conversation& c, Functions& handler) {
    tcp::ListenOptions options;
    options.port = service_port;
    options.handler = &handler;
    c.stack().listen(options);
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.inject(ack());
}

TEST(Handle, OfNothingIsDead) {
    expect_dead(Connection{});
}

TEST(Handle, AfterTheEndEachCallAnswersNoConnection) {
    Conversation c;
    c.open_passive();
    const Connection connection = c.connection();
    EXPECT_TRUE(connection.alive());
    c.inject(rst());
    expect_dead(connection);
    c.pump();
    c.expect_nothing();
}

TEST(Handle, IsDeadWhenItsSlotServesAnotherConnection) {
    StackConfig config = small_stack();
    config.tcp.connections = 1;
    Conversation c{config};
    c.open_passive();
    const Connection first = c.connection();
    c.inject(rst());
    c.expect_closed(CloseReason::reset);
    Flow& other = c.add_flow(40001);
    other.inject(syn().mss(1460));
    other.expect(syn_ack());
    other.inject(ack());
    c.expect_established();
    const Connection second = c.connection();
    EXPECT_EQ(first.slot(), second.slot());
    EXPECT_NE(first.generation(), second.generation());
    EXPECT_NE(first, second);
    expect_dead(first);
    EXPECT_TRUE(second.alive());
    c.pump();
    c.expect_nothing();
    other.inject(data("unharmed"));
    c.expect_data("unharmed");
}

TEST(Handle, IsValidUntilClosedReturns) {
    Conversation c;
    Functions handler;
    bool alive = false;
    std::uint64_t context = 0;
    handler.on_established = [](Connection connection) { connection.set_context(42); };
    handler.on_closed = [&](Connection connection, CloseReason) {
        alive = connection.alive();
        context = connection.context();
    };
    open_with(c, handler);
    c.inject(rst());
    EXPECT_EQ(handler.closed_calls, 1);
    EXPECT_TRUE(alive);
    EXPECT_EQ(context, 42U);
}

TEST(Handle, ContextIsKeptFromConnectOn) {
    Conversation c;
    tcp::ConnectOptions options;
    options.context = 0x123456789abcdef0;
    Connection connection = c.connect(options);
    EXPECT_EQ(connection.context(), 0x123456789abcdef0U);
    c.expect(syn());
    c.inject(syn_ack().mss(1460));
    EXPECT_EQ(connection.context(), 0x123456789abcdef0U);
    EXPECT_EQ(connection.set_context(7), Error::none);
    EXPECT_EQ(connection.context(), 7U);
}

TEST(Handle, InfoTellsTheEndsAndTheState) {
    Conversation c;
    c.open_passive();
    const tcp::ConnectionInfo info = c.info();
    EXPECT_EQ(info.state, tcp::State::established);
    EXPECT_EQ(info.local_address, spoken(stack_address));
    EXPECT_EQ(info.local_port, service_port);
    EXPECT_EQ(info.remote_address, spoken(peer_address));
    EXPECT_EQ(info.remote_port, peer_port);
    EXPECT_EQ(info.snd_nxt, c.flow().stack_isn + 1);
    EXPECT_EQ(info.rcv_nxt, c.flow().peer_isn + 1);
    EXPECT_EQ(info.mss, 1460U);
}

TEST(HandlerCalls, EstablishedMaySendAndClose) {
    Conversation c;
    Functions handler;
    handler.on_established = [](Connection connection) {
        const std::string_view text = "welcome";
        EXPECT_EQ(connection.send(std::as_bytes(std::span{text})).accepted, 7U);
        EXPECT_EQ(connection.close(), Error::none);
    };
    open_with(c, handler);
    std::string got;
    bool fin_seen = false;
    for (const Segment& s : c.take_all()) {
        got += *s.text;
        fin_seen = fin_seen || s.has(flag::fin);
    }
    EXPECT_EQ(got, "welcome");
    EXPECT_TRUE(fin_seen);
    c.inject(fin());
    EXPECT_EQ(handler.closed_calls, 1);
}

TEST(HandlerCalls, EstablishedMayAbort) {
    Conversation c;
    Functions handler;
    handler.on_established = [](Connection connection) { EXPECT_EQ(connection.abort(), Error::none); };
    open_with(c, handler);
    EXPECT_TRUE(c.expect(Segment{}).has(flag::rst));
    c.expect_nothing();
    EXPECT_EQ(handler.closed_calls, 1);
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(HandlerCalls, DataMayAbortInTheMiddleOfABurst) {
    Conversation c;
    Functions handler;
    int pieces = 0;
    handler.on_data = [&](Connection connection, rte_mbuf&) {
        ++pieces;
        connection.abort();
        return tcp::Ownership::returned;
    };
    open_with(c, handler);
    c.inject_burst({data("one"), data("two"), data("three")});
    EXPECT_EQ(pieces, 1);
    EXPECT_EQ(handler.closed_calls, 1);
    const auto sent = c.take_all();
    ASSERT_FALSE(sent.empty());
    for (const Segment& s : sent) EXPECT_TRUE(s.has(flag::rst));
}

TEST(HandlerCalls, OneConnectionsHandlerMayAbortAnotherInTheSameBurst) {
    Conversation c;
    Functions handler;
    std::vector<Connection> all;
    handler.on_established = [&](Connection connection) { all.push_back(connection); };
    handler.on_data = [&](Connection connection, rte_mbuf& payload) {
        connection.consume(rte_pktmbuf_pkt_len(&payload));
        for (Connection other : all)
            if (other != connection) other.abort();
        return tcp::Ownership::returned;
    };
    open_with(c, handler);
    Flow& second = c.add_flow(40001);
    second.inject(syn().mss(1460));
    second.expect(syn_ack());
    second.inject(ack());
    ASSERT_EQ(all.size(), 2U);
    c.inject_frames({encode(c.flow().complete(data("kill")), stack_mac, peer_mac),
                     encode(second.complete(data("late")), stack_mac, peer_mac)});
    EXPECT_TRUE(all[0].alive());
    EXPECT_FALSE(all[1].alive());
    EXPECT_EQ(handler.closed_calls, 1);
    EXPECT_TRUE(second.has_sent_anything());
}

TEST(HandlerCalls, TakenMbufIsTheHandlers) {
    Conversation c;
    Functions handler;
    std::vector<rte_mbuf*> kept;
    handler.on_data = [&](Connection connection, rte_mbuf& payload) {
        connection.consume(rte_pktmbuf_pkt_len(&payload));
        kept.push_back(&payload);
        return tcp::Ownership::taken;
    };
    open_with(c, handler);
    c.inject(data("later").seq(6));  // out of order
    c.inject(data("first").seq(1));
    c.inject(data("seconds!").seq(8));  // overlaps
    std::string got;
    for (rte_mbuf* mbuf : kept) {
        got += text_of(*mbuf);
        rte_pktmbuf_free(mbuf);
    }
    EXPECT_EQ(got, "firstlateronds!");
}

TEST(HandlerCalls, ClosedMayConnectAnew) {
    Conversation c;
    Functions handler;
    int attempts = 0;
    const auto connect = [&] {
        tcp::ConnectOptions options;
        options.remote_address = spoken(peer_address);
        options.remote_port = peer_port;
        options.handler = &handler;
        return c.stack().connect(options).error;
    };
    handler.on_closed = [&](Connection, CloseReason reason) {
        EXPECT_EQ(reason, CloseReason::refused);
        if (++attempts < 5) {
            EXPECT_EQ(connect(), Error::none);
        }
    };
    c.flow().local.port = 0;  // learnt from the SYN
    ASSERT_EQ(connect(), Error::none);
    c.pump();
    for (int i = 0; i < 5; ++i) {
        c.flow().peer_next = 0;
        c.expect(syn().seq(0));
        const Octets refusal = encode(c.flow().complete(rst_ack().seq(0).ack(1)), stack_mac, peer_mac);
        c.flow().local.port = 0;  // the SYN of the next attempt comes in answer to this
        c.inject_frame(refusal);
    }
    EXPECT_EQ(attempts, 5);
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(HandlerCalls, UnlistenFromAHandlerIsHeard) {
    Conversation c;
    Functions handler;
    handler.on_established = [&](Connection) { c.stack().unlisten(IpAddress{}, service_port); };
    open_with(c, handler);
    Flow& second = c.add_flow(40001);
    second.inject(syn());
    second.expect(rst_ack().ack(1));
}

TEST(Capacity, ConnectBeyondTheTableIsRefused) {
    StackConfig config = small_stack();
    config.tcp.connections = 4;
    Conversation c{config};
    tcp::ConnectOptions options;
    options.remote_address = spoken(peer_address);
    options.remote_port = 80;
    options.handler = &c.handler();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(c.stack().connect(options).error, Error::none);
    EXPECT_EQ(c.stack().connect(options).error, Error::connections_full);
}

TEST(Capacity, HandshakeBeyondTheTableIsCountedAndTheEstablishedGoOn) {
    StackConfig config = small_stack();
    config.tcp.connections = 4;
    Conversation c{config};
    c.open_passive();
    for (std::uint16_t i = 1; i < 10; ++i) {
        Flow& flow = c.add_flow(static_cast<std::uint16_t>(50000 + i));
        flow.inject(syn().mss(1460));
        c.take_all();
        flow.inject(ack());
        c.take_all();
    }
    EXPECT_GE(c.dropped(DropReason::tcp_connections_full), 6U);
    EXPECT_EQ(c.events.size(), 3U);
    c.events.clear();
    c.inject(data("still here"));
    c.expect_data("still here");
}

TEST(Capacity, ConnectOfATupleInUseIsRefused) {
    Conversation c;
    tcp::ConnectOptions options;
    options.local_port = 5000;
    c.connect(options);
    c.expect(syn());
    options.remote_address = spoken(peer_address);
    options.remote_port = peer_port;
    options.handler = &c.handler();
    EXPECT_EQ(c.stack().connect(options).error, Error::address_in_use);
    options.remote_port = peer_port + 1;
    EXPECT_EQ(c.stack().connect(options).error, Error::none);
}

TEST(Listening, TwiceOnOnePortThrows) {
    Conversation c;
    c.listen();
    EXPECT_THROW(c.listen(), std::invalid_argument);
    tcp::ListenOptions options;
    options.port = 0;
    options.handler = &c.handler();
    EXPECT_THROW(c.stack().listen(options), std::invalid_argument);
    options.port = 81;
    options.address = spoken(Ipv4Address{10, 9, 9, 9});
    EXPECT_THROW(c.stack().listen(options), std::invalid_argument);
}

}  // namespace handles_cases
}  // namespace runnel::test
