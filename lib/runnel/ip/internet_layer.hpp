// One core's internet layer: what arrives is parsed, checked and sorted; what leaves is routed, resolved and
// framed. RFC 791, RFC 826, RFC 792, RFC 1122 sections 2 and 3; RFC 8200, RFC 4443, RFC 4861.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include <rte_mbuf.h>

#include "runnel/base/counters.hpp"
#include "runnel/base/ip_address.hpp"
#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/base/transmit_queue.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/forward_progress.hpp"
#include "runnel/ip/peer_cores.hpp"

namespace runnel::ip {

/// Whose a received frame is, after `InternetLayer::input`.
enum class Upper : std::uint8_t {
    none,  ///< the internet layer has dealt with it (ARP, echo, a counted drop): the mbuf is no longer the
           ///< caller's
    tcp,   ///< a TCP segment for one of our addresses
    udp,   ///< a UDP datagram for one of our addresses or a group
    icmp_error,  ///< an ICMP error about a packet of ours: see `Ingress::error`; the mbuf is still the
                 ///< caller's to put back. Of what is neither TCP nor UDP only "too big" comes up, when who
                 ///< sent it has been told
};

/// What an ICMP or ICMPv6 error says, whichever of them.
enum class IcmpMeaning : std::uint8_t {
    unreachable,  ///< the network or the host cannot be reached at present
    refused,      ///< the host is reached, and has nobody for the protocol or port
    prohibited,   ///< somebody on the way does not let it pass
    too_big,      ///< the path takes less: see `next_hop_mtu`
    other,        ///< the packet lived too long, or its header was not understood
};

/// An ICMP error, reduced to what a transport needs (RFC 1122 section 3.2.2, RFC 4443 section 3, RFC 5927).
struct IcmpError {
    IcmpMeaning meaning = IcmpMeaning::other;
    std::uint8_t type = 0, code = 0;    ///< as they stand in the message
    std::uint8_t protocol = 0;          ///< of the quoted packet
    std::uint16_t next_hop_mtu = 0;     ///< of `too_big` (RFC 1191, RFC 8201), else 0
    IpAddress source{}, destination{};  ///< of the quoted packet: source is ours
    IpAddress reporter{};               ///< who sent the message
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint32_t sequence = 0;      ///< TCP sequence number quoted
    std::uint16_t total_length = 0;  ///< of the quoted packet, as its header says
    bool proven = false;             ///< a core that has told it has found who sent the quoted packet
};

/// The addresses of an IPv6 packet or connection as this side sees them.
struct Ipv6Pair {
    Ipv6Address remote{}, local{};
    friend constexpr bool operator==(const Ipv6Pair&, const Ipv6Pair&) noexcept = default;
};

/// A received packet, parsed and checked up to the transport header. All numbers in host order.
struct Ingress {
    /// Data starts at the transport header and ends with the IP payload. Of a chain the first segment holds
    /// the whole transport header, and the IP header stands before the data, in the head room.
    rte_mbuf* mbuf = nullptr;
    Ipv4Address source{}, destination{};  ///< of IPv4
    const std::byte* ipv6 = nullptr;      ///< of IPv6: where source and destination stand in the packet
    std::uint8_t protocol = 0, ttl = 0, tos = 0, interface = 0;
    bool group = false;             ///< sent to a link or IP multicast or broadcast address
    bool l4_checksum_good = false;  ///< the port has verified the transport checksum
    bool l4_checksum_bad = false;   ///< the port has found TCP's checksum wrong
    /// Octets from the start of the IP header to the transport header: lets an ICMP error quote the packet.
    std::uint16_t ip_header_size = 0;
    IcmpError error{};  ///< where `input` returned `icmp_error`

