// Two stacks over a wire that loses, repeats, reorders, delays and damages frames: every octet arrives once
// and in order, both sides end, and nothing is left behind.
#include <gtest/gtest.h>

#include "aftermath.hpp"
#include "application.hpp"
#include "seed.hpp"

namespace runnel::test {
namespace {

using tcp::CloseReason;
using tcp::Error;

LinkConfig random_link(std::mt19937_64& random) {
    const auto pick = [&](auto... values) {
        const std::array choices{values...};
        return choices[random() % choices.size()];
    };
    LinkConfig link;
    link.loss = pick(0.0, 0.0, 0.01, 0.05, 0.12);
    link.duplication = pick(0.0, 0.0, 0.05, 0.2);
    link.corruption = pick(0.0, 0.0, 0.02, 0.05);
    link.delay = pick(Duration{50us}, Duration{1ms}, Duration{20ms}, Duration{150ms});
    link.jitter = pick(Duration{}, link.delay / 4, link.delay * 2);
    link.bits_a_second =
        pick(std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{10'000'000}, std::uint64_t{1'000'000});
    link.queue = pick(0U, 0U, 20U);
    return link;
}

/// Patient enough that no luck of the draw ends a connection.
void patient(StackConfig& config, int) {
    config.tcp.syn_retries = 12;
    config.tcp.synack_retries = 12;
    // A peer that has lost ACK after ACK sends its last octets again a minute apart.
    config.tcp.time_wait_duration = 20min;
}

TEST(Simulation, EveryOctetArrivesOnceAndInOrderWhateverTheWireDoes) {
    std::size_t octets = 0;
    for (std::uint64_t s = seed(); s < seed() + 300; ++s) {
        std::mt19937_64 random{s};
        const std::array<LinkConfig, 2> links{random_link(random), random_link(random)};
        SCOPED_TRACE(replay(s) + "\nthere: " + to_string(links[0]) + "\nback: " + to_string(links[1]));
        {
            World world{s, links, patient};
            Behaviour behaviour;
            behaviour.connections = 1 + static_cast<std::uint32_t>(random() % 4);
            Application application{world, s, behaviour};
            EXPECT_TRUE(world.run([&] { return application.done(); }, 2h));
            EXPECT_EQ(application.verdict(), "");
            expect_nothing_left(world);
            octets += application.octets_received();
        }
        EXPECT_EQ(mbufs_in_use(), 0U) << "mbufs were lost";
        if (testing::Test::HasFailure()) break;
    }
    EXPECT_GT(octets, testing::Test::HasFailure() ? 0U : 100000U);
}

/// Ports that cut large segments and take chains, so that nothing is copied; one in eight cannot do it.
void offloading(std::uint64_t s, StackConfig& config, int which) {
    patient(config, which);
    std::mt19937_64 random{s * 2 + static_cast<std::uint64_t>(which)};
    ip::Offloads& offloads = config.ip.interfaces[0].offloads;
    offloads.tx_ip_checksum = offloads.tx_tcp_checksum = true;
    offloads.tx_tcp_segmentation = random() % 8 != 0;
    offloads.tx_chain = static_cast<std::uint8_t>(1 + random() % 4);
    config.tcp.refer_from = 1 + static_cast<std::uint32_t>(random() % 1000);
    offloads.tx_large_chain = static_cast<std::uint8_t>(1 + random() % 40);
}

TEST(Simulation, EveryOctetArrivesOnceAndInOrderWhereThePortCutsSegments) {
    std::uint64_t large = 0, referred = 0, merged = 0;
    for (std::uint64_t s = seed(); s < seed() + 200; ++s) {
        std::mt19937_64 random{s};
        const std::array<LinkConfig, 2> links{random_link(random), random_link(random)};
        SCOPED_TRACE(replay(s) + "\nthere: " + to_string(links[0]) + "\nback: " + to_string(links[1]));
        {
            World world{s, links, [s](StackConfig& config, int which) { offloading(s, config, which); }};
            Behaviour behaviour;
            behaviour.connections = 1 + static_cast<std::uint32_t>(random() % 4);
            behaviour.largest = 200'000;
            Application application{world, s, behaviour};
            EXPECT_TRUE(world.run([&] { return application.done(); }, 2h));
            EXPECT_EQ(application.verdict(), "");
            expect_nothing_left(world);
            for (const int which : {0, 1}) {
                large += world.stack(which).counters().get(Counter::tcp_large_out);
                referred += world.stack(which).counters().get(Counter::tcp_referred_out);
                merged += world.stack(which).counters().get(Counter::tcp_merged_in);
            }
        }
        EXPECT_EQ(mbufs_in_use(), 0U) << "mbufs were lost";
        if (testing::Test::HasFailure()) break;
    }
    EXPECT_GT(large, 1000U);
    EXPECT_GT(referred, large);
    EXPECT_GT(merged, 100U);
}

TEST(Simulation, EveryOctetArrivesOnceAndInOrderWherePacketsAreCutOnTheirWay) {
    std::uint64_t reassembled = 0, cut = 0;
    for (std::uint64_t s = seed(); s < seed() + 150; ++s) {
        std::mt19937_64 random{s};
        std::array<LinkConfig, 2> links{random_link(random), random_link(random)};
        for (LinkConfig& link : links) {
            link.cut = static_cast<std::uint16_t>(200 + random() % 1200);
            link.loss /= 4;  // of a packet any fragment is enough
        }
        SCOPED_TRACE(replay(s) + "\nthere: " + to_string(links[0]) + "\nback: " + to_string(links[1]));
        {
            World world{s, links, patient};
            Behaviour behaviour;
            behaviour.connections = 1 + static_cast<std::uint32_t>(random() % 4);
            Application application{world, s, behaviour};
            EXPECT_TRUE(world.run([&] { return application.done(); }, 2h));
            EXPECT_EQ(application.verdict(), "");
            for (const int which : {0, 1}) {
                reassembled += world.stack(which).counters().get(Counter::ip_reassembled);
                cut += world.link(which).counts().cut;
            }
            expect_nothing_left(world);
        }
        EXPECT_EQ(mbufs_in_use(), 0U) << "mbufs were lost";
        if (testing::Test::HasFailure()) break;
    }
    EXPECT_GT(reassembled, 1000U);
    EXPECT_GE(cut, reassembled / 2) << "some arrive twice";
}

/// Moves `octets` one way or both over such links and says how long it took.
Duration transfer(std::uint64_t s, const std::array<LinkConfig, 2>& links, std::size_t octets,
                  const std::function<void(World&)>& meanwhile = {}) {
    SCOPED_TRACE(replay(s));
    Duration time{};
    {
        World world{s, links, patient};
        Behaviour behaviour;
        behaviour.pauses = false;
        behaviour.largest = octets;
        behaviour.connections = 3;
        Application application{world, s, behaviour};
        if (meanwhile) meanwhile(world);
        EXPECT_TRUE(world.run([&] { return application.done(); }, 2h));
        EXPECT_EQ(application.verdict(), "");
        time = world.now();
        expect_nothing_left(world);
    }
    EXPECT_EQ(mbufs_in_use(), 0U);
    return time;
}

TEST(Simulation, BulkTransferSurvivesEachKindOfHarmByItself) {
    LinkConfig lossy, doubling, reordering, damaging, narrow;
    lossy.loss = 0.03;
    doubling.duplication = 0.5;
    reordering.jitter = 10ms;
    damaging.corruption = 0.03;
    narrow.bits_a_second = 5'000'000;
    narrow.queue = 15;
    for (const LinkConfig& link : {lossy, doubling, reordering, damaging, narrow}) {
        SCOPED_TRACE(to_string(link));
        transfer(seed(), {link, link}, 400000);
        if (testing::Test::HasFailure()) break;
    }
}

TEST(Simulation, CleanWireIsNotKeptWaiting) {
    LinkConfig
        link;  // 2 ms there and back: 400 KB are a few round trips of a growing window, and no time-out
    const Duration time = transfer(seed(), {link, link}, 400000);
    EXPECT_LT(time, 1s);
}

TEST(Simulation, StallOfOneSideIsRecoveredFrom) {
    for (std::uint64_t s = seed(); s < seed() + 20; ++s) {
        for (const int which : {0, 1}) {
            LinkConfig link;
            link.bits_a_second = 10'000'000;
            transfer(s, {link, link}, 200000, [which](World& world) {
                for (const Duration begin : {60ms, 400ms, 900ms})
                    world.at(begin, [&world, which, begin] { world.stall(which, begin + 250ms); });
            });
        }
        if (testing::Test::HasFailure()) break;
    }
}

TEST(Simulation, AddressResolutionOverTheWireComesFirst) {
    for (const double loss : {0.0, 0.2}) {
        LinkConfig link;
        link.loss = loss;
        {
            World world{seed(), {link, link}, patient, false};
            Application application{world, seed(), {}};
            EXPECT_TRUE(world.run([&] { return application.done(); }, 2h)) << replay(seed());
            EXPECT_EQ(application.verdict(), "") << replay(seed());
            expect_nothing_left(world);
            EXPECT_GE(world.stack(0).counters().get(speaks_ipv6() ? Counter::nd_out : Counter::arp_out), 1U);
            EXPECT_GE(world.stack(1).counters().get(speaks_ipv6() ? Counter::nd_in : Counter::arp_in), 1U);
        }
        EXPECT_EQ(mbufs_in_use(), 0U);
    }
}

TEST(Simulation, PathThatDiesEndsBothSidesAndFreesEverything) {
    for (std::uint64_t s = seed(); s < seed() + 10; ++s) {
        SCOPED_TRACE(replay(s));
        {
            LinkConfig link;
            link.bits_a_second = 2'000'000;
            World world{s, {link, link}};
            struct Writer : tcp::Handler {
                int ended = 0;
                std::string octets = stream(0, 60000);
                void established(tcp::Connection connection) noexcept override {
                    connection.send(std::as_bytes(std::span{octets}));
                }
                tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
                    connection.consume(rte_pktmbuf_pkt_len(&payload));
                    return tcp::Ownership::returned;
                }
                void closed(tcp::Connection, CloseReason reason) noexcept override {
                    EXPECT_EQ(reason, CloseReason::timed_out);
                    ++ended;
                }
            } writer;
            tcp::ListenOptions listen;
            listen.port = 7;
            listen.handler = &writer;
            world.stack(1).listen(listen);
            tcp::ConnectOptions options;
            options.remote_address = spoken(World::address(1));
            options.remote_port = 7;
            options.handler = &writer;
            ASSERT_EQ(world.stack(0).connect(options).error, Error::none);
            world.at(Duration{static_cast<std::int64_t>(20'000'000 + s % 100 * 1'000'000)}, [&world] {
                world.link(0).set_loss(1);
                world.link(1).set_loss(1);
            });
            EXPECT_TRUE(world.run([&] { return writer.ended == 2; }, 2h));
            EXPECT_GE(world.now(), 100s);
            expect_nothing_left(world);
        }
        EXPECT_EQ(mbufs_in_use(), 0U);
        if (testing::Test::HasFailure()) break;
    }
}

/// Connect, request, response, close: the server closes first, so its TIME-WAIT is what a client that comes
/// again meets.
class ShortConnections : private tcp::Handler {
  public:
    ShortConnections(World& world, int wanted) : world_(world), wanted_(wanted) {
        tcp::ListenOptions options;
        options.port = 80;
        options.handler = this;
        world_.stack(1).listen(options);
        world_.at(0ns, [this] { open(); });
    }
    [[nodiscard]] bool done() const { return client_ended == wanted_; }
    int client_ended = 0, server_ended = 0, failed = 0, served = 0, answered = 0;

