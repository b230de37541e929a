// ARP: who on the link has an address (RFC 826, RFC 1122 section 2.3.2, RFC 5227).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/address_events.hpp"
#include "runnel/ip/announcement.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/conflict_defence.hpp"
#include "runnel/ip/duplicate_detection.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/ip/resolution.hpp"
#include "runnel/wire/arp.hpp"

namespace runnel::ip {

class Arp final : public Resolution {
  public:
    /// `config` has been validated. References are not owned and outlive this. Where there is to be probed
    /// `interfaces` lose their IPv4 addresses until that is done.
    Arp(const Config& config, HashKey key, Interfaces& interfaces, LinkOutput& link);

    /// Handles a received packet: answers, learns, sends what waited. The octets stay the caller's, who
    /// counts what was of no use.
    NeighbourPacket input(std::span<const std::byte> packet, const Interface& interface,
                          Instant now) noexcept;

    /// What another core has received and told.
    void hear(const NeighbourNews& news, Instant now) noexcept;

    /// Some of our addresses are being probed for.
    [[nodiscard]] bool probes_addresses() const noexcept { return !begun_ || !detection_.empty(); }
    /// Ours by the configuration, whether used or not.
    [[nodiscard]] bool is_configured(Ipv4Address address) const noexcept {
        for (const Configured& one : configured_)
            if (address.value - one.first < one.count) return true;
        return false;
    }

    /// Announces all addresses twice, 2 s apart (RFC 5227 section 3), some at a time where there are many.
    void announce(Instant now) noexcept;

    void advance(Instant now) noexcept;
    [[nodiscard]] Instant next_deadline() noexcept;

  private:
    void send_request(const Neighbour& neighbour, bool known) noexcept override;
    [[nodiscard]] IpAddress asker_for(const Interface& interface, const IpAddress& source,
                                      const IpAddress& target) const noexcept override;
    void answer(const wire::ArpPacket& request, const Interface& interface) noexcept;
    void defend(const Interface& interface, const wire::ArpPacket& claim, Instant now) noexcept;
    using Detection = DuplicateDetection<std::uint8_t>;  // of a network's range
    void begin(Instant now) noexcept;
    bool note_duplicate(const wire::ArpPacket& packet, const Interface& interface) noexcept;
    bool note_duplicate(std::uint8_t interface, Ipv4Address address, const MacAddress& mac) noexcept;
    void finish(Detection::Probed& probed, Instant now) noexcept;
    void announce_one(std::uint64_t index) noexcept;
    bool send(const wire::ArpPacket& packet, const Interface& interface,
              const MacAddress& destination) noexcept;

    struct Configured {
        std::uint32_t first = 0, count = 0;
        std::uint8_t interface = 0;
    };

    Interfaces& addresses_;
    PeerCores* peers_;
    AddressObserver* observer_;
    HashKey key_;
    std::uint8_t probes_;
    bool speaks_for_all_;
    bool begun_;
    std::vector<Configured> configured_;  // by network
    Detection detection_;
    ConflictDefence defence_;
    Announcement announcement_;
};

}  // namespace runnel::ip
