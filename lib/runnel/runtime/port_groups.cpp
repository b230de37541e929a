#include "runnel/runtime/port_groups.hpp"

#include <algorithm>
#include <utility>

namespace runnel::runtime {

void PortGroups::tell(unsigned core, std::optional<std::vector<MacAddress>> groups) {
    const std::lock_guard lock{mutex_};
    wanted_[core] = std::move(groups);
    std::vector<MacAddress> all;
    for (const auto& one : wanted_) {
        if (!one) return port_.accept_all_groups();
        all.insert(all.end(), one->begin(), one->end());
    }
    std::ranges::sort(all);
    const auto repeated = std::ranges::unique(all);
    all.erase(repeated.begin(), repeated.end());
    port_.accept_groups(all);
}

}  // namespace runnel::runtime
