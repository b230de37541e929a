// Connections whose application was refused octets for want of memory, in the order in which they are told
// when there is some again.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/base/slot_pool.hpp"

namespace runnel::tcp {

/// A set of slots that is gone round: whoever is refused again comes again when all others have had their
/// turn. A bit a connection; nothing is allocated after construction. One owner thread.
class MemoryWaiters {
  public:
    explicit MemoryWaiters(std::uint32_t connections) : words_((std::size_t{connections} + 63) / 64) {}

    void add(std::uint32_t slot) noexcept {
        std::uint64_t& word = words_[slot / 64];
        count_ += (word >> slot % 64 & 1) == 0 ? 1 : 0;
        word |= bit(slot);
    }
    void remove(std::uint32_t slot) noexcept {
        if (count_ == 0) [[likely]]
            return;
        std::uint64_t& word = words_[slot / 64];
        count_ -= static_cast<std::uint32_t>(word >> slot % 64 & 1);
        word &= ~bit(slot);
    }
    [[nodiscard]] bool contains(std::uint32_t slot) const noexcept {
        return (words_[slot / 64] & bit(slot)) != 0;
    }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] std::uint32_t size() const noexcept { return count_; }

    /// Takes out the next one, counted from the last and round; no_slot where there is none among the
    /// thousands of slots that it looks at: the next call goes on from there.
    [[nodiscard]] std::uint32_t take() noexcept {
        constexpr unsigned most_words = 256;
        if (count_ == 0) return no_slot;
        for (unsigned i = 0; i <= most_words; ++i) {
            const std::uint64_t rest = words_[next_ / 64] & ~std::uint64_t{0} << next_ % 64;
            if (rest != 0) {
                const auto slot = static_cast<std::uint32_t>(next_ / 64 * 64) +
                                  static_cast<std::uint32_t>(std::countr_zero(rest));
                remove(slot);
                next_ = std::size_t{slot} + 1;
                if (next_ == words_.size() * 64) next_ = 0;
                return slot;
            }
            next_ = (next_ / 64 + 1) * 64;
            if (next_ == words_.size() * 64) next_ = 0;
        }
        return no_slot;
    }

  private:
    static constexpr std::uint64_t bit(std::uint32_t slot) noexcept { return std::uint64_t{1} << slot % 64; }

    std::vector<std::uint64_t> words_;
    std::size_t next_ = 0;  // the slot that is looked at first
    std::uint32_t count_ = 0;
};

}  // namespace runnel::tcp
