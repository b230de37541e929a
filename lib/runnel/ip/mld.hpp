// MLD of a host (RFC 3810; RFC 2710 towards queriers of before): which queries are believed, and how reports
// leave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/ip/group_reporter.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/wire/icmpv6.hpp"

namespace runnel::ip {

class Mld final : public ReportWriter {
  public:
    /// Room for so many groups. References are not owned and outlive this.
    Mld(std::size_t groups, HashKey key, const Interfaces& interfaces, const Ipv6Addresses& addresses,
        LinkOutput& link)
        : interfaces_(interfaces),
          addresses_(addresses),
          link_(link),
          unheard_(interfaces.size()),
          reporter_(interfaces.size(), groups, key, *this) {}
    Mld(const Mld&) = delete;
    Mld& operator=(const Mld&) = delete;
    ~Mld() override;

    [[nodiscard]] GroupReporter& reporter() noexcept { return reporter_; }
    void advance(Instant now) noexcept {
        if (any_unheard_) [[unlikely]]
            tell_what_was_unheard();
        reporter_.advance(now);
    }
    /// Looks at a received query, report or done, whose checksum is right; the mbuf stays the caller's.
    /// Returns why it is not to be believed, for who gives it to nobody else to count; else nothing.
    std::optional<DropReason> input(const Ingress& in, Instant now) noexcept;

    void add(std::uint8_t interface, wire::GroupRecordType type, const IpAddress& group,
             std::span<const IpAddress> sources) noexcept override;
    void flush(std::uint8_t interface) noexcept override;
    void report(std::uint8_t interface, wire::MembershipVersion version,
                const IpAddress& group) noexcept override;
    void leave(std::uint8_t interface, const IpAddress& group) noexcept override;

  private:
    [[nodiscard]] rte_mbuf* make() noexcept;
    void send_one(std::uint8_t interface, const Ipv6Address& destination, wire::Icmpv6Type type,
                  const Ipv6Address& group) noexcept;
    void send(rte_mbuf* message, const Interface& interface, const Ipv6Address& destination) noexcept;
    void tell_what_was_unheard() noexcept;

    const Interfaces& interfaces_;
    const Ipv6Addresses& addresses_;
    LinkOutput& link_;
    rte_mbuf* pending_ = nullptr;  // a report of version 2 that records are added to
    std::vector<bool> unheard_;    // by interface: something was told from no address
    bool any_unheard_ = false;
    GroupReporter reporter_;
};

}  // namespace runnel::ip
