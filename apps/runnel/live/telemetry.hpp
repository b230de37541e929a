// The commands /runnel/... of DPDK's telemetry socket: what dpdk-telemetry.py asks a run, and tells it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/control.hpp"
#include "engine/observation.hpp"

namespace runnel::app::live {

/// Answers while it lives, on DPDK's telemetry thread. DPDK (22.11) takes a command once a process and for
/// good, and gives it no pointer: so there is one of these at a time, and without one each command answers
/// that nothing runs.
class Telemetry {
  public:
    /// Names and values of the settings of this run.
    using Settings = std::vector<std::pair<std::string, std::string>>;

    /// Nothing is owned. EAL runs, with telemetry. Throws `std::runtime_error` where a command cannot be
    /// registered, `std::logic_error` where there is one already.
    Telemetry(load::Control& control, const load::Board& board, Settings settings);
    /// Waits for an answer that is being given.
    ~Telemetry();
    Telemetry(const Telemetry&) = delete;
    Telemetry& operator=(const Telemetry&) = delete;

    /// One command, and what /runnel tells of it.
    struct Command {
        const char* name;
        const char* help;
    };
    [[nodiscard]] static const std::vector<Command>& commands();
};

/// Settings as a result document has them, flat: {"tcp.msl", "1s"}.
[[nodiscard]] Telemetry::Settings flat(const nlohmann::ordered_json& config);

}  // namespace runnel::app::live
