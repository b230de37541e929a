// IPv4 headers and their options: RFC 791, RFC 1122 section 3.2.1.
#include "runnel/wire/ipv4.hpp"

#include <array>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "octets.hpp"
#include "seed.hpp"

namespace runnel::wire {
namespace ipv4_test {

constexpr Ipv4Header header{.tos = 0xb8,
                            .total_length = 28,
                            .id = 0x1234,
                            .dont_fragment = true,
                            .ttl = 63,
                            .protocol = IpProtocol::udp,
                            .checksum = 0xabcd,
                            .source = Ipv4Address{10, 0, 0, 1},
                            .destination = Ipv4Address{10, 0, 0, 2}};
constexpr std::array<std::byte, 32> sample = [] {
    std::array<std::byte, 32> octets{};
    write(header, std::span{octets}.first<ipv4_header_size>());
    return octets;
}();
constexpr Ipv4View view = [] {
    Ipv4View parsed;
    return Ipv4View::parse(sample, parsed) == Ipv4Fault::none ? parsed : Ipv4View{};
}();
static_assert(view.header_size() == 20 && view.total_length() == 28 && view.payload().size() == 8);
static_assert(view.tos() == 0xb8 && view.id() == 0x1234 && view.ttl() == 63 && view.checksum() == 0xabcd);
static_assert(view.dont_fragment() && !view.is_fragment() && view.fragment_offset() == 0);
static_assert(view.protocol() == IpProtocol::udp && view.options().empty());
static_assert(view.source() == Ipv4Address{10, 0, 0, 1} && view.destination() == Ipv4Address{10, 0, 0, 2});

Ipv4Fault parse(std::span<const std::byte> bytes) {
    Ipv4View parsed;
    return Ipv4View::parse(bytes, parsed);
}

TEST(Rfc791, PacketCutShortNamesWhatIsMissing) {
    for (std::size_t size = 0; size < ipv4_header_size; ++size)
        EXPECT_EQ(parse(std::span{sample}.first(size)), Ipv4Fault::truncated) << size;
    for (std::size_t size = ipv4_header_size; size < 28; ++size)
        EXPECT_EQ(parse(std::span{sample}.first(size)), Ipv4Fault::bad_total_length) << size;
    EXPECT_EQ(parse(std::span{sample}.first(28)), Ipv4Fault::none);
}

TEST(Rfc1122, VersionAndHeaderLengthAreChecked) {
    for (unsigned first = 0; first < 256; ++first) {
        auto changed = sample;
        changed[0] = static_cast<std::byte>(first);
        const Ipv4Fault expected = first >> 4 != 4                        ? Ipv4Fault::bad_version
                                   : (first & 15) < 5 || (first & 15) > 8 ? Ipv4Fault::bad_header_length
                                   : (first & 15) == 8                    ? Ipv4Fault::bad_total_length
                                                                          : Ipv4Fault::none;
        EXPECT_EQ(parse(changed), expected) << first;
    }
}

TEST(Rfc791, WhatIsWellFormedLiesWithinTheBuffer) {
    test::with_every_damage(sample, [](std::span<const std::byte> damaged) {
        Ipv4View parsed;
        if (Ipv4View::parse(damaged, parsed) != Ipv4Fault::none) return;
        EXPECT_LE(parsed.total_length(), damaged.size());
        EXPECT_EQ(parsed.header_size() + parsed.payload().size(), parsed.total_length());
        EXPECT_EQ(parsed.header_bytes().size(), ipv4_header_size + parsed.options().size());
        EXPECT_NE(check_ipv4_options(parsed.options()),
                  Ipv4OptionFault::source_route);  // the sample has none
    });
}

TEST(Rfc791, FragmentsAreTold) {
    auto changed = sample;
    Ipv4View parsed;
    store_be16(changed, 6, ipv4_more_fragments);
    ASSERT_EQ(Ipv4View::parse(changed, parsed), Ipv4Fault::none);
    EXPECT_TRUE(parsed.is_fragment());
    EXPECT_EQ(parsed.fragment_offset(), 0U);
    store_be16(changed, 6, 185);
    EXPECT_TRUE(parsed.is_fragment());
    EXPECT_FALSE(parsed.dont_fragment());
    EXPECT_EQ(parsed.fragment_offset(), 1480U);
}

static_assert(check_ipv4_options(test::bytes_of(1, 1, 1, 0)) == Ipv4OptionFault::none);
static_assert(check_ipv4_options(test::bytes_of(148, 4, 0, 0)) == Ipv4OptionFault::none);  // router alert
static_assert(check_ipv4_options(test::bytes_of(30, 4, 0xff, 0xff)) == Ipv4OptionFault::none);  // unknown
static_assert(check_ipv4_options(test::bytes_of(131, 3, 4, 0)) == Ipv4OptionFault::source_route);
static_assert(check_ipv4_options(test::bytes_of(1, 137, 3, 4)) == Ipv4OptionFault::source_route);
static_assert(check_ipv4_options(test::bytes_of(0, 137, 3, 4)) ==
              Ipv4OptionFault::none);  // beyond the end of the list
static_assert(check_ipv4_options(test::bytes_of(7, 0, 0, 0)) == Ipv4OptionFault::malformed);
static_assert(check_ipv4_options(test::bytes_of(7, 1, 0, 0)) == Ipv4OptionFault::malformed);
static_assert(check_ipv4_options(test::bytes_of(7, 5, 0, 0)) == Ipv4OptionFault::malformed);
static_assert(check_ipv4_options(test::bytes_of(1, 1, 1, 7)) == Ipv4OptionFault::malformed);

TEST(Rfc791, NoOptionsWhateverMakeTheWalkLeaveTheHeader) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 20000; ++round) {
        // On the heap and of the exact size, so that a sanitizer sees an octet read beyond.
        std::vector<std::byte> options(random() % 11 * 4);
        for (std::byte& octet : options)
            octet = static_cast<std::byte>(random() % 3 == 0 ? random() : random() % 8);
        // The model: walks the same list by index.
        std::size_t at = 0;
        Ipv4OptionFault expected = Ipv4OptionFault::none;
        while (at < options.size() && options[at] != std::byte{0}) {
            if (options[at] == std::byte{1}) {
                ++at;
                continue;
            }
            const std::size_t length =
                at + 1 < options.size() ? std::to_integer<std::size_t>(options[at + 1]) : 0;
            if (length < 2 || at + length > options.size()) {
                expected = Ipv4OptionFault::malformed;
                break;
            }
            if (options[at] == std::byte{131} || options[at] == std::byte{137})
                expected = Ipv4OptionFault::source_route;
            at += length;
        }
        ASSERT_EQ(check_ipv4_options(options), expected);
    }
}

}  // namespace ipv4_test
}  // namespace runnel::wire
