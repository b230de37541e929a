// Whole Ethernet frames for tests: written from a script's segment, and read back with every length and
// checksum checked. Independent of the library's wire code, so that a mistake there is not made twice.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <rte_mbuf.h>

#include "segment.hpp"

namespace runnel::test {

using Octets = std::vector<std::uint8_t>;

/// The Internet checksum (RFC 1071) of octets, begun with `sum`, in host order.
[[nodiscard]] std::uint16_t internet_checksum(std::span<const std::uint8_t> octets, std::uint32_t sum = 0);

/// An Ethernet frame with an IP packet of this protocol, padded to 60 octets as a port would. Where IPv6 is
/// spoken (family.hpp) it is of IPv6, and IP options stand in a destination option that is to be skipped.
[[nodiscard]] Octets encode_ip(const MacAddress& to, const MacAddress& from, Ipv4Address source,
                               Ipv4Address destination, std::uint8_t protocol,
                               std::span<const std::uint8_t> payload, std::uint8_t ttl = 64,
                               std::span<const std::uint8_t> ip_options = {}, std::uint8_t tos = 0);

/// The frame of a segment whose addresses, flags and numbers (absolute) are all set.
[[nodiscard]] Octets encode(const Segment& segment, const MacAddress& to, const MacAddress& from);

/// The TCP header and payload alone, as an ICMP error quotes them.
[[nodiscard]] Octets encode_tcp(const Segment& segment);

/// `raw`: OSPF, which here stands for all protocols that an application speaks itself.
enum class FrameKind : std::uint8_t { tcp, icmp, udp, arp, raw, other };

/// A frame, read. Addresses of IPv6 are told as those that stand for them (family.hpp), ICMPv6 by its own
/// types.
struct Frame {
    FrameKind kind = FrameKind::other;
    MacAddress ethernet_to{}, ethernet_from{};
    Ipv4Address source{}, destination{};
    std::uint8_t ttl = 0, tos = 0;
    bool dont_fragment = false;
    std::uint8_t icmp_type = 0, icmp_code = 0;
    std::uint32_t flow_label = 0;  ///< of IPv6
    Segment segment;               ///< of TCP, with all fields set and absolute numbers
    /// What is wrong with it: lengths, checksums, options that cannot be walked; empty where all is well.
    std::string problems;
    std::string sender_faults;  ///< what a sender must not do and a receiver puts up with
};
[[nodiscard]] Frame decode(std::span<const std::uint8_t> octets);

/// The pool that all stacks of a test program share, made at first use. Between tests it is full:
/// `mbufs_in_use()` is 0.
[[nodiscard]] rte_mempool* mbuf_pool();
[[nodiscard]] unsigned mbufs_in_use();

/// An mbuf of the pool that holds the frame; the caller owns it.
[[nodiscard]] rte_mbuf* to_mbuf(std::span<const std::uint8_t> frame);
/// The octets of an mbuf, chained or not.
[[nodiscard]] Octets octets_of(const rte_mbuf& mbuf);
[[nodiscard]] std::string text_of(const rte_mbuf& mbuf);

}  // namespace runnel::test
