// The sending side: what goes out and when, within the peer's window (RFC 9293 sections 3.7.4, 3.8.6
// and 3.9.1).
#include <cstring>

#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace sending_cases {

using tcp::CloseReason;
using tcp::Error;

/// What holds of windows holds whichever way losses are repaired.
const std::vector<Segment> offers{syn().mss(1460), syn().mss(1460).sack_permitted()};

TEST(Rfc9293, Must61PushIsSetOnTheLastSegmentOfASend) {
    Conversation c;
    c.open_passive();
    EXPECT_EQ(c.connection().set_nagle(false), Error::none);
    c.send(stream(0, 3000));
    c.expect(data(stream(0, 1460)).flags(".").seq(1));
    c.expect(data(stream(1460, 1460)).flags(".").seq(1461));
    c.expect(data(stream(2920, 80)).flags("P.").seq(2921));
    c.expect_nothing();
}

TEST(Rfc9293, Shld7NagleHoldsASmallSegmentWhileDataIsInFlight) {
    Conversation c;
    c.open_passive();
    c.send("a");
    c.expect(data("a").seq(1));
    c.send("b");
    c.send("c");
    c.expect_nothing();
    c.inject(ack().ack(2));
    c.expect(data("bc").flags("P.").seq(2));
}

TEST(Rfc9293, Shld7NagleDoesNotHoldAFullSegment) {
    Conversation c;
    c.open_passive();
    c.send("a");
    c.expect(data("a"));
    c.send(stream(0, 1500));
    c.expect(data(stream(0, 1460)).seq(2));
    c.expect_nothing();
    c.inject(ack().ack(1462));
    c.expect(data(stream(1460, 40)).seq(1462));
}

// As hosts have it: RFC 9293 appendix A.3.
TEST(Rfc9293, Shld7NagleHoldsASmallSegmentOnlyWhereAnotherIsInFlight) {
    Conversation c;
    c.open_passive();
    c.send(stream(0, 1500));
    c.expect(data(stream(0, 1460)).seq(1));
    c.expect(data(stream(1460, 40)).flags("P.").seq(1461));
    c.send(stream(1500, 40));
    c.expect_nothing();
    c.inject(ack().ack(1461));  // the small one is still out
    c.expect_nothing();
    c.inject(ack().ack(1501));
    c.expect(data(stream(1500, 40)).flags("P.").seq(1501));
}

// MSG_MORE and TCP_CORK of other hosts; no RFC speaks of them.
TEST(SendMore, WaitsForWhatFollowsAndLeavesWithIt) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.open_passive(offer);
        EXPECT_EQ(c.connection().set_nagle(false), Error::none);
        const auto more = [&](std::string_view octets) {
            EXPECT_EQ(c.connection().send_more(std::as_bytes(std::span{octets})).accepted, octets.size());
            c.pump();
        };
        more("GET / ");
        c.expect_nothing();
        more("HTTP/1.1");
        c.expect_nothing();
        c.send("\n");
        c.expect(data("GET / HTTP/1.1\n").flags("P.").seq(1));
        c.inject(ack().ack(16));

        more(stream(0, 3000));  // full segments go, the rest waits; more follows, so that none is pushed
        c.expect(data(stream(0, 1460)).seq(16));
        c.expect(data(stream(1460, 1460)).seq(1476));
        c.expect_nothing();
        c.inject(ack().ack(1476));  // an ACK is as good as a push
        c.expect(data(stream(2920, 80)).flags(".").seq(2936));
        c.inject(ack().ack(3016));
    }
}

TEST(SendMore, DoesNotWaitBeyondARetransmissionTimeout) {
    Conversation c;
    c.open_passive();
    const std::string_view part = "part";
    EXPECT_EQ(c.connection().send_more(std::as_bytes(std::span{part})).accepted, 4U);
    c.pump();
    c.expect_between(200ms, 220ms, data("part").flags("P.").seq(1));
    c.inject(ack().ack(5));
    c.expect_silence(10s);
}

