// Identifications of packets that are, or may be, cut: not to be foretold, and none again soon (RFC 6864, RFC
// 7739).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"

namespace runnel::ip {

/// Each sequence of ids is a permutation of all, in an order that only the key knows: a counter through a
/// Feistel cipher. IPv4 has one for each of so many classes of source, destination and protocol, in which an
/// id comes again after 65,536 packets at the earliest; IPv6 has one for all. One owner thread.
class PacketIds {
  public:
    explicit PacketIds(HashKey key) noexcept : key_(key) {}

    [[nodiscard]] std::uint16_t ipv4(Ipv4Address source, Ipv4Address destination,
                                     std::uint8_t protocol) noexcept {
        const std::uint64_t pair = std::uint64_t{source.value} << 32 | destination.value;
        const std::size_t which = siphash_1_3(key_, pair, protocol) % class_count;
        return static_cast<std::uint16_t>(permuted(made_ipv4_[which]++, 8, which + 1));
    }
    [[nodiscard]] std::uint32_t ipv6() noexcept { return permuted(made_ipv6_++, 16, 0); }

  private:
    static constexpr std::size_t class_count = 1024;

    // Of 2 * `bits` bits. Four rounds of a keyed function make it one (M. Luby and C. Rackoff, 1988).
    [[nodiscard]] std::uint32_t permuted(std::uint32_t number, unsigned bits,
                                         std::uint64_t which) const noexcept {
        const std::uint32_t mask = (std::uint32_t{1} << bits) - 1;
        std::uint32_t left = number >> bits, right = number & mask;
        for (std::uint64_t round = 0; round < 4; ++round) {
            const auto mixed = static_cast<std::uint32_t>(
                siphash_1_3(key_, which << 8 | round, right ^ 0x6970'6964'0000'0000));
            const std::uint32_t next = left ^ (mixed & mask);
            left = right;
            right = next;
        }
        return left << bits | right;
    }

    HashKey key_;
    std::array<std::uint16_t, class_count> made_ipv4_{};
    std::uint32_t made_ipv6_ = 0;
};

}  // namespace runnel::ip
