#include "runnel/ip/autoconfiguration.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace runnel::ip {

namespace {

// RFC 4861 section 10, RFC 7559 section 2.
constexpr Duration rtr_solicitation_interval = 4s, longest_interval = 1h;
constexpr std::uint8_t max_rtr_solicitations = 3;
// RFC 7217 section 6.
constexpr std::uint8_t idgen_retries = 3;
// RFC 4862 section 5.5.3 (e).
constexpr Duration two_hours = 2h;
// What a router may set them to. Below and above these it would stop us from speaking, or have us ask without
// end: the RFC leaves it to the host what it believes.
constexpr std::uint8_t least_hop_limit = 32;
constexpr std::uint32_t most_reachable_ms = 3'600'000, least_retrans_ms = 1'000, most_retrans_ms = 10'000;

}  // namespace

Autoconfiguration::Autoconfiguration(const Config& config, HashKey key, Interfaces& interfaces,
                                     Ipv6Addresses& addresses, NeighbourDiscovery& neighbours,
                                     Ipv6Output& output, GroupMemberships& groups, LinkOutput& link)
    : interfaces_(interfaces),
      addresses_(addresses),
      neighbours_(neighbours),
      output_(output),
      groups_(groups),
      link_(link),
      peers_(config.peers),
      observer_(config.address_observer),
      key_(key),
      speaks_for_all_(config.place.core == 0),
      solicitations_(config.interfaces.size()) {
    for (const InterfaceConfig& interface : config.interfaces) {
        listens_.push_back(interface.autoconf);
        listening_ |= interface.autoconf;
    }
    if (!listening_) return;
    routers_.reserve(most_routers);
    routes_.reserve(most_routes);
    prefixes_.reserve(most_prefixes);
    formed_.reserve(most_addresses);
    neighbours_.set_listener(this);
}

void Autoconfiguration::tell(AddressEventKind kind, const Ipv6Address& address, std::uint8_t interface,
                             const MacAddress& mac) const noexcept {
    if (observer_ != nullptr)
        observer_->address({.kind = kind, .address = address, .mac = mac, .interface = interface});
}

// ---------------------------------------------------------------------------------------------------------
// Asking

void Autoconfiguration::begin(Instant now) noexcept {
    begun_ = true;
    const auto share = static_cast<std::int64_t>(siphash_1_3(key_, 0x7273, 0) % 1001);
    for (std::size_t i = 0; i < listens_.size(); ++i)
        if (listens_[i])
            solicitations_[i] = {.due = now + max_rtr_solicitation_delay * share / 1000,
                                 .interval = rtr_solicitation_interval};
}

bool Autoconfiguration::waits_for_routers() const noexcept {
    if (!listening_) return false;
    if (!begun_) return true;
    return std::ranges::any_of(solicitations_, [](const Solicitation& one) {
        return one.due != never && !one.answered && one.sent <= max_rtr_solicitations;
    });
}

void Autoconfiguration::run_timers(Instant now) noexcept {
    if (!begun_) [[unlikely]]
        begin(now);
    for (std::size_t i = 0; i < solicitations_.size(); ++i) {
        Solicitation& one = solicitations_[i];
        if (one.due > now) continue;
        if (speaks_for_all_) neighbours_.solicit_routers(interfaces_[i]);
        if (one.sent <= max_rtr_solicitations) ++one.sent;
        one.due = now + one.interval;
        // Three at an even distance, then ever more seldom (RFC 7559): a router may come up late.
        if (one.sent >= max_rtr_solicitations) one.interval = std::min(2 * one.interval, longest_interval);
    }
    for (auto router = routers_.begin(); router != routers_.end();) {
        if (router->expires > now) {
            ++router;
            continue;
        }
        remove_router(router);
        router = routers_.begin();
    }
    expire_routes(now);
    addresses_.expire_advertised(now);
    for (std::size_t i = prefixes_.size(); i-- > 0;) {
        const Prefix gone = prefixes_[i];
        if (gone.expires > now) continue;
        prefixes_.erase(prefixes_.begin() + static_cast<std::ptrdiff_t>(i));
        output_.remove_route(gone.prefix, gone.length, {gone.interface, {}});
    }
    for (std::size_t i = formed_.size(); i-- > 0;) {
        Formed& one = formed_[i];
        if (one.valid <= now) {
            const Ipv6Addresses::Range range = one.range;
            const bool used = addresses_.owns(range.interface, range.first());
            neighbours_.withdraw(range);
            if (!one.given_up) groups_.release_solicited_node(range.interface, range.first());
            formed_.erase(formed_.begin() + static_cast<std::ptrdiff_t>(i));
            if (used) tell(AddressEventKind::removed, range.first(), range.interface);
        } else {
            deprecate_or_not(one, now);
        }
    }
}

