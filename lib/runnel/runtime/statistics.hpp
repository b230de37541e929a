// The counters of all cores, summed without locks into a picture that can be kept, subtracted and printed.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "runnel/base/counters.hpp"

namespace runnel::runtime {

/// A sum of the counters of one or more cores, as of the moments at which each was read.
struct Snapshot {
    std::array<std::uint64_t, counter_count> counters{};
    std::array<std::uint64_t, drop_count> drops{};

    /// Adds a core's counters. From any thread, while the core goes on counting.
    Snapshot& operator+=(const Counters& core) noexcept;
    Snapshot& operator+=(const Snapshot& other) noexcept;
    /// What was counted since an earlier snapshot of the same cores.
    [[nodiscard]] Snapshot since(const Snapshot& earlier) const noexcept;

    [[nodiscard]] std::uint64_t get(Counter counter) const noexcept {
        return counters[static_cast<std::size_t>(counter)];
    }
    [[nodiscard]] std::uint64_t get(DropReason reason) const noexcept {
        return drops[static_cast<std::size_t>(reason)];
    }
    /// All drops together.
    [[nodiscard]] std::uint64_t dropped() const noexcept;

    friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

struct NamedCount {
    std::string_view name;      ///< as in JSON and telemetry
    std::string_view sentence;  ///< for a person
    std::uint64_t count;
};

/// The reasons for which something was dropped, in the order of the table; those that never happened are left
/// out.
[[nodiscard]] std::vector<NamedCount> nonzero_drops(const Snapshot& snapshot);
/// The events that happened, in the order of the table.
[[nodiscard]] std::vector<NamedCount> nonzero_counters(const Snapshot& snapshot);

}  // namespace runnel::runtime
