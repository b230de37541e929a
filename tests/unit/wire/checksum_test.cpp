// The Internet checksum against the plainest model of RFC 1071, and its incremental update against a new
// computation.
#include "runnel/wire/checksum.hpp"

#include <gtest/gtest.h>

#include "octets.hpp"
#include "seed.hpp"

namespace runnel::wire {
namespace checksum_test {

// RFC 1071 section 4.1, word by word. Gives 0xffff for a nonzero sum that is a multiple of it, as ones'
// complement does.
std::uint16_t model_sum(std::span<const std::byte> octets) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < octets.size(); ++i)
        sum += std::to_integer<std::uint64_t>(octets[i]) << (i % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0) sum = (sum >> 16) + (sum & 0xffff);
    return static_cast<std::uint16_t>(sum);
}

// The example of RFC 1071 section 3.
constexpr auto rfc_example = test::bytes_of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
static_assert(checksum_fold(checksum_add(rfc_example)) == 0xddf2);
static_assert(checksum_finish(checksum_add(rfc_example)) == 0x220d);
static_assert(checksum_fold(0xffffffff) == 0xffff && checksum_fold(0) == 0 && checksum_fold(0x10000) == 1);
static_assert(checksum_add({}) == 0);
static_assert(checksum_add(test::bytes_of(0xab)) == 0xab00, "an odd octet is the upper half of its word");
static_assert(pseudo_header_sum(Ipv4Address{10, 0, 0, 1}, Ipv4Address{10, 0, 0, 2}, 6, 20) ==
              0x1400 + 3 + 6 + 20);
static_assert(checksum_update16(0xdd2f, 0x5555, 0x3285) == 0x0000, "the example of RFC 1624 section 4");

TEST(Rfc1071, SumOfTheRfcsExampleIsTheSameInTheRunningProgram) {
    EXPECT_EQ(checksum_add(test::ExactCopy{rfc_example}.span()), 0xddf2U);
}

TEST(Rfc1071, EveryLengthAndAlignmentAgreesWithTheModel) {
    std::mt19937_64 random{test::seed()};
    for (std::size_t size = 0; size <= 400; ++size) {
        for (std::size_t shift = 0; shift < 8; ++shift) {
            const test::ExactCopy block{test::random_bytes(random, size + shift)};
            const auto octets = block.span().subspan(shift);
            ASSERT_EQ(checksum_add(octets), model_sum(octets)) << size << " octets, alignment " << shift;
        }
    }
    for (const std::size_t size : {1460U, 1461U, 8960U, 65535U}) {
        const test::Bytes octets = test::random_bytes(random, size);
        ASSERT_EQ(checksum_add(octets), model_sum(octets)) << size;
    }
}

TEST(Rfc1071, CarriesOfAllOnesComeAroundAtEveryLength) {
    for (std::size_t size = 0; size <= 300; ++size) {
        test::Bytes octets(size, std::byte{0xff});
        ASSERT_EQ(checksum_add(octets), model_sum(octets)) << size;
        for (std::size_t zero = 0; zero < size; ++zero) {
            octets[zero] = std::byte{0};
            ASSERT_EQ(checksum_add(octets), model_sum(octets)) << size << " octets, 0 at " << zero;
            octets[zero] = std::byte{0xff};
        }
    }
}

TEST(Rfc1071, OnlyOctetsThatAreAllZeroSumToZero) {
    for (std::size_t size = 0; size <= 200; ++size) {
        test::Bytes octets(size, std::byte{0});
        EXPECT_EQ(checksum_add(octets), 0U);
        if (size < 2) continue;
        octets[0] = octets[1] = std::byte{0xff};
        EXPECT_EQ(checksum_add(octets), 0xffffU) << size;
    }
}

TEST(Rfc1071, ConstantExpressionPathAgreesWithTheRunningProgram) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 2000; ++round) {
        const test::Bytes octets = test::random_bytes(random, random() % 300);
        ASSERT_EQ(detail::checksum_octets(octets.data(), octets.size()), checksum_add(octets));
    }
}

