// The retransmission time-out (RFC 6298) and its round-trip estimate.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/config.hpp"

namespace runnel::tcp {

/// Smoothed round-trip time and its variation, in microseconds scaled by 8 and 4, so that the gains of 1/8
/// and 1/4 are shifts. Zero `srtt_8`: no sample yet.
struct RoundTrip {
    std::uint32_t srtt_8 = 0;
    std::uint32_t rttvar_4 = 0;

    [[nodiscard]] constexpr bool has_sample() const noexcept { return srtt_8 != 0; }

    /// Takes a sample (RFC 6298 sections 2.2 and 2.3).
    constexpr void sample(std::uint32_t microseconds) noexcept {
        // Beyond 2^28 us (268 s) the scaled sum would not fit; no clamp of the RTO reaches so far.
        const auto r = static_cast<std::int32_t>(std::clamp(microseconds, 1U, (1U << 28) - 1));
        if (!has_sample()) {
            srtt_8 = static_cast<std::uint32_t>(r) * 8;
            rttvar_4 = static_cast<std::uint32_t>(r) * 2;
            return;
        }
        const std::int32_t error = r - static_cast<std::int32_t>(srtt_8 / 8);
        const std::int32_t deviation = error < 0 ? -error : error;
        rttvar_4 = static_cast<std::uint32_t>(static_cast<std::int32_t>(rttvar_4) + deviation -
                                              static_cast<std::int32_t>(rttvar_4 / 4));
        srtt_8 = static_cast<std::uint32_t>(static_cast<std::int32_t>(srtt_8) + error);
    }
};

/// The time-out for `estimate`, doubled `backoff` times (RFC 6298 sections 2 and 5.5). Without a sample it is
/// 1 s, or 3 s where the handshake needed a retransmission (section 5.7).
[[nodiscard]] constexpr Duration retransmission_timeout(const Config& config, RoundTrip estimate,
                                                        std::uint8_t backoff,
                                                        bool handshake_retransmitted) noexcept {
    Duration rto = handshake_retransmitted ? Duration{3s} : Duration{1s};
    if (estimate.has_sample()) {
        // G, the clock's granularity, is below the 1 us that max() sees here.
        const Duration margin = std::chrono::microseconds{estimate.rttvar_4};
        rto = std::chrono::microseconds{estimate.srtt_8 / 8} + std::max(margin, config.min_rto);
    }
    for (std::uint8_t i = 0; i < backoff && rto < config.max_rto; ++i) rto *= 2;
    return std::min(rto, config.max_rto);
}

}  // namespace runnel::tcp
