// What may go out now (RFC 9293 sections 3.7.4, 3.8.5, 3.8.6): Nagle, windows, silly-window avoidance, and
// the making of each segment.
#pragma once

#include <cstdint>

#include "runnel/tcp/core.hpp"
#include "runnel/tcp/segment.hpp"

namespace runnel::tcp {

class Transmission {
  public:
    explicit Transmission(Core& core) noexcept : core_(core) {}

    /// Sends all that a connection may send now: data, FIN, and an ACK if one is due. False where it could
    /// not go on for want of an mbuf or of room in the transmit queue: the connection's turn is not over.
    bool output(std::uint32_t slot, Tcb& tcb) noexcept;

    /// An ACK without data, at once: for segments out of order and those that RFC 9293 answers with an empty
    /// ACK.
    bool send_ack(Tcb& tcb) noexcept;
    /// An empty ACK within the limit on challenge ACKs (RFC 5961 section 7).
    void send_challenge_ack(Tcb& tcb) noexcept;
    /// The earliest unacknowledged segment again, whatever the window says.
    bool retransmit_first(Tcb& tcb) noexcept;
    /// What counts as lost, as far as the congestion window and the pacing allow; `forced`: the first of it,
    /// whatever the windows say. False where it could not go on for want of an mbuf or of room in the
    /// transmit queue.
    bool retransmit_lost(std::uint32_t slot, Tcb& tcb, Cold& cold, bool forced) noexcept;
    /// A tail loss probe: a new segment, or the last one again (RFC 8985 section 7.3).
    bool send_loss_probe(Tcb& tcb, Cold& cold) noexcept;
    /// One octet into a closed window (RFC 9293 section 3.8.6.1).
    bool send_window_probe(std::uint32_t slot, Tcb& tcb) noexcept;
    /// SYN of an active open; SYN-ACK of a simultaneous one, or of one that Fast Open serves: then with a new
    /// cookie where `fast_open` says so.
    bool send_syn(Tcb& tcb, bool fast_open = false) noexcept;
    bool send_syn_ack(const HalfOpen& half_open, const Ends& ends) noexcept;
    void send_reset(Tcb& tcb) noexcept;
    /// An empty segment from before the window: the peer answers with an ACK (RFC 9293 section 3.8.4,
    /// SHLD-12).
    bool send_keep_alive(Tcb& tcb) noexcept;

    /// <SEQ><ACK> without a TCB behind it: half-open and TIME-WAIT answer so.
    struct Bare {
        SeqNum seq{}, ack{};
        std::uint16_t window = 0;
        bool timestamps = false;
        std::uint32_t ts_offset = 0;
        std::uint32_t ts_recent = 0;
        std::uint8_t settings = 0;
    };
    bool send_bare_ack(const Ends& ends, const Bare& bare) noexcept;
    /// The RST that answers a segment which belongs to no connection (RFC 9293 section 3.10.7.1).
    void send_reset_for(const Segment& segment) noexcept;

    /// The receive window would open by enough to tell the peer of it unasked (RFC 9293 section 3.8.6.2.2).
    [[nodiscard]] bool window_update_due(const Tcb& tcb) const noexcept;

  private:
    struct Piece {
        SeqNum seq{};
        std::uint32_t position = 0;  // in the send queue
        std::uint32_t octets = 0;
        std::uint8_t flags = 0;
        bool fresh = false;  // data sent for the first time: it may be marked (RFC 3168 section 6.1.5)
        std::uint16_t segment_size = 0;  // where not 0: the port cuts it into segments of so many octets
    };
    bool emit(Tcb& tcb, const Piece& piece) noexcept;
    bool emit_syn(const Ends& ends, SeqNum seq, SeqNum ack, std::uint8_t flags, std::uint16_t window,
                  const wire::SynOptions& options, std::uint8_t settings, SendQueue* text = nullptr,
                  std::uint32_t octets = 0) noexcept;
    std::uint32_t prepare_fast_open(const Tcb& tcb, Cold& cold, std::uint16_t mtu,
                                    wire::SynOptions& options) noexcept;
    [[nodiscard]] SeqNum new_right_edge(const Tcb& tcb) const noexcept;
    [[nodiscard]] std::uint16_t advertise_window(Tcb& tcb) const noexcept;
    [[nodiscard]] bool may_send_short(const Tcb& tcb, const Cold& cold, std::uint32_t octets,
                                      bool all_that_waits) const noexcept;
    [[nodiscard]] bool may_follow(const Tcb& tcb, const Cold& cold, std::uint32_t waiting,
                                  std::uint32_t usable, std::uint32_t full) const noexcept;
    [[nodiscard]] std::uint32_t burst_of(const Tcb& tcb, const Cold& cold) const noexcept;
    [[nodiscard]] std::uint32_t most_at_once(Tcb& tcb, Cold& cold) const noexcept;
    [[nodiscard]] std::uint32_t segments_at_once(const Tcb& tcb, Cold& cold, std::uint32_t position,
                                                 std::uint32_t segments, std::uint32_t full) const noexcept;
    [[nodiscard]] bool may_refer(const Tcb& tcb, Cold& cold, const Piece& piece) noexcept;
    void restart_after_idle(Tcb& tcb) const noexcept;
    [[nodiscard]] static std::size_t sack_blocks_for(const Tcb& tcb, const Cold* cold,
                                                     bool with_text) noexcept {
        if (!tcb.sack || cold == nullptr || !cold->reported.any()) [[likely]]
            return 0;
        return count_sack_blocks(tcb, *cold, with_text);
    }
    [[nodiscard]] static std::size_t count_sack_blocks(const Tcb& tcb, const Cold& cold,
                                                       bool with_text) noexcept;
    [[nodiscard]] std::uint32_t full_size(const Tcb& tcb, const Cold* cold) const noexcept;
    [[nodiscard]] static std::uint8_t flags_of(std::uint32_t octets, bool last, bool fin) noexcept;
    bool send_new(std::uint32_t slot, Tcb& tcb, Cold* cold) noexcept;
    void pace(Tcb& tcb, Cold& cold, std::uint32_t octets) noexcept;
    void note_sent(Tcb& tcb, Cold& cold, SeqNum first, std::uint32_t length, std::uint32_t flight) noexcept;
    void note_sent_again(Tcb& tcb, Cold& cold, std::uint32_t range, SeqNum end,
                         std::uint32_t flight) noexcept;
    bool wait_for_pace(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept;
    void wait_for_window(std::uint32_t slot, Tcb& tcb) noexcept;
    bool hand_over(rte_mbuf* mbuf, const Ends& ends, std::uint8_t settings, bool ecn_capable = false,
                   std::uint16_t segment_size = 0) noexcept;

    Core& core_;
};

}  // namespace runnel::tcp
