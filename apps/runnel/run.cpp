// `runnel run`: a run that a scenario file describes.
#include <memory>

#include <fmt/format.h>

#include "command.hpp"
#include "options.hpp"
#include "scenario/keys.hpp"

namespace runnel::app {
namespace {

struct RunSettings {
    std::string file;
    std::vector<std::string> assignments;
    scenario::Role role = scenario::Role::both;
    bool show = false;
};

ExitStatus run(const RunSettings& settings, bool role_is_given) {
    scenario::Scenario scenario = scenario::read(settings.file);
    scenario::override_settings(scenario, settings.assignments);
    const scenario::Role role =
        scenario::choose_role(scenario, role_is_given ? std::optional{settings.role} : std::nullopt);
    const scenario::Line line = scenario::to_line(scenario, role);
    if (settings.show) {
        fmt::print("{}\n", to_string(line));
        return ExitStatus::good;
    }
    // The document of the run may be what goes to standard output.
    if (!scenario.description.empty()) fmt::print(stderr, "{}: {}\n", scenario.source, scenario.description);
    return scenario::execute(line, scenario);
}

}  // namespace

Action add_run(CLI::App& command) {
    const auto settings = std::make_shared<RunSettings>();
    command.add_option("FILE", settings->file, "The scenario, in TOML; - is standard input")
        ->type_name("")
        ->required();
    command
        .add_option("--set", settings->assignments,
                    "Take this in place of what the file says: rate=10k, tcp.msl=1s, client.rate=10k. May be "
                    "given several times; the same key again makes a list")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    CLI::Option* const role = add_choice(command, "--role", "ROLE",
                                         {{"both", scenario::Role::both},
                                          {"client", scenario::Role::client},
                                          {"server", scenario::Role::server}},
                                         settings->role,
                                         "Of a scenario with a [client] and a [server], what runs here: one "
                                         "of them, or both over a wire inside this process");
    role->default_str("");
    command.add_flag("--show", settings->show, "Print the command line that this comes to, and run nothing");
    command.footer(
        "A key is an option of runnel handshake without its dashes, and stands at the top or in the section "
        "whose\n"
        "name is the option's heading in --help, in small letters:\n"
        "  description = \"An even load, and what it may cost\"\n"
        "  [traffic]\n"
        "  recipe = \"crr\"\n"
        "  rate = \"100k\"\n"
        "  duration = \"10s\"\n"
        "  [goals]\n"
        "  goal = [\"handshake_p99 < 1ms\", \"failures < 0.1 %\"]\n"
        "  [output]\n"
        "  html = \"result.html\"\n"
        "What stands below [client] or [server] is of runnel load, or runnel serve, on a port. Examples:\n"
        "  runnel run apps/runnel/scenarios/crr.toml --set duration=2s\n"
        "  runnel run two-machines.toml --role client             and on the other machine --role server\n"
        "The exit status is that of the run: 2 where a goal is missed.");
    return [settings, role] { return run(*settings, role->count() > 0); };
}

}  // namespace runnel::app
