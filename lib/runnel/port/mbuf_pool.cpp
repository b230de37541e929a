#include "runnel/port/mbuf_pool.hpp"

#include <atomic>
#include <stdexcept>

#include <fmt/format.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

namespace runnel::port {

namespace {

constexpr unsigned least_data_room = 128;
constexpr unsigned most_data_room = UINT16_MAX - RTE_PKTMBUF_HEADROOM;
constexpr std::uint32_t most_mbufs = 1U << 28;

/// An lcore's cache holds up to half as much again as its size before it gives back.
std::uint32_t count(const MbufPoolOptions& options) noexcept {
    return options.mbufs + options.lcores * (options.lcore_cache + options.lcore_cache / 2);
}

std::uint32_t element_size(const MbufPoolOptions& options) noexcept {
    return static_cast<std::uint32_t>(sizeof(rte_mbuf) + RTE_PKTMBUF_HEADROOM + options.data_room);
}

void check(const char* name, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
    if (value < least || value > most)
        throw std::invalid_argument(
            fmt::format("mbuf pool: {} is {}, must be {} to {}", name, value, least, most));
}

/// Octets of EAL memory that nobody has yet.
std::size_t free_memory() noexcept {
    std::size_t octets = 0;
    for (unsigned i = 0; i < rte_socket_count(); ++i) {
        rte_malloc_socket_stats heap{};
        if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &heap) == 0)
            octets += heap.heap_freesz_bytes;
    }
    return octets;
}

std::runtime_error no_memory(const MbufPoolOptions& options, int error) {
    constexpr std::size_t mb = std::size_t{1} << 20;
    return std::runtime_error(
        fmt::format("mbuf pool: {} mbufs of {} octets need {} MB of EAL memory and {} MB are free ({}); "
                    "start EAL with more "
                    "memory, or ask for fewer mbufs",
                    count(options), options.data_room, (memory_needed(options) + mb - 1) / mb,
                    free_memory() / mb, rte_strerror(error)));
}

/// As rte_pktmbuf_pool_create, but for one flag: without hugepages it would give each mbuf a 4 KB page of its
/// own, so that no mbuf crosses one. That nearly doubles the memory, and puts all mbufs' headers into the
/// same few sets of the cache. Without hugepages addresses are virtual and a crossing does no harm.
MbufPool make_pool(const MbufPoolOptions& options) {
    // EAL finds pools by name, so each needs its own.
    static std::atomic<unsigned> serial{0};
    const std::string name = fmt::format("runnel_mbufs_{}", serial.fetch_add(1, std::memory_order_relaxed));
    const unsigned flags = rte_eal_has_hugepages() != 0 ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
    const unsigned data_room = RTE_PKTMBUF_HEADROOM + options.data_room;
    MbufPool pool{rte_mempool_create_empty(name.c_str(), count(options), element_size(options),
                                           options.lcore_cache, sizeof(rte_pktmbuf_pool_private),
                                           options.numa_socket, flags)};
    if (pool == nullptr) return nullptr;
    rte_pktmbuf_pool_private settings{};
    settings.mbuf_data_room_size = static_cast<std::uint16_t>(data_room);
    // The mbuf freed last is taken first: its octets are in a cache yet. DPDK's own choice, a ring, walks
    // through the whole pool, which no cache holds. What the user or the platform demands goes before.
    const bool free_choice =
        rte_mbuf_user_mempool_ops() == nullptr && rte_mbuf_platform_mempool_ops() == nullptr;
    int error = free_choice ? rte_mempool_set_ops_byname(pool.get(), "stack", nullptr) : -ENOENT;
    if (error != 0) error = rte_mempool_set_ops_byname(pool.get(), rte_mbuf_best_mempool_ops(), nullptr);
    if (error != 0) {
        rte_errno = -error;
        return nullptr;
    }
    rte_pktmbuf_pool_init(pool.get(), &settings);
    if (const int populated = rte_mempool_populate_default(pool.get()); populated < 0) {
        rte_errno = -populated;
        return nullptr;
    }
    rte_mempool_obj_iter(pool.get(), rte_pktmbuf_init, nullptr);
    return pool;
}

}  // namespace

void MbufPoolFree::operator()(rte_mempool* pool) const noexcept {
    rte_mempool_free(pool);
}

std::size_t memory_needed(const MbufPoolOptions& options) noexcept {
    const auto element =
        static_cast<std::uint32_t>(sizeof(rte_mbuf) + RTE_PKTMBUF_HEADROOM + options.data_room);
    rte_mempool_objsz size{};
    rte_mempool_calc_obj_size(element, 0, &size);
    // Each element has a pointer in the pool's stack, or in its ring, which has a power of two of them; the
    // slack is for page ends.
    constexpr std::size_t slack = std::size_t{1} << 16;
    return count(options) * (std::size_t{size.total_size} + 2 * sizeof(void*)) + slack +
           RTE_MEMPOOL_HEADER_SIZE(static_cast<rte_mempool*>(nullptr), options.lcore_cache);
}

MbufPool make_mbuf_pool(const MbufPoolOptions& options) {
    check("data_room", options.data_room, least_data_room, most_data_room);
    check("lcore_cache", options.lcore_cache, 0, RTE_MEMPOOL_CACHE_MAX_SIZE);
    check("lcores", options.lcores, 1, RTE_MAX_LCORE);
    check("mbufs", options.mbufs, 2 * std::uint64_t{options.lcore_cache} + 1, most_mbufs);

    // A failing pool tries ever smaller pieces, which takes seconds: where EAL's memory cannot grow, ask
    // first.
    if (rte_eal_has_hugepages() == 0 && memory_needed(options) > free_memory())
        throw no_memory(options, ENOMEM);
    MbufPool pool = make_pool(options);
    if (pool == nullptr) throw no_memory(options, rte_errno);
    return pool;
}

}  // namespace runnel::port
