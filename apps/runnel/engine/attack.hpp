// Traffic of attackers: frames made beside the stack, at a rate of their own, alone or behind a load.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/addresses.hpp"

namespace runnel::load {

enum class AttackKind : std::uint8_t {
    syn_flood,  ///< SYNs from sources that do not exist
    half_open,  ///< SYNs whose SYN-ACK is received and never answered (sources: the client's own)
    rst,        ///< RSTs with sequence numbers at random
    fin,        ///< FINs of connections that do not exist
    ack_flood,  ///< ACKs of connections that do not exist
    udp_flood,  ///< UDP datagrams
};
[[nodiscard]] std::string_view to_string(AttackKind kind) noexcept;
[[nodiscard]] std::optional<AttackKind> parse_attack_kind(std::string_view text) noexcept;

/// What a person asks of attackers.
struct AttackTraffic {
    AttackKind kind = AttackKind::syn_flood;
    double rate = 0;  ///< frames a second over all cores
    /// From these, drawn at random; none: 198.18.0.0/16 or 2001:2:0:1::/64 (RFC 2544, RFC 5180), of
    /// `half_open` the client's own addresses.
    std::vector<AddressRange> sources{};
    PortRange source_ports{1024, 65535};
    std::uint32_t payload = 0;  ///< octets, of `ack_flood` and `udp_flood`
    friend bool operator==(const AttackTraffic&, const AttackTraffic&) noexcept = default;
};
/// "syn-flood:100k", "half-open:1k", "udp-flood:50k". Throws `app::BadQuantity`.
[[nodiscard]] AttackTraffic parse_attack(std::string_view text);

}  // namespace runnel::load
