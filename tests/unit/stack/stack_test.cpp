// Setting a stack up: what it refuses and how it says so, what memory it takes, and that an idle one wants
// nothing.
#include "runnel/stack/stack.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rte_malloc.h>
#include <rte_mempool.h>

#include "runnel/tcp/endpoint.hpp"

#include "address_space.hpp"
#include "seed.hpp"

namespace runnel {
namespace stack_test {

using testing::HasSubstr;

constexpr Ipv4Address us{10, 0, 0, 1};
constexpr Ipv4Address peer{10, 0, 0, 2};

/// A small stack at 10.0.0.1/24 that knows its only neighbour.
StackConfig small_config() {
    StackConfig config;
    config.ip.interfaces = {{.mac = {{2, 0, 0, 0, 0, 1}}, .address = us}};
    config.ip.neighbours = {{peer, {{2, 0, 0, 0, 0, 2}}, 0}};
    config.tcp.connections = 64;
    config.tcp.half_open = 64;
    config.tcp.time_wait = 64;
    config.secret = std::array<std::uint64_t, 2>{test::seed(), 1};
    return config;
}

/// Octets that EAL has given out.
std::size_t eal_memory_in_use() {
    std::size_t octets = 0;
    for (unsigned i = 0; i < rte_socket_count(); ++i) {
        rte_malloc_socket_stats stats{};
        if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0)
            octets += stats.heap_allocsz_bytes;
    }
    return octets;
}

class Deaf : public tcp::Handler {
  public:
    tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
};

class StackTest : public testing::Test {
  protected:
    StackTest()
        : pool_(rte_pktmbuf_pool_create("stack_test", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY)) {
    }
    ~StackTest() override {
        EXPECT_EQ(rte_mempool_avail_count(pool_), 1023U) << "an mbuf was lost";
        rte_mempool_free(pool_);
    }

