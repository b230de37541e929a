// Shortening packets, chains among them.
#include "runnel/base/mbuf_cut.hpp"

#include <random>

#include <gtest/gtest.h>

#include "mbufs.hpp"
#include "seed.hpp"

namespace runnel {
namespace mbuf_cut_test {

using test::octets_at;
using test::octets_of;

TEST(MbufCut, LeavesTheRightOctetsOfAnyChain) {
    std::mt19937_64 random{test::seed()};
    const test::Mbufs mbufs;
    for (int round = 0; round < 3000; ++round) {
        const auto size = static_cast<std::uint32_t>(random() % 1200);
        const auto parts = static_cast<std::uint16_t>(1 + random() % 5);
        rte_mbuf* packet = mbufs.packet(octets_at(0, size), parts, random);
        const auto front = static_cast<std::uint32_t>(random() % (size + 1));
        const auto kept = static_cast<std::uint32_t>(random() % (size - front + 1));
        if (random() % 2 == 0) {
            cut_front(packet, front);
            ASSERT_EQ(octets_of(packet), octets_at(front, size - front));
            keep_front(packet, kept);
        } else {
            keep_front(packet, front + kept);
            ASSERT_EQ(octets_of(packet), octets_at(0, front + kept));
            cut_front(packet, front);
        }
        ASSERT_EQ(octets_of(packet), octets_at(front, kept));
        ASSERT_EQ(packet->nb_segs, parts) << "emptied mbufs stay in the chain";
        rte_pktmbuf_free(packet);
    }
    EXPECT_EQ(rte_mempool_avail_count(mbufs.pool()), test::Mbufs::total);
}

}  // namespace mbuf_cut_test
}  // namespace runnel
