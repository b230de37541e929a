// What an application asks for a connection: keep-alive (RFC 9293 section 3.8.4), the user time-out (section
// 3.8.3), DSCP and TTL (section 3.9.2), the congestion control.
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace settings_cases {

using tcp::CloseReason;
using tcp::CongestionAlgorithm;
using tcp::Error;
using tcp::KeepAlive;
using tcp::Settings;

Settings kept_alive(KeepAlive keep_alive = {}) {
    Settings settings;
    settings.keep_alive = keep_alive;
    return settings;
}

TEST(KeepAlive, IsOffUnlessAskedFor) {
    Conversation c;
    c.open_passive();
    c.expect_silence(24h * 7);
    c.expect_state(tcp::State::established);
}

TEST(KeepAlive, FirstProbeComesAfterTwoIdleHoursAndCarriesNothing) {
    Conversation c;
    c.open_passive();
    EXPECT_EQ(c.connection().set(kept_alive()), Error::none);
    c.expect_after(2h, ack().seq(0).ack(1).length(0));  // SEQ = SND.NXT - 1
    c.inject(ack());
    c.expect_after(2h, ack().seq(0));
    c.inject(ack());
    EXPECT_EQ(c.count(Counter::tcp_keep_alives), 2U);
    c.expect_no_event();
}

TEST(KeepAlive, AnySegmentOfThePeerPostponesIt) {
    Conversation c;
    c.open_passive();
    c.connection().set(kept_alive());
    c.elapse(1h);
    c.inject(data("x"));
    c.expect_within(500ms, ack().ack(2));
    c.expect_between(2h - 1s, 2h, ack().seq(0).ack(2));
}

TEST(KeepAlive, SendingDataPostponesIt) {
    Conversation c;
    c.open_passive();
    c.connection().set(kept_alive());
    c.elapse(1h);
    c.send("x");
    c.expect(data("x"));
    c.inject(ack().ack(2));
    c.expect_between(2h - 1s, 2h + 1s, ack().seq(1));
}

TEST(KeepAlive, LostProbesDoNotKillTheConnectionAndSilenceDoes) {
    Conversation c;
    c.open_passive();
    c.connection().set(kept_alive({.idle = 10s, .interval = 2s, .probes = 3}));
    c.expect_after(10s, ack().seq(0));
    c.expect_after(2s, ack().seq(0));
    c.inject(ack());  // the second is answered
    c.expect_after(10s, ack().seq(0));
    c.expect_after(2s, ack().seq(0));
    c.expect_after(2s, ack().seq(0));
    c.expect_after(2s, rst_ack());
    c.expect_closed(CloseReason::timed_out);
}

TEST(KeepAlive, CanBeSwitchedOffAndSetForAllThatAListenerAccepts) {
    Conversation c;
    tcp::ListenOptions options;
    options.port = service_port;
    options.handler = &c.handler();
    options.settings = kept_alive({.idle = 10s, .interval = 2s, .probes = 3});
    c.stack().listen(options);
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.inject(ack());
    c.expect_established();
    c.expect_after(10s, ack().seq(0));
    c.inject(ack());
    EXPECT_EQ(c.connection().set({}), Error::none);
    c.expect_silence(24h);
}

TEST(KeepAlive, WaitsWhileDataIsInFlight) {
    Conversation c;
    c.open_passive();
    c.connection().set(kept_alive({.idle = 1s, .interval = 1s, .probes = 1}));
    c.send("x");
    c.expect(data("x"));
    c.elapse(10s);
    for (const Segment& s : c.take_all()) EXPECT_EQ(s.text, "x") << "a retransmission, no probe";
    EXPECT_EQ(c.count(Counter::tcp_keep_alives), 0U);
    c.expect_no_event();
}

TEST(KeepAlive, ProbesCarryTimestampsWhereTheyWereAgreedOn) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460).ts(100, 0));
    const Segment answer = c.expect(syn_ack());
    c.inject(ack().nop(2).ts(101, answer.timestamps()->value));
    c.expect_established();
    c.connection().set(kept_alive({.idle = 10s}));
    c.expect_after(10s, ack().seq(0).ts_echo(101));
}

TEST(KeepAlive, ProbeOfThePeerIsAnswered) {
    Conversation c;
    c.open_passive();
    c.inject(ack().seq(0));
    c.expect(ack().seq(1).ack(1));
}

TEST(Settings, OutOfRangeIsRefusedAndChangesNothing) {
    Conversation c;
    c.open_passive();
    Settings settings;
    settings.dscp = 64;
    EXPECT_EQ(c.connection().set(settings), Error::invalid_setting);
    EXPECT_EQ(c.connection().set(kept_alive({.idle = 10ms})), Error::invalid_setting);
    EXPECT_EQ(c.connection().set(kept_alive({.probes = 0})), Error::invalid_setting);
    EXPECT_EQ(c.connection().settings(), Settings{});
    tcp::ConnectOptions options;
    options.remote_address = spoken(peer_address);
    options.remote_port = 9;
    options.handler = &c.handler();
    options.settings = settings;
    EXPECT_EQ(c.stack().connect(options).error, Error::invalid_setting);
    tcp::ListenOptions listen;
    listen.port = 9;
    listen.handler = &c.handler();
    listen.settings = settings;
    EXPECT_THROW(c.stack().listen(listen), std::invalid_argument);
}

