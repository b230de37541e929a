// The client side of one core for `udp-oneway`: data in datagrams to a server, from it, or both.
#pragma once

#include <cstdint>
#include <string>

#include "engine/datagram_client.hpp"

namespace runnel::load {

/// What it sends goes on the flows in turn; what it is to be sent each flow asks its server for, with its
/// part of the schedule. Each datagram has the number of its flow and the time of its sending.
class DatagramOneWayClient final : public DatagramClient {
  public:
    DatagramOneWayClient(Stack& stack, const ClientOptions& options);

  private:
    void take(Flow& flow, const DatagramHeader& header, std::uint32_t octets) noexcept override;
    bool send_some(Instant now, std::uint32_t most) noexcept override;
    [[nodiscard]] bool all_answered(Instant) noexcept override { return true; }
    void account() noexcept override {}
    [[nodiscard]] std::string wanted_data(std::uint32_t flow) const override;

    Draws sizes_;
    std::size_t next_flow_ = 0;
};

}  // namespace runnel::load
