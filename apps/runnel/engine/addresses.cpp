// See addresses.hpp.
#include "engine/addresses.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "engine/distribution.hpp"
#include "quantity.hpp"

namespace runnel::load {
namespace {

using app::BadQuantity;

// Of a subnet, where it has more.
constexpr unsigned most_host_bits = 24;

unsigned width_of(const IpAddress& address) noexcept {
    return address.is_v4() ? 32 : 128;
}

// How far `address` lies behind `from`; nothing where it lies before it, far off, or is of the other family.
std::optional<std::uint32_t> distance(const IpAddress& from, const IpAddress& address) noexcept {
    if (from.is_v4() != address.is_v4()) return std::nullopt;
    if (from.is_v4()) {
        if (address.v4().value < from.v4().value) return std::nullopt;
        return address.v4().value - from.v4().value;
    }
    const Ipv6Address a = from.v6(), b = address.v6();
    const std::uint64_t low = b.low() - a.low();
    const std::uint64_t high = b.high() - a.high() - (b.low() < a.low() ? 1 : 0);
    if (high != 0 || low > UINT32_MAX) return std::nullopt;
    return static_cast<std::uint32_t>(low);
}

// The first address of the network in which `address` lies.
IpAddress network_of(const IpAddress& address, unsigned prefix_length) noexcept {
    if (address.is_v4()) {
        const std::uint32_t mask = prefix_length == 0 ? 0 : UINT32_MAX << (32 - prefix_length);
        return Ipv4Address{address.v4().value & mask};
    }
    const Ipv6Address v6 = address.v6();
    const auto mask = [](unsigned bits) { return bits == 0 ? 0 : UINT64_MAX << (64 - bits); };
    return prefix_length <= 64 ? Ipv6Address::of(v6.high() & mask(prefix_length), 0)
                               : Ipv6Address::of(v6.high(), v6.low() & mask(prefix_length - 64));
}

}  // namespace

bool AddressRange::contains(const IpAddress& address) const noexcept {
    const auto where = distance(first, address);
    return where && *where < count;
}

AddressRange parse_address_range(std::string_view text) {
    if (text.find('/') != std::string_view::npos) {
        const app::InterfaceAddress network = app::parse_interface_address(text);
        const unsigned host_bits = width_of(network.address) - network.prefix_length;
        const IpAddress first = network_of(network.address, network.prefix_length);
        if (network.address.is_v4() && host_bits > most_host_bits)
            throw BadQuantity(
                fmt::format("\"{}\" has more than 2^24 addresses; give a longer prefix, such as /8", text));
        if (host_bits <= 1) return {first, 1U << host_bits};  // point to point (RFC 3021, RFC 6164)
        if (network.address.is_v4()) return {nth_after(first, 1), (1U << host_bits) - 2};
        return {nth_after(first, 1), (1U << std::min(host_bits, most_host_bits)) - 1};
    }
    const std::size_t dash = text.find('-');
    const IpAddress first = app::parse_address(text.substr(0, dash));
    if (dash == std::string_view::npos) return {first, 1};
    const IpAddress last = app::parse_address(text.substr(dash + 1));
    const auto behind = distance(first, last);
    if (!behind || *behind >= 1U << most_host_bits)
        throw BadQuantity(
            fmt::format("\"{}\" is no range of at most 2^24 addresses of one family; write the "
                        "lower one first, as 10.0.0.5-10.0.0.9",
                        text));
    return {first, *behind + 1};
}

std::string to_string(const AddressRange& range) {
    if (range.count == 1) return to_string(range.first);
    return fmt::format("{}-{}", to_string(range.first), to_string(nth_after(range.first, range.count - 1)));
}

PortRange parse_port_range(std::string_view text) {
    const auto read = [&](std::string_view part) {
        std::uint16_t port = 0;
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), port);
        if (part.empty() || error != std::errc{} || end != part.data() + part.size() || port == 0)
            throw BadQuantity(
                fmt::format("\"{}\" is no port, nor a range of them; write 80 or 8000-8099", text));
        return port;
    };
    const std::size_t dash = text.find('-');
    const std::uint16_t first = read(text.substr(0, dash));
    const std::uint16_t last = dash == std::string_view::npos ? first : read(text.substr(dash + 1));
    if (last < first)
        throw BadQuantity(
            fmt::format("\"{}\": the last port lies before the first; write {}-{}", text, last, first));
    return {first, last};
}

std::string to_string(const PortRange& range) {
    return range.first == range.last ? fmt::format("{}", range.first)
                                     : fmt::format("{}-{}", range.first, range.last);
}

