#include "runnel/port/port.hpp"

#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numbered_frames.hpp"

namespace runnel::port {
namespace port_test {

using test::FramePool;
using test::free_all;
using test::number_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class PortOnVirtualDevice : public testing::Test {
  protected:
    FramePool pool;

    auto opening(PortConfig config) {
        return [this, config] { const Port port{config, pool.get()}; };
    }
};

TEST_F(PortOnVirtualDevice, IsMadeFromItsNameAndRemovedWithThePort) {
    std::uint16_t id = 0;
    ASSERT_NE(rte_eth_dev_get_port_by_name("net_null7", &id), 0);
    {
        const Port port{{.device = "net_null7,size=60"}, pool.get()};
        EXPECT_EQ(port.name(), "net_null7");
        EXPECT_EQ(port.driver(), "net_null");
        EXPECT_EQ(port.mtu(), 1500);
        EXPECT_EQ(rte_eth_dev_get_port_by_name("net_null7", &id), 0);
        EXPECT_EQ(id, port.id());
    }
    EXPECT_NE(rte_eth_dev_get_port_by_name("net_null7", &id), 0);
}

TEST_F(PortOnVirtualDevice, ComesBackWithItsFramesWhenItIsOpenedAgain) {
    for (int round = 0; round < 3; ++round) {
        Port port{{.device = "net_null1"}, pool.get()};
        std::vector<rte_mbuf*> out(32);
        ASSERT_EQ(port.queue(0).receive(out), 32u);  // the null device always has frames
        ASSERT_EQ(port.queue(0).send(out), 32u);     // and swallows them
    }
    EXPECT_EQ(pool.away(), 0u);
}

TEST_F(PortOnVirtualDevice, LetsAllGroupsInWhereItHasNoFilterForThem) {
    Port port{{.device = "net_null3"}, pool.get()};
    EXPECT_EQ(rte_eth_allmulticast_get(port.id()), 1);
    const std::vector<MacAddress> groups{{{1, 0, 0x5e, 0, 0, 1}}, {{0x33, 0x33, 0, 0, 0, 1}}};
    port.accept_groups(groups);
    // The null device knows no list of groups.
    EXPECT_FALSE(port.filters_groups());
    EXPECT_EQ(rte_eth_allmulticast_get(port.id()), 1);
    port.accept_groups({});
    port.accept_all_groups();
    EXPECT_EQ(rte_eth_allmulticast_get(port.id()), 1);
}

TEST_F(PortOnVirtualDevice, CarriesFramesInOrder) {
    // The ring device gives back on a queue what was sent on it.
    Port port{{.device = "net_ring0"}, pool.get()};
    EXPECT_TRUE(port.link_up());
    auto frames = pool.frames(40, 20);
    ASSERT_EQ(port.queue(0).send(frames), 20u);
    std::vector<rte_mbuf*> out(32);
    ASSERT_EQ(port.queue(0).receive(out), 20u);
    for (std::uint32_t i = 0; i < 20; ++i) EXPECT_EQ(number_of(out[i]), 40 + i);
    EXPECT_EQ(port.device_statistics().ipackets, 20u);
    free_all(std::span{out}.first(20));
    EXPECT_EQ(pool.away(), 0u);
}

TEST_F(PortOnVirtualDevice, HasTheQueuesThatWereAskedFor) {
    Port port{{.device = "net_null2", .queues = 3}, pool.get()};
    ASSERT_EQ(port.queue_count(), 3);
    std::vector<rte_mbuf*> out(4);
    for (std::uint16_t queue = 0; queue < 3; ++queue) {
        ASSERT_EQ(port.queue(queue).receive(out), 4u);
        free_all(out);
    }
}

TEST_F(PortOnVirtualDevice, ClaimsNoOffloadsThatTheDriverDoesNotHave) {
    const Port port{{.device = "net_null3"}, pool.get()};
    EXPECT_FALSE(port.offloads().rx_l4_checksum);
    EXPECT_FALSE(port.offloads().tx_tcp_checksum);
    EXPECT_FALSE(port.rss().has_value());
}

TEST_F(PortOnVirtualDevice, NamesADeviceThatDoesNotExist) {
    EXPECT_THAT(
        opening({.device = "net_nul0"}),
        ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("port net_nul0"), HasSubstr("check the name"))));
    EXPECT_THAT(opening({.device = "eth0"}), ThrowsMessage<std::runtime_error>(AllOf(
                                                 HasSubstr("port eth0"), HasSubstr("net_tap0,iface=NAME"))));
    EXPECT_THAT(opening({.device = ""}), ThrowsMessage<std::invalid_argument>(HasSubstr("no device named")));
}

TEST_F(PortOnVirtualDevice, GivesTheDriversOwnWordsForAnArgumentThatItDoesNotKnow) {
    EXPECT_THAT(
        opening({.device = "net_null4,colour=red"}),
        ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("net_null4,colour=red"), HasSubstr("EAL: "))));
}

TEST_F(PortOnVirtualDevice, NamesASettingThatTheDeviceCannotMeetAndLeavesNoPortBehind) {
    EXPECT_THAT(
        opening({.device = "net_ring5", .queues = 5000}),
        ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("queues is 5000"), HasSubstr("at most"))));
    EXPECT_THAT(opening({.device = "net_null5", .queues = 0}),
                ThrowsMessage<std::invalid_argument>(HasSubstr("queues is 0")));
    EXPECT_THAT(
        opening({.device = "net_null5", .mtu = 9000}),
        ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("mtu is 9000"), HasSubstr("larger data room"))));
    EXPECT_THAT(opening({.device = "net_null5", .mtu = 20}),
                ThrowsMessage<std::invalid_argument>(HasSubstr("mtu is 20")));
    std::uint16_t id = 0;
    EXPECT_NE(rte_eth_dev_get_port_by_name("net_ring5", &id), 0);
    EXPECT_NE(rte_eth_dev_get_port_by_name("net_null5", &id), 0);
    EXPECT_EQ(pool.away(), 0u);
}

}  // namespace port_test
}  // namespace runnel::port
