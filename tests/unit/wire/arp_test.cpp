// ARP packets: RFC 826.
#include "runnel/wire/arp.hpp"

#include <array>

#include <gtest/gtest.h>

#include "octets.hpp"

namespace runnel::wire {
namespace arp_test {

constexpr ArpPacket packet{ArpOperation::reply, MacAddress{{2, 0, 0, 0, 0, 1}}, Ipv4Address{10, 0, 0, 1},
                           MacAddress{{2, 0, 0, 0, 0, 2}}, Ipv4Address{10, 0, 0, 2}};
constexpr auto octets =
    test::bytes_of(0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2);
static_assert(octets.size() == arp_packet_size);
static_assert(parse_arp(octets) == packet);
static_assert([] {
    std::array<std::byte, arp_packet_size> written{};
    write(packet, written);
    return written == octets;
}());

TEST(Rfc826, PacketCutShortIsRefused) {
    test::with_every_damage(octets, [](std::span<const std::byte> damaged) {
        if (damaged.size() < arp_packet_size) {
            EXPECT_FALSE(parse_arp(damaged)) << damaged.size();
        }
    });
}

TEST(Rfc826, OtherHardwareProtocolLengthsAndOperationsAreRefused) {
    for (std::size_t at = 0; at < 8; ++at)
        for (int bit = 0; bit < 8; ++bit) {
            auto changed = octets;
            changed[at] ^= static_cast<std::byte>(1 << bit);
            EXPECT_FALSE(parse_arp(changed))
                << at << '.' << bit;  // reply with a bit flipped is never request
        }
}

TEST(Rfc826, GroupOrNoAddressAsSenderIsRefused) {
    auto changed = octets;
    changed[8] = std::byte{3};
    EXPECT_FALSE(parse_arp(changed));
    changed[8] = changed[13] = std::byte{0};
    EXPECT_FALSE(parse_arp(changed));
}

TEST(Rfc826, PaddingIsIgnored) {
    std::array<std::byte, 46> padded{};
    std::copy(octets.begin(), octets.end(), padded.begin());
    EXPECT_EQ(parse_arp(padded), packet);
}

}  // namespace arp_test
}  // namespace runnel::wire
