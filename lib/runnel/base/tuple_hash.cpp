#include "runnel/base/tuple_hash.hpp"

#include <cstring>

#include "runnel/base/processor.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace runnel {

TupleHash::TupleHash(HashKey key, Function function) noexcept
    : key_(key), aes_(function == Function::native && processor_has_aes()) {
    std::uint64_t counter = 0;
    for (RoundKey& round : round_keys_)
        for (std::uint64_t& word : round.words) word = siphash_2_4(key, counter++, 0x7475706c65);
}

#if defined(__x86_64__)
__attribute__((target("aes"))) void TupleHash::many_by_aes(const std::byte* at, std::size_t stride,
                                                           std::size_t count,
                                                           std::uint32_t* hashes) const noexcept {
    const auto key = [this](std::size_t round) __attribute__((target("aes"), always_inline)) {
        return _mm_load_si128(reinterpret_cast<const __m128i*>(&round_keys_[round]));
    };
    const __m128i k0 = key(0), k1 = key(1), k2 = key(2), k3 = key(3);
    for (std::size_t i = 0; i < count; ++i, at += stride) {
        std::uint32_t last;
        std::memcpy(&last, at + 8, sizeof last);
        const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
        __m128i state = _mm_unpacklo_epi64(low, _mm_cvtsi32_si128(static_cast<int>(last)));
        state = _mm_xor_si128(state, k0);
        state = _mm_aesenc_si128(state, k1);
        state = _mm_aesenc_si128(state, k2);
        state = _mm_aesenc_si128(state, k3);
        hashes[i] = static_cast<std::uint32_t>(_mm_cvtsi128_si32(state));
    }
}

__attribute__((target("aes"))) std::array<std::uint64_t, 2> TupleHash::addresses_by_aes(
    const std::byte* pair) const noexcept {
    const auto key = [this](std::size_t round) __attribute__((target("aes"), always_inline)) {
        return _mm_load_si128(reinterpret_cast<const __m128i*>(&round_keys_[round]));
    };
    __m128i a = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pair)), key(0));
    __m128i b = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pair + 16)), key(0));
    for (std::size_t round = 1; round < 4; ++round) {
        a = _mm_aesenc_si128(a, key(round));
        b = _mm_aesenc_si128(b, key(round));
    }
    return {static_cast<std::uint64_t>(_mm_cvtsi128_si64(a)),
            static_cast<std::uint64_t>(_mm_cvtsi128_si64(b))};
}
#else
std::array<std::uint64_t, 2> TupleHash::addresses_by_aes(const std::byte*) const noexcept {
    return {};
}
void TupleHash::many_by_aes(const std::byte*, std::size_t, std::size_t, std::uint32_t*) const noexcept {}
#endif

void TupleHash::many(const void* first, std::size_t stride, std::size_t count,
                     std::uint32_t* hashes) const noexcept {
    const auto* at = static_cast<const std::byte*>(first);
    if (aes_) [[likely]] {
        many_by_aes(at, stride, count, hashes);
        return;
    }
    for (std::size_t i = 0; i < count; ++i, at += stride) {
        std::uint64_t head;
        std::uint32_t tail;
        std::memcpy(&head, at, sizeof head);
        std::memcpy(&tail, at + sizeof head, sizeof tail);
        const std::uint64_t hash = siphash_1_3(key_, head, tail);
        hashes[i] = static_cast<std::uint32_t>(hash ^ hash >> 32);
    }
}

std::array<std::uint64_t, 2> TupleHash::addresses(const void* pair) const noexcept {
    const auto* at = static_cast<const std::byte*>(pair);
    if (aes_) [[likely]]
        return addresses_by_aes(at);
    std::array<std::uint64_t, 4> words;
    std::memcpy(words.data(), at, sizeof words);
    return {siphash_1_3(key_, words[0], words[1]), siphash_1_3(key_, words[2], words[3])};
}

}  // namespace runnel
