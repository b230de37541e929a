// A token bucket in virtual time: so many events a second, a few at once (RFC 1812 section 4.3.2.8).
#pragma once

#include <cstdint>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"

namespace runnel::ip {

/// Limits a rate. How many tokens a full bucket holds changes a little, by a secret, each time it fills:
/// whoever counts our errors to learn of packets that others provoked learns less (as against
/// CVE-2020-25705). One owner thread.
class TokenBucket {
  public:
    /// `per_second`: 0 lets nothing pass.
    TokenBucket(std::uint32_t per_second, HashKey key) noexcept
        : interval_(per_second == 0 ? Duration::zero() : Duration{1s} / per_second),
          largest_burst_(per_second < 20     ? 1
                         : per_second < 1000 ? per_second / 20
                                             : 50),
          key_(key),
          allowance_(capacity()) {}

    /// Takes a token; false where there is none.
    [[nodiscard]] bool take(Instant now) noexcept {
        if (interval_ == Duration::zero()) return false;
        if (!started_) {
            started_ = true;
            filled_at_ = now;
        }
        allowance_ += now - filled_at_;
        filled_at_ = now;
        if (allowance_ >= interval_ * std::int64_t{largest_burst_}) {
            ++fillings_;
            allowance_ = capacity();
        }
        if (allowance_ < interval_) return false;
        allowance_ -= interval_;
        return true;
    }

  private:
    // Up to an eighth below the largest burst.
    [[nodiscard]] Duration capacity() const noexcept {
        const auto less =
            static_cast<std::int64_t>(siphash_1_3(key_, fillings_, 0) % (largest_burst_ / 8 + 1));
        return interval_ * (std::int64_t{largest_burst_} - less);
    }

    Duration interval_;
    std::uint32_t largest_burst_;
    HashKey key_;
    std::uint64_t fillings_ = 0;
    Duration allowance_;  // tokens, in the time that it takes to earn them
    Instant filled_at_{};
    bool started_ = false;
};

}  // namespace runnel::ip
