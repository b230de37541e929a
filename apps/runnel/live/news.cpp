// See news.hpp.
#include "live/news.hpp"

#include <stdexcept>

#include <fmt/format.h>

namespace runnel::app::live {

News::News() {
    cookie_io_functions_t calls{};
    calls.write = [](void* self, const char* octets, std::size_t size) -> ssize_t {
        static_cast<News*>(self)->take({octets, size});
        return static_cast<ssize_t>(size);
    };
    file_ = fopencookie(this, "w", calls);
    if (file_ == nullptr) throw std::runtime_error("the view: no memory for its messages");
    std::setvbuf(file_, nullptr, _IOLBF, BUFSIZ);
}

News::~News() {
    std::fclose(file_);
}

void News::take(std::string_view text) {
    const std::lock_guard lock(mutex_);
    for (const char c : text) {
        if (c != '\n') {
            if (unfinished_.size() < 1000) unfinished_ += c;
            continue;
        }
        if (lines_.size() == most_lines) {
            lines_.pop_front();
            ++lost_;
        }
        lines_.push_back(std::move(unfinished_));
        unfinished_.clear();
    }
}

std::vector<std::string> News::latest(std::size_t most) const {
    const std::lock_guard lock(mutex_);
    const std::size_t count = std::min(most, lines_.size());
    return {lines_.end() - static_cast<std::ptrdiff_t>(count), lines_.end()};
}

void News::print(std::FILE* out) {
    std::fflush(file_);
    const std::lock_guard lock(mutex_);
    if (lost_ > 0) fmt::print(out, "({} lines before these are not shown)\n", lost_);
    for (const std::string& line : lines_) fmt::print(out, "{}\n", line);
    lines_.clear();
    lost_ = 0;
    std::fflush(out);
}

}  // namespace runnel::app::live
