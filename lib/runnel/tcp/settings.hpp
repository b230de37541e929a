// What an application may ask for a connection beyond the stack's configuration.
#pragma once

#include <cstdint>
#include <optional>

#include "runnel/base/time.hpp"
#include "runnel/tcp/config.hpp"

namespace runnel::tcp {

/// Keep-alive probes (RFC 9293 section 3.8.4): an idle connection asks now and then whether the peer is still
/// there. Off unless asked for (MUST-24, MUST-25).
struct KeepAlive {
    Duration idle = 2h;  ///< without a segment from the peer before the first probe (MUST-28); 1 s at least
    Duration interval = 75s;  ///< between unanswered probes; 1 s at least
    std::uint8_t probes = 9;  ///< unanswered before the connection is given up; 1 at least (MUST-29)
    friend bool operator==(const KeepAlive&, const KeepAlive&) noexcept = default;
};

/// Settings of a connection, or of all that a listener accepts. Connections with the same settings share
/// them; a stack knows 255 different ones at a time.
struct Settings {
    std::optional<CongestionAlgorithm> congestion{};  ///< nothing: the configuration's
    std::optional<KeepAlive> keep_alive{};            ///< nothing: none
    Duration user_timeout{};  ///< how long sent data may stay unacknowledged (R2; RFC 9293 MUST-21); 0: the
                              ///< configuration's
    Duration fin_wait_2_timeout{};  ///< as the configuration's; 0: that
    std::uint8_t dscp = 0;  ///< differentiated services code point of every packet, 0 to 63 (RFC 2474)
    std::uint8_t ttl = 0;   ///< 0: the configuration's
    std::uint16_t mss = 0;  ///< most octets a segment carries, options counted, either way: announced with
                            ///< the SYN, so to be set before; 64 at least, 0: what the link takes
    friend bool operator==(const Settings&, const Settings&) noexcept = default;
};

/// Whether each setting is in its range.
[[nodiscard]] constexpr bool valid(const Settings& settings) noexcept {
    const bool keep_alive =
        !settings.keep_alive || (settings.keep_alive->idle >= 1s && settings.keep_alive->interval >= 1s &&
                                 settings.keep_alive->probes >= 1);
    return keep_alive && (settings.mss == 0 || settings.mss >= 64) &&
           settings.fin_wait_2_timeout >= Duration{} && settings.dscp < 64 &&
           settings.user_timeout >= Duration{};
}

}  // namespace runnel::tcp
