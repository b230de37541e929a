// Who is told when a burst was received: what is timed ends there, and not at the turn before.
#pragma once

#include "runnel/base/time.hpp"

namespace runnel::load {

class HearsArrivals {
  public:
    virtual ~HearsArrivals() = default;
    /// The time at which the burst that comes next was received: what the calls of a handler take as now. On
    /// the stack's thread.
    virtual void arrived(Instant now) noexcept = 0;
};

}  // namespace runnel::load
