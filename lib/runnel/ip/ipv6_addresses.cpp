#include "runnel/ip/ipv6_addresses.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "runnel/ip/duplicate_detection.hpp"

namespace runnel::ip {

namespace {

constexpr std::uint64_t link_local_prefix = 0xfe80'0000'0000'0000;

// Scopes of unicast addresses in the numbers of multicast scopes (RFC 6724 section 3.1).
int scope_of(const Ipv6Address& address) noexcept {
    constexpr int link_local = 2, global = 14;
    if (address.is_multicast()) return address.octets[1] & 0xf;
    return address.is_link_local() || address.is_loopback() ? link_local : global;
}

// The labels of the default policy table (RFC 6724 section 2.1); the longest prefix stands first.
int label_of(const Ipv6Address& address) noexcept {
    struct Row {
        Ipv6Address prefix;
        unsigned length;
        int label;
    };
    static constexpr std::array<Row, 9> rows{{{Ipv6Address::of(0, 1), 128, 0},
                                              {Ipv6Address::of(0, 0xffff'0000'0000), 96, 4},
                                              {Ipv6Address::of(0, 0), 96, 3},
                                              {Ipv6Address::of(0x2001'0000'0000'0000, 0), 32, 5},
                                              {Ipv6Address::of(0x2002'0000'0000'0000, 0), 16, 2},
                                              {Ipv6Address::of(0x3ffe'0000'0000'0000, 0), 16, 12},
                                              {Ipv6Address::of(0xfec0'0000'0000'0000, 0), 10, 11},
                                              {Ipv6Address::of(0xfc00'0000'0000'0000, 0), 7, 13},
                                              {Ipv6Address::of(0, 0), 0, 1}}};
    return std::find_if(rows.begin(), rows.end(),
                        [&](const Row& row) { return same_prefix(address, row.prefix, row.length); })
        ->label;
}

int common_prefix(const Ipv6Address& a, const Ipv6Address& b, int most) noexcept {
    const int high = std::countl_zero(a.high() ^ b.high());
    const int all = high < 64 ? high : 64 + std::countl_zero(a.low() ^ b.low());
    return std::min(all, most);
}

}  // namespace

Ipv6Address link_local_address(const MacAddress& mac) noexcept {
    std::uint64_t identifier = 0;
    for (std::size_t i = 0; i < 6; ++i) {
        identifier = identifier << 8 | mac.octets[i];
        if (i == 2) identifier = identifier << 16 | 0xfffe;
    }
    return Ipv6Address::of(link_local_prefix, identifier ^ 0x0200'0000'0000'0000);
}

Ipv6Addresses::Ipv6Addresses(const Config& config) : link_local_(config.interfaces.size()) {
    const auto configure = [this](const Ipv6Address& first, std::uint32_t count, std::uint8_t prefix_length,
                                  std::uint8_t interface) {
        configured_.push_back({first.words()[0], first.high(), first.low(), count, prefix_length, interface});
    };
    for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
        const InterfaceConfig& interface = config.interfaces[i];
        const auto index = static_cast<std::uint8_t>(i);
        for (const Ipv6AddressConfig& range : interface.ipv6)
            configure(range.address, range.address_count, range.prefix_length, index);
        if (!interface.speaks_ipv6()) continue;
        link_local_[i] = link_local_address(interface.mac);
        configure(link_local_[i], 1, 64, index);
    }
    any_ = !configured_.empty();
    // Each range that is probed for may come in so many pieces.
    std::size_t pieces = most_formed;
    for (const Range& range : configured_)
        pieces += std::min<std::size_t>(range.count, DuplicateDetection<Range>::most_duplicates + 1);
    ranges_.reserve(pieces);
    tentative_.reserve(configured_.size() + most_formed);
    advertised_.reserve(most_advertised);
    for (const Range& range : configured_)
        config.dad_probes == 0 ? add(range, 0, range.count) : add_tentative(range);
}

bool Ipv6Addresses::add_tentative(const Range& range) noexcept {
    if (tentative_.size() == tentative_.capacity()) return false;
    tentative_.push_back(range);
    return true;
}

void Ipv6Addresses::remove_tentative(const Range& range) noexcept {
    std::erase_if(tentative_, [&](const Range& one) {
        return one.interface == range.interface && one.first() == range.first();
    });
}

bool Ipv6Addresses::add(const Range& range, std::uint32_t first, std::uint32_t count) noexcept {
    if (ranges_.size() == ranges_.capacity()) return false;
    Range& one = ranges_.emplace_back(range);
    one.low += first;
    one.count = count;
    return true;
}

void Ipv6Addresses::remove(const Range& range) noexcept {
    std::erase_if(ranges_, [&](const Range& one) {
        return one.interface == range.interface && range.holds(one.first());
    });
}

void Ipv6Addresses::set_deprecated(const Range& range) noexcept {
    for (std::vector<Range>* const ranges : {&ranges_, &tentative_})
        for (Range& one : *ranges)
            if (one.interface == range.interface && range.holds(one.first()))
                one.deprecated = range.deprecated;
}

void Ipv6Addresses::disable(std::uint8_t interface) noexcept {
    const auto of_it = [&](const Range& one) { return one.interface == interface; };
    std::erase_if(ranges_, of_it);
    std::erase_if(tentative_, of_it);
    link_local_[interface] = {};
}

std::uint64_t Ipv6Addresses::size() const noexcept {
    std::uint64_t size = 0;
    for (const Range& range : ranges_) size += range.count;
    return size;
}

bool Ipv6Addresses::hears(std::uint8_t interface, const Ipv6Address& group) const noexcept {
    if (!speaks(interface)) return false;
    if (group == all_nodes) return true;
    if (group.high() != all_nodes.high() || group.low() >> 24 != 0x1ff) return false;
    return hears(ranges_, interface, group) || hears(tentative_, interface, group);
}

bool Ipv6Addresses::hears(const std::vector<Range>& ranges, std::uint8_t interface,
                          const Ipv6Address& group) const noexcept {
    // Solicited-node: the last 24 bits are those of the address.
    for (const Range& range : ranges)
        if (range.interface == interface && ((group.low() - range.low) & 0xff'ffff) < range.count)
            return true;
    return false;
}

bool Ipv6Addresses::connects(std::uint8_t interface, const Ipv6Address& address) const noexcept {
    const auto connects = [&](const Range& range) {
        return range.interface == interface && same_prefix(address, range.first(), range.prefix_length);
    };
    return std::ranges::any_of(configured_, connects) || std::ranges::any_of(ranges_, connects);
}

void Ipv6Addresses::note_advertised(std::uint8_t interface, const Ipv6Address& router,
                                    const Ipv6Address& prefix, std::uint8_t length, Instant until) noexcept {
    const auto known = std::ranges::find_if(advertised_, [&](const Advertised& one) {
        return one.interface == interface && one.router == router && one.length == length &&
               same_prefix(one.prefix, prefix, length);
    });
    if (known != advertised_.end())
        known->until = until;
    else if (advertised_.size() < most_advertised)
        advertised_.push_back(
            {.router = router, .prefix = prefix, .until = until, .length = length, .interface = interface});
}

void Ipv6Addresses::forget_advertised(std::uint8_t interface, const Ipv6Address& router) noexcept {
    std::erase_if(advertised_,
                  [&](const Advertised& one) { return one.interface == interface && one.router == router; });
}

bool Ipv6Addresses::is_advertised(const Range& range, const Ipv6Address& router) const noexcept {
    return std::ranges::any_of(advertised_, [&](const Advertised& one) {
        return one.interface == range.interface && one.router == router &&
               same_prefix(one.prefix, range.first(), one.length);
    });
}

// Whether `a` is the better source for `destination`: the rules of RFC 6724 section 5 that concern addresses
// which all belong to the outgoing interface, and are neither home nor temporary addresses.
bool Ipv6Addresses::better(const Range& a, const Range& b, const Ipv6Address& destination,
                           const Ipv6Address& router) const noexcept {
    const int scope_a = scope_of(a.first()), scope_b = scope_of(b.first()), scope = scope_of(destination);
    if (scope_a != scope_b) return scope_a < scope_b ? scope_a >= scope : scope_b < scope;
    if (a.deprecated != b.deprecated) return b.deprecated;
    if (!router.is_unspecified()) {
        const bool said_a = is_advertised(a, router), said_b = is_advertised(b, router);
        if (said_a != said_b) return said_a;
    }
    const int label = label_of(destination);
    const bool label_a = label_of(a.first()) == label, label_b = label_of(b.first()) == label;
    if (label_a != label_b) return label_a;
    return common_prefix(a.first(), destination, a.prefix_length) >
           common_prefix(b.first(), destination, b.prefix_length);
}

std::optional<Ipv6Address> Ipv6Addresses::source_for(std::uint8_t interface, const Ipv6Address& destination,
                                                     const Ipv6Address& router) const noexcept {
    const Range* best = nullptr;
    for (const Range& range : ranges_) {
        if (range.interface != interface) continue;
        if (range.holds(destination)) return destination;
        if (best == nullptr || better(range, *best, destination, router)) best = &range;
    }
    if (best == nullptr) return std::nullopt;
    return best->first();
}

}  // namespace runnel::ip
