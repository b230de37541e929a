// See observation.hpp.
#include "engine/observation.hpp"

#include "engine/seconds.hpp"

namespace runnel::load {
namespace {

LatencyHistograms since(const LatencyHistograms& after, const LatencyHistograms& before) {
    return {.handshake = after.handshake.since(before.handshake),
            .ttfb = after.ttfb.since(before.ttfb),
            .ttlb = after.ttlb.since(before.ttlb),
            .close = after.close.since(before.close),
            .transaction = after.transaction.since(before.transaction)};
}

}  // namespace

Observation observe(const RunFacts& facts, const Sample& before, const Sample& after) {
    Observation seen;
    seen.facts = facts;
    seen.length_s = seconds(after.time - before.time);
    const auto rate = [&](std::uint64_t earlier, std::uint64_t later) {
        return seen.length_s > 0 && later > earlier ? static_cast<double>(later - earlier) / seen.length_s
                                                    : 0;
    };
    seen.cps = rate(before.totals.completed, after.totals.completed);
    seen.tps = rate(before.totals.transactions, after.totals.transactions);
    seen.dps = rate(before.totals.datagrams_sent + before.totals.datagrams_received,
                    after.totals.datagrams_sent + after.totals.datagrams_received);
    seen.established_rate = rate(before.totals.established, after.totals.established);
    const runtime::Snapshot& earlier = facts.client ? before.clients : before.servers;
    const runtime::Snapshot& later = facts.client ? after.clients : after.servers;
    seen.recent = later.since(earlier);
    seen.octets_in_rate = rate(0, seen.recent.get(Counter::bytes_in));
    seen.octets_out_rate = rate(0, seen.recent.get(Counter::bytes_out));
    seen.recent_latency = since(after.latency, before.latency);
    for (std::size_t i = 0; i < after.cores.size(); ++i) {
        const auto loop =
            i < before.cores.size() ? after.cores[i].loop.since(before.cores[i].loop) : after.cores[i].loop;
        seen.cores.push_back({.busy_percent = 100 * loop.busy_share(),
                              .frames_in = rate(0, loop.frames_in),
                              .frames_out = rate(0, loop.frames_out),
                              .transmit_full = loop.transmit_full,
                              .longest_gap = after.cores[i].longest_gap});
    }
    seen.sample = after;
    return seen;
}

}  // namespace runnel::load
