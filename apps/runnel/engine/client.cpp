// See client.hpp.
#include "engine/client.hpp"

#include <algorithm>
#include <utility>

#include "engine/rate_around.hpp"

namespace runnel::load {

AddressPicker make_picker(const ClientOptions& options) {
    std::vector<AddressRange> clients = options.clients;
    std::vector<Servers> servers = options.servers;
    if (clients.empty()) clients.push_back({options.first_local_address, options.local_addresses});
    if (servers.empty())
        servers.push_back({{options.remote_address, 1}, {options.remote_port, options.remote_port}});
    return {clients, servers, options.choice, options.seed};
}

Arrivals arrivals_of_core(const ClientOptions& options, const LoadProfile* profile, std::uint64_t limit,
                          Instant start) noexcept {
    return Arrivals({.rate = options.rate,
                     .max_lag = options.max_lag,
                     .limit = limit,
                     .profile = profile,
                     .process = options.arrivals,
                     .seed = options.seed},
                    start);
}

Client::Client(Stack& stack, const ClientOptions& options)
    : stack_(stack),
      options_(options),
      addresses_(make_picker(options)),
      records_(options.slots),
      arrivals_({}, Instant{}),
      intends_(options.rate.has_value()) {
    connect_.handler = this;
    connect_.fast_open = options.fast_open && options.recipe == Recipe::crr;
    // Between two polls at most as many are established as are on their way.
    fresh_.reserve(options.window);
    to_end_.reserve(options.window);
    if (options.concurrency > 0) neighbours_.resize(options.slots);
    RateAround around =
        RateAround::of(options.rate, options.profile, options.duration, options.ramp_up, options.ramp_down);
    up_ = std::move(around.before);
    // Without a time to fall, nothing is begun after the window.
    if (options.ramp_down > 0s && !(options.profile && options.profile->burst()))
        down_ = std::move(around.after);
}

Client::~Client() = default;

Arrivals Client::arrivals_of(const LoadProfile* profile, std::uint64_t limit, Instant start) const noexcept {
    return arrivals_of_core(options_, profile, limit, start);
}

// Another schedule, which stands still where this client does.
void Client::follow(const Arrivals& next, Instant now) noexcept {
    arrivals_ = next;
    if (paused()) arrivals_.pause(now);
}

void Client::change_rate(std::optional<double> rate, Instant now) noexcept {
    if (present_phase() > Phase::measured) return;
    if (rate && !intends_) {
        // Until now each was intended when it was sent.
        measurement_.latency.intended = measurement_.latency.actual;
        intends_ = true;
    }
    options_.rate = rate;
    options_.profile.reset();
    up_ = down_ = std::nullopt;
    if (rate) {
        up_ = LoadProfile::constant(*rate);
        if (options_.ramp_down > 0s) down_ = LoadProfile::ramp(*rate, 0, options_.ramp_down);
    }
    arrivals_.change_rate(rate, now);
}

bool Client::poll(Instant now) noexcept {
    return poll(now, options_.batch, false);
}

// An open loop does not wait for answers: with more asked for than this core carries, or after a stall, it
// would open connections and let those that are open wait, until they time out. So it goes slowly, and what
// is late is counted as that. The closed loop's window bounds it.
bool Client::poll_behind(Instant now) noexcept {
    return poll(now, arrivals_.open_loop() ? 1 : options_.batch, true);
}

bool Client::poll(Instant now, std::uint32_t most, bool behind) noexcept {
    now_ = now;
    bool worked = step_phase(now);
    worked |= end_connections() > 0;
    switch (present_phase()) {
        case Phase::ramp:
        case Phase::measured:
            return (begin_connections(now, most, behind) > 0) | worked;
        case Phase::draining:
            return (now < ramp_down_end_ && begin_connections(now, most, behind) > 0) | worked;
        default:
            return worked;
    }
}

// Returns whether a phase ended.
bool Client::step_phase(Instant now) noexcept {
    const auto measure_from = [&](Instant begin) {
        follow(arrivals_of(options_.profile ? &*options_.profile : nullptr, options_.connections, begin),
               begin);
        window_begin_ = begin;
        phase_end_ = begin + options_.duration;
        at_window_begin_ = measurement_.all;
        enter(Phase::measured);
    };
    switch (present_phase()) {
        case Phase::waiting:
            if (options_.ramp_up + options_.ramp == 0s) {
                measure_from(now);
            } else {
                // A profile that begins with 0 has nothing before it.
                follow(arrivals_of(up_ ? &*up_ : nullptr, options_.rate && !up_ ? 0 : UINT64_MAX, now), now);
                phase_end_ = now + options_.ramp_up + options_.ramp;
                enter(Phase::ramp);
            }
            return true;
        case Phase::ramp:
            if (now < phase_end_ && !told_to_stop()) [[likely]]
                return false;
            // From now, not from the planned end: what the window's length says and what was counted in it
            // agree.
            measure_from(now);
            return true;
        case Phase::measured: {
            const bool done = arrivals_.exhausted() && open_ == held_;
            if (now < phase_end_ && !done && !told_to_stop()) [[likely]]
                return false;
            end_window(now);
            enter(Phase::draining);
            return true;
        }
        case Phase::draining:
            if (told_to_stop() && !stopped_) [[unlikely]] {
                stopped_ = true;
                cut_off();
                if (ending() == Ending::reset)
                    phase_end_ = now;
                else if (now < ramp_down_end_ || ending() == Ending::fin)
                    phase_end_ = now + options_.drain;
                ramp_down_end_ = std::min(ramp_down_end_, now);
            }
            if (((open_ > 0 && now < phase_end_) || now < ramp_down_end_) && !abandoned()) return false;
            finish();
            return true;
        case Phase::held:
        case Phase::closing:
        case Phase::finished:
            return false;
    }
    return false;
}

void Client::end_window(Instant now) noexcept {
    const std::uint64_t given_up = arrivals_.finish(std::min(now, phase_end_));
    Measurement& m = measurement_;
    if (now - last_full_ <= options_.max_lag) m.accounting.unsent_full += given_up;
    m.accounting.attempted = arrivals_.attempted();
    m.accounting.unsent = arrivals_.unsent();
    m.window_length = now - window_begin_;
    m.window.started = m.all.started - at_window_begin_.started;
    m.window.established = m.all.established - at_window_begin_.established;
    m.window.completed = m.all.completed - at_window_begin_.completed;
    m.window.octets_received = m.all.octets_received - at_window_begin_.octets_received;
    const bool falls = down_ && !told_to_stop();
    ramp_down_end_ = falls ? now + options_.ramp_down : now;
    if (falls) follow(arrivals_of(&*down_, UINT64_MAX, now), now);
    phase_end_ = ramp_down_end_ + options_.drain;
}

// Those that are under way end by FIN, and count as in flight: their recipe was not carried out.
void Client::cut_off() noexcept {
    if (ending() != Ending::fin) return;
    for (std::size_t slot = 0; slot < records_.size(); ++slot) {
        Record& record = records_[slot];
        if (!record.in_use || record.ending) continue;
        if (!record.counted && record.measured && !record.held) {
            ++measurement_.accounting.in_flight;
            record.counted = true;
        }
        if (record.held) release_held(static_cast<std::uint32_t>(slot));
        record.ending = true;
        // Half a close: an answer that comes all the same is taken, and the server's FIN ends it.
        if (connection_of(slot).shutdown() != tcp::Error::none) (void)connection_of(slot).close();
    }
}

void Client::finish() noexcept {
    // In flight is counted from the records, not as a difference: so the residual is a check.
    for (std::size_t slot = 0; slot < records_.size(); ++slot) {
        Record& record = records_[slot];
        if (!record.in_use) continue;
        if (!record.counted && record.measured) ++measurement_.accounting.in_flight;
        record.counted = true;
        (void)connection_of(slot).abort();
    }
    if (!intends_) measurement_.latency.intended = measurement_.latency.actual;
    enter(Phase::finished);
}

std::uint32_t Client::begin_connections(Instant now, std::uint32_t most, bool behind) noexcept {
    std::uint32_t begun = 0;
    const bool measured = present_phase() == Phase::measured;
    const std::uint32_t window = options_.first_alone && !answered_ ? 1 : options_.window;
    const std::uint64_t given_up = arrivals_.give_up(now);
    if (given_up > 0 && measured && now - last_full_ <= options_.max_lag)
        measurement_.accounting.unsent_full += given_up;
    while (begun < most && open_ - held_ < window && arrivals_.due(now)) {
        const AddressPicker::Pick pick = addresses_.next();
        connect_.local_address = pick.client;
        connect_.remote_address = pick.server;
        connect_.remote_port = pick.server_port;
        const tcp::ConnectResult result = stack_.connect(connect_);
        if (result.error != tcp::Error::none) [[unlikely]] {
            // Not begun: it stays due, and is given up when it is too late.
            ++measurement_.local_errors;
            measurement_.last_local_error = result.error;
            break;
        }
        Record& record = records_[result.connection.slot()];
        record = Record{};
        record.intended = arrivals_.intended(now);
        record.actual = now;
        record.generation = result.connection.generation();
        record.in_use = true;
        record.measured = measured;
        if (measured && arrivals_.open_loop() && options_.measures) {
            measurement_.lag.record(nanoseconds_between(record.intended, now));
        }
        if (connect_.fast_open) ask(result.connection);
        arrivals_.sent();
        ++open_;
        ++measurement_.all.started;
        ++begun;
    }
    // Where this core is behind, it may be itself that keeps them open.
    if (!behind && open_ - held_ >= window && arrivals_.due(now)) last_full_ = now;
    return begun;
}

// `rst` and `fin` end a connection a turn after it was established, when its third segment has left: sooner,
// the ACK would ride with the FIN, or never be sent, and the recipe be a packet short.
std::uint32_t Client::end_connections() noexcept {
    auto n = static_cast<std::uint32_t>(to_end_.size());
    for (const tcp::Connection& connection : to_end_) {
        const Record& record = records_[connection.slot()];
        if (!record.in_use || record.generation != connection.generation()) continue;
        if (options_.concurrency > 0)
            hold(connection.slot());
        else
            end(connection);
    }
    to_end_.clear();
    to_end_.swap(fresh_);
    if (options_.concurrency > 0) n += end_oldest();
    return n;
}

void Client::end(tcp::Connection connection) noexcept {
    records_[connection.slot()].ending = true;
    if (options_.recipe == Recipe::rst)
        (void)connection.abort();
    else
        (void)connection.close();
}

// The oldest of those that are more than are to stay open; once the traffic is over all, some a turn.
std::uint32_t Client::end_oldest() noexcept {
    const bool over = present_phase() == Phase::draining && now_ >= ramp_down_end_;
    const std::uint32_t stay = over ? 0 : options_.concurrency;
    std::uint32_t n = 0;
    while (held_ > stay && n < 2 * options_.batch) {
        const std::uint32_t slot = oldest_;
        release_held(slot);
        end(connection_of(slot));
        ++n;
    }
    if (over && n > 0) phase_end_ = now_ + options_.drain;
    return n;
}

void Client::hold(std::uint32_t slot) noexcept {
    neighbours_[slot] = {.older = newest_, .newer = none};
    (newest_ == none ? oldest_ : neighbours_[newest_].newer) = slot;
    newest_ = slot;
    records_[slot].held = true;
    ++held_;
}

void Client::release_held(std::uint32_t slot) noexcept {
    const Neighbours& left = neighbours_[slot];
    (left.older == none ? oldest_ : neighbours_[left.older].newer) = left.newer;
    (left.newer == none ? newest_ : neighbours_[left.newer].older) = left.older;
    records_[slot].held = false;
    --held_;
}

void Client::note_latency(Histogram LatencyHistograms::*which, const Record& record, Instant at) noexcept {
    if (!options_.measures) [[unlikely]]
        return;
    (measurement_.latency.actual.*which).record(nanoseconds_between(record.actual, at));
    if (intends_) (measurement_.latency.intended.*which).record(nanoseconds_between(record.intended, at));
}

void Client::count(Record& record, std::uint64_t Accounting::*outcome) noexcept {
    if (record.counted) return;
    record.counted = true;
    if (outcome == &Accounting::completed) ++measurement_.all.completed;
    if (record.measured) ++(measurement_.accounting.*outcome);
}

tcp::Connection Client::connection_of(std::size_t slot) const noexcept {
    return {&stack_.tcp(), static_cast<std::uint32_t>(slot), records_[slot].generation};
}

void Client::established(tcp::Connection connection) noexcept {
    Record& record = records_[connection.slot()];
    ++measurement_.all.established;
    answered_ = true;
    if (record.measured) {
        ++measurement_.accounting.established;
        measurement_.opening_length = now_ - window_begin_;
        note_latency(&LatencyHistograms::handshake, record, now_);
    }
    switch (options_.recipe) {
        case Recipe::rst:
        case Recipe::fin:
            fresh_.push_back(connection);
            break;
        case Recipe::crr:
            if (!connect_.fast_open) ask(connection);
            break;
        case Recipe::hold:
        case Recipe::rr:
        case Recipe::http:
        case Recipe::stream:
        case Recipe::udp_rr:
        case Recipe::udp_oneway:
        case Recipe::none:
            break;  // of other clients
    }
}

void Client::ask(tcp::Connection connection) noexcept {
    const tcp::SendResult result = connection.send_static(options_.request);
    if (result.accepted == options_.request.size()) [[likely]]
        return;
    if (result.accepted == 0 && result.error == tcp::Error::no_memory)
        records_[connection.slot()].refused = true;
    else
        (void)connection.abort();
}

void Client::writable(tcp::Connection connection) noexcept {
    Record& record = records_[connection.slot()];
    if (!record.refused) return;
    record.refused = false;
    ask(connection);
}

tcp::Ownership Client::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    Record& record = records_[connection.slot()];
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    measurement_.all.octets_received += octets;
    record.last_data = now_;
    if (!record.answered) {
        record.answered = true;
        if (record.measured) note_latency(&LatencyHistograms::ttfb, record, now_);
    }
    (void)connection.consume(octets);
    return tcp::Ownership::returned;
}

