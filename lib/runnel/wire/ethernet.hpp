// Ethernet II frames: IEEE 802.3 clause 3, and their use by IP (RFC 894).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"

namespace runnel::wire {

inline constexpr std::size_t ethernet_header_size = 14;

/// Values of the EtherType field.
enum class EtherType : std::uint16_t {
    ipv4 = 0x0800,
    arp = 0x0806,
    vlan = 0x8100,  ///< IEEE 802.1Q customer tag
    ipv6 = 0x86dd,
    service_vlan = 0x88a8,  ///< IEEE 802.1ad service tag: the outer one of two (QinQ)
};

/// The six octets at `from`; the caller vouches for them.
[[nodiscard]] constexpr MacAddress load_mac(const std::byte* from) noexcept {
    MacAddress mac;
    for (std::size_t i = 0; i < mac.octets.size(); ++i)
        mac.octets[i] = std::to_integer<std::uint8_t>(from[i]);
    return mac;
}

/// Writes the six octets at `to`; the caller vouches for the room.
constexpr void store_mac(std::byte* to, const MacAddress& mac) noexcept {
    for (std::size_t i = 0; i < mac.octets.size(); ++i) to[i] = std::byte{mac.octets[i]};
}

/// The Ethernet group address of an IPv4 multicast group (RFC 1112 section 6.4).
[[nodiscard]] constexpr MacAddress multicast_mac(Ipv4Address group) noexcept {
    return {{0x01, 0x00, 0x5e, static_cast<std::uint8_t>(group.value >> 16 & 0x7f),
             static_cast<std::uint8_t>(group.value >> 8), static_cast<std::uint8_t>(group.value)}};
}

/// The same for IPv6 (RFC 2464 section 7).
[[nodiscard]] constexpr MacAddress multicast_mac(const Ipv6Address& group) noexcept {
    return {{0x33, 0x33, group.octets[12], group.octets[13], group.octets[14], group.octets[15]}};
}

/// What an Ethernet header says.
struct EthernetHeader {
    MacAddress destination{}, source{};
    EtherType type{};
    friend constexpr bool operator==(const EthernetHeader&, const EthernetHeader&) noexcept = default;
};

/// A frame of which the header is known to be there.
class EthernetView {
  public:
    /// Nothing where the frame is shorter than its header.
    [[nodiscard]] static constexpr std::optional<EthernetView> parse(
        std::span<const std::byte> frame) noexcept {
        if (frame.size() < ethernet_header_size) return std::nullopt;
        return EthernetView{frame};
    }

    [[nodiscard]] constexpr MacAddress destination() const noexcept { return load_mac(frame_.data()); }
    [[nodiscard]] constexpr MacAddress source() const noexcept { return load_mac(frame_.data() + 6); }
    [[nodiscard]] constexpr EtherType type() const noexcept { return EtherType{load_be16(frame_, 12)}; }
    [[nodiscard]] constexpr std::span<const std::byte> payload() const noexcept {
        return frame_.subspan(ethernet_header_size);
    }
    [[nodiscard]] constexpr EthernetHeader header() const noexcept {
        return {destination(), source(), type()};
    }

  private:
    constexpr explicit EthernetView(std::span<const std::byte> frame) noexcept : frame_(frame) {}
    std::span<const std::byte> frame_;
};

constexpr void write(const EthernetHeader& header, std::span<std::byte, ethernet_header_size> to) noexcept {
    store_mac(to.data(), header.destination);
    store_mac(to.data() + 6, header.source);
    store_be16(to.data() + 12, static_cast<std::uint16_t>(header.type));
}

}  // namespace runnel::wire
