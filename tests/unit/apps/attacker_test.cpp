// Attackers on the wire of a client, and a server that meets them: every frame is what it should be, and
// every one is accounted for.
#include "engine/attacker.hpp"

#include <array>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/runtime/statistics.hpp"
#include "runnel/stack/stack.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/tcp.hpp"

#include "engine/client.hpp"
#include "engine/http.hpp"
#include "engine/idle_client.hpp"
#include "engine/measurement.hpp"

namespace runnel::load {
namespace {

using Phase = Generator::Phase;

constexpr MacAddress client_mac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress server_mac{{2, 0, 0, 0, 0, 2}};

rte_mempool* pool() {
    static const port::MbufPool mbufs = port::make_mbuf_pool({.mbufs = 16'383, .lcore_cache = 0});
    return mbufs.get();
}

// A queue in each direction.
struct Cable final : port::Wire {
    std::vector<rte_mbuf*> sent, to_receive;
    std::size_t room = SIZE_MAX;
    ~Cable() override {
        for (rte_mbuf* frame : sent) rte_pktmbuf_free(frame);
        for (rte_mbuf* frame : to_receive) rte_pktmbuf_free(frame);
    }
    std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
        const std::size_t n = std::min(out.size(), to_receive.size());
        std::copy_n(to_receive.begin(), n, out.begin());
        to_receive.erase(to_receive.begin(), to_receive.begin() + static_cast<std::ptrdiff_t>(n));
        return n;
    }
    std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
        const std::size_t n = std::min(frames.size(), room);
        sent.insert(sent.end(), frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(n));
        return n;
    }
};

class Attack : public testing::TestWithParam<bool> {
  protected:
    [[nodiscard]] static bool v6() { return GetParam(); }
    static IpAddress client_address() {
        return v6() ? IpAddress{Ipv6Address::of(0x2001'0db8'0000'0000, 1)}
                    : IpAddress{Ipv4Address{192, 0, 2, 1}};
    }
    static IpAddress server_address() {
        return v6() ? IpAddress{Ipv6Address::of(0x2001'0db8'0000'0000, 0x200)}
                    : IpAddress{Ipv4Address{192, 0, 2, 200}};
    }
    // The server answers strangers through the client, as if that were a router; nobody knows a neighbour.
    static StackConfig config_of(bool server) {
        StackConfig config;
        ip::InterfaceConfig interface { .mac = server ? server_mac : client_mac };
        const IpAddress own = server ? server_address() : client_address();
        if (v6())
            interface.ipv6.push_back({.address = own.v6(), .address_count = 8});
        else
            interface.address = own.v4(), interface.address_count = 8;
        config.ip.interfaces.push_back(interface);
        config.ip.report_solicited_nodes = false;  // each frame is counted
        if (server)
            config.ip.routes.push_back({.network = v6() ? IpAddress{Ipv6Address{}} : IpAddress{Ipv4Address{}},
                                        .gateway = client_address()});
        config.tcp.connections = 1024;
        config.tcp.half_open = 4096;
        config.tcp.time_wait = 1024;
        config.tcp.syn_cookies = tcp::SynCookieUse::never;
        config.secret = std::array<std::uint64_t, 2>{server ? 1U : 2U, 3U};
        return config;
    }
    void start(std::vector<AttackTraffic> attacks, ClientOptions options) {
        options.first_local_address = client_address();
        options.local_addresses = 8;
        options.remote_address = server_address();
        options.slots = 1024;
        options.request = std::as_bytes(std::span{request});
        client = make_client(client_stack, options);
        attacker =
            std::make_unique<Attacker>(cable, pool(),
                                       Attacker::Options{.attacks = std::move(attacks),
                                                         .clients = {{client_address(), 8}},
                                                         .servers = {{{server_address(), 4}, {80, 83}}},
                                                         .seed = 7});
        attacker->attach(client_stack, *client);
    }
    void run_until(const std::function<bool()>& done) {
        std::array<rte_mbuf*, 64> burst;
        bool over = false;
        for (const Instant end = now + 20s; now < end && !(over = done()); now += 100us) {
            for (std::size_t n; (n = client_stack.transmit(burst)) > 0;)
                for (std::size_t taken = 0; taken < n;) {
                    const std::size_t more = attacker->send(std::span{burst}.subspan(taken, n - taken));
                    taken += more;
                    if (more == 0) {
                        rte_pktmbuf_free_bulk(burst.data() + taken, static_cast<unsigned>(n - taken));
                        break;
                    }
                }
            if (look) look();
            for (std::size_t n; (n = server_stack.transmit(burst)) > 0;)
                cable.to_receive.insert(cable.to_receive.end(), burst.begin(),
                                        burst.begin() + static_cast<std::ptrdiff_t>(n));
            std::vector<rte_mbuf*> arrived;
            arrived.swap(cable.sent);
            server_stack.receive(arrived, now);
            server_stack.advance(now);
            for (std::size_t n; (n = attacker->receive(burst)) > 0;)
                client_stack.receive(std::span{burst}.first(n), now);
            client_stack.advance(now);
            client->arrived(now);
            client->poll(now);
            attacker->poll(now);
        }
        ASSERT_TRUE(over);
    }
    void run_to_the_end() {
        run_until([&] { return client->phase() == Phase::finished; });
    }
    [[nodiscard]] const AttackCounts& counts() const { return attacker->counts()[0]; }

    static inline const std::string request = "GET / HTTP/1.1\r\n\r\n";
    static inline const HttpResponse response{64, false};
    OneShotResponder one_shot{response.all(), 1};
    Instant now{1s};
    Cable cable;
    Stack client_stack{config_of(false), pool()};
    Stack server_stack{config_of(true), pool()};
    std::unique_ptr<Generator> client;
    std::unique_ptr<Attacker> attacker;
    std::function<void()> look;
};

TEST_P(Attack, EachKindIsSentAtItsRateInOrderlyFramesAndAccountedFor) {
    for (const AttackKind kind : {AttackKind::syn_flood, AttackKind::rst, AttackKind::fin,
                                  AttackKind::ack_flood, AttackKind::udp_flood}) {
        SCOPED_TRACE(to_string(kind));
        runtime::Snapshot before;
        before += server_stack.counters();
        start({{.kind = kind, .rate = 2000, .payload = 100}},
              {.recipe = Recipe::none, .ramp = 500ms, .duration = 1s});
        run_to_the_end();
        EXPECT_EQ(counts().planned, 2000U);
        EXPECT_EQ(counts().sent, 2000U);
        EXPECT_EQ(counts().unsent, 0U);
        EXPECT_EQ(counts().residual(), 0);
        run_until([steps = 0]() mutable { return ++steps == 10; });
        runtime::Snapshot after;
        after += server_stack.counters();
        const runtime::Snapshot more = after.since(before);
        if (kind == AttackKind::udp_flood)
            EXPECT_NEAR(static_cast<double>(more.get(DropReason::udp_no_socket)), 2001, 1)
                << "and the question where the server is";
        else
            EXPECT_EQ(more.get(Counter::tcp_in), 2000U);
        for (const DropReason wrong :
             {DropReason::ip_bad_checksum, DropReason::ip_bad_total_length, DropReason::ip_not_for_us,
              DropReason::tcp_bad_checksum, DropReason::tcp_bad_data_offset, DropReason::udp_bad_checksum,
              DropReason::udp_bad_length})
            EXPECT_EQ(more.get(wrong), 0U) << static_cast<int>(wrong);
    }
}

TEST_P(Attack, HalfOpenFillsTheServersTableAndAnswersNothing) {
    server_stack.listen({.port = 80, .handler = &one_shot});
    start({{.kind = AttackKind::half_open, .rate = 500}},
          {.recipe = Recipe::none, .ramp = 500ms, .duration = 1s});
    run_to_the_end();
    EXPECT_EQ(counts().sent, 500U);
    // A quarter goes to the port that is listened on, some of it twice; the rest is refused.
    EXPECT_GT(server_stack.tcp().half_open(), 80U);
    EXPECT_GE(counts().answered, server_stack.tcp().half_open());
    EXPECT_EQ(one_shot.totals().connections, 0U);
}

TEST_P(Attack, LoadIsCarriedBesideAFloodAndBothAddUp) {
    server_stack.listen({.port = 80, .handler = &one_shot});
    start({{.kind = AttackKind::ack_flood, .rate = 5000}, {.kind = AttackKind::rst, .rate = 1000}},
          {.recipe = Recipe::crr, .rate = 200.0, .duration = 1s});
    run_to_the_end();
    EXPECT_EQ(client->measurement().accounting,
              (Accounting{.attempted = 200, .established = 200, .completed = 200}));
    EXPECT_EQ(attacker->counts()[0].sent, 5000U);
    EXPECT_EQ(attacker->counts()[1].sent, 1000U);
}

TEST_P(Attack, WhereNobodyTellsTheLinkAddressNothingIsSentAndThatIsAccountedFor) {
    start({{.kind = AttackKind::syn_flood, .rate = 1000}},
          {.recipe = Recipe::none, .ramp = 100ms, .duration = 1s});
    look = [&] {
        for (rte_mbuf* frame : cable.sent) rte_pktmbuf_free(frame);
        cable.sent.clear();
    };
    run_to_the_end();
    EXPECT_FALSE(attacker->ready());
    EXPECT_EQ(counts().planned, 1000U);
    EXPECT_EQ(counts().unsent, 1000U);
    EXPECT_EQ(counts().residual(), 0);
}

TEST_P(Attack, WireThatIsFullLeavesFramesUnsentAndLosesNoMemory) {
    start({{.kind = AttackKind::udp_flood, .rate = 10'000}},
          {.recipe = Recipe::none, .ramp = 100ms, .duration = 500ms});
    run_until([&] { return client->phase() == Phase::measured; });
    const unsigned free = rte_mempool_avail_count(pool());
    cable.room = 0;
    run_to_the_end();
    EXPECT_GE(counts().unsent, 4990U);
    EXPECT_EQ(counts().residual(), 0);
    EXPECT_NEAR(rte_mempool_avail_count(pool()), free, 600);
}

INSTANTIATE_TEST_SUITE_P(Family, Attack, testing::Values(false, true),
                         [](const auto& one) { return one.param ? "Ipv6" : "Ipv4"; });

}  // namespace
}  // namespace runnel::load
