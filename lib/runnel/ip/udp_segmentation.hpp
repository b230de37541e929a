// Many datagrams in one send: the data of a UDP message is cut into datagrams of equal size, by the port
// where it does that, else here (what Linux names UDP_SEGMENT). Each is a packet that nobody may fragment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/link_output.hpp"

namespace runnel::ip {

/// Datagrams that one send is cut into, at most: as Linux has it.
inline constexpr std::size_t most_segments = 64;

/// Whether the message is to leave as many datagrams.
[[nodiscard]] inline bool is_segmented(const Output& how) noexcept {
    constexpr std::uint8_t udp = 17;
    return how.segment_size != 0 && how.protocol == udp;
}

/// Octets of data of a segment, below which drivers refuse to cut (i40e and iavf; ice at 64).
inline constexpr std::uint16_t least_port_segment = 256;

/// Whether the port cuts into segments of so many octets.
[[nodiscard]] inline bool port_segments(const Interface& interface, std::uint16_t segment) noexcept {
    return interface.offloads.tx_udp_segmentation && segment >= least_port_segment;
}
/// Whether the port cuts a message: and it takes a chain of so many mbufs.
[[nodiscard]] inline bool port_segments(const rte_mbuf* packet, const Interface& interface,
                                        std::uint16_t segment) noexcept {
    return port_segments(interface, segment) && packet->nb_segs <= interface.offloads.tx_large_chain;
}

/// Sees to it that such a message, a UDP header and data, can leave: the datagrams fit the MTU, are not too
/// many, and the whole is no larger than a packet may be. False where not: then it was dropped, which is
/// counted.
[[nodiscard]] bool fit_segmented(rte_mbuf* packet, const Output& how, const Interface& interface,
                                 std::size_t ip_header_size, LinkOutput& link) noexcept;

/// Says in the mbuf what is to be done with it, whether the port or `send_segments` does it. `pseudo` is the
/// sum of the pseudo-header without its length, which each datagram adds; `version` RTE_MBUF_F_TX_IPV4 or
/// RTE_MBUF_F_TX_IPV6. Returns the length that the IP header is to say: of the message as a whole, or of the
/// largest datagram where it is cut here, so that it is an uncut packet (fragmentation.hpp).
[[nodiscard]] std::uint16_t mark_segmented(rte_mbuf* packet, const Output& how, const Interface& interface,
                                           std::uint32_t pseudo, std::uint64_t version) noexcept;

/// Cuts a packet, complete but for its link header, that `mark_segmented` says is to be cut here, and queues
/// its datagrams behind one another: all, or none where there is no room or no mbuf for each, which is
/// counted. Where each mbuf of the chain holds one datagram's data and has head room, nothing is copied.
/// Takes the mbuf in every case.
bool send_segments(rte_mbuf* packet, const LinkHeader& header, LinkOutput& link) noexcept;
/// The same of data that is in no mbuf yet: `head` holds the headers alone, and its length in all counts the
/// data. Each octet is copied and summed up once.
bool send_segments(rte_mbuf* head, std::span<const std::byte> data, const LinkHeader& header,
                   LinkOutput& link) noexcept;
/// Appends a copy of such data to its head, which its length in all does not count yet, for what cannot be
/// cut at once: in mbufs of at most `most` octets each. False where there are none: then all was dropped,
/// which is counted.
[[nodiscard]] bool append_copy(rte_mbuf* head, std::span<const std::byte> data, std::size_t most,
                               LinkOutput& link) noexcept;

}  // namespace runnel::ip
