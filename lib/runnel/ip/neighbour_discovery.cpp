#include "runnel/ip/neighbour_discovery.hpp"

#include <algorithm>
#include <optional>

#include "runnel/wire/checksum.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/router_discovery.hpp"

namespace runnel::ip {

namespace {

// RFC 4861 section 10.
constexpr Duration delay_first_probe_time = 5s;
constexpr std::uint8_t max_neighbour_advertisement = 3;
// How long a neighbour is remembered that nobody uses. The RFC leaves it open.
constexpr Duration stale_time = 60s;

}  // namespace

NeighbourDiscovery::NeighbourDiscovery(const Config& config, HashKey key, const Interfaces& interfaces,
                                       Ipv6Addresses& addresses, LinkOutput& link)
    : Resolution(config,
                 {.reachable = config.reachable_time,
                  .randomised = true,
                  .stale = stale_time,
                  .first_probe = delay_first_probe_time,
                  .retransmission = config.neighbour_request_interval,
                  .requests = config.neighbour_requests,
                  .queue = config.neighbour_queue},
                 false, key, interfaces, link),
      addresses_(addresses),
      peers_(config.peers),
      observer_(config.address_observer),
      key_(key),
      probes_(config.dad_probes),
      speaks_for_all_(config.place.core == 0),
      begun_(config.dad_probes == 0),
      detection_(addresses.configured().size() + Ipv6Addresses::most_formed) {}

NeighbourPacket NeighbourDiscovery::input(std::span<const std::byte> message, const Ipv6Address& source,
                                          const Ipv6Address& destination, const Interface& interface,
                                          Instant now) noexcept {
    const auto parsed = wire::parse_neighbour_message(message);
    if (!parsed) [[unlikely]]
        return {.malformed = true, .useless = DropReason::nd_malformed};
    link_.counters().add(Counter::nd_in);
    if (parsed->type == wire::Icmpv6Type::neighbour_solicitation)
        return solicited(*parsed, source, destination, interface, now);
    return advertised(*parsed, destination, interface, now);
}

// RFC 4861 sections 7.1.1, 7.2.3 and 7.2.4, RFC 4862 section 5.4.3.
NeighbourPacket NeighbourDiscovery::solicited(const wire::NeighbourMessage& message,
                                              const Ipv6Address& source, const Ipv6Address& destination,
                                              const Interface& interface, Instant now) noexcept {
    if (addresses_.is_local(source))
        return conflict(interface.index, source, message.link_address.value_or(MacAddress{}), now);
    const bool probe = source.is_unspecified();  // somebody asks whether he may take the address
    const bool to_solicited_node = destination == message.target.solicited_node();
    if ((probe && (!to_solicited_node || message.link_address)) ||
        (message.link_address && message.link_address->is_group()))
        return {.malformed = true, .useless = DropReason::nd_malformed};
    if (!addresses_.owns(interface.index, message.target)) {
        // Our own probe may come back from the link (RFC 7527). Who asks from an address of its own only
        // looks for whoever has the target.
        if (probe && message.nonce.value_or(~nonce(message.target)) != nonce(message.target) &&
            addresses_.tentative(interface.index, message.target) != nullptr)
            return duplicate(interface.index, message.target, {}, now);
        return {.useless = DropReason::nd_not_for_us};
    }
    // Who asks for us will soon be sent something. A sender that is not of this link would never be a next
    // hop.
    const bool asked_us = !probe && addresses_.connects(interface.index, source);
    if (asked_us && message.link_address) {
        Neighbour* known = find(interface.index, source);
        if (known == nullptr) known = add(interface.index, source);
        if (known != nullptr) learn(*known, *message.link_address, false, now);
        if (peers_ != nullptr) [[unlikely]]
            peers_->tell({source, *message.link_address, interface.index, true});
    }
    const wire::NeighbourMessage answer{
        .type = wire::Icmpv6Type::neighbour_advertisement,
        .flags = (probe ? 0 : wire::advertisement_solicited) | wire::advertisement_override,
        .target = message.target,
        .link_address = interface.mac};
    const Ipv6Address& to = probe ? all_nodes : source;
    rte_mbuf* const packet = make(answer, message.target, to);
    if (packet == nullptr) return {.answered = true};
    if (probe)
        send(packet, interface, wire::multicast_mac(all_nodes));
    else if (message.link_address)
        send(packet, interface, *message.link_address);
    else if (const MacAddress* const mac = link_address(interface, source, message.target, now))
        send(packet, interface, *mac);
    else if (asked_us)
        hold(packet, interface, source, message.target, now);
    else
        link_.drop(packet, DropReason::nd_not_for_us);
    return {.answered = true};
}

// RFC 4861 sections 7.1.2 and 7.2.5. An advertisement counts as solicited only where we have asked, whatever
// it says of itself.
NeighbourPacket NeighbourDiscovery::advertised(const wire::NeighbourMessage& message,
                                               const Ipv6Address& destination, const Interface& interface,
                                               Instant now) noexcept {
    const bool says_solicited = (message.flags & wire::advertisement_solicited) != 0;
    if ((says_solicited && destination.is_multicast()) ||
        (message.link_address && message.link_address->is_group()))
        return {.malformed = true, .useless = DropReason::nd_malformed};
    if (addresses_.owns(interface.index, message.target))
        return conflict(interface.index, message.target, message.link_address.value_or(MacAddress{}), now);
    if (addresses_.tentative(interface.index, message.target) != nullptr) [[unlikely]]
        return duplicate(interface.index, message.target, message.link_address.value_or(MacAddress{}), now);
    if (peers_ != nullptr && message.link_address) [[unlikely]]
        peers_->tell({message.target, *message.link_address, interface.index, false});
    Neighbour* const known = find(interface.index, message.target);
    if (known == nullptr) {
        // With peers it may answer what another core has asked.
        if (peers_ == nullptr) return {.useless = DropReason::nd_unsolicited};
        return {};
    }
    const bool asked = known->state == NeighbourState::incomplete || known->state == NeighbourState::probing;
    const bool solicited = says_solicited && asked;
    const bool overrides = (message.flags & wire::advertisement_override) != 0;
    if (!known->is_usable()) {
        if (!message.link_address) return {.useless = DropReason::nd_unsolicited};
        known->is_router = (message.flags & wire::advertisement_router) != 0;
        learn(*known, *message.link_address, solicited, now);
        return {};
    }
    if (!overrides && message.link_address && *message.link_address != known->mac) {
        if (known->state == NeighbourState::reachable) make_stale(*known, now);
        return {};
    }
    const bool was_router = known->is_router;
    known->is_router = (message.flags & wire::advertisement_router) != 0;
    learn(*known, message.link_address.value_or(known->mac), solicited, now);
    if (was_router && (message.flags & wire::advertisement_router) == 0 && listener_ != nullptr)
        listener_->no_router(interface.index, message.target);
    return {};
}

void NeighbourDiscovery::hear(const NeighbourNews& news, Instant now) noexcept {
    if (news.conflict) {
        note_duplicate(news.interface, news.address.v6(), news.mac, now);
        return;
    }
    Neighbour* known = find(news.interface, news.address);
    if (known == nullptr && news.asked_us) known = add(news.interface, news.address);
    if (known == nullptr) return;
    const bool asked = known->state == NeighbourState::incomplete || known->state == NeighbourState::probing;
    learn(*known, news.mac, asked, now);
}

void NeighbourDiscovery::send_request(const Neighbour& neighbour, bool known) noexcept {
    const Interface& interface = interfaces_[neighbour.interface];
    const Ipv6Address target = neighbour.address.v6();
    const Ipv6Address group = target.solicited_node();
    rte_mbuf* const packet = make(
        {.type = wire::Icmpv6Type::neighbour_solicitation, .target = target, .link_address = interface.mac},
        neighbour.asker.v6(), known ? target : group);
    if (packet != nullptr) send(packet, interface, known ? neighbour.mac : wire::multicast_mac(group));
}

IpAddress NeighbourDiscovery::asker_for(const Interface& interface, const IpAddress& source,
                                        const IpAddress&) const noexcept {
    const Ipv6Address& link_local = addresses_.link_local(interface.index);
    return addresses_.owns(interface.index, source.v6()) || !addresses_.owns(interface.index, link_local)
               ? source
               : IpAddress{link_local};
}

void NeighbourDiscovery::announce(Instant now) noexcept {
    announcement_.begin(addresses_.size(), max_neighbour_advertisement, retrans_timer, now);
    advance(now);
}

void NeighbourDiscovery::announce_one(std::uint64_t index) noexcept {
    for (const Ipv6Addresses::Range& range : addresses_.ranges()) {
        if (index >= range.count) {
            index -= range.count;
            continue;
        }
        advertise(range.interface, range.at(static_cast<std::uint32_t>(index)));
        return;
    }
}

void NeighbourDiscovery::advertise(std::uint8_t at, const Ipv6Address& address) noexcept {
    const Interface& interface = interfaces_[at];
    rte_mbuf* const packet = make({.type = wire::Icmpv6Type::neighbour_advertisement,
                                   .flags = wire::advertisement_override,
                                   .target = address,
                                   .link_address = interface.mac},
                                  address, all_nodes);
    if (packet != nullptr) send(packet, interface, wire::multicast_mac(all_nodes));
}

void NeighbourDiscovery::advance(Instant now) noexcept {
    if (!begun_) [[unlikely]]
        begin(now);
    if (!detection_.empty()) [[unlikely]]
        detection_.advance(
            now,
            [this](const Ipv6Addresses::Range& range, std::uint32_t index) noexcept { probe(range, index); },
            [this](Detection::Probed& probed) noexcept { finish(probed); });
    if (announcement_.due() <= now) [[unlikely]]
        announcement_.advance(now, [this](std::uint64_t index) noexcept { announce_one(index); });
    expire_all(now);
}

Instant NeighbourDiscovery::next_deadline() noexcept {
    if (!begun_) return Instant::min();
    return std::min({next_expiry(), announcement_.due(), detection_.next_deadline()});
}

template <class Write>
rte_mbuf* NeighbourDiscovery::make(std::size_t size, const Ipv6Address& source,
                                   const Ipv6Address& destination, Write&& write) noexcept {
    rte_mbuf* const mbuf = link_.stash().take_control();
    if (mbuf == nullptr) [[unlikely]] {
        link_.counters().drop(DropReason::no_mbuf);
        return nullptr;
    }
    char* const room = rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(wire::ipv6_header_size + size));
    if (room == nullptr) [[unlikely]] {
        link_.drop(mbuf, DropReason::no_mbuf);
        return nullptr;
    }
    const std::span octets{reinterpret_cast<std::byte*>(room), wire::ipv6_header_size + size};
    wire::write(wire::Ipv6Header{.payload_length = static_cast<std::uint16_t>(size),
                                 .next_header = wire::icmpv6_protocol,
                                 .hop_limit = wire::nd_hop_limit,
                                 .source = source,
                                 .destination = destination},
                octets.first<wire::ipv6_header_size>());
    const std::span text = octets.subspan(wire::ipv6_header_size);
    write(text);
    const std::uint32_t pseudo =
        wire::pseudo_header_sum(source, destination, wire::icmpv6_protocol, static_cast<std::uint32_t>(size));
    wire::store_be16(text, 2, wire::checksum_finish(wire::checksum_add(text, pseudo)));
    return mbuf;
}

