// ICMP messages and the packets that errors quote: RFC 792.
#include "runnel/wire/icmp.hpp"

#include <array>

#include <gtest/gtest.h>

#include "octets.hpp"

namespace runnel::wire {
namespace icmp_test {

constexpr auto echo = test::bytes_of(8, 0, 0x12, 0x34, 0xab, 0xcd, 0x00, 0x07, 1, 2, 3);
static_assert(IcmpView::parse(echo)->type() == IcmpType::echo_request);
static_assert(IcmpView::parse(echo)->code() == 0 && IcmpView::parse(echo)->checksum() == 0x1234);
static_assert(IcmpView::parse(echo)->identifier() == 0xabcd && IcmpView::parse(echo)->sequence() == 7);
static_assert(IcmpView::parse(echo)->payload().size() == 3);
static_assert([] {
    std::array<std::byte, icmp_header_size> octets{};
    write(IcmpHeader{IcmpType::destination_unreachable, 4, 0x0102, 1400}, octets);
    return octets == test::bytes_of(3, 4, 1, 2, 0, 0, 0x05, 0x78) &&
           IcmpView::parse(octets)->next_hop_mtu() == 1400;
}());
static_assert(is_icmp_error(IcmpType::redirect) && !is_icmp_error(IcmpType::echo_reply));

// A TCP segment from 10.0.0.1:80 to 10.0.0.2:4660, sequence number 0x01020304, eight octets of it.
constexpr auto quote = test::bytes_of(0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0,
                                      80, 0x12, 0x34, 1, 2, 3, 4);
constexpr auto parsed = parse_quoted_packet(quote);
static_assert(parsed->protocol == IpProtocol::tcp && parsed->source == Ipv4Address{10, 0, 0, 1} &&
              parsed->destination == Ipv4Address{10, 0, 0, 2} && parsed->source_port == 80 &&
              parsed->destination_port == 0x1234 && parsed->sequence == 0x01020304 &&
              parsed->total_length == 40);

TEST(Rfc792, MessageShorterThanItsHeaderIsRefused) {
    for (std::size_t size = 0; size < icmp_header_size; ++size)
        EXPECT_FALSE(IcmpView::parse(std::span{echo}.first(size))) << size;
}

TEST(Rfc792, QuoteWithoutEightOctetsOfTransportIsRefused) {
    test::with_every_damage(quote, [](std::span<const std::byte> damaged) {
        if (damaged.size() < quote.size()) {
            EXPECT_FALSE(parse_quoted_packet(damaged)) << damaged.size();
        }
    });
}

TEST(Rfc792, QuoteThatIsMalformedOrALaterFragmentIsRefused) {
    const auto with = [](std::size_t at, unsigned value) {
        auto changed = quote;
        changed[at] = static_cast<std::byte>(value);
        return parse_quoted_packet(changed).has_value();
    };
    EXPECT_TRUE(with(0, 0x45));
    EXPECT_FALSE(with(0, 0x55));  // version
    EXPECT_FALSE(with(0, 0x44));  // IHL too small
    EXPECT_FALSE(with(0, 0x46));  // IHL beyond what is quoted
    EXPECT_FALSE(with(3, 27));    // total length without room for eight octets
    EXPECT_FALSE(with(7, 1));     // fragment offset
    EXPECT_TRUE(with(6, 0x20));   // first fragment: has the ports
}

}  // namespace icmp_test
}  // namespace runnel::wire
