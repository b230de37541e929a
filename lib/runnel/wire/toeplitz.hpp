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
/// input serves, and what one field contributes can be told apart from the rest: `tcp::HomePorts` stands on
/// that.
class Toeplitz {
  public:
    /// Octets of input: source and destination address, source and destination port, as they stand in the
    /// packet.
    static constexpr std::size_t input_size = 12;
    /// Octets of key that the input needs; what a longer key has more is not used.
    static constexpr std::size_t least_key = input_size + 4;

    /// Throws `std::invalid_argument` where the key has fewer than `least_key` octets.
    explicit Toeplitz(std::span<const std::uint8_t> key);

    /// Of a packet whose ports are not hashed: of a fragment, or of another protocol than TCP and UDP.
    [[nodiscard]] std::uint32_t hash(Ipv4Address source, Ipv4Address destination) const noexcept {
        return word<0>(source.value) ^ word<4>(destination.value);
    }
    [[nodiscard]] std::uint32_t hash(Ipv4Address source, Ipv4Address destination, std::uint16_t source_port,
                                     std::uint16_t destination_port) const noexcept {
        return hash(source, destination) ^ word<8>(std::uint32_t{source_port} << 16 | destination_port);
    }
    /// What the destination port contributes to that.
    [[nodiscard]] std::uint32_t of_destination_port(std::uint16_t port) const noexcept {
        return tables_[10][port >> 8] ^ tables_[11][port & 0xff];
    }

  private:
    template <std::size_t first>
    [[nodiscard]] std::uint32_t word(std::uint32_t value) const noexcept {
        return tables_[first][value >> 24] ^ tables_[first + 1][value >> 16 & 0xff] ^
               tables_[first + 2][value >> 8 & 0xff] ^ tables_[first + 3][value & 0xff];
    }

    std::array<std::array<std::uint32_t, 256>, input_size> tables_;  // 12 KB
};

}  // namespace runnel::wire
