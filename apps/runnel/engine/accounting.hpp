// What became of the connections that were asked for. The sum closes, and the residual says so.
#pragma once

#include <cstdint>

#include "runnel/tcp/connection.hpp"

namespace runnel::load {

/// Each attempt is either unsent, or ends in exactly one of completed, refused, reset, timed_out, or is still
/// in flight:
///
///     attempted = unsent + completed + refused + reset + timed_out + in_flight
///
/// The four terms are counted in different places (the schedule, the handler's calls, the records of open
/// connections), so that the residual is a check and not an identity.
struct Accounting {
    std::uint64_t attempted = 0;    ///< arrivals that came due in the measured window
    std::uint64_t unsent = 0;       ///< of these, given up by the generator: no SYN was sent
    std::uint64_t unsent_full = 0;  ///< of the unsent: as many were open as may be, and the generator kept up
    std::uint64_t established = 0;  ///< three-way handshake complete; whatever came after
    std::uint64_t completed = 0;    ///< went through the whole recipe
    std::uint64_t refused = 0;      ///< RST or ICMP answered the SYN
    std::uint64_t reset = 0;        ///< RST, or the peer's end before it had answered, once established
    std::uint64_t timed_out = 0;    ///< no answer
    std::uint64_t in_flight = 0;    ///< neither ended nor failed when the run ended

    [[nodiscard]] constexpr std::uint64_t failed() const noexcept { return refused + reset + timed_out; }
    [[nodiscard]] constexpr std::int64_t residual() const noexcept {
        return static_cast<std::int64_t>(attempted) -
               static_cast<std::int64_t>(unsent + completed + failed() + in_flight);
    }
    constexpr Accounting& operator+=(const Accounting& other) noexcept {
        attempted += other.attempted;
        unsent += other.unsent;
        unsent_full += other.unsent_full;
        established += other.established;
        completed += other.completed;
        refused += other.refused;
        reset += other.reset;
        timed_out += other.timed_out;
        in_flight += other.in_flight;
        return *this;
    }
    friend constexpr bool operator==(const Accounting&, const Accounting&) noexcept = default;
};

/// The transactions of `rr`, `http` and `hold`, each a request that was handed to TCP:
///
///     asked = answered + lost + in_flight
///
/// and where a rate says when they begin
///
///     planned = unsent + answered + lost + in_flight
///
/// As above, the terms are counted in different places.
struct TransactionAccounting {
    std::uint64_t planned = 0;      ///< came due; 0: no rate says when
    std::uint64_t unsent = 0;       ///< of these, given up: they came too late
    std::uint64_t unsent_full = 0;  ///< of the unsent: no connection was free, and the generator kept up
    std::uint64_t asked = 0;
    std::uint64_t answered = 0;   ///< the last octet of the response has come
    std::uint64_t lost = 0;       ///< the connection ended first
    std::uint64_t in_flight = 0;  ///< neither when the run ended

    [[nodiscard]] constexpr std::int64_t residual() const noexcept {
        const std::uint64_t sent = planned > 0 ? planned - unsent : asked;
        return static_cast<std::int64_t>(sent) - static_cast<std::int64_t>(answered + lost + in_flight);
    }
    constexpr TransactionAccounting& operator+=(const TransactionAccounting& other) noexcept {
        planned += other.planned;
        unsent += other.unsent;
        unsent_full += other.unsent_full;
        asked += other.asked;
        answered += other.answered;
        lost += other.lost;
        in_flight += other.in_flight;
        return *this;
    }
    friend constexpr bool operator==(const TransactionAccounting&,
                                     const TransactionAccounting&) noexcept = default;
};

/// The payload of `stream`, in octets: what either side handed to TCP, and what has come out at the other.
struct OctetAccounting {
    std::uint64_t client_sent = 0, server_received = 0;
    std::uint64_t server_sent = 0, client_received = 0;

    /// Octets that got lost in each direction: 0 once every connection has ended in order.
    [[nodiscard]] constexpr std::int64_t residual_to_server() const noexcept {
        return static_cast<std::int64_t>(client_sent) - static_cast<std::int64_t>(server_received);
    }
    [[nodiscard]] constexpr std::int64_t residual_to_client() const noexcept {
        return static_cast<std::int64_t>(server_sent) - static_cast<std::int64_t>(client_received);
    }
};

}  // namespace runnel::load
