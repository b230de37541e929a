// See measurement.hpp. The control thread reads what a core has measured by having that core copy it, between
// two turns: the packet path needs no atomic for it.
#include "engine/measurement.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>

#include "engine/datagram_one_way_client.hpp"
#include "engine/datagram_request_client.hpp"
#include "engine/datagram_result.hpp"
#include "engine/hold_client.hpp"
#include "engine/idle_client.hpp"
#include "engine/seconds.hpp"
#include "engine/transaction_client.hpp"
#include "engine/transfer_client.hpp"
#include "engine/transfer_responders.hpp"

namespace runnel::load {

std::unique_ptr<Generator> make_client(Stack& stack, const ClientOptions& options) {
    if (options.recipe == Recipe::none) return std::make_unique<IdleClient>(options);
    if (options.recipe == Recipe::udp_rr) return std::make_unique<DatagramRequestClient>(stack, options);
    if (options.recipe == Recipe::udp_oneway) return std::make_unique<DatagramOneWayClient>(stack, options);
    // The plain loop of `rr` has a client of its own, which is the quicker one.
    const bool plain =
        !options.sizes.drawn() && options.sizes.think.is_zero() && !options.rate && !options.comes_and_goes;
    if (options.recipe == Recipe::http || (options.recipe == Recipe::rr && !plain))
        return std::make_unique<TransactionClient>(stack, options);
    if (transfers(options.recipe)) return std::make_unique<TransferClient>(stack, options);
    if (options.recipe == Recipe::hold) return std::make_unique<HoldClient>(stack, options);
    return std::make_unique<Client>(stack, options);
}

namespace {

std::unique_ptr<Attacker> make_attacker(const ClientOptions& options, port::Wire& wire, rte_mempool* mbufs) {
    if (options.attacks.empty()) return nullptr;
    Attacker::Options attacker{.attacks = options.attacks,
                               .clients = options.clients,
                               .servers = options.servers,
                               .seed = mixed(options.seed)};
    if (attacker.clients.empty())
        attacker.clients.push_back({options.first_local_address, options.local_addresses});
    if (attacker.servers.empty())
        attacker.servers.push_back({{options.remote_address, 1}, {options.remote_port, options.remote_port}});
    return std::make_unique<Attacker>(wire, mbufs, attacker);
}

}  // namespace

ClientSide::ClientSide(const StackConfig& config, const ClientOptions& options, port::Wire& wire,
                       rte_mempool* mbufs, const runtime::Clock& clock,
                       const port::TracedWire::Observer& trace)
    : stack(config, mbufs),
      client(make_client(stack, options)),
      traced(trace ? std::make_unique<port::TracedWire>(
                         wire, [clock] { return clock.now(); }, trace)
                   : nullptr),
      attacker(make_attacker(options, traced ? static_cast<port::Wire&>(*traced) : wire, mbufs)),
      under(attacker ? static_cast<port::Wire&>(*attacker)
            : traced ? static_cast<port::Wire&>(*traced)
                     : wire),
      stamped(under, clock, *client),
      measures(options.measures) {
    if (attacker) attacker->attach(stack, *client);
}

ServerSide::ServerSide(const StackConfig& config, std::uint16_t port, std::unique_ptr<Responder> answers,
                       rte_mempool* mbufs)
    : stack(config, mbufs), responder(std::move(answers)) {
    stack.listen({.port = port, .handler = responder.get()});
}

void ServerSide::serve_datagrams(std::uint16_t port, const DatagramResponder::Options& options,
                                 const ServerBehaviour& behaviour, std::uint64_t seed) {
    datagrams = std::make_unique<DatagramResponder>(stack, options);
    if (!behaviour.answers_at_once()) datagrams->behave(behaviour, seed);
    stack.udp().bind({}, port, *datagrams);
}

void ServerSide::attach(runtime::PollLoop& loop, port::Wire& wire) {
    if (datagrams) {
        stamped = std::make_unique<StampedWire>(wire, loop.clock(), *datagrams);
        loop.add(stack, *stamped);
        loop.add(*datagrams);
        return;
    }
    loop.add(stack, wire);
    if (responder->answers_late()) loop.add(*responder);
}

std::unique_ptr<Responder> make_responder(const ClientOptions& options, std::span<const std::byte> response,
                                          std::uint32_t slots) {
    const auto request_octets = static_cast<std::uint32_t>(options.request.size());
    switch (options.recipe) {
        case Recipe::rr:
            if (options.sizes.drawn()) return std::make_unique<SizedResponder>(options.block, slots);
            return std::make_unique<RequestResponder>(response, request_octets, slots);
        case Recipe::http:
            break;
        case Recipe::stream:
            return std::make_unique<StreamResponder>(StreamSource(options.block, options.copies),
                                                     options.direction);
        case Recipe::hold:
        case Recipe::rst:
        case Recipe::fin:
        case Recipe::crr:
        case Recipe::udp_rr:
        case Recipe::udp_oneway:
        case Recipe::none:
            break;
    }
    return std::make_unique<OneShotResponder>(response, request_octets, options.recipe == Recipe::hold);
}

namespace {

using Phase = Generator::Phase;

// What the control thread knows of all cores at a moment.
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

class Watch {
  public:
    explicit Watch(runtime::Runtime& runtime) : runtime_(runtime) {
        for (unsigned i = 0; i < runtime.core_count(); ++i) {
            auto& core = static_cast<TrafficCore&>(*runtime.instance(i));
            if (core.client) clients_.push_back({i, core.client.get()});
            if (core.server) servers_.push_back({i, core.server.get()});
            shared_.insert(shared_.end(), core.shared.begin(), core.shared.end());
        }
    }

