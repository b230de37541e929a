// What each connection does: the recipes of MEASURE.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace runnel::load {

enum class Recipe : std::uint8_t {
    hold,  ///< SYN, SYN-ACK, ACK; stays established
    rst,   ///< SYN, SYN-ACK, ACK, RST
    fin,   ///< SYN, SYN-ACK, ACK, FIN, FIN-ACK, ACK
    crr,   ///< SYN, SYN-ACK, ACK with request, response with FIN, FIN-ACK, ACK
};

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
    }
    return "?";
}

[[nodiscard]] constexpr std::optional<Recipe> parse_recipe(std::string_view text) noexcept {
    for (const Recipe recipe : {Recipe::hold, Recipe::rst, Recipe::fin, Recipe::crr})
        if (text == to_string(recipe)) return recipe;
    return std::nullopt;
}

/// The side that sends the first FIN keeps the connection in TIME-WAIT. With `fin` that is the client, whose
/// ports it occupies; with `crr` the server, which reopens it by RFC 6191 when the port comes round again.
[[nodiscard]] constexpr bool client_keeps_time_wait(Recipe recipe) noexcept {
    return recipe == Recipe::fin || recipe == Recipe::hold;
}

}  // namespace runnel::load
