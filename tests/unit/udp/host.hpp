// A host with UDP for the tests of its sockets: a stack's lower half, and a handler that writes down what it
// hears.
#pragma once

#include <random>
#include <vector>

#include "runnel/udp/sockets.hpp"

#include "../ip/fragments.hpp"
#include "seed.hpp"

namespace runnel::udp::test_host {

using namespace test;  // NOLINT: the words in which the tests are written

/// Writes down what it hears.
class Listener : public Handler {
  public:
    Ownership datagram(const Datagram& about, rte_mbuf& payload) noexcept override {
        heard.push_back(about);
        data.push_back(octets_of(&payload));
        if (!keep) return Ownership::returned;
        kept = &payload;
        return Ownership::taken;
    }
    void error(const IcmpReport& report) noexcept override { errors.push_back(report); }

    std::vector<Datagram> heard;
    std::vector<Octets> data;
    std::vector<IcmpReport> errors;
    bool keep = false;
    rte_mbuf* kept = nullptr;
};

[[nodiscard]] inline Secrets random_secrets() {
    std::mt19937_64 random{test::seed()};
    const auto key = [&random] {
        const std::uint64_t first = random();
        return HashKey{first, random()};
    };
    const HashKey flow = key(), ipv6 = key();
    return {.flow = flow, .ipv6 = ipv6, .ports = key()};
}

/// A stack's lower half with UDP on it.
class Host : public Network {
  public:
    explicit Host(const ip::Config& config = resolved_config(), const Config& udp_config = {},
                  std::size_t queue_capacity = 256)
        : Network(config, queue_capacity), sockets(udp_config, random_secrets(), layer, counters, stash) {}

    void receive(rte_mbuf* frame) {
        if (give(frame) != ip::Upper::udp) return;
        let_go();
        sockets.input(in, now);
    }
    void receive(std::span<const std::byte> frame) { receive(pool.mbuf(frame)); }
    void receive_datagram(std::span<const std::byte> datagram, Ipv4Address destination = us) {
        receive(ethernet(ipv4(
            datagram, {.destination = destination, .protocol = wire::IpProtocol::udp, .ttl = 5, .tos = 8})));
    }

    Sockets sockets;
};

/// A datagram over IPv6 as a frame.
[[nodiscard]] inline Octets ipv6_datagram(std::span<const std::byte> payload, std::uint16_t from,
                                          std::uint16_t to, const Ipv6Address& source = peer6) {
    const Ipv6Fields fields{.source = source, .next_header = udp_protocol};
    Octets datagram(wire::udp_header_size);
    wire::write(wire::UdpHeader{from, to, static_cast<std::uint16_t>(datagram.size() + payload.size())},
                std::span{datagram}.first<wire::udp_header_size>());
    datagram = std::move(datagram) + payload;
    seal6(datagram, 6, fields);
    return ethernet6(ipv6(datagram, fields));
}

}  // namespace runnel::udp::test_host
