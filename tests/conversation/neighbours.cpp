// What TCP and the tables of neighbours have to do with one another, over either family.
#include <algorithm>

#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace neighbour_cases {

StackConfig unresolved_stack() {
    StackConfig config = small_stack();
    config.ip.neighbours.clear();
    config.ip.routes.clear();
    return config;
}

/// The peer asks for our link address, and so tells its own: an ARP request, or a solicitation.
Octets asks_for_us(const MacAddress& from) {
    if (speaks_ipv6()) {
        Octets message{135, 0, 0, 0, 0, 0, 0, 0};
        const Ipv6Address target = ipv6_for(stack_address);
        message.insert(message.end(), target.octets.begin(), target.octets.end());
        message.insert(message.end(), {1, 1});
        message.insert(message.end(), from.octets.begin(), from.octets.end());
        std::uint32_t pseudo = 58 + static_cast<std::uint32_t>(message.size());
        for (const Ipv6Address& address : {ipv6_for(peer_address), target})
            for (std::size_t i = 0; i < 16; i += 2)
                pseudo += static_cast<std::uint32_t>(address.octets[i] << 8 | address.octets[i + 1]);
        const std::uint16_t sum = internet_checksum(message, pseudo);
        message[2] = static_cast<std::uint8_t>(sum >> 8);
        message[3] = static_cast<std::uint8_t>(sum);
        return encode_ip(stack_mac, from, peer_address, stack_address, 58, message, 255);
    }
    Octets frame(stack_mac.octets.begin(), stack_mac.octets.end());
    frame.insert(frame.end(), from.octets.begin(), from.octets.end());
    frame.insert(frame.end(), {8, 6, 0, 1, 8, 0, 6, 4, 0, 1});
    frame.insert(frame.end(), from.octets.begin(), from.octets.end());
    frame.insert(frame.end(), {10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1});
    frame.resize(60);
    return frame;
}

/// Requests and solicitations sent since the last call.
std::ptrdiff_t asked(Conversation& c) {
    c.pump();
    const auto n = std::ranges::count_if(c.other_frames, [](const Frame& frame) {
        return frame.kind == FrameKind::arp || frame.icmp_type == 135;
    });
    c.other_frames.clear();
    return n;
}

void exchange(Conversation& c) {
    c.send("x");
    c.expect(data("x"));
    c.inject(ack());
}

// RFC 4861 section 7.3.1: a peer that acknowledges is reachable, and needs not answer besides.
TEST(Neighbours, PeerThatAcknowledgesNeedsNoProbes) {
    Conversation c(unresolved_stack());
    c.inject_frame(asks_for_us(peer_mac));
    (void)asked(c);
    c.open_passive();
    std::ptrdiff_t requests = 0;
    for (int second = 0; second < 300; ++second) {
        exchange(c);
        c.elapse(1s);
        requests += asked(c);
    }
    // ARP asks once in its lifetime of 60 s, and has its answer of TCP before it would ask again.
    EXPECT_LE(requests, speaks_ipv6() ? 0 : 5);
    c.abort();
    (void)c.take_all();
}

TEST(Neighbours, PeerThatAcknowledgesNothingIsProbed) {
    Conversation c(unresolved_stack());
    c.inject_frame(asks_for_us(peer_mac));
    (void)asked(c);
    c.open_passive();
    exchange(c);
    c.elapse(100s);
    (void)asked(c);
    c.send("x");
    c.elapse(9s);
    EXPECT_GE(asked(c), 3);
    c.abort();
    (void)c.take_all();
}

// Fail-over under a connection: the peer's address moves to another station, which says so.
TEST(Neighbours, ConnectionFollowsItsPeerToAnotherLinkAddress) {
    const MacAddress other{{0x02, 0, 0, 0, 0, 0x77}};
    Conversation c(unresolved_stack());
    c.inject_frame(asks_for_us(peer_mac));
    (void)asked(c);
    c.open_passive();
    exchange(c);
    EXPECT_EQ(c.last_destination, peer_mac);
    c.inject_frame(asks_for_us(other));
    (void)asked(c);
    exchange(c);
    EXPECT_EQ(c.last_destination, other);
    c.abort();
    (void)c.take_all();
}

}  // namespace neighbour_cases
}  // namespace runnel::test
