// A stack that listens and one connection that it opens, fed with frames through its public interface only.
//
// The input: one octet, whose low seven bits are s: after each frame s^2 milliseconds pass, and whose top bit
// answers each SYN with a cookie; then frames, each after two octets of
// big-endian length. Sequence numbers, the edges of SACK blocks too, count from 0 on both sides, as in a
// script of a test: those of the stack are added here, and a Fast Open cookie of eight zeroes is made the
// last one that it gave. Checksums are made right, so that what lies behind them is reached; where the length
// has its top bit set, the frame comes as it is, and where the bit below is set a connection is opened after
// it.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <vector>

#include <rte_eal.h>
#include <rte_mbuf.h>

#include "runnel/stack/stack.hpp"
#include "runnel/udp/group_receivers.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/igmp.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/tcp.hpp"
#include "runnel/wire/tcp_options.hpp"

#include "require.hpp"

namespace {

using namespace runnel;
using fuzz::require;

constexpr MacAddress our_mac{{2, 0, 0, 0, 0, 2}};
constexpr MacAddress peer_mac{{2, 0, 0, 0, 0, 1}};
constexpr Ipv4Address our_address{10, 0, 0, 2};
constexpr Ipv4Address peer_address{10, 0, 0, 1};
constexpr Ipv6Address our_ipv6_address = Ipv6Address::of(0x2001'0db8'0000'0000, 2);
constexpr std::uint32_t peer_isn = 0xfffffff0;  // soon wraps around

rte_mempool* start_eal_and_make_pool() {
    static std::array<const char*, 10> arguments{"fuzz_stack",  "--no-huge",    "--no-pci", "--no-telemetry",
                                                 "--no-shconf", "-m",           "256",      "-l",
                                                 "0",           "--log-level=4"};
    require(rte_eal_init(static_cast<int>(arguments.size()), const_cast<char**>(arguments.data())) >= 0,
            "EAL starts");
    rte_mempool* const pool = rte_pktmbuf_pool_create("fuzz", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    require(pool != nullptr, "the pool is made");
    return pool;
}

// Sends back what it hears.
class Echo final : public tcp::Handler {
  public:
    void established(tcp::Connection connection) noexcept override {
        static constexpr std::array<std::byte, 2> greeting{std::byte{'h'}, std::byte{'i'}};
        connection.send(greeting);
    }
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
        for (const rte_mbuf* segment = &payload; segment != nullptr; segment = segment->next)
            connection.send({rte_pktmbuf_mtod(segment, const std::byte*), segment->data_len});
        connection.consume(payload.pkt_len);
        return tcp::Ownership::returned;
    }
    void peer_closed(tcp::Connection connection) noexcept override { connection.close(); }
};

// Hears groups; with each datagram it changes its mind about whom it hears.
class Member final : public udp::Handler {
  public:
    explicit Member(udp::Sockets& udp) : udp_(udp) {
        for (const IpAddress& group : groups)
            require(udp.groups().join({group, port, this}) == ip::GroupResult::done, "a group can be joined");
    }
    udp::Ownership datagram(const udp::Datagram& about, rte_mbuf&) noexcept override {
        const udp::GroupSocket socket{about.destination_address, port, this};
        if (udp_.groups().block(socket, about.source_address) != ip::GroupResult::done)
            udp_.groups().leave(socket);
        return udp::Ownership::returned;
    }

  private:
    static constexpr std::uint16_t port = 5000;
    static constexpr std::array<IpAddress, 2> groups{Ipv4Address{239, 1, 2, 3},
                                                     Ipv6Address::of(0xff15'0000'0000'0000, 0x1234)};
    udp::Sockets& udp_;
};

// Sends back, in datagrams of nine octets, what the peer sends to its port; an error makes it begin anew.
class Mirror final : public udp::Handler {
  public:
    Mirror(udp::Sockets& udp, const Instant& now) : udp_(udp), now_(now) { connect(); }
    udp::Ownership datagram(const udp::Datagram& about, rte_mbuf& payload) noexcept override {
        require(about.socket == socket_, "a connected socket hears what is its own");
        require(about.source_address == IpAddress{peer_address} && about.source_port == port,
                "it hears its peer alone");
        udp_.send(socket_, &payload, now_);
        return udp::Ownership::taken;
    }
    void error(const udp::IcmpReport& report) noexcept override {
        require(report.socket == socket_ && udp_.disconnect(socket_), "an error is about a socket that is");
        require(udp_.send(socket_, std::span<const std::byte>{}, now_) == udp::SendResult::not_connected,
                "a socket that is over is over");
        connect();
    }

  private:
    void connect() {
        const auto made = udp_.connect(
            {.remote_address = peer_address, .remote_port = port, .local_port = port, .segment = 9}, *this);
        require(made.error == udp::ConnectError::none, "a socket can be connected");
        socket_ = made.socket;
    }

    static constexpr std::uint16_t port = 7;
    udp::Sockets& udp_;
    const Instant& now_;
    udp::ConnectedSocket socket_;
};

StackConfig configuration(bool cookies) {
    StackConfig config;
    config.ip.interfaces = {
        {.mac = our_mac, .address = our_address, .ipv6 = {{.address = our_ipv6_address}}, .autoconf = true}};
    config.ip.neighbours = {{.address = peer_address, .mac = peer_mac}};
    config.ip.neighbour_capacity = 16;
    config.tcp.connections = 16;
    config.tcp.half_open = 16;
    config.tcp.time_wait = 16;
    config.tcp.sent_ranges = 8;  // soon used up
    config.tcp.receive_buffer = config.tcp.send_buffer = config.tcp.out_of_order_limit = 16 * 1024;
    config.transmit_queue = 256;
    config.mbuf_stash = 128;
    config.mbuf_reserve = 16;
    config.tcp.fast_open_pending = 2;
    config.tcp.fast_open_servers = 4;
    config.secret = {1, 2};
    if (cookies) config.tcp.syn_cookies = tcp::SynCookieUse::always;
    return config;
}

// The stack and the peer's knowledge of it.
class Run {
  public:
    Run(rte_mempool* pool, bool cookies)
        : pool_(pool),
          stack_(configuration(cookies), pool),
          member_(stack_.udp()),
          mirror_(stack_.udp(), now_) {
        stack_.advance(now_);
        stack_.listen({.port = 80, .handler = &echo_, .fast_open = true});
        const auto opened = stack_.connect(
            {.remote_address = peer_address, .remote_port = 80, .local_port = 40001, .handler = &echo_});
        require(opened.error == tcp::Error::none, "a connection can be opened");
        take_what_it_sends();
        open_fast(40002);
    }

    void frame(std::vector<std::byte> octets, bool as_it_is) {
        if (!as_it_is) complete(octets);
        rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool_);
        require(mbuf != nullptr, "a stack gives back the mbufs that it took");
        char* const to = rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(octets.size()));
        require(to != nullptr, "a frame fits an mbuf");
        std::copy(octets.begin(), octets.end(), reinterpret_cast<std::byte*>(to));
        stack_.receive({&mbuf, 1}, now_);
        take_what_it_sends();
    }

    // A SYN that asks for a cookie; where one has come by then, it brings it, and data.
    void open_fast(std::uint16_t port) {
        static constexpr std::array<std::byte, 3> text{std::byte{'o'}, std::byte{'n'}, std::byte{'e'}};
        auto opened = stack_.connect({.remote_address = peer_address,
                                      .remote_port = 80,
                                      .local_port = port,
                                      .handler = &echo_,
                                      .fast_open = true});
        if (opened.error == tcp::Error::none) opened.connection.send(text);
        take_what_it_sends();
    }

    void pass(Duration time) {
        now_ += time;
        stack_.advance(now_);
        take_what_it_sends();
    }

  private:
    // Of a flow, seen from the stack.
    static std::uint32_t ports_of(std::uint16_t ours, std::uint16_t peers) {
        return std::uint32_t{ours} << 16 | peers;
    }

    // Adds the initial sequence numbers, and makes the checksums of IP and TCP anew.
    void complete(std::span<std::byte> frame) {
        if (frame.size() < wire::ethernet_header_size) return;
        const auto packet = frame.subspan(wire::ethernet_header_size);
        wire::Ipv4View ip;
        if (wire::Ipv4View::parse(packet, ip) != wire::Ipv4Fault::none) return;
        const auto segment = packet.subspan(ip.header_size(), ip.payload().size());
        if (const auto tcp = wire::TcpView::parse(segment); tcp && ip.protocol() == wire::IpProtocol::tcp) {
            const auto isn = isns_.find(ports_of(tcp->destination_port(), tcp->source_port()));
            wire::store_be32(segment, 4, tcp->sequence().value() + peer_isn);
            if (isn != isns_.end()) {
                wire::store_be32(segment, 8, tcp->acknowledgement().value() + isn->second);
                add_to_sack_blocks(segment.first(tcp->header_size()), isn->second);
            }
            write_cookie(segment.subspan(wire::tcp_header_size, tcp->options().size()));
            wire::store_be16(segment, wire::tcp_checksum_offset, 0);
            wire::store_be16(segment, wire::tcp_checksum_offset, wire::checksum_finish(sum_of(ip)));
        }
        wire::store_be16(packet, 10, 0);
        wire::store_be16(packet, 10,
                         wire::checksum_finish(wire::checksum_add(packet.first(ip.header_size()))));
    }

    void write_cookie(std::span<std::byte> options) {
        static constexpr std::array<std::byte, 10> blank{std::byte{34}, std::byte{10}};
        const auto found = std::search(options.begin(), options.end(), blank.begin(), blank.end());
        if (found != options.end()) std::copy_n(cookie_.octets.begin(), 8, found + 2);
    }

    static void add_to_sack_blocks(std::span<std::byte> header, std::uint32_t isn) {
        constexpr std::byte end{0}, nop{1}, sack{5};
        for (std::size_t at = wire::tcp_header_size; at < header.size() && header[at] != end;) {
            if (header[at] == nop) {
                ++at;
                continue;
            }
            if (at + 1 >= header.size()) return;
            const auto length = std::to_integer<std::size_t>(header[at + 1]);
            if (length < 2 || at + length > header.size()) return;
            if (header[at] == sack)
                for (std::size_t edge = at + 2; edge + 4 <= at + length; edge += 4)
                    wire::store_be32(header, edge, wire::load_be32(header, edge) + isn);
            at += length;
        }
    }

    static std::uint32_t sum_of(const wire::Ipv4View& ip) {
        return wire::checksum_add(
            ip.payload(),
            wire::pseudo_header_sum(ip.source(), ip.destination(), static_cast<std::uint8_t>(ip.protocol()),
                                    static_cast<std::uint16_t>(ip.payload().size())));
    }

    void take_what_it_sends() {
        std::array<rte_mbuf*, 32> burst{};
        for (std::size_t sent = burst.size(); sent == burst.size();) {
            sent = stack_.transmit(burst);
            for (rte_mbuf* const mbuf : std::span{burst}.first(sent)) {
                std::vector<std::byte> octets(mbuf->pkt_len);
                const void* const at = rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, octets.data());
                if (at != octets.data())
                    std::copy_n(static_cast<const std::byte*>(at), octets.size(), octets.begin());
                rte_pktmbuf_free(mbuf);
                check(octets);
            }
        }
    }

    // Whatever came in, what goes out is well formed.
    void check(std::span<const std::byte> frame) {
        const auto ethernet = wire::EthernetView::parse(frame);
        require(ethernet.has_value(), "a frame sent has an Ethernet header");
        if (ethernet->type() != wire::EtherType::ipv4) return;
        wire::Ipv4View ip;
        require(wire::Ipv4View::parse(ethernet->payload(), ip) == wire::Ipv4Fault::none,
                "a packet sent is well formed");
        require(wire::checksum_holds(wire::checksum_add(ip.header_bytes())),
                "a packet sent has its checksum");
        if (ip.protocol() == wire::IpProtocol::igmp) {
            require(ip.ttl() == 1 && wire::checksum_holds(wire::checksum_add(ip.payload())),
                    "a report stays on the link and has its checksum");
            require(wire::has_ipv4_router_alert(ip.options()), "a report alerts routers");
        }
        if (ip.protocol() != wire::IpProtocol::tcp) return;
        const auto tcp = wire::TcpView::parse(ip.payload());
        require(tcp.has_value(), "a segment sent is well formed");
        require(wire::checksum_holds(sum_of(ip)), "a segment sent has its checksum");
        if (tcp->has(wire::tcp_flags::syn))
            isns_[ports_of(tcp->source_port(), tcp->destination_port())] = tcp->sequence().value();
        const auto given = wire::parse_tcp_options(tcp->options()).fast_open;
        if (given && given->size == 8 && tcp->source_port() == 80) cookie_ = *given;
    }

    rte_mempool* pool_;
    Instant now_{1s};
    Echo echo_;
    Stack stack_;
    Member member_;
    Mirror mirror_;
    wire::FastOpenCookie cookie_;                  // the last one that the stack gave
    std::map<std::uint32_t, std::uint32_t> isns_;  // the stack's initial sequence number, by `ports_of`
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static rte_mempool* const pool = start_eal_and_make_pool();
    auto octets = fuzz::octets_of(data, size);
    if (octets.empty()) return 0;
    const auto step = std::to_integer<unsigned>(octets[0] & std::byte{0x7f});
    const bool cookies = (octets[0] & std::byte{0x80}) != std::byte{0};
    octets = octets.subspan(1);
    {
        Run run{pool, cookies};
        unsigned opened = 0;
        while (octets.size() >= 2) {
            const std::uint16_t length = wire::load_be16(octets, 0);
            octets = octets.subspan(2);
            // 11 bits: as many octets as an mbuf of the pool holds.
            const auto frame = octets.first(std::min<std::size_t>(length & 0x7ff, octets.size()));
            run.frame({frame.begin(), frame.end()}, (length & 0x8000) != 0);
            run.pass(std::chrono::milliseconds{step * step});
            if ((length & 0x4000) != 0) run.open_fast(static_cast<std::uint16_t>(40003 + opened++));
            octets = octets.subspan(frame.size());
        }
    }
    require(rte_mempool_full(pool) == 1, "no mbuf is lost");
    return 0;
}
