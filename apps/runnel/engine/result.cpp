// See result.hpp.
#include "engine/result.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <sys/utsname.h>

#include "runnel/runtime/eal.hpp"

#include "engine/datagram_result.hpp"
#include "quantity.hpp"

namespace runnel::load {
namespace {

using Json = nlohmann::ordered_json;
using app::human_count;

// Three decimals are what a nanosecond is in microseconds; more would be noise of the conversion.
double rounded(double value) {
    return std::round(value * 1000) / 1000;
}

double microseconds(std::uint64_t nanoseconds) {
    return rounded(static_cast<double>(nanoseconds) / 1000);
}

// The percentiles at which a distribution is drawn: each tenfold nearer to 100 has eight, up to the one value
// in `count` that is the greatest.
std::vector<double> drawn_percentiles(std::uint64_t count) {
    std::vector<double> percentiles{0};
    if (count == 0) return percentiles;
    const int last = static_cast<int>(std::ceil(8 * std::log10(static_cast<double>(count))));
    for (int i = 1; i <= last; ++i) percentiles.push_back(100 - 100 / std::pow(10, i / 8.0));
    percentiles.push_back(100);
    return percentiles;
}

// [percentile, microseconds] at which the latency changes.
Json distribution(const Histogram& h) {
    Json points = Json::array();
    if (h.count() == 0) return points;
    std::optional<std::uint64_t> last;
    for (const double percent : drawn_percentiles(h.count())) {
        const std::uint64_t value = h.percentile(percent);
        if (last == value && percent < 100) continue;
        last = value;
        points.push_back({std::round(percent * 1e7) / 1e7, microseconds(value)});
    }
    return points;
}

Json to_json(const Quantiles& q) {
    return {{"count", q.count},           {"p50", microseconds(q.p50)},   {"p90", microseconds(q.p90)},
            {"p99", microseconds(q.p99)}, {"p999", microseconds(q.p999)}, {"max", microseconds(q.max)}};
}

Json to_json(const Histogram& h) {
    return {{"count", h.count()},
            {"min", microseconds(h.min())},
            {"p50", microseconds(h.percentile(50))},
            {"p90", microseconds(h.percentile(90))},
            {"p99", microseconds(h.percentile(99))},
            {"p999", microseconds(h.percentile(99.9))},
            {"p9999", microseconds(h.percentile(99.99))},
            {"max", microseconds(h.max())},
            {"mean", rounded(h.mean() / 1000)},
            {"distribution", distribution(h)}};
}

Json to_json(const Latency& latency, Histogram LatencyHistograms::*which) {
    return {{"intended", to_json(latency.intended.*which)}, {"actual", to_json(latency.actual.*which)}};
}

// At the end of any second.
std::uint64_t most_in_time_wait(const Result& r) {
    std::uint64_t most = 0;
    for (const Interval& interval : r.intervals) most = std::max(most, interval.time_wait);
    return most;
}

}  // namespace

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

std::string_view to_string(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::valid:
            return "valid";
        case Verdict::generator_limited:
            return "generator-limited";
        case Verdict::failed:
            return "failed";
    }
    return "?";
}

ExitStatus Judgement::exit_status() const noexcept {
    switch (verdict) {
        case Verdict::valid:
            return ExitStatus::good;
        case Verdict::generator_limited:
            return ExitStatus::generator_limited;
        case Verdict::failed:
            return ExitStatus::goal_missed;
    }
    return ExitStatus::goal_missed;
}

