// Which connection a segment belongs to: what the values of the flow table say.
#pragma once

#include <cstdint>

#include "runnel/ip/flow.hpp"

namespace runnel::tcp {

using ip::Ends;
using ip::Flow;
using ip::flow_hash;
using ip::FlowDigest;

/// The tables a flow table's value can point into.
enum class Table : std::uint32_t { connection = 0, half_open = 1, time_wait = 2 };

/// A value of the flow table: which table, and which slot in it. One lookup finds the owner of a segment,
/// whichever of the three it is, and the passage from one to the next rewrites the value in place.
struct Owner {
    static constexpr std::uint32_t slot_bits = 30;
    static constexpr std::uint32_t max_slots = (1U << slot_bits) - 1;

    Table table = Table::connection;
    std::uint32_t slot = 0;

    [[nodiscard]] static constexpr Owner decode(std::uint32_t value) noexcept {
        return {static_cast<Table>(value >> slot_bits), value & max_slots};
    }
    [[nodiscard]] constexpr std::uint32_t encode() const noexcept {
        return static_cast<std::uint32_t>(table) << slot_bits | slot;
    }
};

}  // namespace runnel::tcp
