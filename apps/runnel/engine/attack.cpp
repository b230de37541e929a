// See attack.hpp.
#include "engine/attack.hpp"

#include <array>

#include <fmt/format.h>

#include "quantity.hpp"

namespace runnel::load {
namespace {

constexpr std::array kinds{AttackKind::syn_flood, AttackKind::half_open, AttackKind::rst,
                           AttackKind::fin,       AttackKind::ack_flood, AttackKind::udp_flood};

}  // namespace

std::string_view to_string(AttackKind kind) noexcept {
    switch (kind) {
        case AttackKind::syn_flood:
            return "syn-flood";
        case AttackKind::half_open:
            return "half-open";
        case AttackKind::rst:
            return "rst";
        case AttackKind::fin:
            return "fin";
        case AttackKind::ack_flood:
            return "ack-flood";
        case AttackKind::udp_flood:
            break;
    }
    return "udp-flood";
}

std::optional<AttackKind> parse_attack_kind(std::string_view text) noexcept {
    for (const AttackKind kind : kinds)
        if (text == to_string(kind)) return kind;
    return std::nullopt;
}

AttackTraffic parse_attack(std::string_view text) {
    const std::size_t colon = text.find(':');
    const auto kind = parse_attack_kind(text.substr(0, colon));
    if (!kind || colon == std::string_view::npos)
        throw app::BadQuantity(fmt::format(
            "\"{}\" is no attack at a rate; write one of syn-flood, half-open, rst, fin, ack-flood, "
            "udp-flood, a colon and frames a second, as syn-flood:100k",
            text));
    const auto rate = app::parse_rate(text.substr(colon + 1));
    if (!rate)
        throw app::BadQuantity(
            fmt::format("\"{}\" names no rate; write frames a second, as {}:100k", text, to_string(*kind)));
    AttackTraffic attack;
    attack.kind = *kind;
    attack.rate = static_cast<double>(*rate);
    return attack;
}

}  // namespace runnel::load
