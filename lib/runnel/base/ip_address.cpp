#include "runnel/base/ip_address.hpp"

#include <cstddef>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace runnel {

namespace {

std::string ipv6_text(const std::array<std::uint8_t, 16>& octets) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    return inet_ntop(AF_INET6, octets.data(), text.data(), text.size());
}

/// The value of a hexadecimal digit, or -1.
int digit_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string to_string(Ipv4Address address) {
    const std::uint32_t value = address.value;
    return fmt::format("{}.{}.{}.{}", value >> 24, value >> 16 & 0xff, value >> 8 & 0xff, value & 0xff);
}

std::string to_string(const Ipv6Address& address) {
    return ipv6_text(address.octets);
}

std::string to_string(const IpAddress& address) {
    return address.is_v4() ? to_string(address.v4()) : to_string(address.v6());
}

std::string to_string(const MacAddress& address) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t octet : address.octets) {
        if (!text.empty()) text += ':';
        text += digits[octet >> 4];
        text += digits[octet & 0xf];
    }
    return text;
}

std::optional<IpAddress> parse_ip_address(std::string_view text) {
    // inet_pton wants a terminator, and would take one inside the text for the end.
    if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    text.copy(terminated.data(), text.size());

    std::array<std::uint8_t, 4> v4{};
    if (inet_pton(AF_INET, terminated.data(), v4.data()) == 1) return Ipv4Address{v4[0], v4[1], v4[2], v4[3]};
    Ipv6Address v6;
    if (inet_pton(AF_INET6, terminated.data(), v6.octets.data()) == 1) return v6;
    return std::nullopt;
}

std::optional<MacAddress> parse_mac_address(std::string_view text) {
    MacAddress address;
    if (text.size() != address.octets.size() * 3 - 1) return std::nullopt;
    for (std::size_t i = 0; i < address.octets.size(); ++i) {
        const int high = digit_value(text[3 * i]);
        const int low = digit_value(text[3 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        if (i + 1 < address.octets.size() && text[3 * i + 2] != ':') return std::nullopt;
        address.octets[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return address;
}

}  // namespace runnel
