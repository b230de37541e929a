// The transmission control block (RFC 9293 section 3.3.1): the hot part that each connection has, and the
// cold block that it has only while data is in flight, queued or out of order (DESIGN.md, rule 5).
#pragma once

#include <cstdint>

#include "runnel/base/seq_num.hpp"
#include "runnel/base/slot_pool.hpp"
#include "runnel/base/timer_wheel.hpp"
#include "runnel/tcp/challenge_acks.hpp"
#include "runnel/tcp/congestion/control.hpp"
#include "runnel/tcp/connection.hpp"
#include "runnel/tcp/delivery_rate.hpp"
#include "runnel/tcp/flow.hpp"
#include "runnel/tcp/out_of_order_queue.hpp"
#include "runnel/tcp/proportional_rate.hpp"
#include "runnel/tcp/rack.hpp"
#include "runnel/tcp/rto.hpp"
#include "runnel/tcp/sack_blocks.hpp"
#include "runnel/tcp/scoreboard.hpp"
#include "runnel/tcp/send_queue.hpp"
#include "runnel/tcp/timestamp_age.hpp"

namespace runnel::tcp {

/// What the connection's one long timer waits for. They exclude one another.
enum class TimerKind : std::uint8_t {
    none,
    retransmission,  ///< something is in flight (RFC 6298)
    persist,         ///< data waits, nothing is in flight, the window is too small (RFC 9293 section 3.8.6.1)
    fin_wait_2,      ///< the application has closed and waits for the peer's FIN
    reordering,      ///< segments overtaken by others count as lost when it expires (RFC 8985 section 6.2)
    loss_probe,      ///< the tail of what is in flight may be lost (RFC 8985 section 7)
    keep_alive,      ///< nothing is in flight, and the peer is asked now and then (RFC 9293 section 3.8.4)
};

/// Timers double no further: long before, each has reached its longest.
inline constexpr std::uint8_t most_backoff = 127;

/// The hot part: two cache lines. A connection over IPv6 keeps its addresses in an array beside this one,
/// filed under the same slot; what SACK, RACK and the other congestion controls add while data is in flight
/// goes to the cold block.
struct alignas(64) Tcb {
    // -- first line: whose segment, is it acceptable, what does it acknowledge
    Flow flow;  // 12 octets
    std::uint32_t flow_hash;
    std::uint32_t generation;  // kept by the pool: odd while the slot is live
    State state : 4;
    std::uint8_t quick_acks : 4;  // segments that are still acknowledged at once
    std::uint8_t snd_wscale : 4;
    std::uint8_t rcv_wscale : 4;
    bool timestamps : 1;  // RFC 7323 timestamps are on
    bool nagle : 1;
    bool passive : 1;                  // opened by a listener (RFC 9293 MUST-11)
    bool handshake_retransmitted : 1;  // RFC 6298 section 5.7, RFC 5681 section 3.1
    bool fin_queued : 1;               // `shutdown` was called
    bool fin_sent : 1;
    bool closed_by_application : 1;  // `close` was called: data that arrives is answered with RST
    bool aborting : 1;               // `abort` was called and waits for its turn
    bool ack_now : 1;                // an ACK is due with the next transmission
    bool ack_delayed : 1;            // an ACK is due at `ack_deadline`
    bool output_pending : 1;         // listed for transmission
    bool send_blocked : 1;           // the application was refused octets and waits for `writable`
    bool unreachable : 1;            // ICMP said so while the connection was opening
    bool timer_cancels_silly : 1;    // the persist timer has fired: a small segment may go (RFC 9293
                                     // section 3.8.6.2.1)
    bool sack : 1;                   // both sides have offered SACK (RFC 2018)
    bool paced : 1;                  // data waits for the pacing time in the cold block
    SeqNum snd_una;
    SeqNum snd_nxt;  // in RFC 9293's sense: after the highest octet ever sent
    SeqNum snd_wl1;
    SeqNum snd_wl2;
    std::uint32_t snd_wnd;  // octets
    SeqNum rcv_nxt;
    SeqNum rcv_adv;        // right edge of the window last advertised; never moves left (SHLD-14)
    SeqNum last_ack_sent;  // RFC 7323 section 4.3
    std::uint32_t ts_recent;

