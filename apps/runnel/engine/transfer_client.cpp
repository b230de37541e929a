// See transfer_client.hpp.
#include "engine/transfer_client.hpp"

#include <utility>

namespace runnel::load {

TransferClient::TransferClient(Stack& stack, const ClientOptions& options)
    : stack_(stack),
      options_(options),
      addresses_(make_picker(options)),
      source_(options.block, options.copies),
      records_(options.slots) {
    connect_.handler = this;
}

bool TransferClient::poll(Instant now) noexcept {
    now_ = now;
    bool worked = step_phase(now);
    if (next_to_go_on_ < records_.size()) [[unlikely]]
        worked |= go_on() > 0;
    switch (present_phase()) {
        case Phase::ramp:
            return (open_connections(now) > 0) | worked;
        case Phase::closing:
            return (end_connections(now) > 0) | worked;
        default:
            return worked;
    }
}

// Returns whether a phase ended.
bool TransferClient::step_phase(Instant now) noexcept {
    switch (present_phase()) {
        case Phase::waiting:
            opening_end_ = now + opening_limit;
            enter(Phase::ramp);
            return true;
        case Phase::ramp: {
            const bool open = measurement_.all.started == options_.connections && opening_ == 0;
            if (!open && (now < opening_end_ || paused()) && !told_to_stop()) return false;
            if (!ramping_) {
                ramping_ = true;
                phase_end_ = now + options_.ramp;
            }
            if (now < phase_end_ && !told_to_stop()) return false;
            begin_window(now);
            return true;
        }
        case Phase::measured:
            if (now < phase_end_ && open_ > 0 && !told_to_stop()) [[likely]]
                return false;
            end_window(now);
            return true;
        case Phase::held:
            if (!released()) return false;
            resume(now);
            stopping_ = true;
            cut_off();
            phase_end_ = now + (ending() == Ending::reset ? Duration{} : options_.drain);
            enter(Phase::closing);
            return true;
        case Phase::closing:
            if (open_ > 0 && now < phase_end_ && !abandoned()) return false;
            finish();
            return true;
        case Phase::draining:
        case Phase::finished:
            return false;
    }
    return false;
}

void TransferClient::begin_window(Instant now) noexcept {
    window_begin_ = now;
    phase_end_ = now + options_.duration;
    at_window_begin_ = measurement_.all;
    measuring_ = options_.measures;
    enter(Phase::measured);
}

void TransferClient::end_window(Instant now) noexcept {
    Measurement& m = measurement_;
    measuring_ = false;
    m.window_length = now - window_begin_;
    m.window.octets_received = m.all.octets_received - at_window_begin_.octets_received;
    m.window.octets_sent = m.all.octets_sent - at_window_begin_.octets_sent;
    m.window.transactions = m.all.transactions - at_window_begin_.transactions;
    enter(Phase::held);
}

// Those that wait for an answer end without it.
void TransferClient::cut_off() noexcept {
    if (ending() != Ending::fin || options_.recipe != Recipe::rr) return;
    for (std::size_t slot = 0; slot < records_.size(); ++slot) {
        Record& record = records_[slot];
        if (!record.in_use || record.ending || record.owed == 0) continue;
        ++measurement_.accounting.in_flight;
        ++measurement_.transactions.in_flight;
        record.counted = true;
        end(connection_of(slot), record);
    }
}

void TransferClient::end_pause(Instant now) noexcept {
    opening_end_ += now - paused_at_;
    next_to_go_on_ = 0;
}

// What the pause has held back, some connections a poll.
std::uint32_t TransferClient::go_on() noexcept {
    std::uint32_t n = 0;
    for (; n < options_.batch && next_to_go_on_ < records_.size() && !paused(); ++next_to_go_on_) {
        Record& record = records_[next_to_go_on_];
        if (!record.in_use || !record.waits) continue;
        record.waits = false;
        ++n;
        tcp::Connection connection = connection_of(next_to_go_on_);
        if (options_.recipe == Recipe::rr) {
            if (stopping_)
                end(connection, record);
            else
                ask(connection, record);
            continue;
        }
        if (record.owed > 0) (void)connection.consume(std::exchange(record.owed, 0));
        if (sends_to_server(options_.direction)) push(connection);
    }
    return n;
}

void TransferClient::finish() noexcept {
    Accounting& a = measurement_.accounting;
    a.attempted = options_.connections;
    a.unsent = options_.connections - measurement_.all.started;
    a.established = measurement_.all.established;
    // In flight is counted from the records, not as a difference: so the residual is a check.
    for (std::size_t slot = 0; slot < records_.size(); ++slot) {
        Record& record = records_[slot];
        if (!record.in_use) continue;
        if (!record.counted) {
            ++a.in_flight;
            if (options_.recipe == Recipe::rr && record.owed > 0) ++measurement_.transactions.in_flight;
        }
        record.counted = true;
        (void)connection_of(slot).abort();
    }
    measurement_.latency.intended = measurement_.latency.actual;
    enter(Phase::finished);
}

std::uint32_t TransferClient::open_connections(Instant now) noexcept {
    std::uint32_t begun = 0;
    const bool answered = measurement_.all.established > 0 || open_ < measurement_.all.started;
    if (paused()) return 0;
    const std::uint32_t window = options_.first_alone && !answered ? 1 : options_.window;
    while (begun < options_.batch && opening_ < window && measurement_.all.started < options_.connections) {
        const AddressPicker::Pick pick = addresses_.next();
        connect_.local_address = pick.client;
        connect_.remote_address = pick.server;
        connect_.remote_port = pick.server_port;
        const tcp::ConnectResult result = stack_.connect(connect_);
        if (result.error != tcp::Error::none) [[unlikely]] {
            ++measurement_.local_errors;  // tried again at the next poll
            measurement_.last_local_error = result.error;
            break;
        }
        Record& record = records_[result.connection.slot()];
        record = Record{};
        record.since = now;
        record.generation = result.connection.generation();
        record.in_use = true;
        ++opening_;
        ++open_;
        ++measurement_.all.started;
        ++begun;
    }
    return begun;
}

// `rr` ends a connection when its answer has come; what is sent of `stream` ends here.
std::uint32_t TransferClient::end_connections(Instant now) noexcept {
    if (options_.recipe == Recipe::rr || ending() == Ending::reset) return 0;
    std::uint32_t n = 0;
    while (n < options_.batch && next_to_end_ < records_.size()) {
        const std::size_t slot = next_to_end_++;
        Record& record = records_[slot];
        if (!record.in_use || !record.established) continue;
        end(connection_of(slot), record);
        phase_end_ = now + options_.drain;
        ++n;
    }
    return n;
}

void TransferClient::ask(tcp::Connection connection, Record& record) noexcept {
    ++measurement_.transactions.asked;
    record.owed = options_.response_octets;
    record.since = now_;
    put(connection, record);
}

void TransferClient::put(tcp::Connection connection, Record& record) noexcept {
    const tcp::SendResult result = connection.send_static(options_.request);
    record.refused = result.accepted == 0 && result.error == tcp::Error::no_memory;
    if (result.accepted != options_.request.size() && !record.refused) [[unlikely]]
        (void)connection.abort();
}

void TransferClient::push(tcp::Connection connection) noexcept {
    if (paused()) [[unlikely]]
        records_[connection.slot()].waits = true;
    else if (!stopping_)
        measurement_.all.octets_sent += source_.push(connection);
}

// Half a close: what the server has still to send is taken.
void TransferClient::end(tcp::Connection connection, Record& record) noexcept {
    record.ending = true;
    (void)connection.shutdown();
}

tcp::Connection TransferClient::connection_of(std::size_t slot) const noexcept {
    return {&stack_.tcp(), static_cast<std::uint32_t>(slot), records_[slot].generation};
}

void TransferClient::established(tcp::Connection connection) noexcept {
    Record& record = records_[connection.slot()];
    record.established = true;
    --opening_;
    ++measurement_.all.established;
    measurement_.opening_length = now_ - (opening_end_ - opening_limit);
    if (options_.measures)
        measurement_.latency.actual.handshake.record(nanoseconds_between(record.since, now_));
    if (options_.recipe == Recipe::rr) {
        if (paused())
            record.waits = true;
        else
            ask(connection, record);
    } else if (sends_to_server(options_.direction))
        push(connection);
}

tcp::Ownership TransferClient::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    measurement_.all.octets_received += octets;
    Record& record = records_[connection.slot()];
    if (options_.recipe != Recipe::rr && paused()) [[unlikely]] {
        // What is not taken closes the window: so the server pauses too.
        record.waits = true;
        record.owed += octets;
        return tcp::Ownership::returned;
    }
    (void)connection.consume(octets);
    if (options_.recipe != Recipe::rr || record.counted) return tcp::Ownership::returned;
    if (octets < record.owed) {
        record.owed -= octets;
        return tcp::Ownership::returned;
    }
    if (octets > record.owed) [[unlikely]] {
        // More than was asked for: whatever answers is no server of this recipe.
        (void)connection.abort();
        return tcp::Ownership::returned;
    }
    record.owed = 0;
    ++measurement_.all.transactions;
    ++measurement_.transactions.answered;
    if (measuring_) measurement_.latency.actual.transaction.record(nanoseconds_between(record.since, now_));
    if (stopping_) [[unlikely]]
        end(connection, record);
    else if (paused()) [[unlikely]]
        record.waits = true;
    else
        ask(connection, record);
    return tcp::Ownership::returned;
}

