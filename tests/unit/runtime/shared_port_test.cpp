// Cores that share a port and its addresses, on lcores of their own: a program apart, as EAL starts once a
// process.
#include "runnel/runtime/shared_port.hpp"

#include <atomic>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rte_mempool.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/port/ring_wire.hpp"
#include "runnel/runtime/eal.hpp"
#include "runnel/runtime/runtime.hpp"

namespace runnel::runtime {
namespace shared_port_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr Ipv4Address client_address{10, 9, 0, 1}, server_address{10, 9, 0, 2};
constexpr std::uint16_t server_port = 80;
constexpr PollLoopOptions shared_cpus{.idle = Idle::yield, .drain = 20s};

Eal& eal() {
    static Eal instance{{.memory_mb = 384, .hugepages = Choice::no, .workers = 3}};
    return instance;
}

StackConfig stack_config(Ipv4Address address, std::uint8_t last_octet) {
    StackConfig config;
    config.ip.interfaces = {{.mac = {{2, 0, 0, 0, 0, last_octet}}, .address = address}};
    config.tcp.connections = config.tcp.half_open = config.tcp.time_wait = 512;
    return config;
}

/// A server and a client on one core, each behind a port that it shares with those of the other cores.
class BothRoles final : public CoreInstance, private Task {
  public:
    static constexpr unsigned to_open = 200;

    BothRoles(Core& core, SharedPort& clients, SharedPort& servers, rte_mempool* mbufs)
        : server_(*this), client_(*this) {
        StackConfig config = stack_config(server_address, 2);
        servers.configure(core.index, config);
        server_stack_ = std::make_unique<Stack>(config, mbufs);
        server_stack_->listen({.port = server_port, .handler = &server_});
        core.loop.add(*server_stack_, servers.wire(core.index));
        servers.attach(core.index, *server_stack_, core.loop);
        config = stack_config(client_address, 1);
        clients.configure(core.index, config);
        client_stack_ = std::make_unique<Stack>(config, mbufs);
        core.loop.add(*client_stack_, clients.wire(core.index));
        clients.attach(core.index, *client_stack_, core.loop);
        core.loop.add(static_cast<Task&>(*this));
    }

    [[nodiscard]] const Counters& client_counters() const { return client_stack_->counters(); }
    [[nodiscard]] const Counters& server_counters() const { return server_stack_->counters(); }
    std::atomic<unsigned> accepted{0}, opened{0}, orderly{0}, otherwise{0};

  private:
    struct Server final : tcp::Handler {
        explicit Server(BothRoles& owner) : core(owner) {}
        void established(tcp::Connection) noexcept override { core.accepted.fetch_add(1); }
        tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
        void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
        BothRoles& core;
    };
    struct Client final : tcp::Handler {
        explicit Client(BothRoles& owner) : core(owner) {}
        void established(tcp::Connection connection) noexcept override { (void)connection.close(); }
        tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
        void closed(tcp::Connection, tcp::CloseReason reason) noexcept override {
            (reason == tcp::CloseReason::orderly ? core.orderly : core.otherwise).fetch_add(1);
            --core.open_;
        }
        BothRoles& core;
    };

    bool poll(Instant) noexcept override {
        // One alone until it is answered: behind a neighbour that is being asked few packets may wait.
        const unsigned most = orderly.load() == 0 ? 1 : 8;
        if (opened.load() == to_open || open_ >= most) return false;
        if (client_stack_
                ->connect({.remote_address = server_address, .remote_port = server_port, .handler = &client_})
                .error != tcp::Error::none)
            return false;
        ++open_;
        opened.fetch_add(1);
        return true;
    }
    [[nodiscard]] bool drained() const noexcept override { return open_ == 0; }

