#include "runnel/base/eal_memory.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_memory.h>

namespace runnel::detail {

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t small_page = 4096;
constexpr std::size_t large_page = 2 * mebibyte;

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

std::size_t rounded_up(std::size_t octets, std::size_t unit) noexcept {
    return (octets + unit - 1) / unit * unit;
}

/// What is mapped for an array: whole pages, large ones where it fills one.
std::size_t mapped_size(std::size_t octets) noexcept {
    return rounded_up(octets, octets < large_page ? small_page : large_page);
}

/// Pages of the process's own, zeroed when they are first touched; null where there are none.
void* map_pages(std::size_t octets) noexcept {
    const std::size_t size = mapped_size(octets);
    // More by a page, of which what lies before the first multiple of its size and after the end goes back.
    const std::size_t slack = octets < large_page ? 0 : large_page - small_page;
    void* const mapping =
        mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return nullptr;
    if (slack == 0) return mapping;
    auto* const begin = static_cast<std::byte*>(mapping);
    const auto address = reinterpret_cast<std::uintptr_t>(mapping);
    const std::size_t before = rounded_up(address, large_page) - address;
    if (before > 0) munmap(begin, before);
    if (before < slack) munmap(begin + before + size, slack - before);
    // A kernel without them gives small pages.
    (void)madvise(begin + before, size, MADV_HUGEPAGE);
    return begin + before;
}

std::string why_not(std::size_t octets) {
    if (rte_eal_has_hugepages() == 0)
        return fmt::format("{} MB of memory, and the kernel gives no more ({}): ask for fewer",
                           (octets + mebibyte - 1) / mebibyte, std::strerror(errno));
    return fmt::format(
        "{} MB of EAL memory in one piece, and the largest piece free is {} MB: give EAL more memory (-m MB, "
        "and "
        "the hugepages for it), or ask for fewer",
        (octets + mebibyte - 1) / mebibyte, largest_free_piece() / mebibyte);
}

}  // namespace

void* allocate_eal_memory(std::string_view what, std::size_t n, std::size_t size) {
    if (n > std::numeric_limits<std::size_t>::max() / 4 / size)
        throw std::runtime_error(
            fmt::format("{}: {} of {} bytes each are more than any memory: ask for fewer", what, n, size));
    void* const memory = rte_eal_has_hugepages() != 0 ? rte_zmalloc(nullptr, n * size, RTE_CACHE_LINE_SIZE)
                                                      : map_pages(n * size);
    if (memory != nullptr) return memory;
    throw std::runtime_error(
        fmt::format("{}: {} of {} bytes each need {}", what, n, size, why_not(n * size)));
}

void free_eal_memory(void* memory, std::size_t octets) noexcept {
    if (memory == nullptr) return;
    if (rte_eal_has_hugepages() != 0)
        rte_free(memory);
    else
        munmap(memory, mapped_size(octets));
}

}  // namespace runnel::detail

namespace runnel {

using detail::largest_free_piece;

EalBlock::EalBlock(std::string_view what, std::size_t octets)
    : octets_(static_cast<std::byte*>(rte_zmalloc(nullptr, octets, RTE_CACHE_LINE_SIZE)), octets) {
    if (octets_.data() == nullptr)
        throw std::runtime_error(
            fmt::format("{}: needs {} KB of EAL memory, and the largest piece free is {} KB: "
                        "give EAL more memory (-m MB)",
                        what, (octets + 1023) / 1024, largest_free_piece() / 1024));
}

EalBlock::~EalBlock() {
    rte_free(octets_.data());
}

bool devices_reach(std::span<const std::byte> octets) noexcept {
    // Where devices see physical addresses, octets that lie together need not do so for them.
    if (octets.empty() || rte_eal_iova_mode() != RTE_IOVA_VA) return false;
    const rte_memseg_list* const list = rte_mem_virt2memseg_list(octets.data());
    return list != nullptr && list == rte_mem_virt2memseg_list(octets.data() + octets.size() - 1);
}

}  // namespace runnel
