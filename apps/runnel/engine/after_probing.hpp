// A client that waits until its stack may use its addresses.
#pragma once

#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::load {

/// Stands in the loop in place of another task, which is called for the first time when no address is being
/// probed for any more. One owner thread.
class AfterProbing final : public runtime::Task {
  public:
    /// Neither is owned; both outlive the loop's last turn.
    AfterProbing(const Stack& stack, runtime::Task& task) noexcept : stack_(stack), task_(task) {}

    bool poll(Instant now) noexcept override { return may_begin() && task_.poll(now); }
    bool poll_behind(Instant now) noexcept override { return may_begin() && task_.poll_behind(now); }
    void begin_drain(Instant now) noexcept override { task_.begin_drain(now); }
    [[nodiscard]] bool drained() const noexcept override { return task_.drained(); }

  private:
    [[nodiscard]] bool may_begin() noexcept {
        if (!begun_) [[unlikely]]
            begun_ = !stack_.probes_addresses();
        return begun_;
    }

    const Stack& stack_;
    runtime::Task& task_;
    bool begun_ = false;
};

}  // namespace runnel::load
