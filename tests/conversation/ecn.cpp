// Explicit congestion notification (RFC 3168).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace ecn_cases {

constexpr std::uint32_t smss = 1460;
constexpr std::uint8_t not_ect = 0, ect_0 = 2, ce = 3;

StackConfig asking() {
    StackConfig config = small_stack();
    config.tcp.ecn = tcp::Ecn::request;
    config.tcp.congestion = tcp::CongestionAlgorithm::newreno;
    return config;
}

/// Opens with ECN agreed on, the stack passive.
void open_with_ecn(Conversation& c) {
    c.listen();
    c.inject(syn().mss(smss).sack_permitted().flags("SEW"));
    c.expect(syn_ack().flags("S.E").tos(not_ect));
    c.elapse(100ms);
    c.inject(ack());
    c.expect_established();
    EXPECT_TRUE(c.info().ecn);
}

TEST(Rfc3168, SynAsksWithBothBitsAndCarriesNoMark) {
    Conversation c{asking()};
    c.connect();
    c.expect(syn().flags("SEW").tos(not_ect));
    c.inject(syn_ack().mss(smss).flags("S.E"));
    c.expect(ack().flags(".").tos(not_ect));
    EXPECT_TRUE(c.info().ecn);
}

TEST(Rfc3168, SynDoesNotAskByDefault) {
    Conversation c;
    c.connect();
    c.expect(syn().flags("S"));
}

TEST(Rfc3168, SynAckAgreesWithEceAlone) {
    Conversation c;
    open_with_ecn(c);
}

TEST(Rfc3168, SynAckDoesNotAgreeWhereNobodyAsksOrEcnIsOff) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(smss));
    c.expect(syn_ack().flags("S."));
    StackConfig off = small_stack();
    off.tcp.ecn = tcp::Ecn::off;
    Conversation d{off};
    d.listen();
    d.inject(syn().mss(smss).flags("SEW"));
    d.expect(syn_ack().flags("S."));
}

TEST(Rfc3168, SynAckThatEchoesBothBitsDoesNotAgree) {
    Conversation c{asking()};
    c.connect();
    c.expect(syn().flags("SEW"));
    c.inject(syn_ack().mss(smss).flags("S.EW"));
    c.expect(ack());
    EXPECT_FALSE(c.info().ecn);
    c.send(stream(0, 100));
    c.expect(data(stream(0, 100)).tos(not_ect));
}

TEST(Rfc3168, SynThatStaysUnansweredGoesAgainWithoutEcn) {
    Conversation c{asking()};
    c.connect();
    c.expect(syn().flags("SEW"));
    c.expect_after(1s, syn().flags("S"));
    c.inject(syn_ack().mss(smss));
    c.expect(ack());
    EXPECT_FALSE(c.info().ecn);
}

TEST(Rfc3168, SynThatIsRefusedGoesAgainWithoutEcnAndARefusalOfThatIsBelieved) {
    Conversation c{asking()};
    c.connect();
    c.expect(syn().flags("SEW"));
    c.inject(rst_ack());
    c.expect(syn().flags("S").seq(0));
    c.expect_no_event();
    c.inject(rst_ack());
    c.expect_closed(tcp::CloseReason::refused);
}

TEST(Rfc3168, OnlyNewDataIsMarkedAsCapable) {
    Conversation c{asking()};
    open_with_ecn(c);
    c.send(stream(0, 100));
    c.expect(data(stream(0, 100)).tos(ect_0));
    c.expect_within(1s, data(stream(0, 100)).tos(not_ect));  // RFC 3168 section 6.1.5
    c.inject(data("x"));
    c.inject(data("y"));
    c.expect(ack().tos(not_ect));
}

TEST(Rfc3168, WhatIsSentAgainIsNotMarkedHoweverItsLossWasFound) {
    Conversation c{asking()};
    open_with_ecn(c);
    c.send(stream(0, 20 * smss));
    for (std::size_t i = 0; i < 10; ++i) c.expect(data(stream(i * smss, smss)).tos(ect_0));
    c.elapse(100ms);
    c.inject(ack().ack(1).win(10 * smss).sack({{1 + smss, 1 + 4 * smss}}));
    c.expect(data(stream(0, smss)).seq(1).tos(not_ect));  // fast retransmit
    c.elapse(100ms);
    c.inject(ack().ack(1 + 8 * smss).win(2 * smss));
    c.expect_within(1s, Segment{}.tos(not_ect));  // of 8 and 9, lost as well
    for (const Segment& s : c.take_all()) EXPECT_EQ(s.type_of_service, not_ect) << to_string(s);
}

