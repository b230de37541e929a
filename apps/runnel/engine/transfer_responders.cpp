// See transfer_responders.hpp.
#include "engine/transfer_responders.hpp"

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
    proceed(connection, session);
    return tcp::Ownership::returned;
}

void RequestResponder::proceed(tcp::Connection connection, Session& session) noexcept {
    while (session.unanswered >= request_octets_) {
        const tcp::SendResult result = connection.send_static(response_.subspan(session.sent));
        totals_.octets_out += result.accepted;
        session.sent += static_cast<std::uint32_t>(result.accepted);
        if (session.sent < response_.size()) return;  // `writable` goes on
        session.sent = 0;
        session.unanswered -= request_octets_;
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
