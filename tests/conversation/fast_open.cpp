// TCP Fast Open (RFC 7413), as server and as client.
#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace fast_open_cases {

using tcp::CloseReason;
using tcp::State;
using Cookie = std::vector<std::uint8_t>;

constexpr std::uint32_t smss = 1460;
const Cookie none;  // NOLINT: a request carries none
const Cookie known{1, 2, 3, 4, 5, 6, 7, 8};

/// A SYN with Fast Open and perhaps data.
Segment fast_syn(const Cookie& cookie, std::string_view text = {}) {
    Segment first = syn().mss(smss).nop(2).fast_open(cookie);
    if (!text.empty()) first.payload(text);
    return first;
}

// ---------------------------------------------------------------------------------------------------------------------
// The server

StackConfig serving(std::uint32_t pending = 8) {
    StackConfig config = small_stack();
    config.tcp.fast_open_pending = pending;
    return config;
}

void listen_fast(Conversation& c) {
    tcp::ListenOptions options;
    options.port = service_port;
    options.handler = &c.handler();
    options.fast_open = true;
    c.stack().listen(options);
}

/// Asks for a cookie from another port of this address; the connection is reset then.
Cookie cookie_for(Conversation& c, std::uint16_t port = 30000, Ipv4Address client = peer_address) {
    Flow& flow = c.add_flow(port, service_port, client);
    flow.inject(fast_syn(none));
    const Segment answer = flow.expect(syn_ack().ack(1));
    flow.inject(rst().seq(1));
    return answer.option(option::fast_open).value_or(none);
}

/// A server that has taken `text` with a SYN and answered with its SYN-ACK.
void serve(Conversation& c, const std::string& text) {
    listen_fast(c);
    const Cookie cookie = cookie_for(c);
    c.inject(fast_syn(cookie, text));
    c.expect(syn_ack().seq(0).ack(1 + static_cast<std::uint32_t>(text.size())).without(option::fast_open));
    c.expect_established();
    c.expect_data(text);
    c.expect_state(State::syn_received);
}

TEST(Rfc7413Server, IsOffUnlessTheListenerAsksForIt) {
    Conversation c{serving()};
    c.listen();
    c.inject(fast_syn(none, "early"));
    c.expect(syn_ack().ack(1).without(option::fast_open));
    c.expect_no_event();
}

TEST(Rfc7413Server, ListenerCannotAskForItWhereNoneMayBePending) {
    Conversation c;
    try {
        listen_fast(c);
        FAIL() << "accepted";
    } catch (const std::invalid_argument& error) {
        EXPECT_NE(std::string{error.what()}.find("fast_open_pending is 0"), std::string::npos)
            << error.what();
    }
}

TEST(Rfc7413Server, RequestGetsACookieAndItsDataIsNotTaken) {
    Conversation c{serving()};
    listen_fast(c);
    c.inject(fast_syn(none, "early"));
    const Segment answer = c.expect(syn_ack().ack(1));
    ASSERT_TRUE(answer.option(option::fast_open));
    EXPECT_EQ(answer.option(option::fast_open)->size(), 8U);
    c.expect_no_event();
    c.expect_after(1s, syn_ack().ack(1).fast_open(*answer.option(option::fast_open)));
    c.inject(data("early").seq(1).ack(1));
    c.expect_established();
    c.expect_data("early");
}

TEST(Rfc7413Server, SynWithoutTheOptionGetsNoCookie) {
    Conversation c{serving()};
    listen_fast(c);
    c.inject(syn().mss(smss));
    c.expect(syn_ack().ack(1).without(option::fast_open));
}

TEST(Rfc7413Server, DataWithAGoodCookieIsDeliveredAndAnsweredBeforeTheHandshakeIsComplete) {
    Conversation c{serving()};
    serve(c, "request");
    c.send("answer");
    c.expect(data("answer").seq(1).ack(8));
    c.expect_nothing();
    c.inject(ack().seq(8).ack(1));
    c.expect_state(State::established);
    c.expect_no_event();
    c.inject(ack().seq(8).ack(7));
    EXPECT_EQ(c.info().unacknowledged, 0U);
    c.inject(data("more").seq(8).ack(7));
    c.expect_data("more");
    EXPECT_EQ(c.count(Counter::tcp_fast_opens_in), 1U);
    EXPECT_EQ(c.count(Counter::tcp_established), 1U);
    EXPECT_EQ(c.all_drops(), 0U);
}

