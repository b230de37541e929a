// A server that answers late, by a distribution, and now and then not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/base/time.hpp"

#include "engine/behaviour.hpp"
#include "engine/distribution.hpp"
#include "engine/due_queue.hpp"

namespace runnel::load {

/// Holds answers back. A delay begins with the turn of the loop in which its request came. While the server
/// stalls nothing is let go; what has become due meanwhile goes when the stall is over. One owner thread;
/// allocates nothing up to the number that it was made for.
template <class Item>
class Delays {
  public:
    /// `capacity`: answers held back at once.
    Delays(const ServerBehaviour& behaviour, std::size_t capacity, std::uint64_t seed)
        : stall_(behaviour.stall), draws_(behaviour.delay, seed), queue_(capacity) {
        fresh_.reserve(capacity);
    }

    void hold(const Item& item) { fresh_.push_back(item); }

    /// To be called once a turn: `answer(item)` for each whose time has come. Returns whether there was any.
    template <class Answer>
    bool poll(Instant now, Answer&& answer) {
        if (!started_) begin_ = now, started_ = true;
        for (const Item& item : fresh_) queue_.push(now + draws_.next_time(), item);
        fresh_.clear();
        if (stalled(now)) return false;
        bool any = false;
        for (; queue_.due(now); any = true) answer(queue_.pop().item);
        return any;
    }

  private:
    [[nodiscard]] bool stalled(Instant now) const noexcept {
        if (stall_.length == Duration{}) return false;
        const Duration since = now - begin_;
        return since >= stall_.every && since % stall_.every < stall_.length;
    }

    Stall stall_;
    Draws draws_;
    DueQueue<Item> queue_;
    std::vector<Item> fresh_;  // of this turn
    Instant begin_{};
    bool started_ = false;
};

}  // namespace runnel::load
