// Software steering: every frame reaches the core that owns its connection, whatever the port does.
#include "runnel/port/steered_wire.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rte_thash.h>

#include "numbered_frames.hpp"
#include "seed.hpp"

namespace runnel::port {
namespace steered_wire_test {

using test::FramePool;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::array<std::uint8_t, 40> key{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                           0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                           0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                           0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

class QueueOfFrames final : public Wire {
  public:
    std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
        std::size_t n = 0;
        for (; n < out.size() && !arriving.empty(); ++n, arriving.pop_front()) out[n] = arriving.front();
        return n;
    }
    std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
        const std::size_t n = std::min(frames.size(), room);
        sent.insert(sent.end(), frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(n));
        room -= n;
        return n;
    }
    std::deque<rte_mbuf*> arriving;
    std::vector<rte_mbuf*> sent;
    std::size_t room = SIZE_MAX;
};

struct Addresses {
    std::uint32_t source = 0, destination = 0;
    std::uint16_t from = 0, to = 0;
};

// Written octet by octet, with nothing of the library's.
void write_tcp(rte_mbuf* mbuf, const Addresses& a, unsigned ip_header = 20, bool vlan = false,
               std::uint8_t protocol = 6, std::uint16_t fragment = 0) {
    std::array<std::uint8_t, 128> octets{};
    std::size_t at = 12;
    const auto put16 = [&](std::uint32_t value) {
        octets[at++] = static_cast<std::uint8_t>(value >> 8);
        octets[at++] = static_cast<std::uint8_t>(value);
    };
    if (vlan) put16(0x8100), put16(7);
    put16(0x0800);
    const std::size_t ip = at;
    octets[ip] = static_cast<std::uint8_t>(0x40 | ip_header / 4);
    octets[ip + 9] = protocol;
    at = ip + 6;
    put16(fragment);
    at = ip + 12;
    put16(a.source >> 16), put16(a.source & 0xffff), put16(a.destination >> 16),
        put16(a.destination & 0xffff);
    at = ip + ip_header;
    put16(a.from), put16(a.to);
    rte_pktmbuf_reset(mbuf);
    std::memcpy(rte_pktmbuf_append(mbuf, 100), octets.data(), 100);
}

std::uint32_t hash_of(const Addresses& a) {
    std::array<std::uint32_t, 3> tuple{a.source, a.destination, std::uint32_t{a.from} << 16 | a.to};
    return rte_softrss(tuple.data(), 3, key.data());
}

class SteeredWireTest : public testing::Test {
  protected:
    static constexpr std::size_t entries = 128;

    void make(unsigned cores, unsigned queues, bool port_steers, std::uint32_t frames = 1024,
              bool datagrams = false) {
        std::vector<std::uint16_t> table(entries);
        for (std::size_t i = 0; i < entries; ++i) table[i] = static_cast<std::uint16_t>(i % cores);
        steering = std::make_unique<Steering>(std::make_shared<const ip::FlowOwners>(key, table),
                                              Steering::Options{.cores = cores,
                                                                .queues = queues,
                                                                .port_steers = port_steers,
                                                                .frames = frames,
                                                                .datagrams = datagrams});
        queue = std::vector<QueueOfFrames>(queues);
        for (unsigned core = 0; core < cores; ++core)
            wires.push_back(
                std::make_unique<SteeredWire>(*steering, core, core < queues ? &queue[core] : nullptr));
    }
    void TearDown() override {
        for (auto& one : queue) {
            for (rte_mbuf* frame : one.arriving) rte_pktmbuf_free(frame);
            for (rte_mbuf* frame : one.sent) rte_pktmbuf_free(frame);
        }
        wires.clear();
        steering.reset();
        EXPECT_EQ(pool.away(), 0U);
    }
    Addresses any() {
        return {static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random()),
                static_cast<std::uint16_t>(random()), static_cast<std::uint16_t>(random())};
    }
    rte_mbuf* frame(const Addresses& a) const {
        rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool.get());
        write_tcp(mbuf, a);
        return mbuf;
    }
    [[nodiscard]] unsigned owner(const Addresses& a) const {
        return hash_of(a) % entries % static_cast<unsigned>(wires.size());
    }
    /// Receives on all cores until nothing comes any more; who got what.
    std::map<const rte_mbuf*, unsigned> receive_all(std::size_t burst = 32) {
        std::map<const rte_mbuf*, unsigned> got;
        std::vector<rte_mbuf*> out(burst);
        for (bool more = true; more;) {
            more = std::ranges::any_of(queue, [](const auto& one) { return !one.arriving.empty(); });
            for (unsigned core = 0; core < wires.size(); ++core) {
                const std::size_t n = wires[core]->receive(out);
                more |= n > 0;
                for (std::size_t i = 0; i < n; ++i) EXPECT_TRUE(got.emplace(out[i], core).second);
                received.insert(received.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n));
            }
        }
        return got;
    }
    void free_received() {
        test::free_all(received);
        received.clear();
    }
    [[nodiscard]] std::uint64_t handed_over() const {
        std::uint64_t sum = 0;
        for (const auto& wire : wires) sum += wire->counters().get(Counter::frames_handed_over);
        return sum;
    }

    FramePool pool{8192};
    std::mt19937_64 random{test::seed()};
    std::vector<QueueOfFrames> queue;
    std::unique_ptr<Steering> steering;
    std::vector<std::unique_ptr<SteeredWire>> wires;
    std::vector<rte_mbuf*> received;
};

