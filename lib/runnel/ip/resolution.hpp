// Whose link address is known, and whether it still answers: what ARP and Neighbour Discovery have in common
// (RFC 1122 section 2.3.2, RFC 4861 section 7.3). How one asks is left to them.
#pragma once

#include <cstdint>
#include <optional>

#include <rte_mbuf.h>

#include "runnel/base/counters.hpp"
#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/forward_progress.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/neighbour_table.hpp"
#include "runnel/wire/ethernet.hpp"

namespace runnel::ip {

/// How long what is known of a neighbour holds.
struct ResolutionTimes {
    Duration reachable;       ///< after news
    bool randomised;          ///< by half more or less, drawn anew now and then (RFC 4861 section 6.3.2)
    Duration stale;           ///< after that, unused, until it is forgotten
    Duration first_probe;     ///< from its use then until it is asked: zero is at once
    Duration retransmission;  ///< between requests, at least 1 s
    std::uint8_t requests;    ///< unanswered ones before it counts as unreachable
    std::uint8_t queue;       ///< packets kept a neighbour while it resolves
};

/// What a packet of ARP or Neighbour Discovery turned out to be.
struct NeighbourPacket {
    bool malformed = false;
    bool answered = false;                ///< it asked for an address of ours, and nobody else's
    std::optional<DropReason> useless{};  ///< why it was of no use to us, where it was not
};

class Resolution {
  public:
    /// The neighbour's link address, or null where it must be asked for: then `hold` takes the packet. The
    /// use of a stale neighbour leads to its being asked. `asker`: the source of what is to be sent, in place
    /// of which any address of ours on that link will do.
    /// `flow`: whose segment it is, where a transport can tell of its progress, which is as good as an
    /// answer.
    [[nodiscard]] const MacAddress* link_address(const Interface& interface, const IpAddress& next_hop,
                                                 const IpAddress& asker, Instant now,
                                                 const TransportFlow* flow = nullptr) noexcept;
    /// Who is asked of the progress of flows. Not owned; null: nobody.
    void set_progress(const ForwardProgress* progress) noexcept { progress_ = progress; }
    /// A transport finds that nothing comes back (RFC 1122 section 3.3.1.4): the next use of what was told of
    /// this neighbour asks it again.
    void doubt(const Interface& interface, const IpAddress& next_hop, Instant now) noexcept;
    /// Keeps a packet, complete but for its link header, while its neighbour is being resolved. Takes the
    /// mbuf; false where it was dropped, which is counted. Of too many for a neighbour the oldest are dropped
    /// (RFC 1122 section 2.3.2.2: the latest is kept).
    bool hold(rte_mbuf* packet, const Interface& interface, const IpAddress& next_hop, const IpAddress& asker,
              Instant now) noexcept;

    /// A number that changes whenever a link address told before may no longer be right. Never 0.
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
    /// Changes it.
    void forget_paths() noexcept { forget_answers(); }

  protected:
    /// `type`: of the packets that wait. Takes the static neighbours of its own family from `config`, which
    /// has been validated. References are not owned and outlive this.
    Resolution(const Config& config, const ResolutionTimes& times, bool v4, HashKey key,
               const Interfaces& interfaces, LinkOutput& link);
    virtual ~Resolution() = default;

    [[nodiscard]] Neighbour* find(std::uint8_t interface, const IpAddress& address) noexcept {
        return table_.find(interface, address);
    }
    /// Takes up a neighbour not known yet, incomplete; null where there is no room. The oldest gives way.
    [[nodiscard]] Neighbour* add(std::uint8_t interface, const IpAddress& address) noexcept;
    /// It has told its link address, or somebody has for it. `proven`: it has answered us, so it is
    /// reachable; else it is stale, unless nothing has changed. What waited is sent.
    void learn(Neighbour& neighbour, const MacAddress& mac, bool proven, Instant now) noexcept;
    /// What was told of it may be wrong: its next use asks.
    void make_stale(Neighbour& neighbour, Instant now) noexcept;
    void remove(Neighbour& neighbour) noexcept;

    void expire_all(Instant now) noexcept;
    [[nodiscard]] Instant next_expiry() noexcept;

    /// How long an answer holds, and between requests, from now on; 0 leaves it as it is.
    void set_times(Duration reachable, Duration retransmission) noexcept;

    const Interfaces& interfaces_;
    LinkOutput& link_;

  private:
    /// It has not answered; whoever sent by it had better find another.
    virtual void lost(const Neighbour& /*neighbour*/) noexcept {}
    /// Sends a request for `neighbour.address` from `neighbour.asker`: to the neighbour alone where `known`.
    virtual void send_request(const Neighbour& neighbour, bool known) noexcept = 0;
    /// The address of ours that requests for `target` carry where a packet from `source` is to be sent.
    [[nodiscard]] virtual IpAddress asker_for(const Interface& interface, const IpAddress& source,
                                              const IpAddress& target) const noexcept = 0;

    void forget_answers() noexcept {
        if (++epoch_ == 0) ++epoch_;
    }
    void ask(Neighbour& neighbour, NeighbourState state, Instant now) noexcept;
    void expire(Neighbour& neighbour, Instant now) noexcept;
    void lose(Neighbour& neighbour) noexcept;
    void watch(Neighbour& neighbour, const TransportFlow* flow) noexcept;
    [[nodiscard]] bool has_progressed(const Neighbour& neighbour) const noexcept;
    [[nodiscard]] Duration reachable_time(Instant now) noexcept;
    void drop_waiting(Neighbour& neighbour, DropReason reason) noexcept;
    rte_mbuf* pop_waiting(Neighbour& neighbour) noexcept;

    ResolutionTimes times_;
    HashKey key_;
    std::uint64_t draws_ = 0;
    Duration reachable_{};  // as drawn
    Instant next_draw_ = Instant::min();
    const ForwardProgress* progress_ = nullptr;
    wire::EtherType type_;
    std::uint32_t epoch_ = 1;
    std::uint64_t waiting_mbufs_ = 0;  // those of all packets that wait
    NeighbourTable table_;
};

}  // namespace runnel::ip
