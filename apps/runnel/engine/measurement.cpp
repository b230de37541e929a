// See measurement.hpp. The control thread reads what a core has measured by having that core copy it, between
// two turns: the packet path needs no atomic for it.
#include "engine/measurement.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

namespace runnel::load {

ClientSide::ClientSide(const StackConfig& config, const ClientOptions& options, port::Wire& wire,
                       rte_mempool* mbufs, const runtime::Clock& clock,
                       const port::TracedWire::Observer& trace)
    : stack(config, mbufs),
      client(stack, options),
      traced(trace ? std::make_unique<port::TracedWire>(
                         wire, [clock] { return clock.now(); }, trace)
                   : nullptr),
      stamped(traced ? static_cast<port::Wire&>(*traced) : wire, clock, client) {}

ServerSide::ServerSide(const StackConfig& config, std::uint16_t port, std::span<const std::byte> response,
                       std::uint32_t request_octets, rte_mempool* mbufs)
    : stack(config, mbufs), responder(response, request_octets) {
    stack.listen({.port = port, .handler = &responder});
}

namespace {

using Phase = Client::Phase;

// What the control thread knows of all cores at a moment.
struct Picture {
    Client::Totals totals;
    std::uint64_t open = 0;
    Histogram handshakes;
    runtime::Snapshot clients, servers, between_cores;

    [[nodiscard]] runtime::Snapshot all() const noexcept {
        runtime::Snapshot sum = clients;
        sum += servers;
        sum += between_cores;
        return sum;
    }
};

class Watch {
  public:
    explicit Watch(runtime::Runtime& runtime) : runtime_(runtime) {
        for (unsigned i = 0; i < runtime.core_count(); ++i) {
            auto& core = static_cast<TrafficCore&>(*runtime.instance(i));
            if (core.client) clients_.push_back({i, core.client.get()});
            if (core.server) servers_.push_back(core.server.get());
            shared_.insert(shared_.end(), core.shared.begin(), core.shared.end());
        }
    }

    struct Running {
        unsigned core;
        ClientSide* side;
    };
    [[nodiscard]] const std::vector<Running>& clients() const noexcept { return clients_; }
    [[nodiscard]] unsigned server_count() const noexcept { return static_cast<unsigned>(servers_.size()); }

    [[nodiscard]] bool all_past(Phase phase) const noexcept {
        return std::ranges::all_of(clients_,
                                   [&](const Running& r) { return r.side->client.phase() >= phase; });
    }

    [[nodiscard]] Picture look() {
        Picture picture;
        for (const Running& running : clients_) {
            runtime_.call(running.core, [&] {
                Client& client = running.side->client;
                const Client::Totals& totals = client.measurement().all;
                picture.totals.started += totals.started;
                picture.totals.established += totals.established;
                picture.totals.completed += totals.completed;
                picture.totals.octets_received += totals.octets_received;
                picture.open += client.open();
                picture.handshakes.merge(client.take_interval_handshakes());
            });
        }
        count(picture);
        return picture;
    }
    void count(Picture& picture) const noexcept {
        for (const Running& running : clients_) picture.clients += running.side->stack.counters();
        for (const ServerSide* side : servers_) picture.servers += side->stack.counters();
        for (const runtime::SharedPort* port : shared_) picture.between_cores += port->counters();
    }
    [[nodiscard]] std::vector<runtime::LoopStatistics::Values> loops() {
        std::vector<runtime::LoopStatistics::Values> values;
        for (unsigned i = 0; i < runtime_.core_count(); ++i) values.push_back(runtime_.report(i).values);
        return values;
    }