void TransferClient::writable(tcp::Connection connection) noexcept {
    if (options_.recipe == Recipe::stream) {
        push(connection);
        return;
    }
    Record& record = records_[connection.slot()];
    if (record.refused) put(connection, record);
}

void TransferClient::peer_closed(tcp::Connection connection) noexcept {
    (void)connection.close();
}

void TransferClient::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    Record& record = records_[connection.slot()];
    if (!record.in_use) return;
    record.in_use = false;
    --open_;
    if (!record.established) --opening_;
    if (record.counted) return;
    record.counted = true;
    if (options_.recipe == Recipe::rr && record.owed > 0) ++measurement_.transactions.lost;
    Accounting& a = measurement_.accounting;
    switch (reason) {
        case tcp::CloseReason::orderly:
            // A server that closes of itself has not carried out the recipe.
            if (record.ending) {
                ++a.completed;
                ++measurement_.all.completed;
            } else {
                ++a.reset;
            }
            return;
        case tcp::CloseReason::aborted:
        case tcp::CloseReason::reset:
            ++a.reset;
            return;
        case tcp::CloseReason::refused:
        case tcp::CloseReason::unreachable:
            ++a.refused;
            return;
        case tcp::CloseReason::timed_out:
            ++a.timed_out;
            return;
    }
}

}  // namespace runnel::load
