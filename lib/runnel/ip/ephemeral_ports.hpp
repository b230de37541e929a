// Ephemeral ports (RFC 6056): the double-hash algorithm of section 3.3.4, with the successive ports of a
// destination passed through a keyed permutation so that they do not follow one another either. Where cores
// share an address, each permutes those ports alone whose replies reach it.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "runnel/base/block_prf.hpp"
#include "runnel/ip/flow.hpp"
#include "runnel/ip/home_ports.hpp"

namespace runnel::ip {

/// Proposes local ports for active opens. Each port of the range comes once in a round, so the time until a
/// port is used again towards the same destination is as long as it can be.
class EphemeralPorts {
  public:
    /// `home`: the ports that this core may take; null: all. Not owned, outlives this.
    EphemeralPorts(HashKey key, std::uint16_t first, std::uint16_t last,
                   const HomePorts* home = nullptr) noexcept
        : secret_(key), first_(first), last_(last), home_(home) {}

    /// For a connection of which all but the local port is settled: calls `try_port(port)` with one port
    /// after the other until it returns true, through at most one whole round. Returns the port, or 0 where
    /// none was free.
    template <class TryPort>
    std::uint16_t choose(const Ends& ends, TryPort&& try_port) noexcept {
        const std::uint16_t remote_port = ends.flow.remote_port;
        // Cores may share the key: what one chooses says nothing of what another will.
        const std::uint64_t core = home_ == nullptr ? 0 : std::uint64_t{home_->core()} + 1;
        const std::uint64_t f = secret_(ends.flow.addresses(), std::uint64_t{remote_port} << 48 | core);
        std::uint32_t& counter = counters_[f % counters_.size()];
        const auto round_key = static_cast<std::uint32_t>(f >> 32);
        const auto first_free = [&](unsigned bits, auto&& port_of) noexcept -> std::uint16_t {
            for (std::uint32_t i = 0; i < 1U << bits; ++i) {
                const std::uint16_t port = port_of(permute(counter++, round_key, bits));
                if (port < first_ || port > last_) continue;
                if (try_port(port)) return port;
            }
            return 0;
        };
        if (home_ == nullptr) [[likely]]
            return first_free(
                16, [](std::uint32_t number) noexcept { return static_cast<std::uint16_t>(number); });
        const HomePorts::Candidates candidates =
            home_->towards(ends.remote_address(), remote_port, ends.local_address());
        return first_free(candidates.bits(),
                          [&](std::uint32_t number) noexcept { return candidates[number]; });
    }

  private:
    // A four-round Feistel network over so many bits, at most 16: a permutation, different for each key. The
    // halves differ by one where their number is odd, and each round exchanges their sizes.
    static constexpr std::uint32_t permute(std::uint32_t index, std::uint32_t key, unsigned bits) noexcept {
        unsigned left_bits = bits / 2, right_bits = bits - left_bits;
        std::uint32_t left = index >> right_bits & ((1U << left_bits) - 1);
        std::uint32_t right = index & ((1U << right_bits) - 1);
        for (int round = 0; round < 4; ++round) {
            const std::uint32_t mixed = ((right + 1) * 0x9e3779b1U ^ key) * 0x85ebca6bU;
            const std::uint32_t next = left ^ (mixed >> 16 & ((1U << left_bits) - 1));
            left = right;
            right = next;
            std::swap(left_bits, right_bits);
            key = key << 8 | key >> 24;
        }
        return left << right_bits | right;
    }

    BlockPrf secret_;
    std::uint16_t first_, last_;
    const HomePorts* home_;
    std::array<std::uint32_t, 1024> counters_{};
};

}  // namespace runnel::ip
