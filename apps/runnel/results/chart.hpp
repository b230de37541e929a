// Line charts as inline SVG, with the figures beside them for a pointer that hovers. No script draws them: a
// page without scripts shows all but the hovering.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace runnel::results {

/// What an axis is marked with.
enum class Scale {
    count,       ///< 1.2 M
    bits,        ///< 1.2 Gbit/s
    seconds,     ///< 12 s
    latency,     ///< microseconds, shown as us, ms or s
    percentile,  ///< 0 to 100, each tenfold nearer to 100 as wide as the one before (HDR histograms)
};

struct Series {
    std::string name;
    std::string_view style;  ///< class in the page's style: "s1" to "s3", or "p1" to "p5" of a ramp
    std::vector<std::pair<double, double>> points;  ///< ascending in x
};

struct Chart {
    std::string title;
    std::string caption;  ///< what is shown, in a line
    Scale x = Scale::seconds;
    Scale y = Scale::count;
    bool logarithmic = false;  ///< of y
    std::vector<Series> series;
};

/// A figure element of HTML; empty where no series has a point.
[[nodiscard]] std::string to_html(const Chart& chart);

/// "1.2 M", "350 us": as marked on an axis and shown when hovering.
[[nodiscard]] std::string marked(double value, Scale scale);

/// Text that HTML takes as text.
[[nodiscard]] std::string escaped(std::string_view text);

}  // namespace runnel::results
