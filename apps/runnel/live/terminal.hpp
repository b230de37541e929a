// The whole terminal for a while, by ncurses; given back as it was, however the process ends.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "live/layout.hpp"

namespace runnel::app::live {

/// One a process at a time; all calls on one thread. ncurses and the terminal are state of the process, which
/// is why its parts lie in the source of this class and nowhere else.
class Terminal {
  public:
    /// Whether there is one that a view can have: standard input and output are a terminal that can be
    /// written to anywhere.
    [[nodiscard]] static bool there();

    /// Throws `std::runtime_error` where there is none.
    Terminal();
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    [[nodiscard]] std::size_t width() const noexcept;
    [[nodiscard]] std::size_t height() const noexcept;
    /// Whether characters beyond ASCII are shown.
    [[nodiscard]] bool speaks_utf8() const noexcept { return utf8_; }

    struct Key {
        char character = 0;    ///< 0: none was pressed
        bool resized = false;  ///< the terminal has another size now
    };
    /// Waits for a key so long at most.
    [[nodiscard]] Key wait(std::chrono::milliseconds most);
    void draw(const std::vector<Line>& lines);

  private:
    bool utf8_ = false;
    bool colours_ = false;
};

}  // namespace runnel::app::live
