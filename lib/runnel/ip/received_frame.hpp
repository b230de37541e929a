// Received frames that come in several mbuf segments, or longer than the packet in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <rte_mbuf.h>

#include "runnel/ip/link_output.hpp"

namespace runnel::ip {

/// Sees to it that the link, IP and transport headers of a chain of segments, and what an ICMP error quotes,
/// lie in the first segment. Data may stay where it is. False where there is no room for that.
[[nodiscard]] bool gather_headers(rte_mbuf* frame) noexcept;

/// Sees to it that the first `size` octets of a frame, which has them and may be written on, lie in its first
/// segment. Segments that become empty go back to their pool. False where there is no room for that.
[[nodiscard]] bool pull_up(rte_mbuf* frame, std::size_t size) noexcept;

/// What stands between the link addresses of a frame and its packet.
struct LinkTags {
    std::uint16_t outer = 0, vlan = 0;  ///< VLAN ids, of two tags and of one; 0: none, or a priority alone
    std::uint16_t type = 0;             ///< EtherType of the packet
    std::size_t size = 0;               ///< octets up to the packet
};
/// Reads up to two tags, one of 802.1Q or that and one of 802.1ad around it; such as the port has stripped
/// count. The frame has an Ethernet header. Nothing where a tag is cut short.
[[nodiscard]] std::optional<LinkTags> read_link_tags(const rte_mbuf* frame) noexcept;

/// Cuts a frame to its first `length` octets, which it has. Segments that become empty go back to their pool.
void trim(rte_mbuf* frame, std::size_t length) noexcept;

/// The frame itself where the octets of its first segment are its own, to be written on; else a copy, in
/// place of the frame, which goes back. Null where no mbuf is free: that is counted.
[[nodiscard]] rte_mbuf* make_writable(rte_mbuf* frame, LinkOutput& link) noexcept;

}  // namespace runnel::ip
