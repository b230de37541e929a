// Which senders to a group are heard (RFC 3376 section 2, RFC 3678 section 1.1), and what several such
// wishes come to on their interface (RFC 3376 section 3.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runnel/base/ip_address.hpp"

namespace runnel::ip {

enum class FilterMode : std::uint8_t {
    include,  ///< the listed senders alone
    exclude,  ///< all but the listed ones
};

/// A value. Sources are of the group's family.
class SourceFilter {
  public:
    /// Sources that one filter lists, at most: a record of so many fits every report.
    static constexpr std::size_t most_sources = 64;

    /// Hears nobody: no member.
    SourceFilter() = default;
    /// `sources` in any order, repeated or not.
    SourceFilter(FilterMode mode, std::vector<IpAddress> sources);
    /// Hears everybody.
    [[nodiscard]] static SourceFilter any() { return {FilterMode::exclude, {}}; }

    [[nodiscard]] FilterMode mode() const noexcept { return mode_; }
    /// In ascending order, each once.
    [[nodiscard]] std::span<const IpAddress> sources() const noexcept { return sources_; }
    /// True where nobody is heard.
    [[nodiscard]] bool none() const noexcept { return mode_ == FilterMode::include && sources_.empty(); }
    [[nodiscard]] bool lists(const IpAddress& source) const noexcept;
    [[nodiscard]] bool passes(const IpAddress& source) const noexcept {
        return lists(source) == (mode_ == FilterMode::include);
    }

    /// The same with a source listed, or no longer.
    [[nodiscard]] SourceFilter with(const IpAddress& source) const;
    [[nodiscard]] SourceFilter without(const IpAddress& source) const;

    friend bool operator==(const SourceFilter&, const SourceFilter&) = default;

  private:
    FilterMode mode_ = FilterMode::include;
    std::vector<IpAddress> sources_;
};

/// Hears whom any of the filters hears (RFC 3376 section 3.2). Where that is more than `most_sources`
/// senders, everybody: each listener's own filter holds besides.
[[nodiscard]] SourceFilter merge(std::span<const SourceFilter* const> filters);

}  // namespace runnel::ip
