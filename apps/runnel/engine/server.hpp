// The server side of one core: what is answered on a listening port.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runnel/runtime/task.hpp"
#include "runnel/tcp/connection.hpp"

#include "engine/delays.hpp"
#include "engine/digest.hpp"
#include "engine/http.hpp"

namespace runnel::load {

/// What a responder has done. Written on the stack's thread.
struct ServerTotals {
    std::uint64_t connections = 0;  ///< established
    std::uint64_t requests = 0;     ///< answered; with echo: bursts of data returned
    std::uint64_t octets_in = 0;
    std::uint64_t octets_out = 0;    ///< handed to TCP
    std::uint64_t bad_requests = 0;  ///< not HTTP, or beyond what the responder keeps: answered with 400

    ServerTotals& operator+=(const ServerTotals& other) noexcept {
        connections += other.connections;
        requests += other.requests;
        octets_in += other.octets_in;
        octets_out += other.octets_out;
        bad_requests += other.bad_requests;
        return *this;
    }
};

/// A handler with totals. Calls on the stack's thread.
class Responder : public tcp::Handler, public runtime::Task {
  public:
    [[nodiscard]] const ServerTotals& totals() const noexcept { return totals_; }

    /// Answers late from now on; before anything has come, and `poll` is to be called then. `slots`:
    /// tcp::Config::connections of the stack. Those that answer no requests take no notice.
    void behave(const ServerBehaviour& behaviour, std::uint32_t slots, std::uint64_t seed) {
        held_ = std::make_unique<Delays<tcp::Connection>>(behaviour, slots, seed);
    }
    [[nodiscard]] bool answers_late() const noexcept { return held_ != nullptr; }

    bool poll(Instant now) noexcept override {
        return held_ && held_->poll(now, [this](tcp::Connection connection) {
            if (connection.alive()) answer(connection);
        });
    }

  protected:
    /// The time of one answer that was held back has come.
    virtual void answer(tcp::Connection) noexcept {}

    ServerTotals totals_;
    std::unique_ptr<Delays<tcp::Connection>> held_;  // where it answers late
};

/// The server of `crr`, `rst`, `fin` and `hold`: after `request_octets` of data, whatever they are, it sends
/// the response, and its FIN in the same segment; or, where it keeps its connections, waits for the next
/// request. It closes when the client closes. A connection costs nothing beside its TCB.
class OneShotResponder final : public Responder {
  public:
    /// `response` stays valid until the process ends. `request_octets` at least 1. `keeps`: the client asks
    /// again only when it has been answered.
    OneShotResponder(std::span<const std::byte> response, std::uint32_t request_octets,
                     bool keeps = false) noexcept
        : response_(response), request_octets_(request_octets), keeps_(keeps) {}

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;

  private:
    void answer(tcp::Connection connection) noexcept override { respond(connection, 0); }
    void asked(tcp::Connection connection) noexcept;
    void respond(tcp::Connection connection, std::uint64_t from) noexcept;

    std::span<const std::byte> response_;
    std::uint32_t request_octets_;
    bool keeps_;
};

/// An HTTP/1.1-shaped server: each request, whatever it asks for, gets the same body; but for one of the path
/// "/bytes/N", which gets so many octets. Keep-alive, pipelining, `Connection: close`, HTTP/1.0, HEAD and
/// request bodies are understood (RFC 9112).
class HttpResponder final : public Responder {
  public:
    /// The responses are not owned and live until the process ends: `closing` is the one that says so and is
    /// followed by a FIN (RFC 9112 section 9.6). `slots`: tcp::Config::connections of the stack.
    HttpResponder(const HttpResponse& keep_alive, const HttpResponse& closing, std::uint32_t slots);

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;

  private:
    static constexpr std::uint16_t most_owed =
        16;  // responses: who pipelines more than TCP takes at once gets a 400

    struct Session {
        HttpRequestParser parser;
        std::uint32_t sent = 0;   // octets of the response under way that TCP has taken
        std::uint16_t owed = 0;   // responses asked for and not yet wholly taken
        std::uint16_t heads = 0;  // which of them answer a HEAD, the first owed in the lowest bit
        std::uint16_t ready = 0;  // of those owed, how many may be answered; where it answers late
        std::array<std::uint32_t, most_owed> sizes{};  // of their bodies, the first owed first
        bool closing = false;                          // after what is owed, FIN
        bool last = false;                             // the response under way is the one that says so
        bool bad = false;                              // after what is owed, a 400
    };

    void answer(tcp::Connection connection) noexcept override;
    void proceed(tcp::Connection connection, Session& session) noexcept;
    bool send_sized(tcp::Connection connection, Session& session, bool head) noexcept;

    const HttpResponse& keep_alive_;
    const HttpResponse& closing_;
    std::vector<Session> sessions_;  // by slot
};

/// What a connection has brought to a `DiscardResponder`.
struct Received {
    IpAddress remote_address;
    std::uint16_t remote_port = 0;
    std::uint64_t octets = 0;
    bool orderly = false;          ///< the peer closed with FIN: nothing is missing
    std::optional<Sha256> digest;  ///< of all octets, where it was asked for and could be had
};

/// Takes whatever comes and answers nothing (RFC 863); closes when the peer closes. The receiving end of a
/// bulk transfer.
class DiscardResponder final : public Responder {
  public:
    /// `slots`: tcp::Config::connections of the stack. `digests`: connections at once of which a SHA-256 is
    /// made, at most; 0: of none, and nothing is reported.
    DiscardResponder(std::uint32_t slots, std::uint32_t digests);

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

    /// Connections that have ended since the last call, in their order; the oldest `most_reports` of them.
    [[nodiscard]] std::vector<Received> take_reports();

    static constexpr std::size_t most_reports = 1024;

  private:
    static constexpr std::uint32_t no_digest = UINT32_MAX;
    struct Session {
        std::uint64_t octets = 0;
        std::uint32_t digest = no_digest;  // in digests_
        bool orderly = false;
    };

    std::vector<Session> sessions_;  // by slot
    std::vector<Digest> digests_;
    std::vector<std::uint32_t> free_digests_;
    std::vector<Received> reports_;  // reserved at start
};

/// Returns what it receives (RFC 862). What the peer does not take is kept, and opens no window meanwhile.
class EchoResponder final : public Responder {
  public:
    /// `slots`: tcp::Config::connections of the stack.
    explicit EchoResponder(std::uint32_t slots);
    ~EchoResponder() override;

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

  private:
    struct Session {
        rte_mbuf* first = nullptr;  // received and not yet returned, in order; linked by `next`
        rte_mbuf* last = nullptr;
        bool closing = false;
    };
    void proceed(tcp::Connection connection, Session& session) noexcept;
    static void discard(Session& session) noexcept;

    std::vector<Session> sessions_;  // by slot
};

}  // namespace runnel::load
