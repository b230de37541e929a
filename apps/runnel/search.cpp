// `runnel search`: the rate that a device carries, by MLRsearch (draft-ietf-bmwg-mlrsearch).
#include <algorithm>
#include <array>
#include <memory>

#include <fmt/format.h>

#include "command.hpp"
#include "options.hpp"
#include "search/rate_search.hpp"
#include "search/trial_run.hpp"

namespace runnel::app {
namespace {

using Json = nlohmann::ordered_json;

struct SearchSettings {
    std::vector<std::string> line;
    std::vector<search::Goal> goals;
    std::vector<std::string> texts;  // of the goals
    search::LatencyOf latency;
    std::uint32_t least = 1'000, most = 4'000'000, hint = 0;
    Output output;
};

// "loss=0.1%,latency=1ms,width=2%": what is left out is as `Goal` has it.
search::Goal parse_search_goal(const std::string& text) {
    search::Goal goal;
    std::size_t from = 0;
    while (from < text.size()) {
        const std::size_t comma = std::min(text.find(',', from), text.size());
        const std::string part = text.substr(from, comma - from);
        from = comma + 1;
        const std::size_t equals = std::min(part.find('='), part.size());
        const std::string key = part.substr(0, equals);
        const std::string value = equals < part.size() ? part.substr(equals + 1) : "";
        if (key == "loss")
            goal.loss_ratio = parse_percent(value) / 100;
        else if (key == "latency")
            goal.latency_us = static_cast<double>(parse_duration(value).count()) / 1000;
        else if (key == "exceed")
            goal.exceed_ratio = parse_percent(value) / 100;
        else if (key == "width")
            goal.width = parse_percent(value) / 100;
        else if (key == "trial")
            goal.final_trial_duration = parse_duration(value);
        else if (key == "first-trial")
            goal.initial_trial_duration = parse_duration(value);
        else if (key == "sum")
            goal.duration_sum = parse_duration(value);
        else
            throw BadQuantity(
                fmt::format("\"{}\" is no part of a goal; write some of loss=0.1%, latency=1ms, "
                            "exceed=50%, width=1%, trial=1s, first-trial=1s, sum=3s",
                            part));
    }
    goal.initial_trial_duration = std::min(goal.initial_trial_duration, goal.final_trial_duration);
    goal.duration_sum = std::max(goal.duration_sum, goal.final_trial_duration);
    return goal;
}

void check_line(const SearchSettings& settings) {
    if (settings.line.empty())
        throw std::invalid_argument(
            "what is to be tried is not said; write it behind --, such as runnel search -- handshake "
            "--recipe crr");
    static constexpr std::array<std::string_view, 3> commands{"handshake", "load", "run"};
    if (std::ranges::find(commands, settings.line[0]) == commands.end())
        throw std::invalid_argument(fmt::format(
            "\"{}\" makes no load; behind -- write handshake, or load with its options", settings.line[0]));
    if (settings.line[0] == "run")
        throw std::invalid_argument(
            "run takes its rate from its file; runnel run FILE --show prints the line to search with");
    for (const std::string& word : settings.line)
        for (const std::string_view ours : {"--rate", "--duration", "--json"})
            if (word == ours || word.starts_with(std::string{ours} + "="))
                throw std::invalid_argument(
                    fmt::format("{} is of the search, trial by trial; leave it out behind --", ours));
}

// How far a generator, not the device, kept the rate down.
bool generator_was_the_limit(const results::Document& document) {
    return document.text("verdict") == "generator-limited";
}

std::string shown(const std::optional<std::uint64_t>& rate) {
    return rate ? human_count(static_cast<double>(*rate)) + "/s" : "none";
}

Json to_json(const search::Outcome& outcome, bool limited) {
    Json json{{"load", outcome.trial.load},
              {"duration_s", static_cast<double>(outcome.trial.duration.count()) / 1e9},
              {"loss_ratio", outcome.loss_ratio},
              {"carried", outcome.carried},
              {"generator_limited", limited}};
    json["latency_us"] = outcome.latency_us ? Json(*outcome.latency_us) : Json(nullptr);
    return json;
}

class SearchRun {
  public:
    explicit SearchRun(const SearchSettings& settings)
        : settings_(settings), search_(settings.goals, settings.least, settings.most, settings.hint) {}

    ExitStatus run() {
        std::FILE* const text = settings_.output.text();
        fmt::print(text, "runnel search: {} to {}/s, latency: {} {}\n", human_count(settings_.least),
                   human_count(settings_.most), settings_.latency.histogram, settings_.latency.percentile);
        while (const auto trial = search_.next()) search_.add(run(*trial));
        Json goals = Json::array();
        bool unmet = false;
        for (std::size_t i = 0; i < settings_.goals.size(); ++i) {
            const search::Bounds bounds = search_.bounds(i);
            unmet |= !bounds.lower;
            fmt::print(text, "\ngoal {}\n  lower bound {}, upper bound {}, carried at the lower bound {}/s\n",
                       settings_.texts[i], shown(bounds.lower), shown(bounds.upper),
                       human_count(bounds.conditional_throughput));
            if (!bounds.upper) fmt::print(text, "  the greatest load meets it; give a greater --max\n");
            if (!bounds.lower) fmt::print(text, "  the least load does not meet it; give a smaller --min\n");
            Json goal{
                {"goal", settings_.texts[i]},
                {"conditional_throughput", bounds.conditional_throughput},
                {"latency_at", bounds.lower ? latency_at(*bounds.lower, settings_.goals[i]) : Json::array()}};
            goal["lower"] = bounds.lower ? Json(*bounds.lower) : Json(nullptr);
            goal["upper"] = bounds.upper ? Json(*bounds.upper) : Json(nullptr);
            goals.push_back(std::move(goal));
        }
        if (limited_ > 0)
            fmt::print(text,
                       "\nin {} of {} trials the generator was the limit: the upper bound is its own, or the "
                       "device's, whichever is less\n",
                       limited_, trials_.size());
        write_document({{"schema", "runnel.search/1"},
                        {"line", settings_.line},
                        {"least", settings_.least},
                        {"most", settings_.most},
                        {"goals", std::move(goals)},
                        {"generator_limited_trials", limited_},
                        {"trials", std::move(trials_)}},
                       settings_.output);
        return unmet ? ExitStatus::goal_missed : ExitStatus::good;
    }

