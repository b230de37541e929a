// Identifications of packets that are, or may be, cut: not to be foretold, and none again soon (RFC 6864, RFC
// 7739).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/ip/peer_cores.hpp"

namespace runnel::ip {

/// Each sequence of ids is a permutation of all, in an order that only the key knows: a counter through a
/// Feistel cipher. IPv4 has one for each of so many classes of source, destination and protocol, in which an
/// id comes again after 65,536 packets at the earliest; IPv6 has one for all. Cores with the same key share
/// the numbers that are counted evenly, so that no two send the same id before either starts anew. One owner
/// thread.
class PacketIds {
  public:
    explicit PacketIds(HashKey key, CorePlace place = {}) noexcept
        : key_(key),
          share_ipv4_(std::uint32_t{65536} / place.count),
          share_ipv6_(std::numeric_limits<std::uint32_t>::max() / place.count),
          first_ipv4_(share_ipv4_ * place.core),
          first_ipv6_(share_ipv6_ * place.core) {}

    [[nodiscard]] std::uint16_t ipv4(Ipv4Address source, Ipv4Address destination,
                                     std::uint8_t protocol) noexcept {
        const std::uint64_t pair = std::uint64_t{source.value} << 32 | destination.value;
        const std::size_t which = siphash_1_3(key_, pair, protocol) % class_count;
        std::uint16_t& made = made_ipv4_[which];
        const std::uint32_t number = first_ipv4_ + made;
        made = static_cast<std::uint16_t>((made + 1U) % share_ipv4_);
        return static_cast<std::uint16_t>(permuted(number, 8, which + 1));
    }
    [[nodiscard]] std::uint32_t ipv6() noexcept {
        const std::uint32_t number = first_ipv6_ + made_ipv6_;
        made_ipv6_ = (made_ipv6_ + 1) % share_ipv6_;
        return permuted(number, 16, 0);
    }

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
    std::uint32_t share_ipv4_, share_ipv6_;  // how many numbers this core has
    std::uint32_t first_ipv4_, first_ipv6_;
    std::array<std::uint16_t, class_count> made_ipv4_{};
    std::uint32_t made_ipv6_ = 0;
};

}  // namespace runnel::ip
