// The command `runnel`: its subcommands, and what it does with a line that is wrong.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

#include "engine/result.hpp"

namespace runnel::app {

using load::ExitStatus;

/// What runs when a subcommand was given. It may throw `std::exception`: the message is printed behind the
/// name of the subcommand, and the status is `wrong_setup`.
using Action = std::function<ExitStatus()>;

/// Each declares a subcommand with its options, in a file of its own.
[[nodiscard]] Action add_handshake(CLI::App& command);
[[nodiscard]] Action add_load(CLI::App& command);
[[nodiscard]] Action add_serve(CLI::App& command);
[[nodiscard]] Action add_report(CLI::App& command);
[[nodiscard]] Action add_compare(CLI::App& command);
[[nodiscard]] Action add_run(CLI::App& command);
[[nodiscard]] Action add_search(CLI::App& command);
[[nodiscard]] Action add_doctor(CLI::App& command);
[[nodiscard]] Action add_import(CLI::App& command);
[[nodiscard]] Action add_manual(CLI::App& command);
[[nodiscard]] Action add_completion(CLI::App& command);

/// Reads the line and runs what it says; the exit status of the process. Text for a person that went wrong
/// goes to standard error.
[[nodiscard]] int run_command(int argc, const char* const* argv);

}  // namespace runnel::app
