// The client side of one core: opens connections by a schedule, takes each through its recipe, and measures
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/stack/stack.hpp"
#include "runnel/tcp/connection.hpp"

#include "engine/addresses.hpp"
#include "engine/arrivals.hpp"
#include "engine/attack.hpp"
#include "engine/behaviour.hpp"
#include "engine/generator.hpp"
#include "engine/recipe.hpp"

namespace runnel::load {

struct ClientOptions {
    Recipe recipe = Recipe::crr;
    IpAddress first_local_address{};  ///< of `local_addresses` consecutive ones, used in turn
    std::uint32_t local_addresses = 1;
    IpAddress remote_address{};
    std::uint16_t remote_port = 80;
    /// In place of the addresses above, where there are any; used as `choice` says.
    std::vector<AddressRange> clients{};
    std::vector<Servers> servers{};
    AddressChoice choice = AddressChoice::sequential;
    std::vector<AttackTraffic> attacks{};        ///< beside it, each with the rate of this core
    std::span<const std::byte> request{};        ///< of `crr`, `rr` and `hold`; valid until the process ends
    std::uint64_t response_octets = 0;           ///< of `rr` and `hold`: so many answer a request
    Direction direction = Direction::to_server;  ///< of `stream`
    std::span<const std::byte> block{};  ///< of `stream`: sent again and again; valid until the process ends
    bool copies = false;                 ///< of `stream`: each octet is copied when it is sent
    std::optional<double>
        rate;  ///< connections a second of this core, of a profile the highest; nothing: max
    std::optional<LoadProfile> profile{};            ///< in place of `rate`: the part of this core
    ArrivalProcess arrivals = ArrivalProcess::even;  ///< about the rate
    std::uint64_t seed = 1;                          ///< of what is drawn on this core
    Duration max_lag = 100ms;                        ///< see Arrivals
    std::uint64_t connections = UINT64_MAX;          ///< connections in all; those that are kept need it
    /// So many on each connection: of `hold` at random, of `rr` and `http` one after the other.
    std::uint32_t transactions = 0;
    bool comes_and_goes = false;  ///< of `rr` and `http`: connections end with the last of their transactions
    Transactions sizes{};         ///< of `rr` and `http`: what is drawn, and the time between
    HttpTraffic http{};
    std::uint32_t window = 512;   ///< connections open at once, at most; those that are kept do not count
    std::uint32_t slots = 65536;  ///< tcp::Config::connections of the stack: handles are numbered below this
    std::uint32_t batch = 32;     ///< connections begun in one poll, at most
    bool fast_open = false;       ///< the request of `crr` goes with the SYN where it can (RFC 7413)
    bool measures = true;      ///< false: no latencies, whatever the recipe: of benchmarks of what they cost
    bool first_alone = false;  ///< until the first connection has been answered, begin no other: its SYN
                               ///< resolves the neighbour, behind which few packets may wait
    /// Of `rst` and `fin`: so many connections stay open, and the oldest is ended when there are more; 0:
    /// each is ended at once.
    std::uint32_t concurrency = 0;
    // Of `udp-rr` and `udp-oneway`, whose `connections` are flows, each of its own address and port.
    std::uint16_t first_port = 1024, last_port = 65535;  ///< ports of flows
    std::shared_ptr<const ip::HomePorts> home_ports{};   ///< of these, where cores share addresses; else all
    Duration reply_timeout = 1s;                         ///< of `udp-rr`: then a request counts as lost
    Distribution datagram_octets = Distribution::fixed(1400);  ///< of `udp-oneway`: data of a datagram
    Duration give_up = 3100ms;  ///< where nobody answers for so long the run ends; 0: never
    bool blind = false;         ///< of `udp-oneway` to a server: whether it answers does not matter
    Duration ramp_up = 0s;      ///< before the ramp: the rate climbs evenly from 0; not at max
    Duration ramp = 0s;         ///< the schedule runs, nothing is measured
    Duration duration = 5s;     ///< the measured window
    Duration ramp_down = 0s;    ///< after the window the rate falls evenly to 0, nothing is measured
    Duration drain = 3s;        ///< how long connections in flight at the end may take to end
};

/// The addresses of the connections that these options ask for.
[[nodiscard]] AddressPicker make_picker(const ClientOptions& options);
/// What is due from `start` on, by `profile` or else by the rate of the options; `profile` is not owned and
/// outlives it.
[[nodiscard]] Arrivals arrivals_of_core(const ClientOptions& options, const LoadProfile* profile,
                                        std::uint64_t limit, Instant start) noexcept;

/// The client of recipes whose connections come and go.
class Client final : public Generator {
  public:
    /// `stack` is not owned and outlives the client; the connections must have ended, or the stack be gone,
    /// before the client goes.
    Client(Stack& stack, const ClientOptions& options);
    ~Client() override;

