#include "link.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace runnel::test {

std::string to_string(const LinkConfig& config) {
    return fmt::format(
        "loss {}, duplication {}, corruption {}, delay {} us, jitter {} us, {} bit/s, queue {}", config.loss,
        config.duplication, config.corruption, config.delay.count() / 1000, config.jitter.count() / 1000,
        config.bits_a_second, config.queue);
}

void Link::send(Octets frame, Instant now) {
    if (happens(config_.loss)) {
        ++lost_;
        return;
    }
    Instant out = now;
    if (config_.bits_a_second != 0) {
        const Duration one{
            static_cast<std::int64_t>((frame.size() + 24) * 8 * 1'000'000'000 / config_.bits_a_second)};
        if (config_.queue != 0 && free_at_ > now + one * config_.queue) {
            ++lost_;
            return;
        }
        free_at_ = std::max(free_at_, now) + one;
        out = free_at_;
    }
    const auto arrival = [&] {
        const Duration extra{std::uniform_int_distribution<std::int64_t>{0, config_.jitter.count()}(random_)};
        return out + config_.delay + extra;
    };
    if (happens(config_.duplication)) deliver(frame, arrival());
    if (frame.size() > 34 && frame[12] == 0x08 && frame[13] == 0x00 && happens(config_.corruption)) {
        // Of a padded frame only the packet is covered by checksums.
        const std::size_t packet = static_cast<std::size_t>(frame[16] << 8 | frame[17]);
        const std::size_t bit = random_() % (packet * 8);
        frame[14 + bit / 8] = static_cast<std::uint8_t>(frame[14 + bit / 8] ^ (1U << bit % 8));
        ++corrupted_;
    }
    deliver(std::move(frame), arrival());
}

void Link::deliver(Octets frame, Instant when) {
    under_way_.emplace(when, std::move(frame));
}

Octets Link::take() {
    const auto first = under_way_.begin();
    Octets frame = std::move(first->second);
    under_way_.erase(first);
    return frame;
}

}  // namespace runnel::test
