// Addresses of the link and internet layers, in host order. Both families from the start.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runnel {

/// An Ethernet address.
struct MacAddress {
    std::array<std::uint8_t, 6> octets{};

    static constexpr MacAddress broadcast() noexcept { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
    /// A group address: multicast or broadcast.
    [[nodiscard]] constexpr bool is_group() const noexcept { return (octets[0] & 1) != 0; }
    friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) noexcept = default;
};

/// An IPv4 address, in host order: 10.0.0.1 is 0x0a000001.
struct Ipv4Address {
    std::uint32_t value = 0;

    constexpr Ipv4Address() noexcept = default;
    constexpr explicit Ipv4Address(std::uint32_t host_order) noexcept : value(host_order) {}
    constexpr Ipv4Address(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) noexcept
        : value(std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d) {}

    [[nodiscard]] constexpr bool is_unspecified() const noexcept { return value == 0; }
    [[nodiscard]] constexpr bool is_loopback() const noexcept { return value >> 24 == 127; }
    [[nodiscard]] constexpr bool is_multicast() const noexcept { return value >> 28 == 0xe; }
    /// Class E, the limited broadcast address included (RFC 1112 section 4).
    [[nodiscard]] constexpr bool is_reserved() const noexcept { return value >> 28 == 0xf; }
    [[nodiscard]] constexpr bool is_limited_broadcast() const noexcept { return value == 0xffffffffU; }
    friend constexpr auto operator<=>(Ipv4Address, Ipv4Address) noexcept = default;
};

/// An IPv6 address, as it stands on the wire.
struct Ipv6Address {
    std::array<std::uint8_t, 16> octets{};

