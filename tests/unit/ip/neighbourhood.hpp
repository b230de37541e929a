// A neighbourhood to test Neighbour Discovery in: messages by hand, and what the layer asks and sends.
#pragma once

#include <string>
#include <vector>

#include "runnel/ip/address_events.hpp"

#include "ipv6_network.hpp"

namespace runnel::test {

inline constexpr std::uint32_t solicited = wire::advertisement_solicited,
                               override_flag = wire::advertisement_override;
inline const MacAddress group_mac = wire::multicast_mac(us6.solicited_node());

[[nodiscard]] inline wire::NeighbourMessage solicitation(const Ipv6Address& target,
                                                         std::optional<MacAddress> mac = peer_mac) {
    return {.type = wire::Icmpv6Type::neighbour_solicitation, .target = target, .link_address = mac};
}
[[nodiscard]] inline wire::NeighbourMessage advertisement(const Ipv6Address& target, std::uint32_t flags,
                                                          std::optional<MacAddress> mac = peer_mac) {
    return {.type = wire::Icmpv6Type::neighbour_advertisement,
            .flags = flags,
            .target = target,
            .link_address = mac};
}

/// What a stack has told of its addresses.
struct Heard final : ip::AddressObserver {
    std::vector<ip::AddressEvent> events;
    void address(const ip::AddressEvent& event) noexcept override { events.push_back(event); }
    [[nodiscard]] std::vector<std::string> of(ip::AddressEventKind kind) const {
        std::vector<std::string> found;
        for (const ip::AddressEvent& event : events)
            if (event.kind == kind) found.push_back(to_string(event.address));
        return found;
    }
};

struct Neighbourhood : Network {
    using Network::Network;
    Neighbourhood() : Network(ipv6_config()) {}

    bool send_to(const Ipv6Address& destination, const Ipv6Address& source = us6) {
        const ip::Ipv6Pair pair{destination, source};
        return layer.output(pool.mbuf(tcp_header()), {.ipv6 = &pair, .protocol = tcp_protocol}, now);
    }
    /// The link address that a packet to the peer leaves for now; nothing where it waits or is dropped.
    std::optional<MacAddress> way_to(const Ipv6Address& destination = peer6) {
        (void)sent();
        send_to(destination);
        for (const Octets& frame : sent())
            if (!discovery_in(frame)) return wire::EthernetView::parse(frame)->destination();
        return std::nullopt;
    }
    /// The solicitations sent since.
    std::vector<Discovery> solicitations() {
        std::vector<Discovery> found;
        for (const Octets& frame : sent())
            if (const auto one = discovery_in(frame);
                one && one->message.type == wire::Icmpv6Type::neighbour_solicitation)
                found.push_back(*one);
        return found;
    }
    /// Resolves the peer by asking and being answered.
    void resolve() {
        send_to(peer6);
        give(discovery(advertisement(peer6, solicited | override_flag), peer6, us6));
        (void)sent();
    }
};

}  // namespace runnel::test
