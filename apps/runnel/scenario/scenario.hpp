// A scenario: a run that a file describes, in TOML. Its keys are the options of `runnel handshake`, `load`
// and `serve` without their dashes: this file knows none of them.
#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace runnel::app::scenario {

/// What in a scenario cannot be. The message names file, line and key, and the mend.
struct BadScenario : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Which part of a scenario this process plays.
enum class Role {
    both,    ///< both endpoints over a virtual wire: `runnel handshake`
    client,  ///< `runnel load`
    server   ///< `runnel serve`
};

/// A key with what it is set to.
struct Setting {
    std::string place;                ///< "crr.toml:7", or "--set"
    std::optional<Role> role;         ///< of a table [client] or [server]; none: of whoever has the key
    std::string section;              ///< "tcp"; empty at the top
    std::string key;                  ///< "rate"
    std::vector<std::string> values;  ///< a list has several, or none
};

struct Scenario {
    std::string source;             ///< the file
    std::string description;        ///< what the file says of itself
    bool client = false;            ///< there is a table [client]
    bool server = false;            ///< there is a table [server]
    std::vector<Setting> settings;  ///< by line
    std::vector<Setting> set;       ///< by --set, in their order
};

/// Reads a file; "-" is standard input. Throws `BadScenario`.
[[nodiscard]] Scenario read(const std::filesystem::path& file);

/// Reads the text of a file; `source` is what messages call it. Throws `BadScenario`.
[[nodiscard]] Scenario parse(std::string_view text, const std::string& source);

/// Takes "rate=10k", "tcp.msl=1s" or "client.rate=10k" before what the file says. The same key again
/// replaces, within one call makes a list. Throws `BadScenario`.
void override_settings(Scenario& scenario, const std::vector<std::string>& assignments);

/// The role to play: the one asked for, or the only one that the file has. Throws `BadScenario` where the
/// file has two and nothing is asked.
[[nodiscard]] Role choose_role(const Scenario& scenario, std::optional<Role> asked);

}  // namespace runnel::app::scenario
