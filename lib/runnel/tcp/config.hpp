// Settings of one core's TCP, with the source of each default.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"

namespace runnel::ip {
class HomePorts;
}

namespace runnel::tcp {

/// The congestion controls a connection may ask for.
enum class CongestionAlgorithm : std::uint8_t {
    cubic,    ///< RFC 9438, with HyStart++ (RFC 9406)
    newreno,  ///< RFC 5681 and RFC 6582
    bbr,      ///< draft-cardwell-iccrg-bbr-congestion-control-00
    none,     ///< the window is Config::fixed_window, whatever is lost: for load generation on a path of
              ///< one's own
};

/// When a SYN is answered with a cookie (syn_cookies.hpp) instead of an entry in the half-open table.
enum class SynCookieUse : std::uint8_t {
    never,      ///< a full table drops the SYN
    when_full,  ///< where the table has no room
    always,     ///< none is kept but for a SYN that reopens TIME-WAIT
};

class Observer;

/// Explicit congestion notification (RFC 3168): marks in place of drops.
enum class Ecn : std::uint8_t {
    off,
    accept,   ///< agreed to where the peer asks
    request,  ///< asked for too; a SYN that stays unanswered, or is refused, goes again without
};

struct Config {
    // -- capacities: every pool is sized at start and never grows
    std::uint32_t connections = 65536;  ///< connections with a TCB at once
    std::uint32_t half_open = 4096;  ///< half-open connections at once (SYN received, handshake not complete)
    std::uint32_t time_wait = 65536;  ///< connections in TIME-WAIT at once; beyond it the oldest is recycled
    std::uint32_t cold_blocks =
        0;  ///< connections with data in flight or queued at once; 0: as many as connections

    std::uint32_t sent_ranges = 0;  ///< stretches of sent data told apart by SACK and RACK, beyond one a cold
                                    ///< block; 0: 16384 and one more a cold block

    // -- opening
    Duration syn_timeout = 1s;     ///< first retransmission of a SYN (RFC 6298 section 2.1); doubles
    std::uint8_t syn_retries = 7;  ///< SYN retransmissions; with 1 s it gives up after 255 s (R2 of a SYN is
                                   ///< at least 3 min: RFC 9293 MUST-23)
    Duration synack_timeout =
        1s;  ///< first retransmission of a SYN-ACK; doubles. 3 s gives the classic 3-6-12
    std::uint8_t synack_retries = 5;  ///< SYN-ACK retransmissions before a half-open connection is dropped

    std::uint32_t fast_open_pending =
        0;  ///< connections that Fast Open (RFC 7413) serves at once before their handshake is complete; 0:
            ///< none. Listeners ask for it one by one
    std::optional<HashKey> fast_open_key{};  ///< shared by servers that take one another's Fast Open cookies;
                                             ///< Linux makes the same ones of it. Nothing: one's own, which
                                             ///< changes with time
    std::uint32_t fast_open_servers = 1024;  ///< servers whose Fast Open cookies are kept; 0: none

    // -- data
    std::uint32_t receive_buffer = 256 * 1024;  ///< octets a connection may have received and not consumed
    std::uint32_t send_buffer = 256 * 1024;  ///< octets a connection may hold for sending and retransmission
    std::uint32_t out_of_order_limit = 256 * 1024;  ///< octets held out of order, a connection
    Duration min_rto = 200ms;  ///< least margin of the RTO above the smoothed round trip. RFC 6298
                               ///< section 2.4 says 1 s SHOULD be the least RTO; hosts do this today
    Duration max_rto = 120s;   ///< RFC 6298 section 2.5
    std::uint8_t r1 = 3;  ///< retransmissions of one segment after which the neighbour and the application
                          ///< are told (RFC 9293 SHLD-10: at least 3)
    Duration r2 = 924s;   ///< unacknowledged data ends the connection (RFC 9293 SHLD-11: at least 100 s)
    Duration delayed_ack = 40ms;   ///< RFC 9293 MUST-40: below 500 ms
    std::uint8_t quick_acks = 15;  ///< segments at the start of a connection whose ACK is not delayed, while
                                   ///< the peer is in slow start; at most 15
    Duration min_probe_timeout =
        10ms;  ///< a tail loss probe leaves no sooner (RFC 8985 section 7.2 has no floor)
    Duration peer_ack_delay = 200ms;    ///< how long a peer may delay an ACK (RFC 8985 section 7.2)
    std::uint16_t initial_window = 10;  ///< segments (RFC 6928)
    bool restart_after_idle = true;     ///< the initial window after an idle time (RFC 5681 section 4.1)
    std::uint8_t min_burst = 2;       ///< PSH where a burst of full segments ends, and within, after as many
                                      ///< at least, as hosts have it that leave cutting to the device; 0:
                                      ///< only where no more is queued (RFC 9293 MUST-61)
    std::uint16_t min_peer_mss = 64;  ///< a smaller MSS offered by the peer is taken as this
    bool sack = true;                 ///< offer and accept SACK (RFC 2018), and with it RACK-TLP (RFC 8985)
    bool timestamps = true;           ///< offer and accept RFC 7323 timestamps
    bool window_scaling = true;       ///< offer and accept RFC 7323 window scaling
    Ecn ecn = Ecn::accept;
    CongestionAlgorithm congestion = CongestionAlgorithm::cubic;
    bool segmentation = true;    ///< large segments are left to a port that cuts them (TSO)
    bool merge_segments = true;  ///< segments of a burst that follow one another are taken as one (GRO)
    std::uint32_t refer_from =
        4096;  ///< octets: a segment of so many, of an mbuf that was given or of static octets in EAL's
               ///< memory, refers to them where the port takes chains, and one below copies them, which is
               ///< cheaper. A large segment always refers. 0: only those do
    std::uint32_t fixed_window = 64 * 1024;  ///< octets; the congestion window where `congestion` is `none`

    // -- closing
    Duration time_wait_duration = 60s;  ///< 2*MSL. RFC 9293 section 3.4.2 names MSL 2 min; hosts use 30 s
    Duration fin_wait_2_timeout =
        60s;  ///< how long a FIN-WAIT-2 whose application has closed waits for the peer's FIN

    // -- ports
    std::uint16_t ephemeral_first = 1024;  ///< RFC 6056 section 3.2
    std::uint16_t ephemeral_last = 65535;
    std::shared_ptr<const ip::HomePorts> home_ports;  ///< where cores share an address: the ports whose
                                                      ///< replies reach this one. A connection is opened from
                                                      ///< no other

    // -- defence
    std::uint32_t challenge_acks_per_second =
        10;  ///< a connection (RFC 5961 section 7); never a global limit
    SynCookieUse syn_cookies = SynCookieUse::when_full;
    Observer* observer = nullptr;  ///< hears of floods and scans (attack.hpp); not owned, outlives the stack
};

}  // namespace runnel::tcp
