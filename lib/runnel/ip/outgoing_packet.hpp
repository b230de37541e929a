// What a transport message goes through before the IP header of either version is put in front of it: whether
// it fits the interface and its port, and the transport's checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <rte_mbuf.h>

#include "runnel/ip/forward_progress.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::ip {

inline constexpr std::uint8_t protocol_tcp = static_cast<std::uint8_t>(wire::IpProtocol::tcp);
inline constexpr std::uint8_t protocol_udp = static_cast<std::uint8_t>(wire::IpProtocol::udp);
/// Where their headers have what the internet layer reads or writes of them.
inline constexpr std::size_t tcp_data_offset_at = 12, tcp_checksum_at = 16, udp_checksum_at = 6;

/// Sees to it that the message fits: the MTU, as many mbufs as the port takes in a chain (else its octets are
/// put into one), and head room for an IP header of `ip_header_size` octets. False where it does not: then it
/// was dropped, which is counted.
[[nodiscard]] bool fit(rte_mbuf*& packet, const Output& how, const Interface& interface,
                       std::size_t ip_header_size, LinkOutput& link) noexcept;

/// Whether the message is to leave in fragments: it may, and is larger than `mtu` allows.
[[nodiscard]] inline bool is_to_be_cut(const rte_mbuf* packet, const Output& how, std::size_t ip_header_size,
                                       std::size_t mtu) noexcept {
    constexpr std::uint8_t tcp = 6;
    return packet->pkt_len + ip_header_size > mtu && !how.dont_fragment && how.protocol != tcp;
}
/// Sees to it that such a message is none beyond `largest` octets, and has head room for headers of
/// `headers_size` octets. False where it does not: then it was dropped, which is counted.
[[nodiscard]] bool fit_uncut(rte_mbuf* packet, std::size_t largest, std::size_t headers_size,
                             LinkOutput& link) noexcept;

/// Writes the checksum of TCP or UDP, or leaves to the port what it can do, segmentation too. `pseudo` is the
/// sum of the pseudo-header without its length, `version` RTE_MBUF_F_TX_IPV4 or RTE_MBUF_F_TX_IPV6.
/// Of what is to be cut the port can do nothing: `finish_transport_of_uncut`.
void finish_transport(rte_mbuf* packet, const Output& how, const Interface& interface, std::uint32_t pseudo,
                      std::uint64_t version) noexcept;
void finish_transport_of_uncut(rte_mbuf* packet, const Output& how, std::uint32_t pseudo) noexcept;

/// The flow of a TCP segment that is a packet already, whose IP header has `ip_header_size` octets; nothing
/// of other protocols.
[[nodiscard]] std::optional<TransportFlow> flow_of(const rte_mbuf* packet, const Output& how,
                                                   std::size_t ip_header_size) noexcept;

}  // namespace runnel::ip
