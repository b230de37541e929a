// One stack in virtual time, and the calls that wait for it.
//
// Time stands still but for what moves it: a sleep, a wait for the stack's next packet, a microsecond for
// each look at the clock. Where it moves, it stops at each deadline of the stack. A call that has to wait
// leaves behind how to try it again; whoever moves time tries it after each event, so that it is carried out
// at the very instant at which it can be, however late its thread wakes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <sys/types.h>

#include <rte_mempool.h>

#include "runnel/stack/stack.hpp"

namespace runnel::packetdrill {

/// What a call answers: a value, and errno where that is -1.
struct Outcome {
    ssize_t value = 0;
    int error = 0;
};
[[nodiscard]] constexpr Outcome failure(int error) {
    return {-1, error};
}

/// Tries to carry a call out. Nothing where it has to wait.
using Attempt = std::function<std::optional<Outcome>()>;

/// How long a call may wait, and what it answers then.
struct Patience {
    Instant until = never;
    Outcome late;
};

class Machine {
  public:
    Machine();
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    /// Held for every call below.
    using Lock = std::unique_lock<std::mutex>;
    [[nodiscard]] Lock lock() { return Lock{mutex_}; }

    /// Makes the stack. Throws as `Stack` does.
    void start(const StackConfig& config);
    [[nodiscard]] bool started() const { return stack_ != nullptr; }
    [[nodiscard]] Stack& stack() { return *stack_; }

    [[nodiscard]] Instant now() const { return now_; }
    /// The clock as a caller reads it: a microsecond later each time. The thread of a call that had to wait
    /// reads first the instant at which the call was carried out.
    Instant look();
    void sleep(Duration span) { advance_to(now_ + span); }

    /// Carries a call out; waits with the lock released.
    Outcome call(Lock& lock, const Attempt& attempt, const Patience& patience);
    /// As `call`, for one that never waits: answers `late` at once.
    Outcome call_now(const Attempt& attempt, Outcome late);
    /// To be called after anything that may have given the stack work.
    void settle();

    /// Gives the stack an IP packet.
    void send(std::span<const std::byte> packet);
    struct Packet {
        Instant time;
        std::vector<std::byte> octets;
    };
    /// The next IP packet that the stack sends, in time to come where need be; nothing where it never will.
    std::optional<Packet> receive();

  private:
    struct Waiting {
        const Attempt* attempt;
        Patience patience;
        std::optional<Outcome> outcome;
        Instant finished{};
    };

    bool step(Instant limit);
    void advance_to(Instant time);
    std::size_t pump();
    bool try_again();

    std::mutex mutex_;
    std::condition_variable finished_;
    rte_mempool* pool_;
    std::unique_ptr<Stack> stack_;
    Instant now_;
    std::deque<Packet> sent_;
    std::vector<Waiting*> waiting_;
    std::uint64_t moves_ = 0;  // of time
    unsigned stuck_ = 0;       // steps in which it did not move
};

}  // namespace runnel::packetdrill