TEST(Rfc1071, SumOfPiecesCutAtEvenPlacesIsTheSumOfTheWhole) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 2000; ++round) {
        const test::Bytes whole = test::random_bytes(random, 1 + random() % 600);
        const std::span<const std::byte> octets{whole};
        std::uint32_t chained = 0;
        std::uint32_t added = 0;
        for (std::size_t at = 0; at < octets.size();) {
            const std::size_t size = std::min<std::size_t>(octets.size() - at, 2 * (random() % 80));
            chained = checksum_add(octets.subspan(at, size), chained);
            added += checksum_add(octets.subspan(at, size));
            at += size;
        }
        ASSERT_EQ(checksum_fold(chained), model_sum(octets));
        ASSERT_EQ(checksum_fold(added), model_sum(octets));
    }
}

TEST(Rfc1071, DataWithItsChecksumHoldsAndAnyTurnedBitIsFound) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 200; ++round) {
        test::Bytes octets = test::random_bytes(random, 20 + random() % 60);
        store_be16(octets, 16, 0);
        const std::uint32_t pseudo = pseudo_header_sum(Ipv4Address{static_cast<std::uint32_t>(random())},
                                                       Ipv4Address{static_cast<std::uint32_t>(random())}, 6,
                                                       static_cast<std::uint16_t>(octets.size()));
        store_be16(octets, 16, checksum_finish(checksum_add(octets, pseudo)));
        ASSERT_TRUE(checksum_holds(checksum_add(octets, pseudo)));
        const std::size_t bit = random() % (octets.size() * 8);
        octets[bit / 8] ^= std::byte{1} << (bit % 8);
        ASSERT_FALSE(checksum_holds(checksum_add(octets, pseudo)));
    }
}

TEST(Rfc9293, PseudoHeaderOfIpv4IsTheSumOfItsTwelveOctets) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 1000; ++round) {
        const test::Bytes addresses = test::random_bytes(random, 8);
        const auto protocol = static_cast<std::uint8_t>(random());
        const auto length = static_cast<std::uint16_t>(random());
        test::Bytes header = addresses;
        header.resize(12);
        header[9] = std::byte{protocol};
        store_be16(header, 10, length);
        ASSERT_EQ(checksum_fold(pseudo_header_sum(Ipv4Address{load_be32(addresses, 0)},
                                                  Ipv4Address{load_be32(addresses, 4)}, protocol, length)),
                  model_sum(header));
    }
}

TEST(Rfc8200, PseudoHeaderOfIpv6IsTheSumOfItsFortyOctets) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 1000; ++round) {
        test::Bytes header = test::random_bytes(random, 40);
        Ipv6Address source;
        Ipv6Address destination;
        for (std::size_t i = 0; i < 16; ++i) {
            source.octets[i] = std::to_integer<std::uint8_t>(header[i]);
            destination.octets[i] = std::to_integer<std::uint8_t>(header[16 + i]);
        }
        header[36] = header[37] = header[38] = std::byte{0};
        ASSERT_EQ(checksum_fold(pseudo_header_sum(
                      source, destination, std::to_integer<std::uint8_t>(header[39]), load_be32(header, 32))),
                  model_sum(header));
    }
}

TEST(Rfc1624, IncrementalUpdateGivesTheChecksumOfANewComputation) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 20000; ++round) {
        // Few distinct octets, so that sums at the edge, 0x0000 and 0xffff, come often.
        test::Bytes octets(12);
        for (std::byte& each : octets)
            each = random() % 2 != 0 ? std::byte{0xff} : static_cast<std::byte>(random() % 2);
        octets[0] = std::byte{0x45};  // a header that is all zero has no checksum that both ways agree on
        const std::uint16_t before = checksum_finish(checksum_add(octets));
        if (random() % 2 != 0) {
            const std::uint16_t old_value = load_be16(octets, 4);
            const auto new_value = static_cast<std::uint16_t>(random() % 3 == 0 ? ~old_value : random());
            store_be16(octets, 4, new_value);
            ASSERT_EQ(checksum_update16(before, old_value, new_value), checksum_finish(checksum_add(octets)));
        } else {
            const std::uint32_t old_value = load_be32(octets, 6);
            const auto new_value = static_cast<std::uint32_t>(random() % 3 == 0 ? ~old_value : random());
            store_be32(octets, 6, new_value);
            ASSERT_EQ(checksum_update32(before, old_value, new_value), checksum_finish(checksum_add(octets)));
        }
    }
}

}  // namespace checksum_test
}  // namespace runnel::wire
