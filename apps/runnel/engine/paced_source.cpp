// See paced_source.hpp.
#include "engine/paced_source.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "engine/rate_around.hpp"

namespace runnel::load {

std::string to_text(const Pace& pace) {
    std::string rate = "max";
    if (pace.profile)
        rate = to_string(*pace.profile);
    else if (pace.rate)
        rate = fmt::format("{:.17g}", *pace.rate);
    return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", rate, to_string(pace.arrivals), pace.seed,
                       pace.max_lag.count(), pace.ramp_up.count(), pace.ramp.count(), pace.duration.count(),
                       pace.ramp_down.count(), pace.offset.count(), sizes_to_string(pace.sizes));
}

Pace parse_pace(std::string_view text) {
    std::array<std::string_view, 10> lines;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::size_t end = text.find('\n');
        if ((end == std::string_view::npos) != (i + 1 == lines.size()))
            throw std::invalid_argument("a schedule has ten lines");
        lines[i] = text.substr(0, end);
        if (end != std::string_view::npos) text.remove_prefix(end + 1);
    }
    const auto number = [](std::string_view from, auto least, auto most) {
        auto value = least;
        const auto [end, error] = std::from_chars(from.data(), from.data() + from.size(), value);
        if (error != std::errc{} || end != from.data() + from.size() || !(value >= least) || !(value <= most))
            throw std::invalid_argument("a number of the schedule is none, or out of range");
        return value;
    };
    const auto time = [&](std::string_view from) {
        constexpr Duration::rep most = std::chrono::nanoseconds{24h * 366}.count();
        return Duration{number(from, Duration::rep{0}, most)};
    };
    constexpr double fastest = most_paced_rate;
    Pace pace;
    if (lines[0].find(':') != std::string_view::npos)
        pace.profile = LoadProfile::parse(lines[0]);
    else if (lines[0] != "max")
        pace.rate = std::max(number(lines[0], 0.0, fastest), 1e-3);
    const auto process = parse_arrival_process(lines[1]);
    if (!process) throw std::invalid_argument("no such arrival process");
    pace.arrivals = *process;
    pace.seed = number(lines[2], std::uint64_t{0}, UINT64_MAX);
    pace.max_lag = time(lines[3]);
    pace.ramp_up = time(lines[4]);
    pace.ramp = time(lines[5]);
    pace.duration = time(lines[6]);
    pace.ramp_down = time(lines[7]);
    pace.offset = time(lines[8]);
    pace.sizes = parse_sizes(lines[9]);
    if (pace.profile) {
        const auto& burst = pace.profile->burst();
        const double highest =
            burst ? static_cast<double>(burst->count) * 1e9 / static_cast<double>(burst->every.count())
                  : pace.profile->highest(pace.duration);
        constexpr std::uint64_t most_at_once = 1'000'000;
        if (!(highest <= fastest) || (burst && burst->count > most_at_once))
            throw std::invalid_argument("a schedule is faster than a core can follow");
        pace.rate = std::max(highest, 1e-3);
    }
    return pace;
}

PacedSource::PacedSource(const Pace& pace, Instant start)
    : pace_(pace),
      window_begin_(start + pace.ramp_up + pace.ramp),
      window_end_(window_begin_ + pace.duration),
      tail_end_(pace.ramp_down > 0s ? window_end_ + pace.ramp_down : never),
      arrivals_({}, start) {
    RateAround around =
        RateAround::of(pace_.rate, pace_.profile, pace_.duration, pace_.ramp_up, pace_.ramp_down);
    before_ = std::move(around.before);
    after_ = std::move(around.after);
    // A profile that begins with 0 has nothing before it.
    arrivals_ = arrivals_of(before_ ? &*before_ : nullptr, pace_.rate && !before_ ? 0 : UINT64_MAX,
                            start + pace_.offset);
}

Arrivals PacedSource::arrivals_of(const LoadProfile* profile, std::uint64_t limit,
                                  Instant start) const noexcept {
    return Arrivals({.rate = pace_.rate,
                     .max_lag = pace_.max_lag,
                     .limit = limit,
                     .profile = profile,
                     .process = pace_.arrivals,
                     .seed = pace_.seed},
                    start);
}

// What came due before `end` and was not sent is given up.
void PacedSource::leave(Instant end) noexcept {
    arrivals_.finish(end);
    const bool counts = part_ == Part::window;
    planned_ += arrivals_.attempted() - (counts ? 0 : arrivals_.unsent());
    unsent_ += counts ? arrivals_.unsent() : 0;
}

bool PacedSource::due(Instant now) noexcept {
    for (;;) {
        if (part_ == Part::over) return false;
        const Instant end = end_of_part();
        arrivals_.finish(std::min(now - pace_.max_lag, end));
        const Instant next = arrivals_.intended(now);
        if (arrivals_.due(now) && next < end) return true;
        // What belongs to this part and is not due yet would come due before its end.
        if (now < end) return false;
        leave(end);
        const bool paused = arrivals_.paused();
        if (part_ == Part::lead) {
            part_ = Part::window;
            arrivals_ = arrivals_of(pace_.profile ? &*pace_.profile : nullptr, UINT64_MAX,
                                    window_begin_ + pace_.offset);
        } else if (part_ == Part::window) {
            part_ = Part::tail;
            arrivals_ = arrivals_of(after_ ? &*after_ : nullptr, pace_.rate && !after_ ? 0 : UINT64_MAX,
                                    window_end_ + pace_.offset);
        } else {
            part_ = Part::over;
        }
        if (paused) arrivals_.pause(now);
    }
}

void PacedSource::end(Instant now) noexcept {
    if (part_ == Part::over) return;
    leave(part_ == Part::window ? std::min(now, window_end_) : now);
    window_end_ = std::min(window_end_, std::max(now, window_begin_));
    part_ = Part::over;
}

void PacedSource::change_rate(std::optional<double> rate, Instant now) {
    arrivals_.change_rate(rate, now);
    pace_.rate = rate;
    pace_.profile.reset();
    before_.reset();
    after_.reset();
    if (rate)
        after_ = pace_.ramp_down > 0s ? LoadProfile::ramp(*rate, 0, pace_.ramp_down)
                                      : LoadProfile::constant(*rate);
}

void PacedSource::pause(Instant now) noexcept {
    arrivals_.pause(now);
}

void PacedSource::resume(Instant now) noexcept {
    arrivals_.resume(now);
}

std::uint64_t PacedSource::planned() const noexcept {
    if (part_ == Part::over) return planned_;
    return planned_ + arrivals_.attempted() - (part_ == Part::window ? 0 : arrivals_.unsent());
}

std::uint64_t PacedSource::unsent() const noexcept {
    return unsent_ + (part_ == Part::window ? arrivals_.unsent() : 0);
}

}  // namespace runnel::load
