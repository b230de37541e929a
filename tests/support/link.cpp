#include "link.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace runnel::test {

namespace {

constexpr std::size_t overhead = 24;  // preamble, FCS and the gap between frames

bool is_ipv4(const Octets& frame) {
    return frame.size() > 34 && frame[12] == 0x08 && frame[13] == 0x00;
}

bool is_ipv6(const Octets& frame) {
    return frame.size() > 54 && frame[12] == 0x86 && frame[13] == 0xdd;
}

// Sets CE where the sender is capable of ECN (RFC 3168 section 5); false where it is not.
bool mark(Octets& frame) {
    if (is_ipv6(frame)) {
        if ((frame[15] & 0x30) == 0) return false;
        frame[15] |= 0x30;
        return true;
    }
    if (!is_ipv4(frame) || (frame[15] & 3) == 0) return false;
    frame[15] |= 3;
    frame[24] = frame[25] = 0;
    const std::span<const std::uint8_t> header{frame.data() + 14, std::size_t{frame[14] & 0xfU} * 4};
    const std::uint16_t sum = internet_checksum(header);
    frame[24] = static_cast<std::uint8_t>(sum >> 8);
    frame[25] = static_cast<std::uint8_t>(sum);
    return true;
}

}  // namespace

std::string to_string(const LinkConfig& config) {
    const auto microseconds = [](Duration duration) { return static_cast<double>(duration.count()) / 1000; };
    std::string text =
        fmt::format("loss {}, duplication {}, corruption {}, delay {} us, jitter {} us, {} bit/s",
                    config.loss, config.duplication, config.corruption, microseconds(config.delay),
                    microseconds(config.jitter), config.bits_a_second);
    if (config.bursts.begin > 0)
        text += fmt::format(", bursts of loss begin {} end {} loss {}", config.bursts.begin,
                            config.bursts.end, config.bursts.loss);
    if (config.reordering > 0)
        text +=
            fmt::format(", reordering {} by {} us", config.reordering, microseconds(config.reorder_delay));
    if (config.queue != 0) text += fmt::format(", queue {} frames", config.queue);
    if (config.buffer != 0) text += fmt::format(", buffer {} octets", config.buffer);
    if (config.mark_above != 0) text += fmt::format(", marks above {} octets", config.mark_above);
    return text;
}

bool Link::lost_by_chance(Instant now) {
    if (config_.bursts.begin > 0) {
        const bool going_on = bad_ && now < bad_until_;
        bad_ = going_on ? !happens(config_.bursts.end) : happens(config_.bursts.begin);
        if (bad_ && !going_on) bad_until_ = now + config_.bursts.longest;
        if (bad_ && happens(config_.bursts.loss)) return true;
    }
    return happens(config_.loss);
}

std::uint64_t Link::waiting(Instant now) const {
    if (config_.bits_a_second == 0 || free_at_ <= now) return 0;
    return static_cast<std::uint64_t>(static_cast<double>((free_at_ - now).count()) *
                                      static_cast<double>(config_.bits_a_second) / 8e9);
}

void Link::send(Octets frame, Instant now) {
    ++counts_.sent;
    if (lost_by_chance(now)) {
        ++counts_.lost;
        return;
    }
    Instant out = now;
    if (config_.bits_a_second != 0) {
        const std::size_t octets = frame.size() + overhead;
        const Duration one{static_cast<std::int64_t>(octets * 8 * 1'000'000'000 / config_.bits_a_second)};
        const std::uint64_t before = waiting(now);
        if ((config_.queue != 0 && free_at_ > now + one * config_.queue) ||
            (config_.buffer != 0 && before + octets > config_.buffer) ||
            (config_.mark_above != 0 && before > config_.mark_above && !mark(frame))) {
            ++counts_.dropped;
            return;
        }
        if (config_.mark_above != 0 && before > config_.mark_above) ++counts_.marked;
        free_at_ = std::max(free_at_, now) + one;
        out = free_at_;
    }
    const auto put = [&](Octets one) {
        Duration extra{};
        if (config_.jitter > 0ns)
            extra = Duration{std::uniform_int_distribution<std::int64_t>{0, config_.jitter.count()}(random_)};
        if (happens(config_.reordering)) {
            extra += config_.reorder_delay;
            ++counts_.reordered;
        }
        deliver(std::move(one), out + config_.delay + extra, extra > 0ns);
    };
    if (happens(config_.duplication)) {
        ++counts_.duplicated;
        put(frame);
    }
    if ((is_ipv4(frame) || is_ipv6(frame)) && happens(config_.corruption)) damage(frame);
    put(std::move(frame));
}

void Link::damage(Octets& frame) {
    // Of a padded frame only the packet is covered by checksums, and of an IPv6 packet not its first octets.
    constexpr std::size_t ipv6_uncovered = 8, ipv6_header = 40;
    const bool ipv6 = is_ipv6(frame);
    const std::size_t at = ipv6 ? 18 : 16;
    const std::size_t length =
        static_cast<std::size_t>(frame[at] << 8 | frame[at + 1]) + (ipv6 ? ipv6_header : 0);
    const std::size_t first = ipv6 ? ipv6_uncovered : 0;
    const std::size_t bit = first * 8 + random_() % ((length - first) * 8);
    frame[14 + bit / 8] = static_cast<std::uint8_t>(frame[14 + bit / 8] ^ (1U << bit % 8));
    ++counts_.corrupted;
}

void Link::deliver(Octets frame, Instant when, bool late) {
    const std::uint64_t number = next_number_++;
    if (late)
        late_.emplace(std::pair{when, number}, std::move(frame));
    else
        in_order_.push_back({when, number, std::move(frame)});
}

bool Link::late_comes_first() const {
    if (late_.empty()) return false;
    return in_order_.empty() ||
           late_.begin()->first < std::pair{in_order_.front().when, in_order_.front().number};
}

Instant Link::next_arrival() const {
    if (late_comes_first()) return late_.begin()->first.first;
    return in_order_.empty() ? never : in_order_.front().when;
}

Octets Link::take() {
    if (late_comes_first()) {
        const auto first = late_.begin();
        Octets frame = std::move(first->second);
        late_.erase(first);
        return frame;
    }
    Octets frame = std::move(in_order_.front().frame);
    in_order_.pop_front();
    return frame;
}

}  // namespace runnel::test
