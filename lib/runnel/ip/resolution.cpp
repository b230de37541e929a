#include "runnel/ip/resolution.hpp"

#include <algorithm>

#include "runnel/ip/fragmentation.hpp"

namespace runnel::ip {

namespace {

// All packets that wait share this many places, and have no more mbufs: a bound on those that silent
// neighbours can tie up.
constexpr std::uint64_t most_waiting = 4096;

// "At least every few hours" (RFC 4861 section 6.3.4).
constexpr Duration reachable_time_lifetime = 2h;

}  // namespace

Resolution::Resolution(const Config& config, const ResolutionTimes& times, bool v4, HashKey key,
                       const Interfaces& interfaces, LinkOutput& link)
    : interfaces_(interfaces),
      link_(link),
      times_(times),
      key_(key),
      type_(v4 ? wire::EtherType::ipv4 : wire::EtherType::ipv6),
      table_(config.neighbour_capacity,
             static_cast<std::uint32_t>(
                 std::min(std::uint64_t{config.neighbour_capacity} * times.queue, most_waiting)),
             key) {
    for (const NeighbourConfig& given : config.neighbours) {
        if (given.address.is_v4() != v4) continue;
        Neighbour* known = table_.find(given.interface, given.address);
        Neighbour& neighbour = known != nullptr ? *known
                                                : table_.create(given.interface, given.address,
                                                                NeighbourState::permanent, never);
        neighbour.mac = given.mac;
    }
}

void Resolution::doubt(const Interface& interface, const IpAddress& next_hop, Instant now) noexcept {
    Neighbour* const neighbour = table_.find(interface.index, next_hop);
    if (neighbour == nullptr) return;
    if (neighbour->state == NeighbourState::reachable || neighbour->state == NeighbourState::delayed)
        make_stale(*neighbour, now);
    neighbour->doubted = neighbour->state == NeighbourState::stale;
}

void Resolution::make_stale(Neighbour& neighbour, Instant now) noexcept {
    if (neighbour.state == NeighbourState::permanent) return;
    forget_answers();
    table_.change(neighbour, NeighbourState::stale, now + times_.stale);
}

const MacAddress* Resolution::link_address(const Interface& interface, const IpAddress& next_hop,
                                           const IpAddress& asker, Instant now,
                                           const TransportFlow* flow) noexcept {
    Neighbour* neighbour = table_.find(interface.index, next_hop);
    if (neighbour == nullptr || !neighbour->is_usable()) return nullptr;
    if (neighbour->state == NeighbourState::stale) {
        neighbour->asker = asker_for(interface, asker, next_hop);
        watch(*neighbour, flow);
        if (times_.first_probe == Duration::zero() || neighbour->doubted)
            ask(*neighbour, NeighbourState::probing, now);
        else
            table_.change(*neighbour, NeighbourState::delayed, now + times_.first_probe);
    }
    return &neighbour->mac;
}

void Resolution::watch(Neighbour& neighbour, const TransportFlow* flow) noexcept {
    neighbour.progress.reset();
    if (flow == nullptr || progress_ == nullptr) return;
    neighbour.flow = *flow;
    neighbour.progress = progress_->progress_of(*flow);
}

// Whether what we sent since then has reached the peer, and so the neighbour (RFC 4861 section 7.3.1).
bool Resolution::has_progressed(const Neighbour& neighbour) const noexcept {
    if (!neighbour.progress || progress_ == nullptr) return false;
    const auto progress = progress_->progress_of(neighbour.flow);
    return progress && *progress != *neighbour.progress;
}

void Resolution::lose(Neighbour& neighbour) noexcept {
    const Neighbour gone = neighbour;
    remove(neighbour);
    lost(gone);
}

void Resolution::set_times(Duration reachable, Duration retransmission) noexcept {
    if (reachable != Duration::zero() && reachable != times_.reachable) {
        times_.reachable = reachable;
        next_draw_ = Instant::min();
    }
    if (retransmission != Duration::zero()) times_.retransmission = retransmission;
}

Duration Resolution::reachable_time(Instant now) noexcept {
    if (!times_.randomised) return times_.reachable;
    if (now >= next_draw_) {
        next_draw_ = now + reachable_time_lifetime;
        const auto share = static_cast<std::int64_t>(siphash_1_3(key_, 0x7265'6163'68, draws_++) % 1001);
        reachable_ = times_.reachable / 2 + times_.reachable * share / 1000;
    }
    return reachable_;
}

bool Resolution::hold(rte_mbuf* packet, const Interface& interface, const IpAddress& next_hop,
                      const IpAddress& asker, Instant now) noexcept {
    Neighbour* neighbour = table_.find(interface.index, next_hop);
    if (neighbour != nullptr && neighbour->state == NeighbourState::unreachable) {
        link_.drop(packet, DropReason::neighbour_unreachable);
        return false;
    }
    const bool first = neighbour == nullptr;
    if (first) {
        neighbour = add(interface.index, next_hop);
        if (neighbour == nullptr) {
            link_.drop(packet, DropReason::neighbour_table_full);
            return false;
        }
        neighbour->asker = asker_for(interface, asker, next_hop);
    }
    if (neighbour->waiting == times_.queue)
        link_.drop(pop_waiting(*neighbour), DropReason::neighbour_queue_full);
    const bool kept =
        waiting_mbufs_ + packet->nb_segs <= most_waiting && table_.push_waiting(*neighbour, packet);
    if (kept)
        waiting_mbufs_ += packet->nb_segs;
    else
        link_.drop(packet, DropReason::neighbour_queue_full);
    if (first) ask(*neighbour, NeighbourState::incomplete, now);
    return kept;
}

// A fresh entry is incomplete and due never; the caller gives it its state.
Neighbour* Resolution::add(std::uint8_t interface, const IpAddress& address) noexcept {
    if (table_.full()) {
        Neighbour* oldest = table_.to_evict();
        if (oldest == nullptr) return nullptr;
        link_.counters().drop(DropReason::neighbour_table_full);
        drop_waiting(*oldest, DropReason::neighbour_table_full);
        remove(*oldest);
    }
    return &table_.create(interface, address, NeighbourState::incomplete, never);
}

void Resolution::learn(Neighbour& neighbour, const MacAddress& mac, bool proven, Instant now) noexcept {
    if (neighbour.state == NeighbourState::permanent) return;
    const bool known = neighbour.is_usable();
    const bool changed = !known || neighbour.mac != mac;
    if (!proven && !changed) return;
    if (known && (changed || !proven)) forget_answers();
    neighbour.mac = mac;
    neighbour.requests = 0;
    neighbour.doubted = false;
    if (proven)
        table_.change(neighbour, NeighbourState::reachable, now + reachable_time(now));
    else
        table_.change(neighbour, NeighbourState::stale, now + times_.stale);
    if (neighbour.waiting == 0) return;
    // Their sending is a use.
    if (!proven && times_.first_probe != Duration::zero())
        table_.change(neighbour, NeighbourState::delayed, now + times_.first_probe);
    const Interface& interface = interfaces_[neighbour.interface];
    const LinkHeader header = make_link_header(interface, mac, type_);
    while (rte_mbuf* packet = pop_waiting(neighbour)) send_packet(packet, header, link_);
}

rte_mbuf* Resolution::pop_waiting(Neighbour& neighbour) noexcept {
    rte_mbuf* const packet = table_.pop_waiting(neighbour);
    if (packet != nullptr) waiting_mbufs_ -= packet->nb_segs;
    return packet;
}

// One request, and the wait for its answer. Where none can be built or queued the wait is the same: the next
// one is sent an interval later.
void Resolution::ask(Neighbour& neighbour, NeighbourState state, Instant now) noexcept {
    send_request(neighbour, state == NeighbourState::probing);
    ++neighbour.requests;
    table_.change(neighbour, state, now + times_.retransmission);
}

void Resolution::expire(Neighbour& neighbour, Instant now) noexcept {
    switch (neighbour.state) {
        case NeighbourState::incomplete:
            if (neighbour.requests < times_.requests) {
                ask(neighbour, NeighbourState::incomplete, now);
            } else {
                drop_waiting(neighbour, DropReason::neighbour_unreachable);
                table_.change(neighbour, NeighbourState::unreachable, now + times_.retransmission);
                lost(neighbour);
            }
            break;
        case NeighbourState::delayed:
            if (has_progressed(neighbour))
                learn(neighbour, neighbour.mac, true, now);
            else
                ask(neighbour, NeighbourState::probing, now);
            break;
        case NeighbourState::probing:
            if (has_progressed(neighbour))
                learn(neighbour, neighbour.mac, true, now);
            else if (neighbour.requests < times_.requests)
                ask(neighbour, NeighbourState::probing, now);
            else
                lose(neighbour);
            break;
        case NeighbourState::reachable:
            // Whoever uses it next must come here to ask, not to a copy of its address.
            make_stale(neighbour, now);
            break;
        case NeighbourState::stale:
        case NeighbourState::unreachable:
            remove(neighbour);
            break;
        case NeighbourState::permanent:
            break;
    }
}

void Resolution::drop_waiting(Neighbour& neighbour, DropReason reason) noexcept {
    while (rte_mbuf* packet = pop_waiting(neighbour)) link_.drop(packet, reason);
}

void Resolution::remove(Neighbour& neighbour) noexcept {
    drop_waiting(neighbour, DropReason::neighbour_unreachable);
    if (neighbour.is_usable()) forget_answers();
    table_.remove(neighbour);
}

void Resolution::expire_all(Instant now) noexcept {
    for (Neighbour* due = table_.next_due(); due != nullptr && due->due <= now; due = table_.next_due())
        expire(*due, now);
}

Instant Resolution::next_expiry() noexcept {
    const Neighbour* first = table_.next_due();
    return first == nullptr ? never : first->due;
}

}  // namespace runnel::ip
