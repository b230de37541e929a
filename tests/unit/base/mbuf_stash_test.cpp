// The stash of mbufs and the queue of frames: none is lost, none is freed twice.
#include "runnel/base/mbuf_stash.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include <rte_mempool.h>

#include "runnel/base/transmit_queue.hpp"

#include "seed.hpp"

namespace runnel {
namespace mbuf_stash_test {

struct FreePool {
    void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
};
using Pool = std::unique_ptr<rte_mempool, FreePool>;

Pool make_pool(const char* name, unsigned mbufs) {
    Pool pool{rte_pktmbuf_pool_create(name, mbufs, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY)};
    if (!pool) throw std::runtime_error("no memory for the test's mbufs");
    return pool;
}

class MbufStashTest : public testing::Test {
  protected:
    Pool pool_ = make_pool("stash_test", 1023);
};

TEST_F(MbufStashTest, HandsOutEmptyMbufs) {
    MbufStash stash{pool_.get(), {}};
    rte_mbuf* mbuf = stash.take_data();
    ASSERT_NE(mbuf, nullptr);
    (void)rte_pktmbuf_append(mbuf, 100);
    mbuf->ol_flags = RTE_MBUF_F_TX_IP_CKSUM;
    stash.put(mbuf);
    rte_mbuf* again = stash.take_control();
    EXPECT_EQ(again, mbuf) << "the mbuf put last is the hot one";
    EXPECT_EQ(rte_pktmbuf_pkt_len(again), 0U);
    EXPECT_EQ(rte_pktmbuf_headroom(again), RTE_PKTMBUF_HEADROOM);
    EXPECT_EQ(again->ol_flags, 0U);
    rte_pktmbuf_free(again);
}

TEST_F(MbufStashTest, KeepsItsReserveForControlSegments) {
    constexpr std::uint32_t reserve = 40;
    std::vector<rte_mbuf*> taken;
    {
        MbufStash stash{pool_.get(), {.capacity = 128, .reserve = reserve}};
        while (rte_mbuf* mbuf = stash.take_data()) taken.push_back(mbuf);
        EXPECT_EQ(taken.size(), 1023U - reserve);
        for (std::uint32_t i = 0; i < reserve; ++i) {
            taken.push_back(stash.take_control());
            ASSERT_NE(taken.back(), nullptr);
            ASSERT_EQ(stash.take_data(), nullptr);
        }
        EXPECT_EQ(stash.take_control(), nullptr) << "nothing is left at all";
        // What comes back first fills the reserve up.
        for (std::uint32_t i = 0; i < reserve; ++i) {
            stash.put(taken.back());
            taken.pop_back();
            ASSERT_EQ(stash.take_data(), nullptr);
        }
        stash.put(taken.back());
        taken.pop_back();
        rte_mbuf* mbuf = stash.take_data();
        EXPECT_NE(mbuf, nullptr);
        stash.put(mbuf);
        for (rte_mbuf* each : taken) stash.put(each);
    }
    EXPECT_EQ(rte_mempool_avail_count(pool_.get()), 1023U);
}

TEST_F(MbufStashTest, GivesTheSurplusBackToTheMempool) {
    MbufStash stash{pool_.get(), {.capacity = 64, .reserve = 8}};
    std::array<rte_mbuf*, 500> mbufs{};
    ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool_.get(), mbufs.data(), mbufs.size()), 0);
    for (rte_mbuf* mbuf : mbufs) {
        stash.put(mbuf);
        ASSERT_LE(stash.held(), 64U);
    }
    EXPECT_EQ(rte_mempool_avail_count(pool_.get()) + stash.held(), 1023U);
}

TEST_F(MbufStashTest, FreesWhatIsNotAPlainMbufOfItsPoolToWhereItCameFrom) {
    const Pool other = make_pool("stash_test_other", 63);
    MbufStash stash{pool_.get(), {}};

    stash.put(rte_pktmbuf_alloc(other.get()));
    EXPECT_EQ(rte_mempool_avail_count(other.get()), 63U);

    rte_mbuf* shared = rte_pktmbuf_alloc(pool_.get());
    rte_mbuf_refcnt_update(shared, 1);
    stash.put(shared);
    EXPECT_EQ(rte_mbuf_refcnt_read(shared), 1) << "one reference given up, the other still holds it";

    EXPECT_EQ(stash.held(), 0U);
    EXPECT_EQ(rte_mempool_avail_count(pool_.get()), 1022U);
    rte_pktmbuf_free(shared);
}