// Section 6.1.6.
TEST(Rfc3168, WindowProbesKeepAlivesAndResetsAreNotMarked) {
    Conversation c{asking()};
    open_with_ecn(c);
    c.inject(ack().win(0));
    c.send("held");
    for (int i = 0; i < 3; ++i) {
        c.expect_within(5s, Segment{}.tos(not_ect));
        c.inject(ack().ack(1).win(0));
    }
    c.inject(ack().ack(1).win(1000));
    while (c.info().unacknowledged > 0) {
        c.take_all();
        c.inject(ack());
    }
    tcp::Settings settings;
    settings.keep_alive = tcp::KeepAlive{.idle = 10s};
    EXPECT_EQ(c.connection().set(settings), tcp::Error::none);
    c.expect_between(9s, 11s, ack().seq(4).tos(not_ect));
    c.abort();
    c.expect(rst_ack().tos(not_ect));
}

TEST(Rfc3168, MarkIsEchoedOnEveryAckUntilThePeerSaysCwr) {
    Conversation c;
    open_with_ecn(c);
    c.inject(data("a").tos(ect_0));
    c.inject(data("b").tos(ect_0));
    c.expect(ack().flags("."));
    c.inject(data("c").tos(ce));
    c.inject(data("d").tos(ect_0));
    c.expect(ack().flags(".E"));
    c.inject(data("e").tos(ect_0));
    c.inject(data("f").tos(ect_0));
    c.expect(ack().flags(".E"));
    c.inject(data("g").flags(".W").tos(ect_0));
    c.inject(data("h").tos(ect_0));
    c.expect(ack().flags("."));
    EXPECT_EQ(c.count(Counter::tcp_congestion_marks_in), 1U);
}

TEST(Rfc3168, CwrOnAMarkedSegmentStartsTheEchoAnew) {
    Conversation c;
    open_with_ecn(c);
    c.inject(data("a").tos(ce));
    c.inject(data("b").flags(".W").tos(ce));
    c.expect(ack().flags(".E"));
}

TEST(Rfc3168, MarksMeanNothingWhereEcnWasNotAgreedOn) {
    Conversation c;
    c.open_passive();
    c.inject(data("a").tos(ce));
    c.inject(data("b").tos(ce));
    c.expect(ack().flags("."));
    c.send(stream(0, 3 * smss));
    c.take_all();
    const std::uint32_t before = c.info().cwnd;
    c.inject(ack().ack(1 + smss).flags(".E"));
    EXPECT_GE(c.info().cwnd, before);
}

TEST(Rfc3168, EchoReducesTheWindowOnceARoundTripAndTheNextNewDataSaysCwr) {
    Conversation c{asking()};
    open_with_ecn(c);
    c.send(stream(0, 60 * smss));
    EXPECT_EQ(c.take_all().size(), 10U);
    c.elapse(100ms);
    c.inject(ack().ack(1 + smss).flags(".E"));
    EXPECT_EQ(c.info().ssthresh, 5 * smss);
    EXPECT_LE(c.info().cwnd, 5 * smss + smss);
    for (std::uint32_t i = 2; i <= 4; ++i) c.inject(ack().ack(1 + i * smss).flags(".E"));
    c.expect_nothing();  // nine, then six outstanding: above the window
    c.inject(ack().ack(1 + 7 * smss).flags(".E"));
    EXPECT_EQ(c.info().ssthresh, 5 * smss);  // not again for the same round trip
    const auto sent = c.take_all();
    ASSERT_GE(sent.size(), 2U);
    EXPECT_TRUE(sent[0].has(flag::cwr));
    EXPECT_FALSE(sent[1].has(flag::cwr));
    EXPECT_EQ(c.count(Counter::tcp_congestion_echoes_in), 1U);
    EXPECT_EQ(c.count(Counter::tcp_data_retransmits), 0U);
    c.inject(ack().ack(1 + 11 * smss).flags(".E"));  // of what was sent after the reduction
    EXPECT_LT(c.info().ssthresh, 5 * smss);
    EXPECT_EQ(c.count(Counter::tcp_congestion_echoes_in), 2U);
}

TEST(Rfc3168, CubicAnswersAMarkWithSevenTenths) {
    Conversation c;
    open_with_ecn(c);
    c.send(stream(0, 60 * smss));
    EXPECT_EQ(c.take_all().size(), 10U);
    c.inject(ack().ack(1 + smss).flags(".E"));
    EXPECT_EQ(c.info().ssthresh, 7 * smss);
}

}  // namespace ecn_cases
}  // namespace runnel::test
