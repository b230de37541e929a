// Local ports whose replies RSS brings home: held to DPDK's rte_softrss over every port there is.
#include "runnel/ip/home_ports.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rte_thash.h>

#include "runnel/ip/ephemeral_ports.hpp"

#include "seed.hpp"

namespace runnel::ip {
namespace home_ports_test {

constexpr Ipv4Address local{10, 0, 0, 1};
constexpr Ipv4Address remote{192, 0, 2, 7};
constexpr Ipv6Address local6 = Ipv6Address::of(0x2001'0db8'0000'0000, 1);
constexpr std::uint16_t first_port = 1024;
constexpr auto any_port = [](std::uint16_t) { return true; };

using Key = std::vector<std::uint8_t>;

// The queue of a reply as the driver's guide has it: rte_softrss, and the low bits into the table.
std::uint16_t queue_of(const Key& key, const std::vector<std::uint16_t>& table, const IpAddress& from,
                       std::uint16_t from_port, const IpAddress& to, std::uint16_t to_port) {
    Key padded = key;
    padded.resize(std::max<std::size_t>(key.size(), 16) + 4);
    std::vector<std::uint32_t> tuple;
    for (const IpAddress& address : {from, to}) {
        if (address.is_v4()) {
            tuple.push_back(address.v4().value);
            continue;
        }
        for (const std::uint64_t half : {address.v6().high(), address.v6().low()}) {
            tuple.push_back(static_cast<std::uint32_t>(half >> 32));
            tuple.push_back(static_cast<std::uint32_t>(half));
        }
    }
    tuple.push_back(std::uint32_t{from_port} << 16 | to_port);
    return table[rte_softrss(tuple.data(), static_cast<std::uint32_t>(tuple.size()), padded.data()) %
                 table.size()];
}

class HomePortsTest : public testing::Test {
  protected:
    Key random_key(std::size_t octets = 40) {
        Key key(octets);
        for (auto& octet : key) octet = static_cast<std::uint8_t>(random_());
        return key;
    }
    // As drivers fill it: queue after queue.
    static std::vector<std::uint16_t> even_table(std::size_t entries, unsigned queues) {
        std::vector<std::uint16_t> table(entries);
        for (std::size_t i = 0; i < entries; ++i) table[i] = static_cast<std::uint16_t>(i % queues);
        return table;
    }
    // The candidates of every core towards a destination are exactly the ports that the NIC would bring to
    // it.
    void expect_exact(const Key& key, const std::vector<std::uint16_t>& table, unsigned cores,
                      const IpAddress& to, std::uint16_t to_port) {
        const IpAddress from = to.is_v4() ? IpAddress{local} : IpAddress{local6};
        const auto owners = std::make_shared<const FlowOwners>(key, table);
        std::vector<int> owner(65536, -1);
        for (unsigned core = 0; core < cores; ++core) {
            const HomePorts home{owners, static_cast<std::uint16_t>(core)};
            const HomePorts::Candidates candidates = home.towards(to, to_port, from);
            ASSERT_LE(candidates.bits(), 16U);
            std::size_t without = 0;
            for (std::uint32_t number = 0; number < 1U << candidates.bits(); ++number) {
                const std::uint16_t port = candidates[number];
                if (port == 0) {
                    ++without;
                    continue;
                }
                ASSERT_EQ(owner[port], -1) << "port " << port << " has two numbers";
                owner[port] = static_cast<int>(core);
                ASSERT_EQ(queue_of(key, table, to, to_port, from, port), core) << "port " << port;
                ASSERT_TRUE(home.contains(to, to_port, from, port));
            }
            // No more than half are void, but where the core has none at all; one is port 0 itself.
            EXPECT_LE(without, std::max<std::size_t>((std::size_t{1} << candidates.bits()) / 2 + 1, 1));
        }
        for (std::uint32_t port = 1; port < 65536; ++port)
            ASSERT_EQ(owner[port], queue_of(key, table, to, to_port, from, static_cast<std::uint16_t>(port)))
                << "port " << port;
    }

    std::mt19937_64 random_{test::seed()};
};

TEST_F(HomePortsTest, AreThePortsThatRssBringsToTheCoreAndAllOfThem) {
    for (const unsigned queues : {1U, 2U, 3U, 7U, 16U, 64U}) {
        for (const std::size_t entries : {64U, 128U, 512U}) {
            expect_exact(random_key(), even_table(entries, queues), queues,
                         Ipv4Address{static_cast<std::uint32_t>(random_())},
                         static_cast<std::uint16_t>(1 + random_() % 65535));
        }
    }
}

TEST_F(HomePortsTest, HoldOverIpv6) {
    const Ipv6Address remote6 = Ipv6Address::of(random_(), random_());
    for (const unsigned queues : {2U, 7U, 64U})
        expect_exact(random_key(), even_table(128, queues), queues, remote6, 443);
    Key blind = random_key();  // its bits for the port of IPv6 are all zero
    for (std::size_t i = 34; i < 40; ++i) blind[i] = 0;
    expect_exact(blind, even_table(128, 8), 8, remote6, 443);
    EXPECT_FALSE(
        HomePorts(std::make_shared<const FlowOwners>(random_key(39), even_table(128, 2)), 0).knows_ipv6());
}

TEST_F(HomePortsTest, HoldForAnyRedirectionTable) {
    for (int round = 0; round < 8; ++round) {
        std::vector<std::uint16_t> table(std::size_t{1} << random_() % 10);
        const unsigned queues =
            1 + static_cast<unsigned>(random_() % std::min<std::size_t>(table.size(), 20));
        for (std::size_t i = 0; i < table.size(); ++i)
            table[i] = static_cast<std::uint16_t>(i < queues ? i : random_() % queues);
        std::ranges::shuffle(table, random_);
        expect_exact(random_key(), table, queues, remote, 443);
    }
}

TEST_F(HomePortsTest, HoldForKeysUnderWhichPortsDoNotReachEveryEntry) {
    // One key bit repeated: the symmetric key 0x6d5a..., and one whose bits for the port are all zero.
    Key symmetric(40), blind = random_key();
    for (std::size_t i = 0; i < symmetric.size(); ++i) symmetric[i] = i % 2 == 0 ? 0x6d : 0x5a;
    for (std::size_t i = 10; i < 16; ++i) blind[i] = 0;
    expect_exact(symmetric, even_table(128, 8), 8, remote, 443);
    expect_exact(blind, even_table(128, 8), 8, remote, 443);
    Key sparse = blind;
    sparse[13] = 0x10;
    expect_exact(sparse, even_table(128, 8), 8, remote, 443);
}

TEST_F(HomePortsTest, CoreWithoutAnEntryIsRefused) {
    const auto owners = std::make_shared<const FlowOwners>(random_key(), even_table(64, 4));
    EXPECT_THAT([&] { const HomePorts home(owners, 4); },
                testing::ThrowsMessage<std::invalid_argument>(
                    testing::HasSubstr("none of its 64 entries leads to core 4")));
}

// What 64 cores open towards one destination over a whole round.
TEST_F(HomePortsTest, SixtyFourCoresShareThePortsOfAnAddressWithoutMeeting) {
    constexpr unsigned cores = 64;
    const Key key = random_key();
    const auto table = even_table(512, cores);
    const auto owners = std::make_shared<const FlowOwners>(key, table);
    const HashKey secret{random_(), random_()};  // one host, one secret
    std::vector<unsigned> taken(65536);
    for (unsigned core = 0; core < cores; ++core) {
        const HomePorts home{owners, static_cast<std::uint16_t>(core)};
        const auto ports = std::make_unique<EphemeralPorts>(secret, first_port, std::uint16_t{65535}, &home);
        std::uint32_t count = 0;
        std::array<unsigned, 16> sixteenths{};
        for (;;) {
            const std::uint16_t port = ports->choose({Flow{remote, local, 443}}, any_port);
            ASSERT_GE(port, first_port);
            ASSERT_EQ(queue_of(key, table, remote, 443, local, port), core);
            if (taken[port] != 0) {  // the round is over: the first of it has come again
                ASSERT_EQ(taken[port], core + 1) << "port " << port << " was another core's";
                break;
            }
            taken[port] = core + 1;
            ++sixteenths[port / 4096];
            ++count;
        }
        // 8 of 512 entries: 1,024 ports of 65,536, less those below 1024.
        EXPECT_GE(count, 900U);
        EXPECT_LE(count, 1024U);
        for (const unsigned n : sixteenths) EXPECT_GT(n, 0U);
    }
    EXPECT_EQ(std::count(taken.begin() + first_port, taken.end(), 0U), 0) << "ports that no core may take";
}

TEST_F(HomePortsTest, EachComesOnceInARoundInAnOrderThatNobodyFollows) {
    const auto owners = std::make_shared<const FlowOwners>(random_key(), even_table(128, 3));
    for (std::uint16_t core = 0; core < 3; ++core) {
        const HomePorts home{owners, core};
        const auto one = std::make_unique<EphemeralPorts>(HashKey{random_(), random_()}, first_port,
                                                          std::uint16_t{65535}, &home);
        const auto other = std::make_unique<EphemeralPorts>(HashKey{random_(), random_()}, first_port,
                                                            std::uint16_t{65535}, &home);
        std::vector<std::uint16_t> order;
        for (int again = 0; again < 2; ++again) {
            std::set<std::uint16_t> round;
            // 42 or 43 of 128 entries.
            while (round.size() < 20'000) {
                const std::uint16_t port = one->choose({Flow{remote, local, 443}}, any_port);
                if (!round.insert(port).second) FAIL() << "port " << port << " came twice in a round";
                order.push_back(port);
            }
            std::size_t rest = 0;
            while (rest < 65536 && round.insert(one->choose({Flow{remote, local, 443}}, any_port)).second)
                ++rest;
        }
        std::size_t near = 0, same = 0;
        std::set<int> steps;
        for (std::size_t i = 1; i < 20'000; ++i) {
            const int step = order[i] - order[i - 1];
            near += step >= -16 && step <= 16 ? 1 : 0;
            steps.insert(step);
            same += other->choose({Flow{remote, local, 443}}, any_port) == order[i] ? 1 : 0;
        }
        EXPECT_LT(near, 200U);
        EXPECT_GT(steps.size(), 5000U);
        EXPECT_LT(same, 100U);
    }
}

TEST_F(HomePortsTest, PortsOfOneCoreSayNothingOfThoseOfAnotherThatHasTheSameSecret) {
    const auto owners = std::make_shared<const FlowOwners>(random_key(), even_table(128, 2));
    const HashKey secret{random_(), random_()};
    const HomePorts home_0{owners, 0}, home_1{owners, 1};
    const auto zero = std::make_unique<EphemeralPorts>(secret, first_port, std::uint16_t{65535}, &home_0);
    const auto one = std::make_unique<EphemeralPorts>(secret, first_port, std::uint16_t{65535}, &home_1);
    std::set<int> differences;
    for (int i = 0; i < 1000; ++i)
        differences.insert(zero->choose({Flow{remote, local, 443}}, any_port) ^
                           one->choose({Flow{remote, local, 443}}, any_port));
    EXPECT_GT(differences.size(), 900U);
}

TEST_F(HomePortsTest, WhereNoneIsFreeEachWasTriedOnce) {
    const auto owners = std::make_shared<const FlowOwners>(random_key(), even_table(128, 5));
    const HomePorts home{owners, 2};
    EphemeralPorts ports{{random_(), random_()}, 30'000, 40'000, &home};
    std::multiset<std::uint16_t> tried;
    EXPECT_EQ(ports.choose({Flow{remote, local, 443}},
                           [&](std::uint16_t port) {
                               tried.insert(port);
                               return false;
                           }),
              0U);
    std::size_t all = 0;
    for (std::uint32_t port = 30'000; port <= 40'000; ++port)
        all += home.contains(remote, 443, local, static_cast<std::uint16_t>(port)) ? 1 : 0;
    EXPECT_EQ(tried.size(), all);
    EXPECT_EQ(std::set<std::uint16_t>(tried.begin(), tried.end()).size(), all);
}

TEST(FlowOwnersTest, GiveEachCoreItsShare) {
    for (const unsigned cores : {1U, 2U, 3U, 64U, 128U}) {
        const FlowOwners owners = FlowOwners::evenly(cores);
        std::vector<std::size_t> entries(cores);
        for (const std::uint16_t core : owners.redirection()) ++entries.at(core);
        const auto [least, most] = std::ranges::minmax(entries);
        EXPECT_LE(most - least, 1U);
        EXPECT_LE(most * 16, least * 17 + 16);
    }
}

TEST(FlowOwnersTest, TableOfNoPowerOfTwoIsRefusedWithItsSize) {
    EXPECT_THAT([] { const FlowOwners owners(Key(40), std::vector<std::uint16_t>(96)); },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("it has 96 entries")));
    EXPECT_THROW(static_cast<void>(FlowOwners::evenly(0)), std::invalid_argument);
}

}  // namespace home_ports_test
}  // namespace runnel::ip
