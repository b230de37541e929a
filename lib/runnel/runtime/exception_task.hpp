// Carries frames between a stack's exception path and the port behind which the kernel is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/time.hpp"
#include "runnel/port/wire.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::runtime {

/// A task of the stack's loop: a few frames each way a turn, fewer where the loop is behind, so that the
/// kernel's traffic, of which each frame may be a system call, takes no more than its share of a core. What
/// the kernel's side does not take waits in the stack's bounded queue; what our port has no room for waits in
/// the kernel.
class ExceptionTask final : public Task {
  public:
    static constexpr std::size_t burst = 32;        ///< frames each way in a turn, at most
    static constexpr std::size_t burst_behind = 4;  ///< the same where the loop is behind
    static constexpr Duration pause = 100us;        ///< after the kernel's side has refused a frame

    /// `kernel` is the port's wire for this core. Frames from there leave by `interface` of the stack.
    /// Nothing is owned, all outlives this.
    ExceptionTask(Stack& stack, port::Wire& kernel, std::uint8_t interface = 0) noexcept
        : stack_(stack), kernel_(kernel), interface_(interface) {}
    /// Frees what the kernel's side has not taken.
    ~ExceptionTask() override;

    bool poll(Instant now) noexcept override { return carry(now, burst); }
    bool poll_behind(Instant now) noexcept override { return carry(now, burst_behind); }

  private:
    bool carry(Instant now, std::size_t most) noexcept;

    Stack& stack_;
    port::Wire& kernel_;
    std::uint8_t interface_;
    Instant resume_ = Instant::min();
    std::array<rte_mbuf*, burst> held_{};  // [first, last) has not been taken by the kernel's side yet
    std::size_t first_ = 0, last_ = 0;
};

}  // namespace runnel::runtime
