// See hold_client.hpp.
#include "engine/hold_client.hpp"

#include <algorithm>

namespace runnel::load {

HoldClient::HoldClient(Stack& stack, const ClientOptions& options)
    : stack_(stack),
      options_(options),
      addresses_(make_picker(options)),
      records_(options.window),
      arrivals_({}, Instant{}),
      order_(std::max(options.slots, 1U), 0),
      intends_(options.rate.has_value()) {
    connect_.handler = this;
    free_records_.reserve(options.window);
    for (std::uint32_t i = options.window; i > 0; --i) free_records_.push_back(i - 1);
}

void HoldClient::change_rate(std::optional<double> rate, Instant now) noexcept {
    if (present_phase() > Phase::measured) return;
    if (rate && !intends_) {
        // Until now each was intended when it was sent.
        measurement_.latency.intended.handshake = measurement_.latency.actual.handshake;
        intends_ = true;
    }
    options_.rate = rate;
    options_.profile.reset();
    arrivals_.change_rate(rate, now);
}

bool HoldClient::poll(Instant now) noexcept {
    now_ = now;
    const bool stepped = step_phase(now);
    switch (present_phase()) {
        case Phase::measured: {
            const bool opened = begin_connections(now) > 0;
            return (all_open(now) && begin_transactions(now) > 0) | opened | stepped;
        }
        case Phase::closing:
            return (end_connections(now) > 0) | stepped;
        default:
            return stepped;
    }
}

// Returns whether a phase ended.
bool HoldClient::step_phase(Instant now) noexcept {
    switch (present_phase()) {
        case Phase::waiting:
            arrivals_ = arrivals_of_core(options_, options_.profile ? &*options_.profile : nullptr,
                                         options_.connections, now);
            if (paused()) arrivals_.pause(now);
            window_begin_ = last_move_ = now;
            phase_end_ = now + options_.duration;
            enter(Phase::measured);
            return true;
        case Phase::measured:
            if (!window_over(now) && !told_to_stop()) [[likely]]
                return false;
            end_window(now);
            enter(Phase::draining);
            return true;
        case Phase::draining:
            // What is cut off does not wait for answers.
            if (busy() > 0 && now < phase_end_ && !abandoned() &&
                (!told_to_stop() || ending() == Ending::drain))
                return false;
            enter(Phase::held);
            return true;
        case Phase::held:
            if (!released()) return false;
            closing_begin_ = now;
            phase_end_ = now + (ending() == Ending::reset ? Duration{} : options_.drain);
            enter(Phase::closing);
            return true;
        case Phase::closing:
            if (open_ > 0 && now < phase_end_ && !abandoned()) return false;
            finish();
            return true;
        case Phase::ramp:
        case Phase::finished:
            return false;
    }
    return false;
}

bool HoldClient::all_open(Instant now) const noexcept {
    const bool all_begun = arrivals_.exhausted() || (arrivals_.open_loop() && now >= phase_end_);
    return all_begun && opening_ == 0;
}

bool HoldClient::window_over(Instant now) noexcept {
    if (now < phase_end_) return false;
    if (paused()) last_move_ = now;
    if (now - last_move_ > options_.drain) return true;
    if (arrivals_.open_loop() && options_.transactions == 0) return true;
    return all_open(now) && asking_ == 0 && !more_to_ask();
}

void HoldClient::end_window(Instant now) noexcept {
    // Of a schedule only: what came due and was not begun.
    arrivals_.finish(std::min(now, phase_end_));
    Measurement& m = measurement_;
    // So many were to be held: what the window was too short for has not been sent either.
    m.accounting.attempted = options_.connections;
    m.accounting.unsent = arrivals_.unsent() + (options_.connections - arrivals_.attempted());
    m.window_length = now - window_begin_;
    m.window = m.all;
    phase_end_ = now + options_.drain;
}

void HoldClient::finish() noexcept {
    // In flight is counted from the connections, not as a difference: so the residual is a check.
    for (std::uint32_t slot = 0; slot < options_.slots && open_ > 0; ++slot) {
        tcp::Connection connection = stack_.tcp().connection_in(slot);
        if (!connection.alive()) continue;
        const Word word = Word::decode(connection.context());
        if (word.stand == Stand::opening) ++measurement_.accounting.in_flight;
        if (word.stand == Stand::asking) ++measurement_.transactions.in_flight;
        if (word.stand != Stand::ending) ++ending_;
        (void)connection.set_context(Word{Stand::ending, 0}.encode());
        (void)connection.abort();
    }
    // A transaction is begun when another ends, or is chosen: no schedule intends it sooner.
    if (intends_)
        measurement_.latency.intended.transaction = measurement_.latency.actual.transaction;
    else
        measurement_.latency.intended = measurement_.latency.actual;
    enter(Phase::finished);
}

std::uint32_t HoldClient::begin_connections(Instant now) noexcept {
    arrivals_.give_up(now);
    std::uint32_t begun = 0;
    while (begun < options_.batch && !free_records_.empty() && arrivals_.due(now)) {
        const Word word{Stand::opening, free_records_.back()};
        const AddressPicker::Pick pick = addresses_.next();
        connect_.local_address = pick.client;
        connect_.remote_address = pick.server;
        connect_.remote_port = pick.server_port;
        connect_.context = word.encode();
        const tcp::ConnectResult result = stack_.connect(connect_);
        if (result.error != tcp::Error::none) [[unlikely]] {
            // Not begun: it stays due, and is given up when it is too late.
            ++measurement_.local_errors;
            measurement_.last_local_error = result.error;
            break;
        }
        free_records_.pop_back();
        records_[word.record] = {.intended = arrivals_.intended(now), .actual = now};
        if (arrivals_.open_loop() && options_.measures)
            measurement_.lag.record(nanoseconds_between(records_[word.record].intended, now));
        arrivals_.sent();
        ++open_;
        ++opening_;
        ++measurement_.all.started;
        ++begun;
    }
    return begun;
}

bool HoldClient::more_to_ask() const noexcept {
    return rounds_ < options_.transactions || (rounds_ > 0 && !order_.done());
}

// First all that are chosen are asked for, then used: their TCBs come from memory together.
std::uint32_t HoldClient::begin_transactions(Instant now) noexcept {
    std::array<std::uint32_t, most_batch> slots;
    std::uint32_t chosen = 0;
    const auto most =
        static_cast<std::uint32_t>(std::min<std::size_t>({options_.batch, most_batch, free_records_.size()}));
    if (paused()) return 0;
    while (chosen < most && more_to_ask()) {
        if (rounds_ == 0 || order_.done()) {
            order_ = RandomOrder(options_.slots, 0x9e3779b97f4a7c15U * ++rounds_);
            if (rounds_ == 1) first_request_ = now;
        }
        slots[chosen] = order_.next();
        stack_.tcp().prefetch(slots[chosen++]);
    }
    for (std::uint32_t i = 0; i < chosen; ++i) {
        const tcp::Connection connection = stack_.tcp().connection_in(slots[i]);
        if (!connection.alive() || Word::decode(connection.context()).stand != Stand::held) continue;
        if (!ask(connection, now)) ++measurement_.transactions.lost;
    }
    return chosen;
}

bool HoldClient::ask(tcp::Connection connection, Instant now) noexcept {
    ++measurement_.transactions.asked;
    if (connection.send_static(options_.request).accepted != options_.request.size()) [[unlikely]]
        return false;
    const Word word{Stand::asking, free_records_.back()};
    free_records_.pop_back();
    records_[word.record] = {.intended = now, .actual = now, .owed = options_.response_octets};
    (void)connection.set_context(word.encode());
    ++asking_;
    return true;
}

std::uint32_t HoldClient::end_connections(Instant now) noexcept {
    if (ending() == Ending::reset) return 0;  // `finish` ends them all
    std::uint32_t looked_at = 0;
    while (looked_at < options_.batch && busy() < options_.window && next_to_close_ < options_.slots) {
        tcp::Connection connection = stack_.tcp().connection_in(next_to_close_++);
        ++looked_at;
        if (!connection.alive()) continue;
        const Word word = Word::decode(connection.context());
        if (word.stand == Stand::asking && ending() == Ending::fin) {
            ++measurement_.transactions.in_flight;
            --asking_;
            free_records_.push_back(word.record);
        } else if (word.stand != Stand::held) {
            continue;
        }
        (void)connection.set_context(Word{Stand::ending, 0}.encode());
        ++ending_;
        (void)connection.close();
        phase_end_ = now + options_.drain;
    }
    return looked_at;
}

// A connection that was to be held is gone before its time: what counted as completed has failed after all.
void HoldClient::lose(Word word, std::uint64_t Accounting::*outcome) noexcept {
    if (word.stand == Stand::asking) {
        ++measurement_.transactions.lost;
        --asking_;
        free_records_.push_back(word.record);
    }
    --measurement_.all.completed;
    --measurement_.accounting.completed;
    ++(measurement_.accounting.*outcome);
}

void HoldClient::established(tcp::Connection connection) noexcept {
    const Word word = Word::decode(connection.context());
    const Record& record = records_[word.record];
    Measurement& m = measurement_;
    m.opening_length = now_ - window_begin_;
    if (options_.measures) {
        m.latency.actual.handshake.record(nanoseconds_between(record.actual, now_));
        if (intends_) m.latency.intended.handshake.record(nanoseconds_between(record.intended, now_));
    }
    ++m.all.established;
    ++m.all.completed;
    ++m.accounting.established;
    ++m.accounting.completed;
    last_move_ = now_;
    --opening_;
    free_records_.push_back(word.record);
    (void)connection.set_context(Word{Stand::held, 0}.encode());
}

tcp::Ownership HoldClient::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    measurement_.all.octets_received += octets;
    (void)connection.consume(octets);
    const Word word = Word::decode(connection.context());
    if (word.stand != Stand::asking) return tcp::Ownership::returned;
    Record& record = records_[word.record];
    record.owed -= std::min<std::uint64_t>(record.owed, octets);
    if (record.owed > 0) return tcp::Ownership::returned;
    if (options_.measures)
        measurement_.latency.actual.transaction.record(nanoseconds_between(record.actual, now_));
    ++measurement_.transactions.answered;
    ++measurement_.all.transactions;
    measurement_.transacting_length = now_ - first_request_;
    last_move_ = now_;
    --asking_;
    free_records_.push_back(word.record);
    (void)connection.set_context(Word{Stand::held, 0}.encode());
    return tcp::Ownership::returned;
}

