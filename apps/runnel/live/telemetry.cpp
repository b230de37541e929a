// See telemetry.hpp.
#include "live/telemetry.hpp"

#include <array>
#include <cmath>
#include <mutex>
#include <stdexcept>

#include <fmt/format.h>

#include <rte_telemetry.h>
#include <rte_version.h>

#include "quantity.hpp"

namespace runnel::app::live {
namespace {

// DPDK 23.03 gave it a new name.
int add(rte_tel_data* data, const char* name, std::uint64_t value) {
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
    return rte_tel_data_add_dict_uint(data, name, value);
#else
    return rte_tel_data_add_dict_u64(data, name, value);
#endif
}
int add(rte_tel_data* data, const char* name, double value) {
    return add(data, name, value > 0 ? static_cast<std::uint64_t>(std::llround(value)) : std::uint64_t{0});
}
int add(rte_tel_data* data, const char* name, std::string_view text) {
    // A value has a place of this size.
    std::string cut{text.substr(0, RTE_TEL_MAX_STRING_LEN - 1)};
    return rte_tel_data_add_dict_string(data, name, cut.c_str());
}
// A dictionary within another, made and handed over.
template <class Fill>
int add_dict(rte_tel_data* data, const char* name, Fill&& fill) {
    rte_tel_data* const inner = rte_tel_data_alloc();
    if (inner == nullptr) return -ENOMEM;
    rte_tel_data_start_dict(inner);
    fill(inner);
    const int error = rte_tel_data_add_dict_container(data, name, inner, 0);
    if (error != 0) rte_tel_data_free(inner);
    return error;
}

// What answers, where something runs.
struct Seat {
    std::mutex mutex;
    load::Control* control = nullptr;
    const load::Board* board = nullptr;
    Telemetry::Settings settings;
    bool registered = false;
};
// One a process, as DPDK's table of commands is. Never freed: DPDK's thread may still ask while the process
// ends.
Seat& seat() {
    static Seat* const one = new Seat;
    return *one;
}

using Seen = std::shared_ptr<const load::Observation>;

void summary(const load::Observation& seen, rte_tel_data* out) {
    const load::Sample& s = seen.sample;
    add(out, "command", seen.facts.command);
    add(out, "what", seen.facts.what);
    add(out, "wire", seen.facts.wire);
    add(out, "phase", seen.phase);
    add(out, "t_ms", 1000 * seen.t_s);
    add(out, "paused", std::uint64_t{seen.state.paused});
    add(out, "stopping", std::uint64_t{seen.state.stopping});
    if (seen.state.abilities.rate)
        add(out, "rate", seen.state.rate ? human_count(*seen.state.rate) + "/s" : std::string{"max"});
    add(out, "started", s.totals.started);
    add(out, "established", s.totals.established);
    add(out, "completed", s.totals.completed);
    add(out, "transactions", s.totals.transactions);
    add(out, "octets_received", s.totals.octets_received);
    add(out, "octets_sent", s.totals.octets_sent);
    add(out, "datagrams_sent", s.totals.datagrams_sent);
    add(out, "datagrams_received", s.totals.datagrams_received);
    add(out, "refused", s.refused);
    add(out, "reset", s.reset);
    add(out, "timed_out", s.timed_out);
    add(out, "open", s.open);
    add(out, "time_wait", s.time_wait);
    const runtime::Snapshot counters = seen.counters();
    add(out, "drops", counters.dropped());
    add(out, "cps", seen.cps);
    add(out, "tps", seen.tps);
    add(out, "dps", seen.dps);
}

void rates(const load::Observation& seen, rte_tel_data* out) {
    add(out, "interval_ms", 1000 * seen.length_s);
    add(out, "cps", seen.cps);
    add(out, "tps", seen.tps);
    add(out, "dps", seen.dps);
    add(out, "established", seen.established_rate);
    add(out, "bits_in", 8 * seen.octets_in_rate);
    add(out, "bits_out", 8 * seen.octets_out_rate);
    const auto descriptions = counter_descriptions();
    for (std::size_t i = 0; i < counter_count; ++i)
        if (seen.length_s > 0 && seen.recent.counters[i] > 0)
            add(out, std::string{descriptions[i].name}.c_str(),
                static_cast<double>(seen.recent.counters[i]) / seen.length_s);
}

void quantiles(const Histogram& histogram, rte_tel_data* out) {
    add(out, "count", histogram.count());
    add(out, "mean_ns", histogram.mean());
    for (const auto& [name, percent] : {std::pair{"p50_ns", 50.0}, std::pair{"p90_ns", 90.0},
                                        std::pair{"p99_ns", 99.0}, std::pair{"p999_ns", 99.9}})
        add(out, name, histogram.percentile(percent));
    add(out, "max_ns", histogram.max());
}

void latencies(const load::LatencyHistograms& latency, rte_tel_data* out) {
    for (const auto& [name, which] : {std::pair{"handshake", &load::LatencyHistograms::handshake},
                                      std::pair{"ttfb", &load::LatencyHistograms::ttfb},
                                      std::pair{"ttlb", &load::LatencyHistograms::ttlb},
                                      std::pair{"close", &load::LatencyHistograms::close},
                                      std::pair{"transaction", &load::LatencyHistograms::transaction}})
        if ((latency.*which).count() > 0)
            add_dict(out, name, [&](rte_tel_data* inner) { quantiles(latency.*which, inner); });
}

// An answer that needs what was seen; without it, a sentence.
template <class Fill>
int answer(rte_tel_data* out, Fill&& fill) {
    Seat& one = seat();
    const std::lock_guard lock(one.mutex);
    rte_tel_data_start_dict(out);
    const Seen seen = one.board != nullptr ? one.board->latest() : nullptr;
    if (seen == nullptr)
        add(out, "state", std::string_view{"nothing runs yet, or any more"});
    else
        fill(*seen, one);
    return 0;
}

int tell(rte_tel_data* out, load::Order order) {
    Seat& one = seat();
    const std::lock_guard lock(one.mutex);
    rte_tel_data_start_dict(out);
    order.by = "telemetry";
    const load::Control::Answer answered =
        one.control != nullptr ? one.control->ask(std::move(order))
                               : load::Control::Answer{false, "nothing runs that could be told anything"};
    add(out, "accepted", std::uint64_t{answered.accepted});
    add(out, "sentence", answered.sentence);
    return 0;
}
int refuse(rte_tel_data* out, std::string_view sentence) {
    rte_tel_data_start_dict(out);
    add(out, "accepted", std::uint64_t{0});
    add(out, "sentence", sentence);
    return 0;
}

std::string_view word(const char* params) {
    return params == nullptr ? std::string_view{} : std::string_view{params};
}

// DPDK calls these; an exception would end its thread, and with it the process.
template <class What>
int guarded(rte_tel_data* out, What&& what) noexcept {
    try {
        return what();
    } catch (const BadQuantity& wrong) {
        return refuse(out, wrong.what());
    } catch (...) {
        return -ENOMEM;
    }
}

int on_summary(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] {
        return answer(out, [&](const load::Observation& seen, const Seat&) { summary(seen, out); });
    });
}
int on_rates(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] {
        return answer(out, [&](const load::Observation& seen, const Seat&) { rates(seen, out); });
    });
}
int on_counters(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] {
        return answer(out, [&](const load::Observation& seen, const Seat&) {
            const runtime::Snapshot all = seen.counters();
            const auto descriptions = counter_descriptions();
            for (std::size_t i = 0; i < counter_count; ++i)
                add(out, std::string{descriptions[i].name}.c_str(), all.counters[i]);
        });
    });
}
int on_drops(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] {
        return answer(out, [&](const load::Observation& seen, const Seat&) {
            const runtime::Snapshot all = seen.counters();
            const auto descriptions = drop_descriptions();
            for (std::size_t i = 0; i < drop_count; ++i)
                add(out, std::string{descriptions[i].name}.c_str(), all.drops[i]);
        });
    });
}
int on_latency(const char*, const char* params, rte_tel_data* out) {
    return guarded(out, [&] {
        if (!word(params).empty() && word(params) != "recent")
            return refuse(out,
                          "/runnel/latency is of the whole run, /runnel/latency,recent of the last second");
        return answer(out, [&](const load::Observation& seen, const Seat&) {
            latencies(word(params) == "recent" ? seen.recent_latency : seen.sample.latency, out);
        });
    });
}
int on_cores(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] {
        return answer(out, [&](const load::Observation& seen, const Seat&) {
            for (std::size_t i = 0; i < seen.cores.size(); ++i)
                add_dict(out, fmt::format("core_{}", i).c_str(), [&](rte_tel_data* inner) {
                    const load::Observation::Core& core = seen.cores[i];
                    add(inner, "busy_percent", core.busy_percent);
                    add(inner, "frames_in", core.frames_in);
                    add(inner, "frames_out", core.frames_out);
                    add(inner, "transmit_full", core.transmit_full);
                    add(inner, "longest_gap_ns", static_cast<std::uint64_t>(core.longest_gap.count()));
                });
        });
    });
}
int on_config(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] {
        return answer(out, [&](const load::Observation&, const Seat& one) {
            for (const auto& [name, value] : one.settings) add(out, name.c_str(), value);
        });
    });
}
int on_events(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] {
        return answer(out, [&](const load::Observation& seen, const Seat&) {
            for (std::size_t i = 0; i < seen.events.size() && i < 200; ++i) {
                const load::Event& event = seen.events[i];
                add(out, fmt::format("event_{}", i).c_str(),
                    fmt::format("{:.3f} s: {}, by {}", event.t_s, load::to_string(event.order),
                                event.order.by));
            }
        });
    });
}
int on_rate(const char*, const char* params, rte_tel_data* out) {
    return guarded(out, [&] {
        const std::optional<std::uint64_t> rate = parse_rate(word(params));
        return tell(out, {.kind = load::Order::Kind::rate,
                          .rate = rate ? std::optional{static_cast<double>(*rate)} : std::nullopt});
    });
}
int on_pause(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] { return tell(out, {.kind = load::Order::Kind::pause}); });
}
int on_resume(const char*, const char*, rte_tel_data* out) {
    return guarded(out, [&] { return tell(out, {.kind = load::Order::Kind::resume}); });
}
int on_stop(const char*, const char* params, rte_tel_data* out) {
    return guarded(out, [&] {
        std::optional<load::Ending> ending;
        if (!word(params).empty()) {
            ending = load::parse_ending(word(params));
            if (!ending) return refuse(out, "stop takes drain, fin, rst or leave, as /runnel/stop,rst");
        }
        return tell(out, {.kind = load::Order::Kind::stop, .ending = ending});
    });
}

