#include "runnel/ip/path_mtu.hpp"

#include <algorithm>

#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

std::uint16_t plateau_below(std::uint16_t size) noexcept {
    static constexpr std::array<std::uint16_t, 10> plateaus{32000, 17914, 8166, 4352, 2002,
                                                            1492,  1006,  508,  296,  68};
    const auto* const found =
        std::find_if(plateaus.begin(), plateaus.end(), [&](std::uint16_t mtu) { return mtu < size; });
    return found == plateaus.end() ? plateaus.back() : *found;
}

PathMtuTable::PathMtuTable(const Config& config, HashKey key, Counters& counters)
    : key_(key),
      counters_(counters),
      floor_(config.path_mtu_floor),
      lifetime_(config.path_mtu_lifetime),
      buckets_((config.path_mtu_capacity + bucket_size - 1) / bucket_size) {}

std::uint16_t PathMtuTable::look_up(const IpAddress& destination, std::uint16_t interface_mtu,
                                    Instant now) const noexcept {
    const Place place = place_of(destination);
    for (const Entry& entry : buckets_[place.bucket].entries)
        if (entry.digest == place.digest && now < entry.expires) return std::min(entry.mtu, interface_mtu);
    return interface_mtu;
}

std::uint16_t PathMtuTable::lower(const IpAddress& destination, std::uint16_t interface_mtu,
                                  std::uint16_t mtu, Instant now) noexcept {
    const std::uint16_t known = mtu_for(destination, interface_mtu, now);
    if (!destination.is_v4() && mtu < wire::ipv6_min_mtu) return known;
    const std::uint16_t wanted = std::max(mtu, std::min(floor_, interface_mtu));
    if (wanted > known || wanted >= interface_mtu) return known;

    const Place place = place_of(destination);
    auto& entries = buckets_[place.bucket].entries;
    auto* entry = std::find_if(entries.begin(), entries.end(),
                               [&](const Entry& candidate) { return candidate.digest == place.digest; });
    if (entry == entries.end()) {
        // All live equally long: the one that ends first was told of first.
        entry = std::min_element(entries.begin(), entries.end(),
                                 [](const Entry& a, const Entry& b) { return a.expires < b.expires; });
        if (now < entry->expires) counters_.add(Counter::path_mtu_displaced);
    }
    if (wanted < known) counters_.add(Counter::path_mtu_lowered);
    // The same once more: a router has dropped a packet of that path just now, and the time begins anew.
    *entry = {place.digest, wanted, now + lifetime_};
    last_expiry_ = std::max(last_expiry_, entry->expires);
    return wanted;
}

}  // namespace runnel::ip
