// What a flow of datagrams has found out of its way, kept by whoever has the flow.
#pragma once

#include <cstdint>

#include "runnel/ip/link_output.hpp"

namespace runnel::ip {

/// The interface by which packets to one destination leave, and the link header that they carry there: route
/// and neighbour found once. It holds for as long as nothing that was told before may be wrong (the epoch of
/// ARP or Neighbour Discovery, which routes and addresses change too); then the next packet finds another.
struct Way {
    std::uint32_t epoch = 0;  ///< 0: nothing is known
    LinkHeader header{};
    std::uint8_t interface = 0;
};

}  // namespace runnel::ip
