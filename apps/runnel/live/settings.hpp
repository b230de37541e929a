// Options by which a run is followed and told things while it goes: --live, --telemetry, --prometheus,
// --stop, --pcap.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "runnel/runtime/eal.hpp"

#include "engine/control.hpp"

namespace runnel::app::live {

struct Settings {
    runtime::Choice view = runtime::Choice::automatic;
    runtime::Choice telemetry = runtime::Choice::automatic;
    bool secondaries = false;
    std::string file_prefix;
    std::optional<std::uint16_t> prometheus;  ///< a port of the kernel's loopback
    load::Ending ending = load::Ending::drain;
    std::string pcap;         ///< a file for frames; empty: none
    std::string pcap_filter;  ///< which; empty: all
};

/// --live, --telemetry, --secondary, --file-prefix, --prometheus, --stop.
void add_options(CLI::App& app, Settings& settings);
/// --pcap, --pcap-filter.
void add_capture_options(CLI::App& app, Settings& settings);

/// What EAL is to open for it.
void apply(const Settings& settings, runtime::EalOptions& options);

}  // namespace runnel::app::live
