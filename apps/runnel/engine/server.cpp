// See server.hpp.
#include "engine/server.hpp"

#include <algorithm>

namespace runnel::load {

// -- one shot
// ----------------------------------------------------------------------------------------------------------

void OneShotResponder::established(tcp::Connection) noexcept {
    ++totals_.connections;
}

tcp::Ownership OneShotResponder::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    totals_.octets_in += octets;
    (void)connection.consume(octets);
    if (octets >= request_octets_) [[likely]] {
        asked(connection);
        return tcp::Ownership::returned;
    }
    // A request in several segments: its octets are counted in the connection's word.
    const std::uint64_t before = connection.context();
    (void)connection.set_context(before + octets);
    if (before < request_octets_ && before + octets >= request_octets_) {
        (void)connection.set_context(0);
        asked(connection);
    }
    return tcp::Ownership::returned;
}

void OneShotResponder::asked(tcp::Connection connection) noexcept {
    if (held_) [[unlikely]]
        held_->hold(connection);
    else
        respond(connection, 0);
}

// From here on the connection's word says how much of the response TCP has taken.
void OneShotResponder::respond(tcp::Connection connection, std::uint64_t from) noexcept {
    const tcp::SendResult result = connection.send_static(response_.subspan(from));
    totals_.octets_out += result.accepted;
    if (from + result.accepted == response_.size()) [[likely]] {
        ++totals_.requests;
        if (!keeps_) (void)connection.close();
        if (from > 0) (void)connection.set_context(0);
    } else {
        (void)connection.set_context(from + result.accepted);
    }
}

void OneShotResponder::writable(tcp::Connection connection) noexcept {
    respond(connection, connection.context());
}

void OneShotResponder::peer_closed(tcp::Connection connection) noexcept {
    (void)connection.close();
}

// -- HTTP
// --------------------------------------------------------------------------------------------------------------

HttpResponder::HttpResponder(const HttpResponse& keep_alive, const HttpResponse& closing, std::uint32_t slots)
    : keep_alive_(keep_alive), closing_(closing), sessions_(slots) {}

void HttpResponder::established(tcp::Connection connection) noexcept {
    ++totals_.connections;
    sessions_[connection.slot()] = Session{};
}

tcp::Ownership HttpResponder::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    totals_.octets_in += octets;
    (void)connection.consume(octets);
    Session& session = sessions_[connection.slot()];
    for (const rte_mbuf* segment = &payload; segment != nullptr; segment = segment->next) {
        std::span<const char> rest{rte_pktmbuf_mtod(segment, const char*), segment->data_len};
        // What follows the request that closes is not read (RFC 9112 section 9.6).
        while (!rest.empty() && !session.closing) {
            const HttpRequestParser::Result result = session.parser.read(rest);
            rest = rest.subspan(result.used);
            if (result.event == HttpRequestParser::Event::need_more) break;
            if (result.event == HttpRequestParser::Event::bad || session.owed == most_owed) {
                ++totals_.bad_requests;
                session.closing = session.bad = true;
                break;
            }
            session.heads =
                static_cast<std::uint16_t>(session.heads | (result.head ? 1U << session.owed : 0U));
            session.sizes[session.owed] = result.octets;
            ++session.owed;
            session.closing = !result.keep_alive;
            if (held_) [[unlikely]]
                held_->hold(connection);
            else
                proceed(connection, session);
        }
    }
    if (session.bad) proceed(connection, session);
    return tcp::Ownership::returned;
}

void HttpResponder::answer(tcp::Connection connection) noexcept {
    Session& session = sessions_[connection.slot()];
    ++session.ready;
    proceed(connection, session);
}

void HttpResponder::proceed(tcp::Connection connection, Session& session) noexcept {
    while (session.owed > 0) {
        if (held_ && session.ready == 0) return;
        if (session.sent == 0) session.last = session.closing && session.owed == 1;
        const bool head = (session.heads & 1U) != 0;
        if (session.sizes[0] != HttpRequestParser::any_octets) {
            if (!send_sized(connection, session, head)) return;  // `writable` goes on
        } else {
            const HttpResponse& response = session.last ? closing_ : keep_alive_;
            const std::span<const std::byte> whole = head ? response.head() : response.all();
            const tcp::SendResult result = connection.send_static(whole.subspan(session.sent));
            totals_.octets_out += result.accepted;
            session.sent += static_cast<std::uint32_t>(result.accepted);
            if (session.sent < whole.size()) return;
        }
        session.sent = 0;
        --session.owed;
        if (held_) --session.ready;
        session.heads = static_cast<std::uint16_t>(session.heads >> 1);
        if (session.owed > 0)
            std::ranges::copy(session.sizes.begin() + 1, session.sizes.begin() + session.owed + 1,
                              session.sizes.begin());
        ++totals_.requests;
    }
    if (!session.closing) return;
    if (session.bad) (void)connection.send_static(HttpResponse::bad_request());
    (void)connection.close();
}

// Whether the first response owed, whose size the request has named, is wholly taken.
bool HttpResponder::send_sized(tcp::Connection connection, Session& session, bool head) noexcept {
    const std::uint32_t size = session.sizes[0];
    std::array<char, 160> text;
    const HttpResponse::Head made = HttpResponse::make_head(text, size, !session.last);
    const auto header = std::as_bytes(std::span{text}.first(made.size));
    if (session.sent < header.size()) {
        const auto rest = header.subspan(session.sent);
        const tcp::SendResult result = head || size == 0 ? connection.send(rest) : connection.send_more(rest);
        totals_.octets_out += result.accepted;
        session.sent += static_cast<std::uint32_t>(result.accepted);
        if (result.accepted < rest.size()) return false;
    }
    if (head) return true;
    for (;;) {
        const std::size_t left = header.size() + size - session.sent;
        if (left == 0) return true;
        const std::span<const std::byte> block = HttpResponse::filler();
        const tcp::SendResult result = connection.send_static(block.first(std::min(left, block.size())));
        totals_.octets_out += result.accepted;
        session.sent += static_cast<std::uint32_t>(result.accepted);
        if (result.error != tcp::Error::none) return false;
    }
}

