// The rate of a load over time: constant, a ramp, steps, a schedule of points, or bursts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/time.hpp"

namespace runnel::load {

/// How arrivals lie about the rate.
enum class ArrivalProcess : std::uint8_t {
    even,     ///< at equal distances
    poisson,  ///< as of many users who know nothing of one another: exponential gaps, from the seed
};
[[nodiscard]] std::string_view to_string(ArrivalProcess process) noexcept;
[[nodiscard]] std::optional<ArrivalProcess> parse_arrival_process(std::string_view text) noexcept;

/// A rate at a time from the start of the measured window.
struct RatePoint {
    Duration at{};
    double rate = 0;  ///< arrivals a second
    friend bool operator==(const RatePoint&, const RatePoint&) noexcept = default;
};

/// So many arrivals at once, again and again.
struct Burst {
    std::uint64_t count = 0;
    Duration every{};
    friend bool operator==(const Burst&, const Burst&) noexcept = default;
};

/// What is asked for over the measured window. Between two points the rate is that on the line from one to
/// the other; two points of the same time are a jump; after the last point its rate holds on. Bursts have no
/// points.
class LoadProfile {
  public:
    /// Each throws `std::invalid_argument` with the mend in the message.
    [[nodiscard]] static LoadProfile constant(double rate);
    [[nodiscard]] static LoadProfile ramp(double from, double to, Duration over);
    [[nodiscard]] static LoadProfile steps(const std::vector<double>& rates, Duration each);
    [[nodiscard]] static LoadProfile schedule(std::vector<RatePoint> points);
    [[nodiscard]] static LoadProfile bursts(std::uint64_t count, Duration every);

    /// As a person writes it: "50k", "ramp:1k-50k/10s", "steps:10k,20k,30k/5s",
    /// "schedule:0s=1k,10s=50k,20s=50k,20s=5k", "burst:100/10ms". Throws `app::BadQuantity`.
    [[nodiscard]] static LoadProfile parse(std::string_view text);

    [[nodiscard]] const std::vector<RatePoint>& points() const noexcept { return points_; }
    [[nodiscard]] const std::optional<Burst>& burst() const noexcept { return burst_; }
    /// The rate at that time; of bursts their mean.
    [[nodiscard]] double rate_at(Duration at) const noexcept;
    /// The highest in the time from 0 to `until`; of bursts their mean.
    [[nodiscard]] double highest(Duration until) const noexcept;
    /// Arrivals from 0 to `until`.
    [[nodiscard]] double arrivals(Duration until) const noexcept;
    /// The part of core `index` of `cores`.
    [[nodiscard]] LoadProfile share(unsigned cores, unsigned index) const;

    friend bool operator==(const LoadProfile&, const LoadProfile&) noexcept = default;

  private:
    std::vector<RatePoint> points_;
    std::optional<Burst> burst_;
};
/// As `LoadProfile::parse` reads it back.
[[nodiscard]] std::string to_string(const LoadProfile& profile);

}  // namespace runnel::load
