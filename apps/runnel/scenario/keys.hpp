// The keys of a scenario are the options of the subcommand that it stands for, asked of CLI11: there is no
// second list of them.
#pragma once

#include <string>
#include <vector>

#include "command.hpp"
#include "scenario/scenario.hpp"

namespace runnel::app::scenario {

/// What a scenario comes to.
struct Line {
    std::string subcommand;              ///< "handshake"
    std::vector<std::string> arguments;  ///< "--rate=10k", "--ipv6"
};

/// The line that does what the scenario says, in the role chosen. Each key is checked by the option of its
/// name. Throws `BadScenario`.
[[nodiscard]] Line to_line(const Scenario& scenario, Role role);

/// As one would type it, with quotes where a shell needs them.
[[nodiscard]] std::string to_string(const Line& line);

/// Runs the line in this process. What it finds wrong with an option is said of the key, with file and line:
/// that is thrown as `BadScenario`.
[[nodiscard]] ExitStatus execute(const Line& line, const Scenario& scenario);

}  // namespace runnel::app::scenario
