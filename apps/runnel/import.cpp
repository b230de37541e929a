// `runnel import`: a configuration of another load generator as a scenario.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <fmt/format.h>

#include "command.hpp"
#include "options.hpp"
#include "scenario/dperf.hpp"
#include "scenario/keys.hpp"

namespace runnel::app {
namespace {

struct Settings {
    std::string format, out;
    std::vector<std::string> files;
};

ExitStatus run(const Settings& settings) {
    if (settings.format != "dperf")
        throw std::invalid_argument(
            fmt::format("\"{}\" is no format that can be read; write dperf", settings.format));
    std::vector<scenario::Imported> tables;
    for (const std::string& file : settings.files) {
        if (std::filesystem::is_directory(file))
            throw std::invalid_argument(file + ": this is a folder; name a configuration of dperf");
        std::ifstream in(file, std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        if (!in)
            throw std::invalid_argument(file + ": the file cannot be read; name a configuration of dperf");
        tables.push_back(scenario::import_dperf(text, file));
    }
    const std::string text = join(tables);
    // That it can be run is known before it is written.
    const scenario::Scenario scenario =
        scenario::parse(text, settings.out.empty() ? "the scenario" : settings.out);
    for (const scenario::Imported& one : tables) static_cast<void>(to_line(scenario, one.role));
    for (const scenario::Imported& one : tables)
        for (const std::string& lack : one.lacks) fmt::print(stderr, "runnel import: {}\n", lack);
    if (settings.out.empty())
        fmt::print("{}", text);
    else
        write_file("--out", settings.out, text);
    return ExitStatus::good;
}

}  // namespace

Action add_import(CLI::App& command) {
    const auto settings = std::make_shared<Settings>();
    command.add_option("FORMAT", settings->format, "dperf")->type_name("")->required();
    command
        .add_option("FILE", settings->files,
                    "A configuration; one of a client and one of a server make one scenario for both")
        ->type_name("")
        ->required()
        ->expected(1, 2);
    command.add_option("--out,-o", settings->out, "The scenario; without it standard output")
        ->type_name("FILE");
    command.footer(
        "Example:\n"
        "  runnel import dperf client.conf server.conf --out dperf.toml\n"
        "  runnel run dperf.toml --role both                      try it in this process\n"
        "  runnel run dperf.toml --role client                    and on the other machine --role server\n"
        "What has no counterpart is named on standard error and at the head of the scenario, with its line.");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
