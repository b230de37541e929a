// See layout.hpp.
#include "live/layout.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "engine/result.hpp"
#include "quantity.hpp"

namespace runnel::app::live {
namespace {

using load::Observation;

std::string repeated(std::string_view what, std::size_t times) {
    std::string text;
    for (std::size_t i = 0; i < times; ++i) text += what;
    return text;
}

std::string rate_text(double value) {
    return value < 0.5 ? "0" : human_count(value);
}
std::string count_text(std::uint64_t value) {
    return human_count(static_cast<double>(value));
}

struct Glyphs {
    std::string_view rule, full, empty, dot;
    std::array<std::string_view, 8> steps;
};
constexpr Glyphs drawn{"─", "█", "░", " · ", {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}};
constexpr Glyphs typed{"-", "#", ".", ", ", {"_", ".", ":", "-", "=", "+", "*", "#"}};
const Glyphs& glyphs_of(const Scene& scene) {
    return scene.plain_text ? typed : drawn;
}

// A heading and what stands below it.
struct Panel {
    std::size_t width = 0;
    std::vector<Line> lines;
};

Line heading(std::string_view text, std::size_t width, const Glyphs& glyphs) {
    Line line{{std::string{text} + " ", Style::title}};
    const std::size_t used = columns(line);
    line.push_back({repeated(glyphs.rule, width > used ? width - used : 0), Style::label});
    return line;
}

// -- what each panel says

Panel traffic(const Observation& seen, std::size_t width, const Glyphs& glyphs) {
    Panel panel{width, {heading("traffic a second", width, glyphs)}};
    const std::size_t number = std::min<std::size_t>(12, (width - 10) / 2);
    const auto row = [&](std::string_view name, std::string_view sent, std::string_view received,
                         Style style) {
        panel.lines.push_back({{fmt::format("{:<10}", name), Style::label},
                               {fmt::format("{:>{}}", sent, number), style},
                               {fmt::format("{:>{}}", received, number), style}});
    };
    row("", "sent", "received", Style::label);
    const auto a_second = [&](Counter counter) {
        return seen.length_s > 0 ? static_cast<double>(seen.recent.get(counter)) / seen.length_s : 0;
    };
    const auto pair = [&](std::string_view name, Counter sent, Counter received, Style style = Style::plain) {
        row(name, rate_text(a_second(sent)), rate_text(a_second(received)), style);
    };
    pair("frames", Counter::frames_out, Counter::frames_in, Style::strong);
    row("bits", rate_text(8 * seen.octets_out_rate), rate_text(8 * seen.octets_in_rate), Style::strong);
    pair("segments", Counter::tcp_out, Counter::tcp_in);
    pair("SYN", Counter::tcp_syns_out, Counter::tcp_syns_in);
    pair("SYN-ACK", Counter::tcp_syn_acks_out, Counter::tcp_syn_acks_in);
    pair("FIN", Counter::tcp_fins_out, Counter::tcp_fins_in);
    pair("RST", Counter::tcp_resets_out, Counter::tcp_resets_in);
    const double again =
        seen.length_s > 0 ? static_cast<double>(load::retransmissions(seen.recent)) / seen.length_s : 0;
    panel.lines.push_back(
        {{fmt::format("{:<10}", "again"), Style::label},
         {fmt::format("{:>{}}", rate_text(again), number), again >= 0.5 ? Style::doubtful : Style::plain}});
    return panel;
}

Panel latency(const Observation& seen, std::size_t width, const Glyphs& glyphs) {
    Panel panel{width, {heading("latency in the last second", width, glyphs)}};
    struct Column {
        std::string_view name;
        double percent;
    };
    std::vector<Column> shown{{"p50", 50}, {"p99", 99}, {"max", 100}};
    if (width >= 12 + 4 * 9) shown.insert(shown.begin() + 2, Column{"p99.9", 99.9});
    if (width >= 12 + 5 * 9) shown.insert(shown.begin() + 1, Column{"p90", 90});
    Line names{{fmt::format("{:<12}", ""), Style::label}};
    for (const Column& column : shown) names.push_back({fmt::format("{:>9}", column.name), Style::label});
    panel.lines.push_back(names);
    bool any = false;
    for (const auto& [name, which] : {std::pair{"handshake", &load::LatencyHistograms::handshake},
                                      std::pair{"first byte", &load::LatencyHistograms::ttfb},
                                      std::pair{"last byte", &load::LatencyHistograms::ttlb},
                                      std::pair{"end", &load::LatencyHistograms::close},
                                      std::pair{"transaction", &load::LatencyHistograms::transaction}}) {
        const bool ever = (seen.sample.latency.*which).count() > 0;
        if (!ever) continue;
        any = true;
        const Histogram& histogram = seen.recent_latency.*which;
        Line line{{fmt::format("{:<12}", name), Style::label}};
        for (const Column& column : shown)
            line.push_back(
                {fmt::format("{:>9}", histogram.count() == 0
                                          ? std::string{"-"}
                                          : load::human_time(histogram.percentile(column.percent))),
                 column.percent < 60 ? Style::strong : Style::plain});
        panel.lines.push_back(line);
    }
    if (!any) panel.lines.push_back({{"none was measured yet", Style::label}});
    return panel;
}

Panel cores(const Observation& seen, std::size_t width, std::size_t height, const Glyphs& glyphs) {
    Panel panel{width, {heading("cores", width, glyphs)}};
    // "12 [bar] 100 %   1.23 M in   1.23 M out  gap 1.2 ms"
    const bool detailed = width >= 60;
    const std::size_t bar =
        width > 50 ? (detailed ? width - 54 : width - 24) : std::max<std::size_t>(8, width - 24);
    const std::size_t bar_width = std::clamp<std::size_t>(bar, 8, 40);
    const std::size_t room = height > 1 ? height - 1 : 1;
    for (std::size_t i = 0; i < seen.cores.size(); ++i) {
        if (i + 1 == room && seen.cores.size() > room) {
            double sum = 0;
            for (std::size_t j = i; j < seen.cores.size(); ++j) sum += seen.cores[j].busy_percent;
            panel.lines.push_back({{fmt::format("{} more, busy {:.0f} % in the mean", seen.cores.size() - i,
                                                sum / static_cast<double>(seen.cores.size() - i)),
                                    Style::label}});
            break;
        }
        const Observation::Core& core = seen.cores[i];
        const double share = std::clamp(core.busy_percent / 100, 0.0, 1.0);
        const auto full = static_cast<std::size_t>(std::lround(share * static_cast<double>(bar_width)));
        Line line{{fmt::format("{:>3} ", i), Style::label},
                  {repeated(glyphs.full, full), share > 0.95 ? Style::doubtful : Style::bar},
                  {repeated(glyphs.empty, bar_width - full), Style::label},
                  {fmt::format(" {:>3.0f} %", core.busy_percent), Style::strong}};
        if (detailed)
            line.push_back(
                {fmt::format("{:>8} in {:>8} out  gap {:>8}", rate_text(core.frames_in),
                             rate_text(core.frames_out),
                             load::human_time(static_cast<std::uint64_t>(core.longest_gap.count()))),
                 Style::plain});
        if (core.transmit_full > 0) line.push_back({" wire full", Style::doubtful});
        panel.lines.push_back(line);
    }
    return panel;
}

// The reasons that are most frequent now, then those that were.
Panel drops(const Observation& seen, std::size_t width, std::size_t height, const Glyphs& glyphs) {
    Panel panel{width, {heading("drops", width, glyphs)}};
    const runtime::Snapshot all = seen.counters();
    std::vector<std::size_t> reasons(drop_count);
    std::iota(reasons.begin(), reasons.end(), std::size_t{0});
    std::erase_if(reasons, [&](std::size_t reason) { return all.drops[reason] == 0; });
    std::ranges::stable_sort(reasons, [&](std::size_t a, std::size_t b) {
        return std::pair{seen.recent.drops[a], all.drops[a]} > std::pair{seen.recent.drops[b], all.drops[b]};
    });
    if (reasons.empty()) panel.lines.push_back({{"none", Style::good}});
    const std::size_t room = height > 1 ? height - 1 : 1;
    for (std::size_t i = 0; i < reasons.size(); ++i) {
        if (i + 1 == room && reasons.size() > room) {
            panel.lines.push_back({{fmt::format("{} reasons more", reasons.size() - i), Style::label}});
            break;
        }
        const CounterDescription& description = drop_descriptions()[reasons[i]];
        const double recent =
            seen.length_s > 0 ? static_cast<double>(seen.recent.drops[reasons[i]]) / seen.length_s : 0;
        panel.lines.push_back(
            {{fmt::format("{:>8}", count_text(all.drops[reasons[i]])), Style::strong},
             {fmt::format(" {:>9}  ", recent >= 0.5 ? rate_text(recent) + "/s" : ""), Style::doubtful},
             {std::string{description.name}, Style::plain},
             {"  " + std::string{description.sentence}, Style::label}});
    }
    return panel;
}

// -- what stands above and below

Line top(const Scene& scene, std::size_t width) {
    const Observation& seen = *scene.seen;
    const Glyphs& glyphs = glyphs_of(scene);
    std::string right = seen.state.stopping ? "stopping" : seen.state.paused ? "paused" : seen.phase;
    right += fmt::format("  {:.0f} s ", seen.t_s);
    const Style style = seen.state.stopping || seen.state.paused ? Style::doubtful : Style::good;
    const std::size_t left = width > columns(right) + 1 ? width - columns(right) - 1 : 0;
    Line line{{" runnel " + seen.facts.command, Style::title},
              {std::string{glyphs.dot} + seen.facts.what + std::string{glyphs.dot} + seen.facts.wire,
               Style::plain}};
    line = fitted(line, left);
    line.push_back({" ", Style::plain});
    line.push_back({right, style});
    return line;
}

std::vector<Line> head(const Scene& scene, std::size_t width) {
    const Observation& seen = *scene.seen;
    const Glyphs& glyphs = glyphs_of(scene);
    const Headline rate = headline(seen);
    std::string asked;
    if (seen.state.abilities.rate)
        asked = seen.state.rate ? fmt::format("asked {}/s", human_count(*seen.state.rate))
                                : std::string{"rate max"};
    const std::string number = rate_text(rate.value);
    const std::size_t fixed = 2 + columns(number) + 1 + columns(rate.name) + 2 + columns(asked) + 2;
    const std::size_t room = width > fixed ? width - fixed : 0;
    Line curve;
    {
        const std::size_t shown = std::min(scene.history.size(), room);
        const auto first = scene.history.end() - static_cast<std::ptrdiff_t>(shown);
        const double most = shown == 0 ? 0 : *std::max_element(first, scene.history.end());
        std::string text;
        for (auto at = first; at != scene.history.end(); ++at) {
            const double share = most > 0 ? *at / most : 0;
            text += glyphs.steps[static_cast<std::size_t>(std::clamp(std::lround(share * 7), 0L, 7L))];
        }
        curve = fitted({{text, Style::bar}}, room);
    }
    Line first{{"  " + number + " ", Style::strong}, {rate.name + "  ", Style::label}};
    first.insert(first.end(), curve.begin(), curve.end());
    first.push_back({asked + "  ", Style::label});

    const load::Sample& s = seen.sample;
    const std::uint64_t failed = s.refused + s.reset + s.timed_out;
    Line second{{"  open ", Style::label},        {count_text(s.open), Style::plain},
                {"  TIME-WAIT ", Style::label},   {count_text(s.time_wait), Style::plain},
                {"  established ", Style::label}, {count_text(s.totals.established), Style::plain}};
    if (seen.facts.client) {
        second.push_back({"  failed ", Style::label});
        second.push_back({count_text(failed), failed > 0 ? Style::bad : Style::good});
        if (failed > 0)
            second.push_back({fmt::format(" ({} refused, {} reset, {} timed out)", count_text(s.refused),
                                          count_text(s.reset), count_text(s.timed_out)),
                              Style::bad});
    } else {
        second.push_back({"  answered ", Style::label});
        second.push_back({count_text(s.totals.transactions), Style::plain});
    }
    return {first, second};
}

Line bottom(const Scene& scene) {
    const Observation* seen = scene.seen;
    Line line;
    const auto key = [&](std::string_view name, std::string_view what) {
        line.push_back({fmt::format(" {}", name), Style::title});
        line.push_back({fmt::format(" {} ", what), Style::label});
    };
    const bool rate = seen == nullptr || seen->state.abilities.rate;
    const bool pause = seen == nullptr || seen->state.abilities.pause;
    if (rate) key("+ -", "rate");
    if (pause) key("p", seen != nullptr && seen->state.paused ? "go on" : "pause");
    key("q", "stop");
    key("?", "help");
    if (!scene.answer.empty()) line.push_back({"  " + scene.answer, Style::doubtful});
    return line;
}

std::vector<Line> help_lines() {
    const auto key = [](std::string_view name, std::string_view what) {
        return Line{{fmt::format("   {:<7}", name), Style::title}, {std::string{what}, Style::plain}};
    };
    return {
        {{" keys", Style::title}},
        {},
        key("+  -", "the rate by a tenth more, or less"),
        key("*  /", "the rate doubled, or halved"),
        key("m", "the rate to max: as fast as connections end"),
        key("p", "pause: nothing new begins; and again: it goes on"),
        key("q", "stop: as --stop says; the summary follows"),
        key("?", "this; any key takes it away"),
        {},
        {{" Rates and percentiles are of the last second, drops and totals of the whole run.", Style::label}},
        {{" The same can be asked and told by dpdk-telemetry.py: /runnel/...", Style::label}}};
}

// Panels side by side, as high as the highest.
void put_row(std::vector<Line>& out, const std::vector<Panel>& panels) {
    std::size_t height = 0;
    for (const Panel& panel : panels) height = std::max(height, panel.lines.size());
    for (std::size_t i = 0; i < height; ++i) {
        Line line{{" ", Style::plain}};
        for (const Panel& panel : panels) {
            if (&panel != &panels.front()) line.push_back({"  ", Style::plain});
            const Line cell = fitted(i < panel.lines.size() ? panel.lines[i] : Line{}, panel.width);
            line.insert(line.end(), cell.begin(), cell.end());
        }
        out.push_back(line);
    }
}

// The panels, in at most `height` lines.
std::vector<Line> body(const Scene& scene, std::size_t width, std::size_t height) {
    const Observation& seen = *scene.seen;
    const Glyphs& glyphs = glyphs_of(scene);
    std::vector<Line> lines;
    const std::size_t inner = width - 2;
    const bool client = seen.facts.client;
    if (width >= 150) {
        const std::size_t left = 36, middle = client ? 60 : 0;
        const std::size_t right = inner - left - middle - (client ? 4 : 2);
        std::vector<Panel> row{traffic(seen, left, glyphs)};
        if (client) row.push_back(latency(seen, middle, glyphs));
        row.push_back(cores(seen, right, 10, glyphs));
        put_row(lines, row);
    } else if (width >= 76 && client) {
        const std::size_t left = 30;
        put_row(lines, {traffic(seen, left, glyphs), latency(seen, inner - left - 2, glyphs)});
    } else {
        put_row(lines, {traffic(seen, inner, glyphs)});
        if (client) {
            lines.emplace_back();
            put_row(lines, {latency(seen, inner, glyphs)});
        }
    }
    const auto left_lines = [&] { return height > lines.size() + 1 ? height - lines.size() - 1 : 0; };
    if (width < 150 && left_lines() >= 2) {
        lines.emplace_back();
        const std::size_t most = std::max<std::size_t>(2, left_lines() / 2);
        put_row(lines, {cores(seen, inner, std::min(most, seen.cores.size() + 1), glyphs)});
    }
    const std::size_t news = std::min<std::size_t>(scene.news.size(), 6);
    if (left_lines() >= 2) {
        lines.emplace_back();
        const std::size_t most = left_lines() > news + 2 && news > 0 ? left_lines() - news - 2 : left_lines();
        put_row(lines, {drops(seen, inner, std::max<std::size_t>(2, most), glyphs)});
    }
    if (news > 0 && left_lines() >= 2) {
        lines.emplace_back();
        Panel panel{inner, {heading("messages", inner, glyphs)}};
        const std::size_t shown = std::min(news, left_lines() - 1);
        for (std::size_t i = scene.news.size() - shown; i < scene.news.size(); ++i)
            panel.lines.push_back({{scene.news[i], Style::plain}});
        put_row(lines, {panel});
    }
    return lines;
}

}  // namespace

std::size_t columns(std::string_view text) noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::size_t columns(const Line& line) noexcept {
    std::size_t sum = 0;
    for (const Span& span : line) sum += columns(span.text);
    return sum;
}

Line fitted(Line line, std::size_t width) {
    const std::size_t wide = columns(line);
    if (wide < width) line.push_back({std::string(width - wide, ' '), Style::plain});
    if (wide <= width) return line;
    Line cut;
    std::size_t left = width > 2 ? width - 2 : 0;
    for (Span& span : line) {
        const std::size_t size = columns(span.text);
        if (size <= left) {
            left -= size;
            cut.push_back(std::move(span));
            continue;
        }
        std::size_t octets = 0;
        for (std::size_t seen = 0; octets < span.text.size(); ++octets)
            if ((static_cast<unsigned char>(span.text[octets]) & 0xc0) != 0x80 && ++seen > left) break;
        cut.push_back({span.text.substr(0, octets), span.style});
        break;
    }
    cut.push_back({std::string(std::min<std::size_t>(2, width), '.'), Style::label});
    return cut;
}

Headline headline(const Observation& seen) {
    if (!seen.facts.client) return {seen.tps, "requests/s"};
    if (seen.tps > seen.cps) return {seen.tps, "transactions/s"};
    if (seen.cps > 0 || seen.established_rate > 0)
        return {std::max(seen.cps, seen.sample.totals.completed == 0 ? seen.established_rate : 0),
                "connections/s"};
    if (seen.dps > 0) return {seen.dps, "datagrams/s"};
    const double octets = std::max(seen.octets_in_rate, seen.octets_out_rate);
    if (seen.sample.totals.completed == 0 && octets > 0) return {8 * octets, "bit/s"};
    return {0, "connections/s"};
}

std::vector<Line> lay_out(const Scene& scene, std::size_t width, std::size_t height) {
    std::vector<Line> lines;
    if (width < 40 || height < 10) {
        lines.push_back({{fmt::format("{} by {}: too small", width, height), Style::plain}});
    } else if (scene.help) {
        lines.emplace_back();
        for (Line& line : help_lines()) lines.push_back(std::move(line));
    } else if (scene.seen == nullptr) {
        lines.push_back({{" it begins", Style::label}});
    } else {
        lines.push_back(top(scene, width));
        for (Line& line : head(scene, width)) lines.push_back(std::move(line));
        lines.emplace_back();
        for (Line& line : body(scene, width, height - lines.size() - 1)) lines.push_back(std::move(line));
    }
    const bool footed = width >= 40 && height >= 10;
    lines.resize(footed ? height - 1 : height);
    if (footed) lines.push_back(bottom(scene));
    for (Line& line : lines) line = fitted(std::move(line), width);
    return lines;
}

}  // namespace runnel::app::live
