// Runs a measurement on cores that are set up: starts them, watches them second by second, ends them in good
// order, and draws the result together.
#pragma once

#include <functional>

#include "runnel/runtime/runtime.hpp"

#include "engine/orders.hpp"
#include "engine/result.hpp"
#include "engine/traffic_core.hpp"

namespace runnel::load {

/// Called with each second's figures, on the control thread.
using Progress = std::function<void(const Interval&)>;
/// Asked some hundred times a second, on the control thread: true stops the run, as an order does.
using Interrupted = std::function<bool()>;

/// Starts `runtime` with `factory`, which makes a `TrafficCore` on each core, and measures until the clients
/// have finished. Fills what `result` says about connections, rates, packets, latency, counters, generator
/// intervals and events, and the judgement. What set the run up (command, config, host, wire) is the
/// caller's.
void measure(runtime::Runtime& runtime, const runtime::Factory& factory, const Progress& progress,
             const Interrupted& interrupted, Result& result, const Followers& followers = {});

}  // namespace runnel::load
