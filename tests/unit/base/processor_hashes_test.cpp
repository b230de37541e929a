// The keyed functions that use the processor's AES instructions, and what stands in for them elsewhere.
#include <array>
#include <cstring>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "runnel/base/block_prf.hpp"
#include "runnel/base/tuple_hash.hpp"

#include "seed.hpp"

namespace runnel {
namespace processor_hashes_test {

using Tuple = std::array<std::uint32_t, 3>;

class TupleHashTest : public testing::TestWithParam<TupleHash::Function> {
  protected:
    [[nodiscard]] Tuple any_tuple() {
        return {static_cast<std::uint32_t>(random_()), static_cast<std::uint32_t>(random_()),
                static_cast<std::uint32_t>(random_())};
    }
    std::mt19937_64 random_{test::seed()};
    const HashKey key_{random_(), random_()};
};

TEST_P(TupleHashTest, EachBitOfTupleAndKeyChangesHalfOfTheHash) {
    constexpr int rounds = 2000;
    for (unsigned bit = 0; bit < 96 + 128; ++bit) {
        int flips = 0;
        for (int round = 0; round < rounds; ++round) {
            const Tuple tuple = any_tuple();
            Tuple other = tuple;
            HashKey key{random_(), random_()};
            const TupleHash hash{key, GetParam()};
            if (bit < 96)
                other[bit / 32] ^= 1U << bit % 32;
            else
                (bit < 160 ? key.k0 : key.k1) ^= std::uint64_t{1} << bit % 64;
            flips += __builtin_popcount(hash(tuple.data()) ^ TupleHash(key, GetParam())(other.data()));
        }
        // 16 of 32 bits; the mean of 2000 lies within eight standard deviations.
        EXPECT_NEAR(flips, 16 * rounds, 8 * 2.83 * 44.7) << "bit " << bit;
    }
}

TEST_P(TupleHashTest, EachBitOfAnAddressChangesHalfOfItsHashAndNothingOfTheOther) {
    constexpr int rounds = 1000;
    for (unsigned bit = 0; bit < 256; ++bit) {
        int flips = 0;
        for (int round = 0; round < rounds; ++round) {
            const std::array<std::uint64_t, 4> pair{random_(), random_(), random_(), random_()};
            auto other = pair;
            other[bit / 64] ^= std::uint64_t{1} << bit % 64;
            const TupleHash hash{{random_(), random_()}, GetParam()};
            const auto a = hash.addresses(pair.data()), b = hash.addresses(other.data());
            flips += __builtin_popcountll(a[bit / 128] ^ b[bit / 128]);
            ASSERT_EQ(a[1 - bit / 128], b[1 - bit / 128]);
        }
        // 32 of 64 bits; the mean of 1000 lies within eight standard deviations.
        EXPECT_NEAR(flips, 32 * rounds, 8 * 4 * 31.7) << "bit " << bit;
    }
}

TEST_P(TupleHashTest, ManyAreHashedAsEachAlone) {
    struct Holder {
        std::uint64_t before;
        Tuple tuple;
        std::uint8_t behind;
    };
    std::array<Holder, 33> holders;
    for (Holder& holder : holders) holder = {random_(), any_tuple(), 1};
    const TupleHash hash{key_, GetParam()};
    std::array<std::uint32_t, holders.size()> hashes{};
    hash.many(&holders[0].tuple, sizeof(Holder), holders.size(), hashes.data());
    for (std::size_t i = 0; i < holders.size(); ++i) EXPECT_EQ(hashes[i], hash(holders[i].tuple.data()));
}

// As a table sees them: ports in a row, from one host.
TEST_P(TupleHashTest, NeighbouringTuplesAreSpreadEvenly) {
    const TupleHash hash{key_, GetParam()};
    Tuple tuple = any_tuple();
    constexpr int tuples = 64'000;
    std::array<int, 64> by_top{}, by_bottom{};
    for (int i = 0; i < tuples; ++i) {
        ++tuple[2];
        const std::uint32_t value = hash(tuple.data());
        ++by_top[value >> 26];
        ++by_bottom[value & 63];
    }
    for (const auto& counts : {by_top, by_bottom})
        for (const int n : counts) EXPECT_NEAR(n, tuples / 64, 220);  // seven standard deviations
}

INSTANTIATE_TEST_SUITE_P(Functions, TupleHashTest,
                         testing::Values(TupleHash::Function::native, TupleHash::Function::siphash),
                         [](const auto& one) {
                             return one.param == TupleHash::Function::native ? "Native" : "SipHash";
                         });

std::uint64_t word(const std::array<std::uint8_t, 16>& octets, std::size_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, octets.data() + at, sizeof value);
    return value;
}

// FIPS 197 appendix B.
TEST(BlockPrf, IsAesWhereTheProcessorHasIt) {
    constexpr std::array<std::uint8_t, 16> key{0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                               0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    constexpr std::array<std::uint8_t, 16> plain{0x32, 0x43, 0xf6, 0xa8, 0x88, 0x5a, 0x30, 0x8d,
                                                 0x31, 0x31, 0x98, 0xa2, 0xe0, 0x37, 0x07, 0x34};
    constexpr std::array<std::uint8_t, 16> cipher{0x39, 0x25, 0x84, 0x1d, 0x02, 0xdc, 0x09, 0xfb,
                                                  0xdc, 0x11, 0x85, 0x97, 0x19, 0x6a, 0x0b, 0x32};
    const HashKey secret{word(key, 0), word(key, 8)};
    const BlockPrf prf{secret};
    const std::uint64_t expected =
        prf.uses_aes() ? word(cipher, 0) : siphash_2_4(secret, word(plain, 0), word(plain, 8));
    EXPECT_EQ(prf(word(plain, 0), word(plain, 8)), expected);
}

TEST(BlockPrf, IsSipHashElsewhere) {
    std::mt19937_64 random{test::seed()};
    const HashKey key{random(), random()};
    const BlockPrf prf{key, BlockPrf::Function::siphash};
    EXPECT_FALSE(prf.uses_aes());
    const std::uint64_t a = random(), b = random();
    EXPECT_EQ(prf(a, b), siphash_2_4(key, a, b));
}

}  // namespace processor_hashes_test
}  // namespace runnel
