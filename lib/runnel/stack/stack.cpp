#include "runnel/stack/stack.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

#include <netinet/in.h>

#include <rte_prefetch.h>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/stage_marks.hpp"
#include "runnel/base/transmit_queue.hpp"
#include "runnel/ip/exception_path.hpp"
#include "runnel/ip/group_memberships.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/ip/token_bucket.hpp"
#include "runnel/tcp/core.hpp"
#include "runnel/tcp/endpoint.hpp"

namespace runnel {

namespace {

// One secret, many keys: each purpose has its own, so that what one of them reveals says nothing of the
// others.
HashKey derive(HashKey secret, std::uint64_t purpose) noexcept {
    return {siphash_2_4(secret, purpose, 0), siphash_2_4(secret, purpose, 1)};
}

HashKey secret_of(const StackConfig& config) {
    return config.secret ? HashKey{(*config.secret)[0], (*config.secret)[1]} : random_hash_key();
}

const StackConfig& checked(const StackConfig& config) {
    if (!std::has_single_bit(config.transmit_queue) || config.transmit_queue < 64)
        throw std::invalid_argument("transmit_queue is " + std::to_string(config.transmit_queue) +
                                    ": give a power of two, at least 64");
    return config;
}

// Anybody may claim to be a router that a datagram was too big for. What is not told now is told when the
// path's next such message comes.
constexpr std::uint32_t too_big_news_per_second = 200;

}  // namespace

// In the order in which they stand on one another.
struct Stack::Parts {
    Parts(const StackConfig& config, rte_mempool* mbufs, HashKey secret)
        : queue(config.transmit_queue),
          stash(mbufs, {config.mbuf_stash, config.mbuf_reserve}),
          peers(config.ip.peers),
          too_big_news(too_big_news_per_second, derive(secret, 9)),
          internet(config.ip, {derive(secret, 1).k0, derive(secret, 1).k1}, counters, stash, queue),
          udp(config.udp, {derive(secret, 10), derive(secret, 11), derive(secret, 12)}, internet, counters,
              stash),
          tcp(config.tcp,
              {derive(secret, 2), derive(secret, 3), derive(secret, 4), derive(secret, 5), derive(secret, 6),
               derive(secret, 7), derive(secret, 8)},
              internet, counters, stash, queue) {
        internet.set_progress(&tcp);
    }
    ~Parts() { internet.set_progress(nullptr); }

    // About a UDP datagram, or something else than TCP's that the path does not take; false where nobody here
    // has sent it.
    bool take_datagram_error(const ip::IcmpError& error, Instant when) noexcept {
        if (error.protocol == IPPROTO_UDP && !udp.icmp_error(error)) return false;
        if (error.meaning == ip::IcmpMeaning::too_big) {
            internet.lower_datagram_mtu(error, when);
            if (peers != nullptr && too_big_news.take(when)) {
                ip::IcmpError told = error;
                told.proven = true;
                peers->tell(told);
            }
        }
        return true;
    }

    template <bool Counted>
    void take(std::span<rte_mbuf* const> frames) noexcept;

