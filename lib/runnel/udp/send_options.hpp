// How a datagram leaves, and what became of it.
#pragma once

#include <cstdint>
#include <optional>

#include "runnel/base/ip_address.hpp"

namespace runnel::udp {

/// How a datagram is to leave.
struct SendOptions {
    IpAddress remote_address{};
    std::uint16_t remote_port = 0;
    IpAddress local_address{};     ///< one of ours; unspecified: that of the interface which leads there
    std::uint16_t local_port = 0;  ///< 0: no answer is wanted; of `connect`: one is drawn
    std::uint8_t tos = 0;
    std::uint8_t ttl = 0;  ///< 0: the default of the configuration; to a group 1 (RFC 1112 section 6.1)
    /// Larger than the path takes, a datagram is refused; false: it leaves in fragments, up to 65,507 octets
    /// of data, of IPv6 65,527.
    bool dont_fragment = true;
    /// Of a datagram to a multicast group: by which interface it leaves; nothing: by the route to the group,
    /// or the first interface of the family.
    std::optional<std::uint8_t> interface {};
    /// Of such: the sockets of this host that hear the group get it too, those of this core at the next
    /// `Stack::advance`, those of other cores with the same addresses as what the link brings.
    bool loop = false;
    /// Where not 0, data of more octets than this leaves as several datagrams of so many octets each, the
    /// last of which may be smaller (as Linux's UDP_SEGMENT): at most 64, each of which fits the path's MTU,
    /// of at most 65,507 octets together, over IPv6 65,527. The port cuts them where it does that, else the
    /// stack: all leave, or none. As if each were sent by itself, so that some may leave and others not, they
    /// go over IPv4 without `dont_fragment`, and to a group with `loop`.
    std::uint16_t segment = 0;
};

enum class SendResult : std::uint8_t {
    sent,                ///< queued for sending, or kept until the neighbour answers
    family_unsupported,  ///< IPv6 where no interface speaks it, or addresses of two families
    no_route,            ///< nothing leads to the remote address, or no datagram may go there; or there is no
                         ///< such interface
    not_our_address,     ///< the local address is none of ours
    too_big,             ///< larger than the MTU of the path as far as it is known, or than any datagram; or
                         ///< its segments are, or are more than 64
    no_memory,           ///< no mbuf is free, or its room is too small
    dropped,             ///< the queue of frames to send is full, or the neighbour does not answer; counted
    not_connected,       ///< the connected socket is over, or never was
};

}  // namespace runnel::udp
