// Much data over the simulated wire: flows that send as fast as TCP lets them, and what each has received.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "world.hpp"

namespace runnel::test {

/// Flows from the first stack to the second, port 9. Each octet is known by its place and compared on
/// arrival.
class Bulk : private tcp::Handler {
  public:
    static constexpr std::uint16_t port = 9;

    /// The first flow opens at once, each further one `stagger` later; `limit`: octets that each sends.
    explicit Bulk(World& world, std::uint32_t flows = 1, Duration stagger = 0ns,
                  std::uint64_t limit = UINT64_MAX);

    /// Nothing more is written: what has been is delivered, and the flows end.
    void stop();
    /// Every flow is over on both sides.
    [[nodiscard]] bool done() const;
    /// What went wrong; empty where nothing did.
    [[nodiscard]] std::string verdict() const;

    /// Octets received in order, of a flow or of all.
    [[nodiscard]] std::uint64_t received(std::uint32_t flow) const { return flows_.at(flow).received; }
    [[nodiscard]] std::uint64_t received() const;
    /// The sender as it stands now.
    [[nodiscard]] tcp::ConnectionInfo sender(std::uint32_t flow) const {
        return flows_.at(flow).sender.info();
    }

  private:
    struct Flow {
        tcp::Connection sender{}, receiver{};
        std::uint64_t written = 0, received = 0;
        bool opened = false, accepted = false, shut = false, ended = false;
        int closed = 0;  // sides that are over
    };

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

    void open(std::uint32_t flow);
    void write(Flow& flow);
    void complain(const Flow& flow, const std::string& what);
    // The word of a sender is 2 * flow + 1, of a receiver 2 * flow + 2.
    Flow& flow_of(tcp::Connection connection) { return flows_.at((connection.context() - 1) / 2); }
    static bool sends(tcp::Connection connection) { return connection.context() % 2 == 1; }

    World& world_;
    std::uint64_t limit_;
    bool stopped_ = false;
    std::vector<Flow> flows_;
    std::map<std::uint16_t, std::uint32_t> by_port_;  // the sender's
    std::string complaints_;
};

}  // namespace runnel::test
