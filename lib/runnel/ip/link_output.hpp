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
inline constexpr std::size_t max_link_header_size = wire::ethernet_header_size + 2 * wire::vlan_tag_size;

/// An Ethernet header ready to be copied, with the interface's VLAN tags if it has some.
struct LinkHeader {
    std::array<std::byte, max_link_header_size> octets{};
    std::uint8_t size = 0;
    std::uint8_t port = 0;       ///< by which the frame leaves
    std::uint16_t port_tag = 0;  ///< VLAN whose tag the port is to insert; 0: none
};

[[nodiscard]] inline LinkHeader make_link_header(const Interface& interface, const MacAddress& destination,
                                                 wire::EtherType type) noexcept {
    LinkHeader header;
    header.size = interface.link_header_size;
    header.port = interface.port;
    const std::span octets{header.octets};
    constexpr std::size_t outer = wire::ethernet_header_size, inner = outer + wire::vlan_tag_size;
    const wire::VlanTag tag{.id = interface.vlan, .type = type};
    if (interface.vlan == 0 || interface.port_inserts_tag) {
        header.port_tag = interface.vlan;
        wire::write({destination, interface.mac, type}, octets.first<wire::ethernet_header_size>());
    } else if (interface.outer_vlan == 0) {
        wire::write({destination, interface.mac, wire::EtherType::vlan},
                    octets.first<wire::ethernet_header_size>());
        wire::write(tag, octets.subspan<outer, wire::vlan_tag_size>());
    } else {
        wire::write({destination, interface.mac, wire::EtherType::service_vlan},
                    octets.first<wire::ethernet_header_size>());
        wire::write(wire::VlanTag{.id = interface.outer_vlan, .type = wire::EtherType::vlan},
                    octets.subspan<outer, wire::vlan_tag_size>());
        wire::write(tag, octets.subspan<inner, wire::vlan_tag_size>());
    }
    return header;
}

class LinkOutput {
  public:
    /// None is owned, all outlive this.
    LinkOutput(Counters& counters, MbufStash& stash, TransmitQueue& queue) noexcept
        : counters_(counters), stash_(stash), queue_(queue) {}

    /// Puts the header in front of the packet, whose head room has been seen to be enough, and queues the
    /// frame. Takes the mbuf in every case; false where the queue is full, which is counted. The frame's
    /// `port` says that of the interface.
    bool send(rte_mbuf* packet, const LinkHeader& header) noexcept {
        packet->data_off = static_cast<std::uint16_t>(packet->data_off - header.size);
        packet->data_len = static_cast<std::uint16_t>(packet->data_len + header.size);
        packet->pkt_len += header.size;
        auto* const start = rte_pktmbuf_mtod(packet, std::byte*);
        // Constant sizes: the compiler makes them a few moves.
        if (header.size == wire::ethernet_header_size) [[likely]]
            std::memcpy(start, header.octets.data(), wire::ethernet_header_size);
        else if (header.size == wire::ethernet_header_size + wire::vlan_tag_size)
            std::memcpy(start, header.octets.data(), wire::ethernet_header_size + wire::vlan_tag_size);
        else
            std::memcpy(start, header.octets.data(), max_link_header_size);
        if (header.port_tag != 0) [[unlikely]] {
            packet->ol_flags |= RTE_MBUF_F_TX_VLAN;
            packet->vlan_tci = header.port_tag;
        }
        packet->port = header.port;
        return queue(packet);
    }
    /// Queues a whole frame whose `port` is set. Takes the mbuf as `send` does.
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
