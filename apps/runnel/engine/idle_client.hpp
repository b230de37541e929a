// The client of a core that opens no connections: what there is beside it is measured.
#pragma once

#include "engine/client.hpp"
#include "engine/generator.hpp"

namespace runnel::load {

/// Goes through its phases by the time alone. One owner thread.
class IdleClient final : public Generator {
  public:
    explicit IdleClient(const ClientOptions& options) : ramp_(options.ramp), duration_(options.duration) {}

    bool poll(Instant now) noexcept override;
    /// The attacks beside it pause.
    [[nodiscard]] bool can_pause() const noexcept override { return true; }
    tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }

  private:
    Duration ramp_, duration_;
    Instant window_begin_{}, phase_end_{};
};

}  // namespace runnel::load
