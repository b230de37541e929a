// Messages of router discovery, and the nonce of probes: RFC 4861 sections 4.1, 4.2 and 4.6, RFC 4191, RFC
// 7527.
#include "runnel/wire/router_discovery.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "octets.hpp"
#include "seed.hpp"

namespace runnel::wire {
namespace router_discovery_test {

using test::Bytes;

constexpr Ipv6Address prefix = Ipv6Address::of(0x2001'0db8'0042'0000, 0);
constexpr MacAddress mac{{2, 0, 0, 0, 0, 1}};

Bytes octets(std::initializer_list<unsigned> values) {
    Bytes bytes;
    for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}
Bytes joined(Bytes front, const Bytes& back) {
    front.insert(front.end(), back.begin(), back.end());
    return front;
}

const Bytes header = octets({134, 0, 0, 0, 64, 0x08, 7, 8, 0, 0, 0x75, 0x30, 0, 0, 3, 0xe8});
const Bytes prefix_option = octets({3,    4, 64,   0xc0, 0, 1,    0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0,
                                    0x20, 1, 0x0d, 0xb8, 0, 0x42, 0,    0,    0, 0, 0,    0,    0, 0, 0, 0});

TEST(Rfc4861, AdvertisementOfARouterIsRead) {
    Bytes message = joined(header, octets({1, 1, 2, 0, 0, 0, 0, 1, 5, 1, 0, 0, 0, 0, 5, 0x78}));
    message = joined(joined(message, prefix_option), octets({31, 1, 0, 0, 0, 0, 0, 0}));
    const auto read = parse_router_advertisement(message);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->hop_limit, 64);
    EXPECT_EQ(read->preference, 1);
    EXPECT_EQ(read->lifetime, 0x0708);
    EXPECT_EQ(read->reachable_time, 30000U);
    EXPECT_EQ(read->retrans_timer, 1000U);
    EXPECT_EQ(read->link_address, mac);
    EXPECT_EQ(read->mtu, 1400U);
    ASSERT_EQ(read->prefix_count, 1U);
    EXPECT_EQ(read->prefixes[0], (PrefixInformation{.prefix = prefix,
                                                    .valid = 86400,
                                                    .preferred = 14400,
                                                    .length = 64,
                                                    .on_link = true,
                                                    .autonomous = true}));
}

TEST(Rfc4191, PreferenceIsASignedNumberOfTwoBits) {
    const std::array<int, 4> expected{0, 1, 0, -1};  // the third is reserved: medium
    for (unsigned bits = 0; bits < 4; ++bits) {
        Bytes message = header;
        message[5] = static_cast<std::byte>(bits << 3);
        EXPECT_EQ(parse_router_advertisement(message)->preference, expected[bits]) << bits;
        message[6] = message[7] = std::byte{0};
        EXPECT_EQ(parse_router_advertisement(message)->preference, 0) << "of who is no default router";
    }
}

TEST(Rfc4191, RouteToANetworkIsReadInItsThreeLengths) {
    const auto routes_of = [](const Bytes& options) {
        const auto read = parse_router_advertisement(joined(header, options));
        EXPECT_TRUE(read);
        return std::vector<RouteInformation>(
            read->routes.begin(), read->routes.begin() + static_cast<std::ptrdiff_t>(read->route_count));
    };
    const Bytes everywhere = octets({24, 1, 0, 0x18, 0, 0, 0, 100});
    // Bits beyond the length are of no meaning.
    const Bytes half = octets({24, 2, 48, 0x08, 0xff, 0xff, 0xff, 0xff, 0x20, 1, 0x0d, 0xb8, 0, 0x42, 9, 9});
    const Bytes whole =
        octets({24, 3, 127, 0, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3});
    EXPECT_EQ(routes_of(joined(joined(everywhere, half), whole)),
              (std::vector<RouteInformation>{
                  {.lifetime = 100, .preference = -1},
                  {.prefix = prefix, .lifetime = infinite_lifetime, .length = 48, .preference = 1},
                  {.prefix = Ipv6Address::of(prefix.high(), 2), .length = 127}}));
    const auto spoilt = [](Bytes option, std::size_t at, unsigned value) {
        option[at] = static_cast<std::byte>(value);
        return option;
    };
    EXPECT_TRUE(routes_of(spoilt(everywhere, 2, 1)).empty()) << "a prefix that is not there";
    EXPECT_TRUE(routes_of(spoilt(half, 2, 65)).empty());
    EXPECT_TRUE(routes_of(spoilt(whole, 2, 129)).empty());
    EXPECT_TRUE(routes_of(spoilt(half, 3, 0x10)).empty()) << "the reserved preference";
    Bytes longer = whole;
    longer[1] = std::byte{4};
    longer.resize(32);
    EXPECT_TRUE(routes_of(longer).empty());
    Bytes many;
    for (int i = 0; i < 40; ++i) many = joined(many, half);
    EXPECT_EQ(routes_of(many).size(), RouterAdvertisement::most_routes);
}

TEST(Rfc4861, AdvertisementIsRefusedWhereAnOptionDoesNotFit) {
    EXPECT_FALSE(parse_router_advertisement(std::span{header}.first(15)));
    EXPECT_FALSE(parse_router_advertisement(joined(header, octets({5, 0, 0, 0, 0, 0, 5, 0x78}))));
    EXPECT_FALSE(parse_router_advertisement(joined(header, octets({5}))));
    EXPECT_FALSE(parse_router_advertisement(joined(header, octets({3, 4, 64, 0xc0, 0, 0, 0, 0}))));
    Bytes coded = header;
    coded[1] = std::byte{1};
    EXPECT_FALSE(parse_router_advertisement(coded));
}

// A length that is not the option's: it says nothing, the rest is read. A prefix beyond 128 bits is none.
TEST(Rfc4861, OptionsOfAnotherLengthArePassedOver) {
    Bytes message = joined(header, octets({3, 1, 64, 0xc0, 0, 0, 0, 0}));
    message = joined(message, octets({5, 2, 0, 0, 0, 0, 5, 0x78, 0, 0, 0, 0, 0, 0, 0, 0}));
    Bytes long_prefix = prefix_option;
    long_prefix[2] = std::byte{129};
    const auto read = parse_router_advertisement(joined(joined(message, long_prefix), prefix_option));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->mtu, 0U);
    EXPECT_EQ(read->prefix_count, 1U);
}

TEST(Rfc4861, OfManyPrefixesTheFirstSixteenAreRead) {
    Bytes message = header;
    for (unsigned i = 0; i < 40; ++i) {
        Bytes option = prefix_option;
        option[23] = static_cast<std::byte>(i);
        message = joined(message, option);
    }
    const auto read = parse_router_advertisement(message);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->prefix_count, 16U);
    EXPECT_EQ(read->prefixes[15].prefix.octets[7], 15);
}

