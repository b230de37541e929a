#include "runnel/ip/arp.hpp"

#include <algorithm>

namespace runnel::ip {

namespace {

// RFC 5227 section 1.1.
constexpr Duration probe_wait = 1s, probe_min = 1s, probe_max = 2s;
constexpr std::uint8_t announce_num = 2;
constexpr Duration announce_wait = 2s, announce_interval = 2s;

}  // namespace

Arp::Arp(const Config& config, HashKey key, Interfaces& interfaces, LinkOutput& link)
    : Resolution(config,
                 {.reachable = config.neighbour_lifetime,
                  .randomised = false,
                  .stale = config.neighbour_lifetime,
                  .first_probe = Duration::zero(),
                  .retransmission = config.neighbour_request_interval,
                  .requests = config.neighbour_requests,
                  .queue = config.neighbour_queue},
                 true, key, interfaces, link),
      addresses_(interfaces),
      peers_(config.peers),
      observer_(config.address_observer),
      key_(key),
      probes_(config.arp_probes),
      speaks_for_all_(config.place.core == 0),
      begun_(config.arp_probes == 0),
      detection_(interfaces.ipv4_networks().size()) {
    for (const Ipv4Network& network : interfaces.ipv4_networks())
        configured_.push_back({network.first, network.count, network.interface});
    if (begun_) return;
    for (std::size_t i = 0; i < configured_.size(); ++i) addresses_.set_ipv4(i, configured_[i].first, 0);
}

// RFC 5227 section 2.1.1. Its delays are drawn once for all: the more addresses the less they would hide.
void Arp::begin(Instant now) noexcept {
    begun_ = true;
    const auto drawn = [this](std::uint64_t what, Duration most) {
        return most * static_cast<std::int64_t>(siphash_1_3(key_, 0x7072'6f62'65, what) % 1001) / 1000;
    };
    const ProbeTimes times{.probes = probes_,
                           .delay = drawn(0, probe_wait),
                           .interval = probe_min + drawn(1, probe_max - probe_min),
                           .wait = announce_wait};
    for (std::size_t i = 0; i < configured_.size(); ++i)
        detection_.begin(static_cast<std::uint8_t>(i), configured_[i].count, times, now);
}

// While we probe for an address, who sends from it has it, and who probes for it wants the same (RFC 5227
// section 2.1.1): neither of us shall.
bool Arp::note_duplicate(const wire::ArpPacket& packet, const Interface& interface) noexcept {
    if (packet.sender_mac == interface.mac) return false;
    const bool probe = packet.sender_ip.is_unspecified() && packet.operation == wire::ArpOperation::request;
    const Ipv4Address address = probe ? packet.target_ip : packet.sender_ip;
    if (!note_duplicate(interface.index, address, packet.sender_mac)) return false;
    if (peers_ != nullptr)
        peers_->tell(
            {.address = address, .mac = packet.sender_mac, .interface = interface.index, .conflict = true});
    return true;
}

bool Arp::note_duplicate(std::uint8_t interface, Ipv4Address address, const MacAddress& mac) noexcept {
    for (Detection::Probed& one : detection_) {
        const std::uint32_t index = address.value - configured_[one.range].first;
        if (configured_[one.range].interface != interface || index >= one.count) continue;
        if (one.note(index) && observer_ != nullptr)
            observer_->address({.kind = AddressEventKind::duplicate,
                                .address = address,
                                .mac = mac,
                                .interface = interface,
                                .more = one.failed() ? one.count - 1 : 0});
        return true;
    }
    return false;
}

// Of the stretches that nobody else has the longest is ours.
void Arp::finish(Detection::Probed& probed, Instant now) noexcept {
    Configured longest;
    const std::uint32_t first = configured_[probed.range].first;
    probed.for_each_free([&](std::uint32_t from, std::uint32_t count) {
        if (count > longest.count) longest = {.first = first + from, .count = count};
    });
    if (longest.count > 0) {
        addresses_.set_ipv4(probed.range, longest.first, longest.count);
        if (observer_ != nullptr)
            observer_->address({.kind = AddressEventKind::usable,
                                .address = Ipv4Address{longest.first},
                                .interface = configured_[probed.range].interface,
                                .more = longest.count - 1});
    }
    if (speaks_for_all_ && detection_.empty()) announce(now);
}

// RFC 826, "Packet Reception", in its order: merge what is known, then whether it is for us, then learn, then
// answer.
NeighbourPacket Arp::input(std::span<const std::byte> packet, const Interface& interface,
                           Instant now) noexcept {
    const auto arp = wire::parse_arp(packet);
    const bool probe =
        arp && arp->sender_ip.is_unspecified() && arp->operation == wire::ArpOperation::request;
    if (!arp || (!probe && !interfaces_.may_be_sender(arp->sender_ip) &&
                 !interfaces_.is_local(arp->sender_ip))) [[unlikely]]
        return {.malformed = true, .useless = DropReason::arp_malformed};
    link_.counters().add(Counter::arp_in);
    if (!detection_.empty() && note_duplicate(*arp, interface)) [[unlikely]]
        return {.useless = DropReason::arp_address_conflict};
    if (interfaces_.is_local(arp->sender_ip)) {
        // Our own announcement may come back from the link; from another station it is a conflict.
        if (arp->sender_mac == interface.mac || !interface.owns(arp->sender_ip))
            return {.useless = DropReason::arp_unsolicited};
        defend(interface, *arp, now);
        return {.useless = DropReason::arp_address_conflict};
    }

    Neighbour* known = probe ? nullptr : find(interface.index, arp->sender_ip);
    if (known != nullptr) learn(*known, arp->sender_mac, true, now);

    const bool for_us = interface.owns(arp->target_ip);
    const bool reply = arp->operation == wire::ArpOperation::reply;
    // Who asks for us will soon be sent something. A sender that is not of this link would never be a next
    // hop.
    const bool asked_us = for_us && !reply && !probe && interface.connects(arp->sender_ip);
    if (peers_ != nullptr && !probe) [[unlikely]]
        peers_->tell({arp->sender_ip, arp->sender_mac, interface.index, asked_us});
    if (reply) {
        // With peers it may answer what another core has asked.
        if (known == nullptr && peers_ == nullptr) return {.useless = DropReason::arp_unsolicited};
        return {};
    }
    if (!for_us) {
        if (known == nullptr) return {.useless = DropReason::arp_not_for_us};
        return {};
    }
    if (asked_us && known == nullptr)
        if (Neighbour* const created = add(interface.index, arp->sender_ip))
            learn(*created, arp->sender_mac, true, now);
    answer(*arp, interface);
    return {.answered = true};
}

void Arp::hear(const NeighbourNews& news, Instant now) noexcept {
    if (news.conflict) {
        note_duplicate(news.interface, news.address.v4(), news.mac);
        return;
    }
    Neighbour* known = find(news.interface, news.address);
    if (known == nullptr && news.asked_us) known = add(news.interface, news.address);
    if (known != nullptr) learn(*known, news.mac, true, now);
}

void Arp::send_request(const Neighbour& neighbour, bool known) noexcept {
    const Interface& interface = interfaces_[neighbour.interface];
    send({wire::ArpOperation::request, interface.mac, neighbour.asker.v4(), MacAddress{},
          neighbour.address.v4()},
         interface, known ? neighbour.mac : MacAddress::broadcast());
}

// An address of the network which the target is of, where there is one: there are hosts that answer nobody
// else.
IpAddress Arp::asker_for(const Interface& interface, const IpAddress& source,
                         const IpAddress& target) const noexcept {
    const Ipv4Network* const network = interface.network_of(target.v4());
    const bool good = interface.owns(source.v4()) && (network == nullptr || network->connects(source.v4()));
    return good ? source.v4() : interface.address_towards(target.v4());
}

void Arp::answer(const wire::ArpPacket& request, const Interface& interface) noexcept {
    send({wire::ArpOperation::reply, interface.mac, request.target_ip, request.sender_mac, request.sender_ip},
         interface, request.sender_mac);
}

// RFC 5227 section 2.4 (c): others rely on a server's address, so that it is kept; one announcement, not
// again within the interval.
void Arp::defend(const Interface& interface, const wire::ArpPacket& claim, Instant now) noexcept {
    const Ipv4Address address = claim.sender_ip;
    if (!defence_.due(address, now)) return;
    send({wire::ArpOperation::request, interface.mac, address, MacAddress{}, address}, interface,
         MacAddress::broadcast());
    if (observer_ != nullptr)
        observer_->address({.kind = AddressEventKind::conflict,
                            .address = address,
                            .mac = claim.sender_mac,
                            .interface = interface.index});
}

void Arp::announce(Instant now) noexcept {
    std::uint64_t addresses = 0;
    for (const Ipv4Network& network : interfaces_.ipv4_networks()) addresses += network.count;
    announcement_.begin(addresses, announce_num, announce_interval, now);
    advance(now);
}

void Arp::announce_one(std::uint64_t index) noexcept {
    for (const Ipv4Network& network : interfaces_.ipv4_networks()) {
        if (index < network.count) {
            const Interface& interface = interfaces_[network.interface];
            const Ipv4Address address{network.first + static_cast<std::uint32_t>(index)};
            send({wire::ArpOperation::request, interface.mac, address, MacAddress{}, address}, interface,
                 MacAddress::broadcast());
            return;
        }
        index -= network.count;
    }
}

void Arp::advance(Instant now) noexcept {
    if (!begun_) [[unlikely]]
        begin(now);
    if (!detection_.empty()) [[unlikely]]
        detection_.advance(
            now,
            [this](std::uint8_t at, std::uint32_t index) noexcept {
                if (!speaks_for_all_) return;
                const Interface& interface = interfaces_[configured_[at].interface];
                send({wire::ArpOperation::request, interface.mac, Ipv4Address{}, MacAddress{},
                      Ipv4Address{configured_[at].first + index}},
                     interface, MacAddress::broadcast());
            },
            [this, now](Detection::Probed& probed) noexcept { finish(probed, now); });
    if (announcement_.due() <= now) [[unlikely]]
        announcement_.advance(now, [this](std::uint64_t index) noexcept { announce_one(index); });
    expire_all(now);
}

Instant Arp::next_deadline() noexcept {
    if (!begun_) return Instant::min();
    return std::min({next_expiry(), announcement_.due(), detection_.next_deadline()});
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
    if (!link_.send(mbuf, make_link_header(interface, destination, wire::EtherType::arp))) return false;
    link_.counters().add(Counter::arp_out);
    return true;
}

}  // namespace runnel::ip
