// A histogram of durations or other unsigned values, exact to 1.6 % at any size: 64 linear steps an octave.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace runnel {

/// Counts values (nanoseconds, most often) in about 30 KB, whatever they are. Values below 128 are held
/// exactly, larger ones to 1/64 of themselves; count, least, greatest and mean are exact. To merge histograms
/// gives the very histogram that had recorded all their values. One owner thread.
class Histogram {
  public:
    /// Counts `value` `n` times.
    void record(std::uint64_t value, std::uint64_t n = 1) noexcept {
        if (n == 0) [[unlikely]]
            return;
        counts_[index_of(value)] += n;
        count_ += n;
        sum_ += Wide{value} * n;
        min_ = std::min(min_, value);
        max_ = std::max(max_, value);
    }

    /// Adds all that `other` has recorded.
    void merge(const Histogram& other) noexcept {
        for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
        count_ += other.count_;
        sum_ += other.sum_;
        min_ = std::min(min_, other.min_);
        max_ = std::max(max_, other.max_);
    }

    /// What was recorded since this histogram was as `earlier`. Its least and greatest are those of their
    /// steps, to 1/64, unless `earlier` has recorded nothing.
    [[nodiscard]] Histogram since(const Histogram& earlier) const noexcept {
        if (earlier.count_ == 0) return *this;
        Histogram later;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            later.counts_[i] = counts_[i] - earlier.counts_[i];
            if (later.counts_[i] == 0) continue;
            later.min_ = std::min(later.min_, std::clamp(middle_of(i), min_, max_));
            later.max_ = std::clamp(middle_of(i), min_, max_);
        }
        later.count_ = count_ - earlier.count_;
        later.sum_ = sum_ - earlier.sum_;
        return later;
    }

    /// Forgets all.
    void clear() noexcept { *this = Histogram{}; }

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    /// The least value; 0 where there is none.
    [[nodiscard]] std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
    /// The greatest value; 0 where there is none.
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
    /// 0 where there is no value.
    [[nodiscard]] double mean() const noexcept {
        return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
    }

    /// Values below `value`, exactly where it is a power of two: there a step ends; else to within the step
    /// that it lies in.
    [[nodiscard]] std::uint64_t count_below(std::uint64_t value) const noexcept {
        std::uint64_t below = 0;
        for (std::size_t i = 0, end = index_of(value); i < end; ++i) below += counts_[i];
        return below;
    }

    /// The least value that at least `percent` of a hundred of the values do not exceed, to within 1/64 of
    /// itself. 0 gives the least value and 100 the greatest, both exactly; 0 where there is no value.
    [[nodiscard]] std::uint64_t percentile(double percent) const noexcept {
        if (count_ == 0) return 0;
        if (!(percent > 0)) return min_;
        if (percent >= 100) return max_;
        // A rank that is whole but for rounding is not to be rounded up to the next.
        constexpr double rounding = 1 - 4 * std::numeric_limits<double>::epsilon();
        const double rank = std::ceil(percent * static_cast<double>(count_) / 100 * rounding);
        const std::uint64_t wanted = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(rank), 1, count_);
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen >= wanted) return std::clamp(middle_of(i), min_, max_);
        }
        return max_;
    }

    friend bool operator==(const Histogram&, const Histogram&) noexcept = default;

  private:
    __extension__ using Wide = unsigned __int128;

    static constexpr int step_bits = 6;
    static constexpr std::size_t steps = std::size_t{1} << step_bits;

    /// A value is `mantissa << exponent`, the mantissa of seven bits; below 128 the exponent is 0.
    [[nodiscard]] static constexpr std::size_t index_of(std::uint64_t value) noexcept {
        const auto exponent = static_cast<std::size_t>(std::bit_width(value | steps)) - (step_bits + 1);
        return exponent * steps + static_cast<std::size_t>(value >> exponent);
    }
    [[nodiscard]] static constexpr std::uint64_t middle_of(std::size_t index) noexcept {
        const std::size_t exponent = index < 2 * steps ? 0 : index / steps - 1;
        const std::uint64_t low = std::uint64_t{index - exponent * steps} << exponent;
        return low + (std::uint64_t{1} << exponent) / 2;
    }

    static constexpr std::size_t bucket_count = (64 - step_bits + 1) * steps;

    std::array<std::uint64_t, bucket_count> counts_{};
    std::uint64_t count_ = 0;
    Wide sum_ = 0;
    std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t max_ = 0;
};

}  // namespace runnel
