// Lines of a log for what stacks tell of their addresses.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <boost/lockfree/queue.hpp>

#include "runnel/ip/address_events.hpp"

namespace runnel::app {

/// Takes what the stacks of any cores tell, which never wait, and prints a line for each on the control
/// thread; of what several cores tell alike one.
class AddressLog final : public ip::AddressObserver {
  public:
    explicit AddressLog(std::FILE* out) : out_(out) {}
    /// Prints what is left.
    ~AddressLog() override { print(); }

    void address(const ip::AddressEvent& event) noexcept override;
    /// Prints what has come since the last call. The control thread only.
    void print();

  private:
    std::FILE* out_;
    boost::lockfree::queue<ip::AddressEvent, boost::lockfree::capacity<1024>> events_;
    std::atomic<std::uint64_t> lost_{0};
    std::vector<ip::AddressEvent> told_;  // the last ones, of each address one
};

}  // namespace runnel::app