    // -- second line: timers, congestion, the application
    TimerLink timer;
    Tick deadline;  // of the timer that `timer_kind` names; where none runs, when data was last sent
    Tick ack_deadline;
    RoundTrip round_trip;  // SYN-SENT and an active SYN-RECEIVED: `rttvar_4` holds when the SYN left, in
                           // microseconds
    std::uint32_t cwnd;
    std::uint32_t ssthresh;
    std::uint32_t unconsumed;  // octets delivered and not consumed: the receive window is smaller by as much
    std::uint32_t ts_offset;
    std::uint32_t cold;  // slot of the cold block, or no_slot
    std::uint16_t
        ts_recent_age;  // when ts_recent was set, in units of 2^42 ns (73 min; it wraps after 9 years)
    std::uint16_t mss;  // most octets of data a segment carries: options are taken off
    std::uint16_t max_snd_wnd;     // the largest window the peer has offered, unscaled
    std::uint16_t handler;         // index in the handler table
    std::uint8_t backoff : 7;      // how often the running retransmission or persist timer has doubled
    bool full_size_delivered : 1;  // the path has carried a full segment: its MTU is not too large
    ChallengeThrottle challenges;
    TimerKind timer_kind : 3;
    bool recovered : 1;  // the last ACK ended a recovery: its duplicates start no other (RFC 6582 section
                         // 3.2)
    bool reordering_seen : 1;  // RFC 8985 section 6.2 step 3
    bool ecn : 1;              // agreed on; in SYN-SENT: asked for (RFC 3168)
    bool ece_out : 1;          // a mark has come: ACKs echo it until the peer says CWR
    bool cwr_out : 1;          // the window was reduced for a mark: the next new data says so
    std::uint8_t settings;     // index in the settings table
    std::uint64_t context;

    [[nodiscard]] bool handshake_done() const noexcept { return state > State::syn_received; }
    /// A connection that is served before its handshake is complete (RFC 7413); all others that were opened
    /// passively have no TCB yet. Our SYN is not counted: SND.UNA is one beyond it.
    [[nodiscard]] bool fast_opening() const noexcept { return state == State::syn_received && passive; }
    /// Octets (and SYN, FIN) sent and not acknowledged.
    [[nodiscard]] std::uint32_t in_flight() const noexcept { return snd_nxt - snd_una; }
    /// What the peer may still send, as it knows it.
    [[nodiscard]] std::uint32_t rcv_wnd() const noexcept { return rcv_adv > rcv_nxt ? rcv_adv - rcv_nxt : 0; }
    [[nodiscard]] std::uint32_t largest_snd_wnd() const noexcept {
        return std::uint32_t{max_snd_wnd} << snd_wscale;
    }
    [[nodiscard]] bool can_receive() const noexcept {
        return state == State::established || state == State::fin_wait_1 || state == State::fin_wait_2 ||
               fast_opening();
    }
};
static_assert(sizeof(Tcb) == 128, "an IPv4 connection costs two cache lines");

/// What a mistaken recovery is undone with (RFC 3522, RFC 4015, RFC 3708).
struct Undo {
    std::uint32_t cwnd = 0, ssthresh = 0;
    SeqNum first{};               // where the first retransmission began
    std::uint32_t timestamp = 0;  // TSval of the first retransmission: an older echo speaks for the original
    std::uint32_t retransmitted = 0;  // octets sent again and not reported as duplicates
    bool possible = false;
    bool stamped = false;  // `first` and `timestamp` are set
};

/// A tail loss probe on its way (RFC 8985 section 7.4).
struct LossProbe {
    SeqNum end{};
    bool active = false;
    bool retransmission = false;  // it carried nothing new
    bool before = false;          // it came before any time-out for what begins at `una`
    SeqNum una{};
};

/// What Fast Open (RFC 7413) is to do, or has done, for a connection in SYN-SENT.
enum class FastOpenUse : std::uint8_t {
    none,
    wanted,  ///< by the application
    asked,   ///< the SYN asks for a cookie
    given,   ///< the SYN brings one
};

/// The cold block: everything that concerns data on its way.
struct alignas(64) Cold {
    Cold() noexcept {}  // leaves `congestion` as it is

