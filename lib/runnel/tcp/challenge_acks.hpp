// The limit on challenge ACKs (RFC 5961 section 7), kept for each connection by itself: a global limit would
// tell one peer what another is being sent (CVE-2016-5696).
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel::tcp {

/// One octet of state: the second (modulo 16) and how many ACKs went out in it. Where the budget of a second
/// was spent and nothing was asked for since, the second that follows 16 s later, or a multiple, finds it
/// spent too: no harm, as challenge ACKs may be withheld at any time.
class ChallengeThrottle {
  public:
    /// Whether one more may be sent at `now`, with at most `per_second` (1 to 15) in a second.
    [[nodiscard]] bool allow(Instant now, std::uint32_t per_second) noexcept {
        const auto second = static_cast<std::uint8_t>(now.time_since_epoch() / 1s & 0xf);
        if (packed_ >> 4 != second) packed_ = static_cast<std::uint8_t>(second << 4);
        if ((packed_ & 0xfU) >= std::min(per_second, 15U)) return false;
        ++packed_;
        return true;
    }

  private:
    std::uint8_t packed_ = 0;
};

}  // namespace runnel::tcp