// RFC 9293 section 3.7.1: what the application knows of the path, neither side is told to exceed.
TEST(Settings, MssIsAnnouncedAndKept) {
    const std::string text = stream(0, 2500);
    Settings settings;
    settings.mss = 1100;
    {
        Conversation c;
        tcp::ListenOptions listen;
        listen.port = service_port;
        listen.handler = &c.handler();
        listen.settings = settings;
        c.stack().listen(listen);
        c.inject(syn().mss(1300));
        c.expect(syn_ack().mss(1100));
        c.inject(ack());
        c.expect_established();
        c.send(text);
        c.expect(data(text.substr(0, 1100)).seq(1));
        c.expect(data(text.substr(1100, 1100)).seq(1101));
    }
    {
        Conversation c;
        tcp::ConnectOptions options;
        options.settings = settings;
        c.connect(options);
        c.expect(syn().mss(1100));
        c.inject(syn_ack().mss(800));
        c.expect(ack());
        c.expect_established();
        EXPECT_EQ(c.info().mss, 800U);
    }
    {
        settings.mss = 9000;  // more than the link takes
        Conversation c;
        tcp::ConnectOptions options;
        options.settings = settings;
        c.connect(options);
        c.expect(syn().mss(1460));
    }
    settings.mss = 63;
    EXPECT_FALSE(valid(settings));
}

TEST(Settings, TwoHundredAndFiftyFiveDifferentOnesAreKnownAtATimeAndGivenBack) {
    Conversation c;
    c.open_passive();
    std::vector<tcp::Connection> connections;
    const auto connect = [&](std::uint8_t dscp, std::uint8_t ttl) {
        tcp::ConnectOptions options;
        options.remote_address = spoken(peer_address);
        options.remote_port = 9;
        options.handler = &c.handler();
        options.settings.dscp = dscp;
        options.settings.ttl = ttl;
        const auto result = c.stack().connect(options);
        if (result.error == Error::none) connections.push_back(result.connection);
        return result.error;
    };
    // As many connections as there are slots, each with other settings, again and again.
    for (int round = 0; round < 20; ++round) {
        std::uint8_t ttl = static_cast<std::uint8_t>(1 + round);
        while (connect(7, ttl++) == Error::none && connections.size() < 14) {
        }
        for (tcp::Connection& connection : connections) connection.abort();
        connections.clear();
        c.pump();
        c.take_all();
    }
    EXPECT_EQ(connect(7, 1), Error::none);
}

TEST(Rfc9293, DscpAndTtlAreOnEverySegmentOfTheConnection) {
    constexpr std::uint8_t tos = 46 << 2;
    Conversation c;
    tcp::ListenOptions options;
    options.port = service_port;
    options.handler = &c.handler();
    options.settings.dscp = 46;
    options.settings.ttl = 7;
    c.stack().listen(options);
    c.inject(syn().mss(1460).flags("SEW"));
    c.expect(syn_ack().flags("S.E").tos(tos).ttl(7));
    c.expect_after(1s, syn_ack().flags("S.E").tos(tos).ttl(7));
    c.inject(ack());
    c.expect_established();
    c.send("hello");
    c.expect(data("hello").tos(tos | 2).ttl(7));  // the bits of ECN are its own
    c.expect_within(5s, data("hello").tos(tos).ttl(7));
    c.inject(ack().ack(6));
    c.inject(ack().seq(0));
    c.expect(ack().tos(tos).ttl(7));
    c.close();
    c.expect(fin().tos(tos).ttl(7));
    c.inject(fin().seq(1));
    c.expect(ack().tos(tos).ttl(7));
    c.inject(fin().seq(1));
    c.expect(ack().tos(tos).ttl(7));  // TIME-WAIT
}

TEST(Rfc9293, DscpAndTtlOfAnActiveOpenAreOnItsSyn) {
    Conversation c;
    tcp::ConnectOptions options;
    options.settings.dscp = 10;
    options.settings.ttl = 3;
    c.connect(options);
    c.expect(syn().tos(40).ttl(3));
    c.inject(syn_ack().mss(1460));
    c.expect(ack().tos(40).ttl(3));
}

TEST(Rfc9293, UserTimeoutOfAConnectionIsItsOwn) {
    Conversation c;
    c.open_passive();
    EXPECT_EQ(c.connection().set_user_timeout(10s), Error::none);
    c.send("x");
    c.elapse(9s);
    c.expect_no_event();
    c.elapse(10s);
    c.expect_closed(CloseReason::timed_out);
}

TEST(Settings, CongestionControlOfAConnectionIsItsOwn) {
    struct Case {
        CongestionAlgorithm control;
        std::uint32_t share;  // tenths of the flight that a loss leaves
    };
    for (const auto& [control, share] :
         {Case{CongestionAlgorithm::newreno, 5}, Case{CongestionAlgorithm::cubic, 7}}) {
        Conversation c;
        c.listen();
        c.inject(syn().mss(1460).sack_permitted());
        c.expect(syn_ack());
        c.elapse(100ms);
        c.inject(ack());
        c.expect_established();
        Settings settings;
        settings.congestion = control;
        EXPECT_EQ(c.connection().set(settings), Error::none);
        c.send(stream(0, 14600));
        c.take_all();
        c.inject(ack().ack(1).sack({{1461, 5841}}));
        EXPECT_EQ(c.info().ssthresh, share * 1460);
    }
}

}  // namespace settings_cases
}  // namespace runnel::test
