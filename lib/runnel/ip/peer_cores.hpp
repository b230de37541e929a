// What the internet layer of one core tells those of other cores that have the same addresses: what came to
// it and concerns them as well.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/router_discovery.hpp"

namespace runnel::ip {

struct IcmpError;

/// Which of the cores with the same addresses one is.
struct CorePlace {
    std::uint16_t core = 0;   ///< below `count`
    std::uint16_t count = 1;  ///< of cores, 1 or more
};

/// A neighbour's link address, as it said it.
struct NeighbourNews {
    IpAddress address{};
    MacAddress mac{};
    std::uint8_t interface = 0;
    bool asked_us = false;  ///< it asked for an address of ours: it will soon be sent something
    bool conflict = false;  ///< it has, or wants, an address that we are about to use
};

/// What a router has said (RFC 4861 section 4.2); one with many prefixes or routes in several pieces.
struct RouterNews {
    static constexpr std::size_t most_prefixes = 4, most_routes = 4;

    Ipv6Address router{};
    std::uint8_t interface = 0;
    std::optional<MacAddress> link_address{};
    std::uint32_t reachable_time = 0, retrans_timer = 0;  ///< milliseconds; 0: not said
    std::uint32_t mtu = 0;                                ///< 0: not said
    std::uint32_t lifetime = 0;                           ///< as a default router, in seconds
    std::uint8_t hop_limit = 0;                           ///< 0: not said
    std::int8_t preference = 0;
    std::size_t prefix_count = 0;
    std::array<wire::PrefixInformation, most_prefixes> prefixes{};
    std::size_t route_count = 0;
    std::array<wire::RouteInformation, most_routes> routes{};  ///< none to all networks
};

/// Groups are told apart by a few bits of a hash: each core says which of them it hears, and for one that
/// hears none of a group's no copy is made. Two groups in one cost a copy that nobody there wants.
inline constexpr unsigned group_bits = 256;
[[nodiscard]] constexpr unsigned group_bit(const IpAddress& group) noexcept {
    const std::uint64_t key =
        group.is_v4() ? group.v4().value : std::rotl(group.v6().high(), 32) ^ group.v6().low();
    return static_cast<unsigned>(key * 0x9e37'79b9'7f4a'7c15 >> 56);
}

/// The way to the other cores. Called on the stack's thread, for ARP packets, ICMP, fragments and what is
/// sent to groups only.
class PeerCores {
  public:
    PeerCores() = default;
    virtual ~PeerCores() = default;
    PeerCores(const PeerCores&) = delete;
    PeerCores& operator=(const PeerCores&) = delete;

    /// To all of them: `Stack::hear` there.
    virtual void tell(const NeighbourNews& news) noexcept = 0;
    /// To all of them: `Stack::hear` there.
    virtual void tell_of_router(const RouterNews& news) noexcept = 0;
    /// To the core that owns the flow of the quoted TCP segment or UDP datagram: true where that is another,
    /// which `Stack::hear`s it then.
    [[nodiscard]] virtual bool pass_on(const IcmpError& error) noexcept = 0;
    /// To all of them: a router has told what datagrams of ours, other than TCP's, the path takes.
    /// `Stack::hear` there.
    virtual void tell(const IcmpError& too_big) noexcept = 0;
    /// A received frame, to the core that owns what is sent from `remote` to `local` with these ports: true
    /// where that is another, which `Stack::receive`s it then; the frame is no longer the caller's. Both
    /// ports are 0 of a fragment, which so goes where RSS over two addresses brings it.
    [[nodiscard]] virtual bool pass_on(rte_mbuf* frame, const IpAddress& remote, const IpAddress& local,
                                       std::uint16_t remote_port, std::uint16_t local_port) noexcept = 0;

    /// A received frame, to a core, which `Stack::receive`s it then: true where there is such a core, and the
    /// frame is no longer the caller's.
    [[nodiscard]] virtual bool give(rte_mbuf*, unsigned) noexcept { return false; }
    /// Whether this core is a member of any multicast group of that `group_bit` from now on: then it is given
    /// copies of what is sent to it. Who hears any group hears those of all hosts and all nodes.
    virtual void set_hears(unsigned, bool) noexcept {}
    /// Whether another core is.
    [[nodiscard]] virtual bool others_hear(unsigned) const noexcept { return false; }
    /// A copy, made of mbufs of `pool`, of a frame sent to a group of that `group_bit`, to each other core
    /// that is a member of such: `Stack::hear_copy` there. The frame stays the caller's.
    virtual void share(const rte_mbuf&, rte_mempool*, unsigned) noexcept {}
};

}  // namespace runnel::ip