Servers parse_servers(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    const std::size_t bracket = text.rfind(']');
    if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket))
        throw BadQuantity(fmt::format(
            "\"{}\" has no port; write 10.0.0.1:80, 10.0.0.0/24:8000-8099 or [2001:db8::1]:80", text));
    std::string addresses(text.substr(0, colon));
    if (addresses.find(':') != std::string::npos && bracket == std::string_view::npos)
        throw BadQuantity(
            fmt::format("\"{}\": brackets go around an IPv6 address, as [2001:db8::1]:80", text));
    std::erase(addresses, '[');
    std::erase(addresses, ']');
    return {parse_address_range(addresses), parse_port_range(text.substr(colon + 1))};
}

std::string to_string(const Servers& servers) {
    const std::string ports = to_string(servers.ports);
    return servers.addresses.first.is_v4() ? fmt::format("{}:{}", to_string(servers.addresses), ports)
                                           : fmt::format("[{}]:{}", to_string(servers.addresses), ports);
}

std::string_view to_string(AddressChoice choice) noexcept {
    switch (choice) {
        case AddressChoice::sequential:
            return "sequential";
        case AddressChoice::random:
            return "random";
        case AddressChoice::hashed:
            break;
    }
    return "hashed";
}

std::optional<AddressChoice> parse_address_choice(std::string_view text) noexcept {
    for (const AddressChoice choice :
         {AddressChoice::sequential, AddressChoice::random, AddressChoice::hashed})
        if (text == to_string(choice)) return choice;
    return std::nullopt;
}

AddressPicker::AddressPicker(std::span<const AddressRange> clients, std::span<const Servers> servers,
                             AddressChoice choice, std::uint64_t seed)
    : clients_(clients.begin(), clients.end()),
      servers_(servers.begin(), servers.end()),
      choice_(choice),
      random_(mixed(seed)) {
    for (const AddressRange& range : clients_) client_count_ += range.count;
    for (const Servers& some : servers_) server_count_ += some.count();
    if (!servers_.empty()) set_server(only_, 0);
}

IpAddress AddressPicker::client(std::uint64_t number) const noexcept {
    for (const AddressRange& range : clients_) {
        if (number < range.count) return nth_after(range.first, static_cast<std::uint32_t>(number));
        number -= range.count;
    }
    return clients_.front().first;
}

// Addresses before ports: consecutive connections go to different machines.
void AddressPicker::set_server(Pick& pick, std::uint64_t number) const noexcept {
    for (const Servers& some : servers_) {
        if (number < some.count()) {
            pick.server =
                nth_after(some.addresses.first, static_cast<std::uint32_t>(number % some.addresses.count));
            pick.server_port = static_cast<std::uint16_t>(some.ports.first + number / some.addresses.count);
            return;
        }
        number -= some.count();
    }
}

AddressPicker::Pick AddressPicker::next() noexcept {
    // A share of the whole range of 32 bits: no division.
    const auto below = [this](std::uint64_t limit) noexcept {
        random_ = random_ * 6364136223846793005U + 1442695040888963407U;
        return (random_ >> 32) * limit >> 32;
    };
    Pick pick;
    std::uint64_t from = next_client_, to = next_server_;
    if (choice_ == AddressChoice::random) {
        from = below(client_count_);
        to = below(server_count_);
    } else {
        if (++next_client_ == client_count_) next_client_ = 0;
        if (choice_ == AddressChoice::hashed)
            to = (mixed(from) >> 32) * server_count_ >> 32;
        else if (++next_server_ == server_count_)
            next_server_ = 0;
    }
    if (server_count_ == 1) {  // most often; no division
        pick = only_;
        pick.client = client(from);
        return pick;
    }
    pick.client = client(from);
    set_server(pick, to);
    return pick;
}

bool Network::contains(const IpAddress& other) const noexcept {
    return address.is_v4() == other.is_v4() &&
           network_of(other, prefix_length) == network_of(address, prefix_length);
}

Network parse_network(std::string_view text) {
    if (text.find('/') == std::string_view::npos) {
        const IpAddress address = app::parse_address(text);
        return {address, static_cast<std::uint8_t>(width_of(address))};
    }
    const app::InterfaceAddress network = app::parse_interface_address(text);
    return {network_of(network.address, network.prefix_length), network.prefix_length};
}

std::string to_string(const Network& network) {
    return fmt::format("{}/{}", to_string(network.address), network.prefix_length);
}

}  // namespace runnel::load
