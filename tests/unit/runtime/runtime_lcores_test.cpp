// Runtime on lcores of its own. A program apart, as EAL starts once a process and the other tests' EAL has
// one lcore.
#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rte_lcore.h>
#include <rte_mempool.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/port/ring_wire.hpp"
#include "runnel/runtime/runtime.hpp"

namespace runnel::runtime {
namespace runtime_lcores_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr Ipv4Address client_address{10, 9, 0, 1}, server_address{10, 9, 0, 2};
constexpr std::uint16_t server_port = 80;
constexpr PollLoopOptions shared_cpus{.idle = Idle::yield, .drain = 20s};

Eal& eal() {
    static Eal instance{{.memory_mb = 256, .hugepages = Choice::no, .workers = 2}};
    return instance;
}

StackConfig stack_config(Ipv4Address address, std::uint8_t last_octet) {
    StackConfig config;
    config.ip.interfaces = {{.mac = {{2, 0, 0, 0, 0, last_octet}}, .address = address}};
    config.tcp.connections = 256;
    config.tcp.half_open = 256;
    config.tcp.time_wait = 256;
    return config;
}

class Server final : public CoreInstance, private tcp::Handler {
  public:
    Server(Core& core, port::Wire& wire, rte_mempool* mbufs)
        : stack_(stack_config(server_address, 2), mbufs) {
        stack_.listen({.port = server_port, .handler = this});
        core.loop.add(stack_, wire);
    }
    [[nodiscard]] const Counters& counters() const { return stack_.counters(); }

  private:
    tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
    void peer_closed(tcp::Connection connection) noexcept override { connection.close(); }

    Stack stack_;
};

/// Opens connections one after the other, and closes each as soon as it stands.
class Client final : public CoreInstance, private tcp::Handler, private Task {
  public:
    Client(Core& core, port::Wire& wire, rte_mempool* mbufs)
        : stack_(stack_config(client_address, 1), mbufs) {
        core.loop.add(stack_, wire);
        core.loop.add(static_cast<Task&>(*this));
    }

    std::atomic<std::uint64_t> opened{0}, completed{0};

  private:
    bool poll(Instant) noexcept override {
        if (draining_ || open_ >= 8) return false;
        const auto result = stack_.connect({.remote_address = server_address,
                                            .remote_port = server_port,
                                            .handler = static_cast<tcp::Handler*>(this)});
        if (result.error != tcp::Error::none) return false;
        ++open_;
        opened.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    void begin_drain(Instant) noexcept override { draining_ = true; }
    [[nodiscard]] bool drained() const noexcept override { return open_ == 0; }
    void established(tcp::Connection connection) noexcept override { connection.close(); }
    tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
    void closed(tcp::Connection, tcp::CloseReason reason) noexcept override {
        --open_;
        if (reason == tcp::CloseReason::orderly) completed.fetch_add(1, std::memory_order_relaxed);
    }

    Stack stack_;
    unsigned open_ = 0;
    bool draining_ = false;
};

class RuntimeOnLcores : public testing::Test {
  protected:
    static void SetUpTestSuite() { (void)eal(); }

