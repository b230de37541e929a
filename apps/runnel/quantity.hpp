// How a person writes a number, a rate, a span of time, an address: 1.5M, max,
// 200ms, 10.0.0.1:80, 10.0.0.0/24.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"

namespace runnel::app {

/// A text that is not what it should be. The message names the text, what is wrong with it, and what would be
/// right.
struct BadQuantity : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

/// A whole number: digits with an optional fraction and one of k (1e3), M (1e6), G (1e9). "1.5M" is 1500000.
/// What does not come out whole ("1.5") is refused.
[[nodiscard]] std::uint64_t parse_count(std::string_view text);

/// A rate a second: a count with an optional "/s", at least 1; or "max", which gives nothing.
[[nodiscard]] std::optional<std::uint64_t> parse_rate(std::string_view text);

/// A span of time: a number with one of ns, us, ms, s, m (minutes), h. A number alone is refused, as it says
/// no unit; only 0 needs none.
[[nodiscard]] Duration parse_duration(std::string_view text);

/// A share of a hundred: "0.1 %", "0.1%" or "0.1".
[[nodiscard]] double parse_percent(std::string_view text);

/// An address and a port: "192.0.2.1:80", "[2001:db8::1]:80".
struct SocketAddress {
    IpAddress address{};
    std::uint16_t port = 0;
    friend constexpr bool operator==(const SocketAddress&, const SocketAddress&) noexcept = default;
};
[[nodiscard]] SocketAddress parse_socket_address(std::string_view text);

/// An address with the prefix length of its network: "192.0.2.1/24", "2001:db8::1/64".
struct InterfaceAddress {
    IpAddress address{};
    std::uint8_t prefix_length = 0;
    friend constexpr bool operator==(const InterfaceAddress&, const InterfaceAddress&) noexcept = default;
};
[[nodiscard]] InterfaceAddress parse_interface_address(std::string_view text);
[[nodiscard]] IpAddress parse_address(std::string_view text);

/// "1.21 M", "950 k", "12": three figures, for people.
[[nodiscard]] std::string human_count(double value);
/// "5s", "200ms", "1.5us": the shortest form that `parse_duration` reads back to the same span.
[[nodiscard]] std::string human_duration(Duration duration);
/// "1.5 GiB", "96 MiB", "12 KiB".
[[nodiscard]] std::string human_octets(std::uint64_t octets);

}  // namespace runnel::app