Instant Autoconfiguration::next_timer() const noexcept {
    if (!begun_) return Instant::min();
    Instant first = never;
    for (const Solicitation& one : solicitations_) first = std::min(first, one.due);
    for (const Router& one : routers_) first = std::min(first, one.expires);
    for (const BehindRouter& one : routes_) first = std::min(first, one.expires);
    for (const Prefix& one : prefixes_) first = std::min(first, one.expires);
    for (const Formed& one : formed_)
        first = std::min({first, one.valid, one.deprecated ? never : one.preferred});
    return first;
}

// ---------------------------------------------------------------------------------------------------------
// What is said

// RFC 4861 section 6.1.2.
NeighbourPacket Autoconfiguration::input(std::span<const std::byte> message, const Ipv6Address& source,
                                         const Interface& interface, Instant now) noexcept {
    const auto said = wire::parse_router_advertisement(message);
    if (!said || !source.is_link_local() || (said->link_address && said->link_address->is_group()))
        return {.malformed = true, .useless = DropReason::nd_malformed};
    link_.counters().add(Counter::nd_in);
    RouterNews news{.router = source,
                    .interface = interface.index,
                    .link_address = said->link_address,
                    .reachable_time = said->reachable_time,
                    .retrans_timer = said->retrans_timer,
                    .mtu = said->mtu,
                    .lifetime = said->lifetime,
                    .hop_limit = said->hop_limit,
                    .preference = said->preference};
    // Of all routes that to everywhere says what the header says, and goes before it (RFC 4191 section 3.1).
    std::array<wire::RouteInformation, wire::RouterAdvertisement::most_routes> routes;
    std::size_t route_count = 0;
    for (const wire::RouteInformation& route : std::span{said->routes}.first(said->route_count)) {
        if (route.length == 0) {
            news.lifetime = route.lifetime;
            news.preference = route.preference;
        } else {
            routes[route_count++] = route;
        }
    }
    std::size_t at = 0, route_at = 0;
    do {
        news.prefix_count = std::min(said->prefix_count - at, RouterNews::most_prefixes);
        std::copy_n(said->prefixes.begin() + static_cast<std::ptrdiff_t>(at), news.prefix_count,
                    news.prefixes.begin());
        at += news.prefix_count;
        news.route_count = std::min(route_count - route_at, RouterNews::most_routes);
        std::copy_n(routes.begin() + static_cast<std::ptrdiff_t>(route_at), news.route_count,
                    news.routes.begin());
        route_at += news.route_count;
        take(news, now);
        if (peers_ != nullptr) peers_->tell_of_router(news);
    } while (at < said->prefix_count || route_at < route_count);
    return {};
}

void Autoconfiguration::hear(const RouterNews& news, Instant now) noexcept {
    if (listens_[news.interface]) take(news, now);
}

void Autoconfiguration::take(const RouterNews& news, Instant now) noexcept {
    Solicitation& asked = solicitations_[news.interface];
    if (news.lifetime != 0 || news.prefix_count != 0) {
        asked.answered = true;
        asked.due = never;
    }
    take_parameters(news, now);
    take_router(news, now);
    for (std::size_t i = 0; i < news.prefix_count; ++i) {
        const wire::PrefixInformation& prefix = news.prefixes[i];
        if (prefix.prefix.is_link_local() || prefix.prefix.is_multicast()) continue;
        if (prefix.on_link) take_on_link(prefix, news.interface, now);
        if (prefix.autonomous) take_autonomous(prefix, news.interface, now);
        addresses_.note_advertised(news.interface, news.router, prefix.prefix, prefix.length,
                                   end_of(prefix.valid, now));
    }
    for (std::size_t i = 0; i < news.route_count; ++i) take_route(news.routes[i], news, now);
}

// RFC 4861 section 6.3.4: what is said last holds, whichever router says it.
void Autoconfiguration::take_parameters(const RouterNews& news, Instant now) noexcept {
    const Interface& interface = interfaces_[news.interface];
    if (news.hop_limit >= least_hop_limit && news.hop_limit != interface.hop_limit) {
        interfaces_.set_hop_limit(news.interface, news.hop_limit);
        output_.forget_paths();
    }
    if (news.mtu >= wire::ipv6_min_mtu && news.mtu <= interface.mtu)
        interfaces_.set_ipv6_mtu(news.interface, static_cast<std::uint16_t>(news.mtu));
    neighbours_.set_times(
        news.reachable_time <= most_reachable_ms ? std::chrono::milliseconds{news.reachable_time} : 0ms,
        news.retrans_timer == 0
            ? 0ms
            : std::chrono::milliseconds{std::clamp(news.retrans_timer, least_retrans_ms, most_retrans_ms)});
    if (news.link_address) neighbours_.learn_router(news.interface, news.router, *news.link_address, now);
}

