// TCP options: reading them all in one pass, and writing them where Linux puts them (RFC 9293 section 3.2,
// RFC 7323, RFC 2018, RFC 7413).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/seq_num.hpp"
#include "runnel/wire/byte_order.hpp"

namespace runnel::wire {

/// Kinds of options (IANA "TCP Option Kind Numbers").
namespace tcp_option {
inline constexpr std::uint8_t end_of_list = 0;
inline constexpr std::uint8_t no_operation = 1;
inline constexpr std::uint8_t mss = 2;
inline constexpr std::uint8_t window_scale = 3;
inline constexpr std::uint8_t sack_permitted = 4;
inline constexpr std::uint8_t sack = 5;
inline constexpr std::uint8_t timestamps = 8;
inline constexpr std::uint8_t fast_open = 34;
}  // namespace tcp_option

/// Octets of the timestamps option with the two NOPs before it.
inline constexpr std::size_t tcp_timestamps_size = 12;
/// Octets of the longest option list of a SYN that `write_syn_options` makes.
inline constexpr std::size_t tcp_max_syn_options_size = 40;
/// Most SACK blocks that 40 octets of options can hold.
inline constexpr std::size_t tcp_max_sack_blocks = 4;

/// Octets received above a hole: the first of them and the one past the last (RFC 2018 section 3).
struct SackBlock {
    SeqNum left;
    SeqNum right;
    friend constexpr bool operator==(const SackBlock&, const SackBlock&) noexcept = default;
};

/// The cookie of Fast Open: 4 to 16 octets, an even number; none where it is asked for (RFC 7413 section
/// 4.1.1).
struct FastOpenCookie {
    static constexpr std::size_t least = 4, most = 16;

    std::uint8_t size = 0;
    std::array<std::byte, most> octets{};  ///< zero beyond `size`
    friend constexpr bool operator==(const FastOpenCookie&, const FastOpenCookie&) noexcept = default;
};

/// What the options of a segment say. An option that comes twice counts as it came last.
struct TcpOptions {
    bool has_timestamps = false;
    bool sack_permitted = false;
    bool malformed = false;  ///< a length of 0, 1 or beyond the header; what stood before it is kept
    std::uint8_t sack_count = 0;
    std::optional<std::uint8_t>
        window_scale;                  ///< the shift as received, be it above 14 (RFC 7323 section 2.3)
    std::optional<std::uint16_t> mss;  ///< as received, be it 0
    std::uint32_t ts_value = 0;        ///< TSval, where `has_timestamps`
    std::uint32_t ts_echo = 0;         ///< TSecr, where `has_timestamps`
    std::array<SackBlock, tcp_max_sack_blocks>
        sack{};  ///< the first `sack_count` hold, unchecked, as received
    std::optional<FastOpenCookie> fast_open;

