// What cores that share addresses tell one another: here fragments, which reach a core by their addresses,
// and the segments made of them, which belong to the core of their ports.
#include "runnel/runtime/core_news.hpp"

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "runnel/ip/home_ports.hpp"
#include "runnel/ip/pings.hpp"
#include "runnel/udp/group_receivers.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/ipv4.hpp"

#include "seed.hpp"

namespace runnel::runtime {
namespace core_news_test {

constexpr unsigned cores = 4;
constexpr Ipv4Address us{10, 0, 0, 1};
constexpr MacAddress our_mac{{2, 0, 0, 0, 0, 1}}, peer_mac{{2, 0, 0, 0, 0, 2}};
using Octets = std::vector<std::byte>;

/// A host of several cores whose frames come to any of them.
class CoresWithFragments : public testing::Test {
  protected:
    CoresWithFragments() {
        for (unsigned core = 0; core < cores; ++core) {
            news.push_back(std::make_unique<CoreNews>(*exchange, core));
            StackConfig config;
            config.ip.interfaces = {{.mac = our_mac, .address = us}};
            config.ip.routes = {{.gateway = Ipv4Address{10, 0, 0, 254}}};
            config.ip.neighbours = {{Ipv4Address{10, 0, 0, 254}, peer_mac, 0}};
            config.ip.peers = news.back().get();
            config.ip.place = {.core = static_cast<std::uint16_t>(core), .count = cores};
            config.udp.home_ports =
                std::make_shared<const ip::HomePorts>(owners, static_cast<std::uint16_t>(core));
            config.tcp.connections = config.tcp.half_open = config.tcp.time_wait = 256;
            config.mbuf_stash = 64;
            config.mbuf_reserve = 16;
            stacks.push_back(std::make_unique<Stack>(config, pool));
            stacks.back()->listen({.port = 80, .handler = &handler});
            news.back()->attach(*stacks.back());
        }
    }
    ~CoresWithFragments() override {
        stacks.clear();
        news.clear();
        exchange.reset();  // frees what waits yet
        EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
        rte_mempool_free(pool);
    }

    /// The fragments of a SYN to port 80, as frames.
    static std::vector<Octets> syn(Ipv4Address source, std::uint16_t port, std::uint16_t id) {
        Octets segment(24);
        wire::store_be16(segment, 0, port);
        wire::store_be16(segment, 2, 80);
        segment[12] = std::byte{0x60};
        segment[13] = std::byte{2};
        wire::store_be16(segment, 14, 65535);
        wire::store_be32(segment, 20, 0x020405b4);
        wire::store_be16(
            segment, 16,
            wire::checksum_finish(wire::checksum_add(segment, wire::pseudo_header_sum(source, us, 6, 24))));
        std::vector<Octets> frames;
        for (std::size_t at = 0; at < segment.size(); at += 8) {
            Octets frame(42);
            std::memcpy(frame.data(), our_mac.octets.data(), 6);
            std::memcpy(frame.data() + 6, peer_mac.octets.data(), 6);
            wire::store_be16(frame, 12, 0x0800);
            const std::span<std::byte, 20> header{frame.data() + 14, 20};
            wire::write(wire::Ipv4Header{.total_length = 28, .id = id, .source = source, .destination = us},
                        header);
            wire::store_be16(header.data() + 6,
                             static_cast<std::uint16_t>(at / 8 | (at + 8 < segment.size() ? 0x2000U : 0U)));
            wire::store_be16(header.data() + 10, wire::checksum_finish(wire::checksum_add(header)));
            std::memcpy(frame.data() + 34, segment.data() + at, 8);
            frames.push_back(frame);
        }
        return frames;
    }
    void give(unsigned core, const Octets& octets) {
        rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
        std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(octets.size())), octets.data(),
                    octets.size());
        stacks[core]->receive({&mbuf, 1}, now);
    }
    /// Turns of all cores until none has heard anything.
    void turn() {
        for (bool more = true; more;) {
            more = false;
            for (const auto& one : news) more |= one->poll(now);
        }
    }
    /// Frames that a core sends.
    std::size_t sent(unsigned core) {
        std::array<rte_mbuf*, 64> out{};
        const std::size_t n = stacks[core]->transmit(out);
        rte_pktmbuf_free_bulk(out.data(), static_cast<unsigned>(n));
        return n;
    }

