// When connections are to be opened: an open-loop schedule that does not wait for answers, so that a slow
// peer cannot hide its slowness (coordinated omission), and that neither runs away nor collapses after a
// stall.
#pragma once

#include <cstdint>
#include <optional>

#include "runnel/base/time.hpp"

namespace runnel::load {

/// The arrivals of one core. One owner thread.
///
/// At a constant rate the n-th arrival is intended at start + n / rate. One that cannot be sent at its time,
/// for a stall or for want of room, stays due and is sent late, with its intended time kept. One that is
/// later than `max_lag` is given up and counted as unsent: after a stall the backlog is at most rate *
/// max_lag, however long the stall was. Without a rate ("max") an arrival is always due: what bounds the
/// sender then is its window of open connections.
class Arrivals {
  public:
    struct Options {
        std::optional<double> rate;        ///< arrivals a second of this core, above 0; nothing: max
        Duration max_lag = 100ms;          ///< an arrival later than this is given up
        std::uint64_t limit = UINT64_MAX;  ///< arrivals in all
    };

    Arrivals(const Options& options, Instant start) noexcept
        : interval_(options.rate ? 1e9 / *options.rate : 0.0),
          max_lag_(options.max_lag),
          limit_(options.limit),
          start_(start) {}

    /// Whether an arrival is due at `now`. The caller that could send it says `sent()`.
    [[nodiscard]] bool due(Instant now) const noexcept { return attempted_ < limit_ && next_ <= now; }
    /// When the arrival that is due was intended. At "max" that is the moment it is sent.
    [[nodiscard]] Instant intended(Instant now) const noexcept { return open_loop() ? next_ : now; }
    void sent() noexcept { step(); }

    /// Gives up what is later than `max_lag` at `now`; returns how many. To be called once a poll.
    std::uint64_t give_up(Instant now) noexcept { return give_up_before(now - max_lag_); }
    /// No arrival is sent any more: what was intended before `end` and is not sent is given up. Returns how
    /// many.
    std::uint64_t finish(Instant end) noexcept { return give_up_before(end); }

    /// Arrivals that came due: those sent and those given up.
    [[nodiscard]] std::uint64_t attempted() const noexcept { return attempted_; }
    /// Of the attempted, those given up.
    [[nodiscard]] std::uint64_t unsent() const noexcept { return unsent_; }
    [[nodiscard]] bool exhausted() const noexcept { return attempted_ >= limit_; }
    /// False at "max".
    [[nodiscard]] bool open_loop() const noexcept { return interval_ != 0.0; }

  private:
    std::uint64_t give_up_before(Instant horizon) noexcept {
        if (!open_loop() || next_ >= horizon) [[likely]]
            return 0;
        std::uint64_t n = 0;
        while (next_ < horizon && attempted_ < limit_) {
            step();
            ++n;
        }
        unsent_ += n;
        return n;
    }
    void step() noexcept {
        ++attempted_;
        // From the start each time, not from the last: rounding does not add up.
        next_ = start_ + Duration{static_cast<Duration::rep>(static_cast<double>(attempted_) * interval_)};
    }

    double interval_;  // nanoseconds between arrivals; 0: max
    Duration max_lag_;
    std::uint64_t limit_;
    Instant start_;
    Instant next_ = start_;
    std::uint64_t attempted_ = 0;
    std::uint64_t unsent_ = 0;
};

}  // namespace runnel::load
