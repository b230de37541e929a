// See datagram_one_way_client.hpp.
#include "engine/datagram_one_way_client.hpp"

#include <algorithm>

namespace runnel::load {

DatagramOneWayClient::DatagramOneWayClient(Stack& stack, const ClientOptions& options)
    : DatagramClient(stack, options), sizes_(options.datagram_octets, mixed(options.seed + 2)) {
    sends_ = sends_to_server(options.direction);
    if (!sends_to_client(options.direction)) return;
    for (Flow& flow : flows_) flow.tracker = std::make_unique<SequenceTracker>();
}

std::string DatagramOneWayClient::wanted_data(std::uint32_t flow) const {
    if (!sends_to_client(options_.direction)) return {};
    const auto flows = static_cast<unsigned>(flows_.size());
    Pace pace{.rate = options_.rate,
              .profile = options_.profile,
              .arrivals = options_.arrivals,
              .seed = mixed(options_.seed + flow),
              .max_lag = options_.max_lag,
              .ramp_up = options_.ramp_up,
              .ramp = options_.ramp,
              .duration = options_.duration,
              .ramp_down = options_.ramp_down,
              .sizes = options_.datagram_octets};
    if (pace.rate) {
        // Between one another, as they would lie in one schedule.
        if (!(pace.profile && pace.profile->burst()) && pace.arrivals == ArrivalProcess::even)
            pace.offset = Duration{static_cast<Duration::rep>(1e9 * flow / *pace.rate)};
        pace.rate = *pace.rate / flows;
    }
    if (pace.profile) pace.profile = pace.profile->share(flows, flow);
    return to_text(pace);
}

bool DatagramOneWayClient::send_some(Instant now, std::uint32_t most) noexcept {
    if (!source_) return false;
    Measurement& m = measurement_;
    std::uint32_t n = 0;
    for (; n < most && has_room() && source_->due(now); ++n) {
        const Instant intended = source_->intended(now);
        const auto octets = static_cast<std::uint32_t>(
            std::clamp<std::uint64_t>(sizes_.next(), DatagramHeader::octets, most_octets()));
        Flow& flow = flows_[next_flow_];
        if (!send(flow,
                  {.kind = DatagramKind::data,
                   .number = static_cast<std::uint32_t>(flow.sent),
                   .word = static_cast<std::uint64_t>(now.time_since_epoch().count())},
                  octets))
            break;  // it stays due
        if (measuring_ && options_.measures && source_->open_loop())
            m.lag.record(nanoseconds_between(intended, now));
        source_->sent();
        ++flow.sent;
        if (++next_flow_ == flows_.size()) next_flow_ = 0;
        ++m.all.datagrams_sent;
        m.all.octets_sent += octets;
        m.datagrams.to_server.octets_sent += octets;
    }
    return n > 0;
}

void DatagramOneWayClient::take(Flow& flow, const DatagramHeader& header, std::uint32_t octets) noexcept {
    Measurement& m = measurement_;
    if (header.kind != DatagramKind::data || flow.tracker == nullptr || !flow.ours) [[unlikely]] {
        ++m.datagrams.strange;
        return;
    }
    ++m.all.datagrams_received;
    m.all.octets_received += octets;
    m.datagrams.to_client.octets_received += octets;
    flow.tracker->add(header.number);
    if (options_.measures) flow.jitter.add(header.word, now_);
}

}  // namespace runnel::load