    Counters counters;
    TransmitQueue queue;
    MbufStash stash;
    ip::PeerCores* peers;
    ip::TokenBucket too_big_news;
    ip::InternetLayer internet;
    udp::Sockets udp;
    tcp::Endpoint tcp;
    std::array<ip::Ingress, tcp::Endpoint::max_burst> segments;  // of the present burst
    Instant now{};
};

std::array<tcp::MemoryUse, memory_use_count> memory_uses(const StackConfig& config) noexcept {
    const auto& interfaces = config.ip.interfaces;
    const bool ipv6 = std::any_of(interfaces.begin(), interfaces.end(),
                                  [](const auto& interface) { return interface.speaks_ipv6(); });
    const auto of_tcp = tcp::Endpoint::memory_uses(config.tcp, ipv6);
    std::array<tcp::MemoryUse, memory_use_count> all;
    std::ranges::copy(of_tcp, all.begin());
    all.back() = {"connected UDP sockets", udp::Sockets::memory_needed(config.udp)};
    return all;
}

std::size_t memory_needed(const StackConfig& config) noexcept {
    std::size_t octets = 0;
    for (const tcp::MemoryUse& use : memory_uses(config)) octets += use.octets;
    return octets;
}

Stack::Stack(const StackConfig& config, rte_mempool* mbufs)
    : parts_(std::make_unique<Parts>(checked(config), mbufs, secret_of(config))) {}

Stack::~Stack() = default;

// Sorts frames and hands the transports what is theirs. At most `segments.size()` of them.
template <bool Counted>
void Stack::Parts::take(std::span<rte_mbuf* const> frames) noexcept {
    std::size_t held = 0;
    for (rte_mbuf* const frame : frames) {
        if constexpr (Counted) {
            counters.add(Counter::frames_in);
            counters.add(Counter::bytes_in, frame->pkt_len);
        }
        ip::Ingress& in = segments[held];
        switch (internet.input(frame, in, now)) {
            case ip::Upper::tcp:
                ++held;
                break;
            case ip::Upper::udp:
                udp.input(in, now);
                break;
            case ip::Upper::icmp_error:
                if (in.error.protocol == IPPROTO_TCP) {
                    if (peers == nullptr || !peers->pass_on(in.error)) tcp.receive_error(in.error);
                } else if (!take_datagram_error(in.error, now)) {
                    const bool passed_on =
                        peers != nullptr && in.error.protocol == IPPROTO_UDP && peers->pass_on(in.error);
                    if (!passed_on || internet.exception().open()) {
                        internet.decline(in, DropReason::icmp_error_without_owner);
                        break;
                    }
                }
                stash.put(in.mbuf);
                break;
            case ip::Upper::none:
                break;
        }
    }
    tcp.receive({segments.data(), held});
}

void Stack::receive(std::span<rte_mbuf* const> burst, Instant now) noexcept {
    Parts& parts = *parts_;
    parts.now = now;
    parts.tcp.set_time(now);
    while (!burst.empty()) {
        mark(Stage::parse);
        const std::size_t n = std::min(burst.size(), parts.segments.size());
        // Where the data lies stands in the mbuf: both come from the other core's cache, one after the other.
        for (rte_mbuf* const frame : burst.first(n)) rte_prefetch0(frame);
        for (rte_mbuf* const frame : burst.first(n)) {
            const auto* const octets = rte_pktmbuf_mtod(frame, const std::byte*);
            rte_prefetch0(octets);
            rte_prefetch0(octets + 64);
        }
        parts.take<true>(burst.first(n));
        burst = burst.subspan(n);
    }
}

void Stack::take_over(rte_mbuf* frame, Instant now) noexcept {
    Parts& parts = *parts_;
    parts.now = now;
    parts.tcp.set_time(now);
    parts.take<false>({&frame, 1});
}

void Stack::set_behind(bool behind) noexcept {
    parts_->tcp.set_behind(behind);
}

void Stack::hear(const ip::NeighbourNews& news, Instant now) noexcept {
    parts_->now = now;
    parts_->internet.hear(news, now);
}

void Stack::hear(const ip::IcmpError& error, Instant now) noexcept {
    parts_->now = now;
    parts_->tcp.set_time(now);
    if (error.protocol == IPPROTO_TCP)
        parts_->tcp.receive_error(error);
    else if (error.proven)
        parts_->internet.lower_datagram_mtu(error, now);
    else if (!parts_->take_datagram_error(error, now))
        parts_->counters.drop(DropReason::icmp_error_without_owner);
}

void Stack::hear_copy(rte_mbuf* frame, Instant now) noexcept {
    Parts& parts = *parts_;
    parts.now = now;
    ip::Ingress in;
    parts.internet.set_copies(true);
    const ip::Upper upper = parts.internet.input(frame, in, now);
    // Neither TCP nor an ICMP error is sent to a group.
    if (upper == ip::Upper::udp)
        parts.udp.input(in, now);
    else if (upper != ip::Upper::none)
        parts.stash.put(in.mbuf);
    parts.internet.set_copies(false);
}

void Stack::hear(const ip::RouterNews& news, Instant now) noexcept {
    parts_->now = now;
    parts_->internet.hear(news, now);
}

void Stack::advance(Instant now) noexcept {
    parts_->now = now;
    parts_->tcp.set_time(now);
    parts_->tcp.advance();
    parts_->internet.advance(now);
    parts_->udp.advance();
}

std::size_t Stack::transmit(std::span<rte_mbuf*> out) noexcept {
    Parts& parts = *parts_;
    parts.tcp.send_pending(out.size());
    const std::size_t n = parts.queue.pop(out);
    std::uint64_t octets = 0;
    for (std::size_t i = 0; i < n; ++i) octets += out[i]->pkt_len;
    if (n > 0) {
        parts.counters.add(Counter::frames_out, n);
        parts.counters.add(Counter::bytes_out, octets);
    }
    return n;
}

Instant Stack::next_deadline() const noexcept {
    if (parts_->queue.size() > 0 || parts_->udp.has_looped()) return parts_->now;
    return std::min(parts_->tcp.next_deadline(), parts_->internet.next_deadline());
}

void Stack::listen(const tcp::ListenOptions& options) {
    parts_->tcp.listen(options);
}
void Stack::unlisten(IpAddress address, std::uint16_t port) {
    parts_->tcp.unlisten(address, port);
}
tcp::ConnectResult Stack::connect(const tcp::ConnectOptions& options) noexcept {
    return parts_->tcp.connect(options);
}

std::optional<std::vector<MacAddress>> Stack::link_groups() const {
    ip::InternetLayer& internet = parts_->internet;
    if (internet.exception().open() || !internet.groups().lists_all()) return std::nullopt;
    std::vector<MacAddress> macs{wire::multicast_mac(ip::all_hosts), wire::multicast_mac(all_nodes)};
    for (std::uint8_t i = 0; i < internet.interface_count(); ++i) {
        const auto some = internet.groups().link_groups(i);
        macs.insert(macs.end(), some.begin(), some.end());
    }
    return macs;
}
std::uint32_t Stack::groups_epoch() const noexcept {
    return parts_->internet.groups().epoch();
}

tcp::Endpoint& Stack::tcp() noexcept {
    return parts_->tcp;
}
udp::Sockets& Stack::udp() noexcept {
    return parts_->udp;
}
ip::Pings& Stack::pings() noexcept {
    return parts_->internet.pings();
}
ip::RawProtocols& Stack::raw() noexcept {
    return parts_->internet.raw();
}
std::size_t Stack::take_exceptions(std::span<rte_mbuf*> out) noexcept {
    return parts_->internet.exception().pop(out);
}
void Stack::send_exceptions(std::span<rte_mbuf* const> frames, std::uint8_t interface) noexcept {
    for (rte_mbuf* const frame : frames) parts_->internet.exception().send(frame, interface);
}
bool Stack::probes_addresses() const noexcept {
    return parts_->internet.probes_addresses();
}
std::size_t Stack::transmit_room() const noexcept {
    return parts_->queue.room();
}
const Counters& Stack::counters() const noexcept {
    return parts_->counters;
}

}  // namespace runnel
