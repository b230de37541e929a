// What routers on the link say, and what follows for a host: default routers, prefixes on the link, addresses
// (RFC 4861 section 6.3, RFC 4862 section 5.5, RFC 7217), and networks behind a router (RFC 4191). A host
// that is not asked to listens to none of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/address_events.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/group_memberships.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/ip/ipv6_output.hpp"
#include "runnel/ip/neighbour_discovery.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/wire/router_discovery.hpp"

namespace runnel::ip {

/// A lifetime as routers say it, and when it ends.
[[nodiscard]] constexpr Duration lifetime_of(std::uint32_t seconds) noexcept {
    return std::chrono::seconds{seconds};
}
[[nodiscard]] constexpr Instant end_of(std::uint32_t seconds, Instant now) noexcept {
    return seconds == wire::infinite_lifetime ? never : now + lifetime_of(seconds);
}

/// One owner thread; allocates when constructed only.
class Autoconfiguration final : public NeighbourDiscovery::Listener {
  public:
    /// Of each stack: whoever sends advertisements without end makes us keep no more.
    static constexpr std::size_t most_routers = 8, most_prefixes = 16, most_addresses = 16, most_routes = 24;

    /// `config` has been validated. References are not owned and outlive this.
    Autoconfiguration(const Config& config, HashKey key, Interfaces& interfaces, Ipv6Addresses& addresses,
                      NeighbourDiscovery& neighbours, Ipv6Output& output, GroupMemberships& groups,
                      LinkOutput& link);

    /// Whether the interface listens to routers.
    [[nodiscard]] bool listens(std::uint8_t interface) const noexcept { return listens_[interface]; }
    /// Takes an advertisement that came in a packet from `source` whose hop limit was 255 and whose checksum
    /// is right. The octets stay the caller's, who counts what was of no use.
    NeighbourPacket input(std::span<const std::byte> message, const Ipv6Address& source,
                          const Interface& interface, Instant now) noexcept;
    /// What another core has received and told.
    void hear(const RouterNews& news, Instant now) noexcept;

    /// No router has answered yet, and some may.
    [[nodiscard]] bool waits_for_routers() const noexcept;

    void advance(Instant now) noexcept {
        if (listening_) [[unlikely]]
            run_timers(now);
    }
    [[nodiscard]] Instant next_deadline() const noexcept { return listening_ ? next_timer() : never; }

  private:
    struct Router {
        Ipv6Address address{};
        MacAddress mac{};
        Instant expires = never;
        std::uint8_t interface = 0;
        std::int8_t preference = 0;
        bool failed = false;  // it has not answered since it was heard of
    };
    // To a network behind a router (RFC 4191).
    struct BehindRouter {
        Ipv6Address prefix{};
        Ipv6Address router{};
        Instant expires = never;
        std::uint8_t length = 0, interface = 0;
        std::int8_t preference = 0;
        bool failed = false;     // as of routers
        bool installed = false;  // packets go there

        [[nodiscard]] bool leads_to(const Ipv6Address& network, std::uint8_t bits) const noexcept {
            return length == bits && prefix == network;
        }
    };
    struct Prefix {
        Ipv6Address prefix{};
        Instant expires = never;
        std::uint8_t length = 0, interface = 0;
    };
    struct Formed {
        Ipv6Addresses::Range range{};
        std::uint64_t prefix = 0;  // of 64 bits
        Instant preferred = never, valid = never;
        std::uint8_t attempts = 0;  // addresses of the prefix that others had
        bool deprecated = false;
        bool given_up = false;  // too many were taken
    };
    struct Solicitation {
        Instant due = never;
        Duration interval{};
        std::uint8_t sent = 0;
        bool answered = false;
    };

    // NeighbourDiscovery::Listener
    void duplicate(const Ipv6Addresses::Range& range, Instant now) noexcept override;
    void unreachable(std::uint8_t interface, const IpAddress& address) noexcept override;
    void no_router(std::uint8_t interface, const Ipv6Address& address) noexcept override;

    void begin(Instant now) noexcept;
    void run_timers(Instant now) noexcept;
    [[nodiscard]] Instant next_timer() const noexcept;
    void take(const RouterNews& news, Instant now) noexcept;
    void take_parameters(const RouterNews& news, Instant now) noexcept;
    void take_router(const RouterNews& news, Instant now) noexcept;
    void take_route(const wire::RouteInformation& route, const RouterNews& news, Instant now) noexcept;
    template <class Which>
    void remove_routes(Which&& which) noexcept;
    void remove_routes_of(std::uint8_t interface, const Ipv6Address& router) noexcept;
    void expire_routes(Instant now) noexcept;
    void choose_routes() noexcept;
    void choose_route(const Ipv6Address& prefix, std::uint8_t length) noexcept;
    void take_on_link(const wire::PrefixInformation& prefix, std::uint8_t interface, Instant now) noexcept;
    void take_autonomous(const wire::PrefixInformation& prefix, std::uint8_t interface, Instant now) noexcept;
    void form(Formed& formed, Instant now) noexcept;
    void set_lifetimes(Formed& formed, const wire::PrefixInformation& prefix, Instant now) noexcept;
    void deprecate_or_not(Formed& formed, Instant now) noexcept;
    void remove_router(std::vector<Router>::iterator router) noexcept;
    void choose_router() noexcept;
    void tell(AddressEventKind kind, const Ipv6Address& address, std::uint8_t interface,
              const MacAddress& mac = {}) const noexcept;
    [[nodiscard]] Ipv6Address address_for(std::uint64_t prefix, std::uint8_t interface,
                                          std::uint8_t attempts) const noexcept;

    Interfaces& interfaces_;
    Ipv6Addresses& addresses_;
    NeighbourDiscovery& neighbours_;
    Ipv6Output& output_;
    GroupMemberships& groups_;
    LinkOutput& link_;
    PeerCores* peers_;
    AddressObserver* observer_;
    HashKey key_;
    bool speaks_for_all_;
    bool listening_ = false, begun_ = false;
    std::vector<Solicitation> solicitations_;  // by interface; of those that listen to routers
    std::vector<bool> listens_;                // by interface
    std::vector<Router> routers_;
    std::optional<Router> chosen_;  // the default route leads there
    std::vector<BehindRouter> routes_;
    std::vector<Prefix> prefixes_;
    std::vector<Formed> formed_;
};

}  // namespace runnel::ip
