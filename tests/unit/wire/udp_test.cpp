// UDP headers: RFC 768.
#include "runnel/wire/udp.hpp"

#include <array>

#include <gtest/gtest.h>

#include "octets.hpp"

namespace runnel::wire {
namespace udp_test {

constexpr auto sample = test::bytes_of(0x12, 0x34, 0, 53, 0, 11, 0xab, 0xcd, 1, 2, 3, 0, 0);
constexpr UdpView view = [] {
    UdpView in;
    return UdpView::parse(sample, in) == UdpFault::none ? in : UdpView{};
}();
static_assert(view.source_port() == 0x1234 && view.destination_port() == 53 && view.length() == 11);
static_assert(view.checksum() == 0xabcd && view.payload().size() == 3);
static_assert([] {
    std::array<std::byte, udp_header_size> octets{};
    write(UdpHeader{0x1234, 53, 11, 0xabcd}, octets);
    return octets == test::bytes_of(0x12, 0x34, 0, 53, 0, 11, 0xab, 0xcd);
}());

TEST(Rfc768, DatagramCutShortNamesWhatIsMissing) {
    UdpView in;
    for (std::size_t size = 0; size < udp_header_size; ++size)
        EXPECT_EQ(UdpView::parse(std::span{sample}.first(size), in), UdpFault::truncated) << size;
    for (std::size_t size = udp_header_size; size < 11; ++size)
        EXPECT_EQ(UdpView::parse(std::span{sample}.first(size), in), UdpFault::bad_length) << size;
    EXPECT_EQ(UdpView::parse(std::span{sample}.first(11), in), UdpFault::none);
}

TEST(Rfc768, WhatIsWellFormedLiesWithinTheBuffer) {
    test::with_every_damage(sample, [](std::span<const std::byte> damaged) {
        UdpView in;
        if (UdpView::parse(damaged, in) != UdpFault::none) return;
        EXPECT_LE(in.length(), damaged.size());
        EXPECT_EQ(in.payload().size() + udp_header_size, in.length());
    });
}

TEST(Rfc768, LengthBelowTheHeadersIsRefused) {
    UdpView in;
    auto changed = sample;
    for (unsigned length = 0; length < udp_header_size; ++length) {
        changed[5] = static_cast<std::byte>(length);
        EXPECT_EQ(UdpView::parse(changed, in), UdpFault::bad_length) << length;
    }
}

}  // namespace udp_test
}  // namespace runnel::wire
