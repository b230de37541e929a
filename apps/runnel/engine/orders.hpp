// Who has a say in a measurement, and who looks on: orders go to the clients, observations to the board.
#pragma once

#include <utility>
#include <vector>

#include "runnel/base/time.hpp"
#include "runnel/runtime/clock.hpp"

#include "engine/control.hpp"
#include "engine/observation.hpp"
#include "engine/result.hpp"
#include "engine/watch.hpp"

namespace runnel::load {

/// Who has a say in a run, and who looks on; neither is owned, and either may be left out.
struct Followers {
    Control* control = nullptr;  ///< whose orders are carried out while clients run
    Board* board = nullptr;      ///< gets an observation each second, in each phase
    RunFacts facts{};            ///< for the board
};

/// Passes on what the run is told, and keeps what was told when.
class Orders {
  public:
    /// Nothing is owned.
    Orders(Control& control, Watch& watch, const runtime::Clock& clock, Result& result);
    ~Orders() { control_.end(); }
    Orders(const Orders&) = delete;
    Orders& operator=(const Orders&) = delete;

    void carry_out();
    [[nodiscard]] std::vector<Event> events(Instant begin) const;

  private:
    Control& control_;
    Watch& watch_;
    runtime::Clock clock_;
    Result& result_;
    std::vector<std::pair<Instant, Order>> told_;
};

/// Hangs an observation up each second, in whatever phase.
class Observing {
  public:
    Observing(const Followers& followers, const Control& control, Watch& watch, Instant start)
        : followers_(followers), control_(control), watch_(watch), start_(start) {
        last_.time = start;
    }
    [[nodiscard]] bool due(Instant now) const noexcept {
        return followers_.board != nullptr && now - last_.time >= 1s;
    }
    void publish(const Picture& picture, std::vector<Event> events);

  private:
    const Followers& followers_;
    const Control& control_;
    Watch& watch_;
    Instant start_;
    Sample last_;
};

}  // namespace runnel::load
