// A TCP segment as a script writes it: to be injected, or to be expected. Independent of the library's wire
// code.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/base/ip_address.hpp"

namespace runnel::test {

/// An IPv4 address and a port, in host order.
struct SocketAddress {
    Ipv4Address address{};
    std::uint16_t port = 0;
    friend constexpr auto operator<=>(const SocketAddress&, const SocketAddress&) noexcept = default;
};

namespace flag {
inline constexpr std::uint8_t fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32, ece = 64, cwr = 128;
}  // namespace flag

/// What a script says of a segment. Injected, what is not said gets a sensible value from the flow; expected,
/// only what is said is compared. Sequence numbers are relative: SYN is 0, the first octet of data is 1.
struct Segment {
    // -- setters, to be chained: data("x").seq(5).win(100)
    Segment& seq(std::uint32_t n) { return sequence = n, *this; }
    Segment& ack(std::uint32_t n) { return acknowledgement = n, *this; }
    Segment& win(std::uint16_t n) { return window = n, *this; }
    Segment& urgent(std::uint16_t pointer);
    Segment& mss(std::uint16_t n);
    Segment& wscale(std::uint8_t shift);
    Segment& sack_permitted();
    /// SACK blocks by their edges, relative as sequence numbers are: of the stack's data injected, of the
    /// script's expected. Expected, all blocks are compared, in their order; none at all: no SACK option.
    Segment& sack(std::initializer_list<std::pair<std::uint32_t, std::uint32_t>> blocks) {
        return sack_blocks = std::vector(blocks), *this;
    }
    Segment& ts(std::uint32_t value, std::uint32_t echo);
    /// Expected only: the echo of the timestamp, whatever its value.
    Segment& ts_echo(std::uint32_t echo) { return timestamp_echo = echo, *this; }
    Segment& raw_options(std::initializer_list<std::uint8_t> octets);
    /// Fast Open with this cookie; an empty one asks.
    Segment& fast_open(const std::vector<std::uint8_t>& cookie);
    Segment& nop(unsigned count = 1);
    /// Expected only: an option of this kind must not be there.
    Segment& without(std::uint8_t kind) { return absent.push_back(kind), *this; }
    /// As tcpdump writes them: "S", "F", "P", "R", ".", "U", "E", "W". Expected, all flags are compared then,
    /// PSH too.
    Segment& flags(std::string_view letters);
    Segment& payload(std::string_view octets) { return text = std::string(octets), *this; }
    /// Expected only: the payload's size.
    Segment& length(std::size_t n) { return payload_length = n, *this; }
    Segment& from(Ipv4Address address, std::uint16_t port) { return source = {address, port}, *this; }
    Segment& to(Ipv4Address address, std::uint16_t port) { return destination = {address, port}, *this; }
    Segment& ethernet_to(MacAddress mac) { return ethernet_destination = mac, *this; }
    Segment& ttl(std::uint8_t hops) { return time_to_live = hops, *this; }
    /// Type of service: DSCP and the two bits of ECN.
    Segment& tos(std::uint8_t octet) { return type_of_service = octet, *this; }
    Segment& ip_options(std::initializer_list<std::uint8_t> octets) {
        return ip_option_octets = octets, *this;
    }
    /// Injected only: the TCP checksum is wrong.
    Segment& bad_checksum() { return break_checksum = true, *this; }

    [[nodiscard]] bool has(std::uint8_t bits) const { return flag_bits && (*flag_bits & bits) == bits; }
    /// SEG.LEN: payload, and one each for SYN and FIN.
    [[nodiscard]] std::uint32_t sequence_length() const;
    /// The octets after kind and length of each option of a kind, as far as the list can be walked.
    [[nodiscard]] std::vector<std::vector<std::uint8_t>> all_options(std::uint8_t kind) const;
    /// The first of them.
    [[nodiscard]] std::optional<std::vector<std::uint8_t>> option(std::uint8_t kind) const;
    [[nodiscard]] std::optional<std::uint32_t> option_number(
        std::uint8_t kind) const;  ///< of MSS and window scale
    struct Timestamps {
        std::uint32_t value = 0, echo = 0;
    };
    [[nodiscard]] std::optional<Timestamps> timestamps() const;
    /// The edges of the SACK option's blocks as on the wire; empty where there is none.
    [[nodiscard]] std::vector<std::pair<std::uint32_t, std::uint32_t>> sack_option() const;
    /// Adds a SACK option of these edges.
    void add_sack_option(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& blocks);

    std::optional<std::uint8_t> flag_bits;
    std::uint8_t flag_mask = 0xff & ~flag::psh;  ///< flags that an expectation compares
    std::optional<std::uint32_t> sequence, acknowledgement;
    std::optional<std::uint16_t> window, urgent_pointer;
    std::vector<std::uint8_t> options;  ///< as on the wire, without padding
    std::optional<std::vector<std::pair<std::uint32_t, std::uint32_t>>> sack_blocks;
    std::optional<std::uint32_t> timestamp_echo;
    std::vector<std::uint8_t> absent;
    std::optional<std::string> text;
    std::optional<std::size_t> payload_length;
    std::optional<SocketAddress> source, destination;
    std::optional<MacAddress> ethernet_destination;
    std::optional<std::uint8_t> time_to_live, type_of_service;
    std::vector<std::uint8_t> ip_option_octets;
    bool break_checksum = false;
};

namespace option {
inline constexpr std::uint8_t end = 0, nop = 1, mss = 2, wscale = 3, sack_permitted = 4, sack = 5,
                              timestamps = 8, fast_open = 34;
}  // namespace option

// -- what a script begins with; all but syn() and rst() carry ACK
[[nodiscard]] Segment syn();
[[nodiscard]] Segment syn_ack();
[[nodiscard]] Segment ack();
[[nodiscard]] Segment data(std::string_view payload);
[[nodiscard]] inline Segment data(const char* payload) {
    return data(std::string_view{payload});
}
[[nodiscard]] inline Segment data(const std::string& payload) {
    return data(std::string_view{payload});
}  // not std::data
[[nodiscard]] inline Segment data(std::string& payload) {
    return data(std::string_view{payload});
}
[[nodiscard]] Segment fin();
[[nodiscard]] Segment rst();
[[nodiscard]] Segment rst_ack();

/// Octets of a stream from `offset` on, each told by its position, so that a misplaced one is seen.
[[nodiscard]] std::string stream(std::size_t offset, std::size_t length);

/// What differs between the segment that came and the one expected; empty where nothing does.
[[nodiscard]] std::string difference(const Segment& expected, const Segment& got);

/// As tcpdump writes a segment: "Flags [S.], seq 0, ack 1, win 65535, options [mss 1460], length 0".
[[nodiscard]] std::string to_string(const Segment& segment);

}  // namespace runnel::test
