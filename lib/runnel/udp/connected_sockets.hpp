// Sockets that exchange datagrams with one peer alone (RFC 1122 section 4.1.3.5, RFC 8085 section 5.2), found
// by the keyed hash of both addresses and ports: who sends chooses two of the four.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runnel/base/flow_table.hpp"
#include "runnel/base/ip_address.hpp"
#include "runnel/base/slot_pool.hpp"
#include "runnel/base/tuple_hash.hpp"
#include "runnel/ip/ephemeral_ports.hpp"
#include "runnel/ip/flow.hpp"
#include "runnel/ip/home_ports.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/way.hpp"
#include "runnel/udp/config.hpp"
#include "runnel/udp/handler.hpp"
#include "runnel/udp/send_options.hpp"

namespace runnel::udp {

/// The table of them: one look-up whatever their number, and however many share a local port. Allocates when
/// constructed only. One owner thread.
class ConnectedSockets {
  public:
    struct Socket {
        std::uint32_t generation;  // the pool's
        std::uint32_t hash;        // under which the table files it
        Handler* handler;
        SendOptions options;  // both addresses and ports are settled
        ip::Way way;
    };

    /// Throws `std::invalid_argument` where the configuration cannot be, and as `EalArray` does.
    ConnectedSockets(const Config& config, const Secrets& secrets);

    /// How many octets a table for so many takes.
    [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t capacity) noexcept {
        return SlotPool<Socket>::bytes(capacity) + FlowTable::bytes(capacity);
    }

    [[nodiscard]] bool empty() const noexcept { return pool_.size() == 0; }
    [[nodiscard]] bool full() const noexcept { return pool_.size() == pool_.capacity(); }
    [[nodiscard]] std::size_t size() const noexcept { return pool_.size(); }

    /// The socket of these ends, or one that is none. Both addresses are of one family.
    [[nodiscard]] ConnectedSocket find(const IpAddress& remote, std::uint16_t remote_port,
                                       const IpAddress& local, std::uint16_t local_port) const noexcept;
    /// The one that hears a received datagram.
    [[nodiscard]] ConnectedSocket find(const ip::Ingress& in, std::uint16_t remote_port,
                                       std::uint16_t local_port) const noexcept;
    /// Null where the handle is of none.
    [[nodiscard]] Socket* get(ConnectedSocket socket) noexcept {
        return pool_.get(socket.slot, socket.generation);
    }
    [[nodiscard]] const Socket* get(ConnectedSocket socket) const noexcept {
        return pool_.get(socket.slot, socket.generation);
    }

    /// Whether what the peer sends reaches this core, whose local port is settled or 0.
    [[nodiscard]] bool may_lead_home(const SendOptions& options) const noexcept {
        // From a group nothing comes.
        if (!home_ports_ || (options.local_port != 0 && is_multicast(options.remote_address))) return true;
        if (!options.remote_address.is_v4() && !home_ports_->knows_ipv6()) return false;
        return options.local_port == 0 || home_ports_->contains(options.remote_address, options.remote_port,
                                                                options.local_address, options.local_port);
    }
    /// A local port for ends of which all else is settled: none of a socket with the same ends, and one that
    /// `is_free(port)` agrees to; 0 where there is none (RFC 6056 section 3.3.4).
    template <class IsFree>
    [[nodiscard]] std::uint16_t draw_port(const SendOptions& options, IsFree&& is_free) noexcept {
        const ip::Ipv6Pair pair{options.remote_address.v6(), options.local_address.v6()};
        const ip::Flow flow = flow_of(options.remote_address, options.remote_port, options.local_address, 0);
        const ip::Ends ends{flow, options.remote_address.is_v4() ? nullptr : &pair};
        return ports_.choose(ends, [&](std::uint16_t port) noexcept {
            return is_free(port) &&
                   !find(options.remote_address, options.remote_port, options.local_address, port);
        });
    }
    /// Adds one whose ends no other has, to a table that is not full.
    ConnectedSocket add(const SendOptions& options, Handler& handler) noexcept;
    /// False where the handle is of none.
    bool remove(ConnectedSocket socket) noexcept;

  private:
    [[nodiscard]] ip::Flow flow_of(const IpAddress& remote, std::uint16_t remote_port, const IpAddress& local,
                                   std::uint16_t local_port) const noexcept;
    template <class Match>
    [[nodiscard]] ConnectedSocket find(const ip::Flow& flow, Match&& is_its) const noexcept;

    TupleHash hash_;
    ip::FlowDigest digest_;
    FlowTable table_;
    SlotPool<Socket> pool_;
    std::shared_ptr<const ip::HomePorts> home_ports_;
    ip::EphemeralPorts ports_;
};
static_assert(sizeof(ConnectedSockets::Socket) <= 128);

}  // namespace runnel::udp
