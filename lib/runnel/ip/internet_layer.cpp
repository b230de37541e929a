#include "runnel/ip/internet_layer.hpp"

#include <algorithm>
#include <cstddef>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/ip/internet_parts.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/icmp.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::ip {

namespace {

const Config& validated(const Config& config) {
    validate(config);
    return config;
}

}  // namespace

InternetLayer::Parts::Parts(InternetLayer& internet, const Config& config, HashKey key, Counters& counters,
                            MbufStash& stash, TransmitQueue& queue)
    : interfaces(config.interfaces),
      link(counters, stash, queue),
      raw(internet, link),
      exception(config, interfaces, link),
      arp(config, key, interfaces, link),
      output(config, key, interfaces, arp, link),
      pings(config, key, internet, link),
      icmp(config, key, interfaces, raw, exception, pings, output, link),
      path_mtus{{config, key, counters}, {config, key, counters}},
      ipv6_addresses(config),
      neighbours(config, key, interfaces, ipv6_addresses, link),
      ipv6_output(config, key, interfaces, ipv6_addresses, neighbours, path_mtus, link),
      igmp(config.multicast_groups, key, interfaces, link),
      mld(config.multicast_groups, key, interfaces, ipv6_addresses, link),
      groups(config, interfaces, ipv6_addresses, igmp, mld, counters),
      autoconfiguration(config, key, interfaces, ipv6_addresses, neighbours, ipv6_output, groups, link),
      icmpv6(config, key, interfaces, ipv6_addresses, raw, exception, neighbours, autoconfiguration, mld,
             pings, ipv6_output, link),
      reassembly(config, key, link),
      place(config.place),
      peers(config.peers) {}

// A segment that the port cannot have told the owner of, for it lay behind extension headers or in fragments:
// true where another core owns it, which has it then.
bool InternetLayer::Parts::passes_on(std::size_t offset, Ingress& in) noexcept {
    if (peers == nullptr || in.mbuf->data_len < 4) return false;
    const auto* const ports = rte_pktmbuf_mtod(in.mbuf, const std::byte*);
    const std::uint16_t source_port = wire::load_be16(ports), destination_port = wire::load_be16(ports + 2);
    const auto skip = static_cast<std::ptrdiff_t>(offset + in.ip_header_size);
    skip_octets(in.mbuf, -skip);
    if (peers->pass_on(in.mbuf, in.source_address(), in.destination_address(), source_port, destination_port))
        return true;
    skip_octets(in.mbuf, skip);
    return false;
}

InternetLayer::InternetLayer(const Config& config, std::array<std::uint64_t, 2> secret, Counters& counters,
                             MbufStash& stash, TransmitQueue& queue)
    : parts_(std::make_unique<Parts>(*this, validated(config), HashKey{secret[0], secret[1]}, counters, stash,
                                     queue)) {}

InternetLayer::~InternetLayer() = default;

Upper InternetLayer::input(rte_mbuf* frame, Ingress& in, Instant now) noexcept {
    return parts_->input(frame, in, now);
}

void InternetLayer::set_copies(bool copies) noexcept {
    parts_->is_copy = copies;
    parts_->exception.suspend(copies);
}

bool InternetLayer::output(rte_mbuf* packet, const Output& how, Instant now) noexcept {
    if (how.ipv6 == nullptr) [[likely]]
        return parts_->output.send(packet, how, now);
    return parts_->ipv6_output.send(packet, how, now);
}

bool InternetLayer::output(rte_mbuf* packet, const Output& how, Way& way, Instant now) noexcept {
    if (how.ipv6 == nullptr) [[likely]]
        return parts_->output.send(packet, how, way, now);
    return parts_->ipv6_output.send(packet, how, way, now);
}

bool InternetLayer::output_data(rte_mbuf* head, std::span<const std::byte> data, const Output& how, Way* way,
                                Instant now) noexcept {
    if (how.ipv6 == nullptr) return parts_->output.send_data(head, data, how, way, now);
    return parts_->ipv6_output.send_data(head, data, how, way, now);
}

void InternetLayer::send_port_unreachable(const Ingress& about, Instant now) noexcept {
    if (about.ipv6 == nullptr)
        parts_->icmp.send_error(about, static_cast<std::uint8_t>(wire::IcmpType::destination_unreachable),
                                static_cast<std::uint8_t>(wire::UnreachableCode::port), now);
    else
        parts_->icmpv6.send_error(about, wire::Icmpv6Type::destination_unreachable,
                                  static_cast<std::uint8_t>(wire::Icmpv6UnreachableCode::port), 0, false,
                                  now);
}

