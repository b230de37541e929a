// Values that differ from draw to draw: sizes, think times, delays of a server. What is drawn is computed
// before the start, so that a draw costs one load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/time.hpp"

namespace runnel::load {

/// Where values lie. They have no unit of their own: octets, or nanoseconds.
class Distribution {
  public:
    enum class Kind : std::uint8_t { fixed, uniform, exponential, lognormal, pareto, listed };
    /// One of a list, and how many times as often as one of weight 1 it comes.
    struct Listed {
        double value = 0, weight = 1;
    };

    /// Always 0.
    Distribution() noexcept = default;
    /// Each throws `std::invalid_argument` where a parameter cannot be; the message says which could.
    [[nodiscard]] static Distribution fixed(double value);
    [[nodiscard]] static Distribution uniform(double least, double most);
    [[nodiscard]] static Distribution exponential(double mean);
    /// `sigma`: of the logarithm, above 0, such as 0.5.
    [[nodiscard]] static Distribution lognormal(double median, double sigma);
    /// `shape` above 1, such as 1.3: the smaller, the heavier the tail.
    [[nodiscard]] static Distribution pareto(double least, double shape);
    [[nodiscard]] static Distribution listed(std::vector<Listed> values);

    [[nodiscard]] Kind kind() const noexcept { return kind_; }
    [[nodiscard]] bool is_fixed() const noexcept { return kind_ == Kind::fixed; }
    /// Fixed at 0: nothing was asked for.
    [[nodiscard]] bool is_zero() const noexcept { return is_fixed() && first_ == 0; }
    /// The value that a share `p` of the draws, above 0 and below 1, does not exceed.
    [[nodiscard]] double quantile(double p) const noexcept;
    /// Least and greatest value that `Draws` gives.
    [[nodiscard]] double least() const noexcept;
    [[nodiscard]] double most() const noexcept;

    friend bool operator==(const Distribution&, const Distribution&) noexcept = default;

  private:
    friend std::string to_string(const Distribution&, std::string (*)(double));

    Kind kind_ = Kind::fixed;
    double first_ = 0, second_ = 0;  // as the functions above name them, in their order
    std::vector<double> values_;     // of `listed`, with the share up to and including each
    std::vector<double> shares_;
};

/// Reads how a person writes it, each value as `read` does, which throws `app::BadQuantity`, as this does:
///
///     64                      always the same
///     64,576,1500             each of these as often
///     64*7,576*4,1500         the first seven times as often as the last
///     uniform:64-1500
///     exponential:MEAN
///     lognormal:MEDIAN,SIGMA
///     pareto:LEAST,SHAPE
[[nodiscard]] Distribution parse_distribution(std::string_view text, double (*read)(std::string_view));
/// In octets: "1500", "64k", "exponential:10k".
[[nodiscard]] Distribution parse_sizes(std::string_view text);
/// In nanoseconds, written with their unit: "10ms", "uniform:1ms-5ms", "lognormal:2ms,0.5".
[[nodiscard]] Distribution parse_times(std::string_view text);

/// As it is read back.
[[nodiscard]] std::string to_string(const Distribution& distribution, std::string (*write)(double));
[[nodiscard]] std::string sizes_to_string(const Distribution& distribution);
[[nodiscard]] std::string times_to_string(const Distribution& distribution);

/// The draws of one core. `count` quantiles that stand for equal shares of the distribution, in an order
/// drawn from the seed, again and again: so its percentiles are met exactly after `count` draws, and each run
/// of a seed is the same. One owner thread; allocates when constructed only.
class Draws {
  public:
    static constexpr std::size_t count = 16384;

    Draws() : Draws(Distribution{}, 0) {}
    Draws(const Distribution& distribution, std::uint64_t seed);

    [[nodiscard]] std::uint64_t next() noexcept { return values_[next_++ & mask_]; }
    [[nodiscard]] Duration next_time() noexcept { return Duration{static_cast<Duration::rep>(next())}; }
    /// Always 0.
    [[nodiscard]] bool is_zero() const noexcept { return values_.size() == 1 && values_[0] == 0; }

  private:
    std::vector<std::uint64_t> values_;  // one, where it is fixed
    std::size_t mask_ = 0;
    std::size_t next_ = 0;
};

/// A 64-bit number from each seed that looks like no other's (splitmix64's finalizer, S. Vigna).
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

}  // namespace runnel::load