TEST_F(SteeredWireTest, WithoutRssEveryFrameReachesItsOwnerInOrder) {
    for (const std::size_t burst : {1U, 7U, 64U}) {
        SCOPED_TRACE(burst);
        wires.clear();
        make(5, 5, false);
        EXPECT_EQ(steering->steerer(), Steerer::software);
        std::map<const rte_mbuf*, unsigned> expected;
        std::vector<Addresses> flows(40);
        std::ranges::generate(flows, [&] { return any(); });
        std::map<const rte_mbuf*, std::size_t> flow_of;
        std::vector<std::vector<const rte_mbuf*>> order(flows.size());
        for (int i = 0; i < 2000; ++i) {
            const std::size_t flow = random() % flows.size();
            rte_mbuf* const mbuf = frame(flows[flow]);
            expected[mbuf] = owner(flows[flow]);
            flow_of[mbuf] = flow;
            order[flow].push_back(mbuf);
            queue[flow % 5].arriving.push_back(mbuf);  // one flow, one queue, as ports do
        }
        EXPECT_EQ(receive_all(burst), expected);
        std::vector<std::vector<const rte_mbuf*>> arrived(flows.size());
        for (const rte_mbuf* mbuf : received) arrived[flow_of[mbuf]].push_back(mbuf);
        EXPECT_EQ(arrived, order);
        EXPECT_GT(handed_over(), 0U);
        free_received();
    }
}

TEST_F(SteeredWireTest, SixtyFourCoresShareOneQueue) {
    make(64, 1, true);
    EXPECT_EQ(steering->steerer(), Steerer::software);
    EXPECT_EQ(steering->distrust(), Distrust::asked);
    std::map<const rte_mbuf*, unsigned> expected;
    for (int i = 0; i < 4000; ++i) {
        const Addresses a = any();
        rte_mbuf* const mbuf = frame(a);
        expected[mbuf] = owner(a);
        queue[0].arriving.push_back(mbuf);
    }
    EXPECT_EQ(receive_all(), expected);
    free_received();
}

TEST_F(SteeredWireTest, PortThatBringsFramesWhereItSaysIsBelievedAfterProofOnEveryQueue) {
    make(4, 4, true);
    EXPECT_EQ(steering->steerer(), Steerer::unproven);
    std::vector<std::size_t> flows(4);
    while (std::ranges::min(flows) < 200) {
        const Addresses a = any();
        const unsigned to = owner(a);
        ++flows[to];
        queue[to].arriving.push_back(frame(a));
    }
    receive_all();
    EXPECT_EQ(steering->steerer(), Steerer::port);
    EXPECT_EQ(handed_over(), 0U);
    free_received();
}

