// What the datagrams of `udp-rr` and `udp-oneway` say: sixteen octets in front of the payload, in network
// order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/wire/byte_order.hpp"

#include "engine/sequence_tracker.hpp"

namespace runnel::load {

/// Between a client and a server of ours; an echo (RFC 862) sends back what it gets, and is understood too.
enum class DatagramKind : std::uint8_t {
    hello = 1,  ///< client: a flow begins
    welcome,    ///< server: it is ours; the word is a token that proves where the client is
    request,    ///< of `udp-rr`; the word says how many octets are to answer
    response,   ///< with the number of its request
    data,       ///< of `udp-oneway`, either way; the word is the time of sending, in ns of the sender's clock
    start,      ///< client: send me data; the word is the token, the payload says how (`PaceText`)
    started,    ///< server: understood; or refused, where the word is not 0
    proceed,    ///< client: begin, or go on; a server that hears none for a while stops
    report_wanted,  ///< client: stop, and say what has come; the word says how many were sent
    report,         ///< server: a `FlowReport`
};

struct DatagramHeader {
    static constexpr std::size_t octets = 16;
    static constexpr std::uint8_t mark = 0xb7;

    DatagramKind kind = DatagramKind::hello;
    std::uint16_t run = 0;     ///< the same in all datagrams of a run, another in the next
    std::uint32_t number = 0;  ///< of the flow and direction, from 0 on; of `report` and `report_wanted` 0
    std::uint64_t word = 0;

    void encode(std::byte* to) const noexcept {
        to[0] = std::byte{mark};
        to[1] = static_cast<std::byte>(kind);
        wire::store_be16(to + 2, run);
        wire::store_be32(to + 4, number);
        wire::store_be64(to + 8, word);
    }
    /// Nothing where that is no datagram of ours.
    [[nodiscard]] static std::optional<DatagramHeader> decode(std::span<const std::byte> in) noexcept {
        if (in.size() < octets || in[0] != std::byte{mark}) return std::nullopt;
        const auto kind = std::to_integer<std::uint8_t>(in[1]);
        if (kind < static_cast<std::uint8_t>(DatagramKind::hello) ||
            kind > static_cast<std::uint8_t>(DatagramKind::report))
            return std::nullopt;
        return DatagramHeader{.kind = static_cast<DatagramKind>(kind),
                              .run = wire::load_be16(in.data() + 2),
                              .number = wire::load_be32(in.data() + 4),
                              .word = wire::load_be64(in.data() + 8)};
    }
};

/// Octets of data that a UDP datagram can have (RFC 768): over IPv4, and over IPv6.
inline constexpr std::uint32_t most_datagram_v4 = 65'507, most_datagram_v6 = 65'527;

/// What a server of ours counted of one flow.
struct FlowReport {
    static constexpr std::size_t numbers = 15;
    static constexpr std::size_t octets = 8 * numbers;

    SequenceCounts counts;              ///< of what the client sent
    std::uint64_t jitter = 0;           ///< nanoseconds, of `udp-oneway`
    std::uint64_t octets_received = 0;  ///< of data
    std::uint64_t planned = 0, unsent = 0, sent = 0,
                  octets_sent = 0;  ///< towards the client, of `udp-oneway`
    std::uint64_t answered = 0;     ///< of `udp-rr`: responses that were sent
    std::uint64_t unanswered = 0;   ///< of `udp-rr`: that could not be sent

    void encode(std::byte* to) const noexcept {
        const std::array<std::uint64_t, numbers> all{counts.received,
                                                     counts.unique,
                                                     counts.duplicated,
                                                     counts.stale,
                                                     counts.missing,
                                                     counts.reordered,
                                                     counts.most_extent,
                                                     jitter,
                                                     octets_received,
                                                     planned,
                                                     unsent,
                                                     sent,
                                                     octets_sent,
                                                     answered,
                                                     unanswered};
        for (std::size_t i = 0; i < numbers; ++i) wire::store_be64(to + 8 * i, all[i]);
    }
    [[nodiscard]] static FlowReport decode(std::span<const std::byte, octets> in) noexcept {
        const auto at = [in](std::size_t i) { return wire::load_be64(in.data() + 8 * i); };
        return {.counts = {.received = at(0),
                           .unique = at(1),
                           .duplicated = at(2),
                           .stale = at(3),
                           .missing = at(4),
                           .reordered = at(5),
                           .most_extent = at(6)},
                .jitter = at(7),
                .octets_received = at(8),
                .planned = at(9),
                .unsent = at(10),
                .sent = at(11),
                .octets_sent = at(12),
                .answered = at(13),
                .unanswered = at(14)};
    }
};

}  // namespace runnel::load
