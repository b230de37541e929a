// UDP of whole stacks: what leaves a port that cuts one send into datagrams is what the stack cuts itself,
// and two stacks that exchange datagrams over connected sockets. The frames are read by the tests' own code.
#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "conversation.hpp"
#include "frame.hpp"
#include "seed.hpp"
#include "sending_port.hpp"

namespace runnel::test {
namespace datagrams_cases {

constexpr Instant start{1s};

std::string pattern(std::size_t size) {
    std::string octets(size, '\0');
    for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<char>(i * 7 + i / 256);
    return octets;
}
std::span<const std::byte> octets_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

std::vector<Octets> leaving(Stack& stack) {
    std::vector<Octets> frames;
    std::array<rte_mbuf*, 16> burst{};
    while (const std::size_t n = stack.transmit(burst))
        for (rte_mbuf* const one : std::span{burst}.first(n)) {
            for (Octets& frame : frames_of(*one)) frames.push_back(std::move(frame));
            rte_pktmbuf_free(one);
        }
    return frames;
}

udp::SendOptions to_peer(std::uint16_t segment = 0) {
    return {.remote_address = spoken(peer_address),
            .remote_port = 53,
            .local_port = 5000,
            .tos = 0xb8,
            .segment = segment};
}

std::unique_ptr<Stack> stack_on(const ip::Offloads& offloads) {
    StackConfig config = small_stack();
    config.ip.interfaces[0].offloads = offloads;
    return std::make_unique<Stack>(spoken(config), mbuf_pool());
}

// Packets that nobody may fragment may carry any id (RFC 6864 section 4.1). A port that cuts counts on, the
// stack says 0.
std::vector<Octets> without_ids(std::vector<Octets> frames) {
    if (speaks_ipv6()) return frames;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        Octets& frame = frames[i];
        EXPECT_EQ(frame.at(14 + 4) << 8 | frame.at(14 + 5), i);
        EXPECT_EQ(internet_checksum(std::span{frame}.subspan(14, 20)), 0);
        for (const std::size_t at : {4U, 5U, 10U, 11U}) frame.at(14 + at) = 0;
        const unsigned sum = internet_checksum(std::span{frame}.subspan(14, 20));
        frame.at(14 + 10) = static_cast<std::uint8_t>(sum >> 8);
        frame.at(14 + 11) = static_cast<std::uint8_t>(sum);
    }
    return frames;
}

rte_mbuf* chain_of(std::string_view data, std::mt19937_64& random) {
    rte_mbuf* head = nullptr;
    while (!data.empty()) {
        const std::size_t size = std::min<std::size_t>(data.size(), 1 + random() % 1800);
        rte_mbuf* const one = to_mbuf({reinterpret_cast<const std::uint8_t*>(data.data()), size});
        if (head == nullptr)
            head = one;
        else
            EXPECT_EQ(rte_pktmbuf_chain(head, one), 0);
        data.remove_prefix(size);
    }
    return head;
}

TEST(UdpSegments, OfAPortThatCutsAndOfTheStackAreTheSameDatagrams) {
    std::mt19937_64 random{seed()};
    const ip::Offloads checksums{.tx_ip_checksum = true, .tx_tcp_checksum = true, .tx_udp_checksum = true};
    ip::Offloads cuts = checksums, like_virtio = checksums, short_chains = checksums;
    cuts.tx_udp_segmentation = like_virtio.tx_udp_segmentation = short_chains.tx_udp_segmentation = true;
    cuts.tx_large_chain = like_virtio.tx_large_chain = 255;
    short_chains.tx_large_chain = 2;
    like_virtio.tx_ip_checksum = false;
    {
        const auto singly = stack_on({}), plain = stack_on({}), summing = stack_on(checksums);
        const auto cutting = stack_on(cuts), virtual_one = stack_on(like_virtio),
                   mixed = stack_on(short_chains);
        for (int n = 0; n < 150; ++n) {
            const std::size_t step = 1 + random() % 1472;
            const std::string data =
                pattern(std::min<std::size_t>(step * (1 + random() % 63) + 1 + random() % step, 65'507));
            const auto segment = static_cast<std::uint16_t>(step);
            SCOPED_TRACE(testing::Message() << data.size() << " octets by " << step);
            for (std::size_t at = 0; at < data.size(); at += step)
                ASSERT_EQ(singly->udp().send_to(
                              to_peer(),
                              octets_of(std::string_view{data}.substr(at, std::min(step, data.size() - at))),
                              start),
                          udp::SendResult::sent);
            const std::vector<Octets> expected = leaving(*singly);
            for (const Octets& frame : expected) ASSERT_EQ(decode(frame).problems, "");
            const auto sent = [&](Stack& stack, bool chain) {
                const auto result = chain
                                        ? stack.udp().send_to(to_peer(segment), chain_of(data, random), start)
                                        : stack.udp().send_to(to_peer(segment), octets_of(data), start);
                EXPECT_EQ(result, udp::SendResult::sent);
                const std::uint64_t before = stack.counters().get(Counter::frames_out);
                std::vector<Octets> frames = leaving(stack);
                const bool by_port = stack.counters().get(Counter::frames_out) == before + 1;
                return std::pair{std::move(frames), by_port};
            };
            for (const bool chain : {false, true}) {
                for (Stack* const stack : {plain.get(), summing.get()})
                    ASSERT_EQ(sent(*stack, chain).first, expected);
                for (Stack* const stack : {cutting.get(), virtual_one.get()}) {
                    auto [frames, by_port] = sent(*stack, chain);
                    // Smaller segments drivers refuse.
                    ASSERT_EQ(by_port, step >= 256);
                    ASSERT_EQ(by_port ? without_ids(std::move(frames)) : std::move(frames), expected);
                }
                auto [frames, by_port] = sent(*mixed, chain);
                ASSERT_EQ(by_port ? without_ids(std::move(frames)) : std::move(frames), expected);
            }
        }
        EXPECT_EQ(cutting->counters().get(Counter::udp_out), singly->counters().get(Counter::udp_out) * 2);
        EXPECT_EQ(cutting->counters().get(Counter::udp_segmented_out), 300U);
    }
    EXPECT_EQ(mbufs_in_use(), 0U);
}

// -- two stacks

/// Sends each datagram back to where it came from, by the socket that heard it where that is a connected one.
class Echo : public udp::Handler {
  public:
    udp::Ownership datagram(const udp::Datagram& about, rte_mbuf& payload) noexcept override {
        ++heard;
        const udp::SendResult result = about.socket
                                           ? stack->udp().send(about.socket, &payload, start)
                                           : stack->udp().send_to({.remote_address = about.source_address,
                                                                   .remote_port = about.source_port,
                                                                   .local_address = about.destination_address,
                                                                   .local_port = about.destination_port},
                                                                  &payload, start);
        EXPECT_EQ(result, udp::SendResult::sent);
        return udp::Ownership::taken;
    }
    Stack* stack = nullptr;
    int heard = 0;
};

class Client : public udp::Handler {
  public:
    udp::Ownership datagram(const udp::Datagram& about, rte_mbuf& payload) noexcept override {
        heard[about.socket.slot].push_back(text_of(payload));
        return udp::Ownership::returned;
    }
    void error(const udp::IcmpReport& report) noexcept override { errors.push_back(report); }
    std::map<std::uint32_t, std::vector<std::string>> heard;
    std::vector<udp::IcmpReport> errors;
};

void carry(Stack& from, Stack& to) {
    std::vector<rte_mbuf*> burst;
    for (const Octets& frame : leaving(from)) burst.push_back(to_mbuf(frame));
    to.receive(burst, start);
}

TEST(ConnectedUdp, ClientsOfOnePortAreAnsweredEachAndToldWhereTheServerHasGone) {
    Echo echo;
    Client client;
    {
        StackConfig here = small_stack(), there = small_stack();
        there.ip.interfaces[0].mac = peer_mac;
        there.ip.interfaces[0].address = peer_address;
        there.ip.routes.clear();
        there.ip.neighbours = {{stack_address, stack_mac, 0}};
        Stack a{spoken(here), mbuf_pool()}, b{spoken(there), mbuf_pool()};
        echo.stack = &b;
        std::vector<udp::ConnectedSocket> sockets;
        for (std::uint16_t port = 7000; port < 7020; ++port) {
            b.udp().bind({}, port, echo);
            const auto made = a.udp().connect({.remote_address = spoken(peer_address),
                                               .remote_port = port,
                                               .local_port = 4500,
                                               .segment = 100},
                                              client);
            ASSERT_EQ(made.error, udp::ConnectError::none);
            sockets.push_back(made.socket);
        }
        for (std::size_t i = 0; i < sockets.size(); ++i)
            ASSERT_EQ(
                a.udp().send(sockets[i], octets_of(std::string(250, static_cast<char>('a' + i))), start),
                udp::SendResult::sent);
        carry(a, b);
        EXPECT_EQ(echo.heard, 60);
        carry(b, a);
        for (std::size_t i = 0; i < sockets.size(); ++i) {
            const auto& heard = client.heard[sockets[i].slot];
            ASSERT_EQ(heard.size(), 3U);
            EXPECT_EQ(heard[0] + heard[1] + heard[2], std::string(250, static_cast<char>('a' + i)));
        }
        // Nobody is left at one of the ports.
        b.udp().unbind({}, 7003);
        ASSERT_EQ(a.udp().send(sockets[3], octets_of("still there?"), start), udp::SendResult::sent);
        carry(a, b);
        carry(b, a);
        ASSERT_EQ(client.errors.size(), 1U);
        EXPECT_EQ(client.errors[0].socket, sockets[3]);
        EXPECT_EQ(client.errors[0].remote_port, 7003);
        // Both ends may be connected.
        const auto back = b.udp().connect(
            {.remote_address = spoken(stack_address), .remote_port = 4500, .local_port = 7003}, echo);
        ASSERT_EQ(back.error, udp::ConnectError::none);
        client.heard.clear();
        ASSERT_EQ(a.udp().send(sockets[3], octets_of("again"), start), udp::SendResult::sent);
        carry(a, b);
        carry(b, a);
        EXPECT_EQ(client.heard[sockets[3].slot], std::vector<std::string>{"again"});
    }
    EXPECT_EQ(mbufs_in_use(), 0U);
}

}  // namespace datagrams_cases
}  // namespace runnel::test