struct Entry {
    Telemetry::Command command;
    telemetry_cb call;
};
const std::array entries{
    Entry{{"/runnel/summary", "How the run stands: phase, totals, failures, rates. No parameters"},
          on_summary},
    Entry{{"/runnel/rates", "What the last second brought, a second, by counter. No parameters"}, on_rates},
    Entry{{"/runnel/counters", "All counters of all cores, since the start. No parameters"}, on_counters},
    Entry{{"/runnel/drops", "Drops by reason, since the start. No parameters"}, on_drops},
    Entry{{"/runnel/latency", "Latencies of the run; with recent those of the last second"}, on_latency},
    Entry{{"/runnel/cores", "Busy share and frames of each core in the last second. No parameters"},
          on_cores},
    Entry{{"/runnel/config", "Every setting of the run. No parameters"}, on_config},
    Entry{{"/runnel/events", "What the run was told, and when. No parameters"}, on_events},
    Entry{{"/runnel/rate", "Changes the rate over all cores: 50k, or max"}, on_rate},
    Entry{{"/runnel/pause", "Nothing new begins until resume. No parameters"}, on_pause},
    Entry{{"/runnel/resume", "Goes on after a pause. No parameters"}, on_resume},
    Entry{{"/runnel/stop", "Ends the run; with drain, fin, rst or leave says how connections end"}, on_stop},
};

}  // namespace

