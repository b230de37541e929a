// Asks a neighbour and a server whether they are there, as a run would: by ARP or Neighbour Discovery, and by
// one handshake.
#pragma once

#include <functional>
#include <optional>

#include <rte_mempool.h>

#include "runnel/ip/address_events.hpp"
#include "runnel/port/wire.hpp"
#include "runnel/stack/stack.hpp"

#include "doctor/finding.hpp"
#include "quantity.hpp"

namespace runnel::app::doctor {

/// What became of it.
struct ProbeAnswer {
    std::optional<MacAddress> neighbour;        ///< of the next hop, where it has answered
    bool established = false;                   ///< the server completed the handshake
    bool refused = false;                       ///< its host answered with RST or ICMP
    bool no_route = false;                      ///< no interface leads there
    std::optional<ip::AddressEvent> duplicate;  ///< another host has an address of ours: no more was asked
    Duration took{};                            ///< until the last of these was known
};

/// Opens one connection from `config`'s address, and resets it. `server` without a port: only the neighbour
/// is asked for. Polls `wire` from this thread until the answer is known, or `patience` is over by `now`.
[[nodiscard]] ProbeAnswer probe(port::Wire& wire, const StackConfig& config, rte_mempool* mbufs,
                                const SocketAddress& server, const std::function<Instant()>& now,
                                Duration patience);

/// The answer in words. `hop` is who was asked for a link address: the gateway, or the server itself.
[[nodiscard]] std::vector<Finding> describe(const ProbeAnswer& answer, const SocketAddress& server,
                                            const IpAddress& hop);

}  // namespace runnel::app::doctor