TEST(Rfc7413Server, GoodCookieWithoutDataLetsTheServerSpeakFirst) {
    Conversation c{serving()};
    listen_fast(c);
    const Cookie cookie = cookie_for(c);
    c.inject(fast_syn(cookie));
    c.expect(syn_ack().ack(1));
    c.expect_established();
    c.send("banner");
    c.expect(data("banner").seq(1).ack(1));
}

TEST(Rfc7413Server, AckOfTheAnswerCompletesTheHandshakeToo) {
    for (const bool sack : {false, true}) {
        Conversation c{serving()};
        listen_fast(c);
        const Cookie cookie = cookie_for(c);
        Segment first = fast_syn(cookie, "request");
        if (sack) first.sack_permitted();
        c.inject(first);
        c.expect(syn_ack().ack(8));
        c.send("answer");
        c.expect(data("answer").seq(1));
        c.inject(ack().seq(8).ack(7));
        c.expect_state(State::established);
        EXPECT_EQ(c.info().unacknowledged, 0U);
        c.expect_silence(30s);
    }
}

TEST(Rfc7413Server, WrongCookieMeansAPlainHandshakeWithANewCookie) {
    Conversation c{serving()};
    listen_fast(c);
    const Cookie cookie = cookie_for(c);
    std::vector<Cookie> wrong{Cookie(8, 0), Cookie(4, 1), Cookie(16, 7)};
    for (std::size_t i = 0; i < 8; ++i) {
        wrong.push_back(cookie);
        wrong.back()[i] ^= 1;
    }
    wrong.push_back(cookie);
    wrong.back().resize(16);
    std::uint16_t port = 31000;
    for (const Cookie& each : wrong) {
        Flow& flow = c.add_flow(++port);
        flow.inject(fast_syn(each, "early"));
        flow.expect(syn_ack().ack(1).fast_open(cookie));
        c.expect_no_event();
        flow.inject(rst().seq(1));
    }
    EXPECT_EQ(c.count(Counter::tcp_fast_open_bad_cookies), wrong.size());
    EXPECT_EQ(c.count(Counter::tcp_fast_opens_in), 0U);
}

TEST(Rfc7413Server, OptionOfAnIllegalLengthIsIgnored) {
    Conversation c{serving()};
    listen_fast(c);
    std::uint16_t port = 31000;
    for (const std::size_t size : {1U, 2U, 3U, 5U, 7U, 15U, 17U, 18U, 20U}) {
        Flow& flow = c.add_flow(++port);
        flow.inject(syn().mss(smss).fast_open(Cookie(size, 0)));
        flow.expect(syn_ack().ack(1).without(option::fast_open));
    }
    EXPECT_EQ(c.count(Counter::tcp_fast_open_bad_cookies), 0U);
}

TEST(Rfc7413Server, CookieOfAnotherAddressIsWrong) {
    Conversation c{serving()};
    listen_fast(c);
    const Cookie other = cookie_for(c, 30000, Ipv4Address{192, 0, 2, 7});
    const Cookie own = cookie_for(c, 30001);
    EXPECT_NE(other, own);
    EXPECT_EQ(own, cookie_for(c, 30002)) << "the port does not matter";
    c.inject(fast_syn(other, "early"));
    c.expect(syn_ack().ack(1));
    c.expect_no_event();
}

TEST(Rfc7413Server, CookieIsReplacedInTheHourAfterItsOwnAndNoLongerGoodInTheOneAfterThat) {
    Conversation c{serving()};
    listen_fast(c);
    const Cookie cookie = cookie_for(c);
    c.elapse(1h);
    c.inject(fast_syn(cookie, "request"));
    const Segment answer = c.expect(syn_ack().ack(8));
    ASSERT_TRUE(answer.option(option::fast_open));
    EXPECT_NE(*answer.option(option::fast_open), cookie);
    c.inject(rst().seq(8));
    Flow& late = c.add_flow(41000);
    c.elapse(1h);
    late.inject(fast_syn(cookie, "request"));
    late.expect(syn_ack().ack(1));
    EXPECT_EQ(c.count(Counter::tcp_fast_open_bad_cookies), 1U);
}

