// What a poll loop sends to and receives from: a queue of a port, one end of a ring, or something that
// decorates either.
#pragma once

#include <cstddef>
#include <span>

#include <rte_mbuf.h>

namespace runnel::port {

/// One direction pair of frames in bursts: the only virtual call on the packet path, one a burst. Used from
/// one thread at a time; different wires of the same port or ring may be used from different threads at once.
class Wire {
  public:
    Wire() = default;
    virtual ~Wire() = default;
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    /// Receives up to `out.size()` frames; the caller owns them then. Returns how many.
    [[nodiscard]] virtual std::size_t receive(std::span<rte_mbuf*> out) noexcept = 0;
    /// Sends frames from the first on. Returns how many the wire took; the others stay the caller's.
    [[nodiscard]] virtual std::size_t send(std::span<rte_mbuf*> frames) noexcept = 0;
};

}  // namespace runnel::port
