// From which addresses and ports connections come, and to which they go.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/ip_address.hpp"

namespace runnel::load {

/// Consecutive addresses.
struct AddressRange {
    IpAddress first{};
    std::uint32_t count = 1;
    [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
    friend bool operator==(const AddressRange&, const AddressRange&) noexcept = default;
};
/// "10.0.0.0/16" (all but the network's own and its broadcast address, RFC 1122 section 3.2.1.3; of IPv6 all
/// but the subnet-router anycast address, and at most 2^24), "10.0.0.5-10.0.0.9", "10.0.0.5". Throws
/// `app::BadQuantity`.
[[nodiscard]] AddressRange parse_address_range(std::string_view text);
[[nodiscard]] std::string to_string(const AddressRange& range);

/// Ports from the first to the last.
struct PortRange {
    std::uint16_t first = 0, last = 0;
    [[nodiscard]] std::uint32_t count() const noexcept { return std::uint32_t{last} - first + 1; }
    friend bool operator==(const PortRange&, const PortRange&) noexcept = default;
};
/// "80", "8000-8099". Throws `app::BadQuantity`.
[[nodiscard]] PortRange parse_port_range(std::string_view text);
[[nodiscard]] std::string to_string(const PortRange& range);

/// Servers: each address with each port.
struct Servers {
    AddressRange addresses{};
    PortRange ports{};
    [[nodiscard]] std::uint64_t count() const noexcept {
        return std::uint64_t{addresses.count} * ports.count();
    }
    friend bool operator==(const Servers&, const Servers&) noexcept = default;
};
/// "10.1.0.1:80", "10.1.0.0/24:8000-8099", "[2001:db8::]/120:80". Throws `app::BadQuantity`.
[[nodiscard]] Servers parse_servers(std::string_view text);
[[nodiscard]] std::string to_string(const Servers& servers);

/// In which order they are used.
enum class AddressChoice : std::uint8_t {
    sequential,  ///< one after the other, clients and servers each in their turn
    random,      ///< drawn from the seed
    hashed,      ///< clients in turn; each goes to the server that its address leads to, always the same
};
[[nodiscard]] std::string_view to_string(AddressChoice choice) noexcept;
[[nodiscard]] std::optional<AddressChoice> parse_address_choice(std::string_view text) noexcept;

/// Gives the addresses of one connection after the other. One owner thread; allocates when constructed only.
class AddressPicker {
  public:
    struct Pick {
        IpAddress client, server;
        std::uint16_t server_port = 0;
    };

    AddressPicker() = default;
    /// Of both at least one, all of one family.
    AddressPicker(std::span<const AddressRange> clients, std::span<const Servers> servers,
                  AddressChoice choice, std::uint64_t seed);

    [[nodiscard]] Pick next() noexcept;

  private:
    [[nodiscard]] IpAddress client(std::uint64_t number) const noexcept;
    void set_server(Pick& pick, std::uint64_t number) const noexcept;

    std::vector<AddressRange> clients_;
    std::vector<Servers> servers_;
    AddressChoice choice_ = AddressChoice::sequential;
    std::uint64_t client_count_ = 0, server_count_ = 0;
    Pick only_;  // the server, where there is one
    std::uint64_t next_client_ = 0, next_server_ = 0;
    std::uint64_t random_ = 0;
};

/// A network, and whether an address lies in it.
struct Network {
    IpAddress address{};
    std::uint8_t prefix_length = 0;
    [[nodiscard]] bool contains(const IpAddress& other) const noexcept;
    friend bool operator==(const Network&, const Network&) noexcept = default;
};
/// "203.0.113.0/24"; an address alone is a network of one. Throws `app::BadQuantity`.
[[nodiscard]] Network parse_network(std::string_view text);
[[nodiscard]] std::string to_string(const Network& network);

}  // namespace runnel::load
