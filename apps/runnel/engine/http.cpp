// See http.hpp.
#include "engine/http.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

namespace runnel::load {
namespace {

// Lower case: field names and connection options are compared without regard to case (RFC 9110 sections 5.1
// and 7.6.1).
constexpr std::array<std::string_view, 3> field_names{"connection", "content-length", "transfer-encoding"};
constexpr std::array<std::string_view, 2> connection_options{"close", "keep-alive"};

constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Narrows the words that the text so far may become by one more octet.
template <std::size_t N>
std::uint8_t narrow(const std::array<std::string_view, N>& words, std::uint8_t candidates, std::size_t index,
                    char c) noexcept {
    for (std::size_t i = 0; i < N; ++i)
        if (index >= words[i].size() || words[i][index] != lower(c))
            candidates = static_cast<std::uint8_t>(candidates & ~(1U << i));
    return candidates;
}

// The word that the text is, wholly; N where it is none.
template <std::size_t N>
std::size_t whole(const std::array<std::string_view, N>& words, std::uint8_t candidates,
                  std::size_t size) noexcept {
    for (std::size_t i = 0; i < N; ++i)
        if ((candidates >> i & 1U) != 0 && words[i].size() == size) return i;
    return N;
}

}  // namespace

HttpResponse::Head HttpResponse::make_head(std::span<char> into, std::uint64_t size,
                                           bool keep_alive) noexcept {
    const auto made = fmt::format_to_n(
        into.data(), into.size(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n", size,
        keep_alive ? "keep-alive" : "close");
    return {static_cast<std::size_t>(made.out - into.data())};
}

std::span<const std::byte> HttpResponse::filler() noexcept {
    static const std::vector<std::byte> block(std::size_t{64} << 10, std::byte{'x'});
    return block;
}

HttpResponse::HttpResponse(std::size_t size, bool keep_alive) {
    if (size > max_size)
        throw std::invalid_argument(
            fmt::format("the response body is {} octets; at most {} are kept in memory", size, max_size));
    std::array<char, 160> head;
    head_size_ = make_head(head, size, keep_alive).size;
    octets_.reserve(head_size_ + size);
    for (const char c : std::span{head}.first(head_size_)) octets_.push_back(static_cast<std::byte>(c));
    // Lines of 64 octets: legible in a capture, and a shifted octet shows.
    for (std::size_t i = 0; i < size; ++i)
        octets_.push_back(
            static_cast<std::byte>(i % 64 == 63 || i + 1 == size ? '\n' : "0123456789abcdef"[i % 16]));
}

std::span<const std::byte> HttpResponse::bad_request() noexcept {
    static constexpr std::string_view text =
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    return std::as_bytes(std::span{text});
}

std::string http_request(const IpAddress& host, std::string_view path) {
    // An IPv6 address stands in brackets (RFC 3986 section 3.2.2).
    const std::string name = host.is_v4() ? to_string(host) : fmt::format("[{}]", to_string(host));
    return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", path, name);
}

HttpRequestParser::Result HttpRequestParser::read(std::span<const char> octets) noexcept {
    std::size_t i = 0;
    while (i < octets.size() && at_ != At::complete && at_ != At::bad) {
        if (at_ == At::body) {
            const std::size_t skipped = std::min<std::size_t>(length_, octets.size() - i);
            i += skipped;
            length_ -= static_cast<std::uint32_t>(skipped);
            if (length_ == 0) at_ = At::complete;
        } else if (at_ == At::value && field_ == Field::other) {
            const void* end = std::memchr(octets.data() + i, '\n', octets.size() - i);
            if (end == nullptr) {
                i = octets.size();
            } else {
                i = static_cast<std::size_t>(static_cast<const char*>(end) - octets.data()) + 1;
                at_ = At::line_start;
            }
        } else {
            step(octets[i++]);
        }
    }
    Result result{Event::need_more, i, head_, keep_alive_,
                  asked_ <= most_octets || asked_ == any_octets ? asked_ : most_octets};
    if (at_ == At::complete) {
        result.event = Event::request;
        *this = HttpRequestParser{};
    } else if (at_ == At::bad) {
        result.event = Event::bad;
    }
    return result;
}

void HttpRequestParser::step(char c) noexcept {
    switch (at_) {
        case At::method:
            return method(c);
        case At::target:
            return target(c);
        case At::version:
            return version(c);
        case At::line_start:
            return line_start(c);
        case At::name:
            return name(c);
        case At::value:
            return value(c);
        case At::body:
        case At::complete:
        case At::bad:
            return;
    }
}

void HttpRequestParser::method(char c) noexcept {
    constexpr std::string_view head = "HEAD";
    if (matched_ == 0 && (c == '\r' || c == '\n'))
        return;  // an empty line before is ignored (RFC 9112 section 2.2)
    if (c == ' ' && matched_ > 0) {
        head_ = head_ && matched_ == head.size();
        at_ = At::target;
        matched_ = 0;
    } else if (c >= 'A' && c <= 'Z' && matched_ < 31) {
        head_ = (matched_ == 0 || head_) && matched_ < head.size() && head[matched_] == c;
        ++matched_;
    } else {
        at_ = At::bad;
    }
}

// "/bytes/" and digits ask for so many octets; what is otherwise is any path.
void HttpRequestParser::target(char c) noexcept {
    constexpr std::string_view prefix = "/bytes/";
    if (c == ' ') {
        if (matched_ < prefix.size()) asked_ = any_octets;
        at_ = At::version;
        matched_ = 0;
        return;
    }
    if (static_cast<unsigned char>(c) < ' ') {
        at_ = At::bad;  // HTTP/0.9 has no version; nor may a control character stand here
        return;
    }
    constexpr std::uint8_t other = 255;
    if (matched_ == other) return;
    if (matched_ < prefix.size()) {
        matched_ = c == prefix[matched_] ? static_cast<std::uint8_t>(matched_ + 1) : other;
    } else if (c >= '0' && c <= '9') {
        const std::uint32_t before = asked_ == any_octets ? 0 : asked_;
        asked_ = std::min(before, most_octets) * 10 + static_cast<std::uint32_t>(c - '0');
    } else {
        matched_ = other;
    }
    if (matched_ == other) asked_ = any_octets;
}

void HttpRequestParser::version(char c) noexcept {
    constexpr std::string_view major = "HTTP/1.";
    if (matched_ < major.size()) {
        if (c != major[matched_]) at_ = At::bad;
        ++matched_;
    } else if (matched_ == major.size()) {
        if (c < '0' || c > '9') at_ = At::bad;
        keep_alive_ = c != '0';
        ++matched_;
    } else if (c == '\n') {
        at_ = At::line_start;
    } else if (c != '\r') {
        at_ = At::bad;
    }
}

void HttpRequestParser::line_start(char c) noexcept {
    if (c == '\r') return;
    if (c == '\n') {
        at_ = length_ > 0 ? At::body : At::complete;
        return;
    }
    matched_ = 0;
    candidates_ = 0xff;
    at_ = At::name;
    name(c);
}

void HttpRequestParser::name(char c) noexcept {
    if (c != ':') {
        // A folded line or a space before the colon is refused (RFC 9112 sections 5.1 and 5.2).
        if (static_cast<unsigned char>(c) <= ' ') at_ = At::bad;
        candidates_ = narrow(field_names, candidates_, matched_, c);
        if (matched_ < 255) ++matched_;
        return;
    }
    at_ = At::value;
    field_ = Field::other;
    switch (whole(field_names, candidates_, matched_)) {
        case 0:
            field_ = Field::connection;
            break;
        case 1:
            field_ = Field::content_length;
            if (has_length_) at_ = At::bad;
            has_length_ = true;
            break;
        case 2:
            at_ = At::bad;
            break;  // a body of unknown length is not read
        default:
            break;
    }
    matched_ = 0;
    candidates_ = 0xff;
}

void HttpRequestParser::value(char c) noexcept {
    if (field_ == Field::connection) {
        if (c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\n') {
            end_of_token();
        } else {
            candidates_ = narrow(connection_options, candidates_, matched_, c);
            if (matched_ < 255) ++matched_;
        }
    } else if (c >= '0' && c <= '9') {
        length_ = length_ * 10 + static_cast<std::uint32_t>(c - '0');
        if (length_ > 1U << 28) at_ = At::bad;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
        at_ = At::bad;
    }
    if (c == '\n' && at_ == At::value) at_ = At::line_start;
}

void HttpRequestParser::end_of_token() noexcept {
    switch (whole(connection_options, candidates_, matched_)) {
        case 0:
            keep_alive_ = false;
            break;
        case 1:
            keep_alive_ = true;
            break;
        default:
            break;
    }
    matched_ = 0;
    candidates_ = 0xff;
}

}  // namespace runnel::load
