// The result of a measurement: the document of `--json`, the summary for a person, the verdict and the exit
// status.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runnel/base/time.hpp"
#include "runnel/runtime/statistics.hpp"

#include "engine/accounting.hpp"
#include "engine/attacker.hpp"
#include "engine/control.hpp"
#include "engine/datagram_accounting.hpp"
#include "engine/http_counts.hpp"
#include "engine/latency.hpp"
#include "engine/line_rate.hpp"
#include "engine/recipe.hpp"

namespace runnel::load {

/// Of every subcommand.
enum class ExitStatus : int {
    good = 0,               ///< measured, and within its goals
    wrong_setup = 1,        ///< the set-up or configuration is wrong: nothing was measured
    goal_missed = 2,        ///< connections failed, or the accounting does not close
    generator_limited = 3,  ///< the asked rate was not offered: the generator was the limit
};

struct Host {
    std::string cpu;
    unsigned cores = 0;
    std::string kernel, dpdk;
    bool hugepages = false;
};
/// Looks at this machine; `hugepages` is left to the caller, who started EAL.
[[nodiscard]] Host this_host();

/// A second of the run.
struct Interval {
    double t_s = 0;  ///< its end, from the start of the window
    double cps = 0, tps = 0, goodput_bps = 0;
    double dps =
        0;  ///< datagrams that arrived where they were sent to, a second; where that is not known, sent
    std::uint64_t established = 0;  ///< in it
    std::uint64_t in_flight = 0;    ///< at its end; those that are kept included
    std::uint64_t retransmissions = 0, drops = 0;
    Quantiles handshake, ttlb, transaction;  ///< of those that ended in it, from the actual time of sending
    std::uint64_t time_wait = 0;             ///< connections in TIME-WAIT at its end
};

enum class Verdict : std::uint8_t { valid, generator_limited, failed };
[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;

struct Judgement {
    Verdict verdict = Verdict::valid;
    std::string reason;
    [[nodiscard]] ExitStatus exit_status() const noexcept;
};

/// A failed connection or a residual: failed. Else, more than 0.1 % of what was asked for (of the rate, or of
/// the connections to hold) not offered: generator-limited. At "max" the window of open connections is the
/// limit by intention, and the result valid.
/// `failures_bounded`: how many may fail is said by a goal, and not judged here.
/// `cut_off`: the run was stopped so that what was under way did not come to its end: that is no failure.
[[nodiscard]] Judgement judge(const Accounting& connections, std::optional<double> asked_cps,
                              bool failures_bounded = false, bool cut_off = false);

struct Result;
/// Of any recipe but `none`, by what follows.
[[nodiscard]] Judgement judge(const Result& result);
/// Of `rr` and `stream`: besides, a transaction that was lost, and an octet that one side sent and the other
/// did not receive, is a failure.
[[nodiscard]] Judgement judge_transfer(const Result& result);
/// Of `rr` and `http` whose connections come and go: besides, a transaction that was lost is a failure. Where
/// a rate says when transactions begin, more than 0.1 % that did not: the target was the limit where no
/// connection was free, the generator else.
[[nodiscard]] Judgement judge_transactions(const Result& result);
/// Of `hold`: besides, a transaction that was lost, and a connection that was kept and did not close in
/// order, is a failure.
[[nodiscard]] Judgement judge_hold(const Result& result);

/// Of a run that was given up as nobody answered: who did not, and what is known of why.
[[nodiscard]] Judgement judge_unanswered(const Result& result);

/// Of attacks: frames that the accounting does not cover, or more than 0.1 % that could not be sent. Nothing
/// where all is well.
[[nodiscard]] std::optional<Judgement> judge_attacks(const std::vector<AttackCounts>& attacks);

/// Memory of the process, in octets; 0: not known.
struct ResidentMemory {
    std::uint64_t before = 0;  ///< before the stacks were made
    std::uint64_t held = 0;    ///< where connections are kept: while all are there
    std::uint64_t most = 0;    ///< at any time
};

struct Result {
    std::string command;
    std::string started;  ///< ISO 8601, UTC
    Host host;
    nlohmann::ordered_json config;      ///< every effective setting
    std::optional<std::uint64_t> seed;  ///< nothing: keys from the kernel's entropy
    Recipe recipe = Recipe::crr;
    bool comes_and_goes = false;  ///< of `rr` and `http`: connections end with the last of their transactions
    std::string wire;
    unsigned client_cores = 0, server_cores = 0;  ///< server_cores 0: the server is not ours
    double duration_s = 0;                        ///< the measured window

    Accounting connections;
    std::optional<double> asked_cps;  ///< nothing: max
    double cps = 0;  ///< connections completed in the window (where they are kept: established), a second
    double tps = 0;  ///< transactions answered in the window, a second; of `hold`: from the first to the last
    double goodput_bps = 0;  ///< payload received in the window by the client, and of `stream` by the server
    double goodput_to_client_bps = 0, goodput_to_server_bps = 0;
    TransactionAccounting transactions;           ///< of `rr`, `http` and `hold`, over the whole run
    std::vector<AttackCounts> attacks;            ///< beside it, over the measured window
    DatagramAccounting datagrams;                 ///< of `udp-rr` and `udp-oneway`, over the whole run
    double dps_to_server = 0, dps_to_client = 0;  ///< datagrams that arrived in the window, a second
    std::optional<double>
        asked_dps;                 ///< of `udp-oneway`: a second in each direction that is used; nothing: max
    Duration give_up{};            ///< where nobody answers for so long the run ends; 0: never
    bool nobody_answered = false;  ///< so the run was given up
    std::string next_hop, target;  ///< of a target that is not ours: for what is said then
    HttpCounts http;               ///< of `http`, over the whole run
    std::optional<double> asked_tps;  ///< where a rate says when transactions begin
    OctetAccounting octets;           ///< of `stream`, over the whole run
    ResidentMemory memory;
    std::uint64_t closed_in_order = 0;  ///< of `hold`: of those kept to the end, with FIN and FIN
    double closing_cps = 0;             ///< of `hold`: so many a second

    FrameCount client_tx, client_rx, server_tx,
        server_rx;  ///< from the first SYN to the end, ramp and drain included; of `rr` and `stream` in the
                    ///< window
    std::uint64_t connections_counted = 0;   ///< connections to which these belong
    std::uint64_t transactions_counted = 0;  ///< of `rr`: transactions to which these belong
    double counted_s = 0;                    ///< of `rr` and `stream`: in so many seconds

    Latency latency;
    runtime::Snapshot counters;  ///< of all our stacks, from the first SYN to the end

    std::vector<double> busy_percent;  ///< a lcore, in the window
    Histogram lag;                     ///< nanoseconds
    std::uint64_t tx_full = 0;

    bool unmeasured = false;         ///< nobody looks at the cores in the window
    bool failures_bounded = false;   ///< a goal says how many connections may fail: else none may
    std::vector<Event> events;       ///< what it was told while it went
    bool cut_off = false;            ///< it was stopped by FIN or RST at once
    std::vector<std::string> notes;  ///< for the summary: what qualifies the figures
    Judgement judgement;
    std::vector<Interval> intervals;

    /// As the functions of these names in recipe.hpp, of this run.
    [[nodiscard]] bool keeps_connections() const noexcept {
        return load::keeps_connections(recipe) && !comes_and_goes;
    }
    [[nodiscard]] bool transfers() const noexcept { return load::transfers(recipe) && !comes_and_goes; }

    /// At the end of any second.
    [[nodiscard]] std::uint64_t most_in_time_wait() const noexcept;
    [[nodiscard]] double packets_per_connection() const noexcept;
    [[nodiscard]] double bytes_per_connection() const noexcept;
    /// What an established connection has taken on one side, where so many were kept that it can be told from
    /// what the process takes anyway; 0 else.
    [[nodiscard]] double octets_per_kept_connection() const noexcept;
    [[nodiscard]] double packets_per_transaction() const noexcept;
    [[nodiscard]] double bytes_per_transaction() const noexcept;
    /// Of a link of so many bit/s, the fuller direction, at the rate of the window.
    [[nodiscard]] double percent_of(double link_bps) const noexcept;
};

/// "12.3 us", "4.0 ms": for a person.
[[nodiscard]] std::string human_time(std::uint64_t nanoseconds);

/// Retransmissions of all kinds.
[[nodiscard]] std::uint64_t retransmissions(const runtime::Snapshot& counters) noexcept;

/// The document "runnel.result/1" of MEASURE.md.
[[nodiscard]] nlohmann::ordered_json to_json(const Result& result);
/// A document as a file holds it: indented, arrays of numbers on a line.
[[nodiscard]] std::string document_text(const nlohmann::ordered_json& document);
/// Some twenty lines for a person.
[[nodiscard]] std::string to_text(const Result& result);

}  // namespace runnel::load
