#include "runnel/ip/route_table.hpp"

#include <algorithm>

namespace runnel::ip {

RouteTable::RouteTable(const Config& config) {
    const auto add = [this](Ipv4Address network, unsigned prefix_length, Route route) {
        const std::uint32_t mask = prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix_length);
        entries_.push_back({network.value & mask, mask, route});
    };
    for (std::size_t i = 0; i < config.interfaces.size(); ++i)
        add(config.interfaces[i].address, config.interfaces[i].prefix_length,
            {static_cast<std::uint8_t>(i), {}});
    for (const RouteConfig& route : config.routes)
        add(route.network, route.prefix_length, {route.interface, route.gateway});
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return a.mask > b.mask; });
}

}  // namespace runnel::ip
