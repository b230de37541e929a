// Ranges of addresses and ports, and the order in which connections use them.
#include "engine/addresses.hpp"

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/attack.hpp"
#include "quantity.hpp"

namespace runnel::load {
namespace addresses_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

IpAddress address(const char* text) {
    return *parse_ip_address(text);
}

TEST(AddressRange, OfANetworkAreAllItsHosts) {
    EXPECT_EQ(parse_address_range("10.0.0.0/16"), (AddressRange{address("10.0.0.1"), 65'534}));
    EXPECT_EQ(parse_address_range("10.0.0.7/30"), (AddressRange{address("10.0.0.5"), 2}));
    EXPECT_EQ(parse_address_range("10.0.0.7/32"), (AddressRange{address("10.0.0.7"), 1}));
    EXPECT_EQ(parse_address_range("10.0.0.6/31"), (AddressRange{address("10.0.0.6"), 2}));
    EXPECT_EQ(parse_address_range("10.0.0.5-10.0.1.9"), (AddressRange{address("10.0.0.5"), 261}));
    EXPECT_EQ(parse_address_range("10.0.0.5"), (AddressRange{address("10.0.0.5"), 1}));
    EXPECT_EQ(parse_address_range("2001:db8::/120"), (AddressRange{address("2001:db8::1"), 255}));
    EXPECT_EQ(parse_address_range("2001:db8::/64"), (AddressRange{address("2001:db8::1"), (1U << 24) - 1}));
    EXPECT_EQ(to_string(parse_address_range("10.0.0.0/24")), "10.0.0.1-10.0.0.254");
    EXPECT_TRUE(parse_address_range("10.0.0.0/24").contains(address("10.0.0.254")));
    EXPECT_FALSE(parse_address_range("10.0.0.0/24").contains(address("10.0.0.255")));
    EXPECT_FALSE(parse_address_range("10.0.0.0/24").contains(address("2001:db8::1")));
}

TEST(AddressRange, WhatIsNoneIsRefusedWithTheMend) {
    EXPECT_THAT([] { (void)parse_address_range("10.0.0.9-10.0.0.5"); },
                ThrowsMessage<app::BadQuantity>(HasSubstr("the lower one first")));
    EXPECT_THAT([] { (void)parse_address_range("10.0.0.0/4"); },
                ThrowsMessage<app::BadQuantity>(HasSubstr("longer prefix")));
    EXPECT_THROW((void)parse_address_range("10.0.0.5-2001:db8::1"), app::BadQuantity);
    EXPECT_THAT([] { (void)parse_port_range("80-79"); }, ThrowsMessage<app::BadQuantity>(HasSubstr("79-80")));
    EXPECT_THAT([] { (void)parse_port_range("0"); },
                ThrowsMessage<app::BadQuantity>(HasSubstr("write 80 or 8000-8099")));
    EXPECT_THAT([] { (void)parse_servers("10.0.0.1"); },
                ThrowsMessage<app::BadQuantity>(HasSubstr("no port")));
    EXPECT_THAT([] { (void)parse_servers("2001:db8::1:80"); },
                ThrowsMessage<app::BadQuantity>(HasSubstr("brackets")));
}

TEST(Servers, AreEachAddressWithEachPort) {
    const Servers servers = parse_servers("10.1.0.0/30:8000-8002");
    EXPECT_EQ(servers.count(), 6U);
    EXPECT_EQ(to_string(servers), "10.1.0.1-10.1.0.2:8000-8002");
    EXPECT_EQ(parse_servers("[2001:db8::1]:80"), (Servers{{address("2001:db8::1"), 1}, {80, 80}}));
    EXPECT_EQ(parse_servers("[2001:db8::]/120:80").addresses.count, 255U);
}

using Triple = std::tuple<IpAddress, IpAddress, std::uint16_t>;

std::vector<Triple> picked(AddressChoice choice, std::size_t n) {
    const std::vector<AddressRange> clients{parse_address_range("10.0.0.1-10.0.0.3"),
                                            parse_address_range("10.9.0.1-10.9.0.2")};
    const std::vector<Servers> servers{parse_servers("10.1.0.1-10.1.0.2:80-81"),
                                       parse_servers("10.2.0.1:443")};
    AddressPicker picker(clients, servers, choice, 1);
    std::vector<Triple> all;
    for (std::size_t i = 0; i < n; ++i) {
        const AddressPicker::Pick pick = picker.next();
        all.emplace_back(pick.client, pick.server, pick.server_port);
    }
    return all;
}

TEST(AddressPicker, SequentialTakesClientsAndServersInTheirTurn) {
    const std::vector<Triple> all = picked(AddressChoice::sequential, 6);
    EXPECT_EQ(all[0], (Triple{address("10.0.0.1"), address("10.1.0.1"), 80}));
    EXPECT_EQ(all[1], (Triple{address("10.0.0.2"), address("10.1.0.2"), 80}));
    EXPECT_EQ(all[2], (Triple{address("10.0.0.3"), address("10.1.0.1"), 81}));
    EXPECT_EQ(all[3], (Triple{address("10.9.0.1"), address("10.1.0.2"), 81}));
    EXPECT_EQ(all[4], (Triple{address("10.9.0.2"), address("10.2.0.1"), 443}));
    EXPECT_EQ(all[5], all[0]);
}

TEST(AddressPicker, RandomTakesEveryPairAboutAsOften) {
    std::map<Triple, int> times;
    for (const Triple& one : picked(AddressChoice::random, 25'000)) ++times[one];
    EXPECT_EQ(times.size(), 25U);
    for (const auto& [triple, n] : times) EXPECT_NEAR(n, 1000, 200);
}

TEST(AddressPicker, HashedSendsAClientAlwaysToTheSameServer) {
    std::map<IpAddress, std::set<Triple>> of_client;
    for (const Triple& one : picked(AddressChoice::hashed, 100)) of_client[std::get<0>(one)].insert(one);
    EXPECT_EQ(of_client.size(), 5U);
    for (const auto& [client, triples] : of_client) EXPECT_EQ(triples.size(), 1U);
}

TEST(Network, ContainsWhatLiesInIt) {
    EXPECT_TRUE(parse_network("203.0.113.9/24").contains(address("203.0.113.200")));
    EXPECT_FALSE(parse_network("203.0.113.0/24").contains(address("203.0.114.1")));
    EXPECT_TRUE(parse_network("8.8.8.8").contains(address("8.8.8.8")));
    EXPECT_FALSE(parse_network("8.8.8.8").contains(address("8.8.8.9")));
    EXPECT_TRUE(parse_network("2600::/12").contains(address("260f:1::1")));
    EXPECT_FALSE(parse_network("0.0.0.0/0").contains(address("2001:db8::1")));
    EXPECT_EQ(to_string(parse_network("203.0.113.9/24")), "203.0.113.0/24");
}

TEST(Attack, IsNamedWithItsRate) {
    const AttackTraffic attack = parse_attack("half-open:1.5k");
    EXPECT_EQ(attack.kind, AttackKind::half_open);
    EXPECT_EQ(attack.rate, 1500);
    EXPECT_THAT([] { (void)parse_attack("syn-flood"); },
                ThrowsMessage<app::BadQuantity>(HasSubstr("syn-flood:100k")));
    EXPECT_THAT([] { (void)parse_attack("rst:max"); },
                ThrowsMessage<app::BadQuantity>(HasSubstr("rst:100k")));
    EXPECT_THROW((void)parse_attack("ping:5"), app::BadQuantity);
}

}  // namespace addresses_test
}  // namespace runnel::load