    struct Running {
        unsigned core;
        ClientSide* side;
    };
    struct Serving {
        unsigned core;
        ServerSide* side;
    };
    [[nodiscard]] const std::vector<Running>& clients() const noexcept { return clients_; }

    [[nodiscard]] bool all_past(Phase phase) const noexcept {
        return std::ranges::all_of(clients_,
                                   [&](const Running& r) { return r.side->client->phase() >= phase; });
    }

    [[nodiscard]] Picture look() {
        Picture picture;
        for (const Running& running : clients_) {
            runtime_.call(running.core, [&] {
                Generator& client = *running.side->client;
                const Generator::Totals& totals = client.measurement().all;
                picture.totals.started += totals.started;
                picture.totals.established += totals.established;
                picture.totals.completed += totals.completed;
                picture.totals.octets_received += totals.octets_received;
                picture.totals.octets_sent += totals.octets_sent;
                picture.totals.transactions += totals.transactions;
                picture.totals.datagrams_sent += totals.datagrams_sent;
                picture.totals.datagrams_received += totals.datagrams_received;
                picture.outcomes += client.measurement().accounting;
                picture.open += client.open();
                picture.time_wait += running.side->stack.tcp().time_wait();
                picture.latency.merge(client.measurement().latency.actual);
                picture.client_looks.push_back({runtime_.clock().now(), totals.octets_received,
                                                totals.transactions, totals.octets_sent,
                                                totals.datagrams_received, totals.datagrams_sent});
                picture.clients += running.side->stack.counters();
            });
        }
        for (const Serving& serving : servers_) {
            runtime_.call(serving.core, [&] {
                Picture::Look look{.time = runtime_.clock().now(),
                                   .octets_received = serving.side->responder->totals().octets_in};
                if (const DatagramResponder* datagrams = serving.side->datagrams.get()) {
                    look.octets_received += datagrams->totals().octets_in;
                    look.datagrams_received = datagrams->totals().datagrams_in;
                }
                picture.server_looks.push_back(look);
                picture.servers += serving.side->stack.counters();
                picture.time_wait += serving.side->stack.tcp().time_wait();
            });
        }
        return picture;
    }
    void count(Picture& picture) const noexcept {
        for (const Running& running : clients_) picture.clients += running.side->stack.counters();
        for (const Serving& serving : servers_) picture.servers += serving.side->stack.counters();
        for (const runtime::SharedPort* port : shared_) picture.between_cores += port->counters();
    }
    struct Heard {
        bool started = false, established = false, refused = false;
    };
    /// Of the connections that were opened; where there are none, of no matter.
    [[nodiscard]] Heard heard() {
        Heard sum;
        for (const Running& running : clients_) {
            runtime_.call(running.core, [&] {
                const Generator::Measurement& m = running.side->client->measurement();
                sum.started |= m.all.started > 0;
                sum.established |= m.all.established > 0;
                sum.refused |= m.accounting.refused > 0;
            });
        }
        return sum;
    }
    /// What the servers have received and handed to TCP.
    void count(OctetAccounting& octets) const noexcept {
        for (const Serving& serving : servers_) {
            octets.server_received += serving.side->responder->totals().octets_in;
            octets.server_sent += serving.side->responder->totals().octets_out;
        }
    }
    /// Has each client do something between two polls, at the time of its core.
    template <class What>
    void tell(What&& what) {
        for (const Running& running : clients_)
            runtime_.call(running.core, [&] { what(*running.side->client, runtime_.clock().now()); });
    }
    [[nodiscard]] Sample sample(const Picture& picture) {
        Sample sample{.time = runtime_.clock().now(),
                      .totals = picture.totals,
                      .refused = picture.outcomes.refused,
                      .reset = picture.outcomes.reset,
                      .timed_out = picture.outcomes.timed_out,
                      .open = picture.open,
                      .time_wait = picture.time_wait,
                      .latency = picture.latency,
                      .clients = picture.clients,
                      .servers = picture.servers,
                      .between_cores = {},
                      .cores = {}};
        for (const runtime::SharedPort* port : shared_) sample.between_cores += port->counters();
        for (unsigned i = 0; i < runtime_.core_count(); ++i) {
            const runtime::CoreReport report = runtime_.report(i);
            sample.cores.push_back({report.values, report.longest_gap});
        }
        return sample;
    }
    [[nodiscard]] std::vector<runtime::LoopStatistics::Values> loops() {
        std::vector<runtime::LoopStatistics::Values> values;
        for (unsigned i = 0; i < runtime_.core_count(); ++i) values.push_back(runtime_.report(i).values);
        return values;
    }

