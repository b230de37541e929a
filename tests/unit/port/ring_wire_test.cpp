#include "runnel/port/ring_wire.hpp"

#include <deque>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "numbered_frames.hpp"
#include "seed.hpp"

namespace runnel::port {
namespace ring_wire_test {

using test::FramePool;
using test::free_all;
using test::number_of;

TEST(RingWire, GivesOneEndWhatTheOtherSentAndNothingElse) {
    FramePool pool;
    RingWire wire;
    auto to_b = pool.frames(100, 3), to_a = pool.frames(200, 2);
    ASSERT_EQ(wire.a().send(to_b), 3u);
    ASSERT_EQ(wire.b().send(to_a), 2u);

    std::vector<rte_mbuf*> out(8);
    ASSERT_EQ(wire.a().receive(out), 2u);
    EXPECT_EQ(number_of(out[0]), 200u);
    EXPECT_EQ(number_of(out[1]), 201u);
    EXPECT_EQ(wire.a().receive(std::span{out}.subspan(2)), 0u);
    ASSERT_EQ(wire.b().receive(std::span{out}.subspan(2)), 3u);
    EXPECT_EQ(number_of(out[2]), 100u);
    EXPECT_EQ(number_of(out[4]), 102u);
    free_all(std::span{out}.first(5));
    EXPECT_EQ(pool.away(), 0u);
}

TEST(RingWire, HoldsAsManyFramesAsAskedForAndRefusesTheRest) {
    FramePool pool;
    RingWire wire{{.frames = 10}};
    auto frames = pool.frames(0, 16);
    ASSERT_EQ(wire.a().send(frames), 10u);
    EXPECT_EQ(wire.a().send(std::span{frames}.subspan(10)), 0u);

    std::vector<rte_mbuf*> out(4);
    ASSERT_EQ(wire.b().receive(out), 4u);
    free_all(out);
    EXPECT_EQ(wire.a().send(std::span{frames}.subspan(10)), 4u);
    free_all(std::span{frames}.subspan(14));
}

TEST(RingWire, KeepsOrderAndLosesNothingInAnyMixOfBursts) {
    FramePool pool;
    RingWire wire{{.frames = 64}};
    std::mt19937_64 random{test::seed()};
    std::deque<std::uint32_t> model;
    std::uint32_t next = 0;
    std::vector<rte_mbuf*> out(100);
    for (int step = 0; step < 5000; ++step) {
        const auto burst = static_cast<std::uint32_t>(random() % 80);
        if (random() % 2 == 0) {
            auto frames = pool.frames(next, burst);
            const std::size_t taken = wire.a().send(frames);
            ASSERT_EQ(taken, std::min<std::size_t>(burst, 64 - model.size()));
            for (std::size_t i = 0; i < taken; ++i) model.push_back(next++);
            free_all(std::span{frames}.subspan(taken));
        } else {
            const std::size_t n = wire.b().receive(std::span{out}.first(burst));
            ASSERT_EQ(n, std::min<std::size_t>(burst, model.size()));
            for (std::size_t i = 0; i < n; ++i) {
                ASSERT_EQ(number_of(out[i]), model.front());
                model.pop_front();
            }
            free_all(std::span{out}.first(n));
        }
    }
}

TEST(RingWire, CarriesFramesBetweenTwoThreadsInOrder) {
    FramePool pool;
    RingWire wire{{.frames = 256}};
    constexpr std::uint32_t total = 200'000;
    std::thread sender{[&] {
        // Two threads must not share a mempool cache; a thread that EAL does not know has none, so alloc is
        // safe.
        for (std::uint32_t next = 0; next < total;) {
            rte_mbuf* frame = rte_pktmbuf_alloc(pool.get());
            if (frame == nullptr) {
                std::this_thread::yield();
                continue;
            }
            std::memcpy(rte_pktmbuf_append(frame, 60), &next, sizeof next);
            while (wire.a().send({&frame, 1}) == 0) std::this_thread::yield();
            ++next;
        }
    }};
    std::vector<rte_mbuf*> out(32);
    std::uint32_t expected = 0, wrong = 0;
    while (expected < total) {
        const std::size_t n = wire.b().receive(out);
        if (n == 0) std::this_thread::yield();
        for (std::size_t i = 0; i < n; ++i) wrong += number_of(out[i]) != expected++;
        free_all(std::span{out}.first(n));
    }
    sender.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(pool.away(), 0u);
}

TEST(RingWire, FreesWithItselfTheFramesThatNobodyReceived) {
    FramePool pool;
    {
        RingWire wire;
        auto a = pool.frames(0, 100), b = pool.frames(0, 7);
        ASSERT_EQ(wire.a().send(a), 100u);
        ASSERT_EQ(wire.b().send(b), 7u);
        ASSERT_EQ(pool.away(), 107u);
    }
    EXPECT_EQ(pool.away(), 0u);
}

TEST(RingWire, DeclaresNoOffloadsAndVerifiesNothingByDefault) {
    FramePool pool;
    RingWire wire;
    EXPECT_FALSE(wire.offloads().rx_l4_checksum);
    EXPECT_FALSE(wire.offloads().tx_tcp_checksum);
    rte_mbuf* frame = pool.frame(1);
    ASSERT_EQ(wire.a().send({&frame, 1}), 1u);
    ASSERT_EQ(wire.b().receive({&frame, 1}), 1u);
    EXPECT_EQ(frame->ol_flags & (RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK), 0u);
    rte_pktmbuf_free(frame);
}

TEST(RingWire, MarksChecksumsVerifiedWhereItIsDeclaredToOffloadThem) {
    FramePool pool;
    RingWire wire{{.offloads = {.rx_ip_checksum = true,
                                .rx_l4_checksum = true,
                                .tx_ip_checksum = true,
                                .tx_tcp_checksum = true}}};
    for (RingWire::End* from : {&wire.a(), &wire.b()}) {
        RingWire::End& to = from == &wire.a() ? wire.b() : wire.a();
        rte_mbuf* frame = pool.frame(1);
        frame->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IP_CKSUM;
        ASSERT_EQ(from->send({&frame, 1}), 1u);
        ASSERT_EQ(to.receive({&frame, 1}), 1u);
        EXPECT_EQ(frame->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD);
        rte_pktmbuf_free(frame);
    }
}

TEST(RingWire, RefusesToPassLargeSegmentsWhoseChecksumsNobodyMakes) {
    EXPECT_THROW((RingWire{{.offloads = {.tx_tcp_segmentation = true}}}), std::invalid_argument);
    EXPECT_THROW(
        (RingWire{
            {.offloads = {.tx_ip_checksum = true, .tx_tcp_checksum = true, .tx_tcp_segmentation = true}}}),
        std::invalid_argument);
}

TEST(RingWire, CannotBeDeclaredToCutDatagramsAsItPassesAllWhole) {
    EXPECT_THROW((RingWire{{.offloads = {.rx_ip_checksum = true,
                                         .rx_l4_checksum = true,
                                         .tx_ip_checksum = true,
                                         .tx_tcp_checksum = true,
                                         .tx_udp_checksum = true,
                                         .tx_udp_segmentation = true}}}),
                 std::invalid_argument);
}

TEST(RingWire, PassesChainsWhole) {
    FramePool pool;
    RingWire wire;
    rte_mbuf* frame = pool.frame(1);
    ASSERT_EQ(rte_pktmbuf_chain(frame, pool.frame(2)), 0);
    ASSERT_EQ(wire.a().send({&frame, 1}), 1u);
    rte_mbuf* got = nullptr;
    ASSERT_EQ(wire.b().receive({&got, 1}), 1u);
    EXPECT_EQ(got->nb_segs, 2u);
    rte_pktmbuf_free(got);
    EXPECT_EQ(pool.away(), 0u);
}

TEST(RingWire, RefusesASizeOutOfRange) {
    EXPECT_THROW((RingWire{{.frames = 0}}), std::invalid_argument);
    EXPECT_THROW((RingWire{{.frames = (1U << 20) + 1}}), std::invalid_argument);
}

}  // namespace ring_wire_test
}  // namespace runnel::port
