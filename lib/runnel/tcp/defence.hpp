// What stands between the open network and the tables: SYN cookies, and the detectors that tell the embedder
// of floods and scans.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/tcp/attack.hpp"
#include "runnel/tcp/core.hpp"
#include "runnel/tcp/flood_detector.hpp"
#include "runnel/tcp/scan_detector.hpp"
#include "runnel/tcp/segment.hpp"
#include "runnel/tcp/syn_cookies.hpp"

namespace runnel::tcp {

class Defence {
  public:
    explicit Defence(Core& core);
    /// Tells the observer of the end of what has not ended.
    ~Defence();
    Defence(const Defence&) = delete;
    Defence& operator=(const Defence&) = delete;

    /// A SYN has reached a listener.
    void syn_arrived(const Segment& segment) noexcept {
        if (flood_.over(core_.now)) [[unlikely]]
            turn();
        flood_.syn(segment.ipv6 == nullptr ? segment.flow.remote_address.value : segment.ipv6->remote.high(),
                   core_.half_open.size() >= crowd_);
    }
    /// A segment has reached a port and belongs to no connection, or, with RST, gives up a handshake: is it
    /// one of a scan? `listening`: somebody listens on the port.
    void unexpected(const Segment& segment, bool listening) noexcept;
    /// The peer ended a handshake that it had begun, as a SYN scan does at an open port.
    void handshake_reset(const Segment& segment) noexcept { touch(segment, AttackKind::syn_scan); }

    void advance() noexcept {
        if (core_.now >= next_deadline()) [[unlikely]]
            run_timers();
    }
    [[nodiscard]] Instant next_deadline() const noexcept {
        return std::min(flood_.deadline(), scans_.deadline());
    }

    SynCookies cookies;

  private:
    void turn() noexcept;
    void touch(const Segment& segment, AttackKind kind) noexcept;
    void run_timers() noexcept;
    void report(const AttackEpisode& episode) noexcept;

    Core& core_;
    std::uint32_t crowd_;  // half-open connections from which on sources are noted
    FloodDetector flood_;
    ScanDetector scans_;
};

}  // namespace runnel::tcp
