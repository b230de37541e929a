// Tier 2: lcores with one poll loop each, and on each what the application's factory makes (DESIGN.md, the
// face).
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "runnel/runtime/clock.hpp"
#include "runnel/runtime/eal.hpp"
#include "runnel/runtime/poll_loop.hpp"

namespace runnel::runtime {

/// What the application keeps on a core: its stacks, tasks and tables. Made on that core's thread, destroyed
/// by the control thread after the loop has ended; until then only what is made for it (counters, statistics)
/// may be read from elsewhere.
class CoreInstance {
  public:
    CoreInstance() = default;
    virtual ~CoreInstance() = default;
    CoreInstance(const CoreInstance&) = delete;
    CoreInstance& operator=(const CoreInstance&) = delete;
};

/// Where an instance is made.
struct Core {
    unsigned index;   ///< 0 to the number of cores less one
    unsigned lcore;   ///< EAL's number of it
    int numa_socket;  ///< for allocations that are to be near
    PollLoop& loop;   ///< the factory adds its stacks with their wires, and its tasks
};

/// Makes what runs on a core, and adds it to the core's loop. Runs on the core's thread, on all cores at
/// once; what it throws, `Runtime::start` throws.
using Factory = std::function<std::unique_ptr<CoreInstance>(Core& core)>;

struct CoreReport {
    LoopStatistics::Values values;
    Duration longest_gap;  ///< between two turns of the loop, since the report before
};

/// Runs a loop on each worker of an `Eal`. All calls from the thread that made the `Eal`: the control thread,
/// which is free for progress lines and should mostly sleep.
class Runtime {
  public:
    /// `eal` is not owned and outlives the runtime.
    Runtime(Eal& eal, const PollLoopOptions& options);
    /// Lcores that EAL knows and that wait for work: for who has started EAL himself. Throws
    /// `std::invalid_argument` where one is not a waiting worker.
    Runtime(const std::vector<unsigned>& lcores, const PollLoopOptions& options);
    /// Stops, then destroys the instances.
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    /// Has the factory make an instance on each core, waits for all, then sets the loops going at once. Where
    /// one throws, no loop runs, what was made is destroyed, and the exception (the first by core) is thrown
    /// here.
    void start(const Factory& factory);
    /// Has every task begin nothing new, waits until all tasks of all cores have drained or
    /// `PollLoopOptions::drain` is over, then ends the loops. Does nothing where none runs.
    void stop();
    [[nodiscard]] bool running() const noexcept { return running_; }

    [[nodiscard]] unsigned core_count() const noexcept { return static_cast<unsigned>(cores_.size()); }
    /// Null before `start`.
    [[nodiscard]] CoreInstance* instance(unsigned core) noexcept;
    /// While the loop runs, or after.
    [[nodiscard]] CoreReport report(unsigned core) noexcept;
    /// The clock that all loops share: an instant of one core means the same on another, and here.
    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }

    /// Has a core run a function between two turns, and waits until it has. Where no loop runs, the caller
    /// runs it.
    void call(unsigned core, const Call& function);
    /// The same without waiting; false where that core's mailbox is full.
    [[nodiscard]] bool post(unsigned core, const Call& function);

  private:
    struct Worker;
    static int run_worker(void* worker);
    static void join(Worker& core) noexcept;

    Clock clock_;
    Duration drain_;
    std::vector<std::unique_ptr<Worker>> cores_;
    bool running_ = false;
};

}  // namespace runnel::runtime
