// See chart.hpp.
#include "results/chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace runnel::results {
namespace {

// In the units of the drawing.
constexpr double width = 520, height = 250;
constexpr double left = 64, right = 16, top = 10, bottom = 38;

// Where the percentile lies on its axis: 90 at 1, 99 at 2. 100 is at no end: `most` stands for it.
double nines(double percentile, double most) {
    return percentile >= 100 ? most : std::min(most, -std::log10(1 - percentile / 100));
}

std::string short_number(double value) {
    constexpr std::array suffixes{std::pair{1e12, " T"}, std::pair{1e9, " G"}, std::pair{1e6, " M"},
                                  std::pair{1e3, " k"}};
    for (const auto& [scale, suffix] : suffixes)
        if (std::abs(value) >= scale) return fmt::format("{:.4g}{}", value / scale, suffix);
    return fmt::format("{:.4g} ", value);
}

// 1, 2 or 5 times a power of ten, so that `range` has about `wanted` of them.
double step_of(double range, int wanted) {
    const double rough = range / wanted;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (rough <= factor * power) return factor * power;
    return 10 * power;
}

struct Axis {
    double low = 0, high = 1;
    std::vector<double> ticks;
};

Axis linear(double most, int wanted) {
    Axis axis;
    if (most <= 0) most = 4;  // nothing happened: counts that are whole
    const double step = step_of(most, wanted);
    axis.high = std::ceil(most / step - 1e-9) * step;
    for (int i = 0; i * step <= axis.high + step / 2; ++i) axis.ticks.push_back(i * step);
    return axis;
}

Axis logarithmic(double least, double most) {
    Axis axis{std::pow(10, std::floor(std::log10(least))), std::pow(10, std::ceil(std::log10(most))), {}};
    if (axis.high <= axis.low) axis.high = axis.low * 10;
    const bool few = axis.high / axis.low < 150;
    for (double decade = axis.low; decade <= axis.high * 1.01; decade *= 10)
        for (const double factor : {1.0, 2.0, 5.0})
            if ((factor == 1 || few) && decade * factor <= axis.high * 1.01)
                axis.ticks.push_back(decade * factor);
    return axis;
}

// Beside an axis there is little room: what the numbers are says the caption.
std::string axis_mark(double value, Scale scale) {
    return marked(value, scale == Scale::bits ? Scale::count : scale);
}

std::string percentile_name(double percentile) {
    return percentile >= 100 ? "max" : fmt::format("{:.7g} %", percentile);
}

class Drawing {
  public:
    explicit Drawing(const Chart& chart) : chart_(chart) {
        double least = std::numeric_limits<double>::max(), most = 0, last_x = 0;
        for (const Series& series : chart.series)
            for (const auto& [x, y] : series.points) {
                if (y > 0) least = std::min(least, y);
                most = std::max(most, y);
                last_x = std::max(last_x, x < 100 || chart.x != Scale::percentile ? x : 0.0);
            }
        log_ = chart.logarithmic && most > 0;
        y_ = log_ ? logarithmic(least, most) : linear(most, 4);
        if (chart.x == Scale::percentile) {
            x_.high = std::max(1.0, std::ceil(nines(last_x, 12) + 0.01));
            for (double n = 0; n < x_.high; n += 1) x_.ticks.push_back(100 - 100 * std::pow(10, -n));
            x_.ticks.push_back(100);
        } else {
            x_ = linear(last_x, 6);
            x_.high = std::max(last_x, 1e-9);
            std::erase_if(x_.ticks, [&](double t) { return t > x_.high * 1.001; });
        }
    }

    [[nodiscard]] double x_of(double x) const {
        const double at = chart_.x == Scale::percentile ? nines(x, x_.high) / x_.high : x / x_.high;
        return left + at * (width - left - right);
    }
    [[nodiscard]] double y_of(double y) const {
        const double share = log_ ? (std::log10(std::max(y, y_.low)) - std::log10(y_.low)) /
                                        (std::log10(y_.high) - std::log10(y_.low))
                                  : y / y_.high;
        return height - bottom - share * (height - top - bottom);
    }

