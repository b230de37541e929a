// See page.hpp.
#include "results/page.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "runnel/base/counters.hpp"

#include "results/chart.hpp"
#include "results/page_style.hpp"

namespace runnel::results {
namespace {

using Json = nlohmann::ordered_json;

struct Histogram {
    const char* key;
    const char* name;
    const char* what;  // from the SYN, or where it begins and ends
};
constexpr std::array histograms{
    Histogram{"handshake", "Handshake", "SYN to SYN-ACK"},
    Histogram{"ttfb", "First byte", "SYN to the first octet of the response"},
    Histogram{"ttlb", "Last byte", "SYN to the last octet of the response"},
    Histogram{"transaction", "Transaction", "request to the last octet of its response"},
    Histogram{"close", "Whole connection", "SYN to its end"}};

double number(const Json& json, const std::string& key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number() ? found->get<double>() : 0.0;
}

double number(const Document& document, std::string_view path) {
    return document.number(path).value_or(0);
}

std::string whole(double value) {
    std::string digits = fmt::format("{:.0f}", value);
    for (std::ptrdiff_t i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > (value < 0 ? 1 : 0); i -= 3)
        digits.insert(static_cast<std::size_t>(i), "\u202f");  // narrow no-break space
    return digits;
}

// What a recipe is about.
struct Headline {
    const char* path;
    const char* interval;
    const char* name;
    Scale scale;
};
Headline headline_of(const std::string& recipe) {
    if (recipe == "rr") return {"rate/tps", "tps", "transactions a second", Scale::count};
    if (recipe == "udp-rr") return {"rate/tps", "tps", "requests a second", Scale::count};
    if (recipe == "udp-oneway") return {"rate/dps", "dps", "datagrams a second", Scale::count};
    if (recipe == "stream") return {"rate/goodput_bps", "goodput_bps", "goodput", Scale::bits};
    return {"rate/cps", "cps", "connections a second", Scale::count};
}

class Page {
  public:
    explicit Page(const Document& document)
        : document_(document), recipe_(document.text("recipe")), headline_(headline_of(recipe_)) {}

    std::string make() {
        out_ =
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";
        out_ += fmt::format("<title>{}</title><style>{}</style></head><body><main>\n", escaped(title()),
                            page_style);
        header();
        verdict();
        tiles();
        goals();
        over_time();
        distributions();
        percentiles();
        accounting();
        generator();
        configuration();
        out_ += fmt::format("</main><script>{}</script></body></html>\n", page_script);
        return out_;
    }

  private:
    [[nodiscard]] bool datagrams() const { return document_.at("datagrams").is_object(); }

    std::string title() const {
        return fmt::format("{} {}: {} {}", document_.text("command"), recipe_,
                           marked(number(document_, headline_.path), headline_.scale),
                           headline_.scale == Scale::bits ? "" : headline_.name);
    }

    void header() {
        out_ += fmt::format("<h1>{}</h1>", escaped(title()));
        std::string line = document_.text("wire");
        const auto add = [&](const std::string& text) {
            if (!text.empty()) line += " · " + text;
        };
        add(fmt::format("{:.2f} s measured", number(document_, "duration_s")));
        const double servers = number(document_, "server_cores");
        add(servers > 0
                ? fmt::format("{} client and {} server cores", number(document_, "client_cores"), servers)
                : fmt::format("{} client cores", number(document_, "client_cores")));
        add(document_.text("started"));
        out_ += fmt::format("<p class=\"quiet\">{}<br>", escaped(line));
        line = fmt::format("runnel {}", document_.text("version"));
        for (const char* path : {"host/cpu", "host/kernel", "host/dpdk"}) add(document_.text(path));
        add(document_.at("host/hugepages") == true ? "hugepages" : "no hugepages");
        out_ += escaped(line) + "</p>\n";
    }

    void verdict() {
        const std::string verdict = document_.text("verdict");
        const auto [style, sign] = verdict == "valid"               ? std::pair{"good", "✓"}
                                   : verdict == "generator-limited" ? std::pair{"warn", "!"}
                                                                    : std::pair{"bad", "✗"};
        out_ += fmt::format("<div class=\"verdict {}\"><b>{} {}</b><span>{}</span></div>\n", style, sign,
                            escaped(verdict), escaped(document_.text("reason")));
        const Json& notes = document_.at("notes");
        if (!notes.is_array() || notes.empty()) return;
        out_ += "<ul class=\"quiet\">";
        for (const Json& note : notes)
            if (note.is_string()) out_ += fmt::format("<li>{}</li>", escaped(note.get<std::string>()));
        out_ += "</ul>\n";
    }

