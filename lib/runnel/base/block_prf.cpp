#include "runnel/base/block_prf.hpp"

#include "runnel/base/processor.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace runnel {

BlockPrf::BlockPrf(HashKey key, Function function) noexcept
    : key_(key), aes_(function == Function::native && processor_has_aes()) {
    if (aes_) expand();
}

#if defined(__x86_64__)

namespace {

// FIPS 197 section 5.2: the next round key, from the last one and what the instruction makes of it.
__attribute__((target("aes"))) __m128i next_key(__m128i key, __m128i assist) noexcept {
    assist = _mm_shuffle_epi32(assist, 0xff);
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    return _mm_xor_si128(key, assist);
}

}  // namespace

__attribute__((target("aes"))) void BlockPrf::expand() noexcept {
    const auto at = [this](std::size_t round) { return reinterpret_cast<__m128i*>(&round_keys_[round]); };
    __m128i key = _mm_set_epi64x(static_cast<long long>(key_.k1), static_cast<long long>(key_.k0));
    _mm_store_si128(at(0), key);
    // The round constant is part of the instruction.
    _mm_store_si128(at(1), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x01)));
    _mm_store_si128(at(2), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x02)));
    _mm_store_si128(at(3), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x04)));
    _mm_store_si128(at(4), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x08)));
    _mm_store_si128(at(5), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x10)));
    _mm_store_si128(at(6), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x20)));
    _mm_store_si128(at(7), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x40)));
    _mm_store_si128(at(8), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x80)));
    _mm_store_si128(at(9), key = next_key(key, _mm_aeskeygenassist_si128(key, 0x1b)));
    _mm_store_si128(at(10), next_key(key, _mm_aeskeygenassist_si128(key, 0x36)));
}

__attribute__((target("aes"))) std::uint64_t BlockPrf::by_aes(std::uint64_t a,
                                                              std::uint64_t b) const noexcept {
    const auto* const key = reinterpret_cast<const __m128i*>(round_keys_.data());
    __m128i state = _mm_set_epi64x(static_cast<long long>(b), static_cast<long long>(a));
    state = _mm_xor_si128(state, _mm_load_si128(key));
    for (std::size_t round = 1; round < 10; ++round)
        state = _mm_aesenc_si128(state, _mm_load_si128(key + round));
    state = _mm_aesenclast_si128(state, _mm_load_si128(key + 10));
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(state));
}

#else

void BlockPrf::expand() noexcept {}
std::uint64_t BlockPrf::by_aes(std::uint64_t a, std::uint64_t b) const noexcept {
    return siphash_2_4(key_, a, b);
}

#endif

}  // namespace runnel