    /// What the constructor says of a configuration that it refuses as invalid.
    std::string complaint(const StackConfig& config) const {
        try {
            const Stack stack{config, pool_};
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return "it was taken";
    }
    /// What `call` says where it refuses its argument.
    static std::string complaint(const std::function<void()>& call) {
        try {
            call();
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return "it was taken";
    }
    /// Sends what waits, to nowhere; returns how much it was.
    static std::size_t flush(Stack& stack) {
        std::array<rte_mbuf*, 32> burst{};
        const std::size_t n = stack.transmit(burst);
        for (std::size_t i = 0; i < n; ++i) rte_pktmbuf_free(burst[i]);
        return n;
    }

    rte_mempool* pool_;
    Deaf handler_;
};

TEST_F(StackTest, GroupIsReportedByTheNextAdvanceAndTheDeadlineSaysSo) {
    class Hearer final : public udp::Handler {
      public:
        udp::Ownership datagram(const udp::Datagram&, rte_mbuf&) noexcept override {
            ++heard;
            return udp::Ownership::returned;
        }
        int heard = 0;
    } hearer;
    Stack stack{small_config(), pool_};
    const Instant now{1s};
    stack.advance(now);
    EXPECT_EQ(flush(stack), 0U);
    const auto epoch = stack.groups_epoch();
    ASSERT_TRUE(stack.link_groups());
    const std::size_t before = stack.link_groups()->size();
    const Ipv4Address group{239, 1, 2, 3};
    EXPECT_EQ(stack.udp().groups().join({group, 5000, &hearer}), ip::GroupResult::done);
    EXPECT_NE(stack.groups_epoch(), epoch);
    EXPECT_EQ(stack.link_groups()->size(), before + 1);
    EXPECT_LE(stack.next_deadline(), now);
    stack.advance(now);
    EXPECT_EQ(flush(stack), 1U);
    EXPECT_GT(stack.next_deadline(), now);
    // What it sends to itself waits for the next one.
    const std::array<std::byte, 3> text{};
    EXPECT_EQ(stack.udp().send_to(
                  {.remote_address = group, .remote_port = 5000, .local_port = 1, .loop = true}, text, now),
              udp::SendResult::sent);
    EXPECT_EQ(flush(stack), 1U);
    EXPECT_LE(stack.next_deadline(), now);
    stack.advance(now);
    EXPECT_EQ(hearer.heard, 1);
    EXPECT_GT(stack.next_deadline(), now);
}

TEST_F(StackTest, KernelMayBeAMemberOfAnyGroup) {
    StackConfig config = small_config();
    config.ip.exception.emplace();
    const Stack stack{config, pool_};
    EXPECT_FALSE(stack.link_groups());
}

TEST_F(StackTest, SettingOutOfRangeIsRefusedByNameValueAndMend) {
    struct Case {
        std::function<void(StackConfig&)> spoil;
        std::vector<std::string> said;
    };
    const std::vector<Case> cases{
        {[](StackConfig& c) { c.transmit_queue = 1000; }, {"transmit_queue", "1000", "power of two"}},
        {[](StackConfig& c) { c.transmit_queue = 32; }, {"transmit_queue", "32", "at least 64"}},
        {[](StackConfig& c) { c.mbuf_stash = 63; }, {"capacity", "63", "at least 64"}},
        {[](StackConfig& c) { c.mbuf_reserve = 512; }, {"reserve", "512", "below the capacity"}},
        {[](StackConfig& c) { c.ip.interfaces.clear(); }, {"interfaces", "0", "1 to 255"}},
        {[](StackConfig& c) { c.ip.interfaces[0].mtu = 100; }, {"interfaces[0].mtu", "100", "576"}},
        {[](StackConfig& c) { c.ip.multicast_groups = 0; }, {"multicast_groups", "0", "1 to 65536"}},
        {[](StackConfig& c) { c.ip.pings = 5000; }, {"pings", "5000", "1 to 4096"}},
        {[](StackConfig& c) { c.udp.sockets = 0; }, {"sockets", "0", "1"}},
        {[](StackConfig& c) { c.tcp.connections = 0; }, {"connections", "0", "at least 1"}},
        {[](StackConfig& c) { c.tcp.half_open = 0; }, {"half_open", "0", "at least 1"}},
        {[](StackConfig& c) { c.tcp.time_wait = 1U << 30; }, {"time_wait", "1073741952", "1073741823"}},
        {[](StackConfig& c) { c.tcp.connections = c.tcp.half_open = c.tcp.time_wait = 0x8000'0000U; },
         {"connections", "6442450944", "1073741823"}},
        {[](StackConfig& c) { c.tcp.receive_buffer = 1000; },
         {"receive_buffer", "1000", "1024 to 1073741824"}},
        {[](StackConfig& c) { c.tcp.send_buffer = 0x8000'0000U; },
         {"send_buffer", "2147483648", "1024 to 1073741824"}},
        {[](StackConfig& c) { c.tcp.initial_window = 0; }, {"initial_window", "0", "at least 1"}},
        {[](StackConfig& c) { c.tcp.min_peer_mss = 47; }, {"min_peer_mss", "47", "at least 48"}},
        {[](StackConfig& c) { c.tcp.ephemeral_first = 0; }, {"ephemeral", "0 to 65535", "not empty"}},
        {[](StackConfig& c) { c.tcp.ephemeral_first = 6000, c.tcp.ephemeral_last = 5000; },
         {"ephemeral", "6000 to 5000", "not empty"}},
        {[](StackConfig& c) { c.tcp.challenge_acks_per_second = 16; },
         {"challenge_acks_per_second", "16", "1 to 15"}},
        {[](StackConfig& c) { c.tcp.delayed_ack = 500ms; }, {"delayed_ack", "500 ms", "0 ms to 499 ms"}},
        {[](StackConfig& c) { c.tcp.syn_timeout = 0s; }, {"syn_timeout", "0 ms", "1 ms to 120000 ms"}},
        {[](StackConfig& c) { c.tcp.min_rto = 121s; }, {"min_rto", "121000 ms", "1 ms to 60000 ms"}},
    };
    ASSERT_EQ(complaint(small_config()), "it was taken");
    for (const Case& each : cases) {
        StackConfig config = small_config();
        each.spoil(config);
        const std::string said = complaint(config);
        for (const std::string& part : each.said) EXPECT_THAT(said, HasSubstr(part));
    }
}

TEST_F(StackTest, WithoutAMempoolItSaysHowToMakeOne) {
    EXPECT_THAT(complaint([] {
                    const Stack stack{small_config(), nullptr};
                }),
                HasSubstr("rte_pktmbuf_pool_create"));
}

TEST_F(StackTest, MemoryNeededIsWhatIsMappedAndGivenBack) {
    StackConfig config = small_config();
    config.tcp.connections = 20'000;
    config.tcp.half_open = 3'000;
    config.tcp.time_wait = 50'000;
    config.ip.reassembly_packets =
        16;  // from the heap, of which a sanitizer keeps for a while what was freed
    for (const std::uint32_t cold_blocks : {0U, 100U}) {
        config.tcp.cold_blocks = cold_blocks;
        const std::size_t before = test::address_space(), of_eal = eal_memory_in_use();
        {
            const Stack stack{config, pool_};
            const std::size_t taken = test::address_space() - before;
            EXPECT_GE(taken, memory_needed(config));
            // Last pages are whole, of 2 MB where an array fills one; and beside the tables there is the
            // rest.
            EXPECT_LE(taken, memory_needed(config) + (std::size_t{16} << 20));
            EXPECT_EQ(eal_memory_in_use(), of_eal) << "without hugepages EAL's memory is left to packets";
        }
        EXPECT_LE(test::address_space(), before + (std::size_t{2} << 20));
    }
}

TEST_F(StackTest, MemoryIsToldTableByTable) {
    StackConfig config = small_config();
    config.tcp.connections = 50'000'000;
    config.tcp.cold_blocks = config.tcp.half_open = config.tcp.time_wait = 1;
    std::size_t sum = 0;
    for (const tcp::MemoryUse& use : memory_uses(config)) {
        EXPECT_FALSE(use.what.empty());
        sum += use.octets;
    }
    EXPECT_EQ(sum, memory_needed(config));
    EXPECT_LE(sum / config.tcp.connections, 144U)
        << "of an idle connection: TCB, its places in flow table and lists";
}

TEST_F(StackTest, TooLittleMemoryIsToldWithTheFigureAndTheMend) {
    StackConfig config = small_config();
    config.tcp.connections = 6'000'000;  // 733 MB of TCBs
    config.tcp.cold_blocks = 64;
    // Sanitizers keep for a while what was freed of small tables.
    config.ip.reassembly_packets = config.ip.pings = config.ip.multicast_groups = 16;
    config.ip.reassembly_mbufs = 256;
    const std::size_t before = test::address_space();
    try {
        const test::AddressSpaceLimit limit{std::size_t{512} << 20};
        const Stack stack{config, pool_};
        FAIL() << "733 MB fitted into 512";
    } catch (const std::runtime_error& error) {
        for (const char* part : {"connections", "6000000", "733 MB", "ask for fewer"})
            EXPECT_THAT(error.what(), HasSubstr(part));
    }
    EXPECT_LE(test::address_space(), before + (std::size_t{2} << 20)) << "what it had got is given back";
}

TEST_F(StackTest, ListenRefusesWhatItCannotAcceptAt) {
    Stack stack{small_config(), pool_};
    const auto listen = [&](tcp::ListenOptions options) { return complaint([&] { stack.listen(options); }); };
    EXPECT_THAT(listen({.port = 0, .handler = &handler_}), HasSubstr("give one from 1 to 65535"));
    EXPECT_THAT(listen({.port = 80}), HasSubstr("handler is null"));
    EXPECT_THAT(listen({.address = peer, .port = 80, .handler = &handler_}), HasSubstr("10.0.0.2 port 80"));
    EXPECT_THAT(listen({.address = Ipv6Address{{0x20, 1}}, .port = 80, .handler = &handler_}),
                HasSubstr("no interface has this address"));
    EXPECT_EQ(listen({.address = us, .port = 80, .handler = &handler_}), "it was taken");
    EXPECT_THAT(listen({.address = us, .port = 80, .handler = &handler_}), HasSubstr("10.0.0.1 port 80"));
    EXPECT_EQ(listen({.port = 80, .handler = &handler_}), "it was taken")
        << "all addresses beside one of them";
    stack.unlisten(us, 80);
    EXPECT_EQ(listen({.address = us, .port = 80, .handler = &handler_}), "it was taken");
    stack.unlisten(us, 9999);  // nobody listens there: nothing happens
}

TEST_F(StackTest, ConnectAnswersWhyNot) {
    StackConfig config = small_config();
    config.tcp.connections = 3;
    config.tcp.ephemeral_first = 7000;
    config.tcp.ephemeral_last = 7000;
    Stack stack{config, pool_};
    const auto connect = [&](tcp::ConnectOptions options) { return stack.connect(options).error; };
    using tcp::Error;
    for (const Ipv4Address nobody : {Ipv4Address{}, Ipv4Address{127, 0, 0, 1}, Ipv4Address{224, 0, 0, 1},
                                     Ipv4Address{255, 255, 255, 255}, Ipv4Address{10, 0, 0, 255}, us})
        EXPECT_EQ(connect({.remote_address = nobody, .remote_port = 80, .handler = &handler_}),
                  Error::invalid_address)
            << to_string(nobody);
    EXPECT_EQ(connect({.remote_address = peer, .remote_port = 0, .handler = &handler_}),
              Error::invalid_address);
    EXPECT_EQ(
        connect({.remote_address = peer, .remote_port = 80, .local_address = peer, .handler = &handler_}),
        Error::invalid_address);
    EXPECT_EQ(connect({.remote_address = Ipv4Address{192, 0, 2, 1}, .remote_port = 80, .handler = &handler_}),
              Error::no_route);
    EXPECT_NE(connect({.remote_address = peer, .remote_port = 80}), Error::none) << "nobody would hear of it";

    EXPECT_EQ(connect({.remote_address = peer, .remote_port = 80, .handler = &handler_}), Error::none);
    EXPECT_EQ(connect({.remote_address = peer, .remote_port = 80, .handler = &handler_}),
              Error::no_port_free);
    EXPECT_EQ(connect({.remote_address = peer, .remote_port = 80, .local_port = 7000, .handler = &handler_}),
              Error::address_in_use);
    EXPECT_EQ(connect({.remote_address = peer, .remote_port = 81, .handler = &handler_}), Error::none)
        << "the port is free towards another";
    EXPECT_EQ(connect({.remote_address = peer, .remote_port = 80, .local_port = 80, .handler = &handler_}),
              Error::none);
    EXPECT_EQ(connect({.remote_address = peer, .remote_port = 82, .handler = &handler_}),
              Error::connections_full);
    EXPECT_EQ(stack.tcp().connections(), 3U);
}

TEST_F(StackTest, IdleStackHasNoDeadline) {
    Stack stack{small_config(), pool_};
    EXPECT_EQ(stack.next_deadline(), never);
    stack.listen({.port = 80, .handler = &handler_});
    EXPECT_EQ(stack.next_deadline(), never);

    Instant now{1h};
    stack.advance(now);
    EXPECT_EQ(stack.next_deadline(), never);
    EXPECT_EQ(flush(stack), 0U);

    tcp::ConnectResult result =
        stack.connect({.remote_address = peer, .remote_port = 80, .handler = &handler_});
    ASSERT_EQ(result.error, tcp::Error::none);
    EXPECT_LE(stack.next_deadline(), now) << "a SYN waits";
    EXPECT_EQ(flush(stack), 1U);
    EXPECT_GT(stack.next_deadline(), now);
    EXPECT_LE(stack.next_deadline(), now + small_config().tcp.syn_timeout + 1ms);

    EXPECT_EQ(result.connection.abort(), tcp::Error::none);
    EXPECT_EQ(flush(stack), 0U) << "no RST leaves SYN-SENT";
    EXPECT_FALSE(result.connection.alive());
    EXPECT_EQ(stack.next_deadline(), never) << "with its last connection it is idle again";
}

TEST_F(StackTest, DeadlinesLeadToTheEndOfAConnectionThatNobodyAnswers) {
    Stack stack{small_config(), pool_};
    const tcp::ConnectResult result =
        stack.connect({.remote_address = peer, .remote_port = 80, .handler = &handler_});
    ASSERT_EQ(result.error, tcp::Error::none);
    Instant now{};
    std::size_t frames = flush(stack);
    int steps = 0;
    while (stack.next_deadline() != never && ++steps < 1000) {
        now = std::max(now, stack.next_deadline());
        stack.advance(now);
        frames += flush(stack);
    }
    EXPECT_EQ(frames, 1U + small_config().tcp.syn_retries);
    EXPECT_FALSE(result.connection.alive());
    EXPECT_GE(now, Instant{3min}) << "RFC 9293 MUST-23";
    EXPECT_LT(steps, 100) << "a deadline leads to work, or to a later deadline";
}

}  // namespace stack_test
}  // namespace runnel
