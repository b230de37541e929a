// See scenario.hpp.
#include "scenario/scenario.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace runnel::app::scenario {
namespace {

std::optional<Role> role_named(std::string_view name) {
    if (name == "client") return Role::client;
    if (name == "server") return Role::server;
    return std::nullopt;
}

std::string place_of(const std::string& source, const toml::source_region& region) {
    return fmt::format("{}:{}", source, region.begin.line);
}

// As it would stand on the command line; nothing where it is no single value.
std::optional<std::string> scalar(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
    return std::nullopt;
}

std::vector<std::string> values_of(const toml::node& node, const std::string& where) {
    std::vector<std::string> values;
    const auto take = [&](const toml::node& one) {
        std::optional<std::string> value = scalar(one);
        if (!value)
            throw BadScenario(where + ": is neither a text, a number, true or false, nor a list of them");
        if (value->empty()) throw BadScenario(where + ": is an empty text; leave the key out");
        values.push_back(std::move(*value));
    };
    if (const toml::array* list = node.as_array()) {
        for (const toml::node& one : *list) take(one);
    } else {
        take(node);
    }
    return values;
}

struct TableReader {
    Scenario& scenario;

    void table(const toml::table& table, std::optional<Role> role, const std::string& section) {
        for (const auto& [name, node] : table) {
            const std::string key{name.str()};
            const std::string place = place_of(scenario.source, name.source());
            const toml::table* const below = node.as_table();
            if (below == nullptr) {
                if (!role && section.empty() && key == "description") {
                    scenario.description = values_of(node, place + ": description").front();
                    continue;
                }
                scenario.settings.push_back({.place = place,
                                             .role = role,
                                             .section = section,
                                             .key = key,
                                             .values = values_of(node, fmt::format("{}: {}", place, key))});
            } else if (!section.empty()) {
                throw BadScenario(
                    fmt::format("{}: [{}.{}]: a section has no sections below it", place, section, key));
            } else if (const auto named = role_named(key); named && !role) {
                (*named == Role::client ? scenario.client : scenario.server) = true;
                this->table(*below, named, {});
            } else {
                this->table(*below, role, key);
            }
        }
    }
};

unsigned line_of(const Setting& setting) {
    return static_cast<unsigned>(std::stoul(setting.place.substr(setting.place.rfind(':') + 1)));
}

}  // namespace

Scenario parse(std::string_view text, const std::string& source) {
    Scenario scenario;
    scenario.source = source;
    toml::table table;
    try {
        table = toml::parse(text, source);
    } catch (const toml::parse_error& wrong) {
        throw BadScenario(fmt::format("{}: {}", place_of(source, wrong.source()), wrong.description()));
    }
    TableReader{scenario}.table(table, std::nullopt, {});
    std::ranges::stable_sort(scenario.settings, {}, line_of);
    return scenario;
}

Scenario read(const std::filesystem::path& file) {
    if (file == "-")
        return parse(std::string{std::istreambuf_iterator<char>(std::cin), {}}, "standard input");
    if (std::filesystem::is_directory(file))
        throw BadScenario(
            fmt::format("{}: the file cannot be read (it is a folder); name a scenario", file.string()));
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in)
        throw BadScenario(fmt::format("{}: the file cannot be read ({}); name a scenario", file.string(),
                                      std::strerror(errno)));
    return parse(text, file.string());
}

void override_settings(Scenario& scenario, const std::vector<std::string>& assignments) {
    for (const std::string& text : assignments) {
        const std::size_t sign = text.find('=');
        if (sign == std::string::npos || sign == 0 || sign + 1 == text.size())
            throw BadScenario(
                fmt::format("--set: \"{}\" sets nothing; write key=value, such as rate=10k", text));
        Setting setting{.place = "--set", .role = {}, .section = {}, .key = text.substr(0, sign)};
        setting.values.push_back(text.substr(sign + 1));
        std::vector<std::string> parts;
        for (std::size_t dot; (dot = setting.key.find('.')) != std::string::npos;
             setting.key.erase(0, dot + 1))
            parts.push_back(setting.key.substr(0, dot));
        auto part = parts.begin();
        if (part != parts.end() && (setting.role = role_named(*part))) {
            (*setting.role == Role::client ? scenario.client : scenario.server) = true;
            ++part;
        }
        if (part != parts.end()) setting.section = *part++;
        if (part != parts.end() || setting.key.empty())
            throw BadScenario(
                fmt::format("--set: \"{}\" is no key; write key, section.key or client.section.key",
                            text.substr(0, sign)));
        const auto same = std::ranges::find_if(scenario.set, [&](const Setting& other) {
            return other.key == setting.key && other.role == setting.role;
        });
        if (same == scenario.set.end()) {
            scenario.set.push_back(std::move(setting));
        } else {
            same->values.push_back(std::move(setting.values.front()));
        }
    }
}

Role choose_role(const Scenario& scenario, std::optional<Role> asked) {
    if (asked) return *asked;
    if (scenario.client && scenario.server)
        throw BadScenario(
            fmt::format("{}: has a [client] and a [server]; say which one runs here with "
                        "--role client or --role server, or try both over a wire inside this "
                        "process with --role both",
                        scenario.source));
    if (scenario.client) return Role::client;
    return scenario.server ? Role::server : Role::both;
}

}  // namespace runnel::app::scenario
