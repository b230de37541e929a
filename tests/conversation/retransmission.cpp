// The retransmission timer (RFC 6298) and giving up (RFC 9293 section 3.8.3).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace retransmission_cases {

using tcp::CloseReason;
using tcp::Error;

/// With SACK other code repairs losses, and keeps to the same times.
const std::vector<Segment> offers{syn().mss(1460), syn().mss(1460).sack_permitted()};

/// A passive open whose third segment comes 100 ms after the SYN-ACK: SRTT = 100 ms, RTTVAR = 50 ms, RTO =
/// 300 ms.
void open_with_rtt(Conversation& c, const Segment& offer = syn().mss(1460)) {
    c.listen();
    c.inject(offer);
    c.expect(syn_ack());
    c.elapse(100ms);
    c.inject(ack());
    c.expect_established();
}

TEST(Rfc6298, FirstSampleSetsSrttRttvarAndRto) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        EXPECT_NEAR(static_cast<double>(c.info().srtt.count()), 100e6, 1e6);
        EXPECT_NEAR(static_cast<double>(c.info().rttvar.count()), 50e6, 1e6);
        EXPECT_NEAR(static_cast<double>(c.info().rto.count()), 300e6, 3e6);
        c.send("x");
        c.expect(data("x"));
        c.expect_between(297ms, 303ms + timer_tolerance, data("x").seq(1));
    }
}

TEST(Rfc6298, FirstSampleOfAnActiveOpenIsTheSynAck) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.elapse(100ms);
    c.inject(syn_ack().mss(1460));
    c.expect(ack());
    EXPECT_NEAR(static_cast<double>(c.info().srtt.count()), 100e6, 1e6);
    EXPECT_NEAR(static_cast<double>(c.info().rto.count()), 300e6, 3e6);
}

TEST(Rfc6298, FurtherSamplesAreSmoothed) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        c.send("x");
        c.expect(data("x"));
        c.elapse(200ms);
        c.inject(ack().ack(2));
        // RTTVAR = 3/4 * 50 + 1/4 * |100 - 200| = 62.5; SRTT = 7/8 * 100 + 1/8 * 200 = 112.5; RTO = 112.5 + 4
        // * 62.5
        EXPECT_NEAR(static_cast<double>(c.info().rttvar.count()), 62.5e6, 1e6);
        EXPECT_NEAR(static_cast<double>(c.info().srtt.count()), 112.5e6, 1e6);
        EXPECT_NEAR(static_cast<double>(c.info().rto.count()), 362.5e6, 4e6);
    }
}

TEST(Rfc6298, TimeoutIsNotBelowTheConfiguredLeast) {
    Conversation c;
    c.open_passive();  // a round-trip time of nothing
    c.send("x");
    c.expect(data("x"));
    c.expect_between(200ms, 1s + timer_tolerance, data("x").seq(1));
}

TEST(Rfc6298, TimeoutDoublesWithEachExpiryUpToTheConfiguredMost) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        c.send("x");
        c.expect(data("x"));
        Duration wait = 300ms;
        const unsigned probes =
            &offer == &offers.back() ? 1 : 0;  // in place of the first (RFC 8985 section 7.2)
        if (probes > 0) c.expect_between(297ms, 303ms + timer_tolerance, data("x").seq(1));
        for (int i = 0; i < 10; ++i) {
            c.expect_between(wait - wait / 100, wait + wait / 100 + timer_tolerance, data("x").seq(1));
            wait = std::min<Duration>(2 * wait, 120s);
        }
        EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 10U);
        EXPECT_EQ(c.count(Counter::tcp_data_retransmits), 10U + probes);
    }
}

TEST(Rfc6298, Must18RetransmittedSegmentGivesNoSample) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        c.send("x");
        c.expect(data("x"));
        c.expect_within(310ms, data("x"));
        c.elapse(250ms);
        c.inject(ack().ack(2));
        EXPECT_NEAR(static_cast<double>(c.info().srtt.count()), 100e6, 1e6);
        EXPECT_NEAR(static_cast<double>(c.info().rttvar.count()), 50e6, 1e6);
    }
}

