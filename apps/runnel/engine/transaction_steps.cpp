// The steps of one connection of a TransactionClient, from its beginning to its end: see
// transaction_client.hpp.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "engine/sized_request.hpp"
#include "engine/transaction_client.hpp"

namespace runnel::load {

// -- beginning

bool TransactionClient::connect(Instant intended, Instant now) noexcept {
    const AddressPicker::Pick pick = addresses_.next();
    connect_.local_address = pick.client;
    connect_.remote_address = pick.server;
    connect_.remote_port = pick.server_port;
    const tcp::ConnectResult result = stack_.connect(connect_);
    if (result.error != tcp::Error::none) [[unlikely]] {
        ++measurement_.local_errors;  // tried again at the next poll
        measurement_.last_local_error = result.error;
        return false;
    }
    Record& record = records_[result.connection.slot()];
    record = Record{};
    record.syn_intended = intended;
    record.syn_actual = now;
    record.generation = result.connection.generation();
    record.in_use = true;
    record.measured = measuring_;
    ++opening_;
    ++open_;
    ++measurement_.all.started;
    return true;
}

std::uint32_t TransactionClient::open_connections(Instant now, std::uint32_t most) noexcept {
    if (paused()) return 0;
    std::uint32_t begun = 0;
    const std::uint32_t window = options_.first_alone && !answered_ ? 1 : options_.window;
    while (begun < most && opening_ < window && to_open_ > 0 && connect(now, now)) {
        --to_open_;
        ++begun;
    }
    return begun;
}

std::uint32_t TransactionClient::begin_arrivals(Instant now, std::uint32_t most, bool behind) noexcept {
    if (!ramping_) return 0;
    std::uint32_t begun = 0;
    if (options_.comes_and_goes) {
        const std::uint32_t window = options_.first_alone && !answered_ ? 1 : options_.window;
        const std::uint64_t given_up = arrivals_.give_up(now);
        if (given_up > 0 && measuring_ && now - last_full_ <= options_.max_lag)
            measurement_.accounting.unsent_full += given_up;
        while (begun < most && open_ < window && arrivals_.due(now) &&
               connect(arrivals_.intended(now), now)) {
            if (measuring_ && options_.measures && arrivals_.open_loop())
                measurement_.lag.record(nanoseconds_between(arrivals_.intended(now), now));
            arrivals_.sent();
            ++begun;
        }
        if (!behind && open_ >= window && arrivals_.due(now)) last_full_ = now;
        return begun;
    }
    if (!schedules_transactions()) return 0;
    note_given_up(arrivals_.finish(std::min(now - options_.max_lag, window_end_)));  // what is too late
    while (begun < most && idle_count_ > 0 && arrivals_.due(now) && arrivals_.intended(now) < window_end_) {
        const Slot slot = idle_[idle_begin_];
        if (++idle_begin_ == idle_.size()) idle_begin_ = 0;
        --idle_count_;
        if (!takes(slot)) continue;
        const Instant intended = arrivals_.intended(now);
        if (measuring_ && options_.measures) measurement_.lag.record(nanoseconds_between(intended, now));
        arrivals_.sent();
        ask(connection_of(slot.slot), intended);
        ++begun;
    }
    // Where this core is behind, it may be itself that keeps them busy.
    if (!behind && idle_count_ == 0 && arrivals_.due(now) && arrivals_.intended(now) < window_end_)
        last_full_ = now;
    return begun;
}

// Nothing is under way on it.
void TransactionClient::rest(tcp::Connection connection, Instant intended) noexcept {
    if (!schedules_transactions() && !paused()) [[likely]] {
        ask(connection, intended);
        return;
    }
    const auto put_back = [this](const Slot& slot) {
        std::size_t at = idle_begin_ + idle_count_++;
        if (at >= idle_.size()) at -= idle_.size();
        idle_[at] = slot;
    };
    if (idle_count_ == idle_.size()) [[unlikely]] {
        // As many as there are slots: some are of connections that are gone.
        for (std::size_t n = std::exchange(idle_count_, 0); n > 0; --n) {
            const Slot slot = idle_[idle_begin_];
            if (++idle_begin_ == idle_.size()) idle_begin_ = 0;
            if (takes(slot)) put_back(slot);
        }
    }
    put_back({connection.slot(), connection.generation()});
}

std::uint32_t TransactionClient::end_thinking(Instant now) noexcept {
    std::uint32_t n = 0;
    while (n < options_.batch && thinking_.due(now)) {
        const auto [at, slot] = thinking_.pop();
        ++n;
        if (takes(slot)) rest(connection_of(slot.slot), at);
    }
    return n;
}

// -- a transaction

void TransactionClient::ask(tcp::Connection connection, Instant intended) noexcept {
    Record& record = records_[connection.slot()];
    ++measurement_.transactions.asked;
    ++record.begun;
    record.asking = true;
    record.asked_in_window = measuring_;
    record.intended = intended;
    record.actual = now_;
    record.last = options_.comes_and_goes && record.begun == options_.transactions;
    record.head_left = kind_ != Kind::fixed;
    switch (kind_) {
        case Kind::fixed:
            record.body = static_cast<std::uint32_t>(options_.request.size());
            record.owed = options_.response_octets;
            break;
        case Kind::sized: {
            const std::uint64_t size =
                std::clamp<std::uint64_t>(request_.next(), SizedRequest::octets, SizedRequest::most);
            record.body = static_cast<std::uint32_t>(size) - SizedRequest::octets;
            record.response = static_cast<std::uint32_t>(
                std::clamp<std::uint64_t>(response_.next(), 1, SizedRequest::most));
            record.owed = record.response;
            break;
        }
        case Kind::http: {
            record.body = static_cast<std::uint32_t>(std::min<std::uint64_t>(request_.next(), 1U << 30));
            record.response = static_cast<std::uint32_t>(std::min<std::uint64_t>(response_.next(), 1U << 30));
            const HttpAsk& ask = options_.http.asks[(record.begun - 1) % options_.http.asks.size()];
            readers_[connection.slot()].begin(ask.method == "HEAD");
            break;
        }
    }
    record.body_left = record.body;
    put(connection, record);
}

std::size_t TransactionClient::make_head(Record& record) noexcept {
    head_.clear();
    if (kind_ == Kind::sized) {
        const auto encoded = SizedRequest{record.body + SizedRequest::octets, record.response}.encode();
        head_.append(reinterpret_cast<const char*>(encoded.data()), encoded.size());
        return head_.size();
    }
    const std::size_t number = (record.begun - 1) % options_.http.asks.size();
    const HttpAsk& ask = options_.http.asks[number];
    head_ += ask.method;
    if (record.response > 0)
        fmt::format_to(std::back_inserter(head_), " /bytes/{}", record.response);
    else
        (head_ += ' ') += ask.path;
    head_ += heads_[number];
    if (record.last || !options_.http.keep_alive) head_ += "Connection: close\r\n";
    if (record.body > 0 || ask.method == "POST" || ask.method == "PUT")
        fmt::format_to(std::back_inserter(head_), "Content-Length: {}\r\n", record.body);
    head_ += "\r\n";
    return head_.size();
}

// Hands to TCP what it has not taken yet of the request; `writable` goes on.
void TransactionClient::put(tcp::Connection connection, Record& record) noexcept {
    if (record.head_left) {
        const std::size_t size = make_head(record);
        const auto head = std::as_bytes(std::span{head_});
        const tcp::SendResult result = record.body > 0 ? connection.send_more(head) : connection.send(head);
        if (result.accepted == 0 && result.error != tcp::Error::none) return;
        if (result.accepted < size) [[unlikely]] {
            (void)connection.abort();
            return;
        }
        record.head_left = false;
    }
    while (record.body_left > 0) {
        const std::span<const std::byte> octets =
            kind_ == Kind::fixed
                ? options_.request.subspan(record.body - record.body_left)
                : options_.block.first(std::min<std::size_t>(record.body_left, options_.block.size()));
        const tcp::SendResult result = connection.send_static(octets);
        record.body_left -= static_cast<std::uint32_t>(result.accepted);
        if (result.error != tcp::Error::none || result.accepted == 0) return;
    }
}

void TransactionClient::writable(tcp::Connection connection) noexcept {
    Record& record = records_[connection.slot()];
    if (record.asking) put(connection, record);
}

tcp::Ownership TransactionClient::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    measurement_.all.octets_received += octets;
    (void)connection.consume(octets);
    Record& record = records_[connection.slot()];
    if (!record.asking) [[unlikely]] {
        // More than was asked for: whatever answers is no server of this recipe.
        if (!record.ending) {
            if (kind_ == Kind::http) ++measurement_.http.surplus;
            (void)connection.abort();
        }
        return tcp::Ownership::returned;
    }
    if (!record.answered) {
        record.answered = true;
        if (record.measured) note(&LatencyHistograms::ttfb, record.syn_intended, record.syn_actual);
    }
    if (kind_ != Kind::http) {
        if (octets > record.owed) [[unlikely]] {
            (void)connection.abort();
            return tcp::Ownership::returned;
        }
        record.owed -= octets;
        if (record.owed == 0) answered(connection, record, true);
        return tcp::Ownership::returned;
    }
    HttpReader& reader = readers_[connection.slot()];
    HttpReader::Event event = HttpReader::Event::need_more;
    for (const rte_mbuf* part = &payload; part != nullptr && event != HttpReader::Event::bad;
         part = part->next)
        if (part->data_len > 0)
            event = reader.read({rte_pktmbuf_mtod(part, const char*), part->data_len}, measurement_.http);
    if (event == HttpReader::Event::bad)
        (void)connection.abort();
    else if (event == HttpReader::Event::response)
        answered(connection, record, reader.keeps());
    return tcp::Ownership::returned;
}

