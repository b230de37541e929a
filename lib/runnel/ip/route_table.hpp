// Which interface leads to an address, and by which router: longest-prefix match (RFC 1122 section 3.3.1).
#pragma once

#include <cstdint>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/ip/config.hpp"

namespace runnel::ip {

struct Route {
    std::uint8_t interface = 0;
    Ipv4Address gateway{};  ///< unspecified: the destination is on the link itself

    /// Who gets the packet on that link.
    [[nodiscard]] Ipv4Address next_hop(Ipv4Address destination) const noexcept {
        return gateway.is_unspecified() ? destination : gateway;
    }
};

/// The routes of a configuration, fixed from the start. An end host has a handful, so they are walked from
/// the longest prefix to the shortest; rte_lpm would take 64 MB a stack for the same answer.
class RouteTable {
  public:
    /// `config` has been validated.
    explicit RouteTable(const Config& config);

    /// The route of the longest prefix that covers the destination, or null. Between equals the connected
    /// network wins, then the order of the configuration.
    [[nodiscard]] const Route* lookup(Ipv4Address destination) const noexcept {
        for (const Entry& entry : entries_)
            if (((destination.value ^ entry.network) & entry.mask) == 0) return &entry.route;
        return nullptr;
    }

  private:
    struct Entry {
        std::uint32_t network;
        std::uint32_t mask;
        Route route;
    };
    std::vector<Entry> entries_;
};

}  // namespace runnel::ip