    [[nodiscard]] Ipv6Pair ipv6_pair() const noexcept {
        Ipv6Pair pair;
        std::memcpy(&pair, ipv6, sizeof pair);
        return pair;
    }
    [[nodiscard]] IpAddress source_address() const noexcept {
        return ipv6 == nullptr ? IpAddress{source} : IpAddress{ipv6_pair().remote};
    }
    [[nodiscard]] IpAddress destination_address() const noexcept {
        return ipv6 == nullptr ? IpAddress{destination} : IpAddress{ipv6_pair().local};
    }
};

/// The label of a flow, of a keyed hash of what tells it from others: 20 bits, and never 0, which says that
/// there is none (RFC 6437 section 3).
[[nodiscard]] constexpr std::uint32_t flow_label_of(std::uint32_t hash) noexcept {
    constexpr std::uint32_t bits = 0xfffff;
    return (hash & bits) != 0 ? hash & bits : 1;
}

/// How a packet is to leave. The transport header stands at the start of the mbuf's data, its checksum field
/// is zero (of TCP and UDP; what else is sent brings its own checksum). The first segment is the packet's
/// alone, not shared or indirect, and has 42 octets of head room or more (IPv6: 62); the rest of a chain may
/// be either.
struct Output {
    Ipv4Address source{}, destination{};  ///< of IPv4
    const Ipv6Pair* ipv6 = nullptr;       ///< of IPv6, in their place: from `local` to `remote`. Not owned
    std::uint32_t flow_label = 0;         ///< of IPv6 (RFC 6437); 0: one is made of addresses and ports
    std::uint8_t protocol = 0;
    std::uint8_t tos = 0;
    std::uint8_t ttl = 0;  ///< 0: the default of the configuration
    /// False: where it is larger than the MTU, and of IPv6 than the path's, it leaves in fragments, unless it
    /// is TCP's; IPv4 routers may cut it too.
    bool dont_fragment = true;
    /// Where not 0, the packet is a TCP segment of more data than this, and the port is to cut it into
    /// segments of so many octets of data (`Offloads::tx_tcp_segmentation`); or a UDP datagram of more data,
    /// which leaves as datagrams of so many octets of data and is cut by the port or here
    /// (udp_segmentation.hpp). None of these may be fragmented.
    std::uint16_t segment_size = 0;
};

class ExceptionPath;
class GroupMemberships;
class Pings;
class RawProtocols;
struct Way;

class InternetLayer {
  public:
    /// `counters`, `stash` and `queue` are not owned and outlive the layer. `secret` keys the IP ids (RFC
    /// 7739) and what else must not be guessed. Throws `std::invalid_argument` naming the setting.
    InternetLayer(const Config& config, std::array<std::uint64_t, 2> secret, Counters& counters,
                  MbufStash& stash, TransmitQueue& queue);
    ~InternetLayer();

    /// Parses and checks one received frame of interface 0 (several interfaces: the mbuf's `port` names it).
    /// On `Upper::none` the mbuf is taken; else `in` is filled and the mbuf is the caller's.
    Upper input(rte_mbuf* frame, Ingress& in, Instant now) noexcept;

    /// Until it is unset, what `input` is given are copies of frames to groups that another core has
    /// received: they concern members here, and neither other cores nor the kernel.
    void set_copies(bool copies) noexcept;

    /// Completes the packet (transport checksum in software or by offload, IP header, link header) and queues
    /// it for sending, or keeps it while the neighbour is being resolved. Takes the mbuf in every case; what
    /// cannot be sent is a counted drop and returns false. The `port` of the queued frame is that of its
    /// interface.
    bool output(rte_mbuf* packet, const Output& how, Instant now) noexcept;

    /// The same of a flow that keeps its way; all its packets go to one destination.
    bool output(rte_mbuf* packet, const Output& how, Way& way, Instant now) noexcept;

    /// The same of UDP data that is in no mbuf yet, more of it than `how.segment_size`, which leaves as many
    /// datagrams. `head` holds the UDP header alone, whose length is that of all the data, and is taken in
    /// every case. `way`: where the flow keeps one, else null. Not to a multicast group.
    bool output_data(rte_mbuf* head, std::span<const std::byte> data, const Output& how, Way* way,
                     Instant now) noexcept;

    /// Tells the sender of a received packet that nobody here takes its port, within the rate limit and the
    /// rules of RFC 1122 section 3.2.2 and RFC 4443 section 2.4. The mbuf stays the caller's.
    void send_port_unreachable(const Ingress& about, Instant now) noexcept;

    /// The protocols that the application speaks itself.
    [[nodiscard]] RawProtocols& raw() noexcept;
    /// Echo requests of the application's.
    [[nodiscard]] Pings& pings() noexcept;
    /// The groups that are heard.
    [[nodiscard]] GroupMemberships& groups() noexcept;
    /// What goes to the kernel and comes from it.
    [[nodiscard]] ExceptionPath& exception() noexcept;
    /// Nobody here has a use for a received packet: it goes to the kernel, or without an exception path it is
    /// a drop, which is counted. Takes the mbuf.
    void decline(Ingress& in, DropReason reason) noexcept;

