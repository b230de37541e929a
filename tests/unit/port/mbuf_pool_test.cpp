#include "runnel/port/mbuf_pool.hpp"

#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rte_malloc.h>
#include <rte_mempool.h>

namespace runnel::port {
namespace mbuf_pool_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(MbufPool, HasAsManyMbufsAsAskedForBesidesWhatTheCachesHold) {
    const MbufPool pool = make_mbuf_pool({.mbufs = 1000, .lcore_cache = 32, .lcores = 2});
    EXPECT_GE(rte_mempool_avail_count(pool.get()), 1000u + 2 * 32u);
    EXPECT_GE(rte_pktmbuf_data_room_size(pool.get()), 2048u + RTE_PKTMBUF_HEADROOM);
}

TEST(MbufPool, GivesItsMemoryBack) {
    rte_malloc_socket_stats before{}, after{};
    ASSERT_EQ(rte_malloc_get_socket_stats(0, &before), 0);
    (void)make_mbuf_pool({.mbufs = 4096});
    ASSERT_EQ(rte_malloc_get_socket_stats(0, &after), 0);
    EXPECT_EQ(before.heap_allocsz_bytes, after.heap_allocsz_bytes);
}

TEST(MbufPool, NeedsNoMoreMemoryThanItSays) {
    const MbufPoolOptions options{.mbufs = 10'000, .lcore_cache = 64};
    rte_malloc_socket_stats before{}, after{};
    ASSERT_EQ(rte_malloc_get_socket_stats(0, &before), 0);
    const MbufPool pool = make_mbuf_pool(options);
    ASSERT_EQ(rte_malloc_get_socket_stats(0, &after), 0);
    const std::size_t taken = after.heap_allocsz_bytes - before.heap_allocsz_bytes;
    EXPECT_LE(taken, memory_needed(options));
    EXPECT_GE(taken, memory_needed(options) / 10 * 8);
}

TEST(MbufPool, GivesTheMbufFirstThatWasFreedLast) {
    const MbufPool pool = make_mbuf_pool({.mbufs = 1000, .lcore_cache = 0});
    std::vector<rte_mbuf*> taken(3);
    for (rte_mbuf*& mbuf : taken) mbuf = rte_pktmbuf_alloc(pool.get());
    for (rte_mbuf* mbuf : taken) rte_pktmbuf_free(mbuf);
    std::vector<rte_mbuf*> again(3);
    for (rte_mbuf*& mbuf : again) mbuf = rte_pktmbuf_alloc(pool.get());
    EXPECT_THAT(again, testing::ElementsAre(taken[2], taken[1], taken[0]));
    for (rte_mbuf* mbuf : again) rte_pktmbuf_free(mbuf);
}

TEST(MbufPool, TellsTheMegabytesThatAreMissing) {
    EXPECT_THAT([] { (void)make_mbuf_pool({.mbufs = 1'000'000}); },
                ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("MB"), HasSubstr("more memory"))));
}

TEST(MbufPool, NamesTheOptionThatIsOutOfRange) {
    EXPECT_THAT([] { (void)make_mbuf_pool({.lcore_cache = 513}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("lcore_cache is 513")));
    EXPECT_THAT([] { (void)make_mbuf_pool({.mbufs = 0}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("mbufs is 0")));
    EXPECT_THAT([] { (void)make_mbuf_pool({.data_room = 64}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("data_room is 64")));
}

}  // namespace mbuf_pool_test
}  // namespace runnel::port
