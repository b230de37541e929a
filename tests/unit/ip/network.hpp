// A network to test the internet layer on: one layer with its pool, counters and queue, frames made by hand
// in, frames sent read back. Time is what the test says it is.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "runnel/ip/internet_layer.hpp"
#include "runnel/wire/arp.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmp.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/udp.hpp"
#include "runnel/wire/vlan.hpp"

namespace runnel::test {

using Octets = std::vector<std::byte>;

inline constexpr MacAddress our_mac{{0x02, 0, 0, 0, 0, 0x01}};
inline constexpr MacAddress peer_mac{{0x02, 0, 0, 0, 0, 0x02}};
inline constexpr MacAddress other_mac{{0x02, 0, 0, 0, 0, 0x03}};
inline constexpr Ipv4Address us{10, 0, 0, 1};
inline constexpr Ipv4Address peer{10, 0, 0, 2};
inline constexpr Ipv4Address router{10, 0, 0, 254};
inline constexpr Ipv4Address far_away{192, 0, 2, 7};
inline constexpr Ipv4Address subnet_broadcast{10, 0, 0, 255};

/// One interface with 10.0.0.1/24 and no routes.
[[nodiscard]] inline ip::Config plain_config() {
    ip::Config config;
    config.interfaces = {{.mac = our_mac, .address = us}};
    return config;
}

/// The same, with peer and router known and a default route: nothing need be resolved.
[[nodiscard]] inline ip::Config resolved_config() {
    ip::Config config = plain_config();
    config.neighbours = {{peer, peer_mac, 0}, {router, other_mac, 0}};
    config.routes = {{.network = {}, .prefix_length = 0, .gateway = router, .interface = 0}};
    return config;
}

[[nodiscard]] inline Octets operator+(Octets front, std::span<const std::byte> back) {
    front.insert(front.end(), back.begin(), back.end());
    return front;
}

/// `size` octets that differ from their neighbours.
[[nodiscard]] inline Octets pattern(std::size_t size) {
    Octets octets(size);
    for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<std::byte>(i * 7 + i / 256);
    return octets;
}

[[nodiscard]] inline Octets ethernet(std::span<const std::byte> payload,
                                     wire::EtherType type = wire::EtherType::ipv4,
                                     MacAddress destination = our_mac, MacAddress source = peer_mac) {
    Octets frame(wire::ethernet_header_size);
    wire::write({destination, source, type}, std::span{frame}.first<wire::ethernet_header_size>());
    return std::move(frame) + payload;
}

[[nodiscard]] inline Octets tagged(std::span<const std::byte> payload, std::uint16_t id,
                                   wire::EtherType type = wire::EtherType::ipv4) {
    Octets tag(wire::vlan_tag_size);
    wire::write(wire::VlanTag{.id = id, .type = type}, std::span{tag}.first<wire::vlan_tag_size>());
    return ethernet(std::move(tag) + payload, wire::EtherType::vlan);
}

/// Makes the header checksum right again after a change.
inline void seal(Octets& packet) {
    const std::size_t header = std::min(packet.size(), (std::to_integer<std::size_t>(packet[0]) & 15) * 4);
    wire::store_be16(packet, 10, 0);
    wire::store_be16(packet, 10, wire::checksum_finish(wire::checksum_add(std::span{packet}.first(header))));
}

struct PacketFields {
    Ipv4Address source = peer, destination = us;
    wire::IpProtocol protocol = wire::IpProtocol::tcp;
    std::uint8_t ttl = 64, tos = 0;
    Octets options{};
};

[[nodiscard]] inline Octets ipv4(std::span<const std::byte> payload, const PacketFields& fields = {}) {
    Octets packet(wire::ipv4_header_size);
    wire::write(wire::Ipv4Header{.tos = fields.tos,
                                 .total_length = static_cast<std::uint16_t>(
                                     packet.size() + fields.options.size() + payload.size()),
                                 .id = 0x4321,
                                 .ttl = fields.ttl,
                                 .protocol = fields.protocol,
                                 .source = fields.source,
                                 .destination = fields.destination},
                std::span{packet}.first<wire::ipv4_header_size>());
    packet[0] = static_cast<std::byte>(0x45 + fields.options.size() / 4);
    packet = std::move(packet) + fields.options;
    seal(packet);
    return std::move(packet) + payload;
}

/// The 20 octets of a TCP header; its checksum is left 0, the internet layer does not look at it.
[[nodiscard]] inline Octets tcp_header(std::uint16_t source_port = 40000,
                                       std::uint16_t destination_port = 80) {
    Octets header(20);
    wire::store_be16(header, 0, source_port);
    wire::store_be16(header, 2, destination_port);
    wire::store_be32(header, 4, 0x01020304);
    header[12] = std::byte{0x50};
    return header;
}

[[nodiscard]] inline Octets udp_datagram(std::span<const std::byte> payload, std::uint16_t source_port,
                                         std::uint16_t destination_port, Ipv4Address source = peer,
                                         Ipv4Address destination = us) {
    Octets datagram(wire::udp_header_size);
    const auto length = static_cast<std::uint16_t>(datagram.size() + payload.size());
    wire::write(wire::UdpHeader{source_port, destination_port, length},
                std::span{datagram}.first<wire::udp_header_size>());
    datagram = std::move(datagram) + payload;
    wire::store_be16(datagram, 6,
                     wire::checksum_finish(wire::checksum_add(
                         datagram, wire::pseudo_header_sum(source, destination, 17, length))));
    return datagram;
}

[[nodiscard]] inline Octets icmp(wire::IcmpType type, std::uint8_t code, std::uint32_t rest,
                                 std::span<const std::byte> payload) {
    Octets message(wire::icmp_header_size);
    wire::write(wire::IcmpHeader{type, code, 0, rest}, std::span{message}.first<wire::icmp_header_size>());
    message = std::move(message) + payload;
    wire::store_be16(message, 2, wire::checksum_finish(wire::checksum_add(message)));
    return message;
}

[[nodiscard]] inline Octets arp(wire::ArpOperation operation, MacAddress sender_mac, Ipv4Address sender,
                                Ipv4Address target, MacAddress target_mac = {},
                                MacAddress frame_destination = MacAddress::broadcast()) {
    Octets packet(wire::arp_packet_size);
    wire::write(wire::ArpPacket{operation, sender_mac, sender, target_mac, target},
                std::span{packet}.first<wire::arp_packet_size>());
    packet.resize(46);  // padded to the shortest Ethernet frame
    return ethernet(packet, wire::EtherType::arp, frame_destination, sender_mac);
}

[[nodiscard]] inline Octets octets_of(const rte_mbuf* mbuf) {
    Octets octets;
    for (; mbuf != nullptr; mbuf = mbuf->next) {
        const auto* const start = rte_pktmbuf_mtod(mbuf, const std::byte*);
        octets.insert(octets.end(), start, start + mbuf->data_len);
    }
    return octets;
}

/// The link payload of an IPv4 frame, seen as a packet; fails the test where it is none.
[[nodiscard]] inline wire::Ipv4View packet_in(std::span<const std::byte> frame,
                                              std::size_t link = wire::ethernet_header_size) {
    wire::Ipv4View view;
    EXPECT_EQ(wire::Ipv4View::parse(frame.subspan(link), view), wire::Ipv4Fault::none);
    EXPECT_TRUE(wire::checksum_holds(wire::checksum_add(view.header_bytes())));
    EXPECT_EQ(view.total_length() + link, frame.size());
    return view;
}

[[nodiscard]] inline std::optional<wire::ArpPacket> arp_in(std::span<const std::byte> frame) {
    const auto view = wire::EthernetView::parse(frame);
    if (!view || view->type() != wire::EtherType::arp) return std::nullopt;
    return wire::parse_arp(view->payload());
}

/// A pool that checks at its end that every mbuf has come back.
class Pool {
  public:
    explicit Pool(unsigned mbufs = 1023, std::uint16_t room = RTE_MBUF_DEFAULT_BUF_SIZE) {
        static std::atomic<unsigned> made{0};
        pool_ = rte_pktmbuf_pool_create(("test" + std::to_string(made++)).c_str(), mbufs, 0, 0, room, 0);
        if (pool_ == nullptr) throw std::runtime_error("no memory for a test's pool");
    }
    ~Pool() {
        EXPECT_EQ(rte_mempool_in_use_count(pool_), 0U) << "mbufs were lost";
        rte_mempool_free(pool_);
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    [[nodiscard]] rte_mempool* get() const { return pool_; }

    /// A frame of one segment that ends where its octets end, so that a read beyond meets other octets.
    [[nodiscard]] rte_mbuf* mbuf(std::span<const std::byte> octets) const {
        rte_mbuf* one = rte_pktmbuf_alloc(pool_);
        char* room = rte_pktmbuf_append(one, static_cast<std::uint16_t>(octets.size()));
        std::copy(octets.begin(), octets.end(), reinterpret_cast<std::byte*>(room));
        return one;
    }
    /// A chain of segments of the given sizes, and one of what remains.
    [[nodiscard]] rte_mbuf* chain(std::span<const std::byte> octets,
                                  const std::vector<std::size_t>& sizes) const {
        rte_mbuf* head = nullptr;
        const auto add = [&](std::size_t size) {
            rte_mbuf* segment = mbuf(octets.first(size));
            octets = octets.subspan(size);
            if (head == nullptr)
                head = segment;
            else
                EXPECT_EQ(rte_pktmbuf_chain(head, segment), 0);
        };
        for (const std::size_t size : sizes) add(std::min(size, octets.size()));
        if (!octets.empty()) add(octets.size());
        return head;
    }

  private:
    rte_mempool* pool_;
};

class Network {
  public:
    explicit Network(const ip::Config& config = plain_config(), std::size_t queue_capacity = 256)
        : stash(pool.get(), {.capacity = 64, .reserve = 8}),
          queue(queue_capacity),
          layer(config, {0x0123456789abcdef, 0xfedcba9876543210}, counters, stash, queue) {}

