// The result as a JSON document: see result.hpp.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/datagram_result.hpp"
#include "engine/result.hpp"

namespace runnel::load {
namespace {

using Json = nlohmann::ordered_json;

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
                             {"most", r.most_in_time_wait()},
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

}  // namespace runnel::load