TEST(Cork, HoldsWhatDoesNotFillASegmentUntilItIsPulled) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.open_passive(offer);
        EXPECT_EQ(c.connection().set_cork(true), Error::none);
        c.send("a");
        c.send("b");
        c.expect_nothing();
        EXPECT_EQ(c.connection().set_cork(false), Error::none);
        c.pump();
        c.expect(data("ab").flags("P.").seq(1));
        c.inject(ack().ack(3));

        EXPECT_EQ(c.connection().set_cork(true), Error::none);
        c.send(stream(0, 1500));
        c.expect(data(stream(0, 1460)).seq(3));
        c.inject(ack().ack(1463));
        c.expect_nothing();
        EXPECT_EQ(c.connection().set_nagle(false), Error::none);  // lets go of what waits, and of no more
        c.pump();
        c.expect(data(stream(1460, 40)).flags("P.").seq(1463));
        c.inject(ack().ack(1503));
        c.send("c");
        c.expect_nothing();
        c.expect_between(200ms, 220ms, data("c").flags("P.").seq(1503));
        c.inject(ack().ack(1504));
        c.send("d");
        c.expect_nothing();
        c.shutdown();
        c.expect(fin().payload("d").seq(1504));
    }
}

TEST(Cork, IsRefusedAfterTheEnd) {
    Conversation c;
    c.open_passive();
    c.inject(rst());
    c.expect_closed(CloseReason::reset);
    EXPECT_EQ(c.connection().set_cork(true), Error::no_connection);
    EXPECT_EQ(c.connection().send_more({}).error, Error::no_connection);
}

// As hosts do that leave the cutting to the device (Linux): a receiver that joins segments passes on what it
// has.
TEST(Sending, ABurstIsPushedOnInPieces) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460).sack_permitted());
    c.expect(syn_ack());
    c.elapse(100ms);
    c.inject(ack());
    c.expect_established();
    c.send(stream(0, 20 * 1460));
    for (unsigned i = 0; i < 10; ++i) c.expect(data(stream(i * 1460, 1460)).flags(i % 2 == 1 ? "P." : "."));
    c.elapse(100ms);
    c.inject(ack().ack(1461));
    c.expect(data(stream(10 * 1460, 1460)).flags("."));
    c.expect(data(stream(11 * 1460, 1460)).flags("P."));
}

TEST(Sending, ABurstToANearPeerIsPushedOnInHalvesOfTheWindow) {
    Conversation c;
    c.open_passive(syn().mss(1460).sack_permitted());
    c.send(stream(0, 20 * 1460));
    for (unsigned i = 0; i < 10; ++i) c.expect(data(stream(i * 1460, 1460)).flags(i % 5 == 4 ? "P." : "."));
}

TEST(Rfc9293, Must61PushMayBeKeptForTheEndOfWhatIsQueued) {
    StackConfig config = small_stack();
    config.tcp.min_burst = 0;
    Conversation c{config};
    c.open_passive(syn().mss(1460).sack_permitted());
    c.send(stream(0, 11 * 1460));
    for (unsigned i = 0; i < 10; ++i) c.expect(data(stream(i * 1460, 1460)).flags("."));
    c.inject(ack().ack(1461));
    c.expect(data(stream(10 * 1460, 1460)).flags("P."));
}

TEST(Rfc9293, Must17NagleCanBeSwitchedOff) {
    Conversation c;
    c.open_passive();
    EXPECT_EQ(c.connection().set_nagle(false), Error::none);
    c.send("a");
    c.expect(data("a").flags("P.").seq(1));
    c.send("b");
    c.expect(data("b").flags("P.").seq(2));
    EXPECT_EQ(c.connection().set_nagle(true), Error::none);
    c.send("c");
    c.expect_nothing();
}

TEST(Rfc9293, Must17NagleCanBeSwitchedOffWhereTheConnectionIsOpened) {
    Conversation c;
    tcp::ConnectOptions options;
    options.nagle = false;
    c.connect(options);
    c.expect(syn());
    c.inject(syn_ack().mss(1460));
    c.expect(ack());
    c.send("a");
    c.expect(data("a"));
    c.send("b");
    c.expect(data("b"));
}