    /// Gives the layer a frame. Where it answers `none` the mbuf is gone; else it is put back by the next
    /// call, or the end.
    ip::Upper give(rte_mbuf* frame) {
        put_back();
        in = {};
        const ip::Upper upper = layer.input(frame, in, now);
        if (upper != ip::Upper::none) kept_ = in.mbuf;
        return upper;
    }
    ip::Upper give(std::span<const std::byte> frame) { return give(pool.mbuf(frame)); }

    /// Tells that somebody else has taken `in.mbuf`.
    void let_go() { kept_ = nullptr; }

    /// The reason that a frame just given was dropped for, or nothing where it was not.
    std::optional<DropReason> reason_for(std::span<const std::byte> frame) {
        return reason_for(pool.mbuf(frame));
    }
    std::optional<DropReason> reason_for(rte_mbuf* frame) {
        std::vector<std::uint64_t> before;
        for (std::size_t i = 0; i < drop_count; ++i)
            before.push_back(counters.get(static_cast<DropReason>(i)));
        give(frame);
        std::optional<DropReason> reason;
        for (std::size_t i = 0; i < drop_count; ++i) {
            const auto rise = counters.get(static_cast<DropReason>(i)) - before[i];
            if (rise == 0) continue;
            EXPECT_EQ(rise, 1U);
            EXPECT_FALSE(reason.has_value()) << "counted twice";
            reason = static_cast<DropReason>(i);
        }
        return reason;
    }

