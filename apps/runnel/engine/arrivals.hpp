// When connections are to be opened: an open-loop schedule that does not wait for answers, so that a slow
// peer cannot hide its slowness (coordinated omission), and that neither runs away nor collapses after a
// stall.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "runnel/base/time.hpp"

#include "engine/profile.hpp"

namespace runnel::load {

/// The arrivals of one core. One owner thread.
///
/// At a constant rate the n-th arrival is intended at start + n / rate; of a profile, at the time by which
/// its rate has brought n; of a Poisson process, at the time by which it has brought as many as n exponential
/// gaps of mean 1 add up to. One that cannot be sent at its time, for a stall or for want of room, stays due
/// and is sent late, with its intended time kept. One that is later than `max_lag` is given up and counted as
/// unsent: after a stall the backlog is at most rate * max_lag, however long the stall was. Without a rate
/// ("max") an arrival is always due: what bounds the sender then is its window of open connections.
class Arrivals {
  public:
    struct Options {
        std::optional<double> rate;            ///< arrivals a second of this core, above 0; nothing: max
        Duration max_lag = 100ms;              ///< an arrival later than this is given up
        std::uint64_t limit = UINT64_MAX;      ///< arrivals in all
        const LoadProfile* profile = nullptr;  ///< in place of `rate`; not owned, outlives the arrivals
        ArrivalProcess process = ArrivalProcess::even;  ///< bursts are always even
        std::uint64_t seed = 1;                         ///< of the Poisson process
    };

    Arrivals(const Options& options, Instant start) noexcept;

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

    /// From `now` on so many a second, nothing: max. What has come due and is not sent stays due; what was
    /// counted stays counted. A profile ends with it, Poisson arrivals stay such.
    void change_rate(std::optional<double> rate, Instant now) noexcept;
    /// Nothing comes due until `resume`; what was due then is, so much later. Once each in turn.
    void pause(Instant now) noexcept;
    void resume(Instant now) noexcept;
    [[nodiscard]] bool paused() const noexcept { return paused_at_ != never; }

    /// Arrivals that came due: those sent and those given up.
    [[nodiscard]] std::uint64_t attempted() const noexcept { return attempted_; }
    /// Of the attempted, those given up.
    [[nodiscard]] std::uint64_t unsent() const noexcept { return unsent_; }
    [[nodiscard]] bool exhausted() const noexcept { return attempted_ >= limit_; }
    /// False at "max".
    [[nodiscard]] bool open_loop() const noexcept { return pace_ != Pace::max; }

  private:
    enum class Pace : std::uint8_t { max, constant, varied };

    std::uint64_t give_up_before(Instant horizon) noexcept {
        if (!open_loop() || next_ >= horizon) [[likely]]
            return 0;
        const std::uint64_t was = attempted_;
        if (pace_ == Pace::constant) {
            // At once, but for the last few: after a long stall, or at a great rate, they are many.
            const double sooner = static_cast<double>((horizon - start_).count()) / interval_ - 2;
            const auto passed = before_ + static_cast<std::uint64_t>(std::clamp(sooner, 0.0, 9e18));
            if (passed > attempted_ + 1 && attempted_ + 1 < limit_) {
                attempted_ = std::min(passed, limit_) - 1;
                step();
            }
        }
        while (next_ < horizon && attempted_ < limit_) step();
        unsent_ += attempted_ - was;
        return attempted_ - was;
    }
    void step() noexcept {
        ++attempted_;
        if (pace_ == Pace::varied) [[unlikely]]
            next_ = varied();
        else
            // From the start each time, not from the last: rounding does not add up.
            next_ =
                start_ +
                Duration{static_cast<Duration::rep>(static_cast<double>(attempted_ - before_) * interval_)};
    }
    /// When arrival `attempted_` is intended; to be called once for each.
    [[nodiscard]] Instant varied() noexcept;
    /// So many seconds behind the start.
    [[nodiscard]] Instant after(double seconds) const noexcept;

    Pace pace_ = Pace::max;
    ArrivalProcess process_;
    double interval_ = 0;  // nanoseconds between arrivals, of a constant rate
    Duration max_lag_;
    std::uint64_t limit_;
    Instant start_;
    Instant next_ = start_;
    std::uint64_t attempted_ = 0;
    std::uint64_t before_ = 0;  // of these, before the rate was changed last
    std::uint64_t unsent_ = 0;
    Instant paused_at_ = never;
    Instant resumed_next_ = never;  // what is next, but for the length of the pause

    const LoadProfile* profile_;
    RatePoint constant_{};     // where there is no profile
    std::size_t segment_ = 0;  // between this point and the next
    double passed_ = 0;        // arrivals that the rate has brought before it
    double position_ = 0;      // by when it has brought so many the next is intended
    std::uint64_t random_;
};

}  // namespace runnel::load
