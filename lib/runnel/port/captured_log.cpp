#include "runnel/port/captured_log.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <rte_log.h>

namespace runnel::port {

CapturedLog::CapturedLog() : previous_(rte_log_get_stream()), stream_(open_memstream(&text_, &size_)) {
    if (stream_ != nullptr) rte_openlog_stream(stream_);
}

CapturedLog::~CapturedLog() {
    release();
    std::free(text_);
}

std::string CapturedLog::text() {
    release();
    std::string_view rest = text_ != nullptr ? std::string_view{text_, size_} : std::string_view{};
    std::string line, previous;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size() - 1);
        const std::string current{rest.substr(0, rest[end] == '\n' ? end : end + 1)};
        rest.remove_prefix(end + 1);
        if (current.empty() || current == previous) continue;  // EAL says some things twice
        line += (line.empty() ? "" : "; ") + current;
        previous = current;
    }
    return line;
}

void CapturedLog::release() noexcept {
    if (stream_ == nullptr) return;
    rte_openlog_stream(previous_);
    std::fclose(stream_);
    stream_ = nullptr;
}

}  // namespace runnel::port
