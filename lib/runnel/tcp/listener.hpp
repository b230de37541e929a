// Ports on which connections are accepted (RFC 9293 section 3.9.1, passive OPEN).
#pragma once

#include <cstdint>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/tcp/connection.hpp"

namespace runnel::tcp {

inline constexpr std::uint16_t no_listener = 0xffff;

/// Listeners by port: one array access for a SYN, whatever their number.
class Listeners {
  public:
    struct Listener {
        IpAddress address{};  // unspecified: any of ours, of both families
        std::uint16_t port = 0;
        std::uint16_t handler = 0;
        std::uint16_t next = no_listener;  // another one on this port
        std::uint8_t settings = 0;
        bool nagle = true;
        bool fast_open = false;
        bool open = false;
    };

    Listeners() : first_of_port_(65536, no_listener) {}

    /// The listener of that very address and port, or no_listener.
    [[nodiscard]] std::uint16_t exact(const IpAddress& address, std::uint16_t port) const noexcept {
        for (std::uint16_t i = first_of_port_[port]; i != no_listener; i = listeners_[i].next)
            if (listeners_[i].address == address) return i;
        return no_listener;
    }
    /// The listener that a SYN to `address` and `port` belongs to: one bound to the address before one bound
    /// to all.
    [[nodiscard]] std::uint16_t find(const IpAddress& address, std::uint16_t port) const noexcept {
        std::uint16_t any = no_listener;
        for (std::uint16_t i = first_of_port_[port]; i != no_listener; i = listeners_[i].next) {
            if (listeners_[i].address == address) return i;
            if (listeners_[i].address.is_unspecified()) any = i;
        }
        return any;
    }
    [[nodiscard]] const Listener& operator[](std::uint16_t index) const noexcept { return listeners_[index]; }

    /// Adds one; no_listener where 65,535 exist. Set-up path: allocates.
    std::uint16_t add(Listener listener);
    void remove(std::uint16_t index) noexcept {
        std::uint16_t* link = &first_of_port_[listeners_[index].port];
        while (*link != index) link = &listeners_[*link].next;
        *link = listeners_[index].next;
        listeners_[index].open = false;
    }

  private:
    std::vector<std::uint16_t> first_of_port_;
    std::vector<Listener> listeners_;
};

}  // namespace runnel::tcp
