// See watch.hpp.
#include "engine/watch.hpp"

#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "engine/attacker.hpp"
#include "engine/datagram_result.hpp"
#include "engine/seconds.hpp"

namespace runnel::load {

Watch::Watch(runtime::Runtime& runtime) : runtime_(runtime) {
    for (unsigned i = 0; i < runtime.core_count(); ++i) {
        auto& core = static_cast<TrafficCore&>(*runtime.instance(i));
        if (core.client) clients_.push_back({i, core.client.get()});
        if (core.server) servers_.push_back({i, core.server.get()});
        shared_.insert(shared_.end(), core.shared.begin(), core.shared.end());
    }
}

Picture Watch::look() {
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

void Watch::count(Picture& picture) const noexcept {
    for (const Running& running : clients_) picture.clients += running.side->stack.counters();
    for (const Serving& serving : servers_) picture.servers += serving.side->stack.counters();
    for (const runtime::SharedPort* port : shared_) picture.between_cores += port->counters();
}

Watch::Heard Watch::heard() {
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

void Watch::count(OctetAccounting& octets) const noexcept {
    for (const Serving& serving : servers_) {
        octets.server_received += serving.side->responder->totals().octets_in;
        octets.server_sent += serving.side->responder->totals().octets_out;
    }
}

Sample Watch::sample(const Picture& picture) {
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

std::vector<runtime::LoopStatistics::Values> Watch::loops() {
    std::vector<runtime::LoopStatistics::Values> values;
    for (unsigned i = 0; i < runtime_.core_count(); ++i) values.push_back(runtime_.report(i).values);
    return values;
}

namespace {

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

}  // namespace

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

}  // namespace runnel::load
