// How often an address of ours is defended against another host that claims it (RFC 5227 section 2.4 (c)).
#pragma once

#include <array>
#include <cstddef>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"

namespace runnel::ip {

/// Bounded: of an address at most once an interval, and of all together no more than a number, so that two
/// hosts do not fight for ever and nobody makes us flood the link. One owner thread.
class ConflictDefence {
  public:
    static constexpr Duration interval = 10s;  // DEFEND_INTERVAL
    static constexpr std::size_t at_once = 16;

    /// Whether a conflict about the address is to be answered now.
    [[nodiscard]] bool due(const IpAddress& address, Instant now) noexcept {
        Defended* free = nullptr;
        for (Defended& one : defended_) {
            const bool over = one.next <= now;
            if (!over && one.address == address) return false;
            if (over) free = &one;
        }
        if (free == nullptr) return false;
        *free = {address, now + interval};
        return true;
    }

  private:
    struct Defended {
        IpAddress address{};
        Instant next = Instant::min();
    };
    std::array<Defended, at_once> defended_{};
};

}  // namespace runnel::ip
