// Reads the responses that an HTTP/1.1 client gets (RFC 9112), with the parser library http_parser: status,
// Content-Length, chunked, and bodies that end with the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <http_parser.h>

#include "engine/http_counts.hpp"

namespace runnel::load {

/// The response to one request. Small, and made anew for each.
class HttpReader {
  public:
    enum class Event : std::uint8_t {
        need_more,  ///< all octets are used, and the response is not complete
        response,   ///< it is complete
        bad,        ///< it is none; `counts` says why
    };

    HttpReader() noexcept { begin(false); }
    /// `head`: of a request that has no body in its response whatever its fields say (RFC 9110
    /// section 9.3.2).
    void begin(bool head) noexcept;

    /// Octets of the stream. What follows a complete response counts as surplus, and is bad. 1xx responses
    /// are passed over.
    Event read(std::span<const char> octets, HttpCounts& counts) noexcept;
    /// The stream has ended: that completes a body without a length.
    Event end(HttpCounts& counts) noexcept;

    /// Of a complete response: whether the server keeps the connection.
    [[nodiscard]] bool keeps() const noexcept { return keeps_; }

  private:
    struct Reading;
    static const http_parser_settings& settings() noexcept;
    Event outcome(std::size_t used, std::size_t given, const Reading& reading, HttpCounts& counts) noexcept;

    http_parser parser_{};
    bool head_ = false;
    bool complete_ = false;
    bool keeps_ = false;
};

}  // namespace runnel::load
