// What TCP does over IPv6 alone: flow labels, the least path MTU, link-local peers. Runs where IPv6 is
// spoken.
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace ipv6_cases {

constexpr std::uint8_t unreachable = 3, too_big = 4;

/// The frames that the stack sends, as they are.
std::vector<Frame> frames_of(Conversation& c) {
    std::array<rte_mbuf*, 64> burst{};
    std::vector<Frame> frames;
    const std::size_t n = c.stack().transmit(burst);
    for (std::size_t i = 0; i < n; ++i) {
        frames.push_back(decode(octets_of(*burst[i])));
        rte_pktmbuf_free(burst[i]);
    }
    return frames;
}

// RFC 6437 section 3: one label for all segments of a flow, another for each flow, and none that tells
// anything.
TEST(Ipv6Rfc6437, FlowKeepsItsLabelAndOthersHaveOthers) {
    Conversation c;
    std::map<std::uint16_t, std::set<std::uint32_t>> labels;
    for (int round = 0; round < 2; ++round) {
        for (std::uint16_t port = 1; port <= 20; ++port) {
            tcp::ConnectOptions options;
            options.remote_address = spoken(peer_address);
            options.remote_port = port;
            options.local_port = 50000;
            options.handler = &c.handler();
            if (round == 0) {
                ASSERT_EQ(c.stack().connect(options).error, tcp::Error::none);
            }
        }
        if (round == 1) c.stack().advance(c.instant() + 1100ms);  // all SYNs go again
        for (const Frame& frame : frames_of(c)) {
            ASSERT_EQ(frame.problems, "");
            labels[frame.segment.destination->port].insert(frame.flow_label);
        }
    }
    ASSERT_EQ(labels.size(), 20U);
    std::set<std::uint32_t> all;
    for (const auto& [port, of_flow] : labels) {
        EXPECT_EQ(of_flow.size(), 1U) << port;
        all.insert(of_flow.begin(), of_flow.end());
    }
    EXPECT_EQ(all.size(), 20U);
}

// RFC 8201 section 4, RFC 8200 section 5: whatever a router says, packets of 1280 octets go on.
TEST(Ipv6Rfc8201, TooBigIsBelievedDownTo1280) {
    Conversation c;
    c.open_passive();
    const std::string text(3000, 'x');
    c.send(text);
    c.expect(data(text.substr(0, 1460)));
    c.expect(data(text.substr(1460, 1460)).seq(1461));
    c.expect(data(text.substr(2920)).seq(2921));
    // 20 octets are added to what a script says: 1279 here.
    c.inject_icmp(unreachable, too_big, 1, 1259);
    c.expect_nothing();
    EXPECT_EQ(c.dropped(DropReason::icmp_mtu_not_lower), 1U);
    c.inject_icmp(unreachable, too_big, 1, 1260);
    EXPECT_EQ(c.info().mss, 1220U);
    std::size_t resent = 0;
    for (const Segment& segment : c.take_all()) {
        EXPECT_LE(segment.text->size(), 1220U);
        resent += segment.text->size();
    }
    EXPECT_GE(resent, 1460U);
    c.abort();
    (void)c.take_all();
}

// RFC 4821 section 7.2: large segments that vanish without a word are followed by some that every link takes.
TEST(Ipv6Rfc4821, BlackHoleIsAnsweredWithSegmentsOf1280) {
    Conversation c;
    c.open_passive();
    c.send(std::string(1460, 'x'));
    c.expect(data(std::string(1460, 'x')));
    std::size_t last = 0;
    for (int i = 0; i < 40 && last != 1220; ++i) {
        c.elapse(1s);
        for (const Segment& segment : c.take_all()) last = segment.text->size();
    }
    EXPECT_EQ(last, 1220U);
    EXPECT_EQ(c.count(Counter::tcp_black_holes), 1U);
    c.abort();
    (void)c.take_all();
}

}  // namespace ipv6_cases
}  // namespace runnel::test
