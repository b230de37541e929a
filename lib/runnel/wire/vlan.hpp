// The VLAN tags that stand between the Ethernet addresses and the EtherType: IEEE 802.1Q clause 9.6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/ethernet.hpp"

namespace runnel::wire {

/// Octets that a tag adds to a frame.
inline constexpr std::size_t vlan_tag_size = 4;

/// Tag control information, and the EtherType that follows it.
struct VlanTag {
    std::uint8_t priority = 0;   ///< priority code point, 0 to 7
    bool drop_eligible = false;  ///< DEI
    std::uint16_t id = 0;        ///< 0: only a priority, no VLAN; 1 to 4094; 4095 is reserved
    EtherType type{};            ///< of the payload
    friend constexpr bool operator==(const VlanTag&, const VlanTag&) noexcept = default;
};

/// Whether an EtherType says that a tag follows.
[[nodiscard]] constexpr bool is_vlan_tag(EtherType type) noexcept {
    return type == EtherType::vlan || type == EtherType::service_vlan;
}

/// The VLAN id of a tag control information field.
[[nodiscard]] constexpr std::uint16_t vlan_id(std::uint16_t tci) noexcept {
    return tci & 0x0fff;
}

/// Reads the tag whose first octet follows the EtherType 0x8100 or 0x88a8; nothing where it is cut short.
[[nodiscard]] constexpr std::optional<VlanTag> parse_vlan_tag(std::span<const std::byte> bytes) noexcept {
    if (bytes.size() < vlan_tag_size) return std::nullopt;
    const std::uint16_t tci = load_be16(bytes, 0);
    return VlanTag{static_cast<std::uint8_t>(tci >> 13), (tci & 0x1000) != 0, vlan_id(tci),
                   EtherType{load_be16(bytes, 2)}};
}

constexpr void write(const VlanTag& tag, std::span<std::byte, vlan_tag_size> to) noexcept {
    store_be16(to.data(), static_cast<std::uint16_t>((tag.priority & 7) << 13 |
                                                     (tag.drop_eligible ? 0x1000 : 0) | (tag.id & 0x0fff)));
    store_be16(to.data() + 2, static_cast<std::uint16_t>(tag.type));
}

}  // namespace runnel::wire
