// Addresses and their text.
#include "runnel/base/ip_address.hpp"

#include <string>

#include <gtest/gtest.h>

namespace runnel {
namespace ip_address_test {

static_assert(sizeof(IpAddress) == 16 && sizeof(Ipv4Address) == 4 && sizeof(MacAddress) == 6);
static_assert(Ipv4Address{10, 0, 0, 1}.value == 0x0a000001);
static_assert(IpAddress{Ipv4Address{10, 0, 0, 1}}.is_v4());
static_assert(IpAddress{Ipv4Address{10, 0, 0, 1}}.v4() == Ipv4Address{10, 0, 0, 1});
static_assert(!IpAddress{Ipv6Address{}}.is_v4());
static_assert(IpAddress{}.is_unspecified() && IpAddress{Ipv6Address{}}.is_unspecified());
static_assert(Ipv4Address{224, 0, 0, 1}.is_multicast() && !Ipv4Address{240, 0, 0, 1}.is_multicast());
static_assert(Ipv4Address{240, 0, 0, 1}.is_reserved() && Ipv4Address{127, 1, 2, 3}.is_loopback());
static_assert(MacAddress::broadcast().is_group() && !MacAddress{{2, 0, 0, 0, 0, 1}}.is_group());

static_assert(nth_after(Ipv4Address{10, 0, 0, 255}, 2) == IpAddress{Ipv4Address{10, 0, 1, 1}});
static_assert(nth_after(Ipv6Address::of(1, UINT64_MAX), 1) == IpAddress{Ipv6Address::of(2, 0)});

TEST(IpAddress, ReadsWhatItWrites) {
    for (const char* text : {"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1",
                             "fe80::1:0:0:1", "1:2:3:4:5:6:7:8", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
        const auto address = parse_ip_address(text);
        ASSERT_TRUE(address.has_value()) << text;
        EXPECT_EQ(to_string(*address), text);
    }
}

TEST(Rfc5952, WritesAddressesInTheCanonicalForm) {
    EXPECT_EQ(to_string(*parse_ip_address("2001:0DB8:0:0:0:0:0:0001")), "2001:db8::1");
    EXPECT_EQ(to_string(*parse_ip_address("2001:db8:0:1:1:1:1:1")), "2001:db8:0:1:1:1:1:1")
        << "one zero stays";
    EXPECT_EQ(to_string(*parse_ip_address("2001:db8:0:0:1:0:0:1")), "2001:db8::1:0:0:1")
        << "the first of equals";
    EXPECT_EQ(to_string(*parse_ip_address("2001:0:0:1:0:0:0:1")), "2001:0:0:1::1") << "the longest";
}

TEST(IpAddress, TakesTheMappedFormForTheIpv4AddressThatItIs) {
    const auto address = parse_ip_address("::ffff:192.0.2.7");
    ASSERT_TRUE(address.has_value());
    EXPECT_TRUE(address->is_v4());
    EXPECT_EQ(to_string(*address), "192.0.2.7");
    EXPECT_EQ(to_string(address->v6()), "::ffff:192.0.2.7");
}

TEST(IpAddress, RefusesTextThatIsNotWhollyAnAddress) {
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {""sv, "10.0.0"sv, "10.0.0.256"sv, "10.0.0.1 "sv, " 10.0.0.1"sv, "10.0.0.1\0"sv, "10.0.0.1\0x"sv,
          "010.0.0.1"sv, "10.0.0.1/8"sv, ":::"sv, "1::2::3"sv, "1:2:3:4:5:6:7"sv, "fe80::1%eth0"sv, "[::1]"sv,
          "localhost"sv, "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv})
        EXPECT_FALSE(parse_ip_address(text).has_value()) << text;
}

TEST(IpAddress, ReadsAPieceOfALongerText) {
    const std::string_view text = "10.0.0.12";
    EXPECT_EQ(parse_ip_address(text.substr(0, 8)), IpAddress{(Ipv4Address{10, 0, 0, 1})});
}

TEST(MacAddress, ReadsWhatItWrites) {
    const MacAddress address{{0x02, 0x00, 0xab, 0xcd, 0xef, 0x01}};
    EXPECT_EQ(to_string(address), "02:00:ab:cd:ef:01");
    EXPECT_EQ(parse_mac_address("02:00:ab:cd:ef:01"), address);
    EXPECT_EQ(parse_mac_address("02:00:AB:CD:EF:01"), address);
}

TEST(MacAddress, RefusesTextThatIsNotWhollyAnAddress) {
    for (const char* text :
         {"", "02:00:ab:cd:ef", "02:00:ab:cd:ef:0", "02:00:ab:cd:ef:011", "02-00-ab-cd-ef-01",
          "02:00:ab:cd:ef:g1", "02:00:ab:cd:ef:1g", "020:0:ab:cd:ef:01", "+2:00:ab:cd:ef:01"})
        EXPECT_FALSE(parse_mac_address(text).has_value()) << text;
}

}  // namespace ip_address_test
}  // namespace runnel
