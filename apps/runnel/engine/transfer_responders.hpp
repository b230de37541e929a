// The servers of `rr` and `stream`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/recipe.hpp"
#include "engine/server.hpp"
#include "engine/sized_request.hpp"
#include "engine/stream_source.hpp"

namespace runnel::load {

/// Answers each `request_octets` of data, whatever they are, with the same response, and closes when the
/// client closes.
class RequestResponder final : public Responder {
  public:
    /// `response` is not empty and stays valid until the process ends. `request_octets` at least 1. `slots`:
    /// tcp::Config::connections of the stack.
    RequestResponder(std::span<const std::byte> response, std::uint32_t request_octets, std::uint32_t slots);

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;

  private:
    struct Session {
        std::uint64_t unanswered = 0;  // octets of requests that have come and are not answered
        std::uint32_t held = 0;        // of these requests, how many wait for their time
        std::uint32_t ready = 0;       // and how many may be answered; where it answers late
        std::uint32_t sent = 0;        // octets of the response under way that TCP has taken
        bool closing = false;          // after what is owed
    };
    void answer(tcp::Connection connection) noexcept override;
    void proceed(tcp::Connection connection, Session& session) noexcept;

    std::span<const std::byte> response_;
    std::uint32_t request_octets_;
    std::vector<Session> sessions_;  // by slot
};

/// Answers requests of which each says how long it is and how long its response (`SizedRequest`): one at a
/// time on a connection. Closes when the client closes. What is no such request, or comes before the last was
/// answered, ends the connection.
class SizedResponder final : public Responder {
  public:
    /// `block` is not empty and stays valid until the process ends: responses are made of it. `slots`:
    /// tcp::Config::connections of the stack.
    SizedResponder(std::span<const std::byte> block, std::uint32_t slots);

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;

  private:
    struct Session {
        std::array<std::byte, SizedRequest::octets> head{};
        std::uint32_t head_octets = 0;  // of these that have come
        std::uint32_t body_left = 0;    // octets of the request still to come
        std::uint32_t owed = 0;         // octets of the response that TCP has not taken
        bool asked = false;             // a whole request has come and is not answered
        bool held = false;              // its answer waits for its time
        bool closing = false;           // after what is owed
    };
    void answer(tcp::Connection connection) noexcept override;
    /// False where that is no request.
    bool read(Session& session, std::span<const std::byte> octets) noexcept;
    void proceed(tcp::Connection connection, Session& session) noexcept;

    std::span<const std::byte> block_;
    std::vector<Session> sessions_;  // by slot
};

/// Takes whatever comes, and where the direction says so sends all the while, until the client closes.
class StreamResponder final : public Responder {
  public:
    StreamResponder(const StreamSource& source, Direction direction);

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;

  private:
    void push(tcp::Connection connection) noexcept;

    StreamSource source_;
    Direction direction_;
};

}  // namespace runnel::load
