#include "runnel/ip/mld.hpp"

#include <cstddef>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/received_frame.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/mld.hpp"

namespace runnel::ip {

namespace {

constexpr std::size_t mld_ip_header_size = wire::ipv6_header_size + wire::mld_hop_by_hop_size;
constexpr std::size_t mld_count_at = 6;

}  // namespace

Mld::~Mld() {
    if (pending_ != nullptr) link_.stash().put(pending_);
}

// RFC 3810 section 6.2, RFC 2710 section 4.
std::optional<DropReason> Mld::input(const Ingress& in, Instant now) noexcept {
    const Ipv6Pair pair = in.ipv6_pair();
    const bool whole =
        in.mbuf->nb_segs == 1 || (RTE_MBUF_DIRECT(in.mbuf) && rte_mbuf_refcnt_read(in.mbuf) == 1 &&
                                  pull_up(in.mbuf, in.mbuf->pkt_len));
    const auto message = first_segment(in.mbuf);
    const std::byte* const packet = in.ipv6 - 8;
    const bool of_this_link = in.ttl == 1 && pair.remote.is_link_local() &&
                              wire::has_mld_router_alert({packet, in.ip_header_size}, in.ip_header_size);
    if (!of_this_link || !whole) return DropReason::membership_malformed;
    if (const auto group = wire::parse_mld_report(message)) {
        if (pair.local == *group) reporter_.heard_report(in.interface, *group);
        return std::nullopt;
    }
    if (message[0] != static_cast<std::byte>(wire::Icmpv6Type::listener_query)) return std::nullopt;
    const auto query = wire::parse_mld_query(message);
    const bool believed = query && (query->group.is_unspecified() ? pair.local == all_nodes || !in.group
                                                                  : query->group.v6().is_multicast());
    if (!believed) return DropReason::membership_malformed;
    link_.counters().add(Counter::membership_queries_in);
    // Nobody else need be told of it: it is counted here, whoever has the message then.
    if (!reporter_.query(in.interface, *query, now))
        link_.counters().drop(DropReason::membership_rate_limited);
    return std::nullopt;
}

rte_mbuf* Mld::make() noexcept {
    rte_mbuf* const mbuf = link_.stash().take_control();
    if (mbuf == nullptr) link_.counters().drop(DropReason::no_mbuf);
    return mbuf;
}

void Mld::add(std::uint8_t interface, wire::GroupRecordType type, const IpAddress& group,
              std::span<const IpAddress> sources) noexcept {
    const std::size_t size = wire::mld_record_size + sources.size() * sizeof(Ipv6Address);
    const std::size_t mtu = interfaces_[interface].mtu;
    if (pending_ != nullptr &&
        (mld_ip_header_size + pending_->pkt_len + size > mtu || rte_pktmbuf_tailroom(pending_) < size))
        flush(interface);
    if (pending_ == nullptr) {
        if (!addresses_.speaks(interface)) return;
        pending_ = make();
        if (pending_ == nullptr) return;
        auto* const header =
            reinterpret_cast<std::byte*>(rte_pktmbuf_append(pending_, wire::group_report_header_size));
        wire::store_be64(
            header, std::uint64_t{static_cast<std::uint8_t>(wire::Icmpv6Type::listener_report_v2)} << 56);
    }
    auto* to = reinterpret_cast<std::byte*>(rte_pktmbuf_append(pending_, static_cast<std::uint16_t>(size)));
    if (to == nullptr) return link_.counters().drop(DropReason::no_mbuf);
    wire::store_be16(to, static_cast<std::uint16_t>(static_cast<unsigned>(type) << 8));
    wire::store_be16(to + 2, static_cast<std::uint16_t>(sources.size()));
    wire::store_ipv6(to + 4, group.v6());
    to += wire::mld_record_size;
    for (const IpAddress& source : sources) {
        wire::store_ipv6(to, source.v6());
        to += sizeof(Ipv6Address);
    }
    auto* const count = rte_pktmbuf_mtod_offset(pending_, std::byte*, mld_count_at);
    wire::store_be16(count, static_cast<std::uint16_t>(wire::load_be16(count) + 1));
}

void Mld::flush(std::uint8_t interface) noexcept {
    if (pending_ == nullptr) return;
    rte_mbuf* const message = pending_;
    pending_ = nullptr;
    send(message, interfaces_[interface], wire::mldv2_routers);
}

void Mld::report(std::uint8_t interface, wire::MembershipVersion, const IpAddress& group) noexcept {
    send_one(interface, group.v6(), wire::Icmpv6Type::listener_report, group.v6());
}

void Mld::leave(std::uint8_t interface, const IpAddress& group) noexcept {
    send_one(interface, all_routers, wire::Icmpv6Type::listener_done, group.v6());
}

void Mld::send_one(std::uint8_t interface, const Ipv6Address& destination, wire::Icmpv6Type type,
                   const Ipv6Address& group) noexcept {
    if (!addresses_.speaks(interface)) return;
    rte_mbuf* const mbuf = make();
    if (mbuf == nullptr) return;
    auto* const to = reinterpret_cast<std::byte*>(rte_pktmbuf_append(mbuf, wire::mld_header_size));
    wire::write_mld(type, group, std::span<std::byte, wire::mld_header_size>{to, wire::mld_header_size});
    send(mbuf, interfaces_[interface], destination);
}

// Routers need not believe what comes from no address: as soon as there is one it is told again (RFC 3590
// section 4).
void Mld::tell_what_was_unheard() noexcept {
    any_unheard_ = false;
    for (std::size_t i = 0; i < unheard_.size(); ++i) {
        if (!unheard_[i]) continue;
        const auto interface = static_cast<std::uint8_t>(i);
        unheard_[i] =
            addresses_.speaks(interface) && !addresses_.owns(interface, addresses_.link_local(interface));
        if (unheard_[i])
            any_unheard_ = true;
        else
            reporter_.tell_again(interface);
    }
}

// Hop limit 1, router alert, from the link-local address (RFC 3810 section 5.2.13); while that is being
// probed for, from none (RFC 3590 section 4).
void Mld::send(rte_mbuf* message, const Interface& interface, const Ipv6Address& destination) noexcept {
    const Ipv6Address& own = addresses_.link_local(interface.index);
    const Ipv6Address source = addresses_.owns(interface.index, own) ? own : Ipv6Address{};
    if (source.is_unspecified()) unheard_[interface.index] = any_unheard_ = true;
    auto* const text = rte_pktmbuf_mtod(message, std::byte*);
    const std::uint32_t pseudo =
        wire::pseudo_header_sum(source, destination, wire::icmpv6_protocol, message->pkt_len);
    wire::store_be16(text + 2, wire::checksum_finish(mbuf_checksum_add(message, pseudo)));
    auto* const header = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(message, mld_ip_header_size));
    wire::write(wire::Ipv6Header{.payload_length =
                                     static_cast<std::uint16_t>(message->pkt_len - wire::ipv6_header_size),
                                 .next_header = static_cast<std::uint8_t>(wire::Ipv6Extension::hop_by_hop),
                                 .hop_limit = 1,
                                 .source = source,
                                 .destination = destination},
                std::span<std::byte, wire::ipv6_header_size>{header, wire::ipv6_header_size});
    wire::store_be64(header + wire::ipv6_header_size, wire::mld_hop_by_hop);
    header[wire::ipv6_header_size] = std::byte{wire::icmpv6_protocol};
    if (link_.send(message,
                   make_link_header(interface, wire::multicast_mac(destination), wire::EtherType::ipv6)))
        link_.counters().add(Counter::membership_reports_out);
}

}  // namespace runnel::ip
