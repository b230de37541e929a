// Messages of IGMP and MLD: RFC 1112 appendix I, RFC 2236, RFC 2710, RFC 3376 section 4, RFC 3810 section 5.
#include <gtest/gtest.h>

#include "runnel/wire/describe_membership.hpp"
#include "runnel/wire/igmp.hpp"
#include "runnel/wire/mld.hpp"

#include "octets.hpp"

namespace runnel::wire {
namespace membership_test {

using test::Bytes;
using test::from_hex;

TEST(Rfc3376Format, CodesBeyondHalfTheirRangeAreFloating) {
    EXPECT_EQ(float_of_8_bits(0), 0U);
    EXPECT_EQ(float_of_8_bits(127), 127U);
    EXPECT_EQ(float_of_8_bits(0x80), 128U);
    EXPECT_EQ(float_of_8_bits(0x8f), 31U << 3);
    EXPECT_EQ(float_of_8_bits(0xff), 31744U);
    EXPECT_EQ(float_of_16_bits(32767), 32767U);
    EXPECT_EQ(float_of_16_bits(0x8000), 32768U);
    EXPECT_EQ(float_of_16_bits(0xffff), 8387584U);
}

TEST(Rfc3376Format, LengthAndCodeOfAQueryTellItsVersion) {
    const auto first = parse_igmp_query(from_hex("1100 0000 00000000"));
    ASSERT_TRUE(first);
    EXPECT_EQ(first->version, MembershipVersion::first);
    EXPECT_EQ(first->max_response, 10s);
    const auto second = parse_igmp_query(from_hex("1164 0000 ef010203"));
    ASSERT_TRUE(second);
    EXPECT_EQ(second->version, MembershipVersion::second);
    EXPECT_EQ(second->max_response, 10s);
    EXPECT_EQ(second->group, (IpAddress{Ipv4Address{239, 1, 2, 3}}));
    const auto message = from_hex("1180 0000 ef010203 0b 7d 0002 0a000001 0a000002");
    const auto third = parse_igmp_query(message);  // whose sources stay where they are
    ASSERT_TRUE(third);
    EXPECT_EQ(third->version, MembershipVersion::third);
    EXPECT_EQ(third->max_response, 12800ms);
    EXPECT_EQ(third->robustness, 3) << "the S flag is not of it";
    EXPECT_EQ(third->query_interval, 125s);
    ASSERT_EQ(third->source_count, 2);
    EXPECT_EQ(third->source(1), (IpAddress{Ipv4Address{10, 0, 0, 2}}));
}

TEST(Rfc3376Format, MessageThatIsNoQueryOrOfNoVersionIsNotRead) {
    for (const char* const text : {"", "1100 0000 000000", "1164 0000 ef010203 00",
                                   "1164 0000 ef010203 000000", "1164 0000 ef010203 0000 0001",
                                   "1164 0000 ef010203 0000 0002 0a000001 0a0000", "1600 0000 ef010203"})
        EXPECT_FALSE(parse_igmp_query(from_hex(text))) << text;
    EXPECT_EQ(parse_igmp_report(from_hex("1600 0000 ef010203")), (Ipv4Address{239, 1, 2, 3}));
    EXPECT_EQ(parse_igmp_report(from_hex("1200 0000 ef010203")), (Ipv4Address{239, 1, 2, 3}));
    EXPECT_FALSE(parse_igmp_report(from_hex("2200 0000 ef010203")));
    EXPECT_FALSE(parse_igmp_report(from_hex("1600 0000 ef0102")));
}

TEST(Rfc2113, RouterAlertIsFoundAmongTheOptions) {
    EXPECT_TRUE(has_ipv4_router_alert(from_hex("94040000")));
    EXPECT_TRUE(has_ipv4_router_alert(from_hex("01 0703ff 94040000")));
    for (const char* const text : {"", "00", "00 94040000", "01010101", "0704ffff", "07", "0700 94040000"})
        EXPECT_FALSE(has_ipv4_router_alert(from_hex(text))) << text;
}

TEST(Rfc3810Format, LengthOfAQueryTellsItsVersion) {
    const std::string group = "ff15 0000 0000 0000 0000 0000 0000 1234";
    const auto second = parse_mld_query(from_hex("8200 0000 2710 0000" + group));
    ASSERT_TRUE(second);
    EXPECT_EQ(second->version, MembershipVersion::second);
    EXPECT_EQ(second->max_response, 10s);
    const auto message =
        from_hex("8200 0000 8000 0000" + group + "02 80 0001 2001 0db8 0000 0000 0000 0000 0000 0007");
    const auto third = parse_mld_query(message);  // whose sources stay where they are
    ASSERT_TRUE(third);
    EXPECT_EQ(third->version, MembershipVersion::third);
    EXPECT_EQ(third->max_response, 32768ms);
    EXPECT_EQ(third->query_interval, 128s);
    ASSERT_EQ(third->source_count, 1);
    EXPECT_EQ(third->source(0), (IpAddress{Ipv6Address::of(0x2001'0db8'0000'0000, 7)}));
    EXPECT_FALSE(parse_mld_query(from_hex("8200 0000 2710 0000" + group + "0202")));
    EXPECT_FALSE(parse_mld_query(from_hex("8200 0000 2710 0000" + group + "0202 0001")));
    EXPECT_FALSE(parse_mld_query(from_hex("8300 0000 2710 0000" + group)));
    EXPECT_TRUE(parse_mld_report(from_hex("8300 0000 0000 0000" + group)));
    EXPECT_FALSE(parse_mld_report(from_hex("8300 0000 0000 0000 ff15")));
}

TEST(Rfc2711, RouterAlertForMldIsFoundInTheHopByHopHeader) {
    const auto has = [](unsigned next, std::string_view extension) {
        Bytes packet(ipv6_header_size);
        packet[6] = static_cast<std::byte>(next);
        const Bytes rest = from_hex(extension);
        packet.insert(packet.end(), rest.begin(), rest.end());
        return has_mld_router_alert(packet, packet.size());
    };
    EXPECT_TRUE(has(0, "3a00 0502 0000 0100"));
    EXPECT_TRUE(has(0, "3a00 0000 0502 0000"));
    EXPECT_TRUE(has(0, "3a01 0104 00000000 0100 0502 0000 0100"));
    EXPECT_FALSE(has(0, "3a00 0502 0001 0100")) << "for RSVP";
    EXPECT_FALSE(has(0, "3a00 0104 00000000"));
    EXPECT_FALSE(has(60, "3a00 0502 0000 0100")) << "among the destination's options";
    EXPECT_FALSE(has(58, ""));
}

TEST(DescribeMembership, SaysWhatAMessageAsksOrTells) {
    const std::string group = "ff15 0000 0000 0000 0000 0000 0000 1234";
    const std::string source = "2001 0db8 0000 0000 0000 0000 0000 0007";
    EXPECT_EQ(describe_igmp(from_hex("1164 0000 00000000 027d 0000")), "igmp query v3 [max resp 10000 ms]");
    EXPECT_EQ(describe_igmp(from_hex("110a 0000 ef010203 027d 0001 0a000001")),
              "igmp query v3 [max resp 1000 ms] [gaddr 239.1.2.3 { 10.0.0.1 }]");
    EXPECT_EQ(describe_igmp(from_hex("1600 0000 ef010203")), "igmp v2 report 239.1.2.3");
    EXPECT_EQ(describe_igmp(from_hex("1700 0000 ef010203")), "igmp leave 239.1.2.3");
    EXPECT_EQ(
        describe_igmp(from_hex("2200 0000 0000 0002 04000000 ef010203 05000001 ef010204 0a000001")),
        "igmp v3 report, 2 group record(s) [gaddr 239.1.2.3 to_ex { }] [gaddr 239.1.2.4 allow { 10.0.0.1 }]");
    EXPECT_EQ(describe_igmp(from_hex("2200 0000 0000 0002 09000000 ef010203 0500")),
              "igmp v3 report, 2 group record(s) [gaddr 239.1.2.3 [unknown record] { }] [truncated]");
    EXPECT_EQ(describe_igmp(from_hex("1164 0000 00000000 00")), "igmp query [malformed]");
    EXPECT_EQ(describe_igmp(from_hex("16")), "igmp [truncated]");
    EXPECT_EQ(describe_igmp(from_hex("4200 0000 00000000")), "igmp type-#66");
    EXPECT_EQ(describe_mld(from_hex("8200 0000 03e8 0000" + group)),
              "multicast listener query v1 [max resp 1000 ms] [gaddr ff15::1234]");
    EXPECT_EQ(describe_mld(from_hex("8300 0000 0000 0000" + group)), "multicast listener report ff15::1234");
    EXPECT_EQ(describe_mld(from_hex("8400 0000 0000 0000" + group)), "multicast listener done ff15::1234");
    EXPECT_EQ(describe_mld(from_hex("8400 0000 0000 0000 ff")), "multicast listener done [truncated]");
    EXPECT_EQ(describe_mld(from_hex("8f00 0000 0000 0001 03000001" + group + source)),
              "multicast listener report v2, 1 group record(s) [gaddr ff15::1234 to_in { 2001:db8::7 }]");
}

}  // namespace membership_test
}  // namespace runnel::wire
