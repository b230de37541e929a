// The IPv6 addresses of a stack's interfaces, and the groups that they hear by having them (RFC 4291).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/route_table.hpp"

namespace runnel::ip {

/// The link-local address that an interface makes for itself of its link address: the modified EUI-64 (RFC
/// 4291 appendix A, RFC 2464 section 4).
[[nodiscard]] Ipv6Address link_local_address(const MacAddress& mac) noexcept;

class Ipv6Addresses {
  public:
    /// Consecutive addresses of an interface.
    struct Range {
        std::uint64_t prefix = 0;         // of all: the first half as it lies in memory
        std::uint64_t high = 0, low = 0;  // of the first
        std::uint32_t count = 0;
        std::uint8_t prefix_length = 0;
        std::uint8_t interface = 0;
        bool deprecated = false;  // not to be chosen as a source where there is another

        [[nodiscard]] bool holds(const Ipv6Address& address) const noexcept {
            return address.words()[0] == prefix && address.low() - low < count;
        }
        [[nodiscard]] Ipv6Address first() const noexcept { return Ipv6Address::of(high, low); }
        [[nodiscard]] Ipv6Address at(std::uint32_t index) const noexcept {
            return Ipv6Address::of(high, low + index);
        }
    };

    /// Addresses that may be formed besides those of the configuration.
    static constexpr std::size_t most_formed = 16;

    /// `config` has been validated. Where it asks for probes nothing is used yet. Allocates here only.
    explicit Ipv6Addresses(const Config& config);

    /// Whether any interface speaks IPv6, and whether this one does.
    [[nodiscard]] bool any() const noexcept { return any_; }
    [[nodiscard]] bool speaks(std::uint8_t interface) const noexcept {
        return !link_local_[interface].is_unspecified();
    }
    [[nodiscard]] const Ipv6Address& link_local(std::uint8_t interface) const noexcept {
        return link_local_[interface];
    }
    /// What is used now.
    [[nodiscard]] const std::vector<Range>& ranges() const noexcept { return ranges_; }
    [[nodiscard]] std::uint64_t size() const noexcept;
    /// What the configuration says, and link-local addresses, whether used or not.
    [[nodiscard]] const std::vector<Range>& configured() const noexcept { return configured_; }

    /// A range is about to be used, and must not yet (RFC 4862 section 5.4): its groups are heard already.
    /// False where there is no room.
    bool add_tentative(const Range& range) noexcept;
    /// The end of that: addresses of it are used from now on, by `add`, or never.
    void remove_tentative(const Range& range) noexcept;
    /// So many addresses from `range.at(first)` on are used. False where there is no room.
    bool add(const Range& range, std::uint32_t first, std::uint32_t count) noexcept;
    /// Takes back what `add` has added, all or none of it.
    void remove(const Range& range) noexcept;
    /// Whether its addresses are deprecated is as `range` says, used and tentative ones.
    void set_deprecated(const Range& range) noexcept;
    /// IPv6 is not spoken on the interface any more.
    void disable(std::uint8_t interface) noexcept;
    /// The tentative range that has the address, or null.
    [[nodiscard]] const Range* tentative(std::uint8_t interface, const Ipv6Address& address) const noexcept {
        for (const Range& range : tentative_)
            if (range.interface == interface && range.holds(address)) return &range;
        return nullptr;
    }
    /// Ours, or about to be.
    [[nodiscard]] bool is_configured(const Ipv6Address& address) const noexcept {
        for (const Range& range : configured_)
            if (range.holds(address)) return true;
        return is_local(address);
    }

    [[nodiscard]] bool owns(std::uint8_t interface, const Ipv6Address& address) const noexcept {
        for (const Range& range : ranges_)
            if (range.interface == interface && range.holds(address)) return true;
        return false;
    }
    /// Ours, on whichever interface: the weak host model, but for link-local addresses (RFC 4007 section 5).
    [[nodiscard]] bool is_local(const Ipv6Address& address) const noexcept {
        for (const Range& range : ranges_)
            if (range.holds(address)) return true;
        return false;
    }
    /// True where the interface is a member of the group: of all nodes, of the solicited-node groups of its
    /// addresses (RFC 4291 section 2.8).
    [[nodiscard]] bool hears(std::uint8_t interface, const Ipv6Address& group) const noexcept;
    /// True where the address is of a network that the interface is connected to.
    [[nodiscard]] bool connects(std::uint8_t interface, const Ipv6Address& address) const noexcept;

    /// Which address of the interface a packet to `destination` carries (RFC 6724 section 5) that leaves by a
    /// router, or by none: nothing where the interface has none. Of a range the first one stands for all.
    [[nodiscard]] std::optional<Ipv6Address> source_for(std::uint8_t interface,
                                                        const Ipv6Address& destination,
                                                        const Ipv6Address& router = {}) const noexcept;

    /// Prefixes that routers have said (RFC 6724 section 5, rule 5.5), so many at once.
    static constexpr std::size_t most_advertised = 32;
    /// A router says a prefix on the link of an interface, until then. Where there is no room it is forgotten
    /// at once.
    void note_advertised(std::uint8_t interface, const Ipv6Address& router, const Ipv6Address& prefix,
                         std::uint8_t length, Instant until) noexcept;
    /// It is no router any more.
    void forget_advertised(std::uint8_t interface, const Ipv6Address& router) noexcept;
    void expire_advertised(Instant now) noexcept {
        std::erase_if(advertised_, [now](const Advertised& one) { return one.until <= now; });
    }

  private:
    [[nodiscard]] bool hears(const std::vector<Range>& ranges, std::uint8_t interface,
                             const Ipv6Address& group) const noexcept;

    struct Advertised {
        Ipv6Address router{}, prefix{};
        Instant until{};
        std::uint8_t length = 0, interface = 0;
    };
    [[nodiscard]] bool is_advertised(const Range& range, const Ipv6Address& router) const noexcept;
    [[nodiscard]] bool better(const Range& a, const Range& b, const Ipv6Address& destination,
                              const Ipv6Address& router) const noexcept;

    std::vector<Range> ranges_;
    bool any_ = false;
    std::vector<Range> configured_, tentative_;
    std::vector<Advertised> advertised_;   // room for all is there
    std::vector<Ipv6Address> link_local_;  // by interface; unspecified where it speaks no IPv6
};

}  // namespace runnel::ip
