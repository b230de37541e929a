// See behaviour.hpp.
#include "engine/behaviour.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "quantity.hpp"

namespace runnel::load {
namespace {

using app::BadQuantity;

// What a token is made of (RFC 9110 section 5.6.2).
bool is_token(std::string_view text) noexcept {
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || others.find(c) != std::string_view::npos;
    });
}

bool is_visible(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

bool same_word(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
    });
}

}  // namespace

HttpAsk parse_http_ask(std::string_view text) {
    HttpAsk ask;
    const std::size_t space = text.find(' ');
    if (space != std::string_view::npos) ask.method = text.substr(0, space);
    ask.path = space == std::string_view::npos ? text : text.substr(space + 1);
    const bool known = ask.method == "GET" || ask.method == "HEAD" || ask.method == "POST" ||
                       ask.method == "PUT" || ask.method == "DELETE" || ask.method == "OPTIONS";
    if (!known || !ask.path.starts_with('/') || !is_visible(ask.path))
        throw BadQuantity(
            fmt::format("\"{}\" is no request; write a path that begins with /, and before it, if "
                        "it is not GET, one of HEAD, POST, PUT, DELETE, OPTIONS and a space",
                        text));
    return ask;
}

void check_http_header(std::string_view text) {
    constexpr std::array<std::string_view, 4> made_here{"host", "connection", "content-length",
                                                        "transfer-encoding"};
    const std::size_t colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    const bool plain =
        std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 127; });
    if (colon == std::string_view::npos || !is_token(name) || !plain)
        throw BadQuantity(
            fmt::format("\"{}\" is no header; write a name, a colon and a value, as Accept: */*", text));
    for (const std::string_view made : made_here)
        if (same_word(name, made))
            throw BadQuantity(fmt::format("\"{}\": {} is made here; leave it out", text, name));
}

Stall parse_stall(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos)
        throw BadQuantity(fmt::format("\"{}\" lacks a '/'; write how long and how often, as 200ms/5s", text));
    const Stall stall{app::parse_duration(text.substr(0, slash)),
                      app::parse_duration(text.substr(slash + 1))};
    if (stall.length <= Duration{} || stall.every <= stall.length)
        throw BadQuantity(fmt::format(
            "\"{}\": a stall takes some time, and less than from one to the next; write 200ms/5s", text));
    return stall;
}

}  // namespace runnel::load
