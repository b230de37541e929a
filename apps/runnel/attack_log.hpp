// Lines of a log for what stacks tell of attacks.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>

#include <boost/lockfree/queue.hpp>

#include "runnel/tcp/attack.hpp"

namespace runnel::app {

/// Takes episodes from the stacks of any cores, which never wait, and prints a line for each on the control
/// thread.
class AttackLog final : public tcp::Observer {
  public:
    explicit AttackLog(std::FILE* out) : out_(out) {}
    /// Prints what is left.
    ~AttackLog() override { print(); }

    void attack(const tcp::AttackEpisode& episode) noexcept override;
    /// Prints what has come since the last call. The control thread only.
    void print();

  private:
    std::FILE* out_;
    boost::lockfree::queue<tcp::AttackEpisode, boost::lockfree::capacity<1024>> episodes_;
    std::atomic<std::uint64_t> lost_{0};
};

}  // namespace runnel::app