TEST(Rfc6298, TimerIsRestartedByAnAckOfNewData) {
    Conversation c;
    open_with_rtt(c);
    EXPECT_EQ(c.connection().set_nagle(false), Error::none);
    c.send("first");
    c.expect(data("first"));
    c.send("second");
    c.expect(data("second"));
    c.elapse(200ms);
    c.inject(ack().ack(6));
    const Duration rto = c.info().rto;
    c.expect_between(rto, rto + timer_tolerance, data("second").seq(6));
}

TEST(Rfc6298, TimerIsNotRestartedByADuplicateAck) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        c.send("x");
        c.expect(data("x"));
        c.elapse(200ms);
        c.inject(ack().ack(1));
        c.expect_between(97ms, 103ms + timer_tolerance, data("x").seq(1));
    }
}

TEST(Rfc6298, TimerIsNotRestartedByMoreData) {
    Conversation c;
    open_with_rtt(c);
    c.send(stream(0, 1460));
    c.expect(data(stream(0, 1460)));
    c.elapse(200ms);
    c.send(stream(1460, 1460));
    c.expect(data(stream(1460, 1460)));
    c.expect_between(97ms, 103ms + timer_tolerance, data(stream(0, 1460)).seq(1));
}

TEST(Rfc6298, TimerStopsWhenAllIsAcknowledged) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        c.send(stream(0, 3000));
        c.take_all();
        c.inject(ack());
        c.take_all();
        c.inject(ack());
        c.expect_silence(24h);
        EXPECT_EQ(c.stack().next_deadline(), never);
        EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
    }
}

TEST(Rfc6298, OnlyTheEarliestSegmentIsRetransmittedOnATimeout) {
    Conversation c;
    open_with_rtt(c);
    c.send(stream(0, 7300));
    EXPECT_EQ(c.take_all().size(), 5U);
    c.expect_within(310ms, Segment{}.seq(1).payload(stream(0, 1460)));
    c.expect_nothing();
    c.inject(ack().ack(1461));  // slow start from one segment: two may go
    c.expect(Segment{}.seq(1461).payload(stream(1460, 1460)));
    c.expect(Segment{}.seq(2921).payload(stream(2920, 1460)));
    c.expect_nothing();
}

TEST(Rfc6298, AckOfEverythingAfterATimeoutStopsTheRetransmission) {
    Conversation c;
    open_with_rtt(c);
    c.send(stream(0, 7300));
    EXPECT_EQ(c.take_all().size(), 5U);
    c.expect_within(310ms, Segment{}.seq(1).payload(stream(0, 1460)));
    c.inject(ack().ack(7301));
    c.expect_silence(10min);
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(Rfc6298, Rule57AfterALostSynDataBeginsWithThreeSeconds) {
    for (const Segment& answer : {syn_ack().mss(1460), syn_ack().mss(1460).sack_permitted()}) {
        SCOPED_TRACE(to_string(answer));
        Conversation c;
        c.connect();
        c.expect(syn());
        c.expect_after(1s, syn());
        c.inject(answer);
        c.expect(ack());
        c.expect_established();
        c.send("x");
        c.expect(data("x"));
        c.expect_after(3s, data("x").seq(1));
    }
}

TEST(Rfc6298, Rule57AfterALostSynAckDataBeginsWithThreeSeconds) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        c.listen();
        c.inject(offer);
        c.expect(syn_ack());
        c.expect_after(1s, syn_ack());
        c.inject(ack());
        c.expect_established();
        c.send("x");
        c.expect(data("x"));
        c.expect_after(3s, data("x").seq(1));
    }
}

TEST(Rfc9293, Must20Shld11UnansweredDataEndsTheConnectionNotBeforeHundredSeconds) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        const tcp::Connection connection = c.connection();
        c.send("x");
        const Duration begin = c.now();
        while (c.events.empty() && c.step(2h)) c.take_all();
        c.expect_closed(CloseReason::timed_out);
        EXPECT_GE(c.now() - begin, 100s);
        EXPECT_GE(c.now() - begin, 900s);  // the default of Config::r2 is 924 s
        EXPECT_LE(c.now() - begin, 1200s);
        EXPECT_FALSE(connection.alive());
        EXPECT_EQ(c.count(Counter::tcp_timed_out), 1U);
        EXPECT_EQ(c.stack().next_deadline(), never);
    }
}

