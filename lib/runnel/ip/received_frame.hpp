// Received frames that come in several mbuf segments, or longer than the packet in them.
#pragma once

#include <cstddef>

#include <rte_mbuf.h>

#include "runnel/ip/link_output.hpp"

namespace runnel::ip {

/// Sees to it that the link, IP and transport headers of a chain of segments, and what an ICMP error quotes,
/// lie in the first segment. Data may stay where it is. False where there is no room for that.
[[nodiscard]] bool gather_headers(rte_mbuf* frame) noexcept;

/// Sees to it that the first `size` octets of a frame, which has them and may be written on, lie in its first
/// segment. Segments that become empty go back to their pool. False where there is no room for that.
[[nodiscard]] bool pull_up(rte_mbuf* frame, std::size_t size) noexcept;

/// Cuts a frame to its first `length` octets, which it has. Segments that become empty go back to their pool.
void trim(rte_mbuf* frame, std::size_t length) noexcept;

/// The frame itself where the octets of its first segment are its own, to be written on; else a copy, in
/// place of the frame, which goes back. Null where no mbuf is free: that is counted.
[[nodiscard]] rte_mbuf* make_writable(rte_mbuf* frame, LinkOutput& link) noexcept;

}  // namespace runnel::ip
