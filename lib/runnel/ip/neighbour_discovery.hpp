// Neighbour Discovery: who on the link has an IPv6 address, and whether it still answers (RFC 4861 section
// 7).
#pragma once

#include <cstdint>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/address_events.hpp"
#include "runnel/ip/announcement.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/conflict_defence.hpp"
#include "runnel/ip/duplicate_detection.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/ip/resolution.hpp"
#include "runnel/wire/neighbour_discovery.hpp"

namespace runnel::ip {

/// RFC 4861 section 10: until the first packet of an interface, at most, and between packets.
inline constexpr Duration max_rtr_solicitation_delay = 1s, retrans_timer = 1s;

class NeighbourDiscovery final : public Resolution {
  public:
    /// Who forms addresses, and chooses routers.
    class Listener {
      public:
        /// Another host has the address of a range of one, which has been given up.
        virtual void duplicate(const Ipv6Addresses::Range& range, Instant now) noexcept = 0;
        /// A neighbour has not answered.
        virtual void unreachable(std::uint8_t interface, const IpAddress& address) noexcept = 0;
        /// A neighbour says that it is a router no more.
        virtual void no_router(std::uint8_t interface, const Ipv6Address& address) noexcept = 0;

      protected:
        ~Listener() = default;
    };

    /// `config` has been validated. References are not owned and outlive this.
    NeighbourDiscovery(const Config& config, HashKey key, const Interfaces& interfaces,
                       Ipv6Addresses& addresses, LinkOutput& link);

    /// Handles a solicitation or advertisement that came in a packet from `source` to `destination` whose hop
    /// limit was 255 and whose checksum is right: answers, learns, sends what waited. The octets stay the
    /// caller's, who counts what was of no use.
    NeighbourPacket input(std::span<const std::byte> message, const Ipv6Address& source,
                          const Ipv6Address& destination, const Interface& interface, Instant now) noexcept;

    /// What another core has received and told.
    void hear(const NeighbourNews& news, Instant now) noexcept;

    /// Some of our addresses are being probed for.
    [[nodiscard]] bool probes_addresses() const noexcept { return !begun_ || !detection_.empty(); }

    /// Not owned; null: nobody.
    void set_listener(Listener* listener) noexcept { listener_ = listener; }
    /// Begins to use a range of one address, after it has been probed for. False where there is no room.
    bool begin_use(const Ipv6Addresses::Range& range, Instant now) noexcept;
    /// Uses it no more.
    void withdraw(const Ipv6Addresses::Range& range) noexcept;
    /// Whether its address is deprecated is as `range` says.
    void set_deprecated(const Ipv6Addresses::Range& range) noexcept;
    /// Asks all routers on the link to say what they are (RFC 4861 section 6.3.7).
    void solicit_routers(const Interface& interface) noexcept;
    /// A router has told its link address.
    void learn_router(std::uint8_t interface, const Ipv6Address& router, const MacAddress& mac,
                      Instant now) noexcept;
    using Resolution::set_times;

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
    [[nodiscard]] IpAddress asker_for(const Interface& interface, const IpAddress& source,
                                      const IpAddress& target) const noexcept override;
    void announce_one(std::uint64_t index) noexcept;
    void advertise(std::uint8_t at, const Ipv6Address& address) noexcept;
    // A message as a packet without link header; null where there is no mbuf, which is counted.
    rte_mbuf* make(const wire::NeighbourMessage& message, const Ipv6Address& source,
                   const Ipv6Address& destination) noexcept;
    template <class Write>
    rte_mbuf* make(std::size_t size, const Ipv6Address& source, const Ipv6Address& destination,
                   Write&& write) noexcept;
    bool send(rte_mbuf* packet, const Interface& interface, const MacAddress& destination) noexcept;

    using Detection = DuplicateDetection<Ipv6Addresses::Range>;
    void begin(Instant now) noexcept;
    [[nodiscard]] std::uint64_t nonce(const Ipv6Address& address) const noexcept;
    void probe(const Ipv6Addresses::Range& range, std::uint32_t index) noexcept;
    // Another host has, or wants, an address that is being probed for; false where it is none.
    bool note_duplicate(std::uint8_t interface, const Ipv6Address& address, const MacAddress& mac,
                        Instant now) noexcept;
    NeighbourPacket duplicate(std::uint8_t interface, const Ipv6Address& address, const MacAddress& mac,
                              Instant now) noexcept;
    [[nodiscard]] ProbeTimes probe_times() const noexcept;
    void end_detection(const Ipv6Addresses::Range& range) noexcept;
    void lost(const Neighbour& neighbour) noexcept override;
    NeighbourPacket conflict(std::uint8_t interface, const Ipv6Address& address, const MacAddress& mac,
                             Instant now) noexcept;
    void finish(Detection::Probed& probed) noexcept;
    void tell(AddressEventKind kind, const Ipv6Address& address, std::uint8_t interface,
              const MacAddress& mac = {}, std::uint32_t more = 0) const noexcept;

    Ipv6Addresses& addresses_;
    PeerCores* peers_;
    AddressObserver* observer_;
    Listener* listener_ = nullptr;
    HashKey key_;
    std::uint8_t probes_;
    bool speaks_for_all_;
    bool begun_;
    Detection detection_;
    ConflictDefence defence_;
    Announcement announcement_;
};

}  // namespace runnel::ip