rte_mbuf* NeighbourDiscovery::make(const wire::NeighbourMessage& message, const Ipv6Address& source,
                                   const Ipv6Address& destination) noexcept {
    return make(wire::size_of(message), source, destination,
                [&](std::span<std::byte> text) noexcept { wire::write(message, text); });
}

void NeighbourDiscovery::solicit_routers(const Interface& interface) noexcept {
    if (!addresses_.speaks(interface.index)) return;
    const Ipv6Address& own = addresses_.link_local(interface.index);
    const bool known = addresses_.owns(interface.index, own);
    const auto link_address = known ? std::optional{interface.mac} : std::nullopt;
    rte_mbuf* const packet = make(
        wire::size_of_router_solicitation(known), known ? own : Ipv6Address{}, all_routers,
        [&](std::span<std::byte> text) noexcept { wire::write_router_solicitation(link_address, text); });
    if (packet != nullptr) send(packet, interface, wire::multicast_mac(all_routers));
}

void NeighbourDiscovery::learn_router(std::uint8_t interface, const Ipv6Address& router,
                                      const MacAddress& mac, Instant now) noexcept {
    Neighbour* known = find(interface, router);
    if (known == nullptr) known = add(interface, router);
    if (known == nullptr) return;
    known->is_router = true;
    learn(*known, mac, false, now);
}

void NeighbourDiscovery::lost(const Neighbour& neighbour) noexcept {
    if (listener_ != nullptr) listener_->unreachable(neighbour.interface, neighbour.address);
}

bool NeighbourDiscovery::send(rte_mbuf* packet, const Interface& interface,
                              const MacAddress& destination) noexcept {
    if (!link_.send(packet, make_link_header(interface, destination, wire::EtherType::ipv6))) return false;
    link_.counters().add(Counter::nd_out);
    return true;
}

}  // namespace runnel::ip