TEST(Rfc4861, SolicitationOfRoutersIsWritten) {
    Bytes message(size_of_router_solicitation(true));
    write_router_solicitation(mac, message);
    EXPECT_EQ(message, octets({133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1}));
    message.assign(size_of_router_solicitation(false), std::byte{0xee});
    write_router_solicitation(std::nullopt, message);
    EXPECT_EQ(message, octets({133, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(Rfc7527, NonceIsWrittenAndRead) {
    const NeighbourMessage probe{
        .type = Icmpv6Type::neighbour_solicitation, .target = prefix, .nonce = 0x0102'0304'0506};
    Bytes message(size_of(probe));
    write(probe, message);
    ASSERT_EQ(message.size(), 32U);
    EXPECT_EQ(Bytes(message.begin() + 24, message.end()), octets({14, 1, 1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(parse_neighbour_message(message)->nonce, probe.nonce);
    EXPECT_FALSE(parse_neighbour_message(std::span{message}.first(24))->nonce);
}

TEST(Rfc4861, RandomAdvertisementsAreSurvived) {
    std::mt19937_64 random(test::seed());
    for (int round = 0; round < 20'000; ++round) {
        Bytes message(random() % 200);
        for (std::byte& octet : message)
            octet = static_cast<std::byte>(random() % 8 == 0 ? random() : random() % 6);
        if (message.size() > 1) message[1] = std::byte{0};
        const auto read = parse_router_advertisement(message);
        if (!read) continue;
        ASSERT_LE(read->prefix_count, RouterAdvertisement::most_prefixes);
        for (std::size_t i = 0; i < read->prefix_count; ++i) ASSERT_LE(read->prefixes[i].length, 128);
    }
}

}  // namespace router_discovery_test
}  // namespace runnel::wire