TEST_F(SteeredWireTest, ManyFramesOfOneConnectionProveNothing) {
    make(2, 2, true);
    for (const unsigned to : {0U, 1U}) {
        Addresses a = any();
        while (owner(a) != to) a = any();
        for (int i = 0; i < 500; ++i) queue[to].arriving.push_back(frame(a));
    }
    receive_all();
    EXPECT_EQ(steering->steerer(), Steerer::unproven);
    free_received();
}

TEST_F(SteeredWireTest, FrameByTheWrongQueueEndsTheTrustAndReachesItsOwner) {
    make(2, 2, true);
    std::map<const rte_mbuf*, unsigned> expected;
    for (std::size_t i = 0; i < 300; ++i) {
        const Addresses a = any();
        rte_mbuf* const mbuf = frame(a);
        expected[mbuf] = owner(a);
        // The port hashes by another key than it tells: half of what it brings is another core's.
        queue[i % 2].arriving.push_back(mbuf);
    }
    EXPECT_EQ(receive_all(), expected);
    EXPECT_EQ(steering->steerer(), Steerer::software);
    EXPECT_EQ(steering->distrust(), Distrust::queue);
    free_received();
}

TEST_F(SteeredWireTest, HashOfTheDriversThatIsNotOursEndsTheTrust) {
    make(2, 2, true);
    const auto arrive = [&](std::uint32_t error) {
        const Addresses a = any();
        rte_mbuf* const mbuf = frame(a);
        mbuf->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
        mbuf->hash.rss = hash_of(a) ^ error;
        queue[owner(a)].arriving.push_back(mbuf);
    };
    for (int i = 0; i < 20; ++i) arrive(0);
    receive_all();
    EXPECT_EQ(steering->steerer(), Steerer::unproven);
    arrive(entries);  // of no consequence for the queue, but not what the key makes
    receive_all();
    EXPECT_EQ(steering->distrust(), Distrust::hash);
    free_received();
}

TEST_F(SteeredWireTest, PortThatChangesItsRuleAfterTheProofIsFoundOut) {
    make(2, 2, true);
    for (int i = 0; i < 500; ++i) {
        const Addresses a = any();
        queue[owner(a)].arriving.push_back(frame(a));
    }
    receive_all();
    ASSERT_EQ(steering->steerer(), Steerer::port);
    std::map<const rte_mbuf*, unsigned> expected;
    for (int i = 0; i < 10; ++i) {
        Addresses a = any();
        while (owner(a) != 1) a = any();
        rte_mbuf* const mbuf = frame(a);
        expected[mbuf] = 1;
        queue[0].arriving.push_back(mbuf);
    }
    free_received();
    EXPECT_EQ(receive_all(), expected);
    EXPECT_EQ(steering->distrust(), Distrust::queue);
    free_received();
}

// As RSS does it: the first fragment, which has the ports, too.
TEST_F(SteeredWireTest, FragmentsGoToTheCoreOfTheirAddresses) {
    make(5, 5, false);
    std::map<const rte_mbuf*, unsigned> expected;
    for (int i = 0; i < 500; ++i) {
        const Addresses a = any();
        std::array<std::uint32_t, 2> pair{a.source, a.destination};
        const unsigned owner_of_pair = rte_softrss(pair.data(), 2, key.data()) % entries % 5;
        for (const unsigned word : {0x2000U, 0x2100U, 0x0100U, 0x0001U}) {
            for (const unsigned protocol : {1U, 6U, 17U}) {
                rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool.get());
                write_tcp(mbuf, a, 20, i % 2 == 0, static_cast<std::uint8_t>(protocol),
                          static_cast<std::uint16_t>(word));
                expected[mbuf] = owner_of_pair;
                queue[random() % 5].arriving.push_back(mbuf);
            }
        }
        if (i % 50 != 49) continue;
        EXPECT_EQ(receive_all(), expected);
        expected.clear();
        free_received();
    }
}

