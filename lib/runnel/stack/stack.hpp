// Stack: one core's endpoint, sans I/O. The caller owns the loop and the clock (DESIGN.md, tier 1).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/base/counters.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/ip/pings.hpp"
#include "runnel/ip/raw_protocols.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/connection.hpp"
#include "runnel/tcp/endpoint.hpp"
#include "runnel/udp/sockets.hpp"

namespace runnel {

struct StackConfig {
    ip::Config ip;
    tcp::Config tcp;
    udp::Config udp;
    std::uint32_t transmit_queue = 4096;  ///< frames that may wait for `transmit`; a power of two
    std::uint32_t mbuf_stash = 512;       ///< plain mbufs kept at hand
    std::uint32_t mbuf_reserve = 64;      ///< of these, only for control segments
    /// Keys of every keyed hash, ISN and port choice. By default from the kernel's entropy at construction
    /// (RFC 6528: never from a clock or a seed). Only a test that replays sets it.
    std::optional<std::array<std::uint64_t, 2>> secret;
};

/// What the tables of a stack of this configuration take: all that grows with the number of connections and
/// connected sockets. Each by itself, and together; `EalArray` says where they lie.
inline constexpr std::size_t memory_use_count = tcp::memory_use_count + 1;
[[nodiscard]] std::array<tcp::MemoryUse, memory_use_count> memory_uses(const StackConfig& config) noexcept;
[[nodiscard]] std::size_t memory_needed(const StackConfig& config) noexcept;

/// One core's TCP/IP endpoint. All calls from one thread. No call blocks, reads a clock or touches a device.
/// After construction nothing is allocated but from pools sized at start.
class Stack {
  public:
    /// `mbufs` is not owned, outlives the stack, and may be shared between stacks. Throws
    /// `std::invalid_argument` for a setting out of range and `std::runtime_error` where memory does not
    /// suffice; each message names the setting, its value and the mend.
    Stack(const StackConfig& config, rte_mempool* mbufs);
    ~Stack();
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    /// Processes a burst of received frames, of any length. Takes the mbufs.
    void receive(std::span<rte_mbuf* const> burst, Instant now) noexcept;
    /// Whether more frames wait than `receive` is given: to be said before `receive`, where bursts are
    /// fetched that may come full. While they do, SYNs that nothing follows are not answered beyond a number
    /// (tcp/syn_credit.hpp), so that a flood of them does not crowd out what is established.
    void set_behind(bool behind) noexcept;
    /// What another core with the same addresses has received, and concerns this one too (ip::PeerCores): a
    /// neighbour's link address, an ICMP error about a connection or a datagram of this core, or what a path
    /// takes of datagrams other than TCP's.
    void hear(const ip::NeighbourNews& news, Instant now) noexcept;
    void hear(const ip::IcmpError& error, Instant now) noexcept;
    void hear(const ip::RouterNews& news, Instant now) noexcept;
    /// A frame that another core with the same addresses has received and counted, and that this one owns
    /// (ip::PeerCores). Takes the mbuf.
    void take_over(rte_mbuf* frame, Instant now) noexcept;
    /// The same of a copy of a frame to a multicast group. Takes the mbuf.
    void hear_copy(rte_mbuf* frame, Instant now) noexcept;
    /// Runs the timers that are due.
    void advance(Instant now) noexcept;
    /// Gives up to `out.size()` frames to send; the caller owns them. Returns how many. To be called after
    /// `receive`, `advance`, and calls on connections, until it returns fewer than asked for.
    [[nodiscard]] std::size_t transmit(std::span<rte_mbuf*> out) noexcept;
    /// When `advance` has work next, at the latest; `never` where no timer runs. An instant that has passed
    /// means: now.
    [[nodiscard]] Instant next_deadline() const noexcept;

    /// Accepts connections on a port. Throws `std::invalid_argument` where the address is not ours, the port
    /// is 0 or already listened on at that address.
    void listen(const tcp::ListenOptions& options);
    /// Stops accepting. Half-open connections of the listener are dropped, established ones go on.
    void unlisten(IpAddress address, std::uint16_t port);
    /// Opens a connection, at the instant of the last `receive` or `advance`; the SYN leaves with the next
    /// `transmit`.
    tcp::ConnectResult connect(const tcp::ConnectOptions& options) noexcept;

    /// Gives up to `out.size()` frames for the kernel of this machine (`ip::Config::exception`); the caller
    /// owns them, and sends them by a port behind which it is. Returns how many. To be called after
    /// `receive`. The `port` of each is the index of the interface by which it came.
    [[nodiscard]] std::size_t take_exceptions(std::span<rte_mbuf*> out) noexcept;
    /// Sends frames that the kernel has sent to that port, by an interface of ours; they leave with the next
    /// `transmit`. Takes the mbufs; what cannot be sent is a counted drop.
    void send_exceptions(std::span<rte_mbuf* const> frames, std::uint8_t interface = 0) noexcept;
    /// Some of our addresses are still being probed for (`ip::Config::dad_probes`, `arp_probes`), and cannot
    /// be used yet, or routers are being asked for (`ip::InterfaceConfig::autoconf`).
    [[nodiscard]] bool probes_addresses() const noexcept;
    /// How many frames may yet be queued for `transmit`.
    [[nodiscard]] std::size_t transmit_room() const noexcept;

    /// The Ethernet addresses of the multicast groups that this stack is to be given frames of, for the
    /// port's filter; nothing: of all, as the kernel may be a member of any (`ip::Config::exception`), or
    /// there are more than are told apart. It may be another list when the epoch is another.
    [[nodiscard]] std::optional<std::vector<MacAddress>> link_groups() const;
    [[nodiscard]] std::uint32_t groups_epoch() const noexcept;

    [[nodiscard]] tcp::Endpoint& tcp() noexcept;
    [[nodiscard]] udp::Sockets& udp() noexcept;
    /// Echo requests, and what becomes of them.
    [[nodiscard]] ip::Pings& pings() noexcept;
    /// Protocols besides TCP, UDP and ICMP, for who speaks them himself.
    [[nodiscard]] ip::RawProtocols& raw() noexcept;
    [[nodiscard]] const Counters& counters() const noexcept;

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace runnel
