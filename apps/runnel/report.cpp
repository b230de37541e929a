// See report.hpp.
#include "report.hpp"

#include <array>
#include <ctime>
#include <mutex>
#include <numeric>

#include <fmt/format.h>

#include <rte_config.h>

#include "runnel/runtime/stage_times.hpp"
#include "runnel/tcp/congestion/names.hpp"
#include "runnel/wire/describe.hpp"

#include "quantity.hpp"
#include "results/page.hpp"

namespace runnel::app {
namespace {

// Shared by the cores that trace: their lines do not mix.
class TracePrinter {
  public:
    TracePrinter(std::FILE* out, std::uint32_t limit) : out_(out), left_(limit) {}

    void show(const rte_mbuf& frame, Instant when) {
        const std::lock_guard lock(mutex_);
        if (left_ == 0) return;
        std::array<std::byte, 9728> copy;  // the largest --mtu, and what is around it
        const std::uint32_t size = std::min<std::uint32_t>(rte_pktmbuf_pkt_len(&frame), copy.size());
        const void* octets = rte_pktmbuf_read(&frame, 0, size, copy.data());
        if (octets == nullptr) return;
        const double seconds = static_cast<double>(when.time_since_epoch().count()) / 1e9;
        fmt::print(out_, "{:.6f} {}\n", seconds,
                   wire::describe({static_cast<const std::byte*>(octets), size}));
        if (--left_ == 0) fmt::print(out_, "(further segments are not shown; --trace N shows more)\n");
    }