TEST_F(MbufStashTest, KeepsThePartsOfAChainAndWhatReferredToOthers) {
    const Pool other = make_pool("stash_test_other", 63);
    MbufStash stash{pool_.get(), {}};
    rte_mbuf* shared = rte_pktmbuf_alloc(pool_.get());
    (void)rte_pktmbuf_append(shared, 100);

    rte_mbuf* indirect = rte_pktmbuf_alloc(pool_.get());
    rte_pktmbuf_attach(indirect, shared);
    ASSERT_EQ(rte_mbuf_refcnt_read(shared), 2);
    rte_mbuf* chain = rte_pktmbuf_alloc(pool_.get());
    ASSERT_EQ(rte_pktmbuf_chain(chain, rte_pktmbuf_alloc(pool_.get())), 0);
    ASSERT_EQ(rte_pktmbuf_chain(chain, indirect), 0);
    ASSERT_EQ(rte_pktmbuf_chain(chain, rte_pktmbuf_alloc(other.get())), 0);
    stash.put(chain);
    EXPECT_EQ(stash.held(), 3U);
    EXPECT_EQ(rte_mempool_avail_count(other.get()), 63U);
    EXPECT_EQ(rte_mbuf_refcnt_read(shared), 1);

    for (int i = 0; i < 3; ++i) {  // plain ones again
        rte_mbuf* mbuf = stash.take_control();
        EXPECT_NE(mbuf, shared);
        EXPECT_EQ(mbuf->nb_segs, 1);
        EXPECT_EQ(mbuf->next, nullptr);
        EXPECT_TRUE(RTE_MBUF_DIRECT(mbuf));
        EXPECT_EQ(mbuf->buf_addr, static_cast<char*>(rte_mbuf_to_baddr(mbuf)));
        EXPECT_EQ(rte_pktmbuf_headroom(mbuf), RTE_PKTMBUF_HEADROOM);
        rte_pktmbuf_free(mbuf);
    }
    rte_pktmbuf_free(shared);
    EXPECT_EQ(rte_mempool_avail_count(pool_.get()), 1023U);
}

TEST_F(MbufStashTest, NamesTheOptionThatIsOutOfRange) {
    EXPECT_THROW((MbufStash{nullptr, {}}), std::invalid_argument);
    EXPECT_THROW((MbufStash{pool_.get(), {.capacity = 63, .reserve = 1}}), std::invalid_argument);
    EXPECT_THROW((MbufStash{pool_.get(), {.capacity = 64, .reserve = 64}}), std::invalid_argument);
}

TEST_F(MbufStashTest, LosesNoMbufUnderRandomOperations) {
    std::mt19937_64 random{test::seed()};
    {
        MbufStash stash{pool_.get(), {.capacity = 100, .reserve = 20}};
        std::vector<rte_mbuf*> out;
        for (int step = 0; step < 50'000; ++step) {
            const bool take = (random() % 4 != 0) == (step / 2000 % 2 == 0);
            if (take) {
                rte_mbuf* mbuf = random() % 2 == 0 ? stash.take_data() : stash.take_control();
                if (mbuf != nullptr) out.push_back(mbuf);
            } else if (!out.empty()) {
                std::swap(out[random() % out.size()], out.back());
                stash.put(out.back());
                out.pop_back();
            }
            ASSERT_LE(stash.held(), 100U);
            if (step % 100 == 0) {
                ASSERT_EQ(out.size() + stash.held() + rte_mempool_avail_count(pool_.get()), 1023U);
            }
        }
        for (rte_mbuf* mbuf : out) stash.put(mbuf);
    }
    EXPECT_EQ(rte_mempool_avail_count(pool_.get()), 1023U);
}

TEST_F(MbufStashTest, TransmitQueueRoundsItsCapacityUpAndRefusesWhatDoesNotFit) {
    TransmitQueue queue{5};
    EXPECT_EQ(queue.room(), 8U);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(queue.push(rte_pktmbuf_alloc(pool_.get())));
    rte_mbuf* ninth = rte_pktmbuf_alloc(pool_.get());
    EXPECT_FALSE(queue.push(ninth));
    rte_pktmbuf_free(ninth);
    EXPECT_EQ(queue.size(), 8U);
    EXPECT_EQ(queue.room(), 0U);
}

TEST_F(MbufStashTest, TransmitQueueGivesFramesInOrderAndFreesTheRest) {
    std::mt19937_64 random{test::seed()};
    {
        TransmitQueue queue{64};
        std::deque<rte_mbuf*> model;
        for (int step = 0; step < 10'000; ++step) {
            if (random() % 2 == 0) {
                rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_.get());
                ASSERT_NE(mbuf, nullptr);
                const bool pushed = queue.push(mbuf);
                ASSERT_EQ(pushed, model.size() < 64);
                if (pushed) {
                    model.push_back(mbuf);
                } else {
                    rte_pktmbuf_free(mbuf);
                }
            } else if (random() % 8 == 0) {
                std::array<rte_mbuf*, 20> burst{};
                const std::size_t n = queue.pop({burst.data(), random() % 21});
                for (std::size_t i = 0; i < n; ++i) {
                    ASSERT_EQ(burst[i], model.front());
                    model.pop_front();
                    rte_pktmbuf_free(burst[i]);
                }
            }
            ASSERT_EQ(queue.size(), model.size());
        }
        if (queue.room() > 0) {
            ASSERT_TRUE(queue.push(rte_pktmbuf_alloc(pool_.get())));
        }
    }
    EXPECT_EQ(rte_mempool_avail_count(pool_.get()), 1023U);
}

}  // namespace mbuf_stash_test
}  // namespace runnel
