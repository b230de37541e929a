// ARP: who on the link has an address (RFC 826, RFC 1122 section 2.3.2, RFC 5227).
#pragma once

#include <cstdint>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/announcement.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/ip/resolution.hpp"
#include "runnel/wire/arp.hpp"

namespace runnel::ip {

class Arp final : public Resolution {
  public:
    /// `config` has been validated. References are not owned and outlive this.
    Arp(const Config& config, HashKey key, const Interfaces& interfaces, LinkOutput& link);

    /// Handles a received packet: answers, learns, sends what waited. The octets stay the caller's, who
    /// counts what was of no use.
    NeighbourPacket input(std::span<const std::byte> packet, const Interface& interface,
                          Instant now) noexcept;

    /// What another core has received and told.
    void hear(const NeighbourNews& news, Instant now) noexcept;

    /// Announces all addresses twice, 2 s apart (RFC 5227 section 3), some at a time where there are many.
    void announce(Instant now) noexcept;

    void advance(Instant now) noexcept;
    [[nodiscard]] Instant next_deadline() noexcept;

  private:
    void send_request(const Neighbour& neighbour, bool known) noexcept override;
    [[nodiscard]] IpAddress asker_for(const Interface& interface,
                                      const IpAddress& source) const noexcept override;
    void answer(const wire::ArpPacket& request, const Interface& interface) noexcept;
    void defend(const Interface& interface, Ipv4Address address, Instant now) noexcept;
    void announce_one(std::uint64_t index) noexcept;
    bool send(const wire::ArpPacket& packet, const Interface& interface,
              const MacAddress& destination) noexcept;

    PeerCores* peers_;
    Instant next_defence_ = Instant::min();
    Announcement announcement_;
};

}  // namespace runnel::ip