TEST(Sending, ShutdownIsNotHeldByNagle) {
    Conversation c;
    c.open_passive();
    c.send("a");
    c.expect(data("a"));
    c.send("b");
    c.expect_nothing();
    c.shutdown();
    c.expect(fin().payload("b").seq(2));
}

TEST(Sending, CopiesStaticOctetsAndMbufsLeaveInTheOrderOfTheCalls) {
    static const std::string fixed = stream(1000, 5000);
    Conversation c;
    c.open_passive();
    c.send(stream(0, 1000));
    EXPECT_EQ(c.connection().send_static(std::as_bytes(std::span{fixed})).accepted, fixed.size());
    const std::string third = stream(6000, 2000);
    rte_mbuf* mbuf = to_mbuf({reinterpret_cast<const std::uint8_t*>(third.data()), third.size()});
    const auto taken = c.connection().send(mbuf);
    EXPECT_EQ(taken.error, Error::none);
    EXPECT_EQ(taken.accepted, 2000U);
    c.send(stream(8000, 1000));
    c.pump();
    std::string got;
    for (int i = 0; i < 20 && got.size() < 9000; ++i) {
        for (const Segment& s : c.take_all()) {
            ASSERT_EQ(*s.sequence, got.size() + 1);
            got += *s.text;
        }
        c.inject(ack());
    }
    EXPECT_TRUE(got == stream(0, 9000));
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(Sending, OctetsAreCopiedWhenSendReturns) {
    Conversation c;
    c.open_passive(syn().mss(1460).win(0));
    std::string octets = "original";
    c.inject(ack().win(0));
    c.send(octets);
    std::memset(octets.data(), '!', octets.size());
    c.inject(ack().win(1000));
    c.expect_within(1s, data("original"));
}

TEST(SendBuffer, TakesWhatItHoldsAndSaysWhenThereIsRoom) {
    StackConfig config = small_stack();
    config.tcp.send_buffer = 8192;
    Conversation c{config};
    c.open_passive();
    const tcp::SendResult first = c.send(stream(0, 10000));
    EXPECT_EQ(first.accepted, 8192U);
    EXPECT_EQ(first.error, Error::buffer_full);
    const tcp::SendResult second = c.send("more");
    EXPECT_EQ(second.accepted, 0U);
    EXPECT_EQ(second.error, Error::buffer_full);
    c.take_all();
    c.expect_no_event();
    c.inject(ack().ack(2921));
    c.expect_event(Event::Kind::writable);
    const tcp::SendResult third = c.send(stream(8192, 1808));
    EXPECT_EQ(third.accepted, 1808U);
    EXPECT_EQ(third.error, Error::none);
    c.inject(ack());
    c.expect_no_event();
}

TEST(SendBuffer, MbufThatDoesNotFitStaysTheCallers) {
    StackConfig config = small_stack();
    config.tcp.send_buffer = 4096;
    Conversation c{config};
    c.open_passive();
    c.send(stream(0, 4000));
    const Octets octets(200, 'x');
    rte_mbuf* mbuf = to_mbuf(octets);
    EXPECT_EQ(c.connection().send(mbuf).error, Error::buffer_full);
    rte_pktmbuf_free(mbuf);
}

// -- the peer's window

TEST(PeerWindow, IsFilledAndNotExceeded) {
    Conversation c;
    c.open_passive();
    c.inject(ack().win(5000));
    c.send(stream(0, 20000));
    std::size_t sum = 0;
    for (const Segment& s : c.take_all()) sum += s.text->size();
    EXPECT_LE(sum, 5000U);
    EXPECT_GE(sum, 4380U);  // three whole segments; the rest may wait (MUST-38)
}

TEST(Rfc9293, Must38SmallStepsOfTheWindowDoNotMakeSmallSegments) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.open_passive(Segment{offer}.win(2920));
        c.inject(ack().win(2920));
        c.send(stream(0, 20000));
        c.expect(data(stream(0, 1460)));
        c.expect(data(stream(1460, 1460)));
        c.expect_nothing();
        for (std::uint16_t open = 10; open <= 1400; open = static_cast<std::uint16_t>(open + 10)) {
            c.inject(ack().ack(1461).win(static_cast<std::uint16_t>(1460 + open)));  // 1,460 in flight
            c.expect_nothing();
        }
        c.inject(ack().ack(1461).win(2920));
        c.expect(data(stream(2920, 1460)));
        c.expect_nothing();
    }
}

