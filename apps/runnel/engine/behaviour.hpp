// What happens on a connection beyond its recipe: how many transactions, how large, how long apart; and what
// an HTTP client asks for. And how a server of ours answers: how late, and when not at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/time.hpp"

#include "engine/distribution.hpp"

namespace runnel::load {

/// Of `rr`, `http` and `udp-rr`.
struct Transactions {
    Distribution think{};  ///< nanoseconds from a response to the next request on its connection
    /// Octets of a request: of `rr` and `udp-rr` all of it, of `http` its body (0: none). Fixed at 0: the
    /// default of the recipe.
    Distribution request{};
    /// Octets of a response, of which the request tells the server: of `rr` in its first octets, of `http` by
    /// its path, "/bytes/N". Fixed at 0: what the server sends of itself.
    Distribution response{};

    /// The sizes that are fixed at 0 become this many octets.
    void set_missing(double octets) {
        if (request.is_zero()) request = Distribution::fixed(octets);
        if (response.is_zero()) response = Distribution::fixed(octets);
    }
    /// Whether a server has to be told each time how much to answer, and when a request ends.
    [[nodiscard]] bool drawn() const noexcept { return !request.is_fixed() || !response.is_fixed(); }
};

/// What an HTTP client asks for.
struct HttpAsk {
    std::string method = "GET";
    std::string path = "/";
    friend bool operator==(const HttpAsk&, const HttpAsk&) noexcept = default;
};
/// "/index.html", "HEAD /x", "POST /form". Throws `app::BadQuantity`.
[[nodiscard]] HttpAsk parse_http_ask(std::string_view text);

struct HttpTraffic {
    std::vector<HttpAsk> asks{};         ///< one after the other on each connection; none: GET /
    std::vector<std::string> headers{};  ///< "Name: value", besides Host, Connection and Content-Length
    std::string host{};                  ///< Host; empty: the server's address
    bool keep_alive = true;              ///< false: each request asks for Connection: close
};
/// Throws `app::BadQuantity` where it is no "Name: value", or one that is made here.
void check_http_header(std::string_view text);

/// A server that does not answer for a while, at even intervals.
struct Stall {
    Duration length{};  ///< 0: never
    Duration every{};   ///< from the start of one to the start of the next; the first comes after as long
};
/// "200ms/5s". Throws `app::BadQuantity`.
[[nodiscard]] Stall parse_stall(std::string_view text);

struct ServerBehaviour {
    Distribution delay{};  ///< nanoseconds from a request to its response
    Stall stall{};
    [[nodiscard]] bool answers_at_once() const noexcept {
        return delay.is_zero() && stall.length == Duration{};
    }
};

}  // namespace runnel::load
