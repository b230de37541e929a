// A wire that shows each frame that passes to an observer, and changes nothing: what `--trace` stands on.
#pragma once

#include <cstdint>
#include <functional>

#include "runnel/base/time.hpp"
#include "runnel/port/wire.hpp"

namespace runnel::port {

enum class Direction : std::uint8_t { received, sent };

/// Decorates another wire. Slow by nature: one call of the observer a frame.
class TracedWire final : public Wire {
  public:
    /// Called for each frame, on the thread that uses the wire. It must not change or free the frame, nor
    /// throw. A sent frame is shown once, when it is first offered to the wire: one that is refused must be
    /// offered again, first.
    using Observer = std::function<void(Direction direction, const rte_mbuf& frame, Instant when)>;
    /// Reads the clock of the trace.
    using Now = std::function<Instant()>;

    /// `wire` is not owned and outlives this.
    TracedWire(Wire& wire, Now now, Observer observer);

    [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override;
    [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override;

  private:
    Wire& wire_;
    Now now_;
    Observer observer_;
    const rte_mbuf* refused_ = nullptr;  // has been shown, and is to come again
};

}  // namespace runnel::port