    class Nobody final : public tcp::Handler {
      public:
        tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
    };

    rte_mempool* pool = rte_pktmbuf_pool_create("core_news", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
    std::mt19937_64 random{test::seed()};
    std::shared_ptr<const ip::FlowOwners> owners =
        std::make_shared<const ip::FlowOwners>(ip::FlowOwners::evenly(cores));
    std::unique_ptr<NewsExchange> exchange = std::make_unique<NewsExchange>(owners, cores);
    std::vector<std::unique_ptr<CoreNews>> news;
    std::vector<std::unique_ptr<Stack>> stacks;
    Nobody handler;
    Instant now{1s};
};

TEST_F(CoresWithFragments, FragmentsOfOneSegmentMeetWhereverTheyArriveAndItsOwnerAnswers) {
    std::array<std::size_t, cores> owned{};
    for (std::uint16_t i = 0; i < 200; ++i) {
        const Ipv4Address source{static_cast<std::uint32_t>(0x0b000000 + random() % 0xffff)};
        const auto port = static_cast<std::uint16_t>(1024 + random() % 60000);
        for (const Octets& frame : syn(source, port, i)) give(static_cast<unsigned>(random() % cores), frame);
        turn();
        const unsigned owner = owners->owner(source, us, port, 80);
        for (unsigned core = 0; core < cores; ++core)
            ASSERT_EQ(sent(core), core == owner ? 1U : 0U) << "round " << i << ", core " << core;
        ++owned[owner];
    }
    for (const std::size_t share : owned) EXPECT_GT(share, 0U);
    for (const auto& stack : stacks) EXPECT_EQ(stack->next_deadline() == never, false);
}

TEST_F(CoresWithFragments, FragmentsThatFindTheMailboxFullAreCountedAndFreed) {
    Ipv4Address source{11, 0, 0, 1};
    while (owners->owner(source, us, 0, 0) != 1) ++source.value;
    for (std::uint16_t id = 0; id < 100; ++id) give(0, syn(source, 2000, id)[1]);
    EXPECT_EQ(news[0]->counters().get(Counter::frames_handed_over), 64U);
    EXPECT_EQ(news[0]->counters().get(DropReason::core_news_full), 36U);
}

TEST_F(CoresWithFragments, FragmentsThatFillTheirMailboxKeepNoOtherNewsOut) {
    Ipv4Address source{11, 0, 0, 1};
    while (owners->owner(source, us, 0, 0) != 1) ++source.value;
    for (std::uint16_t id = 0; id < 100; ++id) give(0, syn(source, 2000, id)[1]);
    news[0]->tell({source, {{2, 0, 0, 0, 0, 9}}, 0, true});
    EXPECT_EQ(news[0]->counters().get(DropReason::core_news_full), 36U);
}

TEST_F(CoresWithFragments, FrameThatChangesCoresIsCountedOnce) {
    std::uint64_t given = 0, frames = 0, handed_over = 0;
    for (std::uint16_t i = 0; i < 60; ++i) {
        for (const Octets& frame : syn(Ipv4Address{0x0b000000U + i}, 2000, i)) {
            give(static_cast<unsigned>(random() % cores), frame);
            ++given;
        }
        turn();
    }
    for (unsigned core = 0; core < cores; ++core) {
        frames += stacks[core]->counters().get(Counter::frames_in);
        handed_over += news[core]->counters().get(Counter::frames_handed_over);
    }
    EXPECT_EQ(frames, given);
    EXPECT_GT(handed_over, 0U);
}

constexpr Ipv4Address group{239, 1, 2, 3}, peer{10, 0, 0, 254};

/// The same with groups, and with echo requests.
class CoresWithGroups : public CoresWithFragments {
  protected:
    class Hearer final : public udp::Handler {
      public:
        udp::Ownership datagram(const udp::Datagram&, rte_mbuf& payload) noexcept override {
            ++heard;
            octets += payload.pkt_len;
            return udp::Ownership::returned;
        }
        void error(const udp::IcmpReport&) noexcept override { ++errors; }
        std::size_t heard = 0, octets = 0;
        int errors = 0;
    };
    class Asker final : public ip::PingHandler {
      public:
        ip::Ownership reply(const ip::PingReply&, rte_mbuf&) noexcept override {
            ++replies;
            return ip::Ownership::returned;
        }
        void failed(ip::PingNumber, const ip::IcmpError&) noexcept override { ++failures; }
        void timed_out(ip::PingNumber) noexcept override { ++late; }
        int replies = 0, failures = 0, late = 0;
    };