    SendQueue queue{};  // from snd_una on

    // retransmission (RFC 6298, RFC 5681, RFC 6582)
    SeqNum rtx_nxt{};  // without SACK, in a time-out's recovery: what goes out next, below snd_nxt
    SeqNum recover{};  // RFC 6582 section 3.2
    bool fast_recovery = false;
    bool timeout_recovery = false;
    bool partial_ack_seen = false;  // in this fast recovery: only the first restarts the timer
    bool timing = false;            // an RTT measurement is under way
    std::uint8_t duplicate_acks = 0;
    std::uint32_t limited_transmitted = 0;  // octets that duplicate ACKs released before the third (RFC 3042)
    SeqNum timed{};                         // the octet whose ACK ends the measurement
    std::uint32_t timed_since = 0;          // microseconds

    // what was sent, and loss recovery, where the peer speaks SACK
    Scoreboard board{};
    Tick rto_at = 0;                 // when the retransmission time-out is, whatever timer runs before it
    std::uint32_t timed_out_at = 0;  // TSval when the time-out last expired: older echoes measure nothing
    bool timed_out = false;          // `timed_out_at` is set
    std::uint32_t min_rtt_us = 0;    // least round trip seen; 0: none
    Rack rack{};
    ProportionalRate prr{};
    Undo undo{};
    SeqNum retransmitted_to{};    // beyond it nothing was sent again
    bool network_copies = false;  // a duplicate was reported of what was sent once: such reports say nothing
    LossProbe probe{};
    DeliveryRate rate{};
    CongestionState congestion;  // of the control's own, once `congestion_begun`
    bool congestion_begun = false;
    Instant pace_at{};           // when the next segment may leave
    SeqNum marked_until{};       // marks echoed for what lies before ask for no further reduction (RFC 3168)
    bool mark_answered = false;  // `marked_until` is set

    // a black hole (RFC 4821): time-outs without progress
    SeqNum stuck_at{};  // SND.UNA at the last time-out
    std::uint8_t stuck_time_outs = 0;
    bool small_vanish_too = false;  // so the size is not the reason
    std::uint16_t full_mss = 0;     // before segments were made smaller on suspicion; 0: they were not
    Instant shrunk_at{};

    FastOpenUse fast_open = FastOpenUse::none;

    // segments below full size (RFC 9293 section 3.7.4 and appendix A.3)
    bool corked = false;     // the application asked that they wait
    bool more_held = false;  // they wait: more was said to follow
    bool more = false;       // more was said to follow the end of the queue: no PSH there
    bool released = false;   // what is queued goes, corked or not
    SeqNum small_end{};      // where the last one that was sent ended

    // window probes
    bool probe_unanswered = false;
    // urgent data (RFC 9293 section 3.8.5)
    bool urgent_out = false;
    bool urgent_in = false;
    bool fin_held = false;    // the peer's FIN has come before its turn
    Instant probing_since{};  // the first probe that the peer left without an answer
    SeqNum snd_up{};
    SeqNum rcv_up{};

    // receiving
    SeqNum fin_at{};
    OutOfOrderQueue out_of_order{};
    SackBlocks reported{};

    /// Octets outstanding in the network, as far as SACK and loss detection can tell.
    [[nodiscard]] std::uint32_t pipe(const Tcb& tcb) const noexcept {
        return tcb.in_flight() - board.sacked() - board.lost();
    }
    /// Whether a TSval that the peer echoes tells the round trip: after a time-out it echoes, where the ACK
    /// of an original was lost, the original.
    [[nodiscard]] bool measures(std::uint32_t ts_echo) const noexcept {
        return !timed_out || !older_timestamp(ts_echo, timed_out_at);
    }
    [[nodiscard]] bool recovering() const noexcept { return fast_recovery || timeout_recovery; }
    /// A segment below full size waits for company, whatever Nagle's algorithm says.
    [[nodiscard]] bool waits_for_more() const noexcept { return (corked || more_held) && !released; }
};
static_assert(sizeof(Cold) <= 512);

}  // namespace runnel::tcp
