// See keys.hpp.
#include "scenario/keys.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

#include <fmt/format.h>

#include "words.hpp"

namespace runnel::app::scenario {
namespace {

struct Subcommand {
    Role role;
    const char* name;
    const char* table;  // where its own keys stand
    Action (*declare)(CLI::App&);
};
constexpr std::array subcommands{Subcommand{Role::both, "handshake", "", add_handshake},
                                 Subcommand{Role::client, "load", "[client]", add_load},
                                 Subcommand{Role::server, "serve", "[server]", add_serve}};

// A subcommand with its options, which refer to settings that `action` owns.
struct Declared {
    explicit Declared(const Subcommand& which) : subcommand(which), action(which.declare(app)) {}

    [[nodiscard]] CLI::Option* find(const std::string& key) {
        return key == "help" ? nullptr : app.get_option_no_throw("--" + key);
    }
    [[nodiscard]] std::vector<CLI::Option*> options() {
        return app.get_options([this](const CLI::Option* option) {
            return option != app.get_help_ptr() && !option->get_lnames().empty();
        });
    }

    CLI::App app;
    const Subcommand& subcommand;
    Action action;
};

// The section of an option: the heading under which --help has it, but for the one of those without.
std::string section_of(const CLI::Option& option) {
    std::string name = option.get_group();
    if (name == "Options") return {};
    std::ranges::transform(name, name.begin(), [](unsigned char c) {
        return c == ' ' ? '-' : static_cast<char>(std::tolower(c));
    });
    return name;
}

[[noreturn]] void refuse(const Setting& setting, const std::string& why) {
    throw BadScenario(fmt::format("{}: {}: {}", setting.place, setting.key, why));
}

void append_unique(std::vector<std::string>& words, const std::string& word) {
    if (std::ranges::find(words, word) == words.end()) words.push_back(word);
}

std::string suggestion(const std::string& near, const char* form) {
    return near.empty() ? "" : fmt::format("; did you mean {}?", fmt::format(fmt::runtime(form), near));
}

// That a key is one of some subcommand that the scenario may be for, and stands where it belongs.
void check_key(const Setting& setting, const std::vector<Declared*>& meant, std::vector<Declared*> all) {
    std::vector<std::string> names, sections, homes;
    for (Declared* one : meant) {
        for (const CLI::Option* option : one->options()) {
            append_unique(names, option->get_lnames().front());
            if (!section_of(*option).empty()) append_unique(sections, section_of(*option));
        }
        if (const CLI::Option* option = one->find(setting.key)) append_unique(homes, section_of(*option));
    }
    if (!setting.section.empty() && std::ranges::find(sections, setting.section) == sections.end())
        throw BadScenario(fmt::format("{}: [{}]: there is no such section{}", setting.place, setting.section,
                                      suggestion(nearest(setting.section, sections), "[{}]")));
    if (homes.empty()) {
        for (Declared* other : all)
            if (other->find(setting.key) != nullptr)
                refuse(setting, other->subcommand.role == Role::both
                                    ? "is a key of a run in one process; write it above all tables"
                                    : fmt::format("is a key of runnel {0}; write it below {1}",
                                                  other->subcommand.name, other->subcommand.table));
        refuse(setting,
               fmt::format("there is no such key{}", suggestion(nearest(setting.key, names), "{}")) +
                   fmt::format("; runnel {} --help lists them as options", meant.front()->subcommand.name));
    }
    if (!setting.section.empty() && std::ranges::find(homes, setting.section) == homes.end())
        refuse(
            setting,
            homes.front().empty()
                ? fmt::format("does not belong in [{}]; write it above all sections", setting.section)
                : fmt::format("does not belong in [{}]; write it in [{}]", setting.section, homes.front()));
}

// The words of the line for one key.
std::vector<std::string> arguments_of(const Setting& setting, const CLI::Option& option) {
    if (option.get_items_expected_max() == 0) {
        if (setting.values != std::vector<std::string>{"true"} &&
            setting.values != std::vector<std::string>{"false"})
            refuse(setting, "is a switch; write true or false");
        if (setting.values.front() == "false") return {};
        return {"--" + setting.key};
    }
    if (setting.values.size() > 1 && option.get_items_expected_max() <= 1)
        refuse(setting, "takes one value, no list");
    std::vector<std::string> words;
    for (const std::string& value : setting.values)
        words.push_back(fmt::format("--{}={}", setting.key, value));
    return words;
}

// CLI11 begins with the option what is a key here.
std::string without_option(const std::string& message, const std::string& key) {
    const std::string start = "--" + key;
    if (!message.starts_with(start)) return message;
    const std::size_t rest = message.find_first_not_of(": ", start.size());
    return rest == std::string::npos ? message : message.substr(rest);
}

void parse(CLI::App& app, std::vector<std::string> words) {
    std::ranges::reverse(words);  // as CLI11 wants them
    app.parse(std::move(words));
}

// The option reads its value by itself, so that what is wrong has a line.
void try_value(const Subcommand& subcommand, const Setting& setting, const std::vector<std::string>& words) {
    Declared alone(subcommand);
    for (CLI::Option* option : alone.options()) option->required(false);
    try {
        parse(alone.app, words);
    } catch (const CLI::ParseError& wrong) {
        refuse(setting, without_option(wrong.what(), setting.key));
    }
}

}  // namespace

Line to_line(const Scenario& scenario, Role role) {
    Declared handshake(subcommands[0]), load(subcommands[1]), serve(subcommands[2]);
    const std::vector<Declared*> all{&handshake, &load, &serve};
    Declared& chosen =
        **std::ranges::find(all, role, [](const Declared* one) { return one->subcommand.role; });
    const bool only_here = !scenario.client && !scenario.server && role == Role::both;

    // What stands for one role goes before what stands for all, and --set before both.
    std::map<std::string, const Setting*> taken;
    const auto take = [&](const Setting& setting, bool of_role) {
        if (setting.role.has_value() != of_role) return;
        std::vector<Declared*> meant = only_here ? std::vector<Declared*>{&handshake} : all;
        if (setting.role)
            std::erase_if(meant, [&](Declared* one) { return one->subcommand.role != *setting.role; });
        check_key(setting, meant, all);
        if (chosen.find(setting.key) == nullptr || (setting.role && setting.role != role)) return;
        const Setting*& known = taken[setting.key];
        if (known != nullptr && known->role == setting.role &&
            (known->place == "--set") == (setting.place == "--set"))
            refuse(setting, fmt::format("stands at {} already", known->place));
        known = &setting;
    };
    for (const bool of_role : {false, true})
        for (const Setting& setting : scenario.settings) take(setting, of_role);
    for (const bool of_role : {false, true})
        for (const Setting& setting : scenario.set) take(setting, of_role);

    Line line{.subcommand = chosen.subcommand.name, .arguments = {}};
    for (CLI::Option* option : chosen.options()) {
        const auto found = taken.find(option->get_lnames().front());
        if (found == taken.end()) {
            if (option->get_required())
                throw BadScenario(fmt::format("{}: {} has no {}: {}", scenario.source,
                                              chosen.subcommand.table, option->get_lnames().front(),
                                              option->get_description()));
            continue;
        }
        std::vector<std::string> words = arguments_of(*found->second, *option);
        if (words.empty()) continue;
        try_value(chosen.subcommand, *found->second, words);
        std::ranges::move(words, std::back_inserter(line.arguments));
    }
    return line;
}

std::string to_string(const Line& line) {
    const auto quoted = [](const std::string& word) {
        const bool plain = std::ranges::all_of(word, [](unsigned char c) {
            return std::isalnum(c) != 0 ||
                   std::string_view{"-_=./:,+@%"}.find(static_cast<char>(c)) != std::string_view::npos;
        });
        if (plain) return word;
        std::string text = "'";
        for (const char c : word) text += c == '\'' ? std::string{"'\\''"} : std::string{c};
        return text + "'";
    };
    std::string text = "runnel " + line.subcommand;
    for (const std::string& word : line.arguments) {
        const std::size_t sign = word.find('=');
        const bool apart = sign != std::string::npos && word[sign + 1] != '-';
        text += ' ';
        text +=
            apart ? fmt::format("{} {}", word.substr(0, sign), quoted(word.substr(sign + 1))) : quoted(word);
    }
    return text;
}

ExitStatus execute(const Line& line, const Scenario& scenario) {
    const auto of_key = [&](const std::string& message) {
        std::string place = scenario.source, text = message;
        for (const auto* settings : {&scenario.settings, &scenario.set})
            for (const Setting& setting : *settings) {
                const std::string option = "--" + setting.key;
                if (!message.starts_with(option) ||
                    (message.size() > option.size() &&
                     (std::isalnum(static_cast<unsigned char>(message[option.size()])) != 0 ||
                      message[option.size()] == '-')))
                    continue;
                place = setting.place;
                text = message.substr(2);
            }
        return BadScenario(fmt::format("{}: {}", place, text));
    };
    Declared chosen(*std::ranges::find(subcommands, line.subcommand, &Subcommand::name));
    try {
        parse(chosen.app, line.arguments);
    } catch (const CLI::ParseError& wrong) {
        throw of_key(wrong.what());
    }
    try {
        return chosen.action();
    } catch (const std::exception& wrong) {
        throw of_key(wrong.what());
    }
}

}  // namespace runnel::app::scenario
