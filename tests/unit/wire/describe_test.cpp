// The line of a frame, against what tcpdump -nn prints for the same octets.
#include "runnel/wire/describe.hpp"

#include <string>

#include <gtest/gtest.h>

#include "octets.hpp"
#include "seed.hpp"

namespace runnel::wire {
namespace describe_test {

using test::from_hex;

constexpr std::string_view ethernet = "020000000002 020000000001 0800";
constexpr std::string_view arp_ethernet = "ffffffffffff 020000000001 0806";

// An IPv4 header from 10.0.0.1 to 10.0.0.2 whose total length is right for `payload`, the checksum 0, and the
// payload.
std::string ipv4(unsigned protocol, std::string_view payload, std::string_view flags_and_offset = "4000") {
    const auto total = static_cast<unsigned>(20 + from_hex(payload).size());
    char header[64];
    std::snprintf(header, sizeof header, "4500%04x0001%.*s40%02x00000a0000010a000002", total,
                  static_cast<int>(flags_and_offset.size()), flags_and_offset.data(), protocol);
    return std::string{header} + std::string{payload};
}

std::string line(std::string_view payload, unsigned protocol = 6) {
    return describe(from_hex(std::string{ethernet} + ipv4(protocol, payload)));
}

// Ports 1234 and 80, seq 1, ack 2; data offset and flags follow, window 65535, urgent pointer 5.
std::string tcp(std::string_view offset_and_flags, std::string_view rest = "") {
    return "04d2 0050 00000001 00000002" + std::string{offset_and_flags} + "ffff 0000 0005" +
           std::string{rest};
}

TEST(Describe, SynShowsItsSequenceNumberAndOptions) {
    EXPECT_EQ(line(tcp("a002", "020405b4 0402080a 00000001 00000000 01030307")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 1, win 65535, "
              "options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0");
}

TEST(Describe, SynAckShowsBothNumbers) {
    EXPECT_EQ(line(tcp("5012")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S.], seq 1, ack 2, win 65535, length 0");
}

TEST(Describe, PureAckLeavesOutItsSequenceNumberAsTcpdumpDoes) {
    EXPECT_EQ(line(tcp("5010")), "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 2, win 65535, length 0");
}

TEST(Describe, DataShowsItsRange) {
    EXPECT_EQ(line(tcp("5018", "68656c6c6f")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [P.], seq 1:6, ack 2, win 65535, length 5");
}

TEST(Describe, RangeOfDataWrapsAroundTheNumberSpace) {
    EXPECT_EQ(line("04d2 0050 ffffffff 00000002 5010 ffff 0000 0000 6869"),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], seq 4294967295:1, ack 2, win 65535, length 2");
}

TEST(Describe, EachFlagHasItsLetter) {
    EXPECT_EQ(line(tcp("50ff")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [FSRP.UEW], seq 1, ack 2, win 65535, urg 5, length 0");
    EXPECT_EQ(line(tcp("5000")), "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [none], win 65535, length 0");
    EXPECT_EQ(line(tcp("5004")), "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [R], seq 1, win 65535, length 0");
    EXPECT_EQ(line(tcp("5011")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [F.], seq 1, ack 2, win 65535, length 0");
}

TEST(Describe, FastOpenIsShownAsTcpdumpDoes) {
    EXPECT_EQ(line(tcp("6002", "01012202")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 1, win 65535, "
              "options [nop,nop,tfo  cookiereq], length 0");
    EXPECT_EQ(line(tcp("8002", "220a0102030405060708 0101")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 1, win 65535, "
              "options [tfo  cookie 0102030405060708,nop,nop], length 0");
    EXPECT_EQ(line(tcp("7002", "2205010203 010101")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 1, win 65535, "
              "options [tfo [length 5],nop,nop,nop], length 0");
}

TEST(Describe, SackBlocksAndUnknownOptionsAreShown) {
    EXPECT_EQ(line(tcp("b010", "01010512 0000000a00000014 0000001e00000028 fd04f989")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 2, win 65535, "
              "options [nop,nop,sack 2 {10:20}{30:40},unknown-253 0xf989], length 0");
    EXPECT_EQ(line(tcp("6010", "01 00 ffff")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 2, win 65535, options [nop,eol], length 0");
}

TEST(Describe, WrongOptionsSayWhatIsWrong) {
    EXPECT_EQ(line(tcp("7010", "0203ff 01 080affff")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 2, win 65535, "
              "options [mss [length 3],nop,[bad opt]], length 0");
    EXPECT_EQ(line(tcp("6010", "01010103")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 2, win 65535, options [nop,nop,nop,[bad opt]], "
              "length 0");
}

TEST(Describe, WrongTcpHeadersSayWhatIsWrong) {
    EXPECT_EQ(line("04d2 0050 0000"), "IP 10.0.0.1 > 10.0.0.2: [truncated TCP header]");
    EXPECT_EQ(line(tcp("4010")), "IP 10.0.0.1.1234 > 10.0.0.2.80: [bad TCP header length 16]");
    EXPECT_EQ(line(tcp("6010")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: [bad TCP header length 24, 20 octets of segment]");
}

TEST(Describe, PaddingOfTheLinkIsNotPayload) {
    EXPECT_EQ(describe(from_hex(std::string{ethernet} + ipv4(6, tcp("5010")) + "000000000000")),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 2, win 65535, length 0");
}

TEST(Describe, PacketMayStartAtItsIpHeader) {
    EXPECT_EQ(describe_ip(from_hex(ipv4(6, tcp("5010")))),
              "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 2, win 65535, length 0");
    EXPECT_EQ(describe_ip({}), "IP [truncated IP header]");
}

TEST(Describe, WrongIpHeadersSayWhatIsWrong) {
    EXPECT_EQ(describe_ip(from_hex("4500 0014")), "IP [truncated IP header]");
    EXPECT_EQ(describe_ip(from_hex("4400 0014 0001 4000 4006 0000 0a000001 0a000002")),
              "IP [bad IP header length 16, 20 octets of packet]");
    EXPECT_EQ(describe_ip(from_hex("4500 0100 0001 4000 4006 0000 0a000001 0a000002")),
              "IP [bad IP total length 256, 20 octets of packet]");
    EXPECT_EQ(describe_ip(from_hex("5500 0014 0001 4000 4006 0000 0a000001 0a000002")),
              "IP [version 5 in IPv4]");
}

TEST(Describe, FragmentSaysWhereItLies) {
    EXPECT_EQ(describe_ip(from_hex(ipv4(17, "0102030405060708", "20b9"))),
              "IP 10.0.0.1 > 10.0.0.2: ip-proto-17, fragment at 1480, length 8");
    EXPECT_EQ(describe_ip(from_hex(ipv4(17, "0102030405060708", "2000"))),
              "IP 10.0.0.1 > 10.0.0.2: ip-proto-17, fragment at 0, length 8");
}

TEST(Describe, UdpShowsTheOctetsOfItsPayload) {
    EXPECT_EQ(line("04d2 270f 000c 0000 01020304", 17), "IP 10.0.0.1.1234 > 10.0.0.2.9999: UDP, length 4");
    EXPECT_EQ(line("04d2 270f 0010 0000 01020304", 17),
              "IP 10.0.0.1.1234 > 10.0.0.2.9999: [bad UDP length 16, 12 octets of datagram]");
    EXPECT_EQ(line("04d2 270f", 17), "IP 10.0.0.1 > 10.0.0.2: [truncated UDP header]");
}

TEST(Describe, IcmpEchoShowsItsNumbers) {
    EXPECT_EQ(line("0800 0000 0007 0003 0102", 1),
              "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 3, length 10");
    EXPECT_EQ(line("0000 0000 0007 0003", 1),
              "IP 10.0.0.1 > 10.0.0.2: ICMP echo reply, id 7, seq 3, length 8");
    EXPECT_EQ(line("0800 0000 0007", 1), "IP 10.0.0.1 > 10.0.0.2: [truncated ICMP header]");
}

TEST(Describe, IcmpErrorsShowWhatTheyQuote) {
    const std::string udp = "4500 0024 0001 4000 4011 0000 0a000009 0a000008 04d2 0035 0010 0000";
    const std::string prefix = "IP 10.0.0.1 > 10.0.0.2: ICMP ";
    EXPECT_EQ(line("0300 0000 00000000" + udp, 1), prefix + "net 10.0.0.8 unreachable, length 36");
    EXPECT_EQ(line("0301 0000 00000000" + udp, 1), prefix + "host 10.0.0.8 unreachable, length 36");
    EXPECT_EQ(line("0302 0000 00000000" + udp, 1), prefix + "10.0.0.8 protocol 17 unreachable, length 36");
    EXPECT_EQ(line("0303 0000 00000000" + udp, 1), prefix + "10.0.0.8 udp port 53 unreachable, length 36");
    EXPECT_EQ(line("0304 0000 00000578" + udp, 1),
              prefix + "10.0.0.8 unreachable - need to frag (mtu 1400), length 36");
    EXPECT_EQ(line("0305 0000 00000000" + udp, 1),
              prefix + "10.0.0.8 unreachable - source route failed, length 36");
    EXPECT_EQ(line("0363 0000 00000000" + udp, 1), prefix + "10.0.0.8 unreachable - #99, length 36");
    EXPECT_EQ(line("0b00 0000 00000000" + udp, 1), prefix + "time exceeded in-transit, length 36");
    EXPECT_EQ(line("0501 0000 0a0000fe" + udp, 1),
              prefix + "redirect 10.0.0.8 to host 10.0.0.254, length 36");
    EXPECT_EQ(line("0303 0000 00000000 4500", 1),
              prefix + "unreachable, code 3 [truncated quote], length 10");
}

TEST(Describe, ArpAsksAndAnswers) {
    const std::string rest = "020000000001 0a000001 000000000000 0a000002";
    EXPECT_EQ(describe(from_hex(std::string{arp_ethernet} + "0001 0800 0604 0001" + rest)),
              "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28");
    EXPECT_EQ(describe(from_hex(std::string{arp_ethernet} + "0001 0800 0604 0002" + rest)),
              "ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:01, length 28");
    EXPECT_EQ(describe(from_hex(std::string{arp_ethernet} + "0001 0800 0604 0009" + rest)),
              "ARP, Unknown (9), length 28");
    EXPECT_EQ(describe(from_hex(std::string{arp_ethernet} + "0006 0800 0604 0001" + rest)),
              "ARP, [hardware type 6, protocol 0x0800, not IPv4 over Ethernet]");
    EXPECT_EQ(describe(from_hex(std::string{arp_ethernet} + "0001 0800")), "ARP, [truncated ARP packet]");
}

TEST(Describe, VlanTagsStandInFront) {
    EXPECT_EQ(describe(from_hex("020000000002 020000000001 8100 b005 0800" + ipv4(6, tcp("5010")))),
              "vlan 5, p 5, DEI, IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 2, win 65535, length 0");
    EXPECT_EQ(describe(from_hex("020000000002 020000000001 8100 0005 8100 0006 88cc 0000")),
              "vlan 5, p 0, vlan 6, p 0, ethertype 0x88cc, length 2");
    EXPECT_EQ(describe(from_hex("020000000002 020000000001 8100 0005 08")), "[truncated VLAN tag]");
    EXPECT_EQ(describe(from_hex("020000000002 0200")), "[truncated Ethernet header]");
}

TEST(Describe, Ipv6ShowsItsTransport) {
    const std::string addresses = "20010db8000000000000000000000001 20010db8000000000000000000000002";
    EXPECT_EQ(describe_ip(from_hex("60000000 0014 0640" + addresses + tcp("5002"))),
              "IP6 2001:db8::1.1234 > 2001:db8::2.80: Flags [S], seq 1, win 65535, length 0");
    EXPECT_EQ(describe_ip(from_hex("60000000 0004 3a40" + addresses + "80000000")),
              "IP6 2001:db8::1 > 2001:db8::2: ICMP6, [truncated], length 4");
    EXPECT_EQ(describe_ip(from_hex("60000000 0008 3a40" + addresses + "80000000 00070003")),
              "IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo request, id 7, seq 3, length 8");
    EXPECT_EQ(describe_ip(from_hex("60000000 0018 3aff" + addresses +
                                   "88000000 60000000 20010db8000000000000000000000001")),
              "IP6 2001:db8::1 > 2001:db8::2: ICMP6, neighbor advertisement, tgt is 2001:db8::1, flags [SO], "
              "length 24");
    EXPECT_EQ(describe_ip(from_hex("60000000 0010 2c40" + addresses + "06000009 00000001 1122334455667788")),
              "IP6 2001:db8::1 > 2001:db8::2: frag (8|16)");
    EXPECT_EQ(describe_ip(from_hex("60000000 001c 3c40" + addresses + "0600010400000000" + tcp("5002"))),
              "IP6 2001:db8::1.1234 > 2001:db8::2.80: Flags [S], seq 1, win 65535, length 0");
    EXPECT_EQ(describe_ip(from_hex("60000000 0000 3b40" + addresses)),
              "IP6 2001:db8::1 > 2001:db8::2: no next header");
    EXPECT_EQ(describe_ip(from_hex("60000000 0014 0640" + addresses)),
              "IP6 [bad IPv6 payload length 20, 0 octets of payload]");
    EXPECT_EQ(describe_ip(from_hex("6000")), "IP6 [truncated IPv6 header]");
}

TEST(Describe, EveryDamagedFrameIsALineWithoutAReadBeyondIt) {
    const std::string head{ethernet};
    const std::string quote = ipv4(17, "04d2 0035 0010 0000");
    for (const std::string& sample : {
             head + ipv4(6, tcp("a012", "020405b4 0402080a 00000001 00000000 01030307") + "6869"),
             head + ipv4(6, tcp("8010", "0101050a 0000000a00000014")),
             head + ipv4(17, "04d2 0035 000a 0000 0102"),
             head + ipv4(1, "0303 0000 00000000" + quote),
             std::string{arp_ethernet} + "0001 0800 0604 0001 020000000001 0a000001 000000000000 0a000002",
             "020000000002 020000000001 8100 0005 0800" + ipv4(6, tcp("5010")),
         })
        test::with_every_damage(from_hex(sample), [](std::span<const std::byte> frame) {
            const std::string text = describe(frame);
            ASSERT_FALSE(text.empty());
            for (const char c : text) ASSERT_TRUE(c >= ' ' && c <= '~') << text;
        });
}

TEST(Describe, RandomOctetsAreALine) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 20000; ++round) {
        const test::ExactCopy octets{test::random_bytes(random, random() % 80)};
        ASSERT_FALSE(describe(octets.span()).empty());
        ASSERT_FALSE(describe_ip(octets.span()).empty());
    }
}

}  // namespace describe_test
}  // namespace runnel::wire