    void tile(const std::string& name, const std::string& value, const std::string& more) {
        out_ += fmt::format(
            "<div class=\"tile\"><div class=\"name\">{}</div><div class=\"value\">{}</div><div "
            "class=\"more\">{}</div></div>",
            escaped(name), escaped(value), escaped(more));
    }

    void tiles() {
        out_ += "<div class=\"tiles\">";
        const double cores = number(document_, "client_cores");
        tile(headline_.name, marked(number(document_, headline_.path), headline_.scale),
             cores > 1
                 ? marked(number(document_, headline_.path) / cores, headline_.scale) + " a core"
                 : fmt::format("{:.1f} % of 10 Gbit/s", number(document_, "rate/percent_of_line_rate/10G")));
        for (const Histogram& h : histograms) {
            const std::string at = fmt::format("latency_us/{}/intended/", h.key);
            if (number(document_, at + "count") <= 0) continue;
            if (h.key == std::string_view{"ttfb"} || h.key == std::string_view{"close"}) continue;
            tile(fmt::format("{}, p99", h.name), marked(number(document_, at + "p99"), Scale::latency),
                 fmt::format("p50 {}, max {}", marked(number(document_, at + "p50"), Scale::latency),
                             marked(number(document_, at + "max"), Scale::latency)));
        }
        if (datagrams()) {
            const bool requests = recipe_ == "udp-rr";
            const auto both = [&](const std::string& what) {
                return number(document_, "datagrams/to_server/" + what) +
                       number(document_, "datagrams/to_client/" + what);
            };
            const double lost = requests ? number(document_, "transactions/lost") : both("lost");
            const double sent = requests ? number(document_, "transactions/asked") : both("sent");
            tile(requests ? "requests lost" : "datagrams lost", whole(lost),
                 sent > 0 ? fmt::format("{:.3g} % of {}", 100 * lost / sent, whole(sent)) : "");
            tile("out of order", whole(both("reordered")),
                 fmt::format("{} copies", whole(both("duplicated"))));
        } else {
            const double attempted = number(document_, "connections/attempted");
            const double failed = number(document_, "connections/failed");
            tile("failed connections", whole(failed),
                 attempted > 0 ? fmt::format("{:.3g} % of {}", 100 * failed / attempted, whole(attempted))
                               : "");
            double retransmissions = 0;
            for (const char* kind : {"syn", "synack", "data", "fin"})
                retransmissions += number(document_, std::string{"retransmissions/"} + kind);
            tile("retransmissions", whole(retransmissions), "of all kinds");
        }
        double drops = 0;
        for (const Json& count : document_.at("drops")) drops += count.is_number() ? count.get<double>() : 0;
        tile("drops", whole(drops), drops > 0 ? "reasons below" : "none");
        out_ += "</div>\n";
    }

    void goals() {
        const Json& goals = document_.at("goals");
        if (!goals.is_array() || goals.empty()) return;
        out_ += "<h2>Goals</h2><div class=\"card\"><table><thead><tr><th>goal<th>measured<th></tr></thead>";
        for (const Json& goal : goals) {
            const bool met = goal.value("met", false);
            out_ += fmt::format("<tr><td>{}<td>{}<td class=\"{}\">{}</tr>", escaped(goal.value("goal", "")),
                                escaped(goal.value("shown", "")), met ? "good" : "bad",
                                met ? "✓ met" : "✗ missed");
        }
        out_ += "</table></div>\n";
    }

    // A series of what each interval has at `path`.
    Series course(const std::string& name, std::string_view style, std::string_view path) const {
        Series series{name, style, {}};
        for (const Json& interval : document_.at("intervals")) {
            const Document one{{}, interval};
            if (const auto value = one.number(path))
                series.points.emplace_back(number(interval, "t_s"), *value);
        }
        return series;
    }