    /// An address of ours, on whichever interface.
    [[nodiscard]] bool is_local(const IpAddress& address) const noexcept;
    /// Ours, or about to be: it is being probed for, or is in use by another host. Whoever waits for what
    /// comes to it may do so from the start.
    [[nodiscard]] bool is_configured(const IpAddress& address) const noexcept;
    /// Some of our addresses are still being probed for, and cannot be used yet, or routers are being asked
    /// for.
    [[nodiscard]] bool probes_addresses() const noexcept;
    /// Broadcast (limited, or of a connected network) or multicast: no transport answers or connects to it.
    [[nodiscard]] bool is_group(const IpAddress& address) const noexcept;
    /// There are interfaces with IPv6 addresses.
    [[nodiscard]] bool speaks_ipv6() const noexcept;
    /// The address that a packet to `destination` would carry as its source (of IPv4 our first in the network
    /// of the next hop, else of its interface; of IPv6 by RFC 6724); nothing where no route leads there.
    [[nodiscard]] std::optional<IpAddress> source_for(const IpAddress& destination) const noexcept;
    /// MTU of the interface that leads to `destination`, in octets; 0 where no route leads there.
    [[nodiscard]] std::uint16_t mtu_for(const IpAddress& destination) const noexcept;
    /// What the port does on the way to `destination`; nothing where no route leads there.
    [[nodiscard]] const Offloads& offloads_for(const IpAddress& destination) const noexcept;
    /// MTU of the path to `destination` as far as it is known: that of the interface, or less where a router
    /// has said so; 0 where no route leads there.
    [[nodiscard]] std::uint16_t path_mtu_for(const IpAddress& destination, Instant now) const noexcept;
    /// Takes a router's "too big" about a packet that the transport knows to have sent, and lowers the path
    /// MTU (RFC 1191, RFC 8201). It is never raised by a message. Returns what holds from now on.
    std::uint16_t lower_path_mtu(const IcmpError& error, Instant now) noexcept;

    [[nodiscard]] std::uint8_t interface_count() const noexcept;
    /// MTU of an interface, in octets; 0 where there is none of that index.
    [[nodiscard]] std::uint16_t mtu_of(std::uint8_t interface) const noexcept;
    /// The interface by which packets to `destination` leave; nothing where no route leads there. To a group
    /// without a route it is the first of the family.
    [[nodiscard]] std::optional<std::uint8_t> interface_for(const IpAddress& destination) const noexcept;
    /// The address of an interface that a packet to `destination` would carry if it left there; nothing where
    /// it has none of the family, or there is none of that index.
    [[nodiscard]] std::optional<IpAddress> source_on(std::uint8_t interface,
                                                     const IpAddress& destination) const noexcept;
    /// As `output`, of a packet to a multicast group, by an interface that has its family.
    bool output_to_group(rte_mbuf* packet, const Output& how, std::uint8_t interface, Instant now) noexcept;
    /// A copy of such a packet, before it is given to `output_to_group`, for the members of its group on
    /// other cores with the same addresses. It stays the caller's; what cannot be copied is counted.
    void loop_to_cores(const rte_mbuf& packet, const Output& how, std::uint8_t interface) noexcept;
    /// Whether a packet to a group would have been received too if nobody had joined that group: broadcast,
    /// groups that every host hears, and those of `RawProtocols::hear`.
    [[nodiscard]] bool hears_unasked(const Ingress& in) const noexcept;

    /// The same for datagrams other than TCP's: also less where a router has said so of one of these.
    [[nodiscard]] std::uint16_t datagram_mtu_for(const IpAddress& destination, Instant now) const noexcept;
    /// The same of a flow that keeps its way to `destination`.
    [[nodiscard]] std::uint16_t datagram_mtu_for(const IpAddress& destination, const Way& way,
                                                 Instant now) const noexcept;
    /// Takes a router's "too big" about such a datagram of ours. Nobody can tell whether it was sent, so that
    /// it holds for datagrams alone, and for no TCP connection.
    void lower_datagram_mtu(const IcmpError& error, Instant now) noexcept;

    /// A transport has heard nothing from `destination` for several retransmissions (RFC 9293 section 3.8.3,
    /// R1): the neighbour on the way there is asked again before it is used.
    void doubt(const IpAddress& destination, Instant now) noexcept;

    /// Who is asked whether what we send gets through, before a neighbour in doubt is probed. Not owned;
    /// null: nobody.
    void set_progress(const ForwardProgress* progress) noexcept;

    /// Announces our addresses (gratuitous ARP, RFC 5227 section 3; unsolicited advertisements, RFC 4861
    /// section 7.2.6).
    void announce(Instant now) noexcept;

    /// What another core with the same addresses has received and told.
    void hear(const NeighbourNews& news, Instant now) noexcept;
    void hear(const RouterNews& news, Instant now) noexcept;

    void advance(Instant now) noexcept;
    [[nodiscard]] Instant next_deadline() const noexcept;

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace runnel::ip
