// See attack_log.hpp.
#include "attack_log.hpp"

#include <fmt/format.h>

namespace runnel::app {

void AttackLog::attack(const tcp::AttackEpisode& episode) noexcept {
    if (!episodes_.bounded_push(episode)) lost_.fetch_add(1, std::memory_order_relaxed);
}

void AttackLog::print() {
    bool any = false;
    const auto line = [&](const tcp::AttackEpisode& episode) {
        fmt::print(out_, "attack: {}\n", tcp::to_string(episode));
        any = true;
    };
    episodes_.consume_all(line);
    if (const std::uint64_t lost = lost_.exchange(0, std::memory_order_relaxed); lost > 0) {
        fmt::print(out_, "attack: {} more episodes began or ended\n", lost);
        any = true;
    }
    if (any) std::fflush(out_);
}

}  // namespace runnel::app
