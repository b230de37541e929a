// When datagrams are to be sent: before the measured window, in it, and after it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runnel/base/time.hpp"

#include "engine/arrivals.hpp"
#include "engine/distribution.hpp"
#include "engine/profile.hpp"

namespace runnel::load {

/// What a schedule is made of.
struct Pace {
    std::optional<double> rate{};  ///< a second, of a profile the highest; nothing: max
    std::optional<LoadProfile> profile{};
    ArrivalProcess arrivals = ArrivalProcess::even;
    std::uint64_t seed = 1;
    Duration max_lag = 100ms;
    Duration ramp_up{}, ramp{}, duration = 5s, ramp_down{};  ///< as `ClientOptions` has them
    Duration offset{};  ///< so much later than told: flows of one schedule lie between one another
    Distribution sizes = Distribution::fixed(64);  ///< octets of data of a datagram
};
/// As one side tells the other, of at most `most_pace_text` octets.
[[nodiscard]] std::string to_text(const Pace& pace);
/// Throws `std::invalid_argument` where it is no such text.
[[nodiscard]] Pace parse_pace(std::string_view text);
inline constexpr std::size_t most_pace_text = 1200;
/// Datagrams a second that one side may ask another for, of one flow or all that a core serves.
inline constexpr double most_paced_rate = 2e7;

/// The rate climbs to where the window begins, and holds on for the ramp; in the window it is the one asked
/// for; after that it falls to 0, or goes on as it was until told to end. One owner thread. It refers to
/// itself: it stays where it was made.
class PacedSource {
  public:
    PacedSource(const Pace& pace, Instant start);
    PacedSource(const PacedSource&) = delete;
    PacedSource& operator=(const PacedSource&) = delete;

    /// Whether one is to be sent at `now`: then by `sent()`. What is later than the greatest lag is given up.
    [[nodiscard]] bool due(Instant now) noexcept;
    /// When the one that is due was intended.
    [[nodiscard]] Instant intended(Instant now) const noexcept { return arrivals_.intended(now); }
    void sent() noexcept { arrivals_.sent(); }
    /// Before this none is due; to be asked when none is at `now`.
    [[nodiscard]] Instant next(Instant now) const noexcept {
        return part_ == Part::over ? never : std::min(arrivals_.intended(now), end_of_part());
    }
    /// From now on none.
    void end(Instant now) noexcept;

    /// As `Arrivals` has them, over all parts: from now on so many a second, nothing: max; none until
    /// `resume`.
    void change_rate(std::optional<double> rate, Instant now);
    void pause(Instant now) noexcept;
    void resume(Instant now) noexcept;

    [[nodiscard]] bool open_loop() const noexcept { return arrivals_.open_loop(); }
    /// Of the window, which ends at `window_end` and not after.
    [[nodiscard]] bool in_window(Instant intended) const noexcept {
        return intended >= window_begin_ && intended < window_end_;
    }
    [[nodiscard]] Instant window_begin() const noexcept { return window_begin_; }
    [[nodiscard]] Instant window_end() const noexcept { return window_end_; }

    /// Came due, and of these were given up; those given up outside the window count in neither.
    [[nodiscard]] std::uint64_t planned() const noexcept;
    [[nodiscard]] std::uint64_t unsent() const noexcept;

  private:
    enum class Part : std::uint8_t { lead, window, tail, over };
    [[nodiscard]] Arrivals arrivals_of(const LoadProfile* profile, std::uint64_t limit,
                                       Instant start) const noexcept;
    void leave(Instant end) noexcept;
    [[nodiscard]] Instant end_of_part() const noexcept {
        return part_ == Part::lead ? window_begin_ : part_ == Part::window ? window_end_ : tail_end_;
    }

    Pace pace_;
    std::optional<LoadProfile> before_, after_;
    Instant window_begin_, window_end_, tail_end_;
    Part part_ = Part::lead;
    Arrivals arrivals_;
    std::uint64_t planned_ = 0, unsent_ = 0;  // of the parts that are over
};

}  // namespace runnel::load
