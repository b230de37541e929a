// See goals.hpp.
#include "results/goals.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "quantity.hpp"
#include "results/chart.hpp"
#include "words.hpp"

namespace runnel::results {
namespace {

enum class GoalUnit { count, bits, percent, latency };

constexpr std::array latencies{"handshake", "ttfb", "ttlb", "close", "transaction"};
constexpr std::array figures{"min", "mean", "p50", "p90", "p99", "p999", "p9999", "max"};

std::optional<GoalUnit> unit_of(std::string_view metric) {
    if (metric == "cps" || metric == "tps" || metric == "retransmissions" || metric == "drops")
        return GoalUnit::count;
    if (metric == "goodput") return GoalUnit::bits;
    if (metric == "failures" || metric == "unsent" || metric == "loss" || metric == "duplicates" ||
        metric == "reordered")
        return GoalUnit::percent;
    if (metric == "dps") return GoalUnit::count;
    const std::size_t bar = metric.find('_');
    if (bar == std::string_view::npos) return std::nullopt;
    const bool known = std::ranges::find(latencies, metric.substr(0, bar)) != latencies.end() &&
                       std::ranges::find(figures, metric.substr(bar + 1)) != figures.end();
    return known ? std::optional{GoalUnit::latency} : std::nullopt;
}

std::optional<double> share(const Document& document, std::string_view what) {
    const double attempted = document.number("connections/attempted").value_or(0);
    const auto part = document.number(what);
    if (attempted <= 0 || !part) return std::nullopt;
    return 100 * *part / attempted;
}

// Of datagrams both ways, in percent of those sent, or that came.
std::optional<double> datagram_share(const Document& document, std::string_view part,
                                     std::string_view whole) {
    double parts = 0, all = 0;
    for (const char* way : {"datagrams/to_server/", "datagrams/to_client/"}) {
        parts += document.number(way + std::string{part}).value_or(0);
        all += document.number(way + std::string{whole}).value_or(0);
    }
    if (all <= 0) return std::nullopt;
    return 100 * parts / all;
}

// Of `udp-rr` requests without an answer, else datagrams that did not arrive.
std::optional<double> datagram_loss(const Document& document) {
    if (document.text("recipe") != "udp-rr") return datagram_share(document, "lost", "sent");
    const double asked = document.number("transactions/asked").value_or(0);
    if (asked <= 0) return std::nullopt;
    return 100 *
           (document.number("transactions/lost").value_or(0) +
            document.number("transactions/in_flight").value_or(0)) /
           asked;
}

std::optional<double> sum(const nlohmann::ordered_json& object, std::span<const char* const> keys) {
    if (!object.is_object()) return std::nullopt;
    double total = 0;
    for (const auto& [key, value] : object.items())
        if (value.is_number() && (keys.empty() || std::ranges::find(keys, key) != keys.end()))
            total += value.get<double>();
    return total;
}

std::optional<double> measured(const Document& document, std::string_view metric) {
    if (metric == "cps") return document.number("rate/cps");
    if (metric == "tps") return document.number("rate/tps");
    if (metric == "goodput") return document.number("rate/goodput_bps");
    const bool datagrams = document.at("datagrams").is_object();
    if (metric == "dps") return document.number("rate/dps");
    if (metric == "loss" || (metric == "failures" && datagrams)) return datagram_loss(document);
    if (metric == "duplicates") return datagram_share(document, "duplicated", "received");
    if (metric == "reordered") return datagram_share(document, "reordered", "unique");
    if (metric == "failures") return share(document, "connections/failed");
    if (metric == "unsent")
        return datagrams ? datagram_share(document, "unsent", "planned")
                         : share(document, "connections/unsent");
    if (metric == "drops") return sum(document.at("drops"), {});
    if (metric == "retransmissions") {
        constexpr std::array kinds{"syn", "synack", "data", "fin"};
        return sum(document.at("retransmissions"), kinds);
    }
    const std::size_t bar = metric.find('_');
    const std::string at = fmt::format("latency_us/{}/intended/", metric.substr(0, bar));
    if (document.number(at + "count").value_or(0) <= 0) return std::nullopt;
    return document.number(at + std::string{metric.substr(bar + 1)});
}

std::string trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return std::string{text.substr(first, text.find_last_not_of(" \t") - first + 1)};
}

bool holds(Comparator comparator, double value, double bound) {
    switch (comparator) {
        case Comparator::less:
            return value < bound;
        case Comparator::at_most:
            return value <= bound;
        case Comparator::more:
            return value > bound;
        case Comparator::at_least:
            return value >= bound;
        case Comparator::equal:
            break;
    }
    return value == bound;
}

}  // namespace

