#include "runnel/ip/pings.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/ip/mbuf_octets.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/icmp.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

namespace {

constexpr std::size_t echo_header_size = wire::icmp_header_size;
constexpr unsigned core_mask = 0x7f;  // of the identifier
static_assert(echo_header_size == wire::icmpv6_header_size);

}  // namespace

Pings::Pings(const Config& config, HashKey key, InternetLayer& internet, LinkOutput& link)
    : internet_(internet),
      link_(link),
      identifier_(static_cast<std::uint16_t>((siphash_1_3(key, 0x7069'6e67, 0) & ~std::uint64_t{core_mask}) |
                                             (config.place.core & core_mask))),
      next_(static_cast<PingNumber>(siphash_1_3(key, 0x7069'6e67, 1))),
      pings_(std::bit_ceil(config.pings)) {}

Pings::Ping* Pings::find(std::uint16_t identifier, PingNumber number) noexcept {
    Ping& ping = pings_[number & (pings_.size() - 1)];
    return identifier == identifier_ && ping.handler != nullptr && ping.number == number ? &ping : nullptr;
}

Pings::Ping* Pings::free_place() noexcept {
    if (size_ == pings_.size()) return nullptr;
    for (;; ++next_)
        if (Ping& ping = pings_[next_ & (pings_.size() - 1)]; ping.handler == nullptr) return &ping;
}

PingSent Pings::send(const PingOptions& options, std::span<const std::byte> data, PingHandler& handler,
                     Instant now) noexcept {
    const auto refuse = [&](PingResult why, DropReason reason) {
        link_.counters().drop(reason);
        return PingSent{why};
    };
    const IpAddress& remote = options.remote;
    const bool ipv6 = !remote.is_v4();
    const bool any_local = options.local.is_unspecified();
    if ((ipv6 && !internet_.speaks_ipv6()) || (!any_local && options.local.is_v4() == ipv6))
        return refuse(PingResult::family_unsupported, DropReason::ip_family_unsupported);
    const auto& interface = options.interface;
    const auto source = interface ? internet_.source_on(*interface, remote) : internet_.source_for(remote);
    if (interface && (!source || !is_multicast(remote)))
        return refuse(PingResult::no_interface, DropReason::ip_no_route);
    if (!source) return refuse(PingResult::no_route, DropReason::ip_no_route);
    const IpAddress local = any_local ? *source : options.local;
    if (!internet_.is_local(local)) return refuse(PingResult::not_our_address, DropReason::ip_bad_source);
    const std::size_t header = ipv6 ? wire::ipv6_header_size : wire::ipv4_header_size;
    const std::size_t size = echo_header_size + data.size();
    if (data.size() > (ipv6 ? largest_ipv6_ping : largest_ping) ||
        (options.dont_fragment && size + header > (interface ? internet_.mtu_of(*interface)
                                                             : internet_.datagram_mtu_for(remote, now))))
        return refuse(PingResult::too_big, DropReason::ip_too_big);
    Ping* const ping = free_place();
    if (ping == nullptr) return refuse(PingResult::table_full, DropReason::ping_table_full);

    rte_mbuf* const mbuf = copy_octets(data, link_.stash());
    if (mbuf == nullptr) return refuse(PingResult::no_memory, DropReason::no_mbuf);
    auto* const message = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(mbuf, echo_header_size));
    if (message == nullptr) {
        link_.stash().put(mbuf);
        return refuse(PingResult::no_memory, DropReason::no_mbuf);
    }
    const std::uint32_t rest = std::uint32_t{identifier_} << 16 | next_;
    const Ipv6Pair pair{remote.v6(), local.v6()};
    std::uint32_t pseudo = 0;
    if (ipv6) {
        wire::write(wire::Icmpv6Header{.type = static_cast<std::uint8_t>(wire::Icmpv6Type::echo_request),
                                       .rest = rest},
                    std::span<std::byte, echo_header_size>{message, echo_header_size});
        pseudo = wire::pseudo_header_sum(pair.local, pair.remote, wire::icmpv6_protocol, mbuf->pkt_len);
    } else {
        wire::write(wire::IcmpHeader{.type = wire::IcmpType::echo_request, .rest = rest},
                    std::span<std::byte, echo_header_size>{message, echo_header_size});
    }
    wire::store_be16(message + 2, wire::checksum_finish(mbuf_checksum_add(mbuf, pseudo)));
    const bool group = internet_.is_group(remote);
    const Output how{
        .source = local.v4(),
        .destination = remote.v4(),
        .ipv6 = ipv6 ? &pair : nullptr,
        .protocol = ipv6 ? wire::icmpv6_protocol : static_cast<std::uint8_t>(wire::IpProtocol::icmp),
        .tos = options.tos,
        .ttl = options.ttl == 0 && group ? std::uint8_t{1} : options.ttl,
        .dont_fragment = options.dont_fragment};
    if (!(interface ? internet_.output_to_group(mbuf, how, *interface, now)
                    : internet_.output(mbuf, how, now)))
        return {PingResult::dropped};
    *ping = {.remote = remote,
             .local = local,
             .handler = &handler,
             .sent = now,
             .deadline = now + std::max(options.timeout, Duration{1}),
             .number = next_};
    ++size_;
    deadline_ = std::min(deadline_, ping->deadline);
    link_.counters().add(Counter::echo_requests_out);
    link_.counters().add(Counter::icmp_out);
    return {PingResult::sent, next_++};
}

PingHandler& Pings::end(Ping& ping) noexcept {
    PingHandler& handler = *ping.handler;
    ping.handler = nullptr;
    --size_;
    return handler;
}

bool Pings::forget(PingNumber number) noexcept {
    Ping* const ping = find(identifier_, number);
    if (ping == nullptr) return false;
    end(*ping);
    return true;
}

std::optional<unsigned> Pings::core_of(const Ingress& in) noexcept {
    const auto message = first_segment(in.mbuf);
    if (message.size() < echo_header_size) return std::nullopt;
    const auto type = std::to_integer<std::uint8_t>(message[0]);
    const auto quote = message.subspan(echo_header_size);
    if (in.ipv6 == nullptr) {
        if (wire::IcmpType{type} == wire::IcmpType::echo_reply)
            return wire::load_be16(message, 4) & core_mask;
        if (!wire::is_icmp_error(wire::IcmpType{type})) return std::nullopt;
        const auto quoted = wire::parse_quoted_packet(quote);
        if (!quoted || quoted->protocol != wire::IpProtocol::icmp) return std::nullopt;
        if (quoted->source_port >> 8 != static_cast<std::uint8_t>(wire::IcmpType::echo_request))
            return std::nullopt;
        return quoted->sequence >> 16 & core_mask;
    }
    if (wire::Icmpv6Type{type} == wire::Icmpv6Type::echo_reply)
        return wire::load_be16(message, 4) & core_mask;
    if (!wire::is_icmpv6_error(type)) return std::nullopt;
    const auto quoted = wire::parse_quoted_ipv6_packet(quote);
    if (!quoted || quoted->protocol != wire::icmpv6_protocol) return std::nullopt;
    if (quoted->source_port >> 8 != static_cast<std::uint8_t>(wire::Icmpv6Type::echo_request))
        return std::nullopt;
    return quoted->sequence >> 16 & core_mask;
}

bool Pings::take_reply(Ingress& in, Instant now) noexcept {
    if (size_ == 0 || in.mbuf->data_len < echo_header_size) return false;
    const auto* const message = rte_pktmbuf_mtod(in.mbuf, const std::byte*);
    Ping* const ping = find(wire::load_be16(message + 4), wire::load_be16(message + 6));
    if (ping == nullptr || in.group || in.destination_address() != ping->local) return false;
    const bool to_group = internet_.is_group(ping->remote);
    const IpAddress source = in.source_address();
    if (!to_group && source != ping->remote) return false;
    link_.counters().add(Counter::echo_replies_in);
    const PingReply about{.number = ping->number,
                          .source = source,
                          .round_trip = now - ping->sent,
                          .ttl = in.ttl,
                          .tos = in.tos};
    rte_pktmbuf_adj(in.mbuf, echo_header_size);
    PingHandler& handler = to_group ? *ping->handler : end(*ping);
    if (handler.reply(about, *in.mbuf) == Ownership::returned) link_.stash().put(in.mbuf);
    return true;
}

// The quoted message begins with type and code, where others have ports; identifier and number stand where
// TCP has its sequence number.
bool Pings::take_error(const IcmpError& error) noexcept {
    const std::uint8_t request = error.source.is_v4()
                                     ? static_cast<std::uint8_t>(wire::IcmpType::echo_request)
                                     : static_cast<std::uint8_t>(wire::Icmpv6Type::echo_request);
    if (size_ == 0 || error.source_port >> 8 != request) return false;
    Ping* const ping = find(static_cast<std::uint16_t>(error.sequence >> 16),
                            static_cast<PingNumber>(error.sequence & 0xffff));
    if (ping == nullptr || error.destination != ping->remote || error.source != ping->local) return false;
    const PingNumber number = ping->number;
    end(*ping).failed(number, error);
    return true;
}

void Pings::advance(Instant now) noexcept {
    if (now < deadline_) return;
    deadline_ = never;
    // Those that the handlers send meanwhile have deadlines of their own.
    for (Ping& ping : pings_) {
        if (ping.handler == nullptr) continue;
        if (ping.deadline > now) {
            deadline_ = std::min(deadline_, ping.deadline);
            continue;
        }
        const PingNumber number = ping.number;
        end(ping).timed_out(number);
    }
}

}  // namespace runnel::ip