Judgement judge(const Accounting& c, std::optional<double> asked_cps, bool failures_bounded, bool cut_off) {
    if (c.residual() != 0)
        return {Verdict::failed, fmt::format("the accounting does not close: residual {}", c.residual())};
    if (c.failed() > 0 && !failures_bounded)
        return {Verdict::failed,
                fmt::format("{} of {} connections failed: {} refused, {} reset, {} timed out", c.failed(),
                            c.attempted, c.refused, c.reset, c.timed_out)};
    if (c.attempted > 0 && c.established == 0)
        return {
            Verdict::failed,
            fmt::format("none of {} connections was established: the target did not answer", c.attempted)};
    if (c.in_flight > 0 && !cut_off)
        return {Verdict::failed, fmt::format("{} connections had not ended when the run ended", c.in_flight)};
    if (c.unsent * 1000 > c.attempted && (c.unsent - c.unsent_full) * 1000 <= c.attempted)
        return {Verdict::failed,
                fmt::format(
                    "{} of {} connections were not sent: as many as --window allows were open all the while; "
                    "the target is the limit",
                    c.unsent, c.attempted)};
    if (c.unsent * 1000 > c.attempted)
        return {Verdict::generator_limited,
                fmt::format("{} of {} connections were not sent: more was asked for than could be offered",
                            c.unsent, c.attempted)};
    if (cut_off && c.in_flight > 0)
        return {Verdict::valid,
                fmt::format("it was told to end at once: {} connections were cut off, and none failed "
                            "before",
                            c.in_flight)};
    if (c.completed == 0) return {Verdict::failed, "no connection was completed"};
    if (c.failed() > 0)
        return {Verdict::valid, fmt::format("{} of {} connections failed, of which a goal says how many may",
                                            c.failed(), c.attempted)};
    return {Verdict::valid, asked_cps ? "the rate asked for was offered, and no connection failed"
                                      : "offered as fast as connections end, and none failed"};
}

namespace {

Judgement failed(std::string reason) {
    return {Verdict::failed, std::move(reason)};
}

// What transactions have failed of, or were not offered for; nothing where all were, and are answered.
std::optional<Judgement> judge_transactions(const TransactionAccounting& t, bool cut_off) {
    if (t.residual() != 0)
        return failed(
            fmt::format("the accounting of transactions does not close: residual {}", t.residual()));
    const std::uint64_t unanswered = t.lost + (cut_off ? 0 : t.in_flight);
    if (unanswered > 0)
        return failed(fmt::format("{} of {} transactions had no answer", unanswered, t.asked));
    if (t.unsent * 1000 > t.planned && (t.unsent - t.unsent_full) * 1000 > t.planned)
        return Judgement{
            Verdict::generator_limited,
            fmt::format("{} of {} transactions were not sent: more was asked for than could be offered",
                        t.unsent, t.planned)};
    if (t.unsent * 1000 > t.planned)
        return failed(fmt::format(
            "{} of {} transactions were not sent within --max-lag, or by the end: every connection "
            "waited for an answer; the target is the limit, or --connections are too few",
            t.unsent, t.planned));
    return std::nullopt;
}

}  // namespace

Judgement judge(const Result& r) {
    if (sends_datagrams(r.recipe)) return judge_datagrams(r);
    if (r.transfers()) return judge_transfer(r);
    if (transacts(r.recipe)) return judge_transactions(r);
    if (r.recipe == Recipe::hold) return judge_hold(r);
    return judge(r.connections, r.asked_cps, r.failures_bounded, r.cut_off);
}

Judgement judge_hold(const Result& r) {
    const Judgement connections = judge(r.connections, r.asked_cps, r.failures_bounded, r.cut_off);
    if (connections.verdict == Verdict::failed) return connections;
    if (const auto transactions = judge_transactions(r.transactions, r.cut_off)) return *transactions;
    if (!r.cut_off && r.closed_in_order != r.connections.completed)
        return failed(fmt::format("{} of {} connections that were kept did not close in order",
                                  r.connections.completed - r.closed_in_order, r.connections.completed));
    return connections;
}

std::optional<Judgement> judge_attacks(const std::vector<AttackCounts>& attacks) {
    for (const AttackCounts& attack : attacks) {
        if (attack.residual() != 0)
            return failed(fmt::format("the accounting of {} does not close: residual {}",
                                      to_string(attack.kind), attack.residual()));
        if (attack.unsent * 1000 > attack.planned)
            return Judgement{Verdict::generator_limited,
                             fmt::format("{} of {} frames of {} were not sent", attack.unsent, attack.planned,
                                         to_string(attack.kind))};
    }
    return std::nullopt;
}

