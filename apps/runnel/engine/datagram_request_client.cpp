// See datagram_request_client.hpp.
#include "engine/datagram_request_client.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace runnel::load {
namespace {

constexpr std::size_t least_records = 65'536, most_records = std::size_t{1} << 22;

// A response is known as long as its request's record is there: twice the time that one is waited for.
std::size_t records_of(const ClientOptions& options) {
    const double timeout = std::chrono::duration<double>(options.reply_timeout).count();
    const double asked = std::min(2 * options.rate.value_or(0) * timeout, static_cast<double>(most_records));
    const std::size_t window = 4 * std::size_t{options.window};
    return std::bit_ceil(std::max({least_records, window, static_cast<std::size_t>(asked)}));
}

}  // namespace

DatagramRequestClient::DatagramRequestClient(Stack& stack, const ClientOptions& options)
    : DatagramClient(stack, options),
      think_(options.sizes.think, mixed(options.seed + 1)),
      request_(options.sizes.request, mixed(options.seed + 2)),
      response_(options.sizes.response, mixed(options.seed + 3)),
      records_(records_of(options)),
      idle_(options.window),
      thinking_(options.window) {}

bool DatagramRequestClient::send_some(Instant now, std::uint32_t most) noexcept {
    bool worked = expire(now) > 0;
    while (thinking_.due(now)) {
        (void)thinking_.pop();
        ++idle_;
    }
    const std::uint64_t before = source_->unsent();
    const bool due = source_->due(now);  // and gives up what is too late
    if (source_->unsent() > before) given_up(source_->unsent() - before);
    for (std::uint32_t n = 0; due && n < most && idle_ > 0 && has_room() && source_->due(now); ++n) {
        const Instant intended = source_->intended(now);
        if (!ask(intended, now)) break;  // it stays due
        source_->sent();
        worked = true;
    }
    // Where this core is behind, it may be itself that keeps them under way.
    if (idle_ == 0 && !behind() && source_->open_loop() && source_->due(now)) last_full_ = now;
    return worked;
}

void DatagramRequestClient::given_up(std::uint64_t datagrams) noexcept {
    if (now_ - last_full_ <= options_.max_lag) measurement_.datagrams.unsent_full += datagrams;
}

bool DatagramRequestClient::ask(Instant intended, Instant now) noexcept {
    Flow& flow = flows_[next_ % flows_.size()];
    if (request_octets_ == 0)
        request_octets_ = static_cast<std::uint32_t>(
            std::clamp<std::uint64_t>(request_.next(), DatagramHeader::octets, most_octets()));
    const std::uint64_t response =
        std::clamp<std::uint64_t>(response_.next(), DatagramHeader::octets, most_octets());
    if (!send(flow,
              {.kind = DatagramKind::request,
               .number = static_cast<std::uint32_t>(flow.sent),
               .word = response},
              request_octets_))
        return false;
    Measurement& m = measurement_;
    const bool measured = options_.measures && source_->in_window(intended);
    if (next_ - oldest_ == records_.size()) [[unlikely]] {
        // Its place is wanted before its time is over.
        if (Record& first = record_of(oldest_++); first.state == State::asking) {
            first.state = State::lost;
            ++m.transactions.lost;
            done(now);
        }
    }
    record_of(next_) = {intended, now, State::asking, measured};
    if (measured && source_->open_loop()) m.lag.record(nanoseconds_between(intended, now));
    ++next_;
    ++flow.sent;
    ++open_;
    --idle_;
    ++m.transactions.asked;
    ++m.all.datagrams_sent;
    m.all.octets_sent += request_octets_;
    m.datagrams.to_server.octets_sent += request_octets_;
    request_octets_ = 0;
    return true;
}

// Of those under way, all have waited for the same time: the oldest comes first.
std::uint32_t DatagramRequestClient::expire(Instant now) noexcept {
    std::uint32_t n = 0;
    for (; oldest_ < next_ && n < 4 * options_.batch; ++oldest_, ++n) {
        Record& record = record_of(oldest_);
        if (record.state != State::asking) continue;
        if (now - record.actual < options_.reply_timeout) break;
        record.state = State::lost;
        ++measurement_.transactions.lost;
        done(now);
    }
    return n;
}

void DatagramRequestClient::done(Instant now) noexcept {
    --open_;
    if (think_.is_zero())
        ++idle_;
    else
        thinking_.push(now + think_.next_time(), 0);
}

void DatagramRequestClient::take(Flow& flow, const DatagramHeader& header, std::uint32_t octets) noexcept {
    Measurement& m = measurement_;
    ++m.all.datagrams_received;
    m.all.octets_received += octets;
    m.datagrams.to_client.octets_received += octets;
    ++m.datagrams.to_client.counts.received;
    // The whole number is the one nearest to the next.
    const auto ahead = static_cast<std::int32_t>(header.number - static_cast<std::uint32_t>(flow.sent));
    const auto behind = static_cast<std::uint64_t>(-static_cast<std::int64_t>(ahead));
    if (header.kind == DatagramKind::data || ahead >= 0 || behind > flow.sent) [[unlikely]] {
        ++m.datagrams.strange;
        return;
    }
    const std::uint64_t number = (flow.sent - behind) * flows_.size() + flow.index;
    if (next_ - number > records_.size()) [[unlikely]] {
        ++m.datagrams.stale;
        return;
    }
    Record& record = record_of(number);
    switch (record.state) {
        case State::asking:
            record.state = State::answered;
            ++m.all.transactions;
            ++m.transactions.answered;
            if (record.measured) {
                m.latency.intended.transaction.record(nanoseconds_between(record.intended, now_));
                m.latency.actual.transaction.record(nanoseconds_between(record.actual, now_));
            }
            done(now_);
            break;
        case State::lost:
            record.state = State::late;
            ++m.datagrams.late;
            break;
        case State::answered:
        case State::late:
            ++m.datagrams.duplicated;
            break;
        case State::unused:
            ++m.datagrams.strange;
            break;
    }
}

bool DatagramRequestClient::all_answered(Instant now) noexcept {
    (void)expire(now);
    return open_ == 0;
}

void DatagramRequestClient::account() noexcept {
    TransactionAccounting& t = measurement_.transactions;
    // Counted from the records, not as a difference: so the residual is a check.
    for (; oldest_ < next_; ++oldest_)
        if (record_of(oldest_).state == State::asking) ++t.in_flight;
    if (options_.rate && source_) {
        t.planned = measurement_.datagrams.to_server.planned;
        t.unsent = measurement_.datagrams.to_server.unsent;
    }
}

}  // namespace runnel::load
