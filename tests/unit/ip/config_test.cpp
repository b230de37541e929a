// Settings that cannot be are refused by name, with their value and a mend.
#include "runnel/ip/config.hpp"

#include <functional>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "network.hpp"

namespace runnel::ip {
namespace config_test {

// What is said of a good configuration after `spoil`, or nothing where it is still good.
std::string complaint(const std::function<void(Config&)>& spoil) {
    Config config = test::resolved_config();
    spoil(config);
    try {
        validate(config);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return {};
}

using testing::HasSubstr;

TEST(Config, GoodOnesPass) {
    EXPECT_EQ(complaint([](Config&) {}), "");
    EXPECT_EQ(complaint([](Config& c) {
                  c.interfaces[0].address_count = 254;
                  c.routes.clear();
              }),
              "");
    EXPECT_EQ(complaint([](Config& c) { c.interfaces[0].prefix_length = 32; }), "")
        << "the router is reached by link";
    EXPECT_EQ(complaint([](Config& c) {
                  c.interfaces[0].prefix_length = 31;
                  c.routes.clear();
                  c.interfaces[0].address = Ipv4Address{10, 0, 0, 0};
              }),
              "")
        << "RFC 3021";
}

TEST(Config, EachBadSettingIsNamed) {
    const auto bad = [](const char* setting, const char* value, const std::function<void(Config&)>& spoil) {
        const std::string said = complaint(spoil);
        EXPECT_THAT(said, HasSubstr(setting));
        EXPECT_THAT(said, HasSubstr(value));
        EXPECT_THAT(said, HasSubstr("give")) << "no mend";
    };
    bad("interfaces", "0", [](Config& c) { c.interfaces.clear(); });
    bad("offloads.tx_tcp_segmentation", "off",
        [](Config& c) { c.interfaces[0].offloads = {.tx_ip_checksum = true, .tx_tcp_segmentation = true}; });
    bad("offloads.tx_chain", "0", [](Config& c) { c.interfaces[0].offloads.tx_chain = 0; });
    bad("offloads.tx_udp_segmentation", "off",
        [](Config& c) { c.interfaces[0].offloads = {.tx_ip_checksum = true, .tx_udp_segmentation = true}; });
    bad("offloads.tx_large_chain", "0", [](Config& c) { c.interfaces[0].offloads.tx_large_chain = 0; });
    bad("path_mtu_capacity", "0", [](Config& c) { c.path_mtu_capacity = 0; });
    bad("path_mtu_floor", "67", [](Config& c) { c.path_mtu_floor = 67; });
    bad("path_mtu_floor", "577", [](Config& c) { c.path_mtu_floor = 577; });
    bad("path_mtu_lifetime", "299 s", [](Config& c) { c.path_mtu_lifetime = 299s; });
    bad("interfaces[0].mac", "00:00:00:00:00:00", [](Config& c) { c.interfaces[0].mac = {}; });
    bad("interfaces[0].mac", "ff:", [](Config& c) { c.interfaces[0].mac = MacAddress::broadcast(); });
    bad("interfaces[0].address", "127.0.0.1", [](Config& c) {
        c.interfaces[0].address = Ipv4Address{127, 0, 0, 1};
    });
    bad("interfaces[0].address", "0.0.0.0", [](Config& c) { c.interfaces[0].address = {}; });
    bad("interfaces[0].address", "10.0.0.0", [](Config& c) {
        c.interfaces[0].address = Ipv4Address{10, 0, 0, 0};
    });
    bad("interfaces[0].address", "10.0.0.255",
        [](Config& c) { c.interfaces[0].address = test::subnet_broadcast; });
    bad("interfaces[0].prefix_length", "33", [](Config& c) { c.interfaces[0].prefix_length = 33; });
    bad("interfaces[0].mtu", "575", [](Config& c) { c.interfaces[0].mtu = 575; });
    bad("interfaces[0].mtu", "9217", [](Config& c) { c.interfaces[0].mtu = 9217; });
    bad("interfaces[0].vlan", "4095", [](Config& c) { c.interfaces[0].vlan = 4095; });
    bad("interfaces[0].address_count", "0", [](Config& c) { c.interfaces[0].address_count = 0; });
    bad("interfaces[0].address_count", "255", [](Config& c) { c.interfaces[0].address_count = 255; });
    bad("interfaces[0].address_count", "4294967295",
        [](Config& c) { c.interfaces[0].address_count = 0xffffffff; });
    bad("interfaces[1].address", "10.0.0.1", [](Config& c) { c.interfaces.push_back(c.interfaces[0]); });
    bad("routes[0].prefix_length", "40", [](Config& c) { c.routes[0].prefix_length = 40; });
    bad("routes[0].network", "192.0.2.1", [](Config& c) {
        c.routes[0].network = Ipv4Address{192, 0, 2, 1};
        c.routes[0].prefix_length = 24;
    });
    bad("routes[0].interface", "1", [](Config& c) { c.routes[0].interface = 1; });
    bad("routes[0].gateway", "10.0.0.1", [](Config& c) { c.routes[0].gateway = test::us; });
    bad("routes[0].gateway", "192.0.2.7", [](Config& c) { c.routes[0].gateway = test::far_away; });
    bad("routes[0].gateway", "0.0.0.0", [](Config& c) { c.routes[0].gateway = {}; });
    bad("neighbours[1].address", "224.0.0.1", [](Config& c) {
        c.neighbours[1].address = Ipv4Address{224, 0, 0, 1};
    });
    bad("neighbours[0].mac", "ff:", [](Config& c) { c.neighbours[0].mac = MacAddress::broadcast(); });
    bad("neighbours[0].interface", "7", [](Config& c) { c.neighbours[0].interface = 7; });
    bad("neighbour_capacity", "0", [](Config& c) { c.neighbour_capacity = 0; });
    bad("neighbour_capacity", "1", [](Config& c) { c.neighbour_capacity = 1; });
    bad("neighbour_lifetime", "0", [](Config& c) { c.neighbour_lifetime = {}; });
    bad("neighbour_request_interval", "999", [](Config& c) { c.neighbour_request_interval = 999ms; });
    bad("neighbour_requests", "0", [](Config& c) { c.neighbour_requests = 0; });
    bad("neighbour_queue", "0", [](Config& c) { c.neighbour_queue = 0; });
    bad("ttl", "0", [](Config& c) { c.ttl = 0; });
}

TEST(Config, LayerRefusesABadOne) {
    Config config = test::plain_config();
    config.ttl = 0;
    EXPECT_THROW(test::Network{config}, std::invalid_argument);
}

}  // namespace config_test
}  // namespace runnel::ip
