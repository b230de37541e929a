// Finds port scans: one source that touches many ports and completes nothing there. It works only for
// segments that belong to no connection. All its memory is bounded: of the sources that touch ports the
// latest are kept in a table under a keyed hash, so that nobody can choose whom to push out.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/attack.hpp"

namespace runnel::tcp {

/// A scan of a kind begins where a source has touched `least_ports` ports with it within `window`, and ends
/// when it has touched none for `quiet`. A scan slower than that is not seen.
class ScanDetector {
  public:
    static constexpr std::size_t least_ports = 16;
    static constexpr Duration window = 60s;
    static constexpr Duration quiet = 10s;
    /// Scans that are followed at once. More begin when one of these has ended.
    static constexpr std::size_t most_episodes = 16;

    explicit ScanDetector(HashKey key);

    /// A segment of a scan, if it is one, has touched a port of ours. What it returns has begun.
    /// To be called at or after `advance(now)`.
    std::optional<AttackEpisode> touch(const IpAddress& source, AttackKind kind, std::uint16_t port,
                                       Instant now) noexcept;
    /// When `advance` must be called; `never` where no scan stands.
    [[nodiscard]] Instant deadline() const noexcept { return deadline_; }
    /// Calls `report(const AttackEpisode&)` for each scan that has ended.
    template <class Report>
    void advance(Instant now, Report&& report) noexcept {
        deadline_ = never;
        for (std::size_t i = 0; i < episodes_.size(); ++i) {
            if (!episodes_[i].active) continue;
            const Instant end = episodes_[i].last + quiet;
            if (now >= end) {
                report(finish(i));
            } else {
                deadline_ = std::min(deadline_, end);
            }
        }
    }
    /// The same for each scan that stands.
    template <class Report>
    void finish(Report&& report) noexcept {
        for (std::size_t i = 0; i < episodes_.size(); ++i)
            if (episodes_[i].active) report(finish(i));
        deadline_ = never;
    }

  private:
    static constexpr std::size_t sets = 256;
    static constexpr std::size_t ways = 4;
    static constexpr std::uint8_t no_episode = 0xff;

    // A source and what it does.
    struct alignas(64) Suspect {
        IpAddress source{};
        AttackKind kind{};
        std::uint8_t ports_seen = 0;  // 0: the entry is free
        std::uint8_t episode = no_episode;
        Instant since{}, last{};
        std::uint64_t segments = 0;
        std::array<std::uint16_t, least_ports> ports{};
    };
    static_assert(sizeof(Suspect) <= 128);

    struct Episode {
        bool active = false;
        Suspect* suspect = nullptr;
        Instant last{};
        std::uint64_t segments = 0;
        std::uint32_t ports = 0;
        std::bitset<65536> seen;
    };

    Suspect* suspect_of(const IpAddress& source, AttackKind kind, Instant now) noexcept;
    std::optional<AttackEpisode> begin(Suspect& suspect) noexcept;
    AttackEpisode finish(std::size_t index) noexcept;
    [[nodiscard]] static AttackEpisode figures(const Episode& episode, bool ended) noexcept;

    HashKey key_;
    Instant deadline_ = never;
    std::vector<Suspect> suspects_;
    std::vector<Episode> episodes_;
};

}  // namespace runnel::tcp
