// See comparison.hpp.
#include "results/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "quantity.hpp"

namespace runnel::results {
namespace {

using Json = nlohmann::ordered_json;

// A metric, and where it is in a document.
struct Source {
    Metric metric;
    std::function<std::optional<double>(const Document&)> read;
};

std::function<std::optional<double>(const Document&)> number_at(std::string path) {
    return [path = std::move(path)](const Document& document) { return document.number(path); };
}

// Nothing was measured where the count is 0.
std::function<std::optional<double>(const Document&)> latency_at(const std::string& histogram,
                                                                 const std::string& figure) {
    return [=](const Document& document) -> std::optional<double> {
        const std::string at = "latency_us/" + histogram + "/intended/";
        if (document.number(at + "count").value_or(0) <= 0) return std::nullopt;
        return document.number(at + figure);
    };
}

std::optional<double> failed_percent(const Document& document) {
    const double attempted = document.number("connections/attempted").value_or(0);
    if (attempted <= 0) return std::nullopt;
    return 100 * document.number("connections/failed").value_or(0) / attempted;
}

// Of `udp-rr` requests without an answer, else datagrams that did not arrive.
std::optional<double> lost_percent(const Document& document) {
    const auto sum = [&](std::initializer_list<const char*> paths) {
        double total = 0;
        for (const char* path : paths) total += document.number(path).value_or(0);
        return total;
    };
    const bool requests = document.text("recipe") == "udp-rr";
    const double sent = requests ? sum({"transactions/asked"})
                                 : sum({"datagrams/to_server/sent", "datagrams/to_client/sent"});
    if (sent <= 0) return std::nullopt;
    const double lost = requests ? sum({"transactions/lost", "transactions/in_flight"})
                                 : sum({"datagrams/to_server/lost", "datagrams/to_client/lost"});
    return 100 * lost / sent;
}

// Time of all cores for one unit of `rate`, in microseconds.
std::function<std::optional<double>(const Document&)> core_time_per(std::string rate) {
    return [rate = std::move(rate)](const Document& document) -> std::optional<double> {
        const double per_second = document.number(rate).value_or(0);
        const Json& busy = document.at("generator/busy_percent");
        if (per_second <= 0 || !busy.is_array()) return std::nullopt;
        double percent = 0;
        for (const Json& core : busy) percent += core.get<double>();
        return percent > 0 ? std::optional{percent / 100 * 1e6 / per_second} : std::nullopt;
    };
}

bool is_open_loop(const Document& document) {
    return document.at("config/rate").is_number();
}

// What is compared, what the recipe is about first.
std::vector<Source> sources_for(const Document& document) {
    const std::string recipe = document.text("recipe");
    std::vector<Source> sources;
    const Source connections{{"connections/s", Unit::count, true}, number_at("rate/cps")};
    const Source transactions{{"transactions/s", Unit::count, true}, number_at("rate/tps")};
    const auto latency = [&](const std::string& histogram, const std::string& words) {
        for (const auto& [figure, name] :
             {std::pair{"p50", "p50"}, std::pair{"p99", "p99"}, std::pair{"p999", "p99.9"}})
            sources.push_back(
                {Metric{words + ' ' + name, Unit::microseconds, false}, latency_at(histogram, figure)});
    };
    const bool datagrams = recipe == "udp-rr" || recipe == "udp-oneway";
    if (recipe == "rr" || recipe == "udp-rr") {
        sources.push_back(transactions);
        latency("transaction", "transaction");
        sources.push_back(
            {{"core time a transaction", Unit::microseconds, false}, core_time_per("rate/tps")});
        // The rate is the schedule's: what the verdict is about is the latency.
        if (datagrams && is_open_loop(document))
            std::rotate(sources.begin(), sources.begin() + 2, sources.begin() + 3);
    } else if (recipe == "udp-oneway") {
        sources.push_back({{"datagrams/s", Unit::count, true}, number_at("rate/dps")});
        sources.push_back({{"goodput", Unit::bits, true}, number_at("rate/goodput_bps")});
        for (const auto& [way, name] :
             {std::pair{"to_server", "to the server"}, std::pair{"to_client", "to the client"}}) {
            const std::string at = fmt::format("datagrams/{}/", way);
            sources.push_back({{fmt::format("jitter {}", name), Unit::microseconds, false},
                               number_at(at + "jitter_us/mean")});
            sources.push_back({{fmt::format("out of order {}", name), Unit::percent, false},
                               number_at(at + "reordered_percent")});
        }
        sources.push_back({{"core time a datagram", Unit::microseconds, false}, core_time_per("rate/dps")});
    } else if (recipe == "stream") {
        sources.push_back({{"goodput", Unit::bits, true}, number_at("rate/goodput_bps")});
    } else {
        sources.push_back(connections);
        latency("handshake", "handshake");
        latency("ttlb", "last byte");
        sources.push_back({{"core time a connection", Unit::microseconds, false}, core_time_per("rate/cps")});
        sources.push_back(
            {{"packets a connection", Unit::count, false}, number_at("packets/per_connection")});
        // The rate is the schedule's: what the verdict is about is the latency.
        if (is_open_loop(document)) std::rotate(sources.begin(), sources.begin() + 2, sources.begin() + 3);
    }
    if (datagrams)
        sources.push_back(
            {{recipe == "udp-rr" ? "requests lost" : "datagrams lost", Unit::percent, false}, lost_percent});
    else
        sources.push_back({{"failed connections", Unit::percent, false}, failed_percent});
    return sources;
}

std::string shown(double value, Unit unit) {
    switch (unit) {
        case Unit::count:
            return value < 100 ? fmt::format("{:.3g}", value) : app::human_count(value);
        case Unit::bits:
            return app::human_count(value) + "bit/s";
        case Unit::microseconds:
            return value < 1     ? fmt::format("{:.0f} ns", value * 1e3)
                   : value < 1e3 ? fmt::format("{:.3g} us", value)
                   : value < 1e6 ? fmt::format("{:.3g} ms", value / 1e3)
                                 : fmt::format("{:.3g} s", value / 1e6);
        case Unit::percent:
            return fmt::format("{:.3g} %", value);
    }
    return {};
}

std::string percent(double share) {
    if (!std::isfinite(share)) return share > 0 ? "from 0" : "to 0";
    const double value = share * 100;
    return fmt::format("{:+.{}f} %", value, std::abs(value) < 10 ? 1 : 0);
}

// Settings and surroundings that are not the same in all trials of both sides.
std::vector<std::string> differences(const Side& a, const Side& b) {
    std::vector<std::string> found;
    const auto values = [](const Side& side, const std::string& path) {
        std::set<std::string> all;
        for (const Document& trial : side.trials) {
            const Json& value = trial.at(path);
            all.insert(value.is_string() ? value.get<std::string>() : value.dump());
        }
        std::string text;
        for (const std::string& value : all) text += (text.empty() ? "" : ", ") + value;
        return text;
    };
    const auto look = [&](const std::string& path, const std::string& name) {
        const std::string of_a = values(a, path), of_b = values(b, path);
        if (of_a != of_b) found.push_back(fmt::format("{}: {} / {}", name, of_a, of_b));
    };
    for (const char* name : {"command", "version", "wire", "client_cores", "server_cores"}) look(name, name);
    for (const char* name : {"cpu", "cores", "kernel", "dpdk", "hugepages"})
        look(std::string{"host/"} + name, std::string{"host "} + name);
    std::vector<std::string> keys;
    for (const Side* side : {&a, &b})
        for (const auto& [key, value] : side->trials.front().at("config").items())
            if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    for (const std::string& key : keys)
        if (key != "wire" && key != "memory_mb" && key != "mbufs") look("config/" + key, key);
    return found;
}

Line line_of(const Source& source, const Side& a, const Side& b, const ComparisonOptions& options) {
    Line line{.metric = source.metric};
    std::vector<double> of_a, of_b;
    for (const Document& trial : a.trials)
        if (const auto value = source.read(trial)) of_a.push_back(*value);
    for (const Document& trial : b.trials)
        if (const auto value = source.read(trial)) of_b.push_back(*value);
    line.a = mean_of(of_a);
    line.b = mean_of(of_b);
    line.difference = welch(of_a, of_b, options.confidence);
    line.mann_whitney_p = mann_whitney(of_a, of_b);
    line.finding = judge(line.difference, source.metric.higher_is_better, options.threshold);
    if (options.test == Test::mann_whitney &&
        (line.finding == Finding::better || line.finding == Finding::worse) &&
        line.mann_whitney_p > 1 - options.confidence)
        line.finding = Finding::unclear;
    return line;
}

// Takes out trials whose figures say nothing.
void keep_valid(Side& side, bool all, std::vector<std::string>& notes) {
    const auto is_valid = [](const Document& trial) { return trial.text("verdict") == "valid"; };
    const auto invalid = static_cast<std::size_t>(std::ranges::count_if(side.trials, std::not_fn(is_valid)));
    if (invalid == 0) return;
    if (all) {
        notes.push_back(fmt::format("{}: {} of {} trials are not valid, and taken all the same", side.name,
                                    invalid, side.trials.size()));
        return;
    }
    if (invalid == side.trials.size()) {
        const Document& first = side.trials.front();
        throw BadComparison(fmt::format(
            "{}: no trial is valid ({}: {}, {}); mend the run, or compare it all the same with --all",
            side.name, first.source, first.text("verdict"), first.text("reason")));
    }
    notes.push_back(fmt::format("{}: {} of {} trials are not valid, and left out", side.name, invalid,
                                side.trials.size()));
    std::erase_if(side.trials, std::not_fn(is_valid));
}

Comparison compare_two(const Side& a, const Side& b, const ComparisonOptions& options) {
    Comparison comparison{.a = a.name, .b = b.name, .trials_a = a.trials.size(), .trials_b = b.trials.size()};
    const std::string recipe = a.trials.front().text("recipe");
    for (const Side* side : {&a, &b})
        for (const Document& trial : side->trials)
            if (trial.text("recipe") != recipe)
                throw BadComparison(fmt::format(
                    "{}: recipe {} and, in {}, {}: a rate depends on its recipe; compare like with like",
                    trial.source, trial.text("recipe"), a.trials.front().source, recipe));
    for (const Source& source : sources_for(a.trials.front())) {
        const auto has = [&](const Document& trial) { return source.read(trial).has_value(); };
        if (std::ranges::all_of(a.trials, has) && std::ranges::all_of(b.trials, has))
            comparison.lines.push_back(line_of(source, a, b, options));
    }
    if (comparison.lines.empty())
        throw BadComparison(
            fmt::format("{} and {}: neither a rate nor a latency is in both", a.name, b.name));
    comparison.differing = differences(a, b);
    if (is_open_loop(a.trials.front()))
        comparison.notes.emplace_back("the rate was set, so latency is what is compared");
    if (std::min(a.trials.size(), b.trials.size()) < 2)
        comparison.notes.emplace_back(
            "one trial says nothing of how much trials vary: give several a side, three at least");
    return comparison;
}

std::string verdict_sentence(const Comparison& c, const ComparisonOptions& options) {
    const Line& line = c.lines.front();
    const Difference& d = line.difference;
    const std::string interval = d.known ? fmt::format("{:.0f} % interval {} to {}", options.confidence * 100,
                                                       percent(d.low), percent(d.high))
                                         : std::string{"no interval"};
    switch (c.finding()) {
        case Finding::better:
            return fmt::format("{} is faster than {}: {} {} ({})", c.b, c.a, line.metric.name,
                               percent(d.share), interval);
        case Finding::worse:
            return fmt::format("{} is slower than {}: {} {} ({})", c.b, c.a, line.metric.name,
                               percent(d.share), interval);
        case Finding::no_difference:
            return fmt::format("no difference between {} and {}: {} {} ({}, within {} either way)", c.a, c.b,
                               line.metric.name, percent(d.share), interval,
                               percent(options.threshold).substr(1));
        case Finding::unclear:
            break;
    }
    return fmt::format("unclear: {} {} ({}); these trials do not tell, more or longer ones may",
                       line.metric.name, percent(d.share), interval);
}

}  // namespace

std::vector<Comparison> compare(std::vector<Side> sides, const ComparisonOptions& options) {
    std::vector<std::string> notes;
    for (Side& side : sides) keep_valid(side, options.all, notes);
    std::vector<Comparison> comparisons;
    for (std::size_t i = 1; i < sides.size(); ++i) {
        comparisons.push_back(compare_two(sides[0], sides[i], options));
        auto& own = comparisons.back().notes;
        own.insert(own.begin(), notes.begin(), notes.end());
    }
    return comparisons;
}

std::string to_text(const Comparison& c, const ComparisonOptions& options) {
    std::string text = fmt::format("A  {}, {} trial{}\nB  {}, {} trial{}\n\n", c.a, c.trials_a,
                                   c.trials_a == 1 ? "" : "s", c.b, c.trials_b, c.trials_b == 1 ? "" : "s");
    text += fmt::format("{:<24} {:>12} {:>12} {:>10}  {:>20}  {:>7}  {}\n", "", "A", "B", "B to A",
                        fmt::format("{:.0f} % interval", options.confidence * 100), "p", "B is");
    for (const Line& line : c.lines) {
        const Difference& d = line.difference;
        const double p = options.test == Test::welch ? d.p : line.mann_whitney_p;
        text += fmt::format("{:<24} {:>12} {:>12} {:>10}  {:>20}  {:>7}  {}\n", line.metric.name,
                            shown(line.a.mean, line.metric.unit), shown(line.b.mean, line.metric.unit),
                            percent(d.share),
                            d.known ? fmt::format("{} .. {}", percent(d.low), percent(d.high)) : "",
                            !d.known    ? ""
                            : p < 0.001 ? "< 0.001"
                                        : fmt::format("{:.3f}", p),
                            to_string(line.finding));
    }
    text += '\n';
    for (const std::string& one : c.differing) text += fmt::format("differs  {}\n", one);
    for (const std::string& note : c.notes) text += fmt::format("note     {}\n", note);
    text += fmt::format(
        "test     {}; each line is judged by itself, of twenty that do not differ one will seem to\n\n{}\n",
        options.test == Test::welch ? "Welch's t-test, of logarithms where all values are positive"
                                    : "Mann and Whitney's; the interval is of Welch's t-test",
        verdict_sentence(c, options));
    return text;
}

Json to_json(const std::vector<Comparison>& comparisons, const ComparisonOptions& options) {
    Json all = Json::array();
    for (const Comparison& c : comparisons) {
        Json lines = Json::array();
        for (const Line& line : c.lines) {
            const Difference& d = line.difference;
            Json one{{"metric", line.metric.name},
                     {"a", {{"mean", line.a.mean}, {"deviation", line.a.deviation}}},
                     {"b", {{"mean", line.b.mean}, {"deviation", line.b.deviation}}},
                     {"difference", d.share}};
            one["interval"] = d.known ? Json{d.low, d.high} : Json(nullptr);
            one["p_welch"] = d.known ? Json(d.p) : Json(nullptr);
            one["p_mann_whitney"] = line.mann_whitney_p;
            one["finding"] = to_string(line.finding);
            lines.push_back(std::move(one));
        }
        all.push_back({{"a", c.a},
                       {"b", c.b},
                       {"trials", {{"a", c.trials_a}, {"b", c.trials_b}}},
                       {"finding", to_string(c.finding())},
                       {"sentence", verdict_sentence(c, options)},
                       {"metrics", std::move(lines)},
                       {"differing", c.differing},
                       {"notes", c.notes}});
    }
    return {{"schema", "runnel.comparison/1"},
            {"test", options.test == Test::welch ? "welch" : "mann-whitney"},
            {"confidence", options.confidence},
            {"threshold", options.threshold},
            {"comparisons", std::move(all)}};
}

}  // namespace runnel::results
