#include "runnel/runtime/statistics.hpp"

#include <numeric>
#include <span>

namespace runnel::runtime {

namespace {

std::vector<NamedCount> nonzero(std::span<const std::uint64_t> counts,
                                std::span<const CounterDescription> descriptions) {
    std::vector<NamedCount> result;
    for (std::size_t i = 0; i < counts.size(); ++i)
        if (counts[i] != 0) result.push_back({descriptions[i].name, descriptions[i].sentence, counts[i]});
    return result;
}

}  // namespace

Snapshot& Snapshot::operator+=(const Counters& core) noexcept {
    for (std::size_t i = 0; i < counters.size(); ++i) counters[i] += core.get(static_cast<Counter>(i));
    for (std::size_t i = 0; i < drops.size(); ++i) drops[i] += core.get(static_cast<DropReason>(i));
    return *this;
}

Snapshot& Snapshot::operator+=(const Snapshot& other) noexcept {
    for (std::size_t i = 0; i < counters.size(); ++i) counters[i] += other.counters[i];
    for (std::size_t i = 0; i < drops.size(); ++i) drops[i] += other.drops[i];
    return *this;
}

Snapshot Snapshot::since(const Snapshot& earlier) const noexcept {
    Snapshot difference;
    for (std::size_t i = 0; i < counters.size(); ++i)
        difference.counters[i] = counters[i] - earlier.counters[i];
    for (std::size_t i = 0; i < drops.size(); ++i) difference.drops[i] = drops[i] - earlier.drops[i];
    return difference;
}

std::uint64_t Snapshot::dropped() const noexcept {
    return std::accumulate(drops.begin(), drops.end(), std::uint64_t{0});
}

std::vector<NamedCount> nonzero_drops(const Snapshot& snapshot) {
    return nonzero(snapshot.drops, drop_descriptions());
}

std::vector<NamedCount> nonzero_counters(const Snapshot& snapshot) {
    return nonzero(snapshot.counters, counter_descriptions());
}

}  // namespace runnel::runtime
