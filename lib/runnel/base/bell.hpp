// Which of the other cores have left something in a core's mailboxes: so that it looks into none that is
// empty.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace runnel {

/// Belongs to one core; any other rings. A set of core numbers below `most_cores`.
class Bell {
  public:
    static constexpr unsigned most_cores = 128;
    using Set = std::array<std::uint64_t, most_cores / 64>;

    /// After something was put into the mailbox from core `sender`. From that core's thread.
    void ring(unsigned sender) noexcept {
        words_[sender / 64].fetch_or(std::uint64_t{1} << sender % 64, std::memory_order_release);
    }
    /// Adds those who have rung since the last call. The owner's thread.
    void answer(Set& senders) noexcept {
        for (std::size_t i = 0; i < words_.size(); ++i)
            if (words_[i].load(std::memory_order_relaxed) != 0) [[unlikely]]
                senders[i] |= words_[i].exchange(0, std::memory_order_acquire);
    }
    [[nodiscard]] static bool empty(const Set& senders) noexcept { return (senders[0] | senders[1]) == 0; }
    static void remove(Set& senders, unsigned sender) noexcept {
        senders[sender / 64] &= ~(std::uint64_t{1} << sender % 64);
    }
    /// The first of a set that is not empty, counted from `from` and round.
    [[nodiscard]] static unsigned first(const Set& senders, unsigned from) noexcept {
        const unsigned word = from / 64 & 1U;
        const std::uint64_t above = senders[word] & ~std::uint64_t{0} << from % 64;
        if (above != 0) return word * 64 + static_cast<unsigned>(std::countr_zero(above));
        const unsigned other = word ^ 1U;
        if (senders[other] != 0) return other * 64 + static_cast<unsigned>(std::countr_zero(senders[other]));
        return word * 64 + static_cast<unsigned>(std::countr_zero(senders[word]));
    }

  private:
    alignas(64) std::array<std::atomic<std::uint64_t>, most_cores / 64> words_{};
};

}  // namespace runnel
