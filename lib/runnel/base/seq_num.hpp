// Sequence numbers of TCP: 32 bits, compared modulo 2^32 (RFC 9293 section 3.4).
#pragma once

#include <cstdint>

namespace runnel {

/// A TCP sequence number. `a < b` holds when `b` lies in the half of the number space that follows `a`.
/// Numbers exactly 2^31 apart compare as less in both directions, as in any serial arithmetic: no window
/// reaches so far.
class SeqNum {
  public:
    constexpr SeqNum() noexcept = default;
    constexpr explicit SeqNum(std::uint32_t value) noexcept : value_(value) {}

    [[nodiscard]] constexpr std::uint32_t value() const noexcept { return value_; }

    friend constexpr bool operator==(SeqNum, SeqNum) noexcept = default;
    friend constexpr bool operator<(SeqNum a, SeqNum b) noexcept { return distance(b, a) < 0; }
    friend constexpr bool operator>(SeqNum a, SeqNum b) noexcept { return b < a; }
    friend constexpr bool operator<=(SeqNum a, SeqNum b) noexcept { return distance(b, a) <= 0; }
    friend constexpr bool operator>=(SeqNum a, SeqNum b) noexcept { return b <= a; }

    friend constexpr SeqNum operator+(SeqNum a, std::uint32_t n) noexcept { return SeqNum{a.value_ + n}; }
    friend constexpr SeqNum operator-(SeqNum a, std::uint32_t n) noexcept { return SeqNum{a.value_ - n}; }
    constexpr SeqNum& operator+=(std::uint32_t n) noexcept {
        value_ += n;
        return *this;
    }
    constexpr SeqNum& operator-=(std::uint32_t n) noexcept {
        value_ -= n;
        return *this;
    }

    /// How many octets `b` lies before `a`, modulo 2^32; meaningful where b <= a is known.
    friend constexpr std::uint32_t operator-(SeqNum a, SeqNum b) noexcept { return a.value_ - b.value_; }

    /// True where first <= *this < first + length, modulo 2^32.
    [[nodiscard]] constexpr bool in_window(SeqNum first, std::uint32_t length) const noexcept {
        return value_ - first.value_ < length;
    }

  private:
    static constexpr std::int32_t distance(SeqNum a, SeqNum b) noexcept {
        return static_cast<std::int32_t>(b.value_ - a.value_);
    }

    std::uint32_t value_ = 0;
};

[[nodiscard]] constexpr SeqNum max(SeqNum a, SeqNum b) noexcept {
    return a < b ? b : a;
}
[[nodiscard]] constexpr SeqNum min(SeqNum a, SeqNum b) noexcept {
    return a < b ? a : b;
}

}  // namespace runnel
