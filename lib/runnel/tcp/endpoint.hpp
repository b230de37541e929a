// Endpoint: one core's TCP. It finds out whose each segment is, a burst at a time, and holds the parts
// together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "runnel/base/counters.hpp"
#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/base/transmit_queue.hpp"
#include "runnel/ip/forward_progress.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/connection.hpp"

namespace runnel::tcp {

struct Core;
struct Owner;
struct Secrets;
struct Tcb;

/// Memory that something takes.
struct MemoryUse {
    std::string_view what;
    std::size_t octets = 0;
};
/// How many things an endpoint's memory is for.
inline constexpr std::size_t memory_use_count = 8;

/// One core's TCP. All calls from the stack's thread.
class Endpoint final : public ip::ForwardProgress {
  public:
    /// Segments that one call of `receive` takes.
    static constexpr std::size_t max_burst = 64;

    /// What it refers to is not owned and outlives it. Throws `std::invalid_argument` naming a setting out of
    /// range and `std::runtime_error` where memory does not suffice.
    Endpoint(const Config& config, const Secrets& secrets, ip::InternetLayer& ip, Counters& counters,
             MbufStash& stash, TransmitQueue& queue);
    ~Endpoint() override;
    Endpoint(const Endpoint&) = delete;
    Endpoint& operator=(const Endpoint&) = delete;

    /// What the tables of this configuration take, each by itself (see `EalArray` for where it lies).
    /// `ipv6`: there are addresses of it.
    [[nodiscard]] static std::array<MemoryUse, memory_use_count> memory_uses(const Config& config,
                                                                             bool ipv6) noexcept;

    /// The instant at which what follows happens.
    void set_time(Instant now) noexcept;
    /// Processes TCP segments, at most `max_burst`: all are parsed and checked, then all looked up, then each
    /// processed (DESIGN.md, rule 4). Takes the mbufs.
    void receive(std::span<const ip::Ingress> burst) noexcept;
    /// Whether the bursts that come next are part of more than could be fetched at once (syn_credit.hpp).
    void set_behind(bool behind) noexcept;
    void receive_error(const ip::IcmpError& error) noexcept;
    /// What of a connection the peer has acknowledged and sent, as one number: both move on only where
    /// segments of ours arrive (RFC 4861 section 7.3.1). Of one in TIME-WAIT our FIN has.
    [[nodiscard]] std::optional<std::uint64_t> progress_of(
        const ip::TransportFlow& flow) const noexcept override;
    void advance() noexcept;
    /// Lets connections send while the transmit queue holds fewer than `frames`. False where nothing more can
    /// be sent now.
    bool send_pending(std::size_t frames) noexcept;
    [[nodiscard]] Instant next_deadline() const noexcept;

    /// See `Stack`.
    void listen(const ListenOptions& options);
    void unlisten(IpAddress address, std::uint16_t port);
    ConnectResult connect(const ConnectOptions& options) noexcept;

    /// The connection in a slot below `Config::connections`, for those who walk through all of them; where
    /// there is none, a handle that is not alive.
    [[nodiscard]] Connection connection_in(std::uint32_t slot) noexcept;
    /// Asks for the cache lines of the connection in a slot, ahead of the calls on it. With millions of
    /// connections each first look at one is a cache miss; several asked for ahead are fetched at once.
    void prefetch(std::uint32_t slot) const noexcept;

    /// How many connections have a TCB, are half-open, are in TIME-WAIT.
    [[nodiscard]] std::uint32_t connections() const noexcept;
    [[nodiscard]] std::uint32_t half_open() const noexcept;
    [[nodiscard]] std::uint32_t time_wait() const noexcept;

  private:
    friend class Connection;
    struct Parts;
    Core& core() noexcept;
    [[nodiscard]] std::optional<Owner> owner_of(const ip::TransportFlow& ends) const noexcept;
    std::unique_ptr<Parts> parts_;
};

}  // namespace runnel::tcp
