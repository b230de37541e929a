// Arrays that are asked for once, at start (DESIGN.md, rule 8): in EAL's hugepages where it has them, else in
// pages of the process's own, large ones where the kernel has them.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace runnel {

namespace detail {

/// `n * size` zeroed octets, aligned to a cache line. Throws as the constructor of `EalArray` does.
[[nodiscard]] void* allocate_eal_memory(std::string_view what, std::size_t n, std::size_t size);
/// `octets` as they were asked for.
void free_eal_memory(void* memory, std::size_t octets) noexcept;

}  // namespace detail

/// Whether octets lie in memory of EAL's (its heap, its pools, what `rte_extmem_register` was told of) at
/// addresses that devices know them by: then a port may be pointed to them. Looks through EAL's lists of
/// memory.
[[nodiscard]] bool devices_reach(std::span<const std::byte> octets) noexcept;

/// Octets of EAL's heap, zeroed and aligned to a cache line, to which a port may be pointed where devices
/// know addresses as the process does. To be freed when no port reads them any more, while EAL runs.
class EalBlock {
  public:
    /// `what` names it in the error. Throws `std::runtime_error` where EAL has not enough memory.
    EalBlock(std::string_view what, std::size_t octets);
    ~EalBlock();
    EalBlock(const EalBlock&) = delete;
    EalBlock& operator=(const EalBlock&) = delete;

    [[nodiscard]] std::span<std::byte> span() const noexcept { return octets_; }

  private:
    std::span<std::byte> octets_;
};

/// An array of `n` objects whose octets are zero, aligned to 64 octets; freed with the array.
///
/// Where EAL has hugepages the array lies in them. Where it has none (--no-huge) its memory is shared memory
/// in pages of 4 KB, and with millions of connections nearly each look at one misses the TLB; so there the
/// array is mapped by itself, at a multiple of 2 MB, and the kernel asked for transparent hugepages, which it
/// gives unless /sys/kernel/mm/transparent_hugepage/enabled is `never`. Of EAL's -m it then takes nothing.
///
/// No constructor of `T` runs: all its octets zero must be a state that `T` can start from. Pages are zeroed
/// when they are first touched, so even a huge array is made at once. EAL must be running for as long as the
/// array lives.
template <class T>
class EalArray {
    static_assert(std::is_trivially_destructible_v<T>, "no destructor runs");
    static_assert(alignof(T) <= 64);

  public:
    /// An array of nothing.
    EalArray() noexcept = default;
    /// `what` names the array in the error. Throws `std::runtime_error` where there is not enough memory,
    /// with the figure that is needed and the mend.
    EalArray(std::string_view what, std::size_t n)
        : data_(n == 0 ? nullptr : static_cast<T*>(detail::allocate_eal_memory(what, n, sizeof(T)))),
          size_(n) {}
    ~EalArray() { detail::free_eal_memory(data_, bytes(size_)); }
    EalArray(const EalArray&) = delete;
    EalArray& operator=(const EalArray&) = delete;
    EalArray(EalArray&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    EalArray& operator=(EalArray&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }

    /// Not checked, as in `std::vector`.
    [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
    [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
    [[nodiscard]] T* data() noexcept { return data_; }
    [[nodiscard]] const T* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::span<T> span() noexcept { return {data_, size_}; }
    [[nodiscard]] std::span<const T> span() const noexcept { return {data_, size_}; }

    /// How many octets an array of `n` takes.
    [[nodiscard]] static constexpr std::size_t bytes(std::size_t n) noexcept { return n * sizeof(T); }

  private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace runnel
