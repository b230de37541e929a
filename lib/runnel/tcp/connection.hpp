// What an application holds of TCP: the handle of a connection, the handler that hears of it, and the options
// with which it is opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/settings.hpp"

namespace runnel::tcp {

class Endpoint;
struct Tcb;

/// The state of a connection, named as RFC 9293 section 3.3.2 names it. LISTEN and, for a passive open,
/// SYN-RECEIVED live in tables of their own and no handle points at them.
enum class State : std::uint8_t {
    closed,
    syn_sent,
    syn_received,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,
    time_wait,
};
/// "SYN-SENT", "TIME-WAIT": as RFC 9293 writes it.
[[nodiscard]] std::string_view to_string(State state) noexcept;

/// Why a call was not carried out.
enum class Error : std::uint8_t {
    none,
    no_connection,     ///< the handle's connection is over; the slot may serve another by now
    wrong_state,       ///< the connection is not, or no longer, open in that direction
    invalid_address,   ///< the address may not be connected to, or sent from (RFC 9293 MUST-46)
    no_route,          ///< no interface leads to that address
    address_in_use,    ///< this pair of addresses and ports has a connection
    no_port_free,      ///< every ephemeral port to that destination is taken
    port_elsewhere,    ///< replies to that local port reach another core (tcp::Config::home_ports)
    connections_full,  ///< the table of connections is full (tcp::Config::connections)
    no_memory,         ///< no cold block or no mbuf is free; of `send`: `writable` says when to go on
    invalid_setting,   ///< a setting is out of its range
    buffer_full,       ///< the send buffer is full; `writable` says when to go on
};
[[nodiscard]] std::string_view to_string(Error error) noexcept;

/// How a connection ended.
enum class CloseReason : std::uint8_t {
    orderly,    ///< both directions closed with FIN; what follows is TIME-WAIT or nothing
    reset,      ///< the peer sent an RST (ECONNRESET)
    refused,    ///< the peer, or ICMP, refused our SYN (ECONNREFUSED)
    timed_out,  ///< no answer for R2 (ETIMEDOUT)
    aborted,    ///< this side called `abort()`, or gave the connection up to make room: its peer had kept its
                ///< window closed for long
    unreachable,  ///< nobody could be asked: ICMP told so while the connection was opening (EHOSTUNREACH)
};
[[nodiscard]] std::string_view to_string(CloseReason reason) noexcept;

/// What became of an mbuf given to a handler.
enum class Ownership : std::uint8_t {
    returned,  ///< the stack takes the mbuf back when the call returns
    taken,     ///< the handler owns it now, and frees it with `rte_pktmbuf_free` on the stack's thread
};

struct SendResult {
    std::size_t accepted = 0;   ///< octets taken for sending
    Error error = Error::none;  ///< `buffer_full` where not all were taken for want of room
};

/// A figure of a connection for people and tests; times in nanoseconds, sizes in octets.
struct ConnectionInfo {
    State state = State::closed;
    IpAddress local_address, remote_address;
    std::uint16_t local_port = 0, remote_port = 0;
    std::uint32_t snd_una = 0, snd_nxt = 0, snd_wnd = 0, rcv_nxt = 0, rcv_wnd = 0;
    std::uint32_t cwnd = 0, ssthresh = 0, mss = 0;
    Duration srtt{}, rttvar{}, rto{};
    std::uint8_t snd_wscale = 0, rcv_wscale = 0;
    bool timestamps = false, sack = false, ecn = false;
    std::size_t unsent = 0, unacknowledged = 0, unconsumed = 0;
};

/// The handle of a connection: slot and generation. Cheap to copy, valid for ever: after the connection has
/// ended every call answers `Error::no_connection`, also when the slot serves another connection. To be used
/// on the thread of its stack only. Calls made inside a handler take effect when the handler returns.
class Connection {
  public:
    constexpr Connection() noexcept = default;
    constexpr Connection(Endpoint* endpoint, std::uint32_t slot, std::uint32_t generation) noexcept
        : endpoint_(endpoint), slot_(slot), generation_(generation) {}

    /// True while the connection exists.
    [[nodiscard]] bool alive() const noexcept;
    /// Asks for the connection's cache lines, ahead of other calls on it (see `Endpoint::prefetch`).
    void prefetch() const noexcept;

    /// Copies octets into the send buffer. Takes as much as there is room for.
    SendResult send(std::span<const std::byte> octets) noexcept;
    /// As `send`, of octets whose continuation follows soon: the end of them waits for it to fill a segment,
    /// until the next ACK comes or, with nothing in flight, for a retransmission time-out.
    SendResult send_more(std::span<const std::byte> octets) noexcept;
    /// Sends octets that stay valid and unchanged until the process ends: nothing is copied before a segment
    /// is made; nor then, where devices reach them (they lie in EAL's memory) and `Config::refer_from` says
    /// so.
    SendResult send_static(std::span<const std::byte> octets) noexcept;
    /// Sends the octets of an mbuf (chain). On `Error::none` the stack owns it; else it stays the caller's.
    /// All or nothing. Segments may refer to them (`Config::refer_from`): nobody writes to them until the
    /// mbuf is freed, which is when they are acknowledged and no packet refers to them any more. An
    /// application that has attached its own buffer to the mbuf (`rte_pktmbuf_attach_extbuf`) is told of it
    /// by the callback that it gave there, on whichever thread frees the last packet.
    SendResult send(rte_mbuf* mbuf) noexcept;
    /// Sends octets of which the last is urgent (RFC 9293 section 3.8.5, RFC 6093: the pointer names the
    /// octet after it).
    SendResult send_urgent(std::span<const std::byte> octets) noexcept;

