// Whether another host has an address that we are about to use: Duplicate Address Detection (RFC 4862 section
// 5.4) and its like for IPv4 (RFC 5227 section 2.1.1). When to probe, and what follows; it knows no packets.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/time.hpp"
#include "runnel/ip/announcement.hpp"

namespace runnel::ip {

/// How one range of addresses is probed for.
struct ProbeTimes {
    std::uint8_t probes = 1;  ///< for each address
    Duration delay{};         ///< before the first
    Duration interval{};      ///< between them
    Duration wait{};          ///< after the last
};

/// Ranges of consecutive addresses, numbered from 0, each probed for as a whole; of a range so many addresses
/// may turn out to be in use, the others are used; with more of them none is. `Range` says which addresses
/// they are. One owner thread.
template <class Range>
class DuplicateDetection {
  public:
    static constexpr std::size_t most_duplicates = 16;

    /// One range that is being probed for.
    struct Probed {
        Range range{};
        std::uint32_t count = 0;
        Duration wait{};
        Announcement probes{};
        Instant ends = never;
        std::array<std::uint32_t, most_duplicates> duplicates{};
        std::size_t duplicate_count = 0;

        /// The address is in use; false where that was known.
        bool note(std::uint32_t index) noexcept {
            const auto known = duplicates.begin() + static_cast<std::ptrdiff_t>(duplicate_count);
            if (duplicate_count > most_duplicates || std::find(duplicates.begin(), known, index) != known)
                return false;
            if (duplicate_count < most_duplicates) duplicates[duplicate_count] = index;
            ++duplicate_count;
            return true;
        }
        [[nodiscard]] bool failed() const noexcept { return duplicate_count > most_duplicates; }
        /// Calls `use(first, count)` for each stretch of addresses that nobody has.
        template <class Use>
        void for_each_free(Use&& use) {
            if (failed()) return;
            std::sort(duplicates.begin(), duplicates.begin() + static_cast<std::ptrdiff_t>(duplicate_count));
            std::uint32_t first = 0;
            for (std::size_t i = 0; i < duplicate_count; ++i) {
                if (duplicates[i] > first) use(first, duplicates[i] - first);
                first = duplicates[i] + 1;
            }
            if (first < count) use(first, count - first);
        }
    };

    /// Room for so many ranges at once; allocates here only.
    explicit DuplicateDetection(std::size_t capacity) { all_.reserve(capacity); }

    /// Begins; false where there is no room.
    bool begin(const Range& range, std::uint32_t count, const ProbeTimes& times, Instant now) noexcept {
        if (all_.size() == all_.capacity()) return false;
        Probed& one = all_.emplace_back();
        one.range = range;
        one.count = count;
        one.wait = times.wait;
        one.probes.begin(count, times.probes, times.interval, now + times.delay);
        return true;
    }
    [[nodiscard]] auto begin() noexcept { return all_.begin(); }
    [[nodiscard]] auto end() noexcept { return all_.end(); }
    [[nodiscard]] auto begin() const noexcept { return all_.begin(); }
    [[nodiscard]] auto end() const noexcept { return all_.end(); }
    [[nodiscard]] bool empty() const noexcept { return all_.empty(); }
    void clear() noexcept { all_.clear(); }
    /// Gives up those of which `which(range)` holds.
    template <class Which>
    void remove(Which&& which) noexcept {
        std::erase_if(all_, [&](const Probed& one) { return which(one.range); });
    }

    /// Calls `probe(range, index)` for those whose turn it is, and `done(probed)` of each range that has been
    /// waited for long enough, which is forgotten then.
    template <class Probe, class Done>
    void advance(Instant now, Probe&& probe, Done&& done) noexcept {
        for (Probed& one : all_) {
            if (one.probes.due() <= now)
                one.probes.advance(now, [&](std::uint64_t index) noexcept {
                    probe(one.range, static_cast<std::uint32_t>(index));
                });
            if (one.probes.due() == never && one.ends == never) one.ends = now + one.wait;
        }
        // What is done may begin others.
        for (;;) {
            const auto over =
                std::find_if(all_.begin(), all_.end(), [&](const Probed& one) { return one.ends <= now; });
            if (over == all_.end()) return;
            Probed one = *over;
            all_.erase(over);
            done(one);
        }
    }
    [[nodiscard]] Instant next_deadline() const noexcept {
        Instant first = never;
        for (const Probed& one : all_)
            first = std::min(first, one.probes.due() != never ? one.probes.due() : one.ends);
        return first;
    }

  private:
    std::vector<Probed> all_;
};

}  // namespace runnel::ip