    /// From its two halves in host order: 2001:db8::1 is {0x20010db800000000, 1}.
    [[nodiscard]] static constexpr Ipv6Address of(std::uint64_t high, std::uint64_t low) noexcept {
        Ipv6Address address;
        for (std::size_t i = 0; i < 8; ++i) {
            address.octets[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
            address.octets[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
        }
        return address;
    }
    /// The first and the last eight octets, in host order: prefix and interface identifier, mostly.
    [[nodiscard]] constexpr std::uint64_t high() const noexcept { return half(0); }
    [[nodiscard]] constexpr std::uint64_t low() const noexcept { return half(1); }

    [[nodiscard]] constexpr bool is_unspecified() const noexcept { return words() == Words{}; }
    [[nodiscard]] constexpr bool is_loopback() const noexcept { return high() == 0 && low() == 1; }
    [[nodiscard]] constexpr bool is_multicast() const noexcept { return octets[0] == 0xff; }
    /// fe80::/10, valid on one link only (RFC 4291 section 2.5.6).
    [[nodiscard]] constexpr bool is_link_local() const noexcept {
        return octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80;
    }
    /// ::ffff:0:0/96 stands for IPv4 within a host and is nothing to be seen on a wire (RFC 4291 section
    /// 2.5.5.2).
    [[nodiscard]] constexpr bool is_v4_mapped() const noexcept {
        return high() == 0 && low() >> 32 == 0xffff;
    }
    /// The group at which the holder of this address hears neighbour solicitations (RFC 4291 section 2.7.1).
    [[nodiscard]] constexpr Ipv6Address solicited_node() const noexcept {
        return of(0xff02'0000'0000'0000, 0x1'ff00'0000 | (low() & 0xff'ffff));
    }
    friend constexpr auto operator<=>(const Ipv6Address&, const Ipv6Address&) noexcept = default;
    friend constexpr bool operator==(const Ipv6Address& a, const Ipv6Address& b) noexcept {
        const Words x = a.words(), y = b.words();
        return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }

    /// The two halves as they lie in memory: for comparing and mixing, where their order says nothing.
    using Words = std::array<std::uint64_t, 2>;
    [[nodiscard]] constexpr Words words() const noexcept { return std::bit_cast<Words>(octets); }

  private:
    [[nodiscard]] constexpr std::uint64_t half(std::size_t which) const noexcept {
        const std::uint64_t word = words()[which];
        return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word;
    }
};

/// All nodes on a link (RFC 4291 section 2.7.1).
inline constexpr Ipv6Address all_nodes = Ipv6Address::of(0xff02'0000'0000'0000, 1);
/// All routers on a link.
inline constexpr Ipv6Address all_routers = Ipv6Address::of(0xff02'0000'0000'0000, 2);

/// An address of either family. IPv4 is held in the IPv4-mapped form (RFC 4291 section 2.5.5.2).
class IpAddress {
  public:
    constexpr IpAddress() noexcept : IpAddress(Ipv4Address{}) {}
    constexpr IpAddress(Ipv4Address v4) noexcept  // NOLINT: each IPv4 address is an IpAddress
        : octets_{0,
                  0,
                  0,
                  0,
                  0,
                  0,
                  0,
                  0,
                  0,
                  0,
                  0xff,
                  0xff,
                  static_cast<std::uint8_t>(v4.value >> 24),
                  static_cast<std::uint8_t>(v4.value >> 16),
                  static_cast<std::uint8_t>(v4.value >> 8),
                  static_cast<std::uint8_t>(v4.value)} {}
    constexpr IpAddress(const Ipv6Address& v6) noexcept : octets_(v6.octets) {}  // NOLINT: as above

    [[nodiscard]] constexpr bool is_v4() const noexcept {
        const Words w = words();
        return w[0] == 0 && w[1] == 0 && w[2] == mapped_prefix;
    }
    /// The IPv4 address; meaningful where `is_v4()`.
    [[nodiscard]] constexpr Ipv4Address v4() const noexcept {
        return Ipv4Address{octets_[12], octets_[13], octets_[14], octets_[15]};
    }
    [[nodiscard]] constexpr Ipv6Address v6() const noexcept { return Ipv6Address{octets_}; }
    [[nodiscard]] constexpr bool is_unspecified() const noexcept {
        const Words w = words();
        return w[0] == 0 && w[1] == 0 && w[3] == 0 && (w[2] == mapped_prefix || w[2] == 0);
    }
    friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) noexcept = default;

  private:
    // The octets as they lie in memory, four at a time.
    using Words = std::array<std::uint32_t, 4>;
    [[nodiscard]] constexpr Words words() const noexcept { return std::bit_cast<Words>(octets_); }
    static constexpr std::uint32_t mapped_prefix =
        std::bit_cast<std::uint32_t>(std::array<std::uint8_t, 4>{0, 0, 0xff, 0xff});

    std::array<std::uint8_t, 16> octets_;
};

/// 224.0.0.0/4 or ff00::/8.
[[nodiscard]] constexpr bool is_multicast(const IpAddress& address) noexcept {
    return address.is_v4() ? address.v4().is_multicast() : address.v6().is_multicast();
}

/// The address that comes `n` after this one in its family.
[[nodiscard]] constexpr IpAddress nth_after(const IpAddress& address, std::uint32_t n) noexcept {
    if (address.is_v4()) return Ipv4Address{address.v4().value + n};
    const Ipv6Address v6 = address.v6();
    const std::uint64_t low = v6.low() + n;
    return Ipv6Address::of(v6.high() + (low < n ? 1 : 0), low);
}

/// "10.0.0.1", "2001:db8::1" (RFC 5952), "02:00:00:00:00:01".
[[nodiscard]] std::string to_string(Ipv4Address address);
[[nodiscard]] std::string to_string(const Ipv6Address& address);
[[nodiscard]] std::string to_string(const IpAddress& address);
[[nodiscard]] std::string to_string(const MacAddress& address);

/// Reads the textual forms above; nothing where the text is not wholly an address.
[[nodiscard]] std::optional<IpAddress> parse_ip_address(std::string_view text);
[[nodiscard]] std::optional<MacAddress> parse_mac_address(std::string_view text);

}  // namespace runnel
