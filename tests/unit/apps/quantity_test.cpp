// Numbers, times, rates and addresses as a person writes them.
#include "quantity.hpp"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::app {
namespace quantity_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Quantity, CountTakesSuffixesAndFractionsThatComeOutWhole) {
    EXPECT_EQ(parse_count("0"), 0U);
    EXPECT_EQ(parse_count("500"), 500U);
    EXPECT_EQ(parse_count("20k"), 20'000U);
    EXPECT_EQ(parse_count("1.5M"), 1'500'000U);
    EXPECT_EQ(parse_count("2.00"), 2U);
    EXPECT_EQ(parse_count("0.5k"), 500U);
}

TEST(Quantity, CountThatIsNotWholeIsRefused) {
    EXPECT_THAT([] { (void)parse_count("1.5"); },
                ThrowsMessage<BadQuantity>(HasSubstr("not a whole number")));
    EXPECT_THAT([] { (void)parse_count("0.0001k"); },
                ThrowsMessage<BadQuantity>(HasSubstr("not a whole number")));
}

TEST(Quantity, WrongCountNamesTheTextAndTheMend) {
    EXPECT_THAT([] { (void)parse_count("12x"); },
                ThrowsMessage<BadQuantity>(AllOf(HasSubstr("\"12x\""), HasSubstr("1.5M"))));
    EXPECT_THAT([] { (void)parse_count(""); }, ThrowsMessage<BadQuantity>(HasSubstr("not a number")));
    EXPECT_THAT([] { (void)parse_count("-1"); }, ThrowsMessage<BadQuantity>(HasSubstr("not a number")));
    EXPECT_THAT([] { (void)parse_count("."); }, ThrowsMessage<BadQuantity>(HasSubstr("not a number")));
}

TEST(Quantity, CountThatDoesNotFitIsRefused) {
    EXPECT_EQ(parse_count("18G"), 18'000'000'000U);
    EXPECT_THROW((void)parse_count("99999999999999999999"), BadQuantity);
    EXPECT_THROW((void)parse_count("99999999999G"), BadQuantity);
}

TEST(Quantity, RateIsACountASecondOrMax) {
    EXPECT_EQ(parse_rate("max"), std::nullopt);
    EXPECT_EQ(parse_rate("50k"), 50'000U);
    EXPECT_EQ(parse_rate("1.2M/s"), 1'200'000U);
    EXPECT_THAT([] { (void)parse_rate("0"); }, ThrowsMessage<BadQuantity>(HasSubstr("at least 1 a second")));
    EXPECT_THAT([] { (void)parse_rate("fast"); }, ThrowsMessage<BadQuantity>(HasSubstr("max")));
}

TEST(Quantity, DurationTakesEveryUnit) {
    EXPECT_EQ(parse_duration("7ns"), 7ns);
    EXPECT_EQ(parse_duration("1.5us"), 1500ns);
    EXPECT_EQ(parse_duration("200ms"), 200ms);
    EXPECT_EQ(parse_duration("0.1s"), 100ms);
    EXPECT_EQ(parse_duration("2m"), 120s);
    EXPECT_EQ(parse_duration("1h"), 3600s);
    EXPECT_EQ(parse_duration("0"), 0s);
}

TEST(Quantity, DurationWithoutUnitIsRefusedWithTheMend) {
    EXPECT_THAT([] { (void)parse_duration("5"); },
                ThrowsMessage<BadQuantity>(AllOf(HasSubstr("no unit"), HasSubstr("5s"))));
    EXPECT_THAT([] { (void)parse_duration("5min"); }, ThrowsMessage<BadQuantity>(HasSubstr("\"min\"")));
    EXPECT_THROW((void)parse_duration("9999999h"), BadQuantity);
}

TEST(Quantity, EveryDurationReadsBackFromItsShortestForm) {
    std::mt19937_64 random(test::seed());
    for (int i = 0; i < 2000; ++i) {
        const Duration duration{static_cast<Duration::rep>(random() >> (2 + random() % 62))};
        EXPECT_EQ(parse_duration(human_duration(duration)), duration) << human_duration(duration);
    }
    EXPECT_EQ(human_duration(200ms), "200ms");
    EXPECT_EQ(human_duration(1500us), "1.5ms");
    EXPECT_EQ(human_duration(2min), "2m");
}

TEST(Quantity, SocketAddressNeedsAPort) {
    EXPECT_EQ(parse_socket_address("192.0.2.1:80"), (SocketAddress{Ipv4Address{192, 0, 2, 1}, 80}));
    EXPECT_THAT([] { (void)parse_socket_address("192.0.2.1"); },
                ThrowsMessage<BadQuantity>(HasSubstr("192.0.2.1:80")));
    EXPECT_THROW((void)parse_socket_address("192.0.2.1:0"), BadQuantity);
    EXPECT_THROW((void)parse_socket_address("192.0.2.1:65536"), BadQuantity);
    EXPECT_THROW((void)parse_socket_address("192.0.2:80"), BadQuantity);
    const Ipv6Address v6 = Ipv6Address::of(0x2001'0db8'0000'0000, 1);
    EXPECT_EQ(parse_socket_address("[2001:db8::1]:80"), (SocketAddress{v6, 80}));
    for (const char* const bad :
         {"2001:db8::1:80", "[2001:db8::1]", "[192.0.2.1]:80", "[2001:db8::1]80", "[]:80", "[2001:db8::1:80"})
        EXPECT_THROW((void)parse_socket_address(bad), BadQuantity) << bad;
}

TEST(Quantity, InterfaceAddressNeedsAPrefixLength) {
    EXPECT_EQ(parse_interface_address("10.1.2.3/8"), (InterfaceAddress{Ipv4Address{10, 1, 2, 3}, 8}));
    EXPECT_THAT([] { (void)parse_interface_address("10.1.2.3"); },
                ThrowsMessage<BadQuantity>(HasSubstr("10.1.2.3/24")));
    EXPECT_THROW((void)parse_interface_address("10.1.2.3/33"), BadQuantity);
    EXPECT_THROW((void)parse_interface_address("10.1.2.256/24"), BadQuantity);
    const Ipv6Address v6 = Ipv6Address::of(0x2001'0db8'0000'0000, 1);
    EXPECT_EQ(parse_interface_address("2001:db8::1/64"), (InterfaceAddress{v6, 64}));
    EXPECT_THAT([] { (void)parse_interface_address("2001:db8::1"); },
                ThrowsMessage<BadQuantity>(HasSubstr("2001:db8::1/64")));
    EXPECT_THROW((void)parse_interface_address("2001:db8::1/129"), BadQuantity);
    EXPECT_THROW((void)parse_address("2001:db8::1::2"), BadQuantity);
}

TEST(Quantity, HumanCountShowsThreeFigures) {
    EXPECT_EQ(human_count(0), "0");
    EXPECT_EQ(human_count(950), "950");
    EXPECT_EQ(human_count(1'210'000), "1.21 M");
    EXPECT_EQ(human_count(999'900), "1.00 M");
    EXPECT_EQ(human_count(28'700), "28.7 k");
}

}  // namespace quantity_test
}  // namespace runnel::app
