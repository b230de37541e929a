// What a host does with ICMP: answers echo, hands errors to the transport they concern, and reports errors
// itself (RFC 792, RFC 1122 section 3.2.2).
#pragma once

#include <cstdint>
#include <optional>

#include <rte_mbuf.h>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/exception_path.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/ip_output.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/pings.hpp"
#include "runnel/ip/raw_protocols.hpp"
#include "runnel/ip/token_bucket.hpp"

namespace runnel::ip {

class Icmp {
  public:
    /// References are not owned and outlive this.
    Icmp(const Config& config, HashKey key, const Interfaces& interfaces, RawProtocols& raw,
         ExceptionPath& exception, Pings& pings, IpOutput& output, LinkOutput& link) noexcept
        : interfaces_(interfaces),
          raw_(raw),
          exception_(exception),
          pings_(pings),
          output_(output),
          link_(link),
          answers_timestamps_(config.answer_timestamps),
          midnight_(config.midnight),
          clock_offset_(static_cast<std::uint32_t>(siphash_1_3(key, 0x7473, 0))),
          errors_(config.icmp_errors_per_second, key) {}

    /// Handles a received message. On `Upper::none` its mbuf is taken; on `Upper::icmp_error` `in.error` is
    /// filled.
    Upper input(Ingress& in, Instant now) noexcept;
    /// Sends an error about a received packet, within the rate limit and the rules of RFC 1122 section 3.2.2.
    /// `rest`: the octets 4 to 7 of the message. The mbuf stays the caller's.
    void send_error(const Ingress& about, std::uint8_t type, std::uint8_t code, Instant now,
                    std::uint32_t rest = 0) noexcept;

  private:
    void answer_echo(Ingress& in, Instant now) noexcept;
    void answer_timestamp(Ingress& in, Instant now) noexcept;
    [[nodiscard]] std::uint32_t timestamp(Instant now) const noexcept;
    void turn_round(rte_mbuf* message, const Ingress& in, Instant now) noexcept;
    Upper take_error(Ingress& in) noexcept;

    const Interfaces& interfaces_;
    RawProtocols& raw_;
    ExceptionPath& exception_;
    Pings& pings_;
    IpOutput& output_;
    LinkOutput& link_;
    bool answers_timestamps_;
    std::optional<Instant> midnight_;
    std::uint32_t clock_offset_;  // of timestamps that are no time of day: they tell nobody how long we run
    TokenBucket errors_;
};

}  // namespace runnel::ip
