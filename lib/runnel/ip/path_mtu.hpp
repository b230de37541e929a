// The destinations to which a path is known that takes less than the interface does (RFC 1191, RFC 8201).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/base/counters.hpp"
#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"

namespace runnel::ip {

/// The largest MTU of those in use that lies below `size` octets (RFC 1191 section 7.1); 68 where none does.
[[nodiscard]] std::uint16_t plateau_below(std::uint16_t size) noexcept;

/// A bounded table: a new destination takes the place of the one in its bucket that was told of longest ago.
/// What is known holds for a time, and is then forgotten (RFC 1191 section 6.3). One owner thread; allocates
/// when constructed only.
class PathMtuTable {
  public:
    /// `config` has been validated. `key` keeps others from aiming collisions at the table. `counters` is not
    /// owned and outlives it.
    PathMtuTable(const Config& config, HashKey key, Counters& counters);

    /// The lesser of what the path to `destination` and `interface_mtu` take, in octets.
    [[nodiscard]] std::uint16_t mtu_for(const IpAddress& destination, std::uint16_t interface_mtu,
                                        Instant now) const noexcept {
        if (now >= last_expiry_) [[likely]]
            return interface_mtu;
        return look_up(destination, interface_mtu, now);
    }
    /// A router has said that the path takes `mtu` octets. Never raises; of IPv4 not below the floor of the
    /// configuration, and what lies below that of IPv6 is no word at all (RFC 8201 section 4). Returns what
    /// holds from now on.
    std::uint16_t lower(const IpAddress& destination, std::uint16_t interface_mtu, std::uint16_t mtu,
                        Instant now) noexcept;

  private:
    // A destination is known by a keyed digest of its address.
    struct Entry {
        std::uint32_t digest = 0;
        std::uint16_t mtu = 0;
        Instant expires{};
    };
    static constexpr std::size_t bucket_size = 4;
    struct alignas(64) Bucket {
        std::array<Entry, bucket_size> entries{};
    };
    static_assert(sizeof(Bucket) == 64);

    [[nodiscard]] std::uint16_t look_up(const IpAddress& destination, std::uint16_t interface_mtu,
                                        Instant now) const noexcept;
    struct Place {
        std::size_t bucket;
        std::uint32_t digest;
    };
    [[nodiscard]] Place place_of(const IpAddress& destination) const noexcept {
        const Ipv6Address words = destination.v6();
        const std::uint64_t hash = siphash_1_3(key_, words.high() ^ 0x6d74'75, words.low());
        return {static_cast<std::size_t>(hash >> 32) % buckets_.size(), static_cast<std::uint32_t>(hash)};
    }

    HashKey key_;
    Counters& counters_;
    std::uint16_t floor_;
    Duration lifetime_;
    Instant last_expiry_{Instant::min()};  // from then on nothing is known
    std::vector<Bucket> buckets_;
};

/// What is known of paths, by whom it was told.
struct PathMtus {
    PathMtuTable proven;  ///< of a segment that TCP knows to have sent (RFC 5927)
    PathMtuTable
        datagrams;  ///< of a datagram or echo reply, which anybody may claim: it holds for these alone

    /// What a datagram to `destination` may take, in octets.
    [[nodiscard]] std::uint16_t for_datagrams(const IpAddress& destination, std::uint16_t interface_mtu,
                                              Instant now) const noexcept {
        return datagrams.mtu_for(destination, proven.mtu_for(destination, interface_mtu, now), now);
    }
};

}  // namespace runnel::ip