void TransactionClient::answered(tcp::Connection connection, Record& record, bool server_keeps) noexcept {
    record.asking = false;
    ++measurement_.all.transactions;
    ++measurement_.transactions.answered;
    if (record.asked_in_window) note(&LatencyHistograms::transaction, record.intended, record.actual);
    if (record.begun == 1 && record.measured)
        note(&LatencyHistograms::ttlb, record.syn_intended, record.syn_actual);
    if (!server_keeps) {
        // Its FIN follows. Where more was to come on this connection, the server has not carried that out.
        record.ending = !options_.comes_and_goes || record.begun == options_.transactions;
        return;
    }
    if (record.last || stopping_) {
        end(connection, record);
    } else if (think_.is_zero()) {
        rest(connection, now_);
    } else {
        thinking_.push(now_ + think_.next_time(), {connection.slot(), connection.generation()});
    }
}

// -- ending

void TransactionClient::end(tcp::Connection connection, Record& record) noexcept {
    record.ending = true;
    (void)connection.close();
}

// Those on which nothing is under way; the others end when they have been answered.
std::uint32_t TransactionClient::end_connections(Instant now) noexcept {
    if (ending() == Ending::reset) return 0;  // `finish` ends them all
    std::uint32_t n = 0;
    while (n < options_.batch && next_to_end_ < records_.size()) {
        const std::size_t slot = next_to_end_++;
        Record& record = records_[slot];
        if (!record.in_use || !record.established || record.asking || record.ending) continue;
        end(connection_of(slot), record);
        phase_end_ = now + options_.drain;
        ++n;
    }
    return n;
}

