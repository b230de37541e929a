// Loads and stores of network byte order: constant expressions and the running program agree at every
// alignment.
#include "runnel/wire/byte_order.hpp"

#include <gtest/gtest.h>

#include "octets.hpp"
#include "seed.hpp"

namespace runnel::wire {
namespace byte_order_test {

constexpr auto sample = test::bytes_of(0x01, 0x02, 0x03, 0x04, 0xfc, 0xfd, 0xfe, 0xff, 0x80);
static_assert(load_be16(sample, 0) == 0x0102);
static_assert(load_be16(sample, 7) == 0xff80);
static_assert(load_be32(sample, 1) == 0x020304fc);
static_assert(load_be64(sample, 0) == 0x01020304fcfdfeff);
static_assert(load_be64(sample.data() + 1) == 0x020304fcfdfeff80);
static_assert([] {
    std::array<std::byte, 9> octets{};
    store_be64(octets, 1, 0x8877665544332211);
    store_be16(octets, 0, 0xa1b2);
    store_be32(octets, 5, 0x01020304);
    return octets == test::bytes_of(0xa1, 0xb2, 0x77, 0x66, 0x55, 0x01, 0x02, 0x03, 0x04);
}());

TEST(ByteOrder, MostSignificantOctetComesFirstAtEveryAlignment) {
    std::array<std::byte, 24> octets{};
    for (std::size_t at = 0; at < 16; ++at) {
        store_be64(octets, at, 0x0102030405060708);
        for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(octets[at + i], static_cast<std::byte>(i + 1));
        EXPECT_EQ(load_be64(octets, at), 0x0102030405060708U);
        EXPECT_EQ(load_be32(octets, at + 1), 0x02030405U);
        EXPECT_EQ(load_be16(octets, at + 3), 0x0405U);
    }
}

TEST(ByteOrder, StoresTouchOnlyTheirOwnOctetsAndLoadsGiveBackWhatWasStored) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 1000; ++round) {
        const test::Bytes before = test::random_bytes(random, 16);
        test::Bytes after = before;
        const std::size_t at = random() % 8;
        const std::uint64_t number = random();
        std::size_t size = 0;
        switch (random() % 3) {
            case 0:
                size = 2;
                store_be16(after, at, static_cast<std::uint16_t>(number));
                EXPECT_EQ(load_be16(after, at), static_cast<std::uint16_t>(number));
                break;
            case 1:
                size = 4;
                store_be32(after, at, static_cast<std::uint32_t>(number));
                EXPECT_EQ(load_be32(after, at), static_cast<std::uint32_t>(number));
                break;
            default:
                size = 8;
                store_be64(after, at, number);
                EXPECT_EQ(load_be64(after, at), number);
        }
        for (std::size_t i = 0; i < before.size(); ++i) {
            if (i < at || i >= at + size) {
                ASSERT_EQ(after[i], before[i]) << i;
            }
        }
    }
}

}  // namespace byte_order_test
}  // namespace runnel::wire