void HttpResponder::writable(tcp::Connection connection) noexcept {
    proceed(connection, sessions_[connection.slot()]);
}

void HttpResponder::peer_closed(tcp::Connection connection) noexcept {
    Session& session = sessions_[connection.slot()];
    session.closing = true;
    proceed(connection, session);
}

// -- discard
// -----------------------------------------------------------------------------------------------------------

DiscardResponder::DiscardResponder(std::uint32_t slots, std::uint32_t digests)
    : sessions_(slots), digests_(digests) {
    for (std::uint32_t i = digests; i > 0; --i) free_digests_.push_back(i - 1);
    if (digests > 0) reports_.reserve(most_reports);
}

void DiscardResponder::established(tcp::Connection connection) noexcept {
    ++totals_.connections;
    Session& session = sessions_[connection.slot()];
    session = Session{};
    if (free_digests_.empty()) return;
    session.digest = free_digests_.back();
    free_digests_.pop_back();
    digests_[session.digest].begin();
}

tcp::Ownership DiscardResponder::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    Session& session = sessions_[connection.slot()];
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    totals_.octets_in += octets;
    session.octets += octets;
    if (session.digest != no_digest)
        for (const rte_mbuf* part = &payload; part != nullptr; part = part->next)
            digests_[session.digest].add({rte_pktmbuf_mtod(part, const std::byte*), part->data_len});
    (void)connection.consume(octets);
    return tcp::Ownership::returned;
}

void DiscardResponder::peer_closed(tcp::Connection connection) noexcept {
    sessions_[connection.slot()].orderly = true;
    (void)connection.close();
}

void DiscardResponder::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    Session& session = sessions_[connection.slot()];
    if (reason == tcp::CloseReason::orderly && session.orderly) ++totals_.requests;
    if (reports_.size() < reports_.capacity()) {
        const tcp::ConnectionInfo info = connection.info();
        Received report{.remote_address = info.remote_address,
                        .remote_port = info.remote_port,
                        .octets = session.octets,
                        .orderly = session.orderly};
        if (session.digest != no_digest) report.digest = digests_[session.digest].finish();
        reports_.push_back(report);
    }
    if (session.digest != no_digest) free_digests_.push_back(session.digest);
    session = Session{};
}

std::vector<Received> DiscardResponder::take_reports() {
    std::vector<Received> taken(reports_.begin(), reports_.end());
    reports_.clear();
    return taken;
}

// -- echo
// --------------------------------------------------------------------------------------------------------------

EchoResponder::EchoResponder(std::uint32_t slots) : sessions_(slots) {}

EchoResponder::~EchoResponder() {
    for (Session& session : sessions_) discard(session);
}

void EchoResponder::discard(Session& session) noexcept {
    if (session.first != nullptr) rte_pktmbuf_free(session.first);  // with all that are linked to it
    session = Session{};
}

void EchoResponder::established(tcp::Connection connection) noexcept {
    ++totals_.connections;
    discard(sessions_[connection.slot()]);
}

tcp::Ownership EchoResponder::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    Session& session = sessions_[connection.slot()];
    const std::uint32_t octets = rte_pktmbuf_pkt_len(&payload);
    totals_.octets_in += octets;
    if (session.first == nullptr && connection.send(&payload).error == tcp::Error::none) [[likely]] {
        (void)connection.consume(octets);
        totals_.octets_out += octets;
        ++totals_.requests;
        return tcp::Ownership::taken;
    }
    // No room: it is kept, and not consumed, so that the window closes before memory is spent.
    (session.first == nullptr ? session.first : session.last->next) = &payload;
    session.last = rte_pktmbuf_lastseg(&payload);
    return tcp::Ownership::taken;
}

void EchoResponder::proceed(tcp::Connection connection, Session& session) noexcept {
    while (session.first != nullptr) {
        rte_mbuf* const segment = session.first;
        const std::span<const std::byte> rest{rte_pktmbuf_mtod(segment, const std::byte*), segment->data_len};
        const std::size_t accepted = connection.send(rest).accepted;
        (void)connection.consume(accepted);
        totals_.octets_out += accepted;
        if (accepted < rest.size()) {
            segment->data_off = static_cast<std::uint16_t>(segment->data_off + accepted);
            segment->data_len = static_cast<std::uint16_t>(segment->data_len - accepted);
            return;
        }
        session.first = segment->next;
        segment->next = nullptr;
        segment->nb_segs = 1;
        rte_pktmbuf_free_seg(segment);
        if (session.first == nullptr) ++totals_.requests;
    }
    session.last = nullptr;
    if (session.closing) (void)connection.close();
}

void EchoResponder::writable(tcp::Connection connection) noexcept {
    proceed(connection, sessions_[connection.slot()]);
}

void EchoResponder::peer_closed(tcp::Connection connection) noexcept {
    Session& session = sessions_[connection.slot()];
    session.closing = true;
    if (session.first == nullptr) (void)connection.close();
}

void EchoResponder::closed(tcp::Connection connection, tcp::CloseReason) noexcept {
    discard(sessions_[connection.slot()]);
}

}  // namespace runnel::load
