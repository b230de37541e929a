#include "runnel/port/mbuf_pool.hpp"

#include <atomic>
#include <stdexcept>

#include <fmt/format.h>

#include <rte_errno.h>
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

void check(const char* name, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
    if (value < least || value > most)
        throw std::invalid_argument(
            fmt::format("mbuf pool: {} is {}, must be {} to {}", name, value, least, most));
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
    // Each element has a pointer in the pool's ring, which has a power of two of them.
    return count(options) * (std::size_t{size.total_size} + 2 * sizeof(void*)) + sizeof(rte_mempool);
}

MbufPool make_mbuf_pool(const MbufPoolOptions& options) {
    check("data_room", options.data_room, least_data_room, most_data_room);
    check("lcore_cache", options.lcore_cache, 0, RTE_MEMPOOL_CACHE_MAX_SIZE);
    check("lcores", options.lcores, 1, RTE_MAX_LCORE);
    check("mbufs", options.mbufs, 2 * std::uint64_t{options.lcore_cache} + 1, most_mbufs);

    // EAL finds pools by name, so each needs its own.
    static std::atomic<unsigned> serial{0};
    const std::string name = fmt::format("runnel_mbufs_{}", serial.fetch_add(1, std::memory_order_relaxed));
    const auto data_room = static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + options.data_room);
    MbufPool pool{rte_pktmbuf_pool_create(name.c_str(), count(options), options.lcore_cache, 0, data_room,
                                          options.numa_socket)};
    if (pool == nullptr) {
        constexpr std::size_t mb = std::size_t{1} << 20;
        throw std::runtime_error(fmt::format(
            "mbuf pool: {} mbufs of {} octets need {} MB, which EAL does not have free ({}); start EAL with "
            "that much more memory, or ask for fewer mbufs",
            count(options), options.data_room, (memory_needed(options) + mb - 1) / mb,
            rte_strerror(rte_errno)));
    }
    return pool;
}

}  // namespace runnel::port
