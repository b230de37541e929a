// `runnel compare`: do two sets of results differ, and how surely?
#include <memory>

#include <fmt/format.h>

#include "command.hpp"
#include "options.hpp"
#include "results/comparison.hpp"

namespace runnel::app {
namespace {

struct Settings {
    std::vector<std::string> sides;
    results::ComparisonOptions options;
    Output output;
};

// "a.json,b.json" or one file or folder.
results::Side read_side(const std::string& text) {
    results::Side side{.name = text};
    std::size_t from = 0;
    while (from <= text.size()) {
        const std::size_t comma = std::min(text.find(',', from), text.size());
        for (results::Document& document : results::read_documents(text.substr(from, comma - from)))
            side.trials.push_back(std::move(document));
        from = comma + 1;
    }
    return side;
}

ExitStatus run(const Settings& settings) {
    if (settings.sides.size() < 2)
        throw std::invalid_argument(
            "two sides are compared: name two files or folders, such as runnel compare before.json "
            "after.json");
    std::vector<results::Side> sides;
    for (const std::string& text : settings.sides) sides.push_back(read_side(text));
    const auto comparisons = results::compare(std::move(sides), settings.options);
    bool first = true;
    for (const results::Comparison& comparison : comparisons) {
        fmt::print(settings.output.text(), "{}{}", first ? "" : "\n", to_text(comparison, settings.options));
        first = false;
    }
    write_document(to_json(comparisons, settings.options), settings.output);
    ExitStatus status = ExitStatus::good;
    for (const results::Comparison& comparison : comparisons) {
        if (comparison.finding() == results::Finding::worse) return ExitStatus::goal_missed;
        if (comparison.finding() == results::Finding::unclear) status = ExitStatus::generator_limited;
    }
    return status;
}

}  // namespace

Action add_compare(CLI::App& command) {
    const auto settings = std::make_shared<Settings>();
    command
        .add_option("SIDE", settings->sides,
                    "Result documents of one kind: a file with one or more of them, several files joined by "
                    "commas, or a folder. The first side is what the others are compared with")
        ->type_name("")
        ->expected(1, 64);
    add_percent(command, "--confidence", settings->options.confidence, 50, 99.99,
                "Of the interval of each difference");
    add_percent(command, "--threshold", settings->options.threshold, 0, 100,
                "A difference smaller than this does not matter");
    add_choice(command, "--test", "TEST",
               {{"welch", results::Test::welch}, {"mann-whitney", results::Test::mann_whitney}},
               settings->options.test,
               "Which p decides: that of Welch's t-test, or of Mann and Whitney's, which asks nothing of the "
               "distribution and takes four trials a side at least");
    command.add_flag("--all", settings->options.all,
                     "Take trials whose verdict is not valid, too: they are left out else");
    add_json_option(command, settings->output, "runnel.comparison/1");
    command.footer(
        "Repeat a run and add its documents to one file; then the other kind; then compare:\n"
        "  for i in 1 2 3 4 5; do runnel handshake --json - >> cubic.json; done\n"
        "  for i in 1 2 3 4 5; do runnel handshake --congestion bbr --json - >> bbr.json; done\n"
        "  runnel compare cubic.json bbr.json\n"
        "A machine that is shared drifts: take trials of both kinds in turn.\n"
        "The verdict is about what the recipe is about: its rate or, where the rate was set, its latency.\n"
        "Exit status: 0 no side is slower, 2 one is, 3 the trials do not tell, 1 they cannot be compared.");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