  private:
    search::Outcome run(const search::Trial& trial) {
        document_ = search::run_trial(settings_.line, trial);
        const search::Outcome outcome = search::outcome_of(document_, trial, settings_.latency);
        const bool limited = generator_was_the_limit(document_);
        limited_ += limited ? 1 : 0;
        trials_.push_back(to_json(outcome, limited));
        fmt::print(settings_.output.text(), "{:>9}/s for {:>6}: loss {:.3g} %, {}{}\n",
                   human_count(static_cast<double>(trial.load)), human_duration(trial.duration),
                   100 * outcome.loss_ratio,
                   outcome.latency_us ? fmt::format("{:.4g} us", *outcome.latency_us) : "no latency",
                   limited ? ", the generator was the limit" : "");
        std::fflush(settings_.output.text());
        return outcome;
    }

    // What a user of a part of the rate sees (RFC 8219 section 7.2 and others measure at the full rate
    // alone).
    Json latency_at(std::uint64_t rate, const search::Goal& goal) {
        Json all = Json::array();
        for (const unsigned percent : {10U, 50U, 90U}) {
            const std::uint64_t load = std::max<std::uint64_t>(1, rate * percent / 100);
            const search::Outcome outcome = run({load, goal.final_trial_duration});
            const Json& latency = document_.at("latency_us/" + settings_.latency.histogram + "/intended");
            fmt::print(settings_.output.text(), "  at {} % of the lower bound, {} {}\n", percent,
                       settings_.latency.histogram,
                       latency.is_object() && outcome.latency_us
                           ? fmt::format("p50 {} us, p99 {} us, p99.9 {} us", latency["p50"].dump(),
                                         latency["p99"].dump(), latency["p999"].dump())
                           : "was not measured");
            Json one{{"percent", percent}, {"load", load}, {"loss_ratio", outcome.loss_ratio}};
            one["latency_us"] = latency;
            if (one["latency_us"].is_object()) one["latency_us"].erase("distribution");
            all.push_back(std::move(one));
        }
        return all;
    }

    const SearchSettings& settings_;
    search::RateSearch search_;
    results::Document document_;  // of the last trial
    Json trials_ = Json::array();
    std::uint32_t limited_ = 0;
};

ExitStatus run(SearchSettings& settings) {
    check_line(settings);
    if (settings.goals.empty()) {
        settings.texts.push_back("loss=0%");
        settings.goals.push_back(parse_search_goal(settings.texts[0]));
    }
    return SearchRun(settings).run();
}

}  // namespace

Action add_search(CLI::App& command) {
    const auto settings = std::make_shared<SearchSettings>();
    add_each(
        command, "--goal", "PART,...",
        "What a rate has to meet: loss=0.1% of what was planned at most, latency=1ms at most, in all but "
        "exceed=50% "
        "of the time of the trials of sum=3s, each of trial=1s, until the bounds are width=1% apart; the "
        "first, "
        "coarse trials take first-trial=1s. May be given several times",
        [settings] {
            settings->goals.clear();
            settings->texts.clear();
        },
        [settings](const std::string& text) {
            settings->goals.push_back(parse_search_goal(text));
            settings->texts.push_back(text);
        })
        ->default_str("loss=0%")
        ->allow_extra_args(false);  // a list without an end would take the --
    add_count(command, "--min", settings->least, 1, 1'000'000'000, "Least rate to try, a second");
    add_count(command, "--max", settings->most, 1, 1'000'000'000, "Greatest rate to try, a second");
    add_count(command, "--hint", settings->hint, 0, 1'000'000'000, "Where the rate may be; 0: unknown");
    add_choice<std::string>(command, "--latency-of", "WHAT",
                            {{"handshake", "handshake"},
                             {"ttfb", "ttfb"},
                             {"ttlb", "ttlb"},
                             {"close", "close"},
                             {"transaction", "transaction"}},
                            settings->latency.histogram,
                            "Whose latency a goal bounds, from the intended time");
    add_choice<std::string>(command, "--percentile", "P",
                            {{"p50", "p50"},
                             {"p90", "p90"},
                             {"p99", "p99"},
                             {"p999", "p999"},
                             {"p9999", "p9999"},
                             {"max", "max"}},
                            settings->latency.percentile, "Which of it");
    add_json_option(command, settings->output, "runnel.search/1");
    command
        .add_option("LINE", settings->line, "Behind --: what is tried, handshake or load with its options")
        ->type_name("")
        ->expected(-1);
    command.footer(
        "Each trial runs the line with a --rate and a --duration of the search's, in a process of its own.\n"
        "  runnel search -- handshake --recipe crr\n"
        "  runnel search --goal loss=0% --goal loss=0.5%,latency=1ms --max 2M -- load --port ... --target "
        "192.0.2.1:80\n"
        "The lower bound meets the goal, the upper bound does not; the rate lies between. At the end the "
        "latency is\n"
        "measured at 10, 50 and 90 % of the lower bound.\n"
        "Exit status: 0 each goal has a lower bound, 2 one has none, 1 a trial could not run.");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
