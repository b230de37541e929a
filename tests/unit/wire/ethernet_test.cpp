// Ethernet frames and VLAN tags: what is written is read back, and nothing is read beyond the buffer.
#include "runnel/wire/ethernet.hpp"

#include <array>

#include <gtest/gtest.h>

#include "runnel/wire/vlan.hpp"

#include "octets.hpp"

namespace runnel::wire {
namespace ethernet_test {

constexpr MacAddress one{{0x02, 0, 0, 0, 0, 0x01}};
constexpr MacAddress two{{0x02, 0, 0, 0, 0, 0x02}};

constexpr auto sample = test::bytes_of(0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x06, 0xaa);
static_assert(EthernetView::parse(sample)->destination() == two);
static_assert(EthernetView::parse(sample)->source() == one);
static_assert(EthernetView::parse(sample)->type() == EtherType::arp);
static_assert(EthernetView::parse(sample)->payload().size() == 1);
static_assert([] {
    std::array<std::byte, ethernet_header_size> octets{};
    write(EthernetHeader{two, one, EtherType::arp}, octets);
    return EthernetView::parse(octets)->header() == EthernetHeader{two, one, EtherType::arp};
}());
static_assert(multicast_mac(Ipv4Address{239, 129, 2, 3}) == MacAddress{{0x01, 0x00, 0x5e, 0x01, 0x02, 0x03}});

TEST(Ethernet, FrameShorterThanItsHeaderIsNoFrame) {
    for (std::size_t size = 0; size < ethernet_header_size; ++size)
        EXPECT_FALSE(EthernetView::parse(std::span{sample}.first(size))) << size;
    EXPECT_TRUE(EthernetView::parse(std::span{sample}.first(ethernet_header_size))->payload().empty());
}

TEST(Rfc1112, MulticastGroupMapsToItsLow23Bits) {
    EXPECT_EQ(multicast_mac(Ipv4Address{224, 0, 0, 1}), (MacAddress{{0x01, 0x00, 0x5e, 0, 0, 1}}));
    EXPECT_EQ(multicast_mac(Ipv4Address{224, 128, 0, 1}), (MacAddress{{0x01, 0x00, 0x5e, 0, 0, 1}}));
}

TEST(Ieee8021q, EveryTagIsReadAsItWasWritten) {
    for (unsigned id = 0; id < 4096; ++id)
        for (const std::uint8_t priority : {std::uint8_t{0}, std::uint8_t{5}, std::uint8_t{7}})
            for (const bool drop_eligible : {false, true}) {
                const VlanTag tag{priority, drop_eligible, static_cast<std::uint16_t>(id), EtherType::ipv4};
                std::array<std::byte, vlan_tag_size> octets{};
                write(tag, octets);
                ASSERT_EQ(parse_vlan_tag(octets), tag);
            }
}

TEST(Ieee8021q, TagCutShortIsNoTag) {
    constexpr auto tag = test::bytes_of(0x20, 0x64, 0x08, 0x00);
    for (std::size_t size = 0; size < vlan_tag_size; ++size)
        EXPECT_FALSE(parse_vlan_tag(std::span{tag}.first(size)));
    EXPECT_EQ(parse_vlan_tag(tag), (VlanTag{1, false, 100, EtherType::ipv4}));
}

}  // namespace ethernet_test
}  // namespace runnel::wire