TEST(Rfc7413Server, NoMoreThanTheLimitArePending) {
    Conversation c{serving(2)};
    listen_fast(c);
    const Cookie cookie = cookie_for(c);
    Flow& a = c.add_flow(41000);
    Flow& b = c.add_flow(41001);
    Flow& third = c.add_flow(41002);
    Flow& fourth = c.add_flow(41003);
    for (Flow* flow : {&a, &b}) {
        flow->inject(fast_syn(cookie, "x"));
        flow->expect(syn_ack().ack(2));
    }
    third.inject(fast_syn(cookie, "x"));
    third.expect(syn_ack().ack(1).fast_open(cookie));
    EXPECT_EQ(c.count(Counter::tcp_fast_open_overflows), 1U);
    a.inject(ack().seq(2).ack(1));  // one handshake is complete: there is room
    fourth.inject(fast_syn(cookie, "x"));
    fourth.expect(syn_ack().ack(2));
}

TEST(Rfc7413Server, ConnectionThatIsResetBeforeItsHandshakeIsCompleteCountsForAMinute) {
    Conversation c{serving(1)};
    listen_fast(c);
    const Cookie cookie = cookie_for(c);
    c.inject(fast_syn(cookie, "x"));
    c.expect(syn_ack().ack(2));
    c.inject(rst().seq(2));
    c.expect_established();
    c.expect_data("x");
    c.expect_closed(CloseReason::reset);
    std::uint16_t port = 41000;
    const auto served = [&] {
        Flow& flow = c.add_flow(++port);
        flow.inject(fast_syn(cookie, "x"));
        const bool at_once = *flow.expect(syn_ack()).acknowledgement == 2;
        flow.inject(rst().seq(at_once ? 2 : 1));
        return at_once;
    };
    EXPECT_FALSE(served());
    c.elapse(60s - 1ms);
    EXPECT_FALSE(served());
    c.elapse(1ms);
    EXPECT_TRUE(served());
    EXPECT_FALSE(served());
}

TEST(Rfc7413Server, ResetElsewhereInTheWindowIsChallenged) {
    Conversation c{serving()};
    serve(c, "x");
    c.inject(rst().seq(3));
    c.expect_state(State::syn_received);
    EXPECT_EQ(c.dropped(DropReason::tcp_reset_challenged), 1U);
}

TEST(Rfc7413Server, SynAckIsSentFiveTimesAgainAndThenTheConnectionIsGivenUp) {
    Conversation c{serving(1)};
    serve(c, "request");
    c.send("answer");
    c.expect(data("answer").seq(1));
    for (const Duration wait : {1s, 2s, 4s, 8s, 16s})
        c.expect_between(wait - 1ms, wait + 1ms, syn_ack().seq(0).ack(8));
    c.expect_silence(31s);
    c.elapse(1s + timer_tolerance);
    c.expect_closed(CloseReason::timed_out);
    c.expect_nothing();
    // Its place is free again.
    Flow& next = c.add_flow(41000);
    next.inject(fast_syn(cookie_for(c, 30001), "x"));
    next.expect(syn_ack().ack(2));
}

TEST(Rfc7413Server, SynThatComesAgainGetsTheSynAckAgainAndItsDataIsDeliveredOnce) {
    Conversation c{serving()};
    listen_fast(c);
    const Cookie cookie = cookie_for(c);
    c.inject(fast_syn(cookie, "request"));
    c.expect(syn_ack().ack(8));
    c.expect_established();
    c.expect_data("request");
    c.inject(fast_syn(cookie, "request").seq(0));
    c.expect(syn_ack().seq(0).ack(8));
    c.inject(syn().mss(smss).seq(0));  // the fallback: without cookie and data
    c.expect(syn_ack().seq(0).ack(8));
    c.expect_no_event();
    c.inject(ack().seq(8).ack(1));
    c.expect_state(State::established);
}

TEST(Rfc7413Server, WhatWasSentBeforeTheHandshakeAndLostGoesAgainAfterIt) {
    for (const bool sack : {false, true}) {
        Conversation c{serving()};
        listen_fast(c);
        const Cookie cookie = cookie_for(c);
        Segment first = fast_syn(cookie, "request");
        if (sack) first.sack_permitted();
        c.inject(first);
        c.expect(syn_ack().ack(8));
        c.send("answer");
        c.expect(data("answer").seq(1));
        c.elapse(100ms);
        c.inject(ack().seq(8).ack(1));
        c.expect_state(State::established);
        c.expect_within(1s, data("answer").seq(1));
        c.inject(ack().seq(8).ack(7));
        c.expect_silence(30s);
    }
}

