// Many cores behind one address, in virtual time: 64 queues a side, and a port between that chooses each
// frame's queue by DPDK's rte_softrss. What does not hash, ARP, comes by queue 0, as with most cards.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <rte_thash.h>

#include "runnel/ip/home_ports.hpp"
#include "runnel/runtime/core_news.hpp"
#include "runnel/stack/stack.hpp"

#include "frame.hpp"
#include "seed.hpp"

namespace runnel::test {
namespace {

constexpr unsigned cores = 64;
constexpr std::size_t entries = 512;
constexpr std::array<std::uint8_t, 5> question{'h', 'e', 'l', 'l', 'o'};
constexpr std::uint16_t server_port = 80;

using Key = std::array<std::uint8_t, 44>;  // four octets more than are used: rte_softrss reads them

/// Opens connections, says a word, hears it again, closes.
class Opener final : public tcp::Handler {
  public:
    void open(Stack& stack, Ipv4Address server) {
        const auto result =
            stack.connect({.remote_address = server, .remote_port = server_port, .handler = this});
        EXPECT_EQ(result.error, tcp::Error::none);
        ++opened;
    }
    void established(tcp::Connection connection) noexcept override {
        (void)connection.send(std::as_bytes(std::span{question}));
    }
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
        heard += payload.pkt_len;
        (void)connection.consume(payload.pkt_len);
        (void)connection.close();
        return tcp::Ownership::returned;
    }
    void closed(tcp::Connection, tcp::CloseReason reason) noexcept override {
        (reason == tcp::CloseReason::orderly ? orderly : otherwise) += 1;
        last = reason;
    }
    unsigned opened = 0, orderly = 0, otherwise = 0;
    std::uint64_t heard = 0;
    tcp::CloseReason last = tcp::CloseReason::orderly;
};

class Echo final : public tcp::Handler {
  public:
    void established(tcp::Connection) noexcept override { ++accepted; }
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
        (void)connection.send({rte_pktmbuf_mtod(&payload, const std::byte*), payload.data_len});
        (void)connection.consume(payload.pkt_len);
        return tcp::Ownership::returned;
    }
    void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
    unsigned accepted = 0;
};

/// A host: one link address, one IP address, 64 stacks.
class Host {
  public:
    Host(std::uint8_t number, std::mt19937_64& random) {
        for (auto& octet : key) octet = static_cast<std::uint8_t>(random());
        for (std::size_t i = 0; i < entries; ++i) table.push_back(static_cast<std::uint16_t>(i % cores));
        std::ranges::shuffle(table, random);
        owners = std::make_shared<const ip::FlowOwners>(std::span{key}.first(40), table);
        news = std::make_unique<runtime::NewsExchange>(owners, cores);
        const std::array<std::uint64_t, 2> secret{random(), random()};
        for (unsigned core = 0; core < cores; ++core) {
            ends.push_back(std::make_unique<runtime::CoreNews>(*news, core));
            StackConfig config;
            config.ip.interfaces = {{.mac = {{2, 0, 0, 0, 0, number}}, .address = address(number)}};
            config.ip.peers = ends.back().get();
            config.ip.neighbour_capacity = 64;
            config.tcp.connections = config.tcp.half_open = config.tcp.time_wait = 256;
            config.tcp.sent_ranges = 256;
            config.tcp.fast_open_servers = 0;
            config.tcp.home_ports =
                std::make_shared<const ip::HomePorts>(owners, static_cast<std::uint16_t>(core));
            config.mbuf_stash = 64;
            config.mbuf_reserve = 16;
            config.secret = secret;
            stacks.push_back(std::make_unique<Stack>(config, mbuf_pool()));
            ends.back()->attach(*stacks.back());
        }
        arriving.resize(cores);
    }
    ~Host() {
        for (auto& queue : arriving)
            for (rte_mbuf* frame : queue) rte_pktmbuf_free(frame);
    }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    static Ipv4Address address(std::uint8_t number) { return Ipv4Address{10, 0, 0, number}; }

    [[nodiscard]] unsigned queue_of(const Frame& frame) const {
        if (frame.kind != FrameKind::tcp) return 0;
        std::array<std::uint32_t, 3> tuple{
            frame.source.value, frame.destination.value,
            std::uint32_t{frame.segment.source->port} << 16 | frame.segment.destination->port};
        return table[rte_softrss(tuple.data(), 3, key.data()) % entries];
    }
    [[nodiscard]] std::uint64_t sum(Counter counter) const {
        std::uint64_t all = 0;
        for (const auto& stack : stacks) all += stack->counters().get(counter);
        return all;
    }
    [[nodiscard]] std::uint64_t sum(DropReason reason) const {
        std::uint64_t all = 0;
        for (const auto& stack : stacks) all += stack->counters().get(reason);
        return all;
    }

