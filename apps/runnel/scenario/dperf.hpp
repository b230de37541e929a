// A configuration of dperf as a scenario: what its words say is said by ours, and what has no counterpart is
// named with its line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scenario/scenario.hpp"

namespace runnel::app::scenario {

/// A table of a scenario, and what could not be said in it.
struct Imported {
    Role role = Role::client;        ///< client or server
    std::string table;               ///< TOML: "[client]" and what follows
    std::vector<std::string> lacks;  ///< "client.conf:7: tx_burst 128: ...", in the order of the file
};

/// Reads the text of a configuration; `source` is what messages call it. Throws `BadScenario` with file, line
/// and word for a value that dperf would not take either, and where what a run must have is not there.
[[nodiscard]] Imported import_dperf(std::string_view text, const std::string& source);

/// A scenario of one or two tables, with what they lack as a comment at its head. Throws `BadScenario` where
/// two are of the same role.
[[nodiscard]] std::string join(const std::vector<Imported>& tables);

}  // namespace runnel::app::scenario