TEST(Rfc9293, Must38OverrideSendsTheSmallSegmentInTheEnd) {
    Conversation c;
    c.open_passive();
    c.send(stream(0, 1460));
    c.expect(data(stream(0, 1460)));
    c.elapse(10ms);
    c.inject(ack().ack(1461).win(100));
    c.send(stream(1460, 1460));
    c.expect_between(100ms, 1s + timer_tolerance, Segment{}.seq(1461).payload(stream(1460, 100)));
}

TEST(Rfc9293, Must34ShrunkWindowIsSurvivedAndOldDataIsStillRetransmitted) {
    Conversation c;
    c.open_passive();
    c.inject(ack().win(10000));
    c.send(stream(0, 5840));
    c.take_all();
    c.send(stream(5840, 4000));
    c.take_all();
    c.inject(ack().ack(1).win(1460));
    c.expect_nothing();
    c.expect_no_event();
    const Segment again = c.expect_within(3s, Segment{}.seq(1));  // the window lets the first segment through
    EXPECT_FALSE(again.text->empty());
    EXPECT_EQ(*again.text, stream(0, again.text->size()));
    c.inject(ack().ack(5841).win(20000));
    c.elapse(1ms);
    for (int i = 0; i < 5; ++i) {
        c.take_all();
        c.inject(ack());
        c.elapse(1ms);
    }
    EXPECT_EQ(c.info().unsent, 0U);
    EXPECT_EQ(c.info().unacknowledged, 0U);
    c.expect_state(tcp::State::established);
}

TEST(Rfc9293, Must34WindowShrunkToZeroWithDataInFlightIsSurvived) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.open_passive(offer);
        c.send(stream(0, 4380));
        c.take_all();
        c.inject(ack().ack(1).win(0));
        c.send(stream(4380, 620));
        for (int i = 0; i < 50; ++i) {  // answered, it may last for ever
            c.expect_within(121s, Segment{}.ack(1));
            c.inject(ack().ack(1).win(0));
            c.take_all();
        }
        c.expect_no_event();
        c.inject(ack().win(10000));
        c.expect(data(stream(4380, 620)).seq(4381));
        c.inject(ack());
        EXPECT_EQ(c.info().unacknowledged, 0U);
    }
}

// -- the zero window (MUST-35 to 37, SHLD-29 and 30)

TEST(Rfc9293, Must36ZeroWindowIsProbedAfterARetransmissionTimeoutAndThenEverMoreRarely) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.open_passive(offer);
        c.inject(ack().win(0));
        c.send(stream(0, 100));
        c.expect_nothing();
        Duration last = c.now();
        Duration gap{};
        for (int i = 0; i < 12; ++i) {
            const Segment probe = c.expect_within(130s, Segment{}.ack(1));
            EXPECT_LE(probe.text->size(), 1U);
            const Duration wait = c.now() - last;
            if (i == 0) {
                EXPECT_GE(wait, 190ms);
                EXPECT_LE(wait, 3s);
            } else if (gap < 50s) {
                EXPECT_GE(wait, gap * 19 / 10);
                EXPECT_LE(wait, gap * 21 / 10 + 2 * timer_tolerance);
            } else {
                EXPECT_GE(wait, 60s);
            }
            gap = wait;
            last = c.now();
            c.inject(ack().ack(1).win(0));
            c.expect_nothing();
        }
        EXPECT_GE(c.count(Counter::tcp_zero_window_probes), 12U);
    }
}