    void over_time() {
        const Json& intervals = document_.at("intervals");
        if (!intervals.is_array() || intervals.empty()) {
            out_ +=
                "<p class=\"quiet\">The run was shorter than an interval: there is no course over time.</p>";
            return;
        }
        out_ += "<h2>Over time</h2><div class=\"charts\">";
        out_ += to_html(
            {.title = "Rate",
             .caption = fmt::format("{}{}", headline_.name, headline_.scale == Scale::bits ? ", bit/s" : ""),
             .y = headline_.scale,
             .series = {course(headline_.name, "s1", headline_.interval)}});
        std::vector<Series> open{course("open", "s1", "in_flight")};
        if (!datagrams()) open.push_back(course("in TIME-WAIT", "s2", "time_wait"));
        out_ += to_html({.title = datagrams() ? "Requests under way" : "Connections",
                         .caption = "at the end of each second",
                         .series = std::move(open)});
        const auto percentiles = [&](const char* key, const char* name) {
            const std::string at = fmt::format("{}_us/", key);
            out_ += to_html({.title = name,
                             .caption = "latency by percentile, from the time of sending",
                             .y = Scale::latency,
                             .logarithmic = true,
                             .series = {course("p50", "p1", at + "p50"), course("p90", "p2", at + "p90"),
                                        course("p99", "p3", at + "p99"), course("p99.9", "p4", at + "p999"),
                                        course("max", "p5", at + "max")}});
        };
        percentiles("handshake", "Handshake");
        percentiles("ttlb", "Last byte");
        percentiles("transaction", "Transaction");
        out_ += to_html(
            {.title = "Trouble",
             .caption = "in each second",
             .series = {course("retransmissions", "s1", "retransmissions"), course("drops", "s2", "drops")}});
        out_ += "</div>\n";
    }

    Series distribution(const std::string& path, const char* name, const char* style) const {
        Series series{name, style, {}};
        for (const Json& point : document_.at(path))
            if (point.is_array() && point.size() == 2 && point[0].is_number() && point[1].is_number())
                series.points.emplace_back(point[0].get<double>(), point[1].get<double>());
        return series;
    }

    void distributions() {
        std::string charts;
        for (const Histogram& h : histograms) {
            const std::string at = fmt::format("latency_us/{}/", h.key);
            Chart chart{.title = h.name, .caption = h.what, .x = Scale::percentile, .y = Scale::latency};
            chart.series = {distribution(at + "actual/distribution", "from the time of sending", "s1"),
                            distribution(at + "intended/distribution", "from the intended time", "s2")};
            if (chart.series[0].points == chart.series[1].points) chart.series.pop_back();
            if (chart.series[0].points.empty()) continue;
            double most = 0;
            for (const Series& series : chart.series) most = std::max(most, series.points.back().second);
            const double least = std::max(1e-3, chart.series[0].points.front().second);
            chart.logarithmic = most / least > 20;
            charts += to_html(chart);
        }
        if (charts.empty()) return;
        out_ +=
            "<h2>Distribution of latency</h2><p class=\"quiet\">Each tenfold nearer to 100 % has as much "
            "room as "
            "the one before.";
        if (!document_.at("config/rate").is_number())
            out_ += " Connections begin as others end: there is no intended time but that of sending.";
        out_ += "</p><div class=\"charts\">" + charts + "</div>\n";
    }

    void percentiles() {
        out_ +=
            "<h2>Percentiles</h2><div class=\"card\"><table class=\"figures\"><thead><tr><th>latency<th>from";
        constexpr std::array columns{std::pair{"min", "min"},      std::pair{"mean", "mean"},
                                     std::pair{"p50", "p50"},      std::pair{"p90", "p90"},
                                     std::pair{"p99", "p99"},      std::pair{"p999", "p99.9"},
                                     std::pair{"p9999", "p99.99"}, std::pair{"max", "max"}};
        for (const auto& [key, name] : columns) out_ += fmt::format("<th>{}", name);
        out_ += "<th>count</tr></thead>";
        for (const Histogram& h : histograms)
            for (const auto& [key, name] :
                 {std::pair{"intended", "intended"}, std::pair{"actual", "sending"}}) {
                const Json& figures = document_.at(fmt::format("latency_us/{}/{}", h.key, key));
                if (number(figures, "count") <= 0) continue;
                out_ += fmt::format("<tr><th>{}<td>{}", h.name, name);
                for (const auto& column : columns)
                    out_ += fmt::format("<td>{}", marked(number(figures, column.first), Scale::latency));
                out_ += fmt::format("<td>{}</tr>", whole(number(figures, "count")));
            }
        out_ += "</table></div>\n";
    }

    void row(const std::string& name, const std::string& value) {
        out_ += fmt::format("<tr><th>{}<td class=\"figure\">{}</tr>", escaped(name), escaped(value));
    }

