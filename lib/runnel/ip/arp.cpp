#include "runnel/ip/arp.hpp"

#include <algorithm>

namespace runnel::ip {

namespace {

// RFC 5227 section 1.1.
constexpr std::uint8_t announce_num = 2;
constexpr Duration announce_interval = 2s;
constexpr Duration defend_interval = 10s;

}  // namespace

Arp::Arp(const Config& config, HashKey key, const Interfaces& interfaces, LinkOutput& link)
    : Resolution(config,
                 {.reachable = config.neighbour_lifetime,
                  .randomised = false,
                  .stale = config.neighbour_lifetime,
                  .first_probe = Duration::zero(),
                  .retransmission = config.neighbour_request_interval,
                  .requests = config.neighbour_requests,
                  .queue = config.neighbour_queue},
                 true, key, interfaces, link),
      peers_(config.peers) {}

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
    if (interfaces_.is_local(arp->sender_ip)) {
        // Our own announcement may come back from the link; from another station it is a conflict.
        if (arp->sender_mac != interface.mac && interface.owns(arp->sender_ip))
            defend(interface, arp->sender_ip, now);
        return {.useless = DropReason::arp_unsolicited};
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

IpAddress Arp::asker_for(const Interface& interface, const IpAddress& source) const noexcept {
    return interface.owns(source.v4()) ? source.v4() : interface.address();
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
    std::uint64_t addresses = 0;
    for (const Interface& interface : interfaces_) addresses += interface.count;
    announcement_.begin(addresses, announce_num, announce_interval, now);
    advance(now);
}

void Arp::announce_one(std::uint64_t index) noexcept {
    for (const Interface& interface : interfaces_) {
        if (index < interface.count) {
            const Ipv4Address address{interface.first + static_cast<std::uint32_t>(index)};
            send({wire::ArpOperation::request, interface.mac, address, MacAddress{}, address}, interface,
                 MacAddress::broadcast());
            return;
        }
        index -= interface.count;
    }
}

void Arp::advance(Instant now) noexcept {
    if (announcement_.due() <= now) [[unlikely]]
        announcement_.advance(now, [this](std::uint64_t index) noexcept { announce_one(index); });
    expire_all(now);
}

Instant Arp::next_deadline() noexcept {
    return std::min(next_expiry(), announcement_.due());
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
