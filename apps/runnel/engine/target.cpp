// See target.hpp.
#include "engine/target.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace runnel::load {

void check_range(std::string_view option, const AddressRange& range, std::span<const Network> allowed) {
    for (std::uint32_t i = 0; i < range.count; ++i) {
        const IpAddress address = nth_after(range.first, i);
        if (is_test_address(address) ||
            std::ranges::any_of(allowed, [&](const Network& network) { return network.contains(address); }))
            continue;
        throw std::invalid_argument(
            fmt::format("{}: {} is not a private, benchmark, documentation or link-local address; if you "
                        "may load it, name its network with --allow-target, such as --allow-target {}",
                        option, to_string(address), to_string(address)));
    }
}

void check_target(const Servers& servers, std::span<const Network> allowed) {
    check_range("--target", servers.addresses, allowed);
}

}  // namespace runnel::load