TEST(Rfc9293, Must21UserTimeoutIsTheApplications) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        EXPECT_EQ(c.connection().set_user_timeout(5s), Error::none);
        c.send("x");
        const Duration begin = c.now();
        while (c.events.empty() && c.step(1h)) c.take_all();
        c.expect_closed(CloseReason::timed_out);
        EXPECT_GE(c.now() - begin, 5s);
        EXPECT_LE(c.now() - begin, 11s);
    }
}

TEST(Retransmission, CarriesTheSameOctetsWhateverTheSegmentBounds) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        EXPECT_EQ(c.connection().set_nagle(false), Error::none);
        for (std::size_t i = 0; i < 10; ++i) c.send(stream(i * 100, 100));
        EXPECT_EQ(c.take_all().size(), 10U);
        std::size_t acknowledged = 0;
        for (int i = 0; i < 40 && acknowledged < 1000; ++i) {
            const Segment again =
                c.expect_within(130s, Segment{}.seq(static_cast<std::uint32_t>(1 + acknowledged)));
            ASSERT_FALSE(again.text->empty());
            ASSERT_EQ(*again.text, stream(acknowledged, again.text->size()));
            c.take_all();
            acknowledged += 50 + again.text->size() / 4;  // in the middle of a segment, too
            acknowledged = std::min<std::size_t>(acknowledged, 1000);
            c.inject(ack().ack(static_cast<std::uint32_t>(1 + acknowledged)));
            if (c.flow().has_sent_anything()) {
                for (const Segment& s : c.take_all())
                    ASSERT_EQ(*s.text, stream(*s.sequence - 1, s.text->size()));
            }
        }
        EXPECT_EQ(acknowledged, 1000U);
    }
}

TEST(Retransmission, ConnectionRecoversWhenThePeerComesBack) {
    for (const Segment& offer : offers) {
        SCOPED_TRACE(to_string(offer));
        Conversation c;
        open_with_rtt(c, offer);
        c.send(stream(0, 7300));
        c.elapse(60s);
        c.take_all();
        c.inject(ack().ack(1461));
        std::uint32_t end = 1461;
        for (int i = 0; i < 20 && end < 7301; ++i) {
            c.elapse(10ms);
            for (const Segment& s : c.take_all())
                end = std::max(end, *s.sequence + static_cast<std::uint32_t>(s.text->size()));
            c.inject(ack().ack(end));
        }
        EXPECT_EQ(end, 7301U);
        EXPECT_EQ(c.info().unacknowledged, 0U);
    }
}

TEST(Rfc9293, ApplicationHearsOfR1AndTheConnectionGoesOn) {
    Conversation c;
    open_with_rtt(c);
    c.notes_unanswered = true;
    c.send("x");
    c.expect(data("x"));
    c.expect_within(1s, data("x").seq(1));
    c.expect_within(2s, data("x").seq(1));
    c.expect_no_event();
    c.expect_within(4s, data("x").seq(1));
    EXPECT_EQ(c.expect_event(Event::Kind::unanswered).number, 3U);  // SHLD-10: three retransmissions
    c.expect_within(8s, data("x").seq(1));
    c.expect_no_event();  // once for a segment
    c.inject(ack().ack(2));
    c.expect_state(tcp::State::established);
}

TEST(Rfc9293UserTimeout, LossProbeBeforeTheFirstTimeOutCountsIntoR2) {
    Conversation c{small_stack()};
    c.open_passive(syn().mss(1460).sack_permitted());
    tcp::Connection connection = c.connection();
    EXPECT_EQ(connection.set_user_timeout(1500ms), tcp::Error::none);
    c.send("x");
    c.expect(data("x"));
    // A probe after some 200 ms, in place of the first time-out; then time-outs of 200, 400 and 800 ms.
    c.elapse_until(1400ms);
    c.expect_no_event();
    EXPECT_EQ(c.count(Counter::tcp_loss_probes), 1U);
    c.elapse_until(2s);
    c.expect_closed(tcp::CloseReason::timed_out);
    c.take_all();
}

}  // namespace retransmission_cases
}  // namespace runnel::test
