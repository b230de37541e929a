// The view of a run as lines of styled text, for a terminal of any size: what it says, not how it gets there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "engine/observation.hpp"

namespace runnel::app::live {

enum class Style : std::uint8_t { plain, title, label, strong, good, doubtful, bad, bar };

struct Span {
    std::string text;  ///< UTF-8, every character one column wide
    Style style = Style::plain;
};
using Line = std::vector<Span>;

/// Columns that a text takes: its characters.
[[nodiscard]] std::size_t columns(std::string_view text) noexcept;
[[nodiscard]] std::size_t columns(const Line& line) noexcept;
/// As many columns exactly: cut (with an ellipsis where it was longer), or filled with blanks.
[[nodiscard]] Line fitted(Line line, std::size_t width);

struct Scene {
    const load::Observation* seen = nullptr;  ///< null: nothing yet
    std::deque<double> history;               ///< the rate that the run is about, of the last observations
    std::string answer;                       ///< what the last key was answered
    std::vector<std::string> news;            ///< lines of a log, the latest last
    bool help = false;
    bool plain_text = false;  ///< no other characters than those of ASCII
};

/// The rate that a run is about, a second, and its name.
struct Headline {
    double value = 0;
    std::string name;
};
[[nodiscard]] Headline headline(const load::Observation& seen);

/// `height` lines of `width` columns each. Below 40 columns or 10 lines it says that there is too little
/// room.
[[nodiscard]] std::vector<Line> lay_out(const Scene& scene, std::size_t width, std::size_t height);

}  // namespace runnel::app::live
