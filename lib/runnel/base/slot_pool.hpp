// A pool of equal objects named by 32-bit slots, sized at start (DESIGN.md, rules 5 and 8).
#pragma once

#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runnel/base/eal_memory.hpp"

namespace runnel {

/// No slot: what a full pool answers, and what a field says that holds none.
inline constexpr std::uint32_t no_slot = 0xffffffffU;

/// A type that carries the generation of its slot, which the pool keeps: odd while the slot is live.
template <class T>
concept HasGeneration = requires(T& object) {
    { object.generation } -> std::same_as<std::uint32_t&>;
};

/// Hands out slots of `T` from an `EalArray`. One owner thread.
///
/// Neither `allocate` nor `free` touches the object, but for its `generation` where `T` has one: an object
/// starts as zeroes and afterwards holds what its last owner left. The slot freed last is handed out first,
/// as its lines are probably still in the cache; slots never used follow in ascending order, so that a pool
/// of any size is made at once.
template <class T>
class SlotPool {
  public:
    /// `what` names the pool in the error. Throws as `EalArray` does.
    SlotPool(std::string_view what, std::uint32_t capacity)
        : objects_(what, capacity), free_stack_(what, capacity), capacity_(capacity) {
        assert(capacity < no_slot);
    }

    /// A slot, or `no_slot` where all are live.
    [[nodiscard]] std::uint32_t allocate() noexcept {
        std::uint32_t slot = no_slot;
        if (freed_ > 0) {
            slot = free_stack_[--freed_];
        } else if (unused_ < capacity_) {
            slot = unused_++;
        } else {
            return no_slot;
        }
        if constexpr (HasGeneration<T>) ++objects_[slot].generation;
        return slot;
    }

    /// Takes back a live slot.
    void free(std::uint32_t slot) noexcept {
        assert(slot < unused_ && freed_ < capacity_);
        if constexpr (HasGeneration<T>) {
            assert(live(slot));
            ++objects_[slot].generation;
        }
        free_stack_[freed_++] = slot;
    }

    [[nodiscard]] T& operator[](std::uint32_t slot) noexcept { return objects_[slot]; }
    [[nodiscard]] const T& operator[](std::uint32_t slot) const noexcept { return objects_[slot]; }

    /// The object of a handle of slot and generation; null where it is no longer (or never was) live. A
    /// handle is told from its successors until its slot has been used 2^31 times more. Takes any numbers.
    [[nodiscard]] T* get(std::uint32_t slot, std::uint32_t generation) noexcept requires HasGeneration<T> {
        return holds(slot, generation) ? &objects_[slot] : nullptr;
    }
    [[nodiscard]] const T* get(std::uint32_t slot,
                               std::uint32_t generation) const noexcept requires HasGeneration<T> {
        return holds(slot, generation) ? &objects_[slot] : nullptr;
    }
    /// Whether the slot is handed out. Takes any number.
    [[nodiscard]] bool live(std::uint32_t slot) const noexcept requires HasGeneration<T> {
        return slot < capacity_ && (objects_[slot].generation & 1) != 0;
    }

    /// Asks for the cache lines of the object, ahead of their use.
    void prefetch(std::uint32_t slot) const noexcept {
        const char* const object = reinterpret_cast<const char*>(objects_.data() + slot);
        for (std::size_t line = 0; line < sizeof(T); line += 64) __builtin_prefetch(object + line);
        // An object that does not start on a line ends on one more.
        if constexpr (sizeof(T) % 64 != 0 && sizeof(T) > 1) __builtin_prefetch(object + sizeof(T) - 1);
    }

    [[nodiscard]] T* data() noexcept { return objects_.data(); }
    [[nodiscard]] const T* data() const noexcept { return objects_.data(); }
    /// How many slots are live.
    [[nodiscard]] std::uint32_t size() const noexcept { return unused_ - freed_; }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }

    /// How many octets a pool takes.
    [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t capacity) noexcept {
        return EalArray<T>::bytes(capacity) + EalArray<std::uint32_t>::bytes(capacity);
    }

  private:
    [[nodiscard]] bool holds(std::uint32_t slot,
                             std::uint32_t generation) const noexcept requires HasGeneration<T> {
        return slot < capacity_ && (generation & 1) != 0 && objects_[slot].generation == generation;
    }

    EalArray<T> objects_;
    EalArray<std::uint32_t> free_stack_;
    std::uint32_t capacity_;
    std::uint32_t unused_ = 0;  // slots from here on were never handed out
    std::uint32_t freed_ = 0;   // how many the free stack holds
};

}  // namespace runnel