    Key key{};
    std::vector<std::uint16_t> table;
    std::shared_ptr<const ip::FlowOwners> owners;
    std::unique_ptr<runtime::NewsExchange> news;
    std::vector<std::unique_ptr<runtime::CoreNews>> ends;
    std::vector<std::unique_ptr<Stack>> stacks;
    std::vector<std::deque<rte_mbuf*>> arriving;  // by queue
};

class ManyCores : public testing::Test {
  protected:
    ManyCores() {
        for (auto& stack : server.stacks) stack->listen({.port = server_port, .handler = &echo});
        turn();  // from now on the stacks know the time
    }
    /// One turn of every core of both hosts; frames take a turn to arrive. Whether anything moved.
    bool turn() {
        now += 50us;
        bool moved = false;
        const std::array<std::pair<Host*, Host*>, 2> ways{{{&client, &server}, {&server, &client}}};
        for (const auto& [from, to] : ways) {
            for (unsigned core = 0; core < cores; ++core) {
                std::array<rte_mbuf*, 32> out;
                while (const std::size_t n = from->stacks[core]->transmit(out)) {
                    for (std::size_t i = 0; i < n; ++i) carry(*from, core, *to, out[i]);
                    moved = true;
                }
            }
        }
        for (Host* const host : {&client, &server}) {
            for (unsigned core = 0; core < cores; ++core) {
                auto& queue = host->arriving[core];
                const std::vector<rte_mbuf*> burst(queue.begin(), queue.end());
                queue.clear();
                host->stacks[core]->receive(burst, now);
                host->stacks[core]->advance(now);
                moved |= host->ends[core]->poll(now);
            }
        }
        return moved;
    }
    void run(int turns = 10'000) {
        for (int quiet = 0; quiet < 3 && turns > 0; --turns) quiet = turn() ? 0 : quiet + 1;
        ASSERT_GT(turns, 0) << "the hosts never come to rest";
    }
    void carry(Host& from, unsigned core, Host& to, rte_mbuf* mbuf) {
        const Frame frame = decode(octets_of(*mbuf));
        EXPECT_EQ(frame.problems, "");
        const unsigned queue = to.queue_of(frame);
        if (frame.kind == FrameKind::tcp && &from == &client) {
            const std::uint16_t port = frame.segment.source->port;
            const auto [known, fresh] = opener_of.emplace(port, core);
            EXPECT_EQ(known->second, core) << "port " << port << " was handed out on two cores";
        } else if (frame.kind == FrameKind::tcp) {
            const auto known = opener_of.find(frame.segment.destination->port);
            if (known == opener_of.end() || known->second != queue) ++strayed;
        }
        to.arriving[queue].push_back(mbuf);
    }

    std::mt19937_64 random{seed()};
    Instant now{1s};
    Host client{1, random}, server{2, random};
    std::vector<Opener> openers{cores};
    Echo echo;
    std::map<std::uint16_t, unsigned> opener_of;  // client port: the core that sent from it
    unsigned strayed = 0;  // frames to the client that came by another queue than its opener's
};

TEST_F(ManyCores, EveryReplyComesHomeToTheCoreThatOpenedTheConnection) {
    constexpr unsigned each = 41;
    // The first of each core finds the neighbour, behind which few packets may wait.
    for (const unsigned at_once : {1U, 8U, 8U, 8U, 16U}) {
        for (unsigned core = 0; core < cores; ++core)
            for (unsigned i = 0; i < at_once; ++i) openers[core].open(*client.stacks[core], Host::address(2));
        run();
    }
    EXPECT_EQ(strayed, 0U);
    std::set<std::uint16_t> eighths;
    for (unsigned core = 0; core < cores; ++core) {
        EXPECT_EQ(openers[core].opened, each) << "core " << core;
        EXPECT_EQ(openers[core].heard, each * question.size()) << "core " << core;
        EXPECT_EQ(client.stacks[core]->counters().get(Counter::tcp_established), each) << "core " << core;
        EXPECT_EQ(openers[core].otherwise, 0U) << "core " << core;
    }
    // No port twice while it is in TIME-WAIT: a port a connection.
    EXPECT_EQ(opener_of.size(), std::size_t{cores} * each);
    for (const auto& [port, core] : opener_of) eighths.insert(port / 8192);
    EXPECT_EQ(eighths.size(), 8U);
    for (const Host* host : {&client, &server}) {
        EXPECT_EQ(host->sum(DropReason::tcp_no_connection), 0U);
        EXPECT_EQ(host->sum(DropReason::tcp_listen_unexpected), 0U);
        EXPECT_EQ(host->sum(Counter::tcp_resets_out), 0U);
        EXPECT_EQ(host->sum(Counter::tcp_syn_retransmits), 0U);
    }
    // One address, one port, and every core of the server has its part.
    EXPECT_EQ(echo.accepted, cores * each);
    for (const auto& stack : server.stacks) {
        EXPECT_GT(stack->counters().get(Counter::tcp_established), 0U);
        EXPECT_LT(stack->counters().get(Counter::tcp_established), 3 * each);
    }
}

