// Neighbour Discovery: who on the link has an IPv6 address, and whether it still answers (RFC 4861 section
// 7).
#pragma once

#include <cstdint>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/announcement.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/ip/resolution.hpp"
#include "runnel/wire/neighbour_discovery.hpp"

namespace runnel::ip {

class NeighbourDiscovery final : public Resolution {
  public:
    /// `config` has been validated. References are not owned and outlive this.
    NeighbourDiscovery(const Config& config, HashKey key, const Interfaces& interfaces,
                       const Ipv6Addresses& addresses, LinkOutput& link);

    /// Handles a solicitation or advertisement that came in a packet from `source` to `destination` whose hop
    /// limit was 255 and whose checksum is right: answers, learns, sends what waited. The octets stay the
    /// caller's, who counts what was of no use.
    NeighbourPacket input(std::span<const std::byte> message, const Ipv6Address& source,
                          const Ipv6Address& destination, const Interface& interface, Instant now) noexcept;

    /// What another core has received and told.
    void hear(const NeighbourNews& news, Instant now) noexcept;

    /// Announces all addresses three times, a second apart (RFC 4861 section 7.2.6).
    void announce(Instant now) noexcept;

    void advance(Instant now) noexcept;
    [[nodiscard]] Instant next_deadline() noexcept;

  private:
    NeighbourPacket solicited(const wire::NeighbourMessage& message, const Ipv6Address& source,
                              const Ipv6Address& destination, const Interface& interface,
                              Instant now) noexcept;
    NeighbourPacket advertised(const wire::NeighbourMessage& message, const Ipv6Address& destination,
                               const Interface& interface, Instant now) noexcept;
    void send_request(const Neighbour& neighbour, bool known) noexcept override;
    [[nodiscard]] IpAddress asker_for(const Interface& interface,
                                      const IpAddress& source) const noexcept override;
    void announce_one(std::uint64_t index) noexcept;
    // A message as a packet without link header; null where there is no mbuf, which is counted.
    rte_mbuf* make(const wire::NeighbourMessage& message, const Ipv6Address& source,
                   const Ipv6Address& destination) noexcept;
    bool send(rte_mbuf* packet, const Interface& interface, const MacAddress& destination) noexcept;

    const Ipv6Addresses& addresses_;
    PeerCores* peers_;
    Announcement announcement_;
};

}  // namespace runnel::ip
