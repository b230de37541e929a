// Which connection a segment belongs to: the four-tuple, its keyed hash, and what the flow table's values
// say.
#pragma once

#include <cstdint>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/tuple_hash.hpp"

namespace runnel::tcp {

/// The four-tuple of a connection as this side sees it, in host order.
struct Flow {
    Ipv4Address remote_address{}, local_address{};
    std::uint16_t remote_port = 0, local_port = 0;

    friend constexpr bool operator==(const Flow&, const Flow&) noexcept = default;

    /// The two words that the keyed hashes read.
    [[nodiscard]] constexpr std::uint64_t addresses() const noexcept {
        return std::uint64_t{remote_address.value} << 32 | local_address.value;
    }
    [[nodiscard]] constexpr std::uint64_t ports() const noexcept {
        return std::uint64_t{remote_port} << 16 | local_port;
    }
};

/// The hash under which the flow table files a connection. Its key is secret, so that nobody can aim
/// collisions.
[[nodiscard]] inline std::uint32_t flow_hash(const TupleHash& hash, const Flow& flow) noexcept {
    static_assert(sizeof(Flow) == TupleHash::size, "the tuple is hashed as it lies in memory");
    return hash(&flow);
}

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
