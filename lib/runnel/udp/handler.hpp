// What hears the datagrams of a port, and what it is told of them (RFC 768, RFC 1122 section 4.1).
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/slot_pool.hpp"

namespace runnel::udp {

/// What became of an mbuf given to a handler.
enum class Ownership : std::uint8_t {
    returned,  ///< the stack takes the mbuf back when the call returns
    taken,     ///< the handler owns it now: it sends it on with `Sockets::send_to`, or frees it with
               ///< `rte_pktmbuf_free`
};

/// The handle of a connected socket: slot and generation, so that one that is over is told from its
/// successor. A value; what is over, or never was, is refused by each call.
struct ConnectedSocket {
    std::uint32_t slot = no_slot;
    std::uint32_t generation = 0;

    /// False of a handle that was never given out.
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return slot != no_slot; }
    friend constexpr bool operator==(const ConnectedSocket&, const ConnectedSocket&) noexcept = default;
};

/// Where a received datagram came from and went to.
struct Datagram {
    IpAddress source_address, destination_address;
    std::uint16_t source_port = 0;  ///< 0: the sender wants no answer
    std::uint16_t destination_port = 0;
    std::uint8_t ttl = 0, tos = 0;
    bool group =
        false;  ///< sent to a broadcast or multicast address: an answer comes from an address of our own
    std::uint8_t interface = 0;  ///< by which it came: index into ip::Config::interfaces
    ConnectedSocket socket{};    ///< that hears it, where it is a connected one
};

/// An ICMP error about a datagram that was sent (RFC 1122 section 4.1.3.3).
struct IcmpReport {
    std::uint8_t type = 0, code = 0;
    std::uint16_t next_hop_mtu = 0;  ///< of "fragmentation needed" or "packet too big", else 0
    IpAddress local_address, remote_address;
    std::uint16_t local_port = 0, remote_port = 0;
    ConnectedSocket socket{};  ///< that sent it, where it is a connected one
};

/// Hears what arrives at sockets. One handler may serve any number of them, and outlives their binding. Every
/// call comes on the stack's thread; sending, binding and unbinding, joining and leaving are allowed within.
class Handler {
  public:
    virtual ~Handler() = default;

    /// A datagram. `payload` holds exactly its data, which may be none, or a chain.
    virtual Ownership datagram(const Datagram& about, rte_mbuf& payload) noexcept = 0;
    /// A router or the remote host could not deliver, or says so: anybody may forge it.
    virtual void error(const IcmpReport&) noexcept {}
};

}  // namespace runnel::udp
