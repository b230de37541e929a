#include "runnel/port/steered_wire.hpp"

#include <algorithm>
#include <array>

#include <rte_prefetch.h>

#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/vlan.hpp"

namespace runnel::port {

namespace {

constexpr std::size_t ports_size = 4;
constexpr std::size_t longest_headers =
    wire::ethernet_header_size + 2 * wire::vlan_tag_size + wire::ipv4_max_header_size + ports_size;
static_assert(longest_headers >=
              wire::ethernet_header_size + 2 * wire::vlan_tag_size + wire::ipv6_header_size + ports_size);
constexpr std::size_t shortest_headers = wire::ethernet_header_size + wire::ipv4_header_size + ports_size;

constexpr bool is_datagram(std::byte protocol) {
    return protocol == static_cast<std::byte>(wire::IpProtocol::udp);
}

constexpr bool has_ports(std::byte protocol) {
    return protocol == static_cast<std::byte>(wire::IpProtocol::tcp) || is_datagram(protocol);
}

}  // namespace

std::optional<FlowHash> flow_hash(const wire::Toeplitz& toeplitz, const rte_mbuf& frame) noexcept {
    std::array<std::byte, longest_headers> copy;
    const auto size = std::min<std::uint32_t>(frame.pkt_len, longest_headers);
    if (size < shortest_headers) return {};
    const auto* octets = rte_pktmbuf_mtod(&frame, const std::byte*);
    if (frame.data_len < size) [[unlikely]]
        octets = static_cast<const std::byte*>(rte_pktmbuf_read(&frame, 0, size, copy.data()));

    // What goes to a group is copied to all cores that hear it.
    if ((octets[0] & std::byte{1}) != std::byte{}) [[unlikely]]
        return {};
    std::size_t at = wire::ethernet_header_size;
    std::uint16_t type = wire::load_be16(octets + 12);
    for (int tags = 0; tags < 2 && wire::is_vlan_tag(wire::EtherType{type}); ++tags) {
        type = wire::load_be16(octets + at + 2);
        at += wire::vlan_tag_size;
    }
    const std::byte* const header = octets + at;
    if (type == static_cast<std::uint16_t>(wire::EtherType::ipv6)) {
        // A port looks for TCP behind the header itself, as most do who meet an extension header.
        const std::byte* const ports = header + wire::ipv6_header_size;
        if (!toeplitz.hashes_ipv6() || at + wire::ipv6_header_size + ports_size > size ||
            !has_ports(header[6]))
            return {};
        return FlowHash{toeplitz.hash(wire::load_ipv6(header + 8), wire::load_ipv6(header + 24),
                                      wire::load_be16(ports), wire::load_be16(ports + 2)),
                        is_datagram(header[6])};
    }
    if (type != static_cast<std::uint16_t>(wire::EtherType::ipv4) ||
        at + wire::ipv4_header_size + ports_size > size)
        return {};
    const std::size_t header_size = (std::to_integer<std::size_t>(header[0]) & 0xf) * 4;
    if (header_size < wire::ipv4_header_size || at + header_size + ports_size > size) [[unlikely]]
        return {};
    constexpr std::uint16_t fragment = wire::ipv4_more_fragments | wire::ipv4_fragment_offset_mask;
    if (!has_ports(header[9]) || (wire::load_be16(header + 6) & fragment) != 0) return {};
    const std::byte* const ports = header + header_size;
    return FlowHash{
        toeplitz.hash(Ipv4Address{wire::load_be32(header + 12)}, Ipv4Address{wire::load_be32(header + 16)},
                      wire::load_be16(ports), wire::load_be16(ports + 2)),
        is_datagram(header[9])};
}

std::optional<std::uint32_t> fragment_hash(const wire::Toeplitz& toeplitz, const rte_mbuf& frame) noexcept {
    std::array<std::byte, longest_headers> copy;
    const auto size = std::min<std::uint32_t>(frame.pkt_len, longest_headers);
    if (size < shortest_headers) return {};
    const auto* octets = rte_pktmbuf_mtod(&frame, const std::byte*);
    if (frame.data_len < size) [[unlikely]]
        octets = static_cast<const std::byte*>(rte_pktmbuf_read(&frame, 0, size, copy.data()));
    std::size_t at = wire::ethernet_header_size;
    for (int tags = 0; tags < 2 && wire::is_vlan_tag(wire::EtherType{wire::load_be16(octets + at - 2)});
         ++tags)
        at += wire::vlan_tag_size;
    const std::uint16_t type = wire::load_be16(octets + at - 2);
    const std::byte* const header = octets + at;
    if (type == static_cast<std::uint16_t>(wire::EtherType::ipv6)) {
        if (!toeplitz.hashes_ipv6() || at + wire::ipv6_header_size > size ||
            header[6] != static_cast<std::byte>(wire::Ipv6Extension::fragment))
            return {};
        return toeplitz.hash(wire::load_ipv6(header + 8), wire::load_ipv6(header + 24), 0, 0);
    }
    constexpr std::uint16_t fragment = wire::ipv4_more_fragments | wire::ipv4_fragment_offset_mask;
    if (type != static_cast<std::uint16_t>(wire::EtherType::ipv4) || at + wire::ipv4_header_size > size ||
        (wire::load_be16(header + 6) & fragment) == 0)
        return {};
    return toeplitz.hash(Ipv4Address{wire::load_be32(header + 12)}, Ipv4Address{wire::load_be32(header + 16)},
                         0, 0);
}

SteeredWire::SteeredWire(Steering& steering, unsigned core, Wire* queue)
    : steering_(steering),
      owners_(*steering.owners()),
      core_(core),
      queue_(queue),
      batches_(steering.cores()),
      relayed_(relay_burst) {
    for (auto& batch : batches_) batch.reserve(512);  // the largest burst of a poll loop
    touched_.reserve(steering.cores());
    if (queue == nullptr) return;
    for (unsigned other = steering.queues(); other < steering.cores(); ++other)
        if (other % steering.queues() == core) charges_.push_back(other);
}

SteeredWire::~SteeredWire() {
    while (relay_first_ != relay_last_) rte_pktmbuf_free(relayed_[relay_first_++]);
}

std::size_t SteeredWire::receive(std::span<rte_mbuf*> out) noexcept {
    if (!charges_.empty()) relay();
    // Half the burst is the queue's own, whatever the others bring.
    const std::size_t n = collect(out.first(queue_ == nullptr ? out.size() : (out.size() + 1) / 2));
    if (queue_ == nullptr) return n;
    const std::size_t fresh = queue_->receive(out.subspan(n));
    if (fresh == 0) return n;
    const auto received = out.subspan(n, fresh);
    if (believed_ && !steering_.datagrams() && steering_.distrust() == Distrust::none) [[likely]] {
        const auto hash = flow_hash(owners_.toeplitz(), *received.front());
        if (!hash || hash->datagram || owners_.owner(hash->value) == core_) [[likely]]
            return n + fresh;
        steering_.lose_trust(Distrust::queue);
    }
    return n + steer(received);
}

std::size_t SteeredWire::collect(std::span<rte_mbuf*> out) noexcept {
    steering_.bells_[core_].answer(rung_);
    std::size_t n = 0;
    while (n < out.size() && !Bell::empty(rung_)) {
        const unsigned sender = Bell::first(rung_, next_rung_);
        const auto room = out.subspan(n);
        const unsigned got =
            rte_ring_sc_dequeue_burst(steering_.mailbox(sender, core_), reinterpret_cast<void**>(room.data()),
                                      static_cast<unsigned>(room.size()), nullptr);
        n += got;
        if (got < room.size()) Bell::remove(rung_, sender);
        next_rung_ = (sender + 1) % Bell::most_cores;
    }
    return n;
}

std::size_t SteeredWire::steer(std::span<rte_mbuf*> frames) noexcept {
    for (const rte_mbuf* const frame : frames) rte_prefetch0(rte_pktmbuf_mtod(frame, const std::byte*));
    const bool judging = !believed_ && steering_.distrust() == Distrust::none;
    std::size_t kept = 0;
    for (rte_mbuf* const frame : frames) {
        const auto hash = flow_hash(owners_.toeplitz(), *frame);
        unsigned owner = core_;
        if (hash)
            owner = owners_.owner(hash->value);
        else if (const auto addresses = fragment_hash(owners_.toeplitz(), *frame))
            owner = owners_.owner(*addresses);
        if (judging && hash && !hash->datagram) [[unlikely]]
            judge(*frame, hash->value);
        if (owner == core_) {
            frames[kept++] = frame;
            continue;
        }
        if (batches_[owner].empty()) touched_.push_back(owner);
        batches_[owner].push_back(frame);
    }
    for (const unsigned core : touched_) hand_over(core);
    touched_.clear();
    return kept;
}

void SteeredWire::judge(const rte_mbuf& frame, std::uint32_t hash) noexcept {
    if (owners_.owner(hash) != core_) {
        steering_.lose_trust(Distrust::queue);
    } else if ((frame.ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0 && frame.hash.rss != hash) {
        steering_.lose_trust(Distrust::hash);
    } else if (const std::size_t bit = (hash * 0x9e3779b1U) >> 22; !seen_[bit] && !believed_) {
        // One connection proves but once, however many frames it has.
        seen_.set(bit);
        if (++agreed_ < proof) return;
        believed_ = true;
        steering_.proven_.fetch_add(1, std::memory_order_relaxed);
    }
}

void SteeredWire::hand_over(unsigned core) noexcept {
    std::vector<rte_mbuf*>& batch = batches_[core];
    const unsigned taken = rte_ring_sp_enqueue_burst(steering_.mailbox(core_, core),
                                                     reinterpret_cast<void* const*>(batch.data()),
                                                     static_cast<unsigned>(batch.size()), nullptr);
    steering_.bells_[core].ring(core_);
    counters_.add(Counter::frames_handed_over, taken);
    if (taken < batch.size()) [[unlikely]] {
        counters_.drop(DropReason::core_mailbox_full, batch.size() - taken);
        rte_pktmbuf_free_bulk(batch.data() + taken, static_cast<unsigned>(batch.size()) - taken);
    }
    batch.clear();
}

std::size_t SteeredWire::send(std::span<rte_mbuf*> frames) noexcept {
    if (queue_ != nullptr) [[likely]]
        return queue_->send(frames);
    return rte_ring_sp_enqueue_burst(steering_.way_out(core_), reinterpret_cast<void* const*>(frames.data()),
                                     static_cast<unsigned>(frames.size()), nullptr);
}

void SteeredWire::relay() noexcept {
    const auto flush = [this] {
        relay_first_ += queue_->send({relayed_.data() + relay_first_, relay_last_ - relay_first_});
        return relay_first_ == relay_last_;
    };
    if (relay_first_ != relay_last_ && !flush()) return;
    for (const unsigned core : charges_) {
        relay_first_ = 0;
        relay_last_ = rte_ring_sc_dequeue_burst(
            steering_.way_out(core), reinterpret_cast<void**>(relayed_.data()), relay_burst, nullptr);
        if (relay_last_ > 0 && !flush()) return;
    }
}

}  // namespace runnel::port
