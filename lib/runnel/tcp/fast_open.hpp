// TCP Fast Open (RFC 7413): the cookies that a server gives out and believes, how many connections it lets
// begin on their strength alone, and the cookies that a client keeps.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/wire/tcp_options.hpp"

namespace runnel::tcp {

/// The cookies of a server: a keyed hash of the client's address, whose key changes with time; or, under a
/// key that servers share, of both addresses, as Linux makes them, good as long as the key. Nothing is kept
/// (RFC 7413 section 4.1.2).
class FastOpenCookies {
  public:
    /// A cookie is good in the slot in which it was made and in the next.
    static constexpr Duration slot_length = 1h;

    explicit FastOpenCookies(HashKey key, std::optional<HashKey> shared = {}) noexcept
        : key_(shared.value_or(key)), shared_(shared.has_value()) {}

    /// The cookie for a client of a server, of eight octets.
    [[nodiscard]] wire::FastOpenCookie make(const IpAddress& client, const IpAddress& server,
                                            Instant now) const noexcept {
        return cookie(client, server, slot_of(now));
    }
    enum class Verdict : std::uint8_t { wrong, good, old };
    /// Whether the cookie is the client's; `old`: good, and soon no longer, so that a new one is due.
    [[nodiscard]] Verdict check(const wire::FastOpenCookie& given, const IpAddress& client,
                                const IpAddress& server, Instant now) const noexcept;

  private:
    [[nodiscard]] static constexpr std::uint64_t slot_of(Instant now) noexcept {
        return static_cast<std::uint64_t>(now.time_since_epoch() / slot_length);
    }
    [[nodiscard]] wire::FastOpenCookie cookie(const IpAddress& client, const IpAddress& server,
                                              std::uint64_t slot) const noexcept;

    HashKey key_;
    bool shared_;
};

/// How many connections may be served before their handshake is complete (RFC 7413 section 5.1): whoever can
/// send from anywhere replays cookies that it has seen. One that was reset counts on for a time, or RSTs
/// would make room for more.
class PendingFastOpens {
  public:
    static constexpr Duration reset_counts_for = 60s;

    /// Allocates when constructed only. `limit`: 0 lets none begin.
    explicit PendingFastOpens(std::uint32_t limit) : limit_(limit) { resets_.resize(limit); }

    /// Takes a place; false where all are taken.
    [[nodiscard]] bool begin(Instant now) noexcept;
    /// The handshake is complete, or was given up.
    void end() noexcept { --pending_; }
    /// The peer has reset the connection before.
    void reset(Instant now) noexcept;
    [[nodiscard]] std::uint32_t limit() const noexcept { return limit_; }
    [[nodiscard]] std::uint32_t pending() const noexcept { return pending_; }

  private:
    std::uint32_t limit_;
    std::uint32_t pending_ = 0;
    std::vector<Instant> resets_;  // a ring: when each ceases to count
    std::size_t first_reset_ = 0;
    std::size_t reset_count_ = 0;
};

/// What a client knows of servers (RFC 7413 section 4.1.3). Bounded: a new server takes the place of the one
/// in its bucket that was heard of longest ago.
class FastOpenCache {
  public:
    /// How long a server to which a SYN with Fast Open was lost, or that has none, is left alone.
    static constexpr Duration retry_after = 1h;

    struct Known {
        wire::FastOpenCookie cookie{};  ///< empty: to be asked for
        std::uint16_t mss = 0;          ///< that the server announced
        bool refused = false;           ///< Fast Open is not to be tried now
    };

    /// `servers`: how many are remembered, 0: none. `key` keeps others from aiming collisions. Allocates when
    /// constructed only.
    FastOpenCache(std::uint32_t servers, HashKey key)
        : key_(key), entries_((servers + bucket_size - 1) / bucket_size * bucket_size) {}

    [[nodiscard]] Known find(Ipv4Address server, Instant now) const noexcept;
    void store(Ipv4Address server, const wire::FastOpenCookie& cookie, std::uint16_t mss,
               Instant now) noexcept;
    /// Fast Open does not work to there: not to be tried for a while.
    void refuse(Ipv4Address server, Instant now) noexcept;

  private:
    struct Entry {
        std::uint32_t server = 0;
        std::uint16_t mss = 0;
        wire::FastOpenCookie cookie{};
        Instant told{Instant::min()};
        Instant refused_until{Instant::min()};
    };
    static constexpr std::size_t bucket_size = 4;

    [[nodiscard]] std::size_t bucket_of(Ipv4Address server) const noexcept {
        return siphash_1_3(key_, server.value, 0x7466'6f) % (entries_.size() / bucket_size) * bucket_size;
    }
    [[nodiscard]] Entry* entry_for(Ipv4Address server, Instant now) noexcept;

    HashKey key_;
    std::vector<Entry> entries_;
};

}  // namespace runnel::tcp
