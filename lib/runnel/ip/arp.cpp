#include "runnel/ip/arp.hpp"

#include <algorithm>

namespace runnel::ip {

namespace {

// RFC 5227 section 1.1.
constexpr std::uint8_t announce_num = 2;
constexpr Duration announce_interval = 2s;
constexpr Duration defend_interval = 10s;
// Our own, so that the announcements of a large range neither fill the transmit queue nor flood the link.
constexpr std::uint32_t announcements_at_once = 64;
constexpr Duration announcement_pause = 10ms;

// All packets that wait share this many places: a bound on the mbufs that silent neighbours can tie up.
constexpr std::uint32_t most_waiting = 4096;

}  // namespace

Arp::Arp(const Config& config, HashKey key, const Interfaces& interfaces, LinkOutput& link)
    : interfaces_(interfaces),
      link_(link),
      peers_(config.peers),
      lifetime_(config.neighbour_lifetime),
      request_interval_(config.neighbour_request_interval),
      requests_(config.neighbour_requests),
      queue_limit_(config.neighbour_queue),
      table_(config.neighbour_capacity,
             static_cast<std::uint32_t>(
                 std::min(std::uint64_t{config.neighbour_capacity} * config.neighbour_queue,
                          std::uint64_t{most_waiting})),
             key) {
    for (const NeighbourConfig& given : config.neighbours) {
        Neighbour* known = table_.find(given.interface, given.address);
        Neighbour& neighbour = known != nullptr ? *known
                                                : table_.create(given.interface, given.address,
                                                                NeighbourState::permanent, never);
        neighbour.mac = given.mac;
    }
}

// RFC 826, "Packet Reception", in its order: merge what is known, then whether it is for us, then learn, then
// answer.
void Arp::input(std::span<const std::byte> packet, const Interface& interface, Instant now) noexcept {
    const auto arp = wire::parse_arp(packet);
    const bool probe =
        arp && arp->sender_ip.is_unspecified() && arp->operation == wire::ArpOperation::request;
    if (!arp || (!probe && !interfaces_.may_be_sender(arp->sender_ip) &&
                 !interfaces_.is_local(arp->sender_ip))) [[unlikely]] {
        link_.counters().drop(DropReason::arp_malformed);
        return;
    }
    link_.counters().add(Counter::arp_in);
    if (interfaces_.is_local(arp->sender_ip)) {
        // Our own announcement may come back from the link; from another station it is a conflict.
        if (arp->sender_mac != interface.mac && interface.owns(arp->sender_ip))
            defend(interface, arp->sender_ip, now);
        link_.counters().drop(DropReason::arp_unsolicited);
        return;
    }

    Neighbour* known = probe ? nullptr : table_.find(interface.index, arp->sender_ip);
    if (known != nullptr) learn(*known, arp->sender_mac, now);

    const bool for_us = interface.owns(arp->target_ip);
    const bool reply = arp->operation == wire::ArpOperation::reply;
    // Who asks for us will soon be sent something. A sender that is not of this link would never be a next
    // hop.
    const bool asked_us = for_us && !reply && !probe && interface.connects(arp->sender_ip);
    if (peers_ != nullptr && !probe) [[unlikely]]
        peers_->tell({arp->sender_ip, arp->sender_mac, interface.index, asked_us});
    if (reply) {
        // With peers it may answer what another core has asked.
        if (known == nullptr && peers_ == nullptr) link_.counters().drop(DropReason::arp_unsolicited);
        return;
    }
    if (!for_us) {
        if (known == nullptr) link_.counters().drop(DropReason::arp_not_for_us);
        return;
    }
    if (asked_us && known == nullptr) add(interface.index, arp->sender_ip, arp->sender_mac, now);
    answer(*arp, interface);
}

void Arp::hear(const NeighbourNews& news, Instant now) noexcept {
    if (Neighbour* const known = table_.find(news.interface, news.address))
        learn(*known, news.mac, now);
    else if (news.asked_us)
        add(news.interface, news.address, news.mac, now);
}

void Arp::add(std::uint8_t interface, Ipv4Address address, const MacAddress& mac, Instant now) noexcept {
    if (Neighbour* const created = find_or_make_room(interface, address)) learn(*created, mac, now);
}

void Arp::doubt(const Interface& interface, Ipv4Address next_hop, Instant now) noexcept {
    Neighbour* const neighbour = table_.find(interface.index, next_hop);
    if (neighbour == nullptr || neighbour->state != NeighbourState::reachable) return;
    forget_answers();
    table_.change(*neighbour, NeighbourState::stale, now + lifetime_);
}

const MacAddress* Arp::link_address(const Interface& interface, Ipv4Address next_hop, Ipv4Address asker,
                                    Instant now) noexcept {
    Neighbour* neighbour = table_.find(interface.index, next_hop);
    if (neighbour == nullptr || !neighbour->is_usable()) return nullptr;
    if (neighbour->state == NeighbourState::stale) {
        neighbour->asker = interface.owns(asker) ? asker : interface.address();
        ask(*neighbour, NeighbourState::probing, now);
    }
    return &neighbour->mac;
}

bool Arp::hold(rte_mbuf* packet, const Interface& interface, Ipv4Address next_hop, Ipv4Address asker,
               Instant now) noexcept {
    Neighbour* neighbour = table_.find(interface.index, next_hop);
    if (neighbour != nullptr && neighbour->state == NeighbourState::unreachable) {
        link_.drop(packet, DropReason::neighbour_unreachable);
        return false;
    }
    const bool first = neighbour == nullptr;
    if (first) {
        neighbour = find_or_make_room(interface.index, next_hop);
        if (neighbour == nullptr) {
            link_.drop(packet, DropReason::neighbour_table_full);
            return false;
        }
        neighbour->asker = interface.owns(asker) ? asker : interface.address();
    }
    if (neighbour->waiting == queue_limit_)
        link_.drop(table_.pop_waiting(*neighbour), DropReason::neighbour_queue_full);
    const bool kept = table_.push_waiting(*neighbour, packet);
    if (!kept) link_.drop(packet, DropReason::neighbour_queue_full);
    if (first) ask(*neighbour, NeighbourState::incomplete, now);
    return kept;
}

// A fresh entry is incomplete and due never; the caller gives it its state.
Neighbour* Arp::find_or_make_room(std::uint8_t interface, Ipv4Address address) noexcept {
    if (table_.full()) {
        Neighbour* oldest = table_.to_evict();
        if (oldest == nullptr) return nullptr;
        link_.counters().drop(DropReason::neighbour_table_full);
        drop_waiting(*oldest, DropReason::neighbour_table_full);
        remove(*oldest);
    }
    return &table_.create(interface, address, NeighbourState::incomplete, never);
}

void Arp::learn(Neighbour& neighbour, const MacAddress& mac, Instant now) noexcept {
    if (neighbour.state == NeighbourState::permanent) return;
    if (neighbour.is_usable() && neighbour.mac != mac) forget_answers();
    neighbour.mac = mac;
    neighbour.requests = 0;
    table_.change(neighbour, NeighbourState::reachable, now + lifetime_);
    if (neighbour.waiting == 0) return;
    const Interface& interface = interfaces_[neighbour.interface];
    const LinkHeader header = make_link_header(interface, mac, wire::EtherType::ipv4);
    while (rte_mbuf* packet = table_.pop_waiting(neighbour)) link_.send(packet, interface.index, header);
}

// One request, and the wait for its answer. Where none can be built or queued the wait is the same: the next
// one is sent an interval later.
void Arp::ask(Neighbour& neighbour, NeighbourState state, Instant now) noexcept {
    const Interface& interface = interfaces_[neighbour.interface];
    const bool known = state == NeighbourState::probing;
    send({wire::ArpOperation::request, interface.mac, neighbour.asker, MacAddress{}, neighbour.address},
         interface, known ? neighbour.mac : MacAddress::broadcast());
    ++neighbour.requests;
    table_.change(neighbour, state, now + request_interval_);
}

void Arp::expire(Neighbour& neighbour, Instant now) noexcept {
    switch (neighbour.state) {
        case NeighbourState::incomplete:
            if (neighbour.requests < requests_) {
                ask(neighbour, NeighbourState::incomplete, now);
            } else {
                drop_waiting(neighbour, DropReason::neighbour_unreachable);
                table_.change(neighbour, NeighbourState::unreachable, now + request_interval_);
            }
            break;
        case NeighbourState::probing:
            if (neighbour.requests < requests_)
                ask(neighbour, NeighbourState::probing, now);
            else
                remove(neighbour);
            break;
        case NeighbourState::reachable:
            // Whoever uses it next must come here to ask, not to a copy of its address.
            forget_answers();
            table_.change(neighbour, NeighbourState::stale, now + lifetime_);
            break;
        case NeighbourState::stale:
        case NeighbourState::unreachable:
            remove(neighbour);
            break;
        case NeighbourState::permanent:
            break;
    }
}

void Arp::drop_waiting(Neighbour& neighbour, DropReason reason) noexcept {
    while (rte_mbuf* packet = table_.pop_waiting(neighbour)) link_.drop(packet, reason);
}

void Arp::remove(Neighbour& neighbour) noexcept {
    if (neighbour.is_usable()) forget_answers();
    table_.remove(neighbour);
}

void Arp::answer(const wire::ArpPacket& request, const Interface& interface) noexcept {
    send({wire::ArpOperation::reply, interface.mac, request.target_ip, request.sender_mac, request.sender_ip},
         interface, request.sender_mac);
}

// RFC 5227 section 2.4 (b): one announcement, not again within the interval, so that two hosts do not fight
// for ever.
void Arp::defend(const Interface& interface, Ipv4Address address, Instant now) noexcept {
    if (now < next_defence_) return;
    next_defence_ = now + defend_interval;
    send({wire::ArpOperation::request, interface.mac, address, MacAddress{}, address}, interface,
         MacAddress::broadcast());
}

void Arp::announce(Instant now) noexcept {
    announcement_ = {.due = now, .next_round = now + announce_interval, .rounds = announce_num};
    announce_some(now);
}

void Arp::announce_some(Instant now) noexcept {
    Announcement& at = announcement_;
    for (std::uint32_t sent = 0; sent < announcements_at_once; ++sent) {
        const Interface& interface = interfaces_[at.interface];
        const Ipv4Address address{interface.first + at.offset};
        send({wire::ArpOperation::request, interface.mac, address, MacAddress{}, address}, interface,
             MacAddress::broadcast());
        if (++at.offset < interface.count) continue;
        at.offset = 0;
        if (++at.interface < interfaces_.size()) continue;
        at.interface = 0;
        --at.rounds;
        at.due = at.rounds == 0 ? never : std::max(at.next_round, now + announcement_pause);
        at.next_round = at.rounds == 0 ? never : at.due + announce_interval;
        return;
    }
    at.due = now + announcement_pause;
}

void Arp::advance(Instant now) noexcept {
    if (announcement_.due <= now) [[unlikely]]
        announce_some(now);
    for (Neighbour* due = table_.next_due(); due != nullptr && due->due <= now; due = table_.next_due())
        expire(*due, now);
}

Instant Arp::next_deadline() noexcept {
    const Neighbour* first = table_.next_due();
    return first == nullptr ? announcement_.due : std::min(first->due, announcement_.due);
}

bool Arp::send(const wire::ArpPacket& packet, const Interface& interface,
               const MacAddress& destination) noexcept {
    rte_mbuf* mbuf = link_.stash().take_control();
    if (mbuf == nullptr) [[unlikely]] {
        link_.counters().drop(DropReason::no_mbuf);
        return false;
    }
    char* const room = rte_pktmbuf_append(mbuf, wire::arp_packet_size);
    if (room == nullptr) [[unlikely]] {
        link_.drop(mbuf, DropReason::no_mbuf);
        return false;
    }
    wire::write(packet, std::span<std::byte, wire::arp_packet_size>{reinterpret_cast<std::byte*>(room),
                                                                    wire::arp_packet_size});
    if (!link_.send(mbuf, interface.index, make_link_header(interface, destination, wire::EtherType::arp)))
        return false;
    link_.counters().add(Counter::arp_out);
    return true;
}

}  // namespace runnel::ip
