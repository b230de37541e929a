// What each connection does: the recipes of MEASURE.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace runnel::load {

enum class Recipe : std::uint8_t {
    hold,        ///< SYN, SYN-ACK, ACK; stays established
    rst,         ///< SYN, SYN-ACK, ACK, RST
    fin,         ///< SYN, SYN-ACK, ACK, FIN, FIN-ACK, ACK
    crr,         ///< SYN, SYN-ACK, ACK with request, response with FIN, FIN-ACK, ACK
    rr,          ///< request and response, again and again, on connections that are kept
    http,        ///< the same as HTTP/1.1 has it
    stream,      ///< bulk data on connections that are kept
    udp_rr,      ///< request and response in datagrams
    udp_oneway,  ///< datagrams one way, or both, counted by their numbers
    none,        ///< no connection: attackers alone
};

/// Which way the data of `stream` and `udp-oneway` goes.
enum class Direction : std::uint8_t { to_server, to_client, both };

[[nodiscard]] constexpr std::string_view to_string(Recipe recipe) noexcept {
    switch (recipe) {
        case Recipe::hold:
            return "hold";
        case Recipe::rst:
            return "rst";
        case Recipe::fin:
            return "fin";
        case Recipe::crr:
            return "crr";
        case Recipe::rr:
            return "rr";
        case Recipe::http:
            return "http";
        case Recipe::stream:
            return "stream";
        case Recipe::udp_rr:
            return "udp-rr";
        case Recipe::udp_oneway:
            return "udp-oneway";
        case Recipe::none:
            return "none";
    }
    return "?";
}

[[nodiscard]] constexpr std::optional<Recipe> parse_recipe(std::string_view text) noexcept {
    for (const Recipe recipe : {Recipe::hold, Recipe::rst, Recipe::fin, Recipe::crr, Recipe::rr, Recipe::http,
                                Recipe::stream, Recipe::udp_rr, Recipe::udp_oneway, Recipe::none})
        if (text == to_string(recipe)) return recipe;
    return std::nullopt;
}

[[nodiscard]] constexpr std::string_view to_string(Direction direction) noexcept {
    switch (direction) {
        case Direction::to_server:
            return "to-server";
        case Direction::to_client:
            return "to-client";
        case Direction::both:
            return "both";
    }
    return "?";
}

[[nodiscard]] constexpr std::optional<Direction> parse_direction(std::string_view text) noexcept {
    for (const Direction direction : {Direction::to_server, Direction::to_client, Direction::both})
        if (text == to_string(direction)) return direction;
    return std::nullopt;
}

[[nodiscard]] constexpr bool sends_to_server(Direction direction) noexcept {
    return direction != Direction::to_client;
}
[[nodiscard]] constexpr bool sends_to_client(Direction direction) noexcept {
    return direction != Direction::to_server;
}

/// Recipes of UDP: their "connections" are flows.
[[nodiscard]] constexpr bool sends_datagrams(Recipe recipe) noexcept {
    return recipe == Recipe::udp_rr || recipe == Recipe::udp_oneway;
}

/// Recipes of requests and responses.
[[nodiscard]] constexpr bool transacts(Recipe recipe) noexcept {
    return recipe == Recipe::rr || recipe == Recipe::http || recipe == Recipe::udp_rr;
}

/// Recipes that carry traffic on connections that are all opened before the window; but for `rr` and `http`
/// where each connection ends after a number of transactions.
[[nodiscard]] constexpr bool transfers(Recipe recipe) noexcept {
    return transacts(recipe) || recipe == Recipe::stream || recipe == Recipe::udp_oneway;
}

/// Recipes whose connections stay until the end of the run.
[[nodiscard]] constexpr bool keeps_connections(Recipe recipe) noexcept {
    return recipe == Recipe::hold || transfers(recipe);
}

/// The side that sends the first FIN keeps the connection in TIME-WAIT. With `fin` that is the client, whose
/// ports it occupies; with `crr` the server, which reopens it by RFC 6191 when the port comes round again.
[[nodiscard]] constexpr bool client_keeps_time_wait(Recipe recipe) noexcept {
    return recipe == Recipe::fin || (keeps_connections(recipe) && !sends_datagrams(recipe));
}

}  // namespace runnel::load