const std::vector<Telemetry::Command>& Telemetry::commands() {
    static const std::vector<Command> all = [] {
        std::vector<Command> list;
        for (const Entry& entry : entries) list.push_back(entry.command);
        return list;
    }();
    return all;
}

Telemetry::Telemetry(load::Control& control, const load::Board& board, Settings settings) {
    Seat& one = seat();
    const std::lock_guard lock(one.mutex);
    if (one.control != nullptr) throw std::logic_error("telemetry: a run answers already");
    if (!one.registered) {
        for (const Entry& entry : entries)
            if (const int error =
                    rte_telemetry_register_cmd(entry.command.name, entry.call, entry.command.help);
                error != 0)
                throw std::runtime_error(
                    fmt::format("telemetry: {} cannot be registered (error {})", entry.command.name, error));
        one.registered = true;
    }
    one.control = &control;
    one.board = &board;
    one.settings = std::move(settings);
}

Telemetry::~Telemetry() {
    Seat& one = seat();
    const std::lock_guard lock(one.mutex);
    one.control = nullptr;
    one.board = nullptr;
    one.settings.clear();
}

Telemetry::Settings flat(const nlohmann::ordered_json& config) {
    Telemetry::Settings settings;
    for (const auto& [name, value] : config.items())
        settings.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
    return settings;
}

}  // namespace runnel::app::live
