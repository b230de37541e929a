#include "runnel/tcp/flood_detector.hpp"

namespace runnel::tcp {

bool FloodDetector::hot(const Picture& picture, std::uint64_t answered) const noexcept {
    if (syns_ < least_syns || 2 * answered >= syns_) return false;
    if (active_) return true;
    // How long an entry of the half-open table lives with the usual retransmissions (1, 2, 4, .. 32 s).
    constexpr std::uint64_t seconds_an_entry_lives = 63;
    const bool crowded = 2 * std::uint64_t{picture.half_open} >= capacity_ ||
                         picture.overflowed != last_.overflowed ||
                         (syns_ - answered) * seconds_an_entry_lives >= capacity_;
    if (!crowded) return false;
    const bool few_sources = sketch_.estimate() * syns_a_source < syns_;
    return !few_sources || 4 * answered < syns_;
}

AttackEpisode FloodDetector::episode(bool ended) const noexcept {
    return {.kind = AttackKind::syn_flood,
            .ended = ended,
            .began = began_,
            .duration = last_hot_ - began_,
            .segments = segments_,
            .completed = completed_,
            .sources = sketch_.estimate()};
}

std::optional<AttackEpisode> FloodDetector::turn(Instant now, const Picture& picture) noexcept {
    std::optional<AttackEpisode> news;
    const std::uint64_t answered = picture.answered - last_.answered;
    const bool is_hot = hot(picture, answered);
    if (is_hot && !active_) {
        active_ = true;
        began_ = window_begin_;
        segments_ = completed_ = 0;
    }
    if (active_) {
        const bool begins = segments_ == 0;
        segments_ += syns_;
        completed_ += answered;
        if (is_hot) last_hot_ = now;
        // An idle time longer than a second is all calm.
        if (now - last_hot_ >= calm_seconds * window) {
            news = finish();
        } else if (begins) {
            news = episode(false);
        }
    }
    if (!active_ && (watching_ || news)) sketch_.clear();
    watching_ = false;
    syns_ = 0;
    last_ = picture;
    window_begin_ = now;
    window_end_ = now + window;
    return news;
}

std::optional<AttackEpisode> FloodDetector::finish() noexcept {
    if (!active_) return std::nullopt;
    active_ = false;
    return episode(true);
}

}  // namespace runnel::tcp
