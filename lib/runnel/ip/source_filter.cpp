#include "runnel/ip/source_filter.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace runnel::ip {

SourceFilter::SourceFilter(FilterMode mode, std::vector<IpAddress> sources)
    : mode_(mode), sources_(std::move(sources)) {
    std::ranges::sort(sources_);
    const auto repeated = std::ranges::unique(sources_);
    sources_.erase(repeated.begin(), repeated.end());
}

bool SourceFilter::lists(const IpAddress& source) const noexcept {
    return std::ranges::binary_search(sources_, source);
}

SourceFilter SourceFilter::with(const IpAddress& source) const {
    std::vector<IpAddress> sources = sources_;
    sources.push_back(source);
    return {mode_, std::move(sources)};
}

SourceFilter SourceFilter::without(const IpAddress& source) const {
    SourceFilter less = *this;
    std::erase(less.sources_, source);
    return less;
}

SourceFilter merge(std::span<const SourceFilter* const> filters) {
    std::vector<IpAddress> included;
    const SourceFilter* excluding = nullptr;
    for (const SourceFilter* const filter : filters) {
        if (filter->mode() == FilterMode::exclude)
            excluding = filter;
        else
            included.insert(included.end(), filter->sources().begin(), filter->sources().end());
    }
    if (excluding == nullptr) {
        SourceFilter all{FilterMode::include, std::move(included)};
        return all.sources().size() <= SourceFilter::most_sources ? all : SourceFilter::any();
    }
    // Whom all that exclude do not want, and none that include does.
    std::vector<IpAddress> unwanted;
    std::ranges::copy_if(excluding->sources(), std::back_inserter(unwanted), [&](const IpAddress& source) {
        return std::ranges::none_of(filters, [&](const SourceFilter* one) { return one->passes(source); });
    });
    return {FilterMode::exclude, std::move(unwanted)};
}

}  // namespace runnel::ip