    // A table of all numbers of an object.
    void counts(const std::string& title, std::string_view path) {
        const Json& object = document_.at(path);
        if (!object.is_object() || object.empty()) return;
        out_ += fmt::format("<div><h2>{}</h2><div class=\"card\"><table>", escaped(title));
        for (const auto& [key, value] : object.items()) {
            if (!value.is_number()) continue;
            std::string name = key;
            std::ranges::replace(name, '_', ' ');
            const double figure = value.get<double>();
            row(name, figure == std::floor(figure) ? whole(figure) : fmt::format("{:.3f}", figure));
        }
        out_ += "</table></div></div>";
    }

    void accounting() {
        out_ += "<div class=\"pair\">";
        if (!datagrams()) counts("Connections", "connections");
        counts("Datagrams to the server", "datagrams/to_server");
        counts("Datagrams to the client", "datagrams/to_client");
        counts("Responses", "datagrams/responses");
        counts("ICMP errors", "datagrams/errors");
        counts("Transactions", "transactions");
        counts("Octets", "octets");
        counts("Packets", "packets");
        if (!datagrams()) counts("Retransmissions", "retransmissions");
        if (!datagrams()) counts("TIME-WAIT", "time_wait");
        counts("Closing", "closing");
        out_ += "</div>\n<h2>Drops</h2><div class=\"card\"><table>";
        const Json& drops = document_.at("drops");
        if (!drops.is_object() || drops.empty()) {
            out_ += "<tr><td>none";
        } else {
            for (const auto& [name, count] : drops.items()) {
                std::string_view sentence;
                for (const auto& description : drop_descriptions())
                    if (description.name == name) sentence = description.sentence;
                out_ +=
                    fmt::format("<tr><th>{}<td class=\"words\">{}<td class=\"figure\">{}</tr>", escaped(name),
                                escaped(sentence), whole(count.is_number() ? count.get<double>() : 0));
            }
        }
        out_ += "</table></div>\n";
    }

    void generator() {
        const Json& busy = document_.at("generator/busy_percent");
        out_ += "<h2>The generator itself</h2><div class=\"card\"><table>";
        if (busy.is_array()) {
            std::size_t lcore = 0;
            for (const Json& percent : busy) {
                const double share = percent.is_number() ? percent.get<double>() : 0;
                out_ += fmt::format(
                    "<tr><th>core {}<td><div class=\"busy\"><i style=\"width:{:.1f}%\"></i><span>busy {:.1f} "
                    "%</span></div></tr>",
                    ++lcore, std::clamp(share, 0.0, 100.0), share);
            }
        }
        for (const auto& [key, name] :
             {std::pair{"p50", "schedule lag, p50"}, std::pair{"p99", "schedule lag, p99"},
              std::pair{"max", "schedule lag, max"}})
            row(name,
                marked(number(document_, std::string{"generator/schedule_lag_us/"} + key), Scale::latency));
        row("times a queue was full", whole(number(document_, "generator/tx_full")));
        if (const double most = number(document_, "memory/most"); most > 0)
            row("memory at most", fmt::format("{:.0f} MB", most / 1e6));
        out_ += "</table></div>\n";
    }

    void configuration() {
        const Json& config = document_.at("config");
        if (!config.is_object()) return;
        out_ += "<h2>Configuration</h2><div class=\"card\"><div class=\"settings\">";
        const auto list = [](const Json& values) {
            std::string words;
            for (const Json& value : values)
                words += (words.empty() ? "" : ", ") +
                         (value.is_string() ? value.get<std::string>() : value.dump());
            return words.empty() ? "none" : words;
        };
        const auto setting = [&](std::string name, const Json& value) {
            std::ranges::replace(name, '_', ' ');
            const std::string shown = value.is_string()    ? value.get<std::string>()
                                      : value.is_null()    ? "not set"
                                      : value.is_array()   ? list(value)
                                      : value.is_boolean() ? (value.get<bool>() ? "yes" : "no")
                                                           : value.dump();
            out_ += fmt::format("<div><span>{}</span><b>{}</b></div>", escaped(name), escaped(shown));
        };
        for (const auto& [key, value] : config.items()) setting(key, value);
        setting("seed", document_.at("seed"));
        out_ += "</div></div>\n";
    }

    const Document& document_;
    std::string recipe_;
    Headline headline_;
    std::string out_;
};

}  // namespace

std::string to_page(const Document& document) {
    return Page(document).make();
}

}  // namespace runnel::results
