// Fragments for the tests of the internet layer: packets cut by hand, and those that were sent put together.
#pragma once

#include <map>
#include <optional>

#include "ipv6_network.hpp"

namespace runnel::test {

/// One fragment of an IPv4 packet, as a frame.
[[nodiscard]] inline Octets fragment4(std::span<const std::byte> data, std::size_t offset, bool more,
                                      const PacketFields& fields = {}, std::uint16_t id = 0x4321) {
    Octets packet = ipv4(data, fields);
    wire::store_be16(packet, 4, id);
    wire::store_be16(packet, 6,
                     static_cast<std::uint16_t>(offset / 8 | (more ? wire::ipv4_more_fragments : 0U)));
    seal(packet);
    return ethernet(packet);
}

/// One fragment of an IPv6 packet, as a frame. `fields.next_header` is that of the packet.
[[nodiscard]] inline Octets fragment6(std::span<const std::byte> data, std::size_t offset, bool more,
                                      Ipv6Fields fields = {}, std::uint32_t id = 0x87654321) {
    Octets payload(wire::ipv6_fragment_header_size);
    payload[0] = std::byte{fields.next_header};
    wire::store_be16(payload, 2, static_cast<std::uint16_t>(offset | (more ? 1U : 0U)));
    wire::store_be32(payload, 4, id);
    fields.next_header = 44;
    return ethernet6(ipv6(std::move(payload) + data, fields));
}

/// A message cut every `step` octets, in order.
[[nodiscard]] inline std::vector<Octets> fragments4(std::span<const std::byte> message, std::size_t step,
                                                    const PacketFields& fields = {},
                                                    std::uint16_t id = 0x4321) {
    std::vector<Octets> frames;
    for (std::size_t at = 0; at < message.size(); at += step)
        frames.push_back(fragment4(message.subspan(at, std::min(step, message.size() - at)), at,
                                   at + step < message.size(), fields, id));
    return frames;
}
[[nodiscard]] inline std::vector<Octets> fragments6(std::span<const std::byte> message, std::size_t step,
                                                    const Ipv6Fields& fields = {},
                                                    std::uint32_t id = 0x87654321) {
    std::vector<Octets> frames;
    for (std::size_t at = 0; at < message.size(); at += step)
        frames.push_back(fragment6(message.subspan(at, std::min(step, message.size() - at)), at,
                                   at + step < message.size(), fields, id));
    return frames;
}

/// A packet put together of the frames that were sent for it, each of which is sound and takes at most `mtu`
/// octets; fails the test where they are not the fragments of one.
struct Rejoined {
    std::uint8_t protocol = 0;
    std::uint32_t id = 0;
    std::size_t fragments = 0;
    Octets message;
};
[[nodiscard]] inline Rejoined rejoin(const std::vector<Octets>& frames, std::size_t mtu = 1500) {
    Rejoined whole;
    std::optional<std::uint32_t> id;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        const auto packet = std::span<const std::byte>{frames[i]}.subspan(wire::ethernet_header_size);
        EXPECT_LE(packet.size(), mtu);
        const bool v4 = std::to_integer<unsigned>(packet[0]) >> 4 == 4;
        std::size_t offset = 0;
        bool more = false;
        std::uint32_t its_id = 0;
        Octets data;
        if (v4) {
            const auto view = packet_in(frames[i]);
            EXPECT_FALSE(view.dont_fragment());
            offset = view.fragment_offset();
            more = (wire::load_be16(packet, 6) & wire::ipv4_more_fragments) != 0;
            its_id = view.id();
            data.assign(view.payload().begin(), view.payload().end());
            whole.protocol = static_cast<std::uint8_t>(view.protocol());
        } else {
            const Packet6 it = packet6_in(frames[i]);
            if (it.header.next_header != 44) {
                EXPECT_EQ(frames.size(), 1U);
                return {it.header.next_header, 0, 1, it.payload};
            }
            const auto fragment = wire::load_ipv6_fragment(it.payload.data());
            EXPECT_FALSE(fragment.atomic());
            offset = fragment.offset;
            more = fragment.more;
            its_id = fragment.id;
            data.assign(it.payload.begin() + 8, it.payload.end());
            whole.protocol = std::to_integer<std::uint8_t>(it.payload[0]);
        }
        EXPECT_EQ(offset, whole.message.size()) << "in order, without a gap";
        EXPECT_EQ(more, i + 1 < frames.size());
        EXPECT_TRUE(!more || data.size() % 8 == 0);
        EXPECT_EQ(id.value_or(its_id), its_id) << "one packet has one id";
        id = its_id;
        whole.message = std::move(whole.message) + data;
        ++whole.fragments;
    }
    whole.id = id.value_or(0);
    return whole;
}

/// A datagram over IPv6 from port 4000 to port 5000.
[[nodiscard]] inline Octets udp6(std::span<const std::byte> payload,
                                 const Ipv6Fields& fields = {.next_header = udp_protocol}) {
    Octets datagram(wire::udp_header_size);
    wire::write(wire::UdpHeader{4000, 5000, static_cast<std::uint16_t>(datagram.size() + payload.size())},
                std::span{datagram}.first<wire::udp_header_size>());
    datagram = std::move(datagram) + payload;
    seal6(datagram, 6, fields);
    return datagram;
}

}  // namespace runnel::test
