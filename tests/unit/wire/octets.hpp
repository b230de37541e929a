// Octets for the tests of wire formats: written as numbers or as text, and kept in exact-size heap blocks, so
// that a sanitizer sees a read of even one octet beyond.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

namespace runnel::test {

using Bytes = std::vector<std::byte>;

/// bytes_of(0x45, 0x00): as an array that a constant expression can hold.
template <typename... Numbers>
[[nodiscard]] constexpr std::array<std::byte, sizeof...(Numbers)> bytes_of(Numbers... numbers) {
    return {static_cast<std::byte>(numbers)...};
}

/// Two hexadecimal digits an octet; everything else between them is passed over.
[[nodiscard]] inline Bytes from_hex(std::string_view text) {
    Bytes bytes;
    int high = -1;
    for (const char c : text) {
        const auto digit = std::string_view{"0123456789abcdef"}.find(c);
        if (digit == std::string_view::npos) continue;
        if (high < 0) {
            high = static_cast<int>(digit);
        } else {
            bytes.push_back(static_cast<std::byte>(high * 16 + static_cast<int>(digit)));
            high = -1;
        }
    }
    return bytes;
}

[[nodiscard]] inline Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
    Bytes bytes(size);
    for (std::byte& each : bytes) each = static_cast<std::byte>(random());
    return bytes;
}

/// A copy on the heap of exactly the octets' size.
class ExactCopy {
  public:
    explicit ExactCopy(std::span<const std::byte> octets) : octets_(octets.begin(), octets.end()) {
        octets_.shrink_to_fit();
    }
    [[nodiscard]] std::span<const std::byte> span() const { return octets_; }
    [[nodiscard]] std::byte& operator[](std::size_t at) { return octets_[at]; }

  private:
    Bytes octets_;
};

/// Calls `read` with the sample, with each shorter beginning of it, and with each of its bits turned over.
template <typename Read>
void with_every_damage(std::span<const std::byte> sample, Read&& read) {
    for (std::size_t size = 0; size <= sample.size(); ++size) read(ExactCopy{sample.first(size)}.span());
    for (std::size_t bit = 0; bit < sample.size() * 8; ++bit) {
        ExactCopy copy{sample};
        copy[bit / 8] ^= std::byte{1} << (bit % 8);
        read(copy.span());
    }
}

}  // namespace runnel::test
