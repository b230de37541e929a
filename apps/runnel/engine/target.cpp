// See target.hpp.
#include "engine/target.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace runnel::load {

void check_target(const Servers& servers, std::span<const Network> allowed) {
    for (std::uint32_t i = 0; i < servers.addresses.count; ++i) {
        const IpAddress address = nth_after(servers.addresses.first, i);
        if (is_test_address(address) ||
            std::ranges::any_of(allowed, [&](const Network& network) { return network.contains(address); }))
            continue;
        throw std::invalid_argument(fmt::format(
            "--target: {} is not a private, benchmark, documentation or link-local address; if you "
            "may load it, name its network with --allow-target, such as --allow-target {}",
            to_string(address), to_string(address)));
    }
}

}  // namespace runnel::load
