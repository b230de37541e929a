#include "runnel/ip/igmp.hpp"

#include <algorithm>
#include <cstddef>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/igmp.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::ip {

namespace {

constexpr std::size_t igmp_ip_header_size = wire::ipv4_header_size + 4;  // with the router alert option
constexpr std::size_t igmp_count_at = 6;
constexpr std::uint8_t internetwork_control = 0xc0;  // RFC 3376 section 4

}  // namespace

Igmp::~Igmp() {
    if (pending_ != nullptr) link_.stash().put(pending_);
}

// RFC 3376 sections 4.1.12, 7.2 and 9.
std::optional<DropReason> Igmp::input(const Ingress& in, Instant now) noexcept {
    const bool whole =
        in.mbuf->nb_segs == 1 || (RTE_MBUF_DIRECT(in.mbuf) && rte_mbuf_refcnt_read(in.mbuf) == 1 &&
                                  pull_up(in.mbuf, in.mbuf->pkt_len));
    const auto message = first_segment(in.mbuf);
    if (!whole || message.size() < wire::igmp_header_size ||
        !wire::checksum_holds(wire::checksum_add(message)))
        return DropReason::membership_malformed;
    if (const auto group = wire::parse_igmp_report(message)) {
        if (in.destination == *group) reporter_.heard_report(in.interface, *group);
        return std::nullopt;
    }
    if (message[0] != static_cast<std::byte>(wire::IgmpType::query)) return std::nullopt;
    const auto query = wire::parse_igmp_query(message);
    const auto* const options =
        rte_pktmbuf_mtod(in.mbuf, const std::byte*) - in.ip_header_size + wire::ipv4_header_size;
    // A query with a longer way or without the alert has not come from a router of this link; those of
    // version 1 have no alert. A general query has all hosts for its destination, another its group. To one
    // of us alone it is sent by somebody on the link, or not believed: a way can be chosen so that 1 is left.
    const bool on_link = !in.group && interfaces_[in.interface].connects(in.source);
    const bool believed =
        query && in.ttl == 1 &&
        (query->version == wire::MembershipVersion::first
             ? in.destination == all_hosts
             : wire::has_ipv4_router_alert({options, in.ip_header_size - wire::ipv4_header_size})) &&
        (query->group.is_unspecified()
             ? in.destination == all_hosts || on_link
             : query->group.v4().is_multicast() && (in.destination == query->group.v4() || on_link));
    if (!believed) return DropReason::membership_malformed;
    link_.counters().add(Counter::membership_queries_in);
    // Nobody else need be told of it: it is counted here, whoever has the message then.
    if (!reporter_.query(in.interface, *query, now))
        link_.counters().drop(DropReason::membership_rate_limited);
    return std::nullopt;
}

rte_mbuf* Igmp::make() noexcept {
    rte_mbuf* const mbuf = link_.stash().take_control();
    if (mbuf == nullptr) link_.counters().drop(DropReason::no_mbuf);
    return mbuf;
}

void Igmp::add(std::uint8_t interface, wire::GroupRecordType type, const IpAddress& group,
               std::span<const IpAddress> sources) noexcept {
    const std::size_t size = wire::igmp_record_size + sources.size() * 4;
    const std::size_t mtu = interfaces_[interface].mtu;
    if (pending_ != nullptr &&
        (igmp_ip_header_size + pending_->pkt_len + size > mtu || rte_pktmbuf_tailroom(pending_) < size))
        flush(interface);
    if (pending_ == nullptr) {
        if (!interfaces_[interface].speaks_ipv4()) return;
        pending_ = make();
        if (pending_ == nullptr) return;
        auto* const header =
            reinterpret_cast<std::byte*>(rte_pktmbuf_append(pending_, wire::group_report_header_size));
        wire::store_be64(header, std::uint64_t{static_cast<std::uint8_t>(wire::IgmpType::report_v3)} << 56);
    }
    auto* to = reinterpret_cast<std::byte*>(rte_pktmbuf_append(pending_, static_cast<std::uint16_t>(size)));
    if (to == nullptr) return link_.counters().drop(DropReason::no_mbuf);
    wire::store_be16(to, static_cast<std::uint16_t>(static_cast<unsigned>(type) << 8));
    wire::store_be16(to + 2, static_cast<std::uint16_t>(sources.size()));
    wire::store_be32(to + 4, group.v4().value);
    to += wire::igmp_record_size;
    for (const IpAddress& source : sources) {
        wire::store_be32(to, source.v4().value);
        to += 4;
    }
    auto* const count = rte_pktmbuf_mtod_offset(pending_, std::byte*, igmp_count_at);
    wire::store_be16(count, static_cast<std::uint16_t>(wire::load_be16(count) + 1));
}

void Igmp::flush(std::uint8_t interface) noexcept {
    if (pending_ == nullptr) return;
    rte_mbuf* const message = pending_;
    pending_ = nullptr;
    send(message, interfaces_[interface], wire::igmpv3_routers);
}

void Igmp::report(std::uint8_t interface, wire::MembershipVersion version, const IpAddress& group) noexcept {
    send_one(interface, group.v4(),
             static_cast<std::uint8_t>(version == wire::MembershipVersion::first ? wire::IgmpType::report_v1
                                                                                 : wire::IgmpType::report_v2),
             group.v4());
}

void Igmp::leave(std::uint8_t interface, const IpAddress& group) noexcept {
    send_one(interface, wire::all_routers_v4, static_cast<std::uint8_t>(wire::IgmpType::leave), group.v4());
}

void Igmp::send_one(std::uint8_t interface, Ipv4Address destination, std::uint8_t type,
                    Ipv4Address group) noexcept {
    if (!interfaces_[interface].speaks_ipv4()) return;
    rte_mbuf* const mbuf = make();
    if (mbuf == nullptr) return;
    auto* const to = reinterpret_cast<std::byte*>(rte_pktmbuf_append(mbuf, wire::igmp_header_size));
    wire::write_igmp(wire::IgmpType{type}, group,
                     std::span<std::byte, wire::igmp_header_size>{to, wire::igmp_header_size});
    send(mbuf, interfaces_[interface], destination);
}

// TTL 1, router alert, internetwork control (RFC 3376 section 4). Nobody may cut it: its id is 0.
void Igmp::send(rte_mbuf* message, const Interface& interface, Ipv4Address destination) noexcept {
    auto* const text = rte_pktmbuf_mtod(message, std::byte*);
    wire::store_be16(text + 2, wire::checksum_finish(mbuf_checksum_add(message)));
    auto* const header = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(message, igmp_ip_header_size));
    wire::write(wire::Ipv4Header{.tos = internetwork_control,
                                 .total_length = static_cast<std::uint16_t>(message->pkt_len),
                                 .ttl = 1,
                                 .protocol = wire::IpProtocol::igmp,
                                 .source = interface.address(),
                                 .destination = destination},
                std::span<std::byte, wire::ipv4_header_size>{header, wire::ipv4_header_size});
    header[0] = std::byte{0x40 | igmp_ip_header_size / 4};
    wire::store_be32(header + wire::ipv4_header_size, wire::ipv4_router_alert);
    wire::store_be16(header + 10, wire::checksum_finish(wire::checksum_add({header, igmp_ip_header_size})));
    if (link_.send(message,
                   make_link_header(interface, wire::multicast_mac(destination), wire::EtherType::ipv4)))
        link_.counters().add(Counter::membership_reports_out);
}

}  // namespace runnel::ip
