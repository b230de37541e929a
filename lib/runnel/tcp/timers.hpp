// What happens when a timer expires (RFC 9293 section 3.10.8): retransmission, window probes, the delayed
// ACK, SYN-ACKs again, and the end of waiting.
#pragma once

#include <cstdint>

#include "runnel/tcp/acknowledgement.hpp"
#include "runnel/tcp/core.hpp"
#include "runnel/tcp/path_mtu_discovery.hpp"
#include "runnel/tcp/recovery.hpp"
#include "runnel/tcp/transmission.hpp"

namespace runnel::tcp {

class Timers {
  public:
    Timers(Core& core, Transmission& transmission, Recovery& recovery, Acknowledgement& acknowledgement,
           PathMtuDiscovery& path_mtu) noexcept
        : core_(core),
          transmission_(transmission),
          recovery_(recovery),
          acknowledgement_(acknowledgement),
          path_mtu_(path_mtu) {}

    /// Runs all that is due at the core's present time.
    void advance() noexcept;

  private:
    void fire(std::uint32_t slot) noexcept;
    // These return false where the connection is gone.
    bool retransmission_expired(std::uint32_t slot, Tcb& tcb) noexcept;
    bool handshake_expired(std::uint32_t slot, Tcb& tcb) noexcept;
    bool keep_alive_expired(std::uint32_t slot, Tcb& tcb) noexcept;
    bool persist_expired(std::uint32_t slot, Tcb& tcb) noexcept;
    bool loss_timer_expired(std::uint32_t slot, Tcb& tcb) noexcept;
    bool unanswered_too_long(const Tcb& tcb, Cold& cold) noexcept;
    void restart_retransmission_timer(std::uint32_t slot, Tcb& tcb) noexcept;
    void half_open_expired(std::uint32_t slot) noexcept;
    [[nodiscard]] Duration r2(const Tcb& tcb) noexcept;

    Core& core_;
    Transmission& transmission_;
    Recovery& recovery_;
    Acknowledgement& acknowledgement_;
    PathMtuDiscovery& path_mtu_;
};

}  // namespace runnel::tcp