TEST_F(ManyCores, NeighbourThatAnswersOneCoreIsKnownToAll) {
    // All ask at once; all answers come by queue 0.
    for (unsigned core = 0; core < cores; ++core) openers[core].open(*client.stacks[core], Host::address(2));
    run();
    for (unsigned core = 0; core < cores; ++core)
        EXPECT_EQ(client.stacks[core]->counters().get(Counter::tcp_established), 1U) << "core " << core;
    EXPECT_EQ(client.sum(DropReason::arp_unsolicited), 0U);
    // The server was asked by broadcast on queue 0 and its other cores need not ask: each has been told.
    EXPECT_EQ(server.sum(Counter::arp_out), client.sum(Counter::arp_out));
    for (unsigned core = 1; core < cores; ++core)
        EXPECT_EQ(server.stacks[core]->counters().get(Counter::arp_out), 0U) << "core " << core;
    // A second connection of each finds the neighbour known.
    const std::uint64_t asked = client.sum(Counter::arp_out);
    for (unsigned core = 0; core < cores; ++core) openers[core].open(*client.stacks[core], Host::address(2));
    run();
    EXPECT_EQ(client.sum(Counter::arp_out), asked);
}

TEST_F(ManyCores, PortsOfEveryCoreRunOutBeforeOneIsUsedTwice) {
    // 64 cores share 200 ports: what one cannot have another has.
    std::set<std::uint16_t> all;
    for (unsigned core = 0; core < cores; ++core) {
        StackConfig config;
        config.ip.interfaces = {{.mac = {{2, 0, 0, 0, 0, 1}}, .address = Host::address(1)}};
        config.tcp.connections = 256;
        config.tcp.sent_ranges = 256;
        config.tcp.ephemeral_first = 30'000;
        config.tcp.ephemeral_last = 30'199;
        config.mbuf_stash = 64;
        config.mbuf_reserve = 16;
        config.tcp.home_ports =
            std::make_shared<const ip::HomePorts>(client.owners, static_cast<std::uint16_t>(core));
        Stack stack{config, mbuf_pool()};
        for (;;) {
            const auto result = stack.connect(
                {.remote_address = Host::address(2), .remote_port = server_port, .handler = &openers[core]});
            if (result.error != tcp::Error::none) {
                EXPECT_EQ(result.error, tcp::Error::no_port_free);
                break;
            }
            tcp::Connection connection = result.connection;
            EXPECT_TRUE(all.insert(connection.info().local_port).second);
        }
    }
    EXPECT_EQ(all.size(), 200U);
}

TEST_F(ManyCores, PortThatLeadsElsewhereIsRefusedWhereAConnectionNamesIt) {
    unsigned good = 0;
    for (unsigned core = 0; core < cores; ++core) {
        const auto result = client.stacks[core]->connect({.remote_address = Host::address(2),
                                                          .remote_port = server_port,
                                                          .local_port = 40'000,
                                                          .handler = &openers[core]});
        if (result.error == tcp::Error::none)
            ++good;
        else
            EXPECT_EQ(result.error, tcp::Error::port_elsewhere);
    }
    EXPECT_EQ(good, 1U);
    run();
    EXPECT_EQ(strayed, 0U);
    EXPECT_EQ(client.sum(Counter::tcp_established), 1U);
}

