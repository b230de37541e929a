// Loss recovery where ACKs come in another order than they were sent, where the window closes over it, and
// where the memory for what was sent is used up.
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace loss_recovery_edges_cases {

constexpr std::uint32_t smss = 1460;
constexpr Duration rtt = 100ms;

constexpr std::uint32_t seq_of(std::uint32_t index) {
    return 1 + index * smss;
}
Segment nth(std::uint32_t index) {
    return Segment{}.seq(seq_of(index)).payload(stream(std::size_t{index} * smss, smss));
}
Segment sack(std::uint32_t acked, std::initializer_list<std::pair<std::uint32_t, std::uint32_t>> segments) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks;
    for (const auto& [first, end] : segments) blocks.emplace_back(seq_of(first), seq_of(end));
    Segment segment = ack().ack(seq_of(acked));
    segment.sack_blocks = blocks;
    return segment;
}

StackConfig with_newreno() {
    StackConfig config = small_stack();
    config.tcp.congestion = tcp::CongestionAlgorithm::newreno;
    return config;
}

/// A round-trip time of 100 ms, and SACK.
void open(Conversation& c) {
    c.listen();
    c.inject(syn().mss(smss).sack_permitted());
    c.expect(syn_ack());
    c.elapse(rtt);
    c.inject(ack());
    c.expect_established();
}
void open_and_send(Conversation& c, std::uint32_t segments) {
    open(c);
    c.send(stream(0, std::size_t{segments} * smss));
    for (std::uint32_t i = 0; i < segments; ++i) c.expect(nth(i));
    c.expect_nothing();
}

// A D-SACK lies below the ACK that carries it (RFC 2883 section 4), not below what other ACKs said since.
TEST(Rfc2883, AckOvertakenByALaterOneReportsNoDuplicate) {
    Conversation c{with_newreno()};
    open_and_send(c, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{1, 4}}));
    c.expect(nth(0));
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(4)));
    c.inject(sack(0, {{1, 4}}));  // an earlier one, that took longer
    EXPECT_EQ(c.count(Counter::tcp_dsacks_in), 0U);
    EXPECT_EQ(c.count(Counter::tcp_spurious_recoveries), 0U);
    EXPECT_EQ(c.info().ssthresh, 5 * smss);
}

// The block of the last arrival comes first (RFC 2018 section 4): several in one ACK come from the top down,
// and nothing has overtaken anything.
TEST(Rfc8985, SeveralBlocksOfOneAckAreNoReorderingWhateverTheirOrder) {
    Conversation c{with_newreno()};
    open_and_send(c, 10);
    c.elapse(rtt);
    c.inject(sack(0, {{7, 8}, {5, 6}, {3, 4}}));
    c.expect(nth(0));  // three are proof of loss, as no reordering has been seen
    c.expect(nth(1));
    c.take_all();
}

// Karn's rule (RFC 6298 section 3) holds for window probes: which of them is acknowledged is not known.
TEST(Rfc6298, OctetOfAWindowProbeThatWentManyTimesMeasuresNoRoundTrip) {
    Conversation c;
    open(c);
    c.flow().window = 0;
    c.inject(ack());
    c.send(stream(0, 3 * std::size_t{smss}));
    for (int i = 0; i < 5; ++i) c.expect_within(60s, Segment{}.seq(1).payload(stream(0, 1)));
    EXPECT_EQ(c.count(Counter::tcp_zero_window_probes), 5U);
    c.elapse(rtt);
    c.flow().window = 65535;
    c.inject(ack().ack(2));  // the peer had room for the octet at last
    EXPECT_NEAR(std::chrono::duration<double>(c.info().srtt).count(), 0.1, 0.05);
}

// A FIN without data before it needs no cold block; one that is attached later must not bring its own
// time-out.
TEST(Rfc6298, SackAfterAFinWithoutDataStartsNoTimeOutBeforeItsTime) {
    Conversation c;
    open(c);
    c.shutdown();
    c.expect(fin().seq(1));
    c.inject(data("later").seq(10).ack(1));  // out of order: it is held
    c.expect(ack().ack(1));
    Segment nonsense = data("later").seq(20).ack(1);
    nonsense.sack_blocks = {{1, 2}};
    c.inject(nonsense);
    c.expect(ack().ack(1));
    c.expect_silence(200ms);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 0U);
    c.expect_within(400ms, fin().seq(1));
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 1U);
}

// BBR keeps its state, and RACK its own beside it, while a connection is idle; the clock of microseconds
// comes round in 71 minutes.
TEST(Rfc8985, FlightAfterALongIdleTimeIsNotJudgedByTheOneBefore) {
    StackConfig config = small_stack();
    config.tcp.congestion = tcp::CongestionAlgorithm::bbr;
    Conversation c{config};
    open(c);
    const auto send_five = [&](std::uint32_t first) {
        c.send(stream(std::size_t{first} * smss, 5 * std::size_t{smss}));
        c.elapse(rtt);  // paced
        c.take_all();
    };
    send_five(0);
    c.inject(ack().ack(seq_of(5)));
    c.elapse(40min);
    c.take_all();
    send_five(5);
    c.inject(sack(5, {{6, 7}}));
    c.elapse(rtt / 2);
    EXPECT_EQ(c.count(Counter::tcp_data_retransmits), 1U);
    for (const Segment& s : c.take_all()) EXPECT_EQ(s.sequence, seq_of(5)) << to_string(s);
}

/// A stack whose connections have a range each and `spare` for all of them.
StackConfig with_ranges(std::uint32_t spare) {
    StackConfig config = with_newreno();
    config.tcp.sent_ranges = spare;
    return config;
}

// Where the rest of a range cannot be told from what was sent again of it, the rest goes when the ACK shows
// that it is missing; not by a time-out a segment.
TEST(ExhaustedRanges, LostFlightIsRepairedAfterOneTimeOut) {
    StackConfig config = with_ranges(1);
    config.tcp.cold_blocks = 1;
    Conversation c{config};
    open_and_send(c, 10);
    c.expect_after(2 * rtt, nth(9));  // a probe; its range is the last that is to be had
    c.expect_within(1s, nth(0));      // the time-out
    for (std::uint32_t i = 1; i < 9; ++i) {
        c.elapse(rtt);
        c.inject(ack().ack(seq_of(i)));
        c.expect(nth(i));
        for (const Segment& s : c.take_all()) EXPECT_EQ(s.sequence, seq_of(9));  // the probe is found lost
    }
    c.elapse(rtt);
    c.inject(ack().ack(seq_of(10)));
    EXPECT_EQ(c.info().unacknowledged, 0U);
    EXPECT_EQ(c.count(Counter::tcp_rto_expirations), 1U);
}

// What joins a range of an earlier time makes its time unknown.
TEST(ExhaustedRanges, OctetsSentAtSeveralTimesMeasureNoRoundTrip) {
    StackConfig config = with_ranges(1);
    config.tcp.cold_blocks = 1;
    Conversation c{config};
    open(c);
    for (std::uint32_t i = 0; i < 9; ++i) {  // a segment every 10 ms: two ranges, the last of which grows
        c.send(stream(std::size_t{i} * smss, smss));
        c.expect(nth(i));
        c.elapse(rtt / 10);
    }
    c.elapse(rtt / 10);
    for (std::uint32_t i = 0; i < 9; ++i) {
        c.inject(ack().ack(seq_of(i + 1)));
        c.elapse(rtt / 10);
    }
    EXPECT_GE(c.info().srtt, 95ms);
}

}  // namespace loss_recovery_edges_cases
}  // namespace runnel::test