    friend constexpr bool operator==(const TcpOptions&, const TcpOptions&) noexcept = default;
};

namespace detail {

// NOP NOP Timestamps(10): the first word of the layout that RFC 7323 appendix A recommends.
inline constexpr std::uint32_t nop_nop_timestamps = 0x0101080a;

// One option of at least two octets whose length lies within the header. A wrong length for its kind:
// ignored.
constexpr void read_option(std::span<const std::byte> option, TcpOptions& options) noexcept {
    switch (std::to_integer<std::uint8_t>(option[0])) {
        case tcp_option::mss:
            if (option.size() == 4) options.mss = load_be16(option, 2);
            break;
        case tcp_option::window_scale:
            if (option.size() == 3) options.window_scale = std::to_integer<std::uint8_t>(option[2]);
            break;
        case tcp_option::sack_permitted:
            if (option.size() == 2) options.sack_permitted = true;
            break;
        case tcp_option::sack:
            if (option.size() < 10 || option.size() > 2 + 8 * tcp_max_sack_blocks || option.size() % 8 != 2)
                break;
            options.sack = {};
            options.sack_count = static_cast<std::uint8_t>(option.size() / 8);
            for (std::size_t i = 0; i < options.sack_count; ++i)
                options.sack[i] = {SeqNum{load_be32(option, 2 + 8 * i)},
                                   SeqNum{load_be32(option, 6 + 8 * i)}};
            break;
        case tcp_option::timestamps:
            if (option.size() != 10) break;
            options.has_timestamps = true;
            options.ts_value = load_be32(option, 2);
            options.ts_echo = load_be32(option, 6);
            break;
        case tcp_option::fast_open: {
            const std::size_t size = option.size() - 2;
            if (size != 0 && (size < FastOpenCookie::least || size > FastOpenCookie::most || size % 2 != 0))
                break;
            options.fast_open.emplace().size = static_cast<std::uint8_t>(size);
            std::copy_n(option.begin() + 2, size, options.fast_open->octets.begin());
            break;
        }
        default:
            break;  // unknown: skipped by its length (RFC 9293, MUST-6)
    }
}

constexpr void read_option_list(std::span<const std::byte> list, TcpOptions& options) noexcept {
    std::size_t at = 0;
    while (at < list.size()) {
        const auto kind = std::to_integer<std::uint8_t>(list[at]);
        if (kind == tcp_option::end_of_list) break;
        if (kind == tcp_option::no_operation) {
            ++at;
            continue;
        }
        const std::size_t left = list.size() - at;
        const std::size_t length = left < 2 ? 0 : std::to_integer<std::size_t>(list[at + 1]);
        if (length < 2 || length > left) [[unlikely]] {
            options.malformed = true;  // MUST-7: an illegal length must not lead us astray
            break;
        }
        read_option(list.subspan(at, length), options);
        at += length;
    }
}

// The options of a SYN as most hosts send them, Linux among them and `write_syn_options`: mss,
// SACK-permitted, timestamps, NOP, window scale.
inline constexpr std::size_t usual_syn_options_size = 20;
constexpr bool usual_syn_options(std::span<const std::byte> list) noexcept {
    return list.size() == usual_syn_options_size && load_be16(list, 0) == 0x0204 &&
           load_be32(list, 4) == 0x0402080a && load_be32(list, 16) >> 8 == 0x010303;
}

}  // namespace detail

/// Whether the 12 octets at `options` are NOP NOP Timestamps.
[[nodiscard]] constexpr bool only_timestamps(const std::byte* options) noexcept {
    return load_be32(options) == detail::nop_nop_timestamps;
}

/// Reads an option list, `TcpView::options()`: any octets of any length.
[[nodiscard]] constexpr TcpOptions parse_tcp_options(std::span<const std::byte> list) noexcept {
    TcpOptions options;
    if (list.size() == tcp_timestamps_size && only_timestamps(list.data())) [[likely]] {
        options.has_timestamps = true;
        options.ts_value = load_be32(list, 4);
        options.ts_echo = load_be32(list, 8);
    } else if (detail::usual_syn_options(list)) {
        options.mss = load_be16(list, 2);
        options.sack_permitted = true;
        options.has_timestamps = true;
        options.ts_value = load_be32(list, 8);
        options.ts_echo = load_be32(list, 12);
        options.window_scale = std::to_integer<std::uint8_t>(list[19]);
    } else {
        detail::read_option_list(list, options);
    }
    return options;
}

/// What a SYN or SYN-ACK offers.
struct SynOptions {
    std::optional<std::uint16_t> mss;
    bool sack_permitted = false;
    bool timestamps = false;
    std::uint32_t ts_value = 0;
    std::uint32_t ts_echo = 0;                 ///< 0 on a SYN (RFC 7323 section 3.2)
    std::optional<std::uint8_t> window_scale;  ///< the shift: 0 to 14
    std::optional<FastOpenCookie> fast_open;
};

/// Octets that `write_syn_options` takes: a multiple of 4, at most `tcp_max_syn_options_size`.
[[nodiscard]] constexpr std::size_t syn_options_size(const SynOptions& options) noexcept {
    return (options.mss ? 4U : 0U) +
           (options.timestamps       ? 12U
            : options.sack_permitted ? 4U
                                     : 0U) +
           (options.window_scale ? 4U : 0U) +
           (options.fast_open ? (options.fast_open->size + 5U) / 4 * 4 : 0U);
}

/// Writes NOP NOP Timestamps, 12 octets, at `to`.
constexpr void write_timestamps(std::byte* to, std::uint32_t value, std::uint32_t echo) noexcept {
    store_be32(to, detail::nop_nop_timestamps);
    store_be64(to + 4, std::uint64_t{value} << 32 | echo);
}

/// Writes the options in the order in which Linux sends them, filled to words of four octets with NOPs that
/// stand before the option, and behind the last: mss, SACK-permitted, timestamps, window scale, Fast Open.
/// SACK-permitted takes the place of the timestamps' NOPs. `out` has room for `syn_options_size(options)`,
/// which is returned.
constexpr std::size_t write_syn_options(std::span<std::byte> out, const SynOptions& options) noexcept {
    std::byte* to = out.data();
    if (options.mss) {
        store_be32(to, 0x02040000U | *options.mss);
        to += 4;
    }
    if (options.timestamps) {
        write_timestamps(to, options.ts_value, options.ts_echo);
        if (options.sack_permitted) store_be16(to, 0x0402);
        to += tcp_timestamps_size;
    } else if (options.sack_permitted) {
        store_be32(to, 0x01010402);
        to += 4;
    }
    if (options.window_scale) {
        store_be32(to, 0x01030300U | *options.window_scale);
        to += 4;
    }
    if (options.fast_open) {
        const std::size_t size = options.fast_open->size;
        *to++ = std::byte{tcp_option::fast_open};
        *to++ = static_cast<std::byte>(size + 2);
        to = std::copy_n(options.fast_open->octets.begin(), size, to);
        for (std::size_t padding = (size + 5) / 4 * 4 - (size + 2); padding > 0; --padding)
            *to++ = std::byte{tcp_option::no_operation};
    }
    return static_cast<std::size_t>(to - out.data());
}

/// Writes NOP NOP SACK with as many of `blocks`, the first first, as `out` holds, four at most. Returns the
/// octets written: 4 + 8 a block, or 0 where not one block fits.
constexpr std::size_t write_sack(std::span<std::byte> out, std::span<const SackBlock> blocks) noexcept {
    const std::size_t room = out.size() < 4 ? 0 : (out.size() - 4) / 8;
    const std::size_t count = std::min({blocks.size(), room, tcp_max_sack_blocks});
    if (count == 0) return 0;
    store_be32(out, 0, 0x01010500U | static_cast<std::uint32_t>(2 + 8 * count));
    for (std::size_t i = 0; i < count; ++i) {
        store_be32(out, 4 + 8 * i, blocks[i].left.value());
        store_be32(out, 8 + 8 * i, blocks[i].right.value());
    }
    return 4 + 8 * count;
}

}  // namespace runnel::wire
