// See address_log.hpp.
#include "address_log.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace runnel::app {

void AddressLog::address(const ip::AddressEvent& event) noexcept {
    if (!events_.bounded_push(event)) lost_.fetch_add(1, std::memory_order_relaxed);
}

void AddressLog::print() {
    constexpr std::size_t most_told = 256;
    std::vector<ip::AddressEvent> now;
    events_.consume_all([&](const ip::AddressEvent& event) { now.push_back(event); });
    for (const ip::AddressEvent& event : now) {
        const auto same_address = [&](const ip::AddressEvent& one) {
            return one.address == event.address && one.interface == event.interface;
        };
        // What another core has told already. A conflict is told again and again, each time one core hears of
        // it.
        const auto told = std::ranges::find_if(told_, same_address);
        const bool known =
            told != told_.end() && told->kind == event.kind && event.kind != ip::AddressEventKind::conflict;
        if (told != told_.end()) told_.erase(told);
        if (told_.size() == most_told) told_.erase(told_.begin());
        told_.push_back(event);
        if (!known) fmt::print(out_, "address: {}\n", ip::to_string(event));
    }
    const std::uint64_t lost = lost_.exchange(0, std::memory_order_relaxed);
    if (lost > 0) fmt::print(out_, "address: {} more lines are lost\n", lost);
    if (!now.empty() || lost > 0) std::fflush(out_);
}

}  // namespace runnel::app
