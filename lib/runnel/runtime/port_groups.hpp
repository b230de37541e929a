// Which multicast groups a port lets in: those that the stacks of its cores are members of, where the device
// can tell them apart (RFC 1112 section 7.3).
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"
#include "runnel/port/port.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::runtime {

/// Who is told which groups a core wants to hear.
class GroupFilter {
  public:
    GroupFilter() = default;
    virtual ~GroupFilter() = default;
    GroupFilter(const GroupFilter&) = delete;
    GroupFilter& operator=(const GroupFilter&) = delete;

    /// What the stack of a core wants from now on; nothing: all groups. From any thread: it waits for others
    /// who tell at the same time, and may take as long as the device does.
    virtual void tell(unsigned core, std::optional<std::vector<MacAddress>> groups) = 0;
};

/// The port's filter, and what each core has told of it. Until all have told, and where one wants all groups,
/// the port lets all in.
class PortGroups final : public GroupFilter {
  public:
    /// `port` is not owned and outlives this.
    PortGroups(port::Port& port, unsigned cores) : port_(port), wanted_(cores) {}

    void tell(unsigned core, std::optional<std::vector<MacAddress>> groups) override;

  private:
    port::Port& port_;
    std::mutex mutex_;
    std::vector<std::optional<std::vector<MacAddress>>> wanted_;  // by core
};

/// A task of a core's loop: tells when its stack has joined or left groups. The device may take long over
/// it, and no packet is processed meanwhile: what changes within `interval` is told at once.
class GroupTask final : public Task {
  public:
    static constexpr Duration interval = 100ms;

    /// Neither is owned; both outlive the loop's last turn.
    GroupTask(GroupFilter& groups, unsigned core, Stack& stack) noexcept
        : groups_(groups), core_(core), stack_(stack) {}

    bool poll(Instant now) noexcept override {
        const std::uint32_t epoch = stack_.groups_epoch();
        if (told_ == epoch || now < next_) [[likely]]
            return false;
        told_ = epoch;
        next_ = now + interval;
        groups_.tell(core_, stack_.link_groups());
        return true;
    }

  private:
    GroupFilter& groups_;
    unsigned core_;
    Stack& stack_;
    std::optional<std::uint32_t> told_;
    Instant next_ = Instant::min();
};

}  // namespace runnel::runtime
