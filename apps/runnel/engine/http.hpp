// Just enough of HTTP/1.1 (RFC 9112) for a load generator: a response made once, and a parser that finds the
// end of a request however it is cut into segments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/ip_address.hpp"

namespace runnel::load {

/// The octets of a response of 200, with a body of `size` octets. Made at start; sent again and again without
/// a copy, so it must live until the process ends.
class HttpResponse {
  public:
    static constexpr std::size_t max_size = std::size_t{256} << 20;

    /// `keep_alive`: what the Connection field says. Throws `std::invalid_argument` where `size` is above
    /// `max_size`.
    HttpResponse(std::size_t size, bool keep_alive);

    [[nodiscard]] std::span<const std::byte> all() const noexcept { return octets_; }
    [[nodiscard]] std::span<const std::byte> head() const noexcept { return {octets_.data(), head_size_}; }
    /// The head of a response of 200 with a body of `size` octets, made anew.
    struct Head {
        std::size_t size = 0;
    };
    static Head make_head(std::span<char> into, std::uint64_t size, bool keep_alive) noexcept;
    /// 64 KB of which bodies are made.
    [[nodiscard]] static std::span<const std::byte> filler() noexcept;
    /// What a request that is not HTTP gets, with `Connection: close`.
    [[nodiscard]] static std::span<const std::byte> bad_request() noexcept;

  private:
    std::vector<std::byte> octets_;
    std::size_t head_size_ = 0;
};

/// "GET / HTTP/1.1" for a host, with `Connection: close`.
[[nodiscard]] std::string http_request(const IpAddress& host, std::string_view path = "/");

/// Reads requests octet by octet; keeps its few octets of state between segments.
class HttpRequestParser {
  public:
    /// A request that names no size.
    static constexpr std::uint32_t any_octets = UINT32_MAX;
    static constexpr std::uint32_t most_octets = 1U << 28;

    enum class Event : std::uint8_t {
        need_more,  ///< all octets are used and the request is not complete
        request,    ///< a request is complete, its body included; more octets may follow
        bad,        ///< not a request that is understood: nothing more will be read
    };
    struct Result {
        Event event = Event::need_more;
        std::size_t used = 0;               ///< octets read of those given
        bool head = false;                  ///< the method is HEAD
        bool keep_alive = false;            ///< the connection goes on after the response
        std::uint32_t octets = any_octets;  ///< of a body that the path "/bytes/N" asks for
    };

    [[nodiscard]] Result read(std::span<const char> octets) noexcept;

  private:
    enum class At : std::uint8_t { method, target, version, line_start, name, value, body, complete, bad };
    enum class Field : std::uint8_t { other, connection, content_length };

    /// One octet; `body` is skipped elsewhere.
    void step(char c) noexcept;
    void method(char c) noexcept;
    void target(char c) noexcept;
    void version(char c) noexcept;
    void line_start(char c) noexcept;
    void name(char c) noexcept;
    void value(char c) noexcept;
    void end_of_token() noexcept;

    At at_ = At::method;
    Field field_ = Field::other;
    std::uint8_t matched_ = 0;     // octets of the word so far
    std::uint8_t candidates_ = 0;  // words that it may still be, a bit each
    bool head_ : 1 = false;
    bool keep_alive_ : 1 = true;
    bool has_length_ : 1 = false;
    std::uint32_t length_ = 0;  // octets of the body still to come
    std::uint32_t asked_ = any_octets;
};
static_assert(sizeof(HttpRequestParser) == 16);

}  // namespace runnel::load
