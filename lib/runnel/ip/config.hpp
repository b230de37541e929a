// What a stack is told of its links: interfaces and routes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/peer_cores.hpp"

namespace runnel::ip {

class AddressObserver;

/// What the port under an interface does in hardware. The stack is told, it asks nothing (DESIGN.md, rule
/// 11).
struct Offloads {
    bool rx_ip_checksum = false;   ///< RTE_MBUF_F_RX_IP_CKSUM_* of received mbufs can be believed
    bool rx_l4_checksum = false;   ///< RTE_MBUF_F_RX_L4_CKSUM_* of received mbufs can be believed
    bool tx_ip_checksum = false;   ///< RTE_MBUF_F_TX_IP_CKSUM is honoured
    bool tx_tcp_checksum = false;  ///< RTE_MBUF_F_TX_TCP_CKSUM is honoured
    bool tx_udp_checksum = false;  ///< RTE_MBUF_F_TX_UDP_CKSUM is honoured
    /// RTE_MBUF_F_TX_TCP_SEG is honoured (TSO): the port cuts a segment of up to 64 KB. Needs
    /// `tx_tcp_checksum`; virtio does it without `tx_ip_checksum`, and the header of the whole has its own.
    bool tx_tcp_segmentation = false;
    /// RTE_MBUF_F_TX_UDP_SEG is honoured: the port cuts a message of up to 64 KB into UDP datagrams, each
    /// with a header of its own (not into fragments of one). Needs `tx_udp_checksum`.
    bool tx_udp_segmentation = false;
    bool tx_vlan = false;             ///< RTE_MBUF_F_TX_VLAN is honoured: the port inserts a tag of 802.1Q
    std::uint8_t tx_chain = 1;        ///< mbufs that a frame may be made of; 1: no chains
    std::uint8_t tx_large_chain = 1;  ///< the same of what the port cuts
};

/// IPv6 addresses of an interface.
struct Ipv6AddressConfig {
    Ipv6Address address{};
    std::uint32_t address_count = 1;  ///< consecutive addresses from `address` on that are all ours
    std::uint8_t prefix_length = 64;  ///< of the connected network, 0 to 128
};

/// IPv4 addresses of an interface, and the network that they are of.
struct Ipv4NetworkConfig {
    Ipv4Address address{};
    std::uint32_t address_count = 1;  ///< consecutive addresses from `address` on that are all ours
    std::uint8_t prefix_length = 24;  ///< of the connected network, 0 to 32
};

struct InterfaceConfig {
    MacAddress mac{};
    /// The first IPv4 address of this interface; unspecified: it has none, and speaks IPv6 alone.
    Ipv4Address address{};
    std::uint32_t address_count = 1;  ///< consecutive addresses from `address` on that are all ours
    std::uint8_t prefix_length = 24;  ///< of the connected network, 0 to 32
    /// Further IPv4 networks on the same link. A packet that says no other source carries the first address
    /// of ours in the network that its next hop is of, and where there is none that of the first network (RFC
    /// 1122 section 3.3.4.3). All interfaces together have 255 networks at most.
    std::vector<Ipv4NetworkConfig> more_ipv4{};
    std::uint16_t mtu = 1500;  ///< octets of an IP packet, 576 to 9216; with IPv6 at least 1280 (RFC 8200)
    std::uint16_t vlan = 0;    ///< 802.1Q VLAN id that is sent and expected; 0: untagged
    /// 802.1ad service VLAN id around that (QinQ): its tag stands before the other; 0: there is none.
    std::uint16_t outer_vlan = 0;
    /// The port that it is on, as the mbuf's `port` says of received frames and of those to be sent; by
    /// default its own index. Interfaces on one port differ in their VLANs. Of a single interface every frame
    /// is its own.
    std::optional<std::uint8_t> port{};
    Offloads offloads{};
    /// IPv6 is spoken where there is one. Each interface that speaks it has a link-local address besides.
    std::vector<Ipv6AddressConfig> ipv6{};
    /// Routers are asked for and listened to (RFC 4861 section 6.3): default routers, networks behind
    /// routers (RFC 4191), prefixes on the link, MTU and hop limit are as they say, and addresses are formed
    /// of their prefixes (RFC 4862 section 5.5), stable for one secret of the stack (RFC 7217). What is
    /// configured goes before. IPv6 is spoken then.
    bool autoconf = false;

