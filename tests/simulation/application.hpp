// What runs over the simulated wire: both sides of connections that write, read, wait and close at random,
// and know each octet that must arrive.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "world.hpp"

namespace runnel::test {

/// One side of one connection.
struct Side {
    int which = 0;  ///< on which stack it lives
    tcp::Connection connection{};
    std::uint64_t send_base = 0,
                  receive_base = 0;  ///< positions in `stream`: what arrives is known octet by octet
    std::size_t to_send = 0, sent = 0;
    std::size_t to_receive = 0, received = 0;
    bool finished_sending = false, peer_closed = false, closed = false;
    tcp::CloseReason reason{};
};

/// How the sides behave.
struct Behaviour {
    std::size_t largest = 20000;  ///< octets that a side sends, at most
    bool pauses = true;           ///< between writes, before reading and before closing
    std::uint32_t connections = 1;
    Duration spread = 50ms;  ///< connections are opened within this
};

/// The first stack's applications connect to the second's, port 7.
class Application : private tcp::Handler {
  public:
    static constexpr std::uint16_t port = 7;

    Application(World& world, std::uint64_t seed, const Behaviour& behaviour);

    /// Every connection asked for is over on both sides.
    [[nodiscard]] bool done() const;
    /// What went wrong with the connections; empty where nothing did.
    [[nodiscard]] std::string verdict() const;
    [[nodiscard]] const std::vector<std::unique_ptr<Side>>& sides() const { return sides_; }
    [[nodiscard]] std::size_t octets_received() const;

  private:
    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

    void open();
    void write(Side& side);
    Side& side_of(tcp::Connection connection) { return *sides_.at(connection.context() - 1); }
    void complain(const Side& side, const std::string& what);
    [[nodiscard]] std::size_t size_for(std::uint64_t identity) const;
    [[nodiscard]] bool chance(unsigned one_in) { return random_() % one_in == 0; }
    [[nodiscard]] Duration pause() { return Duration{static_cast<std::int64_t>(random_() % 20'000'000)}; }

    World& world_;
    std::uint64_t seed_;
    Behaviour behaviour_;
    std::mt19937_64 random_;
    std::vector<std::unique_ptr<Side>> sides_;
    std::uint32_t opened_ = 0;
    std::string complaints_;
};

}  // namespace runnel::test
