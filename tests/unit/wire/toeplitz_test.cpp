// The hash of RSS: Microsoft's verification suite ("Verifying the RSS Hash Calculation"), and DPDK's
// rte_softrss.
#include "runnel/wire/toeplitz.hpp"

#include <array>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rte_thash.h>

#include "seed.hpp"

namespace runnel::wire {
namespace toeplitz_test {

constexpr std::array<std::uint8_t, 40> microsoft_key{
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

struct Vector {
    Ipv4Address destination;
    std::uint16_t destination_port;
    Ipv4Address source;
    std::uint16_t source_port;
    std::uint32_t of_addresses, of_addresses_and_ports;
};
constexpr std::array<Vector, 5> microsoft_vectors{{
    {{161, 142, 100, 80}, 1766, {66, 9, 149, 187}, 2794, 0x323e8fc2, 0x51ccc178},
    {{65, 69, 140, 83}, 4739, {199, 92, 111, 2}, 14230, 0xd718262a, 0xc626b0ea},
    {{12, 22, 207, 184}, 38024, {24, 19, 198, 95}, 12898, 0xd2d0a5de, 0x5c2b394a},
    {{209, 142, 163, 6}, 2217, {38, 27, 205, 30}, 48228, 0x82989176, 0xafc7327f},
    {{202, 188, 127, 2}, 1303, {153, 39, 163, 191}, 44251, 0x5d1809c5, 0x10e828a2},
}};

TEST(Toeplitz, HashesAsMicrosoftsVerificationSuiteSays) {
    const Toeplitz toeplitz{microsoft_key};
    for (const Vector& v : microsoft_vectors) {
        EXPECT_EQ(toeplitz.hash(v.source, v.destination), v.of_addresses);
        EXPECT_EQ(toeplitz.hash(v.source, v.destination, v.source_port, v.destination_port),
                  v.of_addresses_and_ports);
    }
}

TEST(Toeplitz, HashesAsDpdkDoesUnderKeysOfEveryLength) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 300; ++round) {
        std::vector<std::uint8_t> key(Toeplitz::least_key + random() % 40);
        for (auto& octet : key) octet = static_cast<std::uint8_t>(random());
        const Toeplitz toeplitz{key};
        key.resize(key.size() + 4);  // rte_softrss reads a word beyond what it uses
        for (int i = 0; i < 20; ++i) {
            const Ipv4Address source{static_cast<std::uint32_t>(random())};
            const Ipv4Address destination{static_cast<std::uint32_t>(random())};
            const auto from = static_cast<std::uint16_t>(random()), to = static_cast<std::uint16_t>(random());
            std::array<std::uint32_t, 3> tuple{source.value, destination.value,
                                               std::uint32_t{from} << 16 | to};
            ASSERT_EQ(toeplitz.hash(source, destination, from, to), rte_softrss(tuple.data(), 3, key.data()));
            ASSERT_EQ(toeplitz.hash(source, destination), rte_softrss(tuple.data(), 2, key.data()));
        }
    }
}

Ipv6Address address(const char* text) {
    return parse_ip_address(text)->v6();
}

TEST(Toeplitz, HashesIpv6AsMicrosoftsVerificationSuiteSays) {
    const Toeplitz toeplitz{microsoft_key};
    ASSERT_TRUE(toeplitz.hashes_ipv6());
    struct Row {
        const char* destination;
        std::uint16_t destination_port;
        const char* source;
        std::uint16_t source_port;
        std::uint32_t of_addresses, of_addresses_and_ports;
    };
    for (const Row& row :
         {Row{"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d},
          Row{"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
          Row{"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4b61e985,
              0x02d1feef}}) {
        const Ipv6Address source = address(row.source), destination = address(row.destination);
        EXPECT_EQ(toeplitz.hash(source, destination), row.of_addresses);
        EXPECT_EQ(toeplitz.hash(source, destination, row.source_port, row.destination_port),
                  row.of_addresses_and_ports);
        EXPECT_EQ(toeplitz.hash(source, destination, row.source_port, 0) ^
                      toeplitz.of_destination_port(row.destination_port, true),
                  row.of_addresses_and_ports);
    }
    EXPECT_FALSE(Toeplitz{std::span{microsoft_key}.first(Toeplitz::least_ipv6_key - 1)}.hashes_ipv6());
}

TEST(Toeplitz, DestinationPortContributesTheSameWhateverTheRestIs) {
    std::mt19937_64 random{test::seed()};
    const Toeplitz toeplitz{microsoft_key};
    for (int i = 0; i < 10'000; ++i) {
        const Ipv4Address source{static_cast<std::uint32_t>(random())};
        const Ipv4Address destination{static_cast<std::uint32_t>(random())};
        const auto from = static_cast<std::uint16_t>(random()), to = static_cast<std::uint16_t>(random());
        ASSERT_EQ(toeplitz.hash(source, destination, from, to),
                  toeplitz.hash(source, destination, from, 0) ^ toeplitz.of_destination_port(to));
    }
}

TEST(Toeplitz, KeyThatIsTooShortIsRefusedWithItsLength) {
    const std::vector<std::uint8_t> key(Toeplitz::least_key - 1);
    EXPECT_THAT([&] { const Toeplitz toeplitz{key}; },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("it has 15 octets")));
}

}  // namespace toeplitz_test
}  // namespace runnel::wire
