// See datagram_result.hpp.
#include "engine/datagram_result.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "quantity.hpp"

namespace runnel::load {
namespace {

using DatagramJson = nlohmann::ordered_json;

double percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

double three_decimals(double value) {
    return std::round(value * 1000) / 1000;
}

DatagramJson to_json(const DatagramDirection& way) {
    return {{"planned", way.planned},
            {"unsent", way.unsent},
            {"sent", way.sent},
            {"octets_sent", way.octets_sent},
            {"received", way.counts.received},
            {"octets_received", way.octets_received},
            {"unique", way.counts.unique},
            {"lost", way.counts.missing},
            {"duplicated", way.counts.duplicated},
            {"reordered", way.counts.reordered},
            {"stale", way.counts.stale},
            {"lost_percent", three_decimals(percent(way.counts.missing, way.sent_known))},
            {"duplicated_percent", three_decimals(percent(way.counts.duplicated, way.counts.received))},
            {"reordered_percent", three_decimals(percent(way.counts.reordered, way.counts.unique))},
            {"reordering_extent_max", way.counts.most_extent},
            {"jitter_us",
             {{"mean", three_decimals(way.jitter.mean() / 1000)},
              {"max", three_decimals(way.jitter.most / 1000)}}},
            {"residual", way.residual()}};
}

std::string errors_in_words(const DatagramAccounting& d) {
    std::string words;
    for (std::size_t i = 0; i < d.undelivered.size(); ++i)
        if (d.undelivered[i] > 0)
            words += fmt::format("{}{} times \"{}\"", words.empty() ? "" : ", ", d.undelivered[i],
                                 to_string(static_cast<Undelivered>(i)));
    return words;
}

std::string behind_errors(const DatagramAccounting& d) {
    return d.errors() == 0 ? "" : fmt::format("; routers or hosts said {}", errors_in_words(d));
}

Judgement failure(std::string reason) {
    return {Verdict::failed, std::move(reason)};
}

// What came due and was not sent, by the client: by whose fault.
std::optional<Judgement> judge_unsent(const Result& r) {
    const DatagramDirection& way = r.datagrams.to_server;
    if (way.unsent * 1000 > way.planned) {
        if ((way.unsent - r.datagrams.unsent_full) * 1000 <= way.planned)
            return failure(
                fmt::format("{} of {} requests were not sent: as many as --window allows were under way "
                            "all the while; the target is the limit",
                            way.unsent, way.planned));
        return Judgement{
            Verdict::generator_limited,
            fmt::format("{} of {} datagrams were not sent: more was asked for than could be offered",
                        way.unsent, way.planned)};
    }
    const DatagramDirection& back = r.datagrams.to_client;
    if (back.unsent * 1000 > back.planned)
        return failure(
            fmt::format("the servers did not send {} of {} datagrams: more was asked for than they could "
                        "offer",
                        back.unsent, back.planned));
    return std::nullopt;
}

}  // namespace

Judgement judge_datagrams(const Result& r) {
    const DatagramAccounting& d = r.datagrams;
    const TransactionAccounting& t = r.transactions;
    if (t.residual() != 0)
        return failure(fmt::format("the accounting of requests does not close: residual {}", t.residual()));
    for (const auto& [way, name] :
         {std::pair{&d.to_server, "to the server"}, std::pair{&d.to_client, "to the client"}})
        if (way->residual() != 0)
            return failure(fmt::format("the accounting of datagrams {} does not close: residual {}", name,
                                       way->residual()));
    if (d.flows_answered > 0 && d.flows_answered < d.flows)
        return failure(fmt::format("{} of {} flows had no answer to their greeting{}",
                                   d.flows - d.flows_answered, d.flows, behind_errors(d)));
    if (d.flows_reported < d.flows_ours)
        return failure(fmt::format("{} of {} servers' accounts did not come: what arrived there is not known",
                                   d.flows_ours - d.flows_reported, d.flows_ours));
    if (d.refused > 0)
        return failure(
            fmt::format("the server would not send on {} of {} flows: it is none of ours, or serves too "
                        "many already",
                        d.refused, d.flows));
    if (const auto unsent = judge_unsent(r)) return *unsent;
    if (r.recipe == Recipe::udp_rr) {
        // Who cuts off does not wait for answers.
        const std::uint64_t unanswered = t.lost + (r.cut_off ? 0 : t.in_flight);
        if (unanswered > 0 && !r.failures_bounded)
            return failure(fmt::format("{} of {} requests had no answer within --reply-timeout{}", unanswered,
                                       t.asked, behind_errors(d)));
        if (r.tps <= 0) return failure("no request was answered in the window" + behind_errors(d));
        if (unanswered > 0)
            return {Verdict::valid,
                    fmt::format("{} of {} requests had no answer, of which a goal says how many may",
                                unanswered, t.asked)};
        if (t.in_flight > 0)
            return {Verdict::valid,
                    fmt::format("{} requests were under way when it was told to stop", t.in_flight)};
        return {Verdict::valid, r.asked_tps
                                    ? "the rate of requests asked for was offered, and all were answered"
                                    : "as many requests under way as asked for all the while, and all were "
                                      "answered"};
    }
    const std::uint64_t lost = d.to_server.counts.missing + d.to_client.counts.missing;
    const std::uint64_t sent = d.to_server.sent_known + d.to_client.sent_known;
    if (d.to_server.sent + d.to_client.sent == 0) return failure("nothing was sent" + behind_errors(d));
    if (d.flows_reported == 0)
        return {Verdict::valid, "sent as asked; nobody has said what arrived" + behind_errors(d)};
    if (sent > 0 && lost == sent)
        return failure(fmt::format("all {} datagrams were lost{}", sent, behind_errors(d)));
    if (lost > 0 && r.asked_dps && !r.failures_bounded)
        return failure(fmt::format("{} of {} datagrams were lost ({:.3g} %){}", lost, sent,
                                   percent(lost, sent), behind_errors(d)));
    if (lost > 0)
        return {Verdict::valid, fmt::format("sent as asked; {} of {} datagrams were lost ({:.3g} %)", lost,
                                            sent, percent(lost, sent))};
    return {Verdict::valid, "sent as asked, and all of it arrived"};
}

DatagramJson datagrams_to_json(const Result& r) {
    const DatagramAccounting& d = r.datagrams;
    DatagramJson errors = DatagramJson::object();
    for (std::size_t i = 0; i < d.undelivered.size(); ++i)
        if (d.undelivered[i] > 0)
            errors[std::string{to_string(static_cast<Undelivered>(i))}] = d.undelivered[i];
    DatagramJson document = {{"flows", d.flows},
                             {"flows_answered", d.flows_answered},
                             {"flows_ours", d.flows_ours},
                             {"flows_reported", d.flows_reported},
                             {"to_server", to_json(d.to_server)}};
    if (r.recipe == Recipe::udp_rr)
        document["responses"] = {{"sent_by_server", d.answered_by_server},
                                 {"unsent_by_server", d.unanswered_by_server},
                                 {"received", d.to_client.counts.received},
                                 {"octets_received", d.to_client.octets_received},
                                 {"late", d.late},
                                 {"duplicated", d.duplicated},
                                 {"stale", d.stale}};
    else
        document["to_client"] = to_json(d.to_client);
    document["strange"] = d.strange;
    document["refused"] = d.refused;
    document["errors"] = errors;
    return document;
}

void describe_datagrams(const Result& r,
                        const std::function<void(std::string_view, const std::string&)>& line) {
    const DatagramAccounting& d = r.datagrams;
    line("flows", fmt::format("{}, {} answered, {} by a server of ours, {} reports of what arrived", d.flows,
                              d.flows_answered, d.flows_ours, d.flows_reported));
    const auto way = [&](std::string_view name, const DatagramDirection& w) {
        if (w.sent + w.planned == 0) return;
        line(name, w.planned > w.sent + w.unsent || w.unsent > 0
                       ? fmt::format("{} planned, {} unsent, {} sent", w.planned, w.unsent, w.sent)
                       : fmt::format("{} sent", w.sent));
        if (d.flows_reported == 0) return;
        line("", fmt::format("{} arrived, {} lost ({:.3g} %), residual {}", w.counts.received,
                             w.counts.missing, percent(w.counts.missing, w.sent_known), w.residual()));
        line("", fmt::format("{} copies, {} out of order, at most {} late{}", w.counts.duplicated,
                             w.counts.reordered, w.counts.most_extent,
                             w.counts.stale > 0 ? fmt::format(", {} too late to tell", w.counts.stale) : ""));
        if (w.jitter.flows > 0)
            line("",
                 fmt::format("jitter {}, at most {}", human_time(static_cast<std::uint64_t>(w.jitter.mean())),
                             human_time(static_cast<std::uint64_t>(w.jitter.most))));
    };
    way("to the server", d.to_server);
    if (r.recipe == Recipe::udp_rr) {
        line("responses",
             fmt::format("{} received, {} late, {} copies{}", d.to_client.counts.received, d.late,
                         d.duplicated,
                         d.flows_reported == 0 ? "" : fmt::format("; {} sent", d.answered_by_server)));
    } else {
        way("to the client", d.to_client);
    }
    if (d.errors() > 0) line("errors", errors_in_words(d));
    if (d.strange > 0) line("strange", fmt::format("{} datagrams were none of this recipe", d.strange));
}

}  // namespace runnel::load
