#include "runnel/tcp/scan_detector.hpp"

#include <algorithm>
#include <span>

namespace runnel::tcp {

ScanDetector::ScanDetector(HashKey key) : key_(key), suspects_(sets * ways), episodes_(most_episodes) {}

// The entry of a source and kind: its own, or the one of its set that has been quiet for longest. An entry of
// a scan that is followed is given to nobody else; null where all of a set are.
ScanDetector::Suspect* ScanDetector::suspect_of(const IpAddress& source, AttackKind kind,
                                                Instant now) noexcept {
    const std::uint64_t hash =
        siphash_1_3(key_, source.v6().high() ^ static_cast<std::uint64_t>(kind) << 56, source.v6().low());
    const std::span<Suspect> set{&suspects_[hash % sets * ways], ways};
    Suspect* oldest = nullptr;
    for (Suspect& suspect : set) {
        if (suspect.ports_seen != 0 && suspect.source == source && suspect.kind == kind) {
            if (suspect.episode == no_episode && now - suspect.since > window) suspect.ports_seen = 0;
            return &suspect;
        }
        if (suspect.episode == no_episode && (oldest == nullptr || suspect.last < oldest->last))
            oldest = &suspect;
    }
    return oldest;
}

std::optional<AttackEpisode> ScanDetector::touch(const IpAddress& source, AttackKind kind, std::uint16_t port,
                                                 Instant now) noexcept {
    Suspect* const found = suspect_of(source, kind, now);
    if (found == nullptr) [[unlikely]]
        return std::nullopt;
    Suspect& suspect = *found;
    if (suspect.episode != no_episode) {
        Episode& episode = episodes_[suspect.episode];
        ++episode.segments;
        episode.last = now;
        if (!episode.seen[port]) {
            episode.seen.set(port);
            ++episode.ports;
        }
        return std::nullopt;
    }
    if (suspect.ports_seen == 0 || suspect.source != source || suspect.kind != kind)
        suspect = Suspect{.source = source, .kind = kind, .since = now};
    suspect.last = now;
    ++suspect.segments;
    const auto known = suspect.ports.begin() + suspect.ports_seen;
    if (std::find(suspect.ports.begin(), known, port) == known && suspect.ports_seen < least_ports)
        suspect.ports[suspect.ports_seen++] = port;
    return suspect.ports_seen < least_ports ? std::nullopt : begin(suspect);
}

std::optional<AttackEpisode> ScanDetector::begin(Suspect& suspect) noexcept {
    const auto free = std::find_if(episodes_.begin(), episodes_.end(),
                                   [](const Episode& episode) noexcept { return !episode.active; });
    if (free == episodes_.end()) return std::nullopt;
    suspect.episode = static_cast<std::uint8_t>(free - episodes_.begin());
    free->active = true;
    free->suspect = &suspect;
    free->last = suspect.last;
    free->segments = suspect.segments;
    free->ports = least_ports;
    free->seen.reset();
    for (const std::uint16_t port : suspect.ports) free->seen.set(port);
    deadline_ = std::min(deadline_, suspect.last + quiet);
    return figures(*free, false);
}

AttackEpisode ScanDetector::finish(std::size_t index) noexcept {
    Episode& episode = episodes_[index];
    const AttackEpisode ended = figures(episode, true);
    episode.active = false;
    *episode.suspect = Suspect{};
    return ended;
}

AttackEpisode ScanDetector::figures(const Episode& episode, bool ended) noexcept {
    return {.kind = episode.suspect->kind,
            .ended = ended,
            .began = episode.suspect->since,
            .duration = episode.last - episode.suspect->since,
            .segments = episode.segments,
            .sources = 1,
            .ports = episode.ports,
            .source = episode.suspect->source};
}

}  // namespace runnel::tcp
