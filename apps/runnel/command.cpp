// See command.hpp.
#include "command.hpp"

#include <cstdio>
#include <exception>

#include <fmt/format.h>

#include "words.hpp"

namespace runnel::app {
namespace {

std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options())
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    return names;
}

std::string explain_extra(const CLI::App& command) {
    const std::vector<CLI::App*> chosen = command.get_subcommands();
    const CLI::App& where = chosen.empty() ? command : *chosen.front();
    const std::vector<std::string> extras = command.remaining(true);
    if (extras.empty()) return "the line has a word too many";
    const std::string& word = extras.front();
    const std::string help = fmt::format("{} --help lists what there is",
                                         chosen.empty() ? "runnel" : "runnel " + where.get_name());
    if (word.starts_with("-")) {
        const std::string near = nearest(word.substr(0, word.find('=')), option_names(where));
        return near.empty()
                   ? fmt::format("{}: there is no such option; {}", word, help)
                   : fmt::format("{}: there is no such option; did you mean {}? {}", word, near, help);
    }
    if (chosen.empty()) {
        std::vector<std::string> names;
        for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
            names.push_back(sub->get_name());
        const std::string near = nearest(word, names);
        return near.empty()
                   ? fmt::format("{}: there is no such subcommand; {}", word, help)
                   : fmt::format("{}: there is no such subcommand; did you mean {}? {}", word, near, help);
    }
    return fmt::format("{}: belongs to no option; {}", word, help);
}

}  // namespace

int run_command(int argc, const char* const* argv) {
    CLI::App command{
        "runnel: a user-space TCP/IP endpoint on DPDK, measured.\n"
        "How many TCP connections a second do two complete endpoints make? Try:\n"
        "  runnel handshake\n",
        "runnel"};
    command.footer(
        "Each subcommand has its own help: runnel handshake --help\n"
        "Numbers take k, M, G (1.5M); times take ns, us, ms, s, m, h (200ms).\n"
        "Exit status: 0 measured and within its goals, 1 the set-up is wrong, 2 a goal was missed "
        "(connections failed),\n"
        "3 the generator was the limit.");
    command.set_version_flag("--version", std::string{"runnel "} + RUNNEL_VERSION);
    command.require_subcommand(0, 1);

    struct Entry {
        CLI::App* app;
        Action action;
    };
    std::vector<Entry> entries;
    const auto add = [&](const char* name, const char* description, Action (*declare)(CLI::App&)) {
        CLI::App* app = command.add_subcommand(name, description);
        entries.push_back({app, declare(*app)});
    };
    add("handshake", "How many connections a second two endpoints make over a virtual wire in this process",
        add_handshake);
    add("load", "The client side of a measurement, towards any server", add_load);
    add("serve", "An HTTP/1.1-shaped and an echo server on a port with an address", add_serve);
    add("run", "A run that a scenario file describes", add_run);
    add("search", "The rate that a device carries, by MLRsearch", add_search);
    add("doctor", "Is this machine ready, and what would make it so?", add_doctor);
    add("import", "A configuration of dperf as a scenario", add_import);
    add("report", "A result document as a page: one HTML file, for any browser", add_report);
    add("compare", "Two or more sets of results: do they differ, and how surely?", add_compare);
    add("manual", "The manual page of all this, for man", add_manual);
    add("completion", "Completion of options for bash", add_completion);

    const auto fail = [](const std::string& name, const std::string& message) {
        fmt::print(stderr, "{}: {}\n", name, message);
        return static_cast<int>(ExitStatus::wrong_setup);
    };
    const auto name = [&] {
        const auto chosen = command.get_subcommands();
        return chosen.empty() ? std::string{"runnel"} : "runnel " + chosen.front()->get_name();
    };
    try {
        command.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        fmt::print("{}",
                   (command.get_subcommands().empty() ? command : *command.get_subcommands().front()).help());
        return static_cast<int>(ExitStatus::good);
    } catch (const CLI::CallForVersion& version) {
        fmt::print("{}\n", version.what());
        return static_cast<int>(ExitStatus::good);
    } catch (const CLI::ExtrasError&) {
        return fail(name(), explain_extra(command));
    } catch (const CLI::ParseError& wrong) {
        return fail(name(), fmt::format("{}; {} --help explains", wrong.what(), name()));
    }
    for (const Entry& entry : entries) {
        if (!entry.app->parsed()) continue;
        try {
            return static_cast<int>(entry.action());
        } catch (const std::exception& wrong) {
            return fail(name(), wrong.what());
        }
    }
    fmt::print("{}", command.help());
    return static_cast<int>(ExitStatus::wrong_setup);
}

}  // namespace runnel::app
