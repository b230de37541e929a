// How often a port is told which multicast groups a core wants to hear.
#include "runnel/runtime/port_groups.hpp"

#include <array>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include <rte_mbuf.h>

#include "runnel/stack/stack.hpp"
#include "runnel/udp/group_receivers.hpp"

#include "seed.hpp"

namespace runnel::runtime {
namespace port_groups_test {

class Filter final : public GroupFilter {
  public:
    void tell(unsigned core, std::optional<std::vector<MacAddress>> groups) override {
        EXPECT_EQ(core, 3U);
        told.push_back(groups ? std::optional{groups->size()} : std::nullopt);
    }
    std::vector<std::optional<std::size_t>> told;  // how many groups
};

class Listener final : public udp::Handler {
  public:
    udp::Ownership datagram(const udp::Datagram&, rte_mbuf&) noexcept override {
        return udp::Ownership::returned;
    }
};

class GroupTaskTest : public testing::Test {
  protected:
    ~GroupTaskTest() override {
        stack.reset();
        rte_mempool_free(pool);
    }
    void join(std::uint8_t last) {
        ASSERT_EQ(stack->udp().groups().join({Ipv4Address{239, 0, 0, last}, 5000, &listener}),
                  ip::GroupResult::done);
    }

    static StackConfig config() {
        StackConfig config;
        config.ip.interfaces = {{.mac = {{2, 0, 0, 0, 0, 1}}, .address = Ipv4Address{10, 0, 0, 1}}};
        config.tcp.connections = config.tcp.half_open = config.tcp.time_wait = 64;
        config.secret = std::array<std::uint64_t, 2>{test::seed(), 1};
        return config;
    }
    rte_mempool* pool = rte_pktmbuf_pool_create("port_groups", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
    Listener listener;
    Filter filter;
    std::optional<Stack> stack{std::in_place, config(), pool};
    GroupTask task{filter, 3, *stack};
    Instant now{1s};
};

TEST_F(GroupTaskTest, ChangesAreGatheredAndToldOnceInATenthOfASecond) {
    EXPECT_TRUE(task.poll(now));
    EXPECT_FALSE(task.poll(now));
    ASSERT_EQ(filter.told.size(), 1U);
    const std::size_t before = filter.told[0].value();
    for (std::uint8_t i = 1; i <= 50; ++i) {
        join(i);
        EXPECT_FALSE(task.poll(now + i * 1ms));
    }
    EXPECT_FALSE(task.poll(now + GroupTask::interval - 1ns));
    EXPECT_TRUE(task.poll(now + GroupTask::interval));
    ASSERT_EQ(filter.told.size(), 2U);
    EXPECT_EQ(filter.told[1], before + 50);
    EXPECT_FALSE(task.poll(now + 1h));
}

TEST_F(GroupTaskTest, FirstChangeAfterAWhileIsToldAtOnce) {
    EXPECT_TRUE(task.poll(now));
    now += 1s;
    join(1);
    EXPECT_TRUE(task.poll(now));
    EXPECT_EQ(filter.told.size(), 2U);
}

}  // namespace port_groups_test
}  // namespace runnel::runtime