    [[nodiscard]] bool speaks_ipv4() const noexcept { return !address.is_unspecified(); }
    /// All its IPv4 networks, `address` first. For set-up.
    [[nodiscard]] std::vector<Ipv4NetworkConfig> ipv4_networks() const;
    [[nodiscard]] bool speaks_ipv6() const noexcept { return autoconf || !ipv6.empty(); }
};

/// A route of either family: network and gateway are of the same.
struct RouteConfig {
    IpAddress network{};
    std::uint8_t prefix_length = 0;  ///< 0 is the default route
    IpAddress gateway{};             ///< a router on the link; of IPv6 its link-local address will do
    std::uint8_t interface = 0;      ///< index into Config::interfaces
};

struct NeighbourConfig {
    IpAddress address{};
    MacAddress mac{};
    std::uint8_t interface = 0;
};

/// Ports, both ends included.
struct PortRange {
    std::uint16_t first = 0, last = 0;
};

/// What goes to the kernel of this machine: what nobody here has a use for, and by rule some ports of ours.
struct ExceptionConfig {
    std::vector<PortRange> tcp, udp;
    std::uint32_t queue = 512;  ///< frames that may wait for the kernel: a power of two, 64 to 65536
};

struct Config {
    std::vector<InterfaceConfig> interfaces;
    std::vector<RouteConfig> routes;          ///< besides the connected networks
    std::vector<NeighbourConfig> neighbours;  ///< static entries: never aged, never overwritten
    std::uint32_t neighbour_capacity = 4096;  ///< entries of the cache of neighbours, of each family
    Duration neighbour_lifetime =
        60s;  ///< IPv4: a resolved entry is probed again after this (RFC 1122 section 2.3.2.1)
    Duration reachable_time =
        30s;  ///< IPv6: the same, on the average: by half more or less (RFC 4861 section 6.3.2)
    Duration neighbour_request_interval =
        1s;                               ///< at most one request a destination in this time (same section)
    std::uint8_t neighbour_requests = 3;  ///< unanswered requests before the neighbour counts as unreachable
    std::uint8_t neighbour_queue = 4;     ///< packets kept a neighbour while it resolves
    /// Probes for each of our IPv6 addresses before it is used (RFC 4862 section 5.1, which has 1), 0 to 16;
    /// 0: they are used at once. An address that another host has is not used.
    std::uint8_t dad_probes = 0;
    /// The same of IPv4 addresses (RFC 5227 section 1.1, which has 3); they are announced then. Of a range
    /// with addresses that others have the longest stretch without is used.
    std::uint8_t arp_probes = 0;
    AddressObserver* address_observer = nullptr;  ///< address_events.hpp; not owned, outlives the stack
    std::uint32_t icmp_errors_per_second =
        1000;  ///< token bucket for ICMP errors sent (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f))
    std::uint8_t ttl = 64;                   ///< of packets that say nothing else
    std::uint32_t path_mtu_capacity = 4096;  ///< destinations of which a lower path MTU is known at once
    std::uint16_t path_mtu_floor =
        552;  ///< octets; no router's word brings the path MTU below. RFC 1191 section 3 names 68 as the
              ///< least; who forges messages could so have us send a packet for each 16 octets of data
    Duration path_mtu_lifetime =
        600s;  ///< how long a lowered path MTU holds (RFC 1191 section 6.3: 10 min, never below 5)
    std::optional<ExceptionConfig> exception;  ///< nothing: no exception path
    /// Packets in fragments that are being put together at once, 1 to 65536, and the mbufs that their
    /// fragments may take: at most an eighth of the pool, of each stack that takes from it. One source has a
    /// quarter of both, or what one packet takes. Where one is over its share its own oldest packet is given
    /// up, where all are full the oldest of any.
    std::uint32_t reassembly_packets = 512;
    std::uint32_t reassembly_mbufs = 2048;
    std::uint16_t reassembly_fragments = 128;  ///< of one packet, 2 to 8192; 119 carry 64 KB at an MTU of 576
    Duration reassembly_timeout = 60s;  ///< from its first fragment until a packet is given up (RFC 1122
                                        ///< section 3.3.2: 60 to 120 s; RFC 8200 section 4.5: 60 s)
    /// Among the cores with the same addresses: no two draw the same IP ids, and the first probes for
    /// addresses and asks routers for all.
    CorePlace place{};
    /// Groups that are heard at once, each on each interface by itself, 1 to 65536; those of Neighbour
    /// Discovery count.
    std::uint32_t multicast_groups = 256;
    /// Whether routers are told of the solicited-node groups of our IPv6 addresses (RFC 3810 section 6),
    /// which switches that snoop want. Of several cores with the same addresses one does.
    bool report_solicited_nodes = true;
    std::uint32_t pings = 256;      ///< echo requests of ours that wait for their replies at once, 1 to 4096
    bool answer_timestamps = true;  ///< ICMP's timestamp requests (RFC 792)
    /// An instant at which it was midnight, Universal Time, so that timestamps say it; nothing: they say a
    /// time of their own and mark it as such.
    std::optional<Instant> midnight{};
    PeerCores* peers = nullptr;  ///< other cores with the same addresses; not owned, outlives the stack
};

/// Throws `std::invalid_argument` for the first setting that cannot be, and names it, its value and the mend.
void validate(const Config& config);

}  // namespace runnel::ip
