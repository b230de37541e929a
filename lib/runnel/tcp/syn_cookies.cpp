#include "runnel/tcp/syn_cookies.hpp"

#include "runnel/tcp/handshake_options.hpp"

namespace runnel::tcp {

namespace {

// TSval: bits 0 to 3 the shift, 4 SACK, 5 ECN.
constexpr std::uint32_t shift_mask = 0xf;
constexpr std::uint32_t no_window_scaling = 0xf;
constexpr std::uint32_t sack_bit = 0x10;
constexpr std::uint32_t ecn_bit = 0x20;
constexpr std::uint32_t option_mask = (1U << cookie_option_bits) - 1;

constexpr std::uint32_t index_bits = 3;
constexpr std::uint32_t index_mask = (1U << index_bits) - 1;
static_assert(SynCookies::mss_table.size() == index_mask + 1);

}  // namespace

std::uint32_t timestamp_with(const CookieOptions& options, std::uint32_t ts_now) noexcept {
    const std::uint32_t bits = (options.window_scaling ? options.snd_wscale : no_window_scaling) |
                               (options.sack_permitted ? sack_bit : 0) | (options.ecn ? ecn_bit : 0);
    return ts_now - ((ts_now - bits) & option_mask);
}

CookieOptions options_in_timestamp(std::uint32_t ts_value) noexcept {
    const std::uint32_t shift = ts_value & shift_mask;
    CookieOptions options;
    options.window_scaling = shift <= max_window_shift;
    options.snd_wscale = options.window_scaling ? static_cast<std::uint8_t>(shift) : std::uint8_t{0};
    options.sack_permitted = (ts_value & sack_bit) != 0;
    options.ecn = (ts_value & ecn_bit) != 0;
    return options;
}

SeqNum SynCookies::cookie(const Flow& flow, SeqNum irs, std::uint64_t slot,
                          std::uint32_t index) const noexcept {
    const std::uint64_t hash =
        siphash_2_4(key_, flow.addresses(), flow.ports() << 32 | irs.value(), slot << index_bits | index);
    return SeqNum{static_cast<std::uint32_t>(hash) << index_bits | index};
}

SeqNum SynCookies::make(const Flow& flow, SeqNum irs, std::uint16_t peer_mss, Instant now) noexcept {
    std::uint32_t index = index_mask;
    while (index > 0 && mss_table[index] > peer_mss) --index;
    made_any_ = true;
    last_slot_ = slot_of(now);
    return cookie(flow, irs, last_slot_, index);
}

std::optional<std::uint16_t> SynCookies::check(const Flow& flow, SeqNum irs, SeqNum cookie_given,
                                               Instant now) const noexcept {
    const std::uint32_t index = cookie_given.value() & index_mask;
    const std::uint64_t slot = slot_of(now);
    if (cookie_given == cookie(flow, irs, slot, index) || cookie_given == cookie(flow, irs, slot - 1, index))
        return mss_of(index);
    return std::nullopt;
}

}  // namespace runnel::tcp
