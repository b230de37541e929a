// IGMP of a host (RFC 3376; RFC 2236 and RFC 1112 appendix I towards queriers of before): which queries are
// believed, and how reports leave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <rte_mbuf.h>

#include "runnel/ip/group_reporter.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/link_output.hpp"

namespace runnel::ip {

class Igmp final : public ReportWriter {
  public:
    /// Room for so many groups. References are not owned and outlive this.
    Igmp(std::size_t groups, HashKey key, const Interfaces& interfaces, LinkOutput& link)
        : interfaces_(interfaces), link_(link), reporter_(interfaces.size(), groups, key, *this) {}
    Igmp(const Igmp&) = delete;
    Igmp& operator=(const Igmp&) = delete;
    ~Igmp() override;

    [[nodiscard]] GroupReporter& reporter() noexcept { return reporter_; }
    /// Looks at a received message; the mbuf stays the caller's. Returns why it is not to be believed, for
    /// who gives it to nobody else to count; else nothing.
    std::optional<DropReason> input(const Ingress& in, Instant now) noexcept;

    void add(std::uint8_t interface, wire::GroupRecordType type, const IpAddress& group,
             std::span<const IpAddress> sources) noexcept override;
    void flush(std::uint8_t interface) noexcept override;
    void report(std::uint8_t interface, wire::MembershipVersion version,
                const IpAddress& group) noexcept override;
    void leave(std::uint8_t interface, const IpAddress& group) noexcept override;

  private:
    [[nodiscard]] rte_mbuf* make() noexcept;
    void send_one(std::uint8_t interface, Ipv4Address destination, std::uint8_t type,
                  Ipv4Address group) noexcept;
    void send(rte_mbuf* message, const Interface& interface, Ipv4Address destination) noexcept;

    const Interfaces& interfaces_;
    LinkOutput& link_;
    rte_mbuf* pending_ = nullptr;  // a report of version 3 that records are added to
    GroupReporter reporter_;
};

}  // namespace runnel::ip
