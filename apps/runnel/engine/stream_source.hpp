// The sending end of a bulk transfer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runnel/tcp/connection.hpp"

namespace runnel::load {

/// Sends one block again and again, as much as TCP takes: what an application does that always has more to
/// send. One serves any number of connections.
class StreamSource {
  public:
    /// `block` is not empty and stays valid until the process ends. `copies`: as from a buffer that will be
    /// written again; else TCP refers to the block, as to a file in memory.
    StreamSource(std::span<const std::byte> block, bool copies) noexcept : block_(block), copies_(copies) {}

    /// Sends until TCP takes no more; `writable` says when to go on. Returns the octets.
    std::uint64_t push(tcp::Connection connection) const noexcept {
        for (std::uint64_t octets = 0;;) {
            const tcp::SendResult result = copies_ ? connection.send(block_) : connection.send_static(block_);
            octets += result.accepted;
            if (result.error != tcp::Error::none) return octets;
        }
    }

  private:
    std::span<const std::byte> block_;
    bool copies_;
};

}  // namespace runnel::load
