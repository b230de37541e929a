// Options of the command line that several subcommands share, read with quantity.hpp so that a wrong value
// names its option and the mend.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "runnel/runtime/eal.hpp"
#include "runnel/tcp/config.hpp"

#include "engine/plan.hpp"
#include "quantity.hpp"

namespace runnel::app {

// One option each; the value that `target` has already is shown as the default. The message of a value that
// cannot be names the option.
CLI::Option* add_count(CLI::App& app, const std::string& name, std::uint32_t& target, std::uint32_t least,
                       std::uint32_t most, const std::string& description);
CLI::Option* add_duration(CLI::App& app, const std::string& name, Duration& target, Duration least,
                          const std::string& description);
CLI::Option* add_address(CLI::App& app, const std::string& name, std::optional<InterfaceAddress>& target,
                         const std::string& description);
CLI::Option* add_host(CLI::App& app, const std::string& name, std::optional<IpAddress>& target,
                      const std::string& description);

/// --recipe, --connections, --rate, --window, --duration, --ramp, --drain, --max-lag, --time-wait-table.
void add_traffic_options(CLI::App& app, load::Traffic& traffic);

/// What `hold`, `rr` and `stream` ask besides: --transactions, --direction, --copy, --buffer.
void add_transfer_options(CLI::App& app, load::Traffic& traffic);
/// Octets of the block that a stream repeats: within a core's second-level cache.
inline constexpr std::size_t block_octets = std::size_t{64} << 10;

/// Where client and server are two programs, both are told what a transaction of `rr` is: --request-octets,
/// --response-octets.
void add_transaction_options(CLI::App& app, std::uint32_t& request, std::uint32_t& response);
/// Of each, where it is not told.
inline constexpr std::uint32_t transfer_octets = 64;

/// Settings of the protocol: --syn-timeout, --syn-retries, --synack-timeout, --synack-retries, --syn-cookies,
/// --msl, --congestion, --fixed-window, --no-sack, --ecn, --no-timestamps.
void add_tcp_options(CLI::App& app, tcp::Config& tcp);
/// As the command line names it: "never", "when-full", "always".
[[nodiscard]] std::string_view to_string(tcp::SynCookieUse use) noexcept;

/// What a run shows, and where.
struct Output {
    std::string json;                    ///< a file, "-" for standard output, or empty
    std::optional<std::uint32_t> trace;  ///< segments to print

    /// Where text for a person goes: not to standard output where the document goes there.
    [[nodiscard]] std::FILE* text() const noexcept { return json == "-" ? stderr : stdout; }
};
/// --json.
void add_json_option(CLI::App& app, Output& output);
/// --trace.
void add_trace_option(CLI::App& app, Output& output);

/// --huge.
void add_huge_option(CLI::App& app, runtime::Choice& choice);

}  // namespace runnel::app
