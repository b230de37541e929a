// What a host does with ICMPv6: answers echo, hands errors to the transport they concern, and reports errors
// itself (RFC 4443). Neighbour Discovery is handed on.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/autoconfiguration.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/exception_path.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/ip/ipv6_output.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/mld.hpp"
#include "runnel/ip/neighbour_discovery.hpp"
#include "runnel/ip/pings.hpp"
#include "runnel/ip/raw_protocols.hpp"
#include "runnel/ip/token_bucket.hpp"
#include "runnel/wire/icmpv6.hpp"

namespace runnel::ip {

class Icmpv6 {
  public:
    /// References are not owned and outlive this.
    Icmpv6(const Config& config, HashKey key, const Interfaces& interfaces, const Ipv6Addresses& addresses,
           RawProtocols& raw, ExceptionPath& exception, NeighbourDiscovery& neighbours,
           Autoconfiguration& routers, Mld& mld, Pings& pings, Ipv6Output& output, LinkOutput& link) noexcept
        : interfaces_(interfaces),
          addresses_(addresses),
          raw_(raw),
          exception_(exception),
          neighbours_(neighbours),
          routers_(routers),
          mld_(mld),
          pings_(pings),
          output_(output),
          link_(link),
          errors_(config.icmp_errors_per_second, key) {}

    /// Handles a received message. `fragmented`: it came with a fragment header. On `Upper::none` its mbuf is
    /// taken; on `Upper::icmp_error` `in.error` is filled.
    Upper input(Ingress& in, bool fragmented, Instant now) noexcept;

    /// Sends an error about a received packet, within the rate limit and the rules of RFC 4443 section 2.4.
    /// `rest`: the octets 4 to 7 of the message. `even_if_group`: also where the packet was sent to a group
    /// (sections 3.2 and 3.4). The mbuf stays the caller's.
    void send_error(const Ingress& about, wire::Icmpv6Type type, std::uint8_t code, std::uint32_t rest,
                    bool even_if_group, Instant now) noexcept;

  private:
    Upper take_discovery(Ingress& in, bool fragmented, bool of_router, Instant now) noexcept;
    void answer_echo(Ingress& in, Instant now) noexcept;
    Upper take_error(Ingress& in) noexcept;

    const Interfaces& interfaces_;
    const Ipv6Addresses& addresses_;
    RawProtocols& raw_;
    ExceptionPath& exception_;
    NeighbourDiscovery& neighbours_;
    Autoconfiguration& routers_;
    Mld& mld_;
    Pings& pings_;
    Ipv6Output& output_;
    LinkOutput& link_;
    TokenBucket errors_;
};

}  // namespace runnel::ip
