// What the congestion controls are called on a command line and in a report.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

#include "runnel/tcp/config.hpp"

namespace runnel::tcp {

[[nodiscard]] constexpr std::string_view to_string(CongestionAlgorithm algorithm) noexcept {
    switch (algorithm) {
        case CongestionAlgorithm::cubic:
            return "cubic";
        case CongestionAlgorithm::newreno:
            return "newreno";
        case CongestionAlgorithm::bbr:
            return "bbr";
        case CongestionAlgorithm::none:
            return "none";
    }
    return "?";
}

/// The algorithm of that name; "reno" is NewReno too, as Linux calls it. Nothing where there is none.
[[nodiscard]] constexpr std::optional<CongestionAlgorithm> parse_congestion_algorithm(
    std::string_view name) noexcept {
    for (const auto algorithm : {CongestionAlgorithm::cubic, CongestionAlgorithm::newreno,
                                 CongestionAlgorithm::bbr, CongestionAlgorithm::none})
        if (name == to_string(algorithm)) return algorithm;
    if (name == "reno") return CongestionAlgorithm::newreno;
    return std::nullopt;
}

}  // namespace runnel::tcp
