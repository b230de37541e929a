// Who owns this packet: a hash table of 32-bit values in buckets of one cache line (DESIGN.md, rule 6).
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "runnel/base/eal_memory.hpp"

namespace runnel {

/// Open addressing in buckets of twelve, never resized. The keys are the caller's: the table holds an
/// eight-bit tag of the hash and a value (a slot, and type bits as the caller likes), and asks the caller
/// which value it means.
///
/// An entry lies in its home bucket, or where that is full in the next with room. Each bucket counts how many
/// entries went past it, so a search ends at the first bucket that none went past: mostly the home, one cache
/// line.
///
/// The hash must be keyed with a secret where peers choose the keys (`keyed_hash.hpp`). One owner thread.
class FlowTable {
  public:
    /// No value; never inserted.
    static constexpr std::uint32_t none = 0xffffffffU;

    /// A table for `capacity` entries. `what` names it in the error. Throws as `EalArray` does.
    FlowTable(std::string_view what, std::uint32_t capacity)
        : buckets_(what, buckets_for(capacity)),
          bucket_count_(static_cast<std::uint32_t>(buckets_for(capacity))),
          capacity_(capacity) {}

    /// Asks for the home bucket, ahead of the search.
    void prefetch(std::uint32_t hash) const noexcept { __builtin_prefetch(&buckets_[home(hash)]); }

    /// The first value in the home bucket whose tag agrees, or `none`: probably what `find` will answer, so
    /// that its owner's state can be prefetched. Where the home bucket is full and has no such tag,
    /// prefetches the next bucket.
    [[nodiscard]] std::uint32_t candidate(std::uint32_t hash) const noexcept {
        const std::uint32_t b = home(hash);
        const Bucket& bucket = buckets_[b];
        const std::uint32_t matches = bucket.matches(tag(hash));
        if (matches != 0) [[likely]]
            return bucket.values[std::countr_zero(matches)];
        if (bucket.passed != 0) __builtin_prefetch(&buckets_[next(b)]);
        return none;
    }

    /// The value that was inserted with `hash` and for which `match(value)` holds, or `none`. `match` is
    /// asked only for values whose tag agrees.
    template <class Match>
    [[nodiscard]] std::uint32_t find(std::uint32_t hash, Match&& match) const noexcept {
        const std::uint8_t wanted = tag(hash);
        const std::uint32_t start = home(hash);
        std::uint32_t b = start;
        do {
            const Bucket& bucket = buckets_[b];
            for (std::uint32_t matches = bucket.matches(wanted); matches != 0; matches &= matches - 1) {
                const std::uint32_t value = bucket.values[std::countr_zero(matches)];
                if (match(value)) [[likely]]
                    return value;
            }
            if (bucket.passed == 0) [[likely]]
                return none;
            b = next(b);
        } while (b != start);
        return none;
    }

    /// Adds an entry; the caller knows that the key is not there yet. False where the table holds its
    /// capacity, or more than 65,535 entries would go past one bucket (the hash is bad then).
    [[nodiscard]] bool insert(std::uint32_t hash, std::uint32_t value) noexcept {
        assert(value != none);
        if (size_ == capacity_) [[unlikely]]
            return false;
        const std::uint32_t start = home(hash);
        std::uint32_t b = start;
        std::uint32_t empty = buckets_[b].matches(0);
        while (empty == 0) [[unlikely]] {
                if (buckets_[b].passed == passed_limit) return false;
                b = next(b);
                if (b == start) return false;
                empty = buckets_[b].matches(0);
            }
        for (std::uint32_t past = start; past != b; past = next(past)) ++buckets_[past].passed;
        const auto cell = static_cast<std::size_t>(std::countr_zero(empty));
        buckets_[b].tags[cell] = tag(hash);
        buckets_[b].values[cell] = value;
        ++size_;
        return true;
    }

    /// Removes the entry of this hash and value; false where there is none.
    bool erase(std::uint32_t hash, std::uint32_t value) noexcept {
        const Place place = locate(hash, value);
        if (!place.found) [[unlikely]]
            return false;
        buckets_[place.bucket].tags[place.cell] = 0;
        for (std::uint32_t past = home(hash); past != place.bucket; past = next(past))
            --buckets_[past].passed;
        --size_;
        return true;
    }

