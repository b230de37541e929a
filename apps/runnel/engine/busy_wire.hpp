// A wire whose side is slow on purpose, to see what a run says of it.
#pragma once

#include <cstdint>
#include <span>

#include <rte_pause.h>

#include "runnel/port/wire.hpp"
#include "runnel/runtime/clock.hpp"

namespace runnel::load {

/// Each frame that is received, and each that is sent, keeps the core busy for a set time besides.
class BusyWire final : public port::Wire {
  public:
    /// `wire` is not owned.
    BusyWire(port::Wire& wire, const runtime::Clock& clock, Duration work) noexcept
        : wire_(wire), clock_(clock), work_(work) {}

    [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
        return work(wire_.receive(out));
    }
    [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
        return work(wire_.send(frames));
    }

  private:
    std::size_t work(std::size_t frames) noexcept {
        if (frames == 0) return 0;
        const Instant end = clock_.now() + work_ * static_cast<Duration::rep>(frames);
        while (clock_.now() < end) rte_pause();
        return frames;
    }

    port::Wire& wire_;
    runtime::Clock clock_;
    Duration work_;
};

}  // namespace runnel::load