RawProtocols& InternetLayer::raw() noexcept {
    return parts_->raw;
}

Pings& InternetLayer::pings() noexcept {
    return parts_->pings;
}

GroupMemberships& InternetLayer::groups() noexcept {
    return parts_->groups;
}

ExceptionPath& InternetLayer::exception() noexcept {
    return parts_->exception;
}

void InternetLayer::decline(Ingress& in, DropReason reason) noexcept {
    parts_->exception.decline(in, reason);
}

bool InternetLayer::is_local(const IpAddress& address) const noexcept {
    return address.is_v4() ? parts_->interfaces.is_local(address.v4())
                           : parts_->ipv6_addresses.is_local(address.v6());
}

bool InternetLayer::is_configured(const IpAddress& address) const noexcept {
    return address.is_v4() ? parts_->arp.is_configured(address.v4())
                           : parts_->ipv6_addresses.is_configured(address.v6());
}

bool InternetLayer::probes_addresses() const noexcept {
    return parts_->arp.probes_addresses() || parts_->neighbours.probes_addresses() ||
           parts_->autoconfiguration.waits_for_routers();
}

bool InternetLayer::is_group(const IpAddress& address) const noexcept {
    return address.is_v4() ? parts_->interfaces.is_group(address.v4()) : address.v6().is_multicast();
}

bool InternetLayer::speaks_ipv6() const noexcept {
    return parts_->ipv6_addresses.any();
}

std::optional<IpAddress> InternetLayer::source_for(const IpAddress& destination) const noexcept {
    if (destination.is_v4()) {
        const auto route = parts_->output.route_to(destination.v4());
        if (!route || !parts_->interfaces[route->interface].speaks_ipv4()) return std::nullopt;
        return parts_->interfaces[route->interface].address_towards(route->next_hop(destination.v4()));
    }
    const auto route = parts_->ipv6_output.route_to(destination.v6());
    if (!route) return std::nullopt;
    const auto source = parts_->ipv6_addresses.source_for(route->interface, destination.v6(), route->gateway);
    if (!source) return std::nullopt;
    return *source;
}

std::uint8_t InternetLayer::interface_count() const noexcept {
    return static_cast<std::uint8_t>(parts_->interfaces.size());
}

std::uint16_t InternetLayer::mtu_of(std::uint8_t interface) const noexcept {
    return interface < parts_->interfaces.size() ? parts_->interfaces[interface].mtu : std::uint16_t { 0 };
}

std::optional<std::uint8_t> InternetLayer::interface_for(const IpAddress& destination) const noexcept {
    if (destination.is_v4()) {
        const auto route = parts_->output.route_to(destination.v4());
        if (!route) return std::nullopt;
        if (parts_->interfaces[route->interface].speaks_ipv4()) return route->interface;
        for (const Interface& interface : parts_->interfaces)
            if (interface.speaks_ipv4()) return interface.index;
        return std::nullopt;
    }
    const auto route = parts_->ipv6_output.route_to(destination.v6());
    if (!route) return std::nullopt;
    return route->interface;
}

std::optional<IpAddress> InternetLayer::source_on(std::uint8_t interface,
                                                  const IpAddress& destination) const noexcept {
    if (interface >= parts_->interfaces.size()) return std::nullopt;
    if (destination.is_v4()) {
        if (!parts_->interfaces[interface].speaks_ipv4()) return std::nullopt;
        return parts_->interfaces[interface].address_towards(destination.v4());
    }
    const auto source = parts_->ipv6_addresses.source_for(interface, destination.v6());
    if (!source) return std::nullopt;
    return *source;
}

bool InternetLayer::output_to_group(rte_mbuf* packet, const Output& how, std::uint8_t interface,
                                    Instant now) noexcept {
    if (how.ipv6 == nullptr) return parts_->output.send_to_group(packet, how, parts_->interfaces[interface]);
    return parts_->ipv6_output.send_to_group(packet, how, parts_->interfaces[interface], now);
}

void InternetLayer::loop_to_cores(const rte_mbuf& packet, const Output& how,
                                  std::uint8_t interface) noexcept {
    parts_->share_sent(packet, how, parts_->interfaces[interface]);
}