    template <class Condition>
    static void wait_for(Condition&& condition) {
        while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
};

TEST_F(RuntimeOnLcores, RunsClientAndServerOnACoreEachAndBringsEveryMbufHome) {
    const port::MbufPool pool = port::make_mbuf_pool({.mbufs = 8192, .lcores = 3});
    {
        port::RingWire wire;
        Runtime runtime{eal(), shared_cpus};
        ASSERT_EQ(runtime.core_count(), 2u);
        runtime.start([&](Core& core) -> std::unique_ptr<CoreInstance> {
            EXPECT_EQ(rte_lcore_id(), core.lcore);
            if (core.index == 0) return std::make_unique<Client>(core, wire.a(), pool.get());
            return std::make_unique<Server>(core, wire.b(), pool.get());
        });
        EXPECT_TRUE(runtime.running());
        auto& client = dynamic_cast<Client&>(*runtime.instance(0));
        wait_for([&] { return client.completed.load() >= 2000; });
        runtime.stop();
        EXPECT_FALSE(runtime.running());

        EXPECT_EQ(client.opened.load(), client.completed.load());
        const auto& server = dynamic_cast<Server&>(*runtime.instance(1));
        EXPECT_GE(server.counters().get(Counter::tcp_passive_opens), client.completed.load());
        for (unsigned core = 0; core < 2; ++core) {
            const CoreReport report = runtime.report(core);
            EXPECT_GT(report.values.frames_in, 4000u);
            EXPECT_GT(report.values.frames_out, 4000u);
            EXPECT_GT(report.values.busy_share(), 0.0);
            EXPECT_LE(report.values.busy_share(), 1.0);
            EXPECT_GT(report.longest_gap, 0ns);
        }
    }
    EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 0u);
}

TEST_F(RuntimeOnLcores, RunsBothRolesOnOneCore) {
    struct Both final : CoreInstance {
        Both(Core& core, port::RingWire& wire, rte_mempool* mbufs)
            : client(core, wire.a(), mbufs), server(core, wire.b(), mbufs) {}
        Client client;
        Server server;
    };
    const port::MbufPool pool = port::make_mbuf_pool({.mbufs = 8192, .lcores = 2});
    {
        port::RingWire wire;
        Runtime runtime{{eal().workers().front()}, shared_cpus};
        runtime.start([&](Core& core) { return std::make_unique<Both>(core, wire, pool.get()); });
        auto& both = dynamic_cast<Both&>(*runtime.instance(0));
        wait_for([&] { return both.client.completed.load() >= 2000; });
    }  // destroying it stops it
    EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 0u);
}

TEST_F(RuntimeOnLcores, ThrowsWhatAFactoryThrowsAndCanStartAgain) {
    std::atomic<int> alive{0};
    Runtime runtime{eal(), shared_cpus};
    struct Counted final : CoreInstance {
        explicit Counted(std::atomic<int>& count) : alive(count) { ++alive; }
        ~Counted() override { --alive; }
        std::atomic<int>& alive;
    };
    EXPECT_THAT(
        [&] {
            runtime.start([&](Core& core) -> std::unique_ptr<CoreInstance> {
                if (core.index == 1) throw std::runtime_error("no room on core 1");
                return std::make_unique<Counted>(alive);
            });
        },
        ThrowsMessage<std::runtime_error>(HasSubstr("no room on core 1")));
    EXPECT_FALSE(runtime.running());
    EXPECT_EQ(alive.load(), 0);

    runtime.start([&](Core&) { return std::make_unique<Counted>(alive); });
    EXPECT_EQ(alive.load(), 2);
    EXPECT_THROW(runtime.start([](Core&) { return std::make_unique<CoreInstance>(); }), std::logic_error);
    runtime.stop();
    runtime.stop();
    EXPECT_EQ(alive.load(), 2);  // what was measured can be read after the stop
}

TEST_F(RuntimeOnLcores, StopsATaskThatNeverDrainsWhenItsTimeIsOver) {
    struct Endless final : CoreInstance, Task {
        explicit Endless(Core& core) { core.loop.add(static_cast<Task&>(*this)); }
        bool poll(Instant) noexcept override { return false; }
        [[nodiscard]] bool drained() const noexcept override { return false; }
    };
    Runtime runtime{eal(), {.idle = Idle::yield, .drain = 5ms}};
    runtime.start([](Core& core) { return std::make_unique<Endless>(core); });
    runtime.stop();
    EXPECT_FALSE(runtime.running());
}

TEST_F(RuntimeOnLcores, RunsACallOnItsCoreAndWaitsForIt) {
    Runtime runtime{eal(), shared_cpus};
    runtime.start([](Core&) { return std::make_unique<CoreInstance>(); });
    for (unsigned core = 0; core < runtime.core_count(); ++core) {
        unsigned ran_on = LCORE_ID_ANY;
        runtime.call(core, [&] { ran_on = rte_lcore_id(); });
        EXPECT_EQ(ran_on, eal().workers()[core]);
    }
    runtime.stop();
    unsigned ran_on = LCORE_ID_ANY;
    runtime.call(0, [&] { ran_on = rte_lcore_id(); });
    EXPECT_EQ(ran_on, rte_get_main_lcore());
}

TEST_F(RuntimeOnLcores, RefusesALcoreThatIsNotAWaitingWorker) {
    EXPECT_THAT([] { Runtime(std::vector<unsigned>{rte_get_main_lcore()}, shared_cpus); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("lcore 0")));
    EXPECT_THAT([] { Runtime(std::vector<unsigned>{77}, shared_cpus); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("lcore 77")));
    EXPECT_THAT([] { Runtime(std::vector<unsigned>{}, shared_cpus); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("no lcore")));
}

TEST(EalOnThisMachine, TellsTheCauseWhenItIsStartedASecondTime) {
    (void)eal();
    const auto start_again = [] {
        const EalOptions options{.memory_mb = 64, .hugepages = Choice::no};
        const Eal second{options};
    };
    EXPECT_THAT(start_again,
                ThrowsMessage<std::runtime_error>(HasSubstr("has been started in this process before")));
}

TEST(EalOnThisMachine, TellsWhatItRunsWith) {
    EXPECT_EQ(eal().workers().size(), 2u);
    EXPECT_FALSE(eal().hugepages());
    EXPECT_THAT(eal().argument_line(), HasSubstr("--no-huge"));
    EXPECT_THAT(dpdk_version(), HasSubstr("DPDK"));
}

}  // namespace runtime_lcores_test
}  // namespace runnel::runtime

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
