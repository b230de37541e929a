// UDP headers (RFC 768).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runnel/wire/byte_order.hpp"

namespace runnel::wire {

inline constexpr std::size_t udp_header_size = 8;

enum class UdpFault : std::uint8_t {
    none,
    truncated,   ///< fewer octets than a header has
    bad_length,  ///< length below the header's, or beyond the octets received
};

/// Looks at the header at the start of `bytes`. `received` is how many octets of the datagram arrived: more
/// than `bytes` holds where it lies in several pieces, of which `bytes` is the first.
[[nodiscard]] constexpr UdpFault check_udp_header(std::span<const std::byte> bytes,
                                                  std::size_t received) noexcept {
    if (bytes.size() < udp_header_size) return UdpFault::truncated;
    const std::size_t length = load_be16(bytes, 4);
    return length < udp_header_size || length > received ? UdpFault::bad_length : UdpFault::none;
}

/// A datagram in one piece whose header is known to be there and to agree with its length.
class UdpView {
  public:
    constexpr UdpView() noexcept = default;

    /// Looks at a datagram; `in` is set where the answer is `none`, and then ends where its length field
    /// says.
    [[nodiscard]] static constexpr UdpFault parse(std::span<const std::byte> bytes, UdpView& in) noexcept {
        const UdpFault fault = check_udp_header(bytes, bytes.size());
        if (fault == UdpFault::none) in = UdpView{bytes.first(load_be16(bytes, 4))};
        return fault;
    }

    [[nodiscard]] constexpr std::uint16_t source_port() const noexcept { return load_be16(datagram_, 0); }
    [[nodiscard]] constexpr std::uint16_t destination_port() const noexcept {
        return load_be16(datagram_, 2);
    }
    /// Octets of header and payload.
    [[nodiscard]] constexpr std::size_t length() const noexcept { return datagram_.size(); }
    /// 0: the sender made none.
    [[nodiscard]] constexpr std::uint16_t checksum() const noexcept { return load_be16(datagram_, 6); }
    [[nodiscard]] constexpr std::span<const std::byte> payload() const noexcept {
        return datagram_.subspan(udp_header_size);
    }

  private:
    constexpr explicit UdpView(std::span<const std::byte> datagram) noexcept : datagram_(datagram) {}
    std::span<const std::byte> datagram_;
};

struct UdpHeader {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint16_t length = udp_header_size;  ///< octets of header and payload
    std::uint16_t checksum = 0;              ///< written as it stands
    friend constexpr bool operator==(const UdpHeader&, const UdpHeader&) noexcept = default;
};

constexpr void write(const UdpHeader& header, std::span<std::byte, udp_header_size> to) noexcept {
    store_be16(to.data(), header.source_port);
    store_be16(to.data() + 2, header.destination_port);
    store_be16(to.data() + 4, header.length);
    store_be16(to.data() + 6, header.checksum);
}

}  // namespace runnel::wire
