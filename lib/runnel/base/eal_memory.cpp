#include "runnel/base/eal_memory.hpp"

#include <cstdint>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_memory.h>

namespace runnel::detail {

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

/// The largest piece that any socket's heap has left, in octets.
std::size_t largest_free_piece() noexcept {
    std::size_t largest = 0;
    for (unsigned i = 0; i < rte_socket_count(); ++i) {
        rte_malloc_socket_stats stats{};
        if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0 &&
            stats.greatest_free_size > largest)
            largest = stats.greatest_free_size;
    }
    return largest;
}

}  // namespace

void* allocate_eal_memory(std::string_view what, std::size_t n, std::size_t size) {
    const bool sane = n <= std::numeric_limits<std::size_t>::max() / 2 / size;
    if (sane) {
        if (void* memory = rte_zmalloc(nullptr, n * size, RTE_CACHE_LINE_SIZE)) return memory;
    }
    throw std::runtime_error(fmt::format(
        "{}: {} of {} bytes each need {} MB of EAL memory in one piece, and the largest piece free is {} MB: "
        "give EAL more memory (-m MB, or hugepages), or ask for fewer",
        what, n, size, sane ? (n * size + mebibyte - 1) / mebibyte : n / mebibyte * size,
        largest_free_piece() / mebibyte));
}

void free_eal_memory(void* memory) noexcept {
    rte_free(memory);
}

}  // namespace runnel::detail

namespace runnel {

bool devices_reach(std::span<const std::byte> octets) noexcept {
    // Where devices see physical addresses, octets that lie together need not do so for them.
    if (octets.empty() || rte_eal_iova_mode() != RTE_IOVA_VA) return false;
    const rte_memseg_list* const list = rte_mem_virt2memseg_list(octets.data());
    return list != nullptr && list == rte_mem_virt2memseg_list(octets.data() + octets.size() - 1);
}

}  // namespace runnel
