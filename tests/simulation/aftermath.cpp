#include "aftermath.hpp"

#include <gtest/gtest.h>

namespace runnel::test {

std::string replay(std::uint64_t seed) {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    return "replay: RUNNEL_SEED=" + std::to_string(seed) +
           " tests/simulation/simulation --gtest_filter=" + info->test_suite_name() + "." + info->name();
}

void expect_nothing_left(World& world, std::uint32_t connections) {
    EXPECT_TRUE(world.drain(world.now() + 2h)) << "something still happens long after the end";
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(world.stack(i).next_deadline(), never);
        struct Deaf : tcp::Handler {
            tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override {
                return tcp::Ownership::returned;
            }
        };
        static Deaf deaf;
        tcp::ConnectOptions options;
        options.remote_address = spoken(World::address(1 - i));
        options.remote_port = 9999;
        options.handler = &deaf;
        std::uint32_t free = 0;
        while (free <= connections && world.stack(i).connect(options).error == tcp::Error::none) ++free;
        EXPECT_EQ(free, connections) << "slots were lost";
    }
    for (const std::string& problem : world.problems()) ADD_FAILURE() << problem;
}

}  // namespace runnel::test
