// Which SYNs a core that is behind still answers: admission where its time is spent (RFC 4987 section 3.2 has
// the like for memory).
#pragma once

#include <algorithm>
#include <cstdint>

namespace runnel::tcp {

/// A SYN that is answered and followed by nothing costs twice what it costs to drop, and what it costs is
/// lost to those who are established: their segments find the port's ring full. So while bursts come full,
/// no more SYNs are answered than other segments come. Connections that are opened in earnest bring at least
/// one for each SYN, however many they are; a flood brings none. One owner thread.
class SynCredit {
  public:
    /// SYNs beyond the others that are answered in a row of full bursts: what opens at once, or has waited
    /// while this core stood still, is no flood yet.
    static constexpr std::uint32_t most = 16384;

    /// Whether what is received from now on is part of a full burst, so that more waits.
    void set_behind(bool behind) noexcept { behind_ = behind; }
    /// Whether a SYN is answered.
    [[nodiscard]] bool take() noexcept {
        if (!behind_) [[likely]]
            return true;
        ++syns_;
        if (credit_ == 0) return false;
        --credit_;
        return true;
    }
    /// So many segments have been processed, SYNs and others.
    void received(std::size_t segments) noexcept {
        if (!behind_) [[likely]] {
            if (credit_ < most) [[unlikely]]
                credit_ = std::min(most, credit_ + 8);
            return;
        }
        credit_ = static_cast<std::uint32_t>(std::min<std::size_t>(most, credit_ + (segments - syns_)));
        syns_ = 0;
    }

  private:
    std::uint32_t credit_ = most;
    std::uint32_t syns_ = 0;  // of this burst
    bool behind_ = false;
};

}  // namespace runnel::tcp
