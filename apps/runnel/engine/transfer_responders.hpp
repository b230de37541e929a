// The servers of `rr` and `stream`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/recipe.hpp"
#include "engine/server.hpp"
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
        std::uint32_t sent = 0;        // octets of the response under way that TCP has taken
        bool closing = false;          // after what is owed
    };
    void proceed(tcp::Connection connection, Session& session) noexcept;

    std::span<const std::byte> response_;
    std::uint32_t request_octets_;
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
