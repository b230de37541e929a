// What a host does with ICMP: answers echo, hands errors to the transport they concern, and reports errors
// itself (RFC 792, RFC 1122 section 3.2.2).
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/exception_path.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/ip_output.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/raw_protocols.hpp"
#include "runnel/ip/token_bucket.hpp"

namespace runnel::ip {

class Icmp {
  public:
    /// References are not owned and outlive this.
    Icmp(const Config& config, HashKey key, const Interfaces& interfaces, RawProtocols& raw,
         ExceptionPath& exception, IpOutput& output, LinkOutput& link) noexcept
        : interfaces_(interfaces),
          raw_(raw),
          exception_(exception),
          output_(output),
          link_(link),
          errors_(config.icmp_errors_per_second, key) {}

    /// Handles a received message. On `Upper::none` its mbuf is taken; on `Upper::icmp_error` `in.error` is
    /// filled.
    Upper input(Ingress& in, Instant now) noexcept;
    /// As `InternetLayer::send_error`.
    void send_error(const Ingress& about, std::uint8_t type, std::uint8_t code, Instant now) noexcept;

  private:
    void answer_echo(Ingress& in, Instant now) noexcept;
    Upper take_error(Ingress& in) noexcept;

    const Interfaces& interfaces_;
    RawProtocols& raw_;
    ExceptionPath& exception_;
    IpOutput& output_;
    LinkOutput& link_;
    TokenBucket errors_;
};

}  // namespace runnel::ip
