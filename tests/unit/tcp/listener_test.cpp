// Listeners (RFC 9293 section 3.9.1), against a map.
#include "runnel/tcp/listener.hpp"

#include <map>
#include <random>
#include <utility>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace listener_test {

constexpr Ipv4Address any{};
constexpr Ipv4Address ours{10, 0, 0, 1};
constexpr Ipv4Address also_ours{10, 0, 0, 2};

TEST(Listeners, SpecificAddressGoesBeforeAnyWhicheverWasAddedFirst) {
    for (const bool specific_first : {false, true}) {
        Listeners listeners;
        std::uint16_t specific = no_listener;
        if (specific_first) specific = listeners.add({.address = ours, .port = 80});
        const std::uint16_t general = listeners.add({.address = any, .port = 80});
        if (!specific_first) specific = listeners.add({.address = ours, .port = 80});
        EXPECT_EQ(listeners.find(ours, 80), specific);
        EXPECT_EQ(listeners.find(also_ours, 80), general);
        EXPECT_EQ(listeners.find(ours, 81), no_listener);
        EXPECT_EQ(listeners.exact(also_ours, 80), no_listener);
        listeners.remove(specific);
        EXPECT_EQ(listeners.find(ours, 80), general) << "any of ours is left";
        listeners.remove(general);
        EXPECT_EQ(listeners.find(ours, 80), no_listener);
    }
}

TEST(Listeners, AgreeWithAMapUnderRandomOperations) {
    std::mt19937_64 random{test::seed()};
    Listeners listeners;
    std::map<std::pair<Ipv4Address, std::uint16_t>, std::uint16_t> model;  // the handler tells who it is
    const auto expect_found = [&](std::uint16_t index, Ipv4Address address, std::uint16_t port) {
        const auto known = model.find({address, port});
        if (known == model.end()) return index == no_listener;
        return index != no_listener && listeners[index].address == address && listeners[index].port == port &&
               listeners[index].handler == known->second && listeners[index].open;
    };
    for (int step = 0; step < 50'000; ++step) {
        const Ipv4Address address{static_cast<std::uint32_t>(random() % 4)};  // 0: any
        const std::uint16_t port = random() % 8 == 0 ? 65535 : static_cast<std::uint16_t>(random() % 6);
        const std::uint16_t exact = listeners.exact(address, port);
        ASSERT_TRUE(expect_found(exact, address, port));
        if (exact != no_listener && random() % 2 == 0) {
            listeners.remove(exact);
            model.erase({address, port});
        } else if (exact == no_listener) {
            const auto handler = static_cast<std::uint16_t>(random() % 0xffff);
            const std::uint16_t index = listeners.add({.address = address, .port = port, .handler = handler});
            ASSERT_LE(index, model.size()) << "the places of those removed are used again";
            model[{address, port}] = handler;
        }
        const Ipv4Address asked{static_cast<std::uint32_t>(1 + random() % 4)};
        ASSERT_TRUE(
            expect_found(listeners.find(asked, port), model.contains({asked, port}) ? asked : any, port));
    }
}

}  // namespace listener_test
}  // namespace runnel::tcp