  private:
    static constexpr std::uint64_t client = 1;

    void open() {
        while (opened_ < wanted_ && opened_ - client_ended < 8) {
            tcp::ConnectOptions options;
            options.remote_address = spoken(World::address(1));
            options.remote_port = 80;
            options.handler = this;
            options.context = client;
            if (world_.stack(0).connect(options).error != Error::none) {
                world_.at(world_.now() + 100ms, [this] { open(); });  // the ports are in TIME-WAIT
                return;
            }
            ++opened_;
        }
    }
    void established(tcp::Connection connection) noexcept override {
        if (connection.context() == client)
            connection.send(std::as_bytes(std::span{std::string_view{"GET"}}));
    }
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
        const std::string text = text_of(payload);
        connection.consume(text.size());
        if (connection.context() != client) {
            EXPECT_EQ(text, "GET");
            ++served;
            connection.send(std::as_bytes(std::span{std::string_view{"response"}}));
            connection.close();
        } else {
            EXPECT_EQ(text, "response");
            ++answered;
        }
        return tcp::Ownership::returned;
    }
    void peer_closed(tcp::Connection connection) noexcept override { connection.close(); }
    void closed(tcp::Connection connection, CloseReason reason) noexcept override {
        if (reason != CloseReason::orderly) ++failed;
        if (connection.context() != client) {
            ++server_ended;
            return;
        }
        ++client_ended;
        world_.at(world_.now(), [this] { open(); });
    }

    World& world_;
    int wanted_, opened_ = 0;
};

TEST(Simulation, ShortConnectionsReopenTheirPortsUnderLoss) {
    for (const double loss : {0.0, 0.05}) {
        LinkConfig link;
        link.delay = 200us;
        link.loss = loss;
        SCOPED_TRACE(replay(seed()) + ", " + to_string(link));
        {
            World world{seed(), {link, link}, [](StackConfig& config, int which) {
                            patient(config, which);
                            config.tcp.ephemeral_first = 30000;
                            config.tcp.ephemeral_last = 30063;
                        }};
            ShortConnections connections{world, 1000};
            EXPECT_TRUE(world.run([&] { return connections.done(); }, 4h));
            EXPECT_EQ(connections.failed, 0);
            EXPECT_EQ(connections.answered, 1000);
            EXPECT_EQ(connections.served, 1000);
            EXPECT_GT(world.stack(1).counters().get(Counter::tcp_time_wait_reopened), 100U);
            expect_nothing_left(world);
            EXPECT_EQ(connections.server_ended, 1000);
        }
        EXPECT_EQ(mbufs_in_use(), 0U);
    }
}

}  // namespace
}  // namespace runnel::test
