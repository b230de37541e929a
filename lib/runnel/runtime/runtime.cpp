#include "runnel/runtime/runtime.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ranges>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include <rte_launch.h>
#include <rte_lcore.h>

namespace runnel::runtime {

namespace {

enum class Phase : std::uint8_t { preparing, prepared, failed, running, ended };
enum class Order : std::uint8_t { wait, run, abandon };

/// Blocks, without spinning: the control thread may share its CPU with the worker that it waits for.
Phase wait_until_not(const std::atomic<Phase>& phase, Phase while_it_is) noexcept {
    phase.wait(while_it_is, std::memory_order_acquire);
    return phase.load(std::memory_order_acquire);
}

}  // namespace

struct Runtime::Worker {
    Worker(unsigned core, unsigned on, const PollLoopOptions& options, const Clock& clock)
        : index(core), lcore(on), loop_options(options), shared_clock(clock) {}

    void work() noexcept {
        try {
            Core core{index, lcore, static_cast<int>(rte_lcore_to_socket_id(lcore)), *loop};
            instance = (*factory)(core);
        } catch (...) {
            failure = std::current_exception();
        }
        tell(failure ? Phase::failed : Phase::prepared);
        order.wait(Order::wait, std::memory_order_acquire);
        if (order.load(std::memory_order_acquire) == Order::run) loop->run();
        tell(Phase::ended);
    }
    void tell(Phase news) noexcept {
        phase.store(news, std::memory_order_release);
        phase.notify_all();
    }
    void give(Order what) noexcept {
        order.store(what, std::memory_order_release);
        order.notify_all();
    }
    /// A fresh loop: one that has stopped does not run again.
    void reset(const Factory& make) {
        instance.reset();
        failure = nullptr;
        loop = std::make_unique<PollLoop>(loop_options, shared_clock);
        factory = &make;
        phase.store(Phase::preparing, std::memory_order_relaxed);
        order.store(Order::wait, std::memory_order_relaxed);
    }

    const unsigned index, lcore;
    const PollLoopOptions loop_options;
    const Clock shared_clock;
    const Factory* factory = nullptr;
    std::unique_ptr<PollLoop> loop;
    std::unique_ptr<CoreInstance> instance;  // after the loop: destroyed before it
    std::exception_ptr failure;
    std::atomic<Phase> phase{Phase::ended};
    std::atomic<Order> order{Order::wait};
};

Runtime::Runtime(Eal& eal, const PollLoopOptions& options) : Runtime(eal.workers(), options) {}

Runtime::Runtime(const std::vector<unsigned>& lcores, const PollLoopOptions& options)
    : drain_(options.drain) {
    validate(options);
    if (lcores.empty())
        throw std::invalid_argument("runtime: no lcore to run on; start EAL with one worker or more");
    for (const unsigned lcore : lcores) {
        const bool worker =
            lcore < RTE_MAX_LCORE && rte_lcore_is_enabled(lcore) != 0 && lcore != rte_get_main_lcore();
        if (!worker || rte_eal_get_lcore_state(lcore) != WAIT) {
            throw std::invalid_argument(fmt::format(
                "runtime: lcore {} is not a worker that waits; give lcores of EAL that do nothing yet",
                lcore));
        }
        cores_.push_back(std::make_unique<Worker>(core_count(), lcore, options, clock_));
    }
}

Runtime::~Runtime() {
    stop();
    for (auto& core : std::views::reverse(cores_)) core->instance.reset();
}

int Runtime::run_worker(void* worker) {
    static_cast<Worker*>(worker)->work();
    return 0;
}

void Runtime::start(const Factory& factory) {
    if (running_) throw std::logic_error("runtime: it runs already; stop it first");
    std::exception_ptr failure;
    std::size_t launched = 0;
    for (auto& core : cores_) {
        core->reset(factory);
        if (const int error = rte_eal_remote_launch(run_worker, core.get(), core->lcore); error != 0) {
            failure = std::make_exception_ptr(std::runtime_error(
                fmt::format("runtime: lcore {} cannot be launched: it is busy", core->lcore)));
            break;
        }
        ++launched;
    }
    const auto begun = std::views::take(cores_, static_cast<std::ptrdiff_t>(launched));
    for (auto& core : begun) {
        if (wait_until_not(core->phase, Phase::preparing) == Phase::failed && !failure)
            failure = core->failure;
    }
    for (auto& core : begun) core->give(failure ? Order::abandon : Order::run);
    if (!failure) {
        running_ = true;
        return;
    }
    for (auto& core : begun) join(*core);
    for (auto& core : std::views::reverse(cores_)) core->instance.reset();
    std::rethrow_exception(failure);
}

void Runtime::join(Worker& core) noexcept {
    for (Phase phase = core.phase.load(std::memory_order_acquire); phase != Phase::ended;)
        phase = wait_until_not(core.phase, phase);
    rte_eal_wait_lcore(core.lcore);
}

void Runtime::stop() {
    if (!running_) return;
    for (auto& core : cores_) core->loop->drain();
    // One core's connections end on another: all turn on until all have drained.
    const auto all_drained = [&] {
        return std::ranges::all_of(cores_, [](auto& core) { return core->loop->drained(); });
    };
    const auto until = std::chrono::steady_clock::now() + drain_;
    while (!all_drained() && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    for (auto& core : cores_) core->loop->stop();
    for (auto& core : cores_) join(*core);
    running_ = false;
}

CoreInstance* Runtime::instance(unsigned core) noexcept {
    return cores_[core]->instance.get();
}

CoreReport Runtime::report(unsigned core) noexcept {
    LoopStatistics& statistics = cores_[core]->loop->statistics();
    return {statistics.read(), clock_.duration(statistics.take_longest_gap())};
}

bool Runtime::post(unsigned core, const Call& function) {
    if (running_) return cores_[core]->loop->post(function);
    function();
    return true;
}

void Runtime::call(unsigned core, const Call& function) {
    // Shared with the core, which still notifies when the caller may have gone on.
    const auto done = std::make_shared<std::atomic<bool>>(false);
    const Call signalling = [&function, done] {
        function();
        done->store(true, std::memory_order_release);
        done->notify_one();
    };
    while (!post(core, signalling)) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    done->wait(false, std::memory_order_acquire);
}

}  // namespace runnel::runtime