// ---------------------------------------------------------------------------------------------------------
// Default routers

void Autoconfiguration::take_router(const RouterNews& news, Instant now) noexcept {
    const auto known = std::ranges::find_if(routers_, [&](const Router& one) {
        return one.interface == news.interface && one.address == news.router;
    });
    if (news.lifetime == 0) {
        if (known != routers_.end()) remove_router(known);
        return;
    }
    const Instant expires = end_of(news.lifetime, now);
    if (known != routers_.end()) {
        known->expires = expires;
        known->preference = news.preference;
        known->failed = false;
    } else {
        if (routers_.size() == most_routers) return;
        const Router& added = routers_.emplace_back(Router{.address = news.router,
                                                           .mac = news.link_address.value_or(MacAddress{}),
                                                           .expires = expires,
                                                           .interface = news.interface,
                                                           .preference = news.preference});
        tell(AddressEventKind::router, added.address, added.interface, added.mac);
    }
    choose_router();
    choose_routes();
}

void Autoconfiguration::remove_router(std::vector<Router>::iterator router) noexcept {
    const Router gone = *router;
    routers_.erase(router);
    addresses_.forget_advertised(gone.interface, gone.address);
    tell(AddressEventKind::router_gone, gone.address, gone.interface);
    choose_router();
    choose_routes();
}

// RFC 4861 section 6.3.6, RFC 4191 section 3.2: who is not known to be silent, of these who is preferred; who
// is in use stays so. Where all are silent they are tried in turn.
void Autoconfiguration::choose_router() noexcept {
    const auto is_chosen = [this](const Router& one) {
        return chosen_ && one.address == chosen_->address && one.interface == chosen_->interface;
    };
    if (!routers_.empty() && std::ranges::all_of(routers_, &Router::failed))
        for (Router& one : routers_) one.failed = is_chosen(one) && routers_.size() > 1;
    const Router* best = nullptr;
    for (const Router& one : routers_) {
        if (best == nullptr || one.failed < best->failed ||
            (one.failed == best->failed &&
             (one.preference > best->preference || (one.preference == best->preference && is_chosen(one)))))
            best = &one;
    }
    if (best != nullptr && is_chosen(*best)) return;
    if (chosen_) output_.remove_route({}, 0, {chosen_->interface, chosen_->address});
    chosen_.reset();
    if (best == nullptr) return;
    chosen_ = *best;
    output_.add_route({}, 0, {best->interface, best->address});
}

void Autoconfiguration::unreachable(std::uint8_t interface, const IpAddress& address) noexcept {
    bool known = false;
    for (BehindRouter& one : routes_) {
        if (one.interface != interface || IpAddress{one.router} != address) continue;
        one.failed = known = true;
    }
    for (Router& one : routers_) {
        if (one.interface != interface || IpAddress{one.address} != address) continue;
        one.failed = known = true;
    }
    if (!known) return;
    choose_router();
    choose_routes();
}

// RFC 4861 section 7.2.5: an advertisement without the flag says that it is a router no more.
void Autoconfiguration::no_router(std::uint8_t interface, const Ipv6Address& address) noexcept {
    const auto known = std::ranges::find_if(
        routers_, [&](const Router& one) { return one.interface == interface && one.address == address; });
    if (known != routers_.end()) remove_router(known);
    remove_routes_of(interface, address);
}

// ---------------------------------------------------------------------------------------------------------
// Prefixes

void Autoconfiguration::take_on_link(const wire::PrefixInformation& prefix, std::uint8_t interface,
                                     Instant now) noexcept {
    const auto known = std::ranges::find_if(prefixes_, [&](const Prefix& one) {
        return one.interface == interface && one.length == prefix.length &&
               same_prefix(one.prefix, prefix.prefix, prefix.length);
    });
    const Instant expires = end_of(prefix.valid, now);
    if (known != prefixes_.end()) {
        known->expires = expires;  // one that has none is gone with the next `advance`
        return;
    }
    // No router has all addresses on its link: that would be the default route of another.
    if (prefix.valid == 0 || prefix.length == 0 || prefixes_.size() == most_prefixes) return;
    prefixes_.push_back(
        {.prefix = prefix.prefix, .expires = expires, .length = prefix.length, .interface = interface});
    output_.add_route(prefix.prefix, prefix.length, {interface, {}});
}

