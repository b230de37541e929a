// SipHash of a few words: a hash that nobody without the key can aim (J.-P. Aumasson and D. J. Bernstein,
// "SipHash: a fast short-input PRF", 2012). RFC 6528 and RFC 6056 ask for such a function, and so does the
// flow table.
#pragma once

#include <bit>
#include <cstdint>

namespace runnel {

/// The secret of a run. Never sent, never printed.
struct HashKey {
    std::uint64_t k0 = 0;
    std::uint64_t k1 = 0;
};

namespace detail {

/// SipHash-c-d of the octets that the words are in little-endian order.
template <int compression_rounds, int finalization_rounds, class... Words>
[[nodiscard]] constexpr std::uint64_t siphash(HashKey key, Words... words) noexcept {
    std::uint64_t v0 = key.k0 ^ 0x736f6d6570736575U;
    std::uint64_t v1 = key.k1 ^ 0x646f72616e646f6dU;
    std::uint64_t v2 = key.k0 ^ 0x6c7967656e657261U;
    std::uint64_t v3 = key.k1 ^ 0x7465646279746573U;
    const auto rounds = [&](int n) {
        for (int i = 0; i < n; ++i) {
            v0 += v1;
            v2 += v3;
            v1 = std::rotl(v1, 13) ^ v0;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 = std::rotl(v0, 32);
            v2 += v1;
            v0 += v3;
            v1 = std::rotl(v1, 17) ^ v2;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 = std::rotl(v2, 32);
        }
    };
    const auto compress = [&](std::uint64_t word) {
        v3 ^= word;
        rounds(compression_rounds);
        v0 ^= word;
    };
    (compress(words), ...);
    compress(std::uint64_t{8 * sizeof...(words)}
             << 56);  // the length of the message in the top octet ends it
    v2 ^= 0xff;
    rounds(finalization_rounds);
    return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace detail

/// For tables: no attack on its use there is known, at half the cost of SipHash-2-4.
[[nodiscard]] constexpr std::uint64_t siphash_1_3(HashKey key, std::uint64_t a, std::uint64_t b) noexcept {
    return detail::siphash<1, 3>(key, a, b);
}

/// For what peers see: initial sequence numbers and ports.
[[nodiscard]] constexpr std::uint64_t siphash_2_4(HashKey key, std::uint64_t a, std::uint64_t b) noexcept {
    return detail::siphash<2, 4>(key, a, b);
}
[[nodiscard]] constexpr std::uint64_t siphash_2_4(HashKey key, std::uint64_t a, std::uint64_t b,
                                                  std::uint64_t c) noexcept {
    return detail::siphash<2, 4>(key, a, b, c);
}

/// A key from the kernel's random numbers (getrandom(2)). Throws `std::system_error` where there are none.
[[nodiscard]] HashKey random_hash_key();

}  // namespace runnel
