// The manual page and the shell's completion, made from the options themselves, so that they stay true.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace runnel::app::manual {

/// The page runnel(1), for man: `command` with its subcommands. `version` stands at its foot.
[[nodiscard]] std::string man_page(const CLI::App& command, const std::string& version);

/// Completion for bash: subcommands, options, the words of an option that has a choice, and files.
[[nodiscard]] std::string bash_completion(const CLI::App& command);

}  // namespace runnel::app::manual
