// Arrays in EAL memory: hugepages where EAL has them, asked for once, at start (DESIGN.md, rule 8).
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
void free_eal_memory(void* memory) noexcept;

}  // namespace detail

/// Whether octets lie in memory of EAL's (its heap, its pools, what `rte_extmem_register` was told of) at
/// addresses that devices know them by: then a port may be pointed to them. Looks through EAL's lists of
/// memory.
[[nodiscard]] bool devices_reach(std::span<const std::byte> octets) noexcept;

/// An array of `n` objects whose octets are zero, aligned to 64 octets, in EAL memory; freed with the array.
///
/// No constructor of `T` runs: all its octets zero must be a state that `T` can start from. EAL zeroes pages
/// lazily, so even a huge array is made at once. EAL must be running for as long as the array lives.
template <class T>
class EalArray {
    static_assert(std::is_trivially_destructible_v<T>, "no destructor runs");
    static_assert(alignof(T) <= 64);

  public:
    /// An array of nothing.
    EalArray() noexcept = default;
    /// `what` names the array in the error. Throws `std::runtime_error` where EAL has not enough memory, with
    /// the figure that is needed and the mend.
    EalArray(std::string_view what, std::size_t n)
        : data_(n == 0 ? nullptr : static_cast<T*>(detail::allocate_eal_memory(what, n, sizeof(T)))),
          size_(n) {}
    ~EalArray() { detail::free_eal_memory(data_); }
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
