// See transfer_responders.hpp.
#include "engine/transfer_responders.hpp"

#include <algorithm>

namespace runnel::load {

// -- request and response
// ------------------------------------------------------------------------------------------------------

RequestResponder::RequestResponder(std::span<const std::byte> response, std::uint32_t request_octets,
                                   std::uint32_t slots)
    : response_(response), request_octets_(request_octets), sessions_(slots) {}

void RequestResponder::established(tcp::Connection connection) noexcept {
    ++totals_.connections;
    sessions_[connection.slot()] = Session{};
}

tcp::Ownership RequestResponder::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    totals_.octets_in += octets;
    (void)connection.consume(octets);
    Session& session = sessions_[connection.slot()];
    session.unanswered += octets;
    if (held_) [[unlikely]] {
        const std::uint64_t whole = session.unanswered / request_octets_;
        for (; session.held + session.ready < whole; ++session.held) held_->hold(connection);
        return tcp::Ownership::returned;
    }
    proceed(connection, session);
    return tcp::Ownership::returned;
}

void RequestResponder::answer(tcp::Connection connection) noexcept {
    Session& session = sessions_[connection.slot()];
    --session.held;
    ++session.ready;
    proceed(connection, session);
}

void RequestResponder::proceed(tcp::Connection connection, Session& session) noexcept {
    while (session.unanswered >= request_octets_) {
        if (held_ && session.ready == 0) return;  // `answer` goes on
        const tcp::SendResult result = connection.send_static(response_.subspan(session.sent));
        totals_.octets_out += result.accepted;
        session.sent += static_cast<std::uint32_t>(result.accepted);
        if (session.sent < response_.size()) return;  // `writable` goes on
        session.sent = 0;
        session.unanswered -= request_octets_;
        if (held_) --session.ready;
        ++totals_.requests;
    }
    if (session.closing) (void)connection.close();
}

void RequestResponder::writable(tcp::Connection connection) noexcept {
    proceed(connection, sessions_[connection.slot()]);
}

void RequestResponder::peer_closed(tcp::Connection connection) noexcept {
    Session& session = sessions_[connection.slot()];
    session.closing = true;
    proceed(connection, session);
}

// -- requests that say their sizes
// ------------------------------------------------------------------------------------------------------

SizedResponder::SizedResponder(std::span<const std::byte> block, std::uint32_t slots)
    : block_(block), sessions_(slots) {}

void SizedResponder::established(tcp::Connection connection) noexcept {
    ++totals_.connections;
    sessions_[connection.slot()] = Session{};
}

bool SizedResponder::read(Session& session, std::span<const std::byte> octets) noexcept {
    while (!octets.empty()) {
        if (session.asked) return false;
        if (session.head_octets < session.head.size()) {
            const std::size_t n = std::min(octets.size(), session.head.size() - session.head_octets);
            std::ranges::copy(octets.first(n), session.head.begin() + session.head_octets);
            session.head_octets += static_cast<std::uint32_t>(n);
            octets = octets.subspan(n);
            if (session.head_octets < session.head.size()) return true;
            const SizedRequest request = SizedRequest::decode(session.head);
            if (!request.valid()) return false;
            session.body_left = request.request - SizedRequest::octets;
            session.owed = request.response;
        }
        const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(octets.size(), session.body_left));
        session.body_left -= n;
        octets = octets.subspan(n);
        session.asked = session.body_left == 0;
    }
    return true;
}

tcp::Ownership SizedResponder::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    totals_.octets_in += octets;
    (void)connection.consume(octets);
    Session& session = sessions_[connection.slot()];
    for (const rte_mbuf* part = &payload; part != nullptr; part = part->next) {
        if (read(session, {rte_pktmbuf_mtod(part, const std::byte*), part->data_len})) continue;
        ++totals_.bad_requests;
        (void)connection.abort();
        return tcp::Ownership::returned;
    }
    if (!session.asked) return tcp::Ownership::returned;
    if (held_) {
        session.held = true;
        held_->hold(connection);
    } else {
        proceed(connection, session);
    }
    return tcp::Ownership::returned;
}

void SizedResponder::answer(tcp::Connection connection) noexcept {
    Session& session = sessions_[connection.slot()];
    session.held = false;
    proceed(connection, session);
}

void SizedResponder::proceed(tcp::Connection connection, Session& session) noexcept {
    if (session.asked && !session.held) {
        while (session.owed > 0) {
            const tcp::SendResult result =
                connection.send_static(block_.first(std::min<std::size_t>(session.owed, block_.size())));
            totals_.octets_out += result.accepted;
            session.owed -= static_cast<std::uint32_t>(result.accepted);
            if (result.error != tcp::Error::none) return;  // `writable` goes on
        }
        session.asked = false;
        session.head_octets = 0;
        ++totals_.requests;
    }
    if (session.closing && !session.asked) (void)connection.close();
}

void SizedResponder::writable(tcp::Connection connection) noexcept {
    proceed(connection, sessions_[connection.slot()]);
}

void SizedResponder::peer_closed(tcp::Connection connection) noexcept {
    Session& session = sessions_[connection.slot()];
    session.closing = true;
    proceed(connection, session);
}

// -- bulk data
// ------------------------------------------------------------------------------------------------------

StreamResponder::StreamResponder(const StreamSource& source, Direction direction)
    : source_(source), direction_(direction) {}

void StreamResponder::established(tcp::Connection connection) noexcept {
    ++totals_.connections;
    if (sends_to_client(direction_)) push(connection);
}

tcp::Ownership StreamResponder::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    totals_.octets_in += octets;
    (void)connection.consume(octets);
    return tcp::Ownership::returned;
}

void StreamResponder::push(tcp::Connection connection) noexcept {
    totals_.octets_out += source_.push(connection);
}

void StreamResponder::writable(tcp::Connection connection) noexcept {
    push(connection);
}

// From here on TCP takes nothing more.
void StreamResponder::peer_closed(tcp::Connection connection) noexcept {
    (void)connection.close();
}

}  // namespace runnel::load