  private:
    runtime::Runtime& runtime_;
    std::vector<Running> clients_;
    std::vector<ServerSide*> servers_;
    std::vector<const runtime::SharedPort*> shared_;
};

double seconds(Duration duration) {
    return static_cast<double>(duration.count()) / 1e9;
}

Interval interval_between(const Picture& before, const Picture& after, double length_s, double t_s,
                          Recipe recipe) {
    const runtime::Snapshot counted = after.all().since(before.all());
    Interval interval;
    interval.t_s = t_s;
    interval.established = after.totals.established - before.totals.established;
    const std::uint64_t done =
        recipe == Recipe::hold ? interval.established : after.totals.completed - before.totals.completed;
    interval.cps = length_s > 0 ? static_cast<double>(done) / length_s : 0;
    interval.in_flight = after.open;
    interval.retransmissions = retransmissions(counted);
    interval.drops = counted.dropped();
    interval.handshake_p99_us = static_cast<double>(after.handshakes.percentile(99)) / 1000;
    return interval;
}

void gather(const Watch& watch, Result& result) {
    double window_s = 0;
    for (const Watch::Running& running : watch.clients()) {
        const Client::Measurement& m = running.side->client.measurement();
        result.connections += m.accounting;
        result.latency.merge(m.latency);
        result.lag.merge(m.lag);
        // `hold`: the rate is that of the opening; the rest of the window nothing is opened.
        const bool hold = result.recipe == Recipe::hold;
        const double length = seconds(hold ? m.opening_length : m.window_length);
        const std::uint64_t done = hold ? m.accounting.established : m.window.completed;
        if (length > 0) result.cps += static_cast<double>(done) / length;
        if (m.window_length > 0s)
            result.goodput_bps +=
                8 * static_cast<double>(m.window.octets_received) / seconds(m.window_length);
        window_s = std::max(window_s, seconds(m.window_length));
        if (m.local_errors > 0)
            result.notes.push_back(fmt::format("{} times a connection could not be begun: {}", m.local_errors,
                                               to_string(m.last_local_error)));
    }
    result.duration_s = window_s;
}

}  // namespace

void measure(runtime::Runtime& runtime, const runtime::Factory& factory, const Progress& progress,
             const Interrupted& interrupted, Result& result) {
    constexpr auto glance = std::chrono::milliseconds(5);
    runtime.start(factory);
    Watch watch(runtime);
    const runtime::Clock& clock = runtime.clock();

    while (!watch.all_past(Phase::measured)) std::this_thread::sleep_for(glance);
    const Instant begin = clock.now();
    const auto loops_before = watch.loops();
    Picture last = watch.look();
    Instant last_time = begin;
    const auto end_interval = [&] {
        Picture now = watch.look();
        const Instant time = clock.now();
        result.intervals.push_back(
            interval_between(last, now, seconds(time - last_time), seconds(time - begin), result.recipe));
        last = std::move(now);
        last_time = time;
        if (progress) progress(result.intervals.back());
    };
    bool stopped = false;
    while (!watch.all_past(Phase::draining)) {
        std::this_thread::sleep_for(glance);
        if (clock.now() - last_time >= 1s && !watch.all_past(Phase::draining)) end_interval();
        if (!stopped && interrupted && interrupted()) {
            for (const Watch::Running& running : watch.clients()) running.side->client.stop_early();
            stopped = true;
        }
    }
    if (clock.now() - last_time >= 100ms) end_interval();
    const auto loops_after = watch.loops();

    // What `hold` has opened is counted before it is closed again: the recipe has no packets for that.
    Picture counted;
    if (result.recipe == Recipe::hold) {
        while (!watch.all_past(Phase::held)) std::this_thread::sleep_for(glance);
        std::this_thread::sleep_for(4 * glance);  // the last frames reach the server
        watch.count(counted);
        for (const Watch::Running& running : watch.clients()) running.side->client.release();
    }
    while (!watch.all_past(Phase::finished)) std::this_thread::sleep_for(glance);
    std::this_thread::sleep_for(4 * glance);
    Picture at_end;
    watch.count(at_end);
    if (result.recipe != Recipe::hold) counted = at_end;
    runtime.stop();

    gather(watch, result);
    for (const Watch::Running& running : watch.clients()) {
        const Client::Totals& all = running.side->client.measurement().all;
        result.connections_counted += result.recipe == Recipe::hold ? all.established : all.started;
    }
    const auto frames = [](const runtime::Snapshot& s, Counter frame_counter, Counter octet_counter) {
        return FrameCount{s.get(frame_counter), s.get(octet_counter)};
    };
    result.client_tx = frames(counted.clients, Counter::frames_out, Counter::bytes_out);
    result.client_rx = frames(counted.clients, Counter::frames_in, Counter::bytes_in);
    result.server_tx = frames(counted.servers, Counter::frames_out, Counter::bytes_out);
    result.server_rx = frames(counted.servers, Counter::frames_in, Counter::bytes_in);
    result.counters = at_end.all();
    for (std::size_t i = 0; i < loops_after.size(); ++i) {
        const auto values = loops_after[i].since(loops_before[i]);
        result.busy_percent.push_back(100 * values.busy_share());
        result.tx_full += values.transmit_full;
    }
    result.judgement = judge(result.connections, result.asked_cps);
}

}  // namespace runnel::load
