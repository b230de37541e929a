// Ephemeral ports (RFC 6056): the double-hash algorithm of section 3.3.4, with the successive ports of a
// destination passed through a keyed permutation so that they do not follow one another either.
#pragma once

#include <array>
#include <cstdint>

#include "runnel/base/block_prf.hpp"
#include "runnel/tcp/flow.hpp"

namespace runnel::tcp {

/// Proposes local ports for active opens. Each port of the range comes once in a round, so the time until a
/// port is used again towards the same destination is as long as it can be.
class EphemeralPorts {
  public:
    EphemeralPorts(HashKey key, std::uint16_t first, std::uint16_t last) noexcept
        : secret_(key), first_(first), last_(last) {}

    /// Calls `try_port(port)` with one port after the other until it returns true, through at most one whole
    /// round. Returns the port, or 0 where none was free.
    template <class TryPort>
    std::uint16_t choose(Ipv4Address remote, std::uint16_t remote_port, Ipv4Address local,
                         TryPort&& try_port) noexcept {
        const std::uint64_t f =
            secret_(std::uint64_t{remote.value} << 32 | local.value, std::uint64_t{remote_port} << 48);
        std::uint32_t& counter = counters_[f % counters_.size()];
        const auto round_key = static_cast<std::uint32_t>(f >> 32);
        for (std::uint32_t i = 0; i < 65536; ++i) {
            const std::uint16_t port = permute(static_cast<std::uint16_t>(counter++), round_key);
            if (port < first_ || port > last_) continue;
            if (try_port(port)) return port;
        }
        return 0;
    }

  private:
    // A four-round Feistel network over 16 bits: a permutation, different for each key.
    static constexpr std::uint16_t permute(std::uint16_t index, std::uint32_t key) noexcept {
        std::uint32_t left = index >> 8, right = index & 0xff;
        for (int round = 0; round < 4; ++round) {
            const std::uint32_t mixed = (right + 1) * 0x9e3779b1U ^ key;
            const std::uint32_t next = left ^ ((mixed * 0x85ebca6bU) >> 24);
            left = right;
            right = next;
            key = key << 8 | key >> 24;
        }
        return static_cast<std::uint16_t>(left << 8 | right);
    }

    BlockPrf secret_;
    std::uint16_t first_, last_;
    std::array<std::uint32_t, 1024> counters_{};
};

}  // namespace runnel::tcp