TEST_F(SteeredWireTest, DatagramsReachTheirOwnersToo) {
    make(5, 2, false);
    std::map<const rte_mbuf*, unsigned> expected;
    for (int i = 0; i < 1000; ++i) {
        const Addresses a = any();
        rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool.get());
        write_tcp(mbuf, a, 20U + 4U * static_cast<unsigned>(i % 3), i % 2 == 0, 17);
        expected[mbuf] = owner(a);
        queue[random() % 2].arriving.push_back(mbuf);
    }
    EXPECT_EQ(receive_all(), expected);
    free_received();
}

TEST_F(SteeredWireTest, DatagramsProveNothingAndCostNoTrust) {
    for (const bool wanted : {false, true}) {
        SCOPED_TRACE(wanted);
        wires.clear();
        make(2, 2, true, 1024, wanted);
        // A port that hashes the ports of TCP alone: datagrams come by the queue of their addresses.
        const auto arrive = [&] {
            std::map<const rte_mbuf*, unsigned> expected;
            for (int i = 0; i < 400; ++i) {
                const Addresses a = any();
                rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool.get());
                write_tcp(mbuf, a, 20, false, 17);
                const unsigned at = a.source % 2;
                expected[mbuf] = wanted || steering->steerer() == Steerer::unproven ? owner(a) : at;
                queue[at].arriving.push_back(mbuf);
            }
            EXPECT_EQ(receive_all(), expected);
            free_received();
        };
        arrive();
        EXPECT_EQ(steering->steerer(), Steerer::unproven);
        for (int i = 0; i < 500; ++i) {
            const Addresses a = any();
            queue[owner(a)].arriving.push_back(frame(a));
        }
        receive_all();
        free_received();
        EXPECT_EQ(steering->steerer(), Steerer::port);
        arrive();
        EXPECT_EQ(steering->steerer(), Steerer::port);
    }
}

TEST_F(SteeredWireTest, WhatIsSentToAGroupStaysWhereItArrives) {
    make(3, 3, false);
    for (unsigned at = 0; at < 3; ++at) {
        for (int i = 0; i < 20; ++i) {
            rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool.get());
            write_tcp(mbuf, any(), 20, false, 17);
            *rte_pktmbuf_mtod(mbuf, std::uint8_t*) = i % 2 == 0 ? 0x01 : 0xff;
            queue[at].arriving.push_back(mbuf);
        }
        for (const auto& [mbuf, core] : receive_all()) EXPECT_EQ(core, at);
        free_received();
    }
}

TEST_F(SteeredWireTest, WhatIsNoFlowInOnePieceStaysWhereItArrives) {
    make(3, 3, false);
    const auto arrive = [&](unsigned at, auto&& write) {
        Addresses a = any();
        while (owner(a) == at) a = any();
        rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool.get());
        write(mbuf, a);
        queue[at].arriving.push_back(mbuf);
        const auto got = receive_all();
        free_received();
        return got.begin()->second;
    };
    for (unsigned at = 0; at < 3; ++at) {
        EXPECT_EQ(arrive(at, [](rte_mbuf* m, const Addresses& a) { write_tcp(m, a, 20, false, 1); }), at)
            << "ICMP";
        EXPECT_EQ(arrive(at, [](rte_mbuf* m, const Addresses& a) { write_tcp(m, a, 20, false, 132); }), at)
            << "SCTP";
        EXPECT_EQ(arrive(at,
                         [](rte_mbuf* m, const Addresses& a) {
                             write_tcp(m, a);
                             rte_pktmbuf_trim(m, 100 - 37);  // a port is cut off
                         }),
                  at);
        EXPECT_EQ(arrive(at, [](rte_mbuf* m,
                                const Addresses&) { std::memset(rte_pktmbuf_append(m, 60), 0xff, 60); }),
                  at);
        EXPECT_EQ(
            arrive(at, [](rte_mbuf* m, const Addresses&) { std::memset(rte_pktmbuf_append(m, 3), 0, 3); }),
            at);
    }
}

