// What TCP makes of ICMP errors (RFC 9293 section 3.9.2.2, RFC 5927).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace icmp_errors_cases {

using tcp::CloseReason;
using tcp::State;

constexpr std::uint8_t unreachable = 3, source_quench = 4, redirect = 5, time_exceeded = 11,
                       parameter_problem = 12;

TEST(Rfc9293Icmp, Must56SoftErrorsAreToldAndTheConnectionLives) {
    Conversation c;
    c.open_passive();
    c.send("x");
    c.expect(data("x"));
    const std::vector<std::pair<std::uint8_t, std::uint8_t>> errors{
        {unreachable, 0}, {unreachable, 1}, {unreachable, 5}, {time_exceeded, 0}, {parameter_problem, 0}};
    for (const auto& [type, code] : errors) {
        c.inject_icmp(type, code, 1);
        const ErrorKind told = spoken_error(type, code);
        EXPECT_EQ(c.expect_event(Event::Kind::soft_error).number, told.type * 256U + told.code);
        c.expect_no_event();
        c.expect_nothing();
        c.expect_state(State::established);
    }
    c.inject(ack().ack(2));
    c.inject(data("alive"));
    c.expect_data("alive");
}

TEST(Rfc5927, HardErrorsAreSoftInSynchronizedStates) {
    Conversation c;
    c.open_passive();
    c.send("x");
    c.expect(data("x"));
    for (const std::uint8_t code : {std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{4}}) {
        c.inject_icmp(unreachable, code, 1, 1400);
        c.expect_state(State::established);
    }
    for (const Event& event : c.events) EXPECT_EQ(event.kind, Event::Kind::soft_error);
}

TEST(Rfc5927, ErrorAboutWhatIsNotInFlightIsIgnored) {
    Conversation c;
    c.open_passive();
    c.inject_icmp(unreachable, 1, 1);  // nothing is in flight
    c.send("0123456789");
    c.expect(data("0123456789"));
    c.inject(ack().ack(6));
    c.inject_icmp(unreachable, 1, 5);
    c.inject_icmp(unreachable, 1, 11);
    c.inject_icmp(unreachable, 1, 0x80000000);
    c.expect_no_event();
    c.inject_icmp(unreachable, 1, 6);
    c.expect_event(Event::Kind::soft_error);
}

TEST(Rfc9293Icmp, PortUnreachableRefusesAConnectionBeingOpened) {
    Conversation c;
    const tcp::Connection connection = c.connect();
    c.expect(syn());
    c.inject_icmp(unreachable, 3, 0);
    c.expect_closed(CloseReason::refused);
    c.expect_nothing();
    EXPECT_FALSE(connection.alive());
    EXPECT_EQ(c.stack().next_deadline(), never);
}

TEST(Rfc9293Icmp, ProtocolUnreachableRefusesAConnectionBeingOpened) {
    Conversation c;
    c.connect();
    c.expect(syn());
    c.inject_icmp(unreachable, 2, 0);
    c.expect_closed(CloseReason::refused);
    c.expect_nothing();
}

TEST(Rfc5927, PortUnreachableWithAForgedNumberIsIgnoredInSynSent) {
    Conversation c;
    c.connect();
    c.expect(syn());
    for (const std::uint32_t sequence : {1U, 0xffffffffU, 12345U}) c.inject_icmp(unreachable, 3, sequence);
    c.expect_no_event();
    c.expect_state(State::syn_sent);
    c.inject(syn_ack().mss(1460));
    c.expect(ack());
    c.expect_established();
}

TEST(Rfc9293Icmp, Must56NetworkUnreachableAndTimeExceededDoNotEndAnOpenThatMayStillSucceed) {
    for (const auto& [type, code] :
         std::vector<std::pair<std::uint8_t, std::uint8_t>>{{unreachable, 0},
                                                            {unreachable, 1},
                                                            {unreachable, 5},
                                                            {time_exceeded, 0},
                                                            {parameter_problem, 0}}) {
        Conversation c;
        c.connect();
        c.expect(syn());
        c.inject_icmp(type, code, 0);
        for (const Event& event : c.events) EXPECT_EQ(event.kind, Event::Kind::soft_error);
        c.events.clear();
        c.expect_after(1s, syn().seq(0));
        c.inject(syn_ack().mss(1460));
        c.expect(ack());
        c.expect_established();
    }
}

TEST(Rfc9293Icmp, Must55SourceQuenchIsIgnored) {
    Conversation c;
    c.open_passive();
    c.send(stream(0, 1460));
    c.expect(data(stream(0, 1460)));
    const std::uint32_t cwnd = c.info().cwnd;
    c.inject_icmp(source_quench, 0, 1);
    c.expect_nothing();
    c.expect_no_event();
    EXPECT_EQ(c.info().cwnd, cwnd);
}

TEST(Rfc1122, RedirectIsIgnored) {
    Conversation c;
    c.open_passive();
    c.send("x");
    c.expect(data("x"));
    c.inject_icmp(redirect, 1, 1);
    c.expect_nothing();
    c.expect_no_event();
}

TEST(Rfc9293Icmp, ErrorAboutNoConnectionIsACountedDrop) {
    Conversation c;
    c.inject_icmp(unreachable, 1, 1);
    c.expect_nothing();
    c.expect_no_event();
    EXPECT_EQ(c.dropped(DropReason::icmp_error_without_owner), 1U);
}

TEST(Rfc9293Icmp, ErrorAboutAHalfOpenConnectionLeavesTheListenerAlone) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460));
    c.expect(syn_ack());
    c.inject_icmp(unreachable, 1, 0);
    c.expect_nothing();
    c.inject(ack());
    c.expect_established();
}

}  // namespace icmp_errors_cases
}  // namespace runnel::test
