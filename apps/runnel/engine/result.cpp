// See result.hpp.
#include "engine/result.hpp"

#include <algorithm>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <sys/utsname.h>

#include "runnel/runtime/eal.hpp"

#include "engine/datagram_result.hpp"
#include "quantity.hpp"

namespace runnel::load {

using app::human_count;

std::string human_time(std::uint64_t nanoseconds) {
    const auto value = static_cast<double>(nanoseconds);
    if (nanoseconds < 1'000) return fmt::format("{} ns", nanoseconds);
    if (nanoseconds < 1'000'000) return fmt::format("{:.1f} us", value / 1e3);
    if (nanoseconds < 1'000'000'000) return fmt::format("{:.1f} ms", value / 1e6);
    return fmt::format("{:.2f} s", value / 1e9);
}

Host this_host() {
    Host host;
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line);) {
        if (!line.starts_with("model name")) continue;
        const std::size_t colon = line.find(": ");
        if (colon != std::string::npos) host.cpu = line.substr(colon + 2);
        break;
    }
    host.cores = std::max(1U, std::thread::hardware_concurrency());
    utsname name{};
    if (uname(&name) == 0) host.kernel = fmt::format("{} {}", name.sysname, name.release);
    host.dpdk = runtime::dpdk_version();
    return host;
}

double Result::packets_per_connection() const noexcept {
    if (transfers()) return 0;  // the frames counted are those of the window
    const std::uint64_t frames = client_tx.frames + client_rx.frames;
    return connections_counted == 0 ? 0
                                    : static_cast<double>(frames) / static_cast<double>(connections_counted);
}

double Result::bytes_per_connection() const noexcept {
    if (transfers()) return 0;
    const std::uint64_t bytes = client_tx.octets + client_rx.octets;
    return connections_counted == 0 ? 0
                                    : static_cast<double>(bytes) / static_cast<double>(connections_counted);
}

double Result::octets_per_kept_connection() const noexcept {
    constexpr std::uint64_t enough = 100'000;
    if (!keeps_connections() || connections.established < enough || memory.held <= memory.before) return 0;
    const double sides = server_cores == 0 ? 1 : 2;
    return static_cast<double>(memory.held - memory.before) /
           (sides * static_cast<double>(connections.established));
}

double Result::packets_per_transaction() const noexcept {
    const std::uint64_t frames = client_tx.frames + client_rx.frames;
    return transactions_counted == 0
               ? 0
               : static_cast<double>(frames) / static_cast<double>(transactions_counted);
}

double Result::bytes_per_transaction() const noexcept {
    const std::uint64_t bytes = client_tx.octets + client_rx.octets;
    return transactions_counted == 0 ? 0
                                     : static_cast<double>(bytes) / static_cast<double>(transactions_counted);
}

double Result::percent_of(double link_bps) const noexcept {
    if (transfers()) return percent_of_line_rate(client_tx, client_rx, counted_s, link_bps);
    if (cps <= 0) return 0;
    // The frames of all connections counted, at the rate of the window.
    return percent_of_line_rate(client_tx, client_rx, static_cast<double>(connections_counted) / cps,
                                link_bps);
}

std::uint64_t retransmissions(const runtime::Snapshot& counters) noexcept {
    return counters.get(Counter::tcp_syn_retransmits) + counters.get(Counter::tcp_synack_retransmits) +
           counters.get(Counter::tcp_data_retransmits) + counters.get(Counter::tcp_fin_retransmits);
}

std::uint64_t Result::most_in_time_wait() const noexcept {
    std::uint64_t most = 0;
    for (const Interval& interval : intervals) most = std::max(most, interval.time_wait);
    return most;
}

std::string to_text(const Result& r) {
    const Accounting& c = r.connections;
    std::string out;
    const auto line = [&](std::string_view name, const std::string& text) {
        out += fmt::format("  {:<17} {}\n", name, text);
    };
    double attacks = 0;
    for (const AttackCounts& attack : r.attacks) attacks += static_cast<double>(attack.sent);
    const std::string headline =
        r.recipe == Recipe::none
            ? human_count(r.duration_s > 0 ? attacks / r.duration_s : 0) + " frames/s of attackers"
        : transacts(r.recipe) && !r.comes_and_goes ? human_count(r.tps) + " transactions/s"
        : r.recipe == Recipe::stream               ? human_count(r.goodput_bps) + "bit/s"
        : r.recipe == Recipe::udp_oneway ? human_count(r.dps_to_server + r.dps_to_client) + " datagrams/s"
                                         : human_count(r.cps) + " connections/s";
    out += fmt::format("\n{}   recipe {}, wire {}\n\n", headline, to_string(r.recipe), r.wire);
    line("cores", r.server_cores == 0 ? fmt::format("{} client", r.client_cores)
                                      : fmt::format("{} client, {} server", r.client_cores, r.server_cores));
    line("window", fmt::format("{:.2f} s", r.duration_s));
    if (!sends_datagrams(r.recipe)) {
        line("connections", fmt::format("{} attempted, {} established, {} completed", c.attempted,
                                        c.established, c.completed));
        line("", fmt::format("{} unsent, {} failed ({} refused, {} reset, {} timed out), {} in flight",
                             c.unsent, c.failed(), c.refused, c.reset, c.timed_out, c.in_flight));
        line("residual", fmt::format("{}", c.residual()));
    }
    if (sends_datagrams(r.recipe)) {
        const TransactionAccounting& t = r.transactions;
        if (r.recipe == Recipe::udp_rr)
            line("requests", fmt::format("{} asked, {} answered, {} lost, {} in flight, residual {}", t.asked,
                                         t.answered, t.lost, t.in_flight, t.residual()));
        describe_datagrams(r, line);
        line("packets",
             fmt::format("{} sent and {} received by the client, counted at the port in the window",
                         r.client_tx.frames, r.client_rx.frames));
    } else if (transacts(r.recipe) && r.transfers()) {
        const TransactionAccounting& t = r.transactions;
        if (t.planned > 0)
            line("schedule", fmt::format("{} transactions planned, {} unsent", t.planned, t.unsent));
        line("transactions", fmt::format("{} asked, {} answered, {} lost, {} in flight, residual {}", t.asked,
                                         t.answered, t.lost, t.in_flight, t.residual()));
        line("packets", fmt::format("{:.3f} a transaction, {:.1f} bytes, counted at the port in the window",
                                    r.packets_per_transaction(), r.bytes_per_transaction()));
    } else if (r.recipe == Recipe::stream) {
        const OctetAccounting& o = r.octets;
        line("octets",
             r.server_cores == 0
                 ? fmt::format("{} handed to TCP, {} received", o.client_sent, o.client_received)
                 : fmt::format("{} to the server, {} to the client, residual {} and {}", o.server_received,
                               o.client_received, o.residual_to_server(), o.residual_to_client()));
        line("packets",
             fmt::format("{} sent and {} received by the client, counted at the port in the window",
                         r.client_tx.frames, r.client_rx.frames));
    } else {
        if (const TransactionAccounting& t = r.transactions; t.asked > 0)
            line("transactions",
                 fmt::format("{} asked, {} answered, {} lost, {} in flight, residual {}; {}/s", t.asked,
                             t.answered, t.lost, t.in_flight, t.residual(), human_count(r.tps)));
        if (r.recipe == Recipe::hold)
            line("closed", fmt::format("{} in order, {}/s", r.closed_in_order, human_count(r.closing_cps)));
        line("packets", fmt::format("{:.3f} a connection, {:.1f} bytes, counted at the port",
                                    r.packets_per_connection(), r.bytes_per_connection()));
    }
    line("line rate", fmt::format("{:.1f} % of 10G, {:.1f} % of 25G, {:.1f} % of 100G", r.percent_of(10e9),
                                  r.percent_of(25e9), r.percent_of(100e9)));
    const auto latency = [&](std::string_view name, Histogram LatencyHistograms::*which) {
        const Histogram& h = r.latency.intended.*which;
        if (h.count() == 0) return;
        line(name,
             fmt::format("p50 {}  p99 {}  p99.9 {}  max {}", human_time(h.percentile(50)),
                         human_time(h.percentile(99)), human_time(h.percentile(99.9)), human_time(h.max())));
    };
    latency("handshake", &LatencyHistograms::handshake);
    latency("first byte", &LatencyHistograms::ttfb);
    latency("last byte", &LatencyHistograms::ttlb);
    latency("end", &LatencyHistograms::close);
    latency("transaction", &LatencyHistograms::transaction);
    for (const AttackCounts& attack : r.attacks)
        line("attack",
             fmt::format(
                 "{} at {}/s: {} planned, {} sent, {} unsent{}, residual {}", to_string(attack.kind),
                 human_count(attack.rate), attack.planned, attack.sent, attack.unsent,
                 attack.kind == AttackKind::half_open ? fmt::format(", {} answered", attack.answered) : "",
                 attack.residual()));
    if (r.recipe == Recipe::http) {
        std::string statuses;
        for (std::size_t i = 0; i < r.http.statuses.size(); ++i)
            if (r.http.statuses[i] > 0)
                statuses += fmt::format("{}{} {}", statuses.empty() ? "" : ", ", r.http.statuses[i],
                                        i == 0 ? std::string{"above 599"} : fmt::format("with {}", i));
        line("responses", statuses.empty() ? "none" : statuses);
        for (const std::string& words : r.http.errors_in_words()) line("not HTTP", words);
    }
    if (r.goodput_bps > 0) line("goodput", fmt::format("{}bit/s", human_count(r.goodput_bps)));
    if (const double octets = r.octets_per_kept_connection(); octets > 0)
        line("memory",
             fmt::format("{} resident while all were held, {:.1f} octets a connection a side; {} at most",
                         app::human_octets(r.memory.held), octets, app::human_octets(r.memory.most)));
    if (const std::uint64_t entered = r.counters.get(Counter::tcp_time_wait_entered); entered > 0) {
        line("TIME-WAIT",
             fmt::format("{} entered, {} at once, {} recycled before their time, {} reopened", entered,
                         r.most_in_time_wait(), r.counters.get(Counter::tcp_time_wait_recycled),
                         r.counters.get(Counter::tcp_time_wait_reopened)));
    }
    for (const Event& event : r.events)
        line("told", fmt::format("at {:.1f} s by {}: {}", event.t_s, event.order.by, to_string(event.order)));
    if (!sends_datagrams(r.recipe)) line("retransmissions", fmt::format("{}", retransmissions(r.counters)));
    if (const auto drops = nonzero_drops(r.counters); drops.empty()) {
        line("drops", "none");
    } else {
        for (const runtime::NamedCount& drop : drops)
            line("drops", fmt::format("{} {}: {}", drop.count, drop.name, drop.sentence));
    }
    std::string busy;
    for (const double percent : r.busy_percent)
        busy += fmt::format("{}{:.0f} %", busy.empty() ? "" : ", ", percent);
    line("busy", fmt::format("{} by lcore", busy));
    if (r.lag.count() > 0)
        line("schedule lag", fmt::format("p50 {}  p99 {}  max {}", human_time(r.lag.percentile(50)),
                                         human_time(r.lag.percentile(99)), human_time(r.lag.max())));
    line("host", fmt::format("{}, {} cores, {}, {}, {}", r.host.cpu, r.host.cores, r.host.kernel, r.host.dpdk,
                             r.host.hugepages ? "hugepages" : "no hugepages"));
    for (const std::string& note : r.notes) line("note", note);
    out += fmt::format("\n{}: {}\n", to_string(r.judgement.verdict), r.judgement.reason);
    return out;
}

}  // namespace runnel::load