bool InternetLayer::hears_unasked(const Ingress& in) const noexcept {
    const IpAddress destination = in.destination_address();
    if (parts_->raw.hears(destination)) return true;
    if (!destination.is_v4()) return parts_->ipv6_addresses.hears(in.interface, destination.v6());
    return !destination.v4().is_multicast() || destination.v4() == all_hosts;
}

std::uint16_t InternetLayer::mtu_for(const IpAddress& destination) const noexcept {
    return destination.is_v4() ? parts_->output.mtu_for(destination.v4())
                               : parts_->ipv6_output.mtu_for(destination.v6());
}

const Offloads& InternetLayer::offloads_for(const IpAddress& destination) const noexcept {
    return destination.is_v4() ? parts_->output.offloads_for(destination.v4())
                               : parts_->ipv6_output.offloads_for(destination.v6());
}

std::uint16_t InternetLayer::path_mtu_for(const IpAddress& destination, Instant now) const noexcept {
    return parts_->path_mtus.proven.mtu_for(destination, mtu_for(destination), now);
}

std::uint16_t InternetLayer::datagram_mtu_for(const IpAddress& destination, Instant now) const noexcept {
    return parts_->path_mtus.for_datagrams(destination, mtu_for(destination), now);
}

std::uint16_t InternetLayer::datagram_mtu_for(const IpAddress& destination, const Way& way,
                                              Instant now) const noexcept {
    const bool ipv4 = destination.is_v4();
    const Interface* const interface =
        ipv4 ? parts_->output.interface_of(way) : parts_->ipv6_output.interface_of(way);
    if (interface == nullptr) return datagram_mtu_for(destination, now);
    return parts_->path_mtus.for_datagrams(destination, ipv4 ? interface->mtu : interface->ipv6_mtu, now);
}

std::uint16_t InternetLayer::lower_path_mtu(const IcmpError& error, Instant now) noexcept {
    return parts_->lower(parts_->path_mtus.proven, error, mtu_for(error.destination), now);
}

void InternetLayer::lower_datagram_mtu(const IcmpError& error, Instant now) noexcept {
    parts_->lower(parts_->path_mtus.datagrams, error, mtu_for(error.destination), now);
}

std::uint16_t InternetLayer::Parts::lower(PathMtuTable& table, const IcmpError& error,
                                          std::uint16_t interface_mtu, Instant now) noexcept {
    // Routers of before RFC 1191 say 0. Some of them count the header twice in the length that they quote
    // (section 5): what we know to fit is never exceeded.
    const std::uint16_t mtu =
        error.next_hop_mtu != 0 || !error.destination.is_v4()
            ? error.next_hop_mtu
            : plateau_below(
                  std::min(error.total_length, table.mtu_for(error.destination, interface_mtu, now)));
    return table.lower(error.destination, interface_mtu, mtu, now);
}

void InternetLayer::doubt(const IpAddress& destination, Instant now) noexcept {
    if (destination.is_v4())
        parts_->output.doubt(destination.v4(), now);
    else
        parts_->ipv6_output.doubt(destination.v6(), now);
}

void InternetLayer::set_progress(const ForwardProgress* progress) noexcept {
    parts_->arp.set_progress(progress);
    parts_->neighbours.set_progress(progress);
}

void InternetLayer::announce(Instant now) noexcept {
    parts_->arp.announce(now);
    parts_->neighbours.announce(now);
}

void InternetLayer::hear(const NeighbourNews& news, Instant now) noexcept {
    if (news.address.is_v4())
        parts_->arp.hear(news, now);
    else
        parts_->neighbours.hear(news, now);
}

void InternetLayer::hear(const RouterNews& news, Instant now) noexcept {
    parts_->autoconfiguration.hear(news, now);
}

void InternetLayer::advance(Instant now) noexcept {
    parts_->arp.advance(now);
    parts_->neighbours.advance(now);
    parts_->autoconfiguration.advance(now);
    parts_->groups.advance(now);
    parts_->pings.advance(now);
    parts_->expire_fragments(now);
}

Instant InternetLayer::next_deadline() const noexcept {
    return std::min({parts_->arp.next_deadline(), parts_->neighbours.next_deadline(),
                     parts_->autoconfiguration.next_deadline(), parts_->groups.next_deadline(),
                     parts_->pings.next_deadline(), parts_->reassembly.next_expiry()});
}

}  // namespace runnel::ip
