// What an application does on a core, called by the poll loop.
#pragma once

#include "runnel/base/time.hpp"

namespace runnel::runtime {

/// All calls come from the loop's thread. None may block or throw.
class Task {
  public:
    Task() = default;
    virtual ~Task() = default;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

    /// Called once an iteration, after what arrived has been processed and before what is to be sent leaves.
    /// Bounded work: a task that has fallen behind catches up over several iterations. Returns whether it did
    /// any; the busy share of the core rests on that.
    virtual bool poll(Instant now) noexcept = 0;
    /// Called in place of `poll` where more has arrived than could be processed, or what was to leave could
    /// not: whoever begins new work then does so at the cost of what is under way.
    virtual bool poll_behind(Instant now) noexcept { return poll(now); }
    /// The loop is to stop soon: begin nothing new, end what runs. Called once; `poll` goes on.
    virtual void begin_drain(Instant /*now*/) noexcept {}
    /// Whether nothing runs any more. Asked after `begin_drain`, until it is so or the time for it is over.
    [[nodiscard]] virtual bool drained() const noexcept { return true; }
};

}  // namespace runnel::runtime