    [[nodiscard]] std::string svg() const {
        std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", width,
                                      height, escaped(chart_.title));
        for (const double tick : y_.ticks) {
            out += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", left,
                               width - right, y_of(tick), y_of(tick));
            out += fmt::format("<text class=\"tick y\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{}</text>",
                               left - 7, y_of(tick), axis_mark(tick, chart_.y));
        }
        for (std::size_t i = 0; i < x_.ticks.size(); ++i) {
            const double tick = x_.ticks[i], x = x_of(tick);
            const bool spare = (x_.ticks.size() - 1 - i) % 2 == 1;
            out += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>", x, x,
                               height - bottom, height - bottom + 4);
            out +=
                fmt::format("<text class=\"tick{}\" text-anchor=\"{}\" x=\"{:.1f}\" y=\"{}\">{}</text>",
                            spare ? " spare" : "", x > width - right - 12 ? "end" : "middle",
                            std::min(x, width - 2), height - bottom + 18,
                            chart_.x == Scale::percentile ? percentile_name(tick) : marked(tick, chart_.x));
        }
        out += fmt::format("<line class=\"axis\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>", left,
                           width - right, height - bottom);
        for (const Series& series : chart_.series) {
            if (series.points.size() == 1) {
                const auto& [x, y] = series.points.front();
                out += fmt::format("<circle class=\"dot {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>",
                                   series.style, x_of(x), y_of(y));
                continue;
            }
            out += fmt::format("<polyline class=\"line {}\" points=\"", series.style);
            for (const auto& [x, y] : series.points) out += fmt::format("{:.1f},{:.1f} ", x_of(x), y_of(y));
            out.back() = '"';
            out += "/>";
        }
        out += fmt::format("<line class=\"cursor\" x1=\"0\" x2=\"0\" y1=\"{}\" y2=\"{}\"/></svg>", top,
                           height - bottom);
        return out;
    }

    // What the script that follows the pointer reads: for each x of any series its place, its name and each
    // series' value there.
    [[nodiscard]] std::string hover_data() const {
        std::vector<double> xs;
        for (const Series& series : chart_.series)
            for (const auto& point : series.points) xs.push_back(point.first);
        std::ranges::sort(xs);
        xs.erase(std::unique(xs.begin(), xs.end()), xs.end());
        nlohmann::json data = nlohmann::json::array();
        for (const double x : xs) {
            nlohmann::json values = nlohmann::json::array();
            for (const Series& series : chart_.series) {
                // Of a distribution: the last step at or below; of a course: the very point.
                const auto after =
                    std::ranges::upper_bound(series.points, x, {}, &std::pair<double, double>::first);
                const bool there = after != series.points.begin() &&
                                   (chart_.x == Scale::percentile || std::prev(after)->first == x);
                values.push_back(there ? marked(std::prev(after)->second, chart_.y) : "");
            }
            data.push_back({std::round(x_of(x) * 10) / 10,
                            chart_.x == Scale::percentile ? percentile_name(x) : marked(x, chart_.x),
                            values});
        }
        return data.dump();
    }

  private:
    const Chart& chart_;
    bool log_ = false;
    Axis x_, y_;
};

}  // namespace

std::string marked(double value, Scale scale) {
    switch (scale) {
        case Scale::count: {
            std::string text = short_number(value);
            if (text.back() == ' ') text.pop_back();
            return text;
        }
        case Scale::bits:
            return short_number(value) + "bit/s";
        case Scale::seconds:
            return fmt::format("{:.4g} s", value);
        case Scale::latency:
            return value == 0    ? "0"
                   : value < 1   ? fmt::format("{:.3g} ns", value * 1e3)
                   : value < 1e3 ? fmt::format("{:.3g} us", value)
                   : value < 1e6 ? fmt::format("{:.3g} ms", value / 1e3)
                                 : fmt::format("{:.3g} s", value / 1e6);
        case Scale::percentile:
            break;
    }
    return percentile_name(value);
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string to_html(const Chart& chart) {
    const bool empty = std::ranges::all_of(chart.series, [](const Series& s) { return s.points.empty(); });
    if (empty) return {};
    std::string out = fmt::format("<figure class=\"chart\"><figcaption><b>{}</b>", escaped(chart.title));
    if (!chart.caption.empty()) out += fmt::format(" <span>{}</span>", escaped(chart.caption));
    out += "</figcaption>";
    if (chart.series.size() > 1) {
        out += "<div class=\"legend\">";
        for (const Series& series : chart.series)
            out += fmt::format("<span><i class=\"{}\"></i>{}</span>", series.style, escaped(series.name));
        out += "</div>";
    }
    const Drawing drawing(chart);
    nlohmann::json names = nlohmann::json::array();
    for (const Series& series : chart.series) names.push_back(series.name);
    out += fmt::format(
        "<div class=\"plot\" data-names=\"{}\" data-points=\"{}\">{}<div class=\"tip\" hidden></div></div>",
        escaped(names.dump()), escaped(drawing.hover_data()), drawing.svg());
    return out + "</figure>\n";
}

}  // namespace runnel::results
