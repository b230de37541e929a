// The parts of an endpoint, in the order in which they stand on one another.
#pragma once

#include <array>

#include "runnel/tcp/acknowledgement.hpp"
#include "runnel/tcp/core.hpp"
#include "runnel/tcp/defence.hpp"
#include "runnel/tcp/endpoint.hpp"
#include "runnel/tcp/path_mtu_discovery.hpp"
#include "runnel/tcp/recovery.hpp"
#include "runnel/tcp/segment.hpp"
#include "runnel/tcp/segment_arrival.hpp"
#include "runnel/tcp/timers.hpp"
#include "runnel/tcp/transmission.hpp"

namespace runnel::tcp {

struct Endpoint::Parts {
    Parts(Endpoint& endpoint, const Config& config, const Secrets& secrets, ip::InternetLayer& ip,
          Counters& counters, MbufStash& stash, TransmitQueue& queue)
        : core(endpoint, config, secrets, ip, counters, stash, queue),
          transmission(core),
          recovery(core, transmission),
          acknowledgement(core, transmission, recovery),
          defence(core),
          path_mtu(core),
          arrival(core, transmission, acknowledgement, defence),
          timers(core, transmission, recovery, acknowledgement, path_mtu) {}

    Core core;
    Transmission transmission;
    Recovery recovery;
    Acknowledgement acknowledgement;
    Defence defence;
    PathMtuDiscovery path_mtu;
    SegmentArrival arrival;
    Timers timers;
    // of the present call: not made anew for each
    std::array<Segment, max_burst> burst;
    std::array<ip::Ipv6Pair, max_burst> pairs;
};

}  // namespace runnel::tcp