void Client::peer_closed(tcp::Connection connection) noexcept {
    Record& record = records_[connection.slot()];
    if (record.answered && record.measured) note_latency(&LatencyHistograms::ttlb, record, record.last_data);
    record.ending = true;
    (void)connection.close();
}

void Client::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    Record& record = records_[connection.slot()];
    if (!record.in_use) return;
    record.in_use = false;
    answered_ = true;
    --open_;
    if (record.held) release_held(connection.slot());
    const bool was_counted = record.counted;
    std::uint64_t Accounting::*outcome = &Accounting::reset;
    switch (reason) {
        case tcp::CloseReason::orderly:
            // A server that closed without an answer has not carried out the recipe.
            if (options_.recipe != Recipe::crr || record.answered) outcome = &Accounting::completed;
            break;
        case tcp::CloseReason::aborted:
            if (options_.recipe == Recipe::rst && record.ending) outcome = &Accounting::completed;
            break;
        case tcp::CloseReason::reset:
            break;
        case tcp::CloseReason::refused:
        case tcp::CloseReason::unreachable:
            outcome = &Accounting::refused;
            break;
        case tcp::CloseReason::timed_out:
            outcome = &Accounting::timed_out;
            break;
    }
    count(record, outcome);
    if (!was_counted && record.measured && outcome == &Accounting::completed)
        note_latency(&LatencyHistograms::close, record, now_);
}

}  // namespace runnel::load