TEST(Rfc7413Server, FirstFlightIsAtMostTheInitialWindowAndTheWindowOfTheSynIsNotScaled) {
    Conversation c{serving()};
    listen_fast(c);
    const Cookie cookie = cookie_for(c);
    Segment first = syn().mss(smss).nop().wscale(7).nop(2).fast_open(cookie).payload("x");
    c.inject(first.win(3000));
    c.expect(syn_ack().ack(2));
    c.expect_established();
    c.send(stream(0, 20000));
    std::size_t sent = 0;
    for (const Segment& s : c.take_all()) sent += s.text->size();
    EXPECT_LE(sent, 3000U);
    EXPECT_GE(sent, 2 * smss);
    c.inject(ack().seq(2).ack(1).win(1000));  // 128,000 octets
    for (const Segment& s : c.take_all()) sent += s.text->size();
    EXPECT_EQ(sent, 10 * smss);
}

TEST(Rfc7413Server, ApplicationMayCloseBeforeTheHandshakeIsComplete) {
    Conversation c{serving()};
    serve(c, "request");
    c.send("answer");
    c.expect(data("answer").seq(1));
    c.shutdown();
    c.expect(fin().seq(7).ack(8));
    c.inject(ack().seq(8).ack(8));
    c.expect_state(State::fin_wait_2);
    c.inject(fin().seq(8).ack(8));
    c.expect(ack().seq(8).ack(9));
    c.expect_peer_closed();
    c.expect_closed(CloseReason::orderly);
}

TEST(Rfc7413Server, ApplicationMayAbortAtOnce) {
    Conversation c{serving(1)};
    serve(c, "request");
    c.abort();
    c.expect(rst_ack().ack(8));
    c.expect_closed(CloseReason::aborted);
    Flow& next = c.add_flow(41000);
    next.inject(fast_syn(cookie_for(c, 30001), "x"));
    next.expect(syn_ack().ack(2));
}

TEST(Rfc7413Server, AllOptionsTogetherFitTheHeader) {
    Conversation c{serving()};
    listen_fast(c);
    Segment first = syn().mss(smss).sack_permitted().ts(100, 0).nop().wscale(7).nop(2).fast_open(none);
    c.inject(first.flags("SEW"));
    const Segment answer = c.expect(syn_ack().flags("S.E").sack_permitted().ts_echo(100));
    EXPECT_EQ(answer.options.size(), 32U);
    EXPECT_TRUE(answer.option(option::wscale));
    EXPECT_EQ(answer.option(option::fast_open).value_or(none).size(), 8U);
}

TEST(Rfc7413Server, ForgedAckGetsResetAndTheConnectionStays) {
    Conversation c{serving()};
    serve(c, "x");
    c.inject(ack().seq(2).ack(100));
    c.expect(rst().seq(100));
    c.inject(ack().seq(2).ack(0));
    c.expect(rst().seq(0));
    c.expect_state(State::syn_received);
}

// ---------------------------------------------------------------------------------------------------------------------
// The client

/// Connects, and sends `text` before the SYN leaves. The flow is that of the port, a new one each time.
Flow& connect_fast(Conversation& c, std::uint16_t port, std::string_view text) {
    Flow& flow = c.add_flow(443, port);
    tcp::ConnectOptions options;
    options.remote_address = spoken(peer_address);
    options.remote_port = 443;
    options.local_port = port;
    options.handler = &c.handler();
    options.fast_open = true;
    tcp::ConnectResult result = c.stack().connect(options);
    EXPECT_EQ(result.error, tcp::Error::none);
    EXPECT_EQ(result.connection.send(std::as_bytes(std::span{text})).accepted, text.size());
    c.pump();
    return flow;
}

/// Learns the server's cookie, and its MSS.
void learn(Conversation& c, const Cookie& cookie = known, std::uint16_t mss = smss) {
    Flow& flow = connect_fast(c, 2000, "first");
    flow.expect(syn().fast_open(none).length(0));
    flow.inject(syn_ack().mss(mss).nop(2).fast_open(cookie).ack(1));
    flow.expect(data("first").seq(1));
    c.expect_established();
    flow.inject(rst().seq(1));
    c.events.clear();
}

