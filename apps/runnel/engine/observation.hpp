// What is seen of a run while it goes: sampled by the control thread once a second, read by whoever shows it
// (the terminal, telemetry, Prometheus).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runnel/base/time.hpp"
#include "runnel/runtime/loop_statistics.hpp"
#include "runnel/runtime/statistics.hpp"

#include "engine/control.hpp"
#include "engine/generator.hpp"
#include "engine/latency.hpp"

namespace runnel::load {

/// The figures of all cores at a moment, each since the start.
struct Sample {
    struct Core {
        runtime::LoopStatistics::Values loop;
        Duration longest_gap{};  ///< between two turns of the loop, since the sample before
    };
    Instant time{};
    /// Of clients; of a server alone what it has accepted, answered, received and handed to TCP.
    Generator::Totals totals;
    std::uint64_t refused = 0, reset = 0, timed_out = 0;  ///< of clients: connections that failed so
    std::uint64_t open = 0, time_wait = 0;
    LatencyHistograms latency;  ///< of clients, from the actual time of sending
    runtime::Snapshot clients, servers, between_cores;
    std::vector<Core> cores;
};

/// What does not change while a run goes.
struct RunFacts {
    std::string command;  ///< "load"
    std::string what;     ///< in words: "recipe crr, rate 50 k/s"
    std::string wire;     ///< "port 0 (driver net_tap)"
    bool client = true;   ///< there are clients: else a server alone
    bool server = false;
};

struct Observation {
    struct Core {
        double busy_percent = 0, frames_in = 0, frames_out = 0;  ///< of the last interval; a second
        std::uint64_t transmit_full = 0;                         ///< in the last interval
        Duration longest_gap{};
    };
    RunFacts facts;
    std::string phase;    ///< "opening", "ramp", "measured", "draining", "serving", "ended"
    double t_s = 0;       ///< since the cores began
    double length_s = 0;  ///< of the last interval
    Control::State state;
    Sample sample;  ///< the latest
    /// Of the last interval, a second.
    double cps = 0, tps = 0, dps = 0, established_rate = 0, octets_in_rate = 0, octets_out_rate = 0;
    runtime::Snapshot
        recent;  ///< counted in the last interval, by clients where there are any, else by servers
    LatencyHistograms recent_latency;
    std::vector<Core> cores;
    std::vector<Event> events;

    /// All that was counted.
    [[nodiscard]] runtime::Snapshot counters() const noexcept {
        runtime::Snapshot sum = sample.clients;
        sum += sample.servers;
        sum += sample.between_cores;
        return sum;
    }
};

/// What two samples tell; `length_s` is 0 where they are of the same moment, and rates are 0 then.
[[nodiscard]] Observation observe(const RunFacts& facts, const Sample& before, const Sample& after);

/// Where the latest observation hangs. From any thread but an lcore.
class Board {
  public:
    void publish(std::shared_ptr<const Observation> observation) {
        const std::lock_guard lock(mutex_);
        latest_ = std::move(observation);
    }
    /// Null before the first.
    [[nodiscard]] std::shared_ptr<const Observation> latest() const {
        const std::lock_guard lock(mutex_);
        return latest_;
    }

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Observation> latest_;
};

}  // namespace runnel::load
