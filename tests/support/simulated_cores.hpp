// Cores in virtual time whose work takes time: each turns a poll loop of the library, and a turn lasts as
// long as its frames cost. Wires of bounded rings join them, so that overload is exact and the same each
// time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/port/wire.hpp"
#include "runnel/runtime/poll_loop.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::test {

/// Two ends joined by a bounded ring each way. A frame arrives when the turn that sent it has ended.
class SimulatedWire {
  public:
    enum class WhenFull : std::uint8_t {
        refuse,  ///< the sender keeps the frame, as a ring does
        drop,    ///< it is lost, as where a card finds no descriptor at the receiver
    };
    struct Options {
        std::uint32_t frames = 4096;  ///< that each ring holds
        WhenFull when_full = WhenFull::refuse;
    };

    class End final : public port::Wire {
      public:
        [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override;
        [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override;

        /// While it is stuck it takes no frame: the peer does not empty its ring.
        void set_stuck(bool stuck) noexcept { stuck_ = stuck; }
        /// Frames sent to a link address that is not the peer's leave for elsewhere, as a switch sends them.
        void set_peer(const MacAddress& mac) noexcept { peer_mac_ = mac; }
        /// A frame from elsewhere comes in behind what waits, or is freed where the ring is full.
        void inject(rte_mbuf* frame, Instant now) noexcept;
        [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
        [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
        [[nodiscard]] std::uint64_t sent_elsewhere() const noexcept { return elsewhere_; }
        /// Frames that found no room at the peer.
        [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
        /// Frames that wait to be received.
        [[nodiscard]] std::size_t waiting() const noexcept { return in_.size(); }

      private:
        friend class SimulatedWire;
        friend class SimulatedCore;
        struct Arriving {
            Instant when;
            rte_mbuf* frame;
        };
        void turn_begins(Instant now) noexcept { now_ = now; }
        void turn_ends(Instant now) noexcept;

        Options options_;
        End* peer_ = nullptr;
        std::deque<Arriving> in_;
        std::vector<rte_mbuf*> leaving_;  // sent in the turn that this core is in
        std::optional<MacAddress> peer_mac_;
        Instant now_{};
        bool stuck_ = false;
        std::uint64_t received_ = 0, sent_ = 0, dropped_ = 0, elsewhere_ = 0;
    };

    explicit SimulatedWire(const Options& options);
    ~SimulatedWire();
    SimulatedWire(const SimulatedWire&) = delete;
    SimulatedWire& operator=(const SimulatedWire&) = delete;

    [[nodiscard]] End& a() noexcept { return a_; }
    [[nodiscard]] End& b() noexcept { return b_; }

  private:
    End a_, b_;
};

/// What the work of a core takes.
struct CoreCosts {
    Duration turn = 5us;       ///< of the loop, whether or not there was anything to do; ten times as long
                               ///< after some that had nothing to do
    Duration received = 10us;  ///< a frame
    Duration sent = 10us;      ///< a frame
};

/// A core and its poll loop.
class SimulatedCore {
  public:
    explicit SimulatedCore(const CoreCosts& costs, const runtime::PollLoopOptions& options = {});

    /// None is owned; all outlive the core.
    void add(Stack& stack, SimulatedWire::End& end);
    void add(runtime::Task& task) { loop_->add(task); }
    /// Called with the time at which each turn begins.
    void before_turn(std::function<void(Instant)> call) { before_.push_back(std::move(call)); }
    /// From then on, and at the earliest when the turn under way has ended, nothing is done for so long.
    void stall(Instant from, Duration length) { stalls_[from] = length; }

    /// When the next turn begins.
    [[nodiscard]] Instant ready() const noexcept { return ready_; }
    void turn();
    /// How long it has had something to do.
    [[nodiscard]] Duration busy() const noexcept { return busy_; }
    /// Ends the loop: frees what a wire has refused. No turn comes after it.
    void drop_held() { loop_.reset(); }

  private:
    [[nodiscard]] std::uint64_t received() const noexcept;
    [[nodiscard]] std::uint64_t sent() const noexcept;

    CoreCosts costs_;
    std::unique_ptr<runtime::PollLoop> loop_;
    std::vector<SimulatedWire::End*> ends_;
    std::vector<std::function<void(Instant)>> before_;
    std::map<Instant, Duration> stalls_;
    Instant ready_{1s};
    Duration busy_{};
    unsigned idle_turns_ = 0;  // in a row
};

/// Turns each core when its time has come.
class CoreSchedule {
  public:
    /// Not owned.
    void add(SimulatedCore& core) { cores_.push_back(&core); }
    /// Calls at a time, between two turns.
    void at(Instant time, std::function<void()> call) { calls_.emplace(time, std::move(call)); }
    /// Until `end`, or until `done`, which is asked after each turn. True where it is done.
    bool run_until(Instant end, const std::function<bool()>& done = {});

    [[nodiscard]] Instant now() const noexcept { return now_; }

  private:
    std::vector<SimulatedCore*> cores_;
    std::multimap<Instant, std::function<void()>> calls_;
    Instant now_{1s};
};

}  // namespace runnel::test
