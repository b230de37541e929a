// How many different sources there were, to within some percent, in one kilobyte (P. Flajolet et al.,
// "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", 2007).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace runnel::tcp {

/// Keyed, so that nobody can choose sources that look like few or like many.
class SourceSketch {
  public:
    explicit SourceSketch(std::uint64_t key) noexcept : key_(key) {}

    /// `source`: an address of IPv4, or the prefix of one of IPv6, whose holder has all addresses in it.
    void add(std::uint64_t source) noexcept {
        // The finalizer of splitmix64: each bit of the source reaches each bit of the hash.
        std::uint64_t x = source + key_;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
        x = (x ^ x >> 27) * 0x94d049bb133111ebU;
        x ^= x >> 31;
        std::uint8_t& longest = registers_[x >> (64 - index_bits)];
        const auto run = static_cast<std::uint8_t>(std::countl_zero(x << index_bits | 1) + 1);
        longest = std::max(longest, run);
    }
    void clear() noexcept { registers_ = {}; }

    /// The standard error is 3 %; below some 2,500 sources it is smaller.
    [[nodiscard]] std::uint32_t estimate() const noexcept {
        constexpr double n = 1U << index_bits;
        double sum = 0;
        double empty = 0;
        for (const std::uint8_t r : registers_) {
            sum += std::ldexp(1.0, -r);
            if (r == 0) ++empty;
        }
        const double raw = 0.7213 / (1 + 1.079 / n) * n * n / sum;
        const double linear = empty > 0 ? n * std::log(n / empty) : raw;
        return static_cast<std::uint32_t>(std::lround(raw <= 2.5 * n ? linear : raw));
    }

  private:
    static constexpr unsigned index_bits = 10;
    std::uint64_t key_;
    std::array<std::uint8_t, 1U << index_bits> registers_{};
};

}  // namespace runnel::tcp
