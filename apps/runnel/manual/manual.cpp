// See manual.hpp.
#include "manual/manual.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <vector>

#include <fmt/format.h>

namespace runnel::app::manual {
namespace {

// What stands in the source of a page (groff_man(7)): no control line, no escape, and hyphens that can be
// typed.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
            out += fmt::format("\\&{}", c);
        else
            out += c;
    }
    return out;
}

// Lines as they stand, for tables and examples.
std::string as_it_stands(const std::string& text) {
    return ".nf\n" + escaped(text) + "\n.fi\n";
}

std::vector<const CLI::App*> subcommands_of(const CLI::App& command) {
    std::vector<const CLI::App*> shown;
    for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
        if (!sub->get_group().empty()) shown.push_back(sub);
    return shown;
}

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

// "--rate RATE", "--out, -o FILE".
std::string heading(const CLI::Option& option) {
    std::string names;
    for (const std::string& name : option.get_lnames()) names += (names.empty() ? "--" : ", --") + name;
    for (const std::string& name : option.get_snames()) names += (names.empty() ? "-" : ", -") + name;
    if (names.empty()) names = option.get_name();
    std::string text = fmt::format("\\fB{}\\fR", escaped(names));
    if (option.get_items_expected_max() != 0 && !option.get_type_name().empty())
        text += fmt::format(" \\fI{}\\fR", escaped(option.get_type_name()));
    return text;
}

std::string described(const CLI::Option& option) {
    std::string text = fmt::format(".TP\n{}\n", heading(option));
    const std::string& what = option.get_description();
    const std::size_t table = what.find('\n');  // a line each for the words of a choice
    text += escaped(what.substr(0, table)) + '\n';
    if (table != std::string::npos) text += ".br\n" + as_it_stands(what.substr(table + 1));
    if (!option.get_default_str().empty())
        text += fmt::format("{}Default: {}.\n", table == std::string::npos ? ".br\n" : "",
                            escaped(option.get_default_str()));
    if (option.get_required()) text += ".br\nHas to be given.\n";
    return text;
}

}  // namespace

std::string man_page(const CLI::App& command, const std::string& version) {
    std::string page = fmt::format(
        ".\\\" Made by `runnel manual` from the options themselves.\n.TH RUNNEL 1 \"\" \"runnel {}\" \"User "
        "Commands\"\n.SH NAME\nrunnel \\- measure and load TCP from user space, on DPDK\n.SH SYNOPSIS\n",
        escaped(version));
    const std::vector<const CLI::App*> subs = subcommands_of(command);
    for (const CLI::App* sub : subs) {
        page += fmt::format(".B runnel {}\n", sub->get_name());
        page += "[\\fIoptions\\fR]";
        for (const CLI::Option* option : sub->get_options())
            if (option->get_positional()) page += fmt::format(" \\fI{}\\fR", escaped(option->get_name()));
        page += "\n.br\n";
    }
    page += ".SH DESCRIPTION\n" + as_it_stands(command.get_description()) + ".PP\n" +
            as_it_stands(command.get_footer());
    for (const CLI::App* sub : subs) {
        page += fmt::format(".SH RUNNEL {}\n{}.\n", upper(sub->get_name()), escaped(sub->get_description()));
        std::vector<std::string> groups;
        for (const CLI::Option* option : sub->get_options())
            if (std::ranges::find(groups, option->get_group()) == groups.end())
                groups.push_back(option->get_group());
        for (const std::string& group : groups) {
            if (group.empty()) continue;  // not shown by --help either
            page += fmt::format(".SS {}\n", escaped(group));
            for (const CLI::Option* option : sub->get_options())
                if (option->get_group() == group) page += described(*option);
        }
        if (!sub->get_footer().empty()) page += ".PP\n" + as_it_stands(sub->get_footer());
    }
    return page +
           ".SH FILES\n.TP\n\\fI/usr/share/runnel/scenarios\\fR\nSample scenarios for \\fBrunnel run\\fR, "
           "below the "
           "prefix of the installation.\n.SH SEE ALSO\n.BR dpdk\\-devbind (8)\n";
}

std::string bash_completion(const CLI::App& command) {
    std::string names, cases, values;
    for (const CLI::App* sub : subcommands_of(command)) {
        names += (names.empty() ? "" : " ") + sub->get_name();
        std::string options;
        for (const CLI::Option* option : sub->get_options()) {
            for (const std::string& name : option->get_lnames())
                options += (options.empty() ? "--" : " --") + name;
            // What can be completed of a value: the words of a choice, "auto|yes|no", or a file.
            const std::string type = option->get_type_name();
            if (option->get_lnames().empty() || option->get_items_expected_max() == 0) continue;
            std::string words = type;
            std::ranges::replace(words, '|', ' ');
            const std::string pattern = fmt::format("{}:--{}", sub->get_name(), option->get_lnames().front());
            if (type == "FILE" || type == "DIR")
                values += fmt::format("    {}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", pattern);
            else if (type.find('|') != std::string::npos && type.find_first_of("[]<>") == std::string::npos)
                values += fmt::format("    {}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n",
                                      pattern, words);
            else
                values += fmt::format("    {}) return ;;\n", pattern);
        }
        cases += fmt::format("    {}) options='{}' ;;\n", sub->get_name(), options);
    }
    return fmt::format(
        R"(# Completion of runnel for bash. Made by `runnel completion` from the options themselves.
_runnel() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} sub=${{COMP_WORDS[1]}} options=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W '{} --help --version' -- "$word"))
        return
    fi
    case $sub:$before in
{}    esac
    case $sub in
{}    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}}
complete -o filenames -F _runnel runnel
)",
        names, values, cases);
}

}  // namespace runnel::app::manual
