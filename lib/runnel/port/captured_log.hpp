// What DPDK prints while something is being made: kept, so that an error can give the cause in its own words.
#pragma once

#include <cstdio>
#include <string>

namespace runnel::port {

/// From construction on, DPDK's log lines go here and not to the console; one at a time in a process, at
/// set-up, from the control thread. What is not asked for is discarded: drivers print about what they can do
/// without.
class CapturedLog {
  public:
    CapturedLog();
    ~CapturedLog();
    CapturedLog(const CapturedLog&) = delete;
    CapturedLog& operator=(const CapturedLog&) = delete;

    /// All that was printed, in one line. Lines that follow go to the console again.
    [[nodiscard]] std::string text();

  private:
    void release() noexcept;

    std::FILE* previous_;
    char* text_ = nullptr;
    std::size_t size_ = 0;
    std::FILE* stream_;
};

}  // namespace runnel::port
