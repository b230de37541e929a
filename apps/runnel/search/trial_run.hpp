// A trial of a search: the command run once more, in a process of its own, as EAL starts once in each.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "results/document.hpp"
#include "search/rate_search.hpp"

namespace runnel::search {

/// A trial that gave no result document. The message has what the command said.
struct TrialFailed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Whose latency bounds the rate.
struct LatencyOf {
    std::string histogram = "handshake";  ///< or ttfb, ttlb, close, transaction
    std::string percentile = "p99";       ///< or p50, p90, p999, p9999, max
};

/// Runs `runnel LINE... --rate LOAD --duration TIME --json FILE`; returns the document. Blocks. Throws
/// `TrialFailed`.
[[nodiscard]] results::Document run_trial(const std::vector<std::string>& line, const Trial& trial);

/// What of a document a search asks. Loss is what of that planned was not carried, whoever did not: the
/// device, or a generator that could not send. Where the rate is of transactions, they are what counts.
/// Throws `TrialFailed` where nothing was planned.
[[nodiscard]] Outcome outcome_of(const results::Document& document, const Trial& trial,
                                 const LatencyOf& latency);

}  // namespace runnel::search
