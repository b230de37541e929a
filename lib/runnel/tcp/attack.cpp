#include "runnel/tcp/attack.hpp"

#include <cstdio>

namespace runnel::tcp {

std::string_view to_string(AttackKind kind) noexcept {
    switch (kind) {
        case AttackKind::syn_flood:
            return "SYN flood";
        case AttackKind::syn_scan:
            return "SYN scan";
        case AttackKind::fin_scan:
            return "FIN scan";
        case AttackKind::null_scan:
            return "NULL scan";
        case AttackKind::xmas_scan:
            return "XMAS scan";
        case AttackKind::ack_scan:
            return "ACK scan";
    }
    return "?";
}

std::string to_string(const AttackEpisode& episode) {
    const auto fixed = [](double value) {
        char text[32];
        std::snprintf(text, sizeof text, "%.1f", value);
        return std::string{text};
    };
    std::string line{to_string(episode.kind)};
    line += episode.ended ? " ends" : " begins";
    const std::string length = " in " + fixed(std::chrono::duration<double>(episode.duration).count()) + " s";
    if (episode.kind != AttackKind::syn_flood)
        return line + ": " + std::to_string(episode.ports) + " ports, " + std::to_string(episode.segments) +
               " segments" + length + " from " + runnel::to_string(episode.source);
    const double share = episode.segments == 0 ? 0
                                               : 100 * static_cast<double>(episode.completed) /
                                                     static_cast<double>(episode.segments);
    return line + ": " + std::to_string(episode.segments) + " SYNs" + length + " from about " +
           std::to_string(episode.sources) + " sources, " + fixed(share) + " % completed";
}

}  // namespace runnel::tcp
