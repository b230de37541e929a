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
    if (config.cut != 0) text += fmt::format(", cuts packets above {} octets", config.cut);
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
    constexpr std::size_t ethernet = 14, ipv6_header = 40, fragment_header = 8;
    const bool ipv6 = is_ipv6(frame);
    if (config_.cut == 0 || frame.size() <= ethernet + config_.cut || (!ipv6 && !is_ipv4(frame))) {
        carry(std::move(frame), now);
        return;
    }
    ++counts_.cut;
    ++next_id_;
    const std::size_t header = ipv6 ? ipv6_header : std::size_t{frame[ethernet] & 0xfU} * 4;
    const std::size_t step = (config_.cut - header - (ipv6 ? fragment_header : 0)) / 8 * 8;
    const auto head_end = frame.begin() + static_cast<std::ptrdiff_t>(ethernet + header);
    const std::span<const std::uint8_t> data{head_end, frame.end()};
    spared_ = false;
    for (std::size_t at = 0; at < data.size(); at += step) {
        const auto piece = data.subspan(at, std::min(step, data.size() - at));
        const bool more = at + step < data.size();
        Octets fragment(frame.begin(), head_end);
        const auto put16 = [&](std::size_t where, std::size_t value) {
            fragment[where] = static_cast<std::uint8_t>(value >> 8);
            fragment[where + 1] = static_cast<std::uint8_t>(value);
        };
        if (ipv6) {
            put16(ethernet + 4, fragment_header + piece.size());
            const std::uint8_t next = std::exchange(fragment[ethernet + 6], std::uint8_t{44});
            fragment.insert(fragment.end(), {next, 0, 0, 0, 0, 0, 0, 0});
            put16(ethernet + ipv6_header + 2, at | (more ? 1U : 0U));
            put16(ethernet + ipv6_header + 6, next_id_);
        } else {
            put16(ethernet + 2, header + piece.size());
            put16(ethernet + 4, next_id_);
            put16(ethernet + 6, at / 8 | (more ? 0x2000U : 0U));
            put16(ethernet + 10, 0);
            put16(ethernet + 10, internet_checksum(std::span{fragment}.subspan(ethernet, header)));
        }
        fragment.insert(fragment.end(), piece.begin(), piece.end());
        carry(std::move(fragment), now);
        // Two bits of one packet can turn over so that its checksum holds.
        spared_ |= damaged_;
    }
    spared_ = false;
}

void Link::carry(Octets frame, Instant now) {
    damaged_ = false;
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
    damaged_ = (is_ipv4(frame) || is_ipv6(frame)) && happens(config_.corruption) && !spared_;
    if (damaged_) damage(frame);
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

Octets Rejoining::add(const Octets& frame) {
    constexpr std::size_t ethernet = 14, ipv6_header = 40, fragment_header = 8;
    const auto get16 = [&](std::size_t at) { return std::size_t{frame[at]} << 8 | frame[at + 1]; };
    const bool ipv6 = is_ipv6(frame) && frame[ethernet + 6] == 44;
    if (!ipv6 && (!is_ipv4(frame) || (get16(ethernet + 6) & 0x3fff) == 0)) return frame;
    const std::size_t header = ipv6 ? ipv6_header : std::size_t{frame[ethernet] & 0xfU} * 4;
    const std::size_t at = ethernet + header + (ipv6 ? fragment_header : 0);
    const std::size_t end = ethernet + (ipv6 ? ipv6_header + get16(ethernet + 4) : get16(ethernet + 2));
    if (at >= end || end > frame.size()) return {};
    // A header that was damaged names another packet, or another place in it.
    if (!ipv6 && internet_checksum(std::span{frame}.subspan(ethernet, header)) != 0) return {};
    const std::size_t word = get16(ipv6 ? ethernet + ipv6_header + 2 : ethernet + 6);
    const std::size_t offset = ipv6 ? word & 0xfff8 : (word & 0x1fff) * 8;
    const bool more = ipv6 ? (word & 1) != 0 : (word & 0x2000) != 0;
    const auto id = static_cast<std::uint32_t>(get16(ipv6 ? ethernet + ipv6_header + 6 : ethernet + 4));
    const auto addresses = frame.begin() + static_cast<std::ptrdiff_t>(ethernet + (ipv6 ? 8 : 12));
    Packet& packet = packets_[{Octets(addresses, addresses + (ipv6 ? 32 : 8)), id}];
    const auto data = frame.begin() + static_cast<std::ptrdiff_t>(at);
    packet.pieces[offset] = Octets(data, frame.begin() + static_cast<std::ptrdiff_t>(end));
    if (!more) packet.total = offset + end - at;
    if (offset == 0) packet.head = Octets(frame.begin(), data);
    Octets whole = packet.head;
    std::size_t next = 0;
    for (const auto& [begin, octets] : packet.pieces) {
        if (begin != next) return {};
        whole.insert(whole.end(), octets.begin(), octets.end());
        next += octets.size();
    }
    if (packet.total == 0 || next != packet.total) return {};
    const std::size_t total = packet.total;
    packets_.erase({Octets(addresses, addresses + (ipv6 ? 32 : 8)), id});
    const auto put16 = [&](std::size_t where, std::size_t value) {
        whole[where] = static_cast<std::uint8_t>(value >> 8);
        whole[where + 1] = static_cast<std::uint8_t>(value);
    };
    if (ipv6) {
        whole[ethernet + 6] = whole[ethernet + ipv6_header];
        whole.erase(whole.begin() + ethernet + ipv6_header,
                    whole.begin() + ethernet + ipv6_header + fragment_header);
        put16(ethernet + 4, total);
    } else {
        put16(ethernet + 2, header + total);
        put16(ethernet + 6, 0);
        put16(ethernet + 10, 0);
        put16(ethernet + 10, internet_checksum(std::span{whole}.subspan(ethernet, header)));
    }
    return whole;
}

}  // namespace runnel::test
