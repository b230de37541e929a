// Networks behind routers of the link, which say so themselves: more specific routes and their preferences
// (RFC 4191).
#include <algorithm>

#include "runnel/ip/autoconfiguration.hpp"

namespace runnel::ip {

template <class Which>
void Autoconfiguration::remove_routes(Which&& which) noexcept {
    std::erase_if(routes_, [&](const BehindRouter& one) {
        if (!which(one)) return false;
        if (one.installed) output_.remove_route(one.prefix, one.length, {one.interface, one.router});
        return true;
    });
    choose_routes();
}

// RFC 4191 section 3.1: of one router and network what was said last holds.
void Autoconfiguration::take_route(const wire::RouteInformation& route, const RouterNews& news,
                                   Instant now) noexcept {
    if (route.prefix.is_link_local() || route.prefix.is_multicast()) return;
    const auto is_it = [&](const BehindRouter& one) {
        return one.leads_to(route.prefix, route.length) && one.interface == news.interface &&
               one.router == news.router;
    };
    if (route.lifetime == 0) return remove_routes(is_it);
    auto known = std::ranges::find_if(routes_, is_it);
    if (known == routes_.end()) {
        if (routes_.size() == most_routes) return;
        routes_.push_back({.prefix = route.prefix,
                           .router = news.router,
                           .length = route.length,
                           .interface = news.interface});
        known = routes_.end() - 1;
    }
    known->expires = end_of(route.lifetime, now);
    known->preference = route.preference;
    known->failed = false;
    choose_route(route.prefix, route.length);
}

void Autoconfiguration::expire_routes(Instant now) noexcept {
    if (std::ranges::any_of(routes_, [now](const BehindRouter& one) { return one.expires <= now; }))
        remove_routes([now](const BehindRouter& one) { return one.expires <= now; });
}

void Autoconfiguration::remove_routes_of(std::uint8_t interface, const Ipv6Address& router) noexcept {
    remove_routes(
        [&](const BehindRouter& one) { return one.interface == interface && one.router == router; });
}

void Autoconfiguration::choose_routes() noexcept {
    for (const BehindRouter& one : routes_) choose_route(one.prefix, one.length);
}

// RFC 4191 section 3.2: who is not known to be silent goes before a longer prefix, and that before a
// preference. Where all routers of the network are silent, the way is that of all else; where there is none,
// the best of them.
void Autoconfiguration::choose_route(const Ipv6Address& prefix, std::uint8_t length) noexcept {
    BehindRouter* best = nullptr;
    for (BehindRouter& one : routes_) {
        if (!one.leads_to(prefix, length)) continue;
        if (best == nullptr || one.failed < best->failed ||
            (one.failed == best->failed &&
             (one.preference > best->preference || (one.preference == best->preference && one.installed))))
            best = &one;
    }
    if (best != nullptr && best->failed && !routers_.empty()) best = nullptr;
    for (BehindRouter& one : routes_) {
        if (!one.leads_to(prefix, length) || one.installed == (&one == best)) continue;
        one.installed = &one == best;
        if (one.installed)
            output_.add_route(prefix, length, {one.interface, one.router});
        else
            output_.remove_route(prefix, length, {one.interface, one.router});
    }
}

}  // namespace runnel::ip