    bool poll(Instant now) noexcept override;
    bool poll_behind(Instant now) noexcept override;
    [[nodiscard]] bool has_rate() const noexcept override { return true; }
    void change_rate(std::optional<double> rate, Instant now) noexcept override;
    [[nodiscard]] bool can_pause() const noexcept override { return true; }

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

  private:
    struct Record {
        Instant intended, actual, last_data;
        std::uint32_t generation = 0;
        bool in_use : 1 = false;    // begun and not ended
        bool measured : 1 = false;  // began in the window
        bool answered : 1 = false;  // response data has come
        bool ending : 1 = false;    // the recipe has closed or aborted it
        bool counted : 1 = false;   // its outcome is in the accounting
        bool refused : 1 = false;   // for want of memory the request has not been taken yet
        bool held : 1 = false;      // one of those that stay open
    };
    static_assert(sizeof(Record) == 32);
    /// Of a connection that is held: the slots of the one opened before it and of the one after.
    struct Neighbours {
        std::uint32_t older = none, newer = none;
    };
    static constexpr std::uint32_t none = UINT32_MAX;

    bool poll(Instant now, std::uint32_t most, bool behind) noexcept;
    bool step_phase(Instant now) noexcept;
    void end_window(Instant now) noexcept;
    void cut_off() noexcept;
    void finish() noexcept;
    void begin_pause(Instant now) noexcept override { arrivals_.pause(now); }
    void end_pause(Instant now) noexcept override { arrivals_.resume(now); }
    void follow(const Arrivals& next, Instant now) noexcept;
    std::uint32_t begin_connections(Instant now, std::uint32_t most, bool behind) noexcept;
    void ask(tcp::Connection connection) noexcept;
    std::uint32_t end_connections() noexcept;
    void end(tcp::Connection connection) noexcept;
    void hold(std::uint32_t slot) noexcept;
    void release_held(std::uint32_t slot) noexcept;
    std::uint32_t end_oldest() noexcept;
    [[nodiscard]] Arrivals arrivals_of(const LoadProfile* profile, std::uint64_t limit,
                                       Instant start) const noexcept;
    void note_latency(Histogram LatencyHistograms::*which, const Record& record, Instant at) noexcept;
    void count(Record& record, std::uint64_t Accounting::*outcome) noexcept;
    [[nodiscard]] tcp::Connection connection_of(std::size_t slot) const noexcept;

    Stack& stack_;
    ClientOptions options_;
    tcp::ConnectOptions connect_;
    AddressPicker addresses_;
    std::vector<Record> records_;  // by slot
    std::vector<tcp::Connection>
        fresh_;  // `rst`, `fin`: established since the last poll, their ACK not yet sent
    std::vector<tcp::Connection> to_end_;  // established before: their ACK has left
    std::vector<Neighbours> neighbours_;   // by slot, where connections are held
    std::uint32_t oldest_ = none, newest_ = none;
    std::uint32_t held_ = 0;
    std::optional<LoadProfile> up_, down_;  // the rate before and after the window
    Arrivals arrivals_;
    Instant phase_end_{};
    Instant ramp_down_end_{};
    Instant window_begin_{};
    bool answered_ = false;                   // some connection has been established, or has ended
    Instant last_full_{Duration::min() / 2};  // one was due, and as many were open as may be
    bool stopped_ = false;                    // the order to stop has been followed
    bool intends_;                            // a schedule says, or has said, when connections are intended
    Totals at_window_begin_;
};

/// The share of `limit` that part `index` of `parts` takes, so that the parts add up to it.
[[nodiscard]] constexpr std::uint64_t share_of(std::uint64_t limit, unsigned parts, unsigned index) noexcept {
    return limit / parts + (index < limit % parts ? 1 : 0);
}

}  // namespace runnel::load
