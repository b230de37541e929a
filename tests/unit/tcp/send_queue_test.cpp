// The queue of what was sent and is not acknowledged, against a string.
#include "runnel/tcp/send_queue.hpp"

#include <algorithm>
#include <deque>
#include <random>

#include <gtest/gtest.h>

#include "runnel/base/eal_memory.hpp"

#include "mbufs.hpp"
#include "seed.hpp"

namespace runnel::tcp {
namespace send_queue_test {

using test::Octets;
using test::octets_at;

/// The octets from `position` on, as the queue gives them.
Octets read(SendQueue& queue, std::uint32_t position, std::uint32_t length) {
    Octets octets(length);
    queue.read(position, length, octets.data());
    return octets;
}

TEST(SendQueue, GivesWhatWasAppendedInWhateverFormAndLosesNoMbuf) {
    std::mt19937_64 random{test::seed()};
    const test::Mbufs mbufs;
    // Position-dependent, so that a misplaced octet is seen; what is static lies at its own position of the
    // stream.
    const EalBlock block{"stream", std::size_t{1} << 22};
    const std::span stream = block.span();
    std::ranges::copy(octets_at(0, stream.size()), stream.begin());
    const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
    {
        MbufStash stash{mbufs.pool(), {}};
        SendQueue queue{};
        StaticOctets statics;
        std::deque<std::pair<rte_mbuf*, std::size_t>> packets;  // and the position of their first octet
        std::size_t first = 0, end = 0;                         // the queue holds [first, end) of the stream
        for (int step = 0; step < 30'000 && end + 4096 < stream.size(); ++step) {
            const std::size_t size = random() % 3 == 0 ? 1 + below(20) : 1 + below(4000);
            const std::span<const std::byte> more{stream.data() + end, size};
            const auto held = static_cast<std::uint32_t>(end - first);
            // They are freed late, and hold what they held when they were made.
            while (packets.size() > below(20)) {
                const auto [packet, at] = packets.front();
                packets.pop_front();
                (void)rte_pktmbuf_adj(packet, 54);
                const Octets octets = test::octets_of(packet);
                ASSERT_TRUE(std::ranges::equal(octets, std::span{stream.data() + at, octets.size()}));
                stash.put(packet);
            }
            switch (held > 60'000 ? 5 : below(9)) {
                case 0:
                    ASSERT_EQ(queue.append_copy(more, stash), size);
                    end += size;
                    break;
                case 1:
                    ASSERT_TRUE(queue.append_static(more, stash));
                    end += size;
                    break;
                case 2: {
                    const auto some = more.first(std::min<std::size_t>(size, 1500));
                    queue.append_mbuf(mbufs.packet(some, 1 + below(4), random), stash);
                    end += some.size();
                    break;
                }
                case 3:
                case 4: {  // one after the other, as segments are sent
                    std::uint32_t at = held == 0 ? 0 : below(held);
                    for (int i = 0; i < 4 && at < held; ++i) {
                        const std::uint32_t n = std::min(held - at, 1460U);
                        ASSERT_TRUE(
                            std::ranges::equal(read(queue, at, n), std::span{stream.data() + first + at, n}));
                        at += n;
                    }
                    break;
                }
                case 5: {
                    const std::uint32_t n = below(held + 1);
                    queue.release(n, stash);
                    first += n;
                    break;
                }
                case 6: {
                    const std::uint32_t at = below(held + 1), n = below(held - at + 1);
                    ASSERT_TRUE(
                        std::ranges::equal(read(queue, at, n), std::span{stream.data() + first + at, n}));
                    break;
                }
                case 7: {  // as a segment that refers to its text
                    if (held == 0) break;
                    const std::uint32_t at = below(held), wanted = 1 + below(std::min(held - at, 9000U));
                    const std::uint32_t most = 1 + below(12);
                    const std::uint32_t n = queue.fits(at, wanted, most, RTE_MBUF_DEFAULT_BUF_SIZE);
                    ASSERT_LE(n, wanted);
                    ASSERT_GT(n, 0U);
                    rte_mbuf* const packet = stash.take_data();
                    (void)rte_pktmbuf_append(packet, 54);
                    ASSERT_TRUE(queue.refer(at, n, packet, stash, statics));
                    ASSERT_LE(packet->nb_segs, 1U + most);
                    packets.emplace_back(packet, first + at);
                    ASSERT_EQ(rte_mbuf_check(packet, 1, nullptr), 0);
                    break;
                }
                default:
                    if (below(50) == 0) {
                        queue.clear(stash);
                        first = end;
                    }
            }
            ASSERT_EQ(queue.size(), end - first);
            if (queue.size() == 0 && packets.empty()) {
                ASSERT_EQ(mbufs.missing(stash), 0U) << "an empty queue holds no mbuf";
            }
        }
        queue.clear(stash);
        EXPECT_EQ(queue.size(), 0U);
        for (const auto& [packet, at] : packets) stash.put(packet);
        EXPECT_EQ(mbufs.missing(stash), 0U);
    }
    EXPECT_EQ(rte_mempool_avail_count(mbufs.pool()), test::Mbufs::total);
}

TEST(SendQueue, SmallCopiesShareAnMbuf) {
    const test::Mbufs mbufs;
    MbufStash stash{mbufs.pool(), {}};
    SendQueue queue{};
    for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(queue.append_copy(octets_at(i, 1), stash), 1U);
    EXPECT_EQ(mbufs.missing(stash), 1U);
    EXPECT_EQ(read(queue, 0, 1000), octets_at(0, 1000));
    queue.clear(stash);
}

TEST(SendQueue, WritesNothingIntoAnMbufThatSomebodyElseHolds) {
    std::mt19937_64 random{test::seed()};
    const test::Mbufs mbufs;
    MbufStash stash{mbufs.pool(), {}};
    SendQueue queue{};
    rte_mbuf* shared = mbufs.packet(octets_at(0, 100), 1, random);
    rte_mbuf_refcnt_update(shared, 1);
    queue.append_mbuf(shared, stash);
    ASSERT_EQ(queue.append_copy(octets_at(100, 50), stash), 50U);
    EXPECT_EQ(shared->data_len, 100U);
    EXPECT_EQ(read(queue, 0, 150), octets_at(0, 150));
    queue.clear(stash);
    EXPECT_EQ(rte_mbuf_refcnt_read(shared), 1) << "the other holder keeps it";
    rte_pktmbuf_free(shared);
}

TEST(SendQueue, TakesWhatMemoryAllowsAndLeavesTheReserve) {
    const test::Mbufs mbufs;
    constexpr std::uint32_t reserve = 40;
    MbufStash stash{mbufs.pool(), {.capacity = 128, .reserve = reserve}};
    SendQueue queue{};
    const Octets much = octets_at(0, std::size_t{test::Mbufs::total} * RTE_MBUF_DEFAULT_BUF_SIZE);
    const std::size_t taken = queue.append_copy(much, stash);
    EXPECT_LT(taken, much.size());
    EXPECT_EQ(queue.size(), taken);
    EXPECT_EQ(mbufs.missing(stash), test::Mbufs::total - reserve);
    EXPECT_FALSE(queue.append_static(much, stash));
    EXPECT_EQ(queue.append_copy(much, stash), 0U);
    EXPECT_EQ(queue.size(), taken) << "what was refused is not counted";
    EXPECT_TRUE(std::ranges::equal(read(queue, 0, queue.size()), std::span{much}.first(taken)));
    queue.clear(stash);
    EXPECT_EQ(mbufs.missing(stash), 0U);
}

}  // namespace send_queue_test
}  // namespace runnel::tcp