  private:
    runtime::Runtime& runtime_;
    std::vector<Running> clients_;
    std::vector<Serving> servers_;
    std::vector<const runtime::SharedPort*> shared_;
};

// What a second brings between two looks, each core by its own clock.
double rate_between(const std::vector<Picture::Look>& before, const std::vector<Picture::Look>& after,
                    std::uint64_t Picture::Look::*what) {
    double rate = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        const double length = seconds(after[i].time - before[i].time);
        if (length > 0) rate += static_cast<double>(after[i].*what - before[i].*what) / length;
    }
    return rate;
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
    interval.time_wait = after.time_wait;
    interval.retransmissions = retransmissions(counted);
    interval.drops = counted.dropped();
    interval.tps = recipe == Recipe::crr
                       ? interval.cps
                       : rate_between(before.client_looks, after.client_looks, &Picture::Look::transactions);
    interval.goodput_bps =
        8 * rate_between(before.client_looks, after.client_looks, &Picture::Look::octets_received);
    // What another's server has received is not known: what TCP took is, a send buffer more at most.
    if (recipe == Recipe::stream || sends_datagrams(recipe))
        interval.goodput_bps +=
            8 *
            (after.server_looks.empty()
                 ? rate_between(before.client_looks, after.client_looks, &Picture::Look::octets_sent)
                 : rate_between(before.server_looks, after.server_looks, &Picture::Look::octets_received));
    const bool server_known = !after.server_looks.empty();
    interval.dps =
        rate_between(before.client_looks, after.client_looks, &Picture::Look::datagrams_received) +
        (server_known
             ? rate_between(before.server_looks, after.server_looks, &Picture::Look::datagrams_received)
             : rate_between(before.client_looks, after.client_looks, &Picture::Look::datagrams_sent));
    interval.handshake = Quantiles::of(after.latency.handshake.since(before.latency.handshake));
    interval.ttlb = Quantiles::of(after.latency.ttlb.since(before.latency.ttlb));
    interval.transaction = Quantiles::of(after.latency.transaction.since(before.latency.transaction));
    return interval;
}

void gather(const Watch& watch, Result& result) {
    double window_s = 0;
    for (const Watch::Running& running : watch.clients()) {
        const Generator::Measurement& m = running.side->client->measurement();
        result.connections += m.accounting;
        result.latency.merge(m.latency);
        result.lag.merge(m.lag);
        // Where they are kept the rate is that of the opening; in the rest of the window none is opened.
        const bool kept = result.keeps_connections();
        const double length = seconds(kept ? m.opening_length : m.window_length);
        const std::uint64_t done = kept ? m.accounting.established : m.window.completed;
        if (length > 0) result.cps += static_cast<double>(done) / length;
        if (m.transacting_length > 0s)  // of `hold`, which opens first
            result.tps += static_cast<double>(m.transactions.answered) / seconds(m.transacting_length);
        else if (m.window_length > 0s && result.recipe != Recipe::hold) {
            const double window = seconds(m.window_length);
            result.goodput_to_client_bps += 8 * static_cast<double>(m.window.octets_received) / window;
            result.tps += static_cast<double>(m.window.transactions) / window;
            result.dps_to_client += static_cast<double>(m.window.datagrams_received) / window;
            const DatagramDirection& way = m.datagrams.to_server;
            const double arrived = way.sent_known == 0 ? 1
                                                       : static_cast<double>(way.counts.unique) /
                                                             static_cast<double>(way.sent_known);
            if (result.server_cores == 0)
                result.dps_to_server += arrived * static_cast<double>(m.window.datagrams_sent) / window;
            if (result.server_cores == 0)
                result.goodput_to_server_bps += 8 * static_cast<double>(m.window.octets_sent) / window;
        }
        result.transactions += m.transactions;
        result.datagrams += m.datagrams;
        result.nobody_answered |= m.nobody_answered;
        result.http += m.http;
        if (const Attacker* attacker = running.side->attacker.get()) {
            const std::vector<AttackCounts>& counts = attacker->counts();
            if (result.attacks.empty()) {
                result.attacks = counts;
            } else {
                for (std::size_t i = 0; i < counts.size(); ++i) result.attacks[i] += counts[i];
            }
            if (!attacker->ready())
                result.notes.emplace_back("nobody told the link address of the target: no attack was sent");
        }
        result.closed_in_order += m.closed_in_order;
        if (m.closing_length > 0s)
            result.closing_cps += static_cast<double>(m.closed_in_order) / seconds(m.closing_length);
        result.octets.client_sent += m.all.octets_sent;
        result.octets.client_received += m.all.octets_received;
        window_s = std::max(window_s, seconds(m.window_length));
        if (m.local_errors > 0)
            result.notes.push_back(fmt::format("{} times a connection could not be begun: {}", m.local_errors,
                                               to_string(m.last_local_error)));
    }
    if (result.recipe == Recipe::crr) result.tps = result.cps;
    result.duration_s = window_s;
}

// Memory that the process has now: its pages, and its share of the machine's hugepages.
std::uint64_t resident_octets() {
    std::ifstream status{"/proc/self/status"};
    std::uint64_t kilobytes = 0;
    for (std::string line; std::getline(status, line);)
        for (const std::string_view name : {"VmRSS:", "HugetlbPages:"})
            if (line.starts_with(name)) kilobytes += std::strtoull(line.c_str() + name.size(), nullptr, 10);
    return kilobytes * 1024;
}

std::uint64_t most_resident_octets() {
    rusage usage{};
    return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<std::uint64_t>(usage.ru_maxrss) * 1024 : 0;
}

// What went over the wire between two looks at traffic that goes on.
void count_window(const Picture& before, const Picture& after, Result& result) {
    const auto frames = [](const runtime::Snapshot& s) {
        return std::pair{FrameCount{s.get(Counter::frames_out), s.get(Counter::bytes_out)},
                         FrameCount{s.get(Counter::frames_in), s.get(Counter::bytes_in)}};
    };
    std::tie(result.client_tx, result.client_rx) = frames(after.clients.since(before.clients));
    std::tie(result.server_tx, result.server_rx) = frames(after.servers.since(before.servers));
    for (std::size_t i = 0; i < before.client_looks.size(); ++i)
        result.counted_s =
            std::max(result.counted_s, seconds(after.client_looks[i].time - before.client_looks[i].time));
    result.transactions_counted = after.totals.transactions - before.totals.transactions;
    if ((result.recipe == Recipe::stream || sends_datagrams(result.recipe)) && result.server_cores > 0)
        result.goodput_to_server_bps =
            8 * rate_between(before.server_looks, after.server_looks, &Picture::Look::octets_received);
    if (sends_datagrams(result.recipe) && result.server_cores > 0)
        result.dps_to_server =
            rate_between(before.server_looks, after.server_looks, &Picture::Look::datagrams_received);
}

}  // namespace