TEST_F(SteeredWireTest, VlanTagsOptionsAndChainsDoNotHideTheOwner) {
    make(2, 1, false);
    for (int i = 0; i < 200; ++i) {
        const Addresses a = any();
        rte_mbuf* mbuf = rte_pktmbuf_alloc(pool.get());
        write_tcp(mbuf, a, 20 + 4 * static_cast<unsigned>(random() % 11), i % 2 == 0);
        if (i % 3 == 0) {  // the headers lie in two segments
            rte_mbuf* const rest = rte_pktmbuf_alloc(pool.get());
            const auto cut = static_cast<std::uint16_t>(1 + random() % 60);
            std::memcpy(rte_pktmbuf_append(rest, static_cast<std::uint16_t>(100 - cut)),
                        rte_pktmbuf_mtod_offset(mbuf, const void*, cut), 100 - cut);
            rte_pktmbuf_trim(mbuf, static_cast<std::uint16_t>(100 - cut));
            ASSERT_EQ(rte_pktmbuf_chain(mbuf, rest), 0);
        }
        queue[0].arriving.push_back(mbuf);
        const std::map<const rte_mbuf*, unsigned> expected{{mbuf, owner(a)}};
        ASSERT_EQ(receive_all(), expected) << "frame " << i;
        free_received();
    }
}

TEST_F(SteeredWireTest, FullMailboxDropsTheNewestAndCountsThem) {
    make(2, 1, false, 64);
    for (int i = 0; i < 100; ++i) {
        Addresses a = any();
        while (owner(a) != 1) a = any();
        queue[0].arriving.push_back(frame(a));
    }
    std::vector<rte_mbuf*> out(64);
    while (!queue[0].arriving.empty()) ASSERT_EQ(wires[0]->receive(out), 0U);
    EXPECT_EQ(wires[0]->counters().get(Counter::frames_handed_over), 63U);
    EXPECT_EQ(wires[0]->counters().get(DropReason::core_mailbox_full), 37U);
    EXPECT_EQ(receive_all().size(), 63U);
    free_received();
}

TEST_F(SteeredWireTest, CoreWithoutAQueueSendsByThatOfAnotherAndWaitsWhereItIsFull) {
    make(5, 2, false);
    std::vector<rte_mbuf*> frames;
    for (unsigned core = 2; core < 5; ++core) {
        for (int i = 0; i < 20; ++i) {
            frames.push_back(frame(any()));
            ASSERT_EQ(wires[core]->send({&frames.back(), 1}), 1U);
        }
    }
    queue[0].room = 7;
    receive_all();
    EXPECT_EQ(queue[0].sent.size(), 7U);
    EXPECT_EQ(queue[1].sent.size(), 20U);  // of core 3
    queue[0].room = SIZE_MAX;
    receive_all();
    receive_all();
    EXPECT_EQ(queue[0].sent.size(), 40U);  // of cores 2 and 4
    std::vector<rte_mbuf*> all = queue[0].sent;
    all.insert(all.end(), queue[1].sent.begin(), queue[1].sent.end());
    EXPECT_THAT(all, testing::UnorderedElementsAreArray(frames));
}

TEST_F(SteeredWireTest, QueueIsServedHoweverMuchOtherCoresHandOver) {
    make(2, 2, false);
    const auto arrive = [&](unsigned at, unsigned to) {
        Addresses a = any();
        while (owner(a) != to) a = any();
        queue[at].arriving.push_back(frame(a));
    };
    for (int i = 0; i < 500; ++i) arrive(1, 0);
    for (int i = 0; i < 100; ++i) arrive(0, 0);
    std::vector<rte_mbuf*> out(16);
    while (!queue[1].arriving.empty()) (void)wires[1]->receive(out);
    for (int turn = 0; turn < 13; ++turn) {
        const std::size_t n = wires[0]->receive(out);
        test::free_all(std::span{out}.first(n));
    }
    EXPECT_TRUE(queue[0].arriving.empty());
    receive_all();
    free_received();
}

