// Handlers by a 16-bit index, which is what a TCB has room for.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "runnel/tcp/connection.hpp"

namespace runnel::tcp {

/// Up to 65,535 handlers in use at once, counted by the connections and listeners that name them.
class HandlerTable {
  public:
    static constexpr std::uint16_t none = 0xffff;

    /// The index of the handler, with one more user; `none` where the table is full. Allocates only where the
    /// handler is new: a process with a bounded number of handlers allocates at start alone.
    std::uint16_t acquire(Handler* handler) {
        if (last_ < entries_.size() && entries_[last_].handler == handler) [[likely]] {
            ++entries_[last_].users;
            return last_;
        }
        if (const auto known = index_of_.find(handler); known != index_of_.end()) {
            last_ = known->second;
        } else if (entries_.size() < none) {
            last_ = static_cast<std::uint16_t>(entries_.size());
            entries_.push_back({handler, 0});
            index_of_.emplace(handler, last_);
        } else {
            std::uint16_t unused = 0;
            while (unused < none && entries_[unused].users != 0) ++unused;
            if (unused == none) return none;
            index_of_.erase(entries_[unused].handler);
            last_ = unused;
            entries_[unused].handler = handler;
            index_of_.emplace(handler, unused);
        }
        ++entries_[last_].users;
        return last_;
    }
    void release(std::uint16_t index) noexcept { --entries_[index].users; }
    void add_user(std::uint16_t index) noexcept { ++entries_[index].users; }

    [[nodiscard]] Handler& operator[](std::uint16_t index) const noexcept { return *entries_[index].handler; }

  private:
    struct Entry {
        Handler* handler;
        std::uint32_t users;
    };
    std::vector<Entry> entries_;
    std::unordered_map<Handler*, std::uint16_t> index_of_;
    std::uint16_t last_ = none;
};

}  // namespace runnel::tcp
