// SipHash against its published vector and against the algorithm written octet by octet.
#include "runnel/base/keyed_hash.hpp"

#include <array>
#include <cstddef>
#include <random>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel {
namespace keyed_hash_test {

// The vector of the reference implementation for the message 00 01 .. 0f under the key 00 01 .. 0f.
constexpr HashKey published_key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
static_assert(siphash_2_4(published_key, 0x0706050403020100U, 0x0f0e0d0c0b0a0908U) == 0x3f2acc7f57c29bdbU);

/// SipHash as section 2 of the paper states it, for a message of any length.
std::uint64_t siphash_of_octets(int c, int d, HashKey key, std::span<const std::uint8_t> message) {
    std::array<std::uint64_t, 4> v{key.k0 ^ 0x736f6d6570736575U, key.k1 ^ 0x646f72616e646f6dU,
                                   key.k0 ^ 0x6c7967656e657261U, key.k1 ^ 0x7465646279746573U};
    const auto rotate = [](std::uint64_t x, int n) { return x << n | x >> (64 - n); };
    const auto half_round = [&](std::size_t a, std::size_t b, int n) {
        v[a] += v[b];
        v[b] = rotate(v[b], n) ^ v[a];
    };
    const auto sip_round = [&] {
        half_round(0, 1, 13);
        half_round(2, 3, 16);
        v[0] = rotate(v[0], 32);
        half_round(2, 1, 17);
        half_round(0, 3, 21);
        v[2] = rotate(v[2], 32);
    };
    std::vector<std::uint8_t> padded{message.begin(), message.end()};
    while (padded.size() % 8 != 7) padded.push_back(0);
    padded.push_back(static_cast<std::uint8_t>(message.size()));
    for (std::size_t i = 0; i < padded.size(); i += 8) {
        std::uint64_t word = 0;
        for (std::size_t j = 0; j < 8; ++j) word |= std::uint64_t{padded[i + j]} << 8 * j;
        v[3] ^= word;
        for (int r = 0; r < c; ++r) sip_round();
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int r = 0; r < d; ++r) sip_round();
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

TEST(SipHash, AgreesWithTheAlgorithmWrittenOctetByOctet) {
    // The reading of the paper first, by its own vector: fifteen octets, appendix A.
    std::array<std::uint8_t, 15> fifteen{};
    for (std::size_t i = 0; i < fifteen.size(); ++i) fifteen[i] = static_cast<std::uint8_t>(i);
    ASSERT_EQ(siphash_of_octets(2, 4, published_key, fifteen), 0xa129ca6149be45e5U);

    std::mt19937_64 random{test::seed()};
    for (int i = 0; i < 1000; ++i) {
        const HashKey key{random(), random()};
        const std::array<std::uint64_t, 3> words{random(), random(), random()};
        std::array<std::uint8_t, 24> octets{};
        for (std::size_t j = 0; j < 24; ++j) octets[j] = static_cast<std::uint8_t>(words[j / 8] >> j % 8 * 8);
        const std::span<const std::uint8_t> sixteen = std::span{octets}.first(16);
        ASSERT_EQ(siphash_2_4(key, words[0], words[1]), siphash_of_octets(2, 4, key, sixteen));
        ASSERT_EQ(siphash_1_3(key, words[0], words[1]), siphash_of_octets(1, 3, key, sixteen));
        ASSERT_EQ(siphash_2_4(key, words[0], words[1], words[2]), siphash_of_octets(2, 4, key, octets));
    }
}

TEST(HashKey, IsAnotherEachTime) {
    const HashKey a = random_hash_key();
    const HashKey b = random_hash_key();
    EXPECT_NE(a.k0, b.k0);
    EXPECT_NE(a.k1, b.k1);
    EXPECT_NE(a.k0, a.k1);
}

}  // namespace keyed_hash_test
}  // namespace runnel
