// What one core's UDP is told at start.
#pragma once

#include <cstdint>
#include <memory>

#include "runnel/base/keyed_hash.hpp"

namespace runnel::ip {
class HomePorts;
}

namespace runnel::udp {

struct Config {
    std::uint32_t sockets = 1024;    ///< bound sockets at once, 1 to 16777216
    std::uint32_t connected = 1024;  ///< connected sockets at once, 1 to 16777216
    /// The ports of connected sockets that name none (RFC 6056 section 3.2), both included.
    std::uint16_t ephemeral_first = 1024;
    std::uint16_t ephemeral_last = 65535;
    /// Where cores share an address and their port hashes the ports of UDP: the ports whose replies reach
    /// this core. A socket is connected from no other; null: from any.
    std::shared_ptr<const ip::HomePorts> home_ports{};
};

/// The keys of a start, each for one purpose: the table of connected sockets, IPv6 addresses in it, and the
/// choice of ports.
struct Secrets {
    HashKey flow, ipv6, ports;
};

}  // namespace runnel::udp