TEST_F(ManyCores, IcmpErrorReachesTheOwnerOfTheConnectionItIsAbout) {
    openers[9].open(*client.stacks[9], Host::address(2));
    run();  // the neighbour is known there now
    openers[9].open(*client.stacks[9], Host::address(2));
    std::array<rte_mbuf*, 4> out;
    ASSERT_EQ(client.stacks[9]->transmit(out), 1U);
    const Octets syn = octets_of(*out[0]);
    rte_pktmbuf_free(out[0]);
    // Port unreachable, about the SYN; it comes by a queue that has nothing to do with it.
    Octets message{3, 3, 0, 0, 0, 0, 0, 0};
    message.insert(message.end(), syn.begin() + 14, syn.begin() + 14 + 28);
    const std::uint16_t checksum = internet_checksum(message);
    message[2] = static_cast<std::uint8_t>(checksum >> 8);
    message[3] = static_cast<std::uint8_t>(checksum);
    client.arriving[40].push_back(to_mbuf(encode_ip({{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}},
                                                    Host::address(2), Host::address(1), 1, message)));
    run();
    EXPECT_EQ(openers[9].otherwise, 1U);
    EXPECT_EQ(openers[9].last, tcp::CloseReason::refused);
    EXPECT_EQ(client.sum(DropReason::icmp_error_without_owner), 0U);
    EXPECT_EQ(client.ends[40]->counters().get(Counter::core_news_out), 1U);
    EXPECT_EQ(openers[9].orderly, 1U);  // the other connection does not mind
}

/// Counts what it is told.
class Listener final : public udp::Handler {
  public:
    udp::Ownership datagram(const udp::Datagram&, rte_mbuf&) noexcept override {
        return udp::Ownership::returned;
    }
    void error(const udp::IcmpReport& report) noexcept override {
        ++errors;
        type = report.type;
    }
    unsigned errors = 0, type = 0;
};

TEST_F(ManyCores, IcmpErrorAboutADatagramReachesTheCoreThatHasItsFlow) {
    Listener owner, other;
    // A port whose answers come to core 9, bound there; and on core 40 one of another number.
    std::uint16_t port = 20'000;
    while (client.owners->owner(Host::address(2), Host::address(1), 53, port) != 9) ++port;
    client.stacks[9]->udp().bind({}, port, owner);
    client.stacks[40]->udp().bind({}, static_cast<std::uint16_t>(port + 1), other);
    const auto tell = [&](std::uint16_t about, std::uint8_t type, std::uint8_t code, std::uint16_t mtu) {
        const Octets datagram{
            static_cast<std::uint8_t>(about >> 8), static_cast<std::uint8_t>(about), 0, 53, 0, 8, 0, 0};
        const Octets quoted = encode_ip({{2, 0, 0, 0, 0, 2}}, {{2, 0, 0, 0, 0, 1}}, Host::address(1),
                                        Host::address(2), 17, datagram);
        Octets message{
            type, code, 0, 0, 0, 0, static_cast<std::uint8_t>(mtu >> 8), static_cast<std::uint8_t>(mtu)};
        message.insert(message.end(), quoted.begin() + 14, quoted.begin() + 14 + 28);
        const std::uint16_t checksum = internet_checksum(message);
        message[2] = static_cast<std::uint8_t>(checksum >> 8);
        message[3] = static_cast<std::uint8_t>(checksum);
        client.arriving[40].push_back(to_mbuf(encode_ip({{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}},
                                                        Host::address(2), Host::address(1), 1, message)));
        run();
    };
    tell(port, 3, 3, 0);
    EXPECT_EQ(owner.errors, 1U);
    EXPECT_EQ(owner.type, 3U);
    tell(port, 3, 4, 1200);
    EXPECT_EQ(owner.errors, 2U);
    EXPECT_EQ(other.errors, 0U);
    EXPECT_EQ(client.sum(DropReason::icmp_error_without_owner), 0U);
    // Of which nobody has a socket: the owner's core counts it, and nobody's path is narrowed by it.
    std::uint16_t nobodys = 30'000;
    while (client.owners->owner(Host::address(2), Host::address(1), 53, nobodys) != 9) ++nobodys;
    const std::uint64_t before = client.sum(Counter::core_news_out);
    tell(nobodys, 3, 4, 600);
    EXPECT_EQ(client.sum(DropReason::icmp_error_without_owner), 1U);
    EXPECT_EQ(client.sum(Counter::core_news_out), before);
}

TEST_F(ManyCores, NewsThatFindAFullMailboxAreCountedAndDoNoHarm) {
    for (int i = 0; i < 100; ++i) client.ends[3]->tell({Host::address(2), {{2, 0, 0, 0, 0, 2}}, 0, true});
    EXPECT_EQ(client.ends[3]->counters().get(Counter::core_news_out), 64U * (cores - 1));
    EXPECT_EQ(client.ends[3]->counters().get(DropReason::core_news_full), 36U * (cores - 1));
    openers[7].open(*client.stacks[7], Host::address(2));
    run();
    EXPECT_EQ(client.stacks[7]->counters().get(Counter::tcp_established), 1U);
}

}  // namespace
}  // namespace runnel::test
