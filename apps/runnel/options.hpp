// Options of the command line that several subcommands share, read with quantity.hpp so that a wrong value
// names its option and the mend.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "runnel/runtime/eal.hpp"
#include "runnel/tcp/config.hpp"

#include "engine/plan.hpp"
#include "quantity.hpp"
#include "results/goals.hpp"

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

/// A share in percent, as "95" or "95 %", kept as a fraction of 1.
CLI::Option* add_percent(CLI::App& app, const std::string& name, double& target, double least, double most,
                         const std::string& description);
/// One of some words.
template <class Value>
CLI::Option* add_choice(CLI::App& app, const std::string& name, const char* type,
                        const std::vector<std::pair<std::string, Value>>& choices, Value& target,
                        const std::string& description);

/// Options that are declared while it lives stand under this heading: of --help, and as the section of a
/// scenario ("[tcp]").
class OptionGroup {
  public:
    OptionGroup(CLI::App& app, const std::string& heading)
        : app_(app), before_(app.option_defaults()->get_group()) {
        app.option_defaults()->group(heading);
    }
    ~OptionGroup() { app_.option_defaults()->group(before_); }
    OptionGroup(const OptionGroup&) = delete;
    OptionGroup& operator=(const OptionGroup&) = delete;

  private:
    CLI::App& app_;
    std::string before_;
};

/// --recipe, --connections, --rate, --window, --duration, --ramp, --drain, --max-lag, --time-wait-table.
void add_traffic_options(CLI::App& app, load::Traffic& traffic);

/// What `hold`, `rr` and `stream` ask besides: --transactions, --direction, --copy, --buffer.
void add_transfer_options(CLI::App& app, load::Traffic& traffic);
/// Octets of the block that a stream repeats: within a core's second-level cache.
inline constexpr std::size_t block_octets = std::size_t{64} << 10;

/// Of `rr` and `http`: --think, --request-octets, --response-octets, --request, --header, --host,
/// --no-keep-alive.
void add_request_options(CLI::App& app, load::Traffic& traffic);
/// Of `udp-rr` and `udp-oneway`: --datagram-octets, --reply-timeout.
void add_datagram_options(CLI::App& app, load::Traffic& traffic);
/// Attackers beside the load: --attack, --attack-sources, --attack-octets.
void add_attack_options(CLI::App& app, load::Traffic& traffic);
/// Several of what `read` reads, each given by an option of its own or after the first; `clear` comes before
/// the first.
CLI::Option* add_each(CLI::App& app, const std::string& name, const char* type,
                      const std::string& description, std::function<void()> clear,
                      std::function<void(const std::string&)> read);
/// How a server of ours answers: --delay, --stall. `seed` is of what is drawn.
void add_behaviour_options(CLI::App& app, load::ServerBehaviour& behaviour);

/// Where client and server are two programs, the server is told what a transaction of `rr` is:
/// --request-octets,
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
    std::string page;                    ///< a file for the document as HTML, or empty
    std::optional<std::uint32_t> trace;  ///< segments to print
    std::vector<results::Goal> goals;    ///< on which the exit status depends

    /// Where text for a person goes: not to standard output where the document goes there.
    [[nodiscard]] std::FILE* text() const noexcept { return json == "-" ? stderr : stdout; }
};
/// --json.
void add_json_option(CLI::App& app, Output& output, const std::string& schema = "runnel.result/1");
/// Writes a document where one is asked for. Throws `std::runtime_error` where the file cannot be written.
void write_document(const nlohmann::ordered_json& document, const Output& output);
/// --html.
void add_page_option(CLI::App& app, Output& output);
/// Writes a text to the file that the option of this name gives. Throws `std::runtime_error` where it cannot.
void write_file(std::string_view option, const std::string& file, std::string_view text);
/// --goal.
void add_goal_option(CLI::App& app, Output& output);
/// --trace.
void add_trace_option(CLI::App& app, Output& output);

/// --huge.
void add_huge_option(CLI::App& app, runtime::Choice& choice);

/// Words for a choice; `chosen` is called with the number of the one that is written.
CLI::Option* add_words(CLI::App& app, const std::string& name, const char* type,
                       const std::vector<std::string>& words, const std::string& shown,
                       const std::string& description, std::function<void(std::size_t)> chosen);

template <class Value>
CLI::Option* add_choice(CLI::App& app, const std::string& name, const char* type,
                        const std::vector<std::pair<std::string, Value>>& choices, Value& target,
                        const std::string& description) {
    std::vector<std::string> words;
    std::string shown;
    for (const auto& [word, value] : choices) {
        words.push_back(word);
        if (value == target) shown = word;
    }
    return add_words(app, name, type, words, shown, description,
                     [choices, &target](std::size_t chosen) { target = choices[chosen].second; });
}

}  // namespace runnel::app