  private:
    std::mutex mutex_;
    std::FILE* out_;
    std::uint32_t left_;
};

}  // namespace

port::TracedWire::Observer make_trace(std::FILE* out, std::uint32_t limit) {
    auto printer = std::make_shared<TracePrinter>(out, limit);
    return [printer](port::Direction, const rte_mbuf& frame, Instant when) { printer->show(frame, when); };
}

load::Progress make_progress(std::FILE* out, load::Recipe recipe) {
    return [out, recipe](const load::Interval& i) {
        if (load::sends_datagrams(recipe)) {
            const std::string rate = recipe == load::Recipe::udp_rr ? human_count(i.tps) + " requests/s"
                                                                    : human_count(i.dps) + " datagrams/s";
            fmt::print(out, "{:6.1f} s  {:>22}  {:>8}bit/s  {:>8} under way  p99 {:>8}  {} drops\n", i.t_s,
                       rate, human_count(i.goodput_bps), human_count(static_cast<double>(i.in_flight)),
                       load::human_time(i.transaction.p99), i.drops);
            std::fflush(out);
            return;
        }
        // `hold` opens first, and then carries transactions.
        if (recipe == load::Recipe::none) {
            fmt::print(out, "{:6.1f} s  attacks alone  {} drops\n", i.t_s, i.drops);
            std::fflush(out);
            return;
        }
        const bool transactions =
            load::transacts(recipe) || (recipe == load::Recipe::hold && i.established == 0 && i.tps > 0);
        const std::string rate = transactions                     ? human_count(i.tps) + " transactions/s"
                                 : recipe == load::Recipe::stream ? human_count(i.goodput_bps) + "bit/s"
                                                                  : human_count(i.cps) + " connections/s";
        fmt::print(out,
                   "{:6.1f} s  {:>22}  {:>8} in flight  handshake p99 {:>8}  {} retransmissions  {} drops\n",
                   i.t_s, rate, human_count(static_cast<double>(i.in_flight)),
                   load::human_time(i.handshake.p99), i.retransmissions, i.drops);
        std::fflush(out);
    };
}

namespace {

std::string what_datagrams(const load::Traffic& traffic, unsigned cores) {
    const std::uint64_t flows = *load::kept_connections(traffic, cores);
    const bool requests = traffic.recipe == load::Recipe::udp_rr;
    std::string text = fmt::format("{} flow{}", flows, flows == 1 ? "" : "s");
    if (!requests) text += fmt::format(" {}", to_string(traffic.direction));
    if (traffic.profile)
        text += ", rate " + to_string(*traffic.profile);
    else if (traffic.rate)
        text += fmt::format(", rate {}/s", human_count(static_cast<double>(*traffic.rate)));
    else if (requests)
        text += fmt::format(", {} requests under way",
                            human_count(static_cast<double>(
                                traffic.concurrency.value_or(traffic.window != 0 ? traffic.window : flows))));
    else
        text += ", rate max";
    if (traffic.arrivals == load::ArrivalProcess::poisson) text += ", poisson";
    return text;
}

}  // namespace

std::string what_is_asked(const load::Traffic& traffic, unsigned cores) {
    if (load::sends_datagrams(traffic.recipe)) return what_datagrams(traffic, cores);
    const bool kept = load::transfers(traffic.recipe) && !load::comes_and_goes(traffic);
    std::string before =
        kept ? fmt::format("{} connections kept", *load::kept_connections(traffic, cores)) : "";
    if (kept && !traffic.rate && !traffic.profile) return before;
    if (kept) before += ", transactions at ";
    if (load::comes_and_goes(traffic))
        before = fmt::format("{} transactions a connection, ", traffic.transactions);
    if (traffic.recipe == load::Recipe::none) return "attacks alone";
    std::string text = traffic.profile ? "rate " + to_string(*traffic.profile)
                       : traffic.rate  ? "rate " + human_count(static_cast<double>(*traffic.rate)) + "/s"
                                       : std::string{"rate max"};
    if (traffic.arrivals == load::ArrivalProcess::poisson) text += ", poisson";
    if (traffic.concurrency)
        text += fmt::format(", {} kept open", human_count(static_cast<double>(*traffic.concurrency)));
    return before + text;
}

std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

void describe_traffic(const load::Traffic& traffic, const load::CorePlan& plan,
                      nlohmann::ordered_json& config) {
    using Json = nlohmann::ordered_json;
    config["recipe"] = to_string(traffic.recipe);
    config["rate"] = traffic.profile ? Json(to_string(*traffic.profile))
                     : traffic.rate  ? Json(*traffic.rate)
                                     : Json("max");
    config["arrivals"] = to_string(traffic.arrivals);
    config["arrivals_seed"] = traffic.seed;
    config["concurrency"] = traffic.concurrency ? Json(*traffic.concurrency) : Json(nullptr);
    const std::optional<std::uint64_t> connections = load::kept_connections(traffic, 1);
    config["connections"] = connections ? Json(*connections) : Json(nullptr);
    if (traffic.recipe == load::Recipe::hold || load::transacts(traffic.recipe))
        config["transactions"] = traffic.transactions;
    if (load::transacts(traffic.recipe)) {
        config["think"] = load::times_to_string(traffic.sizes.think);
        config["request_octets"] = load::sizes_to_string(traffic.sizes.request);
        config["response_octets"] = load::sizes_to_string(traffic.sizes.response);
    }
    if (traffic.recipe == load::Recipe::http) {
        Json asks = Json::array();
        for (const load::HttpAsk& ask : traffic.http.asks) asks.push_back(ask.method + " " + ask.path);
        if (asks.empty()) asks.push_back("GET /");
        config["requests"] = asks;
        config["headers"] = traffic.http.headers;
        config["host"] = traffic.http.host.empty() ? Json(nullptr) : Json(traffic.http.host);
        config["keep_alive"] = traffic.http.keep_alive;
    }
    if (traffic.recipe == load::Recipe::stream) {
        config["direction"] = to_string(traffic.direction);
        config["send"] = traffic.copies ? "copied" : "referred to";
    }
    if (traffic.recipe == load::Recipe::udp_oneway) {
        config["direction"] = to_string(traffic.direction);
        config["datagram_octets"] = load::sizes_to_string(traffic.datagram_octets);
        config["blind"] = traffic.blind;
    }
    if (traffic.recipe == load::Recipe::udp_rr)
        config["reply_timeout"] = human_duration(traffic.reply_timeout);
    config["give_up"] = human_duration(traffic.give_up);
    config["window"] = plan.client.window;
    config["batch"] = plan.client.batch;
    config["duration"] = human_duration(traffic.duration);
    config["ramp"] = human_duration(plan.client.ramp);
    config["ramp_up"] = human_duration(plan.client.ramp_up);
    config["ramp_down"] = human_duration(plan.client.ramp_down);
    config["drain"] = human_duration(plan.client.drain);
    config["max_lag"] = human_duration(plan.client.max_lag);
    config["client_time_wait_table"] = plan.client_tcp.time_wait;
}

void describe_attacks(const load::Traffic& traffic, nlohmann::ordered_json& config) {
    using Json = nlohmann::ordered_json;
    config["attacks"] = Json::array();
    for (const load::AttackTraffic& attack : traffic.attacks) {
        Json sources = Json::array();
        for (const load::AddressRange& range : attack.sources) sources.push_back(to_string(range));
        config["attacks"].push_back({{"kind", to_string(attack.kind)},
                                     {"rate", attack.rate},
                                     {"sources", sources},
                                     {"octets", attack.payload}});
    }
}

void describe_behaviour(const load::ServerBehaviour& behaviour, nlohmann::ordered_json& config) {
    config["server_delay"] = load::times_to_string(behaviour.delay);
    config["server_stall"] = behaviour.stall.length == Duration{}
                                 ? std::string{"none"}
                                 : fmt::format("{}/{}", human_duration(behaviour.stall.length),
                                               human_duration(behaviour.stall.every));
}

void describe_tcp(const tcp::Config& tcp, nlohmann::ordered_json& config) {
    config["syn_timeout"] = human_duration(tcp.syn_timeout);
    config["syn_retries"] = tcp.syn_retries;
    config["synack_timeout"] = human_duration(tcp.synack_timeout);
    config["synack_retries"] = tcp.synack_retries;
    config["receive_buffer"] = tcp.receive_buffer;
    config["send_buffer"] = tcp.send_buffer;
    config["out_of_order_limit"] = tcp.out_of_order_limit;
    config["min_rto"] = human_duration(tcp.min_rto);
    config["max_rto"] = human_duration(tcp.max_rto);
    config["r2"] = human_duration(tcp.r2);
    config["delayed_ack"] = human_duration(tcp.delayed_ack);
    config["initial_window"] = tcp.initial_window;
    config["min_peer_mss"] = tcp.min_peer_mss;
    config["quick_acks"] = tcp.quick_acks;
    config["sack"] = tcp.sack;
    config["timestamps"] = tcp.timestamps;
    config["window_scaling"] = tcp.window_scaling;
    config["ecn"] = tcp.ecn == tcp::Ecn::off ? "off" : tcp.ecn == tcp::Ecn::accept ? "accept" : "request";
    config["congestion"] = to_string(tcp.congestion);
    if (tcp.congestion == tcp::CongestionAlgorithm::none) config["fixed_window"] = tcp.fixed_window;
    config["time_wait"] = human_duration(tcp.time_wait_duration);
    config["fin_wait_2_timeout"] = human_duration(tcp.fin_wait_2_timeout);
    config["ephemeral_ports"] = fmt::format("{}-{}", tcp.ephemeral_first, tcp.ephemeral_last);
    config["challenge_acks_per_second"] = tcp.challenge_acks_per_second;
    config["syn_cookies"] = to_string(tcp.syn_cookies);
}

namespace {

// Of a build with stage marks: where each core's cycles went, and how many of them to a frame received.
[[maybe_unused]] void print_stages(std::FILE* out) {
    for (unsigned lcore = 0; lcore < RTE_MAX_LCORE; ++lcore) {
        const runtime::StageTimes times = runtime::stage_times(lcore);
        if (times.frames == 0) continue;
        const auto all = std::accumulate(times.cycles.begin(), times.cycles.end(), std::uint64_t{0});
        fmt::print(out, "  stages            lcore {}, {} frames:", lcore, times.frames);
        for (std::size_t i = 0; i < stage_count; ++i)
            fmt::print(out, "{} {} {} ({:.0f} %)", i == 0 ? "" : ",", to_string(static_cast<Stage>(i)),
                       times.cycles[i] / times.frames,
                       100 * static_cast<double>(times.cycles[i]) / static_cast<double>(all));
        fmt::print(out, " cycles a frame\n");
    }
}

}  // namespace

ExitStatus report(const load::Result& result, const Output& output) {
    fmt::print(output.text(), "{}", to_text(result));
    if constexpr (stages_are_marked) print_stages(output.text());
    results::Document document{"this run", to_json(result)};
    const auto outcomes = results::check(output.goals, document);
    bool met = true;
    for (const results::GoalOutcome& outcome : outcomes) {
        fmt::print(output.text(), "goal {}: {}, {}\n", outcome.goal.text, outcome.met ? "met" : "missed",
                   outcome.shown());
        met = met && outcome.met;
    }
    if (!outcomes.empty()) document.json["goals"] = results::to_json(outcomes);
    write_document(document.json, output);
    if (!output.page.empty()) write_file("--html", output.page, results::to_page(document));
    const ExitStatus status = result.judgement.exit_status();
    return status == ExitStatus::good && !met ? ExitStatus::goal_missed : status;
}

}  // namespace runnel::app