    /// Tells that `octets` of the data received are used up: the receive window opens by as much.
    Error consume(std::size_t octets) noexcept;

    /// Closes the sending direction once all data is sent: FIN. Receiving goes on (half-close).
    Error shutdown() noexcept;
    /// Closes both directions. With unconsumed data received it sends RST, as data is lost (RFC 9293
    /// section 3.6.1, RFC 2525 section 2.17); else it is `shutdown()`, and data that still arrives is
    /// answered with RST.
    Error close() noexcept;
    /// Ends the connection now: RST to the peer, `closed(aborted)` to the handler.
    Error abort() noexcept;

    /// Nagle's algorithm, on by default (RFC 9293 section 3.7.4).
    /// Where it is switched off, what is queued goes at once, `set_cork` or not.
    Error set_nagle(bool on) noexcept;
    /// While on, only full segments are sent, and a smaller one when nothing has been in flight for a
    /// retransmission time-out, or with the FIN. Keeps the connection's cold block; `no_memory` where none is
    /// free.
    Error set_cork(bool on) noexcept;
    /// How long sent data may stay unacknowledged before the connection is given up (R2; RFC 9293 MUST-21);
    /// 0: the configuration's.
    Error set_user_timeout(Duration timeout) noexcept;
    /// All settings at once. `invalid_setting` where one is out of range, `no_memory` where 255 others are in
    /// use; nothing has changed then. They hold from the next segment on.
    Error set(const Settings& settings) noexcept;
    /// The settings; plain ones where the connection is over.
    [[nodiscard]] Settings settings() const noexcept;

    /// A word of the application's own, kept with the connection. 0 at first.
    Error set_context(std::uint64_t context) noexcept;
    [[nodiscard]] std::uint64_t context() const noexcept;

    /// State `closed` and zeros where the connection is over.
    [[nodiscard]] ConnectionInfo info() const noexcept;

    [[nodiscard]] constexpr std::uint32_t slot() const noexcept { return slot_; }
    [[nodiscard]] constexpr std::uint32_t generation() const noexcept { return generation_; }
    friend constexpr bool operator==(const Connection&, const Connection&) noexcept = default;

  private:
    [[nodiscard]] Tcb* find() const noexcept;

    Endpoint* endpoint_ = nullptr;
    std::uint32_t slot_ = 0;
    std::uint32_t generation_ = 0;
};

/// Hears what happens to connections. One handler may serve any number of them. Every call comes on the
/// stack's thread, from `Stack::receive`, `advance` or `transmit`; any call on any connection may be made
/// from within. It outlives the connections that it serves.
class Handler {
  public:
    virtual ~Handler() = default;

    /// The handshake is complete, or the SYN has brought a Fast Open cookie; data may be sent. (Sending
    /// earlier is allowed too, after `connect`.)
    virtual void established(Connection) noexcept {}
    /// Octets in order. `payload` holds exactly these; it may be a chain. They count against the receive
    /// window until `consume()`.
    virtual Ownership data(Connection connection, rte_mbuf& payload) noexcept = 0;
    /// The send buffer, after having been full, has room again; or memory, after `Error::no_memory`, has come
    /// back. Those who wait for memory are told in turn, some of them each millisecond, as long as there is
    /// some; who is refused again is told again. It is not promised to those who still open.
    virtual void writable(Connection) noexcept {}
    /// The peer sent FIN: no more data will come; sending goes on (CLOSE-WAIT) until `shutdown()` or
    /// `close()`.
    virtual void peer_closed(Connection) noexcept {}
    /// The peer announced urgent data: `octets` of the stream from the next octet to be delivered on lead up
    /// to and include the last urgent one (RFC 9293 section 3.8.5, MUST-32 and MUST-33). The data itself
    /// comes in line.
    virtual void urgent(Connection, std::uint32_t /*octets*/) noexcept {}
    /// A soft error told by ICMP (type, code); the connection lives (RFC 9293 MUST-47).
    virtual void soft_error(Connection, std::uint8_t /*icmp_type*/, std::uint8_t /*icmp_code*/) noexcept {}
    /// One segment has been sent again `retransmissions` times (R1), and the peer still does not answer; the
    /// connection goes on trying until R2 (RFC 9293 section 3.8.3, SHLD-9).
    virtual void unanswered(Connection, std::uint32_t /*retransmissions*/) noexcept {}
    /// The connection is over; the handle is valid until this call returns. Comes once for each connection
    /// that was established, or asked for with `connect`.
    virtual void closed(Connection, CloseReason) noexcept {}
};

struct ListenOptions {
    IpAddress address{};  ///< one of our addresses, or unspecified for all
    std::uint16_t port = 0;
    Handler* handler = nullptr;  ///< not owned
    bool nagle = true;
    Settings settings{};  ///< of all connections accepted here
    /// Gives Fast Open cookies to clients, and serves those that bring one with the SYN: `established` and
    /// `data` come before the handshake is complete (RFC 7413). Only for requests that may come twice
    /// (section 6.1). Config::fast_open_pending must not be 0.
    bool fast_open = false;
};

struct ConnectOptions {
    IpAddress remote_address{};
    std::uint16_t remote_port = 0;
    IpAddress local_address{};     ///< unspecified: the address of the interface that leads there
    std::uint16_t local_port = 0;  ///< 0: an ephemeral port (RFC 6056)
    Handler* handler = nullptr;    ///< not owned
    std::uint64_t context = 0;
    bool nagle = true;
    Settings settings{};
    /// What is sent right after `connect` goes with the SYN, where the server's cookie is known; else it is
    /// asked for (RFC 7413). Only for what may reach the server twice (section 6.1).
    bool fast_open = false;
};

struct ConnectResult {
    Connection connection{};
    Error error = Error::none;
};

}  // namespace runnel::tcp