    Server server_;
    Client client_;
    std::unique_ptr<Stack> server_stack_, client_stack_;
    unsigned open_ = 0;
};

class CoresOnOneAddress : public testing::TestWithParam<std::pair<unsigned, unsigned>> {};

TEST_P(CoresOnOneAddress, OpenAndAcceptAndLoseNothing) {
    const auto [cores, queues] = GetParam();
    std::vector<unsigned> lcores = eal().workers();
    lcores.resize(cores);
    const port::MbufPool pool = port::make_mbuf_pool({.mbufs = 16383, .lcores = 4});
    std::vector<std::unique_ptr<port::RingWire>> wires;
    std::vector<port::Wire*> a, b;
    for (unsigned i = 0; i < queues; ++i) {
        wires.push_back(std::make_unique<port::RingWire>());
        a.push_back(&wires.back()->a());
        b.push_back(&wires.back()->b());
    }
    {
        SharedPort clients{a, cores}, servers{b, cores};
        Runtime runtime{lcores, shared_cpus};
        runtime.start(
            [&](Core& core) { return std::make_unique<BothRoles>(core, clients, servers, pool.get()); });
        const auto all = [&](const std::atomic<unsigned> BothRoles::*what) {
            unsigned sum = 0;
            for (unsigned i = 0; i < cores; ++i) sum += static_cast<BothRoles*>(runtime.instance(i))->*what;
            return sum;
        };
        const unsigned expected = cores * BothRoles::to_open;
        while (all(&BothRoles::orderly) + all(&BothRoles::otherwise) < expected) std::this_thread::yield();
        runtime.stop();
        EXPECT_EQ(all(&BothRoles::orderly), expected);
        EXPECT_EQ(all(&BothRoles::accepted), expected);
        // What comes twice, as a thread stood still for a second, may find its connection gone.
        std::uint64_t sent_again = 0;
        for (unsigned i = 0; i < cores; ++i) {
            const auto& core = *static_cast<BothRoles*>(runtime.instance(i));
            for (const Counters* counters : {&core.client_counters(), &core.server_counters()})
                for (const Counter what : {Counter::tcp_syn_retransmits, Counter::tcp_synack_retransmits,
                                           Counter::tcp_fin_retransmits})
                    sent_again += counters->get(what);
        }
        for (unsigned i = 0; i < cores; ++i) {
            const auto& core = *static_cast<BothRoles*>(runtime.instance(i));
            EXPECT_EQ(core.client_counters().get(Counter::tcp_established), BothRoles::to_open)
                << "core " << i;
            EXPECT_GT(core.accepted.load(), 0U) << "core " << i;
            for (const Counters* counters : {&core.client_counters(), &core.server_counters()}) {
                EXPECT_LE(counters->get(DropReason::tcp_no_connection), sent_again) << "core " << i;
                EXPECT_LE(counters->get(Counter::tcp_resets_out), sent_again) << "core " << i;
                // News of a neighbour come before its frames, by whatever way.
                EXPECT_EQ(counters->get(DropReason::neighbour_queue_full), 0U) << "core " << i;
            }
        }
        Snapshot between = clients.counters();
        between += servers.counters();
        EXPECT_EQ(between.dropped(), 0U);
        EXPECT_EQ(between.get(Counter::frames_handed_over) > 0, cores > 1);
        EXPECT_EQ(between.get(Counter::core_news_out) > 0, cores > 1);
    }
    wires.clear();
    EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 0U);
}

INSTANTIATE_TEST_SUITE_P(CoresAndQueues, CoresOnOneAddress,
                         testing::Values(std::pair{1U, 1U}, std::pair{2U, 2U}, std::pair{3U, 3U},
                                         std::pair{2U, 1U}, std::pair{3U, 2U}),
                         [](const auto& values) {
                             return std::to_string(values.param.first) + "On" +
                                    std::to_string(values.param.second) + "Queues";
                         });

TEST(SharedPortOnDevice, SaysWhoSteersAndWhy) {
    (void)eal();
    const port::MbufPool pool = port::make_mbuf_pool({.mbufs = 8191});
    {
        // The ring device has a queue for each ring that it was made with, and no RSS.
        port::Port port{{.device = "net_ring0", .queues = 4, .fewer_queues = true}, pool.get()};
        const SharedPort one{port, 1};
        EXPECT_THAT(one.description(), HasSubstr("one core"));
        const SharedPort many{port, 128};
        EXPECT_EQ(many.steerer(), port::Steerer::software);
        EXPECT_THAT(many.description(), HasSubstr("queue"));
        EXPECT_THAT(many.description(), HasSubstr("for 128 cores"));
    }
    {
        // The null device claims RSS and does not tell its key.
        port::Port port{{.device = "net_null0", .queues = 2}, pool.get()};
        const SharedPort two{port, 2};
        EXPECT_EQ(two.steerer(), port::Steerer::software);
        EXPECT_THAT(two.description(), HasSubstr("in software: the driver does not tell the port's RSS key"));
        EXPECT_THAT([&] { const SharedPort none(port, 0); },
                    ThrowsMessage<std::invalid_argument>(HasSubstr("cores: 0")));
        EXPECT_THAT([&] { const SharedPort all(port, 129); },
                    ThrowsMessage<std::invalid_argument>(HasSubstr("cores: 129")));
    }
}

}  // namespace shared_port_test
}  // namespace runnel::runtime

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