    /// Sends a transport message to `destination`.
    bool send(std::span<const std::byte> message, Ipv4Address destination = peer,
              wire::IpProtocol protocol = wire::IpProtocol::tcp) {
        return layer.output(
            pool.mbuf(message),
            {.source = us, .destination = destination, .protocol = static_cast<std::uint8_t>(protocol)}, now);
    }

    /// The frames sent since the last call.
    std::vector<Octets> sent() {
        std::vector<Octets> frames;
        rte_mbuf* one = nullptr;
        while (queue.pop({&one, 1}) == 1) {
            EXPECT_EQ(rte_mbuf_check(one, 1, nullptr), 0);
            frames.push_back(octets_of(one));
            rte_pktmbuf_free(one);
        }
        return frames;
    }

    /// Lets time pass up to `until`, as a caller's loop does.
    void run_until(Instant until) {
        for (Instant deadline = layer.next_deadline(); deadline <= until; deadline = layer.next_deadline()) {
            now = std::max(now, deadline);
            layer.advance(now);
        }
        now = until;
        layer.advance(now);
    }

    [[nodiscard]] std::uint64_t count(DropReason reason) const { return counters.get(reason); }
    [[nodiscard]] std::uint64_t count(Counter counter) const { return counters.get(counter); }

    ~Network() { put_back(); }

    Pool pool;
    Counters counters;
    MbufStash stash;
    TransmitQueue queue;
    ip::InternetLayer layer;
    ip::Ingress in{};
    Instant now{1s};

  private:
    void put_back() {
        if (kept_ != nullptr) stash.put(kept_);
        kept_ = nullptr;
    }
    rte_mbuf* kept_ = nullptr;
};

}  // namespace runnel::test
