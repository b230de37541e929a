// What the control thread sees of the cores of a measurement: it reads what a core has measured by having
// that core copy it, between two turns, so the packet path needs no atomic for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "runnel/base/time.hpp"
#include "runnel/runtime/loop_statistics.hpp"
#include "runnel/runtime/runtime.hpp"
#include "runnel/runtime/statistics.hpp"

#include "engine/accounting.hpp"
#include "engine/generator.hpp"
#include "engine/observation.hpp"
#include "engine/result.hpp"
#include "engine/traffic_core.hpp"

namespace runnel::load {

/// What the control thread knows of all cores at a moment.
struct Picture {
    // A core's own figures, and when that core looked.
    struct Look {
        Instant time{};
        std::uint64_t octets_received = 0, transactions = 0;
        std::uint64_t octets_sent = 0;  // of a client: handed to TCP
        std::uint64_t datagrams_received = 0, datagrams_sent = 0;
    };
    Generator::Totals totals;
    Accounting outcomes;
    std::uint64_t open = 0;
    std::uint64_t time_wait = 0;
    LatencyHistograms latency;  // from the actual time of sending
    std::vector<Look> client_looks, server_looks;
    runtime::Snapshot clients, servers, between_cores;

    [[nodiscard]] runtime::Snapshot all() const noexcept {
        runtime::Snapshot sum = clients;
        sum += servers;
        sum += between_cores;
        return sum;
    }
};

/// The cores of a runtime that has started and holds `TrafficCore`s. On the control thread.
class Watch {
  public:
    explicit Watch(runtime::Runtime& runtime);

    struct Running {
        unsigned core;
        ClientSide* side;
    };
    struct Serving {
        unsigned core;
        ServerSide* side;
    };
    [[nodiscard]] const std::vector<Running>& clients() const noexcept { return clients_; }

    [[nodiscard]] bool all_past(Generator::Phase phase) const noexcept {
        return std::ranges::all_of(clients_,
                                   [&](const Running& r) { return r.side->client->phase() >= phase; });
    }

    /// Has each core say what it has measured, between two of its turns.
    [[nodiscard]] Picture look();
    /// Adds the counters of all stacks, which may be going on.
    void count(Picture& picture) const noexcept;
    struct Heard {
        bool started = false, established = false, refused = false;
    };
    /// Of the connections that were opened; where there are none, of no matter.
    [[nodiscard]] Heard heard();
    /// What the servers have received and handed to TCP.
    void count(OctetAccounting& octets) const noexcept;
    /// Has each client do something between two polls, at the time of its core.
    template <class What>
    void tell(What&& what) {
        for (const Running& running : clients_)
            runtime_.call(running.core, [&] { what(*running.side->client, runtime_.clock().now()); });
    }
    [[nodiscard]] Sample sample(const Picture& picture);
    [[nodiscard]] std::vector<runtime::LoopStatistics::Values> loops();

  private:
    runtime::Runtime& runtime_;
    std::vector<Running> clients_;
    std::vector<Serving> servers_;
    std::vector<const runtime::SharedPort*> shared_;
};

/// What the time between two looks has brought.
[[nodiscard]] Interval interval_between(const Picture& before, const Picture& after, double length_s,
                                        double t_s, Recipe recipe);
/// What the clients have measured, once they have finished.
void gather(const Watch& watch, Result& result);
/// What went over the wire between two looks at traffic that goes on.
void count_window(const Picture& before, const Picture& after, Result& result);

}  // namespace runnel::load