// RFC 4862 section 5.5.3, in its order.
void Autoconfiguration::take_autonomous(const wire::PrefixInformation& prefix, std::uint8_t interface,
                                        Instant now) noexcept {
    constexpr std::uint8_t identifier_length = 64;  // RFC 2464 section 4
    if (prefix.preferred > prefix.valid || prefix.length != 128 - identifier_length) return;
    for (Formed& one : formed_)
        if (one.range.interface == interface && one.prefix == prefix.prefix.high()) {
            set_lifetimes(one, prefix, now);
            return;
        }
    if (prefix.valid == 0 || formed_.size() == most_addresses) return;
    Formed& one = formed_.emplace_back();
    one.prefix = prefix.prefix.high();
    one.range.interface = interface;
    one.valid = end_of(prefix.valid, now);
    one.preferred = end_of(prefix.preferred, now);
    one.deprecated = prefix.preferred == 0;
    form(one, now);
}

// RFC 7217 section 5: stable on this link with this secret, and telling nothing elsewhere.
Ipv6Address Autoconfiguration::address_for(std::uint64_t prefix, std::uint8_t interface,
                                           std::uint8_t attempts) const noexcept {
    const HashKey of_prefix{siphash_2_4(key_, prefix, 0x7374'6162'6c65),
                            siphash_2_4(key_, prefix, 0x736c'6161'63)};
    const std::uint64_t identifier = siphash_2_4(of_prefix, interfaces_[interface].mac_as_number, attempts);
    return Ipv6Address::of(prefix, identifier);
}

void Autoconfiguration::form(Formed& formed, Instant now) noexcept {
    constexpr std::uint64_t first_reserved = 0xfdff'ffff'ffff'ff80;  // anycast (RFC 2526, RFC 5453)
    const std::uint8_t interface = formed.range.interface;
    Ipv6Address address = address_for(formed.prefix, interface, formed.attempts);
    while ((address.low() == 0 || address.low() >= first_reserved || addresses_.is_configured(address)) &&
           formed.attempts < idgen_retries)
        address = address_for(formed.prefix, interface, ++formed.attempts);
    formed.range = {.prefix = address.words()[0],
                    .high = address.high(),
                    .low = address.low(),
                    .count = 1,
                    .prefix_length = 64,
                    .interface = interface,
                    .deprecated = formed.deprecated};
    groups_.hold_solicited_node(interface, address);  // before it is probed for
    neighbours_.begin_use(formed.range, now);
}

void Autoconfiguration::set_lifetimes(Formed& formed, const wire::PrefixInformation& prefix,
                                      Instant now) noexcept {
    // A forged advertisement cannot take an address away at once.
    const Duration remaining = formed.valid == never ? Duration::max() : formed.valid - now;
    if (prefix.valid == wire::infinite_lifetime || lifetime_of(prefix.valid) > two_hours ||
        lifetime_of(prefix.valid) > remaining)
        formed.valid = end_of(prefix.valid, now);
    else if (remaining > two_hours)
        formed.valid = now + two_hours;
    formed.preferred = std::min(end_of(prefix.preferred, now), formed.valid);
    deprecate_or_not(formed, now);
}

void Autoconfiguration::deprecate_or_not(Formed& formed, Instant now) noexcept {
    const bool deprecated = formed.preferred <= now;
    if (deprecated == formed.deprecated) return;
    formed.deprecated = formed.range.deprecated = deprecated;
    neighbours_.set_deprecated(formed.range);
    if (addresses_.owns(formed.range.interface, formed.range.first()))
        tell(deprecated ? AddressEventKind::deprecated : AddressEventKind::preferred, formed.range.first(),
             formed.range.interface);
}

// RFC 7217 section 6: another identifier, a few times.
void Autoconfiguration::duplicate(const Ipv6Addresses::Range& range, Instant now) noexcept {
    for (Formed& one : formed_) {
        if (one.range.interface != range.interface || one.range.first() != range.first() || one.given_up)
            continue;
        groups_.release_solicited_node(range.interface, range.first());
        if (one.attempts >= idgen_retries) {
            one.given_up = true;
            return;
        }
        ++one.attempts;
        form(one, now);
        return;
    }
}

}  // namespace runnel::ip
