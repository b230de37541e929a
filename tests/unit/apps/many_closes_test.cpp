// TIME-WAIT under a steady load: 2,000 closes a second that each wait for 6 s, in virtual time; a hundredth
// of 200,000 a second, and a tenth of 60 s.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/stack/stack.hpp"
#include "runnel/wire/byte_order.hpp"

#include "engine/client.hpp"
#include "engine/http.hpp"
#include "engine/server.hpp"
#include "two_ends.hpp"

namespace runnel::load {
namespace many_closes_test {

using two_ends::client_address;
using two_ends::server_address;

constexpr Duration waiting = 6s;
constexpr std::uint32_t rate = 2000, steady = 12'000;

StackConfig config_of(bool server) {
    StackConfig config = two_ends::config_of(server, 256, StackConfig{}.tcp.time_wait);
    config.tcp.time_wait_duration = waiting;
    return config;
}

// A client that opens, closes with FIN and waits, for half a minute; and what was seen of it on the wire.
struct Closes {
    /// `step`: of the clock, and the time to the other side.
    explicit Closes(const StackConfig& client_config, Duration step = 100us)
        : client_stack(client_config, mbufs.get()) {
        server_stack.listen({.port = 80, .handler = &responder});
        client = std::make_unique<Client>(client_stack, ClientOptions{.recipe = Recipe::fin,
                                                                      .first_local_address = client_address,
                                                                      .remote_address = server_address,
                                                                      .rate = rate,
                                                                      .slots = client_config.tcp.connections,
                                                                      .duration = 30s});
        std::array<rte_mbuf*, 64> burst;
        for (; client->phase() != Client::Phase::finished; now += step) {
            const auto n = client_stack.transmit(burst);
            for (std::size_t i = 0; i < n; ++i) note(*burst[i]);
            server_stack.receive({burst.data(), n}, now);
            server_stack.advance(now);
            const auto m = server_stack.transmit(burst);
            client->arrived(now);
            client_stack.receive({burst.data(), m}, now);
            client_stack.advance(now);
            client->poll(now);
            if (now >= Instant{1s} + waiting + 1s && client->phase() == Client::Phase::measured) {
                least = std::min(least, client_stack.tcp().time_wait());
                most = std::max(most, client_stack.tcp().time_wait());
            }
        }
    }
    // When each port was opened from, by its SYN.
    void note(const rte_mbuf& frame) {
        constexpr std::size_t tcp_begin = 34;  // Ethernet and IPv4 without options
        const auto* const tcp = rte_pktmbuf_mtod_offset(&frame, const std::byte*, tcp_begin);
        if ((std::to_integer<unsigned>(tcp[13]) & 0x12) != 0x02) return;
        Instant& last = opened[wire::load_be16(tcp)];
        if (last != Instant{}) {
            ++reused;
            soonest = std::min(soonest, now - last);
        }
        last = now;
    }
    [[nodiscard]] std::uint64_t count(Counter counter) const { return client_stack.counters().get(counter); }

    const port::MbufPool mbufs = port::make_mbuf_pool({.mbufs = 2047, .lcore_cache = 0});
    static inline const HttpResponse response{64, false};
    OneShotResponder responder{response.all(), 1};
    Instant now{1s};
    Stack client_stack;
    Stack server_stack{config_of(true), mbufs.get()};
    std::unique_ptr<Client> client;
    std::vector<Instant> opened = std::vector<Instant>(65'536);
    std::uint64_t reused = 0;
    Duration soonest = 1h;
    std::uint32_t least = UINT32_MAX, most = 0;
};

TEST(ManyCloses, TimeWaitHoldsWhatItsTimeAsksForAndNoPairComesBackSooner) {
    StackConfig config = config_of(false);
    config.tcp.time_wait = 16'384;
    config.tcp.ephemeral_first = 50'000;  // 15,536 ports: three in four of them wait at any time
    const Closes run{config};
    EXPECT_EQ(run.client->measurement().accounting,
              (Accounting{.attempted = 60'000, .established = 60'000, .completed = 60'000}));
    EXPECT_EQ(run.count(Counter::tcp_time_wait_entered), 60'000U);
    EXPECT_EQ(run.count(Counter::tcp_time_wait_recycled), 0U);
    EXPECT_GE(run.least, steady - 20);
    EXPECT_LE(run.most, steady + 20);
    EXPECT_GT(run.reused, 40'000U);
    EXPECT_GE(run.soonest, waiting);
    EXPECT_EQ(run.count(Counter::tcp_syn_retransmits), 0U);
}

// Where the table is too small, the oldest goes first: the closes go on, and it is counted.
TEST(ManyCloses, TableThatIsTooSmallGivesUpTheOldestFirst) {
    StackConfig config = config_of(false);
    config.tcp.time_wait = 4'000;
    config.tcp.ephemeral_first = 60'000;  // 5,536 ports
    const Closes run{config};
    EXPECT_EQ(run.client->measurement().accounting,
              (Accounting{.attempted = 60'000, .established = 60'000, .completed = 60'000}));
    EXPECT_EQ(run.least, 4'000U);
    EXPECT_EQ(run.most, 4'000U);
    EXPECT_EQ(run.count(Counter::tcp_time_wait_recycled), 56'000U);
    EXPECT_GE(run.soonest, 1900ms) << "4,000 closes at 2,000 a second lie between";
}

// Where all ports wait, none is taken from a connection that waits: those that come due then are not sent.
TEST(ManyCloses, WithoutAPortThatIsFreeNoConnectionIsBegun) {
    StackConfig config = config_of(false);
    config.tcp.time_wait = 16'384;
    config.tcp.ephemeral_first = 60'000;  // 5,536 ports, enough for 922 a second
    const Closes run{config, 10ms};
    const Accounting& a = run.client->measurement().accounting;
    EXPECT_EQ(a.residual(), 0);
    EXPECT_EQ(a.failed(), 0U);
    EXPECT_EQ(a.completed, 5'536U * 5);  // a round of all ports each 6 s
    EXPECT_EQ(run.client->measurement().last_local_error, tcp::Error::no_port_free);
    EXPECT_GE(run.soonest, waiting);
}

}  // namespace many_closes_test
}  // namespace runnel::load
