// ICMPv6 messages, what errors quote, and Neighbour Discovery: RFC 4443, RFC 4861.
#include "runnel/wire/icmpv6.hpp"

#include <gtest/gtest.h>

#include "runnel/wire/neighbour_discovery.hpp"

#include "octets.hpp"

namespace runnel::wire {
namespace icmpv6_test {

using test::Bytes;

constexpr Ipv6Address us = Ipv6Address::of(0x2001'0db8'0000'0000, 1);
constexpr Ipv6Address peer = Ipv6Address::of(0x2001'0db8'0000'0000, 2);
constexpr MacAddress mac{{2, 0, 0, 0, 0, 1}};

Bytes quote_of(std::uint8_t next, std::initializer_list<unsigned> octets) {
    Bytes packet(ipv6_header_size);
    write(Ipv6Header{.payload_length = static_cast<std::uint16_t>(octets.size() + 100),
                     .next_header = next,
                     .source = us,
                     .destination = peer},
          std::span{packet}.first<ipv6_header_size>());
    for (const unsigned octet : octets) packet.push_back(static_cast<std::byte>(octet));
    return packet;
}

TEST(Rfc4443, QuoteTellsTheConnection) {
    const auto quote = parse_quoted_ipv6_packet(quote_of(6, {0, 80, 0x12, 0x34, 1, 2, 3, 4}));
    ASSERT_TRUE(quote);
    EXPECT_EQ(quote->protocol, 6);
    EXPECT_EQ(quote->source, us);
    EXPECT_EQ(quote->destination, peer);
    EXPECT_EQ(quote->source_port, 80);
    EXPECT_EQ(quote->destination_port, 0x1234);
    EXPECT_EQ(quote->sequence, 0x01020304U);
    EXPECT_EQ(quote->length, 148U);
    // Behind destination options, and of a first fragment.
    EXPECT_TRUE(parse_quoted_ipv6_packet(quote_of(60, {6, 0, 1, 4, 0, 0, 0, 0, 0, 80, 1, 1, 1, 2, 3, 4})));
    EXPECT_TRUE(parse_quoted_ipv6_packet(quote_of(44, {6, 0, 0, 1, 0, 0, 0, 9, 0, 80, 1, 1, 1, 2, 3, 4})));
}

TEST(Rfc4443, QuoteThatIsCutShortOrALaterFragmentIsRefused) {
    const Bytes good = quote_of(6, {0, 80, 0x12, 0x34, 1, 2, 3, 4});
    test::with_every_damage(good, [&](std::span<const std::byte> damaged) {
        if (damaged.size() < good.size()) {
            EXPECT_FALSE(parse_quoted_ipv6_packet(damaged)) << damaged.size();
        }
    });
    EXPECT_FALSE(parse_quoted_ipv6_packet(quote_of(44, {6, 0, 0, 9, 0, 0, 0, 9, 0, 80, 1, 1, 1, 2, 3, 4})));
}

TEST(Rfc4443, ErrorsAreFoundBehindExtensionHeaders) {
    EXPECT_TRUE(carries_icmpv6_error(quote_of(58, {1, 0})));
    EXPECT_TRUE(carries_icmpv6_error(quote_of(58, {137, 0})));
    EXPECT_FALSE(carries_icmpv6_error(quote_of(58, {128, 0})));
    EXPECT_FALSE(carries_icmpv6_error(quote_of(6, {1, 0})));
    EXPECT_TRUE(carries_icmpv6_error(quote_of(60, {58, 0, 0x9e, 4, 0, 0, 0, 0, 4, 2})));
    EXPECT_TRUE(carries_icmpv6_error(quote_of(44, {58, 0, 0, 1, 0, 0, 0, 0, 3, 1})));
    test::with_every_damage(quote_of(60, {58, 0, 0x9e, 4, 0, 0, 0, 0, 4, 2}),
                            [](std::span<const std::byte> damaged) { (void)carries_icmpv6_error(damaged); });
}

TEST(Rfc4861, MessageIsReadAsItIsWritten) {
    for (const auto type : {Icmpv6Type::neighbour_solicitation, Icmpv6Type::neighbour_advertisement})
        for (const bool with_address : {false, true}) {
            NeighbourMessage message{.type = type, .flags = 0, .target = us};
            if (type == Icmpv6Type::neighbour_advertisement)
                message.flags = advertisement_solicited | advertisement_override;
            if (with_address) message.link_address = mac;
            Bytes octets(size_of(message));
            write(message, octets);
            const auto read = parse_neighbour_message(octets);
            ASSERT_TRUE(read);
            EXPECT_EQ(read->type, type);
            EXPECT_EQ(read->flags, message.flags);
            EXPECT_EQ(read->target, us);
            EXPECT_EQ(read->link_address, message.link_address);
        }
}

TEST(Rfc4861, MessageThatIsNotValidIsRefused) {
    const NeighbourMessage message{.target = us, .link_address = mac};
    Bytes good(size_of(message));
    write(message, good);
    const auto with = [&](std::size_t at, unsigned value) {
        Bytes changed = good;
        changed[at] = static_cast<std::byte>(value);
        return parse_neighbour_message(changed).has_value();
    };
    EXPECT_TRUE(with(24, 77)) << "an unknown option";
    EXPECT_FALSE(with(1, 1)) << "code";
    EXPECT_FALSE(with(8, 0xff)) << "the target is a group";
    EXPECT_FALSE(with(25, 0)) << "an option of length 0";
    EXPECT_FALSE(with(25, 2)) << "an option beyond the end";
    test::with_every_damage(good, [&](std::span<const std::byte> damaged) {
        if (damaged.size() < good.size() && damaged.size() != neighbour_message_size) {
            EXPECT_FALSE(parse_neighbour_message(damaged)) << damaged.size();
        }
    });
}

}  // namespace icmpv6_test
}  // namespace runnel::wire