TEST(Rfc9293, Must37ZeroWindowMayLastADayWhileProbesAreAcknowledged) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.open_passive(offer);
        c.inject(ack().win(0));
        c.send(stream(0, 100));
        while (c.now() < 24h) {
            c.expect_within(130s, Segment{}.ack(1));
            c.inject(ack().ack(1).win(0));
            c.take_all();
            c.expect_no_event();
        }
        c.expect_state(tcp::State::established);
        c.inject(ack().ack(1).win(1000));
        std::string got;
        for (int i = 0; i < 2; ++i) {
            c.elapse(1s);
            for (const Segment& s : c.take_all())
                if (*s.sequence == got.size() + 1) got += *s.text;
            c.inject(ack().win(1000));
        }
        EXPECT_EQ(got, stream(0, 100));
    }
}

TEST(Rfc9293, Must35LostWindowUpdateIsRecoveredByTheProbe) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.open_passive(offer);
        c.inject(ack().win(0));
        c.send(stream(0, 1000));
        const Segment probe = c.expect_within(5s, Segment{}.ack(1));
        const auto taken = static_cast<std::uint32_t>(probe.sequence == 1U ? probe.text->size() : 0);
        c.inject(ack().ack(1 + taken).win(5000));
        c.expect_within(10ms, data(stream(taken, 1000 - taken)).seq(1 + taken));
    }
}

TEST(ZeroWindow, ProbesThatNobodyAnswersEndTheConnection) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        StackConfig config = small_stack();
        config.tcp.r2 = 100s;
        Conversation c{config};
        c.open_passive(offer);
        c.inject(ack().win(0));
        c.send(stream(0, 100));
        while (c.events.empty() && c.step(1h)) c.take_all();
        c.expect_closed(CloseReason::timed_out);
        EXPECT_GE(c.now(), 100s);
    }
}

TEST(ZeroWindow, OpeningSendsWhatWaited) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.open_passive(offer);
        c.inject(ack().win(0));
        c.send(stream(0, 2000));
        c.expect_silence(100ms);
        c.inject(ack().win(5000));
        c.expect(data(stream(0, 1460)).seq(1));
        c.inject(ack().win(5000));
        c.expect(data(stream(1460, 540)).seq(1461));
    }
}

// sockstress: connections that are opened, asked for data, and never take it.
TEST(ClosedWindows, AreGivenUpWhereTheyKeepOthersFromConnecting) {
    StackConfig config = small_stack();
    config.tcp.connections = 8;
    Conversation c{config};
    c.listen();
    const auto open = [&](std::uint16_t port) -> Flow& {
        Flow& flow = c.add_flow(port);
        flow.inject(syn().mss(1460));
        flow.expect(syn_ack());
        flow.window = 0;
        flow.inject(ack());
        return flow;
    };
    for (std::uint16_t port = 1000; port < 1008; ++port) {
        open(port);
        c.send("never taken");
    }
    c.elapse(5s);  // so far nobody can say that they will not be taken
    c.take_all();
    Flow& early = open(2000);
    EXPECT_FALSE(early.has_sent_anything());
    EXPECT_EQ(c.count(Counter::tcp_closed_windows_given_up), 0U);
    c.elapse(40s);
    c.take_all();
    early.window = 65535;
    early.inject(ack());  // finds no room, and makes some
    EXPECT_EQ(c.count(Counter::tcp_closed_windows_given_up), 1U);
    early.inject(ack());
    c.events.clear();
    early.inject(data("hello"));
    c.expect_data("hello");
    std::size_t resets = 0;
    for (const Segment& s : c.take_all()) resets += s.has(flag::rst) ? 1 : 0;
    EXPECT_EQ(resets, 1U);
}

TEST(ClosedWindows, AreKeptForEverWhereThereIsRoom) {
    Conversation c;
    c.open_passive();
    c.flow().window = 0;
    c.inject(ack());
    c.send("x");
    for (int i = 0; i < 60; ++i) {
        c.elapse(60s);
        for (const Segment& s : c.take_all()) {
            EXPECT_EQ(s.text->size(), 1U);
            c.inject(ack().ack(1));
        }
    }
    c.expect_state(tcp::State::established);
    EXPECT_EQ(c.count(Counter::tcp_closed_windows_given_up), 0U);
}

}  // namespace sending_cases
}  // namespace runnel::test