    void join(unsigned core) {
        ASSERT_EQ(stacks[core]->udp().groups().join({group, 5000, &hearers[core]}), ip::GroupResult::done);
    }
    static Octets packet(std::span<const std::byte> payload, wire::IpProtocol protocol, Ipv4Address source,
                         Ipv4Address destination, std::uint16_t place = 0) {
        Octets frame(34);
        const MacAddress mac = destination.is_multicast() ? wire::multicast_mac(destination) : our_mac;
        std::memcpy(frame.data(), mac.octets.data(), 6);
        std::memcpy(frame.data() + 6, peer_mac.octets.data(), 6);
        wire::store_be16(frame, 12, 0x0800);
        const std::span<std::byte, 20> header{frame.data() + 14, 20};
        wire::write(wire::Ipv4Header{.total_length = static_cast<std::uint16_t>(20 + payload.size()),
                                     .id = 77,
                                     .ttl = 1,
                                     .protocol = protocol,
                                     .source = source,
                                     .destination = destination},
                    header);
        wire::store_be16(header.data() + 6, place);
        wire::store_be16(header.data() + 10, wire::checksum_finish(wire::checksum_add(header)));
        frame.insert(frame.end(), payload.begin(), payload.end());
        return frame;
    }
    static Octets datagram(std::size_t size) {
        Octets octets(8 + size);
        wire::store_be16(octets, 0, 4000);
        wire::store_be16(octets, 2, 5000);
        wire::store_be16(octets, 4, static_cast<std::uint16_t>(octets.size()));
        return octets;
    }
    std::vector<Octets> frames_of(unsigned core) {
        std::array<rte_mbuf*, 64> out{};
        const std::size_t n = stacks[core]->transmit(out);
        std::vector<Octets> frames;
        for (std::size_t i = 0; i < n; ++i) {
            const auto* const start = rte_pktmbuf_mtod(out[i], const std::byte*);
            frames.emplace_back(start, start + out[i]->data_len);
            rte_pktmbuf_free(out[i]);
        }
        return frames;
    }

