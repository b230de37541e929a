// What a transport message goes through before the IP header of either version is put in front of it: whether
// it fits the interface and its port, and the transport's checksum.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/link_output.hpp"

namespace runnel::ip {

/// Sees to it that the message fits: the MTU, as many mbufs as the port takes in a chain (else its octets are
/// put into one), and head room for an IP header of `ip_header_size` octets. False where it does not: then it
/// was dropped, which is counted.
[[nodiscard]] bool fit(rte_mbuf*& packet, const Output& how, const Interface& interface,
                       std::size_t ip_header_size, LinkOutput& link) noexcept;

/// Writes the checksum of TCP or UDP, or leaves to the port what it can do, segmentation too. `pseudo` is the
/// sum of the pseudo-header without its length, `version` RTE_MBUF_F_TX_IPV4 or RTE_MBUF_F_TX_IPV6.
void finish_transport(rte_mbuf* packet, const Output& how, const Interface& interface, std::uint32_t pseudo,
                      std::uint64_t version) noexcept;

}  // namespace runnel::ip
