// SIGINT and SIGTERM as something that is asked for, not something that interrupts.
#pragma once

#include <csignal>
#include <ctime>

namespace runnel::app {

/// Blocks both signals for this thread and for all that it starts afterwards: to be made first.
class Signals {
  public:
    Signals() noexcept {
        sigemptyset(&set_);
        sigaddset(&set_, SIGINT);
        sigaddset(&set_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    }

    /// Whether one has come since this was last asked.
    [[nodiscard]] bool arrived() const noexcept { return wait(0); }
    /// Waits up to so many milliseconds for one.
    [[nodiscard]] bool wait(long milliseconds) const noexcept {
        const std::timespec limit{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
        return sigtimedwait(&set_, nullptr, &limit) > 0;
    }

  private:
    sigset_t set_{};
};

}  // namespace runnel::app
