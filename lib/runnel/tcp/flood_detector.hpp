// Finds SYN floods, second by second: half-open connections crowd, peers do not complete them, and the
// sources are many or few (RFC 4987 section 2). On the path of a SYN it counts; sources are noted only where
// half-open connections are many.
#pragma once

#include <cstdint>
#include <optional>

#include "runnel/base/time.hpp"
#include "runnel/tcp/attack.hpp"
#include "runnel/tcp/source_sketch.hpp"

namespace runnel::tcp {

/// A second is hot where all of this holds:
/// - half-open connections stand at half of what the table holds, or SYNs met a full table, or as many SYNs
///   stayed without answer as would fill the table in a minute, which is how long an entry lives;
/// - there were at least `least_syns` SYNs;
/// - less than half of them were completed; where they came from few sources, less than a quarter, as the
/// peers
///   behind one lossy path are no attack.
/// An episode begins with a hot second and ends when `calm_seconds` in a row were not. Once it has begun,
/// what the table holds counts no more: cookies keep it empty.
class FloodDetector {
  public:
    static constexpr Duration window = 1s;
    static constexpr std::uint64_t least_syns = 32;
    static constexpr int calm_seconds = 5;
    /// Fewer sources than one for so many SYNs are few.
    static constexpr std::uint64_t syns_a_source = 8;

    /// What the stack knows at the end of a second.
    struct Picture {
        std::uint32_t half_open = 0;   ///< now
        std::uint64_t answered = 0;    ///< handshakes that peers completed, since the start
        std::uint64_t overflowed = 0;  ///< SYNs that met a full table, since the start
    };

    FloodDetector(std::uint64_t key, std::uint32_t half_open_capacity) noexcept
        : capacity_(half_open_capacity), sketch_(key) {}

    /// Whether the second is over: `turn` is due before the next `syn`, and at `deadline()` at the latest.
    [[nodiscard]] bool over(Instant now) const noexcept { return now >= window_end_; }
    /// When `turn` must be called though no SYN comes; `never` where nothing is going on.
    [[nodiscard]] Instant deadline() const noexcept { return watching_ || active_ ? window_end_ : never; }
    /// A SYN for a listener; its source as `SourceSketch` takes it. `crowded`: half-open connections are
    /// many, or none are kept.
    void syn(std::uint64_t source, bool crowded) noexcept {
        ++syns_;
        if (crowded || active_) [[unlikely]] {
            watching_ = true;
            sketch_.add(source);
        }
    }
    /// Ends the second, and begins the next. What it returns has begun or ended.
    std::optional<AttackEpisode> turn(Instant now, const Picture& picture) noexcept;
    /// Ends the episode that stands, where one does.
    std::optional<AttackEpisode> finish() noexcept;

  private:
    [[nodiscard]] bool hot(const Picture& picture, std::uint64_t answered) const noexcept;
    [[nodiscard]] AttackEpisode episode(bool ended) const noexcept;

    std::uint32_t capacity_;
    bool watching_ = false;  // this second
    bool active_ = false;
    Instant window_begin_{}, window_end_{};
    std::uint64_t syns_ = 0;  // of this second
    Picture last_;            // at its beginning
    // of the episode
    Instant began_{}, last_hot_{};
    std::uint64_t segments_ = 0, completed_ = 0;
    SourceSketch sketch_;
};

}  // namespace runnel::tcp
