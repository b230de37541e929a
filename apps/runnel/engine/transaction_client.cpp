// See transaction_client.hpp.
#include "engine/transaction_client.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/rate_around.hpp"

namespace runnel::load {
namespace {

std::string host_of(const ClientOptions& options) {
    if (!options.http.host.empty()) return options.http.host;
    const IpAddress& address = options.remote_address;
    // An IPv6 address stands in brackets (RFC 3986 section 3.2.2).
    return address.is_v4() ? to_string(address) : fmt::format("[{}]", to_string(address));
}

}  // namespace

TransactionClient::TransactionClient(Stack& stack, const ClientOptions& options)
    : stack_(stack),
      options_(options),
      schedules_transactions_(!options.comes_and_goes && options.rate.has_value()),
      kind_(options.recipe == Recipe::http ? Kind::http
            : options.sizes.drawn()        ? Kind::sized
                                           : Kind::fixed),
      addresses_(make_picker(options)),
      think_(options.sizes.think, mixed(options.seed + 1)),
      request_(options.sizes.request, mixed(options.seed + 2)),
      response_(options.sizes.response, mixed(options.seed + 3)),
      records_(options.slots),
      readers_(kind_ == Kind::http ? options.slots : 0),
      thinking_(options.slots),
      idle_(options.slots),
      arrivals_({}, Instant{}),
      to_open_(options.comes_and_goes ? 0 : options.connections) {
    connect_.handler = this;
    connect_.nagle = false;
    if (options_.http.asks.empty()) options_.http.asks.push_back({});
    std::size_t longest = 64;
    for (const HttpAsk& ask : options_.http.asks) {
        std::string& rest = heads_.emplace_back(fmt::format(" HTTP/1.1\r\nHost: {}\r\n", host_of(options)));
        for (const std::string& header : options_.http.headers) rest += header + "\r\n";
        longest = std::max(longest, rest.size() + ask.path.size() + 128);
    }
    head_.reserve(longest);
    RateAround around =
        RateAround::of(options.rate, options.profile, options.duration, options.ramp_up, Duration{});
    before_ = std::move(around.before);
    after_ = std::move(around.after);
}

Arrivals TransactionClient::arrivals_of(const LoadProfile* profile, std::uint64_t limit,
                                        Instant start) const noexcept {
    return arrivals_of_core(options_, profile, limit, start);
}

// What came due of transactions and was not begun is known when another schedule begins: in the window as
// unsent, outside it is as if it had not been.
void TransactionClient::change_arrivals(const Arrivals& next, Instant now) noexcept {
    if (schedules_transactions()) {
        note_given_up(arrivals_.finish(now));
        TransactionAccounting& t = measurement_.transactions;
        t.planned += arrivals_.attempted() - (measuring_ ? 0 : arrivals_.unsent());
        if (measuring_) t.unsent += arrivals_.unsent();
    }
    follow(next, now);
}

// Of transactions that a schedule begins: whether it was for want of a connection.
void TransactionClient::note_given_up(std::uint64_t count) noexcept {
    if (measuring_ && now_ - last_full_ <= options_.max_lag) measurement_.transactions.unsent_full += count;
}

// Another schedule, which stands still where this client does.
void TransactionClient::follow(const Arrivals& next, Instant now) noexcept {
    arrivals_ = next;
    if (paused()) arrivals_.pause(now);
}

void TransactionClient::change_rate(std::optional<double> rate, Instant now) noexcept {
    if (present_phase() > Phase::measured) return;
    options_.rate = rate;
    options_.profile.reset();
    before_ = after_ = std::nullopt;
    if (rate) before_ = after_ = LoadProfile::constant(*rate);
    arrivals_.change_rate(rate, now);
}

void TransactionClient::begin_pause(Instant now) noexcept {
    paused_at_ = now;
    arrivals_.pause(now);
}

void TransactionClient::end_pause(Instant now) noexcept {
    opening_end_ += now - paused_at_;
    arrivals_.resume(now);
}

// Of those that no schedule begins: what a pause has held back, some a poll.
std::uint32_t TransactionClient::go_on(Instant now) noexcept {
    std::uint32_t n = 0;
    for (; n < options_.batch && idle_count_ > 0; ++n) {
        const Slot slot = idle_[idle_begin_];
        if (++idle_begin_ == idle_.size()) idle_begin_ = 0;
        --idle_count_;
        if (takes(slot)) ask(connection_of(slot.slot), now);
    }
    return n;
}

bool TransactionClient::poll(Instant now) noexcept {
    return poll(now, options_.batch, false);
}

bool TransactionClient::poll_behind(Instant now) noexcept {
    return poll(now, arrivals_.open_loop() ? 1 : options_.batch, true);
}

bool TransactionClient::poll(Instant now, std::uint32_t most, bool behind) noexcept {
    now_ = now;
    bool worked = step_phase(now);
    if (idle_count_ > 0 && !schedules_transactions() && !paused() && !stopping_) [[unlikely]]
        worked |= go_on(now) > 0;
    switch (present_phase()) {
        case Phase::ramp:
        case Phase::measured:
        case Phase::held:
            worked |= open_connections(now, most) > 0;
            worked |= end_thinking(now) > 0;
            worked |= begin_arrivals(now, most, behind) > 0;
            break;
        case Phase::draining:
            if (schedules_transactions()) worked |= open_connections(now, most) > 0;
            worked |= end_thinking(now) > 0;
            if (schedules_transactions()) worked |= begin_arrivals(now, most, behind) > 0;
            break;
        case Phase::closing:
            worked |= end_connections(now) > 0;
            break;
        case Phase::waiting:
        case Phase::finished:
            break;
    }
    return worked;
}

// Returns whether a phase ended.
bool TransactionClient::step_phase(Instant now) noexcept {
    const bool goes = options_.comes_and_goes;
    const auto begin_ramp = [&] {
        ramping_ = true;
        phase_end_ = now + options_.ramp_up + options_.ramp;
        // A profile that begins with 0 has nothing before it.
        if (goes || schedules_transactions())
            follow(
                arrivals_of(before_ ? &*before_ : nullptr, options_.rate && !before_ ? 0 : UINT64_MAX, now),
                now);
    };
    switch (present_phase()) {
        case Phase::waiting:
            opening_end_ = now + opening_limit;
            if (goes) begin_ramp();
            if (goes && now >= phase_end_)
                begin_window(now);
            else
                enter(Phase::ramp);
            return true;
        case Phase::ramp: {
            const bool open = goes || (to_open_ == 0 && opening_ == 0);
            if (!open && (now < opening_end_ || paused()) && !told_to_stop()) return false;
            if (!ramping_) begin_ramp();
            if (now < phase_end_ && !told_to_stop()) return false;
            begin_window(now);
            return true;
        }
        case Phase::measured: {
            const bool done = open_ == 0 && (goes ? arrivals_.exhausted() : to_open_ == 0);
            if (now < phase_end_ && !done && !told_to_stop()) [[likely]]
                return false;
            end_window(now);
            return true;
        }
        case Phase::draining:
            if (schedules_transactions()) {
                // What was to begin in the window and waits for a connection still goes, or is given up.
                if (arrivals_.intended(now) < window_end_ && open_ + to_open_ > 0 && !told_to_stop())
                    return false;
                change_arrivals(arrivals_of(after_ ? &*after_ : nullptr, after_ ? UINT64_MAX : 0, now),
                                window_end_);
                window_end_ = never;
                measuring_ = false;
                enter(Phase::held);
                return true;
            }
            if (told_to_stop() && !stopped_) [[unlikely]] {
                stopped_ = true;
                cut_off();
                if (ending() != Ending::drain)
                    phase_end_ = now + (ending() == Ending::reset ? Duration{} : options_.drain);
            }
            if (open_ > 0 && now < phase_end_ && !abandoned()) return false;
            finish();
            return true;
        case Phase::held:
            if (!released()) return false;
            resume(now);
            stopping_ = true;
            change_arrivals(Arrivals({.limit = 0}, now), now);
            cut_off();
            phase_end_ = now + (ending() == Ending::reset ? Duration{} : options_.drain);
            enter(Phase::closing);
            return true;
        case Phase::closing:
            if (open_ > 0 && now < phase_end_ && !abandoned()) return false;
            finish();
            return true;
        case Phase::finished:
            return false;
    }
    return false;
}

void TransactionClient::begin_window(Instant now) noexcept {
    const std::uint64_t limit = options_.comes_and_goes ? options_.connections : UINT64_MAX;
    if (options_.comes_and_goes || schedules_transactions())
        change_arrivals(arrivals_of(options_.profile ? &*options_.profile : nullptr, limit, now), now);
    window_begin_ = now;
    phase_end_ = now + options_.duration;
    at_window_begin_ = measurement_.all;
    measuring_ = true;
    enter(Phase::measured);
}

void TransactionClient::end_window(Instant now) noexcept {
    Measurement& m = measurement_;
    m.window_length = now - window_begin_;
    m.window.started = m.all.started - at_window_begin_.started;
    m.window.established = m.all.established - at_window_begin_.established;
    m.window.completed = m.all.completed - at_window_begin_.completed;
    m.window.octets_received = m.all.octets_received - at_window_begin_.octets_received;
    m.window.transactions = m.all.transactions - at_window_begin_.transactions;
    if (options_.comes_and_goes) {
        const std::uint64_t given_up = arrivals_.finish(std::min(now, phase_end_));
        if (now - last_full_ <= options_.max_lag) m.accounting.unsent_full += given_up;
        m.accounting.attempted = arrivals_.attempted();
        m.accounting.unsent = arrivals_.unsent();
        resume(now);  // what is open comes to its end
        phase_end_ = now + options_.drain;
    } else if (schedules_transactions()) {
        window_end_ = std::min(now, phase_end_);
        enter(Phase::draining);
        return;
    }
    measuring_ = false;
    enter(options_.comes_and_goes ? Phase::draining : Phase::held);
}

// Those on which something is under way end without it; what rests is closed anyway.
void TransactionClient::cut_off() noexcept {
    if (ending() != Ending::fin) return;
    for (std::size_t slot = 0; slot < records_.size(); ++slot) {
        Record& record = records_[slot];
        if (!record.in_use || record.ending || (!record.asking && !options_.comes_and_goes)) continue;
        if (!options_.comes_and_goes || record.measured) ++measurement_.accounting.in_flight;
        if (record.asking) ++measurement_.transactions.in_flight;
        record.counted = true;
        record.asking = record.head_left = false;
        record.body_left = 0;
        record.ending = true;
        // Half a close: an answer that comes all the same is taken, and the server's FIN ends it.
        if (connection_of(slot).shutdown() != tcp::Error::none) (void)connection_of(slot).close();
    }
}

void TransactionClient::finish() noexcept {
    Accounting& a = measurement_.accounting;
    if (!options_.comes_and_goes) {
        a.attempted = measurement_.all.started + to_open_;
        a.unsent = to_open_;
        a.established = measurement_.all.established;
    }
    // In flight is counted from the records, not as a difference: so the residual is a check.
    for (std::size_t slot = 0; slot < records_.size(); ++slot) {
        Record& record = records_[slot];
        if (!record.in_use) continue;
        if (!record.counted && (!options_.comes_and_goes || record.measured)) ++a.in_flight;
        if (record.asking) ++measurement_.transactions.in_flight;
        record.counted = true;
        record.asking = false;
        (void)connection_of(slot).abort();
    }
    enter(Phase::finished);
}

tcp::Connection TransactionClient::connection_of(std::size_t slot) const noexcept {
    return {&stack_.tcp(), static_cast<std::uint32_t>(slot), records_[slot].generation};
}

bool TransactionClient::takes(const Slot& slot) const noexcept {
    const Record& record = records_[slot.slot];
    return record.in_use && record.generation == slot.generation && record.established && !record.asking &&
           !record.ending;
}

void TransactionClient::note(Histogram LatencyHistograms::*which, Instant intended, Instant actual) noexcept {
    if (!options_.measures) [[unlikely]]
        return;
    (measurement_.latency.intended.*which).record(nanoseconds_between(intended, now_));
    (measurement_.latency.actual.*which).record(nanoseconds_between(actual, now_));
}

}  // namespace runnel::load
