// Raw IP protocols: the embedder claims a protocol number, and speaks that protocol himself (OSPF 89, EIGRP
// 88, IGMP 2, VRRP 112). RFC 791 section 3.2, RFC 1122 section 3.4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/link_output.hpp"

namespace runnel::ip {

struct GroupListener;

/// What became of an mbuf given to a handler.
enum class Ownership : std::uint8_t {
    returned,  ///< the stack takes the mbuf back when the call returns
    taken,     ///< the handler owns it now, and frees it with `rte_pktmbuf_free`
};

/// What the IP header of a received packet says.
struct RawPacket {
    IpAddress source{}, destination{};
    std::uint8_t protocol = 0;
    std::uint8_t ttl = 0, tos = 0;
    std::uint8_t interface = 0;  ///< by which it came: index into Config::interfaces
    bool group = false;          ///< sent to a broadcast or multicast address
    /// Octets of the IP header, its options or extension headers included: the protocol's own begin there.
    std::uint16_t header_size = 0;
};

/// Hears the packets of claimed protocols. One handler may have claimed any number of them, and outlives its
/// claims. Every call comes on the stack's thread; sending, claiming and releasing are allowed within.
class RawHandler {
  public:
    virtual ~RawHandler() = default;

    /// A packet for one of our addresses, or a group that is heard. `packet` holds it whole, from the IP
    /// header on, whose form and checksum have been found right; it may be a chain. What is behind the header
    /// has not been looked at.
    virtual Ownership packet(const RawPacket& about, rte_mbuf& packet) noexcept = 0;
    /// A router or the remote host could not deliver a packet of ours, or says so: anybody may forge it. Of
    /// "too big" the path's MTU has been lowered for all that is not TCP's, within its bounds.
    virtual void error(const IcmpError&) noexcept {}
};

/// How a packet is to leave.
struct RawSendOptions {
    IpAddress remote{};         ///< a host, or a group
    IpAddress local{};          ///< one of ours; unspecified: that of the interface which leads there
    std::uint8_t protocol = 0;  ///< one that is claimed
    std::uint8_t tos = 0;
    std::uint8_t ttl = 0;  ///< 0: the default of the configuration
    bool dont_fragment = true;
};

enum class RawSendResult : std::uint8_t {
    sent,                ///< queued for sending, or kept until the neighbour answers
    not_claimed,         ///< nobody has claimed the protocol
    family_unsupported,  ///< IPv6 where no interface speaks it, or addresses of two families
    no_route,            ///< nothing leads to the remote address
    not_our_address,     ///< the local address is none of ours
    too_big,             ///< larger than the MTU of the path as far as it is known
    no_memory,           ///< no mbuf is free, or its room is too small
    dropped,             ///< the queue of frames to send is full, or the neighbour does not answer; counted
};

/// The claimed protocols of one stack, both families. All calls from the stack's thread.
class RawProtocols {
  public:
    /// References are not owned and outlive this.
    RawProtocols(InternetLayer& internet, LinkOutput& link) noexcept : internet_(internet), link_(link) {}
    RawProtocols(const RawProtocols&) = delete;
    RawProtocols& operator=(const RawProtocols&) = delete;

    /// Hands `handler` every packet of a protocol, over IPv4 and IPv6, that arrives from now on; it is no
    /// longer refused by ICMP. Numbers of IPv6 extension headers (0, 43, 44, 59, 60) concern IPv4 alone.
    /// Throws `std::invalid_argument` where the number is claimed already, or is one of those that the stack
    /// speaks itself: ICMP (1), TCP (6), UDP (17), ICMPv6 (58).
    void claim(std::uint8_t protocol, RawHandler& handler);
    /// Undoes `claim`; false where nobody had claimed it.
    bool release(std::uint8_t protocol) noexcept;

    /// Hears a group of the link (224.0.0.0/24, ff02::/16) on every interface: what is sent to it is received
    /// as to an address of ours. The membership is reported, for switches that snoop (RFC 3376 section 5, RFC
    /// 3810 section 6). Throws `std::invalid_argument` where it is no such group, `std::length_error` where
    /// as many groups are heard as `Config::multicast_groups` allows.
    void hear(const IpAddress& group);
    /// Undoes `hear`, which counts; false where the group was not heard.
    bool ignore(const IpAddress& group);

    /// Sends a copy of the octets behind an IP header. Checksums of the protocol are the
    /// caller's.
    RawSendResult send(const RawSendOptions& options, std::span<const std::byte> payload,
                       Instant now) noexcept;
    /// Sends the octets of an mbuf (chain). Takes the mbuf in every case.
    RawSendResult send(const RawSendOptions& options, rte_mbuf* payload, Instant now) noexcept;

    // What the internet layer asks.

    [[nodiscard]] bool claimed(std::uint8_t protocol) const noexcept {
        return handlers_[protocol] != nullptr;
    }
    [[nodiscard]] bool hears(const IpAddress& group) const noexcept;
    /// Whether frames to this Ethernet group may be for a group that is heard; as a number, first octet
    /// highest.
    [[nodiscard]] bool hears_mac(std::uint64_t destination) const noexcept;
    /// Hands over a received packet whose protocol is claimed; its mbuf is taken.
    void deliver(Ingress& in) noexcept;
    /// Hands over an ICMP error about a packet whose protocol is claimed.
    void deliver(const IcmpError& error) noexcept {
        if (RawHandler* const handler = handlers_[error.protocol]) handler->error(error);
    }

  private:
    [[nodiscard]] GroupListener as_listener() noexcept;

    struct Group {
        IpAddress address{};
        std::uint64_t mac = 0;
        std::uint32_t listeners = 0;
    };

    RawSendResult refuse(rte_mbuf* mbuf, RawSendResult why, DropReason reason) noexcept {
        link_.drop(mbuf, reason);
        return why;
    }

    InternetLayer& internet_;
    LinkOutput& link_;
    std::array<RawHandler*, 256> handlers_{};
    std::vector<Group> groups_;  // a handful
};

}  // namespace runnel::ip
