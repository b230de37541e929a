// What a result is worth, in a word and a sentence: see result.hpp.
#include <algorithm>

#include <fmt/format.h>

#include "engine/datagram_result.hpp"
#include "engine/result.hpp"
#include "quantity.hpp"

namespace runnel::load {

using app::human_count;

std::string_view to_string(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::valid:
            return "valid";
        case Verdict::generator_limited:
            return "generator-limited";
        case Verdict::failed:
            return "failed";
    }
    return "?";
}

ExitStatus Judgement::exit_status() const noexcept {
    switch (verdict) {
        case Verdict::valid:
            return ExitStatus::good;
        case Verdict::generator_limited:
            return ExitStatus::generator_limited;
        case Verdict::failed:
            return ExitStatus::goal_missed;
    }
    return ExitStatus::goal_missed;
}

Judgement judge(const Accounting& c, std::optional<double> asked_cps, bool failures_bounded, bool cut_off) {
    if (c.residual() != 0)
        return {Verdict::failed, fmt::format("the accounting does not close: residual {}", c.residual())};
    if (c.failed() > 0 && !failures_bounded)
        return {Verdict::failed,
                fmt::format("{} of {} connections failed: {} refused, {} reset, {} timed out", c.failed(),
                            c.attempted, c.refused, c.reset, c.timed_out)};
    if (c.attempted > 0 && c.established == 0)
        return {
            Verdict::failed,
            fmt::format("none of {} connections was established: the target did not answer", c.attempted)};
    if (c.in_flight > 0 && !cut_off)
        return {Verdict::failed, fmt::format("{} connections had not ended when the run ended", c.in_flight)};
    if (c.unsent * 1000 > c.attempted && (c.unsent - c.unsent_full) * 1000 <= c.attempted)
        return {Verdict::failed,
                fmt::format(
                    "{} of {} connections were not sent: as many as --window allows were open all the while; "
                    "the target is the limit",
                    c.unsent, c.attempted)};
    if (c.unsent * 1000 > c.attempted)
        return {Verdict::generator_limited,
                fmt::format("{} of {} connections were not sent: more was asked for than could be offered",
                            c.unsent, c.attempted)};
    if (cut_off && c.in_flight > 0)
        return {Verdict::valid,
                fmt::format("it was told to end at once: {} connections were cut off, and none failed "
                            "before",
                            c.in_flight)};
    if (c.completed == 0) return {Verdict::failed, "no connection was completed"};
    if (c.failed() > 0)
        return {Verdict::valid, fmt::format("{} of {} connections failed, of which a goal says how many may",
                                            c.failed(), c.attempted)};
    return {Verdict::valid, asked_cps ? "the rate asked for was offered, and no connection failed"
                                      : "offered as fast as connections end, and none failed"};
}

namespace {

Judgement failed(std::string reason) {
    return {Verdict::failed, std::move(reason)};
}

// What transactions have failed of, or were not offered for; nothing where all were, and are answered.
std::optional<Judgement> judge_transactions(const TransactionAccounting& t, bool cut_off) {
    if (t.residual() != 0)
        return failed(
            fmt::format("the accounting of transactions does not close: residual {}", t.residual()));
    const std::uint64_t unanswered = t.lost + (cut_off ? 0 : t.in_flight);
    if (unanswered > 0)
        return failed(fmt::format("{} of {} transactions had no answer", unanswered, t.asked));
    if (t.unsent * 1000 > t.planned && (t.unsent - t.unsent_full) * 1000 > t.planned)
        return Judgement{
            Verdict::generator_limited,
            fmt::format("{} of {} transactions were not sent: more was asked for than could be offered",
                        t.unsent, t.planned)};
    if (t.unsent * 1000 > t.planned)
        return failed(fmt::format(
            "{} of {} transactions were not sent within --max-lag, or by the end: every connection "
            "waited for an answer; the target is the limit, or --connections are too few",
            t.unsent, t.planned));
    return std::nullopt;
}

}  // namespace

Judgement judge(const Result& r) {
    if (sends_datagrams(r.recipe)) return judge_datagrams(r);
    if (r.transfers()) return judge_transfer(r);
    if (transacts(r.recipe)) return judge_transactions(r);
    if (r.recipe == Recipe::hold) return judge_hold(r);
    return judge(r.connections, r.asked_cps, r.failures_bounded, r.cut_off);
}

Judgement judge_hold(const Result& r) {
    const Judgement connections = judge(r.connections, r.asked_cps, r.failures_bounded, r.cut_off);
    if (connections.verdict == Verdict::failed) return connections;
    if (const auto transactions = judge_transactions(r.transactions, r.cut_off)) return *transactions;
    if (!r.cut_off && r.closed_in_order != r.connections.completed)
        return failed(fmt::format("{} of {} connections that were kept did not close in order",
                                  r.connections.completed - r.closed_in_order, r.connections.completed));
    return connections;
}

std::optional<Judgement> judge_attacks(const std::vector<AttackCounts>& attacks) {
    for (const AttackCounts& attack : attacks) {
        if (attack.residual() != 0)
            return failed(fmt::format("the accounting of {} does not close: residual {}",
                                      to_string(attack.kind), attack.residual()));
        if (attack.unsent * 1000 > attack.planned)
            return Judgement{Verdict::generator_limited,
                             fmt::format("{} of {} frames of {} were not sent", attack.unsent, attack.planned,
                                         to_string(attack.kind))};
    }
    return std::nullopt;
}

Judgement judge_transactions(const Result& r) {
    const Judgement connections = judge(r.connections, r.asked_cps, r.failures_bounded, r.cut_off);
    if (connections.verdict != Verdict::valid) return connections;
    if (const auto transactions = judge_transactions(r.transactions, r.cut_off)) return *transactions;
    return connections;
}

Judgement judge_transfer(const Result& r) {
    const Judgement connections = judge(r.connections, std::nullopt, r.failures_bounded, r.cut_off);
    if (connections.verdict == Verdict::failed) return connections;
    if (r.connections.unsent > 0)
        return failed(fmt::format("{} of {} connections were not opened", r.connections.unsent,
                                  r.connections.attempted));
    if (transacts(r.recipe)) {
        if (const auto transactions = judge_transactions(r.transactions, r.cut_off)) return *transactions;
        if (r.tps <= 0) return failed("no transaction was answered in the window");
        if (r.asked_tps)
            return {Verdict::valid, "the rate of transactions asked for was offered, and none failed"};
        return {Verdict::valid, "a transaction in flight on each connection all the while, and none failed"};
    }
    const OctetAccounting& o = r.octets;
    // The server's part is known where the server is ours.
    if (r.server_cores > 0 && !r.cut_off && (o.residual_to_server() != 0 || o.residual_to_client() != 0))
        return failed(
            fmt::format("the accounting of octets does not close: {} to the server and {} to the "
                        "client are missing",
                        o.residual_to_server(), o.residual_to_client()));
    if (r.goodput_bps <= 0) return failed("nothing was received in the window");
    return {Verdict::valid, "more to send all the while, and what was sent has arrived"};
}

}  // namespace runnel::load
