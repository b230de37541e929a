// The hash of receive side scaling (RSS): Toeplitz over addresses and ports, as a port computes it to choose
// the queue of what it receives.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "runnel/base/ip_address.hpp"

namespace runnel::wire {

/// The hash under one key. It is linear over GF(2): each set bit of the input contributes the 32 bits of the
/// key that begin at its place, and contributions are added without carry. So a table for each octet of the
/// input serves, and what one field contributes can be told apart from the rest: `ip::HomePorts` stands on
/// that.
class Toeplitz {
  public:
    /// Octets of input over IPv4 and over IPv6: source and destination address, source and destination port,
    /// as they stand in the packet.
    static constexpr std::size_t input_size = 12, ipv6_input_size = 36;
    /// Octets of key that the input needs; what a longer key has more is not used.
    static constexpr std::size_t least_key = input_size + 4, least_ipv6_key = ipv6_input_size + 4;

    /// Throws `std::invalid_argument` where the key has fewer than `least_key` octets.
    explicit Toeplitz(std::span<const std::uint8_t> key);

    /// Whether the key is long enough for IPv6.
    [[nodiscard]] bool hashes_ipv6() const noexcept { return octets_ == ipv6_input_size; }

    /// Of a packet whose ports are not hashed: of a fragment, or of another protocol than TCP and UDP.
    [[nodiscard]] std::uint32_t hash(Ipv4Address source, Ipv4Address destination) const noexcept {
        return word<0>(source.value) ^ word<4>(destination.value);
    }
    [[nodiscard]] std::uint32_t hash(Ipv4Address source, Ipv4Address destination, std::uint16_t source_port,
                                     std::uint16_t destination_port) const noexcept {
        return hash(source, destination) ^ word<8>(std::uint32_t{source_port} << 16 | destination_port);
    }
    /// The same over IPv6, where the key is long enough.
    [[nodiscard]] std::uint32_t hash(const Ipv6Address& source,
                                     const Ipv6Address& destination) const noexcept {
        std::uint32_t hash = 0;
        for (std::size_t i = 0; i < 16; ++i)
            hash ^= tables_[i][source.octets[i]] ^ tables_[16 + i][destination.octets[i]];
        return hash;
    }
    [[nodiscard]] std::uint32_t hash(const Ipv6Address& source, const Ipv6Address& destination,
                                     std::uint16_t source_port,
                                     std::uint16_t destination_port) const noexcept {
        return hash(source, destination) ^ word<32>(std::uint32_t{source_port} << 16 | destination_port);
    }
    /// What the destination port contributes to a hash over IPv4 or IPv6.
    [[nodiscard]] std::uint32_t of_destination_port(std::uint16_t port, bool ipv6 = false) const noexcept {
        const std::size_t at = (ipv6 ? ipv6_input_size : input_size) - 2;
        return tables_[at][port >> 8] ^ tables_[at + 1][port & 0xff];
    }

  private:
    template <std::size_t first>
    [[nodiscard]] std::uint32_t word(std::uint32_t value) const noexcept {
        return tables_[first][value >> 24] ^ tables_[first + 1][value >> 16 & 0xff] ^
               tables_[first + 2][value >> 8 & 0xff] ^ tables_[first + 3][value & 0xff];
    }

    std::size_t octets_;                                                    // of input that the key reaches
    std::array<std::array<std::uint32_t, 256>, ipv6_input_size> tables_{};  // 36 KB, of which IPv4 uses 12
};

}  // namespace runnel::wire
