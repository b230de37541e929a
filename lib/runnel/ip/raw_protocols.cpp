#include "runnel/ip/raw_protocols.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "runnel/ip/group_memberships.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/mbuf_octets.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

namespace {

bool is_the_stacks(std::uint8_t protocol) noexcept {
    return protocol == static_cast<std::uint8_t>(wire::IpProtocol::icmp) ||
           protocol == static_cast<std::uint8_t>(wire::IpProtocol::tcp) ||
           protocol == static_cast<std::uint8_t>(wire::IpProtocol::udp) || protocol == wire::icmpv6_protocol;
}

// Of the link alone: no router carries it on (RFC 5771 section 4, RFC 4291 section 2.7).
bool is_link_group(const IpAddress& address) noexcept {
    if (address.is_v4()) return address.v4().value >> 8 == 0xe0'0000;
    return address.v6().high() >> 48 == 0xff02;
}

}  // namespace

GroupListener RawProtocols::as_listener() noexcept {
    return {this, 0};
}

void RawProtocols::claim(std::uint8_t protocol, RawHandler& handler) {
    if (is_the_stacks(protocol))
        throw std::invalid_argument(fmt::format(
            "raw protocol = {}: the stack speaks it itself; claim another than 1, 6, 17 and 58", protocol));
    if (handlers_[protocol] != nullptr)
        throw std::invalid_argument(
            fmt::format("raw protocol = {}: is claimed already; release it first", protocol));
    handlers_[protocol] = &handler;
}

bool RawProtocols::release(std::uint8_t protocol) noexcept {
    const bool was = handlers_[protocol] != nullptr;
    handlers_[protocol] = nullptr;
    return was;
}

void RawProtocols::hear(const IpAddress& group) {
    if (!is_link_group(group))
        throw std::invalid_argument(
            fmt::format("raw group = {}: is no group of the link; give one of 224.0.0.0/24 or ff02::/16",
                        to_string(group)));
    for (Group& one : groups_) {
        if (one.address != group) continue;
        ++one.listeners;
        return;
    }
    for (std::uint8_t i = 0; i < internet_.interface_count(); ++i) {
        if (internet_.groups().listen(as_listener(), i, group, SourceFilter::any()) !=
            GroupResult::table_full)
            continue;
        while (i-- > 0) internet_.groups().listen(as_listener(), i, group, {});
        throw std::length_error(
            fmt::format("raw group = {}: {}", to_string(group), to_sentence(GroupResult::table_full)));
    }
    const MacAddress mac = group.is_v4() ? wire::multicast_mac(group.v4()) : wire::multicast_mac(group.v6());
    groups_.push_back({group, mac_number(mac), 1});
}

bool RawProtocols::ignore(const IpAddress& group) {
    const auto found = std::ranges::find(groups_, group, &Group::address);
    if (found == groups_.end()) return false;
    if (--found->listeners > 0) return true;
    groups_.erase(found);
    for (std::uint8_t i = 0; i < internet_.interface_count(); ++i)
        internet_.groups().listen(as_listener(), i, group, {});
    return true;
}

bool RawProtocols::hears(const IpAddress& group) const noexcept {
    return std::ranges::any_of(groups_, [&](const Group& one) { return one.address == group; });
}

bool RawProtocols::hears_mac(std::uint64_t destination) const noexcept {
    return std::ranges::any_of(groups_, [&](const Group& one) { return one.mac == destination; });
}

void RawProtocols::deliver(Ingress& in) noexcept {
    link_.counters().add(Counter::raw_in);
    const RawPacket about{.source = in.source_address(),
                          .destination = in.destination_address(),
                          .protocol = in.protocol,
                          .ttl = in.ttl,
                          .tos = in.tos,
                          .interface = in.interface,
                          .group = in.group,
                          .header_size = in.ip_header_size};
    // The header stands in the head room, where `input` passed it by.
    rte_mbuf* const mbuf = in.mbuf;
    mbuf->data_off = static_cast<std::uint16_t>(mbuf->data_off - in.ip_header_size);
    mbuf->data_len = static_cast<std::uint16_t>(mbuf->data_len + in.ip_header_size);
    mbuf->pkt_len += in.ip_header_size;
    if (handlers_[in.protocol]->packet(about, *mbuf) == Ownership::returned) link_.stash().put(mbuf);
}

RawSendResult RawProtocols::send(const RawSendOptions& options, std::span<const std::byte> payload,
                                 Instant now) noexcept {
    rte_mbuf* const mbuf = copy_octets(payload, link_.stash());
    if (mbuf == nullptr) {
        link_.counters().drop(DropReason::no_mbuf);
        return RawSendResult::no_memory;
    }
    return send(options, mbuf, now);
}

RawSendResult RawProtocols::send(const RawSendOptions& options, rte_mbuf* payload, Instant now) noexcept {
    if (!claimed(options.protocol))
        return refuse(payload, RawSendResult::not_claimed, DropReason::ip_unknown_protocol);
    const bool ipv6 = !options.remote.is_v4();
    const bool any_local = options.local.is_unspecified();
    if ((ipv6 && !internet_.speaks_ipv6()) || (!any_local && options.local.is_v4() == ipv6))
        return refuse(payload, RawSendResult::family_unsupported, DropReason::ip_family_unsupported);
    const auto source = internet_.source_for(options.remote);
    if (!source) return refuse(payload, RawSendResult::no_route, DropReason::ip_no_route);
    const IpAddress local = any_local ? *source : options.local;
    if (!internet_.is_local(local))
        return refuse(payload, RawSendResult::not_our_address, DropReason::ip_bad_source);
    const std::size_t header = ipv6 ? wire::ipv6_header_size : wire::ipv4_header_size;
    if (options.dont_fragment && payload->pkt_len + header > internet_.datagram_mtu_for(options.remote, now))
        return refuse(payload, RawSendResult::too_big, DropReason::ip_too_big);

    // What an mbuf brings from its reception is no word to the port that sends it; where its octets lie stays
    // true.
    payload->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    rte_mbuf* packet = payload;
    const bool own_head =
        RTE_MBUF_DIRECT(payload) && rte_mbuf_refcnt_read(payload) == 1 &&
        rte_pktmbuf_headroom(payload) >=
            header + max_link_header_size + (ipv6 ? wire::ipv6_fragment_header_size : std::size_t{0});
    if (!own_head) {
        packet = link_.stash().take_data();
        if (packet == nullptr) return refuse(payload, RawSendResult::no_memory, DropReason::no_mbuf);
        if (rte_pktmbuf_chain(packet, payload) != 0) {
            link_.stash().put(packet);
            return refuse(payload, RawSendResult::no_memory, DropReason::no_mbuf);
        }
    }
    const Ipv6Pair pair{options.remote.v6(), local.v6()};
    const Output how{.source = local.v4(),
                     .destination = options.remote.v4(),
                     .ipv6 = ipv6 ? &pair : nullptr,
                     .protocol = options.protocol,
                     .tos = options.tos,
                     .ttl = options.ttl,
                     .dont_fragment = options.dont_fragment};
    if (!internet_.output(packet, how, now)) return RawSendResult::dropped;
    link_.counters().add(Counter::raw_out);
    return RawSendResult::sent;
}

}  // namespace runnel::ip
