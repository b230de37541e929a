// Which of two timestamps is older, and for how long one can be believed (RFC 7323 sections 5.2 and 5.5).
#pragma once

#include <chrono>
#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel::tcp {

/// Modulo 2^32, as sequence numbers compare.
[[nodiscard]] constexpr bool older_timestamp(std::uint32_t a, std::uint32_t b) noexcept {
    return static_cast<std::int32_t>(a - b) < 0;
}

/// The clock of `Tcb::ts_recent_age`: units of 2^42 ns. It errs by one of them, 73 minutes, and comes round
/// after nine years.
[[nodiscard]] constexpr std::uint16_t timestamp_age_clock(Instant now) noexcept {
    return static_cast<std::uint16_t>(now.time_since_epoch().count() >> 42);
}
/// After 24 days TS.Recent is no longer to be believed, in the same units.
inline constexpr std::uint16_t outdated_timestamp = std::chrono::nanoseconds{24h * 24}.count() >> 42;

}  // namespace runnel::tcp
