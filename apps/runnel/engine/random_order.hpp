// All numbers below a limit, each once, in an order drawn at random: without a list of them.
#pragma once

#include <bit>
#include <cassert>
#include <cstdint>

namespace runnel::load {

/// A permutation of 0 to `limit - 1`, for statistics and not for secrets. It mixes over as many bits as the
/// limit has, by steps each of which can be undone, and leaves out what lies beyond: fewer than half.
class RandomOrder {
  public:
    /// `limit` is 1 to 2^31. The order differs from key to key.
    RandomOrder(std::uint32_t limit, std::uint64_t key) noexcept
        : limit_(limit),
          mask_((std::uint32_t{1} << std::bit_width(limit - 1)) - 1),
          shift_((static_cast<unsigned>(std::bit_width(mask_)) + 1) / 2),
          first_(static_cast<std::uint32_t>(key)),
          second_(static_cast<std::uint32_t>(key >> 32)) {
        assert(limit >= 1 && limit <= std::uint32_t{1} << 31);
    }

    /// Whether all have been given.
    [[nodiscard]] bool done() const noexcept { return given_ == limit_; }
    /// The next one; not to be called when done.
    [[nodiscard]] std::uint32_t next() noexcept {
        for (;;) {
            const std::uint32_t number = mixed(counter_++);
            if (number >= limit_) continue;
            ++given_;
            return number;
        }
    }

  private:
    [[nodiscard]] std::uint32_t mixed(std::uint32_t x) const noexcept {
        x = (x + first_) * 0x9e3779b1U & mask_;
        x ^= x >> shift_;
        x = (x + second_) * 0x85ebca6bU & mask_;
        x ^= x >> shift_;
        x = (x * 0xc2b2ae35U + first_) & mask_;
        x ^= x >> shift_;
        return x;
    }

    std::uint32_t limit_;
    std::uint32_t mask_;
    unsigned shift_;
    std::uint32_t first_, second_;
    std::uint32_t counter_ = 0;
    std::uint32_t given_ = 0;
};

}  // namespace runnel::load