Judgement judge_transactions(const Result& r) {
    const Judgement connections = judge(r.connections, r.asked_cps, r.failures_bounded, r.cut_off);
    if (connections.verdict != Verdict::valid) return connections;
    if (const auto transactions = judge_transactions(r.transactions, r.cut_off)) return *transactions;
    return connections;
}

Judgement judge_transfer(const Result& r) {
    const Judgement connections = judge(r.connections, std::nullopt, r.failures_bounded, r.cut_off);
    if (connections.verdict == Verdict::failed) return connections;
    if (r.connections.unsent > 0)
        return failed(fmt::format("{} of {} connections were not opened", r.connections.unsent,
                                  r.connections.attempted));
    if (transacts(r.recipe)) {
        if (const auto transactions = judge_transactions(r.transactions, r.cut_off)) return *transactions;
        if (r.tps <= 0) return failed("no transaction was answered in the window");
        if (r.asked_tps)
            return {Verdict::valid, "the rate of transactions asked for was offered, and none failed"};
        return {Verdict::valid, "a transaction in flight on each connection all the while, and none failed"};
    }
    const OctetAccounting& o = r.octets;
    // The server's part is known where the server is ours.
    if (r.server_cores > 0 && !r.cut_off && (o.residual_to_server() != 0 || o.residual_to_client() != 0))
        return failed(
            fmt::format("the accounting of octets does not close: {} to the server and {} to the "
                        "client are missing",
                        o.residual_to_server(), o.residual_to_client()));
    if (r.goodput_bps <= 0) return failed("nothing was received in the window");
    return {Verdict::valid, "more to send all the while, and what was sent has arrived"};
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

namespace {

Json events_to_json(const std::vector<Event>& events) {
    Json list = Json::array();
    for (const Event& event : events) {
        Json one = {
            {"t_s", rounded(event.t_s)}, {"what", to_string(event.order.kind)}, {"by", event.order.by}};
        if (event.order.kind == Order::Kind::rate)
            one["rate"] = event.order.rate ? Json(*event.order.rate) : Json("max");
        if (event.order.ending) one["ending"] = to_string(*event.order.ending);
        list.push_back(std::move(one));
    }
    return list;
}

}  // namespace

nlohmann::ordered_json to_json(const Result& r) {
    const Accounting& c = r.connections;
    const double cores = std::max(1U, r.client_cores);
    Json drops = Json::object();
    for (const runtime::NamedCount& drop : nonzero_drops(r.counters))
        drops[std::string{drop.name}] = drop.count;
    Json intervals = Json::array();
    for (const Interval& i : r.intervals) {
        intervals.push_back({{"t_s", rounded(i.t_s)},
                             {"cps", rounded(i.cps)},
                             {"tps", rounded(i.tps)},
                             {"goodput_bps", rounded(i.goodput_bps)},
                             {"dps", rounded(i.dps)},
                             {"established", i.established},
                             {"in_flight", i.in_flight},
                             {"retransmissions", i.retransmissions},
                             {"drops", i.drops},
                             {"handshake_p99_us", microseconds(i.handshake.p99)},
                             {"time_wait", i.time_wait}});
        const auto latency = [&](const char* name, const Quantiles& quantiles) {
            if (quantiles.count > 0) intervals.back()[name] = to_json(quantiles);
        };
        latency("handshake_us", i.handshake);
        latency("ttlb_us", i.ttlb);
        latency("transaction_us", i.transaction);
    }
    Json busy = Json::array();
    for (const double percent : r.busy_percent) busy.push_back(rounded(percent));
    Json document = {
        {"schema", "runnel.result/1"},
        {"command", r.command},
        {"version", RUNNEL_VERSION},
        {"started", r.started},
        {"host",
         {{"cpu", r.host.cpu},
          {"cores", r.host.cores},
          {"kernel", r.host.kernel},
          {"dpdk", r.host.dpdk},
          {"hugepages", r.host.hugepages}}},
        {"config", r.config},
        {"seed", r.seed ? Json(*r.seed) : Json(nullptr)},
        {"recipe", to_string(r.recipe)},
        {"wire", r.wire},
        {"client_cores", r.client_cores},
        {"server_cores", r.server_cores},
        {"duration_s", rounded(r.duration_s)},
        {"connections",
         {{"attempted", c.attempted},
          {"unsent", c.unsent},
          {"unsent_full", c.unsent_full},
          {"established", c.established},
          {"completed", c.completed},
          {"refused", c.refused},
          {"reset", c.reset},
          {"timed_out", c.timed_out},
          {"in_flight", c.in_flight},
          {"failed", c.failed()},
          {"residual", c.residual()}}},
        {"rate",
         {{"offered_cps", r.duration_s > 0 ? rounded(static_cast<double>(c.attempted) / r.duration_s) : 0.0},
          {"cps", rounded(r.cps)},
          {"cps_per_core", rounded(r.cps / cores)},
          {"tps", rounded(r.tps)},
          {"goodput_bps", rounded(r.goodput_bps)},
          {"percent_of_line_rate",
           {{"10G", rounded(r.percent_of(10e9))},
            {"25G", rounded(r.percent_of(25e9))},
            {"100G", rounded(r.percent_of(100e9))}}}}},
        {"packets",
         {{"client_tx", r.client_tx.frames},
          {"client_rx", r.client_rx.frames},
          {"server_tx", r.server_tx.frames},
          {"server_rx", r.server_rx.frames},
          {"connections", r.connections_counted},
          {"per_connection", rounded(r.packets_per_connection())},
          {"bytes_per_connection", rounded(r.bytes_per_connection())}}},
        {"latency_us",
         {{"handshake", to_json(r.latency, &LatencyHistograms::handshake)},
          {"ttfb", to_json(r.latency, &LatencyHistograms::ttfb)},
          {"ttlb", to_json(r.latency, &LatencyHistograms::ttlb)},
          {"close", to_json(r.latency, &LatencyHistograms::close)},
          {"transaction", to_json(r.latency, &LatencyHistograms::transaction)}}},
        {"retransmissions",
         {{"syn", r.counters.get(Counter::tcp_syn_retransmits)},
          {"synack", r.counters.get(Counter::tcp_synack_retransmits)},
          {"data", r.counters.get(Counter::tcp_data_retransmits)},
          {"fin", r.counters.get(Counter::tcp_fin_retransmits)},
          {"tlp", r.counters.get(Counter::tcp_loss_probes)},
          {"rto", r.counters.get(Counter::tcp_rto_expirations)},
          {"fast", r.counters.get(Counter::tcp_fast_retransmits)}}},
        {"drops", drops},
        {"generator",
         {{"busy_percent", busy},
          {"schedule_lag_us",
           {{"p50", microseconds(r.lag.percentile(50))},
            {"p99", microseconds(r.lag.percentile(99))},
            {"max", microseconds(r.lag.max())}}},
          {"tx_full", r.tx_full}}},
        {"verdict", to_string(r.judgement.verdict)},
        {"reason", r.judgement.reason},
        {"notes", r.notes},
        {"events", events_to_json(r.events)},
        {"intervals", intervals},
    };
    const TransactionAccounting& t = r.transactions;
    if (transacts(r.recipe) || t.asked > 0) {
        document["transactions"] = {{"planned", t.planned},         {"unsent", t.unsent},
                                    {"unsent_full", t.unsent_full}, {"asked", t.asked},
                                    {"answered", t.answered},       {"lost", t.lost},
                                    {"in_flight", t.in_flight},     {"residual", t.residual()}};
    }
    if (!r.attacks.empty()) {
        document["attacks"] = Json::array();
        for (const AttackCounts& attack : r.attacks)
            document["attacks"].push_back({{"kind", to_string(attack.kind)},
                                           {"rate", rounded(attack.rate)},
                                           {"planned", attack.planned},
                                           {"sent", attack.sent},
                                           {"unsent", attack.unsent},
                                           {"answered", attack.answered},
                                           {"residual", attack.residual()}});
    }
    if (r.asked_tps) document["rate"]["offered_tps"] = rounded(*r.asked_tps);
    if (sends_datagrams(r.recipe)) {
        document["datagrams"] = datagrams_to_json(r);
        document["rate"]["dps"] = rounded(r.dps_to_server + r.dps_to_client);
        document["rate"]["dps_to_server"] = rounded(r.dps_to_server);
        document["rate"]["dps_to_client"] = rounded(r.dps_to_client);
        document["rate"]["goodput_to_server_bps"] = rounded(r.goodput_to_server_bps);
        document["rate"]["goodput_to_client_bps"] = rounded(r.goodput_to_client_bps);
        if (r.asked_dps) document["rate"]["offered_dps"] = rounded(*r.asked_dps);
    }
    if (r.recipe == Recipe::http) {
        Json statuses = Json::object();
        for (std::size_t i = 0; i < r.http.statuses.size(); ++i)
            if (r.http.statuses[i] > 0)
                statuses[i == 0 ? "above 599" : fmt::format("{}", i)] = r.http.statuses[i];
        document["http"] = {{"statuses", statuses},
                            {"body_octets", r.http.body_octets},
                            {"errors", r.http.errors_in_words()}};
    }
    if (transacts(r.recipe) && r.transfers()) {
        document["packets"]["per_transaction"] = rounded(r.packets_per_transaction());
        document["packets"]["bytes_per_transaction"] = rounded(r.bytes_per_transaction());
    }
    document["time_wait"] = {{"entered", r.counters.get(Counter::tcp_time_wait_entered)},
                             {"most", most_in_time_wait(r)},
                             {"recycled", r.counters.get(Counter::tcp_time_wait_recycled)},
                             {"reopened", r.counters.get(Counter::tcp_time_wait_reopened)}};
    if (r.recipe == Recipe::hold)
        document["closing"] = {{"in_order", r.closed_in_order}, {"cps", rounded(r.closing_cps)}};
    document["memory"] = {{"before", r.memory.before},
                          {"held", r.memory.held},
                          {"most", r.memory.most},
                          {"per_kept_connection", rounded(r.octets_per_kept_connection())}};
    const OctetAccounting& o = r.octets;
    if (r.recipe == Recipe::stream) {
        document["octets"] = {{"client_sent", o.client_sent}, {"client_received", o.client_received}};
        if (r.server_cores > 0) {
            document["octets"]["server_received"] = o.server_received;
            document["octets"]["server_sent"] = o.server_sent;
            document["octets"]["residual_to_server"] = o.residual_to_server();
            document["octets"]["residual_to_client"] = o.residual_to_client();
        }
        document["rate"]["goodput_to_server_bps"] = rounded(r.goodput_to_server_bps);
        document["rate"]["goodput_to_client_bps"] = rounded(r.goodput_to_client_bps);
    }
    return document;
}

std::string document_text(const nlohmann::ordered_json& document) {
    const std::string indented = document.dump(2);
    std::string text;
    bool in_string = false;
    for (std::size_t i = 0; i < indented.size(); ++i) {
        const char c = indented[i];
        if (c == '\\') {  // only within a string; what it escapes ends none
            text += c;
            text += indented[++i];
            continue;
        }
        if (c == '"') in_string = !in_string;
        const std::size_t end = c == '[' && !in_string
                                    ? indented.find_first_not_of("0123456789+-.eE, \n", i + 1)
                                    : std::string::npos;
        if (end == std::string::npos || indented[end] != ']') {
            text += c;
            continue;
        }
        text += '[';
        for (std::size_t j = i + 1; j < end; ++j) {
            if (indented[j] == '\n' || indented[j] == ' ') continue;
            text += indented[j];
            if (indented[j] == ',') text += ' ';
        }
        text += ']';
        i = end;
    }
    return text + '\n';
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
                         most_in_time_wait(r), r.counters.get(Counter::tcp_time_wait_recycled),
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