    std::array<Hearer, cores> hearers;
};

TEST_F(CoresWithGroups, IcmpErrorFindsTheCoreOfTheConnectedSocketWhicheverReceivesIt) {
    for (unsigned core = 0; core < cores; ++core) {
        const auto made =
            stacks[core]->udp().connect({.remote_address = peer, .remote_port = 53}, hearers[core]);
        ASSERT_EQ(made.error, udp::ConnectError::none);
        const std::uint16_t port = stacks[core]->udp().options_of(made.socket)->local_port;
        EXPECT_EQ(owners->owner(peer, us, 53, port), core) << "what the peer sends comes home";
        EXPECT_EQ(stacks[(core + 1) % cores]
                      ->udp()
                      .connect({.remote_address = peer, .remote_port = 53, .local_port = port}, hearers[core])
                      .error,
                  udp::ConnectError::port_elsewhere);
        Octets quoted = datagram(10);
        wire::store_be16(quoted, 0, port);
        wire::store_be16(quoted, 2, 53);
        const Octets frame = packet(quoted, wire::IpProtocol::udp, us, peer);
        for (const std::uint8_t code : {std::uint8_t{3}, std::uint8_t{4}}) {
            Octets message(8);
            message[0] = std::byte{3};
            message[1] = std::byte{code};
            if (code == 4) wire::store_be16(message, 6, 1300);
            message.insert(message.end(), frame.begin() + 14, frame.end());
            wire::store_be16(message, 2, wire::checksum_finish(wire::checksum_add(message)));
            for (unsigned at = 0; at < cores; ++at) {
                const int before = hearers[core].errors;
                give(at, packet(message, wire::IpProtocol::icmp, peer, us));
                turn();
                EXPECT_EQ(hearers[core].errors, before + 1) << at << " to " << core;
            }
        }
        EXPECT_EQ(stacks[core]->udp().largest_whole(made.socket, now), 1272U);
    }
    // Nobody sent this one.
    Octets message(8);
    message[0] = message[1] = std::byte{3};
    const Octets frame = packet(datagram(10), wire::IpProtocol::udp, us, peer);
    message.insert(message.end(), frame.begin() + 14, frame.end());
    wire::store_be16(message, 2, wire::checksum_finish(wire::checksum_add(message)));
    std::uint64_t counted = 0;
    for (unsigned at = 0; at < cores; ++at) give(at, packet(message, wire::IpProtocol::icmp, peer, us));
    turn();
    for (const auto& stack : stacks) counted += stack->counters().get(DropReason::icmp_error_without_owner);
    EXPECT_EQ(counted, cores);
}

TEST_F(CoresWithGroups, DatagramReachesEachCoreThatHasJoinedOnceWhicheverReceivesIt) {
    join(1);
    join(3);
    for (unsigned core = 0; core < cores; ++core) {
        give(core, packet(datagram(30), wire::IpProtocol::udp, peer, group));
        turn();
        for (unsigned hearer = 0; hearer < cores; ++hearer)
            EXPECT_EQ(hearers[hearer].heard, hearer % 2 == 1 ? core + 1 : 0) << core << " to " << hearer;
    }
    EXPECT_EQ(hearers[1].octets, 120U);
    for (const auto& stack : stacks) {
        EXPECT_EQ(stack->counters().get(DropReason::ip_not_for_us), 0U);
        EXPECT_EQ(stack->counters().get(DropReason::ethernet_not_for_us), 0U);
    }
    stacks[1]->udp().groups().leave({group, 5000, &hearers[1]});
    stacks[3]->udp().groups().leave({group, 5000, &hearers[3]});
    give(0, packet(datagram(30), wire::IpProtocol::udp, peer, group));
    turn();
    EXPECT_EQ(hearers[1].heard, 4U);
    EXPECT_EQ(stacks[0]->counters().get(DropReason::ethernet_not_for_us), 1U);
}

TEST_F(CoresWithGroups, DatagramInFragmentsReachesThemToo) {
    join(2);
    const Octets whole = datagram(40);
    for (unsigned core = 0; core < cores; ++core) {
        const std::span<const std::byte> octets{whole};
        give(core, packet(octets.first(24), wire::IpProtocol::udp, peer, group, 0x2000));
        give((core + 1) % cores, packet(octets.subspan(24), wire::IpProtocol::udp, peer, group, 3));
        turn();
        EXPECT_EQ(hearers[2].heard, core + 1);
    }
    EXPECT_EQ(hearers[2].octets, 160U);
}

TEST_F(CoresWithGroups, CopyIsMadeForCoresThatMayHearTheGroupAlone) {
    constexpr Ipv4Address other{239, 1, 2, 4};
    ASSERT_NE(ip::group_bit(group), ip::group_bit(other));
    join(1);
    ASSERT_EQ(stacks[2]->udp().groups().join({other, 5000, &hearers[2]}), ip::GroupResult::done);
    ASSERT_EQ(stacks[3]->udp().groups().join({other, 5000, &hearers[3]}), ip::GroupResult::done);
    give(0, packet(datagram(30), wire::IpProtocol::udp, peer, group));
    EXPECT_EQ(news[0]->counters().get(Counter::core_news_out), 1U);
    give(0, packet(datagram(30), wire::IpProtocol::udp, peer, other));
    EXPECT_EQ(news[0]->counters().get(Counter::core_news_out), 3U);
    turn();
    for (unsigned core = 0; core < cores; ++core) EXPECT_EQ(hearers[core].heard, core > 0 ? 1U : 0U);
    stacks[3]->udp().groups().leave({other, 5000, &hearers[3]});
    give(0, packet(datagram(30), wire::IpProtocol::udp, peer, other));
    EXPECT_EQ(news[0]->counters().get(Counter::core_news_out), 4U);
}

TEST_F(CoresWithGroups, WhatACoreSendsToAGroupReachesTheMembersOfOtherCoresWhereThatIsWanted) {
    join(0);
    join(2);
    stacks[0]->advance(now);
    (void)frames_of(0);  // its report
    const Octets data(3000);
    const udp::SendOptions options{.remote_address = group,
                                   .remote_port = 5000,
                                   .local_port = 4000,
                                   .dont_fragment = false,
                                   .loop = true};
    ASSERT_EQ(stacks[0]->udp().send_to(options, data, now), udp::SendResult::sent);
    stacks[0]->advance(now);
    turn();
    EXPECT_EQ(frames_of(0).size(), 3U) << "the link has it in fragments";
    for (unsigned core = 0; core < cores; ++core) EXPECT_EQ(hearers[core].heard, core % 2 == 0 ? 1U : 0U);
    EXPECT_EQ(hearers[2].octets, 3000U);
    udp::SendOptions quiet = options;
    quiet.loop = false;
    ASSERT_EQ(stacks[0]->udp().send_to(quiet, data, now), udp::SendResult::sent);
    ASSERT_EQ(stacks[1]->udp().send_to(options, data, now), udp::SendResult::sent);
    for (unsigned core = 0; core < 2; ++core) stacks[core]->advance(now);
    turn();
    EXPECT_EQ(hearers[0].heard, 2U) << "that of the second core alone";
    EXPECT_EQ(hearers[2].heard, 2U);
    // A frame from the link that says to be ours is still nobody's.
    give(1, packet(datagram(30), wire::IpProtocol::udp, us, group));
    turn();
    EXPECT_EQ(stacks[1]->counters().get(DropReason::ip_bad_source), 1U);
    EXPECT_EQ(hearers[2].heard, 2U);
}

TEST_F(CoresWithGroups, CopyThatFindsTheMailboxFullIsCountedAndFreed) {
    join(1);
    for (int i = 0; i < 300; ++i) give(0, packet(datagram(8), wire::IpProtocol::udp, peer, group));
    EXPECT_EQ(news[0]->counters().get(DropReason::core_news_full), 44U);
    turn();
    EXPECT_EQ(hearers[1].heard, 256U);
}

TEST_F(CoresWithGroups, EachCoreAnswersQueriesForItsOwnMemberships) {
    join(1);
    join(2);
    for (unsigned core = 0; core < cores; ++core) {
        stacks[core]->advance(now);
        (void)frames_of(core);
    }
    now += 5s;
    for (unsigned core = 0; core < cores; ++core) {
        stacks[core]->advance(now);
        (void)frames_of(core);
    }
    Octets query(12);
    query[0] = std::byte{0x11};
    query[1] = std::byte{10};
    wire::store_be16(query, 2, wire::checksum_finish(wire::checksum_add(query)));
    Octets frame = packet(query, wire::IpProtocol::igmp, peer, ip::all_hosts);
    const Octets alert{std::byte{0x94}, std::byte{4}, std::byte{0}, std::byte{0}};
    frame.insert(frame.begin() + 34, alert.begin(), alert.end());
    frame[14] = std::byte{0x46};
    wire::store_be16(frame, 16, 36);
    wire::store_be16(frame, 24, 0);
    wire::store_be16(frame, 24, wire::checksum_finish(wire::checksum_add(std::span{frame}.subspan(14, 24))));
    give(0, frame);
    turn();
    now += 1s;
    for (unsigned core = 0; core < cores; ++core) {
        stacks[core]->advance(now);
        EXPECT_EQ(frames_of(core).size(), core == 1 || core == 2 ? 1U : 0U) << core;
    }
}

TEST_F(CoresWithGroups, EchoReplyAndErrorFindTheCoreThatAskedWhicheverReceivesThem) {
    std::array<Asker, cores> askers;
    for (unsigned core = 0; core < cores; ++core) {
        for (unsigned at = 0; at < cores; ++at) {
            for (const bool refused : {false, true}) {
                ASSERT_EQ(stacks[core]->pings().send({.remote = peer}, {}, askers[core], now).result,
                          ip::PingResult::sent);
                const auto frames = frames_of(core);
                ASSERT_EQ(frames.size(), 1U);
                Octets message(frames[0].begin() + 34, frames[0].end());
                if (refused) {
                    const Octets quote(frames[0].begin() + 14, frames[0].end());
                    message = Octets(8);
                    message[0] = std::byte{3};
                    message[1] = std::byte{1};
                    message.insert(message.end(), quote.begin(), quote.end());
                } else {
                    message[0] = std::byte{0};
                }
                wire::store_be16(message, 2, 0);
                wire::store_be16(message, 2, wire::checksum_finish(wire::checksum_add(message)));
                give(at, packet(message, wire::IpProtocol::icmp, peer, us));
                turn();
            }
        }
        EXPECT_EQ(askers[core].replies, static_cast<int>(cores));
        EXPECT_EQ(askers[core].failures, static_cast<int>(cores));
    }
}

}  // namespace core_news_test
}  // namespace runnel::runtime