namespace {

// Passes on what the run is told, and keeps what was told when.
class Orders {
  public:
    Orders(Control& control, Watch& watch, const runtime::Clock& clock, Result& result)
        : control_(control), watch_(watch), clock_(clock), result_(result) {
        const auto any = [&](auto&& can) {
            return std::ranges::any_of(
                watch.clients(), [&](const Watch::Running& running) { return can(*running.side->client); });
        };
        control.begin(any([](const Generator& client) { return client.has_rate(); }),
                      any([](const Generator& client) { return client.can_pause(); }),
                      result.asked_cps   ? result.asked_cps
                      : result.asked_tps ? result.asked_tps
                                         : result.asked_dps);
    }
    ~Orders() { control_.end(); }
    Orders(const Orders&) = delete;
    Orders& operator=(const Orders&) = delete;

    void carry_out() {
        for (const Order& order : control_.take()) {
            told_.emplace_back(clock_.now(), order);
            switch (order.kind) {
                case Order::Kind::rate: {
                    std::optional<double> share = order.rate;
                    if (share) *share /= static_cast<double>(watch_.clients().size());
                    watch_.tell([&](Generator& client, Instant now) { client.change_rate(share, now); });
                    break;
                }
                case Order::Kind::pause:
                    watch_.tell([](Generator& client, Instant now) { client.pause(now); });
                    break;
                case Order::Kind::resume:
                    watch_.tell([](Generator& client, Instant now) { client.resume(now); });
                    break;
                case Order::Kind::stop:
                    watch_.tell([&](Generator& client, Instant) { client.stop(*order.ending); });
                    result_.cut_off = *order.ending != Ending::drain;
                    break;
            }
        }
    }
    [[nodiscard]] std::vector<Event> events(Instant begin) const {
        std::vector<Event> events;
        for (const auto& [at, order] : told_) events.push_back({seconds(at - begin), order});
        return events;
    }

