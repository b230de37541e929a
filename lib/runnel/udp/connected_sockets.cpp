#include "runnel/udp/connected_sockets.hpp"

#include <stdexcept>

#include <fmt/format.h>

namespace runnel::udp {

namespace {

const Config& checked_for_connected(const Config& config) {
    if (config.connected == 0 || config.connected > 1U << 24)
        throw std::invalid_argument(fmt::format("udp.connected = {}: give 1 to 16777216", config.connected));
    if (config.ephemeral_first == 0 || config.ephemeral_first > config.ephemeral_last)
        throw std::invalid_argument(
            fmt::format("udp ephemeral ports {} to {}: give a range that is not empty and does not hold 0",
                        config.ephemeral_first, config.ephemeral_last));
    return config;
}

}  // namespace

ConnectedSockets::ConnectedSockets(const Config& config, const Secrets& secrets)
    : hash_(secrets.flow),
      digest_(secrets.ipv6),
      table_("connected UDP sockets", checked_for_connected(config).connected),
      pool_("connected UDP sockets", config.connected),
      home_ports_(config.home_ports),
      ports_(secrets.ports, config.ephemeral_first, config.ephemeral_last, home_ports_.get()) {}

ip::Flow ConnectedSockets::flow_of(const IpAddress& remote, std::uint16_t remote_port, const IpAddress& local,
                                   std::uint16_t local_port) const noexcept {
    if (remote.is_v4()) return {remote.v4(), local.v4(), remote_port, local_port};
    return digest_({remote.v6(), local.v6()}, remote_port, local_port);
}

template <class Match>
ConnectedSocket ConnectedSockets::find(const ip::Flow& flow, Match&& is_its) const noexcept {
    const std::uint32_t slot =
        table_.find(ip::flow_hash(hash_, flow), [&](std::uint32_t value) { return is_its(pool_[value]); });
    if (slot == FlowTable::none) return {};
    return {slot, pool_[slot].generation};
}

ConnectedSocket ConnectedSockets::find(const IpAddress& remote, std::uint16_t remote_port,
                                       const IpAddress& local, std::uint16_t local_port) const noexcept {
    return find(flow_of(remote, remote_port, local, local_port), [&](const Socket& socket) {
        const SendOptions& ends = socket.options;
        return ends.remote_port == remote_port && ends.local_port == local_port &&
               ends.remote_address == remote && ends.local_address == local;
    });
}

ConnectedSocket ConnectedSockets::find(const ip::Ingress& in, std::uint16_t remote_port,
                                       std::uint16_t local_port) const noexcept {
    return find(in.source_address(), remote_port, in.destination_address(), local_port);
}

ConnectedSocket ConnectedSockets::add(const SendOptions& options, Handler& handler) noexcept {
    const std::uint32_t hash = ip::flow_hash(hash_, flow_of(options.remote_address, options.remote_port,
                                                            options.local_address, options.local_port));
    const std::uint32_t slot = pool_.allocate();
    if (slot == no_slot) return {};
    if (!table_.insert(hash, slot)) {
        pool_.free(slot);
        return {};
    }
    Socket& socket = pool_[slot];
    socket.hash = hash;
    socket.handler = &handler;
    socket.options = options;
    socket.way = {};
    return {slot, socket.generation};
}

bool ConnectedSockets::remove(ConnectedSocket socket) noexcept {
    const Socket* const known = get(socket);
    if (known == nullptr) return false;
    table_.erase(known->hash, socket.slot);
    pool_.free(socket.slot);
    return true;
}

}  // namespace runnel::udp
