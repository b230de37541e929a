// What an HTTP client has received.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace runnel::load {

/// What has come of responses, and what was wrong with them.
struct HttpCounts {
    static constexpr std::size_t most_status = 600;
    std::array<std::uint64_t, most_status> statuses{};  ///< responses by status; 0: of one above 599
    std::array<std::uint64_t, 64> errors{};             ///< by number of the parser's
    std::uint64_t surplus = 0;                          ///< octets came that nobody had asked for
    std::uint64_t body_octets = 0;

    HttpCounts& operator+=(const HttpCounts& other) noexcept;
    /// Responses of 400 and above.
    [[nodiscard]] std::uint64_t failures() const noexcept;
    /// What could not be read, each kind in words with its number: "invalid HTTP status code: 3".
    [[nodiscard]] std::vector<std::string> errors_in_words() const;
};

}  // namespace runnel::load
