// The way out of the internet layer: link header on, frame into the transmit queue.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <rte_mbuf.h>

#include "runnel/base/counters.hpp"
#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/transmit_queue.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/vlan.hpp"

namespace runnel::ip {

/// Octets that `LinkOutput` may put in front of a packet, at most.
inline constexpr std::size_t max_link_header_size = wire::ethernet_header_size + wire::vlan_tag_size;

/// An Ethernet header ready to be copied, with the interface's VLAN tag if it has one.
struct LinkHeader {
    std::array<std::byte, max_link_header_size> octets{};
    std::uint8_t size = 0;
};

[[nodiscard]] inline LinkHeader make_link_header(const Interface& interface, const MacAddress& destination,
                                                 wire::EtherType type) noexcept {
    LinkHeader header;
    header.size = interface.link_header_size;
    const std::span octets{header.octets};
    const bool tagged = interface.vlan != 0;
    wire::write({destination, interface.mac, tagged ? wire::EtherType::vlan : type},
                octets.first<wire::ethernet_header_size>());
    if (tagged)
        wire::write(wire::VlanTag{.id = interface.vlan, .type = type},
                    octets.subspan<wire::ethernet_header_size, wire::vlan_tag_size>());
    return header;
}

class LinkOutput {
  public:
    /// None is owned, all outlive this.
    LinkOutput(Counters& counters, MbufStash& stash, TransmitQueue& queue) noexcept
        : counters_(counters), stash_(stash), queue_(queue) {}

    /// Puts the header in front of the packet, whose head room has been seen to be enough, and queues the
    /// frame. Takes the mbuf in every case; false where the queue is full, which is counted. The frame's
    /// `port` says the interface.
    bool send(rte_mbuf* packet, std::uint8_t interface, const LinkHeader& header) noexcept {
        packet->data_off = static_cast<std::uint16_t>(packet->data_off - header.size);
        packet->data_len = static_cast<std::uint16_t>(packet->data_len + header.size);
        packet->pkt_len += header.size;
        auto* const start = rte_pktmbuf_mtod(packet, std::byte*);
        // Constant sizes: the compiler makes them a few moves.
        if (header.size == wire::ethernet_header_size) [[likely]]
            std::memcpy(start, header.octets.data(), wire::ethernet_header_size);
        else
            std::memcpy(start, header.octets.data(), max_link_header_size);
        packet->port = interface;
        return queue(packet);
    }
    /// Queues a whole frame whose `port` says the interface. Takes the mbuf as `send` does.
    bool queue(rte_mbuf* frame) noexcept {
        if (queue_.push(frame)) [[likely]]
            return true;
        drop(frame, DropReason::transmit_queue_full);
        return false;
    }

    /// Frames that the queue has room for.
    [[nodiscard]] std::size_t room() const noexcept { return queue_.room(); }

    /// Takes the mbuf back and counts why.
    void drop(rte_mbuf* mbuf, DropReason reason) noexcept {
        counters_.drop(reason);
        stash_.put(mbuf);
    }

    [[nodiscard]] Counters& counters() noexcept { return counters_; }
    [[nodiscard]] MbufStash& stash() noexcept { return stash_; }

  private:
    Counters& counters_;
    MbufStash& stash_;
    TransmitQueue& queue_;
};

}  // namespace runnel::ip
