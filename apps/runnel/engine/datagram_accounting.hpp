// What became of the datagrams of `udp-rr` and `udp-oneway`.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runnel/udp/sockets.hpp"

#include "engine/sequence_tracker.hpp"

namespace runnel::load {

/// Why a router or a host says that it could not deliver (RFC 792, RFC 1812 section 5.2.7, RFC 4443).
enum class Undelivered : std::uint8_t { port, host, network, prohibited, expired, other };
inline constexpr std::size_t undelivered_count = 6;

[[nodiscard]] constexpr std::string_view to_string(Undelivered why) noexcept {
    switch (why) {
        case Undelivered::port:
            return "port unreachable";
        case Undelivered::host:
            return "host unreachable";
        case Undelivered::network:
            return "network unreachable";
        case Undelivered::prohibited:
            return "administratively prohibited";
        case Undelivered::expired:
            return "time exceeded";
        case Undelivered::other:
            break;
    }
    return "other ICMP error";
}

/// The class of an ICMP error; what says that a packet is too big is none: "other" here.
[[nodiscard]] constexpr Undelivered undelivered_of(const udp::IcmpReport& report) noexcept {
    const bool v4 = report.remote_address.is_v4();
    const std::uint8_t type = report.type, code = report.code;
    if (v4 && type == 11) return Undelivered::expired;
    if (!v4 && type == 3) return Undelivered::expired;
    if (v4 && type == 3) {
        switch (code) {
            case 0:
            case 6:
            case 11:
                return Undelivered::network;
            case 1:
            case 7:
            case 12:
                return Undelivered::host;
            case 3:
                return Undelivered::port;
            case 9:
            case 10:
            case 13:
                return Undelivered::prohibited;
            default:
                return Undelivered::other;
        }
    }
    if (!v4 && type == 1) {
        switch (code) {
            case 0:
                return Undelivered::network;
            case 1:
            case 5:
            case 6:
                return Undelivered::prohibited;
            case 3:
                return Undelivered::host;
            case 4:
                return Undelivered::port;
            default:
                return Undelivered::other;
        }
    }
    return Undelivered::other;
}

/// Jitter over flows, in nanoseconds.
struct JitterSummary {
    double sum = 0, most = 0;
    std::uint64_t flows = 0;
    void add(double nanoseconds) noexcept {
        sum += nanoseconds;
        most = std::max(most, nanoseconds);
        ++flows;
    }
    JitterSummary& operator+=(const JitterSummary& other) noexcept {
        sum += other.sum;
        most = std::max(most, other.most);
        flows += other.flows;
        return *this;
    }
    [[nodiscard]] double mean() const noexcept { return flows == 0 ? 0 : sum / static_cast<double>(flows); }
};

/// One direction, over the whole run. What the sender counted and what the receiver counted close:
///
///     planned = unsent + sent
///     sent = unique + missing         of the flows whose two accounts are known
struct DatagramDirection {
    std::uint64_t planned = 0, unsent = 0;    ///< came due, and was given up for want of room or time
    std::uint64_t sent = 0, octets_sent = 0;  ///< octets are of data
    std::uint64_t sent_known = 0;             ///< of these, on flows whose receiver has told its account
    SequenceCounts counts;                    ///< the receiver's, of these flows
    std::uint64_t octets_received = 0;
    JitterSummary jitter;

    [[nodiscard]] std::int64_t residual() const noexcept {
        return static_cast<std::int64_t>(sent_known) -
               static_cast<std::int64_t>(counts.unique + counts.missing);
    }
    DatagramDirection& operator+=(const DatagramDirection& other) noexcept {
        planned += other.planned;
        unsent += other.unsent;
        sent += other.sent;
        octets_sent += other.octets_sent;
        sent_known += other.sent_known;
        counts += other.counts;
        octets_received += other.octets_received;
        jitter += other.jitter;
        return *this;
    }
};

/// Of a client, and of what the servers have reported to it.
struct DatagramAccounting {
    std::uint64_t flows = 0;           ///< each its own address and port
    std::uint64_t flows_answered = 0;  ///< of these, the server has answered when they began
    std::uint64_t flows_ours = 0;      ///< of these, by a server of ours
    std::uint64_t flows_reported = 0;  ///< of these, which has told its account
    DatagramDirection to_server, to_client;
    std::uint64_t late = 0;        ///< of `udp-rr`: responses to what counts as lost already
    std::uint64_t duplicated = 0;  ///< of `udp-rr`: responses to what was answered already
    std::uint64_t stale = 0;       ///< of `udp-rr`: responses so late that it is not known which of the two
    std::uint64_t strange = 0;     ///< no datagrams of these recipes, or of another run
    std::uint64_t answered_by_server = 0;    ///< of `udp-rr`: responses that the servers have sent
    std::uint64_t unanswered_by_server = 0;  ///< of `udp-rr`: for which they had no room
    /// Of `udp-rr`: of the unsent to the server, those given up while as many were under way as may be, and
    /// the client kept up.
    std::uint64_t unsent_full = 0;
    std::uint64_t refused = 0;  ///< of `udp-oneway`: flows on which a server would not send
    std::array<std::uint64_t, undelivered_count> undelivered{};  ///< ICMP errors, by `Undelivered`

    [[nodiscard]] std::uint64_t errors() const noexcept {
        std::uint64_t sum = 0;
        for (const std::uint64_t n : undelivered) sum += n;
        return sum;
    }
    DatagramAccounting& operator+=(const DatagramAccounting& other) noexcept {
        flows += other.flows;
        flows_answered += other.flows_answered;
        flows_ours += other.flows_ours;
        flows_reported += other.flows_reported;
        to_server += other.to_server;
        to_client += other.to_client;
        late += other.late;
        duplicated += other.duplicated;
        stale += other.stale;
        strange += other.strange;
        answered_by_server += other.answered_by_server;
        unanswered_by_server += other.unanswered_by_server;
        unsent_full += other.unsent_full;
        refused += other.refused;
        for (std::size_t i = 0; i < undelivered.size(); ++i) undelivered[i] += other.undelivered[i];
        return *this;
    }
};

}  // namespace runnel::load
