// The Internet checksum (RFC 1071) and its incremental update (RFC 1624), in scalar code.
//
// A partial sum is the sum of big-endian 16-bit words as a number of host order, of which only the value
// modulo 0xffff counts; 0 means that every octet was 0. Partial sums add with `+`: `checksum_add` adds at
// most 0xffff to what it is given and a pseudo-header fits 21 bits, so a thousand of them fit 32 bits.
// Finished checksums are host order too: `store_be16` writes them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"

namespace runnel::wire {

/// Folds a partial sum to 16 bits; not complemented.
[[nodiscard]] constexpr std::uint16_t checksum_fold(std::uint32_t partial) noexcept {
    // The upper half of x + (x with its halves swapped) is the sum of both halves, end-around carry included.
    return static_cast<std::uint16_t>((partial + std::rotl(partial, 16)) >> 16);
}

/// The checksum of what `partial` sums: folded and complemented, in host order, to be stored with
/// `store_be16` in a field that was 0 while summing. (UDP sends 0xffff in place of 0, RFC 768: that is for
/// the writer of UDP to do.)
[[nodiscard]] constexpr std::uint16_t checksum_finish(std::uint32_t partial) noexcept {
    return static_cast<std::uint16_t>(~checksum_fold(partial));
}

/// True where the sum over data that holds its own checksum, pseudo-header included if it has one, comes out
/// right.
[[nodiscard]] constexpr bool checksum_holds(std::uint32_t partial) noexcept {
    return checksum_fold(partial) == 0xffff;
}

namespace detail {

// Octet by octet, for constant expressions and big-endian machines.
constexpr std::uint32_t checksum_octets(const std::byte* data, std::size_t size) noexcept {
    std::uint64_t sum = 0;
    std::size_t i = 0;
    for (; i + 2 <= size; i += 2) sum += load_be16(data + i);
    if (i < size) sum += std::to_integer<std::uint64_t>(data[i]) << 8;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint32_t>(sum);
}

inline std::uint64_t load_native64(const std::byte* from) noexcept {
    std::uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// A sum of 64-bit words, its carries counted apart: one addition and one addition with carry a word.
struct WordSum {
    std::uint64_t sum = 0;
    std::uint64_t carries = 0;

    void add(std::uint64_t word) noexcept {
        sum += word;
        carries += sum < word ? 1 : 0;
    }
    void add_octets16(const std::byte* from) noexcept {
        add(load_native64(from));
        add(load_native64(from + 8));
    }
};

// Fewer than 8 octets as they would lie in a word whose other octets are 0.
inline std::uint64_t load_short(const std::byte* from, std::size_t size) noexcept {
    std::uint64_t word = 0;
    std::size_t at = 0;
    if ((size & 4) != 0) {
        std::uint32_t four;
        std::memcpy(&four, from, sizeof four);
        word = four;
        at = 4;
    }
    if ((size & 2) != 0) {
        std::uint16_t two;
        std::memcpy(&two, from + at, sizeof two);
        word |= std::uint64_t{two} << 8 * at;
        at += 2;
    }
    if ((size & 1) != 0) word |= std::to_integer<std::uint64_t>(from[at]) << 8 * at;
    return word;
}

// Sums 64-bit words as they lie in the memory of a little-endian machine; the order of octets is put right
// once, at the end (RFC 1071 section 2 (B)).
inline std::uint32_t checksum_words(const std::byte* data, std::size_t size) noexcept {
    WordSum words;
    if (size < 8) {
        words.sum = load_short(data, size);
    } else {
        const std::byte* const last_word = data + size - 8;
        if (size >= 64) {
            WordSum others;  // a second chain of additions runs beside the first
            do {
                words.add_octets16(data);
                others.add_octets16(data + 16);
                words.add_octets16(data + 32);
                others.add_octets16(data + 48);
                data += 64;
                size -= 64;
            } while (size >= 64);
            words.add(others.sum);
            words.carries += others.carries;
        }
        if ((size & 32) != 0) {
            words.add_octets16(data);
            words.add_octets16(data + 16);
            data += 32;
        }
        if ((size & 16) != 0) {
            words.add_octets16(data);
            data += 16;
        }
        if ((size & 8) != 0) words.add(load_native64(data));
        // The rest is the end of the last 8 octets: those before it have been summed and are shifted out.
        if ((size & 7) != 0) words.add(load_native64(last_word) >> 8 * (8 - (size & 7)));
    }
    // End-around: a carry has the weight 2^64, which is 1. Adding the few carries cannot carry twice.
    std::uint64_t sum = words.sum + words.carries;
    sum += sum < words.carries ? 1 : 0;
    sum = swap_to_host(sum);
    return checksum_fold(static_cast<std::uint32_t>((sum + std::rotl(sum, 32)) >> 32));
}

}  // namespace detail

/// Adds octets to a partial sum. Any alignment and length; where a sum runs over several pieces, only the
/// last may have an odd length. Where `partial` is at most 0xffff0000, the sum does not overflow.
[[nodiscard]] constexpr std::uint32_t checksum_add(std::span<const std::byte> octets,
                                                   std::uint32_t partial = 0) noexcept {
    if (std::is_constant_evaluated() || std::endian::native != std::endian::little)
        return partial + detail::checksum_octets(octets.data(), octets.size());
    return partial + detail::checksum_words(octets.data(), octets.size());
}

/// The partial sum of the IPv4 pseudo-header (RFC 9293 section 3.1). `length`: octets of the upper-layer
/// header and data.
[[nodiscard]] constexpr std::uint32_t pseudo_header_sum(Ipv4Address source, Ipv4Address destination,
                                                        std::uint8_t protocol,
                                                        std::uint16_t length) noexcept {
    return (source.value >> 16) + (source.value & 0xffff) + (destination.value >> 16) +
           (destination.value & 0xffff) + protocol + length;
}

/// The same for IPv6 (RFC 8200 section 8.1).
[[nodiscard]] constexpr std::uint32_t pseudo_header_sum(const Ipv6Address& source,
                                                        const Ipv6Address& destination,
                                                        std::uint8_t next_header,
                                                        std::uint32_t length) noexcept {
    std::uint32_t sum = (length >> 16) + (length & 0xffff) + next_header;
    for (std::size_t i = 0; i < 16; i += 2) {
        sum += std::uint32_t{source.octets[i]} << 8 | source.octets[i + 1];
        sum += std::uint32_t{destination.octets[i]} << 8 | destination.octets[i + 1];
    }
    return sum;
}

/// The checksum after one 16-bit word at an even offset changed from `old_value` to `new_value`: equation 3
/// of RFC 1624.
[[nodiscard]] constexpr std::uint16_t checksum_update16(std::uint16_t old_checksum, std::uint16_t old_value,
                                                        std::uint16_t new_value) noexcept {
    return checksum_finish((~std::uint32_t{old_checksum} & 0xffff) + (~std::uint32_t{old_value} & 0xffff) +
                           new_value);
}

/// The same for a 32-bit field at an even offset.
[[nodiscard]] constexpr std::uint16_t checksum_update32(std::uint16_t old_checksum, std::uint32_t old_value,
                                                        std::uint32_t new_value) noexcept {
    return checksum_finish((~std::uint32_t{old_checksum} & 0xffff) + (~old_value >> 16) +
                           (~old_value & 0xffff) + (new_value >> 16) + (new_value & 0xffff));
}

}  // namespace runnel::wire
