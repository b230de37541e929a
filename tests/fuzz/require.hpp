// What every fuzz target uses: octets as the library takes them, and a check that ends the process where it
// fails, which is how libFuzzer learns of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

namespace runnel::fuzz {

/// Ends the process with the sentence that does not hold.
inline void require(bool holds, const char* sentence) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", sentence);
    std::abort();
}

[[nodiscard]] inline std::span<const std::byte> octets_of(const std::uint8_t* data, std::size_t size) {
    return std::as_bytes(std::span{data, size});
}

/// Reads each octet, so that a sanitizer sees a span that reaches beyond the buffer.
inline void touch(std::span<const std::byte> octets) {
    unsigned sum = 0;
    for (const std::byte each : octets) sum += std::to_integer<unsigned>(each);
    const volatile unsigned kept = sum;
    static_cast<void>(kept);
}

}  // namespace runnel::fuzz
