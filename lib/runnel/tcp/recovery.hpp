// Loss recovery on a connection whose peer speaks SACK: what an ACK delivers, what counts as lost, when the
// window shrinks and when that was a mistake (RFC 8985, RFC 6675, RFC 6937, RFC 3522).
#pragma once

#include <cstdint>

#include "runnel/tcp/core.hpp"
#include "runnel/tcp/segment.hpp"
#include "runnel/tcp/transmission.hpp"

namespace runnel::tcp {

class Recovery {
  public:
    Recovery(Core& core, Transmission& transmission) noexcept : core_(core), transmission_(transmission) {}

    /// An ACK at or beyond SND.UNA. Moves SND.UNA, takes SACK blocks, measures, and sets the window and the
    /// timers; what is to be sent again is marked, and goes out with the next transmission. The send queue is
    /// the caller's to release.
    void acknowledged(std::uint32_t slot, Tcb& tcb, Cold& cold, const Segment& segment,
                      std::uint32_t data) noexcept;
    /// The reordering timer has expired: what waited for it counts as lost (RFC 8985 section 6.2).
    void reordering_expired(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept;
    /// The time for a tail loss probe has come (RFC 8985 section 7.3).
    void probe_expired(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept;
    /// The retransmission timer has expired (RFC 6298 section 5, RFC 8985 section 6.3).
    void time_out(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept;
    /// The window has opened again after probes: what they carried goes out anew.
    static void window_opened(Core& core, Cold& cold) noexcept;

  private:
    // What one ACK has brought.
    struct News {
        AckSample sample;
        std::uint32_t acked = 0;  // by which SND.UNA moved
        bool duplicate = false;   // a D-SACK came with it
        SeqNum duplicate_end{};
        bool fresh_sacks = false;
        bool overtaken = false;
        bool retransmission_acked = false;  // some of what SND.UNA passed had been sent more than once
        SeqNum una_before{};
        bool ended_recovery = false;  // a fast one
    };
    void deliver(Tcb& tcb, Cold& cold, const SentRange& range, const Segment& segment, News& news) noexcept;
    void take_blocks(Tcb& tcb, Cold& cold, const Segment& segment, News& news) noexcept;
    bool take_duplicate(Tcb& tcb, Cold& cold, SeqNum ack, const wire::TcpOptions& options,
                        News& news) noexcept;
    void measure(Tcb& tcb, Cold& cold, const Segment& segment, const News& news) noexcept;
    [[nodiscard]] bool was_spurious(const Tcb& tcb, const Cold& cold, const Segment& segment,
                                    const News& news) const noexcept;
    void undo(Tcb& tcb, Cold& cold) noexcept;
    void answer_probe(Tcb& tcb, Cold& cold, const Segment& segment, const News& news) noexcept;
    [[nodiscard]] Rack::Conditions conditions(const Tcb& tcb, const Cold& cold) const noexcept;
    [[nodiscard]] Rack::Losses detect(Tcb& tcb, Cold& cold) noexcept;
    void enter(Tcb& tcb, Cold& cold) noexcept;
    void remember(const Tcb& tcb, Cold& cold) noexcept;
    void set_window(Tcb& tcb, Cold& cold, const News& news) noexcept;
    void set_timer(std::uint32_t slot, Tcb& tcb, Cold& cold, const Rack::Losses& losses) noexcept;

    Core& core_;
    Transmission& transmission_;
};

}  // namespace runnel::tcp
