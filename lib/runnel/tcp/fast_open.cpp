#include "runnel/tcp/fast_open.hpp"

#include <algorithm>

#include "runnel/wire/byte_order.hpp"

namespace runnel::tcp {

wire::FastOpenCookie FastOpenCookies::cookie(const IpAddress& client, const IpAddress& server,
                                             std::uint64_t slot) const noexcept {
    wire::FastOpenCookie cookie{.size = 8};
    if (!client.is_v4()) {
        const auto digest = [this](const Ipv6Address& address) {
            return siphash_2_4(key_, address.high(), address.low());
        };
        wire::store_be64(cookie.octets.data(),
                         siphash_2_4(key_, digest(client.v6()), shared_ ? digest(server.v6()) : slot));
        return cookie;
    }
    if (shared_) {
        // The addresses as they stand in the packet, one after the other; the hash in little-endian order.
        const std::uint64_t addresses =
            __builtin_bswap64(std::uint64_t{client.v4().value} << 32 | server.v4().value);
        wire::store_be64(cookie.octets.data(), __builtin_bswap64(detail::siphash<2, 4>(key_, addresses)));
        return cookie;
    }
    wire::store_be64(cookie.octets.data(), siphash_2_4(key_, client.v4().value, slot));
    return cookie;
}

FastOpenCookies::Verdict FastOpenCookies::check(const wire::FastOpenCookie& given, const IpAddress& client,
                                                const IpAddress& server, Instant now) const noexcept {
    const std::uint64_t slot = slot_of(now);
    if (given == cookie(client, server, slot)) return Verdict::good;
    return given == cookie(client, server, slot - 1) ? Verdict::old : Verdict::wrong;
}

bool PendingFastOpens::begin(Instant now) noexcept {
    while (reset_count_ > 0 && resets_[first_reset_] <= now) {
        first_reset_ = (first_reset_ + 1) % limit_;
        --reset_count_;
    }
    if (pending_ + reset_count_ >= limit_) return false;
    ++pending_;
    return true;
}

void PendingFastOpens::reset(Instant now) noexcept {
    --pending_;
    // Never full: what is pending and what was reset are together no more than the limit.
    resets_[(first_reset_ + reset_count_) % limit_] = now + reset_counts_for;
    ++reset_count_;
}

FastOpenCache::Known FastOpenCache::find(Ipv4Address server, Instant now) const noexcept {
    if (entries_.empty()) return {.refused = true};
    const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(bucket_of(server));
    const auto entry = std::find_if(first, first + bucket_size,
                                    [&](const Entry& each) { return each.server == server.value; });
    if (entry == first + bucket_size) return {};
    return {.cookie = entry->cookie, .mss = entry->mss, .refused = now < entry->refused_until};
}

FastOpenCache::Entry* FastOpenCache::entry_for(Ipv4Address server, Instant now) noexcept {
    if (entries_.empty()) return nullptr;
    const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(bucket_of(server));
    auto entry = std::find_if(first, first + bucket_size,
                              [&](const Entry& each) { return each.server == server.value; });
    if (entry == first + bucket_size) {
        entry = std::min_element(first, first + bucket_size,
                                 [](const Entry& a, const Entry& b) { return a.told < b.told; });
        *entry = {.server = server.value};
    }
    entry->told = now;
    return &*entry;
}

void FastOpenCache::store(Ipv4Address server, const wire::FastOpenCookie& cookie, std::uint16_t mss,
                          Instant now) noexcept {
    Entry* const entry = entry_for(server, now);
    if (entry == nullptr) return;
    entry->cookie = cookie;
    entry->mss = mss;
    entry->refused_until = Instant::min();
}

void FastOpenCache::refuse(Ipv4Address server, Instant now) noexcept {
    Entry* const entry = entry_for(server, now);
    if (entry == nullptr) return;
    entry->cookie = {};
    entry->refused_until = now + retry_after;
}

}  // namespace runnel::tcp