std::vector<std::string> goal_metrics() {
    std::vector<std::string> names{"cps",  "tps",        "dps",       "goodput",         "failures", "unsent",
                                   "loss", "duplicates", "reordered", "retransmissions", "drops"};
    for (const char* latency : latencies)
        for (const char* figure : figures) names.push_back(fmt::format("{}_{}", latency, figure));
    return names;
}

Goal parse_goal(std::string_view text) {
    Goal goal{.text = trimmed(text), .metric = {}};
    const std::size_t sign = text.find_first_of("<>=");
    if (sign == std::string_view::npos)
        throw app::BadQuantity(fmt::format(
            "\"{}\" compares nothing; write a goal such as \"handshake_p99 < 1ms\" or \"failures < 0.1 %\"",
            text));
    goal.metric = trimmed(text.substr(0, sign));
    const bool with_equal = text[sign] != '=' && text.substr(sign + 1).starts_with('=');
    goal.comparator = text[sign] == '='   ? Comparator::equal
                      : text[sign] == '<' ? (with_equal ? Comparator::at_most : Comparator::less)
                                          : (with_equal ? Comparator::at_least : Comparator::more);
    const std::string value = trimmed(text.substr(sign + (with_equal ? 2 : 1)));
    const std::optional<GoalUnit> unit = unit_of(goal.metric);
    if (!unit) {
        const std::string near = app::nearest(goal.metric, goal_metrics());
        throw app::BadQuantity(
            fmt::format("\"{}\" is nothing that a goal can be about{}; there are cps, tps, dps, goodput, "
                        "failures, unsent, "
                        "loss, duplicates, reordered, retransmissions, drops, and handshake, ttfb, ttlb, "
                        "close and transaction with _p50, _p99, "
                        "_p999, _max "
                        "and the like",
                        goal.metric, near.empty() ? "" : fmt::format("; did you mean {}?", near)));
    }
    switch (*unit) {
        case GoalUnit::count:
        case GoalUnit::bits:
            goal.value = static_cast<double>(app::parse_count(value));
            break;
        case GoalUnit::percent:
            goal.value = app::parse_percent(value);
            break;
        case GoalUnit::latency:
            goal.value = static_cast<double>(app::parse_duration(value).count()) / 1e3;
            break;
    }
    return goal;
}

std::string GoalOutcome::shown() const {
    if (!measured) return "not measured";
    switch (unit_of(goal.metric).value_or(GoalUnit::count)) {
        case GoalUnit::count:
            return marked(value, Scale::count);
        case GoalUnit::bits:
            return marked(value, Scale::bits);
        case GoalUnit::percent:
            return fmt::format("{:.3g} %", value);
        case GoalUnit::latency:
            break;
    }
    return marked(value, Scale::latency);
}

std::vector<GoalOutcome> check(std::span<const Goal> goals, const Document& document) {
    std::vector<GoalOutcome> outcomes;
    for (const Goal& goal : goals) {
        const std::optional<double> value = measured(document, goal.metric);
        outcomes.push_back({.goal = goal,
                            .measured = value.has_value(),
                            .value = value.value_or(0),
                            .met = value && holds(goal.comparator, *value, goal.value)});
    }
    return outcomes;
}

nlohmann::ordered_json to_json(std::span<const GoalOutcome> outcomes) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const GoalOutcome& outcome : outcomes)
        all.push_back({{"goal", outcome.goal.text},
                       {"value", outcome.measured ? nlohmann::ordered_json(outcome.value) : nullptr},
                       {"shown", outcome.shown()},
                       {"met", outcome.met}});
    return all;
}

bool bounds_failures(std::span<const Goal> goals) noexcept {
    return std::ranges::any_of(
        goals, [](const Goal& goal) { return goal.metric == "failures" || goal.metric == "loss"; });
}

}  // namespace runnel::results