TEST(Rfc7413Client, WithoutACookieItIsAskedForAndTheDataFollowsTheHandshake) {
    Conversation c;
    Flow& flow = connect_fast(c, 2000, "request");
    const Segment first = flow.expect(syn().seq(0).fast_open(none).length(0));
    EXPECT_EQ(first.options.size() % 4, 0U);
    flow.inject(syn_ack().mss(smss).nop(2).fast_open(known).ack(1));
    flow.expect(data("request").seq(1));
    c.expect_established();
}

TEST(Rfc7413Client, NothingOfItIsSentUnlessAskedFor) {
    Conversation c;
    learn(c);
    c.connect();
    c.expect(syn().without(option::fast_open));
}

TEST(Rfc7413Client, WithTheCookieTheDataGoesWithTheSyn) {
    Conversation c;
    learn(c);
    Flow& flow = connect_fast(c, 2001, "request");
    flow.expect(syn().seq(0).fast_open(known).payload("request"));
    c.expect_nothing();
    flow.inject(syn_ack().mss(smss).ack(8));
    flow.expect(ack().seq(8).ack(1));
    c.expect_nothing();
    c.expect_established();
    EXPECT_EQ(c.info().unacknowledged, 0U);
    EXPECT_EQ(c.info().unsent, 0U);
    EXPECT_EQ(c.count(Counter::tcp_fast_opens_out), 1U);
    flow.inject(data("answer").ack(8));
    c.expect_data("answer");
    c.send("next");
    flow.expect(data("next").seq(8));
}

TEST(Rfc7413Client, CookiesOfEveryLegalLengthAreKept) {
    for (std::size_t size = 4; size <= 16; size += 2) {
        Conversation c;
        Cookie cookie(size);
        std::iota(cookie.begin(), cookie.end(), std::uint8_t{0xf0});
        learn(c, cookie);
        const Segment first = connect_fast(c, 2001, "x").expect(syn().fast_open(cookie).payload("x"));
        EXPECT_LE(first.options.size(), 40U);
        EXPECT_EQ(first.options.size() % 4, 0U);
    }
}

TEST(Rfc7413Client, DataThatTheSynAckDoesNotAcknowledgeGoesAgainAtOnce) {
    for (const std::uint32_t taken : {0U, 1U, 6U}) {
        for (const bool sack : {false, true}) {
            Conversation c;
            learn(c);
            Flow& flow = connect_fast(c, 2001, "request");
            flow.expect(syn().fast_open(known).payload("request"));
            Segment answer = syn_ack().mss(smss).ack(1 + taken);
            if (sack) answer.sack_permitted();
            flow.inject(answer);
            flow.expect(data(std::string{"request"}.substr(taken)).seq(1 + taken).ack(1));
            c.expect_nothing();
            flow.inject(ack().seq(1).ack(8));
            c.expect_silence(30s);
        }
    }
}

TEST(Rfc7413Client, SynCarriesNoMoreThanTheServersMssLeavesRoomFor) {
    Conversation c;
    learn(c, known, 600);
    Flow& flow = connect_fast(c, 2001, stream(0, 3000));
    const Segment first = flow.expect(syn().fast_open(known));
    const auto carried = static_cast<std::uint32_t>(first.text->size());
    EXPECT_EQ(carried, 600 - first.options.size());
    EXPECT_EQ(*first.text, stream(0, carried));
    c.expect_nothing();
    flow.inject(syn_ack().mss(600).ack(1 + carried));
    std::string sent;
    for (const Segment& s : c.take_all()) sent += *s.text;
    EXPECT_EQ(sent, stream(carried, sent.size()));
    EXPECT_GT(sent.size(), 1200U);
}

TEST(Rfc7413Client, AfterALostSynTheNextOneIsPlainAndTheServerIsLeftAloneForAnHour) {
    Conversation c;
    learn(c);
    const Duration lost = c.now();
    Flow& flow = connect_fast(c, 2001, "request");
    flow.expect(syn().fast_open(known).payload("request"));
    flow.expect_after(1s, syn().seq(0).without(option::fast_open).length(0));
    flow.inject(syn_ack().mss(smss).ack(1));
    flow.expect(data("request").seq(1));
    EXPECT_EQ(c.count(Counter::tcp_fast_opens_failed), 1U);
    flow.inject(rst().seq(1));
    Flow& second = connect_fast(c, 2002, "request");
    second.expect(syn().without(option::fast_open).length(0));
    second.inject(rst_ack().seq(0).ack(1));
    c.elapse_until(lost + 1h + 2s);
    c.take_all();
    connect_fast(c, 2003, "request").expect(syn().fast_open(none).length(0));
}

