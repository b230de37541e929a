// The VLAN of a port, as a person writes it.
#include "port_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runnel::app {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Vlan, IsANumberOrTwo) {
    PortSettings settings;
    read_vlan("5", settings);
    EXPECT_EQ(settings.vlan, 5);
    EXPECT_EQ(settings.outer_vlan, 0);
    read_vlan("100.4094", settings);
    EXPECT_EQ(settings.vlan, 4094);
    EXPECT_EQ(settings.outer_vlan, 100);
    read_vlan("1", settings);
    EXPECT_EQ(settings.vlan, 1);
    EXPECT_EQ(settings.outer_vlan, 0);
}

TEST(Vlan, ThatCannotBeIsRefusedWithTheMend) {
    PortSettings settings;
    for (const char* wrong : {"", "0", "4095", "65541", "-1", "5.", ".5", "5.0", "0.5", "1.2.3", "five"})
        EXPECT_THAT([&] { read_vlan(wrong, settings); },
                    ThrowsMessage<BadQuantity>(HasSubstr("write a number from 1 to 4094, or two as 100.5")))
            << wrong;
}

TEST(Vlan, ReachesTheInterfaceAndOneTagAloneThePort) {
    PortSettings settings;
    settings.address = InterfaceAddress{Ipv4Address{192, 0, 2, 2}, 24};
    read_vlan("5", settings);
    EXPECT_EQ(planned_ip_config(settings).interfaces.at(0).vlan, 5);
    EXPECT_EQ(port_config(settings).vlan, 5);
    read_vlan("100.5", settings);
    EXPECT_EQ(planned_ip_config(settings).interfaces.at(0).vlan, 5);
    EXPECT_EQ(planned_ip_config(settings).interfaces.at(0).outer_vlan, 100);
    EXPECT_EQ(port_config(settings).vlan, 0) << "two are left to the stack";
}

TEST(Addresses, OfBothFamiliesStandOnOneInterface) {
    PortSettings settings;
    settings.address = parse_interface_address("192.0.2.2/24");
    settings.more_addresses = {parse_interface_address("2001:db8::2/64"),
                               parse_interface_address("2001:db8:1::2/48")};
    const ip::InterfaceConfig interface = planned_ip_config(settings).interfaces.at(0);
    EXPECT_EQ(interface.address, (Ipv4Address{192, 0, 2, 2}));
    ASSERT_EQ(interface.ipv6.size(), 2U);
    EXPECT_EQ(interface.ipv6[1].prefix_length, 48);
    settings.address = parse_interface_address("2001:db8:2::2/64");
    settings.more_addresses[0] = parse_interface_address("192.0.2.2/25");
    const ip::InterfaceConfig reversed = planned_ip_config(settings).interfaces.at(0);
    EXPECT_EQ(reversed.prefix_length, 25);
    EXPECT_EQ(reversed.ipv6.size(), 2U);
    settings.more_addresses.push_back(parse_interface_address("198.51.100.2/24"));
    const ip::InterfaceConfig two = planned_ip_config(settings).interfaces.at(0);
    EXPECT_EQ(two.address, (Ipv4Address{192, 0, 2, 2}));
    ASSERT_EQ(two.more_ipv4.size(), 1U);
    EXPECT_EQ(two.more_ipv4[0].address, (Ipv4Address{198, 51, 100, 2}));
    EXPECT_EQ(two.more_ipv4[0].prefix_length, 24);
}

}  // namespace
}  // namespace runnel::app
