// The choice of local ports (RFC 6056).
#include "runnel/ip/ephemeral_ports.hpp"

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::ip {
namespace ephemeral_ports_test {

constexpr Ipv4Address local{10, 0, 0, 1};
constexpr Ipv4Address remote{192, 0, 2, 7};
constexpr auto any_port = [](std::uint16_t) { return true; };
constexpr auto no_port = [](std::uint16_t) { return false; };

class EphemeralPortsTest : public testing::Test {
  protected:
    [[nodiscard]] HashKey any_key() { return {random_(), random_()}; }
    [[nodiscard]] std::vector<std::uint16_t> ports(EphemeralPorts& from, Ipv4Address to, std::size_t n) {
        std::vector<std::uint16_t> chosen;
        while (chosen.size() < n) chosen.push_back(from.choose({Flow{to, local, 443}}, any_port));
        return chosen;
    }

    std::mt19937_64 random_{test::seed()};
};

TEST_F(EphemeralPortsTest, EachPortOfTheRangeComesOnceInARound) {
    for (int round = 0; round < 20; ++round) {
        const auto first = static_cast<std::uint16_t>(1 + random_() % 65535);
        const auto last = static_cast<std::uint16_t>(first + random_() % (65536U - first));
        const std::size_t size = last - first + std::size_t{1};
        EphemeralPorts from{any_key(), first, last};
        for (int again = 0; again < 2; ++again) {
            const std::vector<std::uint16_t> chosen = ports(from, remote, size);
            const std::set<std::uint16_t> distinct{chosen.begin(), chosen.end()};
            ASSERT_EQ(distinct.size(), size);
            ASSERT_EQ(*distinct.begin(), first);
            ASSERT_EQ(*distinct.rbegin(), last);
        }
    }
}

TEST_F(EphemeralPortsTest, WhereNoneIsFreeEachWasTriedOnceAndTheAnswerIsZero) {
    EphemeralPorts from{any_key(), 40'000, 40'099};
    (void)ports(from, remote, random_() % 100);
    std::multiset<std::uint16_t> tried;
    EXPECT_EQ(from.choose({Flow{remote, local, 443}},
                          [&](std::uint16_t port) {
                              tried.insert(port);
                              return false;
                          }),
              0U);
    EXPECT_EQ(tried.size(), 100U);
    EXPECT_EQ(std::set<std::uint16_t>(tried.begin(), tried.end()).size(), 100U);
}

TEST_F(EphemeralPortsTest, OnlyPortThatIsFreeIsFound) {
    EphemeralPorts from{any_key(), 1024, 65535};
    for (int round = 0; round < 50; ++round) {
        const auto free = static_cast<std::uint16_t>(1024 + random_() % (65536 - 1024));
        ASSERT_EQ(
            from.choose({Flow{remote, local, 443}}, [free](std::uint16_t port) { return port == free; }),
            free);
    }
}

TEST_F(EphemeralPortsTest, RangeOfOnePortServesAgainAndAgain) {
    EphemeralPorts from{any_key(), 5000, 5000};
    EXPECT_EQ(ports(from, remote, 5), (std::vector<std::uint16_t>(5, 5000)));
    EXPECT_EQ(from.choose({Flow{remote, local, 443}}, no_port), 0U);
}

TEST_F(EphemeralPortsTest, SuccessivePortsDoNotFollowOneAnother) {
    EphemeralPorts from{any_key(), 1024, 65535};
    std::size_t near = 0;
    std::set<int> steps;
    const std::vector<std::uint16_t> chosen = ports(from, remote, 20'000);
    for (std::size_t i = 1; i < chosen.size(); ++i) {
        const int step = chosen[i] - chosen[i - 1];
        steps.insert(step);
        if (step >= -16 && step <= 16) ++near;
    }
    // Drawn at random, 10 of 20,000 would lie within 16 of the one before, and most steps would occur once.
    EXPECT_LT(near, 200U);
    EXPECT_GT(steps.size(), 5000U);
}

TEST_F(EphemeralPortsTest, OrderIsAnotherForEachDestinationAndEachSecret) {
    const HashKey key = any_key();
    const auto first_ports = [&](const HashKey& secret, Ipv4Address to) {
        const auto from = std::make_unique<EphemeralPorts>(secret, std::uint16_t{1024}, std::uint16_t{65535});
        return ports(*from, to, 16);
    };
    std::set<std::vector<std::uint16_t>> orders;
    for (std::uint8_t host = 0; host < 100; ++host) {
        orders.insert(first_ports(key, Ipv4Address{192, 0, 2, host}));
        orders.insert(first_ports(any_key(), remote));
    }
    orders.insert(first_ports(key, remote));  // the same again
    EXPECT_EQ(orders.size(), 200U);
}

TEST_F(EphemeralPortsTest, ConnectionsElsewhereDoNotBringAPortBackBeforeItsRound) {
    EphemeralPorts from{any_key(), 1024, 65535};
    std::set<std::uint16_t> used;
    for (int i = 0; i < 400; ++i) {
        const std::uint16_t port = from.choose({Flow{remote, local, 443}}, any_port);
        ASSERT_TRUE(used.insert(port).second) << "port " << port << " came twice";
        for (int j = 0; j < 100; ++j)
            (void)from.choose({Flow{Ipv4Address{static_cast<std::uint32_t>(random_())}, local, 80}},
                              any_port);
    }
}

}  // namespace ephemeral_ports_test
}  // namespace runnel::ip
