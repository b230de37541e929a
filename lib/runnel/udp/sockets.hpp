// UDP (RFC 768, RFC 1122 section 4.1): ports, sockets with handlers, and errors handed to them.
#pragma once

#include <cstdint>

namespace runnel::udp {

struct Config {
    std::uint32_t sockets = 1024;  ///< bound sockets at once
};

class Sockets;

}  // namespace runnel::udp
