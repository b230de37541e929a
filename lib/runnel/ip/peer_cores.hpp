// What the internet layer of one core tells those of other cores that have the same addresses: what came to
// it and concerns them as well.
#pragma once

#include <cstdint>

#include "runnel/base/ip_address.hpp"

namespace runnel::ip {

struct IcmpError;

/// A neighbour's link address, as it said it.
struct NeighbourNews {
    IpAddress address{};
    MacAddress mac{};
    std::uint8_t interface = 0;
    bool asked_us = false;  ///< it asked for an address of ours: it will soon be sent something
};

/// The way to the other cores. Called on the stack's thread, for ARP packets and ICMP errors only.
class PeerCores {
  public:
    PeerCores() = default;
    virtual ~PeerCores() = default;
    PeerCores(const PeerCores&) = delete;
    PeerCores& operator=(const PeerCores&) = delete;

    /// To all of them: `Stack::hear` there.
    virtual void tell(const NeighbourNews& news) noexcept = 0;
    /// To the core that owns the connection of the quoted TCP segment: true where that is another, which
    /// `Stack::hear`s it then.
    [[nodiscard]] virtual bool pass_on(const IcmpError& error) noexcept = 0;
};

}  // namespace runnel::ip
