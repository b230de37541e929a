// What runs a measurement sees of the client side of a core, whatever its recipe: its phase, what it has
// measured, and how it is told to go on.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "runnel/base/histogram.hpp"
#include "runnel/base/time.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/tcp/connection.hpp"

#include "engine/accounting.hpp"
#include "engine/control.hpp"
#include "engine/datagram_accounting.hpp"
#include "engine/hears_arrivals.hpp"
#include "engine/http_counts.hpp"
#include "engine/latency.hpp"

namespace runnel::load {

/// A task that opens connections and hears of them. Begins with its first poll. All calls on the stack's
/// thread, but `phase()`, `release()`, `stop_early()` and `abandon()`.
class Generator : public tcp::Handler, public runtime::Task, public HearsArrivals {
  public:
    enum class Phase : std::uint8_t {
        waiting,  ///< before the first poll
        ramp,
        measured,
        draining,  ///< no new connections; those in flight come to their end
        held,  ///< where connections are kept: the window is over, they stay (and carry on) until `release()`
        closing,  ///< where connections were kept
        finished,
    };

    /// Sums since the start, the ramp included.
    struct Totals {
        std::uint64_t started = 0, established = 0, completed = 0;
        std::uint64_t octets_received = 0;
        std::uint64_t octets_sent = 0;   ///< of `stream`: handed to TCP; of datagrams: their data
        std::uint64_t transactions = 0;  ///< of `rr`, `udp-rr` and `hold`: answered
        std::uint64_t datagrams_sent = 0, datagrams_received = 0;  ///< of `udp-rr` and `udp-oneway`
    };

    /// What one core measured.
    struct Measurement {
        Accounting accounting;               ///< of the arrivals of the window; of all that are kept
        TransactionAccounting transactions;  ///< of `rr`, `udp-rr` and `hold`, over the whole run
        DatagramAccounting datagrams;        ///< of `udp-rr` and `udp-oneway`, over the whole run
        bool nobody_answered = false;        ///< so it was given up, before anything was measured
        HttpCounts http;                     ///< of `http`, over the whole run
        Totals all;                          ///< over the whole run
        Totals window;                       ///< of these, what happened within the window
        Duration window_length{};           ///< shorter than asked for where all connections were done before
        Duration opening_length{};          ///< from the start of the window to the last handshake
        Duration transacting_length{};      ///< of `hold`: from the first request to the last response
        std::uint64_t closed_in_order = 0;  ///< of `hold`: with FIN and FIN, after the window
        Duration closing_length{};          ///< of `hold`: from the release to the last of these
        Latency latency;                    ///< of the arrivals of the window
        Histogram lag;                      ///< actual less intended time of sending, in nanoseconds
        std::uint64_t local_errors = 0;  ///< times that `connect` could not begin one: retried until given up
        tcp::Error last_local_error = tcp::Error::none;
    };

    void arrived(Instant now) noexcept final { now_ = now; }

    /// From any thread.
    [[nodiscard]] Phase phase() const noexcept { return phase_.load(std::memory_order_acquire); }
    /// Ends `Phase::held`. From any thread.
    void release() noexcept { released_.store(true, std::memory_order_release); }
    /// Ends the window at the next poll, as if its time were over. From any thread.
    void stop_early() noexcept { stopped_.store(true, std::memory_order_release); }

    /// As `stop_early`, and what is under way is not waited for. From any thread.
    void abandon() noexcept {
        abandoned_.store(true, std::memory_order_release);
        stop_early();
    }

    /// What it is told while it goes: on the stack's thread, between two polls.
    ///
    /// Whether a schedule says when it begins something.
    [[nodiscard]] virtual bool has_rate() const noexcept { return false; }
    /// From now on so many arrivals a second on this core, in place of what the schedule would have brought;
    /// nothing: max.
    virtual void change_rate(std::optional<double>, Instant) noexcept {}
    /// Whether it can begin nothing for a while.
    [[nodiscard]] virtual bool can_pause() const noexcept { return false; }
    /// Begins nothing new, until `resume`. The window's time goes on, and what is under way; the schedule
    /// stands still, and goes on where it stood.
    void pause(Instant now) noexcept {
        if (paused_ || !can_pause()) return;
        paused_ = true;
        begin_pause(now);
    }
    void resume(Instant now) noexcept {
        if (!paused_) return;
        paused_ = false;
        end_pause(now);
    }
    [[nodiscard]] bool paused() const noexcept { return paused_; }
    /// `stop_early`, and what becomes of the connections that are open then. What is cut off counts as in
    /// flight.
    void stop(Ending ending) noexcept {
        ending_ = ending;
        stop_early();
    }

    /// What happened so far; final once `finished`.
    [[nodiscard]] const Measurement& measurement() const noexcept { return measurement_; }
    /// Connections begun and not ended.
    [[nodiscard]] std::uint64_t open() const noexcept { return open_; }

  protected:
    void enter(Phase phase) noexcept { phase_.store(phase, std::memory_order_release); }
    [[nodiscard]] Phase present_phase() const noexcept { return phase_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool told_to_stop() const noexcept { return stopped_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool abandoned() const noexcept { return abandoned_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool released() const noexcept { return released_.load(std::memory_order_acquire); }

    [[nodiscard]] Ending ending() const noexcept { return ending_; }
    virtual void begin_pause(Instant) noexcept {}
    virtual void end_pause(Instant) noexcept {}

    Instant now_{};
    std::uint64_t open_ = 0;  // begun and not ended
    Measurement measurement_;

  private:
    std::atomic<Phase> phase_{Phase::waiting};
    std::atomic<bool> released_{false}, stopped_{false}, abandoned_{false};
    bool paused_ = false;
    Ending ending_ = Ending::drain;
};

}  // namespace runnel::load