TEST_F(SteeredWireTest, NoFrameIsLostBetweenThreads) {
    make(2, 2, false, 65536);
    constexpr unsigned rounds = 2000;
    std::atomic<unsigned> got{0};
    std::vector<Addresses> flows(256);
    std::ranges::generate(flows, [&] { return any(); });
    for (unsigned i = 0; i < rounds; ++i)
        for (unsigned core = 0; core < 2; ++core) queue[core].arriving.push_back(frame(flows[i % 256]));
    std::array<std::vector<rte_mbuf*>, 2> mine;
    std::array<bool, 2> right{true, true};
    std::vector<std::thread> threads;
    for (unsigned core = 0; core < 2; ++core)
        threads.emplace_back([&, core] {
            std::vector<rte_mbuf*> out(32);
            while (got.load(std::memory_order_relaxed) < 2 * rounds) {
                const std::size_t n = wires[core]->receive(out);
                if (n == 0) std::this_thread::yield();
                for (std::size_t i = 0; i < n; ++i) {
                    const auto hash = flow_hash(steering->owners()->toeplitz(), *out[i]);
                    right[core] = right[core] && hash && hash->value % entries % 2 == core;
                    mine[core].push_back(out[i]);
                }
                got.fetch_add(static_cast<unsigned>(n), std::memory_order_relaxed);
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(right[0] && right[1]);
    for (const auto& frames : mine) test::free_all(frames);
}

// The frames of IPv6 as of IPv4: by addresses and ports of TCP or UDP behind the header itself, under a key
// that is long enough.
TEST_F(SteeredWireTest, HashesFlowsOverIpv6) {
    const wire::Toeplitz toeplitz{key}, short_toeplitz{std::span{key}.first(wire::Toeplitz::least_key)};
    rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool.get());
    const auto make = [&](const std::array<std::uint32_t, 9>& tuple, bool vlan, std::uint8_t next_header) {
        std::array<std::uint8_t, 100> octets{};
        std::size_t at = 12;
        const auto put32 = [&](std::uint32_t value) {
            for (int shift = 24; shift >= 0; shift -= 8)
                octets[at++] = static_cast<std::uint8_t>(value >> shift);
        };
        if (vlan) put32(0x8100'0007);
        octets[at++] = 0x86, octets[at++] = 0xdd;
        const std::size_t ip = at;
        octets[ip] = 0x60;
        octets[ip + 6] = next_header;
        at = ip + 8;
        for (const std::uint32_t word : tuple) put32(word);
        rte_pktmbuf_reset(mbuf);
        std::memcpy(rte_pktmbuf_append(mbuf, 100), octets.data(), 100);
    };
    for (int i = 0; i < 1000; ++i) {
        std::array<std::uint32_t, 9> tuple;
        for (auto& word : tuple) word = static_cast<std::uint32_t>(random());
        std::vector<std::uint8_t> padded(key.begin(), key.end());
        padded.resize(key.size() + 4);  // rte_softrss reads a word beyond what it uses
        for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}}) {
            make(tuple, i % 2 != 0, protocol);
            const auto hash = flow_hash(toeplitz, *mbuf);
            ASSERT_TRUE(hash);
            EXPECT_EQ(hash->value, rte_softrss(tuple.data(), 9, padded.data()));
            EXPECT_EQ(hash->datagram, protocol == 17);
            EXPECT_FALSE(flow_hash(short_toeplitz, *mbuf));
        }
        make(tuple, false, 58);
        EXPECT_FALSE(flow_hash(toeplitz, *mbuf));
    }
    rte_pktmbuf_trim(mbuf, 48);
    EXPECT_FALSE(flow_hash(toeplitz, *mbuf)) << "cut off in its ports";
    rte_pktmbuf_free(mbuf);
}

TEST(SteeringOptions, NameTheOneOutOfRange) {
    const auto owners = std::make_shared<const ip::FlowOwners>(ip::FlowOwners::evenly(2));
    EXPECT_THAT([&] { Steering(owners, {.cores = 129}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("cores is 129")));
    EXPECT_THAT([&] { Steering(owners, {.cores = 2, .queues = 3}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("queues is 3")));
    EXPECT_THAT([&] { Steering(owners, {.cores = 2, .queues = 2, .frames = 100}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("frames is 100")));
}

}  // namespace steered_wire_test
}  // namespace runnel::port