    /// Gives the entry of this hash and value a new value, in place; false where there is none.
    bool replace(std::uint32_t hash, std::uint32_t old_value, std::uint32_t new_value) noexcept {
        assert(new_value != none);
        const Place place = locate(hash, old_value);
        if (!place.found) [[unlikely]]
            return false;
        buckets_[place.bucket].values[place.cell] = new_value;
        return true;
    }

    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }

    /// How many octets a table takes.
    [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t capacity) noexcept {
        return buckets_for(capacity) * sizeof(Bucket);
    }

  private:
    static constexpr std::size_t cells = 12;
    static constexpr std::uint16_t passed_limit = 0xffff;

    struct alignas(64) Bucket {
        std::uint8_t tags[cells];  // 0 is an empty cell
        std::uint16_t passed;      // entries whose search starts here or before, and that lie beyond
        std::uint16_t unused;
        std::uint32_t values[cells];

        /// A bit for each cell whose tag is `wanted`.
        [[nodiscard]] std::uint32_t matches(std::uint8_t wanted) const noexcept {
#if defined(__SSE2__)
            // Reads four octets beyond the tags, within the bucket, and leaves them out.
            const __m128i line = _mm_load_si128(reinterpret_cast<const __m128i*>(this));
            const __m128i same = _mm_cmpeq_epi8(line, _mm_set1_epi8(static_cast<char>(wanted)));
            return static_cast<std::uint32_t>(_mm_movemask_epi8(same)) & 0xfffU;
#else
            std::uint32_t bits = 0;
            for (std::size_t i = 0; i < cells; ++i) bits |= std::uint32_t{tags[i] == wanted} << i;
            return bits;
#endif
        }
    };
    static_assert(sizeof(Bucket) == 64);

    struct Place {
        bool found;
        std::uint32_t bucket;
        std::uint32_t cell;
    };

    /// Two cells in three filled at capacity: then one entry in sixty lies beyond its home, and one search in
    /// fourteen for what is not there reads a second bucket. At four in five it would be one in twenty, and
    /// one in four.
    [[nodiscard]] static constexpr std::size_t buckets_for(std::uint32_t capacity) noexcept {
        return std::size_t{capacity} / 8 + 1;
    }

    [[nodiscard]] std::uint32_t home(std::uint32_t hash) const noexcept {
        return static_cast<std::uint32_t>(std::uint64_t{hash} * bucket_count_ >> 32);
    }
    [[nodiscard]] std::uint32_t next(std::uint32_t bucket) const noexcept {
        return bucket + 1 == bucket_count_ ? 0 : bucket + 1;
    }
    /// The home comes from the high bits, so the tag must not; and RSS picks a core by the low seven bits, so
    /// on one core these alone tell little: a product spreads the low bits over the tag (Fibonacci hashing).
    [[nodiscard]] static std::uint8_t tag(std::uint32_t hash) noexcept {
        const auto spread = static_cast<std::uint8_t>(hash * 0x9e3779b1U >> 24);
        return spread == 0 ? std::uint8_t{1} : spread;
    }

    [[nodiscard]] Place locate(std::uint32_t hash, std::uint32_t value) const noexcept {
        const std::uint8_t wanted = tag(hash);
        const std::uint32_t start = home(hash);
        std::uint32_t b = start;
        do {
            const Bucket& bucket = buckets_[b];
            for (std::uint32_t matches = bucket.matches(wanted); matches != 0; matches &= matches - 1) {
                const auto cell = static_cast<std::uint32_t>(std::countr_zero(matches));
                if (bucket.values[cell] == value) return {true, b, cell};
            }
            if (bucket.passed == 0) break;
            b = next(b);
        } while (b != start);
        return {false, 0, 0};
    }

    EalArray<Bucket> buckets_;
    std::uint32_t bucket_count_;
    std::uint32_t capacity_;
    std::uint32_t size_ = 0;
};

}  // namespace runnel
