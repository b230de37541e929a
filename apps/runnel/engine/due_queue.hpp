// What is to be done with connections later: a think time that ends, a response that is held back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "runnel/base/time.hpp"

#include "engine/distribution.hpp"

namespace runnel::load {

/// Items in the order of their times; those of one time in any order. One owner thread; allocates nothing up
/// to the number that it was made for.
template <class Item>
class DueQueue {
  public:
    struct Entry {
        Instant at{};
        Item item{};
    };

    explicit DueQueue(std::size_t capacity = 0) { entries_.reserve(capacity); }

    void push(Instant at, const Item& item) {
        entries_.push_back({at, item});
        std::ranges::push_heap(entries_, std::ranges::greater{}, &Entry::at);
    }
    [[nodiscard]] bool due(Instant now) const noexcept { return !entries_.empty() && entries_[0].at <= now; }
    /// The first of them; only where one is there.
    Entry pop() noexcept {
        std::ranges::pop_heap(entries_, std::ranges::greater{}, &Entry::at);
        const Entry first = entries_.back();
        entries_.pop_back();
        return first;
    }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  private:
    std::vector<Entry> entries_;
};

}  // namespace runnel::load
