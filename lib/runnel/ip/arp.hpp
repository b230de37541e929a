// ARP: who on the link has an address (RFC 826, RFC 1122 section 2.3.2, RFC 5227).
#pragma once

#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/neighbour_table.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/wire/arp.hpp"

namespace runnel::ip {

class Arp {
  public:
    /// `config` has been validated. References are not owned and outlive this.
    Arp(const Config& config, HashKey key, const Interfaces& interfaces, LinkOutput& link);

    /// Handles a received packet: answers, learns, sends what waited. The octets stay the caller's.
    void input(std::span<const std::byte> packet, const Interface& interface, Instant now) noexcept;

    /// What another core has received and told.
    void hear(const NeighbourNews& news, Instant now) noexcept;

    /// The neighbour's link address, or null where it must be asked for: then `hold` takes the packet. The
    /// use of a stale neighbour sends it a request.
    [[nodiscard]] const MacAddress* link_address(const Interface& interface, Ipv4Address next_hop,
                                                 Ipv4Address asker, Instant now) noexcept;
    /// A transport finds that nothing comes back (RFC 1122 section 3.3.1.4): the next use of what was told of
    /// this neighbour asks it again.
    void doubt(const Interface& interface, Ipv4Address next_hop, Instant now) noexcept;
    /// Keeps a packet, complete but for its link header, while its neighbour is being resolved. Takes the
    /// mbuf; false where it was dropped, which is counted. Of too many for a neighbour the oldest are dropped
    /// (RFC 1122 section 2.3.2.2: the latest is kept).
    bool hold(rte_mbuf* packet, const Interface& interface, Ipv4Address next_hop, Ipv4Address asker,
              Instant now) noexcept;

    /// Announces all addresses twice, 2 s apart (RFC 5227 section 3), some at a time where there are many.
    void announce(Instant now) noexcept;

    void advance(Instant now) noexcept;
    [[nodiscard]] Instant next_deadline() noexcept;

    /// A number that changes whenever a link address told before may no longer be right. Never 0.
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }

  private:
    // Addresses still to be announced.
    struct Announcement {
        Instant due = never;
        Instant next_round = never;
        std::size_t interface = 0;
        std::uint32_t offset = 0;
        std::uint8_t rounds = 0;
    };

    void forget_answers() noexcept {
        if (++epoch_ == 0) ++epoch_;
    }
    Neighbour* find_or_make_room(std::uint8_t interface, Ipv4Address address) noexcept;
    void add(std::uint8_t interface, Ipv4Address address, const MacAddress& mac, Instant now) noexcept;
    void learn(Neighbour& neighbour, const MacAddress& mac, Instant now) noexcept;
    void ask(Neighbour& neighbour, NeighbourState state, Instant now) noexcept;
    void expire(Neighbour& neighbour, Instant now) noexcept;
    void drop_waiting(Neighbour& neighbour, DropReason reason) noexcept;
    void remove(Neighbour& neighbour) noexcept;
    void answer(const wire::ArpPacket& request, const Interface& interface) noexcept;
    void defend(const Interface& interface, Ipv4Address address, Instant now) noexcept;
    void announce_some(Instant now) noexcept;
    bool send(const wire::ArpPacket& packet, const Interface& interface,
              const MacAddress& destination) noexcept;

    const Interfaces& interfaces_;
    LinkOutput& link_;
    PeerCores* peers_;
    Duration lifetime_;
    Duration request_interval_;
    std::uint8_t requests_;
    std::uint8_t queue_limit_;
    std::uint32_t epoch_ = 1;
    Instant next_defence_ = Instant::min();
    Announcement announcement_;
    NeighbourTable table_;
};

}  // namespace runnel::ip
