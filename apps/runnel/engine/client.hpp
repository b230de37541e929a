// The client side of one core: opens connections by a schedule, takes each through its recipe, and measures
// it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"
#include "runnel/tcp/connection.hpp"

#include "engine/accounting.hpp"
#include "engine/arrivals.hpp"
#include "engine/latency.hpp"
#include "engine/recipe.hpp"

namespace runnel::load {

struct ClientOptions {
    Recipe recipe = Recipe::crr;
    Ipv4Address first_local_address{};  ///< of `local_addresses` consecutive ones, used in turn
    std::uint32_t local_addresses = 1;
    Ipv4Address remote_address{};
    std::uint16_t remote_port = 80;
    std::span<const std::byte> request{};    ///< of `crr`; valid until the process ends
    std::optional<double> rate;              ///< connections a second of this core; nothing: max
    Duration max_lag = 100ms;                ///< see Arrivals
    std::uint64_t connections = UINT64_MAX;  ///< connections in all; `hold` needs it
    std::uint32_t window = 512;   ///< connections open at once, at most; those that `hold` keeps do not count
    std::uint32_t slots = 65536;  ///< tcp::Config::connections of the stack: handles are numbered below this
    std::uint32_t batch = 32;     ///< connections begun in one poll, at most
    bool fast_open = false;       ///< the request of `crr` goes with the SYN where it can (RFC 7413)
    bool first_alone = false;     ///< until the first connection has been answered, begin no other: its SYN
                                  ///< resolves the neighbour, behind which few packets may wait
    Duration ramp = 0s;           ///< the schedule runs, nothing is measured
    Duration duration = 5s;       ///< the measured window
    Duration drain = 3s;          ///< how long connections in flight at the end of the window may take to end
};

/// Begins with its first poll. All calls on the stack's thread, but `phase()` and `release()`.
class Client final : public tcp::Handler, public runtime::Task {
  public:
    enum class Phase : std::uint8_t {
        waiting,  ///< before the first poll
        ramp,
        measured,
        draining,  ///< no new connections; those in flight come to their end
        held,      ///< `hold` only: the window is over, the connections stay until `release()`
        closing,   ///< `hold` only
        finished,
    };

    /// Sums since the start, the ramp included.
    struct Totals {
        std::uint64_t started = 0, established = 0, completed = 0, octets_received = 0;
    };

    /// What one core measured.
    struct Measurement {
        Accounting accounting;           ///< of the arrivals of the window
        Totals all;                      ///< over the whole run
        Totals window;                   ///< of these, what happened within the window
        Duration window_length{};        ///< shorter than asked for where all connections were done before
        Duration opening_length{};       ///< from the start of the window to the last handshake
        Latency latency;                 ///< of the arrivals of the window
        Histogram lag;                   ///< actual less intended time of sending, in nanoseconds
        std::uint64_t local_errors = 0;  ///< times that `connect` could not begin one: retried until given up
        tcp::Error last_local_error = tcp::Error::none;
    };

    /// `stack` is not owned and outlives the client; the connections must have ended, or the stack be gone,
    /// before the client goes.
    Client(Stack& stack, const ClientOptions& options);
    ~Client() override;

    /// The time at which the burst that comes next was received: what the handler's calls take as now.
    void arrived(Instant now) noexcept { now_ = now; }

    bool poll(Instant now) noexcept override;

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

    /// From any thread.
    [[nodiscard]] Phase phase() const noexcept { return phase_.load(std::memory_order_acquire); }
    /// Ends `Phase::held`. From any thread.
    void release() noexcept { released_.store(true, std::memory_order_release); }
    /// Ends the window at the next poll, as if its time were over. From any thread.
    void stop_early() noexcept { stopped_.store(true, std::memory_order_release); }

    /// What happened so far; final once `finished`.
    [[nodiscard]] const Measurement& measurement() const noexcept { return measurement_; }
    /// Handshake latencies, from the actual time of sending, since this was last called.
    [[nodiscard]] Histogram take_interval_handshakes() noexcept;
    /// Connections begun and not ended.
    [[nodiscard]] std::uint64_t open() const noexcept { return open_; }

  private:
    struct Record {
        Instant intended, actual, last_data;
        std::uint32_t generation = 0;
        bool in_use : 1 = false;    // begun and not ended
        bool measured : 1 = false;  // began in the window
        bool answered : 1 = false;  // response data has come
        bool ending : 1 = false;    // the recipe has closed or aborted it
        bool held : 1 = false;      // `hold`: established, and kept
        bool counted : 1 = false;   // its outcome is in the accounting
    };
    static_assert(sizeof(Record) == 32);

    bool step_phase(Instant now) noexcept;
    void enter(Phase phase) noexcept { phase_.store(phase, std::memory_order_release); }
    void end_window(Instant now) noexcept;
    void finish() noexcept;
    std::uint32_t begin_connections(Instant now) noexcept;
    void ask(tcp::Connection connection) noexcept;
    std::uint32_t end_connections() noexcept;
    std::uint32_t close_held(Instant now) noexcept;
    void note_latency(Histogram LatencyHistograms::*which, const Record& record, Instant at) noexcept;
    void count(Record& record, std::uint64_t Accounting::*outcome) noexcept;
    void lose_held(Record& record, std::uint64_t Accounting::*outcome) noexcept;
    [[nodiscard]] tcp::Connection connection_of(std::size_t slot) const noexcept;
    /// Connections on their way: all that are open but those held.
    [[nodiscard]] std::uint64_t busy() const noexcept { return open_ - holding_; }

    Stack& stack_;
    ClientOptions options_;
    tcp::ConnectOptions connect_;
    std::vector<Record> records_;  // by slot
    std::vector<tcp::Connection>
        fresh_;  // `rst`, `fin`: established since the last poll, their ACK not yet sent
    std::vector<tcp::Connection> to_end_;  // established before: their ACK has left
    Arrivals arrivals_;
    Instant now_{};
    Instant phase_end_{};
    Instant window_begin_{};
    std::uint32_t next_local_ = 0;
    std::size_t next_to_close_ = 0;  // records below have been closed, after `hold`
    std::uint64_t open_ = 0;         // begun and not ended
    std::uint64_t holding_ = 0;      // of these, held
    bool answered_ = false;          // some connection has been established, or has ended
    Totals at_window_begin_;
    Measurement measurement_;
    Histogram interval_handshakes_;
    std::atomic<Phase> phase_{Phase::waiting};
    std::atomic<bool> released_{false}, stopped_{false};
};

/// The share of `limit` that part `index` of `parts` takes, so that the parts add up to it.
[[nodiscard]] constexpr std::uint64_t share_of(std::uint64_t limit, unsigned parts, unsigned index) noexcept {
    return limit / parts + (index < limit % parts ? 1 : 0);
}

}  // namespace runnel::load
