// Lines that are printed while a view has the terminal: kept, shown in it, and printed when it is gone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace runnel::app::live {

/// All calls from any thread but an lcore.
class News {
  public:
    News();
    ~News();
    News(const News&) = delete;
    News& operator=(const News&) = delete;

    /// Prints into the news; owned by them.
    [[nodiscard]] std::FILE* file() noexcept { return file_; }
    /// The latest whole lines, oldest first.
    [[nodiscard]] std::vector<std::string> latest(std::size_t most) const;
    /// Prints all that was kept, and forgets it. The oldest lines are lost where there were very many; that
    /// is said.
    void print(std::FILE* out);

    static constexpr std::size_t most_lines = 2000;

  private:
    void take(std::string_view text);

    mutable std::mutex mutex_;
    std::deque<std::string> lines_;
    std::string unfinished_;
    std::uint64_t lost_ = 0;
    std::FILE* file_;
};

}  // namespace runnel::app::live
