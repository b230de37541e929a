// See attacker.hpp.
#include "engine/attacker.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/tcp.hpp"
#include "runnel/wire/udp.hpp"
#include "runnel/wire/vlan.hpp"

#include "engine/distribution.hpp"

namespace runnel::load {
namespace {

constexpr std::uint16_t discard_port = 9;

// Where the IP header stands in a frame, and of which version; 0 where there is none.
struct Located {
    std::size_t offset = 0;
    wire::EtherType type{};
};

Located locate(std::span<const std::byte> frame) noexcept {
    Located found{wire::ethernet_header_size, {}};
    if (frame.size() < found.offset + wire::vlan_tag_size) return {};
    found.type = wire::EtherType{wire::load_be16(frame, 12)};
    for (int tags = 0;
         tags < 2 && (found.type == wire::EtherType::vlan || found.type == wire::EtherType::service_vlan);
         ++tags) {
        if (frame.size() < found.offset + wire::vlan_tag_size) return {};
        found.type = wire::EtherType{wire::load_be16(frame, found.offset + 2)};
        found.offset += wire::vlan_tag_size;
    }
    const std::size_t header = found.type == wire::EtherType::ipv4   ? wire::ipv4_header_size
                               : found.type == wire::EtherType::ipv6 ? wire::ipv6_header_size
                                                                     : 0;
    if (header == 0 || frame.size() < found.offset + header) return {};
    return found;
}

std::span<const std::byte> first_segment(const rte_mbuf& frame) noexcept {
    return {rte_pktmbuf_mtod(&frame, const std::byte*), frame.data_len};
}

std::vector<AddressRange> sources_of(const AttackTraffic& traffic, const Attacker::Options& options) {
    if (!traffic.sources.empty()) return traffic.sources;
    if (traffic.kind == AttackKind::half_open) return options.clients;
    // Of RFC 2544 appendix C.2.2 and RFC 5180 section 8: networks for benchmarks, from which nobody comes.
    constexpr std::uint32_t some = (1U << 16) - 2;
    if (options.servers.at(0).addresses.first.is_v4()) return {{Ipv4Address{198, 18, 0, 1}, some}};
    return {{Ipv6Address::of(0x2001'0002'0000'0001, 1), some}};
}

}  // namespace

Attacker::Attacker(port::Wire& wire, rte_mempool* mbufs, const Options& options)
    : wire_(wire),
      mbufs_(mbufs),
      target_(options.servers.at(0).addresses.first),
      random_(mixed(options.seed)) {
    for (const AttackTraffic& traffic : options.attacks) {
        One& one = attacks_.emplace_back(
            One{traffic,
                AddressPicker(sources_of(traffic, options), options.servers, AddressChoice::random,
                              options.seed + attacks_.size() + 1),
                Arrivals({.rate = traffic.rate}, Instant{})});
        if (traffic.kind == AttackKind::half_open) {
            one.traffic.source_ports = half_open_ports;
            half_open_ = true;
        }
        counts_.push_back({.kind = traffic.kind, .rate = traffic.rate});
    }
}

std::uint32_t Attacker::random() noexcept {
    random_ = random_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::uint32_t>(random_ >> 32);
}

std::size_t Attacker::receive(std::span<rte_mbuf*> out) noexcept {
    const std::size_t n = wire_.receive(out);
    if (!half_open_ || n == 0) return n;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < n; ++i) {
        if (is_half_open_answer(*out[i])) {
            for (AttackCounts& counts : counts_)
                if (counts.kind == AttackKind::half_open) {
                    ++counts.answered;
                    break;
                }
            rte_pktmbuf_free(out[i]);
        } else {
            out[kept++] = out[i];
        }
    }
    return kept;
}

bool Attacker::is_half_open_answer(const rte_mbuf& frame) const noexcept {
    const std::span<const std::byte> octets = first_segment(frame);
    const Located ip = locate(octets);
    if (ip.offset == 0) return false;
    const bool v4 = ip.type == wire::EtherType::ipv4;
    const std::size_t protocol_at = ip.offset + (v4 ? 9 : 6);
    if (octets[protocol_at] != static_cast<std::byte>(wire::IpProtocol::tcp)) return false;
    const std::size_t tcp = ip.offset + (v4 ? (std::to_integer<std::size_t>(octets[ip.offset]) & 0xf) * 4
                                            : wire::ipv6_header_size);
    const auto segment = wire::TcpView::parse(octets.subspan(std::min(tcp, octets.size())));
    return segment && segment->destination_port() <= half_open_ports.last &&
           segment->has(wire::tcp_flags::syn) && segment->has(wire::tcp_flags::ack);
}

std::size_t Attacker::send(std::span<rte_mbuf*> frames) noexcept {
    if (!ready()) [[unlikely]]
        for (const rte_mbuf* frame : frames) learn(*frame);
    return wire_.send(frames);
}

void Attacker::learn(const rte_mbuf& frame) noexcept {
    const std::span<const std::byte> octets = first_segment(frame);
    const Located ip = locate(octets);
    if (ip.offset == 0) return;
    const IpAddress to = ip.type == wire::EtherType::ipv4
                             ? IpAddress{Ipv4Address{wire::load_be32(octets.data() + ip.offset + 16)}}
                             : IpAddress{wire::load_ipv6(octets.data() + ip.offset + 24)};
    if (to != target_) return;
    link_size_ = ip.offset;
    link_flags_ = frame.ol_flags & RTE_MBUF_F_TX_VLAN;
    link_tag_ = frame.vlan_tci;
    link_port_ = frame.port;
    std::ranges::copy(octets.first(link_size_), link_.begin());
}

bool Attacker::poll(Instant now) noexcept {
    using Phase = Generator::Phase;
    const Phase phase = client_->phase();
    if (over_) return false;
    if (phase >= Phase::measured && !running_) begin(now);
    if (phase > Phase::measured) {
        end(now);
        return false;
    }
    if (!ready()) {
        for (One& one : attacks_) one.arrivals.give_up(now);
        if (now < next_question_) return false;
        next_question_ = now + 200ms;
        (void)stack_->udp().send_to(
            {.remote_address = target_, .remote_port = discard_port, .local_port = discard_port},
            std::span<const std::byte>{}, now);
        return true;
    }
    if (!running_) return false;
    if (client_->paused() != paused_) [[unlikely]] {
        paused_ = !paused_;
        for (One& one : attacks_) {
            if (paused_)
                one.arrivals.pause(now);
            else
                one.arrivals.resume(now);
        }
    }
    std::uint32_t launched = 0;
    for (std::size_t i = 0; i < attacks_.size(); ++i) launched += launch(attacks_[i], counts_[i], now);
    return launched > 0;
}

void Attacker::begin(Instant now) noexcept {
    running_ = true;
    for (One& one : attacks_) one.arrivals = Arrivals({.rate = one.traffic.rate}, now);
}

void Attacker::end(Instant now) noexcept {
    over_ = true;
    for (std::size_t i = 0; i < attacks_.size(); ++i) {
        Arrivals& arrivals = attacks_[i].arrivals;
        arrivals.finish(now);
        counts_[i].planned += arrivals.attempted();
        counts_[i].unsent += arrivals.unsent();
    }
}

std::uint32_t Attacker::launch(One& one, AttackCounts& counts, Instant now) noexcept {
    one.arrivals.give_up(now);
    std::array<rte_mbuf*, burst> frames;
    std::uint32_t n = 0, due = 0;
    for (; due < burst && one.arrivals.due(now); ++due) {
        one.arrivals.sent();
        if (rte_mbuf* const frame = make(one); frame != nullptr) frames[n++] = frame;
    }
    const auto taken =
        n > 0 ? static_cast<std::uint32_t>(wire_.send(std::span{frames}.first(n))) : std::uint32_t{0};
    if (taken < n) rte_pktmbuf_free_bulk(frames.data() + taken, n - taken);
    counts.sent += taken;
    counts.unsent += due - taken;
    return due;
}

rte_mbuf* Attacker::make(One& one) noexcept {
    rte_mbuf* const frame = rte_pktmbuf_alloc(mbufs_);
    if (frame == nullptr) return nullptr;
    const AttackTraffic& traffic = one.traffic;
    const AddressPicker::Pick pick = one.picker.next();
    const auto source_port =
        static_cast<std::uint16_t>(traffic.source_ports.first + random() % traffic.source_ports.count());
    const bool v4 = pick.server.is_v4();
    const bool udp = traffic.kind == AttackKind::udp_flood;
    const std::size_t ip_header = v4 ? wire::ipv4_header_size : wire::ipv6_header_size;
    const auto transport =
        static_cast<std::uint16_t>((udp ? wire::udp_header_size : wire::tcp_header_size) +
                                   (udp || traffic.kind == AttackKind::ack_flood ? traffic.payload : 0));
    const std::size_t size = link_size_ + ip_header + transport;
    auto* const octets =
        size > UINT16_MAX
            ? nullptr
            : reinterpret_cast<std::byte*>(rte_pktmbuf_append(frame, static_cast<std::uint16_t>(size)));
    if (octets == nullptr) {
        rte_pktmbuf_free(frame);
        return nullptr;
    }
    std::memcpy(octets, link_.data(), link_size_);
    frame->ol_flags |= link_flags_;
    frame->vlan_tci = link_tag_;
    frame->port = link_port_;
    std::byte* const ip = octets + link_size_;
    std::byte* const segment = ip + ip_header;
    std::memset(segment, 'x', transport);
    std::uint32_t pseudo = 0;
    const auto protocol = udp ? wire::IpProtocol::udp : wire::IpProtocol::tcp;
    if (v4) {
        wire::write(wire::Ipv4Header{.total_length = static_cast<std::uint16_t>(ip_header + transport),
                                     .id = static_cast<std::uint16_t>(random()),
                                     .protocol = protocol,
                                     .source = pick.client.v4(),
                                     .destination = pick.server.v4()},
                    std::span<std::byte, wire::ipv4_header_size>{ip, wire::ipv4_header_size});
        wire::store_be16(ip + 10, wire::checksum_finish(wire::checksum_add({ip, ip_header}, 0)));
        pseudo = wire::pseudo_header_sum(pick.client.v4(), pick.server.v4(),
                                         static_cast<std::uint8_t>(protocol), transport);
    } else {
        wire::write(wire::Ipv6Header{.payload_length = static_cast<std::uint16_t>(transport),
                                     .next_header = static_cast<std::uint8_t>(protocol),
                                     .source = pick.client.v6(),
                                     .destination = pick.server.v6()},
                    std::span<std::byte, wire::ipv6_header_size>{ip, wire::ipv6_header_size});
        pseudo = wire::pseudo_header_sum(pick.client.v6(), pick.server.v6(),
                                         static_cast<std::uint8_t>(protocol), transport);
    }
    std::size_t checksum_at = wire::tcp_checksum_offset;
    if (udp) {
        wire::write(wire::UdpHeader{.source_port = source_port,
                                    .destination_port = pick.server_port,
                                    .length = static_cast<std::uint16_t>(transport)},
                    std::span<std::byte, wire::udp_header_size>{segment, wire::udp_header_size});
        checksum_at = 6;
    } else {
        wire::TcpHeader header{.source_port = source_port,
                               .destination_port = pick.server_port,
                               .sequence = SeqNum{random()},
                               .window = 65535};
        switch (traffic.kind) {
            case AttackKind::syn_flood:
            case AttackKind::half_open:
                header.flags = wire::tcp_flags::syn;
                break;
            case AttackKind::rst:
                header.flags = wire::tcp_flags::rst;
                break;
            case AttackKind::fin:
                header.flags = wire::tcp_flags::fin | wire::tcp_flags::ack;
                header.acknowledgement = SeqNum{random()};
                break;
            case AttackKind::ack_flood:
                header.flags = wire::tcp_flags::ack;
                header.acknowledgement = SeqNum{random()};
                break;
            case AttackKind::udp_flood:
                break;
        }
        wire::write(header, segment);
    }
    std::uint16_t sum = wire::checksum_finish(wire::checksum_add({segment, transport}, pseudo));
    if (udp && sum == 0) sum = 0xffff;  // 0 would say that there is none (RFC 768)
    wire::store_be16(segment + checksum_at, sum);
    return frame;
}

}  // namespace runnel::load