TEST(Rfc7413Client, LateAnswerToTheFirstSynIsStillGood) {
    Conversation c;
    learn(c);
    Flow& flow = connect_fast(c, 2001, "request");
    flow.expect(syn().fast_open(known).payload("request"));
    flow.expect_after(1s, syn().without(option::fast_open).length(0));
    flow.inject(syn_ack().mss(smss).ack(8));
    flow.expect(ack().seq(8).ack(1));
    c.expect_established();
    EXPECT_EQ(c.info().unacknowledged + c.info().unsent, 0U);
}

TEST(Rfc7413Client, ServerThatHasNoCookieToGiveIsNotAskedAgainForAnHour) {
    Conversation c;
    const Duration asked = c.now();
    Flow& flow = connect_fast(c, 2000, "x");
    flow.expect(syn().fast_open(none));
    flow.inject(syn_ack().mss(smss).ack(1));
    flow.expect(data("x"));
    flow.inject(rst().seq(1));
    Flow& second = connect_fast(c, 2001, "x");
    second.expect(syn().without(option::fast_open).length(0));
    second.inject(rst_ack().seq(0).ack(1));
    c.elapse_until(asked + 1h);
    connect_fast(c, 2002, "x").expect(syn().fast_open(none).length(0));
}

TEST(Rfc7413Client, NewCookieTakesThePlaceOfTheOldOne) {
    Conversation c;
    learn(c);
    const Cookie fresh{9, 9, 9, 9, 9, 9};
    Flow& flow = connect_fast(c, 2001, "x");
    flow.expect(syn().fast_open(known).payload("x"));
    flow.inject(syn_ack().mss(smss).nop(2).fast_open(fresh).ack(1));
    flow.expect(data("x").seq(1));
    connect_fast(c, 2002, "y").expect(syn().fast_open(fresh).payload("y"));
}

TEST(Rfc7413Client, CookieIsForItsServerOnly) {
    Conversation c;
    learn(c);
    tcp::ConnectOptions options;
    options.remote_address = spoken(Ipv4Address{192, 0, 2, 7});
    options.remote_port = 443;
    options.local_port = 2001;
    options.handler = &c.handler();
    options.fast_open = true;
    Flow& flow = c.add_flow(443, 2001, Ipv4Address{192, 0, 2, 7});
    EXPECT_EQ(c.stack().connect(options).error, tcp::Error::none);
    c.pump();
    flow.expect(syn().fast_open(none));
}

TEST(Rfc7413Client, SynAckThatAcknowledgesMoreThanTheSynCarriedGetsReset) {
    Conversation c;
    learn(c);
    Flow& flow = connect_fast(c, 2001, "request");
    flow.expect(syn().fast_open(known).payload("request"));
    flow.inject(syn_ack().mss(smss).ack(9));
    flow.expect(rst().seq(9));
    flow.inject(syn_ack().seq(0).mss(smss).ack(8));
    flow.expect(ack().seq(8));
}

TEST(Rfc7413Client, SimultaneousOpenSendsTheDataAfterIt) {
    Conversation c;
    learn(c);
    Flow& flow = connect_fast(c, 2001, "request");
    flow.expect(syn().fast_open(known).payload("request"));
    flow.inject(syn().mss(smss));
    flow.expect(syn_ack().seq(0).ack(1).length(0));
    flow.inject(syn_ack().seq(0).mss(smss).ack(1));
    c.expect_established();
    flow.expect(data("request").seq(1));
}

TEST(Rfc7413Client, RefusalEndsIt) {
    Conversation c;
    learn(c);
    Flow& flow = connect_fast(c, 2001, "request");
    flow.expect(syn().fast_open(known).payload("request"));
    flow.inject(rst_ack().seq(0).ack(8));
    c.expect_closed(CloseReason::refused);
    c.expect_nothing();
}

}  // namespace fast_open_cases
}  // namespace runnel::test
