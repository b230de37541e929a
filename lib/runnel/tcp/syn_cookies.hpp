// SYN cookies (RFC 4987 section 3.6): an initial sequence number from which the third segment alone brings
// the whole half-open connection back, so that a flood of SYNs finds nothing to fill.
//
//     31                                3 2     0
//    +-----------------------------------+-------+
//    |  29 bits of SipHash-2-4 under a   | index |   of the MSS in a table of eight
//    |  key of its own                   |       |
//    +-----------------------------------+-------+
//
// Hashed are the four-tuple, the peer's ISN, the index and the number of the time slot of 64 s. Those of the
// present slot and of the one before are good: a cookie lives 64 to 128 s, and a blind ACK hits one in 2^28
// times. The key lives as long as the start.
//
// What the SYN offered besides its MSS comes back with the peer's timestamps, in the low six bits of the
// SYN-ACK's TSval: window scale, SACK, ECN. Where the peer has no timestamps it gets neither window scale nor
// SACK.
//
// What a cookie cannot do: its SYN-ACK is never sent again (a lost one costs the peer a retransmission of its
// SYN). Where the third ACK is lost, data of the peer completes the handshake, but it must be the first of
// its data, and a service that speaks first stays silent. A third segment that comes again within the
// cookie's life, when its connection has ended and is not in TIME-WAIT, opens it again, as nobody remembers.
// A cookie has no clock (RFC 6528 section 3): the numbers of one four-tuple do not grow, and old duplicates
// are kept out by timestamps alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/seq_num.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/flow.hpp"

namespace runnel::tcp {

/// What a SYN offers that only timestamps can carry back.
struct CookieOptions {
    std::uint8_t snd_wscale = 0;  ///< 0 to 14
    bool window_scaling = false;
    bool sack_permitted = false;
    bool ecn = false;  ///< the SYN asked for ECN (RFC 3168 section 6.1.1)

    friend constexpr bool operator==(const CookieOptions&, const CookieOptions&) noexcept = default;
};

/// Low bits of a TSval that hold `CookieOptions`: 64 ticks of the timestamp clock.
inline constexpr unsigned cookie_option_bits = 6;

/// The latest TSval that is not after `ts_now` and holds the options: at most 63 ticks before it, so that the
/// timestamps of the connection never go back.
[[nodiscard]] std::uint32_t timestamp_with(const CookieOptions& options, std::uint32_t ts_now) noexcept;
/// What a TSval made by `timestamp_with` holds. All others say something too: what no shift is (15) counts as
/// none.
[[nodiscard]] CookieOptions options_in_timestamp(std::uint32_t ts_value) noexcept;

class SynCookies {
  public:
    /// A cookie is good in the slot in which it was made and in the next.
    static constexpr Duration slot_length = 64s;
    /// The MSS that a cookie keeps is the largest of these that is not above the peer's: 536 is the default
    /// (RFC 9293 MUST-15), 1220 fits the least IPv6 MTU, 1360 and 1400 the usual tunnels, 1440 PPPoE and
    /// IPv6's 1500, 1460 Ethernet, 8960 jumbo frames. Index 0 is `tcp::Config::min_peer_mss`, for the few
    /// below 536: no segment may be larger than the peer said (RFC 9293 MUST-16).
    static constexpr std::array<std::uint16_t, 8> mss_table{0, 536, 1220, 1360, 1400, 1440, 1460, 8960};

    SynCookies(HashKey key, std::uint16_t min_peer_mss) noexcept : key_(key), min_peer_mss_(min_peer_mss) {}

    /// The ISN of the SYN-ACK that answers a SYN numbered `irs` of a peer that takes `peer_mss` octets.
    [[nodiscard]] SeqNum make(const Flow& flow, SeqNum irs, std::uint16_t peer_mss, Instant now) noexcept;
    /// Whether a cookie may still be good. Where none was made of late an ACK costs no hash.
    [[nodiscard]] bool outstanding(Instant now) const noexcept {
        return made_any_ && slot_of(now) - last_slot_ <= 1;
    }
    /// The peer's MSS where `cookie` was made for this flow and `irs` of late; else nothing.
    [[nodiscard]] std::optional<std::uint16_t> check(const Flow& flow, SeqNum irs, SeqNum cookie,
                                                     Instant now) const noexcept;

  private:
    [[nodiscard]] static constexpr std::uint64_t slot_of(Instant now) noexcept {
        return static_cast<std::uint64_t>(now.time_since_epoch() / slot_length);
    }
    [[nodiscard]] std::uint16_t mss_of(std::uint32_t index) const noexcept {
        return index == 0 ? min_peer_mss_ : mss_table[index];
    }
    [[nodiscard]] SeqNum cookie(const Flow& flow, SeqNum irs, std::uint64_t slot,
                                std::uint32_t index) const noexcept;

    HashKey key_;
    std::uint16_t min_peer_mss_;
    bool made_any_ = false;
    std::uint64_t last_slot_ = 0;
};

}  // namespace runnel::tcp
