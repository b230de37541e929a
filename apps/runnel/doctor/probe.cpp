// See probe.hpp.
#include "doctor/probe.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/vlan.hpp"

namespace runnel::app::doctor {
namespace {

// Notes how the one connection ends.
class Listener final : public tcp::Handler {
  public:
    void established(tcp::Connection connection) noexcept override {
        is_established = true;
        connection.abort();
    }
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
        connection.consume(payload.pkt_len);
        return tcp::Ownership::returned;
    }
    void closed(tcp::Connection, tcp::CloseReason why) noexcept override {
        is_over = true;
        was_refused = why == tcp::CloseReason::refused || why == tcp::CloseReason::reset;
    }

    bool is_established = false, is_over = false, was_refused = false;
};

// Notes who has an address of ours.
class Duplicates final : public ip::AddressObserver {
  public:
    void address(const ip::AddressEvent& event) noexcept override {
        if (event.kind == ip::AddressEventKind::duplicate || event.kind == ip::AddressEventKind::disabled)
            first = first.value_or(event);
    }
    std::optional<ip::AddressEvent> first;
};

// The SYN of the connection: no other segment of TCP leaves this stack before it.
bool carries_tcp(const rte_mbuf& frame) {
    const auto* octets = rte_pktmbuf_mtod(&frame, const std::byte*);
    const std::size_t size = rte_pktmbuf_data_len(&frame);
    const auto at = [&](std::size_t i) { return i < size ? std::to_integer<unsigned>(octets[i]) : 0U; };
    std::size_t packet = wire::ethernet_header_size;
    const auto type = [&] {
        return wire::EtherType{static_cast<std::uint16_t>(at(packet - 2) << 8 | at(packet - 1))};
    };
    for (int tags = 0;
         tags < 2 && (type() == wire::EtherType::vlan || type() == wire::EtherType::service_vlan); ++tags)
        packet += wire::vlan_tag_size;
    constexpr unsigned tcp = 6;
    return (type() == wire::EtherType::ipv4 && at(packet + 9) == tcp) ||
           (type() == wire::EtherType::ipv6 && at(packet + 6) == tcp);
}

}  // namespace

ProbeAnswer probe(port::Wire& wire, const StackConfig& config, rte_mempool* mbufs,
                  const SocketAddress& server, const std::function<Instant()>& now, Duration patience) {
    // Addresses that are probed for, and routers that are asked, are waited for besides, not without end.
    constexpr Duration longest_probing = 40s;
    ProbeAnswer answer;
    Listener listener;
    Duplicates duplicates;
    StackConfig watched = config;
    watched.ip.address_observer = &duplicates;
    Stack stack(watched, mbufs);
    bool asked = false;
    const Instant start = now();
    Instant begin = start;
    std::array<rte_mbuf*, 32> frames{};
    for (Instant time = begin; asked ? time - begin < patience : time - start < longest_probing;
         time = now()) {
        const std::size_t received = wire.receive(frames);
        stack.receive({frames.data(), received}, time);
        stack.advance(time);
        if (duplicates.first) {
            answer.duplicate = duplicates.first;
            return answer;
        }
        if (!asked && !stack.probes_addresses()) {
            constexpr std::uint16_t discard = 9;  // to nobody: the SYN is not sent
            const tcp::ConnectResult opened =
                stack.connect({.remote_address = server.address,
                               .remote_port = server.port == 0 ? discard : server.port,
                               .handler = &listener});
            if (opened.error != tcp::Error::none) {
                answer.no_route = true;
                return answer;
            }
            asked = true;
            begin = time;
        }
        while (const std::size_t ready = stack.transmit(frames)) {
            std::size_t to_send = ready;
            for (std::size_t i = 0; i < ready; ++i) {
                if (!carries_tcp(*frames[i])) continue;
                if (!answer.neighbour) {
                    answer.neighbour.emplace();
                    std::copy_n(rte_pktmbuf_mtod(frames[i], const std::uint8_t*),
                                answer.neighbour->octets.size(), answer.neighbour->octets.begin());
                    answer.took = time - begin;
                }
                if (server.port == 0) to_send = std::min(to_send, i);
            }
            const std::size_t sent = wire.send({frames.data(), to_send});
            if (sent < ready)
                rte_pktmbuf_free_bulk(frames.data() + sent, static_cast<unsigned>(ready - sent));
        }
        if (server.port == 0 && answer.neighbour) return answer;
        if (listener.is_established || listener.is_over) {
            answer.established = listener.is_established;
            answer.refused = !listener.is_established && listener.was_refused;
            answer.took = time - begin;
            break;
        }
    }
    return answer;
}

std::vector<Finding> describe(const ProbeAnswer& answer, const SocketAddress& server, const IpAddress& hop) {
    const char* const protocol = hop.is_v4() ? "ARP" : "Neighbour Discovery";
    const std::string who = to_string(hop);
    if (answer.duplicate)
        return {{Grade::hinders,
                 "addresses",
                 ip::to_string(*answer.duplicate),
                 {"runnel ... --address ANOTHER"}}};
    if (answer.no_route)
        return {{Grade::hinders,
                 protocol,
                 fmt::format("no route leads to {}", to_string(server.address)),
                 {"runnel ... --gateway ROUTER"}}};
    if (!answer.neighbour)
        return {{Grade::hinders,
                 protocol,
                 fmt::format("nobody answers for {}: the cable, the VLAN or the address is another", who),
                 {hop.is_v4() ? fmt::format("arping -c 3 {}   # from a machine beside it", who)
                              : fmt::format("ndisc6 {} eth0   # from a machine beside it", who)}}};
    std::vector<Finding> findings{
        {Grade::good, protocol, fmt::format("{} is at {}", who, to_string(*answer.neighbour)), {}}};
    if (server.port == 0) return findings;
    const std::string where = server.address.is_v4()
                                  ? fmt::format("{}:{}", to_string(server.address), server.port)
                                  : fmt::format("[{}]:{}", to_string(server.address), server.port);
    if (answer.established)
        findings.push_back(
            {Grade::good,
             "target",
             fmt::format("{} completes a handshake, {} after it was asked for", where,
                         human_duration(std::chrono::duration_cast<std::chrono::microseconds>(answer.took))),
             {}});
    else if (answer.refused)
        findings.push_back({Grade::hinders,
                            "target",
                            fmt::format("{} refuses: its host is there, and no server", where),
                            {fmt::format("ss -ltn 'sport = :{}'   # on that host", server.port)}});
    else
        findings.push_back(
            {Grade::hinders,
             "target",
             fmt::format("{} does not answer a SYN: a firewall drops it, or the way back leads "
                         "elsewhere",
                         where),
             {fmt::format("tcpdump -ni any tcp port {}   # on that host", server.port)}});
    return findings;
}

}  // namespace runnel::app::doctor
