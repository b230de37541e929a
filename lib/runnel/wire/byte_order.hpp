// Network byte order: loads and stores of big-endian numbers at any alignment (RFC 791 appendix B). Only
// wire/ knows it; all else is host order.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace runnel::wire {

namespace detail {

constexpr std::uint16_t swap_to_host(std::uint16_t value) noexcept {
    return std::endian::native == std::endian::little ? __builtin_bswap16(value) : value;
}
constexpr std::uint32_t swap_to_host(std::uint32_t value) noexcept {
    return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
}
constexpr std::uint64_t swap_to_host(std::uint64_t value) noexcept {
    return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

// Octet by octet in a constant expression; one load and one swap in the running program.
template <typename Number>
constexpr Number load_be(const std::byte* from) noexcept {
    if (std::is_constant_evaluated()) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(Number); ++i)
            value = value << 8 | std::to_integer<std::uint64_t>(from[i]);
        return static_cast<Number>(value);
    }
    Number value;
    std::memcpy(&value, from, sizeof value);
    return swap_to_host(value);
}

template <typename Number>
constexpr void store_be(std::byte* to, Number value) noexcept {
    if (std::is_constant_evaluated()) {
        for (std::size_t i = 0; i < sizeof(Number); ++i)
            to[i] = static_cast<std::byte>(value >> 8 * (sizeof(Number) - 1 - i) & 0xff);
        return;
    }
    const Number swapped = swap_to_host(value);
    std::memcpy(to, &swapped, sizeof swapped);
}

}  // namespace detail

/// The number whose 2, 4 or 8 octets start at `from`, in host order. The caller vouches for the octets.
[[nodiscard]] constexpr std::uint16_t load_be16(const std::byte* from) noexcept {
    return detail::load_be<std::uint16_t>(from);
}
[[nodiscard]] constexpr std::uint32_t load_be32(const std::byte* from) noexcept {
    return detail::load_be<std::uint32_t>(from);
}
[[nodiscard]] constexpr std::uint64_t load_be64(const std::byte* from) noexcept {
    return detail::load_be<std::uint64_t>(from);
}

/// The same at an offset into a buffer; `offset + size of the number <= bytes.size()` is the caller's to
/// know.
[[nodiscard]] constexpr std::uint16_t load_be16(std::span<const std::byte> bytes,
                                                std::size_t offset) noexcept {
    return load_be16(bytes.data() + offset);
}
[[nodiscard]] constexpr std::uint32_t load_be32(std::span<const std::byte> bytes,
                                                std::size_t offset) noexcept {
    return load_be32(bytes.data() + offset);
}
[[nodiscard]] constexpr std::uint64_t load_be64(std::span<const std::byte> bytes,
                                                std::size_t offset) noexcept {
    return load_be64(bytes.data() + offset);
}

/// Writes a number of host order as the 2, 4 or 8 octets at `to`. The caller vouches for the room.
constexpr void store_be16(std::byte* to, std::uint16_t value) noexcept {
    detail::store_be(to, value);
}
constexpr void store_be32(std::byte* to, std::uint32_t value) noexcept {
    detail::store_be(to, value);
}
constexpr void store_be64(std::byte* to, std::uint64_t value) noexcept {
    detail::store_be(to, value);
}

/// The same at an offset into a buffer; `offset + size of the number <= bytes.size()` is the caller's to
/// know.
constexpr void store_be16(std::span<std::byte> bytes, std::size_t offset, std::uint16_t value) noexcept {
    store_be16(bytes.data() + offset, value);
}
constexpr void store_be32(std::span<std::byte> bytes, std::size_t offset, std::uint32_t value) noexcept {
    store_be32(bytes.data() + offset, value);
}
constexpr void store_be64(std::span<std::byte> bytes, std::size_t offset, std::uint64_t value) noexcept {
    store_be64(bytes.data() + offset, value);
}

}  // namespace runnel::wire