void HoldClient::peer_closed(tcp::Connection connection) noexcept {
    const Word word = Word::decode(connection.context());
    if (word.stand == Stand::held || word.stand == Stand::asking) {
        lose(word, &Accounting::reset);
        ++ending_;
        (void)connection.set_context(Word{Stand::ending, 0}.encode());
    }
    (void)connection.close();
}

void HoldClient::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    const Word word = Word::decode(connection.context());
    --open_;
    if (word.stand == Stand::ending) {
        --ending_;
        if (reason == tcp::CloseReason::orderly && present_phase() == Phase::closing) {
            ++measurement_.closed_in_order;
            measurement_.closing_length = now_ - closing_begin_;
        }
        return;
    }
    std::uint64_t Accounting::*outcome = &Accounting::reset;
    switch (reason) {
        case tcp::CloseReason::refused:
        case tcp::CloseReason::unreachable:
            outcome = &Accounting::refused;
            break;
        case tcp::CloseReason::timed_out:
            outcome = &Accounting::timed_out;
            break;
        case tcp::CloseReason::orderly:
        case tcp::CloseReason::reset:
        case tcp::CloseReason::aborted:
            break;
    }
    if (word.stand != Stand::opening) {
        lose(word, outcome);
        return;
    }
    --opening_;
    free_records_.push_back(word.record);
    ++(measurement_.accounting.*outcome);
}

}  // namespace runnel::load