  private:
    Control& control_;
    Watch& watch_;
    runtime::Clock clock_;
    Result& result_;
    std::vector<std::pair<Instant, Order>> told_;
};

std::string_view to_string(Phase phase) {
    switch (phase) {
        case Phase::waiting:
        case Phase::ramp:
            return "ramp";
        case Phase::measured:
            return "measured";
        case Phase::draining:
            return "draining";
        case Phase::held:
            return "held";
        case Phase::closing:
            return "closing";
        case Phase::finished:
            return "ended";
    }
    return "?";
}

// Hangs an observation up each second, in whatever phase.
class Observing {
  public:
    Observing(const Followers& followers, const Control& control, Watch& watch, Instant start)
        : followers_(followers), control_(control), watch_(watch), start_(start) {
        last_.time = start;
    }
    [[nodiscard]] bool due(Instant now) const noexcept {
        return followers_.board != nullptr && now - last_.time >= 1s;
    }
    void publish(const Picture& picture, std::vector<Event> events) {
        if (followers_.board == nullptr) return;
        Sample sample = watch_.sample(picture);
        auto seen = std::make_shared<Observation>(observe(followers_.facts, last_, sample));
        Phase phase = Phase::finished;
        for (const Watch::Running& running : watch_.clients())
            phase = std::min(phase, running.side->client->phase());
        seen->phase = to_string(phase);
        seen->t_s = seconds(sample.time - start_);
        seen->state = control_.state();
        seen->events = std::move(events);
        last_ = std::move(sample);
        followers_.board->publish(std::move(seen));
    }

  private:
    const Followers& followers_;
    const Control& control_;
    Watch& watch_;
    Instant start_;
    Sample last_;
};

}  // namespace