void TransactionClient::established(tcp::Connection connection) noexcept {
    Record& record = records_[connection.slot()];
    record.established = true;
    answered_ = true;
    --opening_;
    ++measurement_.all.established;
    measurement_.opening_length =
        now_ - (options_.comes_and_goes ? window_begin_ : opening_end_ - opening_limit);
    if (!options_.comes_and_goes || record.measured)
        note(&LatencyHistograms::handshake, record.syn_intended, record.syn_actual);
    if (options_.comes_and_goes && record.measured) ++measurement_.accounting.established;
    if (stopping_)
        end(connection, record);
    else
        rest(connection, now_);
}

void TransactionClient::peer_closed(tcp::Connection connection) noexcept {
    Record& record = records_[connection.slot()];
    if (kind_ == Kind::http) {
        if (record.asking &&
            readers_[connection.slot()].end(measurement_.http) == HttpReader::Event::response)
            answered(connection, record, false);
        // A server may end a connection on which nothing is under way whenever it likes (RFC 9112 section
        // 9.5).
        if (!record.asking && !options_.comes_and_goes) record.ending = true;
    }
    (void)connection.close();
}

void TransactionClient::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    Record& record = records_[connection.slot()];
    if (!record.in_use) return;
    record.in_use = false;
    answered_ = true;
    --open_;
    if (!record.established) --opening_;
    if (record.counted) return;
    record.counted = true;
    const bool lost = record.asking;
    if (lost) ++measurement_.transactions.lost;
    record.asking = false;
    std::uint64_t Accounting::*outcome = &Accounting::reset;
    switch (reason) {
        case tcp::CloseReason::orderly:
            if (record.ending && !lost) outcome = &Accounting::completed;
            break;
        case tcp::CloseReason::aborted:
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
    const bool completed = outcome == &Accounting::completed;
    if (completed) ++measurement_.all.completed;
    if (!options_.comes_and_goes || record.measured) {
        ++(measurement_.accounting.*outcome);
        if (completed) note(&LatencyHistograms::close, record.syn_intended, record.syn_actual);
    }
    // One that the server has ended in order is replaced.
    if (completed && !options_.comes_and_goes && !stopping_) ++to_open_;
}

}  // namespace runnel::load
