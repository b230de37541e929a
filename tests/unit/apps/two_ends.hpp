// Both ends of a load in tests: their addresses, their stacks' configurations, and the frames between them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::load::two_ends {

inline constexpr Ipv4Address client_address{198, 18, 0, 1};
inline constexpr Ipv4Address server_address{198, 18, 0, 200};
inline constexpr MacAddress client_mac{{2, 0, 0, 0, 0, 1}};
inline constexpr MacAddress server_mac{{2, 0, 0, 0, 0, 2}};

/// Of the server or the client, who know each other's link address; room for so many connections.
inline StackConfig config_of(bool server, std::uint32_t slots, std::uint32_t time_wait) {
    StackConfig config;
    config.ip.interfaces.push_back(
        {.mac = server ? server_mac : client_mac, .address = server ? server_address : client_address});
    config.ip.neighbours.push_back(
        {.address = server ? client_address : server_address, .mac = server ? client_mac : server_mac});
    config.tcp.connections = slots;
    config.tcp.half_open = slots;
    config.tcp.time_wait = time_wait;
    config.secret = std::array<std::uint64_t, 2>{server ? 1U : 2U, 3U};
    return config;
}

/// Of all tests that join two stacks in this program.
inline rte_mempool* pool() {
    static const port::MbufPool mbufs = port::make_mbuf_pool({.mbufs = 65'535, .lcore_cache = 0});
    return mbufs.get();
}

/// What a stack has to send, all of it.
inline void collect(Stack& stack, std::vector<rte_mbuf*>& out) {
    std::array<rte_mbuf*, 64> burst;
    for (std::size_t n; (n = stack.transmit(burst)) > 0;)
        out.insert(out.end(), burst.begin(), burst.begin() + static_cast<std::ptrdiff_t>(n));
}

}  // namespace runnel::load::two_ends