void measure(runtime::Runtime& runtime, const runtime::Factory& factory, const Progress& progress,
             const Interrupted& interrupted, Result& result, const Followers& followers) {
    constexpr auto glance = std::chrono::milliseconds(5);
    result.memory.before = resident_octets();
    runtime.start(factory);
    Watch watch(runtime);
    const runtime::Clock& clock = runtime.clock();

    Control own;
    Control& control = followers.control != nullptr ? *followers.control : own;
    Orders orders(control, watch, clock, result);
    Instant begin = clock.now();
    Observing observing(followers, control, watch, begin);
    bool in_window = false;  // its intervals are observed
    const auto heed = [&] {
        if (interrupted && interrupted()) control.ask({.kind = Order::Kind::stop, .by = "signal"});
        orders.carry_out();
        if (!in_window && observing.due(clock.now())) observing.publish(watch.look(), orders.events(begin));
    };
    // Where nobody answers there is nothing to wait for. (Clients of datagrams see that themselves.)
    bool heard = result.give_up == 0s || sends_datagrams(result.recipe) || result.recipe == Recipe::none;
    std::optional<Instant> first_started;
    Instant next_look = clock.now();
    const auto give_up_if_silent = [&] {
        const Instant now = clock.now();
        if (heard || now < next_look) return;
        next_look = now + 100ms;
        const Watch::Heard so_far = watch.heard();
        heard = so_far.established;
        if (heard || !so_far.started) return;
        if (!first_started) first_started = now;
        // A refusal is an answer: no better one is to be expected.
        if (now - *first_started < (so_far.refused ? std::min(result.give_up, Duration{1s}) : result.give_up))
            return;
        for (const Watch::Running& running : watch.clients()) running.side->client->abandon();
        heard = true;
        result.nobody_answered = true;
    };
    const auto wait_past = [&](Phase phase) {
        while (!watch.all_past(phase)) {
            std::this_thread::sleep_for(glance);
            heed();
            give_up_if_silent();
        }
    };
    wait_past(Phase::measured);
    begin = clock.now();
    const auto loops_before = watch.loops();
    const Picture first = watch.look();
    Picture last = first;
    Instant last_time = begin;
    const auto end_interval = [&] {
        Picture now = watch.look();
        const Instant time = clock.now();
        result.intervals.push_back(
            interval_between(last, now, seconds(time - last_time), seconds(time - begin), result.recipe));
        observing.publish(now, orders.events(begin));
        last = std::move(now);
        last_time = time;
        if (progress) progress(result.intervals.back());
    };
    in_window = true;
    while (!watch.all_past(Phase::draining)) {
        std::this_thread::sleep_for(glance);
        if (clock.now() - last_time >= 1s && !result.unmeasured && !watch.all_past(Phase::draining))
            end_interval();
        heed();
        give_up_if_silent();
    }
    if (clock.now() - last_time >= 100ms && !result.unmeasured) end_interval();
    in_window = false;
    const auto loops_after = watch.loops();

    // What is kept is counted before it is closed again: the recipes have no packets for that.
    Picture counted;
    const bool kept = result.keeps_connections();
    if (kept) {
        wait_past(Phase::held);
        result.memory.held = resident_octets();
        if (result.recipe == Recipe::hold) {
            std::this_thread::sleep_for(4 * glance);  // the last frames reach the server
            watch.count(counted);
        } else {
            count_window(first, watch.look(), result);
        }
        for (const Watch::Running& running : watch.clients()) running.side->client->release();
    }
    wait_past(Phase::finished);
    std::this_thread::sleep_for(4 * glance);
    Picture at_end;
    watch.count(at_end);
    if (!kept) counted = at_end;
    result.events = orders.events(begin);
    runtime.stop();

    gather(watch, result);
    result.memory.most = most_resident_octets();
    for (const Watch::Running& running : watch.clients()) {
        const Generator::Totals& all = running.side->client->measurement().all;
        result.connections_counted += result.recipe == Recipe::hold ? all.established : all.started;
    }
    if (!result.transfers()) {
        const auto frames = [](const runtime::Snapshot& s, Counter frame_counter, Counter octet_counter) {
            return FrameCount{s.get(frame_counter), s.get(octet_counter)};
        };
        result.client_tx = frames(counted.clients, Counter::frames_out, Counter::bytes_out);
        result.client_rx = frames(counted.clients, Counter::frames_in, Counter::bytes_in);
        result.server_tx = frames(counted.servers, Counter::frames_out, Counter::bytes_out);
        result.server_rx = frames(counted.servers, Counter::frames_in, Counter::bytes_in);
    }
    watch.count(result.octets);
    if (const std::uint64_t failures = result.http.failures(); failures > 0)
        result.notes.push_back(fmt::format("{} responses had a status of 400 or above", failures));
    result.goodput_bps = result.goodput_to_client_bps + result.goodput_to_server_bps;
    result.counters = at_end.all();
    for (std::size_t i = 0; i < loops_after.size(); ++i) {
        const auto values = loops_after[i].since(loops_before[i]);
        result.busy_percent.push_back(100 * values.busy_share());
        result.tx_full += values.transmit_full;
    }
    result.judgement = judge(result);
    // Of a target that is not ours it is said in words why none was established.
    const Accounting& all = result.connections;
    const bool none_established = !result.target.empty() && !sends_datagrams(result.recipe) &&
                                  all.established == 0 && all.attempted > all.unsent;
    if (result.nobody_answered || none_established) result.judgement = judge_unanswered(result);
    if (result.recipe == Recipe::none) result.judgement = {Verdict::valid, "the attacks were sent as asked"};
    if (result.judgement.verdict == Verdict::valid)
        if (const auto attacks = judge_attacks(result.attacks)) result.judgement = *attacks;
}

}  // namespace runnel::load
